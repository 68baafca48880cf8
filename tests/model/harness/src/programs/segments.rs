// SPDX-License-Identifier: GPL-2.0

//! Keys that come and go with the lock of their segment held and no more, while others do the same, or
//! the table changes its shape, or dirty becomes read, or begins anew.

use super::states::{amended, deleted, expunged, read, settling, up, A, B, C, D, E};
use super::{program, Small};
use crate::Actor;

/// A in read, B in dirty only, and room for one more key in the small segment that they are in.
fn one_left(a: &mut Actor<'_>) {
    amended(a);
    (10..14).for_each(|key| a.store(key, 1));
}

/// A segment with room for one more key, in a dirty that is read as well.
fn nearly_full(a: &mut Actor<'_>) {
    (0..82).for_each(|hundredths| a.store(up(hundredths), 1));
    a.map.promote_now();
    a.store(up(82), 1);
}

/// Two segments that dirty shares with read, but for the one of key 99, and a key that is Expunged.
fn shared(a: &mut Actor<'_>) {
    (0..88).for_each(|hundredths| a.store(up(hundredths), 1));
    a.map.promote_now();
    a.delete(up(80));
    a.store(up(99), 1);
}

/// Two segments of which little is left: what was deleted was in dirty only, so there is nothing to
/// sweep, and a sweep merges them at once.
fn sparse(a: &mut Actor<'_>) {
    (0..88).for_each(|hundredths| a.store(up(hundredths), 1));
    (2..86).for_each(|hundredths| a.load_and_delete(up(hundredths)));
}

fn consistent(a: &mut Actor<'_>) {
    a.expect_consistent();
}

/// A key goes from read, and dirty is made without it.
fn next_dirty(a: &mut Actor<'_>, key: u64) {
    a.map.promote_now();
    a.delete(key);
    a.store(E, 1);
}

