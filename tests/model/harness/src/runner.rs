// SPDX-License-Identifier: GPL-2.0

//! Runs tests, each in a process of its own, and prints TAP.

use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How much is to be done.
#[derive(Clone, Copy)]
pub struct Effort {
    /// For a long run.
    pub long: bool,
    /// What chance begins with.
    pub seed: u64,
    /// The time that a test may take.
    pub time: Duration,
}

/// A test.
pub struct Test {
    /// Its name.
    pub name: String,
    /// Runs it; panics if it fails. Returns what there is to say about it.
    pub run: Box<dyn Fn(Effort) -> String + Sync>,
}

const USAGE: &str = "[--long] [--seconds N] [--seed N] [--jobs N] [--list] [NAME...]

Runs tests, or those of these names, and prints TAP. --seconds is the time
that each may take, such as 0.5. A test that uses chance prints its seed.";

fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000_007)
}

/// The main function of a program with such tests.
pub fn main(tests: &[Test], quick: Duration, long: Duration) -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut effort = Effort {
        long: false,
        seed: seed(),
        time: quick,
    };
    let (mut jobs, mut names, mut alone) = (2, Vec::new(), false);
    let mut seconds = None;
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|arg| arg.parse::<u64>().ok());
        let understood = match arg.as_str() {
            "--long" => {
                effort.long = true;
                effort.time = long;
                true
            }
            "--seconds" => {
                let time = args.next().and_then(|arg| arg.parse().ok());
                seconds = time.and_then(|time| Duration::try_from_secs_f64(time).ok());
                seconds.is_some()
            }
            "--seed" => number().map(|n| effort.seed = n).is_some(),
            "--jobs" => number().map(|n| jobs = n.max(1) as usize).is_some(),
            "--alone" => {
                alone = true;
                true
            }
            "--list" => {
                tests.iter().for_each(|test| println!("{}", test.name));
                return ExitCode::SUCCESS;
            }
            name if name.starts_with('-') => false,
            name => {
                names.push(name.to_string());
                tests.iter().any(|test| test.name == name)
            }
        };
        if !understood {
            eprintln!("`{arg}` is neither a test nor a good option here.");
            eprintln!("Usage: {USAGE}");
            return ExitCode::from(2);
        }
    }
    if let Some(seconds) = seconds {
        effort.time = seconds;
    }
    let chosen = |test: &&Test| names.is_empty() || names.contains(&test.name);
    let tests: Vec<&Test> = tests.iter().filter(chosen).collect();
    if alone {
        for test in tests {
            println!("{}", (test.run)(effort));
        }
        return ExitCode::SUCCESS;
    }
    match run_all(&tests, effort, jobs) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("Tests cannot be run: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all have passed.
fn run_all(tests: &[&Test], effort: Effort, jobs: usize) -> io::Result<bool> {
    println!("TAP version 13\n1..{}", tests.len());
    let (next, bad) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let printed = Mutex::new(0);
    let worker = || -> io::Result<()> {
        while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--alone", "--seed", &effort.seed.to_string(), "--seconds"]);
            command.arg(effort.time.as_secs_f64().to_string());
            command
                .args(effort.long.then_some("--long"))
                .arg(&test.name);
            let done = command.stdin(Stdio::null()).output()?;
            let took = began.elapsed().as_secs_f32();
            let mut number = printed.lock().unwrap_or_else(|e| e.into_inner());
            *number += 1;
            let mut out = io::stdout().lock();
            let said = String::from_utf8_lossy(&done.stdout);
            if done.status.success() {
                let said = said.trim();
                writeln!(out, "ok {number} {} # {said}, {took:.1} s", test.name)?;
            } else {
                bad.fetch_add(1, Ordering::Relaxed);
                writeln!(out, "not ok {number} {} # after {took:.1} s", test.name)?;
                writeln!(out, "# {}, --seed {}", done.status, effort.seed)?;
                let said = said.into_owned() + &String::from_utf8_lossy(&done.stderr);
                for line in said.lines().take(60) {
                    writeln!(out, "#   {line}")?;
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        let mut ended = threads.into_iter().map(|thread| thread.join());
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| Err(io::Error::other("panic"))))
    })?;
    Ok(bad.into_inner() == 0)
}
