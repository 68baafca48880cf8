// SPDX-License-Identifier: GPL-2.0

//! New keys from where nothing may sleep: timers, interrupts, spinlocks. They must be found at once,
//! and stay for as long as no Clear begins.

use kernel::prelude::*;
use syncmap::outcome::LoadOrStore;

use crate::contexts::{allocates, call, current, CONTEXTS, HARDIRQ, IPI, PROCESS};
use crate::random::Random;
use crate::value::{fault, taken, Fault};
use crate::world::{atomic, first_of_inserter, World};

/// As many keys are dealt with at a time.
const STRIDE: u64 = 4;

/// The most keys that an inserter has at a time.
const KEYS: u64 = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Insert,
    Look,
    Delete,
}

pub(crate) struct Inserter {
    first: u64,
    keys: u64,
    phase: Phase,
    at: u64,
    generation: u64,
    /// One more than the Clears that had begun when the key was there; 0 if it is not.
    there: KVec<usize>,
}

fn was_there(key: u64) {
    fault(
        Fault::Generation,
        fmt!("key {} of an inserter was there before", key),
    );
}

impl Inserter {
    /// That of the `number`-th participant of a kind.
    pub(crate) fn new(world: &World, kind: usize, number: u64) -> Result<Self> {
        let keys = world.params.grow.min(KEYS);
        Ok(Inserter {
            first: first_of_inserter(kind, number),
            keys,
            phase: Phase::Insert,
            at: 0,
            generation: 1,
            there: KVec::from_elem(0, keys as usize, GFP_KERNEL)?,
        })
    }

    /// Deals with the next few keys in some context that is not the caller's. Process context.
    #[inline(never)]
    pub(crate) fn turn(&mut self, world: &World, random: &mut Random) -> u64 {
        if self.phase == Phase::Insert && random.below(2) == 0 {
            if let Some(done) = self.insert_reserved(world, random) {
                return done;
            }
        }
        let mut context = PROCESS;
        while context == PROCESS || !allocates(context) {
            context = random.below(CONTEXTS);
        }
        let mut done = 0;
        call(context, || {
            let seen = match context {
                // Timers have softirqs on PREEMPT_RT.
                HARDIRQ => current(),
                context => context,
            };
            done = self.operate(world, seen);
        });
        done
    }

    /// Deals with the next few keys; returns how many. `context` is that of the caller, any in which
    /// memory can be allocated.
    #[inline(never)]
    pub(crate) fn operate(&mut self, world: &World, context: u64) -> u64 {
        let end = (self.at + STRIDE).min(self.keys);
        let done = end - self.at;
        for index in self.at..end {
            match self.phase {
                Phase::Insert => self.insert(world, index, context),
                Phase::Look => self.look(world, index),
                Phase::Delete => self.delete(world, index),
            }
        }
        self.go_on(end);
        done
    }

    /// Inserts the next few keys in some context that is not the caller's, any but NMI, by memory that is
    /// reserved for them; `None` if there is none. Process context.
    #[inline(never)]
    fn insert_reserved(&mut self, world: &World, random: &mut Random) -> Option<u64> {
        let context = 1 + random.below(CONTEXTS - 1);
        let (first, end) = (self.at, (self.at + STRIDE).min(self.keys));
        let refused = |error| world.refuse(error);
        let reserved = world.map.reserve((end - first) as usize, atomic());
        let reservation = reserved.map_err(refused).ok()?;
        let mut values = [const { None }; STRIDE as usize];
        for (value, index) in values.iter_mut().zip(first..end) {
            self.generation += 1;
            let made = world.value_with(self.first + index, self.generation, atomic())?;
            let prepared = world.map.prepare(made, atomic());
            *value = Some(prepared.map_err(|(error, _)| refused(error)).ok()?);
        }
        call(context, || {
            let seen = match context {
                HARDIRQ | IPI => current(),
                context => context,
            };
            for (place, index) in values.iter_mut().zip(first..end) {
                let (key, quiet) = (self.first + index, world.quiet());
                let Some(value) = place.take() else {
                    continue;
                };
                match world.map.swap_prepared(key, value, &reservation) {
                    Ok(old) if old.is_none() => self.inserted(world, index, quiet, seen),
                    Ok(old) => {
                        taken(old, key);
                        was_there(key);
                    }
                    // Nothing is freed here.
                    Err(e) => {
                        refused(e.error);
                        *place = Some(e.value);
                    }
                }
            }
        });
        self.go_on(end);
        Some(end - first)
    }

    /// The keys before `end` have been dealt with.
    fn go_on(&mut self, end: u64) {
        self.at = end;
        if end == self.keys {
            self.at = 0;
            self.phase = match self.phase {
                Phase::Insert => Phase::Look,
                Phase::Look => Phase::Delete,
                Phase::Delete => Phase::Insert,
            };
        }
    }

    fn insert(&mut self, world: &World, index: u64, context: u64) {
        let key = self.first + index;
        let quiet = world.quiet();
        self.generation += 1;
        let Some(value) = world.value_with(key, self.generation, atomic()) else {
            return;
        };
        let stored = match index % 2 {
            0 => match world.map.swap(key, value, atomic()) {
                Ok(None) => Ok(true),
                Ok(old) => {
                    taken(old, key);
                    Ok(false)
                }
                Err(e) => Err(e.error),
            },
            _ => match world.map.load_or_store(key, value, atomic()) {
                Ok(LoadOrStore::Stored) => Ok(true),
                Ok(LoadOrStore::Loaded(..)) => Ok(false),
                Err(e) => Err(e.error),
            },
        };
        match stored {
            Ok(true) => self.inserted(world, index, quiet, context),
            Ok(false) => was_there(key),
            Err(error) => world.refuse(error),
        }
    }

    fn inserted(&mut self, world: &World, index: u64, quiet: Option<usize>, context: u64) {
        world.count_inserted(context);
        if let Some(there) = self.there.get_mut(index as usize) {
            *there = quiet.map_or(0, |clears| clears + 1);
        }
        self.look(world, index);
    }

    /// Whether the key must be there, if no more Clears than until now have begun.
    fn stays(&self, world: &World, index: u64) -> bool {
        let there = self.there.get(index as usize).copied().unwrap_or(0);
        there != 0 && there - 1 == world.clears_begun()
    }

    fn look(&self, world: &World, index: u64) {
        let key = self.first + index;
        let found = world.map.load_with(&key, |seen| seen.get().verify(key));
        if found.is_none() && self.stays(world, index) {
            fault(Fault::Lost, fmt!("key {} of an inserter is not there", key));
        }
    }

    fn delete(&mut self, world: &World, index: u64) {
        let key = self.first + index;
        let old = world.map.load_and_delete(&key);
        if old.is_none() && self.stays(world, index) {
            fault(Fault::Lost, fmt!("key {} of an inserter is gone", key));
        }
        taken(old, key);
        if let Some(there) = self.there.get_mut(index as usize) {
            *there = 0;
        }
    }
}
