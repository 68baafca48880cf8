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

mod lock;
mod memory;
mod probe;

use core::ptr::{null_mut, slice_from_raw_parts_mut, NonNull};
use kernel::sync::atomic::Atomic;

use super::tags;
use crate::atomic::{load_acquire, prefetch, read_once, store_release, write_once};
use crate::entry::Entry;
use crate::hash::Key;
use crate::rcu::Shared;
use crate::reclaim::Link;

pub(crate) use lock::LockedSegment;
pub(crate) use memory::{free, SegmentBox};
pub(super) use memory::{reset, retired};
pub(super) use probe::Candidates;
pub(crate) use probe::Entries;

/// Entries in a bucket.
pub(super) const SLOTS: usize = 7;

/// Buckets in a segment, which together with its head are a kilobyte.
const BUCKETS: usize = 15;

/// Entries at which a segment is full: four fifths of its slots. Beyond that, probes get long.
pub(crate) const FULL: usize = SLOTS * BUCKETS * 4 / 5;

/// Slots of a full segment that are left for keys whose memory was reserved.
pub(crate) const SLACK: usize = SLOTS * BUCKETS - FULL;

/// Entries of a segment of which a table has too many segments, if they have no more on average.
pub(super) const SPARSE: usize = FULL / 3;

/// Entries for which a small segment will do for a while.
pub(super) const FEW: usize = SLOTS / 2;

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

/// The home of a hash, in a large segment for hashes that agree in their first `shift` bits.
///
/// Monotonous: a greater hash never has a home before that of a smaller one. With a shift of 31, it is
/// the first bucket for all hashes, which are even: so a lookup need not know whether a segment is small.
/// Shifts by the lowest five bits of `shift`.
#[inline(always)]
pub(super) fn home(hash: u32, shift: u32) -> usize {
    // The bits that follow, taken as a fraction, of the number of buckets.
    let fraction = u64::from(hash.wrapping_shl(shift));
    (fraction.wrapping_mul(BUCKETS as u64) >> 32) as usize
}

/// The segment that begins with a head, which is of that size.
#[inline]
pub(super) fn with_head<K: Key>(head: NonNull<Head>, size: Size) -> NonNull<Segment<K>> {
    let segment = slice_from_raw_parts_mut(head.as_ptr(), size.buckets()) as *mut Segment<K>;
    // SAFETY: As `head`, not null.
    unsafe { NonNull::new_unchecked(segment) }
}

