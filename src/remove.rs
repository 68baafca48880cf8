// SPDX-License-Identifier: GPL-2.0

//! The removal of a key, whose entry is unlinked when it is deleted: if only dirty has it, as in the seed,
//! or if read is dirty.
//!
//! It takes the lock of a segment; before it the map's, if keys are limited, or if the segment is a chain and
//! only dirty has the entry.

use kernel::sync::rcu::Guard;

use crate::entry::{Entry, State};
use crate::expunged::is_listed;
use crate::hash::Key;
use crate::map::Map;
use crate::rcu::Shared;
use crate::reclaim::{Kind, Retired};
use crate::table::{Era, Table};
use crate::value::Policy;

/// What has become of an attempt to remove an entry at once.
pub(crate) enum Removed<Old> {
    /// The key is deleted, and its entry is gone.
    Done(Old),
    /// `accept` does not agree with the value.
    Refused,
    /// Nothing has changed.
    Not,
}

impl<K: Key, P: Policy> Map<K, P> {
    /// Deletes the key of an entry that has been found, and unlinks that in the same hold of its segment's
    /// lock: if only dirty has it, as in the seed; or if read is dirty, so that a sweep would do no more,
    /// later.
    ///
    /// Live → Expunged, and then unlinked, for the same reason as in [`Map::remove`]. Read has been loaded
    /// with the lock held, and the segment is not frozen: so if read is that dirty, or was it a moment ago,
    /// they share the segment until the lock is released (I12).
    #[inline]
    pub(crate) fn remove_live<'m>(
        &'m self,
        entry: Shared<'_, Entry<K>>,
        accept: &mut impl FnMut(P::Seen<'_>) -> bool,
        guard: &Guard,
    ) -> Removed<P::Old<'m>> {
        let dirty = self.roots.dirty(guard);
        let State::Live(word) = entry.state() else {
            return Removed::Not;
        };
        // SAFETY: Found in the section of `guard`.
        if !accept(unsafe { P::see(word) }) {
            return Removed::Refused;
        }
        // A limit is exact: see `LiveKeys`.
        let lock = dirty.era().is_limited().then(|| self.lock.lock());
        let Some(segment) = dirty.lock_segment(entry.hash(), guard) else {
            return Removed::Not;
        };
        let (read, amended) = self.roots.read(guard);
        let alone = self.sweep && read.as_ptr() == dirty.as_ptr();
        // What is on a list, the list retires.
        let ours = (alone || amended && dirty.bore(&entry)) && !is_listed(&entry);
        if !ours || segment.is_chain() {
            return Removed::Not;
        }
        let Some(spot) = segment.locate(entry) else {
            return Removed::Not;
        };
        if !entry.try_expunge_live_locked(word) {
            return Removed::Not;
        }
        spot.empty();
        let sparse = segment.has_become_sparse();
        drop(segment);
        dirty.era().leave();
        drop(lock);
        // SAFETY: It was in this one place, from which this thread has taken it (I6, I11).
        let retired = unsafe { Retired::new(Kind::Entry, entry.as_ptr()) };
        self.reclaimer.retire(retired, entry.bytes());
        if sparse && self.sweep {
            self.want_sweep(false);
        }
        // SAFETY: The exchange took `word` out of its entry.
        Removed::Done(unsafe { P::old(word, &self.reclaimer) })
    }

    /// Removes an entry from dirty whose key was deleted, if only dirty has it; returns that dirty. `None`
    /// if it is not such an entry any more. A store may have brought the key back: then the entry stays.
    ///
    /// Expunged first, and then unlinked: a lock-free store that has found the entry must not succeed
    /// in it (litmus: delete). It was found in a table of that era. With `counts`, the caller has deleted
    /// the key, and not counted the entry as Deleted yet.
    ///
    /// If the next dirty begins meanwhile, and shares the segment with read, it is unlinked from both.
    pub(crate) fn remove<'g>(
        &self,
        entry: Shared<'g, Entry<K>>,
        era: &Era,
        counts: bool,
        guard: &'g Guard,
    ) -> Option<Shared<'g, Table<K>>> {
        let mut locked = None;
        let (dirty, segment) = loop {
            let dirty = self.roots.dirty(guard);
            match dirty.lock_segment(entry.hash(), guard) {
                Some(segment) if segment.is_chain() && locked.is_none() => {
                    drop(segment);
                    locked = Some(self.lock(guard));
                }
                Some(segment) => break (dirty, segment),
                None => (),
            }
        };
        let spot = match self.roots.read(guard).1 && dirty.bore(&entry) {
            true => segment.locate(entry),
            false => None,
        };
        let newer = spot.is_some();
        let removed = spot.filter(|_| entry.try_expunge_locked());
        let unlinked = removed.map(|spot| spot.empty()).is_some();
        drop(segment);
        drop(locked);
        match (counts, unlinked) {
            (true, false) => era.add_deleted(),
            (false, true) => era.subtract_deleted(),
            _ => (),
        }
        if unlinked {
            // SAFETY: It was in this one place, from which this thread has taken it (I6, I11).
            let retired = unsafe { Retired::new(Kind::Entry, entry.as_ptr()) };
            self.reclaimer.retire(retired, entry.bytes());
        }
        newer.then_some(dirty)
    }
}
