// SPDX-License-Identifier: GPL-2.0

//! Types of C's that Rust does not look into.

use core::cell::UnsafeCell;
use core::marker::PhantomPinned;
use core::mem::MaybeUninit;
use pinned_init::PinInit;

/// Something of C's.
#[repr(transparent)]
pub struct Opaque<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    _pin: PhantomPinned,
}

impl<T> Opaque<T> {
    /// Not initialised yet.
    pub const fn uninit() -> Self {
        Opaque {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            _pin: PhantomPinned,
        }
    }

    /// Initialised by a function that gets a pointer to it.
    pub fn ffi_init(init: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        // SAFETY: There is nothing that could be wrong with the contents.
        unsafe {
            pinned_init::pin_init_from_closure(move |slot: *mut Self| {
                init(slot.cast());
                Ok(())
            })
        }
    }

    /// A pointer to it.
    pub fn get(&self) -> *mut T {
        self.value.get().cast()
    }

    /// What is around that.
    pub fn cast_from(this: *const T) -> *const Self {
        this.cast()
    }
}
