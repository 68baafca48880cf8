// SPDX-License-Identifier: GPL-2.0

//! Atomic accesses.
//!
//! What is in memory is always what was stored last. For loom there is an atomic of its own for each
//! place, made when the place is accessed first, or again after it was changed plainly, by somebody
//! who has it to himself. The source's atomics can so be zeroed memory, as in the kernel.

use std::ops::Range;
use std::rc::Rc;

use super::super::{Order, Place};
use super::runtime::sync::atomic::AtomicU64;
use super::{heap, state};

#[derive(Default)]
pub(super) struct Cells {
    #[cfg(feature = "loom")]
    cells: std::collections::HashMap<usize, Rc<Cell>>,
    /// Those that have no place yet.
    #[cfg(feature = "loom")]
    spare: Vec<AtomicU64>,
    #[cfg(feature = "loom")]
    used: usize,
    /// Places of which loom and shuttle need not know.
    calm: Vec<Range<usize>>,
    /// What orders those who start grace periods and those who begin sections.
    grace_periods: Option<Rc<AtomicU64>>,
    /// Whether there is one thread only that does anything: nothing is tried.
    quiet: bool,
    /// The time.
    clock: Option<Rc<AtomicU64>>,
    /// What orders those who queue work and those who run it.
    queue: Option<Rc<AtomicU64>>,
}

/// An atomic of loom's, for a place.
///
/// It was made before all threads, as loom takes making one for a change that must come before all
/// others, and holds zero then: so in it is the difference from what was first in the place.
#[cfg(feature = "loom")]
struct Cell {
    atomic: AtomicU64,
    first: u64,
    /// What was stored last, unless plainly.
    last: std::cell::Cell<u64>,
}

impl Cells {
    /// Whether nothing is tried now: others may have ended without having synchronised.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }
}

pub(super) fn boot() {
    let new = || Some(Rc::new(AtomicU64::new(0)));
    let (grace_periods, queue, clock) = (new(), new(), new());
    state(|state| {
        state.cells.grace_periods = grace_periods;
        state.cells.queue = queue;
        state.cells.clock = clock;
    });
    #[cfg(feature = "loom")]
    accesses::make_spare();
}

/// Leaves atomics alone that only count: their accesses are sequentially consistent then, and no
/// other thread comes on because of them.
pub fn calm<T>(what: &T) {
    let start = std::ptr::from_ref(what).addr();
    state(|state| state.cells.calm.push(start..start + size_of::<T>()));
}

/// Tries nothing until told otherwise: for when one thread has all that is accessed to itself, but
/// for the worker.
pub fn quiet(quiet: bool) {
    // Which may be in the middle of an access, and about to change what was there before.
    crate::workqueue::rest();
    state(|state| state.cells.quiet = quiet);
}

/// The time, which never stands still.
pub fn tick() -> u64 {
    use super::runtime::sync::atomic::Ordering::AcqRel;
    let clock = state(|state| state.cells.clock.clone());
    clock.expect("the machine is on").fetch_add(1, AcqRel) + 1
}

/// Ordered with all others who call this, as the lock of a queue would.
pub fn order() {
    use super::runtime::sync::atomic::Ordering::AcqRel;
    if let Some(queue) = state(|state| state.cells.queue.clone()) {
        queue.fetch_add(1, AcqRel);
    }
}

/// Before the start of a grace period is counted.
pub(super) fn count_grace_period() {
    use super::runtime::sync::atomic::Ordering::AcqRel;
    if let Some(counter) = state(|state| state.cells.grace_periods.clone()) {
        counter.fetch_add(1, AcqRel);
    }
}

/// The number of grace periods that one who begins a section may know of.
pub(super) fn seen_grace_periods() -> u64 {
    use super::runtime::sync::atomic::Ordering::{AcqRel, Acquire};
    let Some(counter) = state(|state| state.cells.grace_periods.clone()) else {
        return 0;
    };
    let seen = counter.load(Acquire);
    let over = crate::workqueue::periods_waiting().is_none_or(|oldest| seen + 1 < oldest);
    if over && seen != state(|state| state.grace_periods) {
        return counter.fetch_add(0, AcqRel);
    }
    seen
}

