// SPDX-License-Identifier: GPL-2.0

//! Measures the concurrent maps that Rust programs use, with the workloads
//! that syncmap is measured with in the kernel: one JSON line per result.
//!
//! Also draws the keys, and the order in which they are used, for every
//! program here: see [`streams`].

mod maps;
mod measure;
mod memory;
mod streams;
mod workloads;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw the keys and write them to a folder.
    Streams {
        #[command(flatten)]
        shape: Shape,
    },
    /// Measure one map; prints a JSON line per result.
    Run {
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        run: Run,
    },
}

/// What the streams of keys depend on.
#[derive(Args)]
struct Shape {
    /// Folder of the streams.
    #[arg(long)]
    streams: PathBuf,
    /// Numbers of keys in the map, powers of two.
    #[arg(long, value_delimiter = ',', value_parser = power_of_two,
          default_value = "1024,65536,1048576")]
    sizes: Vec<usize>,
    /// Numbers of threads, powers of two.
    #[arg(long, value_delimiter = ',', value_parser = power_of_two,
          default_value = "1,2")]
    threads: Vec<usize>,
}

#[derive(Args)]
struct Run {
    /// Which map; "loop" reads the keys and asks no map.
    #[arg(long)]
    contender: Contender,
    /// Workloads, by name.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Lengths of the keys in bytes: 8, 16 or 64.
    #[arg(long, value_delimiter = ',', default_value = "8")]
    keys: Vec<usize>,
    /// Operations per thread when throughput is measured.
    #[arg(long, default_value_t = 1 << 20)]
    ops: usize,
    /// Operations per thread when latency is measured; 0 for not at all.
    #[arg(long, default_value_t = 100_000)]
    samples: usize,
    /// The number of the round, which goes into the results.
    #[arg(long, default_value_t = 1)]
    round: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Contender {
    Papaya,
    Dashmap,
    Scc,
    Loop,
}

fn power_of_two(text: &str) -> Result<usize> {
    let number: usize = text.parse()?;
    anyhow::ensure!(number.is_power_of_two(), "{number} is not a power of two");
    Ok(number)
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Streams { shape } => streams::write(&shape),
        Command::Run { shape, run } => match run.contender {
            Contender::Papaya => workloads::run::<maps::Papaya>(&shape, &run),
            Contender::Dashmap => workloads::run::<maps::Dashmap>(&shape, &run),
            Contender::Scc => workloads::run::<maps::Scc>(&shape, &run),
            Contender::Loop => workloads::run::<maps::Loop>(&shape, &run),
        },
    }
}
