// SPDX-License-Identifier: GPL-2.0

//! Stores and deletes of the same keys, and new keys.

use super::states::{amended, deleted, expunged, key, left, read, A, B, C, D};
use super::{nothing, program, promote, Small};

pub const PROGRAMS: &[Small] = &[
    program("store-delete", read).threads(&[|a| a.store(A, 2), |a| a.load_and_delete(A)]),
    // The count of keys is never too low: here it would fall below zero.
    program("store-delete-new", left).threads(&[
        |a| a.store(A, 2),
        |a| {
            a.load_and_delete(A);
            a.store(B, 1);
        },
    ]),
    program("load-or-store", read).threads(&[|a| a.load_or_store(C, 1), |a| a.load_or_store(C, 2)]),
    program("load-or-store-3", nothing).threads(&[
        |a| a.load_or_store(C, 1),
        |a| a.load_or_store(C, 2),
        |a| a.load(C),
    ]),
    program("new-new", deleted)
        .threads(&[|a| a.store(C, 1), |a| a.store(D, 1)])
        .last(promote),
    // A new key in an interrupt handler, which may not sleep.
    program("interrupt-new", deleted)
        .threads(&[|a| a.store(C, 1), |a| a.interrupt(|a| a.store(D, 1))])
        .last(promote),
    program("delete-new", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.store(B, 2)])
        .last(promote),
    // In a chain, where a key is deleted first, and its entry is removed then.
    program("delete-new-chain", |a| {
        (0..90).for_each(|number| a.store(key(7, number), 1));
    })
    .threads(&[
        |a| a.load_and_delete(key(7, 89)),
        |a| a.store(key(7, 89), 2),
    ])
    .last(|a| {
        promote(a);
        a.get(key(7, 89));
    }),
    program("delete-new-load", amended).threads(&[
        |a| a.delete(B),
        |a| a.get(B),
        |a| a.interrupt(|a| a.load_and_delete(B)),
    ]),
    // Only dirty has C.
    program("delete-new-apart", expunged)
        .threads(&[|a| a.load_and_delete(C), |a| a.store(C, 2)])
        .last(promote),
    program("swap-delete", read).threads(&[
        |a| a.compare_and_swap(A, 1, 2),
        |a| a.load_and_delete(A),
        |a| a.swap(A, 1),
    ]),
    program("compare-compare", read).threads(&[
        |a| a.compare_and_swap(A, 1, 2),
        |a| a.compare_and_delete(A, 1),
        |a| a.load(A),
    ]),
    // The slot still refers to the freed entry of B.
    program("reused-slot", |a| {
        amended(a);
        a.delete(B);
        a.map.drain();
    })
    .threads(&[|a| a.store(C, 1), |a| a.load(C)]),
];
