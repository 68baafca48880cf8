// SPDX-License-Identifier: GPL-2.0

//! Keys that come and go in great numbers, so that segments are split and merged all the time: what
//! lookups and walks find meanwhile.

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};

use crate::context::atomically;
use crate::keys::{Constant, Good, Mixed, Number, Truncated};
use crate::scaled;
use crate::support::{audit, filled, numbers, store, value, Numbers, Random, CROWDED};
use crate::threads::{run_threads, Deadline};
use crate::values::counted;

/// Keys that are there throughout: one in so many.
const LASTING: u64 = 5;

fn lasts(key: u64) -> bool {
    key % LASTING == 0
}

/// Deletes a key in one of the ways to do so; whether it was there.
fn remove<K: Number>(map: &Numbers<K>, key: u64, way: u64) -> bool {
    let key = K::make(key);
    match way % 3 {
        0 => map.delete(&key),
        1 => map.compare_and_delete_with(&key, |_| true).is_some(),
        _ => atomically(|| map.delete(&key)),
    }
}

/// High and low tides, in per cent of the keys.
const LEVELS: [u64; 12] = [100, 10, 60, 0, 95, 50, 3, 80, 20, 100, 0, 40];

/// A program of so many keys, with everything looked at between tides.
fn program<K: Number>(keys: u64, seed: u64) -> Result {
    counted(|| {
        let map = numbers::<K>(CROWDED)?;
        let mut random = Random::new(crate::seed() + seed);
        let mut live = KVec::from_elem(false, keys as usize, GFP_KERNEL)?;
        for (turn, level) in LEVELS.into_iter().enumerate() {
            for _ in 0..2 * keys {
                let key = random.below(keys);
                let live = &mut live[key as usize];
                if random.below(100) < level {
                    store(&map, key, key)?;
                    *live = true;
                } else {
                    check_eq!(remove(&map, key, random.next()), *live, "{}", key);
                    *live = false;
                }
                match random.below(keys) {
                    0 => map.promote_now(),
                    1 => map.sweep(),
                    2 => map.drain(),
                    _ => {}
                }
            }
            audit(&map, &live)?;
            if turn % 2 == 1 {
                map.sweep();
                audit(&map, &live)?;
            }
            let mut pairs = (0, 0);
            map.range(|key, _| {
                pairs.0 += 1;
                pairs.1 += usize::from(!live.get(key.number() as usize).is_some_and(|l| *l));
                true
            });
            check_eq!(pairs, (map.len(), 0));
            for (key, live) in live.iter().enumerate() {
                let key = key as u64;
                check_eq!(value(&map, key), live.then_some(key), "{}", key);
            }
            if turn == 8 {
                map.clear(GFP_KERNEL)?;
                live.fill(false);
            }
        }
        Ok(())
    })
}

/// All others come, and all others go.
fn tide<K: Number>(map: &Numbers<K>, keys: u64, random: &mut Random) -> Result {
    let others = || (0..keys).filter(|key| !lasts(*key));
    for key in others() {
        store(map, key, key)?;
        if random.below(100) == 0 {
            map.promote_now();
        }
    }
    if random.below(2) == 0 {
        map.promote_now();
    }
    for key in others() {
        remove(map, key, random.next());
    }
    // Sweeps either both tables or one, and merges.
    if random.below(2) == 0 {
        let key = 1 + LASTING * random.below(keys / LASTING);
        store(map, key, key)?;
    }
    map.sweep();
    Ok(())
}

/// A walk, during which tides come and go.
fn walk<K: Number>(keys: u64) -> Result {
    counted(|| {
        let map = filled::<K>((0..keys).filter(|key| lasts(*key)), CROWDED)?;
        let mut random = Random::new(crate::seed());
        let mut visits = KVec::from_elem(0u8, keys as usize, GFP_KERNEL)?;
        let (mut result, mut number) = (Ok(()), 0);
        map.range(|key, _| {
            visits[key.number() as usize] += 1;
            number += 1;
            if number % 15 == 0 {
                result = tide(&map, keys, &mut random);
            }
            result.is_ok()
        });
        result?;
        for (key, visits) in (0..keys).zip(&visits) {
            check!(*visits == 1 || !lasts(key) && *visits == 0, "{}", key);
        }
        Ok(())
    })
}

/// Lookups and walks, in threads of their own, find what is there throughout.
fn threads<K: Number>(keys: u64) -> Result {
    counted(|| {
        let map = filled::<K>((0..keys).filter(|key| lasts(*key)), CROWDED)?;
        let found = Atomic::new(0usize);
        let walks = Atomic::new(0usize);
        let busy = Atomic::new(true);
        let deadline = Deadline::new(1500);
        run_threads(4, &|number| {
            let mut random = Random::new(crate::seed() + number as u64);
            let mut visits = KVec::from_elem(0u8, keys as usize, GFP_KERNEL)?;
            if number == 0 {
                let result = (|| {
                    while deadline.is_ahead() {
                        tide(&map, keys, &mut random)?;
                    }
                    Ok(())
                })();
                busy.store(false, Release);
                return result;
            }
            while busy.load(Acquire) && deadline.is_ahead() {
                if number == 1 {
                    visits.fill(0);
                    map.range(|key, _| {
                        visits[key.number() as usize] += 1;
                        true
                    });
                    for (key, visits) in (0..keys).zip(&visits) {
                        check!(*visits == 1 || !lasts(key) && *visits == 0, "{}", key);
                    }
                    walks.fetch_add(1usize, Relaxed);
                    continue;
                }
                for _ in 0..200 {
                    let key = LASTING * random.below(keys / LASTING);
                    let value = match number {
                        2 => value(&map, key),
                        _ => map.load(&K::make(key)).map(|v| v.number()),
                    };
                    check_eq!(value, Some(key), "{}", key);
                    found.fetch_add(1usize, Relaxed);
                }
            }
            Ok(())
        })?;
        check!(walks.load(Relaxed) > 0 && found.load(Relaxed) > 1000);
        Ok(())
    })
}

#[kunit_tests(syncmap_tides)]
mod tests {
    use super::*;

    #[test]
    fn programs() -> Result {
        (0..3).try_for_each(|seed| program::<Good>(scaled(3000), seed))
    }

    #[test]
    fn programs_with_mixed_hashes() -> Result {
        (0..3).try_for_each(|seed| program::<Mixed>(scaled(1000), seed))
    }

    #[test]
    fn programs_with_a_truncated_hash() -> Result {
        (0..3).try_for_each(|seed| program::<Truncated>(scaled(600), seed))
    }

    #[test]
    fn walks() -> Result {
        walk::<Good>(scaled(2500).max(200))
    }

    #[test]
    fn walks_with_mixed_hashes() -> Result {
        walk::<Mixed>(scaled(1000).max(200))
    }

    #[test]
    fn walks_with_a_truncated_hash() -> Result {
        walk::<Truncated>(scaled(600).max(200))
    }

    #[test]
    fn threads_find_what_lasts() -> Result {
        threads::<Good>(scaled(2500).max(200))
    }

    #[test]
    fn threads_find_what_lasts_with_mixed_hashes() -> Result {
        threads::<Mixed>(scaled(1000).max(200))
    }

    #[test]
    fn threads_find_what_lasts_with_a_constant_hash() -> Result {
        threads::<Constant>(scaled(400).max(200))
    }
}
