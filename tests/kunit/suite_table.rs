// SPDX-License-Identifier: GPL-2.0

//! Tables: growth, full chains, slots that are used again, shrinking.

use kernel::prelude::*;
use syncmap::api::CopyOrRef;
use syncmap::inspect::Where;
use syncmap::ByteMap;

use crate::keys::{Constant, Good, Number, Truncated};
use crate::support::{
    audit, bytes, delete, eventually, fill, filled, has, numbers, store, value, Numbers, CROWDED,
    QUIET, SEGMENT, SEGMENT_BYTES,
};
use crate::values::counted;

/// All keys of a range are there, each once, and their neighbours are not.
fn has_just<K: Number>(map: &Numbers<K>, keys: core::ops::Range<u64>) -> Result {
    for key in keys.clone() {
        check_eq!(value(map, key), Some(key));
    }
    check_eq!(value(map, keys.end), None);
    check_eq!(map.len() as u64, keys.end - keys.start);
    // The lookups may just have had dirty promoted.
    check!(eventually(500, || {
        let mut places = (0, 0);
        map.inspect(|place, _, _| match place {
            Where::Read => places.0 += 1,
            Where::Dirty => places.1 += 1,
        });
        let stats = map.stats();
        (stats.read_slots, stats.dirty_slots) == places
    }));
    Ok(())
}

/// A table that grows from nothing, looked at now and then.
fn grow<K: Number>(keys: u64, every: u64) -> Result {
    counted(|| {
        let map = numbers::<K>(CROWDED)?;
        for key in 0..keys {
            store(&map, key, key)?;
            if key % every == 0 {
                has_just(&map, 0..key + 1)?;
            }
        }
        map.promote_now();
        has_just(&map, 0..keys)
    })
}

#[kunit_tests(syncmap_table)]
mod tests {
    use super::*;

    #[test]
    fn grows() -> Result {
        let keys = crate::scaled(20_000);
        grow::<Good>(keys, keys / 10)
    }

    #[test]
    fn grows_one_by_one() -> Result {
        grow::<Good>(200, 1)
    }

    #[test]
    fn grows_with_a_truncated_hash() -> Result {
        grow::<Truncated>(600, 37)
    }

    #[test]
    fn grows_with_a_constant_hash() -> Result {
        grow::<Constant>(300, 1)
    }

    /// A bad hash costs time, but memory only in proportion.
    #[test]
    fn bad_hashes_do_not_waste_memory() -> Result {
        let good = filled::<Good>(0..500, QUIET)?;
        let bad = filled::<Constant>(0..500, CROWDED)?;
        let (good, bad) = (good.stats().bytes, bad.stats().bytes);
        check!(bad <= good * 4, "{} {}", bad, good);
        Ok(())
    }

    /// Slots of swept keys are used again, also in the middle of chains.
    #[test]
    fn slots_are_used_again() -> Result {
        counted(|| {
            let map = filled::<Constant>(0..60, QUIET)?;
            map.drain();
            let level = map.stats().bytes;
            for round in 0..50 {
                let key = round % 60;
                check!(map.delete(&Constant::make(key)));
                map.sweep();
                check_eq!(value(&map, key), None);
                for other in (0..60).filter(|other| *other != key) {
                    check_eq!(value(&map, other), Some(other));
                }
                store(&map, key, key)?;
                map.promote_now();
            }
            map.drain();
            check_eq!(map.stats().bytes, level);
            has_just(&map, 0..60)
        })
    }

    #[test]
    fn shrinks() -> Result {
        counted(|| {
            let map = filled::<Good>(0..crate::scaled(4000), QUIET)?;
            let mut left = crate::scaled(4000);
            while left > 4 {
                let fewer = left / 4;
                for key in fewer..left {
                    check!(map.delete(&Good::make(key)));
                }
                left = fewer;
                map.sweep();
                has_just(&map, 0..left)?;
            }
            map.drain();
            check!(map.stats().bytes < 4000);
            // And grows again.
            (left..1000).try_for_each(|key| store(&map, key, key))?;
            has_just(&map, 0..1000)
        })
    }

    #[test]
    fn shrinks_with_a_constant_hash() -> Result {
        counted(|| {
            let map = filled::<Constant>(0..300, CROWDED)?;
            for key in 20..300 {
                check!(map.delete(&Constant::make(key)));
            }
            map.sweep();
            has_just(&map, 0..20)
        })
    }

    /// Two tables that share their entries: what changes in one changes in the other.
    #[test]
    fn tables_share_entries() -> Result {
        counted(|| {
            let map = filled::<Good>(0..100, QUIET)?;
            (100..200).try_for_each(|key| store(&map, key, key))?;
            has_just(&map, 0..200)?;
            (0..200).try_for_each(|key| store(&map, key, key + 1))?;
            for key in 0..200 {
                check_eq!(value(&map, key), Some(key + 1));
            }
            map.promote_now();
            for key in 0..200 {
                check_eq!(value(&map, key), Some(key + 1));
            }
            Ok(())
        })
    }

