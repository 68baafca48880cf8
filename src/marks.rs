// SPDX-License-Identifier: GPL-2.0

//! Where the worker has something to do.
//!
//! What is left for the worker must not make it look at the whole table. So whatever leaves it work
//! marks the *region* of the hash, which is those that begin with the same bits, and the worker looks at
//! marked regions only: for one mark, at one key in 1024.

use kernel::sync::atomic::{Atomic, Full};

use crate::atomic::read_once;

/// Bits of a hash that tell its region.
const REGION_BITS: u32 = 10;

const WORDS: usize = (1 << REGION_BITS) / u64::BITS as usize;

/// The hashes that begin with the same bits.
#[derive(Clone, Copy)]
pub(crate) struct Region(u32);

impl Region {
    fn of(hash: u32) -> Self {
        Region(hash >> (u32::BITS - REGION_BITS))
    }

    /// Its least hash.
    pub(crate) fn first(self) -> u32 {
        self.0 << (u32::BITS - REGION_BITS)
    }

    /// Its greatest hash.
    pub(crate) fn last(self) -> u32 {
        self.first() | (u32::MAX >> REGION_BITS)
    }
}

/// Marks of regions.
pub(crate) struct Marks([Atomic<u64>; WORDS]);

impl Marks {
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; WORDS])
    }

    /// Marks the region of a hash, after something in it was changed.
    ///
    /// If that was a fully ordered change, as that of an entry is, or done with the lock held that is
    /// taken after `take`, then the thread that has taken the mark sees the change, or this sees that
    /// the mark is gone: `take` is fully ordered (litmus: request).
    pub(crate) fn mark(&self, hash: u32) {
        let Region(region) = Region::of(hash);
        let Some(word) = self.0.get((region / u64::BITS) as usize) else {
            return;
        };
        let bit = 1 << (region % u64::BITS);
        let mut marks = read_once(word);
        while marks & bit == 0 {
            match word.cmpxchg(marks, marks | bit, Full) {
                Ok(_) => return,
                Err(seen) => marks = seen,
            }
        }
    }

    /// Takes all marks.
    pub(crate) fn take(&self) -> Regions {
        let words = self.0.each_ref().map(|word| match read_once(word) {
            0 => 0,
            _ => word.xchg(0, Full),
        });
        Regions { words, at: 0 }
    }
}

/// Marked regions, in the order of hashes.
#[derive(Clone, Copy)]
pub(crate) struct Regions {
    words: [u64; WORDS],
    at: usize,
}

impl Iterator for Regions {
    type Item = Region;

    fn next(&mut self) -> Option<Region> {
        loop {
            let word = self.words.get_mut(self.at)?;
            if *word != 0 {
                let region = self.at as u32 * u64::BITS + word.trailing_zeros();
                *word &= word.wrapping_sub(1);
                return Some(Region(region));
            }
            self.at += 1;
        }
    }
}
