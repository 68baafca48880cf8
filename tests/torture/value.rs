// SPDX-License-Identifier: GPL-2.0

//! Values that can be told from others and from what is left of them, and the faults that show.

use core::ops::Deref;
use kernel::alloc::Flags;
use kernel::fmt;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};

use crate::random::mix;

/// What can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A value is not what was stored under that key, or is not there any more.
    Checksum,
    /// A value is older than what must be there.
    Generation,
    /// What must be there is not.
    Lost,
    /// A value was handed out, or dropped, twice.
    Twice,
    /// A walk has left something out, or has shown it twice.
    Range,
    /// `len` is not the number of keys.
    Len,
    /// Values were made and not dropped.
    Leak,
    /// Bytes are charged for nothing.
    Bytes,
    /// An operation has failed for no reason.
    Error,
}

static FAULTS: Atomic<u64> = Atomic::new(0);
static MADE: Atomic<u64> = Atomic::new(0);
static DROPPED: Atomic<u64> = Atomic::new(0);

/// So many are described in the log; the others are only counted.
const SHOWN: u64 = 20;

/// Counts a fault, and describes it. Any context.
#[cold]
pub(crate) fn fault(fault: Fault, what: fmt::Arguments<'_>) {
    if FAULTS.fetch_add(1u64, Relaxed) < SHOWN {
        pr_err!("fault: {:?}: {}\n", fault, what);
    }
}

/// Faults, values made, values dropped.
pub(crate) fn census() -> (u64, u64, u64) {
    // Dropped first, so that there are never more of those.
    let dropped = DROPPED.load(Relaxed);
    (FAULTS.load(Relaxed), MADE.load(Relaxed), dropped)
}

/// What the bytes of a value are after it has been dropped.
const POISON: u64 = 0x6b6b_6b6b_dead_6b6b;

/// A value.
pub(crate) struct Value {
    pub(crate) key: u64,
    pub(crate) generation: u64,
    check: Atomic<u64>,
    taken: Atomic<u64>,
    payload: KVec<u8>,
}

fn sum(key: u64, generation: u64) -> u64 {
    mix(mix(key ^ 0x5353_4d41_5053_4d41).wrapping_add(generation))
}

fn byte(sum: u64, index: usize) -> u8 {
    (sum >> (index % 8 * 8)) as u8
}

impl Value {
    /// Makes a value. Sleeps if `flags` allow it.
    pub(crate) fn new(key: u64, generation: u64, bytes: usize, flags: Flags) -> Result<Self> {
        let check = sum(key, generation);
        let mut payload = KVec::with_capacity(bytes, flags)?;
        for index in 0..bytes {
            payload.push(byte(check, index), flags)?;
        }
        MADE.fetch_add(1u64, Relaxed);
        Ok(Value {
            key,
            generation,
            check: Atomic::new(check),
            taken: Atomic::new(0),
            payload,
        })
    }

    /// Whether this is a value of that key, whole and alive; if not, that is a fault. Any context.
    pub(crate) fn verify(&self, key: u64) -> bool {
        let want = sum(key, self.generation);
        let check = self.check.load(Relaxed);
        let whole = || {
            let mut bytes = self.payload.iter().enumerate();
            bytes.all(|(index, b)| *b == byte(want, index))
        };
        if self.key == key && check == want && whole() {
            return true;
        }
        let state = if check == POISON { "dropped" } else { "broken" };
        fault(
            Fault::Checksum,
            fmt!(
                "key {}: a {} value, of key {}, generation {}, with {:#x}",
                key,
                state,
                self.key,
                self.generation,
                check
            ),
        );
        false
    }

    /// The map has handed it out as the old value of that key, to its only owner. Any context.
    pub(crate) fn take(&self, key: u64) {
        self.verify(key);
        if self.taken.xchg(1, Full) != 0 {
            fault(
                Fault::Twice,
                fmt!(
                    "key {}: generation {} was handed out before",
                    key,
                    self.generation
                ),
            );
        }
    }

    /// Plants a mistake.
    pub(crate) fn spoil(&self) {
        self.check.store(!sum(self.key, self.generation), Relaxed);
    }
}

/// What a map has handed out of that key, if anything: drops it. Any context.
pub(crate) fn taken(old: Option<impl Deref<Target = Value>>, key: u64) {
    if let Some(old) = old {
        old.take(key);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if self.check.xchg(POISON, Full) == POISON {
            fault(
                Fault::Twice,
                fmt!(
                    "key {}: generation {} was dropped before",
                    self.key,
                    self.generation
                ),
            );
        }
        self.payload.fill(POISON as u8);
        DROPPED.fetch_add(1u64, Relaxed);
    }
}
