// SPDX-License-Identifier: GPL-2.0

//! The count of live keys.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::atomic::{read_once, write_once};

/// The live keys of a map between one Clear and the next.
///
/// One per Clear, so that a late compare-and-swap into an entry that Clear has orphaned counts in an
/// era that is over. Every table of the same era points to it; it is freed with the last one.
///
/// In a map with a limit of keys, count and keys change together, with the lock held: so the limit is
/// exact.
pub struct Era {
    live: Atomic<usize>,
    max: usize,
}

impl Era {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            live: Atomic::new(0),
            max,
        }
    }

    /// Live keys. In a map without a limit, those that are about to come or have just gone may be
    /// among them while operations are in flight, but none is missing.
    #[inline]
    pub(crate) fn live(&self) -> usize {
        read_once(&self.live)
    }

    /// Whether there is a limit: then the lock must be held where the count changes.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.max != usize::MAX
    }

    /// Whether the limit is reached.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.live() >= self.max
    }

    /// Counts a key that is about to come. Relaxed: counts, publishes nothing.
    #[inline]
    pub(crate) fn enter(&self) {
        self.live.add(1, Relaxed);
    }

    /// Counts a key that has gone.
    #[inline]
    pub(crate) fn leave(&self) {
        self.live.add(1usize.wrapping_neg(), Relaxed);
    }

    /// Begins anew, when the table that it belongs to is used again.
    pub(super) fn reset(&self) {
        write_once(&self.live, 0);
    }
}
