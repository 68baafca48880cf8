// SPDX-License-Identifier: GPL-2.0

//! A limit of keys, which is exact.

use super::states::{amended, expunged, left, one_of_three, two_of_three, A, B, C, D};
use super::{nothing, program, promote, Small};

pub const PROGRAMS: &[Small] = &[
    // The only key that the limit allows is deleted while another one is stored.
    program("limit-delete-new", |a| a.store(A, 1))
        .threads(&[
            |a| a.load_and_delete(A),
            |a| {
                a.get(A);
                a.store(B, 2);
            },
        ])
        .limited(1),
    program("limit-delete-store", two_of_three)
        .threads(&[
            |a| a.load_and_delete(A),
            |a| {
                a.get(A);
                a.store(B, 2);
            },
        ])
        .limited(2),
    program("limit-delete-dirty", amended)
        .threads(&[
            |a| a.load_and_delete(B),
            |a| {
                a.get(B);
                a.load_or_store(C, 2);
            },
        ])
        .limited(2),
    // There is room for one of the two keys.
    program("limit-new-new", |a| a.store(A, 1))
        .threads(&[|a| a.store(B, 1), |a| a.interrupt(|a| a.store(C, 1))])
        .limited(2),
    program("limit-store-store", one_of_three)
        .threads(&[|a| a.store(A, 2), |a| a.store(B, 2)])
        .limited(2),
    program("limit-same-key", left)
        .threads(&[|a| a.store(A, 2), |a| a.load_or_store(A, 3)])
        .limited(1),
    program("limit-new-store", two_of_three)
        .threads(&[|a| a.store(D, 2), |a| a.store(B, 2)])
        .limited(3),
    // Both threads store the same key, for which there is room.
    program("limit-same-new", nothing)
        .threads(&[|a| a.store(A, 1), |a| a.load_or_store(A, 2)])
        .limited(1),
    // A full map takes new values for the keys that it has.
    program("limit-overwrite", two_of_three)
        .threads(&[
            |a| a.swap(A, 2),
            |a| a.store(B, 2),
            |a| a.compare_and_swap(A, 1, 3),
        ])
        .limited(2),
    // There is room to revive an Expunged entry if the other key is deleted first.
    program("limit-revive", expunged)
        .threads(&[|a| a.compare_and_delete(B, 1), |a| a.store(A, 2)])
        .limited(2)
        .last(promote),
    program("limit-clear", two_of_three)
        .threads(&[
            |a| {
                a.clear();
                a.store(C, 1);
            },
            |a| a.store(B, 2),
        ])
        .limited(2),
    program("limit-clear-new", |a| a.store(A, 1))
        .threads(&[
            |a| {
                a.clear();
                a.store(B, 2);
            },
            |a| a.store(A, 2),
            |a| a.get(A),
        ])
        .limited(1),
    program("limit-sweep", |a| a.store(A, 1))
        .threads(&[|a| a.delete(A), |a| a.store(B, 2)])
        .sweeping()
        .limited(1),
];
