// SPDX-License-Identifier: GPL-2.0

//! Keys that all change, by all operations, from every context: their values are whole, are handed
//! out once, and go somewhere.

use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;
use kernel::sync::rcu;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::value::Prepared;

use crate::contexts::{allocates, call, spin, CONTEXTS};
use crate::random::Random;
use crate::value::{taken, Value};
use crate::world::{atomic, World};

/// As many operations are done at a time in another context.
pub(crate) const BATCH: usize = 8;

/// One lookup in so many stays in its read-side section for a while.
const DWELL: u64 = 32;

/// One of the shared keys, which come after the owned ones.
fn some_key(world: &World, random: &mut Random) -> u64 {
    world.params.keys + random.below(world.params.shared)
}

fn new_value(world: &World, key: u64) -> Option<Value> {
    world.value(key, world.ticket.fetch_add(1u64, Relaxed))
}

/// The generation that the key has now.
fn generation(world: &World, key: u64) -> Option<u64> {
    let guard = rcu::read_lock();
    let value = world.map.get(&key, &guard)?;
    value.verify(key);
    Some(value.generation)
}

/// One operation in process context.
#[inline(never)]
pub(crate) fn operate(world: &World, random: &mut Random) {
    let (map, key) = (&world.map, some_key(world, random));
    match random.below(10) {
        0 => {
            map.load(&key).map(|value| value.verify(key));
        }
        1 => taken(map.load_and_delete(&key), key),
        2 => {
            map.delete(&key);
        }
        3 => {
            let expected = generation(world, key);
            let old = map.compare_and_delete_with(&key, |seen| {
                seen.get().verify(key) && Some(seen.get().generation) == expected
            });
            taken(old, key);
        }
        operation => {
            if let Some(value) = new_value(world, key) {
                put(world, operation, key, value);
            }
        }
    }
}

fn put(world: &World, operation: u64, key: u64, value: Value) {
    let map = &world.map;
    let error = match operation {
        4 | 5 => match map.swap(key, value, GFP_KERNEL) {
            Ok(old) => return taken(old, key),
            Err(e) => e.error,
        },
        6 => match map.store(key, value, GFP_KERNEL) {
            Ok(()) => return,
            Err(e) => e.error,
        },
        7 => match map.load_or_store(key, value, GFP_KERNEL) {
            Ok(LoadOrStore::Loaded(value, _)) => {
                value.verify(key);
                return;
            }
            Ok(LoadOrStore::Stored) => return,
            Err(e) => e.error,
        },
        _ => match map.prepare(value, GFP_KERNEL) {
            Ok(value) => {
                let expected = generation(world, key);
                let swapped = map.compare_and_swap_prepared(&key, value, |seen| {
                    seen.get().verify(key) && Some(seen.get().generation) == expected
                });
                return taken(swapped.ok(), key);
            }
            Err((error, _)) => error,
        },
    };
    world.refuse(error);
}

/// A key, and perhaps a value to be stored.
struct Order<'m> {
    key: u64,
    value: Option<Prepared<'m, Fixed<Value>>>,
}

/// A batch of operations that never sleep, in some context. Process context.
#[inline(never)]
pub(crate) fn atomic_batch(world: &World, random: &mut Random, seen: &mut [u64]) {
    let context = random.below(CONTEXTS);
    // The first four operations may allocate an entry.
    let least = if allocates(context) { 0 } else { 4 };
    let mut orders = [const { None }; BATCH];
    for order in &mut orders {
        let key = some_key(world, random);
        let value = new_value(world, key).and_then(|value| {
            let prepared = world.map.prepare(value, GFP_KERNEL);
            prepared.map_err(|(error, _)| world.refuse(error)).ok()
        });
        *order = Some(Order { key, value });
    }
    call(context, || {
        for order in orders.iter_mut().flatten() {
            one_atomic(world, least + random.below(8 - least), order);
            look(world, random, seen);
        }
    });
    // What is left of the orders is dropped here.
}

/// One operation that never sleeps, nor frees a value. Any context; of the first four, any in which
/// memory can be allocated.
fn one_atomic<'m>(world: &'m World, operation: u64, order: &mut Order<'m>) {
    let (map, key) = (&world.map, order.key);
    match (operation, order.value.take()) {
        (0..=2, Some(value)) => match map.swap_prepared(key, value, atomic()) {
            Ok(old) => taken(old, key),
            Err(e) => {
                world.refuse(e.error);
                order.value = Some(e.value);
            }
        },
        (3, Some(value)) => {
            match map.load_or_store_with(key, value, |seen| seen.get().verify(key), atomic()) {
                Ok(LoadOrStore::Loaded(_, value)) => order.value = Some(value),
                Ok(LoadOrStore::Stored) => {}
                Err(e) => {
                    world.refuse(e.error);
                    order.value = Some(e.value);
                }
            }
        }
        (4, Some(value)) => {
            let expected = generation(world, key);
            let swapped = map.compare_and_swap_prepared(&key, value, |seen| {
                seen.get().verify(key) && Some(seen.get().generation) == expected
            });
            match swapped {
                Ok(old) => old.take(key),
                Err(value) => order.value = Some(value),
            }
        }
        (operation, value) => {
            order.value = value;
            delete_one(world, operation, key);
        }
    }
}

fn delete_one(world: &World, operation: u64, key: u64) {
    let map = &world.map;
    match operation {
        5 => taken(map.load_and_delete(&key), key),
        6 => {
            let old = map.compare_and_delete_with(&key, |seen| seen.get().verify(key));
            taken(old, key);
        }
        _ => {
            map.load_with(&key, |seen| seen.get().verify(key));
        }
    }
}

/// Looks an owned key up. Any context.
pub(crate) fn look(world: &World, random: &mut Random, seen: &mut [u64]) {
    let key = random.below(world.params.keys);
    let Some(seen) = seen.get_mut(key as usize) else {
        return;
    };
    let expected = world.expect(key);
    let guard = rcu::read_lock();
    match world.map.get(&key, &guard) {
        Some(value) => {
            expected.found(value, seen);
            // It stays for as long as the guard does, though others replace it.
            if random.once_in(DWELL) {
                spin(random.below(4000));
                value.verify(key);
            }
        }
        None => expected.nothing(world),
    }
}

/// What a timer does: a few lookups, and sometimes a delete. Any context but NMI.
#[inline(never)]
pub(crate) fn interrupt(world: &World, random: &mut Random, seen: &mut [u64]) -> u64 {
    for _ in 0..BATCH {
        look(world, random, seen);
    }
    if random.once_in(4) {
        let operation = 5 + random.below(3);
        delete_one(world, operation, some_key(world, random));
    }
    BATCH as u64
}
