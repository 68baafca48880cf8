// SPDX-License-Identifier: GPL-2.0

//! Random programs, after every step of which the tables are what the seed's would be.
//!
//! With the sweep off, one thread does all there is to do, and the map has one way to go. Two things
//! are arranged for that: a `get` that would leave a promotion to the worker is made a `load`, which
//! promotes at once; and a promotion that finds the lock taken, by what settles the list of a table
//! that was read before, is waited for. Of these there are few.

use kernel::prelude::*;
use syncmap::inspect::{EntryState, Where};

use crate::keys::{Constant, Good, Mixed, Number, Truncated};
use crate::oracle::{self, P};
use crate::program::{Answer, Op, Program, Subject};
use crate::support::{eventually, numbers, report, Numbers, QUIET, SEGMENT};

/// Compares all that the tables hold.
fn compare<K: Number>(map: &Numbers<K>, oracle: &oracle::Map) -> Result {
    let mut found = (0, 0);
    let mut wrong = None;
    let dirty = map.inspect(|place, key, state| {
        let key = key.number();
        let entry = match place {
            Where::Read => {
                found.0 += 1;
                oracle.read.m.get(key)
            }
            Where::Dirty => {
                found.1 += 1;
                oracle.dirty.as_ref().and_then(|dirty| dirty.get(key))
            }
        };
        let expected = entry.map(|e| match oracle.state(e) {
            P::Value(_) => EntryState::Live,
            P::Nil => EntryState::Deleted,
            P::Expunged => EntryState::Expunged,
        });
        if expected != Some(state) {
            wrong = Some((place, key, state, expected));
        }
    });
    check_eq!(
        wrong,
        None,
        "a key of the map that the seed does not have, or not so"
    );
    check_eq!(found.0, oracle.read.m.len(), "keys of read");
    check_eq!(dirty.amended, oracle.read.amended);
    if dirty.amended {
        check_eq!(found.1, oracle.dirty_len(), "keys of dirty");
        check_eq!(dirty.count, oracle.dirty_len(), "what promotion goes by");
        check_eq!(dirty.misses, oracle.misses);
    }
    Ok(())
}

/// Lets the oracle adopt what a map of several segments does at another time than the seed.
fn adopt<K: Number>(map: &Numbers<K>, oracle: &mut oracle::Map, keys: u64) -> Result {
    let mut states = KVec::from_elem((None, false), keys as usize, GFP_KERNEL)?;
    map.inspect(|place, key, state| {
        if let Some(at) = states.get_mut(key.number() as usize) {
            match place {
                Where::Read => at.0 = Some(state),
                Where::Dirty => at.1 = true,
            }
        }
    });
    for (key, (read, in_dirty)) in (0..).zip(&states) {
        oracle.adopt(key, *read, *in_dirty)?;
    }
    Ok(())
}

/// Runs a program of so many steps over so many keys.
fn run<K: Number>(seed: u64, keys: u64, steps: u64) -> Result {
    let map = numbers::<K>(QUIET)?;
    let mut oracle = oracle::Map::new();
    let mut program = Program::new(seed, keys, 1500);
    let mut late = 0;
    for number in 0..steps {
        let mut step = program.step();
        if step.op == Op::Get && oracle.is_due(step.key) {
            step.op = Op::Load;
        }
        let compared = (|| {
            let got = map.run_there(&step)?;
            // A sweep that finds the tables mostly empty makes one smaller table of them.
            if step.op == Op::Sweep && keys > 64 && !map.stats().amended {
                oracle.run(&crate::program::Step {
                    op: Op::Promote,
                    ..step
                })?;
            }
            let expected = oracle.run(&step)?;
            check_eq!(got, expected);
            if !oracle.read.amended && map.stats().amended {
                late += 1;
                check!(eventually(1000, || !map.stats().amended), "not promoted");
            }
            check_eq!(
                Answer::Len(map.len()),
                oracle.run(&crate::program::Step {
                    op: Op::Len,
                    ..step
                })?
            );
            if keys > SEGMENT {
                adopt(&map, &mut oracle, keys)?;
            }
            compare(&map, &oracle)
        })();
        compared.inspect_err(|_| {
            report(fmt!(
                "seed {}, {} keys, step {}: {:?}",
                seed,
                keys,
                number,
                step
            ));
        })?;
    }
    let promotions = map.stats().promotions;
    check!(late <= 2 + promotions / 50, "{} of {}", late, promotions);
    Ok(())
}

/// Several programs, and afterwards all values are gone.
fn programs<K: Number>(number: u64, keys: u64, steps: u64) -> Result {
    crate::values::counted(|| {
        for i in 0..number {
            run::<K>(crate::seed() + i, keys, crate::scaled(steps))?;
        }
        Ok(())
    })
}

#[kunit_tests(syncmap_oracle)]
mod tests {
    use super::*;

    #[test]
    fn two_keys() -> Result {
        programs::<Good>(5, 2, 5_000)
    }

    #[test]
    fn six_keys() -> Result {
        programs::<Good>(5, 6, 5_000)
    }

    #[test]
    fn twenty_keys() -> Result {
        programs::<Good>(6, 20, 5_000)
    }

    #[test]
    fn three_hundred_keys() -> Result {
        programs::<Good>(2, 300, 6_000)
    }

    #[test]
    fn three_hundred_keys_of_mixed_hashes() -> Result {
        programs::<Mixed>(2, 300, 6_000)
    }

    #[test]
    fn truncated_hash() -> Result {
        programs::<Truncated>(3, 40, 5_000)
    }

    #[test]
    fn constant_hash() -> Result {
        programs::<Constant>(3, 40, 5_000)
    }
}
