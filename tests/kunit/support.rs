// SPDX-License-Identifier: GPL-2.0

//! Checks, maps, dumps and random numbers.

use kernel::bindings;
use kernel::fmt;
use kernel::prelude::*;
use kernel::time::delay::fsleep;
use kernel::time::Delta;
use syncmap::inspect::{Dirty, EntryState, Stats, Where};
use syncmap::{Limits, Options, SyncMap};

use crate::keys::Number;
use crate::values::Tracked;

/// Ends the test with an error, and says where and why, unless the condition holds.
macro_rules! check {
    ($cond:expr $(,)?) => {
        check!($cond, "")
    };
    ($cond:expr, $($arg:tt)+) => {
        if !$cond {
            $crate::support::report(kernel::prelude::fmt!(
                "{}:{}: {} {}", file!(), line!(), stringify!($cond),
                kernel::prelude::fmt!($($arg)+)
            ));
            return Err(EINVAL);
        }
    };
}

/// The same for two things that should be equal, which are shown.
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        check_eq!($left, $right, "")
    };
    ($left:expr, $right:expr, $($arg:tt)+) => {
        match (&$left, &$right) {
            (left, right) => if *left != *right {
                $crate::support::report(kernel::prelude::fmt!(
                    "{}:{}: {} is {:?}, not {:?} {}", file!(), line!(), stringify!($left),
                    left, right, kernel::prelude::fmt!($($arg)+)
                ));
                return Err(EINVAL);
            }
        }
    };
}

unsafe extern "C" {
    // The library's own helpers are part of every module that has the library.
    safe fn syncmap_helper_preemptible() -> bool;
}

/// Says something on the console; and in the log of the test, if this is its thread, and may sleep.
pub(crate) fn report(args: fmt::Arguments<'_>) {
    pr_err!("    # {}\n", args);
    if !syncmap_helper_preemptible() {
        return;
    }
    // SAFETY: May be called at any time.
    let test = unsafe { bindings::kunit_get_current_test() };
    // SAFETY: The test is running in this very thread.
    if let Some(test) = unsafe { test.as_ref() } {
        // SAFETY: The format takes one `fmt::Arguments`, which lives until the call returns.
        unsafe {
            bindings::kunit_log_append(
                test.log,
                c"    # %pA\n".as_char_ptr(),
                core::ptr::from_ref(&args).cast::<c_void>(),
            )
        };
    }
}

/// A map from numbers of some kind to values that count themselves.
pub(crate) type Numbers<K> = SyncMap<K, Tracked>;

/// Options of a map in which nothing happens by itself.
pub(crate) const QUIET: Options = Options {
    limits: Limits::NONE,
    account: None,
    sweep: false,
};

/// The same of one whose keys may share their hashes, however many they are.
pub(crate) const CROWDED: Options = Options {
    limits: Limits {
        chain: usize::MAX,
        ..Limits::NONE
    },
    ..QUIET
};

/// Makes a map.
pub(crate) fn numbers<K: Number>(options: Options) -> Result<Pin<KBox<Numbers<K>>>> {
    KBox::pin_init(Numbers::new(options, GFP_KERNEL), GFP_KERNEL)
}

/// A map that never sweeps, with these keys in read; the value of each key is the key.
pub(crate) fn filled<K: Number>(
    keys: impl Iterator<Item = u64>,
    options: Options,
) -> Result<Pin<KBox<Numbers<K>>>> {
    let map = numbers(options)?;
    for key in keys {
        store(&map, key, key)?;
    }
    map.promote_now();
    Ok(map)
}

/// Stores, where only the error is of interest.
pub(crate) fn store<K: Number>(map: &Numbers<K>, key: u64, value: u64) -> Result {
    Ok(map.store(K::make(key), Tracked::make(value), GFP_KERNEL)?)
}

/// Stores keys, each with itself as its value.
pub(crate) fn fill<K: Number>(map: &Numbers<K>, keys: impl IntoIterator<Item = u64>) -> Result {
    keys.into_iter().try_for_each(|key| store(map, key, key))
}

/// Deletes keys, all of which are there.
pub(crate) fn delete<K: Number>(map: &Numbers<K>, keys: impl IntoIterator<Item = u64>) -> Result {
    for key in keys {
        check!(map.delete(&K::make(key)), "{}", key);
    }
    Ok(())
}

/// Deletes keys, all of which are there, so that their entries stay until they are swept.
pub(crate) fn leave_deleted<K: Number>(
    map: &Numbers<K>,
    keys: impl IntoIterator<Item = u64>,
) -> Result {
    for key in keys {
        let deleted = map.compare_and_delete_with(&K::make(key), |_| true);
        check!(deleted.is_some(), "{}", key);
    }
    Ok(())
}

/// All of these keys are there.
pub(crate) fn has<K: Number>(map: &Numbers<K>, keys: impl IntoIterator<Item = u64>) -> Result {
    for key in keys {
        check_eq!(value(map, key), Some(key), "{}", key);
    }
    Ok(())
}

/// Bytes when all that can be freed has been freed.
pub(crate) fn bytes<K: Number>(map: &Numbers<K>) -> usize {
    map.drain();
    map.drain();
    map.stats().bytes
}

