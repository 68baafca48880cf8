// SPDX-License-Identifier: GPL-2.0

//! The workloads: what each thread does to the map, and what must come out.

use crate::maps::{Family, Key, Map};
use crate::measure::{latencies, together};
use crate::streams::{Streams, Thread};
use crate::{memory, Run, Shape};
use anyhow::{bail, ensure, Result};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;

/// Percentages of lookups, insertions, removals and updates.  An insertion and
/// an update are the same: the key may be there or not.
struct Mix {
    name: &'static str,
    shares: [u8; 4],
}

const MIXES: [Mix; 3] = [
    Mix {
        name: "read-heavy",
        shares: [98, 1, 1, 0],
    },
    Mix {
        name: "exchange",
        shares: [10, 40, 40, 10],
    },
    Mix {
        name: "rapid-grow",
        shares: [5, 80, 5, 10],
    },
];

/// One result, as it is printed.
#[derive(Default, Serialize)]
struct Line<'a> {
    r#where: &'a str,
    contender: &'a str,
    workload: &'a str,
    size: usize,
    key: usize,
    threads: usize,
    round: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ops: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<f64>,
}

impl Line<'_> {
    fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

pub fn run<F: Family>(shape: &Shape, run: &Run) -> Result<()> {
    for &size in &shape.sizes {
        for &key in &run.keys {
            match key {
                8 => Bench::<F, u64>::run(shape, run, size)?,
                16 => Bench::<F, [u8; 16]>::run(shape, run, size)?,
                64 => Bench::<F, [u8; 64]>::run(shape, run, size)?,
                _ => bail!("There are no keys of {key} bytes; choose 8, 16 or 64."),
            }
        }
    }
    Ok(())
}

/// One map at one size with one length of keys.
struct Bench<'a, F: Family, K: Key> {
    run: &'a Run,
    size: usize,
    streams: Streams<K>,
    // The map that the workloads share which leave its keys as they were.
    steady: F::Of<K>,
}

impl<'a, F: Family, K: Key> Bench<'a, F, K> {
    fn run(shape: &Shape, run: &'a Run, size: usize) -> Result<()> {
        let threads = shape.threads.iter().copied().max().unwrap_or(1);
        let mut bench = Self {
            run,
            size,
            streams: Streams::read(&shape.streams, size, threads)?,
            steady: F::Of::<K>::default(),
        };
        bench.steady = bench.filled(size)?;
        for workload in &run.workloads {
            if workload == "memory" {
                bench.memory()?;
                continue;
            }
            for &threads in &shape.threads {
                bench.one(workload, threads)?;
            }
        }
        Ok(())
    }

