// SPDX-License-Identifier: GPL-2.0

//! Histories: what a few threads did to a map, and when, one line for each operation.
//!
//! The text is what the checker of linearizability, `tests/model/linearize`, reads, and documents.
//! One counter is the clock for all: it is incremented before each operation and after it, so that no
//! two moments are the same.

use core::cell::UnsafeCell;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::sync::rcu;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::value::Prepared;
use syncmap::{Options, SyncMap};

use crate::contexts::{allocates, call, pause, spin, CONTEXTS, HARDIRQ, IPI, PROCESS};
use crate::random::Random;
use crate::world::atomic;

type Recorded = SyncMap<u64, u64>;

/// The most keys that a history has, and operations that a thread does.
const KEYS_MAX: usize = 8;
const OPERATIONS_MAX: usize = 60;

/// So many maps end later than they are used: an end waits for a grace period, unless that is over.
const KEPT: usize = 256;

/// So many times one looks whether another has come.
const PATIENCE: usize = 500;

/// No value; all others are less.
const NONE: u64 = u64::MAX;

#[derive(Clone, Copy)]
enum Op {
    Load,
    Store(u64),
    LoadOrStore(u64),
    LoadAndDelete,
    Delete,
    Swap(u64),
    CompareAndSwap(u64, u64),
    CompareAndDelete(u64),
    Clear,
    Range,
}

#[derive(Clone, Copy)]
enum Outcome {
    Nothing,
    Failed,
    Value(u64),
    Loaded(u64, bool),
    Done(bool),
    Pairs([(u64, u64); KEYS_MAX], usize),
}

#[derive(Clone, Copy)]
struct Line {
    start: u64,
    end: u64,
    key: u64,
    op: Op,
    outcome: Outcome,
}

/// What one thread has done.
struct Player {
    random: Random,
    lines: KVec<Line>,
    /// The last value that was seen of each key.
    seen: [u64; KEYS_MAX],
    next: u64,
}

/// The place of one thread.
struct Seat(UnsafeCell<Player>);

// SAFETY: `Recorder::play` uses the seat of its own thread alone.
unsafe impl Sync for Seat {}

/// Makes one history after the other.
pub(crate) struct Recorder {
    keys: u64,
    operations: u64,
    seed: u64,
    number: u64,
    clock: Atomic<u64>,
    /// How many have come to where they wait for each other.
    arrivals: Atomic<u64>,
    players: KVec<Seat>,
    maps: KVec<Option<Pin<KBox<Recorded>>>>,
    promotions: usize,
    expunged: usize,
}

/// Which operation, so that there are enough keys to be looked up, deleted and promoted.
const WEIGHTS: [u64; 10] = [10, 6, 5, 4, 4, 5, 6, 4, 1, 3];

fn maybe(outcome: Option<u64>) -> Outcome {
    Outcome::Value(outcome.unwrap_or(NONE))
}

impl Recorder {
    pub(crate) fn new(threads: u64, keys: u64, operations: u64, seed: u64) -> Result<KBox<Self>> {
        let mut players = KVec::new();
        for _ in 0..threads {
            let player = Player {
                random: Random::new(0, 0),
                lines: KVec::with_capacity(OPERATIONS_MAX, GFP_KERNEL)?,
                seen: [0; KEYS_MAX],
                next: 0,
            };
            players.push(Seat(UnsafeCell::new(player)), GFP_KERNEL)?;
        }
        let mut maps = KVec::new();
        for _ in 0..KEPT {
            maps.push(None, GFP_KERNEL)?;
        }
        let recorder = Recorder {
            keys: keys.min(KEYS_MAX as u64),
            operations: operations.min(OPERATIONS_MAX as u64),
            seed,
            number: 0,
            clock: Atomic::new(0),
            arrivals: Atomic::new(0),
            players,
            maps,
            promotions: 0,
            expunged: 0,
        };
        Ok(KBox::new(recorder, GFP_KERNEL)?)
    }

