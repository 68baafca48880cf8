// SPDX-License-Identifier: GPL-2.0

//! The operations as most users want them: on values themselves, sized ones or bytes.
//!
//! Thin: each prepares its value, lets [`map`](crate::map) do the work, and takes the value out
//! again if that failed.

use core::mem::MaybeUninit;
use core::ops::Deref;
use kernel::alloc::Flags;
use kernel::prelude::*;
use kernel::sync::rcu::{self, Guard};

use crate::hash::Key;
use crate::map::Map;
use crate::object::{Bytes, Fixed, Stored};
use crate::outcome::{LoadOrStore, Options, StoreError, StoreResult};
use crate::reserve::Memory;
use crate::roots::Found;
use crate::value::{Counted, Displaced, Old, Prepared, Seen, ValueRef};

/// Why [`Map::compare_and_swap`] did not store the value, which comes back.
pub struct CompareError<V> {
    /// `None` if the key is absent or its value another one, else `ENOMEM`, `EDQUOT` or `EINTR`.
    pub error: Option<Error>,
    /// The value.
    pub value: V,
}

impl<K: Key, S: Stored> Map<K, Counted<S>> {
    /// Looks a key up, for as long as `guard` is held.
    ///
    /// Any context but NMI; never locks, never sleeps, never starts over. O(1).
    #[inline]
    pub fn get<'g>(&'g self, key: &K::Ref, guard: &'g Guard) -> Option<&'g S::Ref> {
        self.peek(key, guard).map(Seen::get)
    }

    /// Room for old values of this map, to retire them together.
    pub fn displaced(&self) -> Displaced<'_> {
        Displaced::new(&self.reclaimer)
    }

    /// Looks a key up and takes a reference to its value, which may be kept across sleeps.
    ///
    /// Any context but NMI; never waits for the lock.
    pub fn load(&self, key: &K::Ref) -> Option<ValueRef<'_, S>> {
        self.load_with(key, |seen| seen.count(&self.reclaimer))
    }

    /// Stores a prepared value unless the key has one, which is returned instead.
    ///
    /// Contexts and memory as for [`Map::swap_prepared`]. On failure nothing has changed.
    pub fn load_or_store_prepared<'r, 'm: 'r, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: Prepared<'m, S>,
        memory: impl Into<Memory<'r, 'm, K, Counted<S>>>,
    ) -> StoreResult<'k, LoadOrStore<ValueRef<'m, S>, Prepared<'m, S>>, K, Prepared<'m, S>> {
        self.load_or_store_with(key, value, |seen| seen.count(&self.reclaimer), memory)
    }

    /// The value of a key that is in read, where a lookup does not count as a miss.
    pub(crate) fn load_from_read(&self, key: &K::Ref) -> Option<ValueRef<'_, S>> {
        let guard = rcu::read_lock();
        match self.roots.lookup(self.hash(key), key, &guard) {
            Found::Read(entry, _) => {
                let seen = entry.get().load::<Counted<S>>(&guard)?;
                Some(seen.count(&self.reclaimer))
            }
            _ => None,
        }
    }
}

