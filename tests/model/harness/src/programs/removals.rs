// SPDX-License-Identifier: GPL-2.0

//! Deletes in a map that sweeps: if read is dirty, an entry is removed at once.

use crate::Actor;

use super::states::{amended, deleted, expunged, full, key, read, revived, up, A, B, C};
use super::{alone, program, promote, Small};

/// Read and dirty are two tables, and have one segment. A in read only, Deleted when dirty began; B and C
/// in both.
fn apart(a: &mut Actor<'_>) {
    a.interrupt(|a| {
        deleted(a);
        a.store(C, 1);
    });
}

pub const PROGRAMS: &[Small] = &[
    program("remove-load", read)
        .threads(&[
            |a| {
                a.get(A);
                a.get(A);
            },
            |a| a.delete(A),
        ])
        .sweeping(),
    program("remove-store", read)
        .threads(&[
            |a| a.store(A, 2),
            |a| {
                a.load_and_delete(A);
                a.get(A);
            },
        ])
        .last(|a| a.get(A))
        .sweeping(),
    program("remove-delete", read)
        .threads(&[|a| a.load_and_delete(A), |a| a.load_and_delete(A)])
        .last(|a| a.expect_consistent())
        .sweeping(),
    program("remove-compared", read)
        .threads(&[
            |a| a.load_and_delete(A),
            |a| {
                a.compare_and_swap(A, 1, 2);
                a.compare_and_delete(A, 2);
            },
        ])
        .sweeping(),
    // The slots of both are in one bucket.
    program("remove-new", read)
        .threads(&[|a| a.store(C, 1), |a| a.delete(A)])
        .last(|a| {
            promote(a);
            a.expect_consistent();
            a.get(A);
            a.get(C);
        })
        .sweeping(),
    // The new key is there again, in the slot of the old one.
    program("remove-walk", read)
        .threads(&[
            |a| {
                a.walk();
                a.get(A);
            },
            |a| {
                a.delete(A);
                a.store(A, 2);
            },
        ])
        .sweeping(),
    // Dirty begins, without what has been deleted before, and has a copy of the segment.
    program("remove-start-dirty", deleted)
        .threads(&[|a| a.store(C, 1), |a| a.delete(B)])
        .last(|a| {
            promote(a);
            a.get(B);
            a.get(C);
        })
        .sweeping(),
    // B is in both tables, which are not one.
    program("remove-read", apart)
        .threads(&[
            |a| {
                a.get(B);
                a.get(B);
            },
            |a| a.delete(B),
        ])
        .last(|a| {
            a.get(B);
            promote(a);
            a.get(B);
        })
        .sweeping(),
    program("remove-promote", apart)
        .threads(&[promote, |a| a.delete(B)])
        .last(|a| a.get(B))
        .sweeping(),
    program("remove-newer", amended)
        .threads(&[promote, |a| a.load_and_delete(B)])
        .last(|a| {
            promote(a);
            a.expect_consistent();
            a.get(B);
        })
        .sweeping(),
    program("remove-clear", read)
        .threads(&[
            |a| {
                a.clear();
                a.get(A);
            },
            |a| a.load_and_delete(A),
        ])
        .sweeping(),
    program("remove-sweep", deleted)
        .threads(&[|a| a.map.sweep(), |a| a.delete(B)])
        .last(|a| a.expect_consistent())
        .sweeping(),
    // A is on a list, since it was Expunged, and comes off that.
    program("remove-settle", revived)
        .threads(&[
            |a| {
                a.map.promote_now();
                a.map.drain();
            },
            |a| {
                a.delete(A);
                a.get(A);
            },
        ])
        .sweeping(),
    program("remove-expunged", expunged)
        .threads(&[|a| a.store(A, 2), |a| a.load_and_delete(A)])
        .last(|a| a.get(A))
        .sweeping(),
    // There is room for C when A is gone.
    program("remove-limited", read)
        .threads(&[
            |a| {
                a.store(C, 1);
                a.store(C, 2);
            },
            |a| a.load_and_delete(A),
        ])
        .last(|a| a.expect_consistent())
        .sweeping()
        .limited(2),
    // With the lock of the map, as they are in a chain.
    alone("remove-chain", |a| {
        (0..100).for_each(|number| a.store(key(7, number), 1));
        [3, 99].map(|number| a.load_and_delete(key(7, number)));
        a.expect_consistent();
    }),
    // The segment is split meanwhile.
    program("remove-split", full)
        .threads(&[|a| a.store(up(84), 1), |a| a.delete(up(3))])
        .last(|a| {
            a.get(up(3));
            a.get(up(84));
        })
        .sweeping(),
];
