// SPDX-License-Identifier: GPL-2.0

//! A thread that uses a map, and writes down what it does.

use std::collections::{BTreeMap, BTreeSet};

use kernel::alloc::flags::{GFP_ATOMIC, GFP_KERNEL};
use kernel::alloc::Flags;
use kernel::error::Error;
use kernel::machine::{self, Failing};
use kernel::sync::rcu;
use linearize::{Action, Operation};
use syncmap::inspect::{EntryState, Where};
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::quota::edquot;
use syncmap::range::Cursor;
use syncmap::reserve::Reservation;
use syncmap::value::Counted;

use crate::contents::{Name, Value};

/// The maps of programs.
pub type TinyMap = Map<Name, Counted<Fixed<Value>>>;

/// Memory for new keys of these.
pub type TinyReservation<'m> = Reservation<'m, Name, Counted<Fixed<Value>>>;

/// What a store that has failed comes to.
fn failed(error: Error, value: u64) -> Option<Action> {
    (error == edquot()).then_some(Action::Full(value))
}

/// Someone who uses a map.
pub struct Actor<'m> {
    /// The map.
    pub map: &'m TinyMap,
    thread: u64,
    /// How it allocates.
    flags: Flags,
    log: Vec<Operation>,
    live: usize,
}

impl<'m> Actor<'m> {
    /// The thread of that number.
    pub fn new(map: &'m TinyMap, thread: u64) -> Self {
        Actor {
            map,
            thread,
            flags: GFP_KERNEL,
            log: Vec::new(),
            live: 0,
        }
    }

    /// What it has done.
    pub fn into_log(self) -> Vec<Operation> {
        self.log
    }

    /// Does something in an interrupt handler, where nothing may sleep.
    pub fn interrupt(&mut self, act: impl FnOnce(&mut Self)) {
        let flags = std::mem::replace(&mut self.flags, GFP_ATOMIC);
        machine::interrupt(|| act(self));
        self.flags = flags;
    }

    /// Does something in a read-side section: until it ends, nothing is freed.
    pub fn section(&mut self, act: impl FnOnce(&mut Self)) {
        let guard = rcu::read_lock();
        act(self);
        drop(guard);
    }

    fn done(&mut self, key: Option<u64>, act: impl FnOnce(&TinyMap) -> Option<Action>) -> Action {
        let start = machine::tick();
        let action = act(self.map).unwrap_or(Action::Failed);
        let end = machine::tick();
        let thread = self.thread;
        self.log.push(Operation {
            thread,
            start,
            end,
            key,
            action: action.clone(),
        });
        action
    }

    pub fn load(&mut self, key: u64) {
        self.look(key);
    }

    /// A load, of which the result is wanted.
    pub(crate) fn look(&mut self, key: u64) -> Option<u64> {
        let load = |map: &TinyMap| map.load(&Name::of(key)).map(|value| value.get());
        match self.done(Some(key), |map| Some(Action::Load(load(map)))) {
            Action::Load(value) => value,
            _ => None,
        }
    }

    /// A lookup for an interrupt handler: looks at the value in a read-side section.
    pub fn get(&mut self, key: u64) {
        self.see(key);
    }

    /// The same, if the result is wanted.
    pub fn see(&mut self, key: u64) -> Option<u64> {
        let action = self.done(Some(key), |map| {
            let guard = rcu::read_lock();
            let value = map.get(&Name::of(key), &guard);
            Some(Action::Load(value.map(|value| {
                let first = value.get();
                // The same still, until the section ends.
                assert_eq!(first, value.get());
                first
            })))
        });
        match action {
            Action::Load(value) => value,
            _ => None,
        }
    }

    pub fn store(&mut self, key: u64, value: u64) {
        let flags = self.flags;
        self.done(Some(key), |map| {
            match map.store(Name::of(key), Value::new(value), flags) {
                Ok(()) => Some(Action::Store(value)),
                Err(e) => failed(e.error, value),
            }
        });
    }

    pub fn load_or_store(&mut self, key: u64, value: u64) {
        let flags = self.flags;
        self.done(Some(key), |map| {
            match map.load_or_store(Name::of(key), Value::new(value), flags) {
                Ok(LoadOrStore::Loaded(actual, _)) => {
                    Some(Action::LoadOrStore(value, actual.get(), true))
                }
                Ok(LoadOrStore::Stored) => Some(Action::LoadOrStore(value, value, false)),
                Err(e) => failed(e.error, value),
            }
        });
    }

    pub fn load_and_delete(&mut self, key: u64) {
        self.done(Some(key), |map| {
            let old = map.load_and_delete(&Name::of(key));
            Some(Action::LoadAndDelete(old.map(|old| old.get())))
        });
    }

    pub fn delete(&mut self, key: u64) {
        self.done(Some(key), |map| {
            map.delete(&Name::of(key));
            Some(Action::Delete)
        });
    }

