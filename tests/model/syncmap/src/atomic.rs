// SPDX-License-Identifier: GPL-2.0

//! What `src/atomic.rs` has: here, what it stands for.

use kernel::sync::atomic::{Acquire, Atomic, AtomicType, Relaxed, Release};

/// `READ_ONCE()`
pub(crate) fn read_once<T: AtomicType>(from: &Atomic<T>) -> T {
    from.load(Relaxed)
}

/// `WRITE_ONCE()`
pub(crate) fn write_once<T: AtomicType>(to: &Atomic<T>, value: T) {
    to.store(value, Relaxed);
}

/// `smp_load_acquire()`
pub(crate) fn load_acquire<T: AtomicType>(from: &Atomic<T>) -> T {
    from.load(Acquire)
}

/// `smp_store_release()`
pub(crate) fn store_release<T: AtomicType>(to: &Atomic<T>, value: T) {
    to.store(value, Release);
}

/// `prefetch()`
pub(crate) fn prefetch<T>(_: *const T) {}
