// SPDX-License-Identifier: GPL-2.0

//! Time: threads that start together, and what an operation takes.

use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing takes longer: a minute, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// What some threads did together.
pub struct Outcome<T> {
    /// From the first start to the last end.
    pub wall: Duration,
    pub results: Vec<T>,
}

/// Runs `work` with the number of each thread, all starting at the same time.
pub fn together<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Outcome<T> {
    let ready = AtomicUsize::new(0);
    let (ready, work) = (&ready, &work);
    let done: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    ready.fetch_add(1, Ordering::AcqRel);
                    while ready.load(Ordering::Acquire) < threads {
                        std::hint::spin_loop();
                    }
                    let start = Instant::now();
                    let result = work(thread);
                    (start, Instant::now(), result)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a panic aborts"))
            .collect()
    });
    let start = done.iter().map(|(start, ..)| *start).min();
    let end = done.iter().map(|(_, end, _)| *end).max();
    Outcome {
        wall: end
            .zip(start)
            .map_or(Duration::ZERO, |(end, start)| end - start),
        results: done.into_iter().map(|(.., result)| result).collect(),
    }
}

/// Times each of `samples` operations by itself, the clock included.
pub fn latencies(samples: usize, mut operation: impl FnMut(usize)) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order");
    for i in 0..samples {
        let start = Instant::now();
        operation(i);
        histogram.saturating_record(start.elapsed().as_nanos() as u64);
    }
    histogram
}
