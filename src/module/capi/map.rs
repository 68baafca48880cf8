// SPDX-License-Identifier: GPL-2.0

//! The functions of a `struct syncmap`.

use core::ptr::null_mut;
use kernel::bindings::gfp_t;
use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use syncmap::gfp;
use syncmap::hash::Key;
use syncmap::map::Map;
use syncmap::object::Fixed;
use syncmap::outcome::LoadOrStore;
use syncmap::value::{Borrowed, Pointer};

use super::reference::{Attempts, Looked, Reference, References};
use super::reservation::AnyMemory;
use super::typed::{with_key, with_map, with_query};
use super::typed::{Any, AnyKey, Head, KeyOfKind, OwnedMap, Params, Passed};
use super::{callers_section, err_ptr, errno, is_err_or_null};
use crate::holders::Module;
use crate::registry::Registry;

type Visit = unsafe extern "C" fn(*const c_void, usize, *mut c_void, *mut c_void) -> c_int;

fn pointer_or_error(result: Result<*mut c_void>) -> *mut c_void {
    result.unwrap_or_else(err_ptr)
}

/// A value that can be stored: error pointers are for errors.
fn pointer(value: *mut c_void) -> Result<Pointer> {
    match is_err_or_null(value) {
        true => Err(EINVAL),
        false => Pointer::new(value),
    }
}

/// A map, and a key.
///
/// # Safety
///
/// See the top of [`capi`](super).
#[inline(always)]
unsafe fn passed<'m>(map: *const Head, key: *const c_void, len: usize) -> Result<AnyKey<'m>> {
    // SAFETY: By the contract of the function.
    unsafe { Passed::new(map)?.key(key, len) }
}

/// # Safety
///
/// `params` is null, or its functions keep to what the header says.
#[no_mangle]
unsafe extern "C" fn __syncmap_create(
    params: *const Params,
    gfp: gfp_t,
    owner: Module,
) -> *mut Head {
    if params.is_null() || !gfp::may_block(gfp::from_c(gfp)) {
        return err_ptr(EINVAL);
    }
    // SAFETY: By the contract of the function.
    let made = OwnedMap::new(unsafe { &*params }, gfp);
    let at = made.and_then(|map| {
        let at = map.as_ptr();
        let added = Registry::get().holders.add(map, owner, gfp::from_c(gfp));
        added.map(|()| at)
    });
    at.unwrap_or_else(err_ptr)
}

/// # Safety
///
/// Nobody uses the map any more.
#[no_mangle]
unsafe extern "C" fn __syncmap_destroy(map: *mut Head, owner: Module) {
    if !is_err_or_null(map) {
        drop(Registry::get().holders.take(map.addr(), owner));
    }
}

/// # Safety
///
/// See the top of [`capi`](super); the caller is in a read-side section.
#[no_mangle]
unsafe extern "C" fn __syncmap_lookup(
    map: *const Head,
    key: *const c_void,
    len: usize,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    let Ok(key) = (unsafe { passed(map, key, len) }) else {
        return null_mut();
    };
    // SAFETY: By the contract of the function.
    let section = unsafe { callers_section() };
    with_query!(key, |map, key| found(map.peek(key, section)))
}

/// # Safety
///
/// As [`__syncmap_lookup`].
#[no_mangle]
unsafe extern "C" fn __syncmap_lookup_u32(map: *const Head, key: u32) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe { lookup_number(map, key) }
}

/// # Safety
///
/// As [`__syncmap_lookup`].
#[no_mangle]
unsafe extern "C" fn __syncmap_lookup_u64(map: *const Head, key: u64) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe { lookup_number(map, key) }
}

/// # Safety
///
/// As [`__syncmap_lookup`].
#[inline(always)]
unsafe fn lookup_number<T>(map: *const Head, key: T) -> *mut c_void
where
    Fixed<T>: KeyOfKind<Ref = T>,
{
    // SAFETY: By the contract of the function.
    let map = unsafe { Passed::new(map) }.ok();
    let Some(map) = map.and_then(Passed::typed::<Fixed<T>>) else {
        return null_mut();
    };
    // SAFETY: By the contract of the function.
    found(map.peek(&key, unsafe { callers_section() }))
}

