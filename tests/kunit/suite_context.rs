// SPDX-License-Identifier: GPL-2.0

//! What may be called from anywhere, is: from interrupt handlers and from softirqs.
//!
//! That nothing sleeps there, and that no lock is taken in a way that could deadlock, is for the
//! kernel's own debugging to notice.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::rcu;
use syncmap::Options;

use crate::context::{in_hardirq, in_softirq};
use crate::keys::{Good, Number};
use crate::support::{eventually, filled, report, shape, store, text, value, Numbers, QUIET};
use crate::threads::{run_threads, Deadline};
use crate::values::{counted, Tracked};

type In = fn(&(dyn Fn() + Sync)) -> Result;

/// Runs something in both contexts, which must succeed there.
fn everywhere(test: impl Fn(In) -> Result) -> Result {
    counted(|| {
        test(in_hardirq)?;
        test(in_softirq)
    })
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
    check!(map.delete(&Good::make(0)));
    (40..50).try_for_each(|key| store(&map, key, key))?;
    check!(map.delete(&Good::make(1)));
    check_eq!(text(&shape(&map, 0).0), "E-a");
    check_eq!(text(&shape(&map, 1).0), "DDa");
    Ok(map)
}

fn try_store(map: &Numbers<Good>, key: u64, new: u64) -> Result<Option<u64>> {
    let Ok(prepared) = map.prepare(Tracked::make(new), GFP_ATOMIC) else {
        return Err(ENOMEM);
    };
    match map.try_store(&Good::make(key), prepared) {
        Ok(old) => Ok(old.map(|v| v.number())),
        Err(e) => {
            check_eq!(e.value.get().number(), new);
            Err(e.error)
        }
    }
}

#[kunit_tests(syncmap_context)]
mod tests {
    use super::*;

    #[test]
    fn lookups() -> Result {
        everywhere(|context| {
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
    fn misses_promote() -> Result {
        everywhere(|context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                for _ in 0..100 {
                    check_eq!(value(&map, 99), None);
                }
                Ok(())
            })?;
            check!(eventually(1000, || !map.stats().amended));
            check_eq!(map.len(), 48);
            Ok(())
        })
    }

    #[test]
    fn try_store_and_try_delete() -> Result {
        everywhere(|context| {
            let map = mixed(QUIET)?;
            check_in(context, &|| {
                // Live in both, live in dirty, deleted: done.
                check_eq!(try_store(&map, 5, 50), Ok(Some(5)));
                check_eq!(try_store(&map, 45, 450), Ok(Some(45)));
                check_eq!(try_store(&map, 1, 10), Ok(None));
                // Expunged, absent: refused.
                check_eq!(try_store(&map, 0, 7), Err(EAGAIN));
                check_eq!(try_store(&map, 99, 7), Err(EAGAIN));
                let deleted = |key| map.try_delete(&Good::make(key)).map(|v| v.number());
                check_eq!(deleted(6), Some(6));
                check_eq!(deleted(46), Some(46));
                check_eq!(deleted(6), None);
                check_eq!(deleted(0), None);
                check_eq!(deleted(99), None);
                Ok(())
            })?;
            for (key, expected) in [
                (0, None),
                (1, Some(10)),
                (5, Some(50)),
                (6, None),
                (45, Some(450)),
                (46, None),
            ] {
                check_eq!(value(&map, key), expected);
            }
            check_eq!(map.len(), 47);
            Ok(())
        })
    }

    /// Deletes ask for the sweep, which then runs by itself.
    #[test]
    fn deletes_are_swept() -> Result {
        everywhere(|context| {
            let map = filled::<Good>(0..100, Options::default())?;
            check_in(context, &|| {
                for key in 0..60 {
                    check!(map.try_delete(&Good::make(key)).is_some());
                }
                Ok(())
            })?;
            check!(eventually(2500, || map.stats().read_slots == 40));
            Ok(())
        })
    }

    /// While another thread has the mutex again and again, and is interrupted there.
    #[test]
    fn together_with_threads() -> Result {
        counted(|| {
            let map = mixed(Options::default())?;
            let deadline = Deadline::new(1000);
            run_threads(3, &|number| {
                let mut round = 0;
                while deadline.is_ahead() {
                    round += 1;
                    if number == 0 {
                        let key = 1000 + round % 50;
                        store(&map, key, key)?;
                        map.delete(&Good::make(1000 + (round + 7) % 50));
                        if round % 100 == 0 {
                            map.promote_now();
                        }
                        continue;
                    }
                    let context = if number == 1 { in_hardirq } else { in_softirq };
                    check_in(context, &|| {
                        for key in 10..20 {
                            let found = value(&map, key);
                            check!(found.is_some(), "{} is gone", key);
                            check!(try_store(&map, key, key).is_ok());
                        }
                        for key in 1000..1050 {
                            drop(map.try_delete(&Good::make(key)));
                        }
                        Ok(())
                    })?;
                }
                if number == 0 {
                    report(fmt!("{} rounds", round));
                }
                Ok(())
            })
        })
    }
}
