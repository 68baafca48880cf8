// SPDX-License-Identifier: GPL-2.0

//! Range: visiting all keys, each at most once, while others change the map.
//!
//! The walk goes through dirty, which has every live key (I2), in the order of hashes, and of keys
//! where hashes are equal. It holds neither lock nor read-side section while it calls back: it
//! collects a batch of keys and values in one section, takes references to them, and goes on behind
//! the last one in the next. Since the order does not depend on the table, and a key's place in it
//! never changes, no key comes twice, however often tables are replaced in between; and a key that
//! is live from the beginning to the end is in dirty when its turn comes.
//!
//! Nothing is pinned but the batch (I7).

use core::cmp::Ordering;
use core::ops::Deref;
use core::ptr::NonNull;
use kernel::sync::rcu::{self, Guard};

use crate::entry::Entry;
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::map::Map;
use crate::object::{Object, Stored};
use crate::rcu::Shared;
use crate::table::Leaf;
use crate::value::{Counted, Policy, ValueRef};

/// Pairs that are collected at a time.
const BATCH: usize = 16;

/// Home buckets that are looked at in one read-side section.
const SECTION: usize = 256;

/// A counted reference to an entry, for its key.
pub struct KeyRef<'m, K: Key, P: Policy> {
    entry: NonNull<Entry<K>>,
    map: &'m Map<K, P>,
}

impl<'m, K: Key, P: Policy> KeyRef<'m, K, P> {
    /// Takes a reference, in the read-side section in which the entry was found.
    fn new(map: &'m Map<K, P>, entry: Shared<'_, Entry<K>>) -> Self {
        // The map gives its own reference back a grace period after it has retired the entry.
        entry.get().get();
        KeyRef {
            entry: entry.as_ptr(),
            map,
        }
    }
}

impl<K: Key, P: Policy> Deref for KeyRef<'_, K, P> {
    type Target = K::Ref;

    fn deref(&self) -> &K::Ref {
        // SAFETY: Our reference keeps the entry valid.
        Object::payload(self.entry, unsafe { self.entry.as_ref() })
    }
}

impl<K: Key, P: Policy> Drop for KeyRef<'_, K, P> {
    fn drop(&mut self) {
        // SAFETY: Our reference keeps the entry valid until it is given back; the last one to give
        // back owns it. The map gives its own back only after a grace period, so no reader is left.
        unsafe {
            if self.entry.as_ref().put() {
                Entry::destroy(self.entry, &self.map.policy, &self.map.reclaimer);
            }
        }
    }
}

/// How far a walk has come: it goes on behind this.
pub enum Cursor<'c, K: Key> {
    /// Nowhere yet.
    Start,
    /// To this key, which need not be in the map.
    Key(&'c K::Ref),
}

/// A place in the order of the walk.
enum Place<'c, K: Key> {
    /// Before all keys of this hash.
    Before(u32),
    /// At this key of this hash.
    At(u32, &'c K::Ref),
}

impl<K: Key> Clone for Place<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for Place<'_, K> {}

impl<K: Key> Place<'_, K> {
    fn hash(self) -> u32 {
        match self {
            Place::Before(hash) | Place::At(hash, _) => hash,
        }
    }

    fn is_before(self, entry: Hashed<'_, K>) -> bool {
        match self {
            Place::Before(hash) => entry.hash >= hash,
            Place::At(hash, key) => match entry.hash.cmp(&hash) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => K::compare(entry.key(), key).is_gt(),
            },
        }
    }
}

/// An entry, and the hash of its key.
struct Hashed<'p, K: Key> {
    hash: u32,
    entry: Shared<'p, Entry<K>>,
}

impl<K: Key> Clone for Hashed<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for Hashed<'_, K> {}

impl<'p, K: Key> Hashed<'p, K> {
    fn key(self) -> &'p K::Ref {
        Object::payload(self.entry.as_ptr(), self.entry.get())
    }

    fn is_less(self, other: Hashed<'_, K>) -> bool {
        let order = self.hash.cmp(&other.hash);
        order
            .then_with(|| K::compare(self.key(), other.key()))
            .is_lt()
    }
}

