// SPDX-License-Identifier: GPL-2.0

//! Deleted keys that a new dirty leaves out, and that are Expunged then; and their lists, which are settled
//! when the tables that they went with are freed.

use super::states::{deleted, expunged, revived, settling, A, C, D, E};
use super::{program, promote, Small};

pub const PROGRAMS: &[Small] = &[
    // A new dirty leaves out A, which is stored to.
    program("store-expunge", deleted)
        .threads(&[|a| a.store(A, 2), |a| a.store(C, 1)])
        .last(promote),
    program("store-expunge-load", deleted)
        .threads(&[|a| a.store(A, 2), |a| a.store(C, 1), |a| a.load(A)])
        .last(promote),
    program("unexpunge-sweep", expunged)
        .threads(&[|a| a.store(A, 2), |a| a.map.sweep()])
        .last(promote),
    program("unexpunge-promote", expunged)
        .threads(&[|a| a.store(A, 2), |a| a.map.promote_now()])
        .last(promote),
    program("unexpunge-unexpunge", expunged)
        .threads(&[|a| a.swap(A, 2), |a| a.load_or_store(A, 3)])
        .last(promote),
    // A walk through dirty finds what a reader has seen.
    program("unexpunge-walk", expunged).threads(&[
        |a| a.store(A, 2),
        |a| {
            a.get(A);
            a.walk();
        },
    ]),
    // The list that A is on is settled meanwhile; A goes on another list, or is live by then.
    program("settle-revive", settling)
        .threads(&[|a| a.store(A, 3), |a| a.get(A)])
        .last(promote),
    program("settled-revive", settling)
        .threads(&[
            |a| {
                a.map.drain();
                a.store(A, 3);
            },
            |a| a.get(A),
        ])
        .last(promote),
    program("settle-promote", settling)
        .threads(&[|a| a.map.promote_now(), |a| a.store(A, 3)])
        .last(promote),
    program("settle-promote-load", settling).threads(&[
        |a| a.map.promote_now(),
        |a| {
            a.get(A);
            a.get(A);
        },
    ]),
    program("settle-sweep", settling)
        .threads(&[|a| a.map.sweep(), |a| a.store(A, 3)])
        .last(promote),
    // A sweep unlinks A, which is Deleted and on a list.
    program("settle-sweep-deleted", settling)
        .threads(&[
            |a| {
                a.store(A, 3);
                a.delete(A);
                a.map.sweep();
            },
            |a| a.get(A),
        ])
        .last(promote),
    // A is revived, and expunged by another two dirties.
    program("settle-twice", settling).threads(&[
        |a| {
            a.store(A, 3);
            a.map.promote_now();
            a.delete(A);
            a.store(E, 1);
            a.map.promote_now();
        },
        |a| a.get(A),
    ]),
    program("settle-twice-revive", revived)
        .threads(&[
            |a| {
                a.map.promote_now();
                a.delete(A);
                a.store(D, 1);
                a.map.promote_now();
            },
            |a| a.store(A, 3),
        ])
        .last(promote),
    // The table that Clear puts aside has an entry on the list of the other table,
    program("clear-revived", revived).threads(&[|a| a.clear(), |a| a.get(A)]),
    // ... or on the list of a table that was retired before.
    program("clear-settle", |a| {
        revived(a);
        a.section(|a| a.map.promote_now());
    })
    .threads(&[|a| a.clear(), |a| a.store(A, 3)])
    .last(|a| a.clear()),
    program("clear-settle-expunged", settling).threads(&[
        |a| {
            a.clear();
            a.store(A, 3);
        },
        |a| a.get(A),
    ]),
];
