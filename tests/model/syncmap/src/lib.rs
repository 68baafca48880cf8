// SPDX-License-Identifier: GPL-2.0

//! The library of the kernel module, as it is, on the stand-in for the kernel.
//!
//! Only its module `atomic` is another one. The real one makes of loads and stores on x86 volatile
//! accesses, which is what the kernel's are there, and what loom cannot see.

// The library is documented where it is.
#![expect(rustdoc::broken_intra_doc_links)]

include!(concat!(env!("OUT_DIR"), "/modules.rs"));
