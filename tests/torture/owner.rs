// SPDX-License-Identifier: GPL-2.0

//! Keys that only one writer changes: it knows what each of them must have, up to Clears.

use kernel::prelude::*;
use syncmap::outcome::LoadOrStore;

use crate::kinds::Plant;
use crate::random::Random;
use crate::value::{fault, taken, Fault, Value};
use crate::world::{atomic, World};

/// One key in so many is never deleted by its owner.
const PERMANENT: u64 = 4;

/// Whether only a Clear removes that key, once it has been stored.
pub(crate) fn is_permanent(key: u64) -> bool {
    key % PERMANENT == 0
}

/// A key, as its owner knows it.
struct Mine {
    key: u64,
    /// The generation that comes next.
    next: u64,
    /// The generation that is there, unless a Clear has removed it.
    present: Option<u64>,
    /// How many Clears had begun when none was under way, and that was there afterwards.
    clears: Option<usize>,
}

/// What an operation has found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nobody has looked.
    Unknown,
    Nothing,
    Generation(u64),
    /// Something else than the owner said was there.
    Other,
}

impl Found {
    fn of(old: Option<&Value>) -> Self {
        old.map_or(Found::Nothing, |old| Found::Generation(old.generation))
    }
}

/// What is there after an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Unchanged,
    New,
    Gone,
}

/// The keys of one writer.
pub(crate) struct Owner {
    mine: KVec<Mine>,
}

impl Owner {
    /// Those of the `number`-th writer of all.
    pub(crate) fn new(keys: u64, number: u64, writers: u64) -> Result<Self> {
        let mut mine = KVec::new();
        for key in (number..keys).step_by(writers as usize) {
            let one = Mine {
                key,
                next: 1,
                present: None,
                clears: None,
            };
            mine.push(one, GFP_KERNEL)?;
        }
        Ok(Owner { mine })
    }

    /// One operation on one of the keys.
    #[inline(never)]
    pub(crate) fn operate(&mut self, world: &World, random: &mut Random) {
        let index = random.below(self.mine.len() as u64) as usize;
        let Some(mine) = self.mine.get_mut(index) else {
            return;
        };
        let quiet = world.quiet();
        let generation = mine.next;
        let Some((found, after)) = mine.change(world, random) else {
            return;
        };
        mine.next += 1;
        mine.check(found, world);
        mine.conclude(found, after, generation, quiet);
        mine.tell(world);
    }
}

impl Mine {
    /// Changes the key by some operation; `None` if there was no memory.
    fn change(&self, world: &World, random: &mut Random) -> Option<(Found, After)> {
        let (map, key) = (&world.map, self.key);
        // A permanent key, without telling anybody.
        if is_permanent(key) && self.present.is_some() && world.plants(Plant::Lost) {
            taken(map.load_and_delete(&key), key);
            return None;
        }
        let kinds = if is_permanent(key) { 8 } else { 12 };
        let operation = random.below(kinds);
        if operation >= 8 {
            return Some(self.delete(world, operation));
        }
        // A mistake that is planted must be stored, and stay until somebody sees it.
        let plants = |plant| operation == 0 && is_permanent(key) && world.plants(plant);
        let behind = u64::from(plants(Plant::Generation));
        let value = world.value(key, self.next - behind)?;
        if plants(Plant::Checksum) {
            value.spoil();
        }
        Some(match operation {
            0 => match map.store(key, value, GFP_KERNEL) {
                Ok(()) => (Found::Unknown, After::New),
                Err(e) => self.refused(world, e.error),
            },
            1 | 2 => match map.swap(key, value, GFP_KERNEL) {
                Ok(old) => (self.take(world, old.as_deref()), After::New),
                Err(e) => self.refused(world, e.error),
            },
            3 => match map.load_or_store(key, value, GFP_KERNEL) {
                Ok(LoadOrStore::Loaded(loaded, _)) => {
                    loaded.verify(key);
                    (Found::of(Some(&*loaded)), After::Unchanged)
                }
                Ok(LoadOrStore::Stored) => (Found::Nothing, After::New),
                Err(e) => self.refused(world, e.error),
            },
            _ => self.prepared(world, operation, value),
        })
    }

