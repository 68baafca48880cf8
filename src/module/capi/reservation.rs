// SPDX-License-Identifier: GPL-2.0

//! The functions of a `struct syncmap_reservation`.

use core::ptr::NonNull;
use kernel::bindings::gfp_t;
use kernel::ffi::{c_uint, c_void};
use kernel::prelude::*;
use syncmap::gfp;
use syncmap::object::{Bytes, Fixed};
use syncmap::reserve::{Memory, Reservation};
use syncmap::value::Borrowed;

use super::map::{load_or_store, store};
use super::typed::{Any, Head, KeyOfKind, Passed};
use super::{err_ptr, is_err_or_null};

/// Memory for new keys of a map of any kind.
///
/// The lifetime is not the truth: C gives a reservation back before it destroys the map.
pub(super) enum AnyReservation {
    U32(Reservation<'static, Fixed<u32>, Borrowed>),
    U64(Reservation<'static, Fixed<u64>, Borrowed>),
    Bytes(Reservation<'static, Bytes, Borrowed>),
}

/// Where C has the memory for a new key come from. Two words, so that it is passed in registers.
#[derive(Clone, Copy)]
pub(super) struct AnyMemory<'r> {
    gfp: gfp_t,
    reservation: Option<&'r AnyReservation>,
}

impl<'r> AnyMemory<'r> {
    pub(super) fn of_gfp(gfp: gfp_t) -> Self {
        let reservation = None;
        Self { gfp, reservation }
    }

    fn of(reservation: &'r AnyReservation) -> Self {
        Self {
            gfp: 0,
            reservation: Some(reservation),
        }
    }

    /// The same for keys of one kind; `EINVAL` if those of the reservation are of another.
    #[inline]
    pub(super) fn typed<'m, K: KeyOfKind>(self) -> Result<Memory<'r, 'm, K, Borrowed>> {
        match self.reservation {
            None => Ok(Memory::Flags(gfp::from_c(self.gfp))),
            Some(any) => K::reservation(any).map(Memory::Reserved).ok_or(EINVAL),
        }
    }
}

/// # Safety
///
/// See the top of [`capi`](super); the reservation is given back before the map is destroyed.
#[no_mangle]
unsafe extern "C" fn __syncmap_reserve(
    map: *const Head,
    keys: c_uint,
    len: usize,
    gfp: gfp_t,
) -> *mut AnyReservation {
    let reserve = || {
        // SAFETY: By the contract of the function, longer than it is used.
        let map: Passed<'static> = unsafe { Passed::new(map)? };
        if keys == 0 || !map.head().fits(len) {
            return Err(EINVAL);
        }
        let (keys, flags) = (keys as usize, gfp::from_c(gfp));
        let any = match map.any() {
            Any::U32(map) => AnyReservation::U32(map.reserve(keys, flags)?),
            Any::U64(map) => AnyReservation::U64(map.reserve(keys, flags)?),
            Any::Bytes(map) => AnyReservation::Bytes(map.reserve_tails(keys, len, flags)?),
        };
        Ok(KBox::into_raw(KBox::new(any, flags)?))
    };
    reserve().unwrap_or_else(err_ptr)
}

/// # Safety
///
/// `reservation` is null, an error pointer, or comes from `reserve` and is not used any more.
#[no_mangle]
unsafe extern "C" fn syncmap_unreserve(reservation: *mut AnyReservation) {
    if !is_err_or_null(reservation) {
        // SAFETY: By the contract of the function.
        drop(unsafe { KBox::from_raw(reservation) });
    }
}

/// # Safety
///
/// As [`syncmap_unreserve`], but that it may be used.
unsafe fn reserved<'r>(reservation: *const AnyReservation) -> Result<AnyMemory<'r>> {
    match NonNull::new(reservation.cast_mut()) {
        Some(reservation) if !is_err_or_null(reservation.as_ptr()) => {
            // SAFETY: By the contract of the function.
            Ok(AnyMemory::of(unsafe { reservation.as_ref() }))
        }
        _ => Err(EINVAL),
    }
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_store_reserved(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    reservation: *const AnyReservation,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe {
        reserved(reservation).map_or_else(err_ptr, |memory| store(map, key, len, value, memory))
    }
}

/// # Safety
///
/// See the top of [`capi`](super).
#[no_mangle]
unsafe extern "C" fn syncmap_load_or_store_reserved(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    reservation: *const AnyReservation,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    unsafe {
        reserved(reservation).map_or_else(err_ptr, |memory| {
            load_or_store(map, key, len, value, memory)
        })
    }
}
