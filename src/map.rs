// SPDX-License-Identifier: GPL-2.0

//! The map: Go's classic `sync.Map`, with RCU in the place of the garbage collector.
//!
//! # How it works
//!
//! A map is two hash tables that share their entries:
//!
//! * `read` is complete most of the time, and gets no new keys. Lookups, and stores to keys that
//!   it has, work on its entries by atomic operations, without the mutex.
//! * `dirty` exists while `amended` is set. It has all the live entries of read, and the keys that
//!   are newer than read. New keys go there, with the mutex held.
//!
//! A lookup that finds nothing in read looks into dirty, and counts a miss. When there have been as
//! many misses as dirty has keys, dirty is *promoted*: it becomes read, by one store. The next new
//! key makes a new dirty: a copy of read without the keys that were deleted; or, if there are no
//! such keys, read itself, in which the entries that are newer are marked.
//!
//! Deleting a key makes its entry *Deleted*, in place. When the next dirty is made, Deleted entries
//! become *Expunged* and are left out of it, so that they go with read when it is superseded. A
//! store to a key whose entry is Expunged puts the entry back into dirty first. The states and
//! their changes are in [`entry`](crate::entry), the tables in [`table`](crate::table), the two
//! pointers and the invariants I1–I11 in `roots.rs`.
//!
//! # Where it differs from the seed
//!
//! Lookups take no lock when they miss, since dirty can be read under RCU as well; so the promotion
//! is done by whoever reaches the threshold and gets the mutex at once, or later by a worker. All
//! allocation happens before the mutex is taken. Deleted keys are swept when they are many, or a
//! second old. Old values are handed back, and freed after a grace period.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu::{self, Guard};
use kernel::sync::{new_mutex, Arc, Mutex};

use crate::entry::{Admit, Entry, Put, State};
use crate::hash::{Key, Seed};
use crate::object::{Bytes, Fixed, Stored};
use crate::quota::{edquot, Account, Ledger, Limits};
use crate::rcu::{Owner, Reclaimer, Shared};
use crate::roots::{Found, Guarded, Locked, Roots};
use crate::table::{Supply, Table, TableBox};
use crate::value::{Counted, Policy};
use crate::worker::{Context, Tasks, Worker};

/// A map from `K` to the values of a policy `P`.
///
/// Most users want [`SyncMap`], or [`ByteMap`] if their keys and values are bytes. Maps are pinned,
/// and shared by reference; every operation takes `&self`. Dropping a map sleeps for about a grace
/// period if anything was overwritten or deleted of late.
#[pin_data(PinnedDrop)]
pub struct Map<K: Key, P: Policy> {
    /// The published pointers, read and dirty.
    pub(crate) roots: Roots<K>,
    /// Guards every change of `roots` and of the tables.
    #[pin]
    pub(crate) mu: Mutex<Guarded<K>>,
    pub(crate) seed: Seed,
    pub(crate) limits: Limits,
    sweep: bool,
    pub(crate) policy: P,
    #[pin]
    pub(crate) worker: Worker,
    #[pin]
    pub(crate) reclaimer: Reclaimer,
}

/// A map from keys to values of sized types.
pub type SyncMap<K, V> = Map<Fixed<K>, Counted<Fixed<V>>>;

/// A map from bytes to bytes.
pub type ByteMap = Map<Bytes, Counted<Bytes>>;

/// How a map is made.
#[derive(Clone)]
pub struct Options {
    /// What the map may hold.
    pub limits: Limits,
    /// What it shares a limit of bytes with, if anything.
    pub account: Option<Arc<Account>>,
    /// Whether deleted keys are freed without further stores. Off only in tests that look at the
    /// tables themselves.
    pub sweep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::NONE,
            account: None,
            sweep: true,
        }
    }
}

/// A store that failed has changed nothing, and gives key and value back.
pub struct StoreError<K, V> {
    /// Why: `ENOMEM`; for a map with limits `EDQUOT`, `E2BIG`, or `EINTR`; `EINVAL` if the value
    /// was prepared for another map.
    pub error: Error,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
}

