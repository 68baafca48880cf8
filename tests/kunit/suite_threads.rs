// SPDX-License-Identifier: GPL-2.0

//! Several threads at once.
//!
//! Values check themselves when they are read, and are counted when the map is gone.

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::rcu;
use syncmap::outcome::LoadOrStore;
use syncmap::quota::edquot;
use syncmap::Options;

use crate::context::atomically;
use crate::keys::{Constant, Good, Number};
use crate::scaled;
use crate::support::{filled, numbers, store, value, Numbers, Random, QUIET};
use crate::threads::{run_threads, Deadline};
use crate::values::{counted, Tracked};

/// How long the threads of a test are at it.
const MILLIS: i64 = 1000;

/// A value that belongs to a key: readers can tell whether they got another key's.
fn of(key: u64, tag: u64) -> u64 {
    key << 32 | tag & 0xffff_ffff
}

fn is_of(key: u64, value: u64) -> bool {
    value >> 32 == key
}

/// Something that changes the whole map now and then.
fn disturb<K: Number>(map: &Numbers<K>, random: &mut Random, keys: u64) -> Result {
    match random.below(5) {
        0 => map.promote_now(),
        1 => map.sweep(),
        2 => {
            // Starts a dirty, and expunges what is deleted.
            let key = keys + random.below(4);
            store(map, key, of(key, 0))?;
            map.delete(&K::make(key));
        }
        3 => drop(map.load(&K::make(keys + 9))),
        _ => map.range(|_, _| true),
    }
    Ok(())
}

/// Writers of every kind, on a few keys, and readers that look at what they find.
fn mixture<K: Number>(keys: u64, clears: bool) -> Result {
    counted(|| {
        let map = numbers::<K>(Options::default())?;
        let found = Atomic::new(0usize);
        let deadline = Deadline::new(MILLIS);
        run_threads(5, &|number| {
            let mut random = Random::new(crate::seed() + number as u64);
            while deadline.is_ahead() {
                for _ in 0..50 {
                    let n = random.below(keys);
                    let key = || K::make(n);
                    let new = || Tracked::make(of(n, random_tag(number)));
                    if number < 2 {
                        let guard = rcu::read_lock();
                        if let Some(value) = map.get(&key(), &guard) {
                            check!(is_of(n, value.number()), "{:x} of {}", value.number(), n);
                            found.fetch_add(1usize, Relaxed);
                        }
                        continue;
                    }
                    let old = match random.below(9) {
                        0 => map.load(&key()).map(|v| v.number()),
                        1 | 2 => map.swap(key(), new(), GFP_KERNEL)?.map(|v| v.number()),
                        3 => match map.load_or_store(key(), new(), GFP_KERNEL)? {
                            LoadOrStore::Loaded(value, _) => Some(value.number()),
                            LoadOrStore::Stored => None,
                        },
                        4 => map.load_and_delete(&key()).map(|v| v.number()),
                        5 => map
                            .compare_and_delete_with(&key(), |v| is_of(n, v.get().number()))
                            .map(|v| v.number()),
                        6 => atomically(|| map.load_and_delete(&key())).map(|v| v.number()),
                        7 => {
                            let Ok(new) = map.prepare(new(), GFP_KERNEL) else {
                                return Err(ENOMEM);
                            };
                            match map.compare_and_swap_prepared(&key(), new, |_| true) {
                                Ok(old) => Some(old.number()),
                                Err(back) => Some(back.get().number()),
                            }
                        }
                        _ if clears && random.below(50) == 0 => {
                            map.clear(GFP_KERNEL)?;
                            None
                        }
                        _ => {
                            disturb(&map, &mut random, keys)?;
                            None
                        }
                    };
                    check!(old.is_none_or(|old| is_of(n, old)), "{:?} of {}", old, n);
                }
            }
            Ok(())
        })?;
        check!(found.load(Relaxed) > 0, "the readers have found nothing");
        // What is left is consistent.
        let mut pairs = 0;
        let mut wrong = 0;
        map.range(|key, value| {
            pairs += 1;
            wrong += usize::from(!is_of(key.number(), value.number()));
            true
        });
        check_eq!((wrong, pairs), (0, map.len()));
        for key in 0..keys {
            map.delete(&K::make(key));
        }
        for key in keys..keys + 4 {
            map.delete(&K::make(key));
        }
        check_eq!(map.len(), 0);
        Ok(())
    })
}

fn random_tag(number: usize) -> u64 {
    static TAG: Atomic<u64> = Atomic::new(0);
    TAG.fetch_add(1u64, Relaxed) << 3 | number as u64
}

