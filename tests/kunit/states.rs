// SPDX-License-Identifier: GPL-2.0

//! The states that a key can be in, for the suites that go through all of them.

use kernel::prelude::*;

use crate::keys::{Good, Number};
use crate::program::{Op, Step};
use crate::support::{filled, store, Numbers, QUIET};
use crate::values::Tracked;

/// The key in question, its value, and the value that steps store.
pub(crate) const KEY: u64 = 7;
pub(crate) const OLD: u64 = 70;
pub(crate) const NEW: u64 = 71;
/// Keys of read that keep promotion from being due.
pub(crate) const OTHERS: core::ops::Range<u64> = 100..104;
/// A key whose store starts a dirty.
const STARTER: u64 = 200;
/// A deleted key, which a dirty leaves out.
const GONE: u64 = 300;

/// The states (see [`shape`](crate::support::shape)), and in each the misses, the `len(dirty)` and the
/// number of keys of the map.
pub(crate) const STATES: [(&str, usize, usize, usize); 9] = [
    ("--.", 0, 0, 4), // absent
    ("--a", 0, 5, 5), // absent, while there is a dirty
    ("L-.", 0, 0, 5), // live, in the one table
    ("LLa", 0, 6, 6), // live, in both
    ("-La", 0, 6, 6), // live, only in dirty
    ("D-.", 0, 0, 4), // deleted, in the one table
    ("DDa", 0, 6, 5), // deleted, in both
    ("-Da", 1, 6, 5), // deleted, only in dirty: by compare_and_delete, which counts a miss
    ("E-a", 0, 5, 5), // expunged
];

/// Makes a map in which the key has this shape. If `apart`, its dirty, if it has one, is a table apart,
/// as there is another key to leave out.
pub(crate) fn map_in(state: &str, apart: bool) -> Result<Pin<KBox<Numbers<Good>>>> {
    let in_read = matches!(state, "L-." | "LLa" | "D-." | "DDa" | "E-a");
    let others = Iterator::chain(OTHERS, apart.then_some(GONE));
    let map = filled::<Good>(Iterator::chain(others, in_read.then_some(KEY)), QUIET)?;
    check_eq!(map.delete(&Good::make(GONE)), apart);
    let key = Good::make(KEY);
    let start = || store(&map, STARTER, STARTER);
    let set = || store(&map, KEY, OLD);
    let delete = || map.delete(&key);
    if in_read {
        set()?;
    }
    match state {
        "--." | "L-." => {}
        "--a" | "LLa" => start()?,
        "-La" => {
            start()?;
            set()?;
        }
        "D-." => {
            delete();
        }
        "DDa" => {
            start()?;
            delete();
        }
        "-Da" => {
            start()?;
            set()?;
            drop(map.compare_and_delete(&key, &Tracked::make(OLD)));
        }
        "E-a" => {
            delete();
            start()?;
        }
        _ => return Err(EINVAL),
    }
    Ok(map)
}

/// Returns a step with the key in question, which stores `NEW` if it stores anything.
pub(crate) fn step_of(op: Op, atomic: bool, old: u64) -> Step {
    Step {
        op,
        atomic,
        key: KEY,
        old,
        new: NEW,
    }
}
