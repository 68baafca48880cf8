// SPDX-License-Identifier: GPL-2.0

//! The programs, by subject. Each has one operation happen during another, and little else.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kernel::machine::{self, Failing};

use crate::{Actor, Program};

mod accounts;
mod clear;
mod expunged;
mod limits;
mod memory;
mod promotions;
mod removals;
mod reservations;
mod segments;
mod states;
mod stores;
mod sweeps;
mod tables;

type Act = fn(&mut Actor<'_>);

/// A program.
pub struct Small {
    pub name: &'static str,
    /// Whether the map sweeps by itself.
    pub sweeps: bool,
    /// The limit of keys, if there is one.
    pub limit: Option<usize>,
    /// Makes the state that the threads find; runs alone, in one order.
    pub first: Act,
    /// The threads, which run at once.
    pub threads: &'static [Act],
    /// Whether all threads but the first have interrupts off, and take the interrupts that they have
    /// raised when the map may be gone.
    pub late: bool,
    /// How many allocations of the first thread are made to fail, each in its turn.
    pub allocations: usize,
    /// Runs when the threads have ended.
    pub last: Act,
}

/// Returns a program that begins with `first`, and has no threads yet.
const fn program(name: &'static str, first: Act) -> Small {
    Small {
        name,
        sweeps: false,
        limit: None,
        first,
        threads: &[],
        late: false,
        allocations: 0,
        last: nothing,
    }
}

/// Returns a program of one thread.
const fn alone(name: &'static str, act: Act) -> Small {
    program(name, act).threads(&[nothing])
}

impl Small {
    /// Returns it as what can be run once, with such failures of the first thread's allocations.
    pub fn program(&'static self, failing: Failing) -> Program {
        let act = |act: &'static Act| Box::new(*act) as crate::Act;
        Program {
            sweeps: self.sweeps,
            limit: self.limit,
            first: act(&self.first),
            threads: self.threads.iter().map(act).collect(),
            late: self.late,
            failing,
            last: act(&self.last),
        }
    }

    /// Returns how its allocations are made to fail, in turn.
    pub fn failures(&self) -> Vec<Failing> {
        let each = |number| [Failing::Once(number), Failing::From(number)];
        let all = (0..self.allocations).flat_map(each);
        Iterator::chain([Failing::Never].into_iter(), all).collect()
    }

    const fn threads(self, threads: &'static [Act]) -> Self {
        Small { threads, ..self }
    }

    const fn last(self, last: Act) -> Self {
        Small { last, ..self }
    }

    const fn sweeping(self) -> Self {
        Small {
            sweeps: true,
            ..self
        }
    }

    const fn late(self) -> Self {
        Small { late: true, ..self }
    }

    const fn limited(self, keys: usize) -> Self {
        Small {
            limit: Some(keys),
            ..self
        }
    }

    const fn failing(self, allocations: usize) -> Self {
        Small {
            allocations,
            ..self
        }
    }
}

/// The thread whose turn it is.
static TURN: AtomicUsize = AtomicUsize::new(0);

fn wait_for_turn(thread: usize) {
    while TURN.load(Relaxed) != thread {
        machine::yield_now();
    }
}

fn nothing(_: &mut Actor<'_>) {}

fn promote(a: &mut Actor<'_>) {
    a.map.promote_now();
}

/// Returns all of them.
pub fn all() -> impl Iterator<Item = &'static Small> {
    [
        stores::PROGRAMS,
        expunged::PROGRAMS,
        promotions::PROGRAMS,
        tables::PROGRAMS,
        sweeps::PROGRAMS,
        removals::PROGRAMS,
        clear::PROGRAMS,
        limits::PROGRAMS,
        memory::PROGRAMS,
        segments::PROGRAMS,
        reservations::PROGRAMS,
        accounts::PROGRAMS,
    ]
    .into_iter()
    .flatten()
}