    /// The line of a result, to be filled in.
    fn line<'l>(&self, workload: &'l str, threads: usize) -> Line<'l> {
        Line {
            r#where: "host",
            contender: F::NAME,
            workload,
            size: self.size,
            key: K::LENGTH,
            threads,
            round: self.run.round,
            ..Line::default()
        }
    }

    /// A map with the first `count` keys, checked.
    fn filled(&self, count: usize) -> Result<F::Of<K>> {
        let map = F::Of::<K>::default();
        for (value, key) in self.streams.present[..count].iter().enumerate() {
            ensure!(map.insert(*key, value as u64), "A new key was there.");
        }
        if F::NAME == "loop" {
            return Ok(map);
        }
        ensure!(map.len() == count, "The map has lost or doubled keys.");
        for (value, key) in self.streams.present[..count].iter().enumerate() {
            ensure!(
                map.lookup(key) == Some(value as u64),
                "A lookup gave the wrong value."
            );
        }
        Ok(map)
    }

    fn one(&self, workload: &str, threads: usize) -> Result<()> {
        let map = &self.steady;
        match workload {
            "lookup-hit" => self.steady(workload, threads, 1, |thread, steps| {
                let keys = &thread.hits;
                steps
                    .filter(|i| map.lookup(around(keys, *i)).is_some())
                    .count()
            }),
            "lookup-miss" => self.steady(workload, threads, 0, |thread, steps| {
                let keys = &thread.misses;
                steps
                    .filter(|i| map.lookup(around(keys, *i)).is_some())
                    .count()
            }),
            "overwrite" => self.steady(workload, threads, 1, |thread, steps| {
                let keys = &thread.hits;
                steps
                    .filter(|i| map.set(*around(keys, *i), *i as u64))
                    .count()
            }),
            "churn" => self.churn(threads),
            "insert" => self.insert(threads),
            _ => self.mix(workload, threads),
        }
    }

    /// A workload whose every operation succeeds (1) or fails (0).
    fn steady(
        &self,
        workload: &str,
        threads: usize,
        success: usize,
        steps: impl Fn(&Thread<K>, Range<usize>) -> usize + Sync,
    ) -> Result<()> {
        self.timed(
            workload,
            threads,
            |thread, range| steps(&self.streams.threads[thread], range),
            |sum, ops| sum == ops * success,
        )
    }

    /// Throughput, then latency, of `steps`, which counts what succeeded.
    fn timed(
        &self,
        workload: &str,
        threads: usize,
        steps: impl Fn(usize, Range<usize>) -> usize + Sync,
        right: impl Fn(usize, usize) -> bool,
    ) -> Result<()> {
        let (ops, samples) = (self.run.ops, self.run.samples);
        let check = |sums: &[usize], ops: usize| {
            ensure!(
                F::NAME == "loop" || right(sums.iter().sum(), ops * threads),
                "{} gave a wrong answer in {workload}.",
                F::NAME
            );
            Ok(())
        };
        let warm = together(threads, |thread| steps(thread, 0..ops / 8));
        check(&warm.results, ops / 8)?;
        let timed = together(threads, |thread| steps(thread, 0..ops));
        check(&timed.results, ops)?;
        let mut line = self.line(workload, threads);
        line.throughput(timed.wall, ops, threads);
        if samples > 0 {
            let timed = together(threads, |thread| {
                let mut sum = 0;
                let histogram = latencies(samples, |i| sum += steps(thread, i..i + 1));
                (histogram, sum)
            });
            let (histograms, sums): (Vec<_>, Vec<_>) = timed.results.into_iter().unzip();
            check(&sums, samples)?;
            line.latency(histograms);
        }
        line.print()
    }

    /// Inserts a new key, and removes it, again and again.
    fn churn(&self, threads: usize) -> Result<()> {
        let (map, absent) = (&self.steady, &self.streams.absent);
        let share = absent.len() / threads;
        self.timed(
            "churn",
            threads,
            |thread, steps| {
                let keys = &absent[share * thread..share * (thread + 1)];
                steps
                    .filter(|i| {
                        let key = around(keys, i / 2);
                        if i % 2 == 0 {
                            map.insert(*key, *i as u64)
                        } else {
                            map.remove(key)
                        }
                    })
                    .count()
            },
            |sum, ops| sum == ops,
        )
    }

    /// New keys into a map that has half of them; as many maps as needed.
    fn insert(&self, threads: usize) -> Result<()> {
        let half = self.size / 2;
        let share = half / threads;
        let keys = |thread: usize| {
            let keys = &self.streams.present[half..];
            &keys[share * thread..share * (thread + 1)]
        };
        let fill = |map: &F::Of<K>, latency: bool| {
            together(threads, |thread| {
                let (keys, mut sum) = (keys(thread), 0);
                let mut step = |i: usize| sum += usize::from(map.insert(keys[i], i as u64));
                let histogram = if latency {
                    Some(latencies(share, step))
                } else {
                    (0..share).for_each(&mut step);
                    None
                };
                (histogram, sum)
            })
        };
        let mut line = self.line("insert", threads);
        let (mut wall, mut ops) = (Duration::ZERO, 0);
        let mut histograms = Vec::new();
        let maps = (self.run.ops / half).clamp(1, 64);
        for latency in [false, true] {
            for _ in 0..maps {
                let map = self.filled(half)?;
                let timed = fill(&map, latency);
                let done: usize = timed.results.iter().map(|(_, sum)| sum).sum();
                ensure!(
                    F::NAME == "loop" || (done == share * threads && map.len() == self.size),
                    "{} has lost a new key.",
                    F::NAME
                );
                if latency {
                    histograms.extend(timed.results.into_iter().filter_map(|(h, _)| h));
                } else {
                    wall += timed.wall;
                    ops += share;
                }
                if latency && self.run.samples <= share * histograms.len() {
                    break;
                }
            }
            if self.run.samples == 0 {
                break;
            }
        }
        line.throughput(wall, ops, threads);
        line.latency(histograms);
        line.print()
    }

    /// Lookups, insertions, removals and updates of the keys of both halves.
    fn mix(&self, workload: &str, threads: usize) -> Result<()> {
        let Some((mix, keys)) = MIXES.iter().find_map(|mix| {
            let order = workload.strip_prefix(mix.name)?;
            let keys: fn(&Thread<K>) -> &[K] = match order {
                "-uniform" => |thread| &thread.mix_uniform,
                "-zipf" => |thread| &thread.mix_zipf,
                _ => return None,
            };
            Some((mix, keys))
        }) else {
            bail!("There is no workload {workload} here.");
        };
        let [lookups, insertions, removals, _] = mix.shares;
        let (insertions, removals) = (lookups + insertions, lookups + insertions + removals);
        let map = self.filled(self.size)?;
        // How many more keys there are afterwards.
        let steps = |thread: usize, steps: Range<usize>| {
            let thread = &self.streams.threads[thread];
            let (keys, dice) = (keys(thread), &thread.dice);
            let mut grown = 0isize;
            for i in steps {
                let (key, side) = (around(keys, i), dice[i % dice.len()]);
                if side < lookups {
                    std::hint::black_box(map.lookup(key));
                } else if (insertions..removals).contains(&side) {
                    grown -= isize::from(map.remove(key));
                } else {
                    grown += isize::from(!map.set(*key, i as u64));
                }
            }
            grown
        };
        // These take some maps a hundred times as long as others.
        let (ops, samples) = (self.run.ops / 4, self.run.samples / 4);
        let timed = together(threads, |thread| steps(thread, 0..ops));
        let mut grown: isize = timed.results.iter().sum();
        let mut line = self.line(workload, threads);
        line.throughput(timed.wall, ops, threads);
        if samples > 0 {
            let timed = together(threads, |thread| {
                let mut grown = 0;
                let histogram = latencies(samples, |i| {
                    grown += steps(thread, ops + i..ops + i + 1);
                });
                (histogram, grown)
            });
            let (histograms, more): (Vec<_>, Vec<_>) = timed.results.into_iter().unzip();
            grown += more.iter().sum::<isize>();
            line.latency(histograms);
        }
        ensure!(
            F::NAME == "loop" || map.len() as isize == self.size as isize + grown,
            "{} has {} keys after {workload}, and should have {}.",
            F::NAME,
            map.len(),
            self.size as isize + grown
        );
        line.print()
    }

    /// Bytes per key: of a full map, after deleting nine tenths (per key left),
    /// and after Clear (per key there was).
    fn memory(&self) -> Result<()> {
        let before = memory::used();
        let map = self.filled(self.size)?;
        let print = |workload: &str, keys: usize| {
            let used = memory::used().saturating_sub(before);
            let mut line = self.line(workload, 1);
            line.bytes = Some(used as f64 / keys as f64);
            line.print()
        };
        print("memory", self.size)?;
        let left = self.size / 10;
        for key in &self.streams.present[left..] {
            ensure!(map.remove(key), "{} has lost a key.", F::NAME);
        }
        print("memory-tenth", left)?;
        map.clear();
        print("memory-cleared", self.size)
    }
}

impl Line<'_> {
    fn throughput(&mut self, wall: Duration, ops: usize, threads: usize) {
        self.ops = Some(ops * threads);
        // Thousandths are enough.
        self.ns = Some((wall.as_secs_f64() * 1e12 / ops as f64).round() / 1e3);
    }

    fn latency(&mut self, histograms: Vec<Histogram<u64>>) {
        let Some(all) = histograms.into_iter().reduce(|mut all, one| {
            all += one;
            all
        }) else {
            return;
        };
        self.p50 = Some(all.value_at_quantile(0.5));
        self.p99 = Some(all.value_at_quantile(0.99));
        self.p999 = Some(all.value_at_quantile(0.999));
        self.max = Some(all.max());
    }
}

/// The key at a place that may be beyond the end: there it goes round.
#[inline]
fn around<K>(keys: &[K], place: usize) -> &K {
    debug_assert!(keys.len().is_power_of_two());
    &keys[place & (keys.len() - 1)]
}
