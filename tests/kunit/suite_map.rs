// SPDX-License-Identifier: GPL-2.0

//! Promotion, expunging, Clear, and what becomes of old values.

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::rcu;
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::value::{Borrowed, Pointer};

use crate::context::atomically;
use crate::keys::{Good, Number};
use crate::program::{Op, Step, Subject};
use crate::support::{
    eventually, filled, numbers, shape, sleep, store, text, value, Numbers, QUIET,
};
use crate::threads::run_threads;
use crate::values::{counted, Census, Tracked};

/// Ten keys in read, and eleven, `10` being the new one, in dirty.
fn amended() -> Result<Pin<KBox<Numbers<Good>>>> {
    let map = filled(0..10, QUIET)?;
    store(&map, 10, 10)?;
    Ok(map)
}

fn is_amended(map: &Numbers<Good>) -> bool {
    map.stats().amended
}

/// The operation misses so often that it promotes the eleven keys of dirty, and not once less.
fn promotes(op: Op, key: u64) -> Result {
    [false, true]
        .into_iter()
        .try_for_each(|atomic| promotes_in(op, key, atomic))
}

fn promotes_in(op: Op, key: u64, atomic: bool) -> Result {
    counted(|| {
        let map = amended()?;
        let step = Step {
            op,
            atomic,
            key,
            old: key,
            new: key,
        };
        for misses in 1..11 {
            map.run_there(&step)?;
            let (_, dirty) = shape(&map, key);
            check_eq!(
                (dirty.amended, dirty.misses, dirty.count),
                (true, misses, 11)
            );
        }
        let before = map.stats().promotions;
        map.run_there(&step)?;
        check!(!is_amended(&map));
        check_eq!(map.stats().promotions, before + 1);
        check_eq!(map.stats().misses, 11);
        check_eq!(map.len(), 11);
        Ok(())
    })
}

/// A value read in a section that another thread's store, and its wait, fall into.
fn read_through(
    map: &Numbers<Good>,
    replace: &(dyn Fn() -> Result + Sync),
    census: &Census,
) -> Result {
    let step = Atomic::new(0u32);
    run_threads(2, &|number| {
        if number == 1 {
            while step.load(Acquire) == 0 {
                core::hint::spin_loop();
            }
            let done = replace();
            // Long enough for a grace period, if it did not wait for the reader.
            sleep(80);
            step.store(2, Release);
            return done;
        }
        let guard = rcu::read_lock();
        let seen = map.get(&Good::make(3), &guard);
        step.store(1, Release);
        while step.load(Acquire) != 2 {
            core::hint::spin_loop();
        }
        check_eq!(seen.map(|v| v.number()), Some(3));
        check!(census.more() > 0);
        drop(guard);
        Ok(())
    })
}

#[kunit_tests(syncmap_map)]
mod tests {
    use super::*;

    #[test]
    fn load_of_an_absent_key_promotes() -> Result {
        promotes(Op::Load, 99)
    }

    #[test]
    fn load_of_a_dirty_key_promotes() -> Result {
        promotes(Op::Load, 10)
    }

    #[test]
    fn load_or_store_promotes() -> Result {
        promotes(Op::LoadOrStore, 10)
    }

    #[test]
    fn delete_of_an_absent_key_promotes() -> Result {
        promotes(Op::LoadAndDelete, 99)
    }

    #[test]
    fn compare_and_swap_promotes() -> Result {
        promotes(Op::CompareAndSwap, 10)
    }

    #[test]
    fn compare_and_delete_promotes() -> Result {
        promotes(Op::CompareAndDelete, 99)
    }

    /// `get` may be anywhere, so it leaves the promotion to the worker.
    #[test]
    fn get_has_the_worker_promote() -> Result {
        counted(|| {
            let map = amended()?;
            for _ in 0..10 {
                check_eq!(value(&map, 99), None);
            }
            sleep(100);
            check!(is_amended(&map), "too early");
            check_eq!(value(&map, 10), Some(10));
            check!(eventually(1000, || !is_amended(&map)), "never");
            check_eq!(map.len(), 11);
            Ok(())
        })
    }

    /// Hits in read are no misses, nor is anything while there is no dirty.
    #[test]
    fn hits_do_not_promote() -> Result {
        let map = amended()?;
        for round in 0..100 {
            check_eq!(value(&map, round % 10), Some(round % 10));
        }
        check!(is_amended(&map));
        check_eq!(map.stats().misses, 0);
        let map = filled::<Good>(0..10, QUIET)?;
        for _ in 0..100 {
            check_eq!(value(&map, 99), None);
        }
        check_eq!(map.stats().misses, 0);
        Ok(())
    }

