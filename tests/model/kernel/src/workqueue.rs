// SPDX-License-Identifier: GPL-2.0

//! Work queues, interrupt work, wait queues: one thread runs it all.

use crate::ffi::{c_long, c_ulong, c_void};
use crate::machine::{self, GracePeriod, Order, Place, Thread};

type WorkFunction = unsafe extern "C" fn(*mut work_struct);
type IrqFunction = unsafe extern "C" fn(*mut c_void);

/// What is run.
#[repr(C)]
pub struct work_struct {
    function: WorkFunction,
}

/// After a grace period.
#[repr(C)]
pub struct rcu_work {
    pub work: work_struct,
}

/// After a while.
#[repr(C)]
pub struct delayed_work {
    pub work: work_struct,
}

/// In an interrupt handler.
#[repr(C)]
pub struct irq_work {
    function: IrqFunction,
    /// As the kernel's, for a handler that is taken later; see [`with_interrupts_off`].
    flags: u64,
}

/// It was asked for, and has not begun.
const PENDING: u64 = 1;
/// It was asked for, and has not ended. Whoever ends clears it, though another may be on its way.
const BUSY: u64 = 2;

/// Where tasks wait: its address is all that matters.
#[repr(C)]
pub struct wait_queue_head {
    _place: usize,
}

#[derive(Clone, Copy)]
enum When {
    /// At once, in an interrupt handler.
    Interrupt(*mut irq_work),
    After(GracePeriod, *mut work_struct),
    /// When it is that time.
    At(usize, *mut work_struct),
}

// SAFETY: Whoever queues work lets any thread run it.
unsafe impl Send for When {}

#[derive(Clone, Copy)]
struct Item {
    /// The address of the work.
    work: usize,
    when: When,
}

/// The queue, and those who wait.
pub(crate) struct Queue {
    items: Vec<Item>,
    running: Option<usize>,
    waiting: Vec<(usize, Thread)>,
    worker: Option<Thread>,
    ticks: usize,
    over: bool,
    /// The threads that do not take interrupts now, and what waits for them to do so.
    masked: Vec<(usize, Vec<usize>)>,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Queue {
            items: Vec::new(),
            running: None,
            waiting: Vec::new(),
            worker: None,
            ticks: 1000,
            over: false,
            masked: Vec::new(),
        }
    }

    fn is_pending(&self, work: usize) -> bool {
        self.items.iter().any(|item| item.work == work)
    }

    fn is_busy_with(&self, work: usize) -> bool {
        self.is_pending(work) || self.running == Some(work)
    }

    /// Takes what is to be run next.
    fn take(&mut self) -> Option<Item> {
        let ready = |item: &Item| match item.when {
            When::Interrupt(_) => true,
            When::After(period, _) => machine::is_over(period),
            When::At(ticks, _) => ticks <= machine::ticks(self.ticks),
        };
        let later = |item: &Item| machine::SKIPS_TIME && matches!(item.when, When::At(..));
        let at = self.items.iter().position(ready);
        let at = at.or_else(|| self.items.iter().position(later))?;
        let item = self.items.remove(at);
        if let When::At(ticks, _) = item.when {
            self.ticks = self.ticks.max(ticks);
        }
        self.running = Some(item.work);
        Some(item)
    }
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
fn queue<R>(f: impl FnOnce(&mut Queue) -> R) -> R {
    use std::cell::RefCell;
    thread_local! {
        static QUEUE: RefCell<Queue> = const { RefCell::new(Queue::new()) };
    }
    QUEUE.with_borrow_mut(f)
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn queue<R>(f: impl FnOnce(&mut Queue) -> R) -> R {
    use crate::machine::pthread::Mutex;
    static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());
    f(&mut QUEUE.lock())
}

/// Those who wait for the worker.
const FINISHED: usize = 0;
/// Those who wait for a grace period.
const PERIOD: usize = 1;

/// Starts the worker.
pub(crate) fn boot() -> machine::JoinHandle<()> {
    queue(|queue| *queue = Queue::new());
    machine::spawn(|| {
        queue(|queue| queue.worker = Some(machine::current()));
        work();
    })
}

