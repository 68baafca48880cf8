// SPDX-License-Identifier: GPL-2.0

//! Reads histories, and checks them: see the documentation of the library.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use linearize::{check, Checked, Reader};

const USAGE: &str = "Usage: linearize [FILE]

Checks the histories in a file, or on standard input, for linearizability.
Exits with 0 if all are linearizable, 1 if one is not, 2 if one cannot be read.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let file = args.next();
    if args.next().is_some() || file.as_ref().is_some_and(|arg| arg.starts_with('-')) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let name = file.clone().unwrap_or_else(|| "standard input".into());
    let from: Box<dyn BufRead> = match file.map(File::open) {
        None => Box::new(io::stdin().lock()),
        Some(Ok(file)) => Box::new(BufReader::new(file)),
        Some(Err(error)) => {
            eprintln!("linearize: {name} cannot be opened: {error}");
            return ExitCode::from(2);
        }
    };
    let mut all = Checked::default();
    for history in Reader::new(from) {
        let history = match history {
            Ok(history) => history,
            Err(malformed) => {
                eprintln!("linearize: {name}, {malformed}");
                return ExitCode::from(2);
            }
        };
        match check(&history) {
            Ok(checked) => {
                all.histories += checked.histories;
                all.operations += checked.operations;
            }
            Err(violation) => {
                println!("history {} is not linearizable", all.histories + 1);
                print!("{violation}");
                return ExitCode::FAILURE;
            }
        }
    }
    if all.operations == 0 {
        eprintln!("linearize: {name} has no operations");
        return ExitCode::from(2);
    }
    println!(
        "{} histories, {} operations: all linearizable",
        all.histories, all.operations
    );
    ExitCode::SUCCESS
}
