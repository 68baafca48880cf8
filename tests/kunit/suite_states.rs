// SPDX-License-Identifier: GPL-2.0

//! Every operation, in every state that a key can be in.

use kernel::prelude::*;

use crate::keys::Good;
use crate::program::{Answer, Op, Step, Subject};
use crate::states::{map_in, step_of, KEY, NEW, OLD, OTHERS, STATES};
use crate::support::{report, shape, text, value, Numbers};
use Answer::*;

/// A case: the shape of the key (see [`shape`]), what the operation answers, and then the shape, the
/// misses, the `len(dirty)` and the number of keys afterwards.
type Case = (&'static str, Answer, &'static str, usize, usize, usize);

/// What is left as it is.
const fn same(answers: [Answer; 9], misses: [usize; 9]) -> [Case; 9] {
    let mut cases = [("", Done, "", 0, 0, 0); 9];
    let mut i = 0;
    while i < 9 {
        let (state, _, count, len) = STATES[i];
        cases[i] = (state, answers[i], state, misses[i], count, len);
        i += 1;
    }
    cases
}

const HIT: Answer = Value(OLD);
/// What a lookup finds in each state, and the misses after it.
const FOUND: [Answer; 9] = [
    Absent, Absent, HIT, HIT, HIT, Absent, Absent, Absent, Absent,
];
const MISSED: [usize; 9] = [0, 1, 0, 0, 1, 0, 0, 2, 0];
const NO_MISS: [usize; 9] = [0, 0, 0, 0, 0, 0, 0, 1, 0];
/// `compare_and_swap` counts a miss only if the key has an entry in dirty alone.
const MISSED_IF_THERE: [usize; 9] = [0, 0, 0, 0, 1, 0, 0, 2, 0];

const fn swapped(answers: [Answer; 9], misses: [usize; 9]) -> [Case; 9] {
    [
        ("--.", answers[0], "-La", misses[0], 5, 5),
        ("--a", answers[1], "-La", misses[1], 6, 6),
        ("L-.", answers[2], "L-.", misses[2], 0, 5),
        ("LLa", answers[3], "LLa", misses[3], 6, 6),
        ("-La", answers[4], "-La", misses[4], 6, 6),
        ("D-.", answers[5], "L-.", misses[5], 0, 5),
        ("DDa", answers[6], "LLa", misses[6], 6, 6),
        ("-Da", answers[7], "-La", misses[7], 6, 6),
        ("E-a", answers[8], "LLa", misses[8], 6, 6),
    ]
}

const fn deleted(answers: [Answer; 9]) -> [Case; 9] {
    [
        ("--.", answers[0], "--.", 0, 0, 4),
        ("--a", answers[1], "--a", 1, 5, 5),
        ("L-.", answers[2], "D-.", 0, 0, 4),
        ("LLa", answers[3], "DDa", 0, 6, 5),
        ("-La", answers[4], "--a", 1, 5, 5),
        ("D-.", answers[5], "D-.", 0, 0, 4),
        ("DDa", answers[6], "DDa", 0, 6, 5),
        ("-Da", answers[7], "--a", 2, 5, 5),
        ("E-a", answers[8], "E-a", 0, 5, 5),
    ]
}

/// Whatever promotes dirty.
const fn promoted(answer: Answer) -> [Case; 9] {
    [
        ("--.", answer, "--.", 0, 0, 4),
        ("--a", answer, "--.", 0, 0, 5),
        ("L-.", answer, "L-.", 0, 0, 5),
        ("LLa", answer, "L-.", 0, 0, 6),
        ("-La", answer, "L-.", 0, 0, 6),
        ("D-.", answer, "D-.", 0, 0, 4),
        ("DDa", answer, "D-.", 0, 0, 5),
        ("-Da", answer, "D-.", 0, 0, 5),
        ("E-a", answer, "--.", 0, 0, 5),
    ]
}

fn run_case(
    map: &Numbers<Good>,
    step: &Step,
    case: &Case,
    figures: (usize, usize, usize),
) -> Result {
    let op = step.op;
    let (state, answer, after, misses, count, len) = *case;
    let (now, dirty) = shape(map, KEY);
    check_eq!(text(&now), state, "before");
    check_eq!((dirty.misses, dirty.count, map.len()), figures, "before");

    let got = map.run_there(step)?;
    match (answer, got) {
        // The cases do not give the sums.
        (Pairs(n, 0), Pairs(m, _)) => check_eq!(m, n),
        _ => check_eq!(got, answer),
    }
    let (now, dirty) = shape(map, KEY);
    check_eq!(text(&now), after);
    check_eq!((dirty.misses, dirty.count, map.len()), (misses, count, len));

    // The others are as they were, and no promotion changes what there is.
    let stored = matches!(op, Op::Store | Op::Swap)
        || op == Op::LoadOrStore && answer == Stored
        || op == Op::CompareAndSwap && answer != Refused;
    let expected = match after.contains('L') {
        true if stored => Some(NEW),
        true => Some(OLD),
        false => None,
    };
    for _ in 0..2 {
        check_eq!(value(map, KEY), expected);
        for other in OTHERS {
            let expected = Some(other).filter(|_| op != Op::Clear);
            check_eq!(value(map, other), expected, "another key");
        }
        map.promote_now();
    }
    check_eq!(map.len(), len, "after a promotion");
    Ok(())
}

