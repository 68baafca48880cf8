// SPDX-License-Identifier: GPL-2.0

//! Random programs, every result of which is that of a simple-minded map.
//!
//! With the sweep on, so that the worker joins in; with every kind of hash, and with byte keys.

use kernel::prelude::*;
use syncmap::{ByteMap, Options};

use crate::keys::{Constant, Good, Mixed, Number, Truncated};
use crate::model::Model;
use crate::program::{Op, Program, Step, Subject};
use crate::support::{numbers, report, CROWDED};
use crate::values::{counted, Tracked};

/// Runs a program, and compares everything at its end.
fn run(map: &impl Subject, seed: u64, keys: u64, steps: u64) -> Result {
    let mut model = Model::new();
    let steps = crate::scaled(steps);
    let mut program = Program::new(seed, keys, 1024);
    let mut compare = |step: &Step| {
        check_eq!(map.run_there(step)?, model.run(step)?);
        Ok(())
    };
    for number in 0..steps {
        let step = program.step();
        compare(&step).inspect_err(|_| {
            report(fmt!(
                "seed {}, {} keys, step {}: {:?}",
                seed,
                keys,
                number,
                step
            ));
        })?;
    }
    let end = |op, key| Step {
        op,
        atomic: false,
        key,
        old: 0,
        new: 0,
    };
    for key in 0..keys {
        compare(&end(Op::Load, key))?;
    }
    compare(&end(Op::Len, 0))?;
    compare(&end(Op::Range, 0))
}

fn sized<K: Number>(number: u64, keys: u64, steps: u64) -> Result {
    counted(|| {
        for i in 0..number {
            let map = numbers::<K>(Options {
                sweep: true,
                ..CROWDED
            })?;
            run(&*map, crate::seed() + 100 + i, keys, steps)?;
        }
        Ok(())
    })
}

#[kunit_tests(syncmap_random)]
mod tests {
    use super::*;

    #[test]
    fn few_keys() -> Result {
        sized::<Good>(10, 5, 5_000)
    }

    #[test]
    fn many_keys() -> Result {
        sized::<Good>(2, 2_000, 40_000)
    }

    #[test]
    fn truncated_hash() -> Result {
        sized::<Truncated>(4, 60, 5_000)
    }

    #[test]
    fn constant_hash() -> Result {
        sized::<Constant>(4, 60, 5_000)
    }

    #[test]
    fn mixed_hash() -> Result {
        sized::<Mixed>(2, 800, 20_000)
    }

    #[test]
    fn counted_keys() -> Result {
        sized::<Tracked>(4, 20, 5_000)
    }

    #[test]
    fn bytes() -> Result {
        for i in 0..4 {
            let map = KBox::pin_init(
                ByteMap::new_bytes(Options::default(), GFP_KERNEL),
                GFP_KERNEL,
            )?;
            run(&*map, crate::seed() + 200 + i, 50, 5_000)?;
        }
        Ok(())
    }
}
