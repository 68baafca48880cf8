// SPDX-License-Identifier: GPL-2.0

//! Programs for maps: threads whose operations are recorded, so that they can be judged.

mod actor;
pub mod chance;
mod contents;
mod mix;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub mod programs;
mod runner;

pub use actor::{Actor, TinyMap, TinyReservation};
pub use contents::{values_alive, Name, Value};
pub use mix::{mix, Fault, Mix};
pub use runner::{main, Effort, Test};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::{InPlaceInit, KBox};
use kernel::machine::{self, Failing};
use kernel::workqueue::with_interrupts_off;
use linearize::{History, Operation};
use syncmap::{Limits, Options};

/// What a thread of a program does.
pub type Act = Box<dyn FnOnce(&mut Actor<'_>) + Send>;

/// A program: what one thread does first, several do at once, and one does in the end.
pub struct Program {
    /// Whether the map sweeps by itself.
    pub sweeps: bool,
    /// How many keys the map may have, if that is limited.
    pub limit: Option<usize>,
    /// What was before.
    pub first: Act,
    /// At once.
    pub threads: Vec<Act>,
    /// Whether these, but the first, have interrupts off, and take those that they have asked for when
    /// the map may be gone.
    pub late: bool,
    /// How allocations of the first of these fail.
    pub failing: Failing,
    /// In the end.
    pub last: Act,
}

/// Runs a program once, on a machine that is on; returns its history.
///
/// Complains about all that is wrong but the history itself.
pub fn run(program: Program) -> History {
    History {
        limit: program.limit,
        operations: play(program),
    }
}

fn play(program: Program) -> Vec<Operation> {
    let limits = Limits {
        entries: program.limit.unwrap_or(Limits::NONE.entries),
        ..Limits::NONE
    };
    let options = Options {
        limits,
        sweep: program.sweeps,
        ..Options::default()
    };
    let map = KBox::pin_init(TinyMap::new(options, GFP_KERNEL), GFP_KERNEL);
    let owner = map.expect("there is memory");
    // SAFETY: All threads that use it are joined before it is dropped. No `Arc`: it has fences, which
    // ThreadSanitizer does not see.
    let map: &'static TinyMap = unsafe { &*std::ptr::from_ref(&*owner) };
    syncmap::probe::calm_ledger(map);
    let mut history = record(map, 0, program.first);
    machine::show(map);
    machine::quiet(false);
    let mut threads = program.threads.into_iter();
    let one = threads.next().expect("there is a thread");
    let mut others = Vec::new();
    let (me, late) = (machine::current(), program.late);
    let using = Arc::new(AtomicUsize::new(threads.len()));
    for (number, act) in threads.enumerate() {
        let (me, using) = (me.clone(), using.clone());
        let number = number as u64 + 1;
        others.push(machine::spawn(move || match late {
            false => record(map, number, act),
            true => with_interrupts_off(|| {
                let history = record(map, number, act);
                machine::order();
                using.fetch_sub(1, Ordering::SeqCst);
                machine::wake(&me);
                history
            }),
        }));
    }
    machine::fail(program.failing);
    history.extend(record(map, 0, one));
    machine::fail(Failing::Never);
    if late {
        loop {
            machine::order();
            if using.load(Ordering::SeqCst) == 0 {
                break;
            }
            machine::idle();
        }
        // Where they are now is what was tried.
        machine::quiet(true);
        drop(owner);
        for other in others {
            history.extend(other.join().expect("threads do not panic"));
        }
        return history;
    }
    for other in others {
        history.extend(other.join().expect("threads do not panic"));
    }
    machine::quiet(true);
    let mut actor = Actor::new(map, 0);
    (program.last)(&mut actor);
    actor.load_all(&history);
    let live = actor.live();
    history.extend(actor.into_log());
    assert_eq!(map.len(), live, "the number of keys is wrong");
    if program.sweeps && machine::SKIPS_TIME {
        kernel::workqueue::finish();
    } else {
        // Real threads would have to wait until it is time.
        map.drain();
        map.sweep();
    }
    Actor::new(map, 0).expect_swept();
    drop(owner);
    assert_eq!(values_alive(), 0, "values are never dropped");
    history
}

fn record(map: &TinyMap, thread: u64, act: Act) -> Vec<Operation> {
    let mut actor = Actor::new(map, thread);
    act(&mut actor);
    actor.into_log()
}

/// Complains about a history that is not linearizable.
pub fn judge(history: &History) {
    if let Err(violation) = linearize::check(history) {
        panic!("not linearizable: {violation}");
    }
}
