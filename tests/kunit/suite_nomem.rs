// SPDX-License-Identifier: GPL-2.0

//! Running out of memory: every allocation of every operation fails once.
//!
//! By `fail_nth` of the current task, which is what `/proc/self/fail-nth` sets: the n-th allocation
//! fails. It must not be one that may sleep (those are exempt unless debugfs says otherwise), hence
//! `GFP_NOWAIT`, and it must not warn, or else the log is full of traces. Needs `CONFIG_FAILSLAB`.

use kernel::alloc::flags::__GFP_NOWARN;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::task::Task;

use crate::keys::Good;
use crate::program::{Answer, Op, Step, Subject};
use crate::suite_states::{map_in, KEY, NEW, OLD, STATES};
use crate::support::{dump, filled, report, value, Numbers, QUIET};
use crate::values::counted;

fn nowait() -> Flags {
    GFP_NOWAIT | __GFP_NOWARN
}

/// Calls `f` with the n-th allocation failing; its result, and whether there was an n-th.
fn failing<T>(n: u32, f: impl FnOnce() -> T) -> (T, bool) {
    let task = Task::current_raw();
    // SAFETY: Only the current task itself uses the field.
    unsafe { (*task).fail_nth = n };
    let result = f();
    // SAFETY: As above.
    let left = unsafe { core::mem::replace(&mut (*task).fail_nth, 0) };
    (result, left == 0)
}

/// Lets each allocation of a step fail, until it succeeds without having used them all up: then it must
/// answer what it should. Returns how often it failed.
fn fail_each(map: &Numbers<Good>, step: &Step) -> Result<(Answer, usize)> {
    let before = dump(map)?;
    let mut failures = 0;
    for n in 1..100 {
        let (result, hit) = failing(n, || map.run(step, nowait()));
        match result {
            Err(ENOMEM) => {
                check!(hit);
                failures += 1;
                check!(
                    dump(map)? == before,
                    "a failed {:?} has changed something",
                    step.op
                );
            }
            Err(error) => return Err(error),
            // The allocation that failed may have been one of the kernel's own debugging.
            Ok(answer) => {
                if hit {
                    report(fmt!("allocation {} of {:?} is not the map's", n, step.op));
                }
                return Ok((answer, failures));
            }
        }
    }
    Err(EINVAL)
}

/// The operation in all states: fails cleanly at least so often in each, and then works.
fn in_all_states(
    op: Op,
    old: u64,
    failures: [usize; 9],
    answer: impl Fn(&str) -> Answer,
) -> Result {
    counted(|| {
        for ((state, ..), least) in STATES.iter().zip(failures) {
            let map = map_in(state)?;
            let step = Step {
                op,
                key: KEY,
                old,
                new: NEW,
            };
            let (got, failed) = fail_each(&map, &step)?;
            check_eq!(got, answer(state), "{}", state);
            check!(failed >= least, "{} failed only {} times", state, failed);
        }
        Ok(())
    })
}

fn found(state: &str) -> Answer {
    if state.contains('L') {
        Answer::Value(OLD)
    } else {
        Answer::Absent
    }
}

/// What a store allocates: always a value; for a key that needs the mutex an entry; and for one that
/// starts a dirty a table, which is two allocations.
const STORE: [usize; 9] = [4, 2, 1, 1, 1, 1, 1, 1, 2];

#[kunit_tests(syncmap_nomem)]
mod tests {
    use super::*;

    #[test]
    fn store() -> Result {
        in_all_states(Op::Store, 0, STORE, |_| Answer::Done)
    }

    #[test]
    fn swap() -> Result {
        in_all_states(Op::Swap, 0, STORE, found)
    }

    #[test]
    fn load_or_store() -> Result {
        in_all_states(Op::LoadOrStore, 0, STORE, |state| match found(state) {
            Answer::Absent => Answer::Stored,
            found => found,
        })
    }

    #[test]
    fn compare_and_swap() -> Result {
        in_all_states(Op::CompareAndSwap, OLD, [1; 9], |state| {
            match found(state) {
                Answer::Absent => Answer::Refused,
                found => found,
            }
        })
    }

    #[test]
    fn try_store() -> Result {
        in_all_states(Op::TryStore, 0, [1; 9], |state| match state {
            "--." | "--a" | "E-a" => Answer::Again,
            state => found(state),
        })
    }

    /// Lookups, deletes, walks and sweeps allocate nothing.
    #[test]
    fn what_needs_no_memory() -> Result {
        counted(|| {
            for op in [
                Op::Get,
                Op::Load,
                Op::LoadAndDelete,
                Op::CompareAndDelete,
                Op::TryDelete,
                Op::Range,
                Op::Batches,
                Op::Promote,
                Op::Len,
            ] {
                for (state, ..) in STATES {
                    let map = map_in(state)?;
                    let step = Step {
                        op,
                        key: KEY,
                        old: OLD,
                        new: NEW,
                    };
                    let (result, hit) = failing(1, || map.run(&step, nowait()));
                    result?;
                    check!(!hit, "{:?} of {}", op, state);
                }
            }
            Ok(())
        })
    }

    /// Stores that make a dirty larger, one by one.
    #[test]
    fn growth() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            let mut tables = 0;
            for key in 10..80 {
                let step = Step {
                    op: Op::Store,
                    key,
                    old: 0,
                    new: key,
                };
                let (_, failures) = fail_each(&map, &step)?;
                check!(failures >= 2);
                tables += usize::from(failures > 2);
            }
            check!(tables >= 3, "{}", tables);
            for key in 0..80 {
                check_eq!(value(&map, key), Some(key));
            }
            Ok(())
        })
    }

    /// Clear does not fail: it has a table in reserve, or waits for one.
    #[test]
    fn clear() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            // Puts a table in reserve.
            map.clear(GFP_KERNEL)?;
            map.drain();
            for round in 0..20 {
                for key in 0..10 {
                    map.store(
                        crate::keys::Number::make(key),
                        crate::values::Tracked::make(round),
                        GFP_KERNEL,
                    )?;
                }
                for n in 1..4 {
                    let (result, _) = failing(n, || map.clear(nowait()));
                    result?;
                    check_eq!(map.len(), 0);
                }
            }
            Ok(())
        })
    }

    /// Making a map: fails cleanly, and then works.
    #[test]
    fn making_a_map() -> Result {
        counted(|| {
            for n in 1..20 {
                let (result, hit) = failing(n, || {
                    KBox::pin_init(Numbers::<Good>::new(QUIET, nowait()), nowait())
                });
                match result {
                    Ok(map) => {
                        check_eq!(map.len(), 0);
                        check!(!hit && n > 3, "{}", n);
                        return Ok(());
                    }
                    Err(error) => check_eq!(error, ENOMEM),
                }
            }
            Err(EINVAL)
        })
    }
}