/// The first entries, in order, of those that were offered.
struct Selection<'g, K: Key> {
    entries: [Option<Hashed<'g, K>>; BATCH],
    len: usize,
}

impl<'g, K: Key> Selection<'g, K> {
    fn new() -> Self {
        Selection {
            entries: [None; BATCH],
            len: 0,
        }
    }

    fn offer(&mut self, entry: Hashed<'g, K>) {
        // From the end: an insertion sort.
        let mut at = self.len;
        if self.len < BATCH {
            self.len += 1;
        }
        while let Some(before) = at.checked_sub(1) {
            let Some(other) = self.entries[before].filter(|other| entry.is_less(*other)) else {
                break;
            };
            if let Some(slot) = self.entries.get_mut(at) {
                *slot = Some(other);
            }
            at = before;
        }
        if let Some(slot) = self.entries.get_mut(at) {
            *slot = Some(entry);
        }
    }

    fn is_full(&self) -> bool {
        self.len == BATCH
    }
}

/// A batch of pairs, in order.
pub struct Batch<'m, K: Key, S: Stored> {
    pairs: [Option<Pair<'m, K, S>>; BATCH],
    last: bool,
}

/// A key and a value that it had during the walk.
pub type Pair<'m, K, S> = (KeyRef<'m, K, Counted<S>>, ValueRef<'m, S>);

impl<'m, K: Key, S: Stored> Batch<'m, K, S> {
    /// The pairs.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair<'m, K, S>> {
        self.pairs.iter().flatten()
    }

    /// Whether no key follows.
    pub fn is_last(&self) -> bool {
        self.last
    }
}

impl<K: Key, P: Policy> Map<K, P> {
    /// Calls `f` for each key and value, in read-side sections, until it returns false.
    ///
    /// Process context. `f` must not sleep; otherwise as [`Map::range`], but that no references are
    /// taken, which makes it several times as fast, and that values may be of any policy.
    pub fn range_rcu(&self, mut f: impl FnMut(&K::Ref, P::Seen<'_>) -> bool) {
        self.promote_if_amended();
        let mut next = Some(0);
        // The key, of those with that hash, behind which to go on.
        let mut behind: Option<KeyRef<'_, K, P>> = None;
        while let Some(hash) = next {
            let guard = rcu::read_lock();
            let table = self.roots.dirty(&guard);
            let mut leaf = table.leaf(hash, &guard).prefetch();
            for _ in 0..SECTION {
                let Some(hash) = next else {
                    return;
                };
                if leaf.end().is_some_and(|end| hash >= end) {
                    leaf = table.leaf(hash, &guard).prefetch();
                }
                let place = match &behind {
                    Some(key) => Place::At(hash, &**key),
                    None => Place::Before(hash),
                };
                let mut selection = Selection::new();
                next = self.select(&leaf, hash, place, &mut selection, &guard);
                let mut last = None;
                for found in selection.entries.iter().flatten() {
                    // The key may have been deleted meanwhile.
                    if let Some(seen) = found.entry.get().load::<P>(&guard) {
                        if !f(found.key(), seen) {
                            return;
                        }
                    }
                    last = Some(found);
                }
                behind = None;
                if let Some(last) = last.filter(|_| selection.is_full()) {
                    // Some of that home may have been left out.
                    behind = Some(KeyRef::new(self, last.entry));
                    next = Some(last.hash);
                    break;
                }
            }
            drop(guard);
            cond_resched();
        }
    }

    /// What a walk begins with, as in the seed.
    fn promote_if_amended(&self) {
        if self.roots.read(&rcu::read_lock()).1 {
            self.lock().promote();
        }
    }

    /// Selects the first of the live entries behind a place that have the home of a hash; returns the
    /// first hash behind that home.
    fn select<'g>(
        &self,
        leaf: &Leaf<'g, K>,
        hash: u32,
        place: Place<'_, K>,
        selection: &mut Selection<'g, K>,
        guard: &'g Guard,
    ) -> Option<u32> {
        let (entries, end) = leaf.home(hash);
        for entry in entries {
            let hashed = Hashed {
                hash: entry.hash(),
                entry,
            };
            // The home of others may be another one.
            let here = hashed.hash >= hash && end.is_none_or(|end| hashed.hash < end);
            let live = || entry.get().load::<P>(guard).is_some();
            if here && place.is_before(hashed) && live() {
                selection.offer(hashed);
            }
        }
        end
    }
}