/// Lets the worker end, with nothing left to do.
pub(crate) fn shut_down() {
    machine::order();
    let left = queue(|queue| {
        queue.over = true;
        queue.items.len()
    });
    assert_eq!(left, 0, "work is left");
    wake_worker();
}

/// Waits until nothing is queued, nor being run.
pub fn finish() {
    wait(FINISHED, || {
        queue(|queue| queue.items.is_empty() && queue.running.is_none())
    });
}

/// Waits until nothing is being run.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn rest() {
    wait(FINISHED, || queue(|queue| queue.running.is_none()));
}

fn wake_worker() {
    if let Some(worker) = queue(|queue| queue.worker.clone()) {
        machine::wake(&worker);
    }
}

fn work() {
    loop {
        machine::order();
        let Some(item) = queue(Queue::take) else {
            if queue(|queue| queue.over) {
                return;
            }
            machine::idle();
            continue;
        };
        // SAFETY: What is queued is valid until it is known to be run.
        unsafe {
            match item.when {
                When::Interrupt(work) => machine::interrupt(|| ((*work).function)(work.cast())),
                When::After(_, work) => machine::reclaim(|| ((*work).function)(work)),
                When::At(_, work) => ((*work).function)(work),
            }
        }
        machine::order();
        queue(|queue| queue.running = None);
        wake(FINISHED);
    }
}

fn enqueue(item: Item) -> bool {
    machine::order();
    let fresh = queue(|queue| {
        let fresh = !queue.is_pending(item.work);
        if fresh {
            queue.items.push(item);
        }
        fresh
    });
    if fresh && !matches!(item.when, When::After(period, _) if !machine::is_over(period)) {
        wake_worker();
    }
    fresh
}

/// A section has ended, for which a grace period may have waited.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn section_ended() {
    let ready = queue(|queue| {
        let over =
            |item: &Item| matches!(item.when, When::After(period, _) if machine::is_over(period));
        queue.items.iter().any(over)
    });
    if ready {
        wake_worker();
    }
    if queue(|queue| queue.waiting.iter().any(|(place, _)| *place == PERIOD)) {
        wake(PERIOD);
    }
}

/// The oldest grace period that work waits for.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn periods_waiting() -> Option<GracePeriod> {
    queue(|queue| {
        let period = |item: &Item| match item.when {
            When::After(period, _) => Some(period),
            _ => None,
        };
        queue.items.iter().filter_map(period).min()
    })
}

/// Waits until it is so. Whoever makes it so wakes those up who wait at `place`.
fn wait(place: usize, is_so: impl Fn() -> bool) {
    machine::might_sleep("waiting");
    let me = machine::current();
    let leave = |queue: &mut Queue| {
        let found = queue
            .waiting
            .iter()
            .position(|(at, who)| *at == place && who.id() == me.id());
        if let Some(at) = found {
            queue.waiting.swap_remove(at);
        }
    };
    loop {
        queue(|queue| queue.waiting.push((place, me.clone())));
        machine::order();
        if is_so() {
            return queue(leave);
        }
        machine::idle();
        queue(leave);
    }
}

fn wake(place: usize) {
    machine::order();
    let mut woken = Vec::new();
    queue(|queue| {
        queue.waiting.retain(|(at, who)| {
            if *at == place {
                woken.push(who.clone());
            }
            *at != place
        });
    });
    woken.iter().for_each(machine::wake);
}

/// Waits until all sections have ended that there are now.
///
/// # Safety
///
/// Always safe.
pub unsafe fn synchronize_rcu() {
    let period = machine::start_grace_period();
    wait(PERIOD, || machine::is_over(period));
}

/// The flags of an interrupt work.
///
/// # Safety
///
/// It was initialised. If it is not valid any more, the machine complains.
unsafe fn flags_of(work: *mut irq_work) -> Place {
    // SAFETY: By the contract of the function.
    unsafe { Place::new(&raw mut (*work).flags) }
}

