// SPDX-License-Identifier: GPL-2.0

//! The hash table: readable under RCU while one writer inserts and unlinks.
//!
//! A table is an array of buckets of one cache line, each with six tags and six pointers to
//! entries. The home bucket of a key is chosen by the top bits of its hash, so that the order of
//! buckets is the order of hashes. A full bucket overflows into a chain of further buckets, which
//! lie behind the home buckets in the same array.
//!
//! * Lookups follow one chain and never start over: entries do not move within a table (I10), and a
//!   chain only ever gets longer.
//! * There is one writer at a time, the holder of the mutex. It never waits for readers.
//! * A table that is full is replaced by a larger copy. Copying cannot fail half-way through
//!   something irreversible: it only fills a table that nobody can see yet.
//!
//! The table knows keys, hashes and slots. It knows nothing of expunging, nor of promotion; it only
//! carries, in its header, what belongs to one generation of dirty: the miss count and `count`.

use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};

use crate::entry::{Admit, Entry};
use crate::hash::Key;
use crate::quota::{edquot, Charge};
use crate::rcu::{Link, Protects, Shared};

/// Entries per bucket.
const SLOTS: usize = 6;

/// Entries per home bucket at which a table is full: two thirds of the slots.
const LOAD: usize = 4;

/// Home buckets of the smallest table.
const BUCKETS_MIN: usize = 4;

/// Home buckets of the largest table.
const BUCKETS_MAX: usize = 1 << 24;

/// Six one-byte tags in a word, searched all at once.
mod tags {
    /// A one in each of the bytes that are tags.
    const ONES: u64 = 0x0000_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;

    /// The tag of a hash: never zero, which marks an empty slot. Low bits, as the top ones choose
    /// the bucket.
    pub(super) fn of(hash: u64) -> u64 {
        hash & 0x7f | 0x80
    }

    /// The slots that may hold `tag`, as set bits, eight per slot apart. Slots above a match may be
    /// reported wrongly, as the subtraction borrows from them; none is missed.
    pub(super) fn matching(word: u64, tag: u64) -> u64 {
        let x = word ^ (ONES * tag);
        x.wrapping_sub(ONES) & !x & HIGHS
    }

    /// The slots in use, in the same form.
    pub(super) fn occupied(word: u64) -> u64 {
        word & HIGHS
    }

    pub(super) fn set(word: u64, slot: usize, tag: u64) -> u64 {
        word & !(0xff << (slot * 8)) | tag << (slot * 8)
    }
}

/// One cache line: tags, pointers, and the index of the bucket where the chain goes on.
#[repr(C, align(64))]
struct Bucket<K> {
    tags: Atomic<u64>,
    slots: [Atomic<*mut Entry<K>>; SLOTS],
    next: Atomic<u32>,
}

impl<K> Bucket<K> {
    fn new() -> Self {
        const { assert!(size_of::<Self>() == 64) };
        Self {
            tags: Atomic::new(0),
            slots: [const { Atomic::new(null_mut()) }; SLOTS],
            next: Atomic::new(0),
        }
    }
}

/// The live keys of a map between one Clear and the next.
///
/// One per Clear, so that a late compare-and-swap into an entry that Clear has orphaned counts where
/// nobody looks any more. Every table of the same era points to it; it is freed with the last one.
pub struct Era {
    live: Atomic<usize>,
    max: usize,
}

impl Era {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            live: Atomic::new(0),
            max,
        }
    }

    /// Live keys; while operations are in flight, those that are about to come or have just gone
    /// may be among them, but none is missing.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Relaxed)
    }
}

impl Admit for Era {
    fn admit(&self) -> bool {
        // Relaxed: counts, publishes nothing.
        let mut live = self.live();
        while live < self.max {
            match self.live.cmpxchg(live, live + 1, Relaxed) {
                Ok(_) => return true,
                Err(seen) => live = seen,
            }
        }
        false
    }

    fn leave(&self) {
        self.live.add(1usize.wrapping_neg(), Relaxed);
    }
}

/// A hash table.
#[repr(C)]
pub struct Table<K> {
    // First: retired tables are found by the address of their link.
    link: Link,
    /// Not zero if the table takes its entries and its era with it when it is freed: the fate of a
    /// table that Clear has put aside. Then, the bytes of all that.
    owned: Atomic<usize>,
    shift: u32,
    homes: u32,
    /// Buckets in use, the home buckets and the overflow buckets behind them.
    used_buckets: Atomic<u32>,
    /// Slots in use.
    used: Atomic<usize>,
    /// What the seed's `len(dirty)` would be: changed with the mutex held.
    count: Atomic<usize>,
    /// Lookups that found nothing in read while this was dirty.
    misses: Atomic<usize>,
    era: NonNull<Era>,
    buckets: KVVec<Bucket<K>>,
}

