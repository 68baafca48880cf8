// SPDX-License-Identifier: GPL-2.0

//! Memory that is retired while readers have it; and allocations that fail, each in its turn, once or from
//! then on.

use super::states::{deleted, full, read, up, A, B, C};
use super::{program, Small};

pub const PROGRAMS: &[Small] = &[
    // Two values are retired; a reader may have either.
    program("retire-load", read).threads(&[
        |a| {
            a.store(A, 2);
            a.store(A, 3);
        },
        |a| a.get(A),
    ]),
    program("retire-retire", read).threads(&[|a| a.store(A, 2), |a| a.store(B, 2), |a| a.get(A)]),
    program("retire-drain", read).threads(&[
        |a| {
            a.store(A, 2);
            a.map.drain();
        },
        |a| a.store(B, 2),
    ]),
    program("new-without-memory", deleted)
        .threads(&[|a| a.store(C, 1), |a| a.store(A, 2)])
        .failing(5),
    program("split-without-memory", full)
        .threads(&[|a| a.store(up(90), 2), |a| a.get(up(70))])
        .failing(5),
    program("clear-without-memory", read)
        .threads(&[
            |a| {
                a.clear();
                a.store(A, 2);
                a.clear();
            },
            |a| a.get(A),
        ])
        .failing(3),
];
