// SPDX-License-Identifier: GPL-2.0

//! What the worker does: late promotions, and the sweep that gives deleted keys' memory back.

use kernel::prelude::*;
use kernel::sync::rcu;

use crate::entry::{Entry, State};
use crate::gfp::NORETRY;
use crate::hash::Key;
use crate::helpers::{cond_resched, trace_sweep};
use crate::map::Map;
use crate::quota::edquot;
use crate::rcu::Shared;
use crate::roots::count;
use crate::table::{Editor, Supply, FULL};
use crate::value::Policy;

/// Segments, or entries of read, that are swept in one go, with the mutex held.
const BATCH: usize = 8;

/// Segments that are looked at in one read-side section.
const SECTION: usize = 32;

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
        let before = self.slots();
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
        trace_sweep(self.reclaimer.map(), before, self.slots());
    }

    /// Entries of dirty, deleted ones included.
    fn slots(&self) -> usize {
        self.roots.dirty(&rcu::read_lock()).used()
    }

    /// Sweeps what only read has.
    fn sweep_expunged(&self) {
        loop {
            let locked = self.lock();
            let mut left = 8 * BATCH;
            while left > 0 && locked.sweep_expunged() {
                left -= 1;
            }
            if left > 0 {
                return;
            }
        }
    }

    /// Sweeps a batch of segments from the one of `hash`; returns the hash to go on with.
    ///
    /// Looks before it takes the mutex, so that writers do not queue for segments in which there is
    /// nothing to sweep.
    fn sweep_from(&self, hash: u32) -> Option<u32> {
        let mut next = Some(hash);
        let hash = {
            let guard = rcu::read_lock();
            let table = self.roots.dirty(&guard);
            (0..SECTION).find_map(|_| {
                let hash = next?;
                let leaf = table.leaf(hash, &guard);
                next = leaf.end();
                let live = |e: Shared<'_, Entry<K>>| matches!(e.state(), State::Live(_));
                (!leaf.entries().all(live)).then_some(hash)
            })
        };
        let Some(hash) = hash else {
            return next;
        };
        let locked = self.lock();
        let dirty = locked.dirty();
        let (mut next, mut segments) = (Some(hash), 0);
        while let Some(hash) = next.filter(|_| segments < BATCH) {
            let leaf = dirty.leaf(hash, &locked);
            let chain = leaf.segments();
            // Nobody is to wait for all of a long chain times all of it again: what read has as well
            // is looked for there.
            let mut left = match locked.is_alone() {
                true => usize::MAX,
                false => (BATCH * FULL / chain).max(1),
            };
            let mut entries = leaf.entries();
            while let Some(entry) = entries.next() {
                // Not Live: I1 says that what is in dirty is not Expunged, so it was Deleted.
                if !entry.try_expunge_locked() {
                    continue;
                }
                count(&locked.counters().expunged, 1);
                if let Some(spot) = entries.spot() {
                    locked.unlink_from(entry, spot);
                }
                left -= 1;
                if left == 0 {
                    return Some(hash);
                }
            }
            segments += chain;
            next = leaf.end();
        }
        next
    }

    /// Merges segments, if the table has many that are nearly empty.
    ///
    /// In the order of hashes, so that two that have been merged are at once tried with their
    /// neighbour in turn. Takes the mutex for each merger anew; gives up if there is no memory.
    fn shrink(&self) {
        let locked = self.lock();
        let sparse = locked.dirty().is_sparse(&locked);
        drop(locked);
        if !sparse {
            return;
        }
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).ok_or(edquot());
        let mut supply = Supply::new();
        let mut next = Some(0);
        while let Some(hash) = next {
            let locked = self.lock();
            // There is one table to change then, not two.
            locked.promote();
            let needs = match locked.merge(hash, &mut supply) {
                Ok(true) => None,
                Ok(false) => {
                    next = locked.dirty().leaf(hash, &locked).end();
                    None
                }
                Err(needs) => Some(needs),
            };
            drop(locked);
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
