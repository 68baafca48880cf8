// SPDX-License-Identifier: GPL-2.0

//! The two published pointers, *R* and *D*, and the only ways in which they change.
//!
//! R is the read table and the flag `amended`, D the dirty table, which is never null: while not
//! amended, D *is* R's table. Amended, it is another one, with what was deleted left out; or the same
//! still, if nothing was deleted when dirty began, so that there is nothing in which the two would
//! differ but the new keys: and those are marked (see [`Birth`](crate::entry)). Who holds the mutex
//! has a [`Locked`], whose methods change R and D in the one right order, and retire what nobody can
//! reach any more. Readers need only [`Roots::read`] and [`Roots::dirty`].
//!
//! # Invariants
//!
//! - **I1** With the mutex free and amended: an entry of read is in D (the same entry) or Expunged,
//!   never both. An entry that is only in dirty becomes Expunged only to be removed. Expunged ends
//!   only for an entry found in the *current* read, with the mutex held.
//! - **I2** At every instant D holds every live key; if not amended, so does read.
//! - **I3** A key has at most one entry that can be reached from the current R and D together.
//! - **I4** Live ⇄ Deleted needs no lock; an entry becomes Expunged only from Deleted, or as a
//!   delete's own last step.
//! - **I5** What a reader got stays valid until its RCU section ends; a lock-free writer stays in
//!   one section from finding an entry to finishing its compare-and-swap, which also rules out ABA:
//!   memory is used again only after a grace period.
//! - **I6** Entry, value node and table are each retired exactly once, by exactly one of: promotion
//!   (from the explicit list), removal, sweep, replacement of a table, Clear, and the end of the
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
//!
//! `docs/design.md` has the argument for each.

use core::cell::Cell;
use core::ptr::NonNull;
use kernel::sync::rcu::Guard;
use kernel::sync::MutexGuard;

use crate::entry::{Entry, ExpungedList};
use crate::hash::Key;
use crate::helpers::{cond_resched, trace_clear, trace_dirty, trace_promote};
use crate::rcu::{self, Kind, Protects, Published, Reclaimer, Retired, Shared};
use crate::table::{Editor, Needs, Spot, Supply, Table, TableBox};

/// R and D.
///
/// # Invariants
///
/// Both point to tables of the same era; D to R's table, unless amended, or even so.
pub(crate) struct Roots<K: Key> {
    read: Published<Table<K>>,
    dirty: Published<Table<K>>,
}

impl<K: Key> Roots<K> {
    /// R and D, pointing to one empty table.
    pub(crate) fn new(empty: TableBox<'_, K>) -> Self {
        let table = empty.publish();
        let (read, dirty) = (Published::new(), Published::new());
        // SAFETY: Nobody else can see the pointers yet. The table is freed by `Locked`, a grace
        // period after it has been replaced, or with the map.
        unsafe {
            read.store(table, false);
            dirty.store(table, false);
        }
        Self { read, dirty }
    }

    /// R: the read table, and whether dirty has keys that it lacks.
    #[inline]
    pub(crate) fn read<'p>(&self, protects: &'p impl Protects) -> (Shared<'p, Table<K>>, bool) {
        self.read.load(protects)
    }

    /// D. A lookup loads R first: the acquire there orders the two loads, so that D is at least as
    /// new as the flag `amended` that led here (litmus: clear-and-dirty).
    #[inline]
    pub(crate) fn dirty<'p>(&self, protects: &'p impl Protects) -> Shared<'p, Table<K>> {
        self.dirty.load(protects).0
    }

    /// The table that has all keys (I2), by the same path as a lookup: by D alone, one would still
    /// find what a Clear that has replaced R has deleted (litmus: clear, clear-and-dirty).
    pub(crate) fn whole<'p>(&self, protects: &'p impl Protects) -> Shared<'p, Table<K>> {
        match self.read(protects) {
            (_, true) => self.dirty(protects),
            (read, false) => read,
        }
    }
}

/// What the mutex guards, besides every change of R, D and the tables.
pub(crate) struct Guarded<K: Key> {
    /// The entries that read has and dirty lacks.
    expunged: ExpungedList<K>,
    /// The parts that read has and dirty has replaced.
    superseded: Cell<rcu::Chain>,
    /// Entries that were made for this dirty, or the last one, and are there still.
    newer: Cell<usize>,
    /// An empty table and its era, for a Clear that finds no memory.
    spare: Cell<Option<Spare<K>>>,
    pub(crate) counters: Counters,
}

/// An empty table that nobody can see, and a new era that it owns.
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
            superseded: Cell::new(rcu::Chain::new()),
            newer: Cell::new(0),
            spare: Cell::new(Some(Spare(spare.publish()))),
            counters: Counters::default(),
        }
    }
}