/// Where an entry is.
pub(crate) struct Spot<'t, K: Key> {
    segment: &'t Segment<K>,
    bucket: &'t Bucket<K>,
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
    #[inline(always)]
    pub(super) fn home(&self, hash: u32, shift: u32) -> usize {
        match self.size() {
            Size::Small => 0,
            Size::Large => home(hash, shift),
        }
    }

    /// The least hash that begins like this one, with a home behind that one; `None` if that is the last.
    pub(super) fn first_hash_behind(&self, home: usize, hash: u32, shift: u32) -> Option<u32> {
        let home = home + 1;
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

    /// The bucket of that home.
    #[inline(always)]
    fn bucket(&self, home: usize) -> &Bucket<K> {
        debug_assert!(home < self.buckets.len());
        // SAFETY: Homes come from `home`, which takes a fraction, less than one, of the number of
        // buckets; or are the next one, after a look whether there is one. All segments of a chain
        // have the same number.
        unsafe { self.buckets.get_unchecked(home) }
    }

    /// Announces a look at all entries but those of the rest of the chain: in memory they are far
    /// apart, and to wait for one after the other takes long.
    pub(super) fn prefetch_entries(&self) {
        for bucket in &self.buckets {
            for slot in &bucket.slots {
                prefetch(read_once(slot).cast_const());
            }
        }
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
    #[inline(always)]
    fn insert(&self, entry: NonNull<Entry<K>>, home: usize, tag: u64) {
        if !self.bucket(home).insert(entry, tag) {
            self.insert_further(entry, home, tag);
        }
        write_once(&self.head.used, self.used() + 1);
    }

    #[inline(never)]
    fn insert_further(&self, entry: NonNull<Entry<K>>, home: usize, tag: u64) {
        let mut further = self.buckets_from(home).skip(1);
        let inserted = further.any(|(_, bucket)| bucket.insert(entry, tag));
        debug_assert!(inserted, "a full segment");
    }

    /// Finds the place of this very entry, here or in the rest of the chain. The caller may change the
    /// segment.
    #[inline]
    pub(super) fn locate<'p>(
        &'p self,
        entry: NonNull<Entry<K>>,
        home: usize,
        tag: u64,
    ) -> Option<Spot<'p, K>> {
        let bucket = self.bucket(home);
        match bucket.locate(entry, tag) {
            Some(slot) => Some(Spot {
                segment: self,
                bucket,
                slot,
            }),
            None => self.locate_further(entry, home, tag),
        }
    }

    #[inline(never)]
    fn locate_further<'p>(
        &'p self,
        entry: NonNull<Entry<K>>,
        home: usize,
        tag: u64,
    ) -> Option<Spot<'p, K>> {
        let mut next = Some(self);
        while let Some(segment) = next {
            for (_, bucket) in segment.buckets_from(home) {
                if let Some(slot) = bucket.locate(entry, tag) {
                    return Some(Spot {
                        segment,
                        bucket,
                        slot,
                    });
                }
                if read_once(&bucket.tags) & tags::MORE == 0 {
                    break;
                }
            }
            next = segment.next().map(Shared::get);
        }
        None
    }
}

impl<K: Key> Bucket<K> {
    /// The slot of an entry that has that tag. The caller may change the segment.
    #[inline]
    fn locate(&self, entry: NonNull<Entry<K>>, tag: u64) -> Option<usize> {
        let mut left = tags::matching(read_once(&self.tags), tag);
        while left != 0 {
            let slot = left.trailing_zeros() as usize / 8;
            if self
                .slots
                .get(slot)
                .is_some_and(|s| read_once(s) == entry.as_ptr())
            {
                return Some(slot);
            }
            left &= left.wrapping_sub(1);
        }
        None
    }

    /// Puts an entry into a slot that is free; whether there was one. If not, whoever looks for it shall look
    /// further. The caller may change the segment.
    #[inline]
    fn insert(&self, entry: NonNull<Entry<K>>, tag: u64) -> bool {
        let word = read_once(&self.tags);
        let place = tags::first_free(word).and_then(|i| Some((i, self.slots.get(i)?)));
        let Some((i, slot)) = place else {
            // Release, like all stores here: whoever sees the mark looks further, and sees what
            // belongs to the tags that it is stored with (litmus: shared-tags).
            store_release(&self.tags, word | tags::MORE);
            return false;
        };
        // Tag before pointer, each Release, pairing with the acquires in `Candidates`: the key is there
        // from the store of the pointer on. Who sees that, perhaps because the slot had the same tag
        // before, sees the entry, and finds it again (litmus: insert, reused-slot).
        store_release(&self.tags, tags::put(word, i, tag));
        store_release(slot, entry.as_ptr());
        true
    }
}

impl<K: Key> Spot<'_, K> {
    /// Empties a place, if it is not empty already. The caller may change the segment: see
    /// [`LockedSegment`].
    #[inline]
    pub(crate) fn empty(self) {
        let Some(slot) = self.bucket.slots.get(self.slot) else {
            return;
        };
        if read_once(slot).is_null() {
            return;
        }
        // Readers that still have the tag find null and go on (litmus: emptied-slot, shared-tags).
        store_release(slot, null_mut());
        let word = tags::clear(read_once(&self.bucket.tags), self.slot);
        store_release(&self.bucket.tags, word);
        let used = &self.segment.head.used;
        write_once(used, read_once(used) - 1);
    }
}