/// Runs an operation in each state, also where nothing may sleep.
fn run(op: Op, old: u64, cases: [Case; 9]) -> Result {
    crate::values::counted(|| {
        let mut maps = KVec::new();
        for (apart, atomic) in [(false, false), (false, true), (true, false), (true, true)] {
            if atomic && !op.works_anywhere() {
                continue;
            }
            let step = step_of(op, atomic, old);
            for (case, figures) in cases.iter().zip(STATES) {
                let figures = (figures.1, figures.2, figures.3);
                let map = map_in(case.0, apart)?;
                run_case(&map, &step, case, figures).inspect_err(|_| {
                    report(fmt!("{:?} of a key that is {}, {}", step, case.0, apart));
                })?;
                // Dropped later: what they retire is freed meanwhile.
                maps.push(map, GFP_KERNEL)?;
            }
        }
        Ok(())
    })
}

#[kunit_tests(syncmap_states)]
mod tests {
    use super::*;

    #[test]
    fn get() -> Result {
        run(Op::Get, 0, same(FOUND, MISSED))
    }

    #[test]
    fn load() -> Result {
        run(Op::Load, 0, same(FOUND, MISSED))
    }

    #[test]
    fn store() -> Result {
        run(Op::Store, 0, swapped([Done; 9], NO_MISS))
    }

    #[test]
    fn swap() -> Result {
        run(Op::Swap, 0, swapped(FOUND, NO_MISS))
    }

    #[test]
    fn load_or_store() -> Result {
        let answers = [
            Stored, Stored, HIT, HIT, HIT, Stored, Stored, Stored, Stored,
        ];
        run(Op::LoadOrStore, 0, swapped(answers, MISSED_IF_THERE))
    }

    #[test]
    fn load_and_delete() -> Result {
        run(Op::LoadAndDelete, 0, deleted(FOUND))
    }

    #[test]
    fn delete() -> Result {
        let answers = FOUND.map(|found| Deleted(found == HIT));
        run(Op::Delete, 0, deleted(answers))
    }

    #[test]
    fn load_and_delete_with_equal() -> Result {
        run(Op::DeleteIf, OLD, deleted(FOUND))
    }

    #[test]
    fn load_and_delete_with_different() -> Result {
        let mut cases = same([Absent; 9], MISSED);
        cases[7] = ("-Da", Absent, "--a", 2, 5, 5);
        run(Op::DeleteIf, 1, cases)
    }

    #[test]
    fn compare_and_swap_equal() -> Result {
        let answers = FOUND.map(|found| if found == HIT { HIT } else { Refused });
        run(Op::CompareAndSwap, OLD, same(answers, MISSED_IF_THERE))
    }

    #[test]
    fn compare_and_swap_different() -> Result {
        run(Op::CompareAndSwap, 1, same([Refused; 9], MISSED_IF_THERE))
    }

    #[test]
    fn compare_and_delete_equal() -> Result {
        let mut cases = deleted(FOUND);
        cases[4] = ("-La", HIT, "-Da", 1, 6, 5);
        cases[7] = ("-Da", Absent, "-Da", 2, 6, 5);
        run(Op::CompareAndDelete, OLD, cases)
    }

    #[test]
    fn compare_and_delete_different() -> Result {
        run(Op::CompareAndDelete, 1, same([Absent; 9], MISSED))
    }

    #[test]
    fn range() -> Result {
        let mut cases = promoted(Done);
        for case in &mut cases {
            case.1 = Pairs(case.5, 0);
        }
        run(Op::Range, 0, cases)
    }

    #[test]
    fn range_rcu() -> Result {
        let mut cases = promoted(Done);
        for case in &mut cases {
            case.1 = Pairs(case.5, 0);
        }
        run(Op::RangeRcu, 0, cases)
    }

    #[test]
    fn next_batch() -> Result {
        let mut cases = promoted(Done);
        for case in &mut cases {
            case.1 = Pairs(case.5, 0);
        }
        run(Op::Batches, 0, cases)
    }

    #[test]
    fn promote_now() -> Result {
        run(Op::Promote, 0, promoted(Done))
    }

    #[test]
    fn len() -> Result {
        let answers = STATES.map(|state| Len(state.3));
        run(Op::Len, 0, same(answers, NO_MISS))
    }

    #[test]
    fn clear() -> Result {
        let cases = STATES.map(|state| (state.0, Done, "--.", 0, 0, 0));
        run(Op::Clear, 0, cases)
    }

    #[test]
    fn sweep() -> Result {
        let mut cases = same([Done; 9], NO_MISS);
        cases[5] = ("D-.", Done, "--.", 0, 0, 4);
        cases[6] = ("DDa", Done, "--a", 0, 5, 5);
        cases[7] = ("-Da", Done, "--a", 1, 5, 5);
        cases[8] = ("E-a", Done, "--a", 0, 5, 5);
        run(Op::Sweep, 0, cases)
    }
}
