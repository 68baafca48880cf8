// SPDX-License-Identifier: GPL-2.0

//! The changes of R and D, of the shape of the tables, and of the lists: with the map's lock held.
//!
//! New keys come, and keys go that only one segment has, with the lock of a segment held and no more, as
//! long as the table need not change its shape ([`insert`](crate::insert), [`remove`](crate::remove)).
//! So what is found here with the lock of the map held may change, unless the segment is locked, too.
//!
//! # How long locks are held
//!
//! Nothing here depends on how many keys there are, or were deleted. The lock of a segment alone is held
//! for one search in it, and one slot that is filled or emptied. The longest hold of both is that of a
//! new key whose segment is shared with read and full: it copies the segment (105 slots), splits the
//! copy in two (105 entries at most), and copies at most three nodes of the directory (256 slots each). A
//! collision chain, which `Limits::chain` bounds, may be searched to its end. Promotion and Clear
//! take constant time; the expunged are settled, and deleted keys swept, a few at a time.
//!
//! One thing adds to that: reserved keys that have overflowed a segment have made a mixed chain of it,
//! which the worker splits at once. A writer that comes before the worker splits it, with all reserved
//! keys that have come to this segment until then.

use core::cell::Cell;
use core::ptr::NonNull;
use kernel::sync::rcu::Guard;

use crate::entry::{CountLive, Entry};
use crate::expunged::{is_listed, ExpungedList, Popped};
use crate::hash::Key;
use crate::helpers::{trace_clear, trace_dirty, trace_promote};
use crate::lock::{RawSpinLock, RawSpinLockGuard};
use crate::quota::Ledger;
use crate::rcu::Shared;
use crate::reclaim::{Kind, Reclaimer, RetireList, Retired};
use crate::roots::Roots;
use crate::table::{
    Editor, Era, Estate, LockedSegment, Needs, Next, Room, SegmentList, SegmentStack, Spot, Supply,
    Table, TableBox, SLACK,
};

/// Entries that come off a list of the expunged in one hold of the lock.
const SETTLED: usize = 16;

/// What the lock guards, besides every change of R, D and the tables.
pub(crate) struct Guarded<K: Key> {
    /// The entries that read has and dirty lacks.
    expunged: ExpungedList<K>,
    /// The parts that read has and dirty has replaced.
    superseded: Cell<RetireList>,
    /// Slots in use in read, while amended; but for keys that were just being inserted when dirty began.
    read_slots: Cell<usize>,
    /// An empty table and its era, for a Clear that finds no memory.
    spare: Cell<Option<Spare<K>>>,
    /// For new keys whose memory was reserved.
    pool: Pool<K>,
    pub(crate) counters: Counters,
}

/// Segments that are kept for new keys whose memory was reserved, so that each has a place whatever
/// its hash.
///
/// A reserved key goes to a free slot of its segment, and if there is none, takes a segment from the
/// pool and puts it in front (see [`Table::overflow`]). A segment has [`SLACK`] slots that only
/// reserved keys use. So it takes that many of them, since the segment was last relieved, before one
/// finds no slot; and the pool always has a segment then:
///
/// # Invariants
///
/// While keys are reserved, `SLACK * segments >= reserved + strained + relieving`, in a pool that has one
/// more segment while the table is a small one. Always, `strained + relieving` is no less than what all
/// segments that are first in a chain, or alone, have in use beyond `FULL`.
struct Pool<K: Key> {
    segments: SegmentStack<K>,
    /// Keys that may still come.
    reserved: Cell<usize>,
    /// Keys that have used the slack of a segment since the worker last began to relieve segments.
    strained: Cell<usize>,
    /// Those before, while a sweep does so; there may be none left of them before it has ended.
    relieving: Cell<Option<usize>>,
}

impl<K: Key> Pool<K> {
    /// How many segments the pool should have if so many keys were reserved.
    fn target(&self, reserved: usize, small: bool) -> usize {
        match reserved {
            0 => 0,
            _ => {
                let keys = reserved + self.strained.get() + self.relieving.get().unwrap_or(0);
                keys.div_ceil(SLACK) + usize::from(small)
            }
        }
    }

