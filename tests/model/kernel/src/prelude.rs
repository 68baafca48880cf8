// SPDX-License-Identifier: GPL-2.0

//! What every file of the source uses.

pub use crate::alloc::flags::*;
pub use crate::alloc::{InPlaceInit, KBox};
pub use crate::error::{code::*, Error, Result};
pub use core::pin::Pin;
pub use pinned_init::{pin_data, pin_init, pinned_drop, try_pin_init, PinInit};

/// What newer versions of the crate have.
pub mod pin_init {
    use super::PinInit;

    /// An initialiser that is made when it is used.
    pub fn pin_init_scope<T, E, I: PinInit<T, E>>(
        make: impl FnOnce() -> Result<I, E>,
    ) -> impl PinInit<T, E> {
        // SAFETY: As the initialiser that is made does it.
        unsafe { pinned_init::pin_init_from_closure(move |slot| make()?.__pinned_init(slot)) }
    }
}
