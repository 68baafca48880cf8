// SPDX-License-Identifier: GPL-2.0

//! Small programs, all of whose executions loom tries.
//!
//! Each is run again and again, with every order of its atomic accesses that makes a difference, as
//! long as no more than two threads (three in a long run) are interrupted, and with every value that
//! a load may return. What the threads saw must be linearizable; and the stand-in for the kernel
//! complains about memory (see `kernel`).
//!
//! # What this cannot show
//!
//! * loom's memory model is C11's, more or less, and not the kernel's. It has no dependencies, which
//!   order more in the kernel, and no load that returns what is stored only later, which the kernel's
//!   may (load buffering). A full access is one with acquire and release and a sequentially
//!   consistent fence behind it; the kernel's has one before as well. `tests/litmus` has the
//!   orderings, by the kernel's own model; here it is the algorithm.
//! * Loads and stores on x86 are volatile accesses in the module, with fences for the compiler
//!   (`src/atomic.rs`). They are replaced by what they stand for. That the compiler makes of them
//!   what is meant is seen by nobody here.
//! * Plain accesses are not tried at all. Of an object it is noticed if it is looked at by somebody
//!   who has not synchronised with who made it, but not if it is changed plainly later: as when a
//!   table is made the reserve for the next Clear.
//! * Grace periods, and the order in which things are counted (the bytes of a map), are simpler than
//!   in the kernel; interrupt work runs at once, but in `late` programs; time passes when there is
//!   nothing else to do. What is done by one thread before the others start, and after they have
//!   ended, is not varied.
//! * In a program of one thread, only what the worker does meanwhile is varied, and in one whose
//!   threads take turns (`reserve-two-sweeps`) nothing is.
//! * Before a store, loom goes back only to the last access of that atomic: if the thread that stores
//!   has just loaded it, as who replaces a word of a directory has, loads of others before that are not
//!   tried after the store. So "all" executions may lack some. `random` runs the same programs, under
//!   shuttle's schedulers.
//! * An exploration that has run out of time says so: "the first N executions".
//! * An old value, which a load in a section may return, is one that was there before a grace period
//!   only if the section may have begun before it: but that RCU guarantees just this is taken for
//!   granted.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::programs::{self, Small};
use harness::{Effort, Test};
use kernel::machine::{self, Failing};

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
        let history = machine::boot(|| harness::run(small.program(failing)));
        harness::judge(&history);
    });
    (began.elapsed() < time, executions.load(Ordering::Relaxed))
}

fn run(small: &'static Small, effort: Effort) -> String {
    let bound = if effort.long { 3 } else { 2 };
    let ways = small.failures();
    let time = effort.time / ways.len() as u32;
    let (mut all, mut executions) = (true, 0);
    for failing in ways {
        let end = Instant::now() + time;
        // What takes one preemption is found sooner if nothing else is tried before.
        for bound in 1..=bound {
            let left = end.saturating_duration_since(Instant::now());
            let (complete, count) = explore(small, failing, bound, left);
            executions += count;
            if !complete {
                all = false;
                break;
            }
        }
    }
    let all = if all { "all" } else { "the first" };
    format!("{all} {executions} executions with up to {bound} preemptions")
}

fn main() -> ExitCode {
    let test = |small: &'static Small| Test {
        name: small.name.into(),
        run: Box::new(move |effort| run(small, effort)),
    };
    let tests: Vec<Test> = programs::all().map(test).collect();
    harness::main(&tests, Duration::from_secs(2), Duration::from_secs(120))
}