/// The mutex, held: permission to change R, D, and the tables.
///
/// What is retired through it goes to the reclaimer when the mutex is released, not before, so that
/// everything reachable now is valid for as long as this exists.
pub(crate) struct Locked<'m, K: Key> {
    // Dropped in this order: retiring may start a grace period, which need not happen under the
    // mutex.
    guarded: MutexGuard<'m, Guarded<K>>,
    retired: RetireLater<'m>,
    roots: &'m Roots<K>,
}

/// Objects that are retired when this is dropped.
struct RetireLater<'m> {
    chain: Cell<rcu::Chain>,
    reclaimer: &'m Reclaimer,
}

impl RetireLater<'_> {
    fn push(&self, retired: Retired, bytes: usize) {
        let mut chain = self.chain.replace(rcu::Chain::new());
        chain.push(retired, bytes);
        self.chain.set(chain);
    }

    fn append(&self, other: rcu::Chain) {
        let mut chain = self.chain.replace(rcu::Chain::new());
        chain.append(other);
        self.chain.set(chain);
    }

    /// Bytes that are retired, or are about to be.
    fn bytes(&self) -> usize {
        let chain = self.chain.replace(rcu::Chain::new());
        let bytes = self.reclaimer.retired_bytes() + chain.bytes();
        self.chain.set(chain);
        bytes
    }
}

impl Drop for RetireLater<'_> {
    fn drop(&mut self) {
        self.reclaimer
            .retire_all(self.chain.replace(rcu::Chain::new()));
    }
}

// SAFETY: Entries and tables are retired by methods of `Locked` only, of which there is one per map
// at a time, and reach the reclaimer when it is dropped.
unsafe impl<K: Key> Protects for Locked<'_, K> {}

impl<K: Key> Editor<K> for Locked<'_, K> {
    fn is_alone(&self) -> bool {
        self.read().as_ptr() == self.dirty().as_ptr()
    }

    fn expunges(&self) -> bool {
        !self.is_alone() && self.has_deleted()
    }

    /// The seed's `tryExpungeLocked`: Deleted entries become Expunged, and are not in dirty any more.
    ///
    /// I1: Expunged first, and then not in dirty, before the copy can be seen.
    fn keep(&self, entry: Shared<'_, Entry<K>>) -> bool {
        // Without a look at the entry, if nothing is deleted.
        if !self.expunges() || !entry.try_expunge_locked() {
            return true;
        }
        count(&self.counters().expunged, 1);
        if self.dirty().bore(&entry) {
            count(&self.guarded.newer, usize::MAX);
            self.retire_entry(entry);
        } else {
            self.guarded.expunged.push(entry);
        }
        false
    }

    fn replaced(&self, part: Retired, bytes: usize, shared: bool) {
        if shared {
            let mut superseded = self.guarded.superseded.replace(rcu::Chain::new());
            superseded.push(part, bytes);
            self.guarded.superseded.set(superseded);
        } else {
            self.retired.push(part, bytes);
        }
    }
}

impl<'m, K: Key> Locked<'m, K> {
    pub(crate) fn new(
        guarded: MutexGuard<'m, Guarded<K>>,
        roots: &'m Roots<K>,
        reclaimer: &'m Reclaimer,
    ) -> Self {
        Self {
            guarded,
            retired: RetireLater {
                chain: Cell::new(rcu::Chain::new()),
                reclaimer,
            },
            roots,
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
    pub(crate) fn read(&self) -> Shared<'_, Table<K>> {
        self.roots.read(self).0
    }

    pub(crate) fn amended(&self) -> bool {
        self.roots.read(self).1
    }

    /// The dirty table: the read table while not amended, and perhaps even so.
    pub(crate) fn dirty(&self) -> Shared<'_, Table<K>> {
        self.roots.dirty(self)
    }

    /// Whether keys are deleted, for one who is about to add a key: that is counted as live already,
    /// but not in its slot yet. May fail to say so while a store or a delete is in flight elsewhere:
    /// the count of live keys is never too low.
    fn has_deleted(&self) -> bool {
        let dirty = self.dirty();
        dirty.used() + 1 > dirty.era().live()
    }

    fn retire_table(&self, table: Shared<'_, Table<K>>, bytes: usize) {
        // SAFETY: The caller has just replaced the last published pointer to the table (I11), which
        // it can do only once (I6).
        let retired = unsafe { Retired::new(Kind::Table, table.as_ptr()) };
        self.retired.push(retired, bytes);
    }