impl<K: Key, V: Send + Sync + 'static> Map<K, Counted<Fixed<V>>> {
    /// Makes an empty map of values of a sized type. Sleeps if `flags` allow it.
    pub fn new(options: Options, flags: Flags) -> impl PinInit<Self, Error> {
        Self::with_policy(Counted::NEW, options, flags)
    }

    /// Allocates what a value needs to be stored. Sleeps if `flags` allow it; with others, such as
    /// `GFP_ATOMIC`, any context but NMI. On failure the value comes back.
    pub fn prepare(
        &self,
        value: V,
        flags: Flags,
    ) -> core::result::Result<Prepared<'_, Fixed<V>>, (Error, V)> {
        match self.new_node(0, flags) {
            Ok(vacant) => Ok(Prepared {
                node: vacant.fill((), value),
            }),
            Err(error) => Err((error, value)),
        }
    }

    /// Stores a value; see [`Map::swap`].
    pub fn store<'k>(
        &self,
        key: K::Input<'k>,
        value: V,
        flags: Flags,
    ) -> StoreResult<'k, (), K, V> {
        self.swap(key, value, flags).map(drop)
    }

    /// Stores a value, and returns the one that it replaces.
    ///
    /// Any context but NMI; sleeps if `flags` allow it. On failure nothing has changed, and key and
    /// value come back.
    ///
    /// # Examples
    ///
    /// ```
    /// use syncmap::{Options, SyncMap};
    ///
    /// let map = KBox::pin_init(SyncMap::<u32, u64>::new(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
    /// assert!(map.swap(1, 10, GFP_KERNEL)?.is_none());
    /// // Others may still be reading the old value; it is freed when they cannot be any more.
    /// let old = map.swap(1, 11, GFP_KERNEL)?;
    /// assert_eq!(old.as_deref(), Some(&10));
    /// # drop(old);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn swap<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: V,
        flags: Flags,
    ) -> StoreResult<'k, Option<Old<'m, Fixed<V>>>, K, V> {
        match self.prepare(value, flags) {
            Ok(value) => self.swap_prepared(key, value, flags).map_err(unprepare),
            Err((error, value)) => Err(StoreError { error, key, value }),
        }
    }

    /// Stores a value unless the key has one, which is returned instead; otherwise as [`Map::swap`].
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::sync::Arc;
    /// use syncmap::outcome::LoadOrStore;
    /// use syncmap::{Options, SyncMap};
    ///
    /// type Users = SyncMap<u32, Arc<u64>>;
    /// let users = KBox::pin_init(Users::new(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
    /// // Whoever comes first decides which one it is.
    /// let find = |id: u32| -> Result<Arc<u64>> {
    ///     let new = Arc::new(u64::from(id) * 100, GFP_KERNEL)?;
    ///     match users.load_or_store(id, new.clone(), GFP_KERNEL)? {
    ///         LoadOrStore::Loaded(user, _) => Ok((*user).clone()),
    ///         LoadOrStore::Stored => Ok(new),
    ///     }
    /// };
    /// let user = find(7)?;
    /// assert!(Arc::ptr_eq(&user, &find(7)?));
    /// # drop(user);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn load_or_store<'m, 'k>(
        &'m self,
        key: K::Input<'k>,
        value: V,
        flags: Flags,
    ) -> StoreResult<'k, LoadOrStore<ValueRef<'m, Fixed<V>>, V>, K, V> {
        // Most often nothing is to be stored, and nothing need be allocated.
        if let Some(loaded) = self.load_from_read(K::query(&key)) {
            return Ok(LoadOrStore::Loaded(loaded, value));
        }
        let value = match self.prepare(value, flags) {
            Ok(value) => value,
            Err((error, value)) => return Err(StoreError { error, key, value }),
        };
        match self.load_or_store_prepared(key, value, flags) {
            Ok(LoadOrStore::Loaded(loaded, value)) => {
                Ok(LoadOrStore::Loaded(loaded, value.into_inner()))
            }
            Ok(LoadOrStore::Stored) => Ok(LoadOrStore::Stored),
            Err(e) => Err(unprepare(e)),
        }
    }
}

