// SPDX-License-Identifier: GPL-2.0

//! Many keys, of which most are deleted again: segments split, are swept and merge, and the map
//! shrinks; what is left must be found, and nothing else.

use kernel::prelude::*;

use crate::random::Random;
use crate::value::{fault, Fault};
use crate::world::{first_of_grower, World};

/// As many keys are dealt with in a turn.
const STRIDE: u64 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Grow,
    Look,
    Delete,
    /// Until it has been swept.
    LookAgain,
    DeleteAll,
}

pub(crate) struct Grower {
    first: u64,
    phase: Phase,
    at: u64,
    generation: u64,
    /// One more than the Clears that had begun when the key was there; 0 if it is not.
    there: KVec<usize>,
}

impl Grower {
    pub(crate) fn new(world: &World, number: u64) -> Result<Self> {
        Ok(Grower {
            first: first_of_grower(number),
            phase: Phase::Grow,
            at: 0,
            generation: 1,
            there: KVec::from_elem(0, world.params.grow as usize, GFP_KERNEL)?,
        })
    }

    /// The next few keys; returns how many, and the microseconds to wait before the next ones.
    #[inline(never)]
    pub(crate) fn turn(&mut self, world: &World, random: &mut Random) -> (u64, u64) {
        let end = (self.at + STRIDE).min(world.params.grow);
        let done = end - self.at;
        for index in self.at..end {
            match self.phase {
                Phase::Grow => self.store(world, index),
                Phase::Look | Phase::LookAgain => self.look(world, index),
                Phase::Delete if random.once_in(10) => {}
                Phase::Delete | Phase::DeleteAll => self.delete(world, index),
            }
        }
        self.at = end;
        if end < world.params.grow {
            return (done, 0);
        }
        self.at = 0;
        let (phase, rest) = match self.phase {
            Phase::Grow => (Phase::Look, 0),
            Phase::Look => (Phase::Delete, 0),
            // The sweep begins within a second.
            Phase::Delete => (Phase::LookAgain, random.below(1_500_000)),
            Phase::LookAgain => (Phase::DeleteAll, 0),
            Phase::DeleteAll => (Phase::Grow, random.below(200_000)),
        };
        self.phase = phase;
        (done, rest)
    }

    fn store(&mut self, world: &World, index: u64) {
        let key = self.first + index;
        let quiet = world.quiet();
        self.generation += 1;
        let Some(value) = world.value(key, self.generation) else {
            return;
        };
        match world.map.swap(key, value, GFP_KERNEL) {
            Ok(old) => {
                if let Some(old) = old {
                    old.take(key);
                    let was = old.generation;
                    fault(
                        Fault::Generation,
                        fmt!("key {}: {} was there again", key, was),
                    );
                }
                if let Some(there) = self.there.get_mut(index as usize) {
                    *there = quiet.map_or(0, |clears| clears + 1);
                }
            }
            Err(e) => world.refuse(e.error),
        }
    }

    /// Whether the key must be there, if no more Clears than until now have begun.
    fn stays(&self, world: &World, index: u64) -> bool {
        let there = self.there.get(index as usize).copied().unwrap_or(0);
        there != 0 && there - 1 == world.clears_begun()
    }

    fn look(&mut self, world: &World, index: u64) {
        let key = self.first + index;
        let found = world.map.load_with(&key, |seen| seen.get().verify(key));
        if found.is_none() && self.stays(world, index) {
            fault(Fault::Lost, fmt!("key {} of a grower is not there", key));
        }
    }

    fn delete(&mut self, world: &World, index: u64) {
        let key = self.first + index;
        let old = world.map.load_and_delete(&key);
        match &old {
            Some(old) => old.take(key),
            None if self.stays(world, index) => {
                fault(Fault::Lost, fmt!("key {} of a grower is gone", key))
            }
            None => {}
        }
        if let Some(there) = self.there.get_mut(index as usize) {
            *there = 0;
        }
    }
}