impl<K, V> From<StoreError<K, V>> for Error {
    fn from(e: StoreError<K, V>) -> Error {
        e.error
    }
}

/// What [`Map::load_or_store`] did.
pub enum LoadOrStore<L, V> {
    /// The key had this value already; here is the new one back.
    Loaded(L, V),
    /// The value was stored.
    Stored,
}

impl<L, V> LoadOrStore<L, V> {
    /// Of a put that accepts no value, and has last `looked` at one.
    pub(crate) fn of<O>(put: Put<V, O>, looked: Option<L>) -> Self {
        match (put, looked) {
            (Put::Refused(value), Some(looked)) => LoadOrStore::Loaded(looked, value),
            _ => LoadOrStore::Stored,
        }
    }
}

/// Whether a hit in dirty counts as a miss of read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirtyHit {
    Free,
    Miss,
}

/// `T`, or a store that failed and gives back the input of a key `K`, and a value `V`.
pub type StoreResult<'k, T, K, V> =
    core::result::Result<T, StoreError<<K as Stored>::Input<'k>, V>>;

type PutResult<'m, 'k, K, P> = StoreResult<
    'k,
    Put<<P as Policy>::Value<'m>, <P as Policy>::Old<'m>>,
    K,
    <P as Policy>::Value<'m>,
>;

