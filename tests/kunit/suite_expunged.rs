// SPDX-License-Identifier: GPL-2.0

//! Entries that read has and dirty lacks: what becomes of many of them, from one promotion to the next,
//! and after Clear.
//!
//! A table that was read is retired with the list of those that were expunged while it was. Until that
//! is settled, a grace period later, they may be revived, promoted, deleted, and expunged once more.

use kernel::prelude::*;
use kernel::sync::Arc;
use syncmap::{Account, Options};

use crate::keys::{Constant, Good, Number};
use crate::scaled;
use crate::support::{
    audit, bytes, delete, fill, filled, has, numbers, shape, store, text, value, Numbers, Random,
    CROWDED,
};
use crate::threads::under_a_reader;
use crate::values::{counted, Census};

/// Options of a map that counts on an account.
fn on(account: &Arc<Account>) -> Options {
    Options {
        account: Some(account.clone()),
        ..CROWDED
    }
}

fn account() -> Result<Arc<Account>> {
    Arc::pin_init(Account::new(usize::MAX), GFP_KERNEL)
}

/// The numbers of new keys, of which each starts a dirty.
const STARTERS: core::ops::Range<u64> = 100_000..101_000;

/// Deletes keys, and expunges them: those that a new dirty copies the segments of, with so many others.
fn expunge<K: Number>(
    map: &Numbers<K>,
    keys: core::ops::Range<u64>,
    starters: core::ops::Range<u64>,
) -> Result<usize> {
    let before = map.stats().expunged;
    delete(map, keys)?;
    fill(map, starters)?;
    Ok(map.stats().expunged - before)
}

/// The entry of a key is Expunged, in a read table of its own, although the list that it is on has gone
/// with a table that was read before. Nothing of that has been settled, under a reader.
fn on_an_old_list(map: &Numbers<Good>, key: u64) -> Result {
    let mut starters = STARTERS;
    let mut start = || {
        let new = starters.next().ok_or(EINVAL)?;
        store(map, new, new)
    };
    delete(map, [key])?;
    start()?;
    check_eq!(text(&shape(map, key).0), "E-a");
    store(map, key, key)?;
    check_eq!(text(&shape(map, key).0), "LLa");
    map.promote_now();
    delete(map, [key])?;
    start()?;
    check_eq!(text(&shape(map, key).0), "E-a");
    Ok(())
}

/// What may come next for such an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Nothing,
    Revive,
    Promote,
    ReviveAndPromote,
    ReviveAndDelete,
    ReviveAndExpunge,
    Clear,
    ReviveAndClear,
    Sweep,
    ReviveDeleteAndSweep,
    DeleteTwice,
}

const ALL: [Next; 11] = [
    Next::Nothing,
    Next::Revive,
    Next::Promote,
    Next::ReviveAndPromote,
    Next::ReviveAndDelete,
    Next::ReviveAndExpunge,
    Next::Clear,
    Next::ReviveAndClear,
    Next::Sweep,
    Next::ReviveDeleteAndSweep,
    Next::DeleteTwice,
];

impl Next {
    /// Does it to a key; whether that has a value then.
    fn run(self, map: &Numbers<Good>, key: u64) -> Result<bool> {
        match self {
            Next::Nothing => return Ok(false),
            Next::Promote => map.promote_now(),
            Next::Clear => map.clear(GFP_KERNEL)?,
            Next::Sweep => {
                map.sweep();
                check_eq!(text(&shape(map, key).0), "--a", "swept");
            }
            _ => {
                store(map, key, key)?;
                check_eq!(text(&shape(map, key).0), "LLa", "revived");
            }
        }
        match self {
            Next::Revive => return Ok(true),
            Next::ReviveAndPromote => {
                map.promote_now();
                return Ok(true);
            }
            Next::ReviveAndDelete => delete(map, [key])?,
            Next::ReviveAndExpunge => {
                map.promote_now();
                delete(map, [key])?;
                let new = STARTERS.end;
                store(map, new, new)?;
                check_eq!(text(&shape(map, key).0), "E-a", "expunged once more");
            }
            Next::ReviveAndClear => map.clear(GFP_KERNEL)?,
            Next::ReviveDeleteAndSweep => {
                delete(map, [key])?;
                map.sweep();
                check_eq!(text(&shape(map, key).0), "--a", "swept");
            }
            Next::DeleteTwice => {
                delete(map, [key])?;
                map.sweep();
                // Another entry for the same key, while the first one is still on its list.
                store(map, key, key)?;
                map.promote_now();
                delete(map, [key])?;
            }
            _ => (),
        }
        Ok(false)
    }
}

