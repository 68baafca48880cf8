// SPDX-License-Identifier: GPL-2.0

//! Segments: small arrays of buckets of one cache line each, where the entries are.
//!
//! A bucket has seven slots, and a word of seven tags, which tell most of the slots that need not be
//! looked at. Where an entry belongs, its *home*, is given by the hash, so that the order of homes is
//! the order of hashes. An entry whose home is full goes to one of the buckets behind it, around the
//! end. Every bucket that it could not have gets a mark, which stays: no removal ends a probe.
//!
//! A map of a few keys has one small segment, with a single bucket.
//!
//! A segment that is full is split by its owner, the directory; but if the hashes that fill it are as
//! good as equal, that would not help. Then another segment is put in front of it, and the two are a
//! *chain*, of which only the first gets new entries. A chain is also what is made of a segment that
//! has no slot left for a key whose memory was reserved, as splitting it may take memory that was not;
//! that one is *mixed*, and is split as soon as there is memory.

use core::alloc::Layout;
use core::ptr::{null_mut, slice_from_raw_parts_mut, NonNull};
use kernel::alloc::allocator::Kmalloc;
use kernel::alloc::{Allocator, Flags, NumaNode};
use kernel::ffi::c_ulong;
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::rcu::Guard;

use super::tags;
use crate::atomic::{load_acquire, prefetch, read_once, store_release, write_once};
use crate::entry::Entry;
use crate::hash::Key;
use crate::helpers::{syncmap_helper_segment_lock, syncmap_helper_segment_unlock};
use crate::quota::{Charge, Ledger};
use crate::rcu::Shared;
use crate::reclaim::{Kind, Link, Retired};

/// Entries in a bucket.
pub(super) const SLOTS: usize = 7;

/// Buckets in a segment, which together with its head are a kilobyte.
const BUCKETS: usize = 15;

/// Entries at which a segment is full: four fifths of its slots. Beyond that, probes get long.
pub(crate) const FULL: usize = SLOTS * BUCKETS * 4 / 5;

/// Slots of a full segment that are left for keys whose memory was reserved.
pub(crate) const SLACK: usize = SLOTS * BUCKETS - FULL;

/// How large a segment is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// One bucket, which is full when it is full: the only segment of its table.
    Small,
    /// `BUCKETS` buckets.
    Large,
}

impl Size {
    const fn buckets(self) -> usize {
        match self {
            Size::Small => 1,
            Size::Large => BUCKETS,
        }
    }

    /// Entries at which it is full.
    pub(super) const fn full(self) -> usize {
        match self {
            Size::Small => SLOTS,
            Size::Large => FULL,
        }
    }

    /// Entries for which there is a slot.
    const fn slots(self) -> usize {
        SLOTS * self.buckets()
    }

    /// Bytes of such a segment.
    pub(super) const fn bytes(self) -> usize {
        size_of::<Head>() + self.buckets() * CACHE_LINE
    }

    const fn layout(self) -> Layout {
        // SAFETY: The alignment is a power of two, the size a multiple of it, and at most 1024.
        unsafe { Layout::from_size_align_unchecked(self.bytes(), CACHE_LINE) }
    }
}

const CACHE_LINE: usize = 64;

/// One cache line: tags, and pointers to entries.
#[repr(C, align(64))]
pub(super) struct Bucket<K: Key> {
    tags: Atomic<u64>,
    slots: [Atomic<*mut Entry<K>>; SLOTS],
}

/// The head of a segment.
#[repr(C, align(64))]
pub struct Head {
    // First: retired segments are found by the address of their link.
    pub(crate) link: Link,
    /// The generation of the table that it was made for. In a later one it is shared with read, if
    /// there is a read apart from dirty, and gets no new entries; but from those who were about to insert
    /// one when that dirty began.
    generation: u64,
    /// The rest of a chain, whose segments are large.
    next: Atomic<*mut Head>,
    /// Slots in use.
    used: Atomic<usize>,
    /// See [`LockedSegment`].
    lock: Atomic<u32>,
    size: Size,
    /// Whether this is the first of a chain whose entries have hashes that can be told apart. Changed
    /// with the lock of the map held.
    mixed: Atomic<bool>,
    /// Whether something else has taken its place in dirty (I12). Changed with its lock held, once.
    frozen: Atomic<bool>,
}

/// A piece of a table: the entries of which the hashes begin with certain bits.
#[repr(C)]
pub struct Segment<K: Key> {
    head: Head,
    buckets: [Bucket<K>],
}

