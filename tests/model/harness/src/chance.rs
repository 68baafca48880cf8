// SPDX-License-Identifier: GPL-2.0

//! Runs programs of chance, one after the other, for as long as there is time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use linearize::{check, History};

use crate::{Effort, Mix, Test};

/// The seed of what is running, for who has to tell why it has failed.
static SEED: AtomicU64 = AtomicU64::new(0);

fn tell_seed() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        told(info);
        eprintln!("It fails with --seed {}", SEED.load(Ordering::Relaxed));
    }));
}

/// Runs programs until the time is over, and judges their histories.
fn all_right(effort: Effort, play: impl Fn(u64) -> History) -> String {
    tell_seed();
    let began = Instant::now();
    let (mut histories, mut operations) = (0, 0);
    while began.elapsed() < effort.time {
        let seed = effort.seed + histories;
        SEED.store(seed, Ordering::Relaxed);
        let history = play(seed);
        crate::judge(&history);
        histories += 1;
        operations += history.len();
    }
    assert!(histories > 0, "there was no time");
    format!(
        "{histories} histories, {operations} operations, --seed {}",
        effort.seed
    )
}

/// Runs programs on a map that loses stores, which must be noticed.
fn noticed(effort: Effort, play: impl Fn(u64) -> History) -> String {
    let limit = 1000;
    let bad = (0..limit).find(|number| check(&play(effort.seed + number)).is_err());
    let bad = bad.expect("a map that loses stores is taken for linearizable");
    format!("noticed in history {}", bad + 1)
}

/// The tests for a way to run programs.
pub fn tests(mixes: &[(&str, Mix)], play: fn(Mix, u64) -> History) -> Vec<Test> {
    let test = |(name, mix): &(&str, Mix)| {
        let mix = *mix;
        let run: Box<dyn Fn(Effort) -> String + Sync> = match mix.broken {
            false => Box::new(move |effort| all_right(effort, |seed| play(mix, seed))),
            true => Box::new(move |effort| noticed(effort, |seed| play(mix, seed))),
        };
        Test {
            name: name.to_string(),
            run,
        }
    };
    mixes.iter().map(test).collect()
}

const SMALL: Mix = Mix {
    threads: 3,
    operations: 30,
    keys: 3,
    hashes: 2,
    failing: false,
    broken: false,
};

/// What is run.
pub const MIXES: &[(&str, Mix)] = &[
    // A few keys that everybody wants.
    ("keys-3", SMALL),
    (
        "keys-3-failing",
        Mix {
            failing: true,
            ..SMALL
        },
    ),
    // More than fit in a small segment; chains of equal hashes; splits and mergers.
    (
        "keys-12",
        Mix {
            keys: 12,
            hashes: 3,
            threads: 4,
            ..SMALL
        },
    ),
    (
        "keys-12-failing",
        Mix {
            keys: 12,
            hashes: 5,
            failing: true,
            ..SMALL
        },
    ),
    (
        "keys-100-equal",
        Mix {
            keys: 100,
            hashes: 1,
            operations: 150,
            ..SMALL
        },
    ),
    (
        "keys-300",
        Mix {
            keys: 300,
            hashes: 300,
            operations: 200,
            failing: true,
            ..SMALL
        },
    ),
    (
        "lost-stores",
        Mix {
            broken: true,
            ..SMALL
        },
    ),
];
