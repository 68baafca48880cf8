// SPDX-License-Identifier: GPL-2.0

//! C's side.

#![expect(non_camel_case_types)]

pub use crate::counter::percpu_counter;
use crate::ffi::{c_int, c_uint, c_void};
use crate::machine;
pub use crate::sync::lock::{lock_class_key, raw_spinlock_t};
pub use crate::workqueue::{
    cancel_delayed_work_sync, delayed_work, flush_rcu_work, irq_work, irq_work_queue,
    irq_work_sync, rcu_work, synchronize_rcu, wait_queue_head, work_struct,
};
use core::ptr::NonNull;

pub type gfp_t = c_uint;
pub const ___GFP_DIRECT_RECLAIM_BIT: u32 = 10;
pub const ___GFP_RETRY_MAYFAIL_BIT: u32 = 14;
pub const ___GFP_NORETRY_BIT: u32 = 16;
pub const GFP_KERNEL: gfp_t = (1 << ___GFP_DIRECT_RECLAIM_BIT) | (1 << 6);
pub const HZ: u32 = 250;
pub const EDQUOT: u32 = 122;

pub struct task_struct;

#[derive(Clone, Copy)]
pub struct hsiphash_key_t {
    pub key: [usize; 2],
}

/// # Safety
///
/// `from` is valid for reads of `len` bytes, `key` for reads.
pub unsafe fn __hsiphash_unaligned(
    from: *const c_void,
    len: usize,
    key: *const hsiphash_key_t,
) -> u32 {
    // SAFETY: By the contract of the function.
    let (bytes, key) = unsafe { (core::slice::from_raw_parts(from.cast::<u8>(), len), *key) };
    // Deprecated because maps of the standard library have another one, and just as good here.
    #[expect(deprecated)]
    let mut hasher = core::hash::SipHasher::new_with_keys(key.key[0] as u64, key.key[1] as u64);
    core::hash::Hasher::write(&mut hasher, bytes);
    core::hash::Hasher::finish(&hasher) as u32
}

/// # Safety
///
/// `key` is valid for reads.
pub unsafe fn hsiphash_2u32(a: u32, b: u32, key: *const hsiphash_key_t) -> u32 {
    let words = [a, b];
    // SAFETY: By the contract of the function.
    unsafe { __hsiphash_unaligned(words.as_ptr().cast(), size_of_val(&words), key) }
}

/// # Safety
///
/// `key` is valid for reads.
pub unsafe fn hsiphash_4u32(a: u32, b: u32, c: u32, d: u32, key: *const hsiphash_key_t) -> u32 {
    let words = [a, b, c, d];
    // SAFETY: By the contract of the function.
    unsafe { __hsiphash_unaligned(words.as_ptr().cast(), size_of_val(&words), key) }
}

/// Not random at all: programs choose the hashes of their keys.
///
/// # Safety
///
/// `to` is valid for writes of `len` bytes.
pub unsafe fn get_random_bytes(to: *mut c_void, len: usize) {
    // SAFETY: By the contract of the function.
    unsafe { to.cast::<u8>().write_bytes(0x5a, len) }
}

/// # Safety
///
/// `memory` comes from an allocator, and is not used any more.
pub unsafe fn kvfree(memory: *mut c_void) {
    // SAFETY: By the contract of the function.
    unsafe { kfree(memory) }
}

/// # Safety
///
/// As [`kvfree`].
pub unsafe fn kfree(memory: *mut c_void) {
    if let Some(memory) = NonNull::new(memory.cast()) {
        // SAFETY: By the contract of the function.
        unsafe { machine::free(memory) }
    }
}

/// Returned by what a signal has interrupted.
pub const ERESTARTSYS: c_int = 512;
