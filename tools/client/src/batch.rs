// SPDX-License-Identifier: GPL-2.0

//! Operations on one key, alone or many in one system call.

use std::os::fd::BorrowedFd;

use crate::abi::{self, Command, BATCH_MAX, VALUE_MAX};
use crate::sys::{self, Report};
use crate::{check_key, check_value, Error, Result};

/// One operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Reads the value of a key.
    Load {
        /// The key.
        key: &'a [u8],
    },
    /// Sets the value of a key.
    Store {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Reads the value if there is one, else sets it.
    LoadOrStore {
        /// The key.
        key: &'a [u8],
        /// Its value, if it has none.
        value: &'a [u8],
    },
    /// Deletes a key and reports its value.
    LoadAndDelete {
        /// The key.
        key: &'a [u8],
    },
    /// Deletes a key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Sets the value of a key and reports the previous one.
    Swap {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Sets the value of a key if the present one equals another.
    CompareAndSwap {
        /// The key.
        key: &'a [u8],
        /// What its value must be.
        old: &'a [u8],
        /// Its new value.
        new: &'a [u8],
    },
    /// Deletes a key if its value equals another.
    CompareAndDelete {
        /// The key.
        key: &'a [u8],
        /// What its value must be.
        old: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// The key that it is about.
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Self::Load { key }
            | Self::Store { key, .. }
            | Self::LoadOrStore { key, .. }
            | Self::LoadAndDelete { key }
            | Self::Delete { key }
            | Self::Swap { key, .. }
            | Self::CompareAndSwap { key, .. }
            | Self::CompareAndDelete { key, .. } => key,
        }
    }

    /// The value that it may store.
    pub(crate) fn value(&self) -> &'a [u8] {
        match *self {
            Self::Store { value, .. }
            | Self::LoadOrStore { value, .. }
            | Self::Swap { value, .. }
            | Self::CompareAndSwap { new: value, .. } => value,
            _ => &[],
        }
    }

    /// The value that it compares with.
    pub(crate) fn old(&self) -> &'a [u8] {
        match *self {
            Self::CompareAndSwap { old, .. } | Self::CompareAndDelete { old, .. } => old,
            _ => &[],
        }
    }

    /// Whether it reports a value.
    pub(crate) fn reports(&self) -> bool {
        matches!(
            self,
            Self::Load { .. }
                | Self::LoadOrStore { .. }
                | Self::LoadAndDelete { .. }
                | Self::Swap { .. }
        )
    }

    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Load { .. } => Command::Load,
            Self::Store { .. } => Command::Store,
            Self::LoadOrStore { .. } => Command::LoadOrStore,
            Self::LoadAndDelete { .. } => Command::LoadAndDelete,
            Self::Delete { .. } => Command::Delete,
            Self::Swap { .. } => Command::Swap,
            Self::CompareAndSwap { .. } => Command::CompareAndSwap,
            Self::CompareAndDelete { .. } => Command::CompareAndDelete,
        }
    }

    /// Checks the lengths of all that it has.
    pub(crate) fn check(&self) -> Result<()> {
        check_key(self.key())?;
        check_value(self.value())?;
        check_value(self.old())
    }

    /// What a report of it means.
    pub(crate) fn outcome(&self, report: Report, value: Option<&[u8]>) -> Result<Outcome> {
        if report.errno != 0 {
            return Err(Error::of_operation(
                self.command().name(),
                report.errno,
                report.len,
            ));
        }
        let found = report.result & abi::RESULT_FOUND != 0;
        Ok(Outcome {
            found,
            stored: report.result & abi::RESULT_STORED != 0,
            deleted: report.result & abi::RESULT_DELETED != 0,
            value: value.map(<[u8]>::to_vec),
            value_len: (found && self.reports()).then_some(report.len),
        })
    }
}

/// What an operation has found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The key was in the map. Never set by [`Operation::Store`], which does not look.
    pub found: bool,
    /// The value was stored.
    pub stored: bool,
    /// The key was deleted.
    pub deleted: bool,
    /// The loaded or previous value, unless the batch has no room for values.
    pub value: Option<Vec<u8>>,
    /// Its length in bytes.
    pub value_len: Option<usize>,
}

/// Many operations, to be run in one system call by [`Map::run`](crate::Map::run).
///
/// They run in their order. Each is atomic, all together are not: others may come between, and one
/// that fails does not stop those behind it.
///
/// ```no_run
/// use syncmap_client::{Batch, Map};
///
/// # fn main() -> syncmap_client::Result<()> {
/// let map = Map::anonymous()?;
/// let mut batch = Batch::new();
/// batch.store(b"one", b"1").store(b"two", b"2").load(b"one");
/// let outcomes = map.run(&batch)?;
/// assert_eq!(outcomes[2].as_ref().unwrap().value.as_deref(), Some(&b"1"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    operations: Vec<Operation<'a>>,
    room: usize,
}

