// SPDX-License-Identifier: GPL-2.0

//! The map: Go's classic `sync.Map`, with RCU in the place of the garbage collector.
//!
//! # How it works
//!
//! A map is two hash tables that share their entries:
//!
//! * `read` is complete most of the time, and gets no new keys. Lookups, and stores to keys that
//!   it has, work on its entries by atomic operations, without a lock.
//! * `dirty` exists while `amended` is set. It has all the live entries of read, and the keys that
//!   are newer than read. New keys go there, with the lock of their part of the table held.
//!
//! A lookup that finds nothing in read looks into dirty, and counts a miss. When there have been as
//! many misses as dirty has keys, dirty is *promoted*: it becomes read, by one store. The next new
//! key makes a new dirty: a copy of read without the keys that were deleted; or, if there are no
//! such keys, or the memory of the key is reserved, read itself, in which the entries that are newer
//! are marked.
//!
//! Deleting a key makes its entry *Deleted*, in place. When the next dirty is made, Deleted entries
//! become *Expunged* and are left out of it, so that they go with read when it is superseded. A
//! store to a key whose entry is Expunged puts the entry back into dirty first. The states and
//! their changes are in [`entry`](crate::entry), the tables in [`table`](crate::table), the two
//! pointers and the invariants I1–I12 in `roots.rs`; new keys are made in `insert.rs`, and what is
//! done with the lock held is in `locked.rs`.
//!
//! # Where it differs from the seed
//!
//! Lookups take no lock when they miss, since dirty can be read under RCU as well. Instead of the one
//! mutex, there is a lock for each segment of a table, for the keys in it, and one for the map, for
//! the shape of its tables. They spin, and are held for a time that does not depend on the number of
//! keys: so every operation works in any context, and `Flags` alone say whether it may sleep. All memory
//! is allocated before a lock is taken. A deleted key is unlinked at once if read is dirty, and swept
//! otherwise. Old values are handed back, and freed after a grace period.

use kernel::prelude::*;
use kernel::sync::rcu::{self, Guard};

use crate::entry::{Entry, Put};
use crate::hash::{Key, Seed};
use crate::insert::New;
use crate::lock::RawSpinLock;
use crate::locked::{Guarded, LiveKeys, Locked};
use crate::marks::Marks;
use crate::object::{Bytes, Fixed};
use crate::outcome::{LoadOrStore, StoreError, StoreResult};
use crate::quota::{edquot, Limits};
use crate::rcu::Shared;
use crate::reclaim::Reclaimer;
use crate::remove::Removed;
use crate::reserve::Memory;
use crate::roots::{Found, Roots};
use crate::table::{hash_of, Table};
use crate::value::{Counted, Policy};
use crate::worker::Worker;

/// A map from `K` to the values of a policy `P`.
///
/// Most users want [`SyncMap`], or [`ByteMap`] if their keys and values are bytes. Maps are pinned,
/// and shared by reference; every operation takes `&self`. Dropping a map sleeps for about a grace
/// period if anything was overwritten or deleted shortly before.
// In this order, so that what every operation reads, and hardly any changes, is on cache lines without
// anything that many change: there is more than a line between the two.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Map<K: Key, P: Policy> {
    /// The published pointers, read and dirty.
    pub(crate) roots: Roots<K>,
    pub(crate) seed: Seed,
    /// Whether deleted keys are swept.
    pub(crate) sweep: bool,
    pub(crate) limits: Limits,
    pub(crate) policy: P,
    #[pin]
    pub(crate) worker: Worker,
    /// Guards every change of `roots`, and of the shape of the tables.
    #[pin]
    pub(crate) lock: RawSpinLock<Guarded<K>>,
    /// Where deleted keys are to be swept.
    pub(crate) deleted: Marks,
    /// Where segments are to be relieved that reserved keys have strained.
    pub(crate) strained: Marks,
    #[pin]
    pub(crate) reclaimer: Reclaimer,
}

/// A map from keys to values of sized types.
pub type SyncMap<K, V> = Map<Fixed<K>, Counted<Fixed<V>>>;

/// A map from bytes to bytes.
pub type ByteMap = Map<Bytes, Counted<Bytes>>;

/// Whether a hit in dirty counts as a miss of read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirtyHit {
    Free,
    Miss,
}

type PutResult<'m, 'k, K, P> = StoreResult<
    'k,
    Put<<P as Policy>::Value<'m>, <P as Policy>::Old<'m>>,
    K,
    <P as Policy>::Value<'m>,