/// The segment that begins with a head, which is of that size.
#[inline]
pub(super) fn with_head<K: Key>(head: NonNull<Head>, size: Size) -> NonNull<Segment<K>> {
    let segment = slice_from_raw_parts_mut(head.as_ptr(), size.buckets()) as *mut Segment<K>;
    // SAFETY: As `head`, not null.
    unsafe { NonNull::new_unchecked(segment) }
}

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
    pub(super) fn new(segment: Shared<'p, Segment<K>>, shift: u32, second: bool) -> Self {
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
    pub(super) fn segment(&self) -> Shared<'p, Segment<K>> {
        self.segment
    }

    /// Whether something else has taken its place, which is published then.
    pub(super) fn is_frozen(&self) -> bool {
        self.segment.is_frozen()
    }

    /// Says so. What has taken its place is published: who locks the segment next looks for that.
    pub(super) fn freeze(&self) {
        write_once(&self.segment.head.frozen, true);
    }

    /// Whether it is the first of several.
    pub(crate) fn is_chain(&self) -> bool {
        self.segment.is_chain()
    }

    /// Finds the entry of a key, here or in the rest of the chain.
    pub(crate) fn find(&self, hash: u32, key: &K::Ref) -> Option<Shared<'p, Entry<K>>> {
        let segment = self.segment.get();
        let mut probe = segment.probe(segment.home(hash, self.shift), tags::of(hash));
        probe.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key))
    }

    /// Links an entry. The caller has seen that there is a slot left, and that the key is not in the table.
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
        segment.locate(entry.as_ptr(), segment.home(entry.hash(), self.shift))
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

/// Where an entry is.
pub(crate) struct Spot<'t, K: Key> {
    segment: &'t Segment<K>,
    bucket: usize,
    slot: usize,
}

impl<K: Key> Segment<K> {
    /// How large it is.
    #[inline]
    pub(super) fn size(&self) -> Size {
        match self.buckets.len() {
            1 => Size::Small,
            _ => Size::Large,
        }
    }

    /// The generation of the table that it was made for.
    pub(super) fn generation(&self) -> u64 {
        self.head.generation
    }

    /// The home of a hash, in a segment for hashes that agree in their first `shift` bits.
    ///
    /// Monotonous: a greater hash never has a home before that of a smaller one.
    #[inline(always)]
    pub(super) fn home(&self, hash: u32, shift: u32) -> usize {
        // The bits that follow, taken as a fraction, of the number of buckets.
        let fraction = u64::from(hash.wrapping_shl(shift));
        (fraction.wrapping_mul(self.buckets.len() as u64) >> 32) as usize
    }

    /// The least hash with a home behind that of a hash; `None` if that is the last one.
    pub(super) fn next_home(&self, hash: u32, shift: u32) -> Option<u32> {
        let home = self.home(hash, shift) + 1;
        if home >= self.buckets.len() {
            return None;
        }
        // The least hash of which the bits behind the first `shift`, with zeroes for those that are
        // shifted in, are no less than the fraction: rounded up, unlike the division.
        let fraction = ((home as u64) << 32).div_ceil(self.buckets.len() as u64);
        let prefix = !(u32::MAX.wrapping_shr(shift));
        let offset = (fraction >> shift) + u64::from(fraction & ((1 << shift) - 1) != 0);
        u32::try_from(u64::from(hash & prefix) + offset).ok()
    }