impl<K: Key, S: Stored> Map<K, Counted<S>> {
    /// Calls `f` for each key and value, in the order of hashes, until it returns false.
    ///
    /// Process context. `f` is called without locks; it may sleep, and use this map in any way.
    /// No key comes twice; a key that is in the map throughout comes exactly once; the values may be
    /// from any moment of the call. O(n), and promotes dirty first, as the seed does.
    pub fn range(&self, mut f: impl FnMut(&K::Ref, &S::Ref) -> bool) {
        let mut batch = self.next_batch(Cursor::Start);
        loop {
            let mut last = None;
            for (key, value) in batch.pairs() {
                if !f(key, value) {
                    return;
                }
                last = Some(&**key);
            }
            let Some(key) = last.filter(|_| !batch.is_last()) else {
                return;
            };
            let next = self.next_batch(Cursor::Key(key));
            batch = next;
        }
    }

    /// The next pairs of a walk, behind `cursor`; for walks that are spread over several calls.
    ///
    /// Process context. A batch is empty only if the walk is over. At the start dirty is promoted.
    pub fn next_batch<'m>(&'m self, cursor: Cursor<'_, K>) -> Batch<'m, K, S> {
        let mut place = match cursor {
            Cursor::Start => {
                self.promote_if_amended();
                Place::Before(0)
            }
            Cursor::Key(key) => Place::At(self.hash(key), key),
        };
        loop {
            let (batch, next) = self.collect(place);
            match next {
                Some(hash) => place = Place::Before(hash),
                None if batch.last || batch.pairs().next().is_some() => return batch,
                // Everything that was selected has been deleted meanwhile: again from the same
                // place, which is not merely a hash.
                None => {}
            }
            cond_resched();
        }
    }

    /// The first live pairs behind a place, as far as one read-side section goes; if there are none
    /// so far, the hash to go on with.
    fn collect<'m>(&'m self, place: Place<'_, K>) -> (Batch<'m, K, S>, Option<u32>) {
        let guard = rcu::read_lock();
        let table = self.roots.dirty(&guard);
        let mut selection = Selection::new();
        let mut leaf = table.leaf(place.hash(), &guard);
        let mut next = Some(place.hash());
        for _ in 0..SECTION {
            let Some(hash) = next.filter(|_| !selection.is_full()) else {
                break;
            };
            if leaf.end().is_some_and(|end| hash >= end) {
                leaf = table.leaf(hash, &guard);
            }
            next = self.select(&leaf, hash, place, &mut selection, &guard);
        }
        let mut batch = Batch {
            pairs: [const { None }; BATCH],
            // A full selection may have left some of the last home's entries out: the walk goes on
            // behind its last pair, not behind the home.
            last: next.is_none() && !selection.is_full(),
        };
        if selection.len == 0 && !batch.last {
            return (batch, next);
        }
        let found = selection.entries.iter().flatten();
        for (pair, Hashed { entry, .. }) in batch.pairs.iter_mut().zip(found) {
            // The key may have been deleted meanwhile.
            let Some(seen) = entry.get().load::<Counted<S>>(&guard) else {
                continue;
            };
            *pair = Some((KeyRef::new(self, *entry), seen.count(&self.reclaimer)));
        }
        (batch, None)
    }
}
