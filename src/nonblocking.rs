// SPDX-License-Identifier: GPL-2.0

//! The operations that never sleep: those of [`map`](crate::map) without the mutex.
//!
//! They may be called in any context but NMI. What would need the mutex is refused; a promotion that
//! becomes due is left to the worker, also where the mutex happens to be free.

use kernel::prelude::*;
use kernel::sync::rcu;

use crate::entry::Put;
use crate::hash::Key;
use crate::map::{DirtyHit, LoadOrStore, Map};
use crate::quota::edquot;
use crate::roots::Found;
use crate::value::Policy;
use crate::worker::Context;

/// A store that cannot be done without sleeping, or by creating a key, gives the value back.
pub struct TryStoreError<V> {
    /// `EAGAIN` (`EWOULDBLOCK`) if the key has no entry that a value can be put into without the mutex,
    /// `EDQUOT` if that would exceed the limit of entries, `EINVAL` if the value was prepared for
    /// another map.
    pub error: Error,
    /// The value.
    pub value: V,
}

type TryPutResult<'m, P> = core::result::Result<
    Put<<P as Policy>::Value<'m>, <P as Policy>::Old<'m>>,
    TryStoreError<<P as Policy>::Value<'m>>,
>;

impl<K: Key, P: Policy> Map<K, P> {
    /// [`Map::put`] without the mutex, in any context but NMI.
    fn try_put<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        mut accept: impl FnMut(Option<P::Seen<'_>>) -> bool,
        dirty_hit: DirtyHit,
    ) -> TryPutResult<'m, P> {
        if !P::is_for(&value, &self.reclaimer) {
            return Err(TryStoreError {
                error: EINVAL,
                value,
            });
        }
        let hash = self.hash(key);
        let (tried, due) = self.put_lock_free(hash, key, value, &mut accept, dirty_hit);
        self.promote_later(due);
        match tried {
            Put::Full(value) => Err(TryStoreError {
                error: edquot(),
                value,
            }),
            Put::Expunged(value) => Err(TryStoreError {
                error: EAGAIN,
                value,
            }),
            done => Ok(done),
        }
    }

    /// Stores a value without sleeping: in place of one that is there, or in a deleted entry that
    /// has not been expunged yet. Any context but NMI; lock-free.
    pub fn try_store<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
    ) -> core::result::Result<Option<P::Old<'m>>, TryStoreError<P::Value<'m>>> {
        Ok(self.try_put(key, value, |_| true, DirtyHit::Free)?.old())
    }

    /// [`Map::load_or_store_with`] without sleeping, where [`Map::try_store`] would store. Any context
    /// but NMI; lock-free.
    pub fn try_load_or_store_with<'m, R>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        mut look: impl FnMut(P::Seen<'_>) -> R,
    ) -> core::result::Result<LoadOrStore<R, P::Value<'m>>, TryStoreError<P::Value<'m>>> {
        let mut looked = None;
        let accept = |seen: Option<P::Seen<'_>>| {
            looked = seen.map(&mut look);
            looked.is_none()
        };
        let put = self.try_put(key, value, accept, DirtyHit::Miss)?;
        Ok(LoadOrStore::of(put, looked))
    }

    /// Deletes a key without sleeping, and returns its value. Any context but NMI; lock-free.
    pub fn try_delete(&self, key: &K::Ref) -> Option<P::Old<'_>> {
        let guard = rcu::read_lock();
        match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, table) | Found::Dirty(entry, table) => {
                self.delete_entry(&entry, &table, |_| true, &guard, Context::Any)
            }
            Found::Nowhere | Found::Missed(_) => None,
        }
    }

    /// [`Map::compare_and_swap_prepared`] in any context but NMI.
    pub fn try_compare_and_swap<'m>(
        &'m self,
        key: &K::Ref,
        value: P::Value<'m>,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> core::result::Result<P::Old<'m>, P::Value<'m>> {
        let (done, due) = self.compare_and_swap_counting(key, value, accept);
        self.promote_later(due);
        done
    }

    /// [`Map::compare_and_delete_with`] in any context but NMI.
    pub fn try_compare_and_delete(
        &self,
        key: &K::Ref,
        accept: impl FnMut(P::Seen<'_>) -> bool,
    ) -> Option<P::Old<'_>> {
        let (old, due) = self.compare_and_delete_counting(key, accept, Context::Any);
        self.promote_later(due);
        old
    }

    /// [`Map::load_with`] in any context but NMI.
    pub fn try_load_with<R>(&self, key: &K::Ref, look: impl FnOnce(P::Seen<'_>) -> R) -> Option<R> {
        let (looked, due) = self.load_counting(key, look);
        self.promote_later(due);
        looked
    }

    /// Leaves a promotion to the worker, if it is due.
    fn promote_later(&self, due: bool) {
        if due {
            self.worker.request_promotion(Context::Any);
        }
    }
}
