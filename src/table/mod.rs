// SPDX-License-Identifier: GPL-2.0

//! The hash table: readable under RCU while writers insert and unlink.
//!
//! A table is a tree of small parts: a *directory* of nodes leads from the first bits of a hash to a
//! *segment*, an array of buckets of one cache line each, where the entries are.
//!
//! * Lookups follow one path and never start over: entries do not move within a segment (I10), and
//!   what replaces a part is complete when it is published.
//! * What is in a segment is changed with its lock held (`LockedSegment`); the shape of the table,
//!   and what is in segments that are about to go, with the map's. Neither waits for readers.
//! * Read and dirty, if they are two tables, share their parts until one of them changes. Each part,
//!   and each table, has a *generation*: parts of a table's own generation are its own, and are
//!   changed in place; those of earlier ones are shared, and are copied when something is to be added.
//!   In a shared part, slots of entries are only ever emptied. So a new dirty costs a root at most.
//! * Full segments are split one at a time, so the work of an insert does not depend on how large the
//!   table is; nor does that of giving back what has become empty.
//!
//! The table knows keys, hashes and slots. What becomes of deleted entries when a segment is copied,
//! and of the parts that are replaced, is for the `Editor` to say; for promotion, its header
//! carries the miss count of one generation of dirty.

mod directory;
mod edit;
mod era;
mod segment;
mod supply;
mod tags;

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::rcu::Guard;

pub use directory::Node;
pub(crate) use directory::{free as free_node, Path};
pub(crate) use edit::{Editor, Next, Room};
pub use era::Era;
pub(crate) use segment::{
    free as free_segment, Entries, LockedSegment, SegmentBox, Spot, FULL, SLACK,
};
pub use segment::{Head as SegmentHead, Segment};
pub(crate) use supply::{Needs, SegmentList, SegmentStack, Supply};

use crate::atomic::{load_acquire, read_once, write_once};
use crate::entry::{Birth, Entry};
use crate::expunged::ExpungedList;
use crate::hash::Key;
use crate::quota::Charge;
use crate::rcu::Shared;
use crate::reclaim::Link;
use directory::{Target, Word};
use segment::Candidates;
pub(crate) use segment::Size;

/// What tables use of a hash: 31 bits, and a zero, in which a small segment finds that it is for all
/// hashes (`segment::home`).
#[inline]
pub(crate) fn hash_of(hash: u64) -> u32 {
    (hash >> 32) as u32 & !1
}

/// A hash table.
#[repr(C)]
pub struct Table<K: Key> {
    // First: retired tables are found by the address of their link.
    link: Link,
    /// The root of the directory.
    root: Atomic<*mut ()>,
    /// Greater than those of all dirties before it. If the table shares parts with another, they are
    /// those of other generations. Changed with the lock of the map held.
    generation: Atomic<u64>,
    era: NonNull<Era>,
    rest: Rest<K>,
    _entries: core::marker::PhantomData<K>,
}

/// What is on a cache line of its own, apart from what every lookup reads.
#[repr(align(64))]
struct Rest<K: Key> {
    /// Lookups that found nothing in read while this was dirty.
    misses: Atomic<usize>,
    /// Segments; changed with the lock of the map held.
    segments: Atomic<usize>,
    /// What the table takes with it when it is retired.
    estate: UnsafeCell<Estate<K>>,
}

impl<K: Key> Rest<K> {
    fn new(segments: usize) -> Self {
        Self {
            misses: Atomic::new(0),
            segments: Atomic::new(segments),
            estate: UnsafeCell::new(Estate::none()),
        }
    }
}

/// What a table takes with it when it is retired, besides its head.
pub(crate) struct Estate<K: Key> {
    /// Whether all its parts, its entries and its era go with it: the fate of a table that Clear has
    /// put aside.
    pub(crate) whole: bool,
    /// The entries that only read had when this was read.
    pub(crate) expunged: ExpungedList<K>,
    /// The bytes with which the table is retired.
    pub(crate) bytes: usize,
}

impl<K: Key> Estate<K> {
    const fn none() -> Self {
        Estate {
            whole: false,
            expunged: ExpungedList::new(),
            bytes: 0,
        }
    }

