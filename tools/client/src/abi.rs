// SPDX-License-Identifier: GPL-2.0

//! The binary interface of the device: `include/uapi/linux/syncmap.h`, with which the tests below
//! compare it.

/// The most bytes that a key can have.
pub const KEY_MAX: usize = 512;
/// The most bytes that a value can have.
pub const VALUE_MAX: usize = 65536;
/// The most operations that a batch can have.
pub const BATCH_MAX: usize = 65536;
/// The most bytes that a name can have.
pub const NAME_MAX: usize = 63;

pub(crate) const IOC_TYPE: u32 = 0xbc;

pub(crate) const RESULT_FOUND: u32 = 1 << 0;
pub(crate) const RESULT_STORED: u32 = 1 << 1;
pub(crate) const RESULT_DELETED: u32 = 1 << 2;
pub(crate) const RANGE_END: u32 = 1 << 0;
pub(crate) const ATTACH_CREATE: u32 = 1 << 0;
pub(crate) const ATTACH_EXCL: u32 = 1 << 1;
pub(crate) const ATTACH_CREATED: u32 = 1 << 0;

macro_rules! commands {
    ($($rust:ident = $c:literal,)*) => {
        /// `enum syncmap_cmd`
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Command { $($rust,)* }

        impl Command {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$rust,)*];

            /// Its name, as the header has it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$rust => $c,)* }
            }
        }
    };
}

commands! {
    Load = "LOAD",
    Store = "STORE",
    LoadOrStore = "LOAD_OR_STORE",
    LoadAndDelete = "LOAD_AND_DELETE",
    Delete = "DELETE",
    Swap = "SWAP",
    CompareAndSwap = "COMPARE_AND_SWAP",
    CompareAndDelete = "COMPARE_AND_DELETE",
    Clear = "CLEAR",
    Range = "RANGE",
    Batch = "BATCH",
    Info = "INFO",
    Stats = "STATS",
    Attach = "ATTACH",
    Unlink = "UNLINK",
    List = "LIST",
}

impl Command {
    /// The number of its ioctl: `_IO(SYNCMAP_IOC_TYPE, command)`.
    pub(crate) const fn request(self) -> u32 {
        (IOC_TYPE << 8) | self as u32
    }
}

/// A struct that is passed to the device.
pub(crate) trait Argument: Default {
    /// All members zero but `size`, which is the struct's own.
    fn new() -> Self;
}

macro_rules! abi_structs {
    ($($(#[$doc:meta])* $rust:ident = $c:literal { $($field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("`struct syncmap_", $c, "`")]
            #[derive(Clone, Copy, Debug, Default)]
            #[repr(C)]
            pub(crate) struct $rust { $(pub(crate) $field: $ty,)* }

            // No padding: the fields add up to the whole.
            const _: () = assert!(size_of::<$rust>() == 0 $(+ size_of::<$ty>())*);
        )*

        /// Sizes and offsets, by the names that they have in C.
        #[cfg(test)]
        fn layout() -> Vec<(String, u64)> {
            let mut all = Vec::new();
            $(
                all.push((concat!("struct syncmap_", $c).into(), size_of::<$rust>() as u64));
                $(
                    let name = concat!("syncmap_", $c, ".", stringify!($field)).into();
                    all.push((name, std::mem::offset_of!($rust, $field) as u64));
                )*
            )*
            all
        }
    };
}

abi_structs! {
    Op = "op" {
        size: u32,
        cmd: u32,
        flags: u32,
        error: i32,
        key: u64,
        key_len: u32,
        value_len: u32,
        value: u64,
        old: u64,
        old_len: u32,
        buf_len: u32,
        buf: u64,
        out_len: u32,
        result: u32,
    }
    Clear = "clear" {
        size: u32,
        flags: u32,
    }
    Range = "range" {
        size: u32,
        flags: u32,
        cursor: u64,
        cursor_len: u32,
        result: u32,
        buf: u64,
        buf_len: u32,
        used: u32,
        count: u32,
        last: u32,
    }
    Record = "record" {
        next: u32,
        key_len: u32,
        value_len: u32,
        __reserved: u32,
    }
    Batch = "batch" {
        size: u32,
        flags: u32,
        ops: u64,
        count: u32,
        done: u32,
    }
    Info = "info" {
        size: u32,
        flags: u32,
        abi_version: u32,
        key_max: u32,
        value_max: u32,
        batch_max: u32,
        max_entries: u64,
        max_bytes: u64,
        max_owner_bytes: u64,
        owner_bytes: u64,
        max_names: u64,
        names: u64,
    }
    Stats = "stats" {
        size: u32,
        flags: u32,
        entries: u64,
        bytes: u64,
        retired_bytes: u64,
        read_slots: u64,
        dirty_slots: u64,
        amended: u32,
        __reserved: u32,
        misses: u64,
        promotions: u64,
        expunged: u64,
        sweeps: u64,
    }
    Attach = "attach" {
        size: u32,
        flags: u32,
        name: u64,
        name_len: u32,
        mode: u32,
        result: u32,
        __reserved: u32,
    }
    Unlink = "unlink" {
        size: u32,
        flags: u32,
        name: u64,
        name_len: u32,
        __reserved: u32,
    }
    Name = "name" {
        next: u32,
        name_len: u32,
        uid: u32,
        gid: u32,
        mode: u32,
        users: u32,
        entries: u64,
        bytes: u64,
    }
}

macro_rules! arguments {
    ($($name:ident)*) => {
        $(impl Argument for $name {
            fn new() -> Self {
                Self { size: size_of::<Self>() as u32, ..Self::default() }
            }
        })*
    };
}
arguments! { Op Clear Range Batch Info Stats Attach Unlink }

#[cfg(test)]
#[path = "abi_tests.rs"]
mod tests;
