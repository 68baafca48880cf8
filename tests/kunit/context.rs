// SPDX-License-Identifier: GPL-2.0

//! Calling something from interrupt and from softirq context.

use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::Completion;
use kernel::types::Opaque;

type Body<'b> = dyn Fn() + Sync + 'b;

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
}

fn new<'b>(body: &'b Body<'b>) -> impl PinInit<Call<'b>> {
    pin_init!(Call {
        body,
        done <- Completion::new(),
        // Idle, with the function still to be set.
        irq <- Opaque::zeroed(),
        rcu <- Opaque::zeroed(),
    })
}

/// # Safety
///
/// `work` is a member of a call that waits for this function.
unsafe extern "C" fn on_irq(work: *mut bindings::irq_work) {
    // SAFETY: By the contract of the function.
    let call = unsafe { &*kernel::container_of!(Opaque::cast_from(work), Call<'_>, irq) };
    (call.body)();
    call.done.complete_all();
}

/// # Safety
///
/// `head` is a member of a call that waits for this function.
unsafe extern "C" fn on_rcu(head: *mut bindings::callback_head) {
    // SAFETY: By the contract of the function.
    let call = unsafe { &*kernel::container_of!(Opaque::cast_from(head), Call<'_>, rcu) };
    (call.body)();
    call.done.complete_all();
}

/// Calls `body` from an interrupt handler, and waits for it.
pub(crate) fn in_hardirq(body: &Body<'_>) -> Result {
    let call = KBox::pin_init(new(body), GFP_KERNEL)?;
    // SAFETY: A zeroed `irq_work` with a function is an initialised one, which is pinned; it is waited
    // for before the end.
    unsafe {
        (*call.irq.get()).func = Some(on_irq);
        bindings::irq_work_queue(call.irq.get());
        call.done.wait_for_completion();
        bindings::irq_work_sync(call.irq.get());
    }
    Ok(())
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
