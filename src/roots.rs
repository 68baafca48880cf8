// SPDX-License-Identifier: GPL-2.0

//! The two published pointers, *R* and *D*, and how a key is looked up by them.
//!
//! R is the read table and the flag `amended`, D the dirty table, which is never null: while not
//! amended, D *is* R's table. Amended, it is another table, *apart* from read, in which what was
//! deleted is left out; or the same table still, if nothing was deleted when dirty began, or there
//! was no memory for another one: then the two differ in the new keys only, and those are marked
//! (see [`Birth`](crate::entry)). They change with the map's lock held, by the methods of
//! [`Locked`](crate::locked::Locked). Readers need only [`Roots::read`] and [`Roots::dirty`].
//!
//! # Invariants
//!
//! - **I1** With the locks free and amended: an entry of read is in D (the same entry) or Expunged,
//!   never both. Besides, an entry becomes Expunged to be removed from the one segment that has it, be
//!   that one of dirty, or of both. Expunged ends
//!   only for an entry found in the *current* read, with the map's lock held.
//! - **I2** At every instant D holds every live key; if not amended, so does read.
//! - **I3** A key has at most one entry that can be reached from the current R and D together.
//! - **I4** Live ⇄ Deleted needs no lock; an entry becomes Expunged only from Deleted, or by a
//!   delete's own last step.
//! - **I5** What a reader got stays valid until its RCU section ends; a lock-free writer stays in
//!   one section from finding an entry to finishing its compare-and-swap, which also rules out ABA:
//!   memory is used again only after a grace period.
//! - **I6** Entry, value node and table are each retired exactly once, by exactly one of: the
//!   explicit list of the expunged, removal, sweep, replacement of a table, Clear, and the end of the
//!   map. The value that is in an entry *when the map gives it back*, a grace period later, goes with
//!   it; what Range still holds then is the key.
//! - **I7** Nothing that a sleeping Range holds delays the freeing of anything but itself.
//! - **I8** The end of a map: no users (it is borrowed by all of them); the worker is stopped, a
//!   grace period after its last kick if two of its handlers may have run at once; what is retired
//!   is drained until nothing is left; then the rest is freed. Nothing runs in the text of the
//!   module after that. It sleeps, so a map is never dropped in atomic context.
//! - **I9** A failed operation changes nothing that a reader, a writer or a counter can see.
//! - **I10** A live key never changes its entry; an entry never moves within a published table.
//! - **I11** An object is retired only after every published pointer to it (from R, D, a table, a
//!   list) has been replaced, and its grace period starts after the last such store.
//! - **I12** A segment that is not frozen is reached from the current D by every hash that it serves,
//!   but in a table that Clear has orphaned, or as part of a chain. It is frozen when something else has
//!   been published in its place, with its lock held, and for good.
//!
//! `docs/design.md` has the argument for each.

use kernel::sync::rcu::Guard;

use crate::entry::Entry;
use crate::hash::Key;
use crate::rcu::{Published, Shared};
use crate::table::{Table, TableBox};

/// R and D.
///
/// # Invariants
///
/// Both point to tables of the same era. D points to R's table while not amended, and may do so while
/// amended.
pub(crate) struct Roots<K: Key> {
    pub(crate) read: Published<Table<K>>,
    pub(crate) dirty: Published<Table<K>>,
}

impl<K: Key> Roots<K> {
    /// R and D, pointing to one empty table.
    pub(crate) fn new(empty: TableBox<'_, K>) -> Self {
        let table = empty.publish();
        let (read, dirty) = (Published::new(), Published::new());
        // SAFETY: The pointers are not shared yet. The table is freed by the map, a grace period after
        // it has been replaced, or with the map.
        unsafe {
            read.store(table, false);
            dirty.store(table, false);
        }
        Self { read, dirty }
    }

