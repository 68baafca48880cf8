// SPDX-License-Identifier: GPL-2.0

//! Keys with good and with bad hashes.

use core::hash::{Hash, Hasher};

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