impl Place {
    fn address(self) -> usize {
        self.ptr.expose_provenance()
    }

    fn get(self) -> u64 {
        // SAFETY: By the contract of `Place::new`; all threads are this one.
        unsafe {
            match self.size {
                1 => self.ptr.read().into(),
                4 => self.ptr.cast::<u32>().read().into(),
                _ => self.ptr.cast::<u64>().read(),
            }
        }
    }

    fn set(self, word: u64) {
        // SAFETY: As in `get`.
        unsafe {
            match self.size {
                1 => self.ptr.write(word as u8),
                4 => self.ptr.cast::<u32>().write(word as u32),
                _ => self.ptr.cast::<u64>().write(word),
            }
        }
    }

    /// What is left of a word there.
    fn cut(self, word: u64) -> u64 {
        match self.size {
            1 => word & 0xff,
            4 => word & 0xffff_ffff,
            _ => word,
        }
    }

    /// Whether it is left alone; freed memory never is.
    fn is_calm(self) -> bool {
        heap::check_alive(self.ptr);
        let address = self.address();
        state(|state| {
            state.cells.quiet
                || state
                    .cells
                    .calm
                    .iter()
                    .any(|range| range.contains(&address))
        })
    }
}

/// Accesses a place: `access` has it, alone, for an instant.
#[cfg(not(feature = "loom"))]
fn at<R>(place: Place, access: impl FnOnce(Place) -> R) -> R {
    use super::runtime::sync::atomic::Ordering::Relaxed;
    if !place.is_calm() {
        let queue = state(|state| state.cells.queue.clone());
        // Where another thread may come on.
        queue.expect("the machine is on").load(Relaxed);
        heap::check_alive(place.ptr);
    }
    access(place)
}

#[cfg(not(feature = "loom"))]
mod accesses {
    use super::*;

    pub fn load(place: Place, _: Order) -> u64 {
        at(place, Place::get)
    }

    pub fn store(place: Place, word: u64, _: Order) {
        at(place, |place| place.set(word));
        heap::publish(word);
    }

    pub fn exchange(place: Place, word: u64, _: Order) -> u64 {
        heap::publish(word);
        at(place, |place| {
            let old = place.get();
            place.set(word);
            old
        })
    }

    pub fn compare_exchange(place: Place, old: u64, new: u64, _: Order) -> Result<u64, u64> {
        let found = at(place, |place| {
            let found = place.get();
            if found == old {
                place.set(new);
            }
            found
        });
        if found != old {
            return Err(found);
        }
        heap::publish(new);
        Ok(found)
    }

    pub fn fetch_add(place: Place, by: u64, _: Order) -> u64 {
        at(place, |place| {
            let old = place.get();
            place.set(place.cut(old.wrapping_add(by)));
            old
        })
    }
}

#[cfg(feature = "loom")]
mod accesses {
    use super::super::me;
    use super::*;
    use loom::sync::atomic::{fence, Ordering};

    thread_local! {
        /// How many places there were in executions before, at most.
        static PLACES: std::cell::Cell<usize> = const { std::cell::Cell::new(2000) };
    }

    pub(super) fn make_spare() {
        // Executions differ in how many places they have.
        let spare = (0..PLACES.get() + 1000)
            .map(|_| AtomicU64::new(0))
            .collect();
        state(|state| state.cells.spare = spare);
    }

    /// At the end of an execution.
    pub(in super::super) fn count_places() {
        let used = state(|state| std::mem::take(&mut state.cells.used));
        // The first guess was a high one; later ones only grow.
        match PLACES.get() {
            2000 => PLACES.set(used),
            places => PLACES.set(places.max(used)),
        }
    }

    fn cell(place: Place) -> Rc<Cell> {
        let now = place.get();
        state(|state| {
            let cells = &mut state.cells;
            let known = cells.cells.get(&place.address());
            if let Some(cell) = known.filter(|cell| cell.last.get() == now) {
                return cell.clone();
            }
            cells.used += 1;
            let atomic = cells.spare.pop().expect("enough atomics have been made");
            let cell = Rc::new(Cell {
                atomic,
                first: now,
                last: std::cell::Cell::new(now),
            });
            cells.cells.insert(place.address(), cell.clone());
            cell
        })
    }

