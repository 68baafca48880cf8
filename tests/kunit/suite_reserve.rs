// SPDX-License-Identifier: GPL-2.0

//! Reservations: new keys find room whatever their hashes, with nothing allocated, and what is not used
//! comes back.

use core::cell::UnsafeCell;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use syncmap::object::Fixed;
use syncmap::quota::edquot;
use syncmap::reserve::Reservation;
use syncmap::value::{Counted, Prepared};
use syncmap::{ByteMap, Limits, Options};

use crate::context::{atomically, ATOMIC, RAW};
use crate::keys::{Constant, Good, Mixed, Number, Truncated};
use crate::scaled;
use crate::support::{audit, bytes, fill, has, numbers, store, value, Numbers, Random, CROWDED};
use crate::threads::{run_threads, Deadline};
use crate::values::{counted, Tracked};

type Reserved<'m, K> = Reservation<'m, Fixed<K>, Counted<Fixed<Tracked>>>;
type Value<'m> = Prepared<'m, Fixed<Tracked>>;

/// A value that needs no more memory.
fn prepared<K: Number>(map: &Numbers<K>, number: u64) -> Result<Value<'_>> {
    map.prepare(Tracked::make(number), GFP_KERNEL)
        .map_err(|(error, _)| error)
}

/// What another context takes values from.
struct Taken<T>(UnsafeCell<T>);

impl<T> Taken<T> {
    fn get(&self) -> *mut T {
        self.0.get()
    }
}

// SAFETY: Used by one context at a time.
unsafe impl<T: Send> Sync for Taken<T> {}

/// Stores by a reservation.
fn store_reserved<'m, K: Number>(
    map: &'m Numbers<K>,
    key: u64,
    value: Value<'m>,
    reservation: &Reserved<'m, K>,
) -> Result {
    map.swap_prepared(K::make(key), value, reservation)
        .map(drop)
        .map_err(|e| e.error)
}

/// Stores keys, all of them new, by one reservation, which has memory for just these: all at once with
/// interrupts off, so that the worker does not relieve meanwhile what they strain.
fn reserve_and_fill<K: Number>(
    map: &Numbers<K>,
    keys: impl Iterator<Item = u64> + Clone,
) -> Result {
    let reservation = map.reserve(keys.clone().count(), GFP_KERNEL)?;
    let mut values = KVec::new();
    for key in keys {
        values.push((key, Some(prepared(map, key)?)), GFP_KERNEL)?;
    }
    let values = Taken(UnsafeCell::new(values));
    atomically(|| -> Result {
        // SAFETY: Nothing else uses them.
        for (key, value) in unsafe { &mut *values.get() }.iter_mut() {
            let value = value.take().ok_or(EINVAL)?;
            store_reserved(map, *key, value, &reservation)?;
        }
        Ok(())
    })?;
    check_eq!(reservation.keys(), 0);
    Ok(())
}

/// Keys that are stored by reservations, in small and in large maps, before and after the worker has had
/// a chance to relieve what they have strained.
fn finds_room<K: Number>(keys: u64) -> Result {
    counted(|| {
        let map = numbers::<K>(CROWDED)?;
        let empty = bytes(&map);
        reserve_and_fill(&map, 0..keys)?;
        has(&map, 0..keys)?;
        // Those that are allocated come into the same segments.
        fill(&map, keys..2 * keys)?;
        has(&map, 0..2 * keys)?;
        reserve_and_fill(&map, 2 * keys..3 * keys)?;
        map.sweep();
        has(&map, 0..3 * keys)?;
        check_eq!(map.longest_probe() > 0, true);
        reserve_and_fill(&map, 3 * keys..4 * keys)?;
        fill(&map, 4 * keys..5 * keys)?;
        map.sweep();
        let live = KVec::from_elem(true, 5 * keys as usize, GFP_KERNEL)?;
        audit(&map, &live)?;
        map.clear(GFP_KERNEL)?;
        map.sweep();
        check_eq!(bytes(&map), empty);
        Ok(())
    })
}

