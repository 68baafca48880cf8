// SPDX-License-Identifier: GPL-2.0

//! Other contexts, and time that passes: `contexts.c`.

use kernel::prelude::*;

pub(crate) const PROCESS: u64 = 0;
/// How many there are; 1 is under a raw spinlock, 2 softirq, 3 hardirq.
pub(crate) const CONTEXTS: u64 = 4;
pub(crate) const HARDIRQ: u64 = 3;

extern "C" {
    fn torture_call(context: u64, f: unsafe extern "C" fn(*mut c_void), arg: *mut c_void);
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
