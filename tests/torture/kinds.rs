// SPDX-License-Identifier: GPL-2.0

//! What `torture.h` declares.

use crate::contexts::CONTEXTS;

pub(crate) const READER: usize = 0;
pub(crate) const WRITER: usize = 1;
pub(crate) const TRIER: usize = 2;
pub(crate) const RANGER: usize = 3;
pub(crate) const CLEARER: usize = 4;
pub(crate) const PROMOTER: usize = 5;
pub(crate) const GROWER: usize = 6;
pub(crate) const SQUEEZER: usize = 7;
pub(crate) const INSERTER: usize = 8;
pub(crate) const INTERRUPT: usize = 9;
pub(crate) const KINDS: usize = 10;

/// `struct torture_params`
#[repr(C)]
#[derive(Clone)]
pub(crate) struct Params {
    pub(crate) count: [u64; KINDS],
    pub(crate) keys: u64,
    pub(crate) shared: u64,
    pub(crate) grow: u64,
    pub(crate) value_bytes: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_entries: u64,
    pub(crate) seed: u64,
    pub(crate) plant: u64,
    pub(crate) faults: u64,
}

/// `struct torture_figures`
#[repr(C)]
pub(crate) struct Figures {
    pub(crate) operations: [u64; KINDS],
    pub(crate) inserted: [u64; CONTEXTS as usize],
    pub(crate) faults: u64,
    pub(crate) refused: u64,
    pub(crate) made: u64,
    pub(crate) dropped: u64,
    pub(crate) promotions: u64,
    pub(crate) expunged: u64,
    pub(crate) sweeps: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// `enum torture_plant`: a mistake that the harness makes itself.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Plant {
    Checksum = 1,
    Generation,
    Lost,
    Leak,
    Twice,
    Range,
    Len,
    Bytes,
}
