// SPDX-License-Identifier: GPL-2.0

//! The lock of a segment.

use kernel::ffi::c_ulong;

use super::{Entries, Segment, Size, Spot, FEW, SPARSE};
use crate::atomic::write_once;
use crate::entry::Entry;
use crate::hash::Key;
use crate::helpers::{syncmap_helper_segment_lock, syncmap_helper_segment_unlock};
use crate::rcu::Shared;
use crate::table::tags;

/// A segment that is first in its chain, or alone, with its lock held, and interrupts off.
///
/// What is in a segment that is neither frozen nor part of a chain is changed with its lock held.
/// That of others is changed with the lock of the map held: nobody comes to it without that, as
/// whoever takes the lock of a segment sees then that it is frozen, or a chain.
///
/// # Lock order
///
/// The lock of the map, if at all, before that of a segment; those of two segments only with the lock of
/// the map held. Held for a bounded time: see `locked.rs`.
pub(crate) struct LockedSegment<'p, K: Key> {
    segment: Shared<'p, Segment<K>>,
    /// By how much hashes are shifted there.
    shift: u32,
    /// The state of interrupts before.
    flags: c_ulong,
}

impl<'p, K: Key> LockedSegment<'p, K> {
    /// Locks a segment for hashes that agree in their first `shift` bits. `second` if the caller, who
    /// has locked the map, has locked another one.
    pub(in crate::table) fn new(segment: Shared<'p, Segment<K>>, shift: u32, second: bool) -> Self {
        // SAFETY: The word is valid for atomic accesses as long as the segment is. The lock is an
        // acquire, and pairs with the exchange that released it.
        let flags =
            unsafe { syncmap_helper_segment_lock(segment.head.lock.as_ptr(), u32::from(second)) };
        Self {
            segment,
            shift,
            flags,
        }
    }

    /// The segment.
    pub(in crate::table) fn segment(&self) -> Shared<'p, Segment<K>> {
        self.segment
    }

    /// Whether something else has taken its place, which is published then.
    pub(in crate::table) fn is_frozen(&self) -> bool {
        self.segment.is_frozen()
    }

    /// Says so. What has taken its place is published: who locks the segment next looks for that.
    pub(in crate::table) fn freeze(&self) {
        write_once(&self.segment.head.frozen, true);
    }

    /// Whether it has no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.segment.used() == 0
    }

    /// Whether it is the first of several.
    pub(crate) fn is_chain(&self) -> bool {
        self.segment.is_chain()
    }

    /// Finds the entry of a key, here or in the rest of the chain.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, key: &K::Ref) -> Option<Shared<'p, Entry<K>>> {
        let segment = self.segment.get();
        let (home, tag) = (segment.home(hash, self.shift), tags::of(hash));
        let candidates = segment.candidates(home, tag);
        let found = candidates.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key));
        match found {
            None if candidates.go_on() => segment.find_further(home, hash, key),
            found => found,
        }
    }

    /// Links an entry. The caller has seen that there is a slot left, and that the key is not in the table.
    #[inline(always)]
    pub(crate) fn insert(&self, entry: Shared<'_, Entry<K>>) {
        let (segment, hash) = (self.segment.get(), entry.hash());
        segment.insert(
            entry.as_ptr(),
            segment.home(hash, self.shift),
            tags::of(hash),
        );
    }

    /// Where this very entry is, here or in the rest of the chain.
    pub(crate) fn locate(&self, entry: Shared<'_, Entry<K>>) -> Option<Spot<'p, K>> {
        let segment = self.segment.get();
        let hash = entry.hash();
        segment.locate(
            entry.as_ptr(),
            segment.home(hash, self.shift),
            tags::of(hash),
        )
    }

    /// Whether the entry that has just been unlinked was the one that made a table of such segments one that
    /// should have fewer.
    pub(crate) fn has_become_sparse(&self) -> bool {
        let used = self.segment.used();
        self.segment.size() == Size::Large && (used + 1 == SPARSE || used == FEW)
    }

    /// All its entries, and those of the rest of the chain.
    pub(crate) fn entries(&self) -> Entries<'p, K> {
        self.segment.get().entries()
    }
}

impl<K: Key> Drop for LockedSegment<'_, K> {
    fn drop(&mut self) {
        // An exchange, which is fully ordered: it releases the lock, and ends a change of the table,
        // which it orders against those of others, as the changes of words are
        // (litmus: two-inserts, order-of-inserts).
        // SAFETY: `new` has locked it.
        unsafe { syncmap_helper_segment_unlock(self.segment.head.lock.as_ptr(), self.flags) };
    }
}