    /// A fresh map for that history.
    pub(crate) fn open(&mut self, number: u64) -> Result {
        self.number = number;
        self.clock = Atomic::new(0);
        let threads = self.players.len() as u64;
        for (index, player) in self.players.iter_mut().enumerate() {
            let player = player.0.get_mut();
            player.random = Random::new(self.seed, number * threads + index as u64);
            player.lines.clear();
            player.seen = [0; KEYS_MAX];
            // Each value is stored once, so that it tells who has stored it.
            player.next = 1000 * (index as u64 + 1);
        }
        let map = Recorded::new(Options::default(), GFP_KERNEL);
        let slot = number as usize % KEPT;
        if let Some(slot) = self.maps.get_mut(slot) {
            *slot = None;
            *slot = Some(KBox::pin_init(map, GFP_KERNEL)?);
        }
        Ok(())
    }

    fn map(&self) -> Option<&Recorded> {
        Some(self.maps.get(self.number as usize % KEPT)?.as_ref()?)
    }

    /// What that thread does. The last one does everything in interrupts and the like.
    pub(crate) fn play(&self, thread: usize) {
        let (Some(player), Some(map)) = (self.players.get(thread), self.map()) else {
            return;
        };
        // SAFETY: Each thread plays once, and has this player to itself.
        let player = unsafe { &mut *player.0.get() };
        let in_interrupts = thread + 1 == self.players.len() && thread > 0;
        for _ in 0..self.operations {
            if player.random.once_in(2) {
                self.meet();
            }
            player.operate(self, map, in_interrupts);
            // Mostly at once, so that operations meet.
            match player.random.below(32) {
                0 => pause(0),
                1 if player.random.once_in(64) => pause(20),
                n if n < 8 => spin(n),
                _ => {}
            }
        }
    }

    /// Waits a little for another one that comes here, to go on at the same moment.
    fn meet(&self) {
        let arrivals = self.arrivals.fetch_add(1u64, Full) + 1;
        if arrivals % 2 == 0 {
            return;
        }
        for _ in 0..PATIENCE {
            if self.arrivals.load(Relaxed) != arrivals {
                return;
            }
            spin(1);
        }
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1u64, Full) + 1
    }

    /// All have played.
    pub(crate) fn close(&mut self) {
        let stats = self.map().map(|map| {
            let stats = map.stats();
            // So that the end has nothing left to retire.
            map.promote_now();
            stats
        });
        if let Some(stats) = stats {
            self.promotions = stats.promotions;
            self.expunged = stats.expunged;
        }
    }

    pub(crate) fn show(&self, file: &SeqFile) {
        seq_print!(file, "# history {}\n", self.number + 1);
        seq_print!(
            file,
            "# {} promotions, {} expunged\n",
            self.promotions,
            self.expunged
        );
        for (thread, player) in self.players.iter().enumerate() {
            // SAFETY: Nobody plays any more, and we only look.
            for line in unsafe { &*player.0.get() }.lines.iter() {
                seq_print!(file, "{} {} {} ", thread, line.start, line.end);
                line.show(file);
            }
        }
    }
}

