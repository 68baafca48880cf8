// SPDX-License-Identifier: GPL-2.0

//! Programs of chance, and the small ones that loom explores, under shuttle's schedulers: by chance at
//! every access, or with a few changes of priority at moments of chance (PCT).

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::programs::{self, Small};
use harness::{chance, mix, Effort, Mix, Program, Test};
use kernel::machine;
use linearize::History;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Small programs take a part of the time of the others.
const PART: u32 = 6;

/// How often PCT runs a program: the first time, it only counts its steps, and takes no turns by chance.
const ITERATIONS: usize = 16;

/// Runs a program as that seed has it, once or several times.
fn play(make: impl Fn() -> Program + Send + Sync + 'static, seed: u64) -> Vec<History> {
    let mut config = Config::new();
    config.stack_size = 0x40000;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(10_000_000);
    config.silence_warnings = true;
    let histories = Arc::new(Mutex::new(Vec::new()));
    let recorded = histories.clone();
    let program = move || {
        let done = machine::boot(|| harness::run(make()));
        recorded.lock().expect("nobody panics with it").push(done);
    };
    match seed % 4 {
        0 => Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(program),
        depth => {
            let scheduler = PctScheduler::new_from_seed(seed, 2 * depth as usize, ITERATIONS);
            Runner::new(scheduler, config).run(program)
        }
    };
    let mut histories = histories.lock().expect("nobody panics with it");
    std::mem::take(&mut histories)
}

/// Runs a small program until the time is over.
fn repeat(small: &'static Small, effort: Effort) -> String {
    let (began, failures) = (Instant::now(), small.failures());
    let (mut seed, mut executions) = (effort.seed, 0);
    while began.elapsed() < effort.time / PART || executions == 0 {
        for failing in failures.iter().copied() {
            let histories = play(move || small.program(failing), seed);
            histories.iter().for_each(harness::judge);
            executions += histories.len();
        }
        seed += 1;
    }
    format!("{executions} executions, --seed {}", effort.seed)
}

fn main() -> ExitCode {
    let mut tests = chance::tests(chance::MIXES, |choice: Mix, seed| {
        play(move || mix(choice, seed), seed)
    });
    tests.extend(programs::all().map(|small| Test {
        name: small.name.into(),
        run: Box::new(move |effort| repeat(small, effort)),
    }));
    harness::main(&tests, Duration::from_secs(3), Duration::from_secs(180))
}