/// Does something with interrupts off, and then takes those that were asked for meanwhile on this
/// processor, as the kernel does it: two processors may be in the handler of the same work. Until
/// then, grace periods wait.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub fn with_interrupts_off<R>(act: impl FnOnce() -> R) -> R {
    let me = machine::me();
    let section = machine::begin_interrupts_off();
    queue(|queue| queue.masked.push((me, Vec::new())));
    let done = act();
    let held = queue(|queue| {
        let at = queue.masked.iter().position(|(who, _)| *who == me);
        queue.masked.swap_remove(at.expect("interrupts are off")).1
    });
    for work in held {
        let work = std::ptr::with_exposed_provenance_mut::<irq_work>(work);
        // SAFETY: Or the machine complains.
        machine::interrupt(|| unsafe { run_interrupt(work) });
    }
    machine::end_interrupts_off(section);
    done
}

/// Nobody has interrupts off on real threads.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub fn with_interrupts_off<R>(act: impl FnOnce() -> R) -> R {
    act()
}

/// Whether this thread has interrupts off.
pub(crate) fn is_masked() -> bool {
    let me = machine::me();
    queue(|queue| queue.masked.iter().any(|(who, _)| *who == me))
}

/// The kernel's `irq_work_claim`.
///
/// # Safety
///
/// As [`flags_of`].
unsafe fn claim(work: *mut irq_work) -> bool {
    // SAFETY: By the contract of the function.
    let flags = unsafe { flags_of(work) };
    let mut seen = machine::load(flags, Order::Relaxed);
    loop {
        match machine::compare_exchange(flags, seen, seen | PENDING | BUSY, Order::Full) {
            Ok(_) => return seen & PENDING == 0,
            Err(now) => seen = now,
        }
    }
}

/// The kernel's `irq_work_single`.
///
/// # Safety
///
/// As [`flags_of`].
#[cfg(any(feature = "loom", feature = "shuttle"))]
unsafe fn run_interrupt(work: *mut irq_work) {
    // SAFETY: By the contract of the function.
    unsafe {
        let seen = machine::load(flags_of(work), Order::Relaxed) & !PENDING;
        machine::exchange(flags_of(work), seen, Order::Full);
        ((*work).function)(work.cast());
        let _ = machine::compare_exchange(flags_of(work), seen, seen & !BUSY, Order::Full);
    }
    wake(FINISHED);
}

/// # Safety
///
/// `work` was initialised, and remains valid until it has been synchronised with.
pub unsafe fn irq_work_queue(work: *mut irq_work) -> bool {
    machine::without_lock("queueing");
    if is_masked() {
        let me = machine::me();
        // SAFETY: By the contract of the function.
        let claimed = unsafe { claim(work) };
        if claimed {
            queue(|queue| {
                let held = queue.masked.iter_mut().find(|(who, _)| *who == me);
                held.expect("interrupts are off")
                    .1
                    .push(work.expose_provenance());
            });
        }
        return claimed;
    }
    if cfg!(feature = "loom") {
        // Now is as good a time as any.
        // SAFETY: By the contract of the function.
        machine::interrupt(|| unsafe { ((*work).function)(work.cast()) });
        return true;
    }
    enqueue(Item {
        work: work.addr(),
        when: When::Interrupt(work),
    })
}

/// # Safety
///
/// `work` was initialised.
pub unsafe fn irq_work_sync(work: *mut irq_work) {
    // SAFETY: By the contract of the function.
    let flags = unsafe { flags_of(work) };
    wait(FINISHED, || {
        queue(|queue| !queue.is_busy_with(work.addr()))
            && machine::load(flags, Order::Acquire) & BUSY == 0
    });
}

/// # Safety
///
/// Always safe.
pub unsafe fn flush_rcu_work(work: *mut rcu_work) -> bool {
    let work = work.addr();
    wait(FINISHED, || queue(|queue| !queue.is_busy_with(work)));
    true
}

/// # Safety
///
/// Always safe.
pub unsafe fn cancel_delayed_work_sync(work: *mut delayed_work) -> bool {
    let work = work.addr();
    // What runs may queue it again.
    wait(FINISHED, || {
        queue(|queue| {
            queue.items.retain(|item| item.work != work);
            queue.running != Some(work)
        })
    });
    true
}

