// SPDX-License-Identifier: GPL-2.0

//! What the worker does: late promotions, and the sweep that gives deleted keys' memory back.
//!
//! A sweep must not look at all keys because one was deleted: it looks at regions that deletes have
//! marked, see [`marks`](crate::marks).

use kernel::prelude::*;
use kernel::sync::rcu::{self, Guard};

use crate::entry::State;
use crate::gfp::NORETRY;
use crate::hash::Key;
use crate::helpers::{cond_resched, trace_sweep};
use crate::locked::count;
use crate::map::Map;
use crate::marks::Region;
use crate::quota::edquot;
use crate::table::{Editor, Supply, Table, FULL, SLACK};
use crate::value::Policy;

/// Deleted entries that are swept in one hold of the lock: those of a segment.
const BATCH: usize = FULL + SLACK;

/// Segments that are looked at in one read-side section.
const SECTION: usize = 32;

impl<K: Key, P: Policy> Map<K, P> {
    /// Leaves a promotion to the worker, which also sees to it that there are counters for many keys. Any
    /// context but NMI.
    pub(crate) fn request_promotion(&self) {
        if self.worker.wants_promotion(&self.reclaimer) {
            self.worker.kick();
        }
    }

    /// Has the deleted keys swept: soon, or now if they are more than a quarter of all. Any context
    /// but NMI.
    pub(crate) fn request_sweep(&self, hash: u32, table: &Table<K>) {
        self.deleted.mark(hash);
        if !self.sweep {
            return;
        }
        let (used, deleted) = table.era().about();
        let urgent = used >= 64 && deleted > used / 4;
        self.want_sweep(urgent);
    }

    /// Has the deleted keys swept now.
    pub(crate) fn request_urgent_sweep(&self) {
        self.want_sweep(true);
    }

    pub(crate) fn want_sweep(&self, urgent: bool) {
        if self.worker.wants_sweep(urgent, &self.reclaimer) {
            self.worker.kick();
        }
    }

    /// A promotion that a lookup could not do itself; for the worker.
    ///
    /// # Safety
    ///
    /// `map` is a map that is not dropped meanwhile. Process context.
    pub(crate) unsafe fn promote_deferred(map: *const ()) {
        // SAFETY: By the contract of the function.
        let map = unsafe { &*map.cast::<Self>() };
        let guard = rcu::read_lock();
        map.lock(&guard).promote_if_due();
        drop(guard);
        map.reclaimer.expect_no_more();
        map.spread_counts(GFP_KERNEL);
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
        // What dirty has superseded comes back, too, without a miss; and the next dirty, with nothing
        // deleted, need not be copied.
        let guard = rcu::read_lock();
        let locked = map.lock(&guard);
        if !locked.is_alone() {
            locked.promote();
        }
        drop(locked);
        drop(guard);
        map.reclaimer.expect_no_more();
    }

    /// Frees all keys that were deleted before it began, and shrinks the table if little is left.
    ///
    /// Process context; sleeps. Looks at as many keys as there are in the regions of the deleted ones:
    /// one in 1024 for one deleted key. Takes the lock for a segment at a time. Needs no memory; only
    /// shrinking, and relieving what reserved keys have strained, do, which is left for the next time if
    /// there is none.
    pub fn sweep(&self) {
        let before = self.slots();
        self.relieve();
        self.sweep_expunged();
        // All marks are taken before the first segment is swept: a segment may have several regions,
        // and is swept once. Dirty first: what becomes Expunged meanwhile is in read.
        let regions = self.deleted.take();
        for sweep_from in [Self::sweep_dirty_from, Self::sweep_read_from] {
            let mut swept = Some(0);
            for region in regions {
                swept = self.sweep_region(region, swept, sweep_from);
            }
        }
        // Once more: a new dirty may have been made meanwhile, without what was deleted.
        self.sweep_expunged();
        let guard = rcu::read_lock();
        let locked = self.lock(&guard);
        count(&locked.counters().sweeps, 1);
        let sparse = locked.dirty().is_sparse(&locked);
        drop(locked);
        drop(guard);
        if sparse {
            self.shrink();
        }
        trace_sweep(self.reclaimer.map(), before, self.slots());
    }

    /// Entries of dirty, deleted ones included.
    fn slots(&self) -> usize {
        self.roots.dirty(&rcu::read_lock()).used()
    }

    /// Sweeps what only read has.
    fn sweep_expunged(&self) {
        let mut goes_on = true;
        while goes_on {
            let guard = rcu::read_lock();
            goes_on = self.lock(&guard).sweep_expunged();
            drop(guard);
            cond_resched();
        }
    }

