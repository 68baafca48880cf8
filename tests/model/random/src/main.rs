// SPDX-License-Identifier: GPL-2.0

//! Programs of chance under shuttle's schedulers: by chance at every access, or with a few changes
//! of priority at moments of chance (PCT).

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{chance, mix, Mix};
use kernel::machine;
use linearize::History;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

fn play(choice: Mix, seed: u64) -> History {
    let mut config = Config::new();
    config.stack_size = 0x40000;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(10_000_000);
    config.silence_warnings = true;
    let history = Arc::new(Mutex::new(History::default()));
    let recorded = history.clone();
    let program = move || {
        let done = machine::boot(|| harness::run(mix(choice, seed)));
        *recorded.lock().expect("nobody panics with it") = done;
    };
    match seed % 4 {
        0 => Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(program),
        depth => {
            let scheduler = PctScheduler::new_from_seed(seed, 2 * depth as usize, 1);
            Runner::new(scheduler, config).run(program)
        }
    };
    let mut history = history.lock().expect("nobody panics with it");
    std::mem::take(&mut history)
}

fn main() -> ExitCode {
    let tests = chance::tests(chance::MIXES, play);
    harness::main(&tests, Duration::from_secs(3), Duration::from_secs(180))
}