    fn retire_entry(&self, entry: Shared<'_, Entry<K>>) {
        // SAFETY: The caller has just taken the entry out of the last place where it could be
        // reached (I11), which it can do only once (I6).
        let retired = unsafe { Retired::new(Kind::Entry, entry.as_ptr()) };
        self.retired.push(retired, entry.bytes());
    }

    /// The seed's `dirtyLocked`, if there is nothing to leave out: the read table is dirty as well.
    ///
    /// Which keys are newer than this, their entries tell. Nothing becomes Expunged before the next
    /// dirty, as nothing that is deleted from now on would in the seed.
    fn start_dirty_in_place(&self) {
        let table = self.read();
        table.begin();
        self.guarded.newer.set(0);
        // SAFETY: Serialised by the mutex; R's table is not replaced, and is D.
        unsafe { self.roots.read.store(table.as_ptr(), true) };
        trace_dirty(self.map(), table.used(), true);
    }

    /// The seed's `dirtyLocked`: makes a dirty table and sets `amended`.
    ///
    /// Dirty shares all its parts with read until they are changed. Of each that is, dirty gets a copy
    /// without the entries that are deleted by then, which become Expunged (see [`Editor::keep`]).
    ///
    /// D is published before R says that it is to be looked at, so that no reader finds `amended`
    /// and a D without it (I2; litmus: start-dirty).
    fn start_dirty(&self, table: TableBox<'m, K>) {
        let read = self.read();
        let dirty = table.succeed(&read);
        self.guarded.newer.set(0);
        // SAFETY: Serialised by the mutex; R's table is not replaced, D's is R's.
        unsafe {
            self.roots.dirty.store(dirty, false);
            self.roots.read.store(read.as_ptr(), true);
        }
        trace_dirty(self.map(), read.used(), false);
    }

    /// Sees to it that there is a dirty, and room in it for an entry of this hash.
    ///
    /// If `supply` does not have what that takes, nothing has changed but the shape of a table, and
    /// the caller is told what to allocate.
    pub(crate) fn make_room(
        &self,
        hash: u32,
        supply: &mut Supply<'m, K>,
    ) -> core::result::Result<(), Needs> {
        loop {
            let dirty = self.dirty();
            if let Some(change) = dirty.next_change(hash, self) {
                if !supply.covers(change.needs()) {
                    return Err(*change.needs());
                }
                dirty.make(change, hash, supply, self);
            } else if self.amended() {
                return Ok(());
            } else if !self.has_deleted() {
                self.start_dirty_in_place();
                return Ok(());
            } else {
                let needs = dirty.needs_of_dirty(hash, self);
                if !supply.covers(&needs) {
                    return Err(needs);
                }
                self.start_dirty(supply.take_table());
            }
        }
    }

    /// Links an entry in dirty, which has room for it: a new one, or one that is Expunged and that the
    /// caller makes Live next. I1: in this order, for the same reason as in [`Editor::keep`].
    pub(crate) fn link(&self, entry: Shared<'_, Entry<K>>) {
        let dirty = self.dirty();
        dirty.insert(entry, self);
        count(&self.guarded.newer, dirty.bore(&entry).into());
    }

    /// Unlinks an Expunged entry that is in dirty, and in read as well perhaps, and retires it: for
    /// the removal of a key that is only in dirty, and the sweep.
    ///
    /// By address, and from both tables in any case: whether memory is safe must not depend on how
    /// keys compare. In read, slots are only ever emptied.
    pub(crate) fn unlink_from(&self, entry: Shared<'_, Entry<K>>, spot: Spot<'_, K>) {
        let (read, dirty) = (self.read(), self.dirty());
        let newer = dirty.bore(&entry);
        // Before the slot is emptied, which may be one and the same.
        let in_read = match self.is_alone() || newer {
            true => None,
            false => read.locate(entry, self),
        };
        dirty.unlink(spot);
        if newer {
            count(&self.guarded.newer, usize::MAX);
        }
        if let Some(spot) = in_read {
            read.unlink(spot);
        }
        // An entry that was Expunged before is still on the list, which retires it then.
        if !self.guarded.expunged.has(entry) {
            self.retire_entry(entry);
        }
    }

    /// Unlinks from read, and retires, one of the entries that read has and dirty lacks; whether
    /// there was one.
    pub(crate) fn sweep_expunged(&self) -> bool {
        let Some(entry) = self.guarded.expunged.pop() else {
            return false;
        };
        let read = self.read();
        if let Some(spot) = read.locate(entry, self) {
            read.unlink(spot);
        }
        self.retire_entry(entry);
        true
    }