fn found(value: Option<Pointer>) -> *mut c_void {
    value.map_or(null_mut(), |value| value.get().as_ptr())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn __syncmap_load(
    map: *const Head,
    key: *const c_void,
    len: usize,
) -> *mut c_void {
    let load = || {
        // SAFETY: By the contract of the function.
        let (references, key) = unsafe {
            let map = Passed::new(map)?;
            let references = map.head().references.ok_or(EINVAL)?;
            (references, map.key(key, len)?)
        };
        let mut attempts = Attempts::default();
        loop {
            let look = |value| references.take(value).ok_or(value);
            match with_query!(key, |map, key| map.load_with(key, look)) {
                None => return Ok(null_mut()),
                Some(Ok(reference)) => return Ok(reference.into_raw()),
                Some(Err(value)) => attempts.failed(value)?,
            }
        }
    };
    pointer_or_error(load())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn __syncmap_store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    gfp: gfp_t,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe { store(map, key, len, value, AnyMemory::of_gfp(gfp)) }
}

/// # Safety
///
/// See the top of [`capi`](super).
#[inline]
pub(super) unsafe fn store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    memory: AnyMemory<'_>,
) -> *mut c_void {
    let value = match pointer(value) {
        Ok(value) => value,
        Err(error) => return err_ptr(error),
    };
    // SAFETY: By the contract of the function.
    match unsafe { passed(map, key, len) } {
        Ok(key) => with_key!(key, |map, key| store_typed(map, key, value, memory)),
        Err(error) => err_ptr(error),
    }
}

/// Not inlined, like the other functions that are for keys of one kind: those for the others would need
/// more registers.
#[inline(never)]
fn store_typed<'k, K: KeyOfKind>(
    map: &Map<K, Borrowed>,
    key: K::Input<'k>,
    value: Pointer,
    memory: AnyMemory<'_>,
) -> *mut c_void {
    let stored = memory.typed().and_then(|memory| {
        let stored = map.swap_prepared(key, value, memory);
        stored.map_err(|e| e.error)
    });
    stored.map_or_else(err_ptr, found)
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn __syncmap_load_or_store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    gfp: gfp_t,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe { load_or_store(map, key, len, value, AnyMemory::of_gfp(gfp)) }
}

