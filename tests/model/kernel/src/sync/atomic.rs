// SPDX-License-Identifier: GPL-2.0

//! Atomics, which are as large as what is in them, and all zeroes if that is zero.

use crate::machine::{self, Place};
use core::cell::UnsafeCell;

pub use crate::machine::Order;

/// How an access is ordered.
pub trait Ordering {
    /// As a value.
    const ORDER: Order;
}

macro_rules! orderings {
    ($($name:ident),*) => {
        $(
            /// So.
            pub struct $name;

            impl Ordering for $name {
                const ORDER: Order = Order::$name;
            }
        )*
    };
}

orderings!(Relaxed, Acquire, Release, Full);

/// What can be in an atomic.
///
/// # Safety
///
/// Plain data of `size_of::<Self>()` bytes.
pub unsafe trait AtomicType: Copy {
    /// As an integer.
    fn into_word(self) -> u64;
    /// And back.
    fn from_word(word: u64) -> Self;
}

macro_rules! atomic_types {
    ($($type:ty: $from:expr, $into:expr;)*) => {
        $(
            // SAFETY: An integer, or a bool.
            unsafe impl AtomicType for $type {
                fn into_word(self) -> u64 {
                    $into(self)
                }

                fn from_word(word: u64) -> Self {
                    $from(word)
                }
            }
        )*
    };
}

atomic_types! {
    u64: |word| word, |this| this;
    usize: |word| word as usize, |this| this as u64;
    i64: |word| word as i64, |this| this as u64;
    u32: |word| word as u32, u64::from;
    bool: |word| word != 0, u64::from;
}

// SAFETY: A pointer without metadata.
unsafe impl<T> AtomicType for *mut T {
    fn into_word(self) -> u64 {
        self.expose_provenance() as u64
    }

    fn from_word(word: u64) -> Self {
        core::ptr::with_exposed_provenance_mut(word as usize)
    }
}

/// An atomic.
#[repr(transparent)]
pub struct Atomic<T>(UnsafeCell<T>);

// SAFETY: Plain data.
unsafe impl<T: AtomicType> Send for Atomic<T> {}
// SAFETY: Accessed atomically.
unsafe impl<T: AtomicType> Sync for Atomic<T> {}

impl<T> Atomic<T> {
    /// With that in it.
    pub const fn new(value: T) -> Self {
        Atomic(UnsafeCell::new(value))
    }

    /// What is in it, for who has it to himself.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// The one that is there.
    ///
    /// # Safety
    ///
    /// Valid for `'a`, and not accessed otherwise than atomically.
    pub const unsafe fn from_ptr<'a>(ptr: *mut T) -> &'a Self {
        // SAFETY: By the contract of the function, and as large.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Where it is.
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }
}

impl<T: AtomicType> Atomic<T> {
    fn place(&self) -> Place {
        const { assert!(size_of::<T>() <= 8 && size_of::<T>() == align_of::<T>()) };
        // SAFETY: An atomic, which lives as long as the reference to it.
        unsafe { Place::new(self.as_ptr()) }
    }

    pub fn load<O: Ordering>(&self, _: O) -> T {
        T::from_word(machine::load(self.place(), O::ORDER))
    }

    pub fn store<O: Ordering>(&self, value: T, _: O) {
        machine::store(self.place(), value.into_word(), O::ORDER);
    }

    pub fn xchg<O: Ordering>(&self, value: T, _: O) -> T {
        T::from_word(machine::exchange(self.place(), value.into_word(), O::ORDER))
    }

    /// A failed one orders nothing.
    pub fn cmpxchg<O: Ordering>(&self, old: T, new: T, _: O) -> Result<T, T> {
        let (old, new) = (old.into_word(), new.into_word());
        let done = machine::compare_exchange(self.place(), old, new, O::ORDER);
        done.map(T::from_word).map_err(T::from_word)
    }

    /// Wraps.
    pub fn fetch_add<O: Ordering>(&self, by: T, _: O) -> T {
        T::from_word(machine::fetch_add(self.place(), by.into_word(), O::ORDER))
    }

    pub fn add<O: Ordering>(&self, by: T, order: O) {
        self.fetch_add(by, order);
    }
}
