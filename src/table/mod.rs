// SPDX-License-Identifier: GPL-2.0

//! The hash table: readable under RCU while one writer inserts and unlinks.
//!
//! A table is a tree of small parts: a *directory* of nodes leads from the first bits of a hash to a
//! *segment*, an array of buckets of one cache line each, where the entries are.
//!
//! * Lookups follow one path and never start over: entries do not move within a segment (I10), and
//!   what replaces a part is complete when it is published.
//! * There is one writer at a time, the holder of the mutex. It never waits for readers.
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

use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full};

pub use directory::Node;
pub(crate) use directory::{free as free_node, Path};
pub(crate) use edit::Editor;
pub use era::Era;
pub(crate) use segment::{free as free_segment, Entries, Spot, FULL};
pub use segment::{Head as SegmentHead, Segment};
pub(crate) use supply::{Needs, Supply};

use crate::atomic::{load_acquire, read_once, write_once};
use crate::entry::{Birth, Entry};
use crate::hash::Key;
use crate::quota::Charge;
use crate::rcu::{Link, Protects, Shared};
use directory::{Target, Word};
use segment::{Probe, SegmentBox, Size};

/// A hash table.
#[repr(C)]
pub struct Table<K: Key> {
    // First: retired tables are found by the address of their link.
    link: Link,
    /// The root of the directory.
    root: Atomic<*mut ()>,
    /// Greater than those of all dirties before it. If the table shares parts with another, they are
    /// those of other generations. Changed with the mutex held.
    generation: Atomic<u64>,
    /// Slots in use, which is what the seed's `len(dirty)` would be: changed with the mutex held.
    used: Atomic<usize>,
    /// Segments; changed with the mutex held.
    segments: Atomic<usize>,
    /// Not zero if the table takes all its parts, entries and its era with it when it is freed: the
    /// fate of a table that Clear has put aside. Then, the bytes of all that.
    owned: Atomic<usize>,
    era: NonNull<Era>,
    /// Lookups that found nothing in read while this was dirty.
    misses: Misses,
    _entries: core::marker::PhantomData<K>,
}

/// On a cache line of its own, apart from what every lookup reads.
#[repr(align(64))]
struct Misses(Atomic<usize>);

// SAFETY: Parts and entries may be used by all threads; `era` points to something `Sync` that lives
// at least as long as the table.
unsafe impl<K: Key> Send for Table<K> {}
// SAFETY: As above.
unsafe impl<K: Key> Sync for Table<K> {}