>;

impl<K: Key, P: Policy> Map<K, P> {
    /// The part of a key's hash that tables use: see [`table::hash_of`](crate::table::hash_of).
    #[inline]
    pub(crate) fn hash(&self, key: &K::Ref) -> u32 {
        hash_of(K::hash(key, &self.seed))
    }

    pub(crate) fn lock<'g>(&'g self, guard: &'g Guard) -> Locked<'g, K> {
        Locked::new(self.lock.lock(), &self.roots, &self.reclaimer, guard)
    }

    /// Counts the live keys of a table, exactly if they are limited.
    fn live_keys<'m>(&'m self, table: &'m Table<K>) -> LiveKeys<'m, K> {
        LiveKeys {
            era: table.era(),
            lock: &self.lock,
            keeps_entry: true,
        }
    }

    /// Looks a key up. Any context but NMI; never locks, never sleeps, never starts over.
    ///
    /// A promotion that becomes due is left to the worker.
    #[inline(always)]
    pub fn peek<'g>(&'g self, key: &K::Ref, guard: &'g Guard) -> Option<P::Seen<'g>> {
        let hash = self.hash(key);
        let (read, amended) = self.roots.read(guard);
        if amended {
            return self.peek_in_both(read, hash, key, guard);
        }
        read.find(hash, key, guard)?.get().load::<P>(guard)
    }

