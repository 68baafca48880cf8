// SPDX-License-Identifier: GPL-2.0

//! What a live entry holds: the value policies.
//!
//! An entry holds one word. A [`Policy`] says what a word stands for, and who frees it:
//!
//! * [`Counted`]: a node of the map's own, with a reference count. Displaced nodes are retired by
//!   the map; readers may keep a reference across sleeps.
//! * [`Borrowed`]: a pointer of the caller's own, as in an XArray. Displaced pointers are handed
//!   back, and their owner frees them after a grace period; what Clear, or the end of the map,
//!   drops, goes to a release function after one.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use kernel::ffi::c_void;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

use crate::object::{Bytes, Fixed, New, Object, Stored};
use crate::reclaim::{Kind, Reclaimer, RetireList, Retired};

/// A value word: aligned to four bytes, never null.
pub type Word = NonNull<()>;

/// What the words in the entries of a map stand for.
///
/// # Safety
///
/// Words are not null and aligned to at least four bytes. What `see` returns for a word stays valid
/// until the word, displaced, has been handed to `old` or `put` *and* a grace period has passed.
pub unsafe trait Policy: Send + Sync + 'static {
    /// A value that is about to be stored.
    type Value<'m>;
    /// A value as a reader sees it, for as long as its read-side section lasts.
    type Seen<'g>: Copy;
    /// A value that is not in the map any more, but may still be seen by readers.
    type Old<'m>;

    /// Whether readers may still use a value when they do not borrow the map any more, so that the
    /// end of the map must wait for them.
    const OUTLIVES_MAP: bool;

    /// Whether a value was made for the map with this reclaimer.
    fn is_for(value: &Self::Value<'_>, reclaimer: &Reclaimer) -> bool;

    /// Gives a value to the map.
    fn into_word(value: Self::Value<'_>) -> Word;

    /// Takes back what [`Policy::into_word`] gave.
    ///
    /// # Safety
    ///
    /// `word` comes from `into_word` of a value for this map, and nobody has seen it.
    unsafe fn from_word(word: Word, reclaimer: &Reclaimer) -> Self::Value<'_>;

    /// # Safety
    ///
    /// `word` was found in an entry in a read-side section that lasts for `'g`.
    unsafe fn see<'g>(word: Word) -> Self::Seen<'g>;

    /// Makes an owner of a displaced value.
    ///
    /// # Safety
    ///
    /// The caller has taken `word` out of its entry.
    unsafe fn old(word: Word, reclaimer: &Reclaimer) -> Self::Old<'_>;

    /// Frees the value of a freed entry. Process context.
    ///
    /// # Safety
    ///
    /// `word` was in the entry when it was freed, and no reader is left.
    unsafe fn put(&self, word: Word, reclaimer: &Reclaimer);

    /// Frees a displaced value that was retired by itself; returns the bytes it was retired with.
    /// Process context.
    ///
    /// # Safety
    ///
    /// `word` was retired by the `Old` of this policy, and no reader is left.
    unsafe fn put_retired(word: Word, reclaimer: &Reclaimer) -> usize;
}

/// A reference-counted node.
type Node<S> = Object<(), S>;

/// Values in nodes of the map's own: [`Fixed<V>`](Fixed) or [`Bytes`].
pub struct Counted<S>(PhantomData<fn() -> S>);

impl<S> Counted<S> {
    /// The policy.
    pub const NEW: Self = Counted(PhantomData);
}

/// A node that has not been stored yet; made by `Map::prepare*`.
///
/// Dropping it frees it: in process context if the value's destructor may sleep, or if it was
/// prepared with flags that allow sleeping and is larger than a page.
pub struct Prepared<'m, S: Stored> {
    pub(crate) node: New<'m, (), S>,
}

impl<S: Stored> Prepared<'_, S> {
    /// The value.
    pub fn get(&self) -> &S::Ref {
        self.node.payload()
    }
}

impl<T: Send + Sync + 'static> Prepared<'_, Fixed<T>> {
    /// Takes the value out and frees the node.
    pub fn into_inner(self) -> T {
        self.node.into_inner()
    }
}

/// A counted value as a reader sees it.
pub struct Seen<'g, S> {
    node: NonNull<Node<S>>,
    _section: PhantomData<&'g ()>,
}

impl<S> Clone for Seen<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Seen<'_, S> {}

impl<'g, S: Stored> Seen<'g, S> {
    /// The value.
    #[inline]
    pub fn get(self) -> &'g S::Ref {
        // SAFETY: By the contract of `Policy`, the node is valid for `'g`.
        Object::payload(self.node, unsafe { self.node.as_ref() })
    }

    /// Takes a reference that outlives the read-side section.
    pub(crate) fn count(self, reclaimer: &Reclaimer) -> ValueRef<'_, S> {
        // SAFETY: The node is valid for `'g`. Its entry's own reference is put only a grace period
        // after the node was displaced, so the count cannot be zero here.
        unsafe { self.node.as_ref() }.get();
        ValueRef {
            node: self.node,
            reclaimer,
        }
    }

    /// Whether this is the very node that `other` refers to, not merely an equal value.
    pub fn is(self, other: &ValueRef<'_, S>) -> bool {
        self.node == other.node
    }
}