/// The value of a key; not counted as a lookup that wants a promotion.
pub(crate) fn value<K: Number>(map: &Numbers<K>, key: u64) -> Option<u64> {
    let guard = kernel::sync::rcu::read_lock();
    map.get(&K::make(key), &guard).map(|v| v.number())
}

/// Entries that fill a segment of a table.
pub(crate) const SEGMENT: u64 = 84;

/// Bytes of one.
pub(crate) const SEGMENT_BYTES: usize = 1024;

/// Where a key is, and how: a letter for read (`-` no entry, `L`, `D`, `E`), one for dirty, and `a` if
/// there is a dirty, or else a dot. `LLa` is a live key of both tables.
pub(crate) fn shape<K: Number>(map: &Numbers<K>, key: u64) -> ([u8; 3], Dirty) {
    let key = K::make(key);
    let mut shape = *b"--.";
    let dirty = map.inspect(|place, k, state| {
        if *k == key {
            let letter = match state {
                EntryState::Live => b'L',
                EntryState::Deleted => b'D',
                EntryState::Expunged => b'E',
            };
            shape[usize::from(place == Where::Dirty)] = letter;
        }
    });
    if dirty.amended {
        shape[2] = b'a';
    }
    (shape, dirty)
}

/// A shape as text.
pub(crate) fn text(shape: &[u8; 3]) -> &str {
    core::str::from_utf8(shape).unwrap_or("?")
}

/// An entry as [`Map::inspect`](syncmap::map::Map::inspect) shows it; in read, with its value. (To look
/// into dirty would count as a miss.)
pub(crate) type Line = (Where, u64, EntryState, Option<u64>);

/// Everything that can be seen of a map: if this is the same as before, nothing has changed.
#[derive(PartialEq)]
pub(crate) struct Dump {
    pub(crate) lines: KVec<Line>,
    pub(crate) dirty: Dirty,
    pub(crate) len: usize,
    pub(crate) bytes: usize,
}

/// Takes a dump. Drain the map before the first one, so that the bytes stand still.
pub(crate) fn dump<K: Number>(map: &Numbers<K>) -> Result<Dump> {
    let stats = map.stats();
    let mut lines = KVec::with_capacity(stats.read_slots + stats.dirty_slots, GFP_KERNEL)?;
    let mut lost = false;
    let dirty = map.inspect(|place, key, state| {
        lost |= lines
            .push_within_capacity((place, key.number(), state, None))
            .is_err();
    });
    check!(!lost, "the tables have more entries than their stats say");
    for line in lines.iter_mut() {
        if line.0 == Where::Read {
            line.3 = value(map, line.1);
        }
    }
    Ok(Dump {
        lines,
        dirty,
        len: map.len(),
        bytes: map.stats().bytes,
    })
}

/// Waits for something that happens by itself, at most so many milliseconds; whether it did.
pub(crate) fn eventually(millis: i64, mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..crate::patience() * millis / 10 {
        if done() {
            return true;
        }
        sleep(10);
    }
    done()
}

/// Sleeps.
pub(crate) fn sleep(millis: i64) {
    fsleep(Delta::from_millis(millis));
}

/// Random numbers: splitmix64, so that every seed is a good one.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The tables are as they should be, if these keys, and no others, are live: each table has a key once,
/// and counts it; and what is in both agrees (I1, I3). Nothing else may use the map meanwhile, but the
/// worker may promote and sweep.
pub(crate) fn audit<K: Number>(map: &Numbers<K>, live: &[bool]) -> Result {
    loop {
        let before = map.stats();
        let mut states = KVec::from_elem((None, None), live.len(), GFP_KERNEL)?;
        let (mut wrong, mut slots) = (None, (0, 0));
        let dirty = map.inspect(|place, key, state| {
            let count = match place {
                Where::Read => &mut slots.0,
                Where::Dirty => &mut slots.1,
            };
            *count += 1;
            let slot = match (states.get_mut(key.number() as usize), place) {
                (Some(at), Where::Read) => &mut at.0,
                (Some(at), Where::Dirty) => &mut at.1,
                (None, _) => return wrong = Some(key.number()),
            };
            if slot.replace(state).is_some() {
                wrong = Some(key.number());
            }
        });
        let after = map.stats();
        let work = |s: &Stats| (s.promotions, s.expunged, s.read_slots, s.dirty_slots);
        if work(&after) != work(&before) {
            continue;
        }
        check_eq!(wrong, None, "is twice in a table, or unknown");
        check_eq!((after.read_slots, after.dirty_slots), slots);
        check_eq!(after.entries, live.iter().filter(|live| **live).count());
        for (key, (live, state)) in live.iter().zip(&states).enumerate() {
            use EntryState::*;
            let good = match (dirty.amended, *state) {
                (false, (Some(Live), None)) => *live,
                (false, (None | Some(Deleted), None)) => !*live,
                (true, (None | Some(Live), Some(Live))) => *live,
                (true, (None | Some(Deleted), Some(Deleted))) => !*live,
                (true, (None | Some(Expunged), None)) => !*live,
                _ => false,
            };
            check!(good, "{} is {:?}, live {}", key, state, live);
        }
        return Ok(());
    }
}