    pub fn swap(&mut self, key: u64, value: u64) {
        let flags = self.flags;
        self.done(Some(key), |map| {
            match map.swap(Name::of(key), Value::new(value), flags) {
                Ok(old) => Some(Action::Swap(value, old.map(|old| old.get()))),
                Err(e) => failed(e.error, value),
            }
        });
    }

    /// Reserves memory for new keys.
    pub fn reserve(&self, keys: usize) -> TinyReservation<'m> {
        let reserved = self.map.reserve_tails(keys, 0, GFP_KERNEL);
        reserved.unwrap_or_else(|error| panic!("a reservation fails: {error:?}"))
    }

    /// Stores a key whose memory was reserved, in an interrupt handler that has no other memory.
    pub fn put(&mut self, key: u64, value: u64, reservation: &TinyReservation<'m>) {
        let map = self.map;
        let prepared = map.prepare(Value::new(value), GFP_KERNEL);
        let prepared = prepared.ok().expect("there is memory");
        machine::fail(Failing::From(0));
        self.interrupt(|actor| {
            actor.done(Some(key), |_| {
                match map.swap_prepared(Name::of(key), prepared, reservation) {
                    Ok(old) => Some(Action::Swap(value, old.map(|old| old.get()))),
                    Err(error) => panic!("a reserved key fails: {:?}", error.error),
                }
            });
        });
        machine::fail(Failing::Never);
    }

    pub fn compare_and_swap(&mut self, key: u64, old: u64, new: u64) {
        let flags = self.flags;
        self.done(Some(key), |map| {
            let expected = Value::new(old);
            match map.compare_and_swap(&Name::of(key), &expected, Value::new(new), flags) {
                Ok(_) => Some(Action::CompareAndSwap(old, new, true)),
                Err(error) if error.error.is_none() => {
                    Some(Action::CompareAndSwap(old, new, false))
                }
                Err(_) => None,
            }
        });
    }

    pub fn compare_and_delete(&mut self, key: u64, old: u64) {
        self.done(Some(key), |map| {
            let done = map
                .compare_and_delete(&Name::of(key), &Value::new(old))
                .is_some();
            Some(Action::CompareAndDelete(old, done))
        });
    }

    pub fn clear(&mut self) {
        let flags = self.flags;
        self.done(None, |map| map.clear(flags).ok().map(|()| Action::Clear));
    }

    pub fn range(&mut self) {
        self.done(None, |map| {
            let mut visited = Vec::new();
            map.range(|key, value| {
                visited.push((key.number, value.get()));
                true
            });
            Some(Action::Range(visited))
        });
    }

    /// A walk that does not begin at the start, and so does not promote, but comes to all keys.
    pub fn walk(&mut self) {
        self.done(None, |map| {
            let mut visited = Vec::new();
            let before = Name::of(0);
            let mut walk = map.walk(Cursor::Key(&before));
            while let Some((key, value)) = walk.next_pair() {
                visited.push((key.number, value.get()));
            }
            Some(Action::Range(visited))
        });
    }

    /// Complains if there are deleted keys, after a sweep that should have found them.
    pub fn expect_swept(&self) {
        let dirty = self.map.inspect(|_, name, state| {
            let live = state == EntryState::Live;
            assert!(live, "key {} is {state:?} after a sweep", name.number);
        });
        let stats = self.map.stats();
        let slots = match dirty.amended {
            true => dirty.count,
            false => stats.read_slots,
        };
        assert_eq!(slots, stats.entries, "the number of slots is wrong");
    }

    /// Complains if the tables contradict each other (I1, I3), or the counts contradict them.
    pub fn expect_consistent(&self) {
        let (mut read, mut dirty) = (BTreeMap::new(), BTreeMap::new());
        let counts = self.map.inspect(|place, name, state| {
            let table = match place {
                Where::Read => &mut read,
                Where::Dirty => &mut dirty,
            };
            let other = table.insert(name.number, state);
            assert_eq!(other, None, "key {} has two entries", name.number);
        });
        let whole = match counts.amended {
            true => &dirty,
            false => &read,
        };
        for (key, state) in read.iter().filter(|_| counts.amended) {
            let expunged = *state == EntryState::Expunged;
            assert_ne!(expunged, dirty.contains_key(key), "key {key} is {state:?}");
        }
        let stats = self.map.stats();
        let live = |state: &&EntryState| **state == EntryState::Live;
        assert_eq!(stats.entries, whole.values().filter(live).count());
        // The worker may have promoted it since.
        if stats.amended {
            assert_eq!(stats.dirty_slots, dirty.len());
        }
    }

    /// What a map would record that loses it.
    pub(crate) fn pretend_to_store(&mut self, key: u64, value: u64) {
        self.done(Some(key), |_| Some(Action::Store(value)));
    }

    /// Loads each key of a history, to be judged together with it.
    pub(crate) fn load_all(&mut self, history: &[Operation]) {
        let keys: BTreeSet<u64> = history
            .iter()
            .chain(&self.log)
            .filter_map(|op| op.key)
            .collect();
        self.live = keys.iter().filter(|key| self.look(**key).is_some()).count();
        self.range();
    }

    /// How many had a value then.
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}
