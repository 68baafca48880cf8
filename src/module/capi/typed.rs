// SPDX-License-Identifier: GPL-2.0

//! What is behind a `struct syncmap`: a map of pointers, by keys of one of three kinds, numbers of 4
//! or 8 bytes, and bytes.
//!
//! Each is a [`Typed`]. What C has is the address of the [`Head`] that it begins with, and that tells
//! the kind.

use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::bindings::gfp_t;
use kernel::ffi::c_void;
use kernel::prelude::*;
use syncmap::gfp;
use syncmap::hash::Key;
use syncmap::map::Map;
use syncmap::object::{Bytes, Fixed};
use syncmap::reserve::Reservation;
use syncmap::value::{Borrowed, Release};
use syncmap::{Limits, Options};

use super::is_err_or_null;
use super::reference::{Get, References};
use super::reservation::AnyReservation;
use crate::abi;

/// `struct syncmap_params`
#[repr(C)]
pub(super) struct Params {
    key_len: usize,
    max_entries: usize,
    max_bytes: usize,
    release: Option<Release>,
    get: Option<Get>,
    put: Option<Release>,
}

/// What the keys of a map are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U32,
    U64,
    Bytes,
}

/// What every `struct syncmap` begins with.
#[repr(C)]
pub(super) struct Head {
    kind: Kind,
    /// Bytes of every key; 0 if they vary.
    key_len: usize,
    pub(super) references: Option<References>,
}

impl Head {
    /// Whether a key may be that long.
    pub(super) fn fits(&self, len: usize) -> bool {
        match self.key_len {
            0 => (1..=abi::KEY_MAX).contains(&len),
            fixed => len == fixed,
        }
    }
}

/// A map of pointers, by keys of one kind.
///
/// # Invariants
///
/// `head.kind` is that of `K`.
#[repr(C)]
#[pin_data]
struct Typed<K: Key> {
    head: Head,
    #[pin]
    map: Map<K, Borrowed>,
}

/// A map of pointers, by keys of any kind.
pub(super) enum Any<'m> {
    U32(&'m Map<Fixed<u32>, Borrowed>),
    U64(&'m Map<Fixed<u64>, Borrowed>),
    Bytes(&'m Map<Bytes, Borrowed>),
}

/// A key of a kind.
pub(super) enum AnyKey<'k> {
    U32(&'k Map<Fixed<u32>, Borrowed>, u32),
    U64(&'k Map<Fixed<u64>, Borrowed>, u64),
    Bytes(&'k Map<Bytes, Borrowed>, &'k [u8]),
}

/// Runs `$body` with the map and a reference to the key of an `AnyKey`, whatever their types.
macro_rules! with_query {
    ($any:expr, |$map:ident, $key:ident| $body:expr) => {
        match $any {
            AnyKey::U32($map, ref $key) => $body,
            AnyKey::U64($map, ref $key) => $body,
            AnyKey::Bytes($map, $key) => $body,
        }
    };
}
pub(super) use with_query;

/// The same with the key itself, as a store wants it.
macro_rules! with_key {
    ($any:expr, |$map:ident, $key:ident| $body:expr) => {
        match $any {
            AnyKey::U32($map, $key) => $body,
            AnyKey::U64($map, $key) => $body,
            AnyKey::Bytes($map, $key) => $body,
        }
    };
}
pub(super) use with_key;

/// Runs `$body` with the map of an `Any`, whatever its type.
macro_rules! with_map {
    ($any:expr, |$map:ident| $body:expr) => {
        match $any {
            Any::U32($map) => $body,
            Any::U64($map) => $body,
            Any::Bytes($map) => $body,
        }
    };
}
pub(super) use with_map;

/// What can be the keys of a map.
///
/// # Safety
///
/// `KIND` is another one for each.
pub(super) unsafe trait KeyOfKind: Key {
    const KIND: Kind;

    /// A reservation for keys of this kind.
    fn reservation(any: &AnyReservation) -> Option<&Reservation<'static, Self, Borrowed>>;
}

// SAFETY: These three.
unsafe impl KeyOfKind for Fixed<u32> {
    const KIND: Kind = Kind::U32;

    fn reservation(any: &AnyReservation) -> Option<&Reservation<'static, Self, Borrowed>> {
        match any {
            AnyReservation::U32(reservation) => Some(reservation),
            _ => None,
        }
    }
}
// SAFETY: As above.
unsafe impl KeyOfKind for Fixed<u64> {
    const KIND: Kind = Kind::U64;

    fn reservation(any: &AnyReservation) -> Option<&Reservation<'static, Self, Borrowed>> {
        match any {
            AnyReservation::U64(reservation) => Some(reservation),
            _ => None,
        }
    }
}
// SAFETY: As above.
unsafe impl KeyOfKind for Bytes {
    const KIND: Kind = Kind::Bytes;

    fn reservation(any: &AnyReservation) -> Option<&Reservation<'static, Self, Borrowed>> {
        match any {
            AnyReservation::Bytes(reservation) => Some(reservation),
            _ => None,
        }
    }
}

/// A map that C has passed.
///
/// # Invariants
///
/// Points to the head of a `Typed`, of the kind that the head says, which is valid for `'m`. A
/// pointer, because the map is beyond what a reference to the head covers.
#[derive(Clone, Copy)]
pub(super) struct Passed<'m>(NonNull<Head>, PhantomData<&'m Head>);

impl<'m> Passed<'m> {
    /// # Safety
    ///
    /// See the top of [`capi`](super).
    #[inline]
    pub(super) unsafe fn new(map: *const Head) -> Result<Self> {
        match NonNull::new(map.cast_mut()) {
            Some(map) if !is_err_or_null(map.as_ptr()) => Ok(Self(map, PhantomData)),
            _ => Err(EINVAL),
        }
    }