    /// Of a table that was read, with the entries that only read had.
    pub(crate) fn of_read(expunged: ExpungedList<K>) -> Self {
        Estate {
            whole: false,
            bytes: Table::<K>::BYTES + expunged.bytes(),
            expunged,
        }
    }

    /// Of a table that Clear has put aside, with `bytes` in all.
    pub(crate) fn whole(bytes: usize) -> Self {
        Estate {
            whole: true,
            bytes,
            ..Self::none()
        }
    }
}

// SAFETY: Parts and entries may be used by all threads; `era` points to something `Sync` that lives
// at least as long as the table; `estate` is written once by the thread that retires the table (I6),
// and read by the reclaimer after it.
unsafe impl<K: Key> Send for Table<K> {}
// SAFETY: As above.
unsafe impl<K: Key> Sync for Table<K> {}

impl<K: Key> Table<K> {
    /// Bytes of the head of a table.
    pub(crate) const BYTES: usize = {
        assert!(size_of::<Self>() == 128);
        size_of::<Self>()
    };

    /// The live count that this table belongs to.
    #[inline]
    pub(crate) fn era(&self) -> &Era {
        // SAFETY: Every table of an era is retired before, or together with, the table that owns it.
        unsafe { self.era.as_ref() }
    }

    pub(crate) fn era_ptr(&self) -> NonNull<Era> {
        self.era
    }

    #[inline]
    fn root(&self) -> Word<K> {
        // SAFETY: Holds a word from the beginning. Acquire: pairs with the Release of whoever stored
        // it, so that the parts that it leads to can be seen (litmus: directory).
        unsafe { Word::from_raw(load_acquire(&self.root)) }
    }

