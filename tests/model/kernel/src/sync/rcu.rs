// SPDX-License-Identifier: GPL-2.0

//! Read-side sections.

use crate::machine;
use core::marker::PhantomData;

/// A read-side section of this thread.
pub struct Guard {
    section: machine::Section,
    _not_send: PhantomData<*mut ()>,
}

/// Begins one.
pub fn read_lock() -> Guard {
    Guard {
        section: machine::begin_section(),
        _not_send: PhantomData,
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        machine::end_section(self.section);
    }
}
