// SPDX-License-Identifier: GPL-2.0

//! Range: visiting all keys, each at most once, while others change the map.
//!
//! The walk goes through dirty, which has every live key (I2), in the order of hashes, and of keys
//! where hashes are equal. It goes by sections, each of which is one of RCU: in it, pairs are looked
//! at where they are, or references to some are taken, for a callback that may sleep. The next one
//! goes on behind the last pair. Since the order does not depend on the table, and a key's place in
//! it never changes, no key comes twice, however often tables are replaced in between; and a key that
//! is live from the beginning to the end is in dirty when its turn comes.
//!
//! Nothing is pinned but the last key, and the pairs that are called back for (I7).

use core::cmp::Ordering;
use core::ops::Deref;
use core::ptr::NonNull;
use kernel::sync::rcu;

use crate::entry::Entry;
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::map::Map;
use crate::object::{Object, Stored};
use crate::rcu::Shared;
use crate::table::{Leaf, FULL, SLACK};
use crate::value::{Counted, Policy, ValueRef};

/// Pairs to which references are taken at a time.
const BATCH: usize = 32;

/// How often a walk looks for a value of which something can be made.
const ATTEMPTS: usize = 64;

/// Entries that are put in order at a time: those of a segment.
const SELECTION: usize = FULL + SLACK;

/// Entries that are looked at in one section, more or less.
const SECTION: usize = 1024;

/// As how many entries the buckets count that are looked at with them.
const BUCKETS: usize = 16;

/// A counted reference to an entry, for its key.
pub struct KeyRef<'m, K: Key, P: Policy> {
    entry: NonNull<Entry<K>>,
    map: &'m Map<K, P>,
}