    /// R: the read table, and whether dirty has keys that it lacks.
    #[inline]
    pub(crate) fn read<'g>(&self, guard: &'g Guard) -> (Shared<'g, Table<K>>, bool) {
        self.read.load(guard)
    }

    /// D. A lookup loads R first: the acquire there orders the two loads, so that D is at least as
    /// new as the flag `amended` that led here (litmus: clear-and-dirty).
    #[inline]
    pub(crate) fn dirty<'g>(&self, guard: &'g Guard) -> Shared<'g, Table<K>> {
        self.dirty.load(guard).0
    }

    /// Whether read and dirty are two tables. A hint, without the lock of the map.
    pub(crate) fn is_apart(&self, guard: &Guard) -> bool {
        self.read(guard).0.as_ptr() != self.dirty(guard).as_ptr()
    }

    /// The table that has all keys (I2), by the same path as a lookup: by D alone, one would still
    /// find what a Clear that has replaced R has deleted (litmus: clear, clear-and-dirty).
    pub(crate) fn whole<'g>(&self, guard: &'g Guard) -> Shared<'g, Table<K>> {
        self.complete(guard).0
    }

    /// The same, and whether it is dirty, and read lacks keys.
    #[inline]
    pub(crate) fn complete<'g>(&self, guard: &'g Guard) -> (Shared<'g, Table<K>>, bool) {
        match self.read(guard) {
            (_, true) => (self.dirty(guard), true),
            complete => complete,
        }
    }
}

/// An entry found by a lookup, and where; with the table whose era it counts in.
pub(crate) enum Found<'g, K: Key> {
    /// In read.
    Read(Shared<'g, Entry<K>>, Shared<'g, Table<K>>),
    /// Only in this dirty table; the lookup has missed read.
    Dirty(Shared<'g, Entry<K>>, Shared<'g, Table<K>>),
    /// In neither; read was complete.
    Nowhere,
    /// In neither; the lookup has missed read, and looked into this dirty table.
    Missed(Shared<'g, Table<K>>),
}

impl<K: Key> Roots<K> {
    /// Looks a key up: in read, or, if that does not have all keys, in dirty.
    ///
    /// Never locks, never starts over: one probe, and a second one for a key that is absent while
    /// amended, to see whether it has missed read. Why "absent" is right: not amended, R's table held
    /// every live key when R was loaded; amended, D's did when D was loaded (I2), however old R is by
    /// then, since whatever replaces D publishes a table that is complete at that moment. So a key
    /// that is not there was absent at an instant within the call. Where read and dirty both have a
    /// key, it is the same entry (I3), and the seed, which asks read first, would find no other.
    #[inline(always)]
    pub(crate) fn lookup<'g>(&self, hash: u32, key: &K::Ref, guard: &'g Guard) -> Found<'g, K> {
        let (read, amended) = self.read(guard);
        if amended {
            return self.lookup_in_both(read, hash, key, guard);
        }
        match read.find(hash, key, guard) {
            Some(entry) => Found::Read(entry, read),
            None => Found::Nowhere,
        }
    }

    /// The rest of [`Roots::lookup`], while amended, when `read` was read.
    #[inline]
    pub(crate) fn lookup_in_both<'g>(
        &self,
        read: Shared<'g, Table<K>>,
        hash: u32,
        key: &K::Ref,
        guard: &'g Guard,
    ) -> Found<'g, K> {
        match self.lookup_in_dirty(hash, key, guard) {
            // Expunged, and so in read only (I1)?
            Found::Missed(dirty) if dirty.as_ptr() != read.as_ptr() => {
                match read.find(hash, key, guard) {
                    Some(entry) => Found::Read(entry, read),
                    None => Found::Missed(dirty),
                }
            }
            found => found,
        }
    }

    #[inline]
    fn lookup_in_dirty<'g>(&self, hash: u32, key: &K::Ref, guard: &'g Guard) -> Found<'g, K> {
        let dirty = self.dirty(guard);
        match dirty.find(hash, key, guard) {
            Some(entry) if dirty.bore(&entry) => Found::Dirty(entry, dirty),
            Some(entry) => Found::Read(entry, dirty),
            None => Found::Missed(dirty),
        }
    }
}