impl<K: Key, V: PartialEq + Send + Sync + 'static> Map<K, Counted<Fixed<V>>> {
    /// Stores `new` if the key has a value equal to `old`, and returns that; never creates a key.
    ///
    /// Any context but NMI; sleeps if `flags` allow it. `V::eq` runs in a read-side section.
    ///
    /// # Examples
    ///
    /// ```
    /// use syncmap::{Options, SyncMap};
    ///
    /// let map = KBox::pin_init(SyncMap::<u8, u64>::new(Options::default(), GFP_KERNEL), GFP_KERNEL)?;
    /// map.store(1, 10, GFP_KERNEL)?;
    /// assert!(map.compare_and_swap(&1, &10, 11, GFP_KERNEL).is_ok());
    /// let lost = map.compare_and_swap(&1, &10, 12, GFP_KERNEL);
    /// // The value comes back.
    /// assert_eq!(lost.err().map(|e| e.value), Some(12));
    /// assert!(map.compare_and_delete(&1, &11).is_some());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn compare_and_swap(
        &self,
        key: &K::Ref,
        old: &V,
        new: V,
        flags: Flags,
    ) -> core::result::Result<Old<'_, Fixed<V>>, CompareError<V>> {
        let new = self
            .prepare(new, flags)
            .map_err(|(error, value)| CompareError {
                error: Some(error),
                value,
            })?;
        self.compare_and_swap_prepared(key, new, |seen| seen.get() == old)
            .map_err(|value| CompareError {
                error: None,
                value: value.into_inner(),
            })
    }

    /// Deletes a key if it has a value equal to `old`, and returns that. Any context but NMI.
    pub fn compare_and_delete(&self, key: &K::Ref, old: &V) -> Option<Old<'_, Fixed<V>>> {
        self.compare_and_delete_with(key, |seen| seen.get() == old)
    }
}

impl<K: Key> Map<K, Counted<Bytes>> {
    /// Makes an empty map of byte values. Sleeps if `flags` allow it.
    pub fn new_bytes(options: Options, flags: Flags) -> impl PinInit<Self, Error> {
        Self::with_policy(Counted::NEW, options, flags)
    }

    /// Allocates a value of `len` bytes and lets `write` write it. Contexts as those of `write`, and
    /// as `flags` allow.
    pub fn prepare_bytes(
        &self,
        len: usize,
        flags: Flags,
        write: impl FnOnce(&mut [u8]) -> Result,
    ) -> Result<Prepared<'_, Bytes>> {
        self.prepare_uninit_bytes(len, flags, |bytes| {
            bytes.fill(MaybeUninit::new(0));
            // SAFETY: All of it has just been written.
            let bytes = unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [u8]) };
            write(bytes)?;
            Ok(bytes)
        })
    }

    /// The same for a `write` that gets memory without contents, and returns all of it, written.
    ///
    /// `EINVAL` if it returns something else.
    pub fn prepare_uninit_bytes(
        &self,
        len: usize,
        flags: Flags,
        write: impl for<'a> FnOnce(&'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8]>,
    ) -> Result<Prepared<'_, Bytes>> {
        let node = self.new_node(len, flags)?.fill_with((), write)?;
        Ok(Prepared { node })
    }

    /// Looks a key up and copies its value to `space`, if it fits; if not, takes a reference.
    ///
    /// Any context but NMI; never waits for the lock.
    pub fn load_copy<'m, 's>(
        &'m self,
        key: &K::Ref,
        space: &'s mut [u8],
    ) -> Option<CopyOrRef<'m, 's>> {
        self.load_with(key, |seen| {
            let value = seen.get();
            match space.get_mut(..value.len()) {
                Some(copy) => {
                    copy.copy_from_slice(value);
                    CopyOrRef::Copy(copy)
                }
                None => CopyOrRef::Ref(seen.count(&self.reclaimer)),
            }
        })
    }
}

/// A value that was loaded.
pub enum CopyOrRef<'m, 's> {
    /// A copy of it.
    Copy(&'s [u8]),
    /// A reference to it.
    Ref(ValueRef<'m, Bytes>),
}

impl Deref for CopyOrRef<'_, '_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            CopyOrRef::Copy(value) => value,
            CopyOrRef::Ref(value) => value,
        }
    }
}

fn unprepare<K, V: Send + Sync + 'static>(
    e: StoreError<K, Prepared<'_, Fixed<V>>>,
) -> StoreError<K, V> {
    StoreError {
        error: e.error,
        key: e.key,
        value: e.value.into_inner(),
    }
}
