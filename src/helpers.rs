// SPDX-License-Identifier: GPL-2.0

//! The Rust side of `helpers.c`.

use kernel::bindings;
use kernel::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

unsafe extern "C" {
    // A `struct irq_work`, which holds a type without fields on most kernels, and is then not
    // considered FFI-safe.
    pub(crate) fn syncmap_helper_init_kick(kick: *mut c_void);
    pub(crate) fn syncmap_helper_init_rcu_work(
        work: *mut bindings::rcu_work,
        func: unsafe extern "C" fn(*mut bindings::work_struct),
    );
    pub(crate) fn syncmap_helper_init_delayed_work(
        work: *mut bindings::delayed_work,
        func: unsafe extern "C" fn(*mut bindings::work_struct),
    );
    pub(crate) fn syncmap_helper_init_waitqueue(queue: *mut bindings::wait_queue_head);
    pub(crate) fn syncmap_helper_queue_rcu_work(work: *mut bindings::rcu_work) -> bool;
    pub(crate) fn syncmap_helper_queue_delayed_work(
        work: *mut bindings::delayed_work,
        delay: c_ulong,
    );
    pub(crate) fn syncmap_helper_mod_delayed_work(
        work: *mut bindings::delayed_work,
        delay: c_ulong,
    );
    pub(crate) fn syncmap_helper_wait_cycle(
        queue: *mut bindings::wait_queue_head,
        cycles: *const c_ulong,
        seen: c_ulong,
        ticks: c_ulong,
    ) -> c_long;
    pub(crate) fn syncmap_helper_wait_cycle_or_idle(
        queue: *mut bindings::wait_queue_head,
        cycles: *const c_ulong,
        seen: c_ulong,
        busy: *const bool,
    );
    pub(crate) fn syncmap_helper_wake_up_all(queue: *mut bindings::wait_queue_head);
    // A `struct lock_class_key`, likewise.
    pub(crate) fn syncmap_helper_raw_spin_lock_init(
        lock: *mut bindings::raw_spinlock_t,
        name: *const c_char,
        key: *mut c_void,
    );
    pub(crate) fn syncmap_helper_raw_spin_lock(lock: *mut bindings::raw_spinlock_t) -> c_ulong;
    pub(crate) fn syncmap_helper_raw_spin_trylock(
        lock: *mut bindings::raw_spinlock_t,
        flags: *mut c_ulong,
    ) -> bool;
    pub(crate) fn syncmap_helper_raw_spin_unlock(
        lock: *mut bindings::raw_spinlock_t,
        flags: c_ulong,
    );
    pub(crate) fn syncmap_helper_raw_spin_assert_held(lock: *mut bindings::raw_spinlock_t);
    pub(crate) fn syncmap_helper_kmalloc(size: usize, gfp: bindings::gfp_t) -> *mut c_void;
    pub(crate) fn syncmap_helper_segment_lock(lock: *mut u32, subclass: c_uint) -> c_ulong;
    pub(crate) fn syncmap_helper_segment_unlock(lock: *mut u32, flags: c_ulong);
    pub(crate) fn syncmap_helper_counters_init(
        counters: *mut bindings::percpu_counter,
        number: c_uint,
        gfp: bindings::gfp_t,
    ) -> c_int;
    pub(crate) fn syncmap_helper_counters_destroy(
        counters: *mut bindings::percpu_counter,
        number: c_uint,
    );
    pub(crate) fn syncmap_helper_counter_add(
        counter: *mut bindings::percpu_counter,
        by: i64,
        batch: i32,
    );
    pub(crate) fn syncmap_helper_counter_sum(counter: *mut bindings::percpu_counter) -> i64;
    pub(crate) safe fn syncmap_helper_preemptible() -> bool;
    pub(crate) safe fn syncmap_helper_is_worker() -> bool;
    pub(crate) safe fn syncmap_helper_report_ended_by_itself();
    safe fn syncmap_helper_jiffies() -> c_ulong;
    safe fn syncmap_helper_cond_resched();
    // The tracepoints: a map is a number for them, as for those who read them.
    #[link_name = "syncmap_helper_trace_dirty"]
    pub(crate) safe fn trace_dirty(map: *const (), entries: usize, in_place: bool);
    #[link_name = "syncmap_helper_trace_promote"]
    pub(crate) safe fn trace_promote(map: *const (), entries: usize, misses: usize);
    #[link_name = "syncmap_helper_trace_clear"]
    pub(crate) safe fn trace_clear(map: *const (), entries: usize);
    #[link_name = "syncmap_helper_trace_sweep"]
    pub(crate) safe fn trace_sweep(map: *const (), before: usize, after: usize);
    #[link_name = "syncmap_helper_trace_freed"]
    pub(crate) safe fn trace_freed(map: *const (), bytes: usize);
}

/// The time in ticks since boot, wrapping.
pub(crate) fn jiffies() -> usize {
    syncmap_helper_jiffies()
}

/// Gives others a chance to run. Process context, no locks held that forbid sleeping.
pub(crate) fn cond_resched() {
    syncmap_helper_cond_resched()
}
