// SPDX-License-Identifier: GPL-2.0

//! Checks histories of concurrent operations on a map for linearizability.
//!
//! A history is linearizable if every operation may be thought to have happened at one instant
//! between its beginning and its end, in some order in which a map without concurrency gives the
//! same results. Operations on different keys do not depend on each other, so each key is checked
//! by itself, and the history is linearizable if all of them are (Herlihy and Wing, 1990). Where a map
//! may only have so many keys, they do depend on each other: then all keys are checked together, too.
//!
//! # Text
//!
//! One operation per line:
//!
//! ```text
//! THREAD START END OP KEY [ARG...] = [RESULT...]
//! ```
//!
//! with single spaces. All numbers are unsigned decimals; `-` is no value. START is less than END,
//! both come from one clock; an operation is *before* another if its END is less than the START of
//! the other. A thread does one thing after the other.
//!
//! ```text
//! load K = V                      compare_and_swap K OLD NEW = 0|1
//! store K V =                     compare_and_delete K OLD = 0|1
//! load_or_store K V = V LOADED    clear - =
//! load_and_delete K = V           range - = K1 V1 K2 V2 ...
//! delete K =
//! swap K V = OLD
//! ```
//!
//! `ERROR` instead of results stands for an operation that has failed and had no effect, and `FULL`
//! for a store that was refused because the map had as many other keys as it may have. A line that
//! begins with `# history` begins another history, each of which begins with an empty map. `# limit N`
//! before its first operation says how many keys that map may have. Other lines that begin with `#`,
//! and empty ones, mean nothing.
//!
//! # What is checked, and what is not
//!
//! The algorithm is that of Wing and Gong with what Lowe calls just-in-time linearization: whether
//! an operation has happened is decided when it ends, and the sets of possible worlds are kept as
//! sets of pairs of a value and of the operations under way that have happened.
//!
//! Clear and Range concern all keys, and are taken apart: a Clear deletes each key at some instant
//! of its own, a Range is one load of each key of the history. That Range visits a key at most once
//! is checked; that Clear is one instant for all keys is, too, if they are few or their number is
//! limited.
//!
//! With a limit, a world has all keys and their values. A store of a new key must find fewer than the
//! limit says, and one that was refused must find as many others.

mod check;
mod parse;

use std::fmt;

pub use check::{check, Checked, Contents, Violation};
pub use parse::{Malformed, Reader};

/// A key or a value.
pub type Number = u64;

/// What was done, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `load`
    Load(Option<Number>),
    /// `store`
    Store(Number),
    /// `load_or_store`: what was to be stored, what the key had or has now, and whether it was loaded.
    LoadOrStore(Number, Number, bool),
    /// `load_and_delete`
    LoadAndDelete(Option<Number>),
    /// `delete`
    Delete,
    /// `swap`: what was stored, and what it has replaced.
    Swap(Number, Option<Number>),
    /// `compare_and_swap`: old, new, whether it was done.
    CompareAndSwap(Number, Number, bool),
    /// `compare_and_delete`
    CompareAndDelete(Number, bool),
    /// `clear`, of all keys
    Clear,
    /// `range`, of all keys: what was visited.
    Range(Vec<(Number, Number)>),
    /// A store of this value that was refused, as the map was full: `store`, `swap` or `load_or_store`.
    Full(Number),
    /// Something that has failed.
    Failed,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who has done it.
    pub thread: u64,
    /// A moment before it.
    pub start: u64,
    /// A moment after it.
    pub end: u64,
    /// The key, unless it is about all of them.
    pub key: Option<Number>,
    /// What it was.
    pub action: Action,
}

/// What has happened to one map, which was empty before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many keys it may have, if that is limited.
    pub limit: Option<usize>,
    /// What was done.
    pub operations: Vec<Operation>,
}

struct Maybe(Option<Number>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "-"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (thread, start, end, key) = (self.thread, self.start, self.end, Maybe(self.key));
        write!(f, "{thread} {start} {end} ")?;
        match &self.action {
            Action::Load(value) => write!(f, "load {key} = {}", Maybe(*value)),
            Action::Store(value) => write!(f, "store {key} {value} ="),
            Action::LoadOrStore(value, actual, loaded) => {
                write!(
                    f,
                    "load_or_store {key} {value} = {actual} {}",
                    u8::from(*loaded)
                )
            }
            Action::LoadAndDelete(old) => write!(f, "load_and_delete {key} = {}", Maybe(*old)),
            Action::Delete => write!(f, "delete {key} ="),
            Action::Swap(new, old) => write!(f, "swap {key} {new} = {}", Maybe(*old)),
            Action::CompareAndSwap(old, new, done) => {
                write!(
                    f,
                    "compare_and_swap {key} {old} {new} = {}",
                    u8::from(*done)
                )
            }
            Action::CompareAndDelete(old, done) => {
                write!(f, "compare_and_delete {key} {old} = {}", u8::from(*done))
            }
            Action::Clear => write!(f, "clear - ="),
            Action::Range(visited) => {
                write!(f, "range - =")?;
                visited.iter().try_for_each(|(k, v)| write!(f, " {k} {v}"))
            }
            Action::Full(value) => write!(f, "store {key} {value} = FULL"),
            Action::Failed => write!(f, "load {key} = ERROR"),
        }
    }
}
