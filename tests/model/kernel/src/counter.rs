// SPDX-License-Identifier: GPL-2.0

//! Counters, which are exact here; no other thread comes on because of them: they order nothing.

use crate::bindings::gfp_t;
use crate::ffi::{c_int, c_uint};
use crate::machine;
use crate::sync::atomic::{Atomic, Relaxed};

/// A counter.
#[repr(C)]
pub struct percpu_counter {
    pub count: i64,
    /// What it allocates for the processors.
    memory: Option<std::ptr::NonNull<u8>>,
}

/// # Safety
///
/// `counter` was initialised.
unsafe fn count<'a>(counter: *mut percpu_counter) -> &'a Atomic<i64> {
    // SAFETY: By the contract of the function.
    unsafe { Atomic::from_ptr(&raw mut (*counter).count) }
}

const ENOMEM: c_int = 12;

#[no_mangle]
unsafe extern "C" fn syncmap_helper_counters_init(
    counters: *mut percpu_counter,
    number: c_uint,
    _: gfp_t,
) -> c_int {
    let Some(memory) = machine::allocate(std::alloc::Layout::new::<u64>(), false) else {
        return -ENOMEM;
    };
    for at in 0..number as usize {
        let memory = (at == 0).then_some(memory);
        // SAFETY: By the contract of the function.
        unsafe {
            counters.add(at).write(percpu_counter { count: 0, memory });
            machine::calm(count(counters.add(at)));
        }
    }
    0
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_counters_destroy(counters: *mut percpu_counter, _: c_uint) {
    // SAFETY: By the contract of the function.
    if let Some(memory) = unsafe { (*counters).memory.take() } {
        // SAFETY: From `syncmap_helper_counters_init`.
        unsafe { machine::free(memory) };
    }
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_counter_add(counter: *mut percpu_counter, by: i64, _: i32) {
    // SAFETY: By the contract of the function.
    unsafe { count(counter) }.fetch_add(by, Relaxed);
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_counter_sum(counter: *mut percpu_counter) -> i64 {
    // SAFETY: By the contract of the function.
    unsafe { count(counter) }.load(Relaxed)
}
