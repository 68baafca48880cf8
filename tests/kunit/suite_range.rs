// SPDX-License-Identifier: GPL-2.0

//! Walks, by callback and in batches, with changes in between.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::range::{Cursor, Visit};
use syncmap::value::{Borrowed, Pointer};

use crate::context::atomically;
use crate::keys::{Constant, Good, Number, Truncated};
use crate::support::{filled, numbers, sleep, store, value, Numbers, Random, CROWDED, QUIET};
use crate::values::counted;

/// Counts visits of keys.
struct Visits(KVec<u8>);

impl Visits {
    fn of(keys: usize) -> Result<Self> {
        Ok(Visits(KVec::from_elem(0, keys, GFP_KERNEL)?))
    }

    fn add(&mut self, key: u64) {
        if let Some(n) = self.0.get_mut(key as usize) {
            *n += 1;
        }
    }

    /// Whether each of these keys was visited so many times.
    fn all(&self, keys: core::ops::Range<usize>, times: impl Fn(u8) -> bool) -> bool {
        self.0
            .get(keys)
            .is_some_and(|keys| keys.iter().all(|n| times(*n)))
    }
}

/// Walks a map of so many keys, in all ways.
fn walk<K: Number>(keys: u64) -> Result {
    counted(|| {
        let map = filled::<K>(0..keys, QUIET)?;
        let mut visits = Visits::of(keys as usize)?;
        let mut wrong = 0;
        map.range(|key, value| {
            wrong += usize::from(key.number() != value.number());
            visits.add(key.number());
            true
        });
        check_eq!(wrong, 0);
        check!(visits.all(0..keys as usize, |n| n == 1));

        let mut visits = Visits::of(keys as usize)?;
        let mut seen = 0;
        map.range_rcu(|key, value| {
            wrong += usize::from(key.number() != value.get().number());
            visits.add(key.number());
            seen += 1;
            seen < keys
        });
        check_eq!((wrong, seen), (0, keys));
        check!(visits.all(0..keys as usize, |n| n == 1));

        // In batches, each of which is the last or not empty.
        let mut visits = Visits::of(keys as usize)?;
        let mut batch = map.walk(Cursor::Start).next_batch();
        loop {
            let mut last = None;
            for (key, value) in batch.pairs() {
                check_eq!(key.number(), value.number());
                visits.add(key.number());
                last = Some(K::make(key.number()));
            }
            let Some(last) = last.filter(|_| !batch.is_last()) else {
                break;
            };
            batch = map.walk(Cursor::Key(&last)).next_batch();
        }
        check!(batch.is_last());
        check!(visits.all(0..keys as usize, |n| n == 1));
        Ok(())
    })
}

/// A walk over 500 keys, with `change` called for each of them with the map and the key.
fn changing<K: Number>(change: impl Fn(&Numbers<K>, u64) -> Result) -> Result<Visits> {
    let map = filled::<K>(0..500, CROWDED)?;
    let mut visits = Visits::of(2000)?;
    let mut result = Ok(());
    map.range(|key, _| {
        visits.add(key.number());
        result = change(&map, key.number());
        result.is_ok()
    });
    result?;
    Ok(visits)
}

/// A walk by sections of random length, during which other keys come and go.
fn sections_of<K: Number>(seed: u64) -> Result {
    counted(|| {
        let mut random = Random::new(seed);
        let keys = [3, 6, 7, 8, 20, 90, 300, 700][random.below(8) as usize];
        let map = filled::<K>(0..keys, CROWDED)?;
        let mut visits = Visits::of(4000)?;
        let mut walk = map.walk(Cursor::Start);
        let mut newer = 1000;
        while !walk.is_over() {
            let mut left = random.below(40);
            let stops = random.below(2) == 0 && left > 0;
            let mut ended = 0;
            walk.section(usize::MAX, |key, _| {
                ended += usize::from(left == 0);
                if left == 0 && stops {
                    return Visit::Stop;
                }
                visits.add(key.number());
                match left.checked_sub(1) {
                    Some(rest) => {
                        left = rest;
                        Visit::Next
                    }
                    None => Visit::Last,
                }
            });
            check!(ended <= 1, "goes on after its end");
            for _ in 0..random.below(12) {
                let other = K::make(1000 + random.below(newer - 999));
                match random.below(9) {
                    0 => map.sweep(),
                    1 => map.promote_now(),
                    2 => drop(map.load_and_delete(&other)),
                    3 => drop(atomically(|| map.load_and_delete(&other))),
                    _ if newer < 1700 => {
                        store(&map, newer, newer)?;
                        newer += 1;
                    }
                    _ => {}
                }
            }
        }
        check!(
            visits.all(0..keys as usize, |n| n == 1),
            "{} {}",
            seed,
            keys
        );
        check!(visits.all(1000..1700, |n| n <= 1), "{} {}", seed, keys);
        Ok(())
    })
}

#[kunit_tests(syncmap_range)]
mod tests {
    use super::*;

