// SPDX-License-Identifier: GPL-2.0

//! A map, which is an open file of the device.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use crate::abi::{self, Command, VALUE_MAX};
use crate::batch::{Batch, Operation, Outcome};
use crate::names::{self, Names};
use crate::sys::{self, Errno};
use crate::walk::Iter;
use crate::{Error, MapOptions, Result};

/// Bytes of a value that are read without asking for its length first.
const SMALL: usize = 512;

/// A map: an open file of `/dev/syncmap`.
///
/// A map without a name lives until the last descriptor of the file is closed, one with a name for
/// as long as it has the name, or anybody uses it.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
}

/// What [`Map::load_or_store`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOrStore {
    /// The key has this value.
    Loaded(Vec<u8>),
    /// The key had no value, and has the given one now.
    Stored,
}

/// What a comparison has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The value was equal, and what was to be done is done.
    Equal,
    /// The key has another value.
    Different,
    /// The key is not in the map.
    Absent,
}

impl Compared {
    /// Whether what was to be done is done.
    pub fn is_equal(self) -> bool {
        self == Self::Equal
    }
}

/// Limits of a map and its owner, and what the module supports; of [`Map::info`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The version of the binary interface.
    pub abi_version: u32,
    /// The most bytes of a key.
    pub key_max: u32,
    /// The most bytes of a value.
    pub value_max: u32,
    /// The most operations of a batch.
    pub batch_max: u32,
    /// The most keys in this map.
    pub max_entries: u64,
    /// The most memory of this map, in bytes.
    pub max_bytes: u64,
    /// The most memory of all maps of its owner.
    pub max_owner_bytes: u64,
    /// That memory; 0 for a map that the kernel has made.
    pub owner_bytes: u64,
    /// The most names that its owner may have.
    pub max_names: u64,
    /// The names that its owner has.
    pub names: u64,
}

/// Counters of a map, each read by itself; of [`Map::stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys in the map.
    pub entries: u64,
    /// Memory of the map in bytes, tables and what awaits a grace period included.
    pub bytes: u64,
    /// The part of it that awaits a grace period.
    pub retired_bytes: u64,
    /// Entries that the read table refers to, deleted ones included.
    pub read_slots: u64,
    /// The same of the dirty table; 0 while there is none.
    pub dirty_slots: u64,
    /// Whether there is a dirty table with keys that the read table lacks.
    pub amended: bool,
    /// Lookups that had to look further than the read table, since the map was made.
    pub misses: u64,
    /// Times the dirty table became the read table.
    pub promotions: u64,
    /// Entries expunged.
    pub expunged: u64,
    /// Sweeps that freed deleted keys.
    pub sweeps: u64,
}

impl Map {
    /// A new map without a name, for this process and whoever is given its descriptor.
    ///
    /// [`MapOptions`] opens maps with names.
    pub fn anonymous() -> Result<Self> {
        MapOptions::new().anonymous()
    }

