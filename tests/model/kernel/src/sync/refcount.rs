// SPDX-License-Identifier: GPL-2.0

//! Reference counts.

use super::atomic::{Acquire, Atomic, Relaxed, Release};

/// A reference count.
pub struct Refcount(Atomic<u32>);

impl Refcount {
    /// Which begins with that.
    pub const fn new(count: u32) -> Self {
        Refcount(Atomic::new(count))
    }

    /// One more; there must be one.
    pub fn inc(&self) {
        let before = self.0.fetch_add(1, Relaxed);
        assert!(
            before > 0,
            "a reference is taken to what nobody refers to any more"
        );
    }

    /// One less; whether it was the last.
    pub fn dec_and_test(&self) -> bool {
        let before = self.0.fetch_add(u32::MAX, Release);
        assert!(before > 0, "a reference is put too often");
        // Ordered after the others have put theirs, as the kernel's is.
        before == 1 && self.0.load(Acquire) == 0
    }
}
