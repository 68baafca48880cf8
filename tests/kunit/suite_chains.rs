// SPDX-License-Identifier: GPL-2.0

//! Keys that share their hash: chains of segments, and how others get along with them.

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::time::{Instant, Monotonic};
use syncmap::{Limits, Options};

use crate::keys::{Chosen, Chosens, Constant, Good, Mixed, Number};
use crate::scaled;
use crate::support::{
    audit, bytes, delete, fill, filled, has, numbers, report, sleep, store, Numbers, Random,
    CROWDED, QUIET,
};
use crate::threads::run_threads;
use crate::values::{counted, Tracked};

/// Numbers of keys that share their hash, and of others.
fn alike(keys: core::ops::Range<u64>) -> impl Iterator<Item = u64> {
    keys.map(|key| 2 * key)
}

fn others(keys: core::ops::Range<u64>) -> impl Iterator<Item = u64> {
    keys.map(|key| 2 * key + 1)
}

/// Microseconds that it takes to sweep so many keys, which are all there are.
fn sweep_time<K: Number>(keys: u64) -> Result<i64> {
    let map = filled::<K>(0..keys, CROWDED)?;
    delete(&map, 0..keys)?;
    let start = Instant::<Monotonic>::now();
    map.sweep();
    Ok(start.elapsed().as_micros_ceil())
}

