// SPDX-License-Identifier: GPL-2.0

//! The keys and the order they are used in: drawn once, with a fixed seed, and
//! written to files, so that every program in every language and every round
//! does the same to the same keys.  All numbers are little-endian.
//!
//! For each size N:
//!
//! * `keys-N`: 2 N different random `u64`; the map holds the first half, the
//!   second half are keys that miss, or new ones;
//! * `uniform-N-T`: for thread T, `u32` places in the first half of the keys;
//! * `mix-uniform-N-T`, `mix-zipf-N-T`: the same for both halves, the latter
//!   by Zipf's law with the exponent 0.99, ranks alternating between halves.
//!
//! And for all sizes:
//!
//! * `dice-T`: random bytes from 0 to 99, which choose the operation in a mix;
//!   a prime number of them, so that a second pass differs from the first.

use crate::maps::Key;
use crate::Shape;
use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

const SEED: u64 = 0x5eed_5eed_5eed_5eed;
const DICE: usize = 65_521;
const ZIPF_EXPONENT: f64 = 0.99;
/// Streams are no shorter than this, however small the map.
const SHORTEST: usize = 8192;

pub fn write(shape: &Shape) -> Result<()> {
    let dir = &shape.streams;
    fs::create_dir_all(dir).with_context(|| format!("Cannot make the folder {dir:?}."))?;
    let threads = shape.threads.iter().copied().max().unwrap_or(1);
    for &size in &shape.sizes {
        let mut rng = StdRng::seed_from_u64(SEED ^ size as u64);
        let keys = distinct(&mut rng, 2 * size);
        save(&dir.join(format!("keys-{size}")), &keys, |key| {
            key.to_le_bytes()
        })?;
        let length = size.max(SHORTEST);
        let zipf = Zipf::new(2.0 * size as f64, ZIPF_EXPONENT)?;
        for thread in 0..threads {
            let mut draw = |name: &str, place: &mut dyn FnMut(&mut StdRng) -> usize| {
                let places: Vec<u32> = (0..length).map(|_| place(&mut rng) as u32).collect();
                save(
                    &dir.join(format!("{name}-{size}-{thread}")),
                    &places,
                    |place| place.to_le_bytes(),
                )
            };
            draw("uniform", &mut |rng| rng.random_range(0..size))?;
            draw("mix-uniform", &mut |rng| rng.random_range(0..2 * size))?;
            draw("mix-zipf", &mut |rng| {
                let rank = zipf.sample(rng) as usize - 1;
                rank / 2 + size * (rank % 2)
            })?;
        }
    }
    for thread in 0..threads {
        let mut rng = StdRng::seed_from_u64(SEED.rotate_left(thread as u32 + 1));
        let dice: Vec<u8> = (0..DICE).map(|_| rng.random_range(0..100)).collect();
        save(&dir.join(format!("dice-{thread}")), &dice, |side| [*side])?;
    }
    Ok(())
}

fn distinct(rng: &mut StdRng, count: usize) -> Vec<u64> {
    let mut seen = HashSet::with_capacity(count);
    let mut keys = Vec::with_capacity(count);
    while keys.len() < count {
        let key = rng.random();
        if seen.insert(key) {
            keys.push(key);
        }
    }
    keys
}

fn save<T, const N: usize>(path: &Path, all: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Result<()> {
    let all: Vec<u8> = all.iter().flat_map(bytes).collect();
    fs::write(path, all).with_context(|| format!("Cannot write the keys to {path:?}."))
}

/// The streams of one size, as keys of one length.
pub struct Streams<K> {
    /// Those that the map holds.
    pub present: Vec<K>,
    /// As many others.
    pub absent: Vec<K>,
    pub threads: Vec<Thread<K>>,
}

/// What one thread does, in order.
pub struct Thread<K> {
    pub hits: Vec<K>,
    pub misses: Vec<K>,
    pub mix_uniform: Vec<K>,
    pub mix_zipf: Vec<K>,
    pub dice: Vec<u8>,
}

impl<K: Key> Streams<K> {
    pub fn read(dir: &Path, size: usize, threads: usize) -> Result<Self> {
        let keys: Vec<K> = load(&dir.join(format!("keys-{size}")), u64::from_le_bytes)?
            .into_iter()
            .map(K::new)
            .collect();
        let (present, absent) = keys.split_at(size);
        let read = |name: &str, thread: usize, from: &[K]| -> Result<Vec<K>> {
            let path = dir.join(format!("{name}-{size}-{thread}"));
            let places = load(&path, u32::from_le_bytes)?;
            Ok(places.into_iter().map(|i| from[i as usize]).collect())
        };
        let threads = (0..threads)
            .map(|thread| {
                Ok(Thread {
                    hits: read("uniform", thread, present)?,
                    misses: read("uniform", thread, absent)?,
                    mix_uniform: read("mix-uniform", thread, &keys)?,
                    mix_zipf: read("mix-zipf", thread, &keys)?,
                    dice: load(&dir.join(format!("dice-{thread}")), u8::from_le_bytes)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            present: present.to_vec(),
            absent: absent.to_vec(),
            threads,
        })
    }
}

fn load<T, const N: usize>(path: &Path, number: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let bytes = fs::read(path)
        .with_context(|| format!("Cannot read the keys in {path:?}; run the command streams."))?;
    Ok(bytes
        .chunks_exact(N)
        .map(|chunk| number(chunk.try_into().expect("a chunk has N bytes")))
        .collect())
}
