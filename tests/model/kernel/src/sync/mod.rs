// SPDX-License-Identifier: GPL-2.0

//! Synchronisation.

pub mod atomic;
mod mutex;
pub mod rcu;
mod refcount;

pub use crate::new_mutex;
pub use mutex::{Mutex, MutexGuard};
pub use refcount::Refcount;
pub use std::sync::Arc;
