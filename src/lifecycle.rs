// SPDX-License-Identifier: GPL-2.0

//! The end of things: freeing what was retired, and the end of a map.

use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::bindings;
use kernel::prelude::*;

use crate::entry::Entry;
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::map::Map;
use crate::object::{Stored, Vacant};
use crate::quota::{edquot, Charge};
use crate::rcu::{Kind, Retired, Shared};
use crate::roots::Orphans;
use crate::table::{free_node, free_segment, Table, TableBox};
use crate::value::{Counted, Policy};

impl<K: Key, P: Policy> Map<K, P> {
    /// Charges `bytes`; if that exceeds the limit and `flags` allow sleeping, after deleted keys have
    /// been swept and what is retired has been freed. `EDQUOT` or `EINTR`.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize, flags: Flags) -> Result<Charge<'_>> {
        match self.reclaimer.ledger.charge(bytes) {
            Some(charge) => Ok(charge),
            None => self.charge_patiently(bytes, flags),
        }
    }

    #[cold]
    fn charge_patiently(&self, bytes: usize, flags: Flags) -> Result<Charge<'_>> {
        match self.reclaimer.charge(bytes, flags) {
            Err(error) if error == edquot() && flags.contains(GFP_KERNEL) && self.has_deleted() => {
                self.sweep();
                self.reclaimer.charge(bytes, flags)
            }
            done => done,
        }
    }

    /// Whether there are entries that a sweep would free.
    fn has_deleted(&self) -> bool {
        let locked = self.lock();
        let dirty = locked.dirty();
        dirty.used() > dirty.era().live() || locked.has_expunged()
    }

    /// An empty table with an era of its own, for Clear. Does not wait for memory to come back.
    pub(crate) fn new_empty(&self, flags: Flags) -> Option<NonNull<Table<K>>> {
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).ok_or(edquot());
        let table = TableBox::empty(self.limits.entries, flags, charge);
        table.ok().map(TableBox::publish)
    }

    /// Frees a table, all its parts and its era, but no entries.
    ///
    /// # Safety
    ///
    /// The caller owns both.
    pub(crate) unsafe fn free_with_era(&self, table: NonNull<Table<K>>) {
        // SAFETY: By the contract of the function; eras come from a `KBox`.
        unsafe {
            let mut table = table;
            let era = table.as_ref().era_ptr();
            let bytes = table.as_mut().free_parts();
            self.reclaimer.ledger.uncharge(bytes);
            self.free_table(table);
            drop(KBox::from_raw(era.as_ptr()));
        }
    }

    /// Frees the head of a table.
    ///
    /// # Safety
    ///
    /// The caller owns the table.
    unsafe fn free_table(&self, table: NonNull<Table<K>>) {
        // SAFETY: By the contract of the function; tables come from a `KBox`.
        drop(unsafe { KBox::from_raw(table.as_ptr()) });
        self.reclaimer.ledger.uncharge(Table::<K>::BYTES);
    }

    /// Frees the value of an entry and gives back the map's reference to it: what others may still
    /// have is a reference to its key.
    ///
    /// # Safety
    ///
    /// The entry was retired, or its map ends, and no reader is left.
    unsafe fn put_entry(&self, entry: NonNull<Entry<K>>) {
        // SAFETY: The map's reference keeps the entry valid until it is given back here.
        unsafe {
            entry.as_ref().drop_value(&self.policy, &self.reclaimer);
            if entry.as_ref().put() {
                Entry::destroy(entry, &self.reclaimer);
            }
        }
    }

    /// Frees the entries of a table that owns them.
    ///
    /// # Safety
    ///
    /// The caller owns the table and its entries, and no reader is left.
    unsafe fn put_entries(&self, table: NonNull<Table<K>>) {
        // SAFETY: By the contract of the function.
        let table = unsafe { Shared::new(table) };
        let mut next = Some(0);
        while let Some(hash) = next {
            let leaf = table.leaf(hash, &Orphans);
            next = leaf.end();
            for entry in leaf.entries() {
                // SAFETY: By the contract of the function; an entry is in a table once.
                unsafe { self.put_entry(entry.as_ptr()) };
            }
            cond_resched();
        }
    }

    /// Frees an object that no reader has any more; for the reclaimer.
    ///
    /// # Safety
    ///
    /// `map` is a map, which is not dropped meanwhile; `retired` was retired by it, and its grace
    /// period is over, or the map ends and has no readers. Process context.
    pub(crate) unsafe fn free_retired(map: *const (), retired: Retired) -> usize {
        // SAFETY: By the contract of the function.
        let map = unsafe { &*map.cast::<Self>() };
        match retired.kind() {
            Kind::Entry => {
                let entry = retired.object::<Entry<K>>();
                // SAFETY: By the contract of the function.
                unsafe {
                    let bytes = entry.as_ref().bytes();
                    map.put_entry(entry);
                    bytes
                }
            }
            // SAFETY: By the contract of the function.
            Kind::Node => map.uncharged(unsafe { free_node(retired.object()) }),
            // SAFETY: By the contract of the function.
            Kind::Segment => map.uncharged(unsafe { free_segment::<K>(retired.object()) }),
            // SAFETY: By the contract of the function; only counted values are retired as such.
            Kind::Value => unsafe { P::put_retired(retired.object(), &map.reclaimer) },
            Kind::Table => {
                let table = retired.object::<Table<K>>();
                // SAFETY: By the contract of the function.
                match unsafe { table.as_ref() }.owned() {
                    None => {
                        // SAFETY: As above.
                        unsafe { map.free_table(table) };
                        Table::<K>::BYTES
                    }
                    Some(bytes) => {
                        // SAFETY: As above; Clear made the table the owner of its entries.
                        unsafe { map.put_entries(table) };
                        map.recycle(table);
                        bytes
                    }
                }
            }
        }
    }

    fn uncharged(&self, bytes: usize) -> usize {
        self.reclaimer.ledger.uncharge(bytes);
        bytes
    }

    /// Makes a table that Clear has put aside, and whose entries have been freed, the reserve for the
    /// next one, if there is none.
    fn recycle(&self, mut table: NonNull<Table<K>>) {
        // SAFETY: The table is ours, no reader is left.
        let bytes = unsafe { table.as_mut().reset() };
        self.reclaimer.ledger.uncharge(bytes);
        let rest = self.lock().put_spare(table);
        if let Some(rest) = rest {
            // SAFETY: It did not become the spare, so it is ours.
            unsafe { self.free_with_era(rest) };
        }
    }

    /// I8: for the drop of a map, when there are no users any more, since everything borrows it.
    ///
    /// # Safety
    ///
    /// The caller drops the map, and does not use it afterwards.
    pub(crate) unsafe fn finish(&self) {
        if P::OUTLIVES_MAP || self.worker.must_rest() {
            // SAFETY: Always safe to call.
            unsafe { bindings::synchronize_rcu() };
        }
        self.worker.stop();
        // Under the mutex for the sake of form, and of lockdep.
        let locked = self.lock();
        locked.promote();
        let table = locked.dirty().as_ptr();
        // Nobody is to wait for a grace period more because of that: of many maps that end one after
        // the other, all have had theirs while the first was waited for.
        let rest = locked.take_retired();
        drop(locked);
        self.reclaimer.drain();
        // SAFETY: No users, so no readers, or they are gone now.
        unsafe { self.reclaimer.free_at_once(rest) };
        // What was freed may have become a new spare.
        if let Some(spare) = self.lock().take_spare() {
            // SAFETY: The spare is nobody else's.
            unsafe { self.free_with_era(spare) };
        }
        // SAFETY: As above; everything retired has been freed.
        // After the promotion, what is left is in this one table, and nothing else will free it.
        unsafe {
            self.put_entries(table);
            self.free_with_era(table);
        }
    }
}

impl<K: Key, S: Stored> Map<K, Counted<S>> {
    /// The memory for a value with a tail of `len` bytes.
    pub(crate) fn new_node(&self, len: usize, flags: Flags) -> Result<Vacant<'_, (), S>> {
        Vacant::new(len, flags, |bytes| self.charge(bytes, flags))
    }
}