impl<'m, K: Key, P: Policy> KeyRef<'m, K, P> {
    fn hash(&self) -> u32 {
        // SAFETY: Our reference keeps the entry valid.
        unsafe { self.entry.as_ref() }.hash()
    }

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
        // back owns it. The map gives its own back only after a grace period, so no reader is left,
        // and has then freed the value.
        unsafe {
            if self.entry.as_ref().put() {
                Entry::destroy(self.entry, &self.map.reclaimer);
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

/// How a walk goes on after a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// With the next one.
    Next,
    /// With the next one, in another section.
    Last,
    /// With this one again, in another section.
    Stop,
}

/// A place in the order of a walk.
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
    entries: [Option<Hashed<'g, K>>; SELECTION],
    len: usize,
    /// How many there may be.
    room: usize,
}

impl<'g, K: Key> Selection<'g, K> {
    fn new() -> Self {
        Selection {
            entries: [None; SELECTION],
            len: 0,
            room: SELECTION,
        }
    }

    /// Forgets all; there may be so many now.
    fn begin(&mut self, room: usize) {
        (self.len, self.room) = (0, room);
    }

    #[inline(always)]
    fn offer(&mut self, entry: Hashed<'g, K>) {
        let Some(entries) = self.entries.get_mut(..self.room) else {
            return;
        };
        // From the end: an insertion sort.
        let mut at = self.len;
        if at < entries.len() {
            self.len += 1;
        } else {
            // The last one is left out, or this one.
            match entries.last_mut() {
                Some(Some(last)) if entry.is_less(*last) => at -= 1,
                _ => return,
            }
        }
        while let Some(before) = at.checked_sub(1) {
            let Some(other) = entries[before].filter(|other| entry.is_less(*other)) else {
                break;
            };
            entries[at] = Some(other);
            at = before;
        }
        entries[at] = Some(entry);
    }

    /// Those that have been selected.
    fn entries(&self) -> impl Iterator<Item = &Hashed<'g, K>> {
        self.entries.iter().take(self.len).flatten()
    }

    fn is_full(&self) -> bool {
        self.len == self.room
    }
}

/// A batch of pairs, in order: references to keys, and what was made of their values.
pub struct Batch<'m, K: Key, P: Policy, R> {
    pairs: [Option<(KeyRef<'m, K, P>, R)>; BATCH],
    last: bool,
}

/// A key and a value that it had during the walk.
pub type Pair<'m, K, S> = (KeyRef<'m, K, Counted<S>>, ValueRef<'m, S>);

impl<'m, K: Key, P: Policy, R> Batch<'m, K, P, R> {
    /// The pairs.
    pub fn pairs(&self) -> impl Iterator<Item = &(KeyRef<'m, K, P>, R)> {
        self.pairs.iter().flatten()
    }

    /// Whether no key follows.
    pub fn is_last(&self) -> bool {
        self.last
    }
}

/// A walk over the keys of a map, which goes on whenever it is told to.
pub struct Walk<'m, 'c, K: Key, P: Policy> {
    map: &'m Map<K, P>,
    position: Position<'m, 'c, K, P>,
}

/// Where a walk is.
enum Position<'m, 'c, K: Key, P: Policy> {
    /// Before all keys of this hash.
    Before(u32),
    /// Behind a key.
    Cursor(u32, &'c K::Ref),
    /// Behind the key of an entry.
    Behind(KeyRef<'m, K, P>),
    /// Behind all keys.
    Over,
}

impl<'m, K: Key, P: Policy> Walk<'m, '_, K, P> {
    /// Whether all keys have been visited.
    pub fn is_over(&self) -> bool {
        matches!(self.position, Position::Over)
    }

    /// Goes through the next pairs in one read-side section, in which `f` must not sleep.
    ///
    /// Process context; sleeps behind the section, if only to let others run. How many pairs come is
    /// up to `f`, and to how many can be looked at without holding others up; there may be none
    /// although the walk is not over. `wanted`, at least one, is how many `f` is going to take: the
    /// section ends soon after, as what is put in order for an `f` that stops is put in order for nothing.
    pub fn section(&mut self, wanted: usize, mut f: impl FnMut(&K::Ref, P::Seen<'_>) -> Visit) {
        self.section_of_entries(wanted.max(1), |entry, seen| {
            f(Object::payload(entry.as_ptr(), entry.get()), seen)
        });
    }

    /// The same, with entries.
    fn section_of_entries(
        &mut self,
        wanted: usize,
        f: impl FnMut(Shared<'_, Entry<K>>, P::Seen<'_>) -> Visit,
    ) {
        self.rcu_section(wanted, f);
        cond_resched();
    }

    fn rcu_section(
        &mut self,
        mut wanted: usize,
        mut f: impl FnMut(Shared<'_, Entry<K>>, P::Seen<'_>) -> Visit,
    ) {
        // Dropped after the section: that may be the end of an entry.
        let mut before = None;
        let guard = rcu::read_lock();
        let table = self.map.roots.whole(&guard);
        let mut leaf: Option<Leaf<'_, K>> = None;
        let mut go_to = |position: &mut Position<'m, '_, K, P>, to| {
            if let Position::Behind(key) = core::mem::replace(position, to) {
                before = Some(key);
            }
        };
        let mut selection = Selection::new();
        let mut looked_at = 0;
        while wanted != 0 && looked_at < SECTION {
            let place = match &self.position {
                Position::Before(hash) => Place::Before(*hash),
                Position::Cursor(hash, key) => Place::At(*hash, *key),
                Position::Behind(key) => Place::At(key.hash(), &**key),
                Position::Over => return,
            };
            let hash = place.hash();
            let leaf = match &mut leaf {
                Some(leaf) if leaf.end().is_none_or(|end| hash < end) => leaf,
                leaf => leaf.insert(table.leaf(hash, &guard).prefetch()),
            };
            let end = selection.fill(leaf, place, wanted);
            looked_at += selection.len + BUCKETS;
            let (mut last, mut live) = (None, 0);
            for Hashed { entry, .. } in selection.entries() {
                // The key may have been deleted.
                let visit = match entry.get().load::<P>(&guard) {
                    Some(seen) => {
                        live += 1;
                        f(*entry, seen)
                    }
                    None => Visit::Next,
                };
                if visit != Visit::Stop {
                    last = Some(*entry);
                }
                if visit != Visit::Next {
                    if let Some(last) = last {
                        let behind = Position::Behind(KeyRef::new(self.map, last));
                        go_to(&mut self.position, behind);
                    }
                    return;
                }
            }
            wanted = wanted.saturating_sub(live);
            match last.filter(|_| selection.is_full()) {
                // Some may have been left out.
                Some(last) => {
                    let behind = Position::Behind(KeyRef::new(self.map, last));
                    go_to(&mut self.position, behind);
                    return;
                }
                None => go_to(
                    &mut self.position,
                    end.map_or(Position::Over, Position::Before),
                ),
            }
        }
    }
}

impl<'m, K: Key, P: Policy> Walk<'m, '_, K, P> {
    /// The next pairs of which `take` makes anything, in a read-side section in which it must not
    /// sleep: none only if the walk is over. Process context.
    ///
    /// Where it makes nothing of a value, it is called for what the key has then, a few times.
    // Not inlined, so that what is put in order is not on the stack while the caller goes on.
    #[inline(never)]
    pub fn next_batch_with<R>(
        &mut self,
        mut take: impl FnMut(P::Seen<'_>) -> Option<R>,
    ) -> Batch<'m, K, P, R> {
        let map = self.map;
        let mut batch = Batch {
            pairs: [const { None }; BATCH],
            last: false,
        };
        while !batch.last && batch.pairs().next().is_none() {
            let mut room = batch.pairs.iter_mut();
            self.section_of_entries(BATCH, |entry, seen| {
                if room.len() == 0 {
                    return Visit::Stop;
                }
                let mut taken = take(seen);
                for _ in 1..ATTEMPTS {
                    if taken.is_some() {
                        break;
                    }
                    // Another value may be there by now.
                    let guard = rcu::read_lock();
                    let Some(seen) = entry.get().load::<P>(&guard) else {
                        break;
                    };
                    taken = take(seen);
                }
                if let (Some(taken), Some(pair)) = (taken, room.next()) {
                    *pair = Some((KeyRef::new(map, entry), taken));
                }
                match room.len() {
                    0 => Visit::Last,
                    _ => Visit::Next,
                }
            });
            batch.last = self.is_over();
        }
        batch
    }
}

impl<'g, K: Key> Selection<'g, K> {
    /// Selects the first of the entries behind a place: those with the homes that follow in its leaf, until
    /// they are as many as are wanted. Returns the first hash behind these homes.
    fn fill(&mut self, leaf: &Leaf<'g, K>, place: Place<'_, K>, wanted: usize) -> Option<u32> {
        if leaf.is_chain() {
            return self.fill_from_chain(leaf, place, wanted);
        }
        self.begin(SELECTION);
        let end = leaf.look_from(place.hash(), |entry| {
            if let Some(entry) = entry {
                let hashed = Hashed {
                    hash: entry.hash(),
                    entry,
                };
                if place.is_before(hashed) {
                    self.offer(hashed);
                }
            }
            self.len < wanted
        });
        // What has a home behind them comes later.
        let behind = |hashed: &Hashed<'_, K>| end.is_some_and(|end| hashed.hash >= end);
        while let Some(last) = self.len.checked_sub(1) {
            if !self.entries[last].as_ref().is_some_and(behind) {
                break;
            }
            self.len = last;
        }
        end
    }

    /// The same, of a chain: the first of those with one home, of which there may be any number.
    #[cold]
    fn fill_from_chain(
        &mut self,
        leaf: &Leaf<'g, K>,
        place: Place<'_, K>,
        wanted: usize,
    ) -> Option<u32> {
        self.begin(wanted.min(BATCH));
        let (entries, end) = leaf.home(place.hash());
        for entry in entries {
            let hash = entry.hash();
            let hashed = Hashed { hash, entry };
            // The home of others may be another one.
            if end.is_none_or(|end| hash < end) && place.is_before(hashed) {
                self.offer(hashed);
            }
        }
        end
    }
}

impl<'m, K: Key, S: Stored> Walk<'m, '_, K, Counted<S>> {
    /// The next pair, with references to it; `None` if the walk is over. Process context.
    pub fn next_pair(&mut self) -> Option<Pair<'m, K, S>> {
        let map = self.map;
        let mut pair = None;
        while pair.is_none() && !self.is_over() {
            self.section_of_entries(1, |entry, seen| {
                pair = Some((KeyRef::new(map, entry), seen.count(&map.reclaimer)));
                Visit::Last
            });
        }
        pair
    }

    /// The next pairs, with references to them: none only if the walk is over. Process context.
    pub fn next_batch(&mut self) -> Batch<'m, K, Counted<S>, ValueRef<'m, S>> {
        let reclaimer = &self.map.reclaimer;
        self.next_batch_with(|seen| Some(seen.count(reclaimer)))
    }
}

impl<K: Key, P: Policy> Map<K, P> {
    /// Begins a walk, behind `cursor`. Process context. At the start, dirty is promoted, as in the
    /// seed.
    pub fn walk<'m, 'c>(&'m self, cursor: Cursor<'c, K>) -> Walk<'m, 'c, K, P> {
        let position = match cursor {
            Cursor::Start => {
                let guard = rcu::read_lock();
                if self.roots.read(&guard).1 {
                    self.lock(&guard).promote();
                }
                Position::Before(0)
            }
            Cursor::Key(key) => Position::Cursor(self.hash(key), key),
        };
        Walk {
            map: self,
            position,
        }
    }