#[kunit_tests(syncmap_threads)]
mod tests {
    use super::*;

    #[test]
    fn load_or_store_has_one_winner() -> Result {
        counted(|| {
            let map = numbers::<Good>(Options::default())?;
            let keys = scaled(3000).max(400) as usize;
            let mut winners = KVec::with_capacity(keys, GFP_KERNEL)?;
            for _ in 0..keys {
                winners.push(Atomic::new(usize::MAX), GFP_KERNEL)?;
            }
            run_threads(4, &|number| {
                for (key, winner) in winners.iter().enumerate() {
                    let new = Tracked::make(number as u64);
                    match map.load_or_store(Good::make(key as u64), new, GFP_KERNEL)? {
                        LoadOrStore::Stored => {
                            // Nobody else has won.
                            check_eq!(winner.xchg(number, Full), usize::MAX);
                        }
                        LoadOrStore::Loaded(value, _) => check!(value.number() < 4),
                    }
                    if key % 100 == number {
                        map.promote_now();
                    }
                }
                Ok(())
            })?;
            for (key, winner) in winners.iter().enumerate() {
                check_eq!(value(&map, key as u64), Some(winner.load(Relaxed) as u64));
            }
            check_eq!(map.len(), keys);
            Ok(())
        })
    }

    #[test]
    fn load_and_delete_has_one_winner() -> Result {
        counted(|| {
            let keys = scaled(3000).max(400);
            // Half of the keys in read, the others only in dirty.
            let map = filled::<Good>(0..keys / 2, Options::default())?;
            (keys / 2..keys).try_for_each(|key| store(&map, key, key))?;
            let deleted = Atomic::new(0usize);
            let sum = Atomic::new(0u64);
            run_threads(4, &|number| {
                for key in 0..keys {
                    let old = match (key + number as u64) % 3 {
                        0 => map.load_and_delete(&Good::make(key)),
                        1 => atomically(|| map.load_and_delete(&Good::make(key))),
                        _ => map.compare_and_delete(&Good::make(key), &Tracked::make(key)),
                    };
                    if let Some(old) = old {
                        check_eq!(old.number(), key);
                        deleted.fetch_add(1usize, Relaxed);
                        sum.fetch_add(key, Relaxed);
                    }
                }
                Ok(())
            })?;
            check_eq!(deleted.load(Relaxed) as u64, keys);
            check_eq!(sum.load(Relaxed), keys * (keys - 1) / 2);
            check_eq!(map.len(), 0);
            Ok(())
        })
    }