unsafe extern "C" {
    fn syncmap_worker_kicked(kick: *mut c_void);
}

// `helpers.c`.

#[no_mangle]
unsafe extern "C" fn syncmap_helper_init_kick(kick: *mut c_void) {
    // SAFETY: By the contract of the function: a struct irq_work.
    unsafe {
        kick.cast::<irq_work>().write(irq_work {
            function: syncmap_worker_kicked,
            flags: 0,
        })
    };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_init_rcu_work(work: *mut rcu_work, function: WorkFunction) {
    // SAFETY: By the contract of the function.
    unsafe {
        work.write(rcu_work {
            work: work_struct { function },
        })
    };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_init_delayed_work(
    work: *mut delayed_work,
    function: WorkFunction,
) {
    // SAFETY: By the contract of the function.
    unsafe {
        work.write(delayed_work {
            work: work_struct { function },
        })
    };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_init_waitqueue(queue: *mut wait_queue_head) {
    // SAFETY: By the contract of the function.
    unsafe { queue.write(wait_queue_head { _place: 0 }) };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_queue_rcu_work(work: *mut rcu_work) -> bool {
    machine::without_lock("queueing");
    if queue(|queue| queue.is_pending(work.addr())) {
        return false;
    }
    let period = machine::start_grace_period();
    enqueue(Item {
        work: work.addr(),
        when: When::After(period, work.cast()),
    })
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_queue_delayed_work(work: *mut delayed_work, delay: c_ulong) {
    machine::without_lock("queueing");
    // It takes locks that whoever has interrupts off may hold.
    let allowed = machine::is_preemptible() || machine::is_interrupted();
    assert!(allowed, "delayed work is queued with interrupts off");
    let ticks = syncmap_helper_jiffies() + delay;
    enqueue(Item {
        work: work.addr(),
        when: When::At(ticks, work.cast()),
    });
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_mod_delayed_work(work: *mut delayed_work, delay: c_ulong) {
    queue(|queue| queue.items.retain(|item| item.work != work.addr()));
    // SAFETY: As there.
    unsafe { syncmap_helper_queue_delayed_work(work, delay) };
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_wait_cycle(
    queue: *mut wait_queue_head,
    cycles: *const c_ulong,
    seen: c_ulong,
    _: c_ulong,
) -> c_long {
    // SAFETY: By the contract of the function.
    let cycles = unsafe { Place::new(cycles.cast_mut()) };
    wait(queue.addr(), || {
        machine::load(cycles, Order::Relaxed) != seen as u64
    });
    1
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_wait_cycle_or_idle(
    queue: *mut wait_queue_head,
    cycles: *const c_ulong,
    seen: c_ulong,
    busy: *const bool,
) {
    // SAFETY: By the contract of the function.
    let (cycles, busy) = unsafe { (Place::new(cycles.cast_mut()), Place::new(busy.cast_mut())) };
    wait(queue.addr(), || {
        machine::load(cycles, Order::Relaxed) != seen as u64
            || machine::load(busy, Order::Relaxed) == 0
    });
}

#[no_mangle]
unsafe extern "C" fn syncmap_helper_wake_up_all(queue: *mut wait_queue_head) {
    machine::without_lock("waking up");
    wake(queue.addr());
}

#[no_mangle]
extern "C" fn syncmap_helper_preemptible() -> bool {
    machine::is_preemptible()
}

#[no_mangle]
extern "C" fn syncmap_helper_is_worker() -> bool {
    let me = machine::current().id();
    queue(|queue| queue.worker.as_ref().is_some_and(|who| who.id() == me))
}

#[no_mangle]
extern "C" fn syncmap_helper_report_ended_by_itself() {
    panic!("a map is ended by a destructor of its own values");
}

#[no_mangle]
extern "C" fn syncmap_helper_jiffies() -> c_ulong {
    machine::ticks(queue(|queue| queue.ticks))
}

#[no_mangle]
extern "C" fn syncmap_helper_cond_resched() {
    machine::cond_resched();
}
