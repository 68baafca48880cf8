// SPDX-License-Identifier: GPL-2.0

//! Errors.

use crate::alloc::AllocError;
use crate::ffi::c_int;
use core::convert::Infallible;

/// A negative error number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(c_int);

impl Error {
    /// Of a negative number.
    pub fn from_errno(errno: c_int) -> Self {
        assert!((-4095..0).contains(&errno));
        Error(errno)
    }

    /// The negative number.
    pub fn to_errno(self) -> c_int {
        self.0
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What most functions return.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// What C's functions say: zero, or a negative number.
pub fn to_result(errno: c_int) -> Result {
    match errno {
        0 => Ok(()),
        errno => Err(Error::from_errno(errno)),
    }
}

/// Those that the source names.
pub mod code {
    use super::Error;

    pub const EINTR: Error = Error(-4);
    pub const E2BIG: Error = Error(-7);
    pub const ENOMEM: Error = Error(-12);
    pub const EBUSY: Error = Error(-16);
    pub const EINVAL: Error = Error(-22);
    pub const ENOSPC: Error = Error(-28);
}