    /// Takes as many keys off as a segment stands for that was put in front of one that is exhausted.
    fn overflowed(&self) {
        let first = self.relieving.get().unwrap_or(0).min(SLACK);
        self.relieving
            .set(self.relieving.get().map(|keys| keys - first));
        debug_assert!(self.strained.get() >= SLACK - first);
        self.strained
            .set(self.strained.get().saturating_sub(SLACK - first));
    }
}

/// What there is for a key whose memory was reserved.
pub(crate) enum Reserved<'g, K: Key> {
    /// A segment with room for it; and whether that is strained, and should be relieved soon.
    Room(LockedSegment<'g, K>, bool),
    /// The key has an entry.
    Found,
    /// The pool is empty; never while keys are reserved.
    Nothing,
}

/// An empty table that is not published, and a new era that it owns.
struct Spare<K: Key>(NonNull<Table<K>>);

// SAFETY: Owns a table.
unsafe impl<K: Key> Send for Spare<K> {}

/// What has happened to a map, for its statistics.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) misses: Cell<usize>,
    pub(crate) promotions: Cell<usize>,
    pub(crate) expunged: Cell<usize>,
    pub(crate) sweeps: Cell<usize>,
}

/// Adds to a counter.
pub(crate) fn count(counter: &Cell<usize>, by: usize) {
    counter.set(counter.get().wrapping_add(by));
}

impl<K: Key> Guarded<K> {
    /// The guarded part of a new map, with its first spare.
    pub(crate) fn new(spare: TableBox<'_, K>) -> Self {
        Self {
            expunged: ExpungedList::new(),
            superseded: Cell::new(RetireList::new()),
            read_slots: Cell::new(0),
            spare: Cell::new(Some(Spare(spare.publish()))),
            pool: Pool {
                segments: SegmentStack::new(),
                reserved: Cell::new(0),
                strained: Cell::new(0),
                relieving: Cell::new(None),
            },
            counters: Counters::default(),
        }
    }
}

/// The lock, held in a read-side section: permission to change R, D, and the shape of the tables.
///
/// The section, not the lock, keeps what can be reached from being freed. What is retired here goes to
/// the reclaimer after the lock has been released, as that may start a grace period.
pub(crate) struct Locked<'g, K: Key> {
    // Dropped in this order.
    guarded: RawSpinLockGuard<'g, Guarded<K>>,
    retired: RetireLater<'g>,
    roots: &'g Roots<K>,
    guard: &'g Guard,
}

/// Objects that are retired when this is dropped.
struct RetireLater<'m> {
    list: Cell<RetireList>,
    reclaimer: &'m Reclaimer,
}

impl RetireLater<'_> {
    fn change<R>(&self, f: impl FnOnce(&mut RetireList) -> R) -> R {
        let mut list = self.list.replace(RetireList::new());
        let done = f(&mut list);
        self.list.set(list);
        done
    }

    /// Bytes that are retired, or are about to be.
    fn bytes(&self) -> usize {
        self.reclaimer.retired_bytes() + self.change(|list| list.bytes())
    }
}

impl Drop for RetireLater<'_> {
    fn drop(&mut self) {
        self.reclaimer
            .retire_all(self.list.replace(RetireList::new()));
    }
}

impl<K: Key> Editor<K> for Locked<'_, K> {
    fn guard(&self) -> &Guard {
        self.guard
    }

    fn is_alone(&self) -> bool {
        self.read().as_ptr() == self.dirty().as_ptr()
    }

    fn expunges(&self) -> bool {
        !self.is_alone() && self.dirty().era().about().1 != 0
    }

    fn may_be_small(&self) -> bool {
        // The pool has no segment for it to grow again.
        !self.has_reserved()
    }

    /// The seed's `tryExpungeLocked`: Deleted entries become Expunged, and are not in dirty any more.
    ///
    /// I1: Expunged first, and then not in dirty, before the copy can be seen.
    fn keep(&self, entry: Shared<'_, Entry<K>>) -> bool {
        if !entry.try_expunge_locked() {
            return true;
        }
        self.count_expunged();
        if self.dirty().bore(&entry) {
            self.retire_entry(entry);
        } else {
            self.guarded.expunged.push(entry);
        }
        false
    }

    fn replaced(&self, part: Retired, bytes: usize, shared: bool) {
        if shared {
            let mut superseded = self.guarded.superseded.replace(RetireList::new());
            superseded.push(part, bytes);
            self.guarded.superseded.set(superseded);
        } else {
            self.retired.change(|list| list.push(part, bytes));
        }
    }
}

