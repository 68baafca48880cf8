// SPDX-License-Identifier: GPL-2.0

//! From C's allocation flags to Rust's, which wrap them, and back.

use kernel::alloc::Flags;
use kernel::bindings::{self, gfp_t};
use kernel::prelude::GFP_KERNEL;

/// `Flags` are a `gfp_t`, in size and in value; the kernel crate offers no conversion.
const _: () = {
    assert!(size_of::<Flags>() == size_of::<gfp_t>());
    // SAFETY: As large, and made of an integer.
    let raw = unsafe { core::mem::transmute::<Flags, gfp_t>(GFP_KERNEL) };
    assert!(raw == bindings::GFP_KERNEL);
};

/// `__GFP_RETRY_MAYFAIL`: reclaims what it can, then fails, rather than have a process killed.
pub const RETRY_MAYFAIL: Flags = from_c(1 << bindings::___GFP_RETRY_MAYFAIL_BIT);

/// `__GFP_NORETRY`: fails sooner than that, for what is not urgent.
pub const NORETRY: Flags = from_c(1 << bindings::___GFP_NORETRY_BIT);

/// The flags that C knows as `gfp`.
#[inline]
pub const fn from_c(gfp: gfp_t) -> Flags {
    // SAFETY: As large, and made of an integer, for which all bit patterns are valid.
    unsafe { core::mem::transmute::<gfp_t, Flags>(gfp) }
}

/// What C knows the flags as.
#[inline]
pub fn into_c(flags: Flags) -> gfp_t {
    // SAFETY: As above.
    unsafe { core::mem::transmute::<Flags, gfp_t>(flags) }
}

/// `gfpflags_allow_blocking()`: whether an operation with these flags may sleep, for memory or for a
/// limit.
#[inline]
pub fn may_block(flags: Flags) -> bool {
    into_c(flags) & (1 << bindings::___GFP_DIRECT_RECLAIM_BIT) != 0
}