impl Player {
    fn value(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn choose(&mut self, key: u64) -> Op {
        let mut dice = self.random.below(WEIGHTS.iter().sum());
        let mut op = 0;
        for (index, weight) in WEIGHTS.iter().enumerate() {
            if dice < *weight {
                op = index;
                break;
            }
            dice -= weight;
        }
        // Mostly a value that may still be there.
        let seen = self.seen.get(key as usize).copied().unwrap_or(0);
        match op {
            0 => Op::Load,
            1 => Op::Store(self.value()),
            2 => Op::LoadOrStore(self.value()),
            3 => Op::LoadAndDelete,
            4 => Op::Delete,
            5 => Op::Swap(self.value()),
            6 => Op::CompareAndSwap(seen, self.value()),
            7 => Op::CompareAndDelete(seen),
            8 => Op::Clear,
            _ => Op::Range,
        }
    }

    fn operate(&mut self, recorder: &Recorder, map: &Recorded, in_interrupts: bool) {
        let key = self.random.below(recorder.keys);
        let op = self.choose(key);
        let context = match in_interrupts {
            true if self.random.once_in(2) => IPI,
            true => self.random.below(CONTEXTS),
            false => PROCESS,
        };
        // Whatever may make a key allocates.
        let context = match op {
            Op::Store(_) | Op::LoadOrStore(_) | Op::Swap(_) if !allocates(context) => HARDIRQ,
            _ => context,
        };
        let sleeps = matches!(op, Op::Clear | Op::Range);
        let mut line = Line {
            start: 0,
            end: 0,
            key,
            op,
            outcome: Outcome::Failed,
        };
        if in_interrupts && !sleeps {
            // The value has its memory before, and what is left is freed after.
            let mut node = new_of(op).and_then(|new| map.prepare(new, GFP_KERNEL).ok());
            call(context, || {
                line.start = recorder.now();
                line.outcome = perform_atomic(map, key, op, &mut node);
                line.end = recorder.now();
            });
        } else {
            let slow = self.random.once_in(4);
            line.start = recorder.now();
            line.outcome = perform(map, key, op, slow);
            line.end = recorder.now();
        }
        let seen = match (line.op, line.outcome) {
            (_, Outcome::Value(seen) | Outcome::Loaded(seen, _)) if seen != NONE => Some(seen),
            (
                Op::Store(new) | Op::CompareAndSwap(_, new),
                Outcome::Nothing | Outcome::Done(true),
            ) => Some(new),
            _ => None,
        };
        if let (Some(slot), Some(seen)) = (self.seen.get_mut(key as usize), seen) {
            *slot = seen;
        }
        // There is room for all of them.
        let _ = self.lines.push(line, GFP_KERNEL);
    }
}

fn new_of(op: Op) -> Option<u64> {
    match op {
        Op::Store(new) | Op::LoadOrStore(new) | Op::Swap(new) | Op::CompareAndSwap(_, new) => {
            Some(new)
        }
        _ => None,
    }
}

/// An operation in process context; a slow Range sleeps.
fn perform(map: &Recorded, key: u64, op: Op, slow: bool) -> Outcome {
    let done = match op {
        Op::Load => Ok(maybe(map.load(&key).map(|value| *value))),
        Op::Store(new) => match map.store(key, new, GFP_KERNEL) {
            Ok(()) => Ok(Outcome::Nothing),
            Err(e) => Err(e.error),
        },
        Op::LoadOrStore(new) => match map.load_or_store(key, new, GFP_KERNEL) {
            Ok(LoadOrStore::Loaded(value, _)) => Ok(Outcome::Loaded(*value, true)),
            Ok(LoadOrStore::Stored) => Ok(Outcome::Loaded(new, false)),
            Err(e) => Err(e.error),
        },
        Op::LoadAndDelete => Ok(maybe(map.load_and_delete(&key).map(|old| *old))),
        Op::Delete => {
            map.delete(&key);
            Ok(Outcome::Nothing)
        }
        Op::Swap(new) => match map.swap(key, new, GFP_KERNEL) {
            Ok(old) => Ok(maybe(old.map(|old| *old))),
            Err(e) => Err(e.error),
        },
        Op::CompareAndSwap(old, new) => match map.compare_and_swap(&key, &old, new, GFP_KERNEL) {
            Ok(_) => Ok(Outcome::Done(true)),
            Err(e) => match e.error {
                None => Ok(Outcome::Done(false)),
                Some(error) => Err(error),
            },
        },
        Op::CompareAndDelete(old) => {
            // Between the look and the exchange is time for others.
            let accept = |seen: u64| {
                spin(if slow { 50 } else { 0 });
                seen == old
            };
            let old = map.compare_and_delete_with(&key, |seen| accept(*seen.get()));
            Ok(Outcome::Done(old.is_some()))
        }
        Op::Clear => map.clear(GFP_KERNEL).map(|()| Outcome::Nothing),
        Op::Range => Ok(walk(map, slow)),
    };
    done.unwrap_or(Outcome::Failed)
}

#[inline(never)]
fn walk(map: &Recorded, slow: bool) -> Outcome {
    let (mut pairs, mut number) = ([(0, 0); KEYS_MAX], 0);
    map.range(|key, value| {
        // More than there are keys is for the checker to see: the last one twice.
        if let Some(pair) = pairs.get_mut(number) {
            *pair = (*key, *value);
            number += 1;
        }
        if slow {
            pause(0);
        }
        true
    });
    Outcome::Pairs(pairs, number)
}

/// An operation that does not sleep, with a node that was prepared for it. Any context in which an
/// entry for the key can be allocated, if there is a node.
fn perform_atomic<'m>(
    map: &'m Recorded,
    key: u64,
    op: Op,
    node: &mut Option<Prepared<'m, Fixed<u64>>>,
) -> Outcome {
    match (op, node.take()) {
        (Op::Load, _) => {
            let guard = rcu::read_lock();
            maybe(map.get(&key, &guard).copied())
        }
        (Op::LoadAndDelete, _) => maybe(map.load_and_delete(&key).map(|old| *old)),
        (Op::Delete, _) => {
            map.delete(&key);
            Outcome::Nothing
        }
        (Op::CompareAndDelete(old), _) => {
            let old = map.compare_and_delete_with(&key, |seen| *seen.get() == old);
            Outcome::Done(old.is_some())
        }
        (Op::Store(_), Some(new)) => match map.swap_prepared(key, new, atomic()) {
            Ok(_) => Outcome::Nothing,
            Err(e) => give_back(node, e.value),
        },
        (Op::Swap(_), Some(new)) => match map.swap_prepared(key, new, atomic()) {
            Ok(old) => maybe(old.map(|old| *old)),
            Err(e) => give_back(node, e.value),
        },
        (Op::LoadOrStore(value), Some(new)) => {
            match map.load_or_store_with(key, new, |seen| *seen.get(), atomic()) {
                Ok(LoadOrStore::Loaded(loaded, new)) => {
                    *node = Some(new);
                    Outcome::Loaded(loaded, true)
                }
                Ok(LoadOrStore::Stored) => Outcome::Loaded(value, false),
                Err(e) => give_back(node, e.value),
            }
        }
        (Op::CompareAndSwap(old, _), Some(new)) => {
            match map.compare_and_swap_prepared(&key, new, |seen| *seen.get() == old) {
                Ok(_) => Outcome::Done(true),
                Err(new) => {
                    *node = Some(new);
                    Outcome::Done(false)
                }
            }
        }
        _ => Outcome::Failed,
    }
}