// SAFETY: Nodes are aligned like the pointer in their link. A displaced node is retired when its
// `Old` is dropped, or with its entry, and its memory not freed before a grace period has passed.
unsafe impl<S: Stored> Policy for Counted<S> {
    type Value<'m> = Prepared<'m, S>;
    type Seen<'g> = Seen<'g, S>;
    type Old<'m> = Old<'m, S>;

    // `Seen` borrows the map.
    const OUTLIVES_MAP: bool = false;

    fn is_for(value: &Prepared<'_, S>, reclaimer: &Reclaimer) -> bool {
        value.node.is_on(&reclaimer.ledger)
    }

    fn into_word(value: Prepared<'_, S>) -> Word {
        value.node.publish().cast()
    }

    unsafe fn from_word(word: Word, reclaimer: &Reclaimer) -> Prepared<'_, S> {
        let node = word.cast::<Node<S>>();
        // SAFETY: By the contract of the function the node is the caller's.
        let bytes = unsafe { node.as_ref() }.bytes();
        Prepared {
            // SAFETY: As above; `publish` has kept the charge that is adopted here.
            node: unsafe { New::recover(node, reclaimer.ledger.adopt(bytes)) },
        }
    }

    #[inline]
    unsafe fn see<'g>(word: Word) -> Seen<'g, S> {
        Seen {
            node: word.cast(),
            _section: PhantomData,
        }
    }

    unsafe fn old(word: Word, reclaimer: &Reclaimer) -> Old<'_, S> {
        Old {
            node: word.cast(),
            reclaimer,
        }
    }

    unsafe fn put(&self, word: Word, reclaimer: &Reclaimer) {
        // SAFETY: The entry had a reference, which the caller has now.
        unsafe { put_node(word.cast::<Node<S>>(), reclaimer) }
    }

    unsafe fn put_retired(word: Word, reclaimer: &Reclaimer) -> usize {
        let node = word.cast::<Node<S>>();
        // SAFETY: The entry's reference came with the retirement.
        unsafe {
            let bytes = node.as_ref().bytes();
            put_node(node, reclaimer);
            bytes
        }
    }
}

/// Gives back a reference to a node, and frees it if that was the last.
///
/// # Safety
///
/// The caller has a reference; if it is the entry's, a grace period has passed.
pub(crate) unsafe fn put_node<S: Stored>(node: NonNull<Node<S>>, reclaimer: &Reclaimer) {
    // SAFETY: The caller's reference keeps the node valid until it is given back; the last one to
    // give back owns it, and no reader is left that could take another (see `Seen::count`).
    unsafe {
        if node.as_ref().put() {
            Object::free(node, &reclaimer.ledger);
        }
    }
}

/// A counted reference to a value, which may be kept across sleeps.
///
/// Dropping the last one drops the value, where the destructor of the value must be allowed to run.
pub struct ValueRef<'m, S: Stored> {
    node: NonNull<Node<S>>,
    reclaimer: &'m Reclaimer,
}

// SAFETY: A counted reference to something that is `Send` and `Sync`.
unsafe impl<S: Stored> Send for ValueRef<'_, S> {}
// SAFETY: As above.
unsafe impl<S: Stored> Sync for ValueRef<'_, S> {}

impl<S: Stored> Deref for ValueRef<'_, S> {
    type Target = S::Ref;

    fn deref(&self) -> &S::Ref {
        // SAFETY: Our reference keeps the node valid.
        Object::payload(self.node, unsafe { self.node.as_ref() })
    }
}

impl<S: Stored> Clone for ValueRef<'_, S> {
    fn clone(&self) -> Self {
        // SAFETY: Our reference keeps the node valid.
        unsafe { self.node.as_ref() }.get();
        ValueRef { ..*self }
    }
}

impl<S: Stored> Drop for ValueRef<'_, S> {
    fn drop(&mut self) {
        // SAFETY: We have a reference, which is not the entry's.
        unsafe { put_node(self.node, self.reclaimer) }
    }
}

/// The owner of a value that was overwritten or deleted, and that readers may still be reading.
///
/// Dropping it retires the value: it is freed after a grace period. May be dropped in any context
/// but NMI.
pub struct Old<'m, S: Stored> {
    node: NonNull<Node<S>>,
    reclaimer: &'m Reclaimer,
}

// SAFETY: Owns something that is `Send` and `Sync`, and only gives shared references to it.
unsafe impl<S: Stored> Send for Old<'_, S> {}
// SAFETY: As above.
unsafe impl<S: Stored> Sync for Old<'_, S> {}

impl<S: Stored> Deref for Old<'_, S> {
    type Target = S::Ref;

    fn deref(&self) -> &S::Ref {
        // SAFETY: The entry's reference, which we own, keeps the node valid.
        Object::payload(self.node, unsafe { self.node.as_ref() })
    }
}