    impl Cell {
        fn inside(&self, word: u64) -> u64 {
            word.wrapping_sub(self.first)
        }

        fn outside(&self, word: u64) -> u64 {
            word.wrapping_add(self.first)
        }
    }

    fn kept(cell: &Cell, place: Place, word: u64) {
        cell.last.set(word);
        place.set(word);
        // Others may have freed the memory since `cell`.
        heap::check_alive(place.ptr);
    }

    /// Whether this thread is freeing what has a grace period behind it, and that is part of it.
    fn reads_latest(place: Place) -> bool {
        let me = me();
        state(|state| state.reclaiming == Some(me)) && heap::is_published(place.ptr)
    }

    fn ordering(order: Order) -> Ordering {
        match order {
            Order::Relaxed => Ordering::Relaxed,
            Order::Acquire => Ordering::Acquire,
            Order::Release => Ordering::Release,
            Order::Full => Ordering::AcqRel,
        }
    }

    /// What follows a full access comes after it in the order of all fences.
    fn done(order: Order) {
        if order == Order::Full {
            fence(Ordering::SeqCst);
        }
    }

    pub fn load(place: Place, order: Order) -> u64 {
        if place.is_calm() {
            return place.get();
        }
        let cell = cell(place);
        // Not the links of what is retired, which one who pushes it hands to one who frees it.
        let word = match order == Order::Acquire && reads_latest(place) {
            true => cell.atomic.fetch_add(0, Ordering::AcqRel),
            false => cell.atomic.load(ordering(order)),
        };
        heap::check_alive(place.ptr);
        place.cut(cell.outside(word))
    }

    pub fn store(place: Place, word: u64, order: Order) {
        heap::publish(word);
        if place.is_calm() {
            return place.set(word);
        }
        let cell = cell(place);
        cell.atomic.store(cell.inside(word), ordering(order));
        kept(&cell, place, word);
    }

    pub fn exchange(place: Place, word: u64, order: Order) -> u64 {
        heap::publish(word);
        if place.is_calm() {
            let old = place.get();
            place.set(word);
            return old;
        }
        let cell = cell(place);
        let old = cell.atomic.swap(cell.inside(word), ordering(order));
        kept(&cell, place, word);
        done(order);
        cell.outside(old)
    }

    pub fn compare_exchange(place: Place, old: u64, new: u64, order: Order) -> Result<u64, u64> {
        if place.is_calm() {
            let found = place.get();
            if found != old {
                return Err(found);
            }
            heap::publish(new);
            place.set(new);
            return Ok(found);
        }
        let cell = cell(place);
        // If it fails, nothing has been published, and that was for nothing: only who succeeds
        // synchronises with others.
        heap::publish(new);
        let (from, to) = (cell.inside(old), cell.inside(new));
        match cell
            .atomic
            .compare_exchange(from, to, ordering(order), Ordering::Relaxed)
        {
            Ok(_) => {
                kept(&cell, place, new);
                done(order);
                Ok(old)
            }
            Err(found) => {
                heap::check_alive(place.ptr);
                Err(cell.outside(found))
            }
        }
    }

    pub fn fetch_add(place: Place, by: u64, order: Order) -> u64 {
        if place.is_calm() {
            let old = place.get();
            place.set(place.cut(old.wrapping_add(by)));
            return old;
        }
        let cell = cell(place);
        // As if it were of 64 bits, in which what is added to a smaller one may be negative.
        let by = match place.size {
            4 => by as i32 as u64,
            _ => by,
        };
        let old = cell.outside(cell.atomic.fetch_add(by, ordering(order)));
        kept(&cell, place, place.cut(old.wrapping_add(by)));
        done(order);
        place.cut(old)
    }
}

/// Ordered with all that others do before and after theirs.
pub(super) fn barrier() {
    #[cfg(feature = "loom")]
    if !state(|state| state.cells.quiet) {
        loom::sync::atomic::fence(loom::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(feature = "loom")]
pub(super) use accesses::count_places;
pub use accesses::{compare_exchange, exchange, fetch_add, load, store};