/// What a program does between two grace periods, all of it while nothing is settled.
fn turn<K: Number>(map: &Numbers<K>, live: &mut [bool], random: &mut Random) -> Result {
    let keys = live.len() as u64;
    let steps = 5 + random.below(60);
    for _ in 0..steps {
        let key = random.below(keys);
        let there = &mut live[key as usize];
        match random.below(16) {
            0..7 => {
                store(map, key, key)?;
                *there = true;
            }
            7..13 => {
                check_eq!(map.delete(&K::make(key)), *there, "{}", key);
                *there = false;
            }
            13 | 14 => map.promote_now(),
            _ if random.below(4) == 0 => {
                map.clear(GFP_KERNEL)?;
                live.fill(false);
            }
            _ => map.sweep(),
        }
    }
    audit(map, live)
}

/// A program of so many turns, after each of which some or all of it is settled; and then the map ends.
fn program<K: Number>(keys: u64, turns: u64, seed: u64) -> Result {
    needs_two_processors!();
    counted(|| {
        let account = account()?;
        let map = numbers::<K>(on(&account))?;
        let empty = bytes(&map);
        let mut random = Random::new(crate::seed() + seed);
        let mut live = KVec::from_elem(false, keys as usize, GFP_KERNEL)?;
        for _ in 0..turns {
            let state = kernel::new_mutex!((&mut live, &mut random), "turn");
            let state = KBox::pin_init(state, GFP_KERNEL)?;
            under_a_reader(&|| {
                let (live, random) = &mut *state.lock();
                turn(&map, live, random)
            })?;
            drop(state);
            match random.below(3) {
                0 => map.drain(),
                1 => crate::support::sleep(1 + random.below(20) as i64),
                _ => (),
            }
            audit(&map, &live)?;
            for (key, live) in live.iter().enumerate() {
                let key = key as u64;
                check_eq!(value(&map, key), live.then_some(key), "{}", key);
            }
        }
        if seed % 2 == 0 {
            delete(&map, (0..keys).filter(|key| live[*key as usize]))?;
            map.sweep();
            check_eq!((bytes(&map), map.stats().retired_bytes), (empty, 0));
        }
        drop(map);
        check_eq!(account.bytes(), 0);
        Ok(())
    })
}

#[kunit_tests(syncmap_expunged)]
mod tests {
    use super::*;

    /// All of them are freed after a promotion, and what is left is what a map has that never had them.
    #[test]
    fn many_go_with_a_promotion() -> Result {
        counted(|| {
            let (census, account) = (Census::take(), account()?);
            let map = numbers::<Good>(on(&account))?;
            let empty = bytes(&map);
            let keys = scaled(4000).max(400);
            fill(&map, 0..keys)?;
            map.promote_now();
            let full = bytes(&map);
            let expunged = expunge(&map, 0..keys / 8 * 7, STARTERS)?;
            check!(expunged as u64 > keys / 2, "{}", expunged);
            let stats = map.stats();
            check_eq!(stats.read_slots as u64, keys);
            map.promote_now();
            let retired = map.stats().retired_bytes;
            check!(retired >= 32 * expunged, "{} {}", retired, expunged);
            check!(!map.stats().amended);
            map.drain();
            let stats = map.stats();
            check_eq!(stats.retired_bytes, 0);
            check_eq!(stats.read_slots, stats.entries + map_deleted(&map));
            check!(stats.bytes < full, "{} {}", stats.bytes, full);
            check_eq!(stats.bytes, account.bytes());
            has(&map, keys / 8 * 7..keys)?;
            has(&map, STARTERS)?;
            delete(&map, Iterator::chain(keys / 8 * 7..keys, STARTERS))?;
            map.sweep();
            check_eq!((bytes(&map), map.stats().retired_bytes), (empty, 0));
            check_eq!(census.more(), 0);
            drop(map);
            check_eq!(account.bytes(), 0);
            Ok(())
        })
    }