    #[test]
    fn every_key_once() -> Result {
        for keys in [0, 1, 2, 15, 16, 17, 32, 33, 100, crate::scaled(5000)] {
            walk::<Good>(keys)?;
        }
        Ok(())
    }

    #[test]
    fn every_key_once_with_bad_hashes() -> Result {
        for keys in [1, 16, 17, 32, 33, 200] {
            walk::<Constant>(keys)?;
            walk::<Truncated>(keys)?;
        }
        Ok(())
    }

    #[test]
    fn stops_when_told() -> Result {
        let map = filled::<Good>(0..100, QUIET)?;
        for stop in [1, 2, 16, 17, 50] {
            let mut visits = 0;
            map.range(|_, _| {
                visits += 1;
                visits < stop
            });
            check_eq!(visits, stop);
            let mut visits = 0;
            map.range_rcu(|_, _| {
                visits += 1;
                visits < stop
            });
            check_eq!(visits, stop);
        }
        Ok(())
    }

    #[test]
    fn nested() -> Result {
        counted(|| {
            let map = filled::<Good>(0..40, QUIET)?;
            let (mut outer, mut inner) = (0, 0);
            map.range(|_, _| {
                outer += 1;
                map.range(|_, _| {
                    inner += 1;
                    true
                });
                true
            });
            check_eq!((outer, inner), (40, 1600));
            Ok(())
        })
    }

    #[test]
    fn callback_stores_new_keys() -> Result {
        counted(|| {
            let visits = changing::<Good>(|map, key| {
                if key < 500 {
                    store(map, key + 500, key)?;
                    store(map, key, key)?;
                }
                Ok(())
            })?;
            check!(visits.all(0..500, |n| n == 1));
            check!(visits.all(500..1000, |n| n <= 1));
            Ok(())
        })
    }

    #[test]
    fn callback_stores_new_keys_of_the_same_hash() -> Result {
        counted(|| {
            let visits = changing::<Constant>(|map, key| match key {
                0..100 => store(map, key + 600, key),
                _ => Ok(()),
            })?;
            check!(visits.all(0..500, |n| n == 1));
            // Keys of one hash come in their own order.
            check!(visits.all(600..700, |n| n == 1));
            Ok(())
        })
    }

    #[test]
    fn callback_deletes_what_it_visits() -> Result {
        counted(|| {
            let visits = changing::<Good>(|map, key| {
                check!(map.delete(&Good::make(key)));
                if key % 50 == 0 {
                    map.sweep();
                }
                Ok(())
            })?;
            check!(visits.all(0..500, |n| n == 1));
            Ok(())
        })
    }

    /// The same in a read-side section, where nothing may sleep.
    #[test]
    fn callback_deletes_under_rcu() -> Result {
        counted(|| {
            for constant in [false, true] {
                let mut visits = Visits::of(500)?;
                let mut wrong = 0;
                let mut visit = |deleted: bool, key| {
                    wrong += usize::from(!deleted);
                    visits.add(key);
                    true
                };
                if constant {
                    let map = filled::<Constant>(0..500, CROWDED)?;
                    map.range_rcu(|key, _| visit(map.delete(key), key.number()));
                    check_eq!(map.len(), 0);
                } else {
                    let map = filled::<Good>(0..500, QUIET)?;
                    map.range_rcu(|key, _| visit(map.delete(key), key.number()));
                    check_eq!(map.len(), 0);
                }
                check_eq!(wrong, 0);
                check!(visits.all(0..500, |n| n == 1));
            }
            Ok(())
        })
    }

    #[test]
    fn callback_deletes_all_others() -> Result {
        counted(|| {
            let map = filled::<Good>(0..500, QUIET)?;
            let mut visits = 0;
            map.range(|key, _| {
                for other in (0..500).filter(|other| *other != key.number()) {
                    map.delete(&Good::make(other));
                }
                visits += 1;
                true
            });
            // Those of the batch had been found before.
            check!((1..=32).contains(&visits), "{}", visits);
            check!(map.len() <= 1);
            Ok(())
        })
    }

    #[test]
    fn callback_clears() -> Result {
        counted(|| {
            let map = filled::<Good>(0..500, QUIET)?;
            let mut visits = Visits::of(1000)?;
            let mut result = Ok(());
            let mut first = true;
            map.range(|key, value| {
                visits.add(key.number());
                if core::mem::take(&mut first) {
                    result = map
                        .clear(GFP_KERNEL)
                        .and_then(|()| (500..1000).try_for_each(|key| store(&map, key, key)));
                    map.drain();
                }
                value.number() == key.number()
            });
            result?;
            check!(visits.all(0..1000, |n| n <= 1));
            check!(!visits.all(500..1000, |n| n == 0));
            check_eq!(map.len(), 500);
            Ok(())
        })
    }

    /// A callback may sleep, and what it holds up is its own batch, no more (I7).
    #[test]
    fn callback_sleeps() -> Result {
        counted(|| {
            let map = filled::<Good>(0..100, QUIET)?;
            let mut result = Ok(());
            let mut first = true;
            map.range(|_, value| {
                let before = value.number();
                if core::mem::take(&mut first) {
                    result = (|| {
                        for round in 1..10 {
                            (0..100).try_for_each(|key| store(&map, key, 1000 + round))?;
                        }
                        sleep(20);
                        map.drain();
                        check_eq!(map.stats().retired_bytes, 0);
                        Ok(())
                    })();
                }
                value.number() == before
            });
            result
        })
    }