    /// The segment of a hash, and by how much hashes are shifted there.
    #[inline]
    fn segment<'p>(&self, hash: u32, _guard: &'p Guard) -> (Shared<'p, Segment<K>>, u32) {
        // SAFETY: Published parts are not freed while they are protected (I5, I11).
        unsafe {
            let (segment, shift) = self.root().find(hash).segment_there();
            (Shared::new(segment), shift)
        }
    }

    /// Locks the segment of a hash, unless something else has taken its place: then that is in the
    /// present dirty. `hash` is one that the caller has, or the lock of the map.
    pub(crate) fn lock_segment<'p>(
        &self,
        hash: u32,
        guard: &'p Guard,
    ) -> Option<LockedSegment<'p, K>> {
        let (segment, shift) = self.segment(hash, guard);
        let segment = LockedSegment::new(segment, shift, false);
        (!segment.is_frozen()).then_some(segment)
    }

    /// Whether a locked segment of this table gets another entry with no more ado: if it is not full,
    /// and no chain, and, unless read is this very table, was made for it.
    pub(crate) fn takes_more(&self, segment: &LockedSegment<'_, K>, alone: bool) -> bool {
        let segment = segment.segment();
        (alone || segment.generation() == self.generation())
            && !segment.is_full()
            && !segment.is_chain()
    }

    fn path(&self, hash: u32, _guard: &Guard) -> Path<K> {
        // SAFETY: As in `segment`; paths are not kept for longer.
        unsafe { Path::new(self.root(), hash) }
    }

    /// Finds the entry of a key.
    ///
    /// Lock-free, one path, any context. A key that is absent from its segment when that is read was
    /// absent at some instant of the call, or has been inserted or deleted since it began.
    #[inline(always)]
    pub(crate) fn find<'p>(
        &self,
        hash: u32,
        key: &K::Ref,
        guard: &'p Guard,
    ) -> Option<Shared<'p, Entry<K>>> {
        // SAFETY: Published parts are not freed while they are protected (I5, I11).
        Self::find_there(unsafe { self.root().find(hash) }, hash, key, guard)
    }

    /// The same, if the caller is going to insert the key in case it is not there.
    #[inline(always)]
    pub(crate) fn find_to_insert<'p>(
        &self,
        hash: u32,
        key: &K::Ref,
        guard: &'p Guard,
    ) -> Option<Shared<'p, Entry<K>>> {
        // SAFETY: As in `find`.
        let word = unsafe { self.root().find(hash) };
        let found = Self::find_there(word, hash, key, guard);
        if found.is_none() {
            word.prefetch();
        }
        found
    }

    #[inline(always)]
    fn find_there<'p>(
        word: Word<K>,
        hash: u32,
        key: &K::Ref,
        guard: &'p Guard,
    ) -> Option<Shared<'p, Entry<K>>> {
        debug_assert!(hash & 1 == 0, "a hash that does not come from `hash_of`");
        let (head, home) = word.home(hash);
        // SAFETY: As in `find`; the home is one of that segment, as the hash is even (see
        // `segment::home`).
        let candidates = unsafe { Candidates::of(head, home, tags::of(hash)) };
        let found = candidates.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key));
        match found {
            None if candidates.go_on() => Self::find_further(word, hash, key, guard),
            found => found,
        }
    }

    /// The rest of it.
    #[inline(never)]
    fn find_further<'p>(
        word: Word<K>,
        hash: u32,
        key: &K::Ref,
        _guard: &'p Guard,
    ) -> Option<Shared<'p, Entry<K>>> {
        let (segment, shift) = word.segment_there();
        // SAFETY: As in `find`.
        let segment = unsafe { Shared::new(segment) }.get();
        segment.find_further(segment.home(hash, shift), hash, key)
    }

    /// Whether this is the dirty that the entry, which is in it, was made for: read does not have it.
    #[inline]
    pub(crate) fn bore(&self, entry: &Entry<K>) -> bool {
        entry.was_born_in(self.birth())
    }

    /// What entries made for this table get.
    #[inline]
    pub(crate) fn birth(&self) -> Birth {
        Birth::new(self.generation())
    }

    fn generation(&self) -> u64 {
        read_once(&self.generation)
    }

    /// Becomes a dirty, without being another table: with the map's lock held.
    pub(crate) fn begin(&self) {
        write_once(&self.generation, self.generation() + 1);
        write_once(&self.rest.misses, 0);
    }

    /// The segment of a hash, to look at its entries in the order of hashes.
    pub(crate) fn leaf<'p>(&self, hash: u32, guard: &'p Guard) -> Leaf<'p, K> {
        let mut path = self.path(hash, guard);
        path.measure();
        Leaf {
            segment: path.segment(guard).get(),
            shift: path.shift,
            end: path.end(hash),
        }
    }

    /// What the seed's `len(dirty)` would be, if this is dirty: entries, of live and of deleted keys.
    /// O(processors).
    pub(crate) fn used(&self) -> usize {
        self.era().used()
    }

    /// Segments of the table.
    pub(crate) fn segments(&self) -> usize {
        read_once(&self.rest.segments)
    }

    fn add_segments(&self, by: isize) {
        let segments = self.segments().wrapping_add_signed(by);
        write_once(&self.rest.segments, segments);
    }

    /// Misses so far.
    pub(crate) fn misses(&self) -> usize {
        read_once(&self.rest.misses)
    }

    /// Counts a miss; whether it is time for promotion.
    ///
    /// A store of what was loaded and one, not an atomic increment, which would make every miss
    /// fight for the line: a miss that is lost delays a promotion by one. One that comes late may bring
    /// back those of the generation before, whose promotion is then followed soon by another.
    #[inline]
    pub(crate) fn count_miss(&self) -> bool {
        write_once(&self.rest.misses, self.misses().wrapping_add(1));
        self.due()
    }

    /// Whether there are as many misses as keys: the promotion is then paid for. As exact as what can be
    /// read at once: see [`Era`].
    pub(crate) fn due(&self) -> bool {
        self.misses() >= self.era().about().0
    }

    /// Where this very entry is, if it is in the table.
    pub(crate) fn locate<'p>(
        &self,
        entry: Shared<'_, Entry<K>>,
        guard: &'p Guard,
    ) -> Option<Spot<'p, K>> {
        let hash = entry.hash();
        let (segment, shift) = self.segment(hash, guard);
        let segment = segment.get();
        segment.locate(entry.as_ptr(), segment.home(hash, shift), tags::of(hash))
    }

    /// Whether the table has one segment, a small one.
    pub(crate) fn is_small(&self, guard: &Guard) -> bool {
        self.segment(0, guard).0.size() == Size::Small
    }

    /// Bytes of the table and of the one segment that it has, being empty.
    pub(crate) fn empty_bytes(&self, guard: &Guard) -> usize {
        Self::BYTES + self.segment(0, guard).0.size().bytes()
    }

    /// Says what the table takes with it.
    ///
    /// # Safety
    ///
    /// The caller is about to retire the table, and the only one to do so.
    pub(crate) unsafe fn bequeath(&self, estate: Estate<K>) {
        // SAFETY: By the contract of the function.
        unsafe { *self.rest.estate.get() = estate };
    }

    /// What the table has taken with it.
    pub(crate) fn estate(&mut self) -> &Estate<K> {
        self.rest.estate.get_mut()
    }

    /// Frees all parts of the table but the first segment, and makes that empty. Returns the bytes
    /// that have been freed. Sleeps.
    ///
    /// # Safety
    ///
    /// The caller owns the table, its parts and its era: the other tables of that era were retired no
    /// later, and are only to be freed. The entries are not used any more.
    pub(crate) unsafe fn reset(&mut self) -> usize {
        // SAFETY: By the contract of the function.
        unsafe {
            let root = self.root();
            let (first, _) = root.find(0).segment_there();
            let bytes = free_tree(root, Some(first));
            segment::reset(first);
            self.root = Atomic::new(Word::segment(first, 0).into_raw());
            self.era.as_mut().reset();
            self.link = Link::new();
            self.rest = Rest::new(1);
            self.generation = Atomic::new(0);
            bytes
        }
    }

    /// Frees all parts of the table; returns their bytes. Sleeps.
    ///
    /// # Safety
    ///
    /// As for [`Table::reset`]; the table is not used any more.
    pub(crate) unsafe fn free_parts(&mut self) -> usize {
        // SAFETY: By the contract of the function.
        unsafe { free_tree(self.root(), None) }
    }
}

