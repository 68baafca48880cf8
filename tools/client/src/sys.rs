// SPDX-License-Identifier: GPL-2.0

//! The system calls. All that is unsafe in this crate is here: addresses are passed to the kernel
//! only for as long as what they point to is borrowed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::abi::{self, Argument, Command};
use crate::batch::Operation;

/// An error's number.
pub(crate) type Errno = i32;

/// Runs a command.
///
/// # Safety
///
/// `argument` is of the type that the command takes, and what it says about addresses and lengths is
/// true: the kernel may read keys, values, names and cursors, and write buffers and operations.
unsafe fn ioctl<T: Argument>(
    fd: BorrowedFd<'_>,
    command: Command,
    argument: &mut T,
) -> Result<(), Errno> {
    let request = command.request();
    // SAFETY: By the contract of this function; the argument itself is exclusively borrowed.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
    if ret < 0 {
        return Err(io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO));
    }
    Ok(())
}

/// Address and length of bytes; of none, no address.
fn address(bytes: &[u8]) -> (u64, u32) {
    match bytes.len() {
        0 => (0, 0),
        // Longer ones are refused before, and by the kernel.
        len => (
            bytes.as_ptr() as u64,
            u32::try_from(len).unwrap_or(u32::MAX),
        ),
    }
}

/// The same of a buffer that the kernel writes to.
fn address_mut(buf: &mut [u8]) -> (u64, u32) {
    match buf.len() {
        0 => (0, 0),
        // A longer one is used as far as this.
        len => (
            buf.as_mut_ptr() as u64,
            u32::try_from(len).unwrap_or(u32::MAX),
        ),
    }
}

/// The struct of an operation, without a buffer.
fn prepare(operation: &Operation<'_>) -> abi::Op {
    let (key, key_len) = address(operation.key());
    let (value, value_len) = address(operation.value());
    let (old, old_len) = address(operation.old());
    let cmd = operation.command() as u32;
    abi::Op {
        cmd,
        key,
        key_len,
        value,
        value_len,
        old,
        old_len,
        ..abi::Op::new()
    }
}

/// What an operation has reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// 0 or the error's number.
    pub(crate) errno: Errno,
    /// Bytes of the value.
    pub(crate) len: usize,
    /// `RESULT_*`
    pub(crate) result: u32,
}

/// Runs one operation, whose value goes to `buf`; if that is empty, only its length is wanted.
pub(crate) fn operation(fd: BorrowedFd<'_>, operation: &Operation<'_>, buf: &mut [u8]) -> Report {
    let mut op = prepare(operation);
    if operation.reports() {
        (op.buf, op.buf_len) = address_mut(buf);
    }
    // SAFETY: Key and values are borrowed by the operation, and the buffer exclusively.
    let errno = unsafe { ioctl(fd, operation.command(), &mut op) }
        .err()
        .unwrap_or(0);
    Report {
        errno,
        len: op.out_len as usize,
        result: op.result,
    }
}

/// Operations, ready to be run as a batch.
pub(crate) struct Prepared<'a> {
    // Their addresses are those of what the operations borrow, and of `space`.
    ops: Vec<abi::Op>,
    operations: &'a [Operation<'a>],
    space: Vec<u8>,
    room: usize,
}

