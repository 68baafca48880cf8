// SPDX-License-Identifier: GPL-2.0

//! An entry: one key, its value, and the three states between them.
//!
//! # The states
//!
//! The state is one atomic word, decoded in one place, `State::of`:
//!
//! ```text
//!              try_put, take                    try_expunge_locked
//!   Live(value) <────────────────> Deleted ─────────────────────────> Expunged
//!        ^         no lock                          lock                 │
//!        └─────────────────── unexpunge_locked, lock ────────────────────┘
//! ```
//!
//! (and from Live to Expunged, if the entry is unlinked at the same time: `try_expunge_live_locked`)
//!
//! * *Live*: the key is in the map. Readers and lock-free writers work on the word.
//! * *Deleted*: the key is not in the map, but its entry is in every table where it was (`nil` in
//!   Go). A store brings it back without a lock (I4).
//! * *Expunged*: as Deleted, and the entry is not in dirty (I1), so that a lock-free store must not
//!   revive it: it would be lost with the next promotion. A store that finds it takes the lock.
//!
//! # Orderings
//!
//! Every change of the word is fully ordered. Every load is an acquire: it pairs with the change
//! that put the value there, so that the contents of the value are visible (litmus: value), and all
//! that was stored before (litmus: order-of-stores, causality).

use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full};
use kernel::sync::rcu::Guard;

use crate::atomic::{load_acquire, write_once};
use crate::hash::{Key, Memo};
use crate::object::{Object, Vacant};
use crate::quota::Charge;
use crate::rcu::Shared;
use crate::reclaim::{Link, Reclaimer};
use crate::value::{Policy, Word};

/// What an entry's word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The key has this value.
    Live(Word),
    /// The key is absent; the entry may be revived without a lock.
    Deleted,
    /// The key is absent; the entry is not in dirty.
    Expunged,
}

impl State {
    // Integers rather than the addresses of statics: a static would exist once in every module
    // that this crate is linked into.
    const DELETED: *mut () = core::ptr::without_provenance_mut(0);
    const EXPUNGED: *mut () = core::ptr::without_provenance_mut(1);

    /// Decodes a word.
    #[inline]
    fn of(word: *mut ()) -> Self {
        match State::value(word) {
            Some(word) => State::Live(word),
            None if word == State::EXPUNGED => State::Expunged,
            None => State::Deleted,
        }
    }

    /// The word of a value, if it is one.
    #[inline]
    fn value(word: *mut ()) -> Option<Word> {
        match word.addr() > State::EXPUNGED.addr() {
            true => NonNull::new(word),
            false => None,
        }
    }
}

/// The head of an entry; its payload is the key.
pub struct Slot<M> {
    word: Atomic<*mut ()>,
    /// The hash of the key, or where it is.
    memo: M,
}

/// A key, and the state of its value.
pub type Entry<K> = Object<Slot<<K as Key>::Memo>, K>;

/// The generation of the dirty that an entry was made for: whether read has it, without a search.
///
/// Kept in the link of the entry until that is needed for something else: to be on the list of the
/// expunged, which only entries of read come to, or to be retired. Tags tell what a link holds, before
/// the entry is retired: neither pointers nor the end of the list have just the second bit set. Once
/// it is retired, a link may look like the birth of a generation that a map never reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth(u64);

impl Birth {
    /// Before all dirties.
    pub(crate) const PAST: Birth = Birth(0);
    const TAG: usize = 2;
    const MASK: usize = 3;

    /// In the dirty of a generation, of which the first is 1.
    pub(crate) fn new(generation: u64) -> Self {
        Birth(generation)
    }

    pub(crate) fn into_link(self) -> *mut Link {
        core::ptr::without_provenance_mut((self.0 as usize) << 2 | Self::TAG)
    }

    /// Whether a link holds a birth, and so is on no list.
    pub(crate) fn is_in(link: *mut Link) -> bool {
        link.addr() & Self::MASK == Self::TAG
    }
}

/// The memory for an entry.
pub(crate) type VacantEntry<'m, K> = Vacant<'m, Slot<<K as Key>::Memo>, K>;

/// What became of an attempt to put a value into an entry.
pub enum Put<V, Old> {
    /// The value is in; here is what it replaced.
    Done(Option<Old>),
    /// The caller's condition was not met.
    Refused(V),
    /// The entry is Expunged: take the lock.
    Expunged(V),
    /// The map has as many live keys as it may have.
    Full(V),
}

