// SPDX-License-Identifier: GPL-2.0

//! Small programs, all of whose executions loom tries.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Effort, Program, Test};
use kernel::machine;

mod programs;

fn explore(program: Program, effort: Effort) -> String {
    let mut builder = loom::model::Builder::new();
    let bound = if effort.long { 3 } else { 2 };
    builder.preemption_bound = Some(bound);
    builder.max_branches = 100_000;
    builder.max_duration = Some(effort.time);
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = executions.clone();
    let began = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        machine::boot(|| harness::run(program));
    });
    let all = if began.elapsed() < effort.time { "all" } else { "the first" };
    let executions = executions.load(Ordering::Relaxed);
    format!("{all} {executions} executions with up to {bound} preemptions")
}

fn main() -> ExitCode {
    let test = |program: &Program| {
        let program = *program;
        Test {
            name: program.name.into(),
            run: Box::new(move |effort| explore(program, effort)),
        }
    };
    let tests: Vec<Test> = programs::PROGRAMS.iter().map(test).collect();
    harness::main(&tests, Duration::from_secs(4), Duration::from_secs(120))
}
