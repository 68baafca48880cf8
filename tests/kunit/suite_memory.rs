// SPDX-License-Identifier: GPL-2.0

//! Memory comes back, and every key and value is dropped exactly once.

use kernel::prelude::*;
use syncmap::range::Cursor;
use syncmap::Options;

use crate::keys::{Good, Number};
use crate::scaled;
use crate::support::{
    bytes, delete, eventually, fill, filled, has, leave_deleted, numbers, sleep, store, value,
    QUIET,
};
use crate::values::{counted, Census, Tracked};

#[kunit_tests(syncmap_memory)]
mod tests {
    use super::*;

    #[test]
    fn clear_gives_memory_back() -> Result {
        counted(|| {
            let map = numbers::<Good>(QUIET)?;
            let empty = bytes(&map);
            fill(&map, 0..10)?;
            map.clear(GFP_KERNEL)?;
            // An empty table is kept in reserve from the first Clear on.
            let level = bytes(&map);
            check!(level <= 2 * empty, "{} {}", level, empty);
            let keys = scaled(5000);
            for round in 0..3 {
                fill(&map, 0..keys)?;
                if round == 1 {
                    map.promote_now();
                    delete(&map, 0..100)?;
                    store(&map, keys + 1, 1)?;
                }
                check!(bytes(&map) > 10 * empty);
                map.clear(GFP_KERNEL)?;
                let now = bytes(&map);
                check!(now <= 3 * empty, "{} {} {}", now, level, empty);
            }
            check_eq!(map.stats().retired_bytes, 0);
            // Of many that are cleared at once, one is kept.
            for _ in 0..20 {
                fill(&map, 0..10)?;
                map.clear(GFP_KERNEL)?;
            }
            let now = bytes(&map);
            check!(now <= 3 * empty, "{} {}", now, empty);
            Ok(())
        })
    }

    #[test]
    fn deleted_keys_give_memory_back() -> Result {
        counted(|| {
            let keys = scaled(5000);
            let left = keys / 10;
            let map = filled::<Good>(0..keys, QUIET)?;
            let full = bytes(&map);
            delete(&map, left..keys)?;
            check_eq!(map.stats().read_slots as u64, keys);
            map.sweep();
            let stats = map.stats();
            let slots = left as usize;
            check_eq!(
                (stats.read_slots, stats.entries, stats.sweeps),
                (slots, slots, 1)
            );
            let now = bytes(&map);
            check!(now < full / 6, "{} {}", now, full);
            for key in 0..left {
                check_eq!(value(&map, key), Some(key));
            }
            delete(&map, 0..left)?;
            map.sweep();
            let empty = numbers::<Good>(QUIET)?;
            // A table need not be the smallest: it is replaced if it is four times as large as need be.
            check!(bytes(&map) <= 2 * bytes(&empty));
            Ok(())
        })
    }

    /// In all the places where a deleted key may be: in both tables, only in dirty, expunged.
    #[test]
    fn sweeps_every_kind_of_deleted_key() -> Result {
        counted(|| {
            let map = filled::<Good>(0..60, QUIET)?;
            delete(&map, 0..20)?;
            fill(&map, 60..120)?;
            delete(&map, 20..40)?;
            for key in 60..80 {
                let deleted = map.compare_and_delete(&Good::make(key), &Tracked::make(key));
                check!(deleted.is_some());
            }
            let stats = map.stats();
            check_eq!(
                (stats.read_slots, stats.dirty_slots, stats.entries),
                (60, 100, 60)
            );
            map.sweep();
            let stats = map.stats();
            check_eq!(
                (stats.read_slots, stats.dirty_slots, stats.entries),
                (20, 60, 60)
            );
            for key in 0..120 {
                let there = (40..60).contains(&key) || key >= 80;
                check_eq!(value(&map, key), there.then_some(key));
            }
            // All of them can come back.
            fill(&map, 0..120)?;
            map.promote_now();
            for key in 0..120 {
                check_eq!(value(&map, key), Some(key));
            }
            Ok(())
        })
    }

    /// While read is dirty, the entry of a key that is deleted goes at once; only segments that are nearly
    /// empty are left to the worker.
    #[test]
    fn removes_at_once() -> Result {
        counted(|| {
            let keys = scaled(1000).max(200);
            let left = keys / 10;
            let map = filled::<Good>(0..keys, Options::default())?;
            let full = bytes(&map);
            delete(&map, 0..1)?;
            let stats = map.stats();
            check_eq!((stats.read_slots as u64, stats.sweeps), (keys - 1, 0));
            // Keys that only dirty has, among others.
            fill(&map, keys..keys + 50)?;
            delete(&map, left..keys + 50)?;
            map.promote_now();
            check_eq!(map.stats().read_slots as u64, left - 1);
            has(&map, 1..left)?;
            check!(
                eventually(2000, || map.stats().bytes < full / 4),
                "segments do not come back"
            );
            has(&map, 1..left)
        })
    }

    /// About a second after the last delete, although nobody stores any more.
    #[test]
    fn sweeps_by_itself() -> Result {
        counted(|| {
            let map = filled::<Good>(0..40, Options::default())?;
            leave_deleted(&map, 0..3)?;
            sleep(300);
            check_eq!(map.stats().read_slots, 40, "too early");
            check!(eventually(2000, || map.stats().read_slots == 37), "never");
            // And once more.
            leave_deleted(&map, 3..6)?;
            check!(
                eventually(2000, || map.stats().read_slots == 34),
                "never again"
            );
            Ok(())
        })
    }

