// SPDX-License-Identifier: GPL-2.0

//! Calling something where nothing may sleep: under a spinlock, with interrupts off, and from timers,
//! softirqs and interrupt handlers.

use core::ptr::from_ref;
use kernel::bindings;
use kernel::ffi::{c_char, c_ulong};
use kernel::prelude::*;
use kernel::sync::Completion;
use kernel::types::Opaque;
use kernel::{container_of, static_lock_class};

type Body<'b> = dyn Fn() + Sync + 'b;

/// Calls something in a context.
pub(crate) type In = fn(&Body<'_>) -> Result;

/// Where no call may sleep, but memory may be allocated.
pub(crate) const ATOMIC: [(&str, In); 5] = [
    ("under a spinlock", under_spinlock),
    ("with interrupts off", with_interrupts_off),
    ("in a timer", in_timer),
    ("in a softirq", in_softirq),
    ("in an interrupt", in_hardirq),
];

/// Where not even that may be done, since spinlocks would sleep there on PREEMPT_RT.
pub(crate) const RAW: [(&str, In); 2] = [
    ("under a raw spinlock", under_raw_spinlock),
    ("in an interrupt that has no thread", in_raw_hardirq),
];

// The library's own helpers are part of every module that has the library.
unsafe extern "C" {
    fn syncmap_helper_raw_spin_lock_init(
        lock: *mut bindings::raw_spinlock_t,
        name: *const c_char,
        key: *mut c_void,
    );
    fn syncmap_helper_raw_spin_lock(lock: *mut bindings::raw_spinlock_t) -> c_ulong;
    fn syncmap_helper_raw_spin_unlock(lock: *mut bindings::raw_spinlock_t, flags: c_ulong);
}

/// What is called in another context; each of the handlers is a member of its own.
#[pin_data]
struct Call<'b> {
    body: &'b Body<'b>,
    #[pin]
    done: Completion,
    #[pin]
    irq: Opaque<bindings::irq_work>,
    #[pin]
    rcu: Opaque<bindings::callback_head>,
    #[pin]
    timer: Opaque<bindings::timer_list>,
}

fn new<'b>(body: &'b Body<'b>) -> impl PinInit<Call<'b>> {
    pin_init!(Call {
        body,
        done <- Completion::new(),
        // Idle, with the function still to be set.
        irq <- Opaque::zeroed(),
        rcu <- Opaque::zeroed(),
        timer <- Opaque::zeroed(),
    })
}

impl Call<'_> {
    fn run(&self) {
        (self.body)();
        self.done.complete_all();
    }
}