    /// The entries whose home may be that one; if a tag is given, those that carry it, and perhaps
    /// others. The home is one of this segment.
    #[inline(always)]
    pub(super) fn probe<'p>(&'p self, home: usize, tag: u64) -> Probe<'p, K> {
        let bucket = self.bucket(home);
        let mut probe = Probe {
            segment: self,
            home,
            at: home,
            bucket,
            matches: 0,
            word: 0,
            tag,
        };
        probe.enter(bucket);
        probe
    }

    /// The bucket of that home.
    #[inline(always)]
    fn bucket(&self, home: usize) -> &Bucket<K> {
        debug_assert!(home < self.buckets.len());
        // SAFETY: Homes come from `home`, which takes a fraction, less than one, of the number of
        // buckets; or are the next one, after a look whether there is one. All segments of a chain
        // have the same number.
        unsafe { self.buckets.get_unchecked(home) }
    }

    /// Announces a change of the segment.
    #[inline]
    pub(super) fn prefetch_head(&self) {
        prefetch(&self.head);
    }

    /// Announces a look at all entries but those of the rest of the chain: in memory they are far
    /// apart, and to wait for one after the other takes long.
    pub(super) fn prefetch_entries(&self) {
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.slots) {
            prefetch(read_once(slot).cast_const());
        }
    }

    /// All entries, those of the whole chain.
    pub(super) fn entries<'p>(&'p self) -> Entries<'p, K> {
        Entries {
            segment: Some(self),
            at: 0,
            slot: 0,
        }
    }

    /// Its entries, without those of the rest of the chain.
    pub(super) fn own_entries<'p>(&'p self) -> impl Iterator<Item = Shared<'p, Entry<K>>> {
        // Acquire: pairs with the Release in `insert` (litmus: insert).
        let slots = self.buckets.iter().flat_map(|bucket| &bucket.slots);
        slots.filter_map(|slot| {
            // SAFETY: As in `Probe`.
            NonNull::new(load_acquire(slot)).map(|entry| unsafe { Shared::new(entry) })
        })
    }

    /// Replaces the rest of a chain, while the table shares nothing.
    pub(super) fn set_next(&self, next: NonNull<Segment<K>>) {
        // Release: pairs with the acquire in `next` (litmus: merged-chain).
        store_release(&self.head.next, next.as_ptr().cast());
    }

    /// The rest of the chain.
    pub(super) fn next<'p>(&'p self) -> Option<Shared<'p, Segment<K>>> {
        // Acquire: pairs with the Release of whoever published the link (litmus: chain).
        let next = NonNull::new(load_acquire(&self.head.next))?;
        // SAFETY: A segment is retired together with the last segment that leads to it, or after it.
        Some(unsafe { Shared::new(with_head(next, Size::Large)) })
    }

    /// The buckets in the order in which they are tried for a home, with their places.
    fn buckets_from(&self, home: usize) -> impl Iterator<Item = (usize, &Bucket<K>)> {
        let places = Iterator::chain(home..self.buckets.len(), 0..home);
        places.filter_map(|at| Some((at, self.buckets.get(at)?)))
    }

    /// The most buckets that the lookup of any hash looks at, here and in the rest of the chain.
    pub(super) fn longest_probe(&self) -> usize {
        let homes = 0..self.buckets.len();
        homes.map(|home| self.probe_length(home)).max().unwrap_or(0)
    }

    /// The buckets that a lookup looks at which begins at that home, and finds nothing.
    fn probe_length(&self, home: usize) -> usize {
        let mut length = 0;
        let mut segment = Some(self);
        while let Some(here) = segment {
            for (_, bucket) in here.buckets_from(home) {
                length += 1;
                if read_once(&bucket.tags) & tags::MORE == 0 {
                    break;
                }
            }
            segment = here.next().map(Shared::get);
        }
        length
    }

    /// The number of segments of the chain that begins here.
    pub(super) fn chain_len(&self) -> usize {
        1 + core::iter::successors(self.next(), |segment| segment.get().next()).count()
    }

    /// Whether this is the first of several.
    pub(super) fn is_chain(&self) -> bool {
        !read_once(&self.head.next).is_null()
    }

    /// Whether this is the first of a mixed chain. With the lock of the map held, as a hint otherwise.
    pub(super) fn is_mixed(&self) -> bool {
        read_once(&self.head.mixed)
    }

    /// Says that the entries of the chain have hashes that can be told apart.
    pub(super) fn mix(&self) {
        write_once(&self.head.mixed, true);
    }

    /// Says that the entries of the chain have equal hashes, so that it remains one.
    pub(super) fn unmix(&self) {
        write_once(&self.head.mixed, false);
    }

    /// Whether something else has taken its place in dirty. With its lock held, or that of the map.
    pub(super) fn is_frozen(&self) -> bool {
        read_once(&self.head.frozen)
    }

    /// Whether reserved keys have used its slack, or overflowed it.
    pub(super) fn is_strained(&self) -> bool {
        self.is_mixed() || self.used() > self.size().full()
    }

    /// Whether there is no slot left, here, for any entry.
    pub(super) fn is_exhausted(&self) -> bool {
        self.used() >= self.size().slots()
    }

    /// Slots in use, the rest of the chain not included.
    pub(super) fn used(&self) -> usize {
        read_once(&self.head.used)
    }

    /// Whether another entry, whatever its home, is to go elsewhere.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.size().full()
    }

    /// Puts an entry in its place. The caller may change the segment, and has seen that it has a slot
    /// left.
    fn insert(&self, entry: NonNull<Entry<K>>, home: usize, tag: u64) {
        for (_, bucket) in self.buckets_from(home) {
            let word = read_once(&bucket.tags);
            let Some(i) = tags::first_free(word) else {
                // Release, like all stores here: whoever sees the mark looks further, and sees what
                // belongs to the tags that it is stored with (litmus: shared-tags).
                store_release(&bucket.tags, word | tags::MORE);
                continue;
            };
            // Pointer before tag, each Release, pairing with the acquires in `Probe`: who sees the
            // tag sees the pointer, and who sees the pointer sees the entry
            // (litmus: insert, reused-slot).
            if let Some(slot) = bucket.slots.get(i) {
                store_release(slot, entry.as_ptr());
            }
            store_release(&bucket.tags, tags::set(word, i, tag));
            write_once(&self.head.used, self.used() + 1);
            return;
        }
        debug_assert!(false, "a full segment");
    }

    /// Finds the place of this very entry, here or in the rest of the chain. The caller may change the
    /// segment.
    pub(super) fn locate<'p>(
        &'p self,
        entry: NonNull<Entry<K>>,
        home: usize,
    ) -> Option<Spot<'p, K>> {
        let mut segment = Some(self);
        while let Some(here) = segment {
            for (at, bucket) in here.buckets_from(home) {
                let slot = |s: &Atomic<*mut Entry<K>>| read_once(s) == entry.as_ptr();
                if let Some(slot) = bucket.slots.iter().position(slot) {
                    return Some(Spot {
                        segment: here,
                        bucket: at,
                        slot,
                    });
                }
                if read_once(&bucket.tags) & tags::MORE == 0 {
                    break;
                }
            }
            segment = here.next().map(Shared::get);
        }
        None
    }
}