// SAFETY: Entries may be used by all threads; `era` points to something `Sync` that lives at least
// as long as the table.
unsafe impl<K: Key> Send for Table<K> {}
// SAFETY: As above.
unsafe impl<K: Key> Sync for Table<K> {}

/// An entry could not be inserted: the overflow buckets are used up.
pub(crate) struct NoRoom;

impl<K: Key> Table<K> {
    /// Overflow buckets for so many home buckets. With an even hash, and four entries per home
    /// bucket, one in nine overflows; the rest is for bad luck. A bad hash uses up the overflow
    /// buckets early, and makes the table grow to a size in which it fits.
    const fn spill(homes: usize) -> usize {
        homes / 4 + 1
    }

    fn homes_for(entries: usize) -> usize {
        entries
            .div_ceil(LOAD)
            .next_power_of_two()
            .clamp(BUCKETS_MIN, BUCKETS_MAX)
    }

    /// Bytes of a table for so many entries.
    fn bytes_for(homes: usize) -> usize {
        size_of::<Self>() + (homes + Self::spill(homes)) * size_of::<Bucket<K>>()
    }

    /// Bytes of the table.
    pub(crate) fn bytes(&self) -> usize {
        Self::bytes_for(self.homes as usize)
    }

    /// Allocates a table that is not full with `entries` entries. Sleeps if `flags` allow it.
    pub(crate) fn allocate<'m>(
        entries: usize,
        era: NonNull<Era>,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<TableBox<'m, K>> {
        let homes = Self::homes_for(entries);
        if entries > homes * LOAD {
            return Err(edquot());
        }
        let charge = charge(Self::bytes_for(homes))?;
        let buckets = homes + Self::spill(homes);
        let mut array = KVVec::with_capacity(buckets, flags)?;
        for _ in 0..buckets {
            array
                .push_within_capacity(Bucket::new())
                .map_err(|_| ENOMEM)?;
        }
        let table = KBox::new(
            Table {
                link: Link::new(),
                owned: Atomic::new(0),
                shift: u64::BITS - homes.trailing_zeros(),
                homes: homes as u32,
                used_buckets: Atomic::new(homes as u32),
                used: Atomic::new(0),
                count: Atomic::new(0),
                misses: Atomic::new(0),
                era,
                buckets: array,
            },
            flags,
        )?;
        Ok(TableBox {
            table,
            charge,
            era: None,
        })
    }

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
    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// Finds the entry of a key.
    ///
    /// Lock-free, one chain of buckets, any context. A key that is absent from the chain when it is
    /// read was absent at some instant of the call, or has been inserted or deleted since it began.
    #[inline]
    pub(crate) fn find<'p>(
        &self,
        hash: u64,
        key: &K::Ref,
        protects: &'p impl Protects,
    ) -> Option<Shared<'p, Entry<K>>> {
        self.chain(self.home(hash), Some(tags::of(hash)), protects)
            .find(|e| Entry::is(e.as_ptr(), e.get(), hash, key))
    }

    /// All entries whose home is the bucket of that index.
    pub(crate) fn entries_of<'t, 'p>(
        &'t self,
        home: usize,
        protects: &'p impl Protects,
    ) -> Chain<'t, 'p, K> {
        self.chain(home, None, protects)
    }

    /// The entries of a chain; if a tag is given, those that carry it, and perhaps others.
    #[inline]
    fn chain<'t, 'p>(
        &'t self,
        home: usize,
        tag: Option<u64>,
        _protects: &'p impl Protects,
    ) -> Chain<'t, 'p, K> {
        let mut chain = Chain {
            table: self,
            bucket: None,
            matches: 0,
            tag,
            _protected: PhantomData,
        };
        chain.enter(home);
        chain
    }

    /// The number of home buckets.
    pub(crate) fn homes(&self) -> usize {
        self.homes as usize
    }

    /// The index of the home bucket of a hash.
    pub(crate) fn home_of(&self, hash: u64) -> usize {
        self.home(hash)
    }

    /// The least hash whose home is the bucket of that index.
    pub(crate) fn first_hash(&self, home: usize) -> u64 {
        (home as u64) << self.shift
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// What the seed's `len(dirty)` would be.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Changes [`Table::count`], with the mutex held.
    ///
    /// Full, although the count publishes nothing: it is the barrier that ends a change of the
    /// table, and orders it against those of others, as the changes of words are.
    pub(crate) fn add_count(&self, by: isize) {
        self.count.xchg(self.count().wrapping_add_signed(by), Full);
    }

    /// Misses so far.
    pub(crate) fn misses(&self) -> usize {
        self.misses.load(Relaxed)
    }

    /// Counts a miss; whether it is time for promotion.
    ///
    /// A store of what was loaded and one, not an atomic increment, which would make every miss
    /// fight for the line: a miss that is lost delays a promotion by one.
    #[inline]
    pub(crate) fn count_miss(&self) -> bool {
        self.misses.store(self.misses().wrapping_add(1), Relaxed);
        self.due()
    }

    /// Whether there are as many misses as keys: the promotion is then paid for.
    pub(crate) fn due(&self) -> bool {
        self.misses() >= self.count()
    }

    /// Whether the chain of a hash holds the entries of so many buckets, or more.
    pub(crate) fn is_crowded(&self, hash: u64, buckets: usize) -> bool {
        let mut entries = 0;
        let mut at = Some(self.home(hash));
        while let Some(bucket) = at.and_then(|at| self.buckets.get(at)) {
            entries += tags::occupied(bucket.tags.load(Relaxed)).count_ones() as usize;
            if entries / SLOTS >= buckets {
                return true;
            }
            at = at.and_then(|at| self.next(at));
        }
        false
    }

    fn next(&self, bucket: usize) -> Option<usize> {
        match self.buckets.get(bucket)?.next.load(Relaxed) {
            0 => None,
            next => Some(next as usize),
        }
    }

    /// Whether an entry of this hash can be inserted without making the table too full.
    pub(crate) fn has_room(&self, hash: u64) -> bool {
        if self.used() >= self.homes() * LOAD {
            return false;
        }
        (self.used_buckets.load(Relaxed) as usize) < self.buckets.len()
            || self.free_slot(self.home(hash)).is_ok()
    }

    /// The entries for which a table must be made if this one has no room for another: more than
    /// there are, and, if it is a bad hash that has filled it, twice what it was made for.
    pub(crate) fn capacity_to_grow(&self) -> usize {
        let used = self.used() + 1;
        if used > self.homes() * LOAD {
            used
        } else {
            self.homes() * LOAD * 2
        }
    }

    /// Whether a table a quarter as large would do.
    pub(crate) fn is_sparse(&self) -> bool {
        self.homes() >= Self::homes_for(self.used() + self.used() / 4) * 4
    }

    /// The first free slot of a chain, or its last bucket.
    fn free_slot(&self, home: usize) -> core::result::Result<(usize, usize), usize> {
        let mut at = home;
        loop {
            let Some(bucket) = self.buckets.get(at) else {
                return Err(at);
            };
            for (i, slot) in bucket.slots.iter().enumerate() {
                if slot.load(Relaxed).is_null() {
                    return Ok((at, i));
                }
            }
            match self.next(at) {
                Some(next) => at = next,
                None => return Err(at),
            }
        }
    }

    /// Links an entry; the key must not be in the table. The caller is the one writer.
    ///
    /// Fails, having changed nothing, only if [`Table::has_room`] would have said so.
    pub(crate) fn insert(&self, entry: Shared<'_, Entry<K>>) -> core::result::Result<(), NoRoom> {
        let hash = entry.hash();
        let (at, slot) = match self.free_slot(self.home(hash)) {
            Ok(place) => place,
            Err(last) => {
                let fresh = self.used_buckets.load(Relaxed);
                if fresh as usize >= self.buckets.len() {
                    return Err(NoRoom);
                }
                self.used_buckets.store(fresh + 1, Relaxed);
                // The chain is extended before the entry is in it: readers pass through an empty
                // bucket. Release: pairs with the acquire in `Chain::next`; its contents were
                // written before the table was published.
                if let Some(last) = self.buckets.get(last) {
                    last.next.store(fresh, Release);
                }
                (fresh as usize, 0)
            }
        };
        let Some(bucket) = self.buckets.get(at) else {
            return Err(NoRoom);
        };
        // Pointer before tag, each Release, pairing with the acquires in `Chain`: who sees
        // the tag sees the pointer, and who sees the pointer sees the entry.
        if let Some(place) = bucket.slots.get(slot) {
            place.store(entry.as_ptr().as_ptr(), Release);
        }
        let word = tags::set(bucket.tags.load(Relaxed), slot, tags::of(hash));
        bucket.tags.store(word, Release);
        self.used.store(self.used() + 1, Relaxed);
        Ok(())
    }

    /// Unlinks an entry, if this very entry is in the table; whether it was. The caller is the one
    /// writer.
    ///
    /// The bucket stays in its chain: a removal never ends anybody's probe.
    pub(crate) fn unlink(&self, entry: Shared<'_, Entry<K>>) -> bool {
        let mut at = Some(self.home(entry.hash()));
        while let Some(bucket) = at.and_then(|at| self.buckets.get(at)) {
            for (i, slot) in bucket.slots.iter().enumerate() {
                if slot.load(Relaxed) == entry.as_ptr().as_ptr() {
                    // Readers that still have the tag find null and go on.
                    slot.store(null_mut(), Release);
                    bucket
                        .tags
                        .store(tags::set(bucket.tags.load(Relaxed), i, 0), Release);
                    self.used.store(self.used() - 1, Relaxed);
                    return true;
                }
            }
            at = at.and_then(|at| self.next(at));
        }
        false
    }

    /// Links every entry of `from`, which no writer changes meanwhile, in this table, which nobody
    /// else can see. Sleeps.
    pub(crate) fn copy_from(
        &self,
        from: &Table<K>,
        protects: &impl Protects,
    ) -> core::result::Result<(), NoRoom> {
        for home in 0..from.homes() {
            for entry in from.entries_of(home, protects) {
                self.insert(entry)?;
            }
            crate::helpers::cond_resched();
        }
        Ok(())
    }

    /// Takes over the counters of a table of the same generation that this one replaces.
    pub(crate) fn carry_on(&self, from: &Table<K>) {
        self.count.store(from.count(), Relaxed);
        self.misses.store(from.misses(), Relaxed);
    }

    /// Makes the table the owner of its entries and its era, `bytes` in all.
    pub(crate) fn own(&self, bytes: usize) {
        self.owned.store(bytes.max(1), Relaxed);
    }

    /// The bytes that the table owns, if it takes its entries and its era with it when it is freed.
    pub(crate) fn owned(&self) -> Option<usize> {
        match self.owned.load(Relaxed) {
            0 => None,
            bytes => Some(bytes),
        }
    }

    /// Makes the table empty, as when it was new, and its era new as well.
    pub(crate) fn reset(&mut self) {
        self.era().live.store(0, Relaxed);
        for bucket in self.buckets.iter_mut() {
            *bucket = Bucket::new();
        }
        self.link = Link::new();
        self.owned = Atomic::new(0);
        self.used_buckets = Atomic::new(self.homes);
        self.used = Atomic::new(0);
        self.count = Atomic::new(0);
        self.misses = Atomic::new(0);
    }
}

