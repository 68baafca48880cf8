// SPDX-License-Identifier: GPL-2.0

//! Keys with good and with bad hashes.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use syncmap::hash::{Key, Seed};
use syncmap::map::Map;
use syncmap::object::{Fixed, Stored};
use syncmap::value::Counted;

use crate::values::Tracked;

/// A key that stands for a number.
pub(crate) trait Number: Hash + Ord + Send + Sync + 'static {
    fn make(number: u64) -> Self;
    fn number(&self) -> u64;
}

/// A key with a hash like any other.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Good(u64);

/// A key that shares its hash with every fourth.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Truncated(u64);

impl Hash for Truncated {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 & 3);
    }
}

/// A key that shares its hash with all others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Constant(u64);

impl Hash for Constant {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A key with a good hash if its number is odd; all even ones share another.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mixed(u64);

impl Hash for Mixed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0 % 2 == 1 {
            state.write_u64(self.0);
        }
    }
}

macro_rules! number {
    ($($key:ident),*) => {
        $(
            impl Number for $key {
                fn make(number: u64) -> Self {
                    $key(number)
                }

                fn number(&self) -> u64 {
                    self.0
                }
            }
        )*
    };
}

number!(Good, Truncated, Constant, Mixed);

/// A key whose hash is chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Chosen {
    /// Tables use the first 31 bits.
    pub(crate) hash: u64,
    pub(crate) number: u64,
}

// SAFETY: `init` initialises what `payload` returns; there is no tail.
unsafe impl Stored for Chosen {
    const HAS_TAIL: bool = false;

    type Ref = Chosen;
    type Input<'a> = Chosen;

    fn tail(_: &Chosen) -> usize {
        0
    }

    unsafe fn init(slot: *mut Self, input: Chosen) {
        // SAFETY: By the contract of the function.
        unsafe { slot.write(input) }
    }

    unsafe fn payload<'a>(slot: *const Self, _: usize) -> &'a Chosen {
        // SAFETY: By the contract of the function.
        unsafe { &*slot }
    }
}

impl Key for Chosen {
    type Memo = ();

    const IS_WORD: bool = true;

    fn query<'a>(input: &'a Chosen) -> &'a Chosen {
        input
    }

    fn hash(key: &Chosen, _: &Seed) -> u64 {
        key.hash
    }

    fn compare(a: &Chosen, b: &Chosen) -> Ordering {
        a.number.cmp(&b.number)
    }
}

/// A map of these.
pub(crate) type Chosens = Map<Chosen, Counted<Fixed<Tracked>>>;