impl<K: Key, P: Policy> Map<K, P> {
    /// Makes an empty map. Sleeps if `flags` allow it; fails with `ENOMEM` or `EDQUOT`.
    pub fn with_policy(policy: P, options: Options, flags: Flags) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let Options {
                limits,
                account,
                sweep,
            } = options;
            let ledger = Ledger::new(limits.bytes, account);
            let max = limits.entries;
            let charge = |bytes| ledger.charge(bytes).ok_or(edquot());
            let first = TableBox::empty(max, flags, charge)?;
            let spare = TableBox::empty(max, flags, charge)?;
            let (roots, guarded) = (Roots::new(first), Guarded::new(spare));
            Ok(try_pin_init!(&this in Self {
                roots,
                mu <- new_mutex!(guarded, "syncmap"),
                seed: Seed::random(),
                limits,
                sweep,
                policy,
                // SAFETY: The map stops the worker before it ends.
                worker <- unsafe { Worker::new(Tasks {
                    map: this.as_ptr().cast_const().cast(),
                    promote: Self::promote_deferred,
                    sweep: Self::sweep_deferred,
                }) },
                // SAFETY: The map drains the reclaimer before it ends.
                reclaimer <- unsafe { Reclaimer::new(Owner {
                    map: this.as_ptr().cast_const().cast(),
                    free: Self::free_retired,
                }, ledger) },
            }? Error))
        })
    }

    /// The half of a key's hash that tables use.
    #[inline]
    pub(crate) fn hash(&self, key: &K::Ref) -> u32 {
        (K::hash(key, &self.seed) >> 32) as u32
    }

    pub(crate) fn lock(&self) -> Locked<'_, K> {
        Locked::new(self.mu.lock(), &self.roots, &self.reclaimer)
    }

    /// Looks a key up. Any context but NMI; never locks, never sleeps, never starts over.
    ///
    /// A promotion that becomes due is left to the worker.
    #[inline]
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
        if let Some(dirty) = missed {
            self.missed(&dirty);
        }
        entry?.get().load::<P>(guard)
    }

    /// Counts a miss where the mutex is out of question.
    #[inline]
    fn missed(&self, dirty: &Table<K>) {
        if dirty.count_miss() {
            self.worker.request_promotion(Context::Any);
        }
    }

    /// Promotes dirty if that is due and the mutex is free; if it is not, leaves it to the worker.
    /// Sleeps no more than a preemption.
    fn promote_soon(&self, due: bool) {
        if !due {
            return;
        }
        match self.mu.try_lock() {
            Some(guarded) => {
                Self::promote_if_due(&Locked::new(guarded, &self.roots, &self.reclaimer))
            }
            None => self.worker.request_promotion(Context::Process),
        }
    }

    /// Promotes dirty if it still is what the misses were counted for.
    pub(crate) fn promote_if_due(locked: &Locked<'_, K>) {
        if locked.amended() && locked.dirty().due() {
            locked.promote();
        }
    }

    /// The seed's `missLocked`.
    fn miss_locked(locked: &Locked<'_, K>) {
        if locked.dirty().count_miss() {
            locked.promote();
        }
    }

    /// Lets deleted keys be swept: soon, or now if they are more than a quarter of all.
    fn deleted(&self, table: &Table<K>, context: Context) {
        if self.sweep {
            let used = table.used();
            let deleted = used.saturating_sub(table.era().live());
            let urgent = used >= 64 && deleted > used / 4;
            self.worker.request_sweep(urgent, context);
        }
    }

    /// Puts a value into the entry of a key, which is made if there is none, if `accept` agrees with
    /// what is there now (`None` if the key is absent).
    fn put<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        mut accept: impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
        flags: Flags,
    ) -> PutResult<'m, 'k, K, P> {
        if !P::is_for(&value, &self.reclaimer) {
            return Err(StoreError {
                error: EINVAL,
                key,
                value,
            });
        }
        let hash = self.hash(K::query(&key));
        let (tried, due) = self.put_lock_free(hash, K::query(&key), value, &mut accept, dirty_hit);
        self.promote_soon(due);
        match tried {
            Put::Expunged(value) => self.put_locked(key, hash, value, accept, dirty_hit, flags),
            Put::Full(value) => Err(StoreError {
                error: edquot(),
                key,
                value,
            }),
            done => Ok(done),
        }
    }

    /// The part of [`Map::put`] that needs no mutex, and whether a promotion is due.
    ///
    /// `Put::Expunged` also if there is no entry.
    #[inline]
    pub(crate) fn put_lock_free<'m>(
        &'m self,
        hash: u32,
        key: &K::Ref,
        value: P::Value<'m>,
        accept: &mut impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
    ) -> (Put<P::Value<'m>, P::Old<'m>>, bool) {
        let guard = rcu::read_lock();
        let (read, amended) = self.roots.read(&guard);
        let found = match amended {
            true => self.roots.lookup_in_dirty(hash, key, &guard),
            false => match read.find(hash, key, &guard) {
                Some(entry) => Found::Read(entry, read),
                None => Found::Nowhere,
            },
        };
        match found {
            Found::Read(entry, table) => {
                let tried = entry.try_put::<P>(value, accept, table.era(), &self.reclaimer, &guard);
                (tried, false)
            }
            Found::Dirty(entry, dirty) => {
                let tried = entry.try_put::<P>(value, accept, dirty.era(), &self.reclaimer, &guard);
                let missed =
                    dirty_hit == DirtyHit::Miss && matches!(tried, Put::Done(_) | Put::Refused(_));
                (tried, missed && dirty.count_miss())
            }
            Found::Missed(dirty) => {
                dirty.prefetch_insert(hash, &guard);
                (Put::Expunged(value), false)
            }
            Found::Nowhere => (Put::Expunged(value), false),
        }
    }

    /// The part of [`Map::put`] that needs the mutex: an Expunged entry, or none.
    ///
    /// Whatever may be needed is allocated without the mutex: what turns out to be missing under it
    /// is allocated after it has been released, and then everything is looked at anew.
    fn put_locked<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        hash: u32,
        value: P::Value<'m>,
        mut accept: impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
        flags: Flags,
    ) -> PutResult<'m, 'k, K, P> {
        let charge = |bytes| self.charge(bytes, flags);
        let vacant = match Entry::vacant(&key, flags, charge) {
            Ok(vacant) => vacant,
            Err(error) => return Err(StoreError { error, key, value }),
        };
        let mut supply = Supply::new();
        loop {
            let locked = self.lock();
            let amended = locked.amended();
            let query = K::query(&key);

            // In dirty, which is read while there is no other; or Expunged, in read alone.
            let dirty = locked.dirty();
            let found = match dirty.find(hash, query, &locked) {
                None if locked.has_expunged() => locked.read().find(hash, query, &locked),
                found => found,
            };

            // Under the mutex, nobody else makes an entry Expunged; and if it is, it is in read.
            let expunged = found.filter(|e| e.state() == State::Expunged);
            if let (Some(entry), None) = (found, expunged) {
                let guard = rcu::read_lock();
                let done = entry.try_put::<P>(value, accept, dirty.era(), &self.reclaimer, &guard);
                drop(guard);
                if let Put::Full(value) = done {
                    return Err(StoreError {
                        error: edquot(),
                        key,
                        value,
                    });
                }
                if amended && dirty.bore(&entry) && dirty_hit == DirtyHit::Miss {
                    Self::miss_locked(&locked);
                }
                return Ok(done);
            }

            if !accept(None) {
                return Ok(Put::Refused(value));
            }
            let chain = self.limits.chain;
            let refusal = if chain != usize::MAX && dirty.is_crowded(hash, chain, &locked) {
                Some(E2BIG)
            } else if !dirty.era().admit() {
                Some(edquot())
            } else {
                None
            };
            if let Some(error) = refusal {
                return Err(StoreError { error, key, value });
            }
            let Err(needs) = locked.make_room(hash, &mut supply) else {
                // Nothing fails from here on.
                match expunged {
                    Some(entry) => {
                        locked.link(entry);
                        entry.unexpunge_locked::<P>(value);
                    }
                    None => {
                        let birth = locked.dirty().birth();
                        locked.link(Entry::create::<P>(vacant, key, hash, birth, value));
                    }
                }
                return Ok(Put::Done(None));
            };
            dirty.era().leave();
            drop(locked);
            if let Err(error) = supply.provide(&needs, flags, charge) {
                return Err(StoreError { error, key, value });
            }
        }
    }

    /// Stores a value made by `prepare`, and returns the one that it replaces.
    ///
    /// Process context; sleeps if the key is new, or was deleted long ago. On failure nothing has
    /// changed. O(1), but for the copies that new keys cause now and then.
    pub fn swap_prepared<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        flags: Flags,
    ) -> StoreResult<'k, Option<P::Old<'m>>, K, P::Value<'m>> {
        Ok(self.put(key, value, |_| true, DirtyHit::Free, flags)?.old())
    }

    /// Stores a value unless the key has one, which `look` looks at instead, in a read-side section: it
    /// must not sleep, nor use the map, and may be called several times. Otherwise as [`Map::swap_prepared`].
    pub fn load_or_store_with<'m, 'k, R>(
        &'m self,
        key: K::Input<'k>,
        value: P::Value<'m>,
        mut look: impl FnMut(P::Seen<'_>) -> R,
        flags: Flags,
    ) -> StoreResult<'k, LoadOrStore<R, P::Value<'m>>, K, P::Value<'m>> {
        let mut looked = None;
        let accept = |seen: Option<P::Seen<'_>>| {
            looked = seen.map(&mut look);
            looked.is_none()
        };
        let put = self.put(key, value, accept, DirtyHit::Miss, flags)?;
        Ok(LoadOrStore::of(put, looked))
    }

    pub(crate) fn delete_entry(
        &self,
        entry: &Entry<K>,
        table: &Table<K>,
        accept: impl FnMut(P::Seen<'_>) -> bool,
        guard: &Guard,
        context: Context,
    ) -> Option<P::Old<'_>> {
        let old = entry.try_delete::<P>(accept, table.era(), &self.reclaimer, guard)?;
        self.deleted(table, context);
        Some(old)
    }

    /// Deletes a key and returns the value that it had. Process context.
    ///
    /// Lock-free if the key is in read, or absent; otherwise takes the mutex, as the seed does, and
    /// unlinks the entry.
    pub fn load_and_delete(&self, key: &K::Ref) -> Option<P::Old<'_>> {
        self.load_and_delete_with(key, |_| true)
    }

    /// The same, if `accept` agrees with the value; see [`Map::compare_and_swap_prepared`].
    ///
    /// Unlike [`Map::compare_and_delete_with`], does not leave a key that is only in dirty there.
    pub fn load_and_delete_with(
        &self,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let hash = self.hash(key);
        let guard = rcu::read_lock();
        let due = match self.roots.lookup(hash, key, &guard) {
            Found::Read(entry, table) => {
                return self.delete_entry(&entry, &table, accept, &guard, Context::Process);
            }
            Found::Nowhere => return None,
            Found::Missed(dirty) => Some(dirty.count_miss()),
            Found::Dirty(..) => None,
        };
        drop(guard);
        match due {
            Some(due) => self.promote_soon(due),
            None => return self.delete_locked(hash, key, accept),
        }
        None
    }

    /// Deletes a key that was found only in dirty.
    fn delete_locked(
        &self,
        hash: u32,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let locked = self.lock();
        let guard = rcu::read_lock();
        let dirty = locked.dirty();
        let old = match dirty.find_spot(hash, key, &locked) {
            Some((entry, spot)) if locked.amended() && dirty.bore(&entry) => {
                // Expunged first, and then unlinked: a lock-free store that has found the entry must
                // not succeed in it.
                let old = entry.remove_locked::<P>(accept, dirty.era(), &self.reclaimer, &guard);
                if entry.state() == State::Expunged {
                    locked.unlink_from(entry, spot);
                }
                old
            }
            // Promoted meanwhile.
            Some((entry, _)) => {
                return self.delete_entry(&entry, &dirty, accept, &guard, Context::Process);
            }
            None if !locked.amended() || locked.read().find(hash, key, &locked).is_some() => {
                return None;
            }
            None => None,
        };
        drop(guard);
        Self::miss_locked(&locked);
        old
    }

    /// Deletes a key; whether it was there. Otherwise as [`Map::load_and_delete`].
    pub fn delete(&self, key: &K::Ref) -> bool {
        self.load_and_delete(key).is_some()
    }

    /// Stores a prepared value if the key has one that `accept` agrees with; never creates a key.
    ///
    /// Process context, lock-free. `accept` runs in a read-side section and must not sleep. It may
    /// be called several times, and for a value that is gone by the time the call returns. A value
    /// that was prepared for another map comes back as well.
    pub fn compare_and_swap_prepared<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> core::result::Result<P::Old<'m>, P::Value<'m>> {
        let (done, due) = self.compare_and_swap_counting(key, value, accept);
        self.promote_soon(due);
        done
    }

    /// Also returns whether a promotion is due.
    #[inline]
    pub(crate) fn compare_and_swap_counting<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        mut accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> (core::result::Result<P::Old<'m>, P::Value<'m>>, bool) {
        if !P::is_for(&value, &self.reclaimer) {
            return (Err(value), false);
        }
        let accept = |seen: Option<P::Seen<'_>>| seen.is_some_and(&mut accept);
        let mut due = false;
        let guard = rcu::read_lock();
        let tried = match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) => {
                entry.try_put::<P>(value, accept, table.era(), &self.reclaimer, &guard)
            }
            Found::Dirty(entry, dirty) => {
                due = dirty.count_miss();
                entry.try_put::<P>(value, accept, dirty.era(), &self.reclaimer, &guard)
            }
            // As the seed, which counts a miss only if it finds the key in dirty.
            Found::Nowhere | Found::Missed(_) => Put::Refused(value),
        };
        let done = match tried {
            Put::Done(Some(old)) => Ok(old),
            Put::Refused(value) | Put::Expunged(value) | Put::Full(value) => Err(value),
            // PANICS: Never: `accept` refuses to put a value where there is none.
            Put::Done(None) => unreachable!(),
        };
        (done, due)
    }

    /// Deletes a key if it has a value that `accept` agrees with, and returns that.
    ///
    /// Process context, lock-free; see [`Map::compare_and_swap_prepared`] for `accept`. A key that
    /// is only in dirty stays there as Deleted, as in the seed.
    pub fn compare_and_delete_with(
        &self,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let (old, due) = self.compare_and_delete_counting(key, accept, Context::Process);
        self.promote_soon(due);
        old
    }

    /// Also returns whether a promotion is due.
    #[inline]
    pub(crate) fn compare_and_delete_counting(
        &self,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
        context: Context,
    ) -> (Option<P::Old<'_>>, bool) {
        let guard = rcu::read_lock();
        match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) => {
                let old = self.delete_entry(&entry, &table, accept, &guard, context);
                (old, false)
            }
            Found::Dirty(entry, dirty) => {
                let old = self.delete_entry(&entry, &dirty, accept, &guard, context);
                (old, dirty.count_miss())
            }
            Found::Missed(dirty) => (None, dirty.count_miss()),
            Found::Nowhere => (None, false),
        }
    }

    /// Looks a key up and lets `look` look at its value, in a read-side section: it must not sleep.
    ///
    /// Process context; never waits for the mutex. O(1), unless a promotion is due, which passes over
    /// the deleted keys that await it.
    pub fn load_with<R>(&self, key: &K::Ref, look: impl FnOnce(P::Seen<'_>) -> R) -> Option<R> {
        let (looked, due) = self.load_counting(key, look);
        self.promote_soon(due);
        looked
    }

    /// Also returns whether a promotion is due.
    #[inline]
    pub(crate) fn load_counting<R>(
        &self,
        key: &K::Ref,
        look: impl FnOnce(P::Seen<'_>) -> R,
    ) -> (Option<R>, bool) {
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
        (looked, due)
    }

    /// What the words in the entries of this map stand for.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The memory of the map in bytes, what awaits a grace period included. Any context but NMI.
    pub fn bytes(&self) -> usize {
        self.reclaimer.ledger.bytes()
    }

    /// The number of keys. Any context but NMI.
    ///
    /// Exact while no operation is in flight; a key that is just being stored or deleted may or may
    /// not be counted.
    pub fn len(&self) -> usize {
        self.roots.read(&rcu::read_lock()).0.era().live()
    }

    /// Whether there are no keys; see [`Map::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Deletes all keys. Process context; sleeps. O(1), but for deleted keys that await the next
    /// promotion: the entries are freed by a worker, after a grace period.
    ///
    /// Does not fail for lack of memory: a map keeps an empty table in reserve. If even that is
    /// used up, waits for the grace period that brings it back, and fails only with `EINTR`, if a
    /// fatal signal arrives meanwhile, or `EBUSY`, in the destructor of one of the map's values.
    pub fn clear(&self, flags: Flags) -> Result {
        let fresh = self.new_empty(flags);
        loop {
            let seen = self.reclaimer.cycle();
            let locked = self.lock();
            if locked.is_empty() {
                drop(locked);
                if let Some(fresh) = fresh {
                    // SAFETY: Nobody else has seen it.
                    unsafe { self.free_with_era(fresh) };
                }
                return Ok(());
            }
            if let Some(empty) = fresh.or_else(|| locked.take_spare()) {
                // SAFETY: Made by `new_empty`, or put aside as the spare; ours alone now.
                unsafe { locked.clear(empty) };
                return Ok(());
            }
            drop(locked);
            // The reserve was used by an earlier Clear, whose table becomes the next one.
            self.reclaimer.wait(seen)?;
        }
    }
}

#[pinned_drop]
impl<K: Key, P: Policy> PinnedDrop for Map<K, P> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the drop of the map.
        unsafe { self.as_ref().get_ref().finish() };
    }
}