/// # Safety
///
/// See the top of [`capi`](super).
#[inline]
pub(super) unsafe fn load_or_store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    memory: AnyMemory<'_>,
) -> *mut c_void {
    let load_or_store = || {
        // SAFETY: By the contract of the function.
        let map = unsafe { Passed::new(map)? };
        let references = map.head().references;
        let value = pointer(value)?;
        let mut attempts = Attempts::default();
        loop {
            // SAFETY: By the contract of the function.
            let key = unsafe { map.key(key, len)? };
            // May be called several times; only the last reference is handed on.
            let look = |seen: Pointer| match references.map(|r| r.take(seen)) {
                Some(Some(reference)) => Looked::Taken(reference),
                Some(None) => Looked::Dying(seen),
                None => Looked::Seen(seen),
            };
            let done = with_key!(key, |map, key| {
                map.load_or_store_with(key, value, look, memory.typed()?)
                    .map_err(|e| e.error)?
            });
            match done {
                LoadOrStore::Stored => return Ok(null_mut()),
                LoadOrStore::Loaded(Looked::Taken(value), _) => return Ok(value.into_raw()),
                LoadOrStore::Loaded(Looked::Seen(value), _) => return Ok(found(Some(value))),
                LoadOrStore::Loaded(Looked::Dying(value), _) => attempts.failed(value)?,
            }
        }
    };
    pointer_or_error(load_or_store())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_load_and_delete(
    map: *const Head,
    key: *const c_void,
    len: usize,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    match unsafe { passed(map, key, len) } {
        Ok(key) => with_query!(key, |map, key| delete_typed(map, key)),
        Err(error) => err_ptr(error),
    }
}

#[inline(never)]
fn delete_typed<K: KeyOfKind>(map: &Map<K, Borrowed>, key: &K::Ref) -> *mut c_void {
    found(map.load_and_delete(key))
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_compare_and_swap(
    map: *const Head,
    key: *const c_void,
    len: usize,
    old: *const c_void,
    new: *mut c_void,
) -> c_int {
    let swap = || {
        // SAFETY: By the contract of the function.
        let key = unsafe { passed(map, key, len)? };
        let new = pointer(new)?;
        let is_old = |seen: Pointer| core::ptr::eq(seen.get().as_ptr(), old);
        let done = with_query!(key, |map, key| {
            map.compare_and_swap_prepared(key, new, is_old)
        });
        Ok(done.is_ok().into())
    };
    errno(swap())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_compare_and_delete(
    map: *const Head,
    key: *const c_void,
    len: usize,
    old: *const c_void,
) -> c_int {
    let delete = || {
        // SAFETY: By the contract of the function.
        let key = unsafe { passed(map, key, len)? };
        let is_old = |seen: Pointer| core::ptr::eq(seen.get().as_ptr(), old);
        let done = with_query!(key, |map, key| { map.compare_and_delete_with(key, is_old) });
        Ok(done.is_some().into())
    };
    errno(delete())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn __syncmap_clear(map: *const Head) -> c_int {
    let clear = || {
        // SAFETY: By the contract of the function.
        let map = unsafe { Passed::new(map)? };
        with_map!(map.any(), |map| map.clear(GFP_KERNEL))?;
        Ok(0)
    };
    errno(clear())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_len(map: *const Head) -> usize {
    // SAFETY: By the contract of the function.
    match unsafe { Passed::new(map) } {
        Ok(map) => with_map!(map.any(), |map| map.len()),
        Err(_) => 0,
    }
}

/// # Safety
///
/// See the top of [`capi`](super); `visit` may be called with `arg`.
#[no_mangle]
unsafe extern "C" fn __syncmap_range(
    map: *const Head,
    visit: Option<Visit>,
    arg: *mut c_void,
) -> c_int {
    let mut answer = 0;
    let mut range = || {
        // SAFETY: By the contract of the function.
        let map = unsafe { Passed::new(map)? };
        let references = map.head().references;
        let visit = visit.ok_or(EINVAL)?;
        let mut visit = |key: *const c_void, len: usize, value: *mut c_void| {
            // SAFETY: By the contract of the function.
            answer = unsafe { visit(key, len, value, arg) };
            answer == 0
        };
        match map.any() {
            Any::U32(map) => range_numbers(map, references, &mut visit),
            Any::U64(map) => range_numbers(map, references, &mut visit),
            Any::Bytes(map) => {
                range_keys(map, references, |key: &[u8], value| {
                    visit(key.as_ptr().cast(), key.len(), value)
                });
            }
        }
        Ok(0)
    };
    match range() {
        Ok(_) => answer,
        Err(error) => Error::to_errno(error),
    }
}

fn range_numbers<T>(
    map: &Map<Fixed<T>, Borrowed>,
    references: Option<References>,
    visit: &mut impl FnMut(*const c_void, usize, *mut c_void) -> bool,
) where
    Fixed<T>: Key<Ref = T>,
{
    range_keys(map, references, |key: &T, value| {
        visit(core::ptr::from_ref(key).cast(), size_of::<T>(), value)
    });
}

/// With references, if the map takes any; else in read-side sections.
fn range_keys<K: Key>(
    map: &Map<K, Borrowed>,
    references: Option<References>,
    mut visit: impl FnMut(&K::Ref, *mut c_void) -> bool,
) {
    match references {
        None => map.range_rcu(|key, value| visit(key, value.get().as_ptr())),
        Some(references) => map.range_with(
            |value| references.take(value),
            |key, reference: &Reference| visit(key, reference.value.get().as_ptr()),
        ),
    }
}