    #[test]
    fn an_empty_dirty_is_promoted_by_the_next_miss() -> Result {
        counted(|| {
            let map = filled::<Good>(0..1, QUIET)?;
            store(&map, 1, 1)?;
            check!(map.delete(&Good::make(0)));
            drop(map.compare_and_delete(&Good::make(1), &Tracked::make(1)));
            map.sweep();
            let (_, dirty) = shape(&map, 1);
            check_eq!((dirty.amended, dirty.misses, dirty.count), (true, 1, 0));
            check!(map.load(&Good::make(2)).is_none());
            check!(!is_amended(&map));

            // A delete removes the key before it counts.
            store(&map, 1, 1)?;
            check!(is_amended(&map));
            check!(map.delete(&Good::make(1)));
            check!(!is_amended(&map));
            Ok(())
        })
    }

    /// An entry is expunged, unexpunged, promoted, and all that once more.
    #[test]
    fn generations() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            for round in 0..5 {
                let key = Good::make(3);
                check!(map.delete(&key));
                store(&map, 100 + 2 * round, 0)?;
                check_eq!(text(&shape(&map, 3).0), "E-a");
                store(&map, 3, round)?;
                check_eq!(text(&shape(&map, 3).0), "LLa");
                map.promote_now();
                check_eq!(value(&map, 3), Some(round));

                // Expunged and not revived: gone with read, and new when it comes back.
                check!(map.delete(&key));
                store(&map, 101 + 2 * round, 0)?;
                check_eq!(text(&shape(&map, 3).0), "E-a");
                map.promote_now();
                check_eq!(text(&shape(&map, 3).0), "--.");
                store(&map, 3, round)?;
                check_eq!(text(&shape(&map, 3).0), "-La");
                map.promote_now();
            }
            check_eq!(map.len(), 20);
            check_eq!(map.stats().expunged, 10);
            map.drain();
            Ok(())
        })
    }

    /// Many expunged at once, with the segment that has them all; every other one comes back, and all
    /// others go.
    #[test]
    fn half_of_the_expunged_come_back() -> Result {
        counted(|| {
            let map = filled::<Good>(0..80, QUIET)?;
            for key in 0..80 {
                check!(map.delete(&Good::make(key)));
            }
            store(&map, 200, 200)?;
            check_eq!(map.stats().expunged, 80);
            for key in (0..80).step_by(2) {
                let key = Good::make(key);
                match map.load_or_store(key, Tracked::make(1), GFP_KERNEL) {
                    Ok(LoadOrStore::Stored) => {}
                    _ => return Err(EINVAL),
                }
            }
            map.promote_now();
            map.drain();
            for key in 0..80 {
                check_eq!(value(&map, key), (key % 2 == 0).then_some(1));
            }
            check_eq!((map.len(), map.stats().read_slots), (41, 41));
            Ok(())
        })
    }

    #[test]
    fn clear_and_store_again() -> Result {
        counted(|| {
            let map = numbers::<Good>(QUIET)?;
            map.clear(GFP_KERNEL)?;
            for round in 0..20 {
                for key in 0..30 {
                    store(&map, key, round)?;
                    if key == round {
                        map.promote_now();
                    }
                }
                check_eq!(map.len(), 30);
                map.clear(GFP_KERNEL)?;
                check_eq!((map.len(), map.is_empty()), (0, true));
                check!(map.load(&Good::make(3)).is_none());
            }
            store(&map, 3, 3)?;
            check_eq!((map.len(), value(&map, 3)), (1, Some(3)));
            Ok(())
        })
    }

    /// What was handed out before a Clear, or a delete, stays what it was.
    #[test]
    fn references_outlive_their_keys() -> Result {
        counted(|| {
            let census = Census::take();
            let map = filled::<Good>(0..10, QUIET)?;
            let loaded = map.load(&Good::make(1));
            let copy = loaded.clone();
            let swapped = map.swap(Good::make(2), Tracked::make(20), GFP_KERNEL)?;
            let deleted = map.load_and_delete(&Good::make(1));
            let removed = map.compare_and_delete(&Good::make(3), &Tracked::make(3));
            map.clear(GFP_KERNEL)?;
            map.drain();
            map.drain();
            let number = |v: &Tracked| v.number();
            check_eq!(loaded.as_deref().map(number), Some(1));
            check_eq!(swapped.as_deref().map(number), Some(2));
            check_eq!(deleted.as_deref().map(number), Some(1));
            check_eq!(removed.as_deref().map(number), Some(3));
            check_eq!(census.more(), 3, "what is still referred to");

            // The last one to let go of a deleted value frees it.
            drop((swapped, deleted, removed));
            map.drain();
            check_eq!(census.more(), 1);
            check_eq!(copy.as_deref().map(number), Some(1));
            drop(loaded);
            check_eq!(census.more(), 1);
            drop(copy);
            check_eq!(census.more(), 0);
            Ok(())
        })
    }

    #[test]
    fn a_reader_sees_what_it_found_until_it_lets_go() -> Result {
        needs_two_processors!();
        counted(|| {
            let census = Census::take();
            let map = filled::<Good>(0..10, QUIET)?;
            let key = || Good::make(3);
            let delete = || {
                map.delete(&key());
                Ok(())
            };
            read_through(&map, &|| store(&map, 3, 4), &census)?;
            store(&map, 3, 3)?;
            read_through(&map, &delete, &census)?;
            store(&map, 3, 3)?;
            read_through(&map, &|| map.clear(GFP_KERNEL), &census)?;
            store(&map, 3, 3)?;
            // Expunged, and freed by the promotion.
            map.promote_now();
            read_through(
                &map,
                &|| {
                    map.delete(&key());
                    store(&map, 50, 50)?;
                    map.promote_now();
                    Ok(())
                },
                &census,
            )?;
            store(&map, 3, 3)?;
            read_through(
                &map,
                &|| {
                    map.delete(&key());
                    map.sweep();
                    Ok(())
                },
                &census,
            )
        })
    }

    /// A value made beforehand, which is not needed in the end.
    #[test]
    fn prepared_values() -> Result {
        counted(|| {
            let map = filled::<Good>(0..3, QUIET)?;
            let Ok(unused) = map.prepare(Tracked::make(5), GFP_KERNEL) else {
                return Err(ENOMEM);
            };
            check_eq!(unused.get().number(), 5);
            drop(unused);
            let Ok(value) = map.prepare(Tracked::make(6), GFP_ATOMIC) else {
                return Err(ENOMEM);
            };
            check_eq!(value.into_inner().number(), 6);
            let Ok(value) = map.prepare(Tracked::make(7), GFP_KERNEL) else {
                return Err(ENOMEM);
            };
            let mut seen = 0;
            let refused = map.compare_and_swap_prepared(&Good::make(1), value, |now| {
                seen = now.get().number();
                false
            });
            check_eq!(seen, 1);
            check_eq!(refused.err().map(|v| v.into_inner().number()), Some(7));
            Ok(())
        })
    }

    /// Pointers of the caller's own: what is displaced comes back, the rest is released once.
    #[test]
    fn borrowed_values() -> Result {
        static RELEASED: Atomic<usize> = Atomic::new(0);
        /// # Safety
        ///
        /// None is needed.
        unsafe extern "C" fn release(_: *mut c_void) {
            RELEASED.fetch_add(1usize, Relaxed);
        }
        let words = [0u64; 8];
        let pointer = |i: usize| Pointer::new(core::ptr::from_ref(&words[i]).cast_mut().cast());
        check_eq!(Pointer::new(core::ptr::null_mut()), Err(EINVAL));
        check_eq!(
            Pointer::new(core::ptr::without_provenance_mut(6)),
            Err(EINVAL)
        );
        let before = RELEASED.load(Relaxed);
        let released = || RELEASED.load(Relaxed) - before;
        // SAFETY: `release` does nothing with the pointers.
        let policy = unsafe { Borrowed::new(Some(release)) };
        let map = KBox::pin_init(
            Map::<Fixed<u64>, Borrowed>::with_policy(policy, QUIET, GFP_KERNEL),
            GFP_KERNEL,
        )?;
        for key in 0..4 {
            let old = map.swap_prepared(key, pointer(0)?, GFP_KERNEL)?;
            check!(old.is_none());
        }
        let old = map.swap_prepared(0, pointer(1)?, GFP_KERNEL)?;
        check_eq!(old, Some(pointer(0)?));
        let guard = rcu::read_lock();
        check_eq!(map.peek(&0, &guard), Some(pointer(1)?));
        check_eq!(map.peek(&9, &guard), None);
        drop(guard);
        let mut visits = 0;
        map.range_rcu(|key, value| {
            visits += 1 + usize::from(Ok(value) != pointer((*key == 0).into()));
            true
        });
        check_eq!(visits, 4);
        for (value, found) in [(5, Some(pointer(5)?)), (6, Some(pointer(5)?))] {
            match map.load_or_store_with(7, pointer(value)?, |seen| seen, GFP_KERNEL) {
                Ok(LoadOrStore::Loaded(seen, back)) => {
                    check_eq!((Some(seen), back), (found, pointer(value)?));
                }
                Ok(LoadOrStore::Stored) => check_eq!(value, 5),
                Err(error) => return Err(error.into()),
            }
        }
        check_eq!(map.load_and_delete(&7), Some(pointer(5)?));
        check_eq!(map.load_and_delete(&0), Some(pointer(1)?));
        let equal = |a| move |b| a == b;
        check_eq!(
            map.compare_and_swap_prepared(&1, pointer(3)?, equal(pointer(2)?)),
            Err(pointer(3)?)
        );
        check_eq!(
            map.compare_and_swap_prepared(&1, pointer(3)?, equal(pointer(0)?)),
            Ok(pointer(0)?)
        );
        check_eq!(
            map.compare_and_delete_with(&1, equal(pointer(3)?)),
            Some(pointer(3)?)
        );
        let old = map.swap_prepared(2, pointer(4)?, GFP_ATOMIC);
        check_eq!(old.ok(), Some(Some(pointer(0)?)));
        map.drain();
        check_eq!(released(), 0, "displaced pointers are their owner's");

        // The same where nothing may sleep; of keys in read, of keys in dirty, and of one that is
        // not there yet.
        for key in [2, 8, 99] {
            map.swap_prepared(8, pointer(4)?, GFP_KERNEL)?;
            let load_or_store = |value| {
                let look = |seen| seen;
                let stored = atomically(|| map.load_or_store_with(key, value, look, GFP_ATOMIC));
                Ok::<_, Error>(match stored? {
                    LoadOrStore::Loaded(seen, back) => Some((seen, back)),
                    LoadOrStore::Stored => None,
                })
            };
            let swap =
                |value, old| atomically(|| map.compare_and_swap_prepared(&key, value, equal(old)));
            let delete = |old| atomically(|| map.compare_and_delete_with(&key, equal(old)));
            let (old, new) = (pointer(4)?, pointer(6)?);
            if key == 99 {
                check_eq!(swap(old, new), Err(old));
                check_eq!(delete(old), None);
                check_eq!(load_or_store(old)?, None);
            }
            check_eq!(load_or_store(new)?, Some((old, new)));
            check_eq!(swap(new, old), Ok(old));
            check_eq!(swap(pointer(7)?, old), Err(pointer(7)?));
            check_eq!(delete(old), None);
            check_eq!(delete(new), Some(new));
            check_eq!(map.load_with(&key, |seen| seen), None);
            check_eq!(load_or_store(old)?, None);
            check_eq!(map.load_with(&key, |seen| seen), Some(old));
        }
        check_eq!(atomically(|| map.load_and_delete(&99)), Some(pointer(4)?));
        // What a walk makes of values, and of which it makes nothing.
        let mut visits = 0;
        let take = |seen: Pointer| (Ok(seen) == pointer(4)).then_some(seen);
        map.range_with(take, |key, taken| {
            visits += 1;
            Ok(*taken) == pointer(4) && (*key == 2 || *key == 8)
        });
        check_eq!(visits, 2);
        check_eq!(map.load_and_delete(&8), Some(pointer(4)?));

        map.clear(GFP_KERNEL)?;
        map.drain();
        check_eq!(released(), 2);
        map.swap_prepared(1, pointer(5)?, GFP_KERNEL)?;
        drop(map);
        check_eq!(released(), 3);

        // SAFETY: As above.
        let policy = unsafe { Borrowed::new(Some(release)) };
        let map = KBox::pin_init(
            Map::<Fixed<u64>, Borrowed>::with_policy(policy, QUIET, GFP_KERNEL),
            GFP_KERNEL,
        )?;
        map.swap_prepared(1, pointer(5)?, GFP_KERNEL)?;
        map.policy().mute();
        drop(map);
        check_eq!(released(), 3, "nothing is released after all");
        Ok(())
    }
}