pub const PROGRAMS: &[Small] = &[
    program("segment-new-new", amended)
        .threads(&[|a| a.store(C, 1), |a| a.store(D, 1)])
        .last(consistent),
    program("segment-new-same", amended)
        .threads(&[|a| a.store(C, 1), |a| a.store(C, 2)])
        .last(consistent),
    program("segment-new-same-3", amended)
        .threads(&[
            |a| a.store(C, 1),
            |a| a.load_or_store(C, 2),
            |a| a.load_and_delete(C),
        ])
        .last(consistent),
    program("segment-new-load", amended).threads(&[
        |a| {
            a.store(C, 1);
            a.get(D);
        },
        |a| {
            a.store(D, 1);
            a.get(C);
        },
    ]),
    program("segment-new-grow", one_left)
        .threads(&[|a| a.store(C, 1), |a| a.store(D, 1)])
        .last(consistent),
    program("segment-new-split", nearly_full)
        .threads(&[|a| a.store(up(90), 1), |a| a.store(up(20), 1)])
        .last(consistent),
    // Another begins dirty, and puts the key there, before this one has locked the segment.
    program("segment-new-same-begin", read)
        .threads(&[
            |a| a.store(C, 1),
            |a| {
                a.store(D, 1);
                a.store(C, 2);
            },
        ])
        .last(consistent),
    program("segment-new-copy", shared)
        .threads(&[|a| a.store(up(97), 1), |a| a.store(up(95), 1)])
        .last(consistent),
    program("segment-new-copy-other", shared)
        .threads(&[|a| a.store(up(1), 1), |a| a.store(up(95), 1)])
        .last(consistent),
    // Dirty is promoted before segments are merged, and begins anew.
    program("segment-new-merge", sparse)
        .threads(&[
            |a| a.store(up(50), 1),
            |a| {
                a.map.sweep();
                a.store(up(51), 1);
            },
        ])
        .last(consistent),
    program("segment-new-shrink", |a| {
        (1..=8).for_each(|key| a.store(key, 1));
        a.map.promote_now();
        (3..=8).for_each(|key| a.delete(key));
        a.store(9, 1);
    })
    .threads(&[
        |a| a.store(10, 1),
        |a| {
            a.map.sweep();
            a.store(11, 1);
        },
    ])
    .last(consistent),
    program("segment-new-promote", amended)
        .threads(&[|a| a.store(C, 1), |a| a.map.promote_now()])
        .last(consistent),
    program("segment-new-promote-in-place", amended)
        .threads(&[
            |a| a.store(C, 1),
            |a| {
                a.map.promote_now();
                a.store(D, 1);
            },
        ])
        .last(consistent),
    program("segment-new-next-dirty", amended)
        .threads(&[|a| a.store(C, 1), |a| next_dirty(a, A)])
        .last(consistent),
    program("segment-new-next-dirty-apart", expunged)
        .threads(&[|a| a.store(D, 1), |a| next_dirty(a, B)])
        .last(consistent),
    // The key becomes Expunged meanwhile.
    program("segment-expunged-new", amended)
        .threads(&[|a| a.store(A, 2), |a| next_dirty(a, A)])
        .last(consistent),
    // The key comes, and becomes Expunged, in a read that is newer than the one before.
    program("segment-new-expunged", expunged)
        .threads(&[
            |a| a.store(D, 1),
            |a| {
                a.store(D, 2);
                next_dirty(a, D);
            },
        ])
        .last(consistent),
    program("segment-limit-new", amended)
        .threads(&[|a| a.store(C, 1), |a| a.store(D, 1)])
        .limited(3)
        .last(consistent),
    program("segment-new-clear", amended)
        .threads(&[|a| a.store(C, 1), |a| a.clear()])
        .last(consistent),
    program("segment-new-clear-new", amended)
        .threads(&[
            |a| a.store(C, 1),
            |a| {
                a.clear();
                a.store(C, 2);
                a.store(D, 2);
            },
        ])
        .last(consistent),
    // It knows of Clear before that has ended, and another begins dirty anew.
    program("segment-new-clear-known", expunged)
        .threads(&[
            |a| {
                a.clear();
                a.store(E, 1);
            },
            |a| {
                a.get(B);
                a.store(D, 1);
            },
        ])
        .last(consistent),
    program("segment-new-sweep", deleted)
        .threads(&[
            |a| {
                a.store(C, 1);
                a.store(D, 1);
            },
            |a| a.map.sweep(),
        ])
        .last(consistent),
    // Read becomes what dirty was, and a removal makes an entry of it Expunged for a moment.
    program("segment-remove-sweep-read", settling)
        .threads(&[
            |a| a.map.sweep(),
            |a| {
                a.map.promote_now();
                a.store(E, 1);
                a.load_and_delete(E);
            },
        ])
        .last(|a| {
            (10..20).for_each(|key| a.store(key, 1));
            consistent(a);
        }),
    program("segment-remove-new", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.store(C, 1)])
        .last(consistent),
    program("segment-remove-store", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.store(B, 2)])
        .last(consistent),
    program("segment-remove-remove", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.load_and_delete(B)])
        .last(consistent),
    program("segment-remove-compare", amended)
        .threads(&[
            |a| a.load_and_delete(B),
            |a| {
                a.store(B, 2);
                a.compare_and_delete(B, 2);
            },
        ])
        .last(consistent),
    // Deleted, and left in its place, for the other to remove, or for a store to bring back.
    program("segment-remove-revived", amended)
        .threads(&[
            |a| {
                a.compare_and_delete(B, 1);
                a.store(B, 2);
            },
            |a| a.load_and_delete(B),
        ])
        .last(consistent),
    program("segment-remove-grow", one_left)
        .threads(&[
            |a| a.load_and_delete(B),
            |a| {
                a.store(C, 1);
                a.store(D, 1);
            },
        ])
        .last(consistent),
    program("segment-remove-promote", amended)
        .threads(&[|a| a.load_and_delete(B), |a| next_dirty(a, A)])
        .last(consistent),
    program("segment-remove-next-dirty", amended)
        .threads(&[|a| a.load_and_delete(B), |a| next_dirty(a, B)])
        .last(consistent),
    program("segment-remove-clear", amended)
        .threads(&[|a| a.load_and_delete(B), |a| a.clear()])
        .last(consistent),
    program("segment-remove-sweep", amended)
        .threads(&[
            |a| a.load_and_delete(B),
            |a| {
                a.compare_and_delete(B, 1);
                a.map.sweep();
            },
        ])
        .last(consistent),
    // Here the thread that changes R or D is the first one. loom tries a store before the last access of
    // its place only: if that is a load of the same thread, the loads of others go untried.
    program("segment-promote-remove", amended)
        .threads(&[|a| a.map.promote_now(), |a| a.load_and_delete(B)])
        .last(consistent),
    program("segment-clear-remove", amended)
        .threads(&[|a| a.clear(), |a| a.load_and_delete(B)])
        .last(consistent),
    // The key comes after it was looked for, and before its segment is locked for the reserved one.
    program("segment-new-reserved", amended)
        .threads(&[
            |a| a.store(C, 1),
            |a| {
                let reservation = a.reserve(1);
                a.put(C, 2, &reservation);
                if reservation.keys() == 1 {
                    a.put(D, 2, &reservation);
                }
                assert_eq!(reservation.keys(), 0);
            },
        ])
        .last(consistent),
];
