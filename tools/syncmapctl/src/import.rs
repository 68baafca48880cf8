// SPDX-License-Identifier: GPL-2.0

//! Storing keys and values from a file.

use serde_json::{json, Value};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use syncmap_client::{check_key, check_value, Batch, Map, MapOptions, Operation};

use crate::cli::{FileFormat, Formats, Import};
use crate::failure::Failure;
use crate::lines::Lines;
use crate::output::Output;
use crate::process::{clear_umask, on_interrupt};
use crate::progress;

/// Keys in a batch, and bytes of keys and values, unless one has more.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;

/// Lines that are complained about one by one.
const COMPLAINTS: u64 = 10;

/// A line that was read: its number, key and value.
struct Entry {
    line: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

fn parse(line: &[u8], format: FileFormat, formats: Formats) -> Result<(Vec<u8>, Vec<u8>), String> {
    let of = |what: &'static str| move |why| format!("its {what}: {why}");
    let (key, value) = match format {
        FileFormat::Tsv => {
            let tab = line.iter().position(|b| *b == b'\t');
            let tab = tab.ok_or_else(|| {
                let json = match line.first() {
                    Some(b'{') => "; if it is JSON, say --format jsonl",
                    _ => "",
                };
                format!("there is no tab between key and value{json}")
            })?;
            let (key, value) = (&line[..tab], &line[tab + 1..]);
            if value.contains(&b'\t') {
                return Err("there is more than one tab; within a value it is \\t".into());
            }
            let key = formats.key_as.parse_field(key).map_err(of("key"))?;
            (
                key,
                formats.value_as.parse_field(value).map_err(of("value"))?,
            )
        }
        FileFormat::Jsonl => {
            let object: Value =
                serde_json::from_slice(line).map_err(|error| format!("it is no JSON: {error}"))?;
            let member = |name| {
                object
                    .get(name)
                    .ok_or_else(|| format!("it is no object with a \"{name}\""))
            };
            let key = formats
                .key_as
                .parse_json(member("key")?)
                .map_err(of("key"))?;
            (
                key,
                formats
                    .value_as
                    .parse_json(member("value")?)
                    .map_err(of("value"))?,
            )
        }
    };
    check_key(&key).map_err(|error| error.to_string())?;
    check_value(&value).map_err(|error| error.to_string())?;
    Ok((key, value))
}

/// What has been done so far.
struct Work<'o> {
    options: &'o Import,
    map: Map,
    waiting: Vec<Entry>,
    waiting_bytes: usize,
    stored: Arc<AtomicU64>,
    kept: u64,
    failed: u64,
    bar: indicatif::ProgressBar,
}

impl Work<'_> {
    /// A line cannot be stored; an error if that is the end.
    fn complain(&mut self, line: u64, why: &str) -> Result<(), Failure> {
        self.failed += 1;
        let text = format!("line {line} cannot be stored: {why}");
        if !self.options.keep_going {
            self.bar.finish_and_clear();
            return Err(Failure::error(format!("{text}. {}", self.so_far())));
        }
        if self.failed <= COMPLAINTS {
            self.bar.suspend(|| Failure::error(text).tell());
        } else if self.failed == COMPLAINTS + 1 {
            self.bar
                .suspend(|| Failure::error("other such lines are only counted").tell());
        }
        Ok(())
    }

    fn so_far(&self) -> String {
        match self.stored.load(Ordering::Relaxed) {
            1 => "1 key was stored".into(),
            stored => format!("{stored} keys were stored"),
        }
    }

    /// Stores what is waiting.
    fn flush(&mut self) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut batch: Batch<'_> = entries
            .iter()
            .map(|Entry { key, value, .. }| match self.options.if_absent {
                true => Operation::LoadOrStore { key, value },
                false => Operation::Store { key, value },
            })
            .collect();
        batch.room(0);
        let outcomes = self.map.run(&batch).map_err(|error| {
            self.bar.finish_and_clear();
            Failure::error(format!("{error}. {}", self.so_far()))
        })?;
        let stored = outcomes
            .iter()
            .flatten()
            .filter(|outcome| outcome.stored)
            .count() as u64;
        self.stored.fetch_add(stored, Ordering::Relaxed);
        self.kept += outcomes
            .iter()
            .flatten()
            .filter(|outcome| !outcome.stored)
            .count() as u64;
        for (entry, outcome) in entries.iter().zip(outcomes) {
            if let Err(error) = outcome {
                self.complain(entry.line, &error.to_string())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) -> Result<(), Failure> {
        let bytes = entry.key.len() + entry.value.len();
        if self.waiting.len() == BATCH || self.waiting_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        self.waiting_bytes += bytes;
        self.waiting.push(entry);
        Ok(())
    }
}

