// SPDX-License-Identifier: GPL-2.0

//! Runs programs of chance, one after the other, for as long as there is time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use linearize::{check, History};

use crate::{Effort, Fault, Mix, Test};

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
fn all_right(effort: Effort, play: impl Fn(u64) -> Vec<History>) -> String {
    tell_seed();
    let began = Instant::now();
    let (mut seed, mut histories, mut operations) = (effort.seed, 0, 0);
    while began.elapsed() < effort.time {
        SEED.store(seed, Ordering::Relaxed);
        for history in play(seed) {
            crate::judge(&history);
            histories += 1;
            operations += history.operations.len();
        }
        seed += 1;
    }
    assert!(histories > 0, "there was no time");
    format!(
        "{histories} histories, {operations} operations, --seed {}",
        effort.seed
    )
}

/// Runs programs of which something is wrong with the histories, which must be noticed.
fn noticed(effort: Effort, fault: Fault, play: impl Fn(u64) -> Vec<History>) -> String {
    let seeds = effort.seed..effort.seed + 1000;
    let bad = seeds.flat_map(play).position(|mut history| {
        if let Fault::Limit(limit) = fault {
            history.limit = Some(limit);
        }
        check(&history).is_err()
    });
    let bad = bad.expect("what is not linearizable is taken for it");
    format!("noticed in history {}", bad + 1)
}

/// The tests for a way to run programs.
pub fn tests(mixes: &[(&str, Mix)], play: fn(Mix, u64) -> Vec<History>) -> Vec<Test> {
    let test = |(name, mix): &(&str, Mix)| {
        let mix = *mix;
        let run: Box<dyn Fn(Effort) -> String + Sync> = match mix.fault {
            None => Box::new(move |effort| all_right(effort, |seed| play(mix, seed))),
            Some(fault) => Box::new(move |effort| noticed(effort, fault, |seed| play(mix, seed))),
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
    limit: None,
    fault: None,
};

const LIMITED: Mix = Mix {
    keys: 5,
    limit: Some(3),
    ..SMALL
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
    // Stores at the limit, overwriting, and deletes that make room.
    ("limit-3", LIMITED),
    (
        "limit-1",
        Mix {
            keys: 3,
            limit: Some(1),
            ..LIMITED
        },
    ),
    (
        "limit-3-failing",
        Mix {
            failing: true,
            ..LIMITED
        },
    ),
    (
        "lost-stores",
        Mix {
            fault: Some(Fault::LostStores),
            ..SMALL
        },
    ),
    // One key too many, and refused too early.
    (
        "limit-exceeded",
        Mix {
            fault: Some(Fault::Limit(2)),
            ..LIMITED
        },
    ),
    (
        "limit-not-reached",
        Mix {
            fault: Some(Fault::Limit(4)),
            ..LIMITED
        },
    ),
];
