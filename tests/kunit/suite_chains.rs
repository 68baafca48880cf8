// SPDX-License-Identifier: GPL-2.0

//! Keys that share their hash: chains of segments, and how others get along with them.

use kernel::prelude::*;
use syncmap::{Limits, Options};

use crate::keys::{Constant, Mixed, Number};
use crate::support::{filled, numbers, store, value, Numbers, QUIET};
use crate::values::counted;

/// Bytes when all that can be freed has been freed.
fn bytes<K: Number>(map: &Numbers<K>) -> usize {
    map.drain();
    map.drain();
    map.stats().bytes
}

/// Stores keys, each with itself as its value.
fn fill<K: Number>(map: &Numbers<K>, mut keys: impl Iterator<Item = u64>) -> Result {
    keys.try_for_each(|key| store(map, key, key))
}

/// All of these keys are there.
fn has<K: Number>(map: &Numbers<K>, keys: impl Iterator<Item = u64>) -> Result {
    for key in keys {
        check_eq!(value(map, key), Some(key));
    }
    Ok(())
}

fn delete<K: Number>(map: &Numbers<K>, keys: impl Iterator<Item = u64>) -> Result {
    for key in keys {
        check!(map.delete(&K::make(key)), "{}", key);
    }
    Ok(())
}

/// Numbers of keys that share their hash, and of others.
fn alike(keys: core::ops::Range<u64>) -> impl Iterator<Item = u64> {
    keys.map(|key| 2 * key)
}

fn others(keys: core::ops::Range<u64>) -> impl Iterator<Item = u64> {
    keys.map(|key| 2 * key + 1)
}

/// A map whose chains may have so many buckets.
fn limited(chain: usize) -> Result<Pin<KBox<Numbers<Mixed>>>> {
    numbers(Options {
        limits: Limits {
            chain,
            ..Limits::NONE
        },
        ..QUIET
    })
}

#[kunit_tests(syncmap_chains)]
mod tests {
    use super::*;

    /// Few keys, one after the other, of one hash.
    #[test]
    fn churn_stays_small() -> Result {
        counted(|| {
            let map = filled::<Constant>(0..100, QUIET)?;
            let level = bytes(&map);
            for key in 100..2000 {
                store(&map, key, key)?;
                check!(map.delete(&Constant::make(key - 100)));
                if key % 40 == 0 {
                    map.sweep();
                }
            }
            map.sweep();
            let now = bytes(&map);
            check!(now <= 2 * level, "{} {}", now, level);
            has(&map, 1900..2000)
        })
    }

    #[test]
    fn shrinks() -> Result {
        counted(|| {
            let map = filled::<Constant>(0..1000, QUIET)?;
            for left in [500u64, 200, 100, 50, 10] {
                delete(&map, left..map.len() as u64)?;
                map.sweep();
                let fresh = filled::<Constant>(0..left, QUIET)?;
                let (now, fresh) = (bytes(&map), bytes(&fresh));
                check!(now <= fresh * 3 / 2, "{} keys: {} {}", left, now, fresh);
                has(&map, 0..left)?;
            }
            Ok(())
        })
    }

    /// Keys that collide cost the one who chose them and nobody else.
    #[test]
    fn crowds_do_not_keep_others_out() -> Result {
        counted(|| {
            let map = limited(4)?;
            let mut crowd = 0;
            while store(&map, 2 * crowd, 2 * crowd).is_ok() {
                crowd += 1;
                check!(crowd < 1000);
            }
            check_eq!(store(&map, 2 * crowd, 0), Err(E2BIG));
            fill(&map, others(0..500))?;
            check_eq!(store(&map, 2 * crowd, 0), Err(E2BIG));
            has(&map, alike(0..crowd))?;
            has(&map, others(0..500))
        })
    }

    /// Deleted keys of other hashes, which come back after the chain was made.
    #[test]
    fn strays_do_not_lead_others_into_a_chain() -> Result {
        counted(|| {
            let map = limited(30)?;
            fill(&map, alike(0..63))?;
            fill(&map, others(0..20))?;
            map.promote_now();
            fill(&map, alike(63..64))?;
            delete(&map, others(0..20))?;
            fill(&map, alike(64..120))?;
            fill(&map, others(0..500))?;
            has(&map, alike(0..120))?;
            has(&map, others(0..500))
        })
    }
}