    /// Calls `f` for each key and value, in read-side sections, until it returns false.
    ///
    /// Process context. `f` must not sleep; otherwise as [`Map::range`], but that no references are
    /// taken, which makes it twice as fast, and that values may be of any policy.
    pub fn range_rcu(&self, mut f: impl FnMut(&K::Ref, P::Seen<'_>) -> bool) {
        let mut walk = self.walk(Cursor::Start);
        let mut goes_on = true;
        while goes_on && !walk.is_over() {
            walk.section(usize::MAX, |key, seen| {
                goes_on = f(key, seen);
                match goes_on {
                    true => Visit::Next,
                    false => Visit::Last,
                }
            });
        }
    }

    /// As [`Map::range`], with what `take` makes of the values: a reference that keeps them, presumably;
    /// see [`Walk::next_batch_with`]. `take` is called in read-side sections, and
    /// must not sleep.
    pub fn range_with<R>(
        &self,
        mut take: impl FnMut(P::Seen<'_>) -> Option<R>,
        mut f: impl FnMut(&K::Ref, &R) -> bool,
    ) {
        let mut walk = self.walk(Cursor::Start);
        while !walk.is_over() {
            for (key, taken) in walk.next_batch_with(&mut take).pairs() {
                if !f(key, taken) {
                    return;
                }
            }
        }
    }
}

impl<K: Key, S: Stored> Map<K, Counted<S>> {
    /// Calls `f` for each key and value, in the order of hashes, until it returns false.
    ///
    /// # Examples
    ///
    /// ```
    /// use syncmap::{ByteMap, Options};
    ///
    /// let map = KBox::pin_init(ByteMap::new_bytes(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
    /// for name in [&b"one"[..], b"two", b"three"] {
    ///     let value = map.prepare_bytes(name.len(), GFP_KERNEL, |bytes| {
    ///         bytes.copy_from_slice(name);
    ///         Ok(())
    ///     })?;
    ///     map.swap_prepared(name, value, GFP_KERNEL)?;
    /// }
    /// let mut bytes = 0;
    /// map.range(|key, value| {
    ///     bytes += value.len();
    ///     // It may be changed meanwhile.
    ///     map.delete(key)
    /// });
    /// assert_eq!((bytes, map.len()), (11, 0));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Contexts
    ///
    /// Process context. `f` is called without locks; it may sleep, and use this map in any way.
    /// No key comes twice; a key that is in the map throughout comes exactly once; the values may be
    /// from any moment of the call. O(n), and promotes dirty first, as the seed does.
    pub fn range(&self, mut f: impl FnMut(&K::Ref, &S::Ref) -> bool) {
        self.range_with(
            |seen| Some(seen.count(&self.reclaimer)),
            |key, value| f(key, value),
        );
    }
}