/// An iterator over the entries of one chain.
pub(crate) struct Chain<'t, 'p, K> {
    table: &'t Table<K>,
    bucket: Option<&'t Bucket<K>>,
    matches: u64,
    tag: Option<u64>,
    _protected: PhantomData<&'p ()>,
}

impl<K: Key> Chain<'_, '_, K> {
    #[inline]
    fn enter(&mut self, bucket: usize) {
        self.bucket = self.table.buckets.get(bucket);
        // Acquire: pairs with the Release of the tag in `insert`, so that who sees the tag sees the
        // pointer; and a slot that is seen to be in use is seen by everybody who looks for it later.
        let tags = self.bucket.map_or(0, |b| b.tags.load(Acquire));
        self.matches = match self.tag {
            Some(tag) => tags::matching(tags, tag),
            None => tags::occupied(tags),
        };
    }
}

impl<'p, K: Key> Iterator for Chain<'_, 'p, K> {
    type Item = Shared<'p, Entry<K>>;

    #[inline]
    fn next(&mut self) -> Option<Shared<'p, Entry<K>>> {
        loop {
            let bucket = self.bucket?;
            while self.matches != 0 {
                let slot = self.matches.trailing_zeros() as usize / 8;
                self.matches &= self.matches - 1;
                let Some(slot) = bucket.slots.get(slot) else {
                    continue;
                };
                // Acquire: pairs with the Release in `insert`.
                if let Some(entry) = NonNull::new(slot.load(Acquire)) {
                    // SAFETY: Published, hence not freed while the evidence that this iterator was
                    // made with lasts (I5, I11).
                    return Some(unsafe { Shared::new(entry) });
                }
            }
            // Acquire: pairs with the Release in `insert`.
            match bucket.next.load(Acquire) {
                0 => return None,
                next => self.enter(next as usize),
            }
        }
    }
}

/// A table that nobody else can see yet, with its charge.
pub(crate) struct TableBox<'m, K> {
    table: KBox<Table<K>>,
    charge: Charge<'m>,
    /// The table's era, if no other table has it yet.
    era: Option<KBox<Era>>,
}

impl<K: Key> TableBox<'_, K> {
    /// Gives the table, its charge, and its era, if that is new, to the caller.
    pub(crate) fn publish(self) -> NonNull<Table<K>> {
        self.charge.keep();
        self.era.map(KBox::leak);
        NonNull::from(KBox::leak(self.table))
    }

    /// Puts the table into another era.
    pub(crate) fn set_era(&mut self, era: NonNull<Era>) {
        self.table.era = era;
    }

    /// Puts the table into a new era.
    pub(crate) fn begin_era(&mut self, era: KBox<Era>) {
        let era = self.era.insert(era);
        self.table.era = NonNull::from(&mut **era);
    }
}

impl<K> core::ops::Deref for TableBox<'_, K> {
    type Target = Table<K>;

    fn deref(&self) -> &Table<K> {
        &self.table
    }
}