    /// Those that take a value that was prepared before.
    fn prepared(&self, world: &World, operation: u64, value: Value) -> (Found, After) {
        let (map, key) = (&world.map, self.key);
        let value = match map.prepare(value, GFP_KERNEL) {
            Ok(value) => value,
            Err((error, _)) => return self.refused(world, error),
        };
        let expects = |value: &Value| value.verify(key) && Some(value.generation) == self.present;
        match operation {
            4 | 5 => match map.swap_prepared(key, value, atomic()) {
                Ok(old) => (self.take(world, old.as_deref()), After::New),
                Err(e) => self.refused(world, e.error),
            },
            6 => match map.compare_and_swap_prepared(&key, value, |seen| expects(seen.get())) {
                Ok(old) => (self.take(world, Some(&old)), After::New),
                Err(_) => (self.look(world), After::Unchanged),
            },
            _ => match map.compare_and_swap_prepared(&key, value, |seen| !expects(seen.get())) {
                Ok(old) => {
                    self.take(world, Some(&old));
                    (Found::Other, After::New)
                }
                Err(_) => (Found::Unknown, After::Unchanged),
            },
        }
    }

    fn delete(&self, world: &World, operation: u64) -> (Found, After) {
        let (map, key) = (&world.map, self.key);
        let old = match operation {
            8 => {
                map.delete(&key);
                return (Found::Unknown, After::Gone);
            }
            9 => map.load_and_delete(&key),
            10 => map.load_and_delete_with(&key, |seen| {
                seen.get().verify(key);
                true
            }),
            _ => {
                let expects = |value: &Value| Some(value.generation) == self.present;
                map.compare_and_delete_with(&key, |seen| expects(seen.get()))
            }
        };
        let gone = operation != 11 || old.is_some();
        let found = self.take(world, old.as_deref());
        match gone {
            true => (found, After::Gone),
            false => (self.look(world), After::Unchanged),
        }
    }

    fn refused(&self, world: &World, error: Error) -> (Found, After) {
        world.refuse(error);
        (Found::Unknown, After::Unchanged)
    }

    /// An old value that was handed out.
    fn take(&self, world: &World, old: Option<&Value>) -> Found {
        if let Some(old) = old {
            old.take(self.key);
            if world.plants(Plant::Twice) {
                old.take(self.key);
            }
        }
        Found::of(old)
    }

    fn look(&self, world: &World) -> Found {
        let found = world.map.load_with(&self.key, |seen| {
            seen.get().verify(self.key);
            seen.get().generation
        });
        found.map_or(Found::Nothing, Found::Generation)
    }

    /// Checks what was found: what was there, or nothing if a Clear may have been.
    fn check(&self, found: Found, world: &World) {
        let undisturbed = self.clears.is_some_and(|c| c == world.clears_begun());
        match (self.present, found) {
            (_, Found::Unknown) => {}
            (None, Found::Nothing) => {}
            (Some(mine), Found::Generation(found)) if found == mine => {}
            (Some(_), Found::Nothing) if !undisturbed => {}
            (Some(mine), Found::Nothing) => fault(
                Fault::Lost,
                fmt!("key {}: generation {} is gone", self.key, mine),
            ),
            (mine, Found::Generation(found)) => fault(
                Fault::Generation,
                fmt!(
                    "key {}: its owner finds {}, not {:?}",
                    self.key,
                    found,
                    mine
                ),
            ),
            (mine, Found::Other) => fault(
                Fault::Generation,
                fmt!(
                    "key {}: its owner finds another value, not {:?}",
                    self.key,
                    mine
                ),
            ),
        }
    }

    /// Remembers what is there now, given that none but `quiet` Clears had begun before.
    fn conclude(&mut self, found: Found, after: After, generation: u64, quiet: Option<usize>) {
        match after {
            After::New => (self.present, self.clears) = (Some(generation), quiet),
            After::Gone => self.present = None,
            After::Unchanged => match found {
                // A Clear has been.
                Found::Nothing => self.present = None,
                Found::Generation(_) => self.clears = quiet,
                Found::Unknown | Found::Other => {}
            },
        }
    }

    /// Tells the readers.
    fn tell(&self, world: &World) {
        let standing = self
            .clears
            .filter(|_| is_permanent(self.key) && self.present.is_some());
        // What was there before is no more, whether something else is or not.
        let floor = self.present.unwrap_or(self.next);
        if let Some(known) = world.known.get(self.key as usize) {
            known.tell(floor, standing);
        }
    }
}
