// SPDX-License-Identifier: GPL-2.0

//! Sweeps, by the threads and by the worker.

use super::states::{amended, deleted, expunged, read, A, B, C};
use super::{program, promote, Small};

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
    program("sweep-new", deleted)
        .threads(&[|a| a.map.sweep(), |a| a.store(C, 1)])
        .last(|a| a.expect_swept()),
    program("sweep-promote", expunged).threads(&[
        |a| a.map.sweep(),
        |a| {
            a.delete(B);
            a.map.promote_now();
        },
    ]),
    program("worker-sweeps", read)
        .threads(&[|a| a.delete(A), |a| a.store(A, 2)])
        .sweeping(),
    // The worker is asked for another sweep while it sweeps.
    program("worker-sweeps-again", deleted)
        .threads(&[|a| a.delete(B), |a| a.interrupt(|a| a.store(A, 2))])
        .sweeping(),
    // Two threads that have interrupts off both ask the worker for something.
    program("late-kicks", |a| {
        amended(a);
        a.get(C);
    })
    .threads(&[|_| (), |a| a.load_and_delete(A), |a| a.get(C)])
    .sweeping()
    .late(),
];
