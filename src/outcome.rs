// SPDX-License-Identifier: GPL-2.0

//! What a map is made with, and what its operations return.

use kernel::prelude::*;
use kernel::sync::Arc;

use crate::entry::Put;
use crate::object::Stored;
use crate::quota::{Account, Limits};

/// How a map is made.
#[derive(Clone)]
pub struct Options {
    /// What the map may hold.
    pub limits: Limits,
    /// What it shares a limit of bytes with, if anything.
    pub account: Option<Arc<Account>>,
    /// Whether deleted keys are freed without further stores. Off only in tests that look at the
    /// tables themselves.
    pub sweep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::NONE,
            account: None,
            sweep: true,
        }
    }
}

/// A store that failed has changed nothing, and gives key and value back.
pub struct StoreError<K, V> {
    /// Why: `ENOMEM`; `EDQUOT` or, while waiting for memory to come back, `EINTR`, for a map with limits;
    /// `E2BIG` if too many keys collide, or the key is longer than those a reservation was made for;
    /// `ENOSPC` if the reservation is used up; `EINVAL` if value or reservation are of another map.
    pub error: Error,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
}

impl<K, V> From<StoreError<K, V>> for Error {
    fn from(e: StoreError<K, V>) -> Error {
        e.error
    }
}

/// What [`Map::load_or_store`](crate::map::Map::load_or_store) did.
pub enum LoadOrStore<L, V> {
    /// The key had this value already; here is the new one back.
    Loaded(L, V),
    /// The value was stored.
    Stored,
}

impl<L, V> LoadOrStore<L, V> {
    /// Of a put that accepts no value, and has last `looked` at one.
    pub(crate) fn of<O>(put: Put<V, O>, looked: Option<L>) -> Self {
        match (put, looked) {
            (Put::Refused(value), Some(looked)) => LoadOrStore::Loaded(looked, value),
            _ => LoadOrStore::Stored,
        }
    }
}

/// `T`, or a store that failed and gives back the input of a key `K`, and a value `V`.
pub type StoreResult<'k, T, K, V> =
    core::result::Result<T, StoreError<<K as Stored>::Input<'k>, V>>;
