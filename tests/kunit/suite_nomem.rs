// SPDX-License-Identifier: GPL-2.0

//! Running out of memory: every allocation of every operation fails once.
//!
//! By `fail_nth` of the current task, which is what `/proc/self/fail-nth` sets: the n-th allocation
//! fails. It must not be one that may sleep (those are exempt unless debugfs says otherwise), hence
//! `GFP_NOWAIT`, and it must not warn, or else the log is full of traces. Needs `CONFIG_FAILSLAB`.

use kernel::alloc::flags::__GFP_NOWARN;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu;
use kernel::task::Task;
use syncmap::Options;

use crate::context::atomically;
use crate::keys::{Constant, Good, Number};
use crate::program::{Answer, Op, Step, Subject};
use crate::states::{map_in, step_of, OLD, STATES};
use crate::support::{dump, filled, has, value, Dump, Numbers, QUIET, SEGMENT};
use crate::values::{counted, Tracked};

fn nowait() -> Flags {
    GFP_NOWAIT | __GFP_NOWARN
}

/// Runs a step where it is to be called.
fn run(map: &Numbers<impl Number>, step: &Step) -> Result<Answer> {
    match step.atomic {
        true => atomically(|| map.run(step, GFP_ATOMIC | __GFP_NOWARN)),
        false => map.run(step, nowait()),
    }
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

/// How many allocations there are for each that one asks for: kmemleak makes one of its own.
fn stride() -> Result<u32> {
    let (first, hit) = failing(1, || KBox::new(0u64, nowait()));
    check!(
        hit && first.is_err(),
        "no allocation fails: is CONFIG_FAILSLAB set?"
    );
    Ok(1 + u32::from(failing(2, || KBox::new(0u64, nowait())).1))
}

/// The numbers of the allocations of an object, among all that are made when objects and memory of all
/// processors are allocated in this `order`: for that memory, only kmemleak's counts.
fn objects(order: &[Part]) -> Result<impl Iterator<Item = u32> + use<'_>> {
    let stride = stride()?;
    Ok(order
        .iter()
        .scan(1, move |next, part| {
            let (number, of) = (*next, *part);
            *next += match of {
                Part::Object => stride,
                Part::PerCpu => stride - 1,
            };
            Some((number, of))
        })
        .filter(|(_, of)| *of == Part::Object)
        .map(|(number, _)| number))
}

/// What is allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Object,
    PerCpu,
}

/// An era, a table, and its segment.
const TABLE: [Part; 3] = [Part::Object; 3];

type Boxed<K> = Pin<KBox<Numbers<K>>>;

/// Lets each allocation of a step fail, until there are no more. Returns how often it failed; otherwise
/// it must have had this answer.
///
/// Where a single failure is made up for (the kernel tries twice for memory that might come from
/// vmalloc), it goes on with the next map.
fn fail_each<K: Number>(
    make: impl Fn() -> Result<Boxed<K>>,
    step: &Step,
    expected: Answer,
    maps: &mut KVec<Boxed<K>>,
) -> Result<usize> {
    let stride = stride()?;
    let mut failures = 0;
    let mut before: Option<Dump> = None;
    for n in 0..20 {
        if before.is_none() {
            let map = make()?;
            map.drain();
            before = Some(dump(&map)?);
            maps.push(map, GFP_KERNEL)?;
        }
        let map = maps.last().ok_or(EINVAL)?;
        match failing(1 + n * stride, || run(map, step)) {
            (Err(ENOMEM), true) => {
                failures += 1;
                check!(
                    Some(dump(map)?) == before,
                    "{:?} has failed, and changed something",
                    step.op
                );
            }
            (answer, hit) => {
                check_eq!(answer, Ok(expected));
                if !hit {
                    return Ok(failures);
                }
                before = None;
            }
        }
    }
    Err(EINVAL)
}