/// How live keys are counted while the word of an entry changes.
pub(crate) trait CountLive {
    /// Runs `change`, which makes a key live that was deleted, and counts it if that succeeds. `None` if the map is
    /// full and the key is not in it, that is, `stands`.
    fn enter(&self, stands: impl FnOnce() -> bool, change: impl FnOnce() -> bool) -> Option<bool>;

    /// Runs `change`, which deletes a key, and counts that if it succeeds.
    fn leave(&self, change: impl FnOnce() -> bool) -> bool;
}

impl<V, Old> Put<V, Old> {
    /// What was replaced, if nothing was refused.
    pub(crate) fn old(self) -> Option<Old> {
        match self {
            Put::Done(old) => old,
            Put::Refused(_) | Put::Expunged(_) | Put::Full(_) => None,
        }
    }
}

impl<K: Key> Entry<K> {
    /// Allocates an entry for `key`. Sleeps if `flags` allow it.
    pub(crate) fn vacant<'m>(
        key: &K::Input<'_>,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<VacantEntry<'m, K>> {
        Self::vacant_of(K::tail(key), flags, charge)
    }

    /// Allocates an entry for a key with a tail of `len` bytes. Sleeps if `flags` allow it.
    pub(crate) fn vacant_of<'m>(
        len: usize,
        flags: Flags,
        charge: impl FnOnce(usize) -> Result<Charge<'m>>,
    ) -> Result<VacantEntry<'m, K>> {
        Vacant::new(len, flags, charge)
    }

    /// Makes a live entry of allocated memory. It lives until it is retired.
    #[inline(always)]
    pub(crate) fn create<'g, P: Policy>(
        vacant: VacantEntry<'_, K>,
        key: K::Input<'_>,
        hash: u32,
        birth: Birth,
        value: P::Value<'_>,
        _guard: &'g Guard,
    ) -> Shared<'g, Self> {
        let mut spare = 0;
        let slot = Slot {
            word: Atomic::new(P::into_word(value).as_ptr()),
            memo: K::Memo::keep(hash, &mut spare),
        };
        let mut new = vacant.fill(slot, key);
        new.set_link(birth.into_link());
        if let Some(word) = new.spare_mut() {
            *word = spare;
        }
        // SAFETY: If it is retired, then after now, and freed only after the section of `_guard`.
        unsafe { Shared::new(new.publish()) }
    }

    /// The hash that the key had when the entry was made.
    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.head.memo.recall(self.spare())
    }

    /// Whether the entry was made for a dirty that is not read yet.
    ///
    /// Lookups use it to count misses; of an entry that is being retired, it may say anything.
    #[inline]
    pub(crate) fn was_born_in(&self, birth: Birth) -> bool {
        self.link.get() == birth.into_link()
    }

    /// Whether the entry is for the key.
    #[inline]
    pub(crate) fn is(this: NonNull<Self>, valid: &Self, hash: u32, key: &K::Ref) -> bool {
        (K::IS_WORD || valid.hash() == hash) && K::is_equal(Object::payload(this, valid), key)
    }

    /// The present state. Acquire: pairs with whatever put the value there (litmus: value).
    #[inline]
    pub fn state(&self) -> State {
        State::of(load_acquire(&self.head.word))
    }

    /// The value, if the entry is Live.
    #[inline]
    pub(crate) fn load<'g, P: Policy>(&'g self, _guard: &'g Guard) -> Option<P::Seen<'g>> {
        match self.state() {
            // SAFETY: Found in a read-side section that lasts for `'g`.
            State::Live(word) => Some(unsafe { P::see(word) }),
            State::Deleted | State::Expunged => None,
        }
    }

    fn cas(&self, from: *mut (), to: *mut ()) -> bool {
        // Full on success: publishes what `to` points to, and orders the change against those of
        // other entries, which linearizability needs (litmus: value, two-stores, readers-disagree).
        // A failed one orders nothing; the loops around it reload with acquire (litmus: retry).
        self.head.word.cmpxchg(from, to, Full).is_ok()
    }

    /// Puts `value` into a Live or Deleted entry if `accept` agrees with what is there now.
    ///
    /// Lock-free. `guard` is the read-side section in which the entry was found: no word can be
    /// freed and used again for another value before it ends, so an equal word is an equal value
    /// (litmus: no-aba).
    #[inline(always)]
    pub(crate) fn try_put<'m, P: Policy, L: CountLive>(
        &self,
        value: P::Value<'m>,
        mut accept: impl FnMut(Option<P::Seen<'_>>) -> bool,
        live: impl Fn() -> L,
        reclaimer: &'m Reclaimer,
        guard: &Guard,
    ) -> Put<P::Value<'m>, P::Old<'m>> {
        let new = P::into_word(value);
        // SAFETY: Every path that calls it has failed to publish `new`, and returns.
        let back = || unsafe { P::from_word(new, reclaimer) };
        let _section = guard;
        loop {
            // Acquire: as in `state`, which would take longer to tell what is most frequent.
            let word = load_acquire(&self.head.word);
            if let Some(word) = State::value(word) {
                // SAFETY: Found in the section of `guard`.
                if !accept(Some(unsafe { P::see(word) })) {
                    return Put::Refused(back());
                }
                if self.cas(word.as_ptr(), new.as_ptr()) {
                    // SAFETY: The exchange took `word` out of its entry.
                    return Put::Done(Some(unsafe { P::old(word, reclaimer) }));
                }
                continue;
            }
            if word == State::EXPUNGED {
                return Put::Expunged(back());
            }
            if !accept(None) {
                return Put::Refused(back());
            }
            let stands = || self.state() == State::Deleted;
            match live().enter(stands, || self.cas(State::DELETED, new.as_ptr())) {
                None => return Put::Full(back()),
                Some(true) => return Put::Done(None),
                Some(false) => (),
            }
        }
    }

    /// Live → Deleted, if `accept` agrees with the value. Lock-free, like [`Entry::try_put`].
    #[inline(always)]
    pub(crate) fn take<'m, P: Policy>(
        &self,
        mut accept: impl FnMut(P::Seen<'_>) -> bool,
        live: &impl CountLive,
        reclaimer: &'m Reclaimer,
        _guard: &Guard,
    ) -> Option<P::Old<'m>> {
        while let State::Live(word) = self.state() {
            // SAFETY: Found in the section of `_guard`.
            if !accept(unsafe { P::see(word) }) {
                return None;
            }
            if live.leave(|| self.cas(word.as_ptr(), State::DELETED)) {
                // SAFETY: The exchange took `word` out of its entry.
                return Some(unsafe { P::old(word, reclaimer) });
            }
        }
        None
    }

    /// Deleted → Expunged; whether the entry is Expunged now.
    ///
    /// With its segment in dirty locked. The caller drops the entry from dirty, or does not copy it there
    /// (I1; litmus: expunge, delete).
    pub(crate) fn try_expunge_locked(&self) -> bool {
        loop {
            match self.state() {
                State::Live(_) => return false,
                State::Expunged => return true,
                State::Deleted => {
                    if self.cas(State::DELETED, State::EXPUNGED) {
                        return true;
                    }
                }
            }
        }
    }

    /// Live → Expunged, if the value is still that one.
    ///
    /// As [`Entry::try_expunge_locked`], of an entry that is in one table only, or in one segment of two.
    #[inline]
    pub(crate) fn try_expunge_live_locked(&self, value: Word) -> bool {
        self.cas(value.as_ptr(), State::EXPUNGED)
    }

    /// Expunged → Live.
    ///
    /// With the locks of the map and of its segment held, after the entry has been put back into dirty
    /// (I1). Only their holder changes the word of an Expunged entry, so there is nothing to compare. Full,
    /// like the other changes of words; the release in it pairs with the acquire in [`Entry::state`]
    /// (litmus: unexpunge).
    pub(crate) fn unexpunge_locked<P: Policy>(&self, value: P::Value<'_>) {
        self.head.word.xchg(P::into_word(value).as_ptr(), Full);
    }

    /// Frees the value that an entry holds, before the map's reference to the entry is given back.
    ///
    /// # Safety
    ///
    /// The entry was retired, or its map ends, and no reader is left.
    pub(crate) unsafe fn drop_value<P: Policy>(&self, policy: &P, reclaimer: &Reclaimer) {
        if let State::Live(word) = self.state() {
            // It is not looked at or changed any more.
            write_once(&self.head.word, State::DELETED);
            // SAFETY: By the contract of the function.
            unsafe { policy.put(word, reclaimer) }
        }
    }

    /// Makes an entry whose value was dropped Expunged, for the list that it is on to retire.
    ///
    /// # Safety
    ///
    /// As [`Entry::drop_value`].
    pub(crate) unsafe fn orphan(&self) {
        write_once(&self.head.word, State::EXPUNGED);
    }

    /// Frees an entry, without a value.
    ///
    /// # Safety
    ///
    /// The caller gave back the last reference to the entry.
    pub(crate) unsafe fn destroy(this: NonNull<Self>, reclaimer: &Reclaimer) {
        // SAFETY: The entry is the caller's; the map's reference was given back, hence its value freed.
        unsafe { Object::free(this, &reclaimer.ledger) }
    }
}
