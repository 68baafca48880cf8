// SPDX-License-Identifier: GPL-2.0

//! The programs: each has one thing happen to another, and no more than it takes.

use harness::Actor;

type Act = fn(&mut Actor<'_>);

/// A program.
pub struct Small {
    pub name: &'static str,
    /// Whether the map sweeps by itself.
    pub sweeps: bool,
    /// How many keys the map may have, if that is limited.
    pub limit: Option<usize>,
    /// What was before: nothing is tried there.
    pub first: Act,
    /// What is done at once.
    pub threads: &'static [Act],
    /// Whether the threads but the first have interrupts off, and take those that they have asked
    /// for when the map may be gone.
    pub late: bool,
    /// How many allocations of the first thread are made to fail, each in its turn.
    pub allocations: usize,
    /// What is done in the end.
    pub last: Act,
}

const NOTHING: Small = Small {
    name: "",
    sweeps: false,
    limit: None,
    first: |_| (),
    threads: &[],
    late: false,
    allocations: 0,
    last: |_| (),
};

/// Keys with the same hash.
const A: u64 = 1;
const B: u64 = 2;
const C: u64 = 3;
const D: u64 = 4;
const E: u64 = 5;

/// A key whose hash lies so many hundredths up.
const fn up(hundredths: u64) -> u64 {
    ((u32::MAX as u64 / 100 * hundredths) << 32) | hundredths
}

/// A and B in read, alone.
fn read(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.store(B, 1);
    a.map.promote_now();
}

/// A in read, and B in dirty only, which is the same table.
fn amended(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.map.promote_now();
    a.store(B, 1);
}

/// A in read, Deleted.
fn deleted(a: &mut Actor<'_>) {
    read(a);
    a.delete(A);
}

/// A in read, Expunged; B in both tables, C in dirty only.
fn expunged(a: &mut Actor<'_>) {
    deleted(a);
    a.store(C, 1);
}

/// A in both tables, which was Expunged and is on the list; B in both, C in dirty only.
fn revived(a: &mut Actor<'_>) {
    expunged(a);
    a.store(A, 2);
}

/// A in read, Expunged again, and still on the list that went with the table before, which is about to
/// be settled; B and C in both tables, D in dirty only.
fn settling(a: &mut Actor<'_>) {
    revived(a);
    // Nothing is settled before this ends.
    a.section(|a| {
        a.interrupt(|a| {
            a.map.promote_now();
            a.delete(A);
            a.store(D, 1);
        });
    });
}

/// A in read, Deleted, and alone there.
fn left(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.compare_and_delete(A, 1);
}

/// Of three keys in read, A and C are live, and B is Deleted: it was so in dirty before C came, from
/// where compare_and_delete() does not remove it, and nothing is left out of a dirty that is read as well.
fn two_of_three(a: &mut Actor<'_>) {
    a.store(A, 1);
    a.store(B, 1);
    a.compare_and_delete(B, 1);
    a.store(C, 1);
    a.map.promote_now();
}

/// The same, and A is Deleted, too.
fn one_of_three(a: &mut Actor<'_>) {
    two_of_three(a);
    a.delete(A);
}

/// A segment in which there is room for no more.
fn full(a: &mut Actor<'_>) {
    for hundredths in 0..84 {
        a.store(up(hundredths), 1);
    }
    a.map.promote_now();
}

/// All of them.
pub const PROGRAMS: &[Small] = &[
    Small {
        name: "store-delete",
        first: read,
        threads: &[|a| a.store(A, 2), |a| a.load_and_delete(A)],
        ..NOTHING
    },
    // The count of keys is never too low, or it would be below zero here.
    Small {
        name: "store-delete-new",
        first: left,
        threads: &[
            |a| a.store(A, 2),
            |a| {
                a.load_and_delete(A);
                a.store(B, 1);
            },
        ],
        ..NOTHING
    },
    // A new dirty is made without A, which is stored to.
    Small {
        name: "store-expunge",
        first: deleted,
        threads: &[|a| a.store(A, 2), |a| a.store(C, 1)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "store-expunge-load",
        first: deleted,
        threads: &[|a| a.store(A, 2), |a| a.store(C, 1), |a| a.load(A)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "unexpunge-sweep",
        first: expunged,
        threads: &[|a| a.store(A, 2), |a| a.map.sweep()],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "unexpunge-promote",
        first: expunged,
        threads: &[|a| a.store(A, 2), |a| a.map.promote_now()],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "unexpunge-unexpunge",
        first: expunged,
        threads: &[|a| a.swap(A, 2), |a| a.load_or_store(A, 3)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // What a reader has seen, a walk through dirty comes to.
    Small {
        name: "unexpunge-walk",
        first: expunged,
        threads: &[
            |a| a.store(A, 2),
            |a| {
                a.get(A);
                a.walk();
            },
        ],
        ..NOTHING
    },
    // The list that A is on is settled meanwhile, and A goes to another one, or not.
    Small {
        name: "settle-revive",
        first: settling,
        threads: &[|a| a.store(A, 3), |a| a.get(A)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "settled-revive",
        first: settling,
        threads: &[
            |a| {
                a.map.drain();
                a.store(A, 3);
            },
            |a| a.get(A),
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "settle-promote",
        first: settling,
        threads: &[|a| a.map.promote_now(), |a| a.store(A, 3)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "settle-promote-load",
        first: settling,
        threads: &[
            |a| a.map.promote_now(),
            |a| {
                a.get(A);
                a.get(A);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "settle-sweep",
        first: settling,
        threads: &[|a| a.map.sweep(), |a| a.store(A, 3)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // A is unlinked by a sweep while it is Deleted, and on a list.
    Small {
        name: "settle-sweep-deleted",
        first: settling,
        threads: &[
            |a| {
                a.store(A, 3);
                a.delete(A);
                a.map.sweep();
            },
            |a| a.get(A),
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // Revived and expunged by two dirties more.
    Small {
        name: "settle-twice",
        first: settling,
        threads: &[
            |a| {
                a.store(A, 3);
                a.map.promote_now();
                a.delete(A);
                a.store(E, 1);
                a.map.promote_now();
            },
            |a| a.get(A),
        ],
        ..NOTHING
    },
    Small {
        name: "settle-twice-revive",
        first: revived,
        threads: &[
            |a| {
                a.map.promote_now();
                a.delete(A);
                a.store(D, 1);
                a.map.promote_now();
            },
            |a| a.store(A, 3),
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // The table that Clear puts aside has an entry that is on the list of the other one.
    Small {
        name: "clear-revived",
        first: revived,
        threads: &[|a| a.clear(), |a| a.get(A)],
        ..NOTHING
    },
    // ... and that of one that was retired before.
    Small {
        name: "clear-settle",
        first: |a| {
            revived(a);
            a.section(|a| a.map.promote_now());
        },
        threads: &[|a| a.clear(), |a| a.store(A, 3)],
        last: |a| a.clear(),
        ..NOTHING
    },
    Small {
        name: "clear-settle-expunged",
        first: settling,
        threads: &[
            |a| {
                a.clear();
                a.store(A, 3);
            },
            |a| a.get(A),
        ],
        ..NOTHING
    },
    Small {
        name: "split-store",
        first: full,
        threads: &[|a| a.store(up(90), 2), |a| a.store(up(70), 2)],
        ..NOTHING
    },
    Small {
        name: "split-load",
        first: full,
        threads: &[
            |a| a.store(up(90), 2),
            |a| {
                a.get(up(70));
                a.get(up(90));
            },
        ],
        ..NOTHING
    },
    Small {
        name: "copy-load",
        first: deleted,
        threads: &[
            |a| a.store(C, 1),
            |a| {
                a.get(B);
                a.get(C);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "copy-store",
        first: deleted,
        threads: &[
            |a| a.store(C, 1),
            |a| {
                a.swap(B, 2);
                a.load(B);
            },
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // From a small segment to a large one.
    Small {
        name: "grow-load",
        first: |a| (1..=7).for_each(|key| a.store(key, 1)),
        threads: &[
            |a| a.store(8, 1),
            |a| {
                a.get(8);
                a.get(7);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "shrink-store",
        first: |a| {
            (1..=8).for_each(|key| a.store(key, 1));
            (3..=8).for_each(|key| a.delete(key));
        },
        threads: &[
            |a| a.map.sweep(),
            |a| {
                a.store(A, 2);
                a.load(B);
            },
        ],
        ..NOTHING
    },
    // Two values are retired, while a reader may have either.
    Small {
        name: "retire-load",
        first: read,
        threads: &[
            |a| {
                a.store(A, 2);
                a.store(A, 3);
            },
            |a| a.get(A),
        ],
        ..NOTHING
    },
    Small {
        name: "retire-retire",
        first: read,
        threads: &[|a| a.store(A, 2), |a| a.store(B, 2), |a| a.get(A)],
        ..NOTHING
    },
    Small {
        name: "retire-drain",
        first: read,
        threads: &[
            |a| {
                a.store(A, 2);
                a.map.drain();
            },
            |a| a.store(B, 2),
        ],
        ..NOTHING
    },
    Small {
        name: "sweep-load",
        first: deleted,
        threads: &[
            |a| a.map.sweep(),
            |a| {
                a.get(A);
                a.get(B);
            },
        ],
        ..NOTHING
    },
    // What only read has, and is on a list.
    Small {
        name: "sweep-expunged-load",
        first: expunged,
        threads: &[
            |a| a.map.sweep(),
            |a| {
                a.get(A);
                a.get(A);
            },
        ],
        last: |a| a.get(A),
        ..NOTHING
    },
    Small {
        name: "sweep-store",
        first: deleted,
        threads: &[|a| a.map.sweep(), |a| a.store(A, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // What is swept was expunged, and came back to dirty, since the sweep began.
    Small {
        name: "sweep-revived",
        first: deleted,
        threads: &[
            |a| a.map.sweep(),
            |a| {
                a.store(C, 1);
                a.store(A, 2);
                a.delete(A);
            },
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // What is deleted while its region is being swept is marked for the next sweep.
    Small {
        name: "sweep-delete",
        first: deleted,
        threads: &[|a| a.map.sweep(), |a| a.delete(B)],
        ..NOTHING
    },
    Small {
        name: "sweep-new",
        first: deleted,
        threads: &[|a| a.map.sweep(), |a| a.store(C, 1)],
        last: |a| a.expect_swept(),
        ..NOTHING
    },
    Small {
        name: "sweep-promote",
        first: expunged,
        threads: &[
            |a| a.map.sweep(),
            |a| {
                a.delete(B);
                a.map.promote_now();
            },
        ],
        ..NOTHING
    },
    Small {
        name: "worker-sweeps",
        sweeps: true,
        first: read,
        threads: &[|a| a.delete(A), |a| a.store(A, 2)],
        ..NOTHING
    },
    // The worker is asked again while it sweeps.
    Small {
        name: "worker-sweeps-again",
        sweeps: true,
        first: deleted,
        threads: &[|a| a.delete(B), |a| a.interrupt(|a| a.store(A, 2))],
        ..NOTHING
    },
    // Both ask the worker for something, from where interrupts are off.
    Small {
        name: "late-kicks",
        sweeps: true,
        first: |a| {
            amended(a);
            a.get(C);
        },
        threads: &[|_| (), |a| a.load_and_delete(A), |a| a.get(C)],
        late: true,
        ..NOTHING
    },
    Small {
        name: "load-promote",
        first: amended,
        threads: &[|a| a.load(B), |a| a.map.promote_now(), |a| a.get(A)],
        ..NOTHING
    },
    Small {
        name: "miss-promotes",
        first: amended,
        threads: &[
            |a| {
                a.load(B);
                a.load(B);
            },
            |a| a.store(C, 1),
        ],
        ..NOTHING
    },
    Small {
        name: "load-dirty-grows",
        first: amended,
        threads: &[
            |a| {
                a.store(C, 1);
                a.store(D, 1);
            },
            |a| {
                a.get(D);
                a.get(C);
            },
        ],
        ..NOTHING
    },
    // The slot still refers to the entry of B, which is gone.
    Small {
        name: "reused-slot",
        first: |a| {
            amended(a);
            a.delete(B);
            a.map.drain();
        },
        threads: &[|a| a.store(C, 1), |a| a.load(C)],
        ..NOTHING
    },
    Small {
        name: "load-or-store",
        first: read,
        threads: &[|a| a.load_or_store(C, 1), |a| a.load_or_store(C, 2)],
        ..NOTHING
    },
    Small {
        name: "load-or-store-3",
        first: |_| (),
        threads: &[
            |a| a.load_or_store(C, 1),
            |a| a.load_or_store(C, 2),
            |a| a.load(C),
        ],
        ..NOTHING
    },
    Small {
        name: "new-new",
        first: deleted,
        threads: &[|a| a.store(C, 1), |a| a.store(D, 1)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // New keys that may not sleep: in an interrupt handler, or where one has come.
    Small {
        name: "interrupt-new",
        first: deleted,
        threads: &[|a| a.store(C, 1), |a| a.interrupt(|a| a.store(D, 1))],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "interrupt-grows",
        first: |a| (1..=6).for_each(|key| a.store(key, 1)),
        threads: &[
            |a| a.interrupt(|a| a.store(7, 1)),
            |a| {
                a.store(8, 1);
                a.store(9, 1);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "interrupt-promotes",
        first: amended,
        threads: &[
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
        ],
        ..NOTHING
    },
    Small {
        name: "interrupt-clears",
        first: amended,
        threads: &[|a| a.interrupt(Actor::clear), |a| a.store(C, 1)],
        ..NOTHING
    },
    Small {
        name: "new-promote",
        first: expunged,
        threads: &[|a| a.store(D, 1), |a| a.map.promote_now(), |a| a.get(C)],
        ..NOTHING
    },
    // A new dirty begins, in place or apart, as the old one is promoted.
    Small {
        name: "new-promote-new",
        first: revived,
        threads: &[
            |a| {
                a.delete(A);
                a.store(D, 1);
            },
            |a| {
                a.map.promote_now();
                a.store(E, 1);
            },
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    // Only dirty has C.
    Small {
        name: "delete-new-apart",
        first: expunged,
        threads: &[|a| a.load_and_delete(C), |a| a.store(C, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "delete-promote",
        first: amended,
        threads: &[|a| a.load_and_delete(B), |a| a.map.promote_now()],
        ..NOTHING
    },
    Small {
        name: "delete-clear",
        first: amended,
        threads: &[
            |a| a.load_and_delete(B),
            |a| {
                a.clear();
                a.store(B, 2);
            },
        ],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "delete-new",
        first: amended,
        threads: &[|a| a.load_and_delete(B), |a| a.store(B, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "delete-new-load",
        first: amended,
        threads: &[
            |a| a.delete(B),
            |a| a.get(B),
            |a| a.interrupt(|a| a.load_and_delete(B)),
        ],
        ..NOTHING
    },
    Small {
        name: "clear-store",
        first: read,
        threads: &[|a| a.clear(), |a| a.store(A, 2)],
        ..NOTHING
    },
    Small {
        name: "clear-new",
        first: amended,
        threads: &[|a| a.clear(), |a| a.store(C, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "clear-new-apart",
        first: expunged,
        threads: &[|a| a.clear(), |a| a.store(D, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "clear-new-dirty",
        first: deleted,
        threads: &[|a| a.clear(), |a| a.store(C, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "clear-load",
        first: amended,
        threads: &[
            |a| a.clear(),
            |a| {
                a.get(A);
                a.get(B);
            },
        ],
        ..NOTHING
    },
    // If a key that only dirty had is gone, so is one that read has: which the judge of histories,
    // who goes by keys, cannot see.
    Small {
        name: "clear-instant",
        first: expunged,
        threads: &[
            |a| a.clear(),
            |a| {
                let (newer, older) = (a.see(C), a.see(B));
                assert!(
                    newer.is_some() || older.is_none(),
                    "Clear is not one instant"
                );
            },
        ],
        ..NOTHING
    },
    // Who does not find a key any more does not walk into it either.
    Small {
        name: "clear-range",
        first: read,
        threads: &[
            |a| a.clear(),
            |a| {
                a.load(A);
                a.range();
            },
        ],
        ..NOTHING
    },
    Small {
        name: "clear-clear",
        first: read,
        threads: &[
            |a| a.clear(),
            |a| {
                a.clear();
                a.store(A, 2);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "range-promote",
        first: amended,
        threads: &[|a| a.range(), |a| a.map.promote_now(), |a| a.get(B)],
        ..NOTHING
    },
    Small {
        name: "range-store",
        first: deleted,
        threads: &[
            |a| a.range(),
            |a| {
                a.store(C, 1);
                a.store(A, 2);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "range-split",
        first: full,
        threads: &[|a| a.store(up(90), 2), |a| a.range()],
        ..NOTHING
    },
    Small {
        name: "swap-delete",
        first: read,
        threads: &[
            |a| a.compare_and_swap(A, 1, 2),
            |a| a.load_and_delete(A),
            |a| a.swap(A, 1),
        ],
        ..NOTHING
    },
    Small {
        name: "compare-compare",
        first: read,
        threads: &[
            |a| a.compare_and_swap(A, 1, 2),
            |a| a.compare_and_delete(A, 1),
            |a| a.load(A),
        ],
        ..NOTHING
    },
    // The last key that there may be goes as another one comes.
    Small {
        name: "limit-delete-new",
        limit: Some(1),
        first: |a| a.store(A, 1),
        threads: &[
            |a| a.load_and_delete(A),
            |a| {
                a.get(A);
                a.store(B, 2);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "limit-delete-store",
        limit: Some(2),
        first: two_of_three,
        threads: &[
            |a| a.load_and_delete(A),
            |a| {
                a.get(A);
                a.store(B, 2);
            },
        ],
        ..NOTHING
    },
    Small {
        name: "limit-delete-dirty",
        limit: Some(2),
        first: |a| {
            a.store(A, 1);
            a.map.promote_now();
            a.store(B, 1);
        },
        threads: &[
            |a| a.load_and_delete(B),
            |a| {
                a.get(B);
                a.load_or_store(C, 2);
            },
        ],
        ..NOTHING
    },
    // There is room for one of them.
    Small {
        name: "limit-new-new",
        limit: Some(2),
        first: |a| a.store(A, 1),
        threads: &[|a| a.store(B, 1), |a| a.interrupt(|a| a.store(C, 1))],
        ..NOTHING
    },
    Small {
        name: "limit-store-store",
        limit: Some(2),
        first: one_of_three,
        threads: &[|a| a.store(A, 2), |a| a.store(B, 2)],
        ..NOTHING
    },
    Small {
        name: "limit-same-key",
        limit: Some(1),
        first: left,
        threads: &[|a| a.store(A, 2), |a| a.load_or_store(A, 3)],
        ..NOTHING
    },
    Small {
        name: "limit-new-store",
        limit: Some(3),
        first: two_of_three,
        threads: &[|a| a.store(D, 2), |a| a.store(B, 2)],
        ..NOTHING
    },
    // The other one is no other key.
    Small {
        name: "limit-same-new",
        limit: Some(1),
        threads: &[|a| a.store(A, 1), |a| a.load_or_store(A, 2)],
        ..NOTHING
    },
    // What is there may be overwritten.
    Small {
        name: "limit-overwrite",
        limit: Some(2),
        first: two_of_three,
        threads: &[
            |a| a.swap(A, 2),
            |a| a.store(B, 2),
            |a| a.compare_and_swap(A, 1, 3),
        ],
        ..NOTHING
    },
    // An entry that is Expunged is revived, or not.
    Small {
        name: "limit-revive",
        limit: Some(2),
        first: |a| {
            deleted(a);
            a.store(C, 1);
        },
        threads: &[|a| a.compare_and_delete(B, 1), |a| a.store(A, 2)],
        last: |a| a.map.promote_now(),
        ..NOTHING
    },
    Small {
        name: "limit-clear",
        limit: Some(2),
        first: two_of_three,
        threads: &[
            |a| {
                a.clear();
                a.store(C, 1);
            },
            |a| a.store(B, 2),
        ],
        ..NOTHING
    },
    Small {
        name: "limit-clear-new",
        limit: Some(1),
        first: |a| a.store(A, 1),
        threads: &[
            |a| {
                a.clear();
                a.store(B, 2);
            },
            |a| a.store(A, 2),
            |a| a.get(A),
        ],
        ..NOTHING
    },
    Small {
        name: "limit-sweep",
        limit: Some(1),
        sweeps: true,
        first: |a| a.store(A, 1),
        threads: &[|a| a.delete(A), |a| a.store(B, 2)],
        ..NOTHING
    },
    // There is no memory at some point, for once, or from then on.
    Small {
        name: "new-without-memory",
        first: deleted,
        threads: &[|a| a.store(C, 1), |a| a.store(A, 2)],
        allocations: 5,
        ..NOTHING
    },
    Small {
        name: "split-without-memory",
        first: full,
        threads: &[|a| a.store(up(90), 2), |a| a.get(up(70))],
        allocations: 5,
        ..NOTHING
    },
    Small {
        name: "clear-without-memory",
        first: read,
        threads: &[
            |a| {
                a.clear();
                a.store(A, 2);
                a.clear();
            },
            |a| a.get(A),
        ],
        allocations: 3,
        ..NOTHING
    },
];
