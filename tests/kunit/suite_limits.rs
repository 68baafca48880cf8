// SPDX-License-Identifier: GPL-2.0

//! Limits: what exceeds them is refused, comes back, and has changed nothing.

use kernel::prelude::*;
use kernel::sync::Arc;
use syncmap::quota::edquot;
use syncmap::{Account, Limits, Options};

use crate::keys::{Constant, Good, Number};
use crate::program::{Answer, Op, Step, Subject};
use crate::support::{dump, numbers, report, store, value, Numbers, QUIET};
use crate::values::counted;

fn limited<K: Number>(limits: Limits) -> Result<Pin<KBox<Numbers<K>>>> {
    numbers(Options { limits, ..QUIET })
}

fn step(op: Op, key: u64, new: u64) -> Step {
    Step {
        op,
        key,
        old: key,
        new,
    }
}

/// The operation is refused with this error, and nothing changes.
fn refused<K: Number>(map: &Numbers<K>, op: Op, key: u64, error: Error) -> Result {
    map.drain();
    let before = dump(map)?;
    let result = map.run(&step(op, key, 5), GFP_KERNEL);
    let after = dump(map)?;
    let unchanged = before == after;
    if !unchanged || result != Err(error) {
        report(fmt!("{:?} of {}: {:?}", op, key, result));
        report(fmt!("{:?} {} {}", before.dirty, before.len, before.bytes));
        report(fmt!("{:?} {} {}", after.dirty, after.len, after.bytes));
    }
    check_eq!(result, Err(error));
    check!(unchanged, "a refused operation has changed something");
    Ok(())
}

const STORES: [Op; 3] = [Op::Store, Op::Swap, Op::LoadOrStore];

#[kunit_tests(syncmap_limits)]
mod tests {
    use super::*;

    /// Two maps share an account: what one has, the other cannot have.
    #[test]
    fn account() -> Result {
        let account = Arc::new(Account::new(1 << 16), GFP_KERNEL)?;
        let shared = || {
            numbers::<Good>(Options {
                account: Some(account.clone()),
                ..QUIET
            })
        };
        let fill = |map: &Numbers<Good>| -> Result<u64> {
            for key in 0.. {
                match store(map, key, key) {
                    Err(error) if error == edquot() => return Ok(key),
                    done => done?,
                }
            }
            Ok(0)
        };
        counted(|| {
            let (one, two) = (shared()?, shared()?);
            let bytes = |map: &Numbers<Good>| map.stats().bytes;
            check_eq!(account.bytes(), bytes(&one) + bytes(&two));
            let first = fill(&one)?;
            check!(first > 200);
            check!(fill(&two)? < first / 10);
            refused(&two, Op::Store, 5000, edquot())?;
            check_eq!(account.bytes(), bytes(&one) + bytes(&two));
            check!(account.bytes() <= 1 << 16);
            one.clear(GFP_KERNEL)?;
            one.drain();
            check!(fill(&two)? > first / 2);
            // Nor do more maps, but for a few small ones.
            let mut more = KVec::new();
            let refused = loop {
                match shared() {
                    Ok(map) => more.push(map, GFP_KERNEL)?,
                    Err(error) => break error,
                }
                check!(more.len() < 64);
            };
            check_eq!(refused, edquot());
            drop((one, more));
            check_eq!(account.bytes(), bytes(&two));
            Ok(())
        })?;
        check_eq!(account.bytes(), 0);
        Ok(())
    }