    /// Entries that are Deleted still, since their segments were not copied.
    fn map_deleted(map: &Numbers<Good>) -> usize {
        let mut deleted = 0;
        map.inspect(|_, _, state| {
            deleted += usize::from(state == syncmap::inspect::EntryState::Deleted);
        });
        deleted
    }

    /// The same by Clear, with some of them revived.
    #[test]
    fn many_go_with_a_clear() -> Result {
        counted(|| {
            let (census, account) = (Census::take(), account()?);
            let map = numbers::<Good>(on(&account))?;
            let empty = bytes(&map);
            let keys = scaled(4000).max(400);
            for round in 0..4 {
                fill(&map, 0..keys)?;
                map.promote_now();
                let expunged = expunge(&map, 0..keys / 8 * 7, STARTERS)?;
                check!(expunged as u64 > keys / 2, "{}", expunged);
                if round % 2 == 1 {
                    fill(&map, (0..keys / 2).step_by(2))?;
                }
                if round >= 2 {
                    // One list is of a table that was read, the other one of the last.
                    map.promote_now();
                    delete(&map, (0..keys / 2).step_by(2).filter(|_| round % 2 == 1))?;
                    fill(&map, STARTERS.end..STARTERS.end + 100)?;
                }
                map.clear(GFP_KERNEL)?;
                check_eq!((map.len(), map.is_empty()), (0, true));
                check_eq!((bytes(&map), map.stats().retired_bytes), (empty, 0));
                check_eq!(census.more(), 0);
            }
            drop(map);
            check_eq!(account.bytes(), 0);
            Ok(())
        })
    }

