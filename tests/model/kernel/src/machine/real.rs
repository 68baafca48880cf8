// SPDX-License-Identifier: GPL-2.0

//! The machine that this runs on.
//!
//! A grace period waits for the threads that were in a section when it started: each has a word that
//! says since how many grace periods it is in one, or zero.

use std::alloc::Layout;
use std::cell::{Cell, OnceCell};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::pthread::{self, Mutex};
use super::{might_sleep, without_lock, Failing, Order, Place};
use crate::workqueue;

pub use std::thread::{current, spawn, JoinHandle, Thread};

pub type RawMutex = Mutex<()>;
pub type RawGuard<'a> = pthread::Guard<'a, ()>;

pub fn lock(mutex: &RawMutex) -> RawGuard<'_> {
    mutex.lock()
}

pub fn try_lock(mutex: &RawMutex) -> Option<RawGuard<'_>> {
    mutex.try_lock()
}

/// Where a thread says whether it is in a section, and that it has ended.
struct Presence {
    since: AtomicU64,
    free: AtomicBool,
}

/// As many as there ever were threads at a time; never freed.
static THREADS: Mutex<Vec<&'static Presence>> = Mutex::new(Vec::new());
static GRACE_PERIODS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static PRESENCE: OnceCell<Present> = const { OnceCell::new() };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    static LOCKED: Cell<usize> = const { Cell::new(0) };
    static IN_ORDER: Cell<bool> = const { Cell::new(false) };
    static FAILING: Cell<Failing> = const { Cell::new(Failing::Never) };
}

/// A thread, until it ends.
struct Present(&'static Presence);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.free.store(true, Ordering::Release);
    }
}

fn presence<R>(f: impl FnOnce(&AtomicU64) -> R) -> R {
    let enter = || {
        let mut threads = THREADS.lock();
        let free = threads
            .iter()
            .find(|thread| thread.free.swap(false, Ordering::Acquire));
        Present(free.copied().unwrap_or_else(|| {
            let (since, free) = (AtomicU64::new(0), AtomicBool::new(false));
            let new: &Presence = Box::leak(Box::new(Presence { since, free }));
            threads.push(new);
            new
        }))
    };
    PRESENCE.with(|present| f(&present.get_or_init(enter).0.since))
}

/// The number of this thread.
pub fn me() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    if NUMBER.get() == usize::MAX {
        NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}

/// A grace period: their number when it started.
pub type GracePeriod = u64;

/// Begins a section of this thread, or one in it.
pub fn begin_section() {
    let depth = DEPTH.replace(DEPTH.get() + 1);
    if depth == 0 {
        let now = GRACE_PERIODS.load(Ordering::SeqCst);
        presence(|presence| presence.swap(now, Ordering::SeqCst));
    }
}

/// Ends it.
pub fn end_section() {
    let depth = DEPTH.get() - 1;
    DEPTH.set(depth);
    if depth == 0 {
        presence(|presence| presence.store(0, Ordering::Release));
    }
}

/// Starts a grace period.
pub fn start_grace_period() -> GracePeriod {
    GRACE_PERIODS.fetch_add(1, Ordering::SeqCst) + 1
}

/// Whether all sections have ended that were there when it started.
pub fn is_over(period: GracePeriod) -> bool {
    let threads = THREADS.lock();
    let gone = |since: u64| since == 0 || since >= period;
    threads
        .iter()
        .all(|thread| gone(thread.since.load(Ordering::SeqCst)))
}

/// Runs what frees objects whose grace period is over.
pub fn reclaim(run: impl FnOnce()) {
    run();
}

/// Runs an interrupt handler.
pub fn interrupt(run: impl FnOnce()) {
    let nested = INTERRUPTED.replace(true);
    run();
    INTERRUPTED.set(nested);
}

/// Whether this is an interrupt handler.
pub fn is_interrupted() -> bool {
    INTERRUPTED.get()
}

/// Whether this is a read-side section.
pub fn is_in_section() -> bool {
    DEPTH.get() != 0
}

/// Says that this thread has taken or released a lock.
pub fn set_locked(locked: bool) {
    LOCKED.set(match locked {
        true => LOCKED.get() + 1,
        false => LOCKED.get() - 1,
    });
}

/// Whether it holds any.
pub fn is_locked() -> bool {
    LOCKED.get() != 0
}

/// Says whether this thread holds the lock before which no other is taken.
pub fn set_in_order(in_order: bool) {
    IN_ORDER.set(in_order);
}

/// Whether it does.
pub fn is_in_order() -> bool {
    IN_ORDER.get()
}

/// Locks a word.
///
/// # Safety
///
/// It is valid until it is unlocked, and used for nothing else.
pub unsafe fn lock_word(word: *mut u32) {
    // SAFETY: By the contract of the function.
    let word = unsafe { AtomicU32::from_ptr(word) };
    while word
        .compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed)
        .is_err()
    {
        std::thread::yield_now();
    }
}

/// Unlocks it, as a full barrier.
///
/// # Safety
///
/// The caller has locked it.
pub unsafe fn unlock_word(word: *mut u32) {
    // SAFETY: By the contract of the function.
    let before = unsafe { AtomicU32::from_ptr(word) }.swap(0, Ordering::SeqCst);
    assert_eq!(before, 1, "a word is unlocked that was not locked");
}

/// Lets others run.
pub fn cond_resched() {
    might_sleep("cond_resched()");
    if me() % 2 == 0 {
        std::thread::yield_now();
    }
}

