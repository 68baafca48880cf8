// SPDX-License-Identifier: GPL-2.0

//! Sweeps, by the threads and by the worker.

use std::sync::atomic::Ordering::Relaxed;

use crate::Actor;
use kernel::machine::{self, Moment};

use super::states::{amended, deleted, expunged, key, keys, read, A, B, C};
use super::{alone, program, promote, wait_for_turn, Small, TURN};

/// Returns the keys of two segments, whose regions are marked in one word.
fn crowd() -> impl Iterator<Item = u64> {
    keys(0, 1 << 28, 86)
}

const FIRST: u64 = key(0, 1);
const LAST: u64 = key((1 << 28) / 86 * 85, 86);

/// A sweep finds no deleted key in the first region, where the key was stored again, and goes on.
fn goes_on(a: &mut Actor<'_>) {
    let all: Vec<u64> = keys(0, u32::MAX, 170).collect();
    all.iter().for_each(|key| a.store(*key, 1));
    a.map.promote_now();
    a.delete(all[0]);
    a.delete(all[169]);
    a.store(all[0], 1);
    a.map.sweep();
    assert_eq!((a.map.stats().read_slots, a.map.len()), (169, 169));
}

/// Two keys with one hash, of which the first comes before the other in their segment.
const BEFORE: u64 = key(7, 1);
const SAME: u64 = key(7, 2);

pub const PROGRAMS: &[Small] = &[
    program("sweep-load", deleted).threads(&[
        |a| a.map.sweep(),
        |a| {
            a.get(A);
            a.get(B);
        },
    ]),
    // A is in read only, and on a list.
    program("sweep-expunged-load", expunged)
        .threads(&[
            |a| a.map.sweep(),
            |a| {
                a.get(A);
                a.get(A);
            },
        ])
        .last(|a| a.get(A)),
    program("sweep-store", deleted)
        .threads(&[|a| a.map.sweep(), |a| a.store(A, 2)])
        .last(promote),
    // Since the sweep began, A was expunged and has come back to dirty.
    program("sweep-revived", deleted)
        .threads(&[
            |a| a.map.sweep(),
            |a| {
                a.store(C, 1);
                a.store(A, 2);
                a.delete(A);
            },
        ])
        .last(promote),
    // A key that is deleted while its region is swept has the region marked for the next sweep.
    program("sweep-delete", deleted).threads(&[|a| a.map.sweep(), |a| a.delete(B)]),
    // The regions of both keys are marked in one word.
    program("sweep-mark", |a| {
        crowd().for_each(|key| a.store(key, 1));
        a.map.promote_now();
        a.delete(FIRST);
    })
    .threads(&[|a| a.map.sweep(), |a| a.delete(LAST)]),
    alone("sweep-goes-on", goes_on),
    program("sweep-new", deleted)
        .threads(&[|a| a.map.sweep(), |a| a.store(C, 1)])
        .last(|a| a.expect_swept()),
    // The slot of a key is used for it again, while a lookup goes by the tag that it had before: who has
    // seen the key sees it again.
    program("sweep-slot", |a| {
        a.store(BEFORE, 1);
        a.store(SAME, 1);
        a.map.promote_now();
        TURN.store(0, Relaxed);
    })
    .threads(&[
        |a| {
            machine::before(Moment::Comparison, || {
                TURN.store(1, Relaxed);
                wait_for_turn(0);
            });
            a.get(SAME);
            a.get(SAME);
        },
        |a| {
            wait_for_turn(1);
            a.delete(SAME);
            a.map.sweep();
            TURN.store(0, Relaxed);
            a.store(SAME, 2);
        },
    ]),
    program("sweep-promote", expunged).threads(&[
        |a| a.map.sweep(),
        |a| {
            a.delete(B);
            a.map.promote_now();
        },
    ]),
    // compare_and_delete() leaves the entry to the worker even if read is dirty.
    program("worker-sweeps", read)
        .threads(&[|a| a.compare_and_delete(A, 1), |a| a.store(A, 2)])
        .sweeping(),
    // The worker is asked for another sweep while it sweeps.
    program("worker-sweeps-again", deleted)
        .threads(&[
            |a| a.compare_and_delete(B, 1),
            |a| a.interrupt(|a| a.store(A, 2)),
        ])
        .sweeping(),
    // Two threads that have interrupts off both ask the worker for something.
    program("late-kicks", |a| {
        amended(a);
        a.get(C);
    })
    .threads(&[|_| (), |a| a.compare_and_delete(A, 1), |a| a.get(C)])
    .sweeping()
    .late(),
];