/// Frees what a word leads to, but for one segment; returns the bytes. Sleeps.
///
/// # Safety
///
/// The caller owns all that.
unsafe fn free_tree<K: Key>(word: Word<K>, spare: Option<NonNull<Segment<K>>>) -> usize {
    let mut bytes = 0;
    match word.target() {
        Target::Segment(segment, _) => {
            let mut at = Some(segment);
            while let Some(segment) = at {
                // SAFETY: By the contract of the function.
                unsafe {
                    at = segment.as_ref().next().map(Shared::as_ptr);
                    if Some(segment) != spare {
                        bytes += free_segment::<K>(segment.cast());
                    }
                }
            }
        }
        // No deeper than there are levels.
        Target::Node(node) => {
            let mut last = None;
            for i in 0..1 << node.bits() {
                // SAFETY: By the contract of the function.
                let word = unsafe { node.word(i) };
                // A segment has all its slots in a row.
                if last != Some(word) {
                    // SAFETY: By the contract of the function.
                    bytes += unsafe { free_tree(word, spare) };
                }
                last = Some(word);
            }
            // SAFETY: By the contract of the function.
            bytes += unsafe { node.free() };
            crate::helpers::cond_resched();
        }
    }
    bytes
}

/// A segment, and its chain, of a table at some instant.
pub(crate) struct Leaf<'p, K: Key> {
    segment: &'p Segment<K>,
    shift: u32,
    end: Option<u32>,
}

impl<'p, K: Key> Leaf<'p, K> {
    /// Announces a look at its entries.
    pub(crate) fn prefetch(self) -> Self {
        self.segment.prefetch_entries();
        self
    }