impl<'a> Prepared<'a> {
    /// Gives each operation that reports a value so much room for it.
    pub(crate) fn new(operations: &'a [Operation<'a>], room: usize) -> Self {
        let reporting = operations
            .iter()
            .filter(|operation| operation.reports())
            .count();
        let mut space = vec![0; reporting * room];
        let mut ops: Vec<_> = operations.iter().map(prepare).collect();
        if room != 0 {
            let reporting = ops
                .iter_mut()
                .zip(operations)
                .filter(|(_, operation)| operation.reports());
            for ((op, _), room) in reporting.zip(space.chunks_exact_mut(room)) {
                (op.buf, op.buf_len) = address_mut(room);
            }
        }
        Self {
            ops,
            operations,
            space,
            room,
        }
    }

    /// Runs what is behind the first `done`, and returns how many have run now.
    pub(crate) fn run(&mut self, fd: BorrowedFd<'_>, done: usize) -> Result<usize, Errno> {
        let rest = &mut self.ops[done..];
        let mut batch = abi::Batch {
            ops: rest.as_mut_ptr() as u64,
            count: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            ..abi::Batch::new()
        };
        // SAFETY: The operations are exclusively borrowed, there are so many of them, and their own
        // addresses are those of what `self` borrows or owns.
        unsafe { ioctl(fd, Command::Batch, &mut batch) }?;
        Ok(done + (batch.done as usize).min(rest.len()))
    }

    /// What the operations have reported, each with its value, if it has reported one.
    pub(crate) fn reports(&self) -> impl Iterator<Item = (Report, Option<&[u8]>)> + '_ {
        let mut rooms = self.space.chunks_exact(self.room.max(1));
        self.ops
            .iter()
            .zip(self.operations)
            .map(move |(op, operation)| {
                let len = op.out_len as usize;
                let report = Report {
                    errno: -op.error,
                    len,
                    result: op.result,
                };
                let found = op.error == 0 && op.result & abi::RESULT_FOUND != 0;
                let room = if operation.reports() {
                    rooms.next()
                } else {
                    None
                };
                (
                    report,
                    room.filter(|_| found).and_then(|room| room.get(..len)),
                )
            })
    }
}

/// Runs a command that needs nothing but a struct without addresses.
pub(crate) trait Plain: Argument {
    const COMMAND: Command;
}

impl Plain for abi::Clear {
    const COMMAND: Command = Command::Clear;
}

impl Plain for abi::Info {
    const COMMAND: Command = Command::Info;
}

impl Plain for abi::Stats {
    const COMMAND: Command = Command::Stats;
}

pub(crate) fn plain<T: Plain>(fd: BorrowedFd<'_>) -> Result<T, Errno> {
    let mut argument = T::new();
    // SAFETY: It is what the command takes, and has no addresses.
    unsafe { ioctl(fd, T::COMMAND, &mut argument) }?;
    Ok(argument)
}

/// What a step of a walk has reported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// Bytes of the records.
    pub(crate) used: usize,
    /// Their number.
    pub(crate) count: usize,
    /// No other record follows.
    pub(crate) end: bool,
}

/// Reads the next records of a walk, behind `cursor`, into `buf`; `command` is RANGE or LIST.
pub(crate) fn walk(
    fd: BorrowedFd<'_>,
    command: Command,
    cursor: &[u8],
    buf: &mut [u8],
) -> Result<Step, Errno> {
    assert!(matches!(command, Command::Range | Command::List));
    let mut range = abi::Range::new();
    (range.cursor, range.cursor_len) = address(cursor);
    (range.buf, range.buf_len) = address_mut(buf);
    // SAFETY: The command takes this struct; the cursor is borrowed, the buffer exclusively.
    unsafe { ioctl(fd, command, &mut range) }?;
    Ok(Step {
        used: range.used as usize,
        count: range.count as usize,
        end: range.result & abi::RANGE_END != 0,
    })
}

/// Attaches a file to the map of a name; whether the map was made.
pub(crate) fn attach(fd: BorrowedFd<'_>, name: &str, flags: u32, mode: u32) -> Result<bool, Errno> {
    let mut attach = abi::Attach {
        flags,
        mode,
        ..abi::Attach::new()
    };
    (attach.name, attach.name_len) = address(name.as_bytes());
    // SAFETY: The name is borrowed.
    unsafe { ioctl(fd, Command::Attach, &mut attach) }?;
    Ok(attach.result & abi::ATTACH_CREATED != 0)
}

/// Takes a name away.
pub(crate) fn unlink(fd: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mut unlink = abi::Unlink::new();
    (unlink.name, unlink.name_len) = address(name.as_bytes());
    // SAFETY: The name is borrowed.
    unsafe { ioctl(fd, Command::Unlink, &mut unlink) }
}
