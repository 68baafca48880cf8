// SPDX-License-Identifier: GPL-2.0

//! Plain atomic accesses, inline, and a hint that one is about to come.
//!
//! `Atomic::load()` and `store()` say the same, but in kernels that gcc has built each of them is an
//! out-of-line call from Rust; here that would be one for every step of every lookup. What C has
//! instead are volatile accesses, which on x86, where loads are acquires and stores are releases
//! by themselves, only the compiler must not reorder: just so are the kernel's own
//! `smp_load_acquire()` and `smp_store_release()` defined there. On other architectures, and for all
//! that reads *and* writes, there is `Atomic`. In the litmus tests they are what they stand for.

use core::sync::atomic::{compiler_fence, Ordering};
use kernel::sync::atomic::{Acquire, Atomic, AtomicType, Release};

const IS_X86: bool = cfg!(target_arch = "x86_64");

/// `READ_ONCE()`: a load without ordering.
#[inline(always)]
pub(crate) fn read_once<T: AtomicType>(from: &Atomic<T>) -> T {
    // SAFETY: Valid and aligned; whoever changes it at the same time does so by an access that is
    // atomic as well.
    unsafe { from.as_ptr().cast_const().read_volatile() }
}

/// `WRITE_ONCE()`: a store without ordering.
#[inline(always)]
pub(crate) fn write_once<T: AtomicType>(to: &Atomic<T>, value: T) {
    // SAFETY: As in `read_once`.
    unsafe { to.as_ptr().write_volatile(value) };
}

/// What can be loaded and stored with ordering.
pub(crate) trait Ordered: AtomicType {
    /// `Atomic::load(Acquire)`, for where it is needed.
    fn acquire(from: &Atomic<Self>) -> Self;
    /// `Atomic::store(Release)`, likewise.
    fn release(to: &Atomic<Self>, value: Self);
}

macro_rules! ordered {
    ($($type:ty $(, $param:ident)?;)*) => {
        $(
            impl$(<$param>)? Ordered for $type {
                fn acquire(from: &Atomic<Self>) -> Self {
                    from.load(Acquire)
                }

                fn release(to: &Atomic<Self>, value: Self) {
                    to.store(value, Release);
                }
            }
        )*
    };
}

ordered! {
    u64;
    usize;
    *mut T, T;
}

/// `smp_load_acquire()`: nothing that follows happens before it.
#[inline(always)]
pub(crate) fn load_acquire<T: Ordered>(from: &Atomic<T>) -> T {
    if IS_X86 {
        let value = read_once(from);
        compiler_fence(Ordering::Acquire);
        value
    } else {
        T::acquire(from)
    }
}

/// `smp_store_release()`: nothing that precedes it happens later.
#[inline(always)]
pub(crate) fn store_release<T: Ordered>(to: &Atomic<T>, value: T) {
    if IS_X86 {
        compiler_fence(Ordering::Release);
        write_once(to, value);
    } else {
        T::release(to, value);
    }
}

/// `prefetch()`: whatever is at that address, if anything, is going to be read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Changes nothing but caches, and does not fault, whatever the address.
    unsafe {
        core::arch::asm!(
            "prefetcht0 [{}]",
            in(reg) at,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
