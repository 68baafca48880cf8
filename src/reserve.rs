// SPDX-License-Identifier: GPL-2.0

//! Memory for new keys that is set aside beforehand.
//!
//! Where nothing may be allocated (under a raw spinlock, or in a hard interrupt on PREEMPT_RT), or where
//! a store must not fail, new keys take their memory from a [`Reservation`], which was made in process
//! context: an entry for each key, and as many segments in the map's pool as they can need, whatever
//! their hashes turn out to be (see `Pool` in `locked.rs`).
//!
//! After `VacantNode` and `RBTreeNodeReservation` of the kernel's red-black tree.
//!
//! # Examples
//!
//! ```
//! use syncmap::{Options, SyncMap};
//!
//! let map = KBox::pin_init(SyncMap::<u64, u32>::new(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
//! let reservation = map.reserve(2, GFP_KERNEL)?;
//! let value = map.prepare(1, GFP_KERNEL).map_err(|(error, _)| error)?;
//!
//! // Any context but NMI: allocates nothing, and frees nothing.
//! map.swap_prepared(7, value, &reservation)?;
//! assert_eq!(reservation.keys(), 1);
//! # Ok::<(), Error>(())
//! ```

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::rcu;

use crate::atomic::{read_once, write_once};
use crate::entry::{Entry, VacantEntry};
use crate::gfp::NORETRY;
use crate::hash::Key;
use crate::helpers::cond_resched;
use crate::locked::{Locked, Reserved};
use crate::map::Map;
use crate::marks::Region;
use crate::object::Fixed;
use crate::quota::{edquot, Ledger};
use crate::reclaim::Link;
use crate::table::{LockedSegment, SegmentBox, SegmentList, Supply};
use crate::value::Policy;

/// Memory for new keys of a map. Dropping it gives back what was not used: process context.
pub struct Reservation<'m, K: Key, P: Policy> {
    map: &'m Map<K, P>,
    entries: VacantEntries<'m, K>,
}

/// What a reservation has given to a key.
pub(crate) struct Taken<'g, 'm, K: Key> {
    /// The segment with room for its entry.
    pub(crate) segment: LockedSegment<'g, K>,
    /// The memory of its entry.
    pub(crate) entry: VacantEntry<'m, K>,
    /// Whether the segment is strained; its region is marked then.
    pub(crate) strained: bool,
}

/// The memory of entries, listed by links in their place.
struct VacantEntries<'m, K: Key> {
    first: Cell<*mut Link>,
    left: Atomic<usize>,
    /// Bytes of the tail of a key, at most.
    len: usize,
    ledger: &'m Ledger,
    _entries: PhantomData<fn() -> K>,
}

// SAFETY: Memory may be used by any thread.
unsafe impl<K: Key> Send for VacantEntries<'_, K> {}
// SAFETY: Changed with the lock of the map held, or by the one owner; only `left` is read without.
unsafe impl<K: Key> Sync for VacantEntries<'_, K> {}

impl<'m, K: Key> VacantEntries<'m, K> {
    fn pop(&self) -> Option<VacantEntry<'m, K>> {
        let link = NonNull::new(self.first.get())?;
        // SAFETY: The memory is ours, and begins with a link.
        self.first.set(unsafe { link.as_ref() }.get());
        write_once(&self.left, read_once(&self.left) - 1);
        // SAFETY: From `push`, of memory for a tail of `len` bytes that is charged to the ledger.
        Some(unsafe { VacantEntry::<K>::from_raw(link, self.len, self.ledger) })
    }

    fn push(&self, entry: VacantEntry<'m, K>) {
        let link = entry.into_raw();
        // SAFETY: The memory is ours, and begins with a link.
        unsafe { link.as_ref() }.set(self.first.replace(link.as_ptr()));
        write_once(&self.left, read_once(&self.left) + 1);
    }
}

impl<K: Key> Drop for VacantEntries<'_, K> {
    fn drop(&mut self) {
        while let Some(entry) = self.pop() {
            drop(entry);
        }
    }
}

impl<'m, K: Key, P: Policy> Reservation<'m, K, P> {
    /// The number of keys for which there is memory. A hint while others use the reservation.
    pub fn keys(&self) -> usize {
        read_once(&self.entries.left)
    }

    /// Whether it is for that map.
    pub(crate) fn is_for(&self, map: &Map<K, P>) -> bool {
        core::ptr::eq(self.map, map)
    }

    /// Takes the memory for the entry of a key, and makes room for it in dirty.
    ///
    /// Without a change, `None` if the key has an entry by now, `E2BIG` if it is longer than those the
    /// reservation was made for, and `ENOSPC` if that is used up.
    pub(crate) fn take<'g>(
        &self,
        key: &K::Input<'_>,
        hash: u32,
        locked: &Locked<'g, K>,
    ) -> Result<Option<Taken<'g, 'm, K>>> {
        let len = K::tail(key);
        if len > self.entries.len {
            return Err(E2BIG);
        }
        let mut entry = self.entries.pop().ok_or(ENOSPC)?;
        let (segment, strained) = match locked.make_reserved_room(hash, K::query(key)) {
            Reserved::Room(segment, strained) => (segment, strained),
            Reserved::Found => {
                self.entries.push(entry);
                return Ok(None);
            }
            // Never, by the invariant of the pool.
            Reserved::Nothing => {
                self.entries.push(entry);
                return Err(ENOMEM);
            }
        };
        if strained {
            self.map.strained.mark(hash);
        }
        entry.shorten(len);
        Ok(Some(Taken {
            segment,
            entry,
            strained,
        }))
    }
}