    #[test]
    fn entries() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                entries: 10,
                ..Limits::NONE
            })?;
            (0..10).try_for_each(|key| store(&map, key, key))?;
            // Whether a dirty exists already, or would have to be made.
            for round in 0..2 {
                for op in STORES {
                    refused(&map, op, 10, edquot())?;
                }
                // What is there may be replaced, and found.
                let loaded = map.run(&step(Op::LoadOrStore, 3, 30), GFP_KERNEL)?;
                check_eq!(loaded, Answer::Value(if round == 0 { 3 } else { 30 }));
                store(&map, 3, 30)?;
                check_eq!(map.len(), 10);
                map.promote_now();
            }
            // Room for one: it may be the same key, or another.
            check!(map.delete(&Good::make(4)));
            store(&map, 11, 11)?;
            refused(&map, Op::Store, 4, edquot())?;
            check!(map.delete(&Good::make(11)));
            store(&map, 4, 4)?;
            check_eq!((map.len(), value(&map, 4)), (10, Some(4)));
            map.clear(GFP_KERNEL)?;
            (20..30).try_for_each(|key| store(&map, key, key))?;
            refused(&map, Op::Swap, 3, edquot())
        })
    }

    /// Deleted and expunged entries, which would only have to be revived.
    #[test]
    fn entries_that_come_back() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                entries: 10,
                ..Limits::NONE
            })?;
            (0..10).try_for_each(|key| store(&map, key, key))?;
            map.promote_now();
            check!(map.delete(&Good::make(0)));
            check!(map.delete(&Good::make(1)));
            // 0 and 1 are expunged by this.
            store(&map, 10, 10)?;
            check!(map.delete(&Good::make(2)));
            store(&map, 11, 11)?;
            check!(map.try_delete(&Good::make(11)).is_some());
            store(&map, 12, 12)?;
            store(&map, 13, 13)?;
            check_eq!(map.len(), 10);
            // 0 expunged, 2 deleted in both, 11 deleted in dirty, 50 absent.
            for key in [0, 2, 11, 50] {
                for op in STORES {
                    refused(&map, op, key, edquot())?;
                }
            }
            let Ok(new) = map.prepare(crate::values::Tracked::make(9), GFP_KERNEL) else {
                return Err(ENOMEM);
            };
            let back = map.try_store(&Good::make(2), new).err().ok_or(EINVAL)?;
            check_eq!(
                (back.error, back.value.into_inner().number()),
                (edquot(), 9)
            );
            Ok(())
        })
    }

    #[test]
    fn bytes() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits {
                bytes: 20_000,
                ..Limits::NONE
            })?;
            let mut keys = 0;
            let error = loop {
                match store(&map, keys, keys) {
                    Ok(()) => keys += 1,
                    Err(error) => break error,
                }
                check!(map.stats().bytes <= 20_000 && keys < 1000);
            };
            check_eq!(error, edquot());
            check!(keys > 20);
            for op in STORES {
                refused(&map, op, keys, edquot())?;
            }
            check_eq!(map.len(), keys as usize);
            for key in 0..keys {
                check_eq!(value(&map, key), Some(key));
            }
            // Deleting makes room: a store that needs it sweeps, and waits.
            for key in 0..keys / 2 {
                check!(map.delete(&Good::make(key)));
            }
            store(&map, keys, keys)?;
            map.clear(GFP_KERNEL)?;
            (0..20).try_for_each(|key| store(&map, key, key))
        })
    }

    /// Every limit of bytes that a store could meet, while it has a table to make: it works, or it
    /// changes nothing.
    #[test]
    fn bytes_run_out_anywhere() -> Result {
        counted(|| {
            let fill = |bytes| -> Result<Pin<KBox<Numbers<Constant>>>> {
                let map = limited::<Constant>(Limits {
                    bytes,
                    ..Limits::NONE
                })?;
                // Just before a table of the least size is full.
                (0..16).try_for_each(|key| store(&map, key, key))?;
                map.drain();
                Ok(map)
            };
            let level = fill(usize::MAX)?.stats().bytes;
            let mut maps = KVec::new();
            let mut refusals = 0;
            for more in (0..1500).step_by(60) {
                maps.push(fill(level + more)?, GFP_KERNEL)?;
                let map = maps.last().ok_or(EINVAL)?;
                let before = dump(map)?;
                match map.run(&step(Op::Store, 16, 16), GFP_ATOMIC) {
                    Ok(_) => check_eq!((map.len(), value(map, 16)), (17, Some(16))),
                    Err(error) => {
                        check_eq!(error, edquot());
                        check!(dump(map)? == before);
                        refusals += 1;
                    }
                }
            }
            check!(0 < refusals && refusals < maps.len(), "{}", refusals);
            Ok(())
        })
    }

    /// What awaits a grace period counts; who may sleep waits for it, and who may not is refused.
    #[test]
    fn bytes_that_are_about_to_come_back() -> Result {
        counted(|| {
            let map = limited::<Good>(Limits::NONE)?;
            (0..8).try_for_each(|key| store(&map, key, key))?;
            map.promote_now();
            map.drain();
            let full = dump(&map)?.bytes;
            drop(map);
            let map = limited::<Good>(Limits {
                bytes: full + 4000,
                ..Limits::NONE
            })?;
            (0..8).try_for_each(|key| store(&map, key, key))?;
            for round in 0..500 {
                store(&map, round % 8, round)?;
                check!(map.stats().bytes <= full + 4000);
            }
            // Here nothing can be freed between the stores.
            let guard = kernel::sync::rcu::read_lock();
            let mut failed = None;
            for round in 0..500 {
                match map.run(&step(Op::Swap, round % 8, round), GFP_ATOMIC) {
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
            }
            drop(guard);
            check_eq!(failed, Some(edquot()));
            store(&map, 1, 1)
        })
    }

    #[test]
    fn chain() -> Result {
        counted(|| {
            let map = limited::<Constant>(Limits {
                chain: 4,
                ..Limits::NONE
            })?;
            let mut keys = 0;
            let error = loop {
                match store(&map, keys, keys) {
                    Ok(()) => keys += 1,
                    Err(error) => break error,
                }
                check!(keys < 100);
            };
            check_eq!(error, E2BIG);
            // Six to a bucket; the bucket that would be one too many is not filled.
            check!(keys >= 4 * 6, "{}", keys);
            for op in STORES {
                refused(&map, op, keys, E2BIG)?;
            }
            (0..keys).try_for_each(|key| store(&map, key, key + 1))?;
            for key in 0..keys {
                check_eq!(value(&map, key), Some(key + 1));
            }
            Ok(())
        })
    }

    /// Good keys never notice.
    #[test]
    fn chain_of_good_keys() -> Result {
        let map = limited::<Good>(Limits {
            chain: 8,
            ..Limits::NONE
        })?;
        let keys = crate::scaled(20_000);
        (0..keys).try_for_each(|key| store(&map, key, key))?;
        check_eq!(map.len() as u64, keys);
        Ok(())
    }
}
