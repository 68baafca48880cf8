// SPDX-License-Identifier: GPL-2.0

//! What may be called from anywhere, is: under spinlocks, with interrupts off, from timers, softirqs
//! and interrupt handlers.
//!
//! That nothing sleeps there, and that no lock is taken in a way that could deadlock, is for the
//! kernel's own debugging to notice.

use core::ptr::from_ref;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::rcu;
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::value::{Borrowed, Pointer};
use syncmap::Options;

use crate::context::{In, ATOMIC, RAW};
use crate::keys::{Good, Number};
use crate::support::{
    audit, bytes, eventually, filled, has, leave_deleted, numbers, report, shape, store, text,
    value, Numbers, Random, QUIET,
};
use crate::threads::{run_threads, Deadline};
use crate::values::{counted, Tracked};

/// Runs something for each of these contexts, which must succeed.
fn each(contexts: &[(&str, In)], test: impl Fn(In) -> Result) -> Result {
    for (name, context) in contexts {
        counted(|| test(*context)).inspect_err(|_| report(fmt!("{}", name)))?;
    }
    Ok(())
}

/// Runs a check in another context.
fn check_in(context: In, body: &(dyn Fn() -> Result + Sync)) -> Result {
    let failed = Atomic::new(true);
    context(&|| failed.store(body().is_err(), Relaxed))?;
    check!(!failed.load(Relaxed));
    Ok(())
}

/// Keys in both tables, only in dirty, deleted and expunged.
fn mixed(options: Options) -> Result<Pin<KBox<Numbers<Good>>>> {
    let map = filled(0..40, options)?;
    leave_deleted(&map, [0])?;
    (40..50).try_for_each(|key| store(&map, key, key))?;
    check!(map.delete(&Good::make(1)));
    check_eq!(text(&shape(&map, 0).0), "E-a");
    check_eq!(text(&shape(&map, 1).0), "DDa");
    Ok(map)
}

/// A key of [`mixed`] in each state.
const EXPUNGED: u64 = 0;
const DELETED: u64 = 1;
const READ: u64 = 5;
const DIRTY: u64 = 45;
const ABSENT: u64 = 99;

/// Stores, and returns what was there.
fn swap(map: &Numbers<Good>, key: u64, new: u64) -> Result<Option<u64>> {
    let old = map.swap(Good::make(key), Tracked::make(new), GFP_ATOMIC)?;
    Ok(old.map(|old| old.number()))
}

fn load_or_store(map: &Numbers<Good>, key: u64, new: u64) -> Result<Option<u64>> {
    match map.load_or_store(Good::make(key), Tracked::make(new), GFP_ATOMIC)? {
        LoadOrStore::Loaded(value, back) => {
            check_eq!(back.number(), new);
            Ok(Some(value.number()))
        }
        LoadOrStore::Stored => Ok(None),
    }
}

/// What was deleted.
fn delete(map: &Numbers<Good>, key: u64) -> Option<u64> {
    let old = map.load_and_delete(&Good::make(key));
    old.map(|old| old.number())
}

/// These are the values of keys.
fn values(map: &Numbers<Good>, expected: &[(u64, Option<u64>)]) -> Result {
    for (key, expected) in expected {
        check_eq!(value(map, *key), *expected, "{}", key);
    }
    Ok(())
}

/// Whether the promotion that a hundred of these make due is done before they return.
fn promotes(
    context: In,
    miss: &(dyn Fn(&Numbers<Good>) -> Result + Sync),
    at_once: bool,
) -> Result {
    let map = mixed(QUIET)?;
    map.drain();
    check_in(context, &|| {
        for _ in 0..100 {
            miss(&map)?;
        }
        check!(!(at_once && map.stats().amended));
        Ok(())
    })?;
    check!(eventually(1000, || !map.stats().amended));
    check_eq!((map.len(), map.stats().promotions), (48, 2));
    Ok(())
}

#[kunit_tests(syncmap_context)]
mod tests {
    use super::*;