    /// The memory of a map from which most keys were deleted is that of one that never had them, but for
    /// segments that are between being merged and being split: of the four that 250 keys need, one is
    /// in two parts once in two hundred times.
    #[test]
    fn memory_is_that_of_a_fresh_map() -> Result {
        counted(|| {
            let empty = bytes(&*numbers::<Good>(QUIET)?);
            for (keys, left) in [(3000, 250), (10_000, 1000), (20_000, 2000), (20_000, 200)] {
                let map = filled::<Good>(0..keys, QUIET)?;
                delete(&map, left..keys)?;
                map.sweep();
                has_just(&map, 0..left)?;
                let fresh = filled::<Good>(0..left, QUIET)?;
                let (now, fresh) = (bytes(&map), bytes(&fresh));
                check!(
                    now <= fresh * 11 / 10 + 2 * SEGMENT_BYTES,
                    "{} {} {} {}",
                    keys,
                    left,
                    now,
                    fresh
                );

                delete(&map, 0..left)?;
                map.sweep();
                check_eq!(bytes(&map), empty);
                fill(&map, 0..keys)?;
                map.clear(GFP_KERNEL)?;
                check_eq!(bytes(&map), empty);
            }
            Ok(())
        })
    }

    /// A map of a few keys is small, and becomes so again.
    #[test]
    fn small() -> Result {
        counted(|| {
            for apart in [false, true] {
                let map = numbers::<Good>(QUIET)?;
                let empty = bytes(&map);
                check!(empty < 800, "{}", empty);
                fill(&map, 0..7)?;
                map.promote_now();
                has_just(&map, 0..7)?;
                let small = bytes(&map);
                check!(small < empty + 7 * 100, "{} {}", empty, small);
                let mut live = [true; 100];
                live[7..].fill(false);
                if apart {
                    delete(&map, 2..6)?;
                    live[2..6].fill(false);
                }
                // One more than it has room for, unless the deleted ones are left out.
                store(&map, 7, 7)?;
                live[7] = true;
                audit(&map, &live)?;
                check_eq!(map.stats().expunged, if apart { 4 } else { 0 });
                check!(bytes(&map) > small + 512);
                fill(&map, 0..60)?;
                live[..60].fill(true);
                audit(&map, &live)?;
                map.promote_now();
                audit(&map, &live)?;
                delete(&map, 3..60)?;
                live[3..60].fill(false);
                map.sweep();
                audit(&map, &live)?;
                check!(bytes(&map) < small, "{} {}", bytes(&map), small);
                has_just(&map, 0..3)?;
            }
            Ok(())
        })
    }

    /// A key that is newer than read, in the table that both are: it is counted apart, through splits
    /// and removals.
    #[test]
    fn dirty_in_place() -> Result {
        counted(|| {
            let map = filled::<Good>(0..50, QUIET)?;
            let mut live = KVec::from_elem(true, 2000, GFP_KERNEL)?;
            live[50..].fill(false);
            for key in 50..2000 {
                store(&map, key, key)?;
                live[key as usize] = true;
                if key % 3 == 0 {
                    // From dirty alone, where it is unlinked at once; and from both.
                    delete(&map, [key, key / 50])?;
                    live[key as usize] = false;
                    live[key as usize / 50] = false;
                    store(&map, key / 50, key / 50)?;
                    live[key as usize / 50] = true;
                }
                if key % 97 == 0 {
                    audit(&map, &live)?;
                }
            }
            let stats = map.stats();
            check_eq!((stats.read_slots, stats.expunged), (50, 0));
            audit(&map, &live)?;
            map.promote_now();
            audit(&map, &live)
        })
    }

    /// The store that starts a dirty needs the same few bytes, however large the map is.
    #[test]
    fn dirty_starts_small() -> Result {
        counted(|| {
            let mut most = [0; 3];
            for (keys, most) in [200, 2000, 20_000].into_iter().zip(&mut most) {
                let map = filled::<Good>(0..keys, QUIET)?;
                for key in keys..keys + 50 {
                    map.sweep();
                    // Nothing but an entry and a value, or a split, if nothing is to be left out.
                    let before = bytes(&map);
                    store(&map, key, key)?;
                    check!(bytes(&map) - before <= 2304, "{}", bytes(&map) - before);
                    map.promote_now();
                    delete(&map, [key - keys])?;
                    let before = bytes(&map);
                    store(&map, key + 50, key)?;
                    check!(map.stats().amended);
                    *most = (bytes(&map) - before).max(*most);
                    map.promote_now();
                }
            }
            // Two segments, if one is split first; a table, an entry, a value; and a node per level,
            // with 256 places unless it is small.
            let limit = if cfg!(syncmap_small_nodes) {
                4000
            } else {
                6000
            };
            check!(
                most.iter().all(|most| *most >= 1024 && *most < limit),
                "{:?}",
                most
            );
            Ok(())
        })
    }

