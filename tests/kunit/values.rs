// SPDX-License-Identifier: GPL-2.0

//! Values that know whether they were dropped once, and not too early.

use core::hash::{Hash, Hasher};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};

use crate::keys::Number;

// One census for all, as tests run one after the other, and a map that is dropped has dropped its
// values by the time that returns.
static LIVE: Atomic<isize> = Atomic::new(0);
static WRONG: Atomic<isize> = Atomic::new(0);

/// A value, or a key, that is counted while it exists, and shows when it is read after its end.
pub(crate) struct Tracked {
    number: u64,
    /// The complement of `number` while it exists.
    mark: Atomic<u64>,
}

impl Tracked {
    pub(crate) fn make(number: u64) -> Self {
        LIVE.fetch_add(1, Relaxed);
        Tracked {
            number,
            mark: Atomic::new(!number),
        }
    }

    /// The number; counts as wrong if the value has been dropped already.
    pub(crate) fn number(&self) -> u64 {
        if self.mark.load(Relaxed) != !self.number {
            WRONG.fetch_add(1, Relaxed);
        }
        self.number
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.mark.xchg(self.number, Full) != !self.number {
            WRONG.fetch_add(1, Relaxed);
        }
        LIVE.fetch_sub(1, Relaxed);
    }
}

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Tracked {}

impl PartialOrd for Tracked {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tracked {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.number().cmp(&other.number())
    }
}

impl Hash for Tracked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

impl Number for Tracked {
    fn make(number: u64) -> Self {
        Tracked::make(number)
    }

    fn number(&self) -> u64 {
        Tracked::number(self)
    }
}

/// What exists, and what has gone wrong, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Census {
    live: isize,
    wrong: isize,
}

impl Census {
    pub(crate) fn take() -> Self {
        Census {
            live: LIVE.load(Relaxed),
            wrong: WRONG.load(Relaxed),
        }
    }

    /// Those that have been made and not dropped since.
    pub(crate) fn more(&self) -> isize {
        LIVE.load(Relaxed) - self.live
    }

    /// Fails unless all that has been made since has been dropped, once, and nothing was read later.
    pub(crate) fn close(self) -> Result {
        check_eq!(WRONG.load(Relaxed) - self.wrong, 0, "used after drop");
        check_eq!(self.more(), 0, "values too many or too few");
        Ok(())
    }
}

/// Runs a test, and then looks whether all its values are gone.
pub(crate) fn counted(test: impl FnOnce() -> Result) -> Result {
    let census = Census::take();
    test()?;
    census.close()
}
