// SPDX-License-Identifier: GPL-2.0

//! The C API: the Rust side of `include/linux/syncmap.h`, which documents it.
//!
//! Maps of pointers are a [`Typed`] each, for one of three kinds of keys: numbers of 4 or 8 bytes,
//! and bytes. What C has is the address of the [`Head`] that they begin with, and that tells the kind.
//!
//! Pointers that C passes are valid for the call, or null where that is checked; `struct syncmap *`
//! comes from `create`, `struct syncmap_named *` from `get`, or either is null or an error pointer.

use core::marker::PhantomData;
use core::ptr::{null, null_mut, NonNull};
use kernel::bindings::{self, gfp_t};
use kernel::error::to_result;
use kernel::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use kernel::prelude::*;
use kernel::str::CStr;
use kernel::sync::rcu::Guard;
use syncmap::gfp;
use syncmap::hash::Key;
use syncmap::map::{LoadOrStore, Map};
use syncmap::object::{Bytes, Fixed};
use syncmap::value::{Borrowed, Pointer, Release};
use syncmap::{Limits, Options};

use crate::abi;
use crate::holders::{Module, Reservation};
use crate::registry::{gfp as own_gfp, Access, Name, Registry, SharedMap};

/// `SYNCMAP_NAMED_CREATE`
const NAMED_CREATE: c_uint = 1 << 0;
/// `SYNCMAP_NAMED_WAIT`
const NAMED_WAIT: c_uint = 1 << 1;
/// `SYNCMAP_NAMED_ANY_OWNER`
const NAMED_ANY_OWNER: c_uint = 1 << 2;

/// How often one and the same value, of which no reference can be taken, may be found: whoever takes
/// it out of the map, and has put its last reference, has done so in the other order than is right.
const ATTEMPTS: usize = 8;

/// What is made of the value that a key has already.
enum Looked {
    /// A reference to it.
    Taken(Reference),
    /// It, as the map takes no references.
    Seen(Pointer),
    /// Nothing: it has no references left.
    Dying(Pointer),
}

/// Counts attempts to take references that have failed.
#[derive(Default)]
struct Attempts {
    failed: Option<Pointer>,
    count: usize,
}

impl Attempts {
    /// Notes one; `EBUSY` if there have been enough for this value.
    fn failed(&mut self, value: Pointer) -> Result {
        if self.failed.replace(value) != Some(value) {
            self.count = 0;
        }
        self.count += 1;
        match self.count < ATTEMPTS {
            true => Ok(()),
            false => Err(EBUSY),
        }
    }
}

type Get = unsafe extern "C" fn(*mut c_void) -> bool;
type Visit = unsafe extern "C" fn(*const c_void, usize, *mut c_void, *mut c_void) -> c_int;
type VisitNamed =
    unsafe extern "C" fn(*const c_void, usize, *const c_void, usize, *mut c_void) -> c_int;

/// `struct syncmap_params`
#[repr(C)]
pub(crate) struct Params {
    key_len: usize,
    max_entries: usize,
    max_bytes: usize,
    release: Option<Release>,
    get: Option<Get>,
    put: Option<Release>,
}

/// The functions by which a map refers to values.
#[derive(Clone, Copy)]
struct References {
    get: Get,
    put: Release,
}

/// A reference to a value, which the map has taken.
struct Reference {
    value: Pointer,
    put: Release,
}

impl References {
    /// Takes a reference to a value that was found in a read-side section.
    fn take(self, value: Pointer) -> Option<Reference> {
        // SAFETY: By the contract of `create`: the function may be called with values that are, or
        // were, in the map, in read-side sections that have found them there.
        let taken = unsafe { (self.get)(value.get().as_ptr()) };
        // Made only if there is one: it is given back when it is dropped.
        taken.then(|| Reference {
            value,
            put: self.put,
        })
    }
}

impl Reference {
    /// Gives the reference to C.
    fn into_raw(self) -> *mut c_void {
        let value = self.value.get().as_ptr();
        core::mem::forget(self);
        value
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: By the contract of `create`: the reference was taken by `get`.
        unsafe { (self.put)(self.value.get().as_ptr()) }
    }
}

