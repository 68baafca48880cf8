// SPDX-License-Identifier: GPL-2.0

//! A look inside: statistics, and the tables themselves.

use crate::entry::{Entry, State};
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::map::Map;
use crate::object::Object;
use crate::rcu::Shared;
use crate::value::Policy;
use kernel::sync::rcu;

/// Figures about a map, each read by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Live keys.
    pub entries: usize,
    /// Bytes allocated, what awaits a grace period included.
    pub bytes: usize,
    /// Bytes that await a grace period.
    pub retired_bytes: usize,
    /// Slots in use in read.
    pub read_slots: usize,
    /// Slots in use in dirty; 0 if not amended.
    pub dirty_slots: usize,
    /// Whether dirty has keys that read lacks.
    pub amended: bool,
    /// Lookups that missed read, since the map was made.
    pub misses: usize,
    /// Promotions since the map was made.
    pub promotions: usize,
    /// Entries expunged since the map was made.
    pub expunged: usize,
    /// Sweeps since the map was made.
    pub sweeps: usize,
}

/// Where an entry was found by [`Map::inspect`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// In the read table.
    Read,
    /// In the dirty table, while amended.
    Dirty,
}

/// The state of an entry, without its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryState {
    /// The key has a value.
    Live,
    /// The key was deleted.
    Deleted,
    /// The key was deleted, and the entry is not in dirty.
    Expunged,
}

/// The counters of the present dirty table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirty {
    /// Whether there is one.
    pub amended: bool,
    /// Its misses; 0 if not amended.
    pub misses: usize,
    /// What the seed's `len(dirty)` would be; 0 if not amended.
    pub count: usize,
}

impl<K: Key, P: Policy> Map<K, P> {
    /// Figures about the map. Any context but NMI; takes the lock of the map, for a bounded time.
    pub fn stats(&self) -> Stats {
        let guard = rcu::read_lock();
        let locked = self.lock(&guard);
        let (amended, dirty) = (locked.amended(), locked.dirty());
        let counters = locked.counters();
        let pending = if amended { dirty.misses() } else { 0 };
        Stats {
            entries: dirty.era().live(),
            bytes: self.reclaimer.ledger.bytes(),
            retired_bytes: self.reclaimer.retired_bytes(),
            read_slots: locked.read_slots(),
            dirty_slots: if amended { dirty.used() } else { 0 },
            amended,
            misses: counters.misses.get().wrapping_add(pending),
            promotions: counters.promotions.get(),
            expunged: counters.expunged.get(),
            sweeps: counters.sweeps.get(),
        }
    }

    /// The most buckets, of seven keys each, that any lookup looks at now. Process context; O(n), but
    /// holds nobody up.
    pub fn longest_probe(&self) -> usize {
        let mut longest = 0;
        let mut next = Some(0);
        while let Some(hash) = next {
            let guard = rcu::read_lock();
            let leaf = self.roots.whole(&guard).leaf(hash, &guard);
            longest = longest.max(leaf.longest_probe());
            next = leaf.end();
            drop(guard);
            cond_resched();
        }
        longest
    }

    /// Waits until everything that was overwritten or deleted so far has been freed. Sleeps, for
    /// up to three grace periods.
    pub fn drain(&self) {
        self.reclaimer.drain();
    }

    /// Promotes dirty, if there is one. Any context but NMI; takes the lock of the map, for a bounded time.
    pub fn promote_now(&self) {
        let guard = rcu::read_lock();
        self.lock(&guard).promote();
    }

    /// Calls `f` for each entry of read and of dirty, in read-side sections of a segment each: it must
    /// not sleep. Process context. For tests, and for the curious: exact while nothing changes the map.
    pub fn inspect(&self, mut f: impl FnMut(Where, &K::Ref, EntryState)) -> Dirty {
        let mut walk = |place| {
            let mut next = Some(0);
            while let Some(hash) = next {
                let guard = rcu::read_lock();
                let (read, amended) = self.roots.read(&guard);
                let dirty = self.roots.dirty(&guard);
                let table = match place {
                    Where::Read => read,
                    Where::Dirty if amended => dirty,
                    Where::Dirty => return,
                };
                let leaf = table.leaf(hash, &guard);
                next = leaf.end();
                for entry in leaf.entries() {
                    if place == Where::Read && amended && dirty.bore(&entry) {
                        continue;
                    }
                    let state = match entry.state() {
                        State::Live(_) => EntryState::Live,
                        State::Deleted => EntryState::Deleted,
                        State::Expunged => EntryState::Expunged,
                    };
                    let entry: Shared<'_, Entry<K>> = entry;
                    f(place, Object::payload(entry.as_ptr(), entry.get()), state);
                }
                drop(guard);
                cond_resched();
            }
        };
        walk(Where::Read);
        walk(Where::Dirty);
        let guard = rcu::read_lock();
        let (amended, dirty) = (self.roots.read(&guard).1, self.roots.dirty(&guard));
        Dirty {
            amended,
            misses: if amended { dirty.misses() } else { 0 },
            count: if amended { dirty.used() } else { 0 },
        }
    }
}
