// SPDX-License-Identifier: GPL-2.0

//! Tasks.

use crate::{bindings, machine};

/// A task.
pub struct Task;

impl Task {
    /// The one that runs: an address of nothing, but another one for each.
    pub fn current_raw() -> *mut bindings::task_struct {
        core::ptr::without_provenance_mut(64 * (machine::me() + 1))
    }
}
