// SPDX-License-Identifier: GPL-2.0

//! Synchronisation.

pub mod atomic;
pub mod lock;
pub mod rcu;
mod refcount;

pub use refcount::Refcount;
pub use std::sync::Arc;