impl<'g, K: Key> Locked<'g, K> {
    pub(crate) fn new(
        guarded: RawSpinLockGuard<'g, Guarded<K>>,
        roots: &'g Roots<K>,
        reclaimer: &'g Reclaimer,
        guard: &'g Guard,
    ) -> Self {
        Self {
            guarded,
            retired: RetireLater {
                list: Cell::new(RetireList::new()),
                reclaimer,
            },
            roots,
            guard,
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.guarded.counters
    }

    /// The map, for the tracepoints.
    fn map(&self) -> *const () {
        self.retired.reclaimer.map()
    }

    /// The read table.
    pub(crate) fn read(&self) -> Shared<'g, Table<K>> {
        self.roots.read(self.guard).0
    }

    pub(crate) fn amended(&self) -> bool {
        self.roots.read(self.guard).1
    }

    /// The dirty table: the read table while not amended, and perhaps even while amended.
    pub(crate) fn dirty(&self) -> Shared<'g, Table<K>> {
        self.roots.dirty(self.guard)
    }

    /// Whether there are entries in dirty whose keys are deleted. May be wrong while a store or a delete
    /// is in flight.
    pub(crate) fn has_deleted(&self) -> bool {
        self.dirty().era().has_deleted()
    }

    /// Locks the segment of a hash in dirty.
    pub(crate) fn lock_segment(&self, hash: u32) -> LockedSegment<'g, K> {
        match self.dirty().lock_segment(hash, self.guard) {
            Some(segment) => segment,
            // PANICS: Never: with the lock of the map held, nothing takes its place (I12).
            None => unreachable!(),
        }
    }

    /// Counts an entry of dirty that was Deleted, and is Expunged now.
    pub(crate) fn count_expunged(&self) {
        count(&self.counters().expunged, 1);
        self.dirty().era().subtract_deleted();
    }

    /// Retires a table and all that goes with it.
    fn retire_table(&self, table: Shared<'_, Table<K>>, estate: Estate<K>) {
        let bytes = estate.bytes;
        // SAFETY: The caller has just replaced the last published pointer to the table (I11), which
        // it can do only once (I6).
        let retired = unsafe {
            table.bequeath(estate);
            Retired::new(Kind::Table, table.as_ptr())
        };
        self.retired.change(|list| list.push(retired, bytes));
    }

    fn retire_entry(&self, entry: Shared<'_, Entry<K>>) {
        // SAFETY: The caller has just taken the entry out of the last place where it could be
        // reached (I11), which it can do only once (I6).
        let retired = unsafe { Retired::new(Kind::Entry, entry.as_ptr()) };
        let bytes = entry.bytes();
        self.retired.change(|list| list.push(retired, bytes));
    }

    /// The seed's `dirtyLocked`, if there is nothing to leave out: the read table is dirty as well.
    ///
    /// Which keys are newer than this, their entries tell. Nothing becomes Expunged before the next
    /// dirty, as nothing that is deleted from now on would in the seed.
    fn start_dirty_in_place(&self) {
        let table = self.read();
        table.begin();
        let used = table.used();
        self.guarded.read_slots.set(used);
        // SAFETY: Serialised by the lock; R's table is not replaced, and is D.
        unsafe { self.roots.read.store(table.as_ptr(), true) };
        trace_dirty(self.map(), used, true);
    }

    /// The seed's `dirtyLocked`: makes a dirty table and sets `amended`.
    ///
    /// Dirty shares all its parts with read until they are changed. Of each that is, dirty gets a copy
    /// without the entries that are deleted by then, which become Expunged (see [`Editor::keep`]).
    ///
    /// D is published before R says that it is to be looked at, so that no reader finds `amended`
    /// and a D without it (I2; litmus: start-dirty).
    fn start_dirty(&self, table: TableBox<'_, K>) {
        let read = self.read();
        let dirty = table.succeed(&read);
        let used = read.used();
        self.guarded.read_slots.set(used);
        // SAFETY: Serialised by the lock; R's table is not replaced, D's is R's.
        unsafe {
            self.roots.dirty.store(dirty, false);
            self.roots.read.store(read.as_ptr(), true);
        }
        trace_dirty(self.map(), used, false);
    }

    /// Sees to it that there is a dirty, and room in it for an entry of this hash, in a segment that is
    /// locked then.
    ///
    /// If `supply` does not have what that takes, nothing has changed but the shape of a table, and
    /// the caller is told what to allocate.
    pub(crate) fn make_room(
        &self,
        hash: u32,
        supply: &mut Supply<'_, K>,
    ) -> core::result::Result<LockedSegment<'_, K>, Needs> {
        loop {
            let dirty = self.dirty();
            let segment = match dirty.get().next_change(hash, self) {
                Next::Room(segment) => segment,
                Next::Change(change) => {
                    if !supply.covers(change.needs()) {
                        return Err(*change.needs());
                    }
                    dirty.make(change, hash, supply, self);
                    continue;
                }
            };
            if self.amended() {
                return Ok(segment);
            }
            if !self.has_deleted() {
                self.start_dirty_in_place();
                return Ok(segment);
            }
            let needs = dirty.needs_of_dirty(hash, self);
            if !supply.covers(&needs) {
                return Err(needs);
            }
            drop(segment);
            self.start_dirty(supply.take_table());
        }
    }

    /// Whether memory for new keys is reserved.
    pub(crate) fn has_reserved(&self) -> bool {
        self.guarded.pool.reserved.get() != 0
    }

    /// Reserves room for `keys` more keys, with the segments that the pool lacks for it; if these are
    /// too few, says how many it takes.
    pub(crate) fn reserve(
        &self,
        keys: usize,
        segments: &mut SegmentList<'_, K>,
    ) -> core::result::Result<(), usize> {
        let pool = &self.guarded.pool;
        let reserved = pool.reserved.get() + keys;
        let target = pool.target(reserved, self.dirty().is_small(self.guard));
        let lacks = target.saturating_sub(pool.segments.len());
        if segments.len() < lacks {
            return Err(lacks);
        }
        // INVARIANT: The pool has what it should have for `reserved`.
        for segment in core::iter::from_fn(|| segments.pop()).take(lacks) {
            pool.segments.push(segment);
        }
        pool.reserved.set(reserved);
        Ok(())
    }

    /// Takes a reservation for `keys` keys back; moves to `segments` what the pool does not need then,
    /// for the caller to free. The pool is charged to `ledger`.
    pub(crate) fn unreserve<'m>(
        &self,
        keys: usize,
        ledger: &'m Ledger,
        segments: &mut SegmentList<'m, K>,
    ) {
        let pool = &self.guarded.pool;
        pool.reserved.set(pool.reserved.get() - keys);
        let small = self.dirty().is_small(self.guard);
        while pool.segments.len() > pool.target(pool.reserved.get(), small) {
            // SAFETY: The pool is of this map, and charged to its ledger.
            if let Some(segment) = unsafe { pool.segments.pop(ledger) } {
                segments.push(segment);
            }
        }
    }

    /// Sees to it that there is a dirty, and room in it for an entry of this hash whose memory was
    /// reserved, unless the key has an entry by now. Dirty is made one with read: then nothing need be
    /// copied.
    pub(crate) fn make_reserved_room(&self, hash: u32, key: &K::Ref) -> Reserved<'g, K> {
        if !self.is_alone() {
            self.promote();
        }
        if !self.amended() {
            self.start_dirty_in_place();
        }
        let (dirty, pool) = (self.dirty(), &self.guarded.pool);
        let mut strained = false;
        let segment = loop {
            let segment = self.lock_segment(hash);
            if segment.find(hash, key).is_some() {
                return Reserved::Found;
            }
            match dirty.room(hash, &segment) {
                Room::Plenty => break segment,
                Room::Slack => {
                    strained = true;
                    break segment;
                }
                Room::None => {
                    let small = dirty.is_small(self.guard);
                    // SAFETY: The pool is of this map.
                    let fresh = unsafe { pool.segments.pop(&self.retired.reclaimer.ledger) };
                    let Some(fresh) = fresh else {
                        return Reserved::Nothing;
                    };
                    dirty.overflow(hash, segment, &mut Supply::of_segment(fresh), self);
                    // INVARIANT: One segment less, and as many keys less as it stands for, unless it is
                    // the one for a small table.
                    if !small {
                        pool.overflowed();
                    }
                    strained = true;
                }
            }
        };
        // INVARIANT: One key less is reserved, and one more, at most, strained.
        pool.reserved.set(pool.reserved.get() - 1);
        count(&pool.strained, strained.into());
        Reserved::Room(segment, strained)
    }

    /// Begins to relieve the segments that reserved keys have strained; false if there are none, or if
    /// that has begun already. The regions of these keys have been marked.
    pub(crate) fn begin_relief(&self) -> bool {
        let pool = &self.guarded.pool;
        if pool.relieving.get().is_some() || pool.strained.get() == 0 {
            return false;
        }
        pool.relieving.set(Some(pool.strained.take()));
        true
    }

    /// Ends that; `done` if all segments have been relieved that were marked when it began.
    pub(crate) fn end_relief(&self, done: bool) {
        let pool = &self.guarded.pool;
        let relieving = pool.relieving.take();
        if !done {
            pool.strained
                .set(pool.strained.get() + relieving.unwrap_or(0));
        }
    }

    /// Takes all segments of the pool, at the end of the map. The pool is charged to `ledger`.
    pub(crate) fn empty_pool<'m>(&self, ledger: &'m Ledger, segments: &mut SegmentList<'m, K>) {
        self.unreserve(self.guarded.pool.reserved.get(), ledger, segments);
    }

    /// Relieves the segment of a hash, if it is strained; whether that was done. `Err` if `supply` does
    /// not have what it takes. Only while read and dirty are one.
    pub(crate) fn relieve(
        &self,
        hash: u32,
        supply: &mut Supply<'_, K>,
    ) -> core::result::Result<bool, Needs> {
        let dirty = self.dirty();
        let Some(change) = dirty.next_relief(hash, self) else {
            return Ok(false);
        };
        if !supply.covers(change.needs()) {
            return Err(*change.needs());
        }
        dirty.make(change, hash, supply, self);
        Ok(true)
    }

    /// Unlinks an entry from dirty that was Deleted, and has just become Expunged, and from read as well
    /// perhaps, and retires it. For the sweep, which has locked its segment in dirty.
    ///
    /// By address, and from both tables in any case: whether memory is safe must not depend on how
    /// keys compare. In read, slots are only ever emptied; a segment that only read has is frozen.
    pub(crate) fn unlink(&self, entry: Shared<'_, Entry<K>>, spot: Spot<'_, K>) {
        let (read, newer) = (self.read(), self.dirty().bore(&entry));
        self.count_expunged();
        // Before the slot is emptied, which may be one and the same.
        let in_read = match self.is_alone() || newer {
            true => None,
            false => read.locate(entry, self.guard),
        };
        spot.empty();
        if let Some(spot) = in_read {
            spot.empty();
        }
        if !newer {
            self.count_unlinked();
        }
        // A list that the entry is on retires it.
        if !is_listed(&entry) {
            self.retire_entry(entry);
        }
    }

    /// Unlinks an Expunged entry from read, which dirty lacks, so that its segment there is frozen.
    pub(crate) fn unlink_from_read(&self, spot: Spot<'_, K>) {
        spot.empty();
        self.count_unlinked();
    }

    /// Counts a slot of read that was emptied.
    fn count_unlinked(&self) {
        let slots = &self.guarded.read_slots;
        slots.set(slots.get().saturating_sub(1));
    }

    /// Unlinks from read, and retires, some of the entries that read has and dirty lacks; whether
    /// there may be more.
    pub(crate) fn sweep_expunged(&self) -> bool {
        for _ in 0..SETTLED {
            match self.guarded.expunged.pop(self.guard) {
                Popped::Nothing => return false,
                Popped::Revived => (),
                Popped::Expunged(entry) => {
                    if let Some(spot) = self.read().locate(entry, self.guard) {
                        self.unlink_from_read(spot);
                    }
                    self.retire_entry(entry);
                }
            }
        }
        true
    }

    /// Settles some of the entries of a list whose table was retired; whether there may be more. See
    /// [`expunged`](crate::expunged).
    pub(crate) fn settle(&self, list: &ExpungedList<K>) -> bool {
        for _ in 0..SETTLED {
            match list.pop(self.guard) {
                Popped::Nothing => return false,
                Popped::Revived => (),
                Popped::Expunged(entry) => match self.read().locate(entry, self.guard) {
                    Some(_) => self.guarded.expunged.push(entry),
                    None => self.retire_entry(entry),
                },
            }
        }
        true
    }

    /// Takes the list of the expunged; for a caller that knows that there are no readers.
    pub(crate) fn take_expunged(&self) -> ExpungedList<K> {
        self.guarded.expunged.take()
    }

    /// Dirty becomes read: one store.
    ///
    /// The superseded parts and the entries that only they had (I1) cannot be reached any more. These
    /// are exactly the entries on the list that are still Expunged: entries that the *next* dirty will
    /// expunge are not on it yet (I6). The store publishes all that was put there (litmus: promote).
    pub(crate) fn promote(&self) {
        let (read, amended) = self.roots.read(self.guard);
        if !amended {
            return;
        }
        let dirty = self.dirty();
        count(&self.counters().promotions, 1);
        count(&self.counters().misses, dirty.misses());
        trace_promote(self.map(), dirty.era().about().0, dirty.misses());
        let alone = self.is_alone();
        // SAFETY: Serialised by the lock; `dirty` is D, and remains it.
        unsafe { self.roots.read.store(dirty.as_ptr(), false) };
        if !alone {
            self.retire_read(read);
        }
    }

    /// Promotes dirty if it still is what the misses were counted for, and has no more keys.
    pub(crate) fn promote_if_due(&self) {
        if self.amended() && self.dirty().misses() >= self.dirty().used() {
            self.promote();
        }
    }

    /// Retires a table that was read, and the parts and the entries that only it has.
    fn retire_read(&self, read: Shared<'_, Table<K>>) {
        let superseded = self.guarded.superseded.replace(RetireList::new());
        self.retired.change(|list| list.append(superseded));
        self.retire_table(read, Estate::of_read(self.guarded.expunged.take()));
    }

    /// What was retired since the lock was taken, for a caller that knows that there are no readers.
    pub(crate) fn take_retired(&self) -> RetireList {
        self.retired.list.replace(RetireList::new())
    }

    /// Merges the segment of a hash with its neighbour, if both are nearly empty; whether that was
    /// done. Only while read and dirty are one.
    ///
    /// `Err` if `supply` does not have what it takes.
    pub(crate) fn merge(
        &self,
        hash: u32,
        supply: &mut Supply<'_, K>,
    ) -> core::result::Result<bool, Needs> {
        self.dirty().merge(hash, supply, self)
    }

    /// Whether Clear has nothing to do. It ends `amended`, as the seed's does, but in a map that sweeps, where
    /// nobody can tell.
    pub(crate) fn is_empty(&self, sweeps: bool) -> bool {
        let alone = !self.amended() || sweeps && self.is_alone();
        // A key that is just coming, although dirty may have been promoted meanwhile, has the lock of its
        // segment, and may have been seen.
        alone && self.dirty().segments() == 1 && self.lock_segment(0).is_empty()
    }

    /// Slots in use in read; while dirty is the same table, no less, as removals are not counted then.
    pub(crate) fn read_slots(&self) -> usize {
        let slots = self.guarded.read_slots.get();
        match self.amended() {
            true if self.is_alone() => slots.min(self.dirty().used()),
            true => slots,
            false => self.read().used(),
        }
    }

    /// Takes the spare empty table, if it is one that `fits`.
    pub(crate) fn take_spare_if(
        &self,
        fits: impl FnOnce(&NonNull<Table<K>>) -> bool,
    ) -> Option<NonNull<Table<K>>> {
        let spare = self.take_spare()?;
        if fits(&spare) {
            return Some(spare);
        }
        self.put_spare(spare);
        None
    }

    /// Takes the spare empty table.
    pub(crate) fn take_spare(&self) -> Option<NonNull<Table<K>>> {
        self.guarded.spare.take().map(|s| s.0)
    }

    /// Makes an empty table the spare, or returns it if there is one already.
    pub(crate) fn put_spare(&self, table: NonNull<Table<K>>) -> Option<NonNull<Table<K>>> {
        let spare = &self.guarded.spare;
        let (keep, back) = match spare.take() {
            Some(spare) => (spare, Some(table)),
            None => (Spare(table), None),
        };
        spare.set(Some(keep));
        back
    }

    /// Empties the map: R and then D become `empty`, a table with an era of its own.
    ///
    /// R first: the other way round, a key that is only in dirty would be gone while a key of read
    /// is still there, at no single instant (litmus: clear). What D refers to is retired with it; the
    /// entries that only read has are those on the list.
    ///
    /// # Safety
    ///
    /// `empty` is an empty table that is not published, and whose era no other table has.
    pub(crate) unsafe fn clear(&self, empty: NonNull<Table<K>>) {
        let (read, amended) = self.roots.read(self.guard);
        let (dirty, alone) = (self.dirty(), self.is_alone());
        if amended {
            count(&self.counters().misses, dirty.misses());
        }
        // SAFETY: Serialised by the lock; by the contract of the function.
        unsafe {
            self.roots.read.store(empty, false);
            self.roots.dirty.store(empty, false);
        }
        if !alone {
            self.retire_read(read);
        }
        // All that is charged now is retired, except what was so before, and what is new.
        let before = self.retired.bytes() + self.dirty().empty_bytes(self.guard);
        let owned = self.retired.reclaimer.ledger.bytes().saturating_sub(before);
        trace_clear(self.map(), dirty.era().about().0);
        self.retire_table(dirty, Estate::whole(owned));
    }
}

