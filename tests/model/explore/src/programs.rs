// SPDX-License-Identifier: GPL-2.0

//! The programs: each has one thing happen to another, and no more than it takes.

use harness::Actor;

type Act = fn(&mut Actor<'_>);

/// A program.
pub struct Small {
    pub name: &'static str,
    /// Whether the map sweeps by itself.
    pub sweeps: bool,
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
    Small {
        name: "worker-sweeps",
        sweeps: true,
        first: read,
        threads: &[|a| a.delete(A), |a| a.store(A, 2)],
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
        threads: &[|_| (), |a| a.try_delete(A), |a| a.get(C)],
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
        threads: &[|a| a.delete(B), |a| a.get(B), |a| a.try_delete(B)],
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