impl<K: Key> Spot<'_, K> {
    /// Empties a place, if it is not empty already. The caller may change the segment: see
    /// [`LockedSegment`].
    pub(crate) fn empty(self) {
        let Some(bucket) = self.segment.buckets.get(self.bucket) else {
            return;
        };
        let Some(slot) = bucket.slots.get(self.slot) else {
            return;
        };
        if read_once(slot).is_null() {
            return;
        }
        // Readers that still have the tag find null and go on (litmus: emptied-slot, shared-tags).
        store_release(slot, null_mut());
        let word = tags::set(read_once(&bucket.tags), self.slot, 0);
        store_release(&bucket.tags, word);
        let used = &self.segment.head.used;
        write_once(used, read_once(used) - 1);
    }
}

/// An iterator over the entries that a home may have.
pub(super) struct Probe<'p, K: Key> {
    segment: &'p Segment<K>,
    home: usize,
    at: usize,
    bucket: &'p Bucket<K>,
    /// Slots to look at.
    matches: u64,
    /// The tags of the bucket.
    word: u64,
    /// The tag to look for; zero for any.
    tag: u64,
}

impl<'p, K: Key> Probe<'p, K> {
    #[inline(always)]
    fn enter(&mut self, bucket: &'p Bucket<K>) {
        self.bucket = bucket;
        // Acquire: pairs with the Release of the tag in `insert`, so that who sees the tag sees the
        // pointer; and a slot that is seen to be in use is seen by everybody who looks for it later
        // (litmus: insert, order-of-inserts).
        self.word = load_acquire(&bucket.tags);
        self.matches = match self.tag {
            0 => tags::occupied(self.word),
            tag => tags::matching(self.word, tag),
        };
    }

    /// Goes on to the next bucket, if there may be more; whether there is one.
    #[inline]
    fn advance(&mut self) -> bool {
        if !self.goes_on() {
            return false;
        }
        let mut next = self.at + 1;
        if next == self.segment.buckets.len() {
            next = 0;
        }
        if self.word & tags::MORE != 0 && next != self.home {
            self.at = next;
            self.enter(self.segment.bucket(next));
            return true;
        }
        if self.word & tags::CHAIN == 0 {
            return false;
        }
        match self.segment.next() {
            Some(segment) => {
                self.segment = segment.get();
                self.at = self.home;
                self.enter(self.segment.bucket(self.home));
                true
            }
            None => false,
        }
    }
}