/// Random operations, some of them by reservations that come and go; none ever lacks memory.
fn program<K: Number>(keys: u64, seed: u64) -> Result {
    counted(|| {
        let map = numbers::<K>(CROWDED)?;
        let mut random = Random::new(crate::seed() + seed);
        let mut live = KVec::from_elem(false, keys as usize, GFP_KERNEL)?;
        let mut reservations: [Option<Reserved<'_, K>>; 3] = [const { None }; 3];
        for turn in 0..30 * keys {
            let key = random.below(keys);
            let state = &mut live[key as usize];
            match random.below(100) {
                0..=54 => {
                    let at = random.below(3) as usize;
                    let empty = reservations[at].as_ref().is_none_or(|r| r.keys() == 0);
                    if empty {
                        let many = 1 + random.below(60) as usize;
                        reservations[at] = Some(map.reserve(many, GFP_KERNEL)?);
                    }
                    if let Some(reservation) = &reservations[at] {
                        store_reserved(&map, key, prepared(&map, key)?, reservation)?;
                    }
                    *state = true;
                }
                55..=74 => {
                    store(&map, key, key)?;
                    *state = true;
                }
                75..=96 => {
                    check_eq!(map.delete(&K::make(key)), *state, "{}", key);
                    *state = false;
                }
                97 => map.promote_now(),
                98 => reservations[random.below(3) as usize] = None,
                _ if random.below(5) == 0 => map.sweep(),
                _ => {}
            }
            if turn % (5 * keys) == 0 {
                audit(&map, &live)?;
            }
            if random.below(10 * keys) == 0 {
                map.clear(GFP_KERNEL)?;
                live.fill(false);
            }
        }
        for (key, live) in live.iter().enumerate() {
            let key = key as u64;
            check_eq!(value(&map, key), live.then_some(key), "{}", key);
        }
        audit(&map, &live)
    })
}

#[kunit_tests(syncmap_reserve)]
mod tests {
    use super::*;

    #[test]
    fn finds_room_for_good_hashes() -> Result {
        finds_room::<Good>(scaled(1500).max(200))
    }

    #[test]
    fn finds_room_for_mixed_hashes() -> Result {
        finds_room::<Mixed>(scaled(500).max(200))
    }

    #[test]
    fn finds_room_for_truncated_hashes() -> Result {
        finds_room::<Truncated>(scaled(300).max(200))
    }

    #[test]
    fn finds_room_for_a_constant_hash() -> Result {
        finds_room::<Constant>(scaled(200).max(100))
    }

    #[test]
    fn programs() -> Result {
        (0..3).try_for_each(|seed| program::<Good>(scaled(600).max(100), seed))
    }

    #[test]
    fn programs_with_mixed_hashes() -> Result {
        (0..3).try_for_each(|seed| program::<Mixed>(scaled(400).max(100), seed))
    }

    #[test]
    fn programs_with_truncated_hashes() -> Result {
        (0..3).try_for_each(|seed| program::<Truncated>(scaled(400).max(100), seed))
    }

    /// A chain of equal hashes that a reserved key with another hash joins is a chain of these no more.
    #[test]
    fn strays_in_a_chain() -> Result {
        counted(|| {
            let map = numbers::<Mixed>(CROWDED)?;
            fill(&map, (0..100).map(|i| 2 * i))?;
            reserve_and_fill(&map, [1, 3, 5, 7].into_iter())?;
            fill(&map, (10..60).map(|i| 2 * i + 1))?;
            has(&map, (0..100).map(|i| 2 * i))?;
            has(
                &map,
                Iterator::chain([1, 3, 5, 7].into_iter(), (10..60).map(|i| 2 * i + 1)),
            )?;
            map.sweep();
            has(&map, (0..100).map(|i| 2 * i))
        })
    }

    /// In all contexts, those in which nothing can be allocated included.
    #[test]
    fn in_all_contexts() -> Result {
        counted(|| {
            let map = numbers::<Good>(CROWDED)?;
            let mut first = 0;
            for (name, within) in Iterator::chain(ATOMIC.into_iter(), RAW) {
                let keys = first..first + 200;
                let reservation = map.reserve(200, GFP_KERNEL)?;
                let mut values = KVec::new();
                for key in keys.clone() {
                    values.push((key, Some(prepared(&map, key)?)), GFP_KERNEL)?;
                }
                let values = Taken(UnsafeCell::new(values));
                let stored = Atomic::new(0usize);
                within(&|| {
                    // SAFETY: The context runs this once, and is waited for.
                    for (key, value) in unsafe { &mut *values.get() }.iter_mut() {
                        let result = value
                            .take()
                            .ok_or(EINVAL)
                            .and_then(|value| store_reserved(&map, *key, value, &reservation));
                        stored.add(usize::from(result.is_ok()), Relaxed);
                    }
                })?;
                check_eq!(stored.load(Relaxed), 200, "{}", name);
                first += 200;
            }
            has(&map, 0..first)
        })
    }

    /// One more than was reserved, a key that is there already, and another map.
    #[test]
    fn errors() -> Result {
        counted(|| {
            let (map, other) = (numbers::<Good>(CROWDED)?, numbers::<Good>(CROWDED)?);
            let reservation = map.reserve(1, GFP_KERNEL)?;
            store(&map, 1, 1)?;
            store_reserved(&map, 1, prepared(&map, 1)?, &reservation)?;
            check_eq!(reservation.keys(), 1, "an overwrite takes nothing");
            store_reserved(&map, 2, prepared(&map, 2)?, &reservation)?;
            let refused = store_reserved(&map, 3, prepared(&map, 3)?, &reservation);
            check_eq!(refused, Err(ENOSPC));
            for key in [1, 2, 4] {
                let refused = store_reserved(&other, key, prepared(&other, key)?, &reservation);
                check_eq!(refused, Err(EINVAL));
            }
            check_eq!((map.len(), other.len()), (2, 0));
            Ok(())
        })
    }

    /// A key that is shorter than the memory for it, and one that is longer.
    #[test]
    fn lengths() -> Result {
        let map = KBox::pin_init(ByteMap::new_bytes(CROWDED, GFP_KERNEL), GFP_KERNEL)?;
        let empty = map.stats().bytes;
        let value = || map.prepare_bytes(1, GFP_KERNEL, |_| Ok(()));
        let reservation = map.reserve_tails(3, 5, GFP_KERNEL)?;
        for (key, expected) in [
            (&b"12345"[..], Ok(())),
            (b"1", Ok(())),
            (b"123456", Err(E2BIG)),
        ] {
            let stored = map.swap_prepared(key, value()?, &reservation).map(drop);
            check_eq!(stored.map_err(|e| e.error), expected);
        }
        drop(reservation);
        check_eq!(map.len(), 2);
        map.delete(b"12345");
        map.delete(b"1");
        map.sweep();
        map.drain();
        map.drain();
        check_eq!(map.stats().bytes, empty);
        Ok(())
    }

    /// What is reserved is charged when it is, and comes back if it is not used.
    #[test]
    fn charged_beforehand() -> Result {
        counted(|| {
            let limits = Limits {
                bytes: 1 << 17,
                ..CROWDED.limits
            };
            let map = numbers::<Good>(Options { limits, ..CROWDED })?;
            let empty = bytes(&map);
            check_eq!(map.reserve(1 << 17, GFP_KERNEL).err(), Some(edquot()));
            check_eq!(bytes(&map), empty);
            let reservation = map.reserve(100, GFP_KERNEL)?;
            let value_of = |key| prepared(&map, key);
            let mut values = KVec::new();
            for key in 0..100 {
                values.push(value_of(key)?, GFP_KERNEL)?;
            }
            // Until no more memory may be charged.
            let full = (1000..).find(|key| store(&map, *key, *key).is_err());
            check!(full.is_some_and(|key| key > 1100));
            for (key, value) in (0..100).zip(values) {
                store_reserved(&map, key, value, &reservation)?;
            }
            has(&map, 0..100)?;
            drop(reservation);
            map.clear(GFP_KERNEL)?;
            map.sweep();
            drop(map.reserve(500, GFP_KERNEL)?);
            check_eq!(bytes(&map), empty);
            Ok(())
        })
    }

    /// Clear, and a table that would shrink, leave room for what is reserved.
    #[test]
    fn cleared_meanwhile() -> Result {
        counted(|| {
            let map = numbers::<Constant>(CROWDED)?;
            let reservation = map.reserve(400, GFP_KERNEL)?;
            for round in 0..20u64 {
                for key in 20 * round..20 * round + 20 {
                    store_reserved(&map, key, prepared(&map, key)?, &reservation)?;
                }
                check_eq!(map.len(), 20);
                if round % 2 == 0 {
                    map.clear(GFP_KERNEL)?;
                } else {
                    for key in 20 * round..20 * round + 20 {
                        map.delete(&Constant::make(key));
                    }
                    map.sweep();
                }
            }
            Ok(())
        })
    }

    /// A reservation is used by several threads, beside others that change the map.
    #[test]
    fn in_threads() -> Result {
        counted(|| {
            let map = numbers::<Good>(CROWDED)?;
            let many = scaled(4000).max(400);
            let reservation = map.reserve(2 * many as usize, GFP_KERNEL)?;
            let deadline = Deadline::new(3000);
            run_threads(4, &|number| {
                let number = number as u64;
                let mut random = Random::new(crate::seed() + number);
                for key in 0..many {
                    match number {
                        0 | 1 => {
                            let key = 2 * key + number;
                            store_reserved(&map, key, prepared(&map, key)?, &reservation)?;
                        }
                        2 => store(&map, (1 << 32) + key, key)?,
                        _ if !deadline.is_ahead() => break,
                        _ => match random.below(4) {
                            0 => map.sweep(),
                            1 => map.promote_now(),
                            _ => {
                                map.delete(&Good::make((1 << 32) + random.below(many)));
                            }
                        },
                    }
                }
                Ok(())
            })?;
            has(&map, 0..2 * many)?;
            check_eq!(reservation.keys(), 0);
            Ok(())
        })
    }
}
