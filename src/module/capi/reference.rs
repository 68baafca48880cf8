// SPDX-License-Identifier: GPL-2.0

//! References to values: how a map takes them, and what C gets of them.

use kernel::ffi::c_void;
use kernel::prelude::*;
use syncmap::value::{Pointer, Release};

/// How often one and the same value, of which no reference can be taken, may be found: whoever takes
/// it out of the map, and has put its last reference, has done so in the other order than is right.
const ATTEMPTS: usize = 8;

/// What is made of the value that a key has already.
pub(super) enum Looked {
    /// A reference to it.
    Taken(Reference),
    /// It, as the map takes no references.
    Seen(Pointer),
    /// Nothing: it has no references left.
    Dying(Pointer),
}

/// Counts attempts to take references that have failed.
#[derive(Default)]
pub(super) struct Attempts {
    failed: Option<Pointer>,
    count: usize,
}

impl Attempts {
    /// Notes one; `EBUSY` if there have been enough for this value.
    pub(super) fn failed(&mut self, value: Pointer) -> Result {
        if self.failed.replace(value) != Some(value) {
            self.count = 0;
        }
        self.count += 1;
        match self.count < ATTEMPTS {
            true => Ok(()),
            false => Err(EBUSY),
        }
    }
}

pub(super) type Get = unsafe extern "C" fn(*mut c_void) -> bool;

/// The functions by which a map refers to values.
#[derive(Clone, Copy)]
pub(super) struct References {
    pub(super) get: Get,
    pub(super) put: Release,
}

/// A reference to a value, which the map has taken.
pub(super) struct Reference {
    pub(super) value: Pointer,
    put: Release,
}

impl References {
    /// Takes a reference to a value that was found in a read-side section.
    pub(super) fn take(self, value: Pointer) -> Option<Reference> {
        // SAFETY: By the contract of `create`: the function may be called with values that are, or
        // were, in the map, in read-side sections that have found them there.
        let taken = unsafe { (self.get)(value.get().as_ptr()) };
        // Made only if there is one: it is given back when it is dropped.
        taken.then(|| Reference {
            value,
            put: self.put,
        })
    }
}

impl Reference {
    /// Gives the reference to C.
    pub(super) fn into_raw(self) -> *mut c_void {
        let value = self.value.get().as_ptr();
        core::mem::forget(self);
        value
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: By the contract of `create`: the reference was taken by `get`.
        unsafe { (self.put)(self.value.get().as_ptr()) }
    }
}
