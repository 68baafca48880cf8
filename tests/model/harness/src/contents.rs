// SPDX-License-Identifier: GPL-2.0

//! Keys and values.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kernel::machine::{self, Moment};
use syncmap::hash::{Key, Seed};
use syncmap::object::Stored;

/// A key, whose hash its owner has chosen.
pub struct Name {
    /// The hash.
    pub hash: u32,
    /// What tells it from others.
    pub number: u64,
}

impl Name {
    /// The key of that number: the upper 32 bits are its hash.
    pub fn of(number: u64) -> Self {
        Name {
            hash: (number >> 32) as u32,
            number,
        }
    }
}

// SAFETY: `payload` returns what `init` has written; there is no tail.
unsafe impl Stored for Name {
    const HAS_TAIL: bool = false;
    type Ref = Name;
    type Input<'a> = Name;

    fn tail(_: &Name) -> usize {
        0
    }

    unsafe fn init(slot: *mut Self, input: Name) {
        // SAFETY: By the contract of the function.
        unsafe { slot.write(input) }
    }

    unsafe fn payload<'a>(slot: *const Self, _: usize) -> &'a Name {
        // SAFETY: By the contract of the function.
        unsafe { &*slot }
    }
}

impl Key for Name {
    type Memo = ();

    fn query(input: &Name) -> &Name {
        input
    }

    fn hash(key: &Name, _: &Seed) -> u64 {
        u64::from(key.hash) << 32
    }

    fn compare(a: &Name, b: &Name) -> Ordering {
        machine::reach(Moment::Comparison);
        machine::check_alive(a);
        machine::check_alive(b);
        a.number.cmp(&b.number)
    }
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// The number of values that have not been dropped.
pub fn values_alive() -> usize {
    ALIVE.load(Relaxed)
}

/// A value, which notices if it is looked at, or dropped, when it is gone.
pub struct Value {
    number: u64,
    /// The number again, in disguise, until it is dropped.
    seal: u64,
}

const SEAL: u64 = 0x5ea1_ed5e_a1ed_5ea1;

impl Value {
    /// With that number.
    pub fn new(number: u64) -> Self {
        ALIVE.fetch_add(1, Relaxed);
        Value {
            number,
            seal: number ^ SEAL,
        }
    }

    /// The number.
    pub fn get(&self) -> u64 {
        machine::without_lock("looking at a value");
        machine::check_alive(self);
        assert_eq!(
            self.number ^ SEAL,
            self.seal,
            "a value is looked at when it is gone"
        );
        self.number
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.get() == other.get()
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        machine::without_lock("dropping a value");
        assert_eq!(self.number ^ SEAL, self.seal, "a value is dropped twice");
        self.seal = 0;
        ALIVE.fetch_sub(1, Relaxed);
    }
}
