// SPDX-License-Identifier: GPL-2.0

//! The C API: the Rust side of `include/linux/syncmap.h`, which documents it.
//!
//! Pointers that C passes are valid for the call, or null where that is checked; `struct syncmap *`
//! comes from `create`, `struct syncmap_named *` from `get`, or either is null or an error pointer.

use core::ptr::NonNull;
use kernel::bindings;
use kernel::error::to_result;
use kernel::ffi::c_int;
use kernel::prelude::*;
use kernel::sync::rcu::Guard;

use crate::holders::Module;
use crate::registry::Registry;

mod map;
mod named;
mod reference;
mod reservation;
mod typed;

pub(crate) use typed::OwnedMap;

/// Whether a pointer is null, or an error.
fn is_err_or_null<T>(ptr: *const T) -> bool {
    ptr.addr().wrapping_sub(1)
        >= (bindings::MAX_ERRNO as usize)
            .wrapping_neg()
            .wrapping_sub(1)
}

fn err_ptr<T>(error: Error) -> *mut T {
    core::ptr::without_provenance_mut(error.to_errno() as isize as usize)
}

fn errno(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|error| error.to_errno())
}

/// The evidence for the read-side section of a caller.
///
/// # Safety
///
/// There is one, for as long as the evidence is used.
#[inline]
unsafe fn callers_section<'g>() -> &'g Guard {
    const { assert!(size_of::<Guard>() == 0) };
    // SAFETY: A reference to nothing; by the contract of the function, what it stands for is there.
    unsafe { NonNull::dangling().as_ref() }
}

/// A module has run its last.
///
/// # Safety
///
/// Called by the notifier, with that module.
#[no_mangle]
unsafe extern "C" fn syncmap_module_gone(module: Module) {
    Registry::get().holders.gone(module);
}

unsafe extern "C" {
    safe fn syncmap_exports_init() -> c_int;
    safe fn syncmap_exports_exit();
}

/// The part of the C API that is in C: it hears of modules that go.
pub(crate) struct Exports(());

impl Exports {
    /// The registry must have been published.
    pub(crate) fn new() -> Result<Self> {
        to_result(syncmap_exports_init())?;
        Ok(Self(()))
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        syncmap_exports_exit();
    }
}
