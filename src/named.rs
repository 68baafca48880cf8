// SPDX-License-Identifier: GPL-2.0

//! Named maps: maps of bytes that userspace fills through `/dev/syncmap`, and modules find by name.
//!
//! They live in `syncmap.ko`. All of this is inlined into its users, who call what that module
//! exports; a module that does not use it does not need `syncmap.ko`.
//!
//! # Examples
//!
//! ```
//! use kernel::sync::rcu;
//! use syncmap::named::{Get, NamedMap};
//!
//! # let module = super::this_module();
//! // `module` is what `Module::init` is called with.
//! let map = NamedMap::get(c"limits", Get::Create(0o600), module)?;
//! map.store(b"connections", b"100", GFP_KERNEL)?;
//!
//! // What userspace has stored since is seen as well.
//! let guard = rcu::read_lock();
//! assert_eq!(map.lookup(b"connections", &guard), Some(&b"100"[..]));
//! # drop(guard);
//! # assert!(NamedMap::get(c"no limits", Get::Existing, module).is_err());
//! # assert!(map.delete(b"connections") && map.is_empty());
//! # Ok::<(), Error>(())
//! ```

use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::alloc::Flags;
use kernel::bindings;
use kernel::error::{from_err_ptr, to_result};
use kernel::ffi::{c_char, c_int, c_uint, c_void};
use kernel::prelude::*;
use kernel::str::CStr;
use kernel::sync::rcu::Guard;

use crate::gfp;

/// `struct syncmap_named`, opaque.
#[repr(C)]
struct Raw {
    _contents: [u8; 0],
    _pinned: PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

// `include/linux/syncmap.h` documents them.
unsafe extern "C" {
    fn __syncmap_named_get(
        name: *const c_char,
        flags: c_uint,
        mode: u32,
        owner: *mut c_void,
    ) -> *mut Raw;
    fn __syncmap_named_put(map: *mut Raw, owner: *mut c_void);
    fn __syncmap_named_lookup(
        map: *const Raw,
        key: *const c_void,
        len: usize,
        value_len: *mut usize,
    ) -> *const c_void;
    fn __syncmap_named_store(
        map: *mut Raw,
        key: *const c_void,
        len: usize,
        value: *const c_void,
        value_len: usize,
        gfp: bindings::gfp_t,
    ) -> c_int;
    fn syncmap_named_delete(map: *mut Raw, key: *const c_void, len: usize) -> c_int;
    fn syncmap_named_len(map: *const Raw) -> usize;
}

/// How [`NamedMap::get`] comes by a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Get {
    /// `ENOENT` if there is none.
    Existing,
    /// Waits until there is one; `EINTR` if a signal arrives. Not for kernel threads, which get none.
    Wait,
    /// Makes one if there is none, which is root's and has these permission bits.
    Create(u16),
}

/// A reference to a named map.
///
/// Dropping it gives it back: in process context; sleeps.
pub struct NamedMap {
    map: NonNull<Raw>,
    module: &'static ThisModule,
}

// SAFETY: All functions that it is passed to may be called by any thread.
unsafe impl Send for NamedMap {}
// SAFETY: As above, and at the same time.
unsafe impl Sync for NamedMap {}

impl NamedMap {
    /// Takes a reference, which `module`, the caller's, holds. Process context; sleeps.
    ///
    /// `EPERM` if the map is a user's: then it is for them to say what is in it. `EINVAL` if `name` or
    /// the permission bits are none; `ENAMETOOLONG`; `ENOMEM`.
    #[inline]
    pub fn get(name: &CStr, how: Get, module: &'static ThisModule) -> Result<Self> {
        Self::get_with(name, how, 0, module)
    }

    /// The same for a map that may be anybody's.
    #[inline]
    pub fn get_of_any_owner(name: &CStr, how: Get, module: &'static ThisModule) -> Result<Self> {
        Self::get_with(name, how, 1 << 2, module)
    }

    #[inline]
    fn get_with(name: &CStr, how: Get, owner: c_uint, module: &'static ThisModule) -> Result<Self> {
        let (flags, mode) = match how {
            Get::Existing => (0, 0),
            Get::Create(mode) => (1 << 0, mode.into()),
            Get::Wait => (1 << 1, 0),
        };
        // SAFETY: A string; the module is there, and will be.
        let map = unsafe {
            let name = name.to_bytes_with_nul().as_ptr().cast();
            __syncmap_named_get(name, flags | owner, mode, module.as_ptr().cast())
        };
        let map = NonNull::new(from_err_ptr(map)?).ok_or(EINVAL)?;
        Ok(Self { map, module })
    }

    /// Looks a key up, for as long as `guard` is held.
    ///
    /// Any context but NMI; never locks, never sleeps. O(1).
    #[inline]
    pub fn lookup<'g>(&'g self, key: &[u8], _guard: &'g Guard) -> Option<&'g [u8]> {
        let mut len = 0;
        // SAFETY: The map is ours, the key a slice; in the section of `_guard`.
        let value = unsafe {
            let key = (key.as_ptr().cast(), key.len());
            __syncmap_named_lookup(self.map.as_ptr(), key.0, key.1, &mut len)
        };
        // SAFETY: A value of this length, which never changes and is not freed in this section.
        (!value.is_null()).then(|| unsafe { core::slice::from_raw_parts(value.cast(), len) })
    }

    /// Sets the value of a key.
    ///
    /// Process context if `flags` allow blocking; else any in which memory can be allocated.
    /// `ENOMEM`, `EDQUOT`, `E2BIG`, `EINTR`, `EINVAL`: then nothing has changed.
    #[inline]
    pub fn store(&self, key: &[u8], value: &[u8], flags: Flags) -> Result {
        // SAFETY: The map is ours, the others are slices.
        to_result(unsafe {
            __syncmap_named_store(
                self.map.as_ptr(),
                key.as_ptr().cast(),
                key.len(),
                value.as_ptr().cast(),
                value.len(),
                gfp::into_c(flags),
            )
        })
    }

    /// Deletes a key; whether it was there. Any context but NMI.
    #[inline]
    pub fn delete(&self, key: &[u8]) -> bool {
        // SAFETY: The map is ours, the key a slice.
        unsafe { syncmap_named_delete(self.map.as_ptr(), key.as_ptr().cast(), key.len()) > 0 }
    }

    /// The number of keys. Any context but NMI.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: The map is ours.
        unsafe { syncmap_named_len(self.map.as_ptr()) }
    }

    /// Whether there are no keys. Any context but NMI.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for NamedMap {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The reference is ours, and not used any more.
        unsafe { __syncmap_named_put(self.map.as_ptr(), self.module.as_ptr().cast()) };
    }
}