/// A store that has failed has done nothing.
fn give_back<'m>(
    node: &mut Option<Prepared<'m, Fixed<u64>>>,
    value: Prepared<'m, Fixed<u64>>,
) -> Outcome {
    *node = Some(value);
    Outcome::Failed
}

impl Line {
    fn show(&self, file: &SeqFile) {
        let key = self.key;
        match self.op {
            Op::Load => seq_print!(file, "load {} =", key),
            Op::Store(new) => seq_print!(file, "store {} {} =", key, new),
            Op::LoadOrStore(new) => seq_print!(file, "load_or_store {} {} =", key, new),
            Op::LoadAndDelete => seq_print!(file, "load_and_delete {} =", key),
            Op::Delete => seq_print!(file, "delete {} =", key),
            Op::Swap(new) => seq_print!(file, "swap {} {} =", key, new),
            Op::CompareAndSwap(old, new) => {
                seq_print!(file, "compare_and_swap {} {} {} =", key, old, new)
            }
            Op::CompareAndDelete(old) => seq_print!(file, "compare_and_delete {} {} =", key, old),
            Op::Clear => seq_print!(file, "clear - ="),
            Op::Range => seq_print!(file, "range - ="),
        }
        match self.outcome {
            Outcome::Nothing => {}
            Outcome::Failed => seq_print!(file, " ERROR"),
            Outcome::Value(NONE) => seq_print!(file, " -"),
            Outcome::Value(value) => seq_print!(file, " {}", value),
            Outcome::Loaded(value, loaded) => seq_print!(file, " {} {}", value, u8::from(loaded)),
            Outcome::Done(done) => seq_print!(file, " {}", u8::from(done)),
            Outcome::Pairs(pairs, number) => {
                for (key, value) in pairs.iter().take(number) {
                    seq_print!(file, " {} {}", key, value);
                }
            }
        }
        seq_print!(file, "\n");
    }
}