    /// Counters that are incremented by compare-and-swap, while the tables change under them.
    #[test]
    fn compare_and_swap_loses_nothing() -> Result {
        counted(|| {
            const KEYS: u64 = 4;
            let each = scaled(3000).max(400) / KEYS * KEYS;
            let map = filled::<Good>(0..2, Options::default())?;
            (0..KEYS).try_for_each(|key| store(&map, key, 0))?;
            let busy = Atomic::new(3usize);
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                if number == 3 {
                    while busy.load(Acquire) != 0 {
                        disturb(&map, &mut random, 100)?;
                    }
                    return Ok(());
                }
                let count = || -> Result {
                    for i in 0..each {
                        let key = Good::make(i % KEYS);
                        loop {
                            let now = map.load(&key).ok_or(ENOENT)?.number();
                            let (old, new) = (Tracked::make(now), Tracked::make(now + 1));
                            match map.compare_and_swap(&key, &old, new, GFP_KERNEL) {
                                Ok(_) => break,
                                Err(e) if e.error.is_none() => {}
                                Err(_) => return Err(ENOMEM),
                            }
                        }
                    }
                    Ok(())
                };
                let result = count();
                busy.fetch_sub(1usize, Release);
                result
            })?;
            for key in 0..KEYS {
                check_eq!(value(&map, key), Some(3 * each / KEYS));
            }
            Ok(())
        })
    }

    /// Every value that a swap hands out was stored once, and is handed out once.
    #[test]
    fn swap_loses_nothing() -> Result {
        counted(|| {
            let each = scaled(4000).max(400);
            let map = numbers::<Good>(Options::default())?;
            let out = Atomic::new(0u64);
            let left = Atomic::new(4usize);
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                for i in 0..each {
                    let key = Good::make(random.below(3));
                    let new = Tracked::make(1 + i * 4 + number as u64);
                    let old = map.swap(key, new, GFP_KERNEL)?;
                    out.fetch_add(old.map_or(0, |old| old.number()), Relaxed);
                    if random.below(8) == 0 {
                        let old = map.load_and_delete(&Good::make(random.below(3)));
                        out.fetch_add(old.map_or(0, |old| old.number()), Relaxed);
                    }
                    if random.below(64) == 0 {
                        disturb(&map, &mut random, 100)?;
                    }
                }
                left.fetch_sub(1usize, Release);
                Ok(())
            })?;
            check_eq!(left.load(Relaxed), 0);
            for key in 0..3 {
                let old = map.load_and_delete(&Good::make(key));
                out.fetch_add(old.map_or(0, |old| old.number()), Relaxed);
            }
            let all = each * 4;
            check_eq!(out.load(Relaxed), all * (all + 1) / 2);
            Ok(())
        })
    }

    #[test]
    fn mixture_of_few_keys() -> Result {
        mixture::<Good>(3, false)
    }

    #[test]
    fn mixture_of_many_keys() -> Result {
        mixture::<Good>(300, false)
    }

    #[test]
    fn mixture_with_clear() -> Result {
        mixture::<Good>(20, true)
    }

    #[test]
    fn mixture_with_a_constant_hash() -> Result {
        mixture::<Constant>(20, true)
    }

    /// A lookup never misses a key that is there throughout, whatever becomes of the tables.
    #[test]
    fn live_keys_are_always_found() -> Result {
        counted(|| {
            let map = filled::<Good>(0..50, Options::default())?;
            (0..50).try_for_each(|key| store(&map, key, of(key, 0)))?;
            let deadline = Deadline::new(MILLIS);
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                while deadline.is_ahead() {
                    for _ in 0..50 {
                        let n = random.below(50);
                        match number {
                            0 => {
                                let guard = rcu::read_lock();
                                let value = map.get(&Good::make(n), &guard).map(|v| v.number());
                                check!(value.is_some_and(|v| is_of(n, v)), "{} is gone", n);
                            }
                            1 => {
                                let value = map.load(&Good::make(n)).ok_or(ENOENT)?;
                                check!(is_of(n, value.number()));
                                drop(value);
                                let old =
                                    map.swap(Good::make(n), Tracked::make(of(n, 1)), GFP_KERNEL)?;
                                check!(old.is_some(), "{} was gone", n);
                            }
                            _ => {
                                // New keys, growth and shrinking.
                                let key = 1000 * number as u64 + random.below(200);
                                store(&map, key, of(key, 0))?;
                                map.delete(&Good::make(key.wrapping_sub(7)));
                                if random.below(20) == 0 {
                                    disturb(&map, &mut random, 5000)?;
                                }
                            }
                        }
                    }
                }
                Ok(())
            })
        })
    }

    /// Keys that come and go right after each other: at most one is there, and stays what it is.
    #[test]
    fn deleted_keys_are_not_found() -> Result {
        counted(|| {
            let map = filled::<Good>(0..20, Options::default())?;
            let deadline = Deadline::new(MILLIS);
            // Each thread has keys of its own, and knows what must be there.
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                let mut there = [false; 16];
                let base = 100 * (number as u64 + 1);
                while deadline.is_ahead() {
                    for _ in 0..50 {
                        let n = random.below(16);
                        let slot = &mut there[n as usize];
                        let key = || Good::make(base + n);
                        match random.below(6) {
                            0 | 1 => {
                                let new = Tracked::make(base);
                                let old = map.swap(key(), new, GFP_KERNEL)?;
                                check_eq!(old.is_some(), *slot, "swap of {}", base + n);
                                *slot = true;
                            }
                            2 => {
                                check_eq!(map.delete(&key()), *slot, "delete of {}", base + n);
                                *slot = false;
                            }
                            3 => {
                                let old = map.compare_and_delete_with(&key(), |_| true);
                                check_eq!(old.is_some(), *slot, "c&d of {}", base + n);
                                *slot = false;
                            }
                            4 => check_eq!(value(&map, base + n).is_some(), *slot, "get"),
                            _ => check_eq!(map.load(&key()).is_some(), *slot, "load"),
                        }
                        if random.below(40) == 0 {
                            disturb(&map, &mut random, 5000)?;
                        }
                    }
                }
                Ok(())
            })
        })
    }

    /// Range finds what is there throughout, once, while others come and go.
    #[test]
    fn range_while_others_churn() -> Result {
        counted(|| {
            const KEYS: usize = 400;
            let map = filled::<Good>(0..KEYS as u64, Options::default())?;
            let deadline = Deadline::new(MILLIS);
            let walks = Atomic::new(0usize);
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                while deadline.is_ahead() {
                    if number == 0 {
                        let mut visits = [0u8; KEYS];
                        map.range(|key, _| {
                            if let Some(n) = visits.get_mut(key.number() as usize) {
                                *n += 1;
                            }
                            true
                        });
                        let wrong = visits.iter().position(|n| *n != 1);
                        check_eq!(wrong, None, "was not visited just once");
                        walks.fetch_add(1usize, Relaxed);
                        continue;
                    }
                    for _ in 0..50 {
                        let key = 1000 * number as u64 + random.below(300);
                        match random.below(3) {
                            0 => drop(map.load_and_delete(&Good::make(key))),
                            1 => store(&map, key, key)?,
                            _ => {
                                let key = random.below(KEYS as u64);
                                store(&map, key, key + 1)?;
                            }
                        }
                        if random.below(60) == 0 {
                            disturb(&map, &mut random, 9000)?;
                        }
                    }
                }
                Ok(())
            })?;
            check!(walks.load(Relaxed) > 3);
            Ok(())
        })
    }

    /// Thirty threads clear, as in Go's own test; and each finds what it stored, or nothing.
    #[test]
    fn many_clears() -> Result {
        counted(|| {
            let map = numbers::<Good>(Options::default())?;
            run_threads(30, &|number| {
                let key = number as u64;
                for _ in 0..10 {
                    store(&map, key, of(key, 1))?;
                    let found = map.load(&Good::make(key)).map(|v| v.number());
                    check!(found.is_none_or(|v| v == of(key, 1)));
                    map.clear(GFP_KERNEL)?;
                    check!(map.len() <= 30);
                }
                Ok(())
            })?;
            map.clear(GFP_KERNEL)?;
            check_eq!(map.len(), 0);
            map.drain();
            Ok(())
        })
    }

    /// Clear deletes all keys at one instant: once a key of dirty is gone, none of read is found any more.
    #[test]
    fn clear_is_one_instant() -> Result {
        counted(|| {
            const FILL: u64 = 40;
            let map = numbers::<Good>(QUIET)?;
            // Odd while the keys are there, until the end of the Clear.
            let round = Atomic::new(0usize);
            let looked = Atomic::new(0usize);
            // The other thread is at it when Clear begins, and until it has ended.
            let wait_for_looks = |deadline: &Deadline| {
                let before = looked.load(Acquire);
                while looked.load(Acquire) < before + 2 && deadline.is_ahead() {}
            };
            let deadline = Deadline::new(MILLIS);
            run_threads(2, &|number| {
                while deadline.is_ahead() {
                    if number == 0 {
                        (0..FILL).try_for_each(|key| store(&map, key, key))?;
                        map.promote_now();
                        store(&map, FILL, FILL)?;
                        round.fetch_add(1usize, Full);
                        wait_for_looks(&deadline);
                        map.clear(GFP_KERNEL)?;
                        wait_for_looks(&deadline);
                        round.fetch_add(1usize, Full);
                        continue;
                    }
                    for _ in 0..1000 {
                        let now = round.load(Acquire);
                        if now % 2 == 0 {
                            continue;
                        }
                        let dirty = value(&map, FILL);
                        let read = value(&map, 0);
                        if round.load(Acquire) == now {
                            looked.fetch_add(1usize, Relaxed);
                            check!(dirty.is_some() || read.is_none());
                        }
                    }
                }
                Ok(())
            })?;
            check!(looked.load(Relaxed) > 0);
            Ok(())
        })
    }

    /// The limit of entries holds at every moment.
    #[test]
    fn limit_of_entries() -> Result {
        counted(|| {
            let map = numbers::<Good>(Options {
                limits: syncmap::Limits {
                    entries: 20,
                    ..syncmap::Limits::NONE
                },
                ..Options::default()
            })?;
            let refused = Atomic::new(0usize);
            run_threads(4, &|number| {
                let mut random = Random::new(number as u64);
                for _ in 0..scaled(2000).max(300) {
                    let key = random.below(40);
                    match map.store(Good::make(key), Tracked::make(key), GFP_KERNEL) {
                        Ok(()) => {}
                        Err(e) => {
                            check_eq!(e.error, edquot());
                            check_eq!(e.value.number(), key);
                            refused.fetch_add(1usize, Relaxed);
                        }
                    }
                    if random.below(3) == 0 {
                        map.delete(&Good::make(random.below(40)));
                    }
                }
                Ok(())
            })?;
            check!(refused.load(Relaxed) > 0);
            let mut pairs = 0;
            map.range(|_, _| {
                pairs += 1;
                true
            });
            check!(pairs <= 20);
            check_eq!(map.len(), pairs);
            Ok(())
        })
    }
}
