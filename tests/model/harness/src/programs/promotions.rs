// SPDX-License-Identifier: GPL-2.0

//! Dirty becomes read meanwhile.

use super::states::{amended, expunged, revived, A, B, C, D, E};
use super::{program, promote, Small};

pub const PROGRAMS: &[Small] = &[
    program("load-promote", amended).threads(&[
        |a| a.load(B),
        |a| a.map.promote_now(),
        |a| a.get(A),
    ]),
    program("miss-promotes", amended).threads(&[
        |a| {
            a.load(B);
            a.load(B);
        },
        |a| a.store(C, 1),
    ]),
    program("interrupt-promotes", amended).threads(&[
        |a| {
            a.load(B);
            a.load(B);
        },
        |a| {
            a.interrupt(|a| {
                a.load(C);
                a.load_or_store(C, 1);
            });
        },
    ]),
    program("load-dirty-grows", amended).threads(&[
        |a| {
            a.store(C, 1);
            a.store(D, 1);
        },
        |a| {
            a.get(D);
            a.get(C);
        },
    ]),
    program("new-promote", expunged).threads(&[
        |a| a.store(D, 1),
        |a| a.map.promote_now(),
        |a| a.get(C),
    ]),
    // A new dirty begins, in place or apart, while the old one is promoted.
    program("new-promote-new", revived)
        .threads(&[
            |a| {
                a.delete(A);
                a.store(D, 1);
            },
            |a| {
                a.map.promote_now();
                a.store(E, 1);
            },
        ])
        .last(promote),
    program("delete-promote", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.map.promote_now()]),
    program("range-promote", amended).threads(&[
        |a| a.range(),
        |a| a.map.promote_now(),
        |a| a.get(B),
    ]),
];