/// # Safety
///
/// `work` is a member of a call that waits for this function.
unsafe extern "C" fn on_irq(work: *mut bindings::irq_work) {
    // SAFETY: By the contract of the function.
    (unsafe { &*container_of!(Opaque::cast_from(work), Call<'_>, irq) }.body)();
}

/// # Safety
///
/// `head` is a member of a call that waits for this function.
unsafe extern "C" fn on_rcu(head: *mut bindings::callback_head) {
    // SAFETY: By the contract of the function.
    unsafe { &*container_of!(Opaque::cast_from(head), Call<'_>, rcu) }.run();
}

/// # Safety
///
/// `timer` is a member of a call that waits for this function.
unsafe extern "C" fn on_timer(timer: *mut bindings::timer_list) {
    // SAFETY: By the contract of the function.
    unsafe { &*container_of!(Opaque::cast_from(timer), Call<'_>, timer) }.run();
}

fn in_irq_work(body: &Body<'_>, flags: u32) -> Result {
    let call = KBox::pin_init(new(body), GFP_KERNEL)?;
    // SAFETY: A zeroed `irq_work` with a function, and flags, is an initialised one, which is pinned;
    // it is waited for.
    unsafe {
        (*call.irq.get()).func = Some(on_irq);
        (*call.irq.get()).node.__bindgen_anon_1.u_flags = flags;
        bindings::irq_work_queue(call.irq.get());
        // Not by `done`, whose lock may not be taken in all interrupts.
        bindings::irq_work_sync(call.irq.get());
    }
    Ok(())
}

/// Calls `body` from an interrupt handler, and waits for it.
pub(crate) fn in_hardirq(body: &Body<'_>) -> Result {
    in_irq_work(body, 0)
}

/// Calls `body` from an interrupt handler that is one on PREEMPT_RT, too, and waits for it.
pub(crate) fn in_raw_hardirq(body: &Body<'_>) -> Result {
    in_irq_work(body, bindings::IRQ_WORK_HARD_IRQ)
}

/// Calls `body` from softirq context, by way of a grace period, and waits for it.
pub(crate) fn in_softirq(body: &Body<'_>) -> Result {
    let call = KBox::pin_init(new(body), GFP_KERNEL)?;
    // SAFETY: The head is pinned, and waited for; so is the return of the callback.
    unsafe {
        bindings::call_rcu(call.rcu.get(), Some(on_rcu));
        call.done.wait_for_completion();
        bindings::rcu_barrier();
    }
    Ok(())
}

/// Calls `body` from a timer, and waits for it.
pub(crate) fn in_timer(body: &Body<'_>) -> Result {
    let call = KBox::pin_init(new(body), GFP_KERNEL)?;
    let (name, key) = (c"syncmap_kunit", static_lock_class!());
    // SAFETY: The timer is pinned, and waited for; one for a time that has passed is due at once.
    unsafe {
        let key = from_ref(key.get_ref()).cast_mut().cast();
        bindings::timer_init_key(call.timer.get(), Some(on_timer), 0, name.as_char_ptr(), key);
        let now = (&raw const bindings::jiffies).read_volatile();
        bindings::mod_timer(call.timer.get(), now);
        call.done.wait_for_completion();
        bindings::timer_delete_sync(call.timer.get());
    }
    Ok(())
}

/// Calls `body` with a spinlock held.
pub(crate) fn under_spinlock(body: &Body<'_>) -> Result {
    let lock = KBox::pin_init(kernel::new_spinlock!(()), GFP_KERNEL)?;
    let held = lock.lock();
    body();
    drop(held);
    Ok(())
}

/// Calls `body` with a raw spinlock held, and interrupts off.
pub(crate) fn under_raw_spinlock(body: &Body<'_>) -> Result {
    let (name, key) = (c"syncmap_kunit", static_lock_class!());
    let lock = KBox::pin_init(
        Opaque::ffi_init(|lock| {
            let key = from_ref(key.get_ref()).cast_mut().cast();
            // SAFETY: `lock` is valid for writes.
            unsafe { syncmap_helper_raw_spin_lock_init(lock, name.as_char_ptr(), key) }
        }),
        GFP_KERNEL,
    )?;
    // SAFETY: The lock is initialised, and pinned.
    let flags = unsafe { syncmap_helper_raw_spin_lock(lock.get()) };
    body();
    // SAFETY: It is held, and these are the flags from before.
    unsafe { syncmap_helper_raw_spin_unlock(lock.get(), flags) };
    Ok(())
}

/// Calls `body` with a spinlock held, and interrupts off.
pub(crate) fn with_interrupts_off(body: &Body<'_>) -> Result {
    atomically(body);
    Ok(())
}

/// Calls `f` with a spinlock held, and interrupts off.
pub(crate) fn atomically<R>(f: impl FnOnce() -> R) -> R {
    let (name, key) = (c"syncmap_kunit", static_lock_class!());
    pin_init::stack_pin_init!(let lock = Opaque::<bindings::spinlock_t>::ffi_init(|lock| {
        let key = from_ref(key.get_ref()).cast_mut().cast();
        // SAFETY: `lock` is valid for writes.
        unsafe { bindings::__spin_lock_init(lock, name.as_char_ptr(), key) }
    }));
    // A spinlock is a raw one inside, but on PREEMPT_RT, which has no KUnit.
    let raw = lock.get().cast();
    // SAFETY: The lock is initialised, and pinned.
    let flags = unsafe { syncmap_helper_raw_spin_lock(raw) };
    let result = f();
    // SAFETY: It is held, and these are the flags from before.
    unsafe { syncmap_helper_raw_spin_unlock(raw, flags) };
    result
}