    /// Dirty becomes read: one store. May sleep, if only to let others run.
    ///
    /// The superseded parts and the entries that only they had (I1) cannot be reached any more. These
    /// are exactly the entries on the list that are still Expunged: entries that the *next* dirty will
    /// expunge are not on it yet (I6). The store publishes all that was put there (litmus: promote).
    pub(crate) fn promote(&self) {
        let (read, amended) = self.roots.read(self);
        if !amended {
            return;
        }
        let dirty = self.dirty();
        count(&self.counters().promotions, 1);
        count(&self.counters().misses, dirty.misses());
        trace_promote(self.map(), dirty.used(), dirty.misses());
        let alone = self.is_alone();
        // SAFETY: Serialised by the mutex; `dirty` is D, and remains it.
        unsafe { self.roots.read.store(dirty.as_ptr(), false) };
        if !alone {
            self.retire_read(read);
        }
    }

    /// Retires a table that was read, the parts and the entries that only it has.
    fn retire_read(&self, read: Shared<'_, Table<K>>) {
        self.retire_table(read, Table::<K>::BYTES);
        let superseded = self.guarded.superseded.replace(rcu::Chain::new());
        self.retired.append(superseded);
        self.retire_expunged();
    }

    /// What was retired since the mutex was taken, for a caller who knows that there are no readers.
    pub(crate) fn take_retired(&self) -> rcu::Chain {
        self.retired.chain.replace(rcu::Chain::new())
    }

    /// Retires the entries that only the table that was read so far has.
    fn retire_expunged(&self) {
        while let Some(entry) = self.guarded.expunged.pop() {
            self.retire_entry(entry);
            cond_resched();
        }
    }

    /// Whether read has entries that dirty lacks.
    pub(crate) fn has_expunged(&self) -> bool {
        !self.guarded.expunged.is_empty()
    }

    /// Merges the segment of a hash with its neighbour, if both are nearly empty; whether that was
    /// done. Only while not amended.
    ///
    /// `Err` if `supply` does not have what it takes.
    pub(crate) fn merge(
        &self,
        hash: u32,
        supply: &mut Supply<'m, K>,
    ) -> core::result::Result<bool, Needs> {
        let table = self.dirty();
        match table.needs_of_merge(hash, self) {
            None => Ok(false),
            Some(needs) if !supply.covers(&needs) => Err(needs),
            Some(_) => Ok(table.merge(hash, supply, self)),
        }
    }

    /// Whether Clear has nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        let (read, amended) = self.roots.read(self);
        !amended && read.used() == 0
    }

    /// Slots in use in read.
    pub(crate) fn read_slots(&self) -> usize {
        let newer = match self.amended() && self.is_alone() {
            true => self.guarded.newer.get(),
            false => 0,
        };
        self.read().used() - newer
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
    /// is still there, at no single instant (litmus: clear). What D refers to is retired with it, by
    /// marking it as the owner; the entries that only read has are those on the list.
    ///
    /// # Safety
    ///
    /// `empty` is an empty table that nobody else can see, and whose era no other table has.
    pub(crate) unsafe fn clear(&self, empty: NonNull<Table<K>>) {
        let (read, amended) = self.roots.read(self);
        let (dirty, alone) = (self.dirty(), self.is_alone());
        if amended {
            count(&self.counters().misses, dirty.misses());
        }
        // SAFETY: Serialised by the mutex; by the contract of the function.
        unsafe {
            self.roots.read.store(empty, false);
            self.roots.dirty.store(empty, false);
        }
        if !alone {
            self.retire_read(read);
        }
        // All that is charged now is retired, but for what was so before, and what is new.
        let before = self.retired.bytes() + self.dirty().empty_bytes(self);
        let owned = self.retired.reclaimer.ledger.bytes().saturating_sub(before);
        dirty.own(owned);
        trace_clear(self.map(), dirty.used());
        self.retire_table(dirty, owned.max(1));
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

    /// The same for those who make no difference between a key that is Expunged and one that is not
    /// there at all.
    #[inline]
    pub(crate) fn lookup_in_dirty<'g>(
        &self,
        hash: u32,
        key: &K::Ref,
        guard: &'g Guard,
    ) -> Found<'g, K> {
        let dirty = self.dirty(guard);
        match dirty.find(hash, key, guard) {
            Some(entry) if dirty.bore(&entry) => Found::Dirty(entry, dirty),
            Some(entry) => Found::Read(entry, dirty),
            None => Found::Missed(dirty),
        }
    }
}

/// Evidence for whoever is the only one left to know a table and its entries.
pub(crate) struct Orphans;

// SAFETY: Used by `lifecycle` only, on tables that it owns, and whose entries it frees itself.
unsafe impl Protects for Orphans {}
