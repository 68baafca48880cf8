// SPDX-License-Identifier: GPL-2.0

//! Those who take part, and their turns.

use kernel::prelude::*;
use syncmap::quota::edquot;

use crate::contexts::{allocates, current, pause, IPI};
use crate::grower::Grower;
use crate::inserter::Inserter;
use crate::kinds::*;
use crate::owner::Owner;
use crate::random::Random;
use crate::ranger::Ranger;
use crate::shared::{atomic_batch, interrupt, look, operate, BATCH};
use crate::value::{fault, Fault};
use crate::world::{World, ABSENT};

/// As many operations make a turn.
const TURN: u64 = 64;

/// Pauses of a squeezer that holds all memory.
const SQUEEZES: usize = 1000;

enum Role {
    Reader,
    Writer(Owner),
    Trier,
    Ranger(Ranger),
    Clearer,
    Promoter,
    Grower(Grower),
    Squeezer,
    Inserter(Inserter),
    /// A timer; one that may allocate makes keys.
    Interrupt(Option<Inserter>),
}

/// Of the timers in `threads.c`, the one that is in hard interrupts on PREEMPT_RT as well.
const HARD_TIMER: u64 = 2;

/// Somebody who takes part.
pub(crate) struct Actor<'w> {
    world: &'w World,
    kind: usize,
    random: Random,
    /// The last generation of each owned key that was seen.
    seen: KVec<u64>,
    role: Role,
    /// The next key to squeeze with.
    squeezed: u64,
}

impl<'w> Actor<'w> {
    pub(crate) fn new(world: &'w World, kind: u64, number: u64) -> Result<KBox<Self>> {
        let kind = kind as usize;
        let params = &world.params;
        let role = match kind {
            READER => Role::Reader,
            WRITER => Role::Writer(Owner::new(params.keys, number, params.count[WRITER])?),
            TRIER => Role::Trier,
            RANGER => Role::Ranger(Ranger::new(world, number)?),
            CLEARER => Role::Clearer,
            PROMOTER => Role::Promoter,
            GROWER => Role::Grower(Grower::new(world, number)?),
            SQUEEZER => Role::Squeezer,
            INSERTER => Role::Inserter(Inserter::new(world, kind, number)?),
            INTERRUPT if number == HARD_TIMER && !allocates(IPI) => Role::Interrupt(None),
            INTERRUPT => Role::Interrupt(Some(Inserter::new(world, kind, number)?)),
            _ => return Err(EINVAL),
        };
        let actor = Actor {
            world,
            kind,
            random: Random::new(params.seed, ((kind as u64) << 32) | number),
            seen: KVec::from_elem(0, params.keys as usize, GFP_KERNEL)?,
            role,
            squeezed: 0,
        };
        Ok(KBox::new(actor, GFP_KERNEL)?)
    }

    /// A few operations; returns the microseconds that the actor rests. Process context, but for
    /// interrupts.
    ///
    /// What the roles do is not inlined: timers come on top of each other, and of a thread, on one
    /// stack, which their frames would fill.
    pub(crate) fn turn(&mut self) -> u64 {
        let (world, random) = (self.world, &mut self.random);
        let (done, rest) = match &mut self.role {
            Role::Reader => (TURN, read(world, random, &mut self.seen)),
            Role::Writer(owner) => {
                for _ in 0..TURN / 2 {
                    owner.operate(world, random);
                    operate(world, random);
                }
                (TURN, if random.once_in(16) { 1000 } else { 0 })
            }
            Role::Trier => {
                atomic_batch(world, random, &mut self.seen);
                (BATCH as u64, if random.once_in(64) { 1000 } else { 0 })
            }
            Role::Ranger(ranger) => (ranger.walk(world, random), random.below(5000)),
            Role::Clearer => {
                world.clear();
                // Several in a row, and then none until the map has grown.
                let rest = if random.once_in(4) { 2_000_000 } else { 10_000 };
                (1, random.below(rest))
            }
            Role::Promoter => (miss(world, random), random.below(5000)),
            Role::Grower(grower) => grower.turn(world, random),
            Role::Squeezer => squeeze(world, random, &mut self.squeezed),
            Role::Inserter(inserter) => {
                let done = (0..BATCH).map(|_| inserter.turn(world, random)).sum();
                (done, random.below(2000))
            }
            Role::Interrupt(inserter) => {
                let mut done = interrupt(world, random, &mut self.seen);
                if let Some(inserter) = inserter {
                    done += inserter.operate(world, current());
                }
                (done, 0)
            }
        };
        world.count(self.kind, done);
        world.check_limit();
        rest
    }
}

#[inline(never)]
fn read(world: &World, random: &mut Random, seen: &mut [u64]) -> u64 {
    for _ in 0..TURN {
        look(world, random, seen);
    }
    let key = random.below(world.params.keys);
    if let Some(seen) = seen.get_mut(key as usize) {
        world.look(key, seen);
    }
    if random.once_in(64) {
        // A reference keeps its value, whatever becomes of the key.
        if let Some(value) = world.map.load(&key) {
            pause(random.below(2000));
            value.verify(key);
        }
    }
    if random.once_in(256) {
        1000
    } else {
        0
    }
}

/// Lookups of keys that are not there.
#[inline(never)]
fn miss(world: &World, random: &mut Random) -> u64 {
    let burst = 1 + random.below(4 * TURN);
    for _ in 0..burst {
        let key = ABSENT + random.below(1 << 20);
        if world.map.load_with(&key, |_| ()).is_some() {
            fault(
                Fault::Checksum,
                fmt!("key {}, which nobody stores, is there", key),
            );
        }
    }
    burst
}

/// Uses up the bytes that there are, in another map, and gives them back when somebody else has
/// met that, or soon.
#[inline(never)]
fn squeeze(world: &World, random: &mut Random, next: &mut u64) -> (u64, u64) {
    for done in 0..TURN {
        let key = *next;
        let Some(value) = world.value(key, key) else {
            return (done, 1000);
        };
        match world.other.store(key, value, GFP_KERNEL) {
            Ok(()) => *next += 1,
            Err(e) if e.error == edquot() || e.error == ENOMEM => {
                let before = world.refused();
                for _ in 0..SQUEEZES {
                    pause(random.below(2000));
                    if world.refused() != before {
                        break;
                    }
                }
                if let Err(error) = world.other.clear(GFP_KERNEL) {
                    world.refuse(error);
                }
                *next = 0;
                return (done, random.below(50_000));
            }
            Err(e) => {
                world.refuse(e.error);
                return (done, 1000);
            }
        }
    }
    (TURN, 0)
}
