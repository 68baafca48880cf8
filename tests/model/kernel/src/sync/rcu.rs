// SPDX-License-Identifier: GPL-2.0

//! Read-side sections.

use crate::machine;
use core::marker::PhantomData;

/// The evidence of a read-side section of this thread, of which the machine knows.
pub struct Guard(PhantomData<*mut ()>);

/// Begins one.
pub fn read_lock() -> Guard {
    machine::begin_section();
    Guard(PhantomData)
}

impl Drop for Guard {
    fn drop(&mut self) {
        machine::end_section();
    }
}