    fn all() -> [(&'static str, In); 7] {
        let [a, b, c, d, e] = ATOMIC;
        let [f, g] = RAW;
        [a, b, c, d, e, f, g]
    }

    #[test]
    fn lookups() -> Result {
        each(&all(), |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                for key in 0..60 {
                    let expected = Some(key).filter(|key| (2..50).contains(key));
                    check_eq!(value(&map, key), expected);
                    let guard = rcu::read_lock();
                    check_eq!(
                        map.peek(&Good::make(key), &guard).is_some(),
                        expected.is_some()
                    );
                }
                check_eq!((map.len(), map.is_empty()), (48, false));
                Ok(())
            })
        })
    }

    /// The promotion that these lookups make due is for the worker.
    #[test]
    fn misses_of_get_have_the_worker_promote() -> Result {
        each(&all(), |context| {
            let miss = |map: &Numbers<Good>| {
                check_eq!(value(map, ABSENT), None);
                Ok(())
            };
            promotes(context, &miss, false)
        })
    }

    /// These promote themselves, wherever they are.
    #[test]
    fn misses_of_others_promote() -> Result {
        each(&all(), |context| {
            let load = |map: &Numbers<Good>| {
                check!(map.load(&Good::make(ABSENT)).is_none());
                Ok(())
            };
            promotes(context, &load, true)?;
            let delete = |map: &Numbers<Good>| {
                check_eq!(delete(map, ABSENT), None);
                Ok(())
            };
            promotes(context, &delete, true)?;
            let compare = |map: &Numbers<Good>| {
                check!(map
                    .compare_and_delete_with(&Good::make(DIRTY), |_| false)
                    .is_none());
                Ok(())
            };
            promotes(context, &compare, true)
        })
    }

    #[test]
    fn swaps() -> Result {
        each(&ATOMIC, |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                check_eq!(swap(&map, READ, 50), Ok(Some(READ)));
                check_eq!(swap(&map, DIRTY, 450), Ok(Some(DIRTY)));
                check_eq!(swap(&map, DELETED, 10), Ok(None));
                check_eq!(swap(&map, EXPUNGED, 7), Ok(None));
                check_eq!(swap(&map, ABSENT, 9), Ok(None));
                // And once more, as they are all there.
                check_eq!(swap(&map, EXPUNGED, 8), Ok(Some(7)));
                check_eq!(swap(&map, ABSENT, 10), Ok(Some(9)));
                Ok(())
            })?;
            for key in [READ, DELETED, EXPUNGED] {
                check_eq!(text(&shape(&map, key).0), "LLa");
            }
            for key in [DIRTY, ABSENT] {
                check_eq!(text(&shape(&map, key).0), "-La");
            }
            check_eq!(map.len(), 51);
            let expected = [
                (READ, Some(50)),
                (DIRTY, Some(450)),
                (DELETED, Some(10)),
                (EXPUNGED, Some(8)),
                (ABSENT, Some(10)),
            ];
            values(&map, &expected)?;
            map.promote_now();
            values(&map, &expected)
        })
    }

    #[test]
    fn loads_or_stores() -> Result {
        each(&ATOMIC, |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                check_eq!(load_or_store(&map, READ, 7), Ok(Some(READ)));
                check_eq!(load_or_store(&map, DIRTY, 7), Ok(Some(DIRTY)));
                for key in [DELETED, EXPUNGED, ABSENT] {
                    check_eq!(load_or_store(&map, key, 7), Ok(None));
                    check_eq!(load_or_store(&map, key, 8), Ok(Some(7)));
                }
                Ok(())
            })?;
            check_eq!(map.len(), 51);
            values(
                &map,
                &[
                    (READ, Some(READ)),
                    (DIRTY, Some(DIRTY)),
                    (DELETED, Some(7)),
                    (EXPUNGED, Some(7)),
                    (ABSENT, Some(7)),
                ],
            )
        })
    }

    #[test]
    fn deletes() -> Result {
        each(&ATOMIC, |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                check_eq!(delete(&map, READ), Some(READ));
                check_eq!(delete(&map, DIRTY), Some(DIRTY));
                for key in [READ, DIRTY, DELETED, EXPUNGED, ABSENT] {
                    check_eq!(delete(&map, key), None);
                }
                Ok(())
            })?;
            // One that is only in dirty is removed at once.
            for (key, expected) in [(READ, "DDa"), (DIRTY, "--a"), (EXPUNGED, "E-a")] {
                check_eq!(text(&shape(&map, key).0), expected);
            }
            check_eq!(map.len(), 46);
            values(&map, &[(READ, None), (DIRTY, None), (6, Some(6))])
        })
    }

    #[test]
    fn comparisons() -> Result {
        each(&ATOMIC, |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                for key in [READ, DIRTY] {
                    let (now, key) = (Tracked::make(key), Good::make(key));
                    let (new, other) = (|| Tracked::make(7), Tracked::make(8));
                    let swap = |old: &Tracked| map.compare_and_swap(&key, old, new(), GFP_ATOMIC);
                    let error = swap(&other).err().ok_or(EINVAL)?;
                    check_eq!((error.error, error.value.number()), (None, 7));
                    let old = swap(&now).map_err(|_| EINVAL)?;
                    check!(*old == now);
                    check!(map.compare_and_delete(&key, &now).is_none());
                    check!(map.compare_and_delete(&key, &new()).is_some());
                    check!(map.compare_and_delete(&key, &new()).is_none());
                }
                for key in [DELETED, EXPUNGED, ABSENT] {
                    let key = Good::make(key);
                    let old = Tracked::make(0);
                    let error = map.compare_and_swap(&key, &old, Tracked::make(7), GFP_ATOMIC);
                    check_eq!(error.err().map(|e| e.error), Some(None));
                    check!(map.compare_and_delete(&key, &old).is_none());
                }
                Ok(())
            })?;
            for (key, expected) in [(READ, "DDa"), (DIRTY, "-Da"), (ABSENT, "--a")] {
                check_eq!(text(&shape(&map, key).0), expected);
            }
            check_eq!(map.len(), 46);
            Ok(())
        })
    }

    /// What allocates nothing: lookups, deletes, promotions.
    #[test]
    fn without_memory() -> Result {
        each(&RAW, |context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                check_eq!(delete(&map, READ), Some(READ));
                check_eq!(delete(&map, DIRTY), Some(DIRTY));
                let key = Good::make(DIRTY + 1);
                check!(map.compare_and_delete_with(&key, |_| true).is_some());
                check_eq!(delete(&map, EXPUNGED), None);
                check_eq!(map.len(), 45);
                map.promote_now();
                check_eq!((map.len(), map.stats().amended), (45, false));
                has(&map, 6..40)
            })?;
            // The deleted ones come back.
            map.sweep();
            check_eq!(map.stats().read_slots, 45);
            Ok(())
        })
    }

    /// The same, and stores to keys that are there.
    #[test]
    fn pointers_without_memory() -> Result {
        each(&RAW, |context| {
            // SAFETY: There is no function to call.
            let policy = unsafe { Borrowed::new(None) };
            let map = Map::<Fixed<u64>, Borrowed>::with_policy(policy, QUIET, GFP_KERNEL);
            let map = KBox::pin_init(map, GFP_KERNEL)?;
            let words = [0u64; 4];
            let pointer = |i: usize| Pointer::new(from_ref(&words[i]).cast_mut().cast());
            for key in 0..40 {
                map.swap_prepared(key, pointer(0)?, GFP_KERNEL)?;
            }
            map.promote_now();
            map.swap_prepared(40, pointer(0)?, GFP_KERNEL)?;
            map.load_and_delete(&39);
            check_in(context, &|| {
                for key in [READ, 40] {
                    let old = map.swap_prepared(key, pointer(1)?, GFP_ATOMIC);
                    check_eq!(old.ok(), Some(Some(pointer(0)?)));
                    match map.load_or_store_with(key, pointer(2)?, |seen| seen, GFP_ATOMIC) {
                        Ok(LoadOrStore::Loaded(seen, back)) => {
                            check_eq!((seen, back), (pointer(1)?, pointer(2)?));
                        }
                        _ => return Err(EINVAL),
                    }
                    let one = pointer(1)?;
                    let swapped =
                        map.compare_and_swap_prepared(&key, pointer(3)?, |seen| seen == one);
                    check_eq!(swapped, Ok(one));
                    check_eq!(map.load_and_delete(&key), Some(pointer(3)?));
                }
                // One that was deleted, and is still in its place.
                let old = map.swap_prepared(39, pointer(1)?, GFP_ATOMIC);
                check_eq!(old.ok(), Some(None));
                check_eq!(map.len(), 39);
                Ok(())
            })
        })
    }

    /// Tables that grow from nothing, and new dirties that leave out deleted keys.
    #[test]
    fn growth() -> Result {
        each(&ATOMIC, |context| {
            const KEYS: u64 = 800;
            let map = numbers::<Good>(QUIET)?;
            let empty = bytes(&map);
            let mut live = KVec::from_elem(false, KEYS as usize, GFP_KERNEL)?;
            for first in (0..KEYS).step_by(200) {
                let next = first + 200;
                let expunged = map.stats().expunged;
                check_in(context, &|| {
                    for key in first..next {
                        check_eq!(swap(&map, key, key), Ok(None), "{}", key);
                    }
                    has(&map, 0..next)?;
                    map.promote_now();
                    for key in (first..next).step_by(3) {
                        check_eq!(delete(&map, key), Some(key));
                    }
                    // The first one starts a dirty, which is a table apart; each copies a segment, unless
                    // another has, and there are deleted keys in nearly all of them.
                    for key in KEYS..KEYS + 10 {
                        check_eq!(swap(&map, key, 0), Ok(None));
                    }
                    check!(map.stats().expunged > expunged);
                    for key in (first..next).step_by(3) {
                        check_eq!(load_or_store(&map, key, key), Ok(None), "{}", key);
                    }
                    for key in KEYS..KEYS + 10 {
                        check_eq!(delete(&map, key), Some(0));
                    }
                    Ok(())
                })?;
                live[..next as usize].fill(true);
                audit(&map, &live)?;
            }
            check_in(context, &|| {
                map.clear(GFP_ATOMIC)?;
                check_eq!((map.len(), value(&map, 3)), (0, None));
                Ok(())
            })?;
            check_eq!(bytes(&map), empty);
            Ok(())
        })
    }

    /// Deletes ask for the sweep, which then runs by itself.
    #[test]
    fn deletes_are_swept() -> Result {
        each(&all(), |context| {
            let map = filled::<Good>(0..100, Options::default())?;
            check_in(context, &|| {
                for key in 0..60 {
                    check_eq!(delete(&map, key), Some(key));
                }
                Ok(())
            })?;
            check!(eventually(2500, || map.stats().read_slots == 40));
            Ok(())
        })
    }

    /// While other threads have the lock again and again, and are interrupted: keys come and go in all
    /// contexts, and in process context the tables are swept, cleared and walked.
    #[test]
    fn together_with_threads() -> Result {
        counted(|| {
            let map = mixed(Options::default())?;
            let deadline = Deadline::new(2000);
            let clears = Atomic::new(0usize);
            let created = Atomic::new(0usize);
            run_threads(4, &|number| {
                let mut random = Random::new(crate::seed() + number as u64);
                let mut round = 0u64;
                while deadline.is_ahead() {
                    round += 1;
                    if number == 0 {
                        let key = 1000 + round % 50;
                        store(&map, key, key)?;
                        map.delete(&Good::make(1000 + (round + 7) % 50));
                        match round % 300 {
                            0 => map.promote_now(),
                            100 => map.sweep(),
                            200 => {
                                clears.fetch_add(1usize, Release);
                                map.clear(GFP_KERNEL)?;
                                clears.fetch_add(1usize, Release);
                            }
                            _ => {}
                        }
                        continue;
                    }
                    if number == 1 {
                        let mut wrong = 0;
                        map.range(|key, value| {
                            wrong += usize::from(key.number() != value.number());
                            true
                        });
                        check_eq!(wrong, 0);
                        continue;
                    }
                    let (_, context) = ATOMIC[random.below(ATOMIC.len() as u64) as usize];
                    let base = 2000 * number as u64 + random.below(1000);
                    check_in(context, &|| {
                        let before = clears.load(Acquire);
                        for key in base..base + 50 {
                            check!(swap(&map, key, key).is_ok());
                            check!(load_or_store(&map, key, key).is_ok());
                        }
                        let found = (base..base + 50).all(|key| value(&map, key) == Some(key));
                        // Unless there was a Clear meanwhile.
                        check!(found || before % 2 == 1 || clears.load(Acquire) != before);
                        for key in base..base + 40 {
                            drop(map.load_and_delete(&Good::make(key)));
                        }
                        for key in 1000..1050 {
                            drop(map.load_and_delete(&Good::make(key)));
                        }
                        created.fetch_add(50usize, Relaxed);
                        Ok(())
                    })?;
                }
                if number == 0 {
                    report(fmt!("{} rounds", round));
                }
                Ok(())
            })?;
            let clears = clears.load(Relaxed) / 2;
            report(fmt!("{} clears, {} keys", clears, created.load(Relaxed)));
            check!(created.load(Relaxed) > 0);
            let mut pairs = 0;
            map.range(|_, _| {
                pairs += 1;
                true
            });
            check_eq!(pairs, map.len());
            Ok(())
        })
    }
}