    pub(super) fn head(self) -> &'m Head {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }

    /// The map behind the head, if its keys are these.
    #[inline]
    pub(super) fn typed<K: KeyOfKind>(self) -> Option<&'m Map<K, Borrowed>> {
        if self.head().kind != K::KIND {
            return None;
        }
        // SAFETY: By the type invariant, and as a kind stands for one type of keys.
        Some(unsafe { &self.0.cast::<Typed<K>>().as_ref().map })
    }

    #[inline(always)]
    pub(super) fn any(self) -> Any<'m> {
        match (self.typed(), self.typed(), self.typed()) {
            (Some(map), _, _) => Any::U32(map),
            (_, Some(map), _) => Any::U64(map),
            (_, _, Some(map)) => Any::Bytes(map),
            // PANICS: Never: a kind is one of the three.
            _ => unreachable!(),
        }
    }

    /// The map, and a key that C has passed.
    ///
    /// # Safety
    ///
    /// See the top of [`capi`](super).
    #[inline(always)]
    pub(super) unsafe fn key(self, key: *const c_void, len: usize) -> Result<AnyKey<'m>> {
        if key.is_null() {
            return Err(EINVAL);
        }
        match self.any() {
            // SAFETY: By the contract of the function, and the length.
            Any::U32(map) if len == size_of::<u32>() => Ok(AnyKey::U32(map, unsafe {
                key.cast::<u32>().read_unaligned()
            })),
            // SAFETY: As above.
            Any::U64(map) if len == size_of::<u64>() => Ok(AnyKey::U64(map, unsafe {
                key.cast::<u64>().read_unaligned()
            })),
            Any::Bytes(map) if self.head().fits(len) => {
                // SAFETY: As above.
                Ok(AnyKey::Bytes(map, unsafe {
                    core::slice::from_raw_parts(key.cast(), len)
                }))
            }
            _ => Err(EINVAL),
        }
    }
}

/// The owner of a `struct syncmap`.
pub(crate) struct OwnedMap(NonNull<Head>);

// SAFETY: Maps may be used and dropped by any thread.
unsafe impl Send for OwnedMap {}

impl OwnedMap {
    pub(super) fn new(params: &Params, gfp: gfp_t) -> Result<Self> {
        let references = match (params.get, params.put) {
            (Some(get), Some(put)) => Some(References { get, put }),
            (None, None) => None,
            _ => return Err(EINVAL),
        };
        let none = |limit| if limit == 0 { usize::MAX } else { limit };
        let options = Options {
            limits: Limits {
                entries: none(params.max_entries),
                bytes: none(params.max_bytes),
                ..Limits::NONE
            },
            ..Options::default()
        };
        match params.key_len {
            4 => Self::of_keys::<Fixed<u32>>(references, params, options, gfp),
            8 => Self::of_keys::<Fixed<u64>>(references, params, options, gfp),
            len if len <= abi::KEY_MAX => Self::of_keys::<Bytes>(references, params, options, gfp),
            _ => Err(EINVAL),
        }
    }

    fn of_keys<K: KeyOfKind>(
        references: Option<References>,
        params: &Params,
        options: Options,
        gfp: gfp_t,
    ) -> Result<Self> {
        let gfp = gfp::from_c(gfp);
        let head = Head {
            kind: K::KIND,
            key_len: params.key_len,
            references,
        };
        // SAFETY: By the contract of `create`, `release` may be called with what is stored.
        let policy = unsafe { Borrowed::new(params.release) };
        let typed: Pin<KBox<Typed<K>>> = KBox::try_pin_init(
            try_pin_init!(Typed {
                head,
                map <- Map::with_policy(policy, options, gfp),
            }? Error),
            gfp,
        )?;
        // SAFETY: It is not moved out of: `drop` makes a pinned box of it again.
        let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(typed) });
        NonNull::new(raw.cast()).map(Self).ok_or(EINVAL)
    }

    fn any(&self) -> Any<'_> {
        Passed(self.0, PhantomData).any()
    }

    pub(super) fn as_ptr(&self) -> *mut Head {
        self.0.as_ptr()
    }

    pub(crate) fn addr(&self) -> usize {
        self.0.addr().get()
    }

    pub(crate) fn len(&self) -> usize {
        with_map!(self.any(), |map| map.len())
    }

    pub(crate) fn bytes(&self) -> usize {
        with_map!(self.any(), |map| map.bytes())
    }

    /// Bytes of every key; 0 if they vary.
    pub(crate) fn key_len(&self) -> usize {
        Passed(self.0, PhantomData).head().key_len
    }

    /// Whether the caller is the release of one of its values.
    pub(crate) fn is_in_release(&self) -> bool {
        with_map!(self.any(), |map| map.is_in_destructor())
    }

    /// See [`Borrowed::mute`].
    pub(crate) fn mute(&self) {
        with_map!(self.any(), |map| map.policy().mute());
    }
}

impl Drop for OwnedMap {
    fn drop(&mut self) {
        /// # Safety
        ///
        /// `head` comes from `of_keys` for the same keys, and is not used afterwards.
        unsafe fn free<K: KeyOfKind>(head: *mut Head) {
            // SAFETY: By the contract of the function; maps are pinned, and dropped in place.
            drop(unsafe { Pin::new_unchecked(KBox::from_raw(head.cast::<Typed<K>>())) });
        }
        let head = self.0.as_ptr();
        // SAFETY: Ours; the kind says for which keys it was made.
        unsafe {
            match (*head).kind {
                Kind::U32 => free::<Fixed<u32>>(head),
                Kind::U64 => free::<Fixed<u64>>(head),
                Kind::Bytes => free::<Bytes>(head),
            }
        }
    }
}
