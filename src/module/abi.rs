// SPDX-License-Identifier: GPL-2.0

//! The binary interface of the device: the Rust side of `include/uapi/linux/syncmap.h`.

use core::mem::{offset_of, size_of, size_of_val, MaybeUninit};
use kernel::bindings;
use kernel::ioctl::_IO;
use kernel::page::PAGE_SIZE;
use kernel::prelude::*;
use kernel::transmute::{AsBytes, FromBytes};
use kernel::uaccess::{UserPtr, UserSlice};

const IOC_TYPE: u32 = 0xbc;

/// The greatest key, in bytes.
pub(crate) const KEY_MAX: usize = 512;
/// The greatest value, in bytes.
pub(crate) const VALUE_MAX: usize = 65536;
/// The greatest number of operations in a batch.
pub(crate) const BATCH_MAX: u32 = 65536;
/// The greatest length of a name, in bytes.
pub(crate) const NAME_MAX: usize = 63;
/// What `Info::abi_version` says.
pub(crate) const VERSION: u32 = 1;

/// `SYNCMAP_RESULT_FOUND`
pub(crate) const FOUND: u32 = 1 << 0;
/// `SYNCMAP_RESULT_STORED`
pub(crate) const STORED: u32 = 1 << 1;
/// `SYNCMAP_RESULT_DELETED`
pub(crate) const DELETED: u32 = 1 << 2;
/// `SYNCMAP_RANGE_END`
pub(crate) const RANGE_END: u32 = 1 << 0;
/// `SYNCMAP_ATTACH_CREATE`
pub(crate) const ATTACH_CREATE: u32 = 1 << 0;
/// `SYNCMAP_ATTACH_EXCL`
pub(crate) const ATTACH_EXCL: u32 = 1 << 1;
/// `SYNCMAP_ATTACH_CREATED`
pub(crate) const ATTACH_CREATED: u32 = 1 << 0;

/// The commands, `enum syncmap_cmd`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Load,
    Store,
    LoadOrStore,
    LoadAndDelete,
    Delete,
    Swap,
    CompareAndSwap,
    CompareAndDelete,
    Clear,
    Range,
    Batch,
    Info,
    Stats,
    Attach,
    Unlink,
    List,
}

impl Command {
    /// By number; they are in the order of the C enumeration.
    const ALL: [Command; 16] = [
        Command::Load,
        Command::Store,
        Command::LoadOrStore,
        Command::LoadAndDelete,
        Command::Delete,
        Command::Swap,
        Command::CompareAndSwap,
        Command::CompareAndDelete,
        Command::Clear,
        Command::Range,
        Command::Batch,
        Command::Info,
        Command::Stats,
        Command::Attach,
        Command::Unlink,
        Command::List,
    ];

    /// The command of a number, as in `struct syncmap_op`.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// The command of an ioctl.
    pub(crate) fn from_ioctl(cmd: u32) -> Result<Self> {
        let number = cmd & 0xff;
        if cmd != _IO(IOC_TYPE, number) {
            return Err(ENOTTY);
        }
        Self::from_number(number).ok_or(ENOTTY)
    }

    /// Whether this is an operation on one key, and can be part of a batch.
    pub(crate) fn is_operation(self) -> bool {
        (self as u32) <= Command::CompareAndDelete as u32
    }

    /// Whether it reports values, keys, or whether they are there, beyond what it itself did.
    pub(crate) fn reads(self) -> bool {
        !matches!(
            self,
            Command::Store | Command::Delete | Command::Clear | Command::Batch
        ) && !self.is_open()
    }

    /// Whether it changes the map.
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Command::Load | Command::Range | Command::Batch) && !self.is_open()
    }

    /// Whether any descriptor will do.
    fn is_open(self) -> bool {
        matches!(
            self,
            Command::Info | Command::Stats | Command::Attach | Command::Unlink | Command::List
        )
    }

    /// Whether it uses `value`.
    pub(crate) fn uses_value(self) -> bool {
        matches!(
            self,
            Command::Store | Command::LoadOrStore | Command::Swap | Command::CompareAndSwap
        )
    }

    /// Whether it uses `old`.
    pub(crate) fn uses_old(self) -> bool {
        matches!(self, Command::CompareAndSwap | Command::CompareAndDelete)
    }

    /// Whether it uses `buf`.
    pub(crate) fn uses_buf(self) -> bool {
        matches!(
            self,
            Command::Load | Command::LoadOrStore | Command::LoadAndDelete | Command::Swap
        )
    }
}

