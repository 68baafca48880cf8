// SPDX-License-Identifier: GPL-2.0

//! New keys whose memory was reserved, and sweeps that relieve the segments that these have strained.

use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;

use crate::{Actor, Name, TinyMap, Value};
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::{InPlaceInit, KBox};
use kernel::machine::{self, Failing, Moment};
use syncmap::{Limits, Options};

use super::states::{key, keys};
use super::{alone, program, wait_for_turn, Small, TURN};

/// What a segment takes without reserved keys, and what it takes besides.
const FULL: u32 = 84;
const SLACK: u32 = 21;

const QUARTER: u32 = 1 << 30;
const HALF: u32 = 1 << 31;

/// Stores all these keys, for which there is memory.
fn fill(a: &mut Actor<'_>, keys: impl Iterator<Item = u64>) {
    for key in keys {
        a.store(key, 1);
        assert_eq!(a.see(key), Some(1));
    }
}

/// Reserves memory for all these keys, and stores them without other memory.
fn put(a: &mut Actor<'_>, keys: &[u64]) {
    let reservation = a.reserve(keys.len());
    for key in keys {
        a.put(*key, 1, &reservation);
    }
    assert_eq!(reservation.keys(), 0);
}

/// Two segments whose slack reserved keys have used up.
fn strained(a: &mut Actor<'_>) {
    fill(a, keys(0, HALF, FULL));
    fill(a, keys(HALF, u32::MAX, FULL));
    let of_both = keys(1, HALF, SLACK).chain(keys(HALF + 1, u32::MAX, SLACK));
    put(a, &of_both.collect::<Vec<_>>());
}

/// Puts a key in each of these segments.
fn put_in_both(a: &mut Actor<'_>) {
    let of_both = [key(5, 5000), key(HALF + 5, 5000)];
    put(a, &of_both);
    assert_eq!(of_both.map(|key| a.see(key)), [Some(1); 2]);
}

/// Relief finds no memory, and is not done then.
fn relieve_without_memory(a: &mut Actor<'_>) {
    strained(a);
    machine::fail(Failing::From(0));
    a.map.sweep();
    machine::fail(Failing::Never);
    put_in_both(a);
}

/// The worker relieves segments without being asked for a sweep.
fn relieved(a: &mut Actor<'_>) {
    strained(a);
    for _ in 0..20 {
        a.store(key(0, 1), 2);
        a.map.drain();
    }
    assert_ne!(
        a.map.stats().sweeps,
        0,
        "the worker has relieved no segment"
    );
}

/// Three times, a map has seven keys, as many as a small table takes, and gets a reserved one. Then
/// `empty` removes the new keys.
fn grows_again(a: &mut Actor<'_>, empty: impl Fn(&mut Actor<'_>, &[u64])) {
    let reservation = a.reserve(3);
    for round in 1..4 {
        let new = 100 * round..100 * round + 7 - a.map.len() as u64;
        let new: Vec<u64> = new.map(|number| key(7, number)).collect();
        fill(a, new.iter().copied());
        a.put(key(7, 1000 * round), 1, &reservation);
        empty(a, &new);
    }
}

/// A sweep makes no small table while keys are reserved: it could not grow again.
fn swept(a: &mut Actor<'_>) {
    grows_again(a, |a, new| {
        new.iter().for_each(|key| a.delete(*key));
        a.map.promote_now();
        a.map.sweep();
    });
    assert_eq!(a.map.len(), 3);
}

/// Nor does Clear.
fn cleared(a: &mut Actor<'_>) {
    grows_again(a, |a, _| a.clear());
    assert_eq!(a.map.len(), 0);
}

/// A single key overflows a segment of keys with two hashes. It has the hash of the first one there in
/// one of two cases, in which no look at that one shows that the chain is mixed.
fn overflow(_: &mut Actor<'_>) {
    let of_two = |count| (0..count).map(|i| key(THIRD * (i % 2), u64::from(i)));
    for hash in [FIRST, THIRD] {
        let map = no_sweep(Limits::NONE);
        let mut a = Actor::new(&map, 0);
        fill(&mut a, of_two(FULL));
        let last = key(hash, 1000);
        let slack = of_two(FULL + SLACK).skip(FULL as usize);
        put(&mut a, &slack.chain([last]).collect::<Vec<_>>());
        fill(&mut a, [key(HALF + 7, 7), key(HALF - 7, 7)].into_iter());
        for key in of_two(FULL + SLACK).chain([last]) {
            assert_eq!(a.see(key), Some(1), "{key:x}, overflowed by {last:x}");
        }
    }
}

/// A map whose segments nothing relieves.
fn no_sweep(limits: Limits) -> impl Deref<Target = TinyMap> {
    let options = Options {
        limits,
        sweep: false,
        ..Options::default()
    };
    let map = KBox::pin_init(TinyMap::new(options, GFP_KERNEL), GFP_KERNEL);
    map.expect("there is memory")
}

/// Reserved keys with different hashes share a chain. The limit of keys with one hash does not count the
/// others.
fn crowd(_: &mut Actor<'_>) {
    let map = no_sweep(Limits {
        chain: 4,
        ..Limits::NONE
    });
    let mut a = Actor::new(&map, 0);
    fill(&mut a, keys(0, HALF / 4, FULL));
    put(&mut a, &keys(1, HALF / 4, 30).collect::<Vec<_>>());
    for first in keys(1, HALF / 4, 30) {
        let stored = map.store(Name::of(first + 100_000), Value::new(1), GFP_KERNEL);
        assert!(stored.is_ok());
    }
}

const FIRST: u32 = 0;
const SECOND: u32 = QUARTER;
const THIRD: u32 = HALF;

/// Three full segments. The threads take turns only as they say.
fn three_segments(a: &mut Actor<'_>) {
    machine::stop_exploring();
    TURN.store(0, Relaxed);
    for first in [FIRST, SECOND, THIRD] {
        fill(a, keys(first, first + QUARTER, FULL));
    }
}

/// Keys that use up the slack of one of these.
fn slack_of(first: u32) -> impl Iterator<Item = u64> {
    keys(first + 1, first + QUARTER, SLACK)
}

pub const PROGRAMS: &[Small] = &[
    alone("reserve-strained", |a| {
        strained(a);
        put_in_both(a);
    }),
    alone("reserve-relieve", relieve_without_memory),
    alone("reserve-relieved", relieved),
    alone("reserve-small", swept),
    alone("reserve-clear", cleared),
    alone("reserve-overflow", overflow),
    alone("reserve-crowd", crowd),
    // A sweep is about to relieve the first segment. Meanwhile that overflows, the others are strained, and
    // another sweep begins. The first one ends while the other is about to relieve these segments.
    program("reserve-two-sweeps", three_segments).threads(&[
        |a| {
            machine::quiet(true);
            put(a, &slack_of(FIRST).collect::<Vec<_>>());
            machine::before(Moment::Allocation, || {
                TURN.store(1, Relaxed);
                wait_for_turn(0);
            });
            a.map.sweep();
            put(a, &[key(SECOND + 5, 5000), key(THIRD + 5, 5000)]);
            TURN.store(1, Relaxed);
        },
        |a| {
            wait_for_turn(1);
            put(a, &[key(FIRST + 6, 6000)]);
            put(a, &slack_of(SECOND).collect::<Vec<_>>());
            put(a, &slack_of(THIRD).collect::<Vec<_>>());
            machine::before(Moment::Allocation, || {
                TURN.store(0, Relaxed);
                wait_for_turn(1);
            });
            a.map.sweep();
            TURN.store(0, Relaxed);
        },
    ]),
];