impl<'p, K: Key> Probe<'p, K> {
    /// The next entry of the same bucket.
    #[inline(always)]
    pub(super) fn next_here(&mut self) -> Option<Shared<'p, Entry<K>>> {
        while self.matches != 0 {
            let slot = self.matches.trailing_zeros() as usize / 8;
            self.matches &= self.matches.wrapping_sub(1);
            let Some(slot) = self.bucket.slots.get(slot) else {
                continue;
            };
            // Acquire: pairs with the Release in `insert` (litmus: reused-slot).
            if let Some(entry) = NonNull::new(load_acquire(slot)) {
                // SAFETY: Published, hence not freed while the evidence for `'p` lasts (I5, I11).
                return Some(unsafe { Shared::new(entry) });
            }
        }
        None
    }

    /// Whether another bucket is to be looked at, after this one.
    #[inline(always)]
    pub(super) fn goes_on(&self) -> bool {
        self.word & (tags::MORE | tags::CHAIN) != 0
    }
}

impl<'p, K: Key> Iterator for Probe<'p, K> {
    type Item = Shared<'p, Entry<K>>;

    #[inline]
    fn next(&mut self) -> Option<Shared<'p, Entry<K>>> {
        loop {
            let next = self.next_here();
            if next.is_some() || !self.advance() {
                return next;
            }
        }
    }
}

/// An iterator over all entries of a segment, and of its chain.
pub(crate) struct Entries<'p, K: Key> {
    segment: Option<&'p Segment<K>>,
    at: usize,
    slot: usize,
}

impl<'p, K: Key> Entries<'p, K> {
    /// Where the entry is that came last; the caller may change the segment.
    pub(crate) fn spot(&self) -> Option<Spot<'p, K>> {
        Some(Spot {
            segment: self.segment?,
            bucket: self.at,
            slot: self.slot.checked_sub(1)?,
        })
    }
}

impl<'p, K: Key> Iterator for Entries<'p, K> {
    type Item = Shared<'p, Entry<K>>;

    fn next(&mut self) -> Option<Shared<'p, Entry<K>>> {
        loop {
            let segment = self.segment?;
            let Some(bucket) = segment.buckets.get(self.at) else {
                self.segment = segment.next().map(Shared::get);
                self.at = 0;
                continue;
            };
            let Some(slot) = bucket.slots.get(self.slot) else {
                self.slot = 0;
                self.at += 1;
                continue;
            };
            self.slot += 1;
            // Acquire: pairs with the Release in `insert` (litmus: reused-slot).
            if let Some(entry) = NonNull::new(load_acquire(slot)) {
                // SAFETY: As in `Probe`.
                return Some(unsafe { Shared::new(entry) });
            }
        }
    }
}

/// A segment that nobody else can see yet, with its charge.
pub(crate) struct SegmentBox<'m, K: Key> {
    segment: KBox<Segment<K>>,
    charge: Charge<'m>,
}

impl<'m, K: Key> SegmentBox<'m, K> {
    /// Allocates an empty, large segment. Sleeps if `flags` allow it.
    pub(crate) fn large(
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        Self::allocate(Size::Large, flags, charge)
    }

    /// Allocates an empty segment. Sleeps if `flags` allow it.
    pub(super) fn allocate(
        size: Size,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<Self> {
        const { assert!(size_of::<Bucket<K>>() == CACHE_LINE) };
        const { assert!(Size::Large.bytes() == 1024 && Size::Small.bytes() == 128) };
        let charge = charge(size.bytes())?;
        let memory = Kmalloc::alloc(size.layout(), flags | __GFP_ZERO, NumaNode::NO_NODE)?;
        let head = memory.cast::<Head>();
        // SAFETY: The memory is ours, large enough, and aligned; zeroes are a head, and buckets, of an
        // empty segment: null links, no tags, null pointers. `Kmalloc` is the allocator of a `KBox`.
        let segment = unsafe {
            (&raw mut (*head.as_ptr()).size).write(size);
            KBox::from_raw(with_head(head, size).as_ptr())
        };
        Ok(Self { segment, charge })
    }

    /// The generation of the table that it is for.
    pub(super) fn generation(&self) -> u64 {
        self.segment.generation()
    }

    /// What it is charged to.
    pub(super) fn ledger(&self) -> &'m Ledger {
        self.charge.ledger()
    }

    /// Makes it a segment of that generation.
    pub(super) fn begin(&mut self, generation: u64) {
        self.segment.head.generation = generation;
    }

    /// Whether another entry is to go elsewhere.
    pub(super) fn is_full(&self) -> bool {
        self.segment.is_full()
    }

