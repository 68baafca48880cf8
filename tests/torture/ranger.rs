// SPDX-License-Identifier: GPL-2.0

//! Walks: each key at most once, and each that stays exactly once, though others change the map and
//! the walk sleeps, or changes it itself.

use kernel::prelude::*;

use crate::contexts::pause;
use crate::kinds::Plant;
use crate::random::Random;
use crate::value::{fault, taken, Fault, Value};
use crate::world::{Expected, World};

/// What becomes of the owned and the shared keys in a walk.
pub(crate) struct Ranger {
    number: u64,
    visits: KVec<u8>,
    before: KVec<Expected>,
}

impl Ranger {
    pub(crate) fn new(world: &World, number: u64) -> Result<Self> {
        let (keys, shared) = (world.params.keys as usize, world.params.shared as usize);
        Ok(Ranger {
            number,
            visits: KVec::from_elem(0, keys + shared, GFP_KERNEL)?,
            before: KVec::with_capacity(keys, GFP_KERNEL)?,
        })
    }

    /// One walk; returns how many keys it has seen.
    #[inline(never)]
    pub(crate) fn walk(&mut self, world: &World, random: &mut Random) -> u64 {
        self.visits.fill(0);
        self.before.clear();
        for key in 0..world.params.keys {
            // There is room for all of them.
            let _ = self.before.push(world.expect(key), GFP_KERNEL);
        }
        let mut seen = 0;
        match self.number % 3 {
            0 => world.map.range(|key, value| {
                self.visit(world, *key, value);
                seen += 1;
                // Others go on, and what we have a reference to stays what it is.
                if random.once_in(16) {
                    pause(random.below(200));
                    value.verify(*key);
                }
                true
            }),
            1 => world.map.range_rcu(|key, value| {
                self.visit(world, *key, value.get());
                seen += 1;
                true
            }),
            _ => world.map.range(|key, value| {
                self.visit(world, *key, value);
                seen += 1;
                if (world.params.keys..self.visits.len() as u64).contains(key) && random.once_in(2)
                {
                    let generation = value.generation;
                    let old = world
                        .map
                        .compare_and_delete_with(key, |seen| seen.get().generation == generation);
                    taken(old, *key);
                    value.verify(*key);
                }
                true
            }),
        }
        if world.plants(Plant::Range) {
            if let Some(visits) = self.visits.first_mut() {
                *visits += 2;
            }
        }
        self.judge(world);
        seen
    }

    fn visit(&mut self, world: &World, key: u64, value: &Value) {
        match self.before.get(key as usize) {
            Some(expected) => expected.found(value, &mut 0),
            None => world.expect(key).found(value, &mut 0),
        }
        if let Some(visits) = self.visits.get_mut(key as usize) {
            *visits = visits.saturating_add(1);
        }
    }

    fn judge(&self, world: &World) {
        for (key, visits) in self.visits.iter().enumerate() {
            let stayed = self.before.get(key).is_some_and(|e| e.must_be_there(world));
            if *visits > 1 || (*visits == 0 && stayed) {
                fault(
                    Fault::Range,
                    fmt!("key {} was visited {} times", key, visits),
                );
            }
        }
    }
}
