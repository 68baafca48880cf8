// SPDX-License-Identifier: GPL-2.0

//! The map for the bench: a C function for each operation, length of keys and kind of values.
//!
//! Each is what a user would export to C: it takes the read-side critical section where there is one
//! to take, and calls the library. Their prototypes are in `syncmap.c`.
//!
//! The references that they take are pointers to C, which keeps to their rules: they are valid for the
//! call, and `map` comes from the `create` of the same name.

use core::ptr::null_mut;
use kernel::prelude::*;
use kernel::sync::rcu;
use kernel::types::ForeignOwnable;
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::outcome::{LoadOrStore, StoreError};
use syncmap::value::{Borrowed, Old, Pointer};
use syncmap::{Options, SyncMap};

type Visit<K> = unsafe extern "C" fn(*const K, *mut c_void, *mut c_void) -> bool;

/// What a store that failed returns.
fn failed<K, V>(error: StoreError<K, V>) -> c_int {
    error.error.to_errno()
}

/// The evidence for a read-side section that C code has begun.
///
/// # Safety
///
/// There is one, for as long as the evidence is used.
#[inline]
unsafe fn callers_section<'g>() -> &'g rcu::Guard {
    const { assert!(size_of::<rcu::Guard>() == 0) };
    // SAFETY: A reference to nothing; by the contract of the function, what it stands for is there.
    unsafe { core::ptr::NonNull::dangling().as_ref() }
}

/// The word that a value is, and the other way round.
fn word(value: u64) -> *mut c_void {
    value as *mut c_void
}

fn number(word: *mut c_void) -> u64 {
    word as u64
}

fn word_of_pointer(old: &Pointer) -> *mut c_void {
    old.get().as_ptr()
}

fn word_of_old(old: &Old<'_, Fixed<u64>>) -> *mut c_void {
    word(**old)
}

/// The operations that are the same for all kinds of values; `$word` makes a word of a displaced one.
macro_rules! common {
    ($prefix:ident, $len:literal, $key:ty, $map:ty, $new:expr, $word:ident) => {
        kernel::macros::paste! {
            #[no_mangle]
            extern "C" fn [<$prefix _ $len _create>](_keys: c_ulong) -> *mut c_void {
                match KBox::pin_init($new, GFP_KERNEL) {
                    Ok(map) => map.into_foreign(),
                    Err(_) => null_mut(),
                }
            }

            /// # Safety
            ///
            /// `map` comes from `create`, and nobody uses it any more.
            #[no_mangle]
            unsafe extern "C" fn [<$prefix _ $len _destroy>](map: *mut c_void) {
                // SAFETY: By the contract of the function.
                drop(unsafe { <Pin<KBox<$map>>>::from_foreign(map) });
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _store>](
                map: &$map,
                key: &$key,
                value: *mut c_void,
            ) -> c_int {
                let mut old = null_mut();
                [<$prefix _ $len _swap>](map, key, value, &mut old)
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _delete>](map: &$map, key: &$key) -> bool {
                map.delete(key)
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _load_and_delete>](
                map: &$map,
                key: &$key,
                old: &mut *mut c_void,
            ) -> bool {
                match map.load_and_delete(key) {
                    Some(was) => {
                        *old = $word(&was);
                        true
                    }
                    None => false,
                }
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _clear>](map: &$map) -> c_int {
                map.clear(GFP_KERNEL).map_or_else(|error| error.to_errno(), |()| 0)
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _promote>](map: &$map) {
                map.promote_now();
            }

            /// Waits for a grace period or two; whether no deleted keys are left.
            #[no_mangle]
            extern "C" fn [<$prefix _ $len _settle>](map: &$map) -> bool {
                map.drain();
                let stats = map.stats();
                stats.read_slots.max(stats.dirty_slots) <= stats.entries && stats.retired_bytes == 0
            }

            #[no_mangle]
            extern "C" fn [<$prefix _ $len _bytes>](map: &$map) -> c_ulong {
                map.stats().bytes
            }
        }
    };
}

