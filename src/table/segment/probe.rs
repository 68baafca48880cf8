// SPDX-License-Identifier: GPL-2.0

//! Looking at the entries of a segment: those that a home may have, or all of them.

use core::ptr::NonNull;

use super::{Bucket, Head, Segment, Spot};
use crate::atomic::load_acquire;
use crate::entry::Entry;
use crate::hash::Key;
use crate::rcu::Shared;
use crate::table::tags;

impl<K: Key> Segment<K> {
    /// The entries whose home may be that one; if a tag is given, those that carry it, and perhaps
    /// others. The home is one of this segment.
    #[inline(always)]
    pub(in crate::table) fn probe<'p>(&'p self, home: usize, tag: u64) -> Probe<'p, K> {
        Probe {
            segment: self,
            home,
            at: home,
            tag,
            candidates: Candidates::in_bucket(self.bucket(home), tag),
        }
    }

    /// The entries in the bucket of a home, that carry that tag.
    #[inline(always)]
    pub(in crate::table) fn candidates(&self, home: usize, tag: u64) -> Candidates<'_, K> {
        Candidates::in_bucket(self.bucket(home), tag)
    }

    /// Finds the entry of a key that is not in the bucket of its home, for the one key in ten whose home was
    /// full.
    ///
    /// Begins anew behind the home, so that the caller need not keep a probe in memory for it.
    #[inline(never)]
    pub(in crate::table) fn find_further<'p>(
        &'p self,
        home: usize,
        hash: u32,
        key: &K::Ref,
    ) -> Option<Shared<'p, Entry<K>>> {
        let mut probe = self.probe(home, tags::of(hash));
        probe.candidates.matches = 0;
        probe.find(|entry| Entry::is(entry.as_ptr(), entry.get(), hash, key))
    }

    /// All entries, those of the whole chain.
    pub(in crate::table) fn entries<'p>(&'p self) -> Entries<'p, K> {
        Entries {
            segment: Some(self),
            at: 0,
            slot: 0,
        }
    }

    /// Calls `look` for the entries whose home may be that one or one behind it, and then, after each home
    /// of which none can come any more, for nothing; until it says no then. Returns the last home. The segment
    /// is in no chain.
    #[inline(always)]
    pub(in crate::table) fn look_from<'p>(
        &'p self,
        home: usize,
        mut look: impl FnMut(Option<Shared<'p, Entry<K>>>) -> bool,
    ) -> usize {
        let mut look_at = |at: usize| {
            let bucket = Candidates::in_bucket(self.bucket(at), 0);
            let more = bucket.word & tags::MORE != 0;
            bucket.for_each(|entry| {
                look(Some(entry));
            });
            (more, !more && !look(None))
        };
        for at in home..self.buckets.len() {
            let (more, enough) = look_at(at);
            if enough {
                return at;
            }
            if more && at + 1 == self.buckets.len() {
                // Those that have gone on to the first buckets.
                (0..home).any(|at| !look_at(at).0);
            }
        }
        self.buckets.len() - 1
    }

    /// Calls a function for all entries, those of the whole chain.
    #[inline(always)]
    pub(in crate::table) fn for_each_entry<'p>(&'p self, mut f: impl FnMut(Shared<'p, Entry<K>>)) {
        let mut next = Some(self);
        while let Some(segment) = next {
            for bucket in &segment.buckets {
                for slot in &bucket.slots {
                    // Acquire: as in `Candidates`.
                    if let Some(entry) = NonNull::new(load_acquire(slot)) {
                        // SAFETY: As in `Candidates`.
                        f(unsafe { Shared::new(entry) });
                    }
                }
            }
            next = segment.next().map(Shared::get);
        }
    }

    /// Its entries, without those of the rest of the chain.
    pub(in crate::table) fn own_entries<'p>(
        &'p self,
    ) -> impl Iterator<Item = Shared<'p, Entry<K>>> {
        // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot).
        let slots = self.buckets.iter().flat_map(|bucket| &bucket.slots);
        slots.filter_map(|slot| {
            // SAFETY: As in `Candidates`.
            NonNull::new(load_acquire(slot)).map(|entry| unsafe { Shared::new(entry) })
        })
    }
}

/// The entries of a bucket that may carry a tag.
pub(in crate::table) struct Candidates<'p, K: Key> {
    bucket: &'p Bucket<K>,
    /// Slots to look at.
    matches: u64,
    /// The tags of the bucket.
    word: u64,
}