    /// The value of a key.
    pub fn load(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.report(Operation::Load { key })?.value)
    }

    /// Whether a key is in the map.
    pub fn contains_key(&self, key: &[u8]) -> Result<bool> {
        Ok(self.value_len(key)?.is_some())
    }

    /// The length in bytes of the value of a key.
    pub fn value_len(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.perform(Operation::Load { key })?.value_len)
    }

    /// Sets the value of a key.
    pub fn store(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.perform(Operation::Store { key, value }).map(drop)
    }

    /// The value of a key, if it has one; else sets it.
    ///
    /// ```no_run
    /// # use syncmap_client::{LoadOrStore, Map};
    /// # fn main() -> syncmap_client::Result<()> {
    /// # let map = Map::anonymous()?;
    /// assert_eq!(map.load_or_store(b"key", b"mine")?, LoadOrStore::Stored);
    /// assert_eq!(map.load_or_store(b"key", b"yours")?, LoadOrStore::Loaded(b"mine".to_vec()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_or_store(&self, key: &[u8], value: &[u8]) -> Result<LoadOrStore> {
        let outcome = self.report(Operation::LoadOrStore { key, value })?;
        Ok(outcome
            .value
            .map_or(LoadOrStore::Stored, LoadOrStore::Loaded))
    }

    /// Deletes a key; the value that it had.
    pub fn load_and_delete(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.report(Operation::LoadAndDelete { key })?.value)
    }

    /// Deletes a key; whether it was in the map.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.perform(Operation::Delete { key })?.deleted)
    }

    /// Sets the value of a key; the value that it had.
    pub fn swap(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.report(Operation::Swap { key, value })?.value)
    }

    /// Sets the value of a key to `new` if it is `old`. Never adds a key.
    ///
    /// ```no_run
    /// # use syncmap_client::{Compared, Map};
    /// # fn main() -> syncmap_client::Result<()> {
    /// # let map = Map::anonymous()?;
    /// map.store(b"state", b"idle")?;
    /// assert_eq!(map.compare_and_swap(b"state", b"idle", b"busy")?, Compared::Equal);
    /// assert_eq!(map.compare_and_swap(b"state", b"idle", b"busy")?, Compared::Different);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_and_swap(&self, key: &[u8], old: &[u8], new: &[u8]) -> Result<Compared> {
        let outcome = self.perform(Operation::CompareAndSwap { key, old, new })?;
        Ok(compared(&outcome, outcome.stored))
    }

    /// Deletes a key if its value is `old`.
    pub fn compare_and_delete(&self, key: &[u8], old: &[u8]) -> Result<Compared> {
        let outcome = self.perform(Operation::CompareAndDelete { key, old })?;
        Ok(compared(&outcome, outcome.deleted))
    }

    /// Deletes all keys, at one instant.
    pub fn clear(&self) -> Result<()> {
        self.plain::<abi::Clear>().map(drop)
    }

    /// How many keys there are.
    pub fn len(&self) -> Result<u64> {
        Ok(self.stats()?.entries)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Runs many operations in one system call: what each has found and done, or why it has failed.
    ///
    /// It fails as a whole, without having run anything, if there are more than
    /// [`BATCH_MAX`](crate::BATCH_MAX), or one of them has a key or value of a length that cannot be.
    pub fn run(&self, batch: &Batch<'_>) -> Result<Vec<Result<Outcome>>> {
        batch.run(self.as_fd())
    }

    /// All keys and values. Each key comes once; what is changed meanwhile may be missed. They come
    /// in no order that means anything.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self)
    }

    /// Limits of the map and of its owner.
    pub fn info(&self) -> Result<Info> {
        let info = self.plain::<abi::Info>()?;
        Ok(Info {
            abi_version: info.abi_version,
            key_max: info.key_max,
            value_max: info.value_max,
            batch_max: info.batch_max,
            max_entries: info.max_entries,
            max_bytes: info.max_bytes,
            max_owner_bytes: info.max_owner_bytes,
            owner_bytes: info.owner_bytes,
            max_names: info.max_names,
            names: info.names,
        })
    }

    /// Counters of the map.
    pub fn stats(&self) -> Result<Stats> {
        let stats = self.plain::<abi::Stats>()?;
        Ok(Stats {
            entries: stats.entries,
            bytes: stats.bytes,
            retired_bytes: stats.retired_bytes,
            read_slots: stats.read_slots,
            dirty_slots: stats.dirty_slots,
            amended: stats.amended != 0,
            misses: stats.misses,
            promotions: stats.promotions,
            expunged: stats.expunged,
            sweeps: stats.sweeps,
        })
    }

    /// Gives this map a name, or, if it is empty and there is a map of that name, attaches the file
    /// to that one. [`MapOptions::open`] does it with a file of its own, which is mostly better.
    ///
    /// Tells whether this map has got the name. A file is attached once, before it is shared.
    pub fn attach(&self, name: &str, options: &MapOptions) -> Result<bool> {
        options.attach(self, name)
    }

    /// The maps that have names, in their order; whichever map this is.
    pub fn names(&self) -> Names<'_> {
        Names::new(self)
    }

    /// Takes the name of a map away; whichever map this is. The map lives on for those who use it.
    pub fn unlink(&self, name: &str) -> Result<()> {
        names::unlink_by(self, name)
    }

    /// Another descriptor of the same map.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
        })
    }

    /// Runs an operation; a value that it reports is not wanted.
    fn perform(&self, operation: Operation<'_>) -> Result<Outcome> {
        operation.check()?;
        operation.outcome(sys::operation(self.as_fd(), &operation, &mut []), None)
    }

    /// Runs an operation; with the value that it reports.
    fn report(&self, operation: Operation<'_>) -> Result<Outcome> {
        operation.check()?;
        let mut small = [0; SMALL];
        let mut large = Vec::new();
        loop {
            let buf = if large.is_empty() {
                &mut small[..]
            } else {
                &mut large[..]
            };
            let report = sys::operation(self.as_fd(), &operation, buf);
            // It has not happened; and the value may be another one the next time.
            if report.errno == libc::ENOSPC && (buf.len() + 1..=VALUE_MAX).contains(&report.len) {
                large = vec![0; report.len];
                continue;
            }
            let found = report.errno == 0 && report.result & abi::RESULT_FOUND != 0;
            let value = if found { buf.get(..report.len) } else { None };
            return match value {
                None if found => Err(Error::Garbled {
                    what: "a value longer than its room",
                }),
                value => operation.outcome(report, value),
            };
        }
    }

    fn plain<T: sys::Plain>(&self) -> Result<T> {
        let error = |errno: Errno| Error::of_command(T::COMMAND.name(), errno);
        sys::plain(self.as_fd()).map_err(error)
    }

    /// Reads the next records of a walk.
    pub(crate) fn walk(
        &self,
        command: Command,
        cursor: &[u8],
        buf: &mut [u8],
    ) -> Result<sys::Step> {
        let error = |errno: Errno| match errno {
            libc::ENOSPC => Error::Garbled {
                what: "a record longer than any can be",
            },
            errno => Error::of_command(command.name(), errno),
        };
        sys::walk(self.as_fd(), command, cursor, buf).map_err(error)
    }
}

