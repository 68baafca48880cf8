// SPDX-License-Identifier: GPL-2.0

//! The lock of a map: a raw spinlock, taken with interrupts off.
//!
//! Raw, because a map is changed in any context but NMI: a spinlock that sleeps on PREEMPT_RT could
//! not be taken in a hard interrupt, or under a raw spinlock of the caller's. So what is done under
//! it must be short: see `locked.rs` for the bound. The kernel crate has the lock and its guard, but
//! not this backend.
//!
//! # Lock order
//!
//! The lock comes first: locks of segments are taken while it is held, and in them those of counters.
//! Nothing is allocated, freed, copied from or to userspace, woken up, queued or
//! called back while it is held, except the comparison of keys.

use kernel::bindings;
use kernel::ffi::{c_char, c_ulong};
use kernel::prelude::*;
use kernel::static_lock_class;
use kernel::sync::lock::{Backend, Guard, Lock};

use crate::helpers::*;

/// A `raw_spinlock_t` that is taken by `raw_spin_lock_irqsave()`.
pub(crate) struct RawSpinLockBackend;

/// A raw spinlock and what it guards.
pub(crate) type RawSpinLock<T> = Lock<T, RawSpinLockBackend>;

/// A [`RawSpinLock`], held. Guards are dropped in the reverse order of their creation, as they
/// restore the state of interrupts.
pub(crate) type RawSpinLockGuard<'a, T> = Guard<'a, T, RawSpinLockBackend>;

// SAFETY: A raw spinlock excludes all others from `lock` to `unlock`; `relock` is the default, which
// calls `lock`.
unsafe impl Backend for RawSpinLockBackend {
    type State = bindings::raw_spinlock_t;
    /// The state of interrupts before.
    type GuardState = c_ulong;

    unsafe fn init(ptr: *mut Self::State, name: *const c_char, key: *mut bindings::lock_class_key) {
        // SAFETY: By the contract of the function.
        unsafe { syncmap_helper_raw_spin_lock_init(ptr, name, key.cast()) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> c_ulong {
        // SAFETY: By the contract of the function.
        unsafe { syncmap_helper_raw_spin_lock(ptr) }
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<c_ulong> {
        let mut flags = 0;
        // SAFETY: By the contract of the function; `flags` is valid for writes.
        let taken = unsafe { syncmap_helper_raw_spin_trylock(ptr, &mut flags) };
        taken.then_some(flags)
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, flags: &c_ulong) {
        // SAFETY: By the contract of the function.
        unsafe { syncmap_helper_raw_spin_unlock(ptr, *flags) }
    }

    #[inline]
    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: By the contract of the function.
        unsafe { syncmap_helper_raw_spin_assert_held(ptr) }
    }
}

/// Makes a lock. All maps of a module have one lock class: nobody holds two of them.
pub(crate) fn new<T>(data: T) -> impl PinInit<RawSpinLock<T>> {
    RawSpinLock::new(data, c"syncmap", static_lock_class!())
}