impl<'p, K: Key> Candidates<'p, K> {
    /// Those in the bucket of a home of a segment that has that head.
    ///
    /// # Safety
    ///
    /// The segment is not freed for `'p`, and the home is one that it has.
    #[inline(always)]
    pub(in crate::table) unsafe fn of(head: NonNull<Head>, home: usize, tag: u64) -> Self {
        // SAFETY: By the contract of the function; the buckets of a segment follow its head.
        let bucket = unsafe { head.add(1).cast::<Bucket<K>>().add(home).as_ref() };
        Self::in_bucket(bucket, tag)
    }

    /// Those in a bucket; all of its entries if the tag is zero.
    #[inline(always)]
    fn in_bucket(bucket: &'p Bucket<K>, tag: u64) -> Self {
        // Acquire: pairs with the Releases of whoever changed the word, so that what was done before to
        // other slots is seen, too, and what was done before a key that is not there was deleted
        // (litmus: shared-tags, emptied-slot).
        let word = load_acquire(&bucket.tags);
        let matches = match tag {
            0 => tags::occupied(word),
            tag => tags::matching(word, tag),
        };
        Self {
            bucket,
            matches,
            word,
        }
    }

    /// The first that is wanted.
    ///
    /// As that of an iterator, but for what that one does for the case that it is asked again.
    #[inline(always)]
    pub(in crate::table) fn find(
        &self,
        wanted: impl Fn(Shared<'p, Entry<K>>) -> bool,
    ) -> Option<Shared<'p, Entry<K>>> {
        let mut left = self.matches;
        while left != 0 {
            let entry = self.entry(left).filter(|entry| wanted(*entry));
            if entry.is_some() {
                return entry;
            }
            left &= left.wrapping_sub(1);
        }
        None
    }

    /// The entry in the first of these slots.
    #[inline(always)]
    fn entry(&self, slots: u64) -> Option<Shared<'p, Entry<K>>> {
        let slot = self.bucket.slots.get(slots.trailing_zeros() as usize / 8)?;
        // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot, order-of-inserts).
        // SAFETY: Published, hence not freed while the evidence for `'p` lasts (I5, I11).
        NonNull::new(load_acquire(slot)).map(|entry| unsafe { Shared::new(entry) })
    }

    /// Whether another bucket is to be looked at, after this one.
    #[inline(always)]
    pub(in crate::table) fn go_on(&self) -> bool {
        self.word & (tags::MORE | tags::CHAIN) != 0
    }
}

impl<'p, K: Key> Iterator for Candidates<'p, K> {
    type Item = Shared<'p, Entry<K>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Shared<'p, Entry<K>>> {
        while self.matches != 0 {
            let entry = self.entry(self.matches);
            self.matches &= self.matches.wrapping_sub(1);
            if entry.is_some() {
                return entry;
            }
        }
        None
    }
}

/// An iterator over the entries that a home may have.
pub(in crate::table) struct Probe<'p, K: Key> {
    segment: &'p Segment<K>,
    home: usize,
    at: usize,
    /// The tag to look for; zero for any.
    tag: u64,
    candidates: Candidates<'p, K>,
}

impl<'p, K: Key> Probe<'p, K> {
    fn enter(&mut self, at: usize) {
        self.at = at;
        self.candidates = Candidates::in_bucket(self.segment.bucket(at), self.tag);
    }

    /// Goes on to the next bucket, if there may be more; whether there is one.
    #[inline]
    fn advance(&mut self) -> bool {
        if !self.candidates.go_on() {
            return false;
        }
        let mut next = self.at + 1;
        if next == self.segment.buckets.len() {
            next = 0;
        }
        let word = self.candidates.word;
        if word & tags::MORE != 0 && next != self.home {
            self.enter(next);
            return true;
        }
        if word & tags::CHAIN == 0 {
            return false;
        }
        match self.segment.next() {
            Some(segment) => {
                self.segment = segment.get();
                self.enter(self.home);
                true
            }
            None => false,
        }
    }
}

impl<'p, K: Key> Iterator for Probe<'p, K> {
    type Item = Shared<'p, Entry<K>>;

    #[inline]
    fn next(&mut self) -> Option<Shared<'p, Entry<K>>> {
        loop {
            let next = self.candidates.next();
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
        let segment = self.segment?;
        Some(Spot {
            segment,
            bucket: segment.buckets.get(self.at)?,
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
            // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot, order-of-inserts).
            if let Some(entry) = NonNull::new(load_acquire(slot)) {
                // SAFETY: As in `Candidates`.
                return Some(unsafe { Shared::new(entry) });
            }
        }
    }
}