    #[test]
    fn promotes_first() -> Result {
        let map = filled::<Good>(0..10, QUIET)?;
        store(&map, 10, 10)?;
        let promotions = map.stats().promotions;
        let mut amended = 0;
        map.range(|_, _| {
            amended += usize::from(map.stats().amended);
            true
        });
        check_eq!(amended, 0);
        check_eq!(map.stats().promotions, promotions + 1);
        map.range(|_, _| true);
        check_eq!(map.stats().promotions, promotions + 1);
        Ok(())
    }

    /// The order does not depend on the table.
    #[test]
    fn order_survives_growth_and_shrinking() -> Result {
        let more = 200 + crate::scaled(2800);
        let map = filled::<Good>(0..200, QUIET)?;
        let order = || -> Result<KVec<u64>> {
            let mut keys = KVec::with_capacity(200, GFP_KERNEL)?;
            let mut lost = false;
            map.range(|key, _| {
                if key.number() < 200 {
                    lost |= keys.push_within_capacity(key.number()).is_err();
                }
                true
            });
            check!(!lost);
            Ok(keys)
        };
        let before = order()?;
        check_eq!(before.len(), 200);
        (200..more).try_for_each(|key| store(&map, key, key))?;
        check!(*order()? == *before);
        for key in 200..more {
            check!(map.delete(&Good::make(key)));
        }
        map.sweep();
        check!(*order()? == *before);
        Ok(())
    }

    /// The cursor's key need not be there any more, nor ever have been.
    #[test]
    fn cursor_keys_may_be_absent() -> Result {
        let map = filled::<Good>((0..100).map(|key| key * 2), QUIET)?;
        for cursor in 0..200 {
            let mut left = 0;
            let key = Good::make(cursor);
            let mut batch = map.walk(Cursor::Key(&key)).next_batch();
            loop {
                let mut last = None;
                for (key, _) in batch.pairs() {
                    check!(key.number() != cursor);
                    left += 1;
                    last = Some(Good::make(key.number()));
                }
                let Some(last) = last else { break };
                batch = map.walk(Cursor::Key(&last)).next_batch();
            }
            check!(left <= 100);
        }
        Ok(())
    }

    /// A batch is its holder's: neither Clear nor the sweep takes it away.
    #[test]
    fn batches_outlive_their_keys() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            let batch = map.walk(Cursor::Start).next_batch();
            map.delete(&Good::make(1));
            map.sweep();
            map.clear(GFP_KERNEL)?;
            map.drain();
            let mut n = 0;
            for (key, value) in batch.pairs() {
                check_eq!(key.number(), value.number());
                n += 1;
            }
            check_eq!(n, 10);
            drop(batch);
            check_eq!(value(&map, 1), None);
            Ok(())
        })
    }

    #[test]
    fn empty_maps() -> Result {
        let map = numbers::<Good>(QUIET)?;
        let batch = map.walk(Cursor::Start).next_batch();
        check!(batch.is_last() && batch.pairs().next().is_none());
        map.range(|_, _| false);
        Ok(())
    }

    /// Sections that end anywhere, behind a pair or before it, with changes in between.
    #[test]
    fn sections() -> Result {
        for seed in 0..100 {
            sections_of::<Good>(seed)?;
            sections_of::<Truncated>(seed)?;
        }
        for seed in 0..20 {
            sections_of::<Constant>(seed)?;
        }
        Ok(())
    }

    /// Walks hold a key, not a value: a pointer of the caller's is released by the worker.
    #[test]
    fn walk_holds_no_value() -> Result {
        static RELEASED: Atomic<usize> = Atomic::new(0);
        unsafe extern "C" fn release(_: *mut kernel::ffi::c_void) {
            RELEASED.fetch_add(1usize, Relaxed);
        }
        let words = [0u64; 4];
        // SAFETY: `release` does nothing with the pointers.
        let policy = unsafe { Borrowed::new(Some(release)) };
        let map = KBox::pin_init(
            Map::<Fixed<u64>, Borrowed>::with_policy(policy, QUIET, GFP_KERNEL),
            GFP_KERNEL,
        )?;
        for (key, word) in words.iter().enumerate() {
            let word = Pointer::new(core::ptr::from_ref(word).cast_mut().cast())?;
            map.swap_prepared(key as u64, word, GFP_KERNEL)?;
        }
        let mut walk = map.walk(Cursor::Start);
        walk.section(usize::MAX, |_, _| Visit::Last);
        map.clear(GFP_KERNEL)?;
        map.drain();
        map.drain();
        check_eq!(RELEASED.load(Relaxed), words.len());
        drop(walk);
        check_eq!(RELEASED.load(Relaxed), words.len());
        Ok(())
    }
}
