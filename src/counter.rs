// SPDX-License-Identifier: GPL-2.0

//! Counters that many processors change at once: the kernel's `percpu_counter`.

use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::{null_mut, NonNull};
use kernel::alloc::Flags;
use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full};
use kernel::types::Opaque;

use crate::atomic::{load_acquire, read_once};
use crate::gfp::into_c;
use crate::helpers::*;

/// Some counters that begin at zero.
///
/// Each processor counts by itself until it has a batch, and then adds that to what can be read at once.
/// They order nothing.
pub(crate) struct Counters<const N: usize>(NonNull<[Opaque<bindings::percpu_counter>; N]>);

// SAFETY: Counters may be used by all threads.
unsafe impl<const N: usize> Send for Counters<N> {}
// SAFETY: As above, and at the same time.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// Allocates them. Sleeps if `flags` allow it.
    pub(crate) fn new(flags: Flags) -> Result<Self> {
        let counters = KBox::new([const { Opaque::uninit() }; N], flags)?;
        let first = counters.as_ptr().cast_mut().cast();
        // SAFETY: Valid for writes of `N` counters, and not moved before they are destroyed.
        to_result(unsafe { syncmap_helper_counters_init(first, N as u32, into_c(flags)) })?;
        Ok(Self(NonNull::from(KBox::leak(counters))))
    }

    #[inline]
    fn get(&self, index: usize) -> *mut bindings::percpu_counter {
        // SAFETY: Allocated by `new`.
        let counters = unsafe { self.0.as_ref() };
        // PANICS: Never: callers have constants.
        counters[index].get()
    }

    /// Adds to a counter, in batches of that size. Any context.
    #[inline]
    pub(crate) fn add(&self, index: usize, by: isize, batch: usize) {
        // SAFETY: Initialised by `new`.
        unsafe { syncmap_helper_counter_add(self.get(index), by as i64, batch as i32) };
    }

    /// What a counter has but for batches that are not complete.
    #[inline]
    pub(crate) fn read(&self, index: usize) -> isize {
        // SAFETY: Initialised by `new`; changed by accesses that are atomic as well.
        read_once(unsafe { Atomic::from_ptr(&raw mut (*self.get(index)).count) }) as isize
    }

    /// What a counter has. O(processors). Any context but NMI.
    pub(crate) fn sum(&self, index: usize) -> isize {
        // SAFETY: Initialised by `new`.
        unsafe { syncmap_helper_counter_sum(self.get(index)) as isize }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: Initialised by `new`, and not used any more.
        unsafe {
            syncmap_helper_counters_destroy(self.0.cast().as_ptr(), N as u32);
            drop(KBox::from_raw(self.0.as_ptr()));
        }
    }
}

/// Counters that there may be one day.
pub(crate) struct LateCounters<const N: usize>(Atomic<*mut [Opaque<bindings::percpu_counter>; N]>);

impl<const N: usize> LateCounters<N> {
    /// Not yet.
    pub(crate) const fn none() -> Self {
        Self(Atomic::new(null_mut()))
    }

    /// The counters, if there are any. Acquire: pairs with the exchange in `set` (the pattern of
    /// litmus: directory).
    #[inline]
    pub(crate) fn get(&self) -> Option<impl Deref<Target = Counters<N>> + '_> {
        NonNull::new(load_acquire(&self.0)).map(|counters| ManuallyDrop::new(Counters(counters)))
    }

    /// From now on, these, unless there are others.
    pub(crate) fn set(&self, counters: Counters<N>) {
        if self
            .0
            .cmpxchg(null_mut(), counters.0.as_ptr(), Full)
            .is_ok()
        {
            core::mem::forget(counters);
        }
    }
}

impl<const N: usize> Drop for LateCounters<N> {
    fn drop(&mut self) {
        // Nobody else has it: what other threads have done to it happened before.
        if let Some(counters) = NonNull::new(read_once(&self.0)) {
            drop(Counters(counters));
        }
    }
}
