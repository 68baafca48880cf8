// SPDX-License-Identifier: GPL-2.0

//! A machine all of whose threads are run by one, in turns that loom or shuttle chooses.
//!
//! What is not an atomic access is not seen by them: the state of the machine itself, below, is
//! plain, and changes at once. It is not borrowed where another thread may come on.
//!
//! # RCU
//!
//! A grace period waits for the sections that began before it did. On loom, who begins a section
//! loads the number of grace periods that have started, and may get an old one: then the section
//! counts as one that was there before, if the grace period is still waiting; if it is over, RCU
//! guarantees that the section comes after it, and everything that came before is seen. At the end,
//! what has a grace period behind it is read as it is, not as it may have been: all sections that
//! could have changed it have ended, and their end comes before that of the grace period.

mod access;
mod heap;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::PoisonError;

#[cfg(feature = "loom")]
pub(crate) use loom as runtime;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
pub(crate) use shuttle as runtime;

use super::{might_sleep, Failing};
use crate::workqueue;
use runtime::thread::ThreadId;

pub use access::{calm, compare_exchange, exchange, fetch_add, load, order, quiet, store, tick};
pub use heap::{allocate, check_alive, free, live_allocations, show};
pub use runtime::thread::{current, park, spawn, yield_now, JoinHandle, Thread};

pub type RawMutex = runtime::sync::Mutex<()>;
pub type RawGuard<'a> = runtime::sync::MutexGuard<'a, ()>;

/// A read-side section, with those in it.
pub(crate) type Section = u64;

/// A grace period: their number when it started.
pub type GracePeriod = u64;

struct Active {
    section: Section,
    thread: usize,
    /// How often it has begun, and not ended.
    depth: usize,
    /// The number of grace periods that had started when it began.
    after: GracePeriod,
}

#[derive(Default)]
struct State {
    threads: Vec<ThreadId>,
    sections: Vec<Active>,
    last_section: Section,
    grace_periods: GracePeriod,
    /// The threads that are in an interrupt handler.
    interrupted: Vec<usize>,
    /// The threads that hold a lock, once for each.
    locked: Vec<usize>,
    /// The threads that hold the lock before which no other is taken.
    in_order: Vec<usize>,
    /// The locks that are words, by their addresses.
    words: HashMap<usize, Rc<RawMutex>>,
    /// Those of them that are held.
    held: HashMap<usize, RawGuard<'static>>,
    /// Who frees what has a grace period behind it.
    reclaiming: Option<usize>,
    failing: HashMap<usize, Failing>,
    /// What threads do before they do something else.
    before: HashMap<(usize, Moment), Box<dyn FnOnce()>>,
    /// The threads that take a lock.
    locking: Vec<ThreadId>,
    /// Those of them that were woken up meanwhile.
    called: Vec<ThreadId>,
    heap: heap::Heap,
    cells: access::Cells,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(f)
}

/// The number of this thread, from 0.
pub fn me() -> usize {
    let id = current().id();
    state(
        |state| match state.threads.iter().position(|thread| *thread == id) {
            Some(number) => number,
            None => {
                state.threads.push(id);
                state.threads.len() - 1
            }
        },
    )
}

/// Fails allocations of this thread.
pub fn fail(failing: Failing) {
    let me = me();
    state(|state| state.failing.insert(me, failing));
}

/// How this thread's allocations will fail now.
pub fn failing() -> Failing {
    let me = me();
    state(|state| state.failing.get(&me).copied().unwrap_or(Failing::Never))
}

/// When a thread does something that it was told to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// When it allocates.
    Allocation,
    /// When it compares keys.
    Comparison,
}

/// Has this thread do something when that comes next.
pub fn before(moment: Moment, act: impl FnOnce() + 'static) {
    let me = me();
    state(|state| state.before.insert((me, moment), Box::new(act)));
}

/// Does what this thread was told to do then.
pub fn reach(moment: Moment) {
    let me = me();
    if let Some(act) = state(|state| state.before.remove(&(me, moment))) {
        act();
    }
}

pub fn lock(mutex: &RawMutex) -> RawGuard<'_> {
    let me = current();
    state(|state| state.locking.push(me.id()));
    let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    let called = state(|state| {
        state.locking.retain(|id| *id != me.id());
        let at = state.called.iter().position(|id| *id == me.id());
        at.map(|at| state.called.swap_remove(at)).is_some()
    });
    if called {
        me.unpark();
    }
    guard
}

/// Wakes a thread up that is idle, or else keeps it from being so next time. Not one that waits for
/// a lock: loom would let it go on without.
pub fn wake(thread: &Thread) {
    let locking = state(|state| {
        let locking = state.locking.contains(&thread.id());
        if locking && !state.called.contains(&thread.id()) {
            state.called.push(thread.id());
        }
        locking
    });
    if !locking {
        thread.unpark();
    }
}

pub fn try_lock(mutex: &RawMutex) -> Option<RawGuard<'_>> {
    mutex.try_lock().ok()
}

fn begin_section_of(thread: usize) -> Section {
    let after = access::seen_grace_periods();
    state(|state| {
        state.last_section += 1;
        let section = state.last_section;
        state.sections.push(Active {
            section,
            thread,
            depth: 1,
            after,
        });
        section
    })
}

