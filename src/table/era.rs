// SPDX-License-Identifier: GPL-2.0

//! The count of live keys.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::atomic::{read_once, write_once};
use crate::entry::Admit;

/// The live keys of a map between one Clear and the next.
///
/// One per Clear, so that a late compare-and-swap into an entry that Clear has orphaned counts where
/// nobody looks any more. Every table of the same era points to it; it is freed with the last one.
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

    /// Live keys; while operations are in flight, those that are about to come or have just gone
    /// may be among them, but none is missing.
    pub(crate) fn live(&self) -> usize {
        read_once(&self.live)
    }

    /// Begins anew, when the table that it belongs to is used again.
    pub(super) fn reset(&self) {
        write_once(&self.live, 0);
    }
}

impl Admit for Era {
    fn admit(&self) -> bool {
        // Relaxed: counts, publishes nothing.
        let mut live = self.live();
        while live < self.max {
            match self.live.cmpxchg(live, live + 1, Relaxed) {
                Ok(_) => return true,
                Err(seen) => live = seen,
            }
        }
        false
    }

    fn leave(&self) {
        self.live.add(1usize.wrapping_neg(), Relaxed);
    }
}