/// A map to pointers of the caller's.
macro_rules! borrowed {
    ($len:literal, $key:ty) => {
        common!(
            syncmap,
            $len,
            $key,
            Map<Fixed<$key>, Borrowed>,
            Map::<Fixed<$key>, Borrowed>::with_policy(
                // SAFETY: There is nothing to release.
                unsafe { Borrowed::new(None) },
                Options::default(),
                GFP_KERNEL
            ),
            word_of_pointer
        );

        kernel::macros::paste! {
            /// # Safety
            ///
            /// The caller is in a read-side section.
            #[no_mangle]
            unsafe extern "C" fn [<syncmap_ $len _lookup>](
                map: &Map<Fixed<$key>, Borrowed>,
                key: &$key,
            ) -> *mut c_void {
                // SAFETY: By the contract of the function.
                let guard = unsafe { callers_section() };
                map.peek(key, guard)
                    .map_or(null_mut(), |found| found.get().as_ptr())
            }

            #[no_mangle]
            extern "C" fn [<syncmap_ $len _swap>](
                map: &Map<Fixed<$key>, Borrowed>,
                key: &$key,
                value: *mut c_void,
                old: &mut *mut c_void,
            ) -> c_int {
                let value = match Pointer::new(value) {
                    Ok(value) => value,
                    Err(error) => return error.to_errno(),
                };
                *old = null_mut();
                match map.swap_prepared(*key, value, GFP_KERNEL) {
                    Ok(Some(was)) => {
                        *old = was.get().as_ptr();
                        1
                    }
                    Ok(None) => 0,
                    Err(error) => failed(error),
                }
            }

            #[no_mangle]
            extern "C" fn [<syncmap_ $len _load_or_store>](
                map: &Map<Fixed<$key>, Borrowed>,
                key: &$key,
                value: *mut c_void,
                actual: &mut *mut c_void,
            ) -> c_int {
                let new = match Pointer::new(value) {
                    Ok(new) => new,
                    Err(error) => return error.to_errno(),
                };
                match map.load_or_store_with(*key, new, Pointer::get, GFP_KERNEL) {
                    Ok(LoadOrStore::Loaded(loaded, _)) => {
                        *actual = loaded.as_ptr();
                        1
                    }
                    Ok(LoadOrStore::Stored) => {
                        *actual = value;
                        0
                    }
                    Err(error) => failed(error),
                }
            }

            /// # Safety
            ///
            /// `visit` may be called with `arg`, and does not sleep.
            #[no_mangle]
            unsafe extern "C" fn [<syncmap_ $len _range>](
                map: &Map<Fixed<$key>, Borrowed>,
                visit: Visit<$key>,
                arg: *mut c_void,
            ) -> c_ulong {
                let mut calls = 0;
                map.range_rcu(|key, value| {
                    calls += 1;
                    // SAFETY: By the contract of the function.
                    unsafe { visit(key, value.get().as_ptr(), arg) }
                });
                calls
            }

            #[no_mangle]
            extern "C" fn [<syncmap_ $len _compare_and_swap>](
                map: &Map<Fixed<$key>, Borrowed>,
                key: &$key,
                old: *mut c_void,
                new: *mut c_void,
            ) -> c_int {
                let new = match Pointer::new(new) {
                    Ok(new) => new,
                    Err(error) => return error.to_errno(),
                };
                let done = map.compare_and_swap_prepared(key, new, |seen| seen.get().as_ptr() == old);
                c_int::from(done.is_ok())
            }

            #[no_mangle]
            extern "C" fn [<syncmap_ $len _compare_and_delete>](
                map: &Map<Fixed<$key>, Borrowed>,
                key: &$key,
                old: *mut c_void,
            ) -> bool {
                map.compare_and_delete_with(key, |seen| seen.get().as_ptr() == old)
                    .is_some()
            }
        }
    };
}

/// A map to values in counted nodes.
macro_rules! counted {
    ($len:literal, $key:ty) => {
        common!(
            syncmap_counted,
            $len,
            $key,
            SyncMap<$key, u64>,
            SyncMap::<$key, u64>::new(Options::default(), GFP_KERNEL),
            word_of_old
        );

        kernel::macros::paste! {
            /// # Safety
            ///
            /// The caller is in a read-side section.
            #[no_mangle]
            unsafe extern "C" fn [<syncmap_counted_ $len _lookup>](
                map: &SyncMap<$key, u64>,
                key: &$key,
            ) -> *mut c_void {
                // SAFETY: By the contract of the function.
                let guard = unsafe { callers_section() };
                map.get(key, guard).map_or(null_mut(), |found| word(*found))
            }

            #[no_mangle]
            extern "C" fn [<syncmap_counted_ $len _swap>](
                map: &SyncMap<$key, u64>,
                key: &$key,
                value: *mut c_void,
                old: &mut *mut c_void,
            ) -> c_int {
                *old = null_mut();
                match map.swap(*key, number(value), GFP_KERNEL) {
                    Ok(Some(was)) => {
                        *old = word(*was);
                        1
                    }
                    Ok(None) => 0,
                    Err(error) => failed(error),
                }
            }

            #[no_mangle]
            extern "C" fn [<syncmap_counted_ $len _load_or_store>](
                map: &SyncMap<$key, u64>,
                key: &$key,
                value: *mut c_void,
                actual: &mut *mut c_void,
            ) -> c_int {
                match map.load_or_store(*key, number(value), GFP_KERNEL) {
                    Ok(LoadOrStore::Loaded(loaded, _)) => {
                        *actual = word(*loaded);
                        1
                    }
                    Ok(LoadOrStore::Stored) => {
                        *actual = value;
                        0
                    }
                    Err(error) => failed(error),
                }
            }

            #[no_mangle]
            extern "C" fn [<syncmap_counted_ $len _compare_and_swap>](
                map: &SyncMap<$key, u64>,
                key: &$key,
                old: *mut c_void,
                new: *mut c_void,
            ) -> c_int {
                match map.compare_and_swap(key, &number(old), number(new), GFP_KERNEL) {
                    Ok(_) => 1,
                    Err(refused) => refused.error.map_or(0, |error| error.to_errno()),
                }
            }

            #[no_mangle]
            extern "C" fn [<syncmap_counted_ $len _compare_and_delete>](
                map: &SyncMap<$key, u64>,
                key: &$key,
                old: *mut c_void,
            ) -> bool {
                map.compare_and_delete(key, &number(old)).is_some()
            }

            /// # Safety
            ///
            /// `visit` may be called with `arg`.
            #[no_mangle]
            unsafe extern "C" fn [<syncmap_counted_ $len _range>](
                map: &SyncMap<$key, u64>,
                visit: Visit<$key>,
                arg: *mut c_void,
            ) -> c_ulong {
                let mut calls = 0;
                map.range(|key, value| {
                    calls += 1;
                    // SAFETY: By the contract of the function.
                    unsafe { visit(key, word(*value), arg) }
                });
                calls
            }
        }
    };
}

borrowed!(8, u64);
borrowed!(16, [u8; 16]);
borrowed!(64, [u8; 64]);
counted!(8, u64);
counted!(16, [u8; 16]);
counted!(64, [u8; 64]);
