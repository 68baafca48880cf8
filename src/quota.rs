// SPDX-License-Identifier: GPL-2.0

//! What a map may hold, and what it holds now.
//!
//! Everything a map allocates is charged here before it is allocated and uncharged when it is
//! freed, so that what is retired and awaits its grace period counts like what is alive.

use kernel::bindings;
use kernel::error::Error;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::Arc;

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

/// A number of bytes that must not exceed a limit.
struct Tally {
    bytes: Atomic<usize>,
    max: usize,
}

impl Tally {
    fn new(max: usize) -> Self {
        Self {
            bytes: Atomic::new(0),
            max,
        }
    }

    fn bytes(&self) -> usize {
        read_once(&self.bytes)
    }

    /// Adds `bytes`, or returns false if that would exceed the limit.
    fn add(&self, bytes: usize) -> bool {
        let mut now = self.bytes();
        while let Some(next) = now.checked_add(bytes).filter(|n| *n <= self.max) {
            // Relaxed: tallies count, they publish nothing.
            match self.bytes.cmpxchg(now, next, Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    fn subtract(&self, bytes: usize) {
        self.bytes.add(bytes.wrapping_neg(), Relaxed);
    }

    /// Whether there would be room for `bytes` if `freed` were subtracted first.
    fn has_room(&self, bytes: usize, freed: usize) -> bool {
        let rest = self.bytes().saturating_sub(freed);
        rest.checked_add(bytes).is_some_and(|sum| sum <= self.max)
    }
}

/// The bytes that several maps may have together, such as those of one owner; see [`Options`].
///
/// [`Options`]: crate::Options
pub struct Account(Tally);

impl Account {
    /// An account that refuses charges beyond `max` bytes.
    pub fn new(max: usize) -> Self {
        Self(Tally::new(max))
    }

    /// Bytes charged now.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Charges `bytes` that belong to no map's ledger; whether they are within the limit.
    #[must_use]
    pub fn charge(&self, bytes: usize) -> bool {
        self.0.add(bytes)
    }

    /// Takes such a charge back.
    pub fn uncharge(&self, bytes: usize) {
        self.0.subtract(bytes);
    }
}

/// The bytes that a map has allocated.
pub struct Ledger {
    own: Tally,
    account: Option<Arc<Account>>,
}

impl Ledger {
    /// A ledger that refuses charges beyond `max` bytes, or beyond what `account` allows.
    pub fn new(max: usize, account: Option<Arc<Account>>) -> Self {
        Self {
            own: Tally::new(max),
            account,
        }
    }

    /// Bytes charged now.
    pub fn bytes(&self) -> usize {
        self.own.bytes()
    }

    /// Charges `bytes`, or returns `None` if that would exceed a limit. Any context.
    pub fn charge(&self, bytes: usize) -> Option<Charge<'_>> {
        if !self.own.add(bytes) {
            return None;
        }
        if let Some(account) = &self.account {
            if !account.0.add(bytes) {
                self.own.subtract(bytes);
                return None;
            }
        }
        Some(self.adopt(bytes))
    }

    /// Whether `bytes` would be within the limits if `freed` were uncharged first.
    pub(crate) fn has_room(&self, bytes: usize, freed: usize) -> bool {
        let account = self.account.as_ref();
        self.own.has_room(bytes, freed) && account.is_none_or(|a| a.0.has_room(bytes, freed))
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
        self.own.subtract(bytes);
        if let Some(account) = &self.account {
            account.0.subtract(bytes);
        }
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
