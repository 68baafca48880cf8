// SPDX-License-Identifier: GPL-2.0

//! Clear, and walks.

use crate::Actor;

use super::states::{amended, deleted, expunged, read, A, B, C, D};
use super::{program, promote, Small};

/// Read is dirty, and nothing is left in it.
fn emptied(a: &mut Actor<'_>) {
    a.store(C, 1);
    a.delete(C);
}

pub const PROGRAMS: &[Small] = &[
    program("clear-store", read).threads(&[|a| a.clear(), |a| a.store(A, 2)]),
    program("clear-new", amended)
        .threads(&[|a| a.clear(), |a| a.store(C, 2)])
        .last(promote),
    program("clear-new-apart", expunged)
        .threads(&[|a| a.clear(), |a| a.store(D, 2)])
        .last(promote),
    program("clear-new-dirty", deleted)
        .threads(&[|a| a.clear(), |a| a.store(C, 2)])
        .last(promote),
    program("clear-load", amended).threads(&[
        |a| a.clear(),
        |a| {
            a.get(A);
            a.get(B);
        },
    ]),
    // If a key that only dirty had is gone, so is a key of read.
    program("clear-instant", expunged).threads(&[
        |a| a.clear(),
        |a| {
            a.get(C);
            a.get(B);
        },
    ]),
    // A key that a load does not find any more is not in a walk either.
    program("clear-range", read).threads(&[
        |a| a.clear(),
        |a| {
            a.load(A);
            a.range();
        },
    ]),
    program("clear-clear", read).threads(&[
        |a| a.clear(),
        |a| {
            a.clear();
            a.store(A, 2);
        },
    ]),
    // Clear has nothing to do, unless the key has come, with no more than the lock of its segment.
    program("clear-emptied", emptied)
        .threads(&[
            |a| a.store(C, 2),
            |a| {
                a.get(C);
                a.clear();
                a.get(C);
            },
        ])
        .sweeping(),
    program("interrupt-clears", amended)
        .threads(&[|a| a.interrupt(Actor::clear), |a| a.store(C, 1)]),
    program("delete-clear", amended)
        .threads(&[
            |a| a.load_and_delete(B),
            |a| {
                a.clear();
                a.store(B, 2);
            },
        ])
        .last(promote),
    program("range-store", deleted).threads(&[
        |a| a.range(),
        |a| {
            a.store(C, 1);
            a.store(A, 2);
        },
    ]),
];