/// What the keys of a map are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    U32,
    U64,
    Bytes,
}

/// What every `struct syncmap` begins with.
#[repr(C)]
pub(crate) struct Head {
    kind: Kind,
    /// Bytes of every key; 0 if they vary.
    key_len: usize,
    references: Option<References>,
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
enum Any<'m> {
    U32(&'m Map<Fixed<u32>, Borrowed>),
    U64(&'m Map<Fixed<u64>, Borrowed>),
    Bytes(&'m Map<Bytes, Borrowed>),
}

/// A key of a kind.
enum AnyKey<'k> {
    U32(&'k Map<Fixed<u32>, Borrowed>, u32),
    U64(&'k Map<Fixed<u64>, Borrowed>, u64),
    Bytes(&'k Map<Bytes, Borrowed>, &'k [u8]),
}

/// Runs `$body` with the map and the key of an `AnyKey`, whatever their types.
macro_rules! with_key {
    ($any:expr, |$map:ident, $key:ident| $body:expr) => {
        match $any {
            AnyKey::U32($map, ref $key) => $body,
            AnyKey::U64($map, ref $key) => $body,
            AnyKey::Bytes($map, $key) => $body,
        }
    };
}

/// The same with the key as a store wants it.
macro_rules! with_input {
    ($any:expr, |$map:ident, $key:ident| $body:expr) => {
        match $any {
            AnyKey::U32($map, $key) => $body,
            AnyKey::U64($map, $key) => $body,
            AnyKey::Bytes($map, $key) => $body,
        }
    };
}

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

/// Whether a pointer is null, or an error.
fn is_err_or_null<T>(ptr: *const T) -> bool {
    ptr.addr().wrapping_sub(1)
        >= (bindings::MAX_ERRNO as usize)
            .wrapping_neg()
            .wrapping_sub(1)
}

fn err_ptr<T>(error: Error) -> *mut T {
    core::ptr::without_provenance_mut(error.to_errno() as isize as usize)
}

fn pointer_or_error(result: Result<*mut c_void>) -> *mut c_void {
    result.unwrap_or_else(err_ptr)
}

fn errno(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|error| error.to_errno())
}

/// A value that can be stored: error pointers are for errors.
fn pointer(value: *mut c_void) -> Result<Pointer> {
    match is_err_or_null(value) {
        true => Err(EINVAL),
        false => Pointer::new(value),
    }
}

/// The evidence for the read-side section of a caller.
///
/// # Safety
///
/// There is one, for as long as the evidence is used.
#[inline]
unsafe fn callers_section<'g>() -> &'g Guard {
    const { assert!(size_of::<Guard>() == 0) };
    // SAFETY: A reference to nothing; by the contract of the function, what it stands for is there.
    unsafe { NonNull::dangling().as_ref() }
}

/// What can be the keys of a map.
///
/// # Safety
///
/// `KIND` is another one for each.
unsafe trait KeyOfKind: Key {
    const KIND: Kind;
}

// SAFETY: These three.
unsafe impl KeyOfKind for Fixed<u32> {
    const KIND: Kind = Kind::U32;
}
// SAFETY: As above.
unsafe impl KeyOfKind for Fixed<u64> {
    const KIND: Kind = Kind::U64;
}
// SAFETY: As above.
unsafe impl KeyOfKind for Bytes {
    const KIND: Kind = Kind::Bytes;
}

/// A map that C has passed.
///
/// # Invariants
///
/// Points to the head of a `Typed`, of the kind that the head says, which is valid for `'m`. A
/// pointer, because the map is beyond what a reference to the head covers.
#[derive(Clone, Copy)]
struct Passed<'m>(NonNull<Head>, PhantomData<&'m Head>);

impl<'m> Passed<'m> {
    /// # Safety
    ///
    /// See the top of the file.
    #[inline]
    unsafe fn new(map: *const Head) -> Result<Self> {
        match NonNull::new(map.cast_mut()) {
            Some(map) if !is_err_or_null(map.as_ptr()) => Ok(Self(map, PhantomData)),
            _ => Err(EINVAL),
        }
    }

    fn head(self) -> &'m Head {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }

    /// The map behind the head, if its keys are these.
    #[inline]
    fn typed<K: KeyOfKind>(self) -> Option<&'m Map<K, Borrowed>> {
        if self.head().kind != K::KIND {
            return None;
        }
        // SAFETY: By the type invariant, and as a kind stands for one type of keys.
        Some(unsafe { &self.0.cast::<Typed<K>>().as_ref().map })
    }

    fn any(self) -> Any<'m> {
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
    /// See the top of the file.
    unsafe fn key(self, key: *const c_void, len: usize) -> Result<AnyKey<'m>> {
        let fits = match self.head().key_len {
            0 => (1..=abi::KEY_MAX).contains(&len),
            fixed => len == fixed,
        };
        if key.is_null() || !fits {
            return Err(EINVAL);
        }
        Ok(match self.any() {
            // SAFETY: By the contract of the function; the length was checked.
            Any::U32(map) => AnyKey::U32(map, unsafe { key.cast::<u32>().read_unaligned() }),
            // SAFETY: As above.
            Any::U64(map) => AnyKey::U64(map, unsafe { key.cast::<u64>().read_unaligned() }),
            Any::Bytes(map) => {
                // SAFETY: As above.
                AnyKey::Bytes(map, unsafe { core::slice::from_raw_parts(key.cast(), len) })
            }
        })
    }
}