    #[inline(never)]
    fn peek_in_both<'g>(
        &'g self,
        read: Shared<'g, Table<K>>,
        hash: u32,
        key: &K::Ref,
        guard: &'g Guard,
    ) -> Option<P::Seen<'g>> {
        let (entry, missed) = match self.roots.lookup_in_both(read, hash, key, guard) {
            Found::Read(entry, _) => (Some(entry), None),
            Found::Dirty(entry, dirty) => (Some(entry), Some(dirty)),
            Found::Missed(dirty) => (None, Some(dirty)),
            Found::Nowhere => (None, None),
        };
        if missed.is_some_and(|dirty| dirty.count_miss()) {
            self.request_promotion();
        }
        entry?.get().load::<P>(guard)
    }

    /// Promotes dirty if that is due and the lock is free; if it is not, leaves that to the worker.
    #[inline]
    fn promote_soon(&self, due: bool) {
        if due {
            self.promote_or_request();
        }
    }

    #[cold]
    fn promote_or_request(&self) {
        let guard = rcu::read_lock();
        match self.lock.try_lock() {
            Some(guarded) => {
                Locked::new(guarded, &self.roots, &self.reclaimer, &guard).promote_if_due();
            }
            None => self.request_promotion(),
        }
    }

    /// Puts a value into the entry of a key, which is made if there is none, unless the key has a
    /// value that `accept` does not agree with.
    fn put<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        mut accept: impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
        memory: Memory<'_, 'm, K, P>,
    ) -> PutResult<'m, 'k, K, P> {
        let fail = |error, key, value| Err(StoreError { error, key, value });
        let is_for = match memory {
            Memory::Flags(_) => true,
            Memory::Reserved(reservation) => reservation.is_for(self),
        };
        if !is_for || !P::is_for(&value, &self.reclaimer) {
            return fail(EINVAL, key, value);
        }
        let hash = self.hash(K::query(&key));
        let (mut key, mut value) = (key, value);
        loop {
            let query = K::query(&key);
            let (tried, due) = self.put_lock_free(hash, query, value, &mut accept, dirty_hit);
            self.promote_soon(due);
            value = match tried {
                Put::Expunged(value) => value,
                Put::Full(value) => return fail(edquot(), key, value),
                done => return Ok(done),
            };
            match self.put_new(key, hash, value, memory) {
                New::Stored => return Ok(Put::Done(None)),
                New::Found(k, v) => (key, value) = (k, v),
                New::Failed(error) => return Err(error),
            }
        }
    }

    /// The part of [`Map::put`] that needs no lock, and whether a promotion is due.
    ///
    /// `Put::Expunged` also if there is no entry.
    #[inline]
    fn put_lock_free<'m>(
        &'m self,
        hash: u32,
        key: &K::Ref,
        value: P::Value<'m>,
        accept: &mut impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
    ) -> (Put<P::Value<'m>, P::Old<'m>>, bool) {
        let guard = rcu::read_lock();
        let (table, amended) = self.roots.complete(&guard);
        let Some(entry) = table.find_to_insert(hash, key, &guard) else {
            return (Put::Expunged(value), false);
        };
        let live = || self.live_keys(&table);
        let tried = entry.try_put::<P, _>(value, accept, live, &self.reclaimer, &guard);
        // Only in dirty?
        let missed = dirty_hit == DirtyHit::Miss
            && matches!(tried, Put::Done(_) | Put::Refused(_))
            && amended
            && table.bore(&entry);
        (tried, missed && table.count_miss())
    }

    /// Stores a value made by `prepare`, and returns the one that it replaces.
    ///
    /// Any context but NMI. The memory for a new key is allocated with `Flags`, and if they allow that,
    /// the call sleeps; or comes from a [`Reservation`](crate::reserve::Reservation): then nothing is
    /// allocated. On failure nothing has changed. O(1), except for the copies that new keys cause now
    /// and then.
    pub fn swap_prepared<'r, 'm: 'r, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        memory: impl Into<Memory<'r, 'm, K, P>>,
    ) -> StoreResult<'k, Option<P::Old<'m>>, K, P::Value<'m>> {
        let put = self.put(key, value, |_| true, DirtyHit::Free, memory.into())?;
        Ok(put.old())
    }

    /// Stores a value unless the key has one, which `look` looks at instead, in a read-side section:
    /// it must not sleep, nor use the map, and may be called several times. Otherwise as
    /// [`Map::swap_prepared`].
    pub fn load_or_store_with<'r, 'm: 'r, 'k, R>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        mut look: impl FnMut(P::Seen<'_>) -> R,
        memory: impl Into<Memory<'r, 'm, K, P>>,
    ) -> StoreResult<'k, LoadOrStore<R, P::Value<'m>>, K, P::Value<'m>> {
        let mut looked = None;
        let accept = |seen: Option<P::Seen<'_>>| {
            looked = seen.map(&mut look);
            looked.is_none()
        };
        let put = self.put(key, value, accept, DirtyHit::Miss, memory.into())?;
        Ok(LoadOrStore::of(put, looked))
    }

    /// Deletes the key of an entry that is found in a table, and has it swept.
    fn delete_entry(
        &self,
        entry: Shared<'_, Entry<K>>,
        table: &Table<K>,
        accept: impl FnMut(P::Seen<'_>) -> bool,
        guard: &Guard,
    ) -> Option<P::Old<'_>> {
        let live = self.live_keys(table);
        let old = entry.take::<P>(accept, &live, &self.reclaimer, guard)?;
        self.request_sweep(entry.hash(), table);
        Some(old)
    }

    /// Deletes a key and returns the value that it had. Any context but NMI.
    ///
    /// Takes no lock if the key is absent; otherwise that of its segment, in which it unlinks the entry if
    /// only dirty has it, as the seed does, or if read is dirty. Before that, the map's if keys are limited.
    pub fn load_and_delete(&self, key: &K::Ref) -> Option<P::Old<'_>> {
        self.load_and_delete_with(key, |_| true)
    }

    /// The same, if `accept` agrees with the value; see [`Map::compare_and_swap_prepared`].
    pub fn load_and_delete_with(
        &self,
        key: &K::Ref,
        mut accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let guard = rcu::read_lock();
        match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) => {
                let removed = match self.sweep {
                    true => self.remove_live(entry, &mut accept, &guard),
                    false => Removed::Not,
                };
                match removed {
                    Removed::Done(old) => Some(old),
                    Removed::Refused => None,
                    Removed::Not => self.delete_entry(entry, &table, accept, &guard),
                }
            }
            Found::Dirty(entry, dirty) => {
                let old = match self.remove_live(entry, &mut accept, &guard) {
                    Removed::Done(old) => Some(old),
                    Removed::Refused => None,
                    Removed::Not => return self.delete_newer(entry, &dirty, accept, &guard),
                };
                // The seed's `missLocked`; but not in a map that sweeps while read is dirty as well, where
                // a promotion gains nothing, and has the next new key begin another dirty.
                let alone = self.sweep && self.roots.read(&guard).0.as_ptr() == dirty.as_ptr();
                self.promote_soon(!alone && dirty.count_miss());
                old
            }
            Found::Missed(dirty) => {
                self.promote_soon(dirty.count_miss());
                None
            }
            Found::Nowhere => None,
        }
    }

    /// Deletes the key of an entry that was found only in dirty, and removes that.
    #[inline(never)]
    fn delete_newer(
        &self,
        entry: Shared<'_, Entry<K>>,
        dirty: &Table<K>,
        accept: impl FnMut(P::Seen<'_>) -> bool,
        guard: &Guard,
    ) -> Option<P::Old<'_>> {
        let live = LiveKeys {
            keeps_entry: false,
            ..self.live_keys(dirty)
        };
        let old = entry.take::<P>(accept, &live, &self.reclaimer, guard);
        match self.remove(entry, dirty.era(), old.is_some(), guard) {
            Some(dirty) => self.promote_soon(dirty.count_miss()),
            None if old.is_some() => self.request_sweep(entry.hash(), dirty),
            None => (),
        }
        old
    }

    /// Deletes a key; whether it was there. Otherwise as [`Map::load_and_delete`].
    pub fn delete(&self, key: &K::Ref) -> bool {
        self.load_and_delete(key).is_some()
    }

    /// Stores a prepared value if the key has one that `accept` agrees with; never creates a key.
    ///
    /// Any context but NMI, lock-free. `accept` runs in a read-side section and must not sleep. It may
    /// be called several times, and for a value that is gone by the time the call returns. A value
    /// that was prepared for another map comes back as well.
    pub fn compare_and_swap_prepared<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        mut accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> core::result::Result<P::Old<'m>, P::Value<'m>> {
        if !P::is_for(&value, &self.reclaimer) {
            return Err(value);
        }
        let guard = rcu::read_lock();
        // As the seed, which counts a miss only if it finds the key in dirty.
        let (entry, table, due) = match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) => (entry, table, false),
            Found::Dirty(entry, dirty) => (entry, dirty, dirty.count_miss()),
            Found::Nowhere | Found::Missed(_) => return Err(value),
        };
        let accept = |seen: Option<P::Seen<'_>>| seen.is_some_and(&mut accept);
        let live = || self.live_keys(&table);
        let tried = entry.try_put::<P, _>(value, accept, live, &self.reclaimer, &guard);
        self.promote_soon(due);
        match tried {
            Put::Done(Some(old)) => Ok(old),
            Put::Refused(value) | Put::Expunged(value) | Put::Full(value) => Err(value),
            // PANICS: Never: `accept` refuses to put a value where there is none.
            Put::Done(None) => unreachable!(),
        }
    }

    /// Deletes a key if it has a value that `accept` agrees with, and returns that.
    ///
    /// Any context but NMI; lock-free, unless keys are limited. See [`Map::compare_and_swap_prepared`]
    /// for `accept`. The entry stays where it is as Deleted, as in the seed, until it is swept.
    pub fn compare_and_delete_with(
        &self,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let guard = rcu::read_lock();
        let (old, due) = match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) => (self.delete_entry(entry, &table, accept, &guard), false),
            Found::Dirty(entry, dirty) => {
                let old = self.delete_entry(entry, &dirty, accept, &guard);
                (old, dirty.count_miss())
            }
            Found::Missed(dirty) => (None, dirty.count_miss()),
            Found::Nowhere => (None, false),
        };
        self.promote_soon(due);
        old
    }

    /// Looks a key up and lets `look` look at its value, in a read-side section: it must not sleep.
    ///
    /// Any context but NMI; never waits for the lock. O(1).
    #[inline]
    pub fn load_with<R>(&self, key: &K::Ref, look: impl FnOnce(P::Seen<'_>) -> R) -> Option<R> {
        let guard = rcu::read_lock();
        let (entry, due) = match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, _) => (Some(entry), false),
            Found::Dirty(entry, dirty) => (Some(entry), dirty.count_miss()),
            Found::Missed(dirty) => (None, dirty.count_miss()),
            Found::Nowhere => (None, false),
        };
        let looked = entry
            .and_then(|e: Shared<'_, Entry<K>>| e.get().load::<P>(&guard))
            .map(look);
        self.promote_soon(due);
        looked
    }

    /// What the words in the entries of this map stand for.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The memory of the map in bytes, what awaits a grace period included. Any context but NMI.
    pub fn bytes(&self) -> usize {
        self.reclaimer.ledger.bytes()
    }

    /// The number of keys. Any context but NMI. O(processors), if there have been many.
    ///
    /// Exact while no operation is in flight; each operation during the call may make it one too high
    /// or too low.
    pub fn len(&self) -> usize {
        self.roots.read(&rcu::read_lock()).0.era().live()
    }

    /// Whether there are no keys; see [`Map::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