    /// Puts it in front of another segment, or chain; `mixed` if the hashes can be told apart.
    pub(super) fn chain(&mut self, next: NonNull<Segment<K>>, mixed: bool) {
        self.segment.head.mixed = Atomic::new(mixed);
        self.segment.head.next = Atomic::new(next.as_ptr().cast());
        for bucket in self.segment.buckets.iter_mut() {
            bucket.tags = Atomic::new(tags::CHAIN);
        }
    }

    /// Links an entry.
    pub(super) fn insert(&self, entry: Shared<'_, Entry<K>>, hash: u32, shift: u32) {
        let home = self.segment.home(hash, shift);
        self.segment.insert(entry.as_ptr(), home, tags::of(hash));
    }

    /// Makes it a copy of another segment of its size, without the entries that `keep` does not want;
    /// the number of those.
    pub(super) fn copy(
        &mut self,
        from: &Segment<K>,
        mut keep: impl FnMut(Shared<'_, Entry<K>>) -> bool,
        _guard: &Guard,
    ) -> usize {
        let to = &mut *self.segment;
        to.head.next = Atomic::new(read_once(&from.head.next));
        to.head.mixed = Atomic::new(from.is_mixed());
        let (mut used, mut dropped) = (0, 0);
        for (to, from) in to.buckets.iter_mut().zip(&from.buckets) {
            let mut word = read_once(&from.tags);
            for (i, (to, from)) in to.slots.iter_mut().zip(&from.slots).enumerate() {
                let Some(entry) = NonNull::new(read_once(from)) else {
                    continue;
                };
                // SAFETY: In a published segment, and not freed before the section ends (I5, I11).
                if keep(unsafe { Shared::new(entry) }) {
                    *to = Atomic::new(entry.as_ptr());
                    used += 1;
                } else {
                    word = tags::set(word, i, 0);
                    dropped += 1;
                }
            }
            to.tags = Atomic::new(word);
        }
        to.head.used = Atomic::new(used);
        dropped
    }

    /// Gives an empty, large segment and its charge to the caller, who keeps it for later.
    pub(crate) fn into_raw(self) -> NonNull<Head> {
        self.publish().cast()
    }

    /// Takes back what [`SegmentBox::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// `head` comes from `into_raw`, and is the caller's; it is charged to `ledger`.
    pub(crate) unsafe fn from_raw(head: NonNull<Head>, ledger: &'m Ledger) -> Self {
        // SAFETY: By the contract of the function; segments come from a `KBox`. Its link may have been
        // used for a list.
        let segment = unsafe {
            head.as_ref().link.set(null_mut());
            KBox::from_raw(with_head(head, Size::Large).as_ptr())
        };
        Self {
            segment,
            charge: ledger.adopt(Size::Large.bytes()),
        }
    }

    /// Gives the segment and its charge to the caller.
    pub(super) fn publish(self) -> NonNull<Segment<K>> {
        self.charge.keep();
        NonNull::from(KBox::leak(self.segment))
    }
}

/// The right to free a segment after a grace period.
///
/// # Safety
///
/// No published pointer leads to the segment (I11), nor has it been retired before (I6).
pub(super) unsafe fn retired<K: Key>(segment: NonNull<Segment<K>>) -> Retired {
    // SAFETY: By the contract of the function; a head begins with a link.
    unsafe { Retired::new(Kind::Segment, segment.cast::<Head>()) }
}

/// Makes a segment empty, as when it was new.
///
/// # Safety
///
/// The caller owns the segment.
pub(super) unsafe fn reset<K: Key>(mut segment: NonNull<Segment<K>>) {
    // SAFETY: By the contract of the function.
    let segment = unsafe { segment.as_mut() };
    segment.head.link = Link::new();
    segment.head.generation = 0;
    segment.head.next = Atomic::new(null_mut());
    segment.head.used = Atomic::new(0);
    segment.head.mixed = Atomic::new(false);
    segment.head.frozen = Atomic::new(false);
    for bucket in &mut segment.buckets {
        bucket.tags = Atomic::new(0);
        bucket.slots = [const { Atomic::new(null_mut()) }; SLOTS];
    }
}

/// Frees a segment; returns its bytes.
///
/// # Safety
///
/// The caller owns the segment, which was published once.
pub(crate) unsafe fn free<K: Key>(head: NonNull<Head>) -> usize {
    // SAFETY: By the contract of the function; segments come from a `KBox`.
    unsafe {
        let size = head.as_ref().size;
        drop(KBox::from_raw(with_head::<K>(head, size).as_ptr()));
        size.bytes()
    }
}
