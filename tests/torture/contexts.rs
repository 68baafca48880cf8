// SPDX-License-Identifier: GPL-2.0

//! Other contexts, and time that passes: `contexts.c`.

use kernel::prelude::*;

// Of `enum torture_context`, those that have a name here.
pub(crate) const PROCESS: u64 = 0;
pub(crate) const HARDIRQ: u64 = 3;
pub(crate) const IPI: u64 = 5;
pub(crate) const CONTEXTS: u64 = 6;

extern "C" {
    fn torture_call(context: u64, f: unsafe extern "C" fn(*mut c_void), arg: *mut c_void);
    fn torture_allocates(context: u64) -> bool;
    fn torture_context() -> u64;
    fn torture_pause(usecs: u64);
    fn torture_spin(loops: u64);
}

/// # Safety
///
/// `arg` points to an `F` that nobody else uses.
unsafe extern "C" fn run<F: FnMut()>(arg: *mut c_void) {
    // SAFETY: By the contract of the function.
    unsafe { (*arg.cast::<F>())() }
}

/// Calls something in a context, and waits for it. Process context.
pub(crate) fn call<F: FnMut() + Send>(context: u64, mut f: F) {
    // SAFETY: It is called while we wait; it may be sent there.
    unsafe { torture_call(context, run::<F>, core::ptr::from_mut(&mut f).cast()) };
}

/// Whether memory may be allocated in a context, with `GFP_ATOMIC`.
pub(crate) fn allocates(context: u64) -> bool {
    // SAFETY: May be called at any time.
    unsafe { torture_allocates(context) }
}

/// The context of the caller: one of the first four.
pub(crate) fn current() -> u64 {
    // SAFETY: May be called at any time.
    unsafe { torture_context() }
}

/// Sleeps for so long, or more; if 0, lets others run. Process context.
pub(crate) fn pause(micros: u64) {
    // SAFETY: Both may be called in process context.
    unsafe {
        match micros {
            0 => kernel::bindings::yield_(),
            micros => torture_pause(micros),
        }
    }
}

/// Waits actively.
pub(crate) fn spin(loops: u64) {
    // SAFETY: May be called at any time.
    unsafe { torture_spin(loops) };
}
