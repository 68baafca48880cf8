// SPDX-License-Identifier: GPL-2.0

//! The list of the entries that read has and dirty lacks: those expunged since dirty was made.
//!
//! A list of their own, because promotion must retire exactly these (I6). Walking the superseded
//! table instead would later find entries that the *next* dirty has expunged, which the new read
//! still has.
//!
//! Promotion and Clear must not depend on how many keys were deleted. So the table that was read
//! takes the list with it when it is retired, in O(1), and the list is *settled* a grace period later,
//! a few entries at a time ([`Locked::settle`](crate::locked::Locked::settle)). Of an entry that comes
//! off such a list:
//!
//! * It is not Expunged: it was revived, and is in dirty or read.
//! * It is Expunged, and read has this very entry: it was revived, and expunged again by a later
//!   dirty. It goes on the list of that one.
//! * It is Expunged otherwise: no table has it, and it is retired.
//!
//! An entry is on one list at most. It is revived, or expunged again, where it is.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::sync::rcu::Guard;

use crate::entry::{Birth, Entry, State};
use crate::hash::Key;
use crate::rcu::Shared;
use crate::reclaim::Link;

/// A list of Expunged entries, and of those that were revived since.
///
/// Used with the map's lock held, or by the owner of the table that has taken it. The list goes through the
/// links that are for retiring: an entry on it is not retired.
pub(crate) struct ExpungedList<K: Key> {
    first: Cell<*mut Link>,
    /// Bytes of the entries, more or less: of those that are revived and expunged again.
    bytes: Cell<usize>,
    _entries: PhantomData<fn() -> K>,
}

// SAFETY: A list of entries, which may be used by any thread that holds the map's lock.
unsafe impl<K: Key> Send for ExpungedList<K> {}

impl<K: Key> ExpungedList<K> {
    /// The end of the list.
    const END: *mut Link = core::ptr::without_provenance_mut(1);

    pub(crate) const fn new() -> Self {
        Self {
            first: Cell::new(Self::END),
            bytes: Cell::new(0),
            _entries: PhantomData,
        }
    }

    /// Takes all entries, in O(1).
    pub(crate) fn take(&self) -> Self {
        Self {
            first: Cell::new(self.first.replace(Self::END)),
            bytes: Cell::new(self.bytes.take()),
            _entries: PhantomData,
        }
    }

    /// Bytes of its entries.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Adds an entry that has just become Expunged, unless it is on a list already.
    pub(crate) fn push(&self, entry: Shared<'_, Entry<K>>) {
        if !is_listed(&entry) {
            let link = entry.as_ptr().as_ptr().cast();
            entry.link.set(self.first.replace(link));
            self.bytes.set(self.bytes.get() + entry.bytes());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.get() == Self::END
    }

    /// Takes an entry off the list.
    pub(crate) fn pop<'g>(&self, _guard: &'g Guard) -> Popped<'g, K> {
        let first = match NonNull::new(self.first.get()) {
            Some(first) if !self.is_empty() => first.cast(),
            _ => return Popped::Nothing,
        };
        // SAFETY: An entry on a list is not retired, and if it is retired next, not freed before the
        // section of `_guard` ends.
        let entry: Shared<'g, Entry<K>> = unsafe { Shared::new(first) };
        self.first.set(entry.link.get());
        self.bytes
            .set(self.bytes.get().saturating_sub(entry.bytes()));
        // In this order, by the acquire in `state`: who sees that it is on no list any more, and makes it
        // Expunged then, is the one to retire it (litmus: unlisted).
        let state = entry.state();
        entry.link.set(Birth::PAST.into_link());
        match state {
            State::Expunged => Popped::Expunged(entry),
            State::Live(_) | State::Deleted => Popped::Revived,
        }
    }
}

/// What has come off a list.
pub(crate) enum Popped<'g, K: Key> {
    /// The list is empty.
    Nothing,
    /// An entry that was revived.
    Revived,
    /// An entry that is Expunged still.
    Expunged(Shared<'g, Entry<K>>),
}

/// Whether an entry is on a list of the expunged. With the map's lock held; or with that of its segment in
/// dirty: then one that is not Expunged, and on no list, does not come to one.
pub(crate) fn is_listed<K: Key>(entry: &Entry<K>) -> bool {
    !Birth::is_in(entry.link.get())
}