    /// With the map.
    #[test]
    fn many_go_with_the_map() -> Result {
        for promotes in [false, true] {
            counted(|| {
                let account = account()?;
                let map = numbers::<Good>(on(&account))?;
                let keys = scaled(4000).max(400);
                fill(&map, 0..keys)?;
                map.promote_now();
                expunge(&map, 0..keys / 8 * 7, STARTERS)?;
                fill(&map, (0..keys / 2).step_by(2))?;
                if promotes {
                    map.promote_now();
                    expunge(&map, 0..1, STARTERS.end..STARTERS.end + 100)?;
                }
                drop(map);
                check_eq!(account.bytes(), 0);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Revived, promoted, and expunged again, while all lists since the first one wait to be settled.
    #[test]
    fn lists_of_many_promotions() -> Result {
        needs_two_processors!();
        counted(|| {
            const KEYS: u64 = 400;
            let account = account()?;
            let map = numbers::<Good>(on(&account))?;
            let empty = bytes(&map);
            fill(&map, 0..KEYS)?;
            map.promote_now();
            for turn in 0..3 {
                // New ones each time.
                let starters = |round: u64| {
                    let first = STARTERS.start + 50 * (8 * turn + round);
                    first..first + 50
                };
                under_a_reader(&|| {
                    for round in 0..8 {
                        // One in so many stays away until the next round.
                        let back = |key: &u64| key % 8 != round;
                        let expunged = map.stats().expunged;
                        for key in 0..KEYS {
                            map.delete(&Good::make(key));
                        }
                        fill(&map, starters(round))?;
                        check!(map.stats().expunged - expunged > 100);
                        fill(&map, (0..KEYS).filter(back))?;
                        map.promote_now();
                        has(&map, (0..KEYS).filter(back))?;
                        for key in (0..KEYS).filter(|key| !back(key)) {
                            check_eq!(value(&map, key), None);
                        }
                        delete(&map, starters(round))?;
                    }
                    Ok(())
                })?;
                fill(&map, 0..KEYS)?;
                map.promote_now();
                has(&map, 0..KEYS)?;
                check_eq!(map.len() as u64, KEYS);
                map.drain();
                check_eq!(map.stats().retired_bytes, 0);
                has(&map, 0..KEYS)?;
            }
            map.sweep();
            let live = [true; KEYS as usize];
            audit(&map, &live)?;
            delete(&map, 0..KEYS)?;
            map.sweep();
            check_eq!(bytes(&map), empty);
            drop(map);
            check_eq!(account.bytes(), 0);
            Ok(())
        })
    }

    /// Whatever comes next for an entry that is Expunged, but on a list of some time ago: before that is
    /// settled, or after it.
    #[test]
    fn old_lists() -> Result {
        needs_two_processors!();
        for next in ALL {
            for settled in [false, true] {
                let result = counted(|| {
                    let account = account()?;
                    let map = filled::<Good>(0..20, on(&account))?;
                    under_a_reader(&|| {
                        on_an_old_list(&map, 3)?;
                        if !settled {
                            next.run(&map, 3)?;
                        }
                        Ok(())
                    })?;
                    if settled {
                        map.drain();
                        check_eq!(text(&shape(&map, 3).0), "E-a", "settled");
                        next.run(&map, 3)?;
                    }
                    let there = matches!(next, Next::Revive | Next::ReviveAndPromote);
                    let cleared = matches!(next, Next::Clear | Next::ReviveAndClear);
                    for _ in 0..2 {
                        check_eq!(value(&map, 3), there.then_some(3));
                        has(&map, (4..20).filter(|_| !cleared))?;
                        map.drain();
                    }
                    map.promote_now();
                    check_eq!(value(&map, 3), there.then_some(3));
                    store(&map, 3, 4)?;
                    check_eq!(value(&map, 3), Some(4));
                    map.clear(GFP_KERNEL)?;
                    let empty = numbers::<Good>(CROWDED)?;
                    check_eq!(bytes(&map), bytes(&empty));
                    drop(map);
                    check_eq!(account.bytes(), 0);
                    Ok(())
                });
                result.inspect_err(|_| {
                    crate::support::report(fmt!("{:?}, settled: {}", next, settled));
                })?;
                // The same, and the map ends at once.
                counted(|| {
                    let map = filled::<Good>(0..20, CROWDED)?;
                    under_a_reader(&|| {
                        on_an_old_list(&map, 3)?;
                        next.run(&map, 3).map(drop)
                    })
                })?;
            }
        }
        Ok(())
    }

    /// A sweep frees all that was deleted before it began, also what is on a list that is not settled.
    #[test]
    fn sweeps_what_old_lists_have() -> Result {
        needs_two_processors!();
        counted(|| {
            let census = Census::take();
            let map = filled::<Good>(0..60, CROWDED)?;
            let all = census.more();
            under_a_reader(&|| {
                for round in 0..3 {
                    delete(&map, 0..40)?;
                    store(&map, 1000 + round, 0)?;
                    check_eq!(text(&shape(&map, 3).0), "E-a");
                    if round < 2 {
                        fill(&map, 0..40)?;
                        map.promote_now();
                    }
                }
                check_eq!(map.stats().read_slots, 62);
                map.sweep();
                check_eq!(map.stats().read_slots, 22);
                for key in 0..40 {
                    check_eq!(text(&shape(&map, key).0), "--a", "{}", key);
                }
                has(&map, 40..60)
            })?;
            map.drain();
            check_eq!(census.more(), all - 40 + 3);
            has(&map, 40..60)
        })
    }

    #[test]
    fn programs() -> Result {
        (0..6).try_for_each(|seed| program::<Good>(30, scaled(30).max(10), seed))
    }

    #[test]
    fn programs_of_many_keys() -> Result {
        (0..4).try_for_each(|seed| program::<Good>(400, scaled(25).max(10), seed))
    }

    #[test]
    fn programs_with_a_constant_hash() -> Result {
        (0..4).try_for_each(|seed| program::<Constant>(100, scaled(25).max(10), seed))
    }
}