/// A struct that userspace passes, whose first member is its size.
///
/// # Safety
///
/// `Self` begins with a `u32` and has no padding, and all bit patterns are valid.
pub(crate) unsafe trait Extensible: FromBytes + AsBytes + Sized {
    /// The size of the first version that was published.
    const MIN: usize;

    /// The size that the caller says it has.
    fn size(&self) -> u32;
}

macro_rules! abi_struct {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub(crate) struct $name {
            pub(crate) size: u32,
            $($(#[$fdoc])* pub(crate) $field: $ty,)*
        }

        const _: () = assert!(size_of::<$name>() == $size);
        // No padding: the fields add up to the whole.
        const _: () = assert!(size_of::<$name>() == 4 $(+ size_of::<$ty>())*);

        // SAFETY: Made of integers, without padding.
        unsafe impl FromBytes for $name {}
        // SAFETY: As above.
        unsafe impl AsBytes for $name {}
        // SAFETY: As above; begins with `size`.
        unsafe impl Extensible for $name {
            const MIN: usize = $size;

            fn size(&self) -> u32 {
                self.size
            }
        }
    };
}

abi_struct! {
    /// `struct syncmap_op`
    Op, 72 {
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
}

abi_struct! {
    /// `struct syncmap_clear`
    Clear, 8 {
        flags: u32,
    }
}

abi_struct! {
    /// `struct syncmap_range`
    Range, 48 {
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
}

abi_struct! {
    /// `struct syncmap_batch`
    Batch, 24 {
        flags: u32,
        ops: u64,
        count: u32,
        done: u32,
    }
}

abi_struct! {
    /// `struct syncmap_info`
    Info, 72 {
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
}

abi_struct! {
    /// `struct syncmap_stats`
    Stats, 88 {
        flags: u32,
        entries: u64,
        bytes: u64,
        retired_bytes: u64,
        read_slots: u64,
        dirty_slots: u64,
        amended: u32,
        reserved: u32,
        misses: u64,
        promotions: u64,
        expunged: u64,
        sweeps: u64,
    }
}

abi_struct! {
    /// `struct syncmap_attach`
    Attach, 32 {
        flags: u32,
        name: u64,
        name_len: u32,
        mode: u32,
        result: u32,
        reserved: u32,
    }
}

abi_struct! {
    /// `struct syncmap_unlink`
    Unlink, 24 {
        flags: u32,
        name: u64,
        name_len: u32,
        reserved: u32,
    }
}

/// The head of `struct syncmap_name`.
#[repr(C)]
pub(crate) struct NameRecord {
    pub(crate) next: u32,
    pub(crate) name_len: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) users: u32,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

const _: () = assert!(size_of::<NameRecord>() == 40);

// SAFETY: Made of integers, without padding.
unsafe impl AsBytes for NameRecord {}

/// The head of `struct syncmap_record`.
#[repr(C)]
pub(crate) struct Record {
    pub(crate) next: u32,
    pub(crate) key_len: u32,
    pub(crate) value_len: u32,
    pub(crate) reserved: u32,
}

const _: () = assert!(size_of::<Record>() == 16);

// SAFETY: Made of integers, without padding.
unsafe impl AsBytes for Record {}

// What is written back on its own; `Op` ends with the two.
const _: () = assert!(offset_of!(Op, error) == 12);
const _: () = assert!(offset_of!(Op, out_len) == 64);
const _: () = assert!(offset_of!(Op, result) == 68);
const _: () = assert!(offset_of!(Batch, done) == 20);
const _: () = assert!(offset_of!(Attach, result) == 24);

/// The results of an operation, as they lie in `Op`.
#[repr(C)]
struct OpResult {
    out_len: u32,
    result: u32,
}

// SAFETY: Made of integers, without padding.
unsafe impl AsBytes for OpResult {}

/// A pointer to user memory, as it came.
pub(crate) fn user(address: u64) -> UserPtr {
    UserPtr::from_addr(address as usize)
}

/// Checks the size that a caller says a struct has.
pub(crate) fn check_size<T: Extensible>(size: u32) -> Result {
    if (size as usize) < T::MIN {
        return Err(EINVAL);
    }
    if size as usize > PAGE_SIZE {
        return Err(E2BIG);
    }
    Ok(())
}

/// Reads a struct of user memory, once, by the rules of extensible structs.
pub(crate) fn read_struct<T: Extensible>(at: UserPtr) -> Result<T> {
    read_sized(at, None)
}

/// The same for an element of an array: another size than `stride` is `EINVAL`.
pub(crate) fn read_sized<T: Extensible>(at: UserPtr, stride: Option<u32>) -> Result<T> {
    // Nearly every caller knows just what we know; then one read will do. If it is another size, or
    // if the memory ends early, `read_extensible` finds out what is wrong.
    if let Ok(all) = UserSlice::new(at, size_of::<T>()).reader().read::<T>() {
        if all.size() as usize == size_of::<T>() && stride.is_none_or(|s| s == all.size()) {
            return Ok(all);
        }
    }
    read_extensible(at, stride)
}

/// Reads the elements of an array of structs that come next, as many as `to` has room for; none if
/// one of them cannot be read, or `stride` is not the size that we know.
///
/// Whether each is of this size remains to be seen.
pub(crate) fn read_ahead<T: Extensible>(
    at: UserPtr,
    stride: u32,
    to: &mut [MaybeUninit<T>],
) -> &[T] {
    if stride as usize != size_of::<T>() {
        return &[];
    }
    let (ptr, len) = (to.as_mut_ptr().cast::<MaybeUninit<u8>>(), to.len());
    // SAFETY: The memory of `to`, which need not be initialised.
    let bytes = unsafe { core::slice::from_raw_parts_mut(ptr, size_of_val(to)) };
    match read_bytes(at, bytes) {
        // SAFETY: All of `to` has been written; for a `T` all bit patterns are valid.
        Ok(_) => unsafe { core::slice::from_raw_parts(ptr.cast(), len) },
        Err(_) => &[],
    }
}

/// As [`read_sized`], for structs of any size.
#[cold]
fn read_extensible<T: Extensible>(at: UserPtr, stride: Option<u32>) -> Result<T> {
    let mut reader = UserSlice::new(at, PAGE_SIZE).reader();
    let size = reader.read::<u32>()?;
    if stride.is_some_and(|stride| stride != size) {
        return Err(EINVAL);
    }
    check_size::<T>(size)?;
    let len = size as usize;
    let mut bytes = [0u8; 128];
    const { assert!(size_of::<T>() <= 128) };
    let known = len.min(size_of::<T>());
    let (head, body) = bytes[..known].split_at_mut(4);
    head.copy_from_slice(&size.to_ne_bytes());
    reader.read_slice(body)?;

    // What we do not know must be zero.
    let mut left = len - known;
    let mut tail = [0u8; 64];
    while left > 0 {
        let part = &mut tail[..left.min(64)];
        reader.read_slice(part)?;
        if part.iter().any(|b| *b != 0) {
            return Err(E2BIG);
        }
        left -= part.len();
    }
    // SAFETY: `bytes` is as large as a `T` or larger, for which all bit patterns are valid.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Reads bytes of user memory, as many as `to` has room for.
///
/// As `UserSliceReader::read_raw`, but without asking, as hardened usercopy does, whether so many
/// bytes fit where they go: a slice says so itself. `UserSliceReader::read` leaves it out, too.
pub(crate) fn read_bytes(at: UserPtr, to: &mut [MaybeUninit<u8>]) -> Result<&mut [u8]> {
    let (ptr, len) = (to.as_mut_ptr().cast::<u8>(), to.len());
    // SAFETY: `to` is valid for writes of its length.
    let left = unsafe { bindings::_copy_from_user(ptr.cast(), at.as_const_ptr(), len) };
    if left != 0 {
        return Err(EFAULT);
    }
    // SAFETY: All of `to` has been written.
    Ok(unsafe { core::slice::from_raw_parts_mut(ptr, len) })
}

/// Writes a struct back, as far as the caller knows it.
pub(crate) fn write_struct<T: Extensible>(at: UserPtr, size: u32, value: &T) -> Result {
    let known = size_of::<T>().min(size as usize);
    // SAFETY: `T` is initialised and without padding.
    let bytes = unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), known) };
    UserSlice::new(at, known).writer().write_slice(bytes)
}

/// Writes the results of an operation.
pub(crate) fn write_results(at: UserPtr, out_len: u32, result: u32) -> Result {
    write_member(at, offset_of!(Op, out_len), &OpResult { out_len, result })
}

/// Writes one member of a struct back.
pub(crate) fn write_member<T: AsBytes>(at: UserPtr, offset: usize, value: &T) -> Result {
    UserSlice::new(at.wrapping_byte_add(offset), size_of::<T>())
        .writer()
        .write(value)
}