fn compared(outcome: &Outcome, done: bool) -> Compared {
    match (done, outcome.found) {
        (true, _) => Compared::Equal,
        (false, true) => Compared::Different,
        (false, false) => Compared::Absent,
    }
}

/// A map that was passed by another process, or inherited. That it is one is found out by the first
/// call.
impl From<OwnedFd> for Map {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl From<Map> for OwnedFd {
    fn from(map: Map) -> Self {
        map.fd
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Map {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl IntoRawFd for Map {
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

impl<'m> IntoIterator for &'m Map {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// A file that is no map.
    fn null() -> Map {
        OwnedFd::from(File::open("/dev/null").unwrap()).into()
    }

    #[test]
    fn another_file_knows_no_commands() {
        let map = null();
        let unknown = |command| Error::UnknownCommand { command };
        assert_eq!(map.load(b"k"), Err(unknown("LOAD")));
        assert_eq!(map.store(b"k", b"v"), Err(unknown("STORE")));
        assert_eq!(map.load_or_store(b"k", b"v"), Err(unknown("LOAD_OR_STORE")));
        assert_eq!(map.load_and_delete(b"k"), Err(unknown("LOAD_AND_DELETE")));
        assert_eq!(map.delete(b"k"), Err(unknown("DELETE")));
        assert_eq!(map.swap(b"k", b"v"), Err(unknown("SWAP")));
        assert_eq!(
            map.compare_and_swap(b"k", b"", b""),
            Err(unknown("COMPARE_AND_SWAP"))
        );
        assert_eq!(
            map.compare_and_delete(b"k", b""),
            Err(unknown("COMPARE_AND_DELETE"))
        );
        assert_eq!(map.clear(), Err(unknown("CLEAR")));
        assert_eq!(map.info(), Err(unknown("INFO")));
        assert_eq!(map.stats(), Err(unknown("STATS")));
        assert_eq!(map.len(), Err(unknown("STATS")));
        assert_eq!(map.unlink("name"), Err(unknown("UNLINK")));
        assert_eq!(
            map.attach("name", &MapOptions::new()),
            Err(unknown("ATTACH"))
        );
        assert_eq!(map.iter().collect::<Vec<_>>(), [Err(unknown("RANGE"))]);
        assert_eq!(map.names().collect::<Vec<_>>(), [Err(unknown("LIST"))]);
    }

    #[test]
    fn lengths_are_checked_before_the_call() {
        let map = null();
        assert_eq!(map.load(b""), Err(Error::KeyLength { len: 0 }));
        assert_eq!(
            map.store(&[0; 513], b""),
            Err(Error::KeyLength { len: 513 })
        );
        assert_eq!(
            map.swap(b"k", &[0; 65537]),
            Err(Error::ValueTooLong { len: 65537 })
        );
    }

    #[test]
    fn clones_are_other_descriptors() {
        let map = null();
        let clone = map.try_clone().unwrap();
        assert_ne!(map.as_raw_fd(), clone.as_raw_fd());
        drop(map);
        assert!(clone.info().is_err());
    }
}
