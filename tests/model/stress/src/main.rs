// SPDX-License-Identifier: GPL-2.0

//! Programs of chance on real threads.

use std::process::ExitCode;
use std::time::Duration;

use harness::{chance, mix, Mix};
use kernel::machine;
use linearize::History;

fn play(choice: Mix, seed: u64) -> Vec<History> {
    vec![machine::boot(|| harness::run(mix(choice, seed)))]
}

fn main() -> ExitCode {
    let tests = chance::tests(chance::MIXES, play);
    harness::main(&tests, Duration::from_secs(2), Duration::from_secs(180))
}