/// Counts live keys, with the lock of the map held if they are limited: then a key and the count
/// change together, and a map is full exactly when it has as many live keys as it may.
pub(crate) struct LiveKeys<'m, K: Key> {
    pub(crate) era: &'m Era,
    pub(crate) lock: &'m RawSpinLock<Guarded<K>>,
    /// Whether the entry of a key that is deleted stays where it is, and is counted as such.
    pub(crate) keeps_entry: bool,
}

impl<K: Key> LiveKeys<'_, K> {
    fn lock(&self) -> Option<RawSpinLockGuard<'_, Guarded<K>>> {
        self.era.is_limited().then(|| self.lock.lock())
    }
}

impl<K: Key> CountLive for LiveKeys<'_, K> {
    // Apart, so that a store that replaces a value needs fewer registers.
    #[inline(never)]
    fn enter(&self, stands: impl FnOnce() -> bool, change: impl FnOnce() -> bool) -> Option<bool> {
        let _lock = self.lock();
        if self.era.is_full() {
            // Full without this key, unless that is live by now.
            return if stands() { None } else { Some(false) };
        }
        // In this order: others that count find this key, or none is there yet.
        self.era.enter();
        let done = change();
        match done {
            true => self.era.subtract_deleted(),
            false => self.era.leave(),
        }
        Some(done)
    }

    fn leave(&self, change: impl FnOnce() -> bool) -> bool {
        let _lock = self.lock();
        let done = change();
        if done {
            self.era.leave();
            if self.keeps_entry {
                self.era.add_deleted();
            }
        }
        done
    }
}
