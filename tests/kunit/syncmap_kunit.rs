// SPDX-License-Identifier: GPL-2.0

//! The KUnit suites of the library: loading this module runs them.
//!
//! * `suite_*.rs` are the suites; each test is one function.
//! * [`oracle`] is the seed in Rust, [`model`] the most simple-minded map; [`program`] makes random
//!   programs and runs them on maps, oracle and model alike.
//! * [`support`], [`states`], [`values`], [`keys`], [`threads`] and [`context`] are what they are made
//!   with.
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
mod states;
#[macro_use]
mod threads;
mod values;

mod suite_chains;
mod suite_context;
mod suite_expunged;
mod suite_hashes;
mod suite_limits;
mod suite_map;
mod suite_memory;
#[cfg(CONFIG_FAILSLAB)]
mod suite_nomem;
mod suite_oracle;
mod suite_pointers;
mod suite_random;
mod suite_range;
mod suite_reserve;
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
            default: 1,
            description: "Makes long tests so many times shorter",
        },
        patience: u64 {
            default: 1,
            description: "What a test waits for may take so many times longer",
        },
    },
}

/// Where random programs begin; the same unless one asks for another.
pub(crate) fn seed() -> u64 {
    parameter(module_parameters::seed.value())
}

/// A number of steps or keys: so many, or fewer if one asks for shorter tests.
pub(crate) fn scaled(number: u64) -> u64 {
    number / parameter(module_parameters::divide.value()).max(1)
}

/// How many times longer than usual things may take, where the machine is slow.
pub(crate) fn patience() -> i64 {
    parameter(module_parameters::patience.value()).clamp(1, 1000) as i64
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