    /// All its entries.
    pub(crate) fn entries(&self) -> Entries<'p, K> {
        self.segment.entries()
    }

    /// Whether something else has taken its place in dirty; for the holder of the map's lock.
    pub(crate) fn is_frozen(&self) -> bool {
        self.segment.is_frozen()
    }

    /// Whether reserved keys have used its slack, or overflowed it.
    pub(crate) fn is_strained(&self) -> bool {
        self.segment.is_strained()
    }

    /// The most buckets that a lookup of one of its hashes looks at.
    pub(crate) fn longest_probe(&self) -> usize {
        self.segment.longest_probe()
    }

    /// The first hash behind those of the leaf, unless they are the last.
    pub(crate) fn end(&self) -> Option<u32> {
        self.end
    }

    /// Whether it is a chain of several segments.
    pub(crate) fn is_chain(&self) -> bool {
        self.segment.is_chain()
    }

    /// The entries with the home of a hash, and others; and the first hash behind that home.
    pub(crate) fn home(
        &self,
        hash: u32,
    ) -> (impl Iterator<Item = Shared<'p, Entry<K>>>, Option<u32>) {
        let home = self.segment.home(hash, self.shift);
        (
            self.segment.probe(home, 0),
            self.first_hash_behind(home, hash),
        )
    }

    /// Looks at the entries with the home of a hash, with the homes behind it, and at others, home by home;
    /// returns the first hash behind the last of these homes. The leaf is no chain.
    ///
    /// `look` is called for each entry, and once more after each home: then it says whether to go on.
    #[inline(always)]
    pub(crate) fn look_from(
        &self,
        hash: u32,
        look: impl FnMut(Option<Shared<'p, Entry<K>>>) -> bool,
    ) -> Option<u32> {
        let home = self.segment.home(hash, self.shift);
        self.first_hash_behind(self.segment.look_from(home, look), hash)
    }

    /// The first hash behind a home, for hashes that begin like that one.
    fn first_hash_behind(&self, home: usize, hash: u32) -> Option<u32> {
        let next = self.segment.first_hash_behind(home, hash, self.shift);
        match (next, self.end) {
            (Some(next), Some(end)) => Some(next.min(end)),
            (next, end) => next.or(end),
        }
    }
}

/// A table that nobody else can see yet, with its charge.
pub(crate) struct TableBox<'m, K: Key> {
    table: KBox<Table<K>>,
    charge: Charge<'m>,
    /// The table's era, if no other table has it yet.
    era: Option<KBox<Era>>,
    /// The one segment of an empty table.
    segment: Option<SegmentBox<'m, K>>,
}

impl<'m, K: Key> TableBox<'m, K> {
    /// Allocates the head of a table.
    fn allocate(
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<TableBox<'m, K>> {
        let charge = charge(Table::<K>::BYTES)?;
        let table = KBox::new(
            Table {
                link: Link::new(),
                root: Atomic::new(core::ptr::null_mut()),
                generation: Atomic::new(0),
                rest: Rest::new(1),
                era: NonNull::dangling(),
                _entries: core::marker::PhantomData,
            },
            flags,
        )?;
        Ok(TableBox {
            table,
            charge,
            era: None,
            segment: None,
        })
    }

    /// Allocates an empty table, with an era of its own, and a segment of that size. Sleeps if `flags`
    /// allow it.
    pub(crate) fn empty(
        max: usize,
        size: Size,
        flags: Flags,
        charge: impl Fn(usize) -> Result<Charge<'m>>,
    ) -> Result<TableBox<'m, K>> {
        // The few bytes of the era are not charged.
        let era = KBox::new(Era::new(max), flags)?;
        let mut new = TableBox::allocate(flags, &charge)?;
        new.segment = Some(SegmentBox::allocate(size, flags, &charge)?);
        let era = new.era.insert(era);
        new.table.era = NonNull::from(&mut **era);
        Ok(new)
    }

    /// Makes it a new table that shares everything with an old one, and gives it to the caller.
    pub(crate) fn succeed(mut self, old: &Table<K>) -> NonNull<Table<K>> {
        let table = &mut self.table;
        table.root = Atomic::new(old.root().into_raw());
        table.generation = Atomic::new(old.generation() + 1);
        table.rest.segments = Atomic::new(old.segments());
        table.era = old.era;
        self.publish()
    }

    /// Gives the table, its charge, and what belongs to it alone to the caller.
    pub(crate) fn publish(mut self) -> NonNull<Table<K>> {
        self.charge.keep();
        self.era.map(KBox::leak);
        if let Some(segment) = self.segment {
            self.table.root = Atomic::new(Word::segment(segment.publish(), 0).into_raw());
        }
        NonNull::from(KBox::leak(self.table))
    }
}