/// The owner of a `struct syncmap`.
pub(crate) struct OwnedMap(NonNull<Head>);

// SAFETY: Maps may be used and dropped by any thread.
unsafe impl Send for OwnedMap {}

impl OwnedMap {
    fn new(params: &Params, gfp: gfp_t) -> Result<Self> {
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
                chain: usize::MAX,
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

    pub(crate) fn addr(&self) -> usize {
        self.0.addr().get()
    }

    pub(crate) fn len(&self) -> usize {
        with_map!(self.any(), |map| map.len())
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

/// # Safety
///
/// `params` is null, or its functions keep to what the header says.
#[no_mangle]
unsafe extern "C" fn __syncmap_create(
    params: *const Params,
    gfp: gfp_t,
    owner: Module,
) -> *mut Head {
    if params.is_null() || !gfp::may_block(gfp) {
        return err_ptr(EINVAL);
    }
    // SAFETY: By the contract of the function.
    let made = OwnedMap::new(unsafe { &*params }, gfp);
    let at = made.and_then(|map| {
        let at = map.0.as_ptr();
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
/// See the top of the file; the caller is in a read-side section.
#[no_mangle]
unsafe extern "C" fn __syncmap_lookup(
    map: *const Head,
    key: *const c_void,
    len: usize,
) -> *mut c_void {
    // SAFETY: By the contract of the function.
    let Ok(key) = (unsafe { Passed::new(map).and_then(|head| head.key(key, len)) }) else {
        return null_mut();
    };
    // SAFETY: By the contract of the function.
    let section = unsafe { callers_section() };
    with_key!(key, |map, key| found(map.peek(key, section)))
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
/// See the top of the file.
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
            match with_key!(key, |map, key| map.try_load_with(key, look)) {
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
/// See the top of the file.
#[no_mangle]
unsafe extern "C" fn __syncmap_store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    gfp: gfp_t,
) -> *mut c_void {
    let store = || {
        // SAFETY: By the contract of the function.
        let key = unsafe { Passed::new(map)?.key(key, len)? };
        let value = pointer(value)?;
        let old = if gfp::may_block(gfp) {
            with_input!(key, |map, key| {
                map.swap_prepared(key, value, gfp::from_c(gfp))
                    .map_err(|e| e.error)?
            })
        } else {
            with_key!(key, |map, key| {
                map.try_store(key, value).map_err(|e| e.error)?
            })
        };
        Ok(found(old))
    };
    pointer_or_error(store())
}

/// # Safety
///
/// See the top of the file.
#[no_mangle]
unsafe extern "C" fn __syncmap_load_or_store(
    map: *const Head,
    key: *const c_void,
    len: usize,
    value: *mut c_void,
    gfp: gfp_t,
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
            let done = if gfp::may_block(gfp) {
                with_input!(key, |map, key| {
                    map.load_or_store_with(key, value, look, gfp::from_c(gfp))
                        .map_err(|e| e.error)?
                })
            } else {
                with_key!(key, |map, key| {
                    map.try_load_or_store_with(key, value, look)
                        .map_err(|e| e.error)?
                })
            };
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
/// See the top of the file.
#[no_mangle]
unsafe extern "C" fn syncmap_load_and_delete(
    map: *const Head,
    key: *const c_void,
    len: usize,
) -> *mut c_void {
    let delete = || {
        // SAFETY: By the contract of the function.
        let key = unsafe { Passed::new(map)?.key(key, len)? };
        Ok(found(with_key!(key, |map, key| map.try_delete(key))))
    };
    pointer_or_error(delete())
}

/// # Safety
///
/// See the top of the file.
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
        let key = unsafe { Passed::new(map)?.key(key, len)? };
        let new = pointer(new)?;
        let is_old = |seen: Pointer| core::ptr::eq(seen.get().as_ptr(), old);
        let done = with_key!(key, |map, key| map.try_compare_and_swap(key, new, is_old));
        Ok(done.is_ok().into())
    };
    errno(swap())
}

/// # Safety
///
/// See the top of the file.
#[no_mangle]
unsafe extern "C" fn syncmap_compare_and_delete(
    map: *const Head,
    key: *const c_void,
    len: usize,
    old: *const c_void,
) -> c_int {
    let delete = || {
        // SAFETY: By the contract of the function.
        let key = unsafe { Passed::new(map)?.key(key, len)? };
        let is_old = |seen: Pointer| core::ptr::eq(seen.get().as_ptr(), old);
        let done = with_key!(key, |map, key| map.try_compare_and_delete(key, is_old));
        Ok(done.is_some().into())
    };
    errno(delete())
}

/// # Safety
///
/// See the top of the file.
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
/// See the top of the file.
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
/// See the top of the file; `visit` may be called with `arg`.
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
/// See the top of the file.
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
/// See the top of the file; the caller is in a read-side section; `value_len` is null or valid for
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
/// See the top of the file; `value` is valid for reads of `value_len` bytes.
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
        let value = map
            .map
            .prepare_bytes(value_len, gfp::from_c(gfp), |bytes| {
                bytes.copy_from_slice(value);
                Ok(())
            })?;
        if gfp::may_block(gfp) {
            map.map.swap_prepared(key, value, gfp::from_c(gfp))?;
        } else {
            map.map.try_store(key, value).map_err(|e| e.error)?;
        }
        Ok(0)
    };
    errno(store())
}

/// # Safety
///
/// See the top of the file.
#[no_mangle]
unsafe extern "C" fn syncmap_named_delete(
    map: *const SharedMap,
    key: *const c_void,
    len: usize,
) -> c_int {
    let delete = || {
        // SAFETY: By the contract of the function.
        let (map, key) = unsafe { named(map, key, len)? };
        Ok(map.map.try_delete(key).is_some().into())
    };
    errno(delete())
}

/// # Safety
///
/// See the top of the file.
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
/// See the top of the file; `visit` may be called with `arg`.
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

/// A module has run its last.
///
/// # Safety
///
/// Called by the notifier, with that module.
#[no_mangle]
unsafe extern "C" fn syncmap_module_gone(module: Module) {
    Registry::get().holders.gone(module);
}

unsafe extern "C" {
    safe fn syncmap_exports_init() -> c_int;
    safe fn syncmap_exports_exit();
}

/// The part of the C API that is in C: it hears of modules that go.
pub(crate) struct Exports(());

impl Exports {
    /// The registry must have been published.
    pub(crate) fn new() -> Result<Self> {
        to_result(syncmap_exports_init())?;
        Ok(Self(()))
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        syncmap_exports_exit();
    }
}
