// SPDX-License-Identifier: GPL-2.0

//! The count of live keys, and of those that were deleted.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

use crate::atomic::{read_once, write_once};
use crate::counter::Counters;

/// The keys of a map between one Clear and the next.
///
/// One per Clear, so that a late compare-and-swap into an entry that Clear has orphaned counts in an
/// era that is over. Every table of the same era points to it; it is freed with the last one.
pub struct Era(Counts);

enum Counts {
    /// Of a map with a limit of keys: counts and keys change together, with the lock of the map held, so
    /// the limit is exact.
    Limited {
        counts: [Atomic<usize>; 2],
        max: usize,
    },
    /// Of other maps: the sum of what was counted before there were many keys, and since. Exact while
    /// `exact`, which is up to [`EXACT`] keys; if there have been more since the last Clear, what is read
    /// at once may be off by [`BATCH`] for each processor.
    Unlimited {
        few: [Atomic<usize>; 2],
        many: Counters<2>,
        exact: Atomic<bool>,
    },
}

/// The count of live keys.
const LIVE: usize = 0;
/// The count of the entries of dirty that are Deleted.
const DELETED: usize = 1;

/// Keys up to which counts are exact.
const EXACT: usize = 2048;

/// Keys that a processor counts by itself at most.
const BATCH: usize = 64;

/// A count, which may be below zero while operations are in flight.
fn count(of: isize) -> usize {
    usize::try_from(of).unwrap_or(0)
}

impl Era {
    /// Allocates one with a limit of `max` keys, or none. Sleeps if `flags` allow it.
    pub(crate) fn new(max: usize, flags: Flags) -> Result<Self> {
        Ok(Self(match max {
            usize::MAX => Counts::Unlimited {
                few: [const { Atomic::new(0) }; 2],
                many: Counters::new(flags)?,
                exact: Atomic::new(true),
            },
            max => Counts::Limited {
                counts: [const { Atomic::new(0) }; 2],
                max,
            },
        }))
    }

    /// Changes a count by one, in as large batches as do not matter to it.
    #[inline]
    fn change(&self, which: usize, by: isize) {
        // Relaxed: counts, publishes nothing.
        match &self.0 {
            Counts::Limited { counts, .. } => counts[which].add(by as usize, Relaxed),
            Counts::Unlimited { few, many, exact } => {
                let batch = count(self.at_once(LIVE)) / (EXACT / 2);
                if read_once(exact) {
                    if batch < 2 {
                        return few[which].add(by as usize, Relaxed);
                    }
                    write_once(exact, false);
                }
                many.add(which, by, batch.clamp(1, BATCH));
            }
        }
    }

    #[inline]
    fn at_once(&self, which: usize) -> isize {
        match &self.0 {
            Counts::Limited { counts, .. } => read_once(&counts[which]) as isize,
            Counts::Unlimited { few, many, .. } => {
                (read_once(&few[which]) as isize).wrapping_add(many.read(which))
            }
        }
    }

    fn sum(&self, which: usize) -> isize {
        match &self.0 {
            Counts::Unlimited { few, many, exact } if !read_once(exact) => {
                (read_once(&few[which]) as isize).wrapping_add(many.sum(which))
            }
            _ => self.at_once(which),
        }
    }

    /// Live keys. O(processors) if there have been many. Operations in flight may each make it one too high
    /// or too low.
    pub(crate) fn live(&self) -> usize {
        count(self.sum(LIVE))
    }

    /// Whether there are entries in dirty whose keys are deleted; as exact as [`Era::live`].
    pub(crate) fn has_deleted(&self) -> bool {
        self.sum(DELETED) > 0
    }

    /// All entries of dirty; as exact as [`Era::live`].
    pub(crate) fn used(&self) -> usize {
        count(self.sum(LIVE).wrapping_add(self.sum(DELETED)))
    }

    /// The entries of dirty, and those of them whose keys are deleted, as far as can be told at once.
    #[inline]
    pub(crate) fn about(&self) -> (usize, usize) {
        let deleted = self.at_once(DELETED);
        (
            count(self.at_once(LIVE).wrapping_add(deleted)),
            count(deleted),
        )
    }

    /// Whether there is a limit: then the lock of the map must be held where the count changes.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        matches!(self.0, Counts::Limited { .. })
    }

    /// Whether the limit is reached.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match &self.0 {
            Counts::Limited { counts, max } => read_once(&counts[LIVE]) >= *max,
            Counts::Unlimited { .. } => false,
        }
    }

    /// Counts a key that is about to come.
    #[inline]
    pub(crate) fn enter(&self) {
        self.change(LIVE, 1);
    }

    /// Counts a key that has gone.
    #[inline]
    pub(crate) fn leave(&self) {
        self.change(LIVE, -1);
    }

    /// Counts an entry of dirty that has become Deleted.
    #[inline]
    pub(crate) fn add_deleted(&self) {
        self.change(DELETED, 1);
    }

    /// Counts an entry of dirty that is not Deleted any more, or not in dirty.
    #[inline]
    pub(crate) fn subtract_deleted(&self) {
        self.change(DELETED, -1);
    }

    /// Begins anew, when the table that it belongs to is used again.
    pub(super) fn reset(&self) {
        match &self.0 {
            Counts::Limited { counts, .. } => counts.iter().for_each(|count| write_once(count, 0)),
            Counts::Unlimited { few, many, exact } => {
                few.iter().for_each(|count| write_once(count, 0));
                many.reset();
                write_once(exact, true);
            }
        }
    }
}
