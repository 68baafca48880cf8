// SPDX-License-Identifier: GPL-2.0

//! The count of live keys, and of those that were deleted.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::atomic::{read_once, write_once};
use crate::counter::{Counters, LateCounters};

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
    /// Of other maps: exact as long as all count in one place, which is up to [`EXACT`] keys, unless
    /// there is no memory for counters. Once there are some, what is read at once may be off by
    /// [`BATCH`] for each processor.
    Unlimited {
        few: [Atomic<usize>; 2],
        many: LateCounters<2>,
    },
}

/// The count of live keys.
const LIVE: usize = 0;
/// The count of the entries of dirty that are Deleted.
const DELETED: usize = 1;

/// Keys up to which all processors count in one place.
const EXACT: usize = 2048;

/// Keys that a processor counts by itself at most.
const BATCH: usize = 64;

/// A count, which may be below zero while operations are in flight.
fn count(of: isize) -> usize {
    usize::try_from(of).unwrap_or(0)
}

impl Era {
    /// One with a limit of `max` keys, or none.
    pub(crate) fn new(max: usize) -> Self {
        Self(match max {
            usize::MAX => Counts::Unlimited {
                few: [const { Atomic::new(0) }; 2],
                many: LateCounters::none(),
            },
            max => Counts::Limited {
                counts: [const { Atomic::new(0) }; 2],
                max,
            },
        })
    }

    /// Whether there are so many keys that each processor should count by itself, as it does not.
    pub(crate) fn lacks_counters(&self) -> bool {
        match &self.0 {
            Counts::Unlimited { many, .. } => {
                many.get().is_none() && count(self.at_once(LIVE)) > EXACT
            }
            Counts::Limited { .. } => false,
        }
    }

    /// Has each processor count by itself.
    pub(crate) fn give_counters(&self, counters: Counters<2>) {
        if let Counts::Unlimited { many, .. } = &self.0 {
            many.set(counters);
        }
    }

    /// Changes a count by one, in as large batches as do not matter to it.
    #[inline]
    fn change(&self, which: usize, by: isize) {
        // Relaxed: counts, publishes nothing.
        match &self.0 {
            Counts::Limited { counts, .. } => counts[which].add(by as usize, Relaxed),
            Counts::Unlimited { few, many } => match many.get() {
                Some(many) => {
                    let batch = count(self.at_once(LIVE)) / (EXACT / 2);
                    many.add(which, by, batch.clamp(1, BATCH));
                }
                None => few[which].add(by as usize, Relaxed),
            },
        }
    }

    /// A count, of which `of_many` says how much processors have counted by themselves.
    #[inline]
    fn count_with(&self, which: usize, of_many: impl Fn(&Counters<2>) -> isize) -> isize {
        match &self.0 {
            Counts::Limited { counts, .. } => read_once(&counts[which]) as isize,
            Counts::Unlimited { few, many } => {
                let many = many.get().map_or(0, |many| of_many(&many));
                (read_once(&few[which]) as isize).wrapping_add(many)
            }
        }
    }

    #[inline]
    fn at_once(&self, which: usize) -> isize {
        self.count_with(which, |many| many.read(which))
    }

    fn sum(&self, which: usize) -> isize {
        self.count_with(which, |many| many.sum(which))
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
    pub(super) fn reset(&mut self) {
        let (Counts::Limited { counts, .. } | Counts::Unlimited { few: counts, .. }) = &self.0;
        counts.iter().for_each(|count| write_once(count, 0));
        if let Counts::Unlimited { many, .. } = &mut self.0 {
            *many = LateCounters::none();
        }
    }
}
