// SPDX-License-Identifier: GPL-2.0

//! What the worker does: late promotions, and the sweep that gives deleted keys' memory back.

use kernel::prelude::*;
use kernel::sync::rcu;

use crate::entry::State;
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::map::Map;
use crate::quota::edquot;
use crate::roots::count;
use crate::table::Table;
use crate::value::Policy;

/// Home buckets that are swept in one go, with the mutex held.
const BATCH: usize = 64;

/// Home buckets that are looked at in one read-side section.
const SECTION: usize = 256;

impl<K: Key, P: Policy> Map<K, P> {
    /// A promotion that a lookup could not do itself; for the worker.
    ///
    /// # Safety
    ///
    /// `map` is a map that is not dropped meanwhile. Process context.
    pub(crate) unsafe fn promote_deferred(map: *const ()) {
        // SAFETY: By the contract of the function.
        let map = unsafe { &*map.cast::<Self>() };
        Self::promote_if_due(&map.lock());
    }

    /// A sweep, for the worker.
    ///
    /// # Safety
    ///
    /// As [`Map::promote_deferred`].
    pub(crate) unsafe fn sweep_deferred(map: *const ()) {
        // SAFETY: By the contract of the function.
        let map = unsafe { &*map.cast::<Self>() };
        map.sweep();
    }

    /// Frees all keys that were deleted before it began, and shrinks the table if little is left.
    ///
    /// Process context; sleeps. Takes the mutex for a few buckets at a time. Needs no memory; only
    /// shrinking does, which is left for the next time if there is none.
    pub fn sweep(&self) {
        self.sweep_expunged();
        // What dirty has, or read, which is then the same table. By hash: the table may be replaced
        // in between.
        let mut next = Some(0);
        while let Some(hash) = next {
            next = self.sweep_from(hash);
            cond_resched();
        }
        // Once more: a new dirty may have been made meanwhile, without what was deleted.
        self.sweep_expunged();
        count(&self.lock().counters().sweeps, 1);
        self.shrink();
    }

    /// Sweeps what only read has.
    fn sweep_expunged(&self) {
        loop {
            let locked = self.lock();
            let mut left = BATCH;
            while left > 0 && locked.sweep_expunged() {
                left -= 1;
            }
            if left > 0 {
                return;
            }
        }
    }

    /// Sweeps a batch of buckets from the one of `hash`; returns the hash to go on with.
    ///
    /// Looks before it takes the mutex, so that writers do not queue for buckets in which there is
    /// nothing to sweep.
    fn sweep_from(&self, hash: u64) -> Option<u64> {
        let hash = {
            let guard = rcu::read_lock();
            let table = self.roots.dirty(&guard);
            let first = table.home_of(hash);
            let end = table.homes().min(first + SECTION);
            let dead = (first..end).find(|home| {
                let mut entries = table.entries_of(*home, &guard);
                entries.any(|e| !matches!(e.state(), State::Live(_)))
            });
            match dead {
                Some(home) => table.first_hash(home),
                None => return (end < table.homes()).then(|| table.first_hash(end)),
            }
        };
        let locked = self.lock();
        let dirty = locked.dirty();
        let first = dirty.home_of(hash);
        let end = dirty.homes().min(first + BATCH);
        for home in first..end {
            for entry in dirty.entries_of(home, &locked) {
                // Not Live: I1 says that what is in dirty is not Expunged, so it was Deleted.
                if entry.try_expunge_locked() {
                    count(&locked.counters().expunged, 1);
                    locked.unlink(entry);
                }
            }
        }
        (end < dirty.homes()).then(|| dirty.first_hash(end))
    }

    /// Replaces a table that is mostly empty.
    fn shrink(&self) {
        let (used, era) = {
            let locked = self.lock();
            let table = locked.dirty();
            if !table.is_sparse() {
                return;
            }
            (table.used(), table.era_ptr())
        };
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).ok_or(edquot());
        // Room for a few that come in meanwhile; if more do, the table is not sparse any more.
        let Ok(table) = Table::allocate(used + used / 4, era, GFP_KERNEL | __GFP_NOWARN, charge)
        else {
            return;
        };
        let locked = self.lock();
        if locked.dirty().is_sparse() {
            // There is one table to replace then, not two.
            locked.promote();
            locked.shrink(table);
        }
    }
}
