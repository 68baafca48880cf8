// SPDX-License-Identifier: GPL-2.0

//! The library of the kernel module, as it is, on the stand-in for the kernel.
//!
//! Only its module `atomic` is another one. The real one makes of loads and stores on x86 volatile
//! accesses, which is what the kernel's are there, and what loom cannot see.

// The library is documented where it is.
#![expect(rustdoc::broken_intra_doc_links)]

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// What programs need to get at.
pub mod probe {
    use crate::hash::Key;
    use crate::map::Map;
    use crate::value::Policy;

    /// Leaves the count of bytes alone, which every operation changes, and nothing depends on while
    /// there is no limit.
    pub fn calm_ledger<K: Key, P: Policy>(map: &Map<K, P>) {
        kernel::machine::calm(&map.reclaimer.ledger);
    }
}