    /// At once, when deleted keys are more than a quarter.
    #[test]
    fn sweeps_early_when_there_is_much_to_sweep() -> Result {
        counted(|| {
            let keys = scaled(1000).max(200);
            let left = keys / 10;
            let map = filled::<Good>(0..keys, Options::default())?;
            let full = bytes(&map);
            leave_deleted(&map, left..keys)?;
            check!(
                eventually(700, || map.stats().read_slots as u64 <= keys * 3 / 4),
                "not early"
            );
            check!(
                eventually(2000, || map.stats().read_slots as u64 == left),
                "not all"
            );
            check!(bytes(&map) < full / 4);
            Ok(())
        })
    }

    /// Keys that come and go do not make the tables grow.
    #[test]
    fn churn_stays_small() -> Result {
        counted(|| {
            let map = filled::<Good>(0..100, Options::default())?;
            for key in 100..scaled(20_000) {
                store(&map, key, key)?;
                check!(map.delete(&Good::make(key - 100)));
            }
            check_eq!(map.len(), 100);
            map.sweep();
            let now = bytes(&map);
            drop(map);
            let map = filled::<Good>(0..100, QUIET)?;
            let fresh = bytes(&map);
            check!(now <= fresh * 5, "{} {}", now, fresh);
            Ok(())
        })
    }

    /// Values are replaced again and again; what awaits a grace period is freed meanwhile.
    #[test]
    fn overwritten_values_are_freed() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            let level = bytes(&map);
            for round in 0..scaled(20_000) {
                store(&map, round % 10, round)?;
            }
            check_eq!(bytes(&map), level);
            check_eq!(map.stats().retired_bytes, 0);
            Ok(())
        })
    }

    /// Keys are dropped as well: those that are stored, and those that turn out to be there already.
    /// Whether they are retired one by one or together, also if they are of different maps.
    #[test]
    fn displaced_values_are_freed() -> Result {
        counted(|| {
            let (map, other) = (filled(0..100, QUIET)?, filled(0..100, QUIET)?);
            let before = bytes(&map);
            let mut displaced = map.displaced();
            for key in 0..50 {
                for map in [&map, &other] {
                    let old = map.swap(Good::make(key), Tracked::make(key + 1), GFP_KERNEL)?;
                    displaced.push(old.ok_or(ENOENT)?);
                }
            }
            let (held, stats) = (displaced.bytes(), map.stats());
            check!(held > 0);
            check_eq!((stats.bytes, stats.retired_bytes), (before + held, 0));
            displaced.retire();
            check_eq!(displaced.bytes(), 0);
            check_eq!(bytes(&map), before);
            check_eq!(bytes(&other), before);
            let old = map.swap(Good::make(7), Tracked::make(9), GFP_KERNEL)?;
            displaced.push(old.ok_or(ENOENT)?);
            drop(displaced);
            check_eq!(bytes(&map), before);
            Ok(())
        })
    }

    #[test]
    fn keys_are_dropped_once() -> Result {
        counted(|| {
            let census = Census::take();
            let map = filled::<Tracked>(0..50, QUIET)?;
            check_eq!(census.more(), 100);
            (0..50).try_for_each(|key| store(&map, key, key))?;
            map.drain();
            check_eq!(census.more(), 100);
            for key in 0..25 {
                check!(map.delete(&Tracked::make(key)));
            }
            store(&map, 50, 50)?;
            map.drain();
            // The deleted keys are expunged, but still in read; with their values gone.
            check_eq!(census.more(), 102 - 25);
            map.promote_now();
            map.drain();
            check_eq!(census.more(), 52);
            let batch = map.walk(Cursor::Start).next_batch();
            map.clear(GFP_KERNEL)?;
            map.drain();
            let held = 2 * batch.pairs().count() as isize;
            check_eq!(census.more(), held);
            drop(batch);
            check_eq!(census.more(), 0);
            Ok(())
        })
    }

    /// A map that ends in the midst of everything.
    #[test]
    fn drop_in_every_state() -> Result {
        for what in 0..8 {
            counted(|| {
                let map = filled::<Good>(0..100, Options::default())?;
                delete(&map, 0..30)?;
                if what & 1 != 0 {
                    fill(&map, 100..120)?;
                    delete(&map, 30..40)?;
                    map.compare_and_delete(&Good::make(110), &Tracked::make(110));
                }
                if what & 2 != 0 {
                    map.clear(GFP_KERNEL)?;
                    fill(&map, 0..50)?;
                }
                if what & 4 != 0 {
                    map.load(&Good::make(45));
                    map.sweep();
                }
                drop(map.swap(Good::make(77), Tracked::make(1), GFP_KERNEL)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Many maps, most of them empty.
    /// Counts are exact while nothing is in flight, too when each processor counts by itself; and again
    /// after Clear, when an era is used once more.
    #[test]
    fn many_keys_are_counted() -> Result {
        const KEYS: u64 = 3000;
        counted(|| {
            let map = numbers::<Good>(QUIET)?;
            for _ in 0..3 {
                for keys in [KEYS, KEYS + 7] {
                    fill(&map, 0..keys)?;
                    check_eq!(
                        (map.len(), map.stats().entries),
                        (keys as usize, keys as usize)
                    );
                }
                delete(&map, 7..KEYS)?;
                check_eq!(map.len(), 14);
                map.clear(GFP_KERNEL)?;
                check_eq!(map.len(), 0);
                fill(&map, 0..10)?;
                check_eq!(map.len(), 10);
                map.clear(GFP_KERNEL)?;
                map.drain();
            }
            Ok(())
        })
    }

    #[test]
    fn maps_come_and_go() -> Result {
        counted(|| {
            for round in 0..30 {
                let map = numbers::<Good>(Options::default())?;
                fill(&map, 0..round % 7)?;
            }
            Ok(())
        })
    }
}
