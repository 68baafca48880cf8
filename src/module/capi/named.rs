// SPDX-License-Identifier: GPL-2.0

//! The functions of a `struct syncmap_named`.

use core::ptr::null;
use kernel::bindings::gfp_t;
use kernel::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use kernel::prelude::*;
use kernel::str::CStr;
use syncmap::gfp;

use super::{callers_section, err_ptr, errno, is_err_or_null};
use crate::abi;
use crate::holders::{Module, Reservation};
use crate::registry::{gfp as own_gfp, Access, Name, Registry, SharedMap};

/// `SYNCMAP_NAMED_CREATE`
const NAMED_CREATE: c_uint = 1 << 0;
/// `SYNCMAP_NAMED_WAIT`
const NAMED_WAIT: c_uint = 1 << 1;
/// `SYNCMAP_NAMED_ANY_OWNER`
const NAMED_ANY_OWNER: c_uint = 1 << 2;

type VisitNamed =
    unsafe extern "C" fn(*const c_void, usize, *const c_void, usize, *mut c_void) -> c_int;

/// # Safety
///
/// `name` is null, or a string.
#[no_mangle]
unsafe extern "C" fn __syncmap_named_get(
    name: *const c_char,
    flags: c_uint,
    mode: u32,
    owner: Module,
) -> *const SharedMap {
    let get = || {
        let known = NAMED_CREATE | NAMED_WAIT | NAMED_ANY_OWNER;
        if name.is_null() || flags & !known != 0 || mode & !0o777 != 0 {
            return Err(EINVAL);
        }
        // SAFETY: By the contract of the function.
        let name = Name::new(unsafe { CStr::from_char_ptr(name) }.to_bytes())?;
        let (create, wait) = (flags & NAMED_CREATE != 0, flags & NAMED_WAIT != 0);
        if create && wait {
            return Err(EINVAL);
        }
        let registry = Registry::get();
        // Before a name is made, so that nothing fails after that.
        let reservation = Reservation::new(own_gfp())?;
        let map = loop {
            match registry.wait(&name, wait, flags & NAMED_ANY_OWNER != 0) {
                Err(error) if error == ENOENT && create => {
                    let map = SharedMap::of_kernel()?;
                    match registry.add(name, Access::of_kernel(mode), map.clone()) {
                        // Somebody else has been faster; and perhaps taken it away again.
                        Err(error) if error == EEXIST => {}
                        done => {
                            done?;
                            break map;
                        }
                    }
                }
                found => break found?,
            }
        };
        Ok(registry.holders.hold(map, owner, reservation))
    };
    get().unwrap_or_else(|error| err_ptr(error))
}

/// # Safety
///
/// The caller does not use its reference any more.
#[no_mangle]
unsafe extern "C" fn __syncmap_named_put(named: *const SharedMap, owner: Module) {
    if !is_err_or_null(named) {
        Registry::get().holders.put(named, owner);
    }
}

/// A named map, and a key.
///
/// # Safety
///
/// See the top of [`capi`](super).
unsafe fn named<'k>(
    named: *const SharedMap,
    key: *const c_void,
    len: usize,
) -> Result<(&'k SharedMap, &'k [u8])> {
    if is_err_or_null(named) || key.is_null() || !(1..=abi::KEY_MAX).contains(&len) {
        return Err(EINVAL);
    }
    // SAFETY: By the contract of the function.
    Ok(unsafe { (&*named, core::slice::from_raw_parts(key.cast(), len)) })
}

/// # Safety
///
/// See the top of [`capi`](super); the caller is in a read-side section; `value_len` is null or valid for
/// writes.
#[no_mangle]
unsafe extern "C" fn __syncmap_named_lookup(
    map: *const SharedMap,
    key: *const c_void,
    len: usize,
    value_len: *mut usize,
) -> *const c_void {
    // SAFETY: By the contract of the function.
    let Ok((map, key)) = (unsafe { named(map, key, len) }) else {
        return null();
    };
    // SAFETY: By the contract of the function.
    let Some(value) = map.map.get(key, unsafe { callers_section() }) else {
        return null();
    };
    if !value_len.is_null() {
        // SAFETY: By the contract of the function.
        unsafe { value_len.write(value.len()) };
    }
    value.as_ptr().cast()
}

/// # Safety
///
/// See the top of [`capi`](super); `value` is valid for reads of `value_len` bytes.
#[no_mangle]
unsafe extern "C" fn __syncmap_named_store(
    map: *const SharedMap,
    key: *const c_void,
    len: usize,
    value: *const c_void,
    value_len: usize,
    gfp: gfp_t,
) -> c_int {
    let store = || {
        // SAFETY: By the contract of the function.
        let (map, key) = unsafe { named(map, key, len)? };
        if value_len > abi::VALUE_MAX {
            return Err(E2BIG);
        }
        let value = match value_len {
            0 => &[][..],
            _ if value.is_null() => return Err(EINVAL),
            // SAFETY: By the contract of the function.
            _ => unsafe { core::slice::from_raw_parts(value.cast::<u8>(), value_len) },
        };
        let flags = gfp::from_c(gfp);
        let value = map.map.prepare_bytes(value_len, flags, |bytes| {
            bytes.copy_from_slice(value);
            Ok(())
        })?;
        map.map.swap_prepared(key, value, flags)?;
        Ok(0)
    };
    errno(store())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_named_delete(
    map: *const SharedMap,
    key: *const c_void,
    len: usize,
) -> c_int {
    let delete = || {
        // SAFETY: By the contract of the function.
        let (map, key) = unsafe { named(map, key, len)? };
        Ok(map.map.delete(key).into())
    };
    errno(delete())
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_named_len(map: *const SharedMap) -> c_ulong {
    match is_err_or_null(map) {
        true => 0,
        // SAFETY: By the contract of the function.
        false => unsafe { &*map }.map.len(),
    }
}

/// # Safety
///
/// See the top of [`capi`](super); `visit` may be called with `arg`.
#[no_mangle]
unsafe extern "C" fn __syncmap_named_range(
    map: *const SharedMap,
    visit: Option<VisitNamed>,
    arg: *mut c_void,
) -> c_int {
    let (false, Some(visit)) = (is_err_or_null(map), visit) else {
        return EINVAL.to_errno();
    };
    let mut answer = 0;
    // SAFETY: By the contract of the function.
    unsafe { &*map }.map.range_rcu(|key, value| {
        let value = value.get();
        // SAFETY: By the contract of the function.
        answer = unsafe {
            visit(
                key.as_ptr().cast(),
                key.len(),
                value.as_ptr().cast(),
                value.len(),
                arg,
            )
        };
        answer == 0
    });
    answer
}
