// SPDX-License-Identifier: GPL-2.0

//! Work that operations leave for later, from any context: promotion and sweeping.
//!
//! The caller may be in an interrupt handler, or hold a raw spinlock. Queueing a work item there may
//! deadlock on the locks of the workqueue or the scheduler, so the request goes by way of `irq_work`,
//! which raises an interrupt and queues the work from its handler. Where the caller can be preempted,
//! and so holds no such lock, the work is queued at once.

use core::marker::PhantomData;
use kernel::ffi::c_void;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::types::Opaque;
use kernel::{bindings, container_of};

use crate::helpers::*;
use crate::reclaim::Reclaimer;

/// How long deleted keys stay before they are swept, unless they are many: about a second.
const SWEEP_DELAY: usize = bindings::HZ as usize;

/// What a [`Worker`] does, in process context.
pub(crate) struct Tasks {
    /// What the functions are called with.
    pub(crate) map: *const (),
    /// Promotes dirty, if it is still due; and what else has been left to it.
    pub(crate) promote: unsafe fn(*const ()),
    /// Frees deleted keys.
    pub(crate) sweep: unsafe fn(*const ()),
}

/// Promotes and sweeps on behalf of operations that cannot do it themselves.
#[pin_data]
pub(crate) struct Worker {
    promote: Atomic<bool>,
    sweep: Atomic<bool>,
    /// The sweep is not to wait any longer.
    urgent: Atomic<bool>,
    /// When the sweep is due, in ticks.
    due: Atomic<usize>,
    tasks: Tasks,
    #[pin]
    kick: Opaque<bindings::irq_work>,
    /// How often `kick` was queued.
    kicks: Atomic<usize>,
    #[pin]
    work: Opaque<bindings::delayed_work>,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: The functions of `tasks` may be called from any thread (see `Worker::new`); everything
// else is atomic or the kernel's.
unsafe impl Send for Worker {}
// SAFETY: As above.
unsafe impl Sync for Worker {}

impl Worker {
    /// # Safety
    ///
    /// The functions of `tasks` may be called with its map from any thread. If anything was asked
    /// for, the worker is stopped before it is dropped.
    pub(crate) unsafe fn new(tasks: Tasks) -> impl PinInit<Self> {
        pin_init!(Self {
            promote: Atomic::new(false),
            sweep: Atomic::new(false),
            urgent: Atomic::new(false),
            due: Atomic::new(0),
            tasks,
            kick <- Opaque::ffi_init(|kick: *mut bindings::irq_work| {
                // SAFETY: `kick` is valid for writes, and a member of a worker.
                unsafe { syncmap_helper_init_kick(kick.cast()) }
            }),
            kicks: Atomic::new(0),
            work <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is valid for writes; `run` belongs to it.
                unsafe { syncmap_helper_init_delayed_work(work, Self::run) }
            }),
            _not_send: PhantomData,
        })
    }

    /// Asks for a promotion; whether the worker is to be kicked.
    pub(crate) fn wants_promotion(&self, reclaimer: &Reclaimer) -> bool {
        Self::raise(&self.promote, Some(reclaimer))
    }

    /// Asks for a sweep, at once if `urgent`, else in about a second; whether the worker is to be kicked.
    pub(crate) fn wants_sweep(&self, urgent: bool, reclaimer: &Reclaimer) -> bool {
        let fresh = !self.sweep.load(Relaxed);
        if fresh {
            self.due.store(jiffies().wrapping_add(SWEEP_DELAY), Relaxed);
        }
        let raised = fresh && Self::raise(&self.sweep, Some(reclaimer));
        urgent && Self::raise(&self.urgent, None) || raised
    }

    /// Asks for a sweep at once if one is due anyway; whether the worker is to be kicked.
    pub(crate) fn hurries(&self) -> bool {
        self.sweep.load(Relaxed) && Self::raise(&self.urgent, None)
    }

    /// Sets a flag; whether it was clear. Cheap if it was not. If it stands for work that retires
    /// something, that is announced to `reclaimer` first.
    fn raise(flag: &Atomic<bool>, reclaimer: Option<&Reclaimer>) -> bool {
        if flag.load(Relaxed) {
            return false;
        }
        if let Some(reclaimer) = reclaimer {
            reclaimer.expect_more();
        }
        // Full: pairs with the exchanges in `run`, so that the work either sees the flag, or is
        // kicked again after it has begun. A caller that finds the flag set needs a barrier before: a
        // delete has one, a miss has not (litmus: request, request-promotion).
        let raised = !flag.xchg(true, Full);
        if let Some(reclaimer) = reclaimer.filter(|_| !raised) {
            reclaimer.expected_already();
        }
        raised
    }

    /// Sees to it that the work runs. Any context but NMI.
    pub(crate) fn kick(&self) {
        if syncmap_helper_preemptible() {
            return self.queue();
        }
        self.kicks.add(1, Relaxed);
        // SAFETY: `kick` was initialised by `new`.
        unsafe { bindings::irq_work_queue(self.kick.get()) };
    }

    /// Queues the work for when it is due. Leaves alone what is queued for a time before that.
    fn queue(&self) {
        let urgent = self.promote.load(Relaxed) || self.urgent.load(Relaxed);
        // SAFETY: `work` was initialised by `new`.
        unsafe {
            if urgent {
                syncmap_helper_mod_delayed_work(self.work.get(), 0);
            } else {
                syncmap_helper_queue_delayed_work(self.work.get(), self.remaining());
            }
        }
    }

    /// Ticks until the sweep is due.
    fn remaining(&self) -> usize {
        let left = self.due.load(Relaxed).wrapping_sub(jiffies());
        if left > SWEEP_DELAY {
            0
        } else {
            left
        }
    }

    /// In process context.
    ///
    /// # Safety
    ///
    /// `work` is in the `work` of a worker.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: `work` is the member of a `delayed_work`, which is `work` of a `Worker`, which
        // waits for this function before it ends.
        let this = unsafe {
            let delayed = container_of!(work, bindings::delayed_work, work);
            &*container_of!(Opaque::cast_from(delayed), Worker, work)
        };
        // Full, all three: pair with the one in `raise` (litmus: request).
        if this.promote.xchg(false, Full) {
            // SAFETY: By the contract of `new`.
            unsafe { (this.tasks.promote)(this.tasks.map) };
        }
        if this.urgent.xchg(false, Full) || this.remaining() == 0 {
            // Before the sweep: a key that is deleted meanwhile asks for the next one.
            if this.sweep.xchg(false, Full) {
                // SAFETY: By the contract of `new`.
                unsafe { (this.tasks.sweep)(this.tasks.map) };
            }
        }
        if this.sweep.load(Relaxed) {
            // Through work, not through irq_work (I8). Leaves the time alone if a kick has queued
            // the work meanwhile, perhaps for now.
            // SAFETY: `work` was initialised by `new`.
            unsafe { syncmap_helper_queue_delayed_work(this.work.get(), this.remaining()) };
        }
    }

    /// Whether a grace period must pass between the last request and [`Worker::stop`].
    ///
    /// `irq_work_sync()` knows of one handler. A second one may have begun on another processor while
    /// the first was at work, and have told by its end that nothing is left to wait for. Handlers
    /// have interrupts off, so that a grace period ends all but the last.
    pub(crate) fn must_rest(&self) -> bool {
        self.kicks.load(Relaxed) > 1
    }

    /// Waits until nothing runs and nothing is queued; nothing may be asked for any more, and see
    /// [`Worker::must_rest`]. Returns how much of the announced work was not done. Sleeps.
    pub(crate) fn stop(&self) -> usize {
        // Where interrupt work has no interrupt, as on User Mode Linux, waiting for one that was never
        // queued would wait for a grace period.
        if self.kicks.load(Relaxed) > 0 {
            // SAFETY: It was initialised by `new`. Before the work, which it queues.
            unsafe { bindings::irq_work_sync(self.kick.get()) };
        }
        // SAFETY: As above.
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) };
        let undone = [&self.promote, &self.sweep].map(|flag| flag.xchg(false, Full));
        undone.into_iter().filter(|undone| *undone).count()
    }
}

/// The handler of a kick: in hard interrupt context.
///
/// Called by `helpers.c`, which knows the type of the handler that the kernel expects.
///
/// # Safety
///
/// `kick` is the `kick` of a worker.
#[no_mangle]
unsafe extern "C" fn syncmap_worker_kicked(kick: *mut c_void) {
    let kick = kick.cast::<bindings::irq_work>();
    // SAFETY: `kick` is a member of a `Worker`, which waits for this function before it ends.
    let this = unsafe { &*container_of!(Opaque::cast_from(kick), Worker, kick) };
    this.queue();
}