/// Microseconds that it takes to sweep a chain that read and dirty share, and to store a new key
/// meanwhile, at most.
fn sweep_against_stores(keys: u64) -> Result<(i64, i64)> {
    let map = filled::<Mixed>(alike(0..keys), CROWDED)?;
    delete(&map, alike(0..keys))?;
    store(&map, 1, 1)?;
    let (begun, swept) = (Atomic::new(false), Atomic::new(false));
    let (total, longest) = (Atomic::new(0i64), Atomic::new(0i64));
    run_threads(2, &|number| {
        if number == 0 {
            let start = Instant::<Monotonic>::now();
            begun.store(true, Release);
            map.sweep();
            total.store(start.elapsed().as_micros_ceil(), Relaxed);
            swept.store(true, Release);
            return Ok(());
        }
        while !begun.load(Acquire) {
            sleep(1);
        }
        let mut key = 3;
        while !swept.load(Acquire) {
            let start = Instant::<Monotonic>::now();
            store(&map, key, key)?;
            let took = start.elapsed().as_micros_ceil();
            longest.store(took.max(longest.load(Relaxed)), Relaxed);
            key += 2;
            sleep(1);
        }
        Ok(())
    })?;
    Ok((total.load(Relaxed), longest.load(Relaxed)))
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

/// The leading bits of a hash that lead to a segment. Keys that agree in them end up in one chain.
const LEADING: u32 = 24;

/// A map of keys whose hashes are chosen, and whose chains may have so many buckets.
fn chosen(chain: usize) -> Result<Pin<KBox<Chosens>>> {
    let limits = Limits {
        chain,
        ..Limits::NONE
    };
    KBox::pin_init(
        Chosens::new(Options { limits, ..QUIET }, GFP_KERNEL),
        GFP_KERNEL,
    )
}

fn of_hash(hash: u32, number: u64) -> Chosen {
    Chosen {
        hash: u64::from(hash) << 32,
        number,
    }
}

fn store_chosen(map: &Chosens, hash: u32, number: u64) -> Result {
    Ok(map.store(of_hash(hash, number), Tracked::make(number), GFP_KERNEL)?)
}

/// A hash that agrees with another in so many leading bits, and in the next one does not.
fn told_apart(hash: u32, bits: u32, random: &mut Random) -> u32 {
    let rest = u32::MAX >> bits;
    (hash & !rest) | (!hash & (rest ^ rest >> 1)) | (random.next() as u32 & rest >> 1)
}

#[kunit_tests(syncmap_chains)]
mod tests {
    use super::*;

    /// Few keys, one after the other, of one hash.
    #[test]
    fn churn_stays_small() -> Result {
        counted(|| {
            let map = filled::<Constant>(0..100, CROWDED)?;
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
            let map = filled::<Constant>(0..1000, CROWDED)?;
            for left in [500u64, 200, 100, 50, 10] {
                delete(&map, left..map.len() as u64)?;
                map.sweep();
                let fresh = filled::<Constant>(0..left, CROWDED)?;
                let (now, fresh) = (bytes(&map), bytes(&fresh));
                check!(now <= fresh * 3 / 2, "{} keys: {} {}", left, now, fresh);
                has(&map, 0..left)?;
            }
            Ok(())
        })
    }

    /// Keys that collide are refused, others are not, in however many bits they agree with those.
    #[test]
    fn crowds_do_not_keep_others_out() -> Result {
        counted(|| {
            let mut random = Random::new(crate::seed());
            for _ in 0..scaled(100).max(10) {
                let map = chosen(4)?;
                let crowd = random.next() as u32;
                let mut number = 0;
                while store_chosen(&map, crowd, number).is_ok() {
                    number += 1;
                    check!(number < 1000);
                }
                let members = number;
                let mut others = KVec::new();
                while others.len() < 200 {
                    // In no bit, in one, and so on, up to all that lead to a segment but one.
                    let hash = told_apart(crowd, others.len() as u32 % LEADING, &mut random);
                    check_eq!(
                        store_chosen(&map, hash, number),
                        Ok(()),
                        "{:x} {:x}",
                        hash,
                        crowd
                    );
                    others.push((hash, number), GFP_KERNEL)?;
                    number += 1;
                    // Those of the crowd go on to be refused, also if they differ in what is left.
                    let member = crowd ^ random.below(1 << (u32::BITS - LEADING)) as u32;
                    check_eq!(
                        store_chosen(&map, member, number),
                        Err(E2BIG),
                        "{:x}",
                        crowd
                    );
                }
                let members = (0..members).map(|number| (crowd, number));
                for (hash, number) in Iterator::chain(members, others.iter().copied()) {
                    let value = map.load(&of_hash(hash, number)).map(|v| v.number());
                    check_eq!(value, Some(number), "{:x} {:x}", hash, crowd);
                }
            }
            Ok(())
        })
    }

    /// The same, in whatever order they come.
    #[test]
    fn others_are_parted_from_a_chain() -> Result {
        counted(|| {
            for first in [0, 20, 100, 1000] {
                let map = limited(30)?;
                fill(&map, others(0..first))?;
                fill(&map, alike(0..150))?;
                fill(&map, others(first..1100))?;
                has(&map, others(0..1100))?;
                has(&map, alike(0..150))?;
                let (live, next) = (KVec::from_elem(true, 300, GFP_KERNEL)?, 300..2201);
                let mut live = live;
                for key in next {
                    live.push(key % 2 == 1 && key < 2200, GFP_KERNEL)?;
                }
                audit(&map, &live)?;
            }
            Ok(())
        })
    }

    /// A chain that is shared by the tables of many generations, and swept while it is.
    #[test]
    fn chains_are_shared() -> Result {
        counted(|| {
            let map = numbers::<Mixed>(CROWDED)?;
            let mut live = KVec::from_elem(false, 1200, GFP_KERNEL)?;
            for round in 0..20u64 {
                let new = 60 * round..60 * round + 60;
                fill(&map, new.clone())?;
                live[new.start as usize..new.end as usize].fill(true);
                audit(&map, &live)?;
                if round % 3 == 0 {
                    map.promote_now();
                    // Starts another dirty, which shares what is not touched.
                    store(&map, new.start, new.start)?;
                }
                for key in (0..new.end).filter(|key| key % 7 == round % 7) {
                    check_eq!(map.delete(&Mixed::make(key)), live[key as usize]);
                    live[key as usize] = false;
                }
                audit(&map, &live)?;
                if round % 2 == 0 {
                    map.sweep();
                    audit(&map, &live)?;
                }
                if round % 5 == 4 {
                    for key in (0..new.end).filter(|key| key % 7 == 3) {
                        store(&map, key, key)?;
                        live[key as usize] = true;
                    }
                    audit(&map, &live)?;
                }
                map.drain();
                for (key, live) in live.iter().enumerate() {
                    let key = key as u64;
                    check_eq!(crate::support::value(&map, key), live.then_some(key));
                }
            }
            Ok(())
        })
    }

    /// After chains were made, parted and merged again, nothing is left of them.
    #[test]
    fn nothing_is_left() -> Result {
        counted(|| {
            let map = numbers::<Mixed>(CROWDED)?;
            let empty = bytes(&map);
            for round in 0..4 {
                fill(&map, 0..1500)?;
                if round % 2 == 0 {
                    delete(&map, alike(0..750))?;
                    map.sweep();
                    has(&map, others(0..750))?;
                    delete(&map, others(0..750))?;
                } else {
                    delete(&map, others(0..750))?;
                    map.sweep();
                    has(&map, alike(0..750))?;
                    delete(&map, alike(0..750))?;
                }
                map.sweep();
                check_eq!(bytes(&map), empty);
                fill(&map, 0..1500)?;
                map.promote_now();
                store(&map, 1500, 0)?;
                store(&map, 1501, 0)?;
                map.clear(GFP_KERNEL)?;
                check_eq!(bytes(&map), empty);
            }
            Ok(())
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

    /// Deleted keys of a long chain are not each looked for in all of it.
    #[test]
    fn sweeping_a_chain_takes_as_long_as_sweeping_others() -> Result {
        counted(|| {
            let crowd = sweep_time::<Constant>(6000)?;
            let others = sweep_time::<Good>(6000)?;
            report(fmt!("chain {} us, others {} us", crowd, others));
            check!(crowd < 8 * others + 2000, "{} {}", crowd, others);
            Ok(())
        })
    }

    /// Where they have to be, because read has them as well, others get the lock meanwhile.
    #[test]
    fn sweeping_a_shared_chain_lets_others_in() -> Result {
        counted(|| {
            // A store that waits for its processor looks like one that waits for the lock.
            for _ in 0..5 {
                let (sweep, store) = sweep_against_stores(6000)?;
                report(fmt!("sweep {} us, a store up to {}", sweep, store));
                if store < sweep / 2 {
                    return Ok(());
                }
            }
            Err(EBUSY)
        })
    }
}