impl Default for Batch<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Batch<'a> {
    /// An empty batch, with room for values of 1024 bytes.
    pub fn new() -> Self {
        Self {
            operations: Vec::new(),
            room: 1024,
        }
    }

    /// Gives each operation that reports a value room for so many bytes of it. One whose value is
    /// longer fails with [`Error::NoRoom`]; with 0, only lengths are reported.
    pub fn room(&mut self, bytes: usize) -> &mut Self {
        self.room = bytes.min(VALUE_MAX);
        self
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: Operation<'a>) -> &mut Self {
        self.operations.push(operation);
        self
    }

    /// Adds [`Operation::Load`].
    pub fn load(&mut self, key: &'a [u8]) -> &mut Self {
        self.push(Operation::Load { key })
    }

    /// Adds [`Operation::Store`].
    pub fn store(&mut self, key: &'a [u8], value: &'a [u8]) -> &mut Self {
        self.push(Operation::Store { key, value })
    }

    /// Adds [`Operation::Delete`].
    pub fn delete(&mut self, key: &'a [u8]) -> &mut Self {
        self.push(Operation::Delete { key })
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Forgets all operations.
    pub fn clear(&mut self) {
        self.operations.clear();
    }

    /// Runs them; see [`Map::run`](crate::Map::run).
    pub(crate) fn run(&self, fd: BorrowedFd<'_>) -> Result<Vec<Result<Outcome>>> {
        let len = self.operations.len();
        if len > BATCH_MAX {
            return Err(Error::BatchTooLong { len });
        }
        self.operations.iter().try_for_each(Operation::check)?;
        let mut prepared = sys::Prepared::new(&self.operations, self.room);
        let mut done = 0;
        let mut failure = None;
        while done < len {
            match prepared.run(fd, done) {
                // A signal ends a call early, but not before an operation has run.
                Ok(now) if now > done => done = now,
                Ok(_) => {
                    failure = Some(Error::Garbled {
                        what: "a batch of which nothing ran",
                    })
                }
                Err(errno) => failure = Some(Error::of_command(Command::Batch.name(), errno)),
            }
            if failure.is_some() {
                break;
            }
        }
        match failure {
            Some(failure) if done == 0 => return Err(failure),
            _ => {}
        }
        let outcomes = self.operations.iter().zip(prepared.reports()).enumerate();
        Ok(outcomes
            .map(|(i, (operation, (report, value)))| match &failure {
                Some(failure) if i >= done => Err(failure.clone()),
                _ => operation.outcome(report, value),
            })
            .collect())
    }
}

impl<'a> Extend<Operation<'a>> for Batch<'a> {
    fn extend<I: IntoIterator<Item = Operation<'a>>>(&mut self, operations: I) {
        self.operations.extend(operations);
    }
}

impl<'a> FromIterator<Operation<'a>> for Batch<'a> {
    fn from_iter<I: IntoIterator<Item = Operation<'a>>>(operations: I) -> Self {
        let mut batch = Self::new();
        batch.extend(operations);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn lengths_are_checked_before_anything_runs() {
        // A file that would say that it knows no such command.
        let null = File::open("/dev/null").unwrap();
        let run = |operation| Batch::from_iter([operation]).run(null.as_fd());
        let long = [0; VALUE_MAX + 1];
        assert_eq!(
            run(Operation::Load { key: b"" }),
            Err(Error::KeyLength { len: 0 })
        );
        let key = &[0; 513];
        assert_eq!(
            run(Operation::Delete { key }),
            Err(Error::KeyLength { len: 513 })
        );
        let too_long = Err(Error::ValueTooLong { len: long.len() });
        let (key, old) = (&b"k"[..], &long[..]);
        assert_eq!(run(Operation::Store { key, value: &long }), too_long);
        assert_eq!(run(Operation::CompareAndDelete { key, old }), too_long);
        assert_eq!(
            run(Operation::CompareAndSwap {
                key,
                old: b"",
                new: &long
            }),
            too_long
        );
        let unknown = Err(Error::UnknownCommand { command: "BATCH" });
        assert_eq!(run(Operation::Load { key: &[0; 512] }), unknown);
        let batch: Batch<'_> = (0..=BATCH_MAX).map(|_| Operation::Load { key }).collect();
        let too_long = Err(Error::BatchTooLong { len: BATCH_MAX + 1 });
        assert_eq!(batch.run(null.as_fd()), too_long);
    }

    #[test]
    fn an_empty_batch_runs_without_a_call() {
        let null = File::open("/dev/null").unwrap();
        assert_eq!(Batch::new().run(null.as_fd()), Ok(Vec::new()));
    }
}
