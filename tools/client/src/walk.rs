// SPDX-License-Identifier: GPL-2.0

//! The iteration over a map.

use crate::abi::{Command, KEY_MAX, VALUE_MAX};
use crate::map::Map;
use crate::{records, Result};

/// Bytes of a buffer, into which the largest record fits, and thousands of small ones.
const BUFFER: usize = 4 * VALUE_MAX;
const _: () = assert!(BUFFER >= size_of::<crate::abi::Record>() + KEY_MAX + VALUE_MAX + 7);

/// All keys and values of a map, of [`Map::iter`].
///
/// It ends after the first error.
#[derive(Debug)]
pub struct Iter<'m> {
    map: &'m Map,
    buf: Vec<u8>,
    /// Where the records that are still to be shown begin, and where they end.
    at: usize,
    used: usize,
    cursor: Vec<u8>,
    end: bool,
}

impl<'m> Iter<'m> {
    pub(crate) fn new(map: &'m Map) -> Self {
        Self {
            map,
            buf: vec![0; BUFFER],
            at: 0,
            used: 0,
            cursor: Vec::new(),
            end: false,
        }
    }

    /// Behind this key, which a walk of the same map has shown; it need not be there any more.
    pub fn behind(mut self, key: &[u8]) -> Result<Self> {
        crate::check_key(key)?;
        (self.at, self.used, self.end) = (0, 0, false);
        self.cursor = key.to_vec();
        Ok(self)
    }

    /// As `next`, but without copying the key and the value.
    pub fn next_borrowed(&mut self) -> Option<Result<(&[u8], &[u8])>> {
        if self.at == self.used {
            if self.end {
                return None;
            }
            if let Err(error) = self.fill() {
                self.end = true;
                return Some(Err(error));
            }
            if self.used == 0 {
                return None;
            }
        }
        let mut rest = &self.buf[self.at..self.used];
        let pair = records::pair(&mut rest);
        match pair {
            Ok((key, _)) => {
                self.at = self.used - rest.len();
                self.cursor.clear();
                self.cursor.extend_from_slice(key);
            }
            Err(_) => (self.at, self.used, self.end) = (0, 0, true),
        }
        Some(pair)
    }

    /// Reads the next records.
    fn fill(&mut self) -> Result<()> {
        (self.at, self.used) = (0, 0);
        let step = self.map.walk(Command::Range, &self.cursor, &mut self.buf)?;
        self.used = step.used.min(self.buf.len());
        // The kernel never says nothing without having come to the end.
        self.end = step.end || step.count == 0;
        Ok(())
    }
}

impl Iterator for Iter<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.next_borrowed()?;
        Some(pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

impl std::iter::FusedIterator for Iter<'_> {}
