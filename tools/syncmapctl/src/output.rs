// SPDX-License-Identifier: GPL-2.0

//! What is written to standard output.

use serde_json::Value;
use std::io::{self, BufWriter, StdoutLock, Write};

use crate::failure::Failure;

/// Standard output, and how to write to it.
pub(crate) struct Output {
    /// JSON is wanted.
    pub(crate) json: bool,
    pretty: bool,
    to: BufWriter<StdoutLock<'static>>,
}

fn failed(error: io::Error) -> Failure {
    Failure::of_file("written to", "standard output", &error)
}

impl Output {
    pub(crate) fn new(json: bool, pretty: bool) -> Self {
        let to = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Self { json, pretty, to }
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(failed)
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.raw(line.as_ref())?;
        self.raw(b"\n")
    }

    /// Writes a value of JSON.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), Failure> {
        let text = if self.pretty {
            format!("{value:#}")
        } else {
            value.to_string()
        };
        self.line(text)
    }

    /// Writes an array of JSON, element by element.
    pub(crate) fn element(&mut self, first: bool, value: &Value) -> Result<(), Failure> {
        match (first, self.pretty) {
            (true, false) => self.raw(b"[")?,
            (false, false) => self.raw(b",")?,
            (true, true) => self.raw(b"[\n")?,
            (false, true) => self.raw(b",\n")?,
        }
        let text = if self.pretty {
            format!("  {}", format!("{value:#}").replace('\n', "\n  "))
        } else {
            value.to_string()
        };
        self.raw(text.as_bytes())
    }

    /// Ends an array, which may have had no elements.
    pub(crate) fn end_array(&mut self, empty: bool) -> Result<(), Failure> {
        match (empty, self.pretty) {
            (true, _) => self.line("[]"),
            (false, true) => self.line("\n]"),
            (false, false) => self.line("]"),
        }
    }

    /// Writes out what there is.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(failed)
    }
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].iter();
    let mut unit = "B";
    // What would be shown as 1024.0 of one unit is 1.0 of the next.
    while size >= 1023.95 {
        let Some(next) = units.next() else { break };
        size /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1048575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
