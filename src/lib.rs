// SPDX-License-Identifier: GPL-2.0

//! A concurrent hash map for the kernel: Go's `sync.Map` on RCU.
//!
//! Readers never lock, never wait and never sleep, on a hit or a miss, in any context but NMI;
//! stores to existing keys are lock-free; new keys take a raw spinlock for a short time that does
//! not depend on how many keys there are, so they can be made in any context, too. Start with
//! [`SyncMap`], or read [`map`], which is where the algorithm is.
//!
//! # Examples
//!
//! ```
//! use kernel::sync::rcu;
//! use syncmap::{Options, SyncMap};
//!
//! let map = KBox::pin_init(SyncMap::<u64, u32>::new(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
//! map.store(7, 1, GFP_KERNEL)?;
//!
//! // Any context: neither locks nor sleeps.
//! let guard = rcu::read_lock();
//! assert_eq!(map.get(&7, &guard), Some(&1));
//! assert_eq!(map.get(&8, &guard), None);
//! # drop(guard);
//! # Ok::<(), Error>(())
//! ```
//!
//! The crate is a library: it has no `module!`, registers nothing and prints nothing. `syncmap.mk`
//! links it into a module of your own.

#![crate_name = "syncmap"]
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod api;
mod atomic;
mod charge;
mod counter;
pub mod entry;
mod expunged;
pub mod gfp;
pub mod hash;
mod helpers;
mod insert;
pub mod inspect;
mod lifecycle;
mod lock;
mod locked;
pub mod map;
mod marks;
pub mod named;
pub mod object;
pub mod outcome;
pub mod quota;
pub mod range;
pub mod rcu;
pub mod reclaim;
mod remove;
pub mod reserve;
mod roots;
mod sweep;
pub mod table;
pub mod value;
mod worker;

pub use map::{ByteMap, SyncMap};
pub use outcome::Options;
pub use quota::{Account, Limits};