/// The operation in all states: fails cleanly so often in each, and then works.
fn in_all_states(
    op: Op,
    old: u64,
    failures: [[usize; 9]; 2],
    answer: impl Fn(&str) -> Answer,
) -> Result {
    counted(|| {
        let mut maps = KVec::new();
        for atomic in [false, true] {
            let step = step_of(op, atomic, old);
            for (apart, failures) in [false, true].into_iter().zip(failures) {
                for ((state, ..), expected) in STATES.iter().zip(failures) {
                    let make = || map_in(state, apart);
                    let failed = fail_each(make, &step, answer(state), &mut maps)?;
                    check_eq!(failed, expected, "{}", state);
                }
            }
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

/// What a store allocates: always a value; for a key that is new in dirty an entry; and for one that
/// starts a dirty, if that is a table apart, its head and a segment.
const STORE: [[usize; 9]; 2] = [[2, 2, 1, 1, 1, 1, 1, 1, 2], [4, 2, 1, 1, 1, 1, 1, 1, 2]];

/// `load_or_store` allocates nothing for a value that it finds in read.
const LOAD_OR_STORE: [[usize; 9]; 2] = [[2, 2, 0, 0, 1, 1, 1, 1, 2], [4, 2, 0, 0, 1, 1, 1, 1, 2]];

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
        in_all_states(Op::LoadOrStore, 0, LOAD_OR_STORE, |state| {
            match found(state) {
                Answer::Absent => Answer::Stored,
                found => found,
            }
        })
    }

    #[test]
    fn compare_and_swap() -> Result {
        in_all_states(Op::CompareAndSwap, OLD, [[1; 9]; 2], |state| {
            match found(state) {
                Answer::Absent => Answer::Refused,
                found => found,
            }
        })
    }

    /// Lookups, deletes and walks allocate nothing.
    #[test]
    fn what_needs_no_memory() -> Result {
        const OPS: [Op; 9] = [
            Op::Get,
            Op::Load,
            Op::Len,
            Op::CompareAndDelete,
            Op::LoadAndDelete,
            Op::Range,
            Op::RangeRcu,
            Op::Batches,
            Op::Promote,
        ];
        counted(|| {
            for first in 3..6 {
                for (state, ..) in STATES {
                    let map = map_in(state, false)?;
                    for op in OPS.iter().skip(if first == 3 { 0 } else { first }) {
                        let step = step_of(*op, false, OLD);
                        let (result, hit) = failing(1, || map.run(&step, nowait()));
                        result?;
                        check!(!hit, "{:?} of {}", op, state);
                    }
                }
            }
            Ok(())
        })
    }

    /// The store that finds a segment full, the first one and the next. With a constant hash it is
    /// known when.
    #[test]
    fn growth() -> Result {
        counted(|| {
            let mut maps = KVec::new();
            for full in [7, SEGMENT, 2 * SEGMENT] {
                let step = Step {
                    op: Op::Store,
                    atomic: false,
                    key: full,
                    old: 0,
                    new: full,
                };
                let make = || {
                    let map = filled::<Constant>(0..5, QUIET)?;
                    (5..full).try_for_each(|key| crate::support::store(&map, key, key))?;
                    Ok(map)
                };
                // Value, entry, and a segment.
                check_eq!(fail_each(make, &step, Answer::Done, &mut maps)?, 3);
                let map = maps.last().ok_or(EINVAL)?;
                for key in 0..full + 1 {
                    check_eq!(value(map, key), Some(key));
                }
            }
            Ok(())
        })
    }

    /// Clear has a table in reserve. Until that comes back, one that may not sleep fails cleanly.
    #[test]
    fn clear() -> Result {
        counted(|| {
            let map = filled::<Good>(0..10, QUIET)?;
            let fill = || -> Result {
                for key in 0..10 {
                    map.store(Good::make(key), Tracked::make(key), GFP_ATOMIC)?;
                }
                Ok(())
            };
            for _ in 0..20 {
                for n in objects(&TABLE)? {
                    map.drain();
                    fill()?;
                    // Nothing comes back before the end of the section.
                    let guard = rcu::read_lock();
                    let (first, hit) = failing(n, || map.clear(nowait()));
                    check_eq!((first, hit, map.len()), (Ok(()), true, 0));
                    fill()?;
                    let (second, hit) = failing(n, || map.clear(nowait()));
                    check_eq!((second, hit, map.len()), (Err(ENOMEM), true, 10));
                    drop(guard);
                    has(&map, 0..10)?;
                }
                map.clear(GFP_KERNEL)?;
                check_eq!(map.len(), 0);
            }
            Ok(())
        })
    }

    /// Clear of a map whose keys have been deleted has nothing to do, and needs no memory.
    #[test]
    fn clear_of_nothing() -> Result {
        counted(|| {
            let map = filled::<Good>(0..7, Options::default())?;
            map.clear(GFP_KERNEL)?;
            check_eq!(map.len(), 0);
            let guard = rcu::read_lock();
            for key in 0..5 {
                map.store(Good::make(key), Tracked::make(key), GFP_ATOMIC)?;
                check_eq!(map.delete(&Good::make(key)), true);
                check_eq!(failing(1, || map.clear(nowait())).0, Ok(()));
                check_eq!(map.len(), 0);
            }
            drop(guard);
            Ok(())
        })
    }

    /// Making a map: fails cleanly, and then works.
    #[test]
    fn making_a_map() -> Result {
        counted(|| {
            // The map, the counter of its bytes, two tables, and one that is too many.
            let mut order = KVec::new();
            order.extend_from_slice(&[Part::Object, Part::Object, Part::PerCpu], GFP_KERNEL)?;
            order.extend_from_slice(&TABLE, GFP_KERNEL)?;
            order.extend_from_slice(&TABLE, GFP_KERNEL)?;
            order.push(Part::Object, GFP_KERNEL)?;
            let mut left = objects(&order)?.count();
            for n in objects(&order)? {
                let (result, hit) = failing(n, || {
                    KBox::pin_init(Numbers::<Good>::new(QUIET, nowait()), nowait())
                });
                left -= 1;
                match result {
                    Ok(map) => check_eq!((map.len(), hit, left), (0, false, 0)),
                    Err(error) => check_eq!((error, hit), (ENOMEM, true)),
                }
            }
            check_eq!(left, 0);
            Ok(())
        })
    }
}
