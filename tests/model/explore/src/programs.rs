// SPDX-License-Identifier: GPL-2.0

//! The programs.

use harness::Program;

/// A key, and others: with the same hash, nearby, far away.
const A: u64 = 1;
const B: u64 = 2;
const C: u64 = 3;

/// All of them.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "store-delete",
        sweeps: false,
        first: |a| {
            a.store(A, 1);
            a.map.promote_now();
        },
        threads: &[
            |a| {
                a.store(A, 2);
            },
            |a| a.load_and_delete(A),
        ],
        last: |_| (),
    },
    // A new dirty expunges A while it is stored to.
    Program {
        name: "store-expunge",
        sweeps: false,
        first: |a| {
            a.store(A, 1);
            a.store(B, 1);
            a.map.promote_now();
            a.delete(A);
        },
        threads: &[
            |a| {
                a.store(A, 2);
            },
            |a| {
                a.store(C, 1);
            },
        ],
        last: |a| a.map.promote_now(),
    },
];
