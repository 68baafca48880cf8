// SPDX-License-Identifier: GPL-2.0

//! Tables whose segments are split, copied, grown or shrunk meanwhile.

use super::states::{deleted, full, up, A, B, C};
use super::{program, promote, Small};

pub const PROGRAMS: &[Small] = &[
    program("split-store", full).threads(&[|a| a.store(up(90), 2), |a| a.store(up(70), 2)]),
    program("split-load", full).threads(&[
        |a| a.store(up(90), 2),
        |a| {
            a.get(up(70));
            a.get(up(90));
        },
    ]),
    program("range-split", full).threads(&[|a| a.store(up(90), 2), |a| a.range()]),
    program("copy-load", deleted).threads(&[
        |a| a.store(C, 1),
        |a| {
            a.get(B);
            a.get(C);
        },
    ]),
    program("copy-store", deleted)
        .threads(&[
            |a| a.store(C, 1),
            |a| {
                a.swap(B, 2);
                a.load(B);
            },
        ])
        .last(promote),
    // A small segment becomes a large one.
    program("grow-load", |a| (1..=7).for_each(|key| a.store(key, 1))).threads(&[
        |a| a.store(8, 1),
        |a| {
            a.get(8);
            a.get(7);
        },
    ]),
    program("interrupt-grows", |a| {
        (1..=6).for_each(|key| a.store(key, 1))
    })
    .threads(&[
        |a| a.interrupt(|a| a.store(7, 1)),
        |a| {
            a.store(8, 1);
            a.store(9, 1);
        },
    ]),
    program("shrink-store", |a| {
        (1..=8).for_each(|key| a.store(key, 1));
        (3..=8).for_each(|key| a.delete(key));
    })
    .threads(&[
        |a| a.map.sweep(),
        |a| {
            a.store(A, 2);
            a.load(B);
        },
    ]),
];
