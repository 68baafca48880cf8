// SPDX-License-Identifier: GPL-2.0

//! A store to a key that has no entry, or an Expunged one: the part of the algorithm that needs a
//! lock, and memory.
//!
//! Most often there is a dirty, and room in the segment of the key: then the lock of the segment is all
//! it takes, and writers of other keys do not wait. Otherwise the map's lock is taken first.
//!
//! All that may be needed is allocated without locks. What turns out to be missing under them is
//! allocated after they have been released, and then everything is looked at anew. Nothing is allocated,
//! freed, or called back with a lock held, but the comparison of keys.

use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu;

use crate::counter::Counters;
use crate::entry::{Entry, State, VacantEntry};
use crate::gfp::{may_block, NORETRY};
use crate::hash::Key;
use crate::map::Map;
use crate::outcome::StoreError;
use crate::quota::edquot;
use crate::reserve::Memory;
use crate::table::{Editor, Needs, Supply};
use crate::value::Policy;

/// How often a store that may not sleep allocates again, because the table has changed meanwhile, or
/// because many keys must be told apart by one split after the other.
const ATTEMPTS: usize = 40;

/// A new key, and what its entry is made of.
struct NewKey<'m, 'k, K: Key, P: Policy> {
    key: K::Input<'k>,
    value: P::Value<'m>,
    /// The memory of its entry, unless that is reserved.
    entry: Option<VacantEntry<'m, K>>,
}

/// What has become of a new key.
struct Inserted<'m, 'k, K: Key> {
    /// The key and the memory that were not needed, as there was an entry.
    _unused: Option<(K::Input<'k>, Option<VacantEntry<'m, K>>)>,
    /// Whether the segment of the key should be relieved soon.
    strained: bool,
}

/// What has become of a key that had no entry.
pub(crate) enum New<'m, 'k, K: Key, P: Policy> {
    /// It has one now, with the value.
    Stored,
    /// It had one by then, which takes the value without the lock.
    Found(K::Input<'k>, P::Value<'m>),
    /// Nothing has changed.
    Failed(StoreError<K::Input<'k>, P::Value<'m>>),
}

/// Why a key was not inserted.
enum Blocked {
    /// It has an entry by now, which takes the value without the lock.
    Found,
    /// The table must change its shape first, which takes memory.
    Lacks(Needs),
    /// A limit is reached.
    Refused(Error),
}

