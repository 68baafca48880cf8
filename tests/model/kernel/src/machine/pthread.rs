// SPDX-License-Identifier: GPL-2.0

//! A mutex of the C library's.
//!
//! Rust's own is as good, but ThreadSanitizer does not see what it does when it has to wait, since
//! the standard library is compiled without it.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::ops::{Deref, DerefMut};

/// `pthread_mutex_t` on x86-64; all zeroes if nobody has locked it.
#[repr(C, align(8))]
struct Raw([u8; 40]);

unsafe extern "C" {
    fn pthread_mutex_lock(mutex: *mut Raw) -> c_int;
    fn pthread_mutex_trylock(mutex: *mut Raw) -> c_int;
    fn pthread_mutex_unlock(mutex: *mut Raw) -> c_int;
}

/// A mutex. Not to be moved while it is locked.
pub struct Mutex<T> {
    raw: UnsafeCell<Raw>,
    data: UnsafeCell<T>,
}

// SAFETY: Owns a `T`, which only who has locked it gets at.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// The mutex, held.
pub struct Guard<'a, T>(&'a Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that nobody has locked.
    pub const fn new(data: T) -> Self {
        Mutex {
            raw: UnsafeCell::new(Raw([0; 40])),
            data: UnsafeCell::new(data),
        }
    }

    /// Locks it.
    pub fn lock(&self) -> Guard<'_, T> {
        // SAFETY: Initialised.
        let error = unsafe { pthread_mutex_lock(self.raw.get()) };
        assert_eq!(error, 0, "a mutex cannot be locked");
        Guard(self)
    }

    /// Locks it if nobody has.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // SAFETY: Initialised.
        let error = unsafe { pthread_mutex_trylock(self.raw.get()) };
        // Not before: a guard unlocks it in the end.
        (error == 0).then(|| Guard(self))
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: We have locked it.
        unsafe { pthread_mutex_unlock(self.0.raw.get()) };
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: We have locked it.
        unsafe { &*self.0.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: We have locked it.
        unsafe { &mut *self.0.data.get() }
    }
}
