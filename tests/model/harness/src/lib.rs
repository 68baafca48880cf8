// SPDX-License-Identifier: GPL-2.0

//! Programs for maps: threads whose operations are recorded, so that they can be judged.

mod actor;
pub mod chance;
mod contents;
mod mix;
mod runner;

pub use actor::{Actor, TinyMap};
pub use contents::{values_alive, Name, Value};
pub use mix::{mix, Mix};
pub use runner::{main, Effort, Test};

use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::{InPlaceInit, KBox};
use kernel::machine::{self, Failing};
use linearize::{History, Operation};
use syncmap::Options;

/// What a thread of a program does.
pub type Act = Box<dyn FnOnce(&mut Actor<'_>) + Send>;

/// A program: what one thread does first, several do at once, and one does in the end.
pub struct Program {
    /// Whether the map sweeps by itself.
    pub sweeps: bool,
    /// What was before.
    pub first: Act,
    /// At once.
    pub threads: Vec<Act>,
    /// How allocations of the first of these fail.
    pub failing: Failing,
    /// In the end.
    pub last: Act,
}

/// Runs a program once, on a machine that is on; returns its history.
///
/// Complains about all that is wrong but the history itself.
pub fn run(program: Program) -> History {
    let options = Options {
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
    machine::quiet(false);
    let mut threads = program.threads.into_iter();
    let one = threads.next().expect("there is a thread");
    let mut others = Vec::new();
    for (number, act) in threads.enumerate() {
        others.push(machine::spawn(move || record(map, number as u64 + 1, act)));
    }
    machine::fail(program.failing);
    history.extend(record(map, 0, one));
    machine::fail(Failing::Never);
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