/// The time in ticks, which are short: a second of the kernel's is over in ten milliseconds.
pub fn ticks(_: usize) -> usize {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_micros() as usize / 40)
}

/// Whether what is due later can be run now.
pub const SKIPS_TIME: bool = false;

/// Waits for a moment, or less.
pub fn idle() {
    std::thread::park_timeout(Duration::from_micros(100));
}

/// Wakes a thread up that is idle, or else keeps it from being so next time.
pub fn wake(thread: &Thread) {
    thread.unpark();
}

/// Ordered with all others who call this: as they are by the lock of the queue.
pub fn order() {}

/// The time, which never stands still.
pub fn tick() -> u64 {
    static CLOCK: AtomicU64 = AtomicU64::new(1);
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

/// When a thread could be told to do something: it never is, here.
pub enum Moment {
    /// When it compares keys.
    Comparison,
}

/// Nothing, then.
pub fn reach(_: Moment) {}

/// Nothing is left out here.
pub fn calm<T>(_: &T) {}

/// Nor ever.
pub fn quiet(_: bool) {}

/// The sanitizers know.
pub fn check_alive<T>(_: *const T) {}

/// Nothing, here.
pub fn show<T>(_: *const T) {}

/// Fails allocations of this thread.
pub fn fail(failing: Failing) {
    FAILING.set(failing);
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// Rather than Rust's allocator, which wants to know the size again in the end.
unsafe extern "C" {
    fn posix_memalign(memory: *mut *mut c_void, align: usize, size: usize) -> c_int;
    #[link_name = "free"]
    fn c_free(memory: *mut c_void);
}

/// Allocates, unless it is time to fail.
pub fn allocate(layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
    without_lock("an allocation");
    let mut failing = FAILING.get();
    let fails = failing.strikes();
    FAILING.set(failing);
    if fails {
        return None;
    }
    let mut memory = std::ptr::null_mut();
    // SAFETY: An alignment of at least a pointer's.
    let error = unsafe { posix_memalign(&mut memory, layout.align().max(8), layout.size()) };
    assert_eq!(error, 0, "there is memory");
    let memory = NonNull::new(memory.cast::<u8>())?;
    if zeroed {
        // SAFETY: As large.
        unsafe { memory.write_bytes(0, layout.size()) };
    }
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    Some(memory)
}

/// Frees.
///
/// # Safety
///
/// Comes from `allocate`, and is not used any more.
pub unsafe fn free(memory: NonNull<u8>) {
    without_lock("freeing");
    ALLOCATIONS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: By the contract of the function.
    unsafe { c_free(memory.as_ptr().cast()) };
}

/// Runs a program while the worker runs.
pub fn boot<R>(program: impl FnOnce() -> R) -> R {
    let worker = workqueue::boot();
    let done = program();
    workqueue::shut_down();
    worker.join().expect("the worker does not panic");
    assert_eq!(
        ALLOCATIONS.load(Ordering::Relaxed),
        0,
        "memory is never freed"
    );
    done
}

fn ordering(order: Order) -> Ordering {
    match order {
        Order::Relaxed => Ordering::Relaxed,
        Order::Acquire => Ordering::Acquire,
        Order::Release => Ordering::Release,
        Order::Full => Ordering::SeqCst,
    }
}

/// Does the same to an atomic of the size of the place, and makes words of what comes out.
macro_rules! at {
    ($place:expr, |$atomic:ident, $cut:ident| $access:expr) => {{
        let place: Place = $place;
        // SAFETY: By the contract of `Place::new`.
        unsafe {
            match place.size {
                1 => {
                    let ($atomic, $cut) = (AtomicU8::from_ptr(place.ptr), |word: u64| word as u8);
                    $access
                }
                4 => {
                    let ($atomic, $cut) = (AtomicU32::from_ptr(place.ptr.cast()), |word: u64| {
                        word as u32
                    });
                    $access
                }
                _ => {
                    let ($atomic, $cut) = (AtomicU64::from_ptr(place.ptr.cast()), |word: u64| word);
                    $access
                }
            }
        }
    }};
}

#[expect(clippy::useless_conversion, reason = "of the largest")]
pub fn load(place: Place, order: Order) -> u64 {
    at!(place, |atomic, _cut| atomic.load(ordering(order)).into())
}

pub fn store(place: Place, word: u64, order: Order) {
    at!(place, |atomic, cut| atomic
        .store(cut(word), ordering(order)));
}

#[expect(clippy::useless_conversion, reason = "of the largest")]
pub fn exchange(place: Place, word: u64, order: Order) -> u64 {
    at!(place, |atomic, cut| atomic
        .swap(cut(word), ordering(order))
        .into())
}

#[expect(clippy::useless_conversion, reason = "of the largest")]
pub fn compare_exchange(place: Place, old: u64, new: u64, order: Order) -> Result<u64, u64> {
    at!(place, |atomic, cut| {
        let done = atomic.compare_exchange(cut(old), cut(new), ordering(order), Ordering::Relaxed);
        done.map(u64::from).map_err(u64::from)
    })
}

#[expect(clippy::useless_conversion, reason = "of the largest")]
pub fn fetch_add(place: Place, by: u64, order: Order) -> u64 {
    at!(place, |atomic, cut| atomic
        .fetch_add(cut(by), ordering(order))
        .into())
}
