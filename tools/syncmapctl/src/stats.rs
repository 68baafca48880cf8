// SPDX-License-Identifier: GPL-2.0

//! Counters of a map.

use serde_json::{json, Value};
use std::thread;
use std::time::{Duration, Instant};
use syncmap_client::{Info, Map, Stats};

use crate::failure::Failure;
use crate::maps::{open, For};
use crate::output::{size, Output};
use crate::process::on_interrupt;

/// Lines of `watch` until the heads of its columns are shown again.
const PAGE: u64 = 20;

/// What is counted while a map is used, and can be shown as a rate.
#[derive(Clone, Copy)]
struct Counters {
    keys: u64,
    misses: u64,
    promotions: u64,
    expunged: u64,
    sweeps: u64,
}

/// The state of a map at a time.
struct Sample {
    at: Instant,
    bytes: u64,
    retired_bytes: u64,
    counters: Counters,
}

impl Sample {
    fn take(map: &Map) -> Result<Self, Failure> {
        let stats = map.stats()?;
        Ok(Self {
            at: Instant::now(),
            bytes: stats.bytes,
            retired_bytes: stats.retired_bytes,
            counters: Counters {
                keys: stats.entries,
                misses: stats.misses,
                promotions: stats.promotions,
                expunged: stats.expunged,
                sweeps: stats.sweeps,
            },
        })
    }

    /// How much the counters have changed in a second, on average, since an earlier sample.
    fn rates(&self, before: &Self) -> [f64; 5] {
        let seconds = (self.at - before.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let pairs = self.counters.all().into_iter().zip(before.counters.all());
        let mut rates = [0.0; 5];
        for (rate, (now, before)) in rates.iter_mut().zip(pairs) {
            // There may be fewer keys than before.
            *rate = now.wrapping_sub(before) as i64 as f64 / seconds;
        }
        rates
    }
}

impl Counters {
    fn all(&self) -> [u64; 5] {
        [
            self.keys,
            self.misses,
            self.promotions,
            self.expunged,
            self.sweeps,
        ]
    }
}

fn as_json(stats: &Stats, info: &Info) -> Value {
    json!({
        "keys": stats.entries,
        "max_keys": info.max_entries,
        "bytes": stats.bytes,
        "max_bytes": info.max_bytes,
        "retired_bytes": stats.retired_bytes,
        "read_slots": stats.read_slots,
        "dirty_slots": stats.dirty_slots,
        "amended": stats.amended,
        "misses": stats.misses,
        "promotions": stats.promotions,
        "expunged": stats.expunged,
        "sweeps": stats.sweeps,
        "owner": {
            "bytes": info.owner_bytes,
            "max_bytes": info.max_owner_bytes,
            "names": info.names,
            "max_names": info.max_names,
        },
    })
}

pub(crate) fn stats(name: &str, out: &mut Output) -> Result<(), Failure> {
    let map = open(name, For::Reading)?;
    let (stats, info) = (map.stats()?, map.info()?);
    if out.json {
        return out.value(&as_json(&stats, &info));
    }
    let amended = if stats.amended { "yes" } else { "no" };
    for (title, text) in [
        (
            "keys",
            format!("{} of at most {}", stats.entries, info.max_entries),
        ),
        (
            "memory",
            format!("{} of at most {}", size(stats.bytes), size(info.max_bytes)),
        ),
        ("  to be freed soon", size(stats.retired_bytes)),
        ("slots of the read table", stats.read_slots.to_string()),
        ("slots of the dirty table", stats.dirty_slots.to_string()),
        ("dirty has more keys", amended.into()),
        ("misses of the read table", stats.misses.to_string()),
        ("promotions of dirty", stats.promotions.to_string()),
        ("entries expunged", stats.expunged.to_string()),
        ("sweeps", stats.sweeps.to_string()),
        (
            "memory of the owner",
            format!(
                "{} of at most {}",
                size(info.owner_bytes),
                size(info.max_owner_bytes)
            ),
        ),
        (
            "names of the owner",
            format!("{} of at most {}", info.names, info.max_names),
        ),
    ] {
        out.line(format!("{title:<26}{text}"))?;
    }
    Ok(())
}

/// A number in few columns.
fn short(number: f64) -> String {
    let magnitude = number.abs();
    match magnitude {
        0.0 => "0".into(),
        ..99.95 => format!("{number:.1}"),
        ..999_999.5 => format!("{number:.0}"),
        ..999_999_950.0 => format!("{:.1}M", number / 1e6),
        _ => format!("{:.1}G", number / 1e9),
    }
}

fn line(now: &Sample, rates: [f64; 5]) -> String {
    let [keys, misses, promotions, expunged, sweeps] = rates.map(short);
    let (bytes, retired) = (size(now.bytes), size(now.retired_bytes));
    format!(
        "{:>10} {keys:>8} {bytes:>11} {retired:>11} {misses:>8} {promotions:>8} {expunged:>9} \
         {sweeps:>7}",
        now.counters.keys
    )
}

pub(crate) fn watch(
    name: &str,
    interval: Duration,
    count: Option<u64>,
    out: &mut Output,
) -> Result<(), Failure> {
    let map = open(name, For::Reading)?;
    // Each line is complete, so there is nothing left to say.
    on_interrupt(|| 0)?;
    let mut before = Sample::take(&map)?;
    let start = before.at;
    for number in 0..count.unwrap_or(u64::MAX) {
        if !out.json && number % PAGE == 0 {
            out.line(
                "      KEYS   KEYS/S      MEMORY     RETIRED MISSES/S PROMOT/S EXPUNGE/S SWEEP/S",
            )?;
            out.end()?;
        }
        thread::sleep(interval);
        let now = Sample::take(&map)?;
        let rates = now.rates(&before);
        if out.json {
            let [keys, misses, promotions, expunged, sweeps] = rates;
            let seconds = (now.at - start).as_secs_f64();
            out.value(&json!({
                "seconds": (seconds * 1e3).round() / 1e3,
                "keys": now.counters.keys,
                "bytes": now.bytes,
                "retired_bytes": now.retired_bytes,
                "per_second": {
                    "keys": keys,
                    "misses": misses,
                    "promotions": promotions,
                    "expunged": expunged,
                    "sweeps": sweeps,
                },
            }))?;
        } else {
            out.line(line(&now, rates))?;
        }
        out.end()?;
        before = now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, keys: u64, misses: u64) -> Sample {
        let counters = Counters {
            keys,
            misses,
            promotions: 0,
            expunged: 0,
            sweeps: 0,
        };
        Sample {
            at,
            bytes: 1 << 40,
            retired_bytes: 1 << 30,
            counters,
        }
    }

    #[test]
    fn rates_are_per_second() {
        let start = Instant::now();
        let before = sample(start, 100, 7);
        let now = sample(start + Duration::from_secs(2), 60, 17);
        assert_eq!(now.rates(&before), [-20.0, 5.0, 0.0, 0.0, 0.0]);
        // Two samples of one instant.
        assert!(sample(start, 101, 7)
            .rates(&before)
            .iter()
            .all(|rate| rate.is_finite()));
    }

    #[test]
    fn lines_have_80_columns_at_most() {
        let now = sample(Instant::now(), 1048576, 0);
        for rate in [0.0, -99.9, 1e5, -1e6, 12.3e9] {
            let line = line(&now, [rate; 5]);
            assert!(line.len() <= 80, "{line}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (99.94, "99.9"),
            (100.4, "100"),
            (-999999.0, "-999999"),
            (1e6, "1.0M"),
            (2.5e9, "2.5G"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