    /// Of all keys that are deleted, the new dirty expunges those in the segment that a new key is for.
    #[test]
    fn dirty_shares_what_it_does_not_change() -> Result {
        counted(|| {
            let keys = 3000;
            let map = filled::<Good>(0..keys, QUIET)?;
            let mut live = KVec::from_elem(true, keys as usize + 200, GFP_KERNEL)?;
            live[keys as usize..].fill(false);
            delete(&map, 0..keys / 2)?;
            live[..keys as usize / 2].fill(false);
            let mut last = 0;
            for key in keys..keys + 100 {
                store(&map, key, key)?;
                live[key as usize] = true;
                let expunged = map.stats().expunged;
                check!(expunged - last <= SEGMENT as usize, "{}", expunged);
                last = expunged;
                audit(&map, &live)?;
            }
            check!(last > 100 && last < keys as usize / 2, "{}", last);
            // New keys are not in read, whatever nodes and segments they have been put into.
            let mut early = 0;
            map.inspect(|place, key, _| {
                early += usize::from(place == Where::Read && key.number() >= keys);
            });
            check_eq!(early, 0);
            // Half of the deleted ones come back, from either state; the others are swept.
            fill(&map, 0..keys / 4)?;
            live[..keys as usize / 4].fill(true);
            audit(&map, &live)?;
            map.sweep();
            audit(&map, &live)?;
            map.promote_now();
            audit(&map, &live)?;
            has(&map, Iterator::chain(0..keys / 4, keys / 2..keys + 100))
        })
    }

    /// Keys and values of all lengths, empty ones included.
    #[test]
    fn bytes_of_all_lengths() -> Result {
        let map = KBox::pin_init(ByteMap::new_bytes(QUIET, GFP_KERNEL), GFP_KERNEL)?;
        let bytes = KVec::from_elem(0x5au8, 5000, GFP_KERNEL)?;
        let key_of = |len: usize| bytes.get(..len).ok_or(EINVAL);
        for len in 0..600 {
            let value = map.prepare_bytes(len * 8, GFP_KERNEL, |to| {
                to.fill(len as u8);
                Ok(())
            })?;
            check!(map
                .swap_prepared(key_of(len)?, value, GFP_KERNEL)?
                .is_none());
        }
        for len in 0..600 {
            let value = map.load(key_of(len)?).ok_or(ENOENT)?;
            check_eq!(value.len(), len * 8);
            check!(value.iter().all(|byte| *byte == len as u8));
        }
        check!(map.load(key_of(600)?).is_none());
        let mut sum = 0;
        map.range(|key, value| {
            sum += key.len();
            key.len() * 8 == value.len()
        });
        check_eq!(sum, 600 * 599 / 2);

        // Writing a value may fail; then there is none.
        map.drain();
        let before = map.stats().bytes;
        let failed = map.prepare_bytes(100, GFP_KERNEL, |_| Err(EFAULT));
        check_eq!(failed.err(), Some(EFAULT));
        check_eq!(map.stats().bytes, before);
        // Or return other bytes than those that it was given, which is no proof of anything.
        let other = map.prepare_uninit_bytes(100, GFP_KERNEL, |_| Ok(&mut []));
        check_eq!(other.err(), Some(EINVAL));
        check_eq!(map.stats().bytes, before);
        Ok(())
    }

    /// Values are copied as far as there is room for them; larger ones are referred to.
    #[test]
    fn copies_of_values() -> Result {
        let map = KBox::pin_init(ByteMap::new_bytes(QUIET, GFP_KERNEL), GFP_KERNEL)?;
        let mut space = [0; 64];
        check!(map.load_copy(b"key", &mut space).is_none());
        for len in 0..130u8 {
            let value = map.prepare_bytes(len.into(), GFP_KERNEL, |to| {
                to.fill(len);
                Ok(())
            })?;
            drop(map.swap_prepared(b"key", value, GFP_KERNEL)?);
            let loaded = map.load_copy(b"key", &mut space).ok_or(ENOENT)?;
            check_eq!(matches!(loaded, CopyOrRef::Copy(_)), len <= 64);
            check_eq!(loaded.len(), usize::from(len));
            check!(loaded.iter().all(|byte| *byte == len));
        }
        // The lookup that makes it due promotes.
        check_eq!(map.stats().promotions, 1);
        Ok(())
    }
}