/// Begins a section of this thread, or one in it.
pub fn begin_section() {
    let me = me();
    let nested = state(|state| {
        let mine = state.sections.iter_mut().find(|active| active.thread == me);
        mine.map(|active| active.depth += 1).is_some()
    });
    if !nested {
        begin_section_of(me);
    }
}

/// Ends it.
pub fn end_section() {
    let me = me();
    let ended = state(|state| {
        let mut mine = state.sections.iter_mut();
        let mine = mine.find(|active| active.thread == me);
        let mine = mine.expect("a section ends that has begun");
        mine.depth -= 1;
        (mine.depth == 0).then_some(mine.section)
    });
    if let Some(section) = ended {
        end_section_of(section);
    }
}

fn end_section_of(section: Section) {
    state(|state| state.sections.retain(|active| active.section != section));
    workqueue::section_ended();
}

/// Begins one that is none of the code's own: grace periods wait for it as well.
pub(crate) fn begin_interrupts_off() -> Section {
    begin_section_of(usize::MAX)
}

/// Ends it.
pub(crate) fn end_interrupts_off(section: Section) {
    end_section_of(section);
}

/// Starts a grace period.
pub fn start_grace_period() -> GracePeriod {
    access::count_grace_period();
    state(|state| {
        state.grace_periods += 1;
        state.grace_periods
    })
}

/// Whether all sections have ended that were there when it started.
pub fn is_over(period: GracePeriod) -> bool {
    state(|state| state.sections.iter().all(|active| active.after >= period))
}

/// Runs what frees objects whose grace period is over.
pub fn reclaim(run: impl FnOnce()) {
    let me = me();
    state(|state| state.reclaiming = Some(me));
    run();
    state(|state| state.reclaiming = None);
}

/// Runs an interrupt handler.
pub fn interrupt(run: impl FnOnce()) {
    let me = me();
    state(|state| state.interrupted.push(me));
    run();
    state(|state| remove(&mut state.interrupted, me));
}

fn remove(threads: &mut Vec<usize>, thread: usize) {
    let at = threads.iter().position(|other| *other == thread);
    threads.swap_remove(at.expect("the thread is there"));
}

/// Whether this is an interrupt handler.
pub fn is_interrupted() -> bool {
    let me = me();
    state(|state| state.interrupted.contains(&me))
}

/// Whether this is a read-side section.
pub fn is_in_section() -> bool {
    let me = me();
    state(|state| state.sections.iter().any(|active| active.thread == me))
}

/// Says that this thread has taken or released a lock.
pub fn set_locked(locked: bool) {
    let me = me();
    state(|state| match locked {
        true => state.locked.push(me),
        false => remove(&mut state.locked, me),
    });
}

/// Whether it holds any.
pub fn is_locked() -> bool {
    let me = me();
    state(|state| state.locked.contains(&me))
}

/// Says whether this thread holds the lock before which no other is taken.
pub fn set_in_order(in_order: bool) {
    let me = me();
    state(|state| match in_order {
        true => state.in_order.push(me),
        false => remove(&mut state.in_order, me),
    });
}

/// Whether it does.
pub fn is_in_order() -> bool {
    let me = me();
    state(|state| state.in_order.contains(&me))
}

/// Locks a word.
///
/// # Safety
///
/// It is valid until it is unlocked, and used for nothing else.
pub unsafe fn lock_word(word: *mut u32) {
    check_alive(word);
    let known = state(|state| state.words.get(&word.addr()).cloned());
    let mutex = known.unwrap_or_else(|| Rc::new(RawMutex::new(())));
    state(|state| state.words.insert(word.addr(), mutex.clone()));
    let guard = lock(&mutex);
    check_alive(word);
    // SAFETY: No memory is used twice, so the mutex stays until the end, when no word is locked.
    let guard = unsafe { std::mem::transmute::<RawGuard<'_>, RawGuard<'static>>(guard) };
    state(|state| state.held.insert(word.addr(), guard));
}

/// Unlocks it, as a full barrier.
///
/// # Safety
///
/// The caller has locked it.
pub unsafe fn unlock_word(word: *mut u32) {
    check_alive(word);
    access::barrier();
    let guard = state(|state| state.held.remove(&word.addr()));
    drop(guard.expect("a word is unlocked that was locked"));
}

/// Lets others run.
pub fn cond_resched() {
    might_sleep("cond_resched()");
}

/// The time in ticks: it passes when there is nothing else to do.
pub fn ticks(last: usize) -> usize {
    last
}

/// Whether what is due later can be run now.
pub const SKIPS_TIME: bool = true;

/// Leaves it to the threads themselves when they take turns, if all turns would be tried.
pub fn stop_exploring() {
    #[cfg(feature = "loom")]
    loom::stop_exploring();
}

/// Waits for nothing in particular.
pub fn idle() {
    park();
}

/// Runs a program on a machine that has just been switched on: the body of a loom model, or of a
/// shuttle test.
pub fn boot<R>(program: impl FnOnce() -> R) -> R {
    state(|state| *state = State::default());
    access::boot();
    me();
    let worker = workqueue::boot();
    quiet(true);
    let done = program();
    workqueue::shut_down();
    worker.join().expect("the worker does not panic");
    #[cfg(feature = "loom")]
    access::count_places();
    let left = state(|state| {
        let left = state.sections.len();
        state.cells = access::Cells::default();
        state.words.clear();
        left
    });
    assert_eq!(left, 0, "a read-side section never ends");
    let left = heap::end();
    assert_eq!(left, 0, "memory is never freed");
    done
}