impl<K: Key> Table<K> {
    /// Bytes of the head of a table.
    pub(crate) const BYTES: usize = size_of::<Self>();

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
    fn segment<'p>(&self, hash: u32, _protects: &'p impl Protects) -> (&'p Segment<K>, u32) {
        // SAFETY: Published parts are not freed while they are protected (I5, I11).
        unsafe {
            let (segment, shift) = self.root().find(hash);
            (segment.as_ref(), shift)
        }
    }

    fn path(&self, hash: u32, _protects: &impl Protects) -> Path<K> {
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
        protects: &'p impl Protects,
    ) -> Option<Shared<'p, Entry<K>>> {
        let (segment, shift) = self.segment(hash, protects);
        let mut probe = segment.probe(segment.home(hash, shift), tags::of(hash));
        while let Some(entry) = probe.next_here() {
            if Entry::is(entry.as_ptr(), entry.get(), hash, key) {
                return Some(entry);
            }
        }
        if !probe.goes_on() {
            return None;
        }
        Self::find_further(probe, hash, key)
    }

    /// The rest of it, for the one key in ten whose home was full.
    #[inline(never)]
    fn find_further<'p>(
        mut probe: Probe<'p, K>,
        hash: u32,
        key: &K::Ref,
    ) -> Option<Shared<'p, Entry<K>>> {
        probe.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key))
    }

    /// Finds the entry of a key, and where it is.
    pub(crate) fn find_spot<'p>(
        &self,
        hash: u32,
        key: &K::Ref,
        protects: &'p impl Protects,
    ) -> Option<(Shared<'p, Entry<K>>, Spot<'p, K>)> {
        let (segment, shift) = self.segment(hash, protects);
        let mut probe = segment.probe(segment.home(hash, shift), tags::of(hash));
        let entry = probe.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key))?;
        Some((entry, probe.spot()))
    }

    /// Announces that an entry is going to be inserted here.
    #[inline]
    pub(crate) fn prefetch_insert(&self, hash: u32, protects: &impl Protects) {
        self.segment(hash, protects).0.prefetch_head();
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

    /// Becomes a dirty, without being another table: with the mutex held.
    pub(crate) fn begin(&self) {
        write_once(&self.generation, self.generation() + 1);
        write_once(&self.misses.0, 0);
    }

    /// The segment of a hash, to look at its entries in the order of hashes.
    pub(crate) fn leaf<'p>(&self, hash: u32, protects: &'p impl Protects) -> Leaf<'p, K> {
        let mut path = self.path(hash, protects);
        path.measure();
        Leaf {
            segment: path.segment(protects).get(),
            shift: path.shift,
            end: path.end(hash),
        }
    }

    /// Slots in use: what the seed's `len(dirty)` would be.
    pub(crate) fn used(&self) -> usize {
        read_once(&self.used)
    }

    /// Changes [`Table::used`], with the mutex held.
    ///
    /// Full, although the count publishes nothing: it is the barrier that ends a change of the
    /// table, and orders it against those of others, as the changes of words are
    /// (litmus: two-inserts, order-of-inserts).
    fn add_used(&self, by: isize) {
        self.used.fetch_add(by as usize, Full);
    }

    /// Segments of the table.
    pub(crate) fn segments(&self) -> usize {
        read_once(&self.segments)
    }

    fn add_segments(&self, by: isize) {
        let segments = self.segments().wrapping_add_signed(by);
        write_once(&self.segments, segments);
    }

    /// Misses so far.
    pub(crate) fn misses(&self) -> usize {
        read_once(&self.misses.0)
    }

    /// Counts a miss; whether it is time for promotion.
    ///
    /// A store of what was loaded and one, not an atomic increment, which would make every miss
    /// fight for the line: a miss that is lost delays a promotion by one. One that comes late may bring
    /// back those of the generation before, whose promotion is then followed soon by another.
    #[inline]
    pub(crate) fn count_miss(&self) -> bool {
        write_once(&self.misses.0, self.misses().wrapping_add(1));
        self.due()
    }

    /// Whether there are as many misses as keys: the promotion is then paid for.
    pub(crate) fn due(&self) -> bool {
        self.misses() >= self.used()
    }

    /// Links an entry; the key must not be in the table. The caller is the one writer, and has made
    /// room for it: see [`Table::next_change`].
    pub(crate) fn insert(&self, entry: Shared<'_, Entry<K>>, protects: &impl Protects) {
        let hash = entry.hash();
        let (segment, shift) = self.segment(hash, protects);
        segment.insert(entry.as_ptr(), segment.home(hash, shift), tags::of(hash));
        self.add_used(1);
    }

    /// Where this very entry is, if it is in the table.
    pub(crate) fn locate<'p>(
        &self,
        entry: Shared<'_, Entry<K>>,
        protects: &'p impl Protects,
    ) -> Option<Spot<'p, K>> {
        let hash = entry.hash();
        let (segment, shift) = self.segment(hash, protects);
        segment.locate(entry.as_ptr(), segment.home(hash, shift))
    }

    /// Unlinks the entry that was located there, in this table, by the one writer.
    ///
    /// If another table shares the segment, it is to be told so as well, for its count.
    pub(crate) fn unlink(&self, spot: Spot<'_, K>) {
        spot.empty();
        self.add_used(-1);
    }

    /// Bytes of the table and of the one segment that it has, being empty.
    pub(crate) fn empty_bytes(&self, protects: &impl Protects) -> usize {
        Self::BYTES + self.segment(0, protects).0.size().bytes()
    }

    /// Makes the table the owner of all that it leads to, `bytes` in all.
    pub(crate) fn own(&self, bytes: usize) {
        write_once(&self.owned, bytes.max(1));
    }

    /// The bytes that the table owns, if it takes what it leads to with it when it is freed.
    pub(crate) fn owned(&self) -> Option<usize> {
        match read_once(&self.owned) {
            0 => None,
            bytes => Some(bytes),
        }
    }

    /// Frees all parts of the table but the first segment, and makes that empty. Returns the bytes
    /// that have been freed. Sleeps.
    ///
    /// # Safety
    ///
    /// The caller owns the table and its parts; the entries are not used any more.
    pub(crate) unsafe fn reset(&mut self) -> usize {
        // SAFETY: By the contract of the function.
        unsafe {
            let root = self.root();
            let (first, _) = root.find(0);
            let bytes = free_tree(root, Some(first));
            segment::reset(first);
            self.root = Atomic::new(Word::segment(first, 0).into_raw());
            self.era().reset();
            self.link = Link::new();
            self.owned = Atomic::new(0);
            self.used = Atomic::new(0);
            self.segments = Atomic::new(1);
            self.misses = Misses(Atomic::new(0));
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

    /// Segments of its chain; one, if it is none.
    pub(crate) fn segments(&self) -> usize {
        let first = self.segment.next();
        1 + core::iter::successors(first, |segment| segment.get().next()).count()
    }

    /// The most buckets that a lookup of one of its hashes looks at.
    pub(crate) fn longest_probe(&self) -> usize {
        self.segment.longest_probe()
    }

    /// The first hash behind those of the leaf, unless they are the last.
    pub(crate) fn end(&self) -> Option<u32> {
        self.end
    }

    /// The entries with the home of a hash, and others; and the first hash behind that home.
    pub(crate) fn home(
        &self,
        hash: u32,
    ) -> (impl Iterator<Item = Shared<'p, Entry<K>>>, Option<u32>) {
        let next = self.segment.next_home(hash, self.shift);
        let end = match (next, self.end) {
            (Some(next), Some(end)) => Some(next.min(end)),
            (next, end) => next.or(end),
        };
        (
            self.segment.probe(self.segment.home(hash, self.shift), 0),
            end,
        )
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
                used: Atomic::new(0),
                misses: Misses(Atomic::new(0)),
                segments: Atomic::new(1),
                owned: Atomic::new(0),
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

    /// Allocates an empty table, with an era of its own. Sleeps if `flags` allow it.
    pub(crate) fn empty(
        max: usize,
        flags: Flags,
        charge: impl Fn(usize) -> Result<Charge<'m>>,
    ) -> Result<TableBox<'m, K>> {
        // The few bytes of the era are not charged.
        let era = KBox::new(Era::new(max), flags)?;
        let mut new = TableBox::allocate(flags, &charge)?;
        new.segment = Some(SegmentBox::allocate(Size::Small, flags, &charge)?);
        let era = new.era.insert(era);
        new.table.era = NonNull::from(&mut **era);
        Ok(new)
    }

    /// Makes it a new table that shares everything with an old one, and gives it to the caller.
    pub(crate) fn succeed(mut self, old: &Table<K>) -> NonNull<Table<K>> {
        let table = &mut self.table;
        table.root = Atomic::new(old.root().into_raw());
        table.generation = Atomic::new(old.generation() + 1);
        table.used = Atomic::new(old.used());
        table.segments = Atomic::new(old.segments());
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