impl<K: Key, P: Policy> Map<K, P> {
    /// The rest of `Map::put`, for a key that had no entry, or an Expunged one.
    #[inline(never)]
    pub(crate) fn put_new<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        hash: u32,
        value: P::Value<'m>,
        memory: Memory<'_, 'm, K, P>,
    ) -> New<'m, 'k, K, P> {
        let fail = |error, key, value| New::Failed(StoreError { error, key, value });
        // Before memory is allocated in vain: a map that is full stays so when many keys come.
        if self.limits.entries != usize::MAX && self.is_full_without(hash, K::query(&key)) {
            return fail(edquot(), key, value);
        }
        let entry = match memory {
            Memory::Reserved(_) => None,
            Memory::Flags(flags) => {
                match Entry::vacant(&key, flags, |bytes| self.charge(bytes, flags)) {
                    Ok(vacant) => Some(vacant),
                    Err(error) => return fail(error, key, value),
                }
            }
        };
        let mut new = Some(NewKey { key, value, entry });
        self.put_in_segment(hash, &mut new);
        match new {
            None => New::Stored,
            Some(new) => self.put_with_changes(hash, new, memory),
        }
    }

    /// The part of [`Map::put_new`] that changes the shape of tables, or finds that it need not.
    #[inline(never)]
    fn put_with_changes<'m, 'k>(
        &'m self,
        hash: u32,
        mut new: NewKey<'m, 'k, K, P>,
        memory: Memory<'_, 'm, K, P>,
    ) -> New<'m, 'k, K, P> {
        let mut supply = Supply::new();
        let mut attempts = 0;
        loop {
            let blocked;
            (blocked, new) = match self.put_locked(hash, new, memory, &mut supply) {
                Ok(inserted) => {
                    if inserted.strained {
                        self.request_urgent_sweep();
                    }
                    match memory {
                        Memory::Flags(flags) if may_block(flags) => self.spread_counts(flags),
                        // The allocator may have to queue work: see `worker.rs`.
                        _ if self.lacks_counters() => self.request_promotion(),
                        _ => (),
                    }
                    return New::Stored;
                }
                Err(back) => back,
            };
            attempts += 1;
            let provided = match (blocked, memory) {
                (Blocked::Found, _) => return New::Found(new.key, new.value),
                (Blocked::Refused(error), _) => Err(error),
                (Blocked::Lacks(needs), Memory::Flags(flags))
                    if attempts <= ATTEMPTS || may_block(flags) =>
                {
                    supply.provide(&needs, flags, |bytes| self.charge(bytes, flags))
                }
                (Blocked::Lacks(_), _) => Err(ENOMEM),
            };
            if let Err(error) = provided {
                let NewKey { key, value, .. } = new;
                return New::Failed(StoreError { error, key, value });
            }
        }
    }

    fn lacks_counters(&self) -> bool {
        self.roots.whole(&rcu::read_lock()).era().lacks_counters()
    }

    /// Has each processor count keys by itself, once there are many, if there is memory for that. Sleeps.
    pub(crate) fn spread_counts(&self, flags: Flags) {
        if !self.lacks_counters() {
            return;
        }
        // Nobody needs to be killed for them.
        if let Ok(counters) = Counters::new(flags | __GFP_NOWARN | NORETRY) {
            let guard = rcu::read_lock();
            self.roots.whole(&guard).era().give_counters(counters);
        }
    }

    /// Whether the map has as many live keys as it may, and not this one.
    fn is_full_without(&self, hash: u32, query: &K::Ref) -> bool {
        let guard = rcu::read_lock();
        if !self.roots.whole(&guard).era().is_full() {
            return false;
        }
        let locked = self.lock(&guard);
        let dirty = locked.dirty();
        dirty.find(hash, query, &guard).is_none() && dirty.era().is_full()
    }

    /// Makes an entry with no more than the lock of a segment, in a map without a limit of keys, and of
    /// memory that is not reserved; gives everything back if that is not enough, or the key has an entry by
    /// now.
    ///
    /// D and then R: what R has when D was loaded is D, or what D was made from, or newer
    /// (litmus: insert-roots). If it is of another era, Clear has orphaned D, and this caller may have seen
    /// that: then nothing goes there. Otherwise the key comes before Clear.
    ///
    /// As long as the segment is not frozen, every table that is D or R later has it, too; so the key has
    /// no entry there (I3), and will be found by all of them (I2, I12). If dirty, or the next one, begins
    /// meanwhile, the entry is taken for one that read has as well, and so it is.
    #[inline]
    fn put_in_segment<'m, 'k>(&'m self, hash: u32, new: &mut Option<NewKey<'m, 'k, K, P>>) {
        let guard = rcu::read_lock();
        let Some(NewKey { key, entry, .. }) = new else {
            return;
        };
        let (dirty, segment) = loop {
            let dirty = self.roots.dirty(&guard);
            if entry.is_none() || dirty.era().is_limited() {
                return;
            }
            if let Some(segment) = dirty.lock_segment(hash, &guard) {
                break (dirty, segment);
            }
        };
        let query = K::query(key);
        let (read, amended) = self.roots.read(&guard);
        let alone = read.as_ptr() == dirty.as_ptr();
        // An entry that read has and dirty lacks is Expunged (I1).
        if !amended
            || read.era_ptr() != dirty.era_ptr()
            || !dirty.takes_more(&segment, alone)
            || segment.find(hash, query).is_some()
            || !alone && read.find(hash, query, &guard).is_some()
        {
            return;
        }
        if let Some(NewKey {
            key,
            value,
            entry: Some(entry),
        }) = new.take()
        {
            dirty.era().enter();
            let birth = dirty.birth();
            segment.insert(Entry::create::<P>(entry, key, hash, birth, value, &guard));
        }
    }

    /// The part of [`Map::put_new`] that needs the map's lock: an Expunged entry, or none.
    ///
    /// Allocates nothing, frees nothing, and fails without a change.
    fn put_locked<'m, 'k>(
        &'m self,
        hash: u32,
        new: NewKey<'m, 'k, K, P>,
        memory: Memory<'_, 'm, K, P>,
        supply: &mut Supply<'m, K>,
    ) -> core::result::Result<Inserted<'m, 'k, K>, (Blocked, NewKey<'m, 'k, K, P>)> {
        let guard = rcu::read_lock();
        let locked = self.lock(&guard);
        let query = K::query(&new.key);
        let dirty = locked.dirty();
        // What is Expunged there is about to be unlinked, by who has locked its segment.
        let entry = dirty.find(hash, query, &guard);
        if entry.is_some_and(|entry| entry.state() != State::Expunged) {
            return Err((Blocked::Found, new));
        }
        if dirty.is_crowded(hash, self.limits.chain, &locked) {
            return Err((Blocked::Refused(E2BIG), new));
        }
        if dirty.era().is_full() {
            return Err((Blocked::Refused(edquot()), new));
        }
        let (segment, reserved, strained) = match memory {
            Memory::Flags(_) => match locked.make_room(hash, supply) {
                Ok(segment) => (segment, None, false),
                Err(needs) => return Err((Blocked::Lacks(needs), new)),
            },
            Memory::Reserved(reservation) => match reservation.take(&new.key, hash, &locked) {
                Ok(Some(taken)) => (taken.segment, Some(taken.entry), taken.strained),
                Ok(None) => return Err((Blocked::Found, new)),
                Err(error) => return Err((Blocked::Refused(error), new)),
            },
        };
        // Without the lock of its segment, it may have come meanwhile.
        if segment.find(hash, K::query(&new.key)).is_some() {
            return Err((Blocked::Found, new));
        }
        // Nothing fails from here on. An entry that read has and dirty lacks is Expunged (I1).
        let NewKey { key, value, entry } = new;
        let expunged = match locked.is_alone() {
            true => None,
            // With that very hash, as it goes to the segment of its own: whatever `Ord` says.
            false => locked
                .read()
                .find(hash, K::query(&key), &guard)
                .filter(|entry| entry.hash() == hash),
        };
        locked.dirty().era().enter();
        let unused = match (expunged, reserved.or(entry)) {
            // I1: In this order, for the same reason as in `Editor::keep`.
            (Some(expunged), entry) => {
                segment.insert(expunged);
                expunged.unexpunge_locked::<P>(value);
                Some((key, entry))
            }
            (None, Some(entry)) => {
                let birth = locked.dirty().birth();
                segment.insert(Entry::create::<P>(entry, key, hash, birth, value, &guard));
                None
            }
            // PANICS: Never: memory is allocated or reserved.
            (None, None) => unreachable!(),
        };
        Ok(Inserted {
            _unused: unused,
            strained,
        })
    }
}
