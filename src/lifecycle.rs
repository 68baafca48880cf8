// SPDX-License-Identifier: GPL-2.0

//! The beginning and the end: how a map is made, emptied, and ended, and what was retired is freed.

use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::rcu;

use crate::entry::Entry;
use crate::expunged::{is_listed, ExpungedList, Popped};
use crate::gfp::may_block;
use crate::hash::{Key, Seed};
use crate::helpers::{cond_resched, syncmap_helper_report_ended_by_itself};
use crate::lock;
use crate::locked::Guarded;
use crate::map::Map;
use crate::marks::Marks;
use crate::object::{Stored, Vacant};
use crate::outcome::Options;
use crate::quota::{edquot, Ledger, Short};
use crate::rcu::{unprotected, Shared};
use crate::reclaim::{Ended, Kind, Owner, Reclaimer, RetireList, Retired};
use crate::roots::Roots;
use crate::table::{free_node, free_segment, SegmentList, Size, Table, TableBox};
use crate::value::{Counted, Policy};
use crate::worker::{Tasks, Worker};

/// Expunged entries that are freed in one go at the end of a map.
const BATCH: usize = 64;

impl<K: Key, P: Policy> Map<K, P> {
    /// Makes an empty map. Sleeps if `flags` allow it; fails with `ENOMEM` or `EDQUOT`.
    pub fn with_policy(policy: P, options: Options, flags: Flags) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let Options {
                limits,
                account,
                sweep,
            } = options;
            let ledger = Ledger::new(limits.bytes, account, flags)?;
            let max = limits.entries;
            let charge = |bytes| ledger.charge_new(bytes, flags);
            let first = TableBox::empty(max, Size::Small, flags, charge)?;
            let spare = TableBox::empty(max, Size::Small, flags, charge)?;
            let (roots, guarded) = (Roots::new(first), Guarded::new(spare));
            Ok(try_pin_init!(&this in Self {
                roots,
                lock <- lock::new(guarded),
                seed: Seed::random(),
                limits,
                sweep,
                deleted: Marks::new(),
                strained: Marks::new(),
                policy,
                // SAFETY: The map stops the worker before it ends.
                worker <- unsafe { Worker::new(Tasks {
                    map: this.as_ptr().cast_const().cast(),
                    promote: Self::promote_deferred,
                    sweep: Self::sweep_deferred,
                }) },
                // SAFETY: The map drains the reclaimer before it ends.
                reclaimer <- unsafe { Reclaimer::new(Owner {
                    map: this.as_ptr().cast_const().cast(),
                    free: Self::free_retired,
                }, ledger) },
            }? Error))
        })
    }

    /// Deletes all keys. O(1): the entries are freed by a worker, after a grace period.
    ///
    /// Process context, if `flags` allow sleeping; otherwise any in which memory can be allocated.
    /// Does not fail for lack of memory as long as a map has the empty table that it keeps in
    /// reserve. If that is used up, waits for the grace period that brings it back, and fails with
    /// `EINTR` if a fatal signal arrives meanwhile, with `EBUSY` in the destructor of one of the
    /// map's values, or after ten seconds on a workqueue, or with `ENOMEM` if it may not sleep. While
    /// keys are reserved, takes a kilobyte more, and fails with `ENOMEM` if there is none.
    pub fn clear(&self, flags: Flags) -> Result {
        let mut fresh = self.new_empty(Size::Small, flags);
        loop {
            let seen = self.reclaimer.returns(Short::Map).cycle();
            let guard = rcu::read_lock();
            let locked = self.lock(&guard);
            let done = locked.is_empty(self.sweep);
            // While keys are reserved, the pool has no segment for a small table to grow.
            let reserved = locked.has_reserved();
            if !done {
                let fits = |table: &NonNull<Table<K>>| {
                    // SAFETY: Made by `new_empty`, or put aside as the spare; ours alone.
                    !reserved || !unsafe { table.as_ref() }.is_small(&guard)
                };
                let mut empty = fresh.take_if(|table| fits(table));
                if empty.is_none() {
                    empty = locked.take_spare_if(fits);
                }
                if let Some(empty) = empty {
                    // SAFETY: As above.
                    unsafe { locked.clear(empty) };
                }
                if empty.is_some() {
                    drop(locked);
                    drop(guard);
                    self.free_empty(fresh);
                    return Ok(());
                }
            }
            drop(locked);
            drop(guard);
            self.free_empty(fresh.take());
            if done {
                return Ok(());
            }
            if reserved {
                fresh = Some(self.new_empty(Size::Large, flags).ok_or(ENOMEM)?);
                continue;
            }
            if !may_block(flags) {
                return Err(ENOMEM);
            }
            // The reserve was used by an earlier Clear, whose table becomes the next one.
            self.reclaimer.wait(Short::Map, seen)?;
        }
    }

    /// Frees a table that was made by `new_empty`, and not used.
    fn free_empty(&self, table: Option<NonNull<Table<K>>>) {
        if let Some(table) = table {
            // SAFETY: Ours alone.
            unsafe { self.free_with_era(table) };
        }
    }

    /// An empty table with an era of its own, for Clear. Does not wait for memory to come back.
    fn new_empty(&self, size: Size, flags: Flags) -> Option<NonNull<Table<K>>> {
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).map_err(|_| edquot());
        let table = TableBox::empty(self.limits.entries, size, flags, charge);
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
    unsafe fn put_entry(&self, entry: NonNull<Entry<K>>, ended: &Ended) {
        // SAFETY: The map's reference keeps the entry valid until it is given back here.
        unsafe {
            entry.as_ref().drop_value(&self.policy, &self.reclaimer);
            if !ended.get() && entry.as_ref().put() {
                Entry::destroy(entry, &self.reclaimer);
            }
        }
    }

    /// Frees the entries of a table that owns them, except those on a list of the expunged, which it
    /// leaves to that list, as Expunged entries that no table has.
    ///
    /// # Safety
    ///
    /// The caller owns the table and its entries, and no reader is left.
    unsafe fn put_entries(&self, table: NonNull<Table<K>>, ended: &Ended) {
        // SAFETY: By the contract of the function.
        let (table, guard) = unsafe { (Shared::new(table), unprotected()) };
        let mut next = Some(0);
        while let Some(hash) = next {
            let leaf = table.leaf(hash, guard);
            next = leaf.end();
            for entry in leaf.entries() {
                // SAFETY: By the contract of the function; an entry is in a table once. Lists are
                // settled by the work that runs this, or have been settled before.
                unsafe {
                    if is_listed(&entry) {
                        entry.drop_value(&self.policy, &self.reclaimer);
                        entry.orphan();
                    } else {
                        self.put_entry(entry.as_ptr(), ended);
                    }
                }
                if ended.get() {
                    return;
                }
            }
            cond_resched();
        }
    }

    /// Settles the list of a table that was retired, a few entries at a time.
    fn settle(&self, list: &ExpungedList<K>) {
        while !list.is_empty() {
            let guard = rcu::read_lock();
            self.lock(&guard).settle(list);
            drop(guard);
            cond_resched();
        }
    }

    /// Frees the entries on a list of the expunged at once, except those that were revived.
    ///
    /// # Safety
    ///
    /// The caller ends the map, and there are no readers.
    unsafe fn free_expunged(&self, list: &ExpungedList<K>) {
        while !list.is_empty() {
            let guard = rcu::read_lock();
            let mut batch = RetireList::new();
            for _ in 0..BATCH {
                if let Popped::Expunged(entry) = list.pop(&guard) {
                    // SAFETY: After the last promotion, no table has it, and it is on no list now.
                    let retired = unsafe { Retired::new(Kind::Entry, entry.as_ptr()) };
                    batch.push(retired, entry.bytes());
                }
            }
            drop(guard);
            // SAFETY: By the contract of the function.
            unsafe { self.reclaimer.free_at_once(batch) };
        }
    }

    /// Frees an object that no reader has any more; for the reclaimer.
    ///
    /// # Safety
    ///
    /// `map` is a map, which is not dropped meanwhile; `retired` was retired by it, and its grace
    /// period is over, or the map ends and has no readers. Process context.
    pub(crate) unsafe fn free_retired(map: *const (), retired: Retired, ended: &Ended) -> usize {
        // SAFETY: By the contract of the function.
        let map = unsafe { &*map.cast::<Self>() };
        match retired.kind() {
            Kind::Entry => {
                let entry = retired.object::<Entry<K>>();
                // SAFETY: By the contract of the function.
                unsafe {
                    let bytes = entry.as_ref().bytes();
                    map.put_entry(entry, ended);
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
                let mut table = retired.object::<Table<K>>();
                // SAFETY: By the contract of the function, the table is ours.
                let estate = unsafe { table.as_mut() }.estate();
                let (bytes, whole) = (estate.bytes, estate.whole);
                map.settle(&estate.expunged);
                // SAFETY: As above; Clear made the table the owner of its entries, if it is whole.
                unsafe {
                    if whole {
                        map.put_entries(table, ended);
                        if !ended.get() {
                            map.recycle(table);
                        }
                    } else {
                        map.free_table(table);
                    }
                }
                bytes
            }
        }
    }

    /// Whether the caller is the destructor of a value of this map, which must not end it.
    pub fn is_in_destructor(&self) -> bool {
        self.reclaimer.is_running_here()
    }

    fn uncharged(&self, bytes: usize) -> usize {
        self.reclaimer.ledger.uncharge(bytes);
        bytes
    }

    /// Makes a table that Clear has put aside, and whose entries have been freed, the reserve for the
    /// next one, if there is none.
    fn recycle(&self, mut table: NonNull<Table<K>>) {
        // SAFETY: The table is ours, and so is its era: Clear has retired all tables of it, or they had
        // been retired before, and no reader is left of any.
        let bytes = unsafe { table.as_mut().reset() };
        self.reclaimer.ledger.uncharge(bytes);
        let guard = rcu::read_lock();
        let rest = self.lock(&guard).put_spare(table);
        drop(guard);
        if let Some(rest) = rest {
            // SAFETY: It did not become the spare, so it is ours.
            unsafe { self.free_with_era(rest) };
        }
    }

    /// I8: for the drop of a map, when there are no users any more, since all of them borrow it.
    ///
    /// A map that is ended by the destructor of one of its own values is left as it is: it cannot wait
    /// for the work that it is called from. Its memory is lost, and the log says so.
    ///
    /// # Safety
    ///
    /// The caller drops the map, and does not use it afterwards.
    unsafe fn finish(&self) {
        if P::OUTLIVES_MAP || self.worker.must_rest() {
            // SAFETY: Always safe to call.
            unsafe { bindings::synchronize_rcu() };
        }
        for _ in 0..self.worker.stop() {
            self.reclaimer.expect_no_more();
        }
        if self.reclaimer.is_running_here() {
            syncmap_helper_report_ended_by_itself();
            return self.reclaimer.abandon();
        }
        let guard = rcu::read_lock();
        let locked = self.lock(&guard);
        let expunged = locked.take_expunged();
        locked.promote();
        let table = locked.dirty().as_ptr();
        // There are no readers to wait for: of many maps that end one after the other, all have had
        // their grace period while the first was waited for.
        let rest = locked.take_retired();
        drop(locked);
        drop(guard);
        self.reclaimer.drain();
        // SAFETY: No users, so no readers, or they are gone now.
        unsafe {
            self.free_expunged(&expunged);
            self.reclaimer.free_at_once(rest);
        }
        // A list that was settled meanwhile has retired its entries.
        self.reclaimer.drain();
        // What was freed may have become a new spare.
        let guard = rcu::read_lock();
        let mut pool = SegmentList::new();
        let locked = self.lock(&guard);
        let spare = locked.take_spare();
        // Of reservations that were forgotten.
        locked.empty_pool(&self.reclaimer.ledger, &mut pool);
        drop(locked);
        drop(guard);
        drop(pool);
        if let Some(spare) = spare {
            // SAFETY: The spare is ours.
            unsafe { self.free_with_era(spare) };
        }
        // SAFETY: As above; everything retired has been freed. After the promotion, what is left is in
        // this one table, and nothing else will free it.
        unsafe {
            self.put_entries(table, &Ended::never());
            self.free_with_era(table);
        }
    }
}

#[pinned_drop]
impl<K: Key, P: Policy> PinnedDrop for Map<K, P> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the drop of the map.
        unsafe { self.as_ref().get_ref().finish() };
    }
}

impl<K: Key, S: Stored> Map<K, Counted<S>> {
    /// The memory for a value with a tail of `len` bytes.
    pub(crate) fn new_node(&self, len: usize, flags: Flags) -> Result<Vacant<'_, (), S>> {
        Vacant::new(len, flags, |bytes| self.charge(bytes, flags))
    }
}