    /// Sweeps a region by `sweep_from`, from the hash `from` on; returns the hash up to which all has
    /// been swept. By hash: the table may be replaced in between.
    fn sweep_region(
        &self,
        region: Region,
        from: Option<u32>,
        sweep_from: fn(&Self, u32, u32) -> Option<u32>,
    ) -> Option<u32> {
        let (first, last) = (region.first(), region.last());
        let mut next = from.map(|from| from.max(first));
        while let Some(hash) = next.filter(|hash| *hash <= last) {
            next = sweep_from(self, hash, last);
            cond_resched();
        }
        next
    }

    /// Looks for a segment with an entry that is `dead`, from the one of `hash` to that of `last`;
    /// returns a hash of it, or else the hash to go on with.
    ///
    /// Without the lock, so that writers do not wait for segments in which there is nothing to sweep.
    fn find_dead(
        table: &Table<K>,
        hash: u32,
        last: u32,
        dead: impl Fn(State) -> bool,
        guard: &Guard,
    ) -> core::result::Result<u32, Option<u32>> {
        let mut next = Some(hash);
        for _ in 0..SECTION {
            let Some(hash) = next.filter(|hash| *hash <= last) else {
                break;
            };
            let leaf = table.leaf(hash, guard);
            if leaf.entries().any(|e| dead(e.state())) {
                return Ok(hash);
            }
            next = leaf.end();
        }
        Err(next)
    }

    /// Sweeps the first segment of dirty that has anything deleted; returns the hash to go on with.
    fn sweep_dirty_from(&self, hash: u32, last: u32) -> Option<u32> {
        let guard = rcu::read_lock();
        let dead = |state| !matches!(state, State::Live(_));
        let hash = match Self::find_dead(&self.roots.dirty(&guard), hash, last, dead, &guard) {
            Ok(hash) => hash,
            Err(next) => return next,
        };
        let locked = self.lock(&guard);
        let leaf = locked.dirty().leaf(hash, &guard);
        let segment = locked.lock_segment(hash);
        let mut left = BATCH;
        let mut entries = segment.entries();
        while let Some(entry) = entries.next() {
            // Not Live: I1 says that what is in dirty is not Expunged, so it was Deleted.
            if !entry.try_expunge_locked() {
                continue;
            }
            if let Some(spot) = entries.spot() {
                locked.unlink(entry, spot);
            }
            left -= 1;
            if left == 0 {
                return Some(hash);
            }
        }
        leaf.end()
    }

    /// Unlinks the Expunged entries of the first segment of read that has any; returns the hash to go on
    /// with. These are on the list of a table that was retired, and not settled yet: that retires them.
    fn sweep_read_from(&self, hash: u32, last: u32) -> Option<u32> {
        let guard = rcu::read_lock();
        if !self.roots.is_apart(&guard) {
            return None;
        }
        let dead = |state| state == State::Expunged;
        let hash = match Self::find_dead(&self.roots.read(&guard).0, hash, last, dead, &guard) {
            Ok(hash) => hash,
            Err(next) => return next,
        };
        let locked = self.lock(&guard);
        let leaf = locked.read().leaf(hash, &guard);
        // If dirty has it, too, nothing stays Expunged there: a removal is about to unlink the entry.
        if !leaf.is_frozen() {
            return leaf.end();
        }
        let mut left = BATCH;
        let mut entries = leaf.entries();
        while let Some(entry) = entries.next() {
            if !dead(entry.state()) {
                continue;
            }
            if let Some(spot) = entries.spot() {
                locked.unlink_from_read(spot);
            }
            left -= 1;
            if left == 0 {
                return Some(hash);
            }
        }
        leaf.end()
    }

    /// Merges segments of a table that has many that are nearly empty.
    ///
    /// In the order of hashes, so that two that have been merged are at once tried with their
    /// neighbour in turn. Takes the lock for each merger anew; gives up if there is no memory.
    fn shrink(&self) {
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).map_err(|_| edquot());
        let mut supply = Supply::new();
        let mut next = Some(0);
        while let Some(hash) = next {
            let guard = rcu::read_lock();
            let locked = self.lock(&guard);
            // There is one table to change then, not two.
            locked.promote();
            let needs = match locked.merge(hash, &mut supply) {
                Ok(true) => None,
                Ok(false) => {
                    next = locked.dirty().leaf(hash, &guard).end();
                    None
                }
                Err(needs) => Some(needs),
            };
            drop(locked);
            drop(guard);
            if let Some(needs) = needs {
                let flags = GFP_KERNEL | __GFP_NOWARN | NORETRY;
                if supply.provide(&needs, flags, charge).is_err() {
                    return;
                }
            }
            cond_resched();
        }
    }
}
