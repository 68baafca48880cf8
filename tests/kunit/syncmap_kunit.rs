// SPDX-License-Identifier: GPL-2.0

//! The KUnit suites of the library: loading this module runs them.
//!
//! * `suite_*.rs` are the suites; each test is one function.
//! * [`oracle`] is the seed in Rust, [`model`] the most simple-minded map; [`program`] makes random
//!   programs and runs them on maps, oracle and model alike.
//! * [`support`], [`values`], [`keys`], [`threads`] and [`context`] are what they are made with.
//!
//! Tests return a `Result` and use the macros `check!` and `check_eq!` instead of assertions, for two
//! reasons: a failed KUnit assertion kills its thread without running destructors, which leaves a map
//! behind whose worker would then run in unloaded text; and in other threads it does not count.

use kernel::prelude::*;

#[macro_use]
mod support;

mod context;
mod keys;
mod model;
mod oracle;
mod program;
mod threads;
mod values;

mod suite_chains;
mod suite_context;
mod suite_hashes;
mod suite_limits;
mod suite_map;
mod suite_memory;
mod suite_nomem;
mod suite_oracle;
mod suite_random;
mod suite_range;
mod suite_states;
mod suite_table;
mod suite_threads;
mod suite_tides;

module! {
    type: KunitModule,
    name: "syncmap_kunit",
    authors: ["The syncmap developers"],
    description: "KUnit suites of the concurrent hash map",
    license: "GPL",
    params: {
        seed: u64 {
            default: 1,
            description: "Where the random programs of the tests begin",
        },
        divide: u64 {
            default: 0,
            description: "Makes long tests so many times shorter (0: as fits this kernel)",
        },
    },
}

/// Where random programs begin; the same unless one asks for another.
pub(crate) fn seed() -> u64 {
    parameter(module_parameters::seed.value())
}

/// A number of steps or keys: so many, or fewer where debugging makes every allocation slow.
///
/// User Mode Linux searches the whole stack for what may be return addresses whenever the kernel wants
/// a stack trace, which KASAN and kmemleak want for each allocation: that takes milliseconds.
pub(crate) fn scaled(number: u64) -> u64 {
    let slow = cfg!(CONFIG_KASAN) || cfg!(CONFIG_DEBUG_KMEMLEAK);
    match parameter(module_parameters::divide.value()) {
        0 if slow => number / 20,
        0 => number,
        divide => number / divide,
    }
}

/// The value of a parameter, which 7.2 gives by reference, and 7.3 as it is.
fn parameter(value: impl core::borrow::Borrow<u64>) -> u64 {
    *value.borrow()
}

struct KunitModule;

impl kernel::Module for KunitModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(KunitModule)
    }
}
