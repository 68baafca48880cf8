// SPDX-License-Identifier: GPL-2.0

//! Programs of chance.

use kernel::machine::{self, Failing};

use crate::{Act, Actor, Program};

/// What can be wrong with a map, or the history of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One store in ten is lost.
    LostStores,
    /// The limit is said to be another one.
    Limit(usize),
}

/// What there is to choose from.
#[derive(Clone, Copy)]
pub struct Mix {
    /// Threads.
    pub threads: u64,
    /// Operations of each.
    pub operations: usize,
    /// Keys.
    pub keys: u64,
    /// Different hashes of these.
    pub hashes: u64,
    /// Whether allocations fail now and then.
    pub failing: bool,
    /// How many keys the map may have, if that is limited.
    pub limit: Option<usize>,
    /// What is wrong, for the judge to notice.
    pub fault: Option<Fault>,
}

/// Numbers by chance: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

impl Mix {
    /// The number of a key, of which the upper half is the hash: from all over the table.
    fn key(self, number: u64) -> u64 {
        let hash = (number % self.hashes).wrapping_mul(0x9e37_79b1) & 0xffff_ffff;
        (hash << 32) | number
    }

    fn act(self, thread: u64, seed: u64) -> Act {
        Box::new(move |actor| {
            let mut chance = Chance(seed ^ (thread << 56));
            let mut last = 0;
            for number in 0..self.operations {
                let key = self.key(chance.below(self.keys));
                // No value comes twice.
                let value = ((thread + 1) << 32) | number as u64;
                if self.failing && chance.below(8) == 0 {
                    machine::fail(Failing::Once(chance.below(4) as usize));
                }
                if self.fault == Some(Fault::LostStores) && chance.below(10) == 0 {
                    actor.pretend_to_store(key, value);
                    continue;
                }
                step(actor, chance.below(120), key, value, &mut last);
            }
            machine::fail(Failing::Never);
        })
    }
}

fn step(actor: &mut Actor<'_>, choice: u64, key: u64, value: u64, last: &mut u64) {
    match choice {
        0..=24 => {
            if let Some(seen) = actor.look(key) {
                *last = seen;
            }
        }
        25..=34 => actor.get(key),
        35..=54 => actor.store(key, value),
        55..=59 => actor.interrupt(|a| a.store(key, value)),
        60..=65 => actor.load_or_store(key, value),
        66..=67 => actor.interrupt(|a| a.load_or_store(key, value)),
        68..=77 => actor.load_and_delete(key),
        78..=82 => actor.delete(key),
        83..=86 => actor.interrupt(|a| a.load_and_delete(key)),
        87..=93 => actor.swap(key, value),
        94..=101 => actor.compare_and_swap(key, *last, value),
        102..=106 => actor.compare_and_delete(key, *last),
        107..=111 => actor.range(),
        112..=114 => actor.map.promote_now(),
        115..=117 => actor.map.sweep(),
        118 => actor.map.drain(),
        _ if value & 1 == 0 => actor.clear(),
        _ => actor.interrupt(Actor::clear),
    }
}

/// A program by chance: the same for the same seed.
pub fn mix(mix: Mix, seed: u64) -> Program {
    let fill = move |actor: &mut Actor<'_>| {
        let mut chance = Chance(!seed);
        for number in 0..chance.below(mix.keys + 1) {
            actor.store(mix.key(number), number);
        }
    };
    Program {
        late: false,
        limit: mix.limit,
        sweeps: seed & 1 == 0,
        first: Box::new(fill),
        threads: (0..mix.threads)
            .map(|thread| mix.act(thread, seed))
            .collect(),
        failing: Failing::Never,
        last: Box::new(|_| ()),
    }
}
