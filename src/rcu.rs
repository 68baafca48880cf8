// SPDX-License-Identifier: GPL-2.0

//! Publishing pointers to readers.
//!
//! A reader follows published pointers in a read-side section, of which a [`Guard`] is the evidence.
//! What it can reach then is not freed before the section ends: an object is retired only after the
//! last pointer to it has been replaced, and freed a grace period later (I5, I11; `reclaim.rs`).

use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use kernel::sync::atomic::{Atomic, Full};
use kernel::sync::rcu::Guard;

use crate::atomic::load_acquire;

/// Stands in for a read-side section where none is needed.
///
/// # Safety
///
/// What is looked at with it is the caller's alone, or in a read-side section of the caller's.
#[inline]
pub(crate) unsafe fn unprotected<'g>() -> &'g Guard {
    const { assert!(size_of::<Guard>() == 0) };
    // SAFETY: A reference to a type without contents; by the contract of the function, what it
    // stands for holds.
    unsafe { NonNull::dangling().as_ref() }
}

/// A pointer that readers follow without a lock, and a flag that changes together with it.
///
/// # Invariants
///
/// The pointer, without its lowest bit, is null only before the first [`Published::store`];
/// otherwise it points to a `T` that is not freed before a grace period has passed since the
/// pointer was replaced.
pub(crate) struct Published<T>(Atomic<*mut T>);

impl<T> Published<T> {
    const FLAG: usize = 1;

    pub(crate) fn new() -> Self {
        const { assert!(align_of::<T>() > Self::FLAG) };
        Self(Atomic::new(null_mut()))
    }

    /// Reads the pointer and its flag.
    ///
    /// Acquire: pairs with the exchange in [`Published::store`], so the reader sees the contents of
    /// what it points to, and everything that was published before it (litmus: start-dirty, promote,
    /// clear).
    #[inline]
    pub(crate) fn load<'g>(&self, _guard: &'g Guard) -> (Shared<'g, T>, bool) {
        let word = load_acquire(&self.0);
        let ptr = word.map_addr(|a| a & !Self::FLAG);
        // SAFETY: By the type invariant `ptr` was valid when it was loaded, and by I5 and I11 it
        // remains so while `_guard` exists (litmus: retire). It is not null: a map stores both its
        // pointers before it can be used.
        let table = unsafe { Shared::new(NonNull::new_unchecked(ptr)) };
        (table, word.addr() & Self::FLAG != 0)
    }

    /// Publishes another pointer.
    ///
    /// Full: the release in it pairs with the Acquire in [`Published::load`]; the rest orders the
    /// change against those of others, as for the words of entries (litmus: two-maps).
    ///
    /// # Safety
    ///
    /// `ptr` is valid until a grace period has passed after it has been replaced in turn. Stores
    /// are serialised by the caller.
    pub(crate) unsafe fn store(&self, ptr: NonNull<T>, flag: bool) {
        let word = ptr.as_ptr().map_addr(|a| a | usize::from(flag));
        self.0.xchg(word, Full);
    }
}

/// A reference to an entry or a part of a table, for as long as a read-side section lasts.
///
/// A pointer rather than a reference underneath: it keeps the right to free the object, which a
/// shared reference would lose.
pub struct Shared<'p, T: ?Sized> {
    ptr: NonNull<T>,
    _protected: PhantomData<&'p T>,
}

impl<T: ?Sized> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Shared<'_, T> {}

impl<'p, T: ?Sized> Shared<'p, T> {
    /// # Safety
    ///
    /// `ptr` is valid for `'p`, and shared.
    pub(crate) unsafe fn new(ptr: NonNull<T>) -> Self {
        Self {
            ptr,
            _protected: PhantomData,
        }
    }

    pub(crate) fn as_ptr(self) -> NonNull<T> {
        self.ptr
    }

    /// The same as a reference, for the whole of its life.
    pub(crate) fn get(self) -> &'p T {
        // SAFETY: By the contract of `new`.
        unsafe { self.ptr.as_ref() }
    }
}

impl<T: ?Sized> core::ops::Deref for Shared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get()
    }
}
