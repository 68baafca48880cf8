// SPDX-License-Identifier: GPL-2.0

//! Small programs, all of whose executions loom tries.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Effort, Program, Test};
use kernel::machine::{self, Failing};

mod programs;

use programs::Small;

/// Tries the executions of a program; returns whether all, and how many.
fn explore(small: &'static Small, failing: Failing, bound: usize, time: Duration) -> (bool, usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = 100_000;
    builder.max_duration = Some(time);
    // How often it looks at the clock.
    builder.checkpoint_interval = 50;
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();
    let began = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let program = Program {
            sweeps: small.sweeps,
            first: Box::new(small.first),
            threads: small.threads.iter().map(|act| Box::new(*act) as harness::Act).collect(),
            failing,
            last: Box::new(small.last),
        };
        let history = machine::boot(|| harness::run(program));
        harness::judge(&history);
    });
    (began.elapsed() < time, executions.load(Ordering::Relaxed))
}

fn run(small: &'static Small, effort: Effort) -> String {
    let bound = if effort.long { 3 } else { 2 };
    let mut ways = vec![Failing::Never];
    for number in 0..small.allocations {
        ways.extend([Failing::Once(number), Failing::From(number)]);
    }
    let time = effort.time / ways.len() as u32;
    let (mut all, mut executions) = (true, 0);
    for failing in ways {
        let (complete, count) = explore(small, failing, bound, time);
        all &= complete;
        executions += count;
    }
    let all = if all { "all" } else { "the first" };
    format!("{all} {executions} executions with up to {bound} preemptions")
}

fn main() -> ExitCode {
    let test = |small: &'static Small| Test {
        name: small.name.into(),
        run: Box::new(move |effort| run(small, effort)),
    };
    let tests: Vec<Test> = programs::PROGRAMS.iter().map(test).collect();
    harness::main(&tests, Duration::from_secs(2), Duration::from_secs(120))
}
