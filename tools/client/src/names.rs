// SPDX-License-Identifier: GPL-2.0

//! The names of maps.

use std::mem::offset_of;
use std::os::fd::AsFd;

use crate::abi::{self, Command};
use crate::map::Map;
use crate::records::{long, split, word};
use crate::{check_name, sys, Error, MapOptions, Result};

/// A map that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedMap {
    /// Its name.
    pub name: String,
    /// The id of its owner.
    pub uid: u32,
    /// The id of its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Open files that are attached to it, and references of modules of the kernel.
    pub users: u32,
    /// Keys in it.
    pub entries: u64,
    /// Its memory in bytes.
    pub bytes: u64,
}

/// The maps that have names, of [`Map::names`], in the order of the bytes of their names.
///
/// It ends after the first error.
#[derive(Debug)]
pub struct Names<'m> {
    map: &'m Map,
    known: std::vec::IntoIter<NamedMap>,
    cursor: String,
    end: bool,
}

impl<'m> Names<'m> {
    pub(crate) fn new(map: &'m Map) -> Self {
        Self {
            map,
            known: Vec::new().into_iter(),
            cursor: String::new(),
            end: false,
        }
    }

    /// Reads the next names.
    fn fill(&mut self) -> Result<()> {
        let mut buf = [0; 4096];
        let step = self
            .map
            .walk(Command::List, self.cursor.as_bytes(), &mut buf)?;
        let mut rest = &buf[..step.used.min(buf.len())];
        let mut known = Vec::new();
        while !rest.is_empty() {
            known.push(read(&mut rest)?);
        }
        if let Some(last) = known.last() {
            self.cursor.clone_from(&last.name);
        }
        self.end = step.end || known.is_empty();
        self.known = known.into_iter();
        Ok(())
    }
}

impl Iterator for Names<'_> {
    type Item = Result<NamedMap>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.known.as_slice().is_empty() && !self.end {
            if let Err(error) = self.fill() {
                self.end = true;
                return Some(Err(error));
            }
        }
        self.known.next().map(Ok)
    }
}

impl std::iter::FusedIterator for Names<'_> {}

/// Takes the first record off.
fn read(records: &mut &[u8]) -> Result<NamedMap> {
    let (head, body) = split::<abi::Name>(records)?;
    let len = word(head, offset_of!(abi::Name, name_len))? as usize;
    let name = body
        .get(..len)
        .and_then(|name| std::str::from_utf8(name).ok());
    let name = name.filter(|name| check_name(name).is_ok());
    Ok(NamedMap {
        name: name
            .ok_or(Error::Garbled {
                what: "a name that is none",
            })?
            .into(),
        uid: word(head, offset_of!(abi::Name, uid))?,
        gid: word(head, offset_of!(abi::Name, gid))?,
        mode: word(head, offset_of!(abi::Name, mode))?,
        users: word(head, offset_of!(abi::Name, users))?,
        entries: long(head, offset_of!(abi::Name, entries))?,
        bytes: long(head, offset_of!(abi::Name, bytes))?,
    })
}

/// For commands that are not about the map of the file.
fn any_map() -> Result<Map> {
    MapOptions::new().write(false).anonymous()
}

pub(crate) fn unlink_by(map: &Map, name: &str) -> Result<()> {
    check_name(name)?;
    sys::unlink(map.as_fd(), name).map_err(|errno| Error::of_name("UNLINK", errno, name))
}

/// All maps that have names, whoever may use them, in the order of the bytes of their names.
///
/// ```no_run
/// for map in syncmap_client::names()? {
///     println!("{:04o} {} has {} keys", map.mode, map.name, map.entries);
/// }
/// # Ok::<(), syncmap_client::Error>(())
/// ```
pub fn names() -> Result<Vec<NamedMap>> {
    any_map()?.names().collect()
}

/// What is known of the map of a name; needs no rights to use it.
pub fn find(name: &str) -> Result<NamedMap> {
    check_name(name)?;
    let map = any_map()?;
    let mut names = map.names();
    // The list goes on behind what it was asked for, and the rest of a name is in front of it.
    names.cursor = name[..name.len() - 1].into();
    for named in names {
        let named = named?;
        if named.name == name {
            return Ok(named);
        }
        if *named.name > *name {
            break;
        }
    }
    Err(Error::NoSuchMap { name: name.into() })
}

/// Takes the name of a map away. The map lives on for those who use it. Only its owner may do so.
pub fn unlink(name: &str) -> Result<()> {
    any_map()?.unlink(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &[u8]) -> Vec<u8> {
        let len = (40 + name.len()).next_multiple_of(8);
        let words = [len as u32, name.len() as u32, 1000, 100, 0o640, 2];
        let mut record: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        record.extend([3u64, 4096].iter().flat_map(|long| long.to_ne_bytes()));
        record.extend(name);
        record.resize(len, 0);
        record
    }

    #[test]
    fn records_come_apart() {
        let bytes = [record(b"one"), record(b"two:2")].concat();
        let mut rest = &bytes[..];
        let one = NamedMap {
            name: "one".into(),
            uid: 1000,
            gid: 100,
            mode: 0o640,
            users: 2,
            entries: 3,
            bytes: 4096,
        };
        assert_eq!(read(&mut rest), Ok(one.clone()));
        assert_eq!(
            read(&mut rest),
            Ok(NamedMap {
                name: "two:2".into(),
                ..one
            })
        );
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [&b""[..], b".dot", b"a b", b"\xff", &[b'a'; 64]] {
            assert!(read(&mut &record(name)[..]).is_err());
        }
        let mut bad = record(b"one");
        bad[4] = 9;
        assert!(read(&mut &bad[..]).is_err());
    }
}
