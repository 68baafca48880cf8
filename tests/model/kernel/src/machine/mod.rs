// SPDX-License-Identifier: GPL-2.0

//! The machine: atomic accesses, threads, memory, read-side sections.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) mod pthread;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod real;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod sim;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub use real::*;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use sim::*;

/// Complains if this thread holds a lock.
pub fn without_lock(what: &str) {
    assert!(!is_locked(), "{what} with a lock held");
}

/// Whether this thread may be preempted: it is in process context, with interrupts on.
pub fn is_preemptible() -> bool {
    !is_locked() && !is_interrupted() && !crate::workqueue::is_masked()
}

/// Complains where a thread must not sleep.
pub fn might_sleep(what: &str) {
    without_lock(what);
    assert!(!is_interrupted(), "{what} in an interrupt handler");
    assert!(is_preemptible(), "{what} with interrupts off");
    assert!(!is_in_section(), "{what} in a read-side section");
}

/// How an access is ordered.
///
/// `Full` is what the kernel means by it: the access is in order with everything before and after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Relaxed,
    Acquire,
    Release,
    Full,
}

/// Where something is that is accessed atomically.
#[derive(Clone, Copy)]
pub struct Place {
    ptr: *mut u8,
    size: usize,
}

impl Place {
    /// # Safety
    ///
    /// Valid for atomic accesses of the size of a `T`, at most eight bytes, while the place is used.
    pub unsafe fn new<T>(ptr: *mut T) -> Self {
        Place {
            ptr: ptr.cast(),
            size: size_of::<T>(),
        }
    }
}

/// When allocations of a thread fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failing {
    /// Never.
    Never,
    /// Once, after that many have succeeded.
    Once(usize),
    /// Always, after that many.
    From(usize),
}

impl Failing {
    /// Whether this one does.
    fn strikes(&mut self) -> bool {
        match self {
            Failing::Never => false,
            Failing::Once(0) => {
                *self = Failing::Never;
                true
            }
            Failing::From(0) => true,
            Failing::Once(left) | Failing::From(left) => {
                *left -= 1;
                false
            }
        }
    }
}
