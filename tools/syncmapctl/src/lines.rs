// SPDX-License-Identifier: GPL-2.0

//! The lines of a file, which may be no text at all.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line: more than the longest key and value take in any format.
pub(crate) const LINE_MAX: usize = 1 << 20;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Lines of a reader.
pub(crate) struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
    /// The number of the present line.
    pub(crate) number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self::with_buffer(from, BUFFER)
    }

    fn with_buffer(from: R, bytes: usize) -> Self {
        Self {
            from: BufReader::with_capacity(bytes, from),
            line: Vec::new(),
            number: 0,
        }
    }

    /// Whether the next line has to be read first, which may take any time.
    pub(crate) fn may_wait(&self) -> bool {
        !self.from.buffer().contains(&b'\n')
    }

    /// The next line without its end, which may be that of DOS; an error for one that is too long.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<&[u8], String>>> {
        self.line.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let bytes = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                break;
            }
            any = true;
            let end = bytes.iter().position(|b| *b == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            too_long |= self.line.len() + part.len() > LINE_MAX;
            if !too_long {
                self.line.extend(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if too_long {
            return Ok(Some(Err(
                "it has more than a MiB, and no line of a key and a value has".into(),
            )));
        }
        Ok(Some(Ok(self
            .line
            .strip_suffix(b"\r")
            .unwrap_or(&self.line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_many_ways() {
        for capacity in [1, 2, 3, 100] {
            let from = &b"one\n\ntwo\r\n\xff\nlast"[..];
            let mut lines = Lines::with_buffer(from, capacity);
            for expected in [&b"one"[..], b"", b"two", b"\xff", b"last"] {
                assert_eq!(lines.next().unwrap(), Some(Ok(expected)));
            }
            assert_eq!(lines.next().unwrap(), None);
            assert_eq!(lines.number, 5);
        }
    }

    #[test]
    fn lines_that_were_read_need_no_waiting() {
        let mut lines = Lines::with_buffer(&b"one\ntwo\nthree"[..], 8);
        let mut waits = Vec::new();
        loop {
            waits.push(lines.may_wait());
            if lines.next().unwrap().is_none() {
                break;
            }
        }
        assert_eq!(waits, [true, false, true, true]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let long = vec![b'x'; LINE_MAX + 1];
        let bytes = [&long[..], b"\n", &long[1..], b"\nnext"].concat();
        let mut lines = Lines::new(&bytes[..]);
        assert!(lines.next().unwrap().unwrap().is_err());
        assert_eq!(lines.next().unwrap().unwrap().unwrap().len(), LINE_MAX);
        assert_eq!(lines.next().unwrap(), Some(Ok(&b"next"[..])));
        assert!(lines.line.capacity() <= 2 * LINE_MAX);
    }
}
