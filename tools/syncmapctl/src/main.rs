// SPDX-License-Identifier: GPL-2.0

//! `syncmapctl` shows and changes the named maps of the kernel module syncmap.

mod cli;
mod escape;
mod export;
mod failure;
mod format;
mod import;
mod keys;
mod lines;
mod maps;
mod output;
mod page;
mod process;
mod progress;
mod stats;

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

use cli::{Cli, Verb};
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    process::end_with_the_pipe();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let formats = cli.formats;
    let mut out = Output::new(cli.style.json || cli.style.pretty, cli.style.pretty);
    match cli.verb {
        Verb::List { name: None } => maps::list(&mut out)?,
        Verb::List { name: Some(name) } => maps::show(&name, &mut out)?,
        Verb::Create {
            name,
            mode,
            exist_ok,
        } => maps::create(&name, mode, exist_ok)?,
        Verb::Clear { name } => maps::clear(&name)?,
        Verb::Unlink { names } => maps::unlink(&names)?,
        Verb::Get { name, key, raw } => keys::get(&name, &key, raw, formats, &mut out)?,
        Verb::Set {
            name,
            key,
            value,
            if_absent,
        } => {
            keys::set(&name, &key, &value, if_absent, formats)?;
        }
        Verb::Del {
            name,
            keys,
            only_if,
        } => {
            keys::del(&name, &keys, only_if.as_deref(), formats)?;
        }
        Verb::Swap { name, key, value } => keys::swap(&name, &key, &value, formats, &mut out)?,
        Verb::Cas {
            name,
            key,
            old,
            new,
        } => keys::cas(&name, &key, &old, &new, formats)?,
        Verb::Dump { name, limit, full } => export::dump(&name, limit, full, formats, &mut out)?,
        Verb::Export { name, file, format } => {
            export::export(&name, file.as_deref(), format, formats, &out)?;
        }
        Verb::Import(options) => import::import(&options, formats, &mut out)?,
        Verb::Stats { name } => stats::stats(&name, &mut out)?,
        Verb::Watch {
            name,
            interval,
            count,
        } => stats::watch(&name, interval, count, &mut out)?,
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "syncmapctl", &mut script);
            out.raw(&script)?;
        }
        Verb::Man => out.raw(&page::page()?)?,
    }
    out.end()
}
