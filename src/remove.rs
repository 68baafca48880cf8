// SPDX-License-Identifier: GPL-2.0

//! The removal of a key that is only in dirty, whose entry is unlinked when it is deleted, as in the
//! seed.
//!
//! It takes the lock of a segment, and, if that is a chain, the map's lock before it.

use kernel::sync::rcu::Guard;

use crate::entry::Entry;
use crate::hash::Key;
use crate::map::Map;
use crate::rcu::Shared;
use crate::reclaim::{Kind, Retired};
use crate::table::{Era, Table};
use crate::value::Policy;

impl<K: Key, P: Policy> Map<K, P> {
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
