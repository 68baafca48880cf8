// SPDX-License-Identifier: GPL-2.0

//! What a map may hold, and what it holds now.
//!
//! Everything a map allocates is charged here before it is allocated and uncharged when it is
//! freed, so that what is retired and awaits its grace period counts like what is alive.

use kernel::bindings;
use kernel::error::Error;
use kernel::sync::atomic::{Atomic, Relaxed};

use crate::atomic::read_once;

/// `EDQUOT`, for which 7.2 has no name.
pub fn edquot() -> Error {
    Error::from_errno(-(bindings::EDQUOT as i32))
}

/// Limits of a map; [`Limits::NONE`] is the default.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Greatest number of live keys.
    pub entries: usize,
    /// Greatest number of bytes: keys, values, tables, and what awaits a grace period.
    pub bytes: usize,
    /// Greatest number of buckets in the chain that a new key joins. Keys that collide beyond it
    /// are refused with `E2BIG`, so that they cost the one who chose them and nobody else.
    pub chain: usize,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits {
        entries: usize::MAX,
        bytes: usize::MAX,
        chain: usize::MAX,
    };
}

/// The bytes that a map has allocated.
pub struct Ledger {
    bytes: Atomic<usize>,
    max: usize,
}

impl Ledger {
    /// A ledger that refuses charges beyond `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            bytes: Atomic::new(0),
            max,
        }
    }

    /// Bytes charged now.
    pub fn bytes(&self) -> usize {
        read_once(&self.bytes)
    }

    /// Charges `bytes`, or returns `None` if that would exceed the limit. Any context.
    pub fn charge(&self, bytes: usize) -> Option<Charge<'_>> {
        let mut now = read_once(&self.bytes);
        loop {
            let next = now.checked_add(bytes).filter(|n| *n <= self.max)?;
            // Relaxed: the ledger counts, it publishes nothing.
            match self.bytes.cmpxchg(now, next, Relaxed) {
                Ok(_) => {
                    return Some(Charge {
                        ledger: self,
                        bytes,
                    })
                }
                Err(seen) => now = seen,
            }
        }
    }

    /// Whether `bytes` more than `now` are within the limit.
    pub(crate) fn has_room(&self, now: usize, bytes: usize) -> bool {
        now.checked_add(bytes).is_some_and(|sum| sum <= self.max)
    }

    /// A charge of `bytes` that was kept before.
    pub(crate) fn adopt(&self, bytes: usize) -> Charge<'_> {
        Charge {
            ledger: self,
            bytes,
        }
    }

    /// Takes back a charge whose object has been freed. Any context.
    pub fn uncharge(&self, bytes: usize) {
        self.bytes.add(bytes.wrapping_neg(), Relaxed);
    }
}

/// A charge for something that is not part of the map yet; dropping it takes the charge back.
pub struct Charge<'m> {
    ledger: &'m Ledger,
    bytes: usize,
}

impl Charge<'_> {
    /// Whether this is a charge on `ledger`.
    pub(crate) fn is_on(&self, ledger: &Ledger) -> bool {
        core::ptr::eq(self.ledger, ledger)
    }

    /// Leaves the charge with the ledger: the object belongs to the map from now on.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.ledger.uncharge(self.bytes);
    }
}