/// A file or standard input, and how long it is.
fn open_input(path: Option<&Path>) -> Result<(File, Option<u64>), Failure> {
    let path = path.unwrap_or(Path::new("-"));
    let failed = |error| Failure::of_file("read", path.display(), &error);
    let file = match path.as_os_str() == "-" {
        // Without the buffer of std, which does not tell what is in it.
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(path),
    };
    let file = file.map_err(failed)?;
    let known = file.metadata().map_err(failed)?;
    let len = known.is_file().then_some(known.len());
    Ok((file, len))
}

fn open_map(options: &Import) -> Result<Map, Failure> {
    if options.create {
        clear_umask();
    }
    let mut map = MapOptions::new();
    map.read(options.if_absent)
        .create(options.create)
        .mode(options.mode);
    Ok(map.open(&options.name)?)
}

pub(crate) fn import(options: &Import, formats: Formats, out: &mut Output) -> Result<(), Failure> {
    let (input, len) = open_input(options.file.as_deref())?;
    let format = options.format.unwrap_or(match out.json {
        true => FileFormat::Jsonl,
        false => FileFormat::Tsv,
    });
    let mut work = Work {
        options,
        map: open_map(options)?,
        waiting: Vec::new(),
        waiting_bytes: 0,
        stored: Arc::default(),
        kept: 0,
        failed: 0,
        bar: progress::bar(len, true),
    };
    let (stored, bar) = (work.stored.clone(), work.bar.clone());
    on_interrupt(move || {
        bar.finish_and_clear();
        let stored = stored.load(Ordering::Relaxed);
        Failure::error(format!("interrupted; at least {stored} keys were stored")).tell();
        130
    })?;

    let mut lines = Lines::new(input);
    loop {
        if lines.may_wait() {
            work.flush()?;
        }
        let line = match lines.next() {
            Ok(line) => line,
            Err(error) => {
                work.flush()?;
                let text = format!("the input cannot be read: {error}. {}", work.so_far());
                return Err(Failure::error(text));
            }
        };
        let Some(line) = line else { break };
        let bytes = line.as_ref().map_or(0, |line| line.len() as u64 + 1);
        let parsed = match line {
            Ok([]) => continue,
            Ok(line) => parse(line, format, formats),
            Err(why) => Err(why),
        };
        match parsed {
            Ok((key, value)) => work.add(Entry {
                line: lines.number,
                key,
                value,
            })?,
            Err(why) => {
                // What is in front of it comes first, also in what is said.
                work.flush()?;
                work.complain(lines.number, &why)?;
            }
        }
        work.bar.inc(bytes);
    }
    work.flush()?;
    work.bar.finish_and_clear();

    let stored = work.stored.load(Ordering::Relaxed);
    if out.json {
        let counts = json!({ "stored": stored, "kept": work.kept, "failed": work.failed });
        out.value(&counts)?;
        out.end()?;
    }
    match work.failed {
        0 => Ok(()),
        failed => Err(Failure::error(format!(
            "{failed} lines could not be stored. {}",
            work.so_far()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    const TEXT: Formats = Formats {
        key_as: Format::Text,
        value_as: Format::Text,
    };

    #[test]
    fn lines_are_read() {
        let pair = |key: &[u8], value: &[u8]| Ok((key.to_vec(), value.to_vec()));
        let tsv = |line: &str| parse(line.as_bytes(), FileFormat::Tsv, TEXT);
        assert_eq!(tsv("key\tvalue"), pair(b"key", b"value"));
        assert_eq!(tsv("a\\tb\t\\x00\\n"), pair(b"a\tb", b"\0\n"));
        assert_eq!(tsv("key\t"), pair(b"key", b""));
        for bad in ["key", "\tvalue", "key\ta\tb", "key\t\\q", "\\x\tvalue"] {
            assert!(tsv(bad).is_err(), "{bad}");
        }
        let json = |line: &str| parse(line.as_bytes(), FileFormat::Jsonl, TEXT);
        assert_eq!(
            json(r#"{"key":"k","value":{"hex":"ff"},"x":1}"#),
            pair(b"k", b"\xff")
        );
        for bad in [
            r#"{"key":"k"}"#,
            r#"["k","v"]"#,
            "{",
            "1",
            r#"{"key":"","value":""}"#,
        ] {
            assert!(json(bad).is_err(), "{bad}");
        }
        let long = format!("{}\tv", "k".repeat(513));
        assert!(tsv(&long).unwrap_err().contains("512"));
    }
}
