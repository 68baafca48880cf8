// SPDX-License-Identifier: GPL-2.0

//! Mutexes.

use crate::machine;
use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::ops::{Deref, DerefMut};
use pinned_init::PinInit;

/// A mutex: may be taken in process context only.
pub struct Mutex<T> {
    raw: machine::RawMutex,
    data: UnsafeCell<T>,
}

// SAFETY: Owns a `T`.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: Only who has locked it gets at the data.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// The mutex, held.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _raw: machine::RawGuard<'a>,
}

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub fn new(data: T) -> impl PinInit<Self, Infallible> {
        let init = move |slot: *mut Self| {
            // SAFETY: The slot is valid for writes.
            unsafe {
                (&raw mut (*slot).raw).write(machine::RawMutex::new(()));
                (&raw mut (*slot).data).write(UnsafeCell::new(data));
            }
            Ok(())
        };
        // SAFETY: All of it is initialised.
        unsafe { pinned_init::pin_init_from_closure(init) }
    }

    /// Takes it. Sleeps.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        machine::might_sleep("a mutex");
        MutexGuard {
            mutex: self,
            _raw: machine::lock(&self.raw),
        }
    }

    /// Takes it if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        machine::in_process_context("a mutex");
        let raw = machine::try_lock(&self.raw)?;
        Some(MutexGuard {
            mutex: self,
            _raw: raw,
        })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: We have locked it.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: We have locked it.
        unsafe { &mut *self.mutex.data.get() }
    }
}

/// Makes a mutex.
#[macro_export]
macro_rules! new_mutex {
    ($data:expr, $name:literal) => {
        $crate::sync::Mutex::new($data)
    };
}