impl<K: Key, P: Policy> Drop for Reservation<'_, K, P> {
    fn drop(&mut self) {
        let mut surplus = SegmentList::new();
        let guard = rcu::read_lock();
        let locked = self.map.lock(&guard);
        locked.unreserve(self.keys(), self.entries.ledger, &mut surplus);
        drop(locked);
        drop(guard);
        drop(surplus);
    }
}

/// Where the memory for a new key comes from.
pub enum Memory<'r, 'm, K: Key, P: Policy> {
    /// It is allocated; the flags say whether that may sleep.
    Flags(Flags),
    /// It was reserved.
    Reserved(&'r Reservation<'m, K, P>),
}

impl<K: Key, P: Policy> Clone for Memory<'_, '_, K, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key, P: Policy> Copy for Memory<'_, '_, K, P> {}

impl<K: Key, P: Policy> From<Flags> for Memory<'_, '_, K, P> {
    fn from(flags: Flags) -> Self {
        Memory::Flags(flags)
    }
}

impl<'r, 'm, K: Key, P: Policy> From<&'r Reservation<'m, K, P>> for Memory<'r, 'm, K, P> {
    fn from(reservation: &'r Reservation<'m, K, P>) -> Self {
        Memory::Reserved(reservation)
    }
}

impl<K: Key, P: Policy> Map<K, P> {
    /// Reserves memory for `keys` new keys with tails of up to `len` bytes, and charges it. (What is
    /// allocated for a longer tail than a key then has is not charged any more, as if it were rounding of
    /// the allocator.)
    ///
    /// Process context, if `flags` allow sleeping; otherwise any in which memory can be allocated.
    /// `ENOMEM`, `EDQUOT`, `EINTR`. O(`keys`).
    pub fn reserve_tails(
        &self,
        keys: usize,
        len: usize,
        flags: Flags,
    ) -> Result<Reservation<'_, K, P>> {
        let charge = |bytes| self.charge(bytes, flags);
        let entries = VacantEntries {
            first: Cell::new(null_mut()),
            left: Atomic::new(0),
            len,
            ledger: &self.reclaimer.ledger,
            _entries: PhantomData,
        };
        for _ in 0..keys {
            entries.push(Entry::vacant_of(len, flags, charge)?);
        }
        let mut segments = SegmentList::new();
        loop {
            let guard = rcu::read_lock();
            let done = self.lock(&guard).reserve(keys, &mut segments);
            drop(guard);
            let Err(lacks) = done else {
                return Ok(Reservation { map: self, entries });
            };
            while segments.len() < lacks {
                segments.push(SegmentBox::large(flags, charge)?);
            }
        }
    }
}

/// For the worker.
impl<K: Key, P: Policy> Map<K, P> {
    /// Relieves the segments that reserved keys have strained. If there is no memory, the rest is left
    /// for later.
    pub(crate) fn relieve(&self) {
        let guard = rcu::read_lock();
        let begun = self.lock(&guard).begin_relief();
        drop(guard);
        if !begun {
            return;
        }
        let mut done = true;
        let mut supply = Supply::new();
        for region in self.strained.take() {
            done = done && self.relieve_region(region, &mut supply);
            if !done {
                self.strained.mark(region.first());
            }
        }
        let guard = rcu::read_lock();
        self.lock(&guard).end_relief(done);
        drop(guard);
        if !done {
            self.want_sweep(false);
        }
    }

    /// Relieves the segments of a region; false if there is no memory.
    fn relieve_region<'m>(&'m self, region: Region, supply: &mut Supply<'m, K>) -> bool {
        let charge = |bytes| self.reclaimer.ledger.charge(bytes).map_err(|_| edquot());
        let mut next = Some(region.first());
        while let Some(hash) = next.filter(|hash| *hash <= region.last()) {
            let guard = rcu::read_lock();
            let leaf = self.roots.dirty(&guard).leaf(hash, &guard);
            let mut needs = None;
            match leaf.entries().next().filter(|_| leaf.is_strained()) {
                None => next = leaf.end(),
                // By the hash of an entry: a chain of equal hashes is left as it is.
                Some(entry) => {
                    let locked = self.lock(&guard);
                    // There is one table to change then, not two.
                    locked.promote();
                    match locked.relieve(entry.hash(), supply) {
                        Ok(true) => (),
                        Ok(false) => next = leaf.end(),
                        Err(lacks) => needs = Some(lacks),
                    }
                }
            }
            drop(guard);
            if let Some(needs) = needs {
                let flags = GFP_KERNEL | __GFP_NOWARN | NORETRY;
                if supply.provide(&needs, flags, charge).is_err() {
                    return false;
                }
            }
            cond_resched();
        }
        true
    }
}

impl<T, P: Policy> Map<Fixed<T>, P>
where
    Fixed<T>: Key,
    T: Send + Sync + 'static,
{
    /// Reserves memory for `keys` new keys, and charges it; see [`Map::reserve_tails`].
    pub fn reserve(&self, keys: usize, flags: Flags) -> Result<Reservation<'_, Fixed<T>, P>> {
        self.reserve_tails(keys, 0, flags)
    }
}