impl<S: Stored> Old<'_, S> {
    /// The right to free the value, and its bytes.
    ///
    /// # Safety
    ///
    /// The caller uses the right in the place of the owner, who is forgotten, or being dropped.
    unsafe fn retired(&self) -> (Retired, usize) {
        // SAFETY: The node was taken out of its entry, the only published pointer to it (I11); the
        // owner has the right to retire it (I6), which goes to the caller.
        unsafe {
            (
                Retired::new(Kind::Value, self.node),
                self.node.as_ref().bytes(),
            )
        }
    }
}

impl<S: Stored> Drop for Old<'_, S> {
    fn drop(&mut self) {
        // SAFETY: The owner is being dropped.
        let (retired, bytes) = unsafe { self.retired() };
        self.reclaimer.retire(retired, bytes);
    }
}

/// Old values that are retired together, which costs less than one by one.
///
/// Until then they count as bytes of the map, but not as some that will soon come back.
pub struct Displaced<'m> {
    list: RetireList,
    reclaimer: &'m Reclaimer,
}

impl<'m> Displaced<'m> {
    pub(crate) fn new(reclaimer: &'m Reclaimer) -> Self {
        Self {
            list: RetireList::new(),
            reclaimer,
        }
    }

    /// Adds a value; retires it at once if it is of another map.
    pub fn push<S: Stored>(&mut self, old: Old<'m, S>) {
        if core::ptr::eq(old.reclaimer, self.reclaimer) {
            let old = ManuallyDrop::new(old);
            // SAFETY: The owner is forgotten.
            let (retired, bytes) = unsafe { old.retired() };
            self.list.push(retired, bytes);
        }
    }

    /// The bytes of all that were added.
    pub fn bytes(&self) -> usize {
        self.list.bytes()
    }

    /// Retires all that were added. Any context but NMI.
    pub fn retire(&mut self) {
        let list = core::mem::replace(&mut self.list, RetireList::new());
        self.reclaimer.retire_all(list);
    }
}

impl Drop for Displaced<'_> {
    fn drop(&mut self) {
        self.retire();
    }
}

/// A C function that frees a pointer which a map has dropped.
pub type Release = unsafe extern "C" fn(*mut c_void);

/// Pointers of the caller's own.
pub struct Borrowed {
    release: Option<Release>,
    muted: Atomic<bool>,
}

impl Borrowed {
    /// A policy that calls `release`, in process context and a grace period after it was reachable
    /// for the last time, for each pointer that Clear or the end of the map drops.
    ///
    /// # Safety
    ///
    /// `release` may be called with every pointer that is stored.
    pub unsafe fn new(release: Option<Release>) -> Self {
        Self {
            release,
            muted: Atomic::new(false),
        }
    }

    /// Calls the release function no more, because it is about to go: what has not been released by
    /// now never will be. A call that has begun may still be running.
    pub fn mute(&self) {
        self.muted.store(true, Relaxed);
    }
}

/// A pointer that can be stored: not null, and aligned to four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pointer(NonNull<c_void>);

impl Pointer {
    /// `EINVAL` if `ptr` is null or not aligned to four bytes.
    pub fn new(ptr: *mut c_void) -> Result<Self> {
        let ptr = NonNull::new(ptr).ok_or(EINVAL)?;
        if ptr.addr().get() & 3 != 0 {
            return Err(EINVAL);
        }
        Ok(Self(ptr))
    }

    /// The pointer.
    pub fn get(self) -> NonNull<c_void> {
        self.0
    }
}

// SAFETY: `Pointer::new` checks the words. Nothing is dereferenced here.
unsafe impl Policy for Borrowed {
    type Value<'m> = Pointer;
    type Seen<'g> = Pointer;
    type Old<'m> = Pointer;

    // A `Pointer` borrows nothing.
    const OUTLIVES_MAP: bool = true;

    fn is_for(_: &Pointer, _: &Reclaimer) -> bool {
        true
    }

    fn into_word(value: Pointer) -> Word {
        value.0.cast()
    }

    unsafe fn from_word(word: Word, _: &Reclaimer) -> Pointer {
        Pointer(word.cast())
    }

    unsafe fn see<'g>(word: Word) -> Self::Seen<'g> {
        Pointer(word.cast())
    }

    unsafe fn old(word: Word, _: &Reclaimer) -> Pointer {
        Pointer(word.cast())
    }

    unsafe fn put(&self, word: Word, _: &Reclaimer) {
        if let Some(release) = self.release.filter(|_| !self.muted.load(Relaxed)) {
            // SAFETY: By the contract of `new`.
            unsafe { release(word.as_ptr().cast()) }
        }
    }

    unsafe fn put_retired(_: Word, _: &Reclaimer) -> usize {
        // Displaced pointers are their owner's, and never retired.
        0
    }
}

/// Bytes as values.
pub type ByteValues = Counted<Bytes>;
