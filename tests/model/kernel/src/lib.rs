// SPDX-License-Identifier: GPL-2.0

//! What syncmap uses of the kernel, on the host: a stand-in that finds mistakes.
//!
//! `sync`, `alloc`, `types` and the others have the names of the kernel crate's modules, and what is
//! in them looks as there. Below them is [`machine`], of which there are three:
//!
//! * *loom*: every atomic access is one of loom's, which tries what threads can do to each other, and
//!   what an access can return, exhaustively.
//! * *shuttle*: every atomic access is a point at which a randomised scheduler may go on with another
//!   thread. Sequentially consistent, but as fast as it takes to run long programs many times.
//! * the real one: threads, atomic instructions and `malloc`, for the sanitizers to watch.
//!
//! On the first two, which run all threads in one and know every allocation, these are errors, and
//! end the program: access to freed memory; freeing what somebody in a read-side section has looked
//! at; freeing twice; memory left at the end; sleeping in a read-side section, an interrupt handler, or
//! with interrupts off; allocating, freeing, waking up or queueing with a lock held; and, on loom, looking at an object without having synchronised with whoever made it.

pub mod alloc;
pub mod bindings;
mod counter;
pub mod error;
pub mod machine;
pub mod page;
pub mod prelude;
pub mod sync;
pub mod task;
mod trace;
pub mod types;
pub mod workqueue;

/// C's types.
pub mod ffi {
    pub use core::ffi::{c_char, c_int, c_uint, c_void};
    /// As in the kernel, as large as a pointer.
    #[expect(non_camel_case_types)]
    pub type c_long = isize;
    /// Likewise.
    #[expect(non_camel_case_types)]
    pub type c_ulong = usize;
}

/// The struct that a field is part of.
#[macro_export]
macro_rules! container_of {
    ($field:expr, $container:ty, $($name:tt)*) => {
        $field
            .byte_sub(::core::mem::offset_of!($container, $($name)*))
            .cast::<$container>()
    };
}
