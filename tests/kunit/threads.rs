// SPDX-License-Identifier: GPL-2.0

//! Kernel threads that end before the test goes on.

use kernel::bindings;
use kernel::error::from_err_ptr;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::{rcu, Completion};
use kernel::time::{Instant, Monotonic};

type Body<'b> = dyn Fn(usize) -> Result + Sync + 'b;

/// What a thread is to do.
#[pin_data]
struct Job<'b> {
    body: &'b Body<'b>,
    number: usize,
    /// The threads wait for each other, so that they are at it at the same time.
    waiting: &'b Atomic<usize>,
    failures: &'b Atomic<usize>,
    #[pin]
    done: Completion,
}

extern "C" fn run(job: *mut c_void) -> c_int {
    // SAFETY: The job lives until this thread has ended.
    let job = unsafe { &*job.cast::<Job<'_>>() };
    job.waiting.fetch_sub(1usize, Release);
    while job.waiting.load(Acquire) != 0 {
        // SAFETY: A kernel thread may always yield.
        unsafe { bindings::yield_() };
    }
    if (job.body)(job.number).is_err() {
        job.failures.fetch_add(1usize, Relaxed);
    }
    job.done.complete_all();
    0
}

/// Runs `body(0)` to `body(number - 1)` in a thread each; all of them must succeed.
///
/// All threads have ended when this returns, so that they may borrow what they like.
pub(crate) fn run_threads(number: usize, body: &Body<'_>) -> Result {
    let waiting = &Atomic::new(number);
    let failures = &Atomic::new(0usize);
    let mut jobs = KVec::with_capacity(number, GFP_KERNEL)?;
    let mut tasks = KVec::with_capacity(number, GFP_KERNEL)?;
    for i in 0..number {
        let job = KBox::pin_init(
            pin_init!(Job {
                body,
                number: i,
                waiting,
                failures,
                done <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        jobs.push(job, GFP_KERNEL)?;
    }
    for job in jobs.iter() {
        let data = core::ptr::from_ref(&**job).cast_mut().cast::<c_void>();
        // SAFETY: `run` takes a job, which is not freed before the thread has been waited for.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(Some(run), data, -1, c"syncmap".as_char_ptr())
        });
        match task {
            Ok(task) => {
                // SAFETY: The thread has not begun, so it cannot have ended.
                unsafe {
                    bindings::get_task_struct(task);
                    bindings::wake_up_process(task);
                }
                tasks.push(task, GFP_KERNEL)?;
            }
            Err(_) => {
                // Those that have begun must not wait for it.
                waiting.fetch_sub(1usize, Release);
                failures.fetch_add(1usize, Relaxed);
            }
        }
    }
    for (job, task) in jobs.iter().zip(tasks.iter()) {
        job.done.wait_for_completion();
        // Waits until the thread has left the text of this module, and gives the reference back.
        // SAFETY: We have a reference to the task.
        unsafe { bindings::kthread_stop_put(*task) };
    }
    check_eq!(failures.load(Relaxed), 0, "threads have failed");
    Ok(())
}

/// Whether two threads can run at the same time; marks the current test as skipped if not. A reader
/// that waits in its section for another thread would wait for ever.
pub(crate) fn are_parallel() -> bool {
    if kernel::cpu::nr_cpu_ids() > 1 {
        return true;
    }
    // SAFETY: May be called at any time.
    let test = unsafe { bindings::kunit_get_current_test() };
    // SAFETY: The test is running in this very thread, which alone changes its status.
    if let Some(test) = unsafe { test.as_mut() } {
        test.status = bindings::kunit_status_KUNIT_SKIPPED;
        let reason = c"needs two processors".to_bytes_with_nul();
        for (to, from) in test.status_comment.iter_mut().zip(reason) {
            *to = *from;
        }
    }
    false
}

/// Ends a test that needs two processors where there is one.
macro_rules! needs_two_processors {
    () => {
        if !crate::threads::are_parallel() {
            return Ok(());
        }
    };
}

/// Runs `body` while a reader is in its section, so that no grace period ends: nothing that is retired
/// comes back. It must not wait for that.
pub(crate) fn under_a_reader(body: &(dyn Fn() -> Result + Sync)) -> Result {
    let (reading, done) = (&Atomic::new(false), &Atomic::new(false));
    run_threads(2, &|number| {
        if number == 0 {
            let _guard = rcu::read_lock();
            reading.store(true, Release);
            while !done.load(Acquire) {
                core::hint::spin_loop();
            }
            return Ok(());
        }
        while !reading.load(Acquire) {
            // SAFETY: A kernel thread may always yield.
            unsafe { bindings::yield_() };
        }
        let result = body();
        done.store(true, Release);
        result
    })
}

/// A time that passes.
pub(crate) struct Deadline {
    start: Instant<Monotonic>,
    millis: i64,
}

impl Deadline {
    pub(crate) fn new(millis: i64) -> Self {
        Deadline {
            start: Instant::now(),
            millis,
        }
    }

    /// Whether there is time left; lets others run.
    pub(crate) fn is_ahead(&self) -> bool {
        // SAFETY: A kernel thread may always yield.
        unsafe { bindings::yield_() };
        self.start.elapsed().as_millis() < self.millis
    }
}
