// SPDX-License-Identifier: GPL-2.0

//! Looking at the entries of a segment: those that a home may have, or all of them.

use core::ptr::NonNull;

use super::{Bucket, Segment, Spot};
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

    /// All entries, those of the whole chain.
    pub(in crate::table) fn entries<'p>(&'p self) -> Entries<'p, K> {
        Entries {
            segment: Some(self),
            at: 0,
            slot: 0,
        }
    }

    /// Its entries, without those of the rest of the chain.
    pub(in crate::table) fn own_entries<'p>(
        &'p self,
    ) -> impl Iterator<Item = Shared<'p, Entry<K>>> {
        // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot).
        let slots = self.buckets.iter().flat_map(|bucket| &bucket.slots);
        slots.filter_map(|slot| {
            // SAFETY: As in `Probe`.
            NonNull::new(load_acquire(slot)).map(|entry| unsafe { Shared::new(entry) })
        })
    }
}

/// An iterator over the entries that a home may have.
pub(in crate::table) struct Probe<'p, K: Key> {
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
        // Acquire: pairs with the Releases of whoever changed the word, so that what was done before to
        // other slots is seen, too, and what was done before a key that is not there was deleted
        // (litmus: shared-tags, emptied-slot).
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
    pub(in crate::table) fn next_here(&mut self) -> Option<Shared<'p, Entry<K>>> {
        while self.matches != 0 {
            let slot = self.matches.trailing_zeros() as usize / 8;
            self.matches &= self.matches.wrapping_sub(1);
            let Some(slot) = self.bucket.slots.get(slot) else {
                continue;
            };
            // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot, order-of-inserts).
            if let Some(entry) = NonNull::new(load_acquire(slot)) {
                // SAFETY: Published, hence not freed while the evidence for `'p` lasts (I5, I11).
                return Some(unsafe { Shared::new(entry) });
            }
        }
        None
    }

    /// Whether another bucket is to be looked at, after this one.
    #[inline(always)]
    pub(in crate::table) fn goes_on(&self) -> bool {
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
            // Acquire: pairs with the Release in `insert` (litmus: insert, reused-slot, order-of-inserts).
            if let Some(entry) = NonNull::new(load_acquire(slot)) {
                // SAFETY: As in `Probe`.
                return Some(unsafe { Shared::new(entry) });
            }
        }
    }
}
