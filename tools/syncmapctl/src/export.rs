// SPDX-License-Identifier: GPL-2.0

//! Writing all keys and values out.

use serde_json::json;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use syncmap_client::Map;

use crate::cli::{FileFormat, Formats};
use crate::escape::escaped;
use crate::failure::Failure;
use crate::maps::{open, For};
use crate::output::Output;
use crate::process::on_interrupt;
use crate::progress;

/// Calls `each` for all keys and values, until it says that this is enough.
fn for_each(
    map: &Map,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut walk = map.iter();
    while let Some(pair) = walk.next_borrowed() {
        let (key, value) = pair?;
        if !each(key, value)? {
            break;
        }
    }
    Ok(())
}

fn unfit(key: &[u8], option: &str, why: &str) -> Failure {
    Failure::error(format!(
        "the key \"{}\" cannot be written: {why} (--{option})",
        escaped(key)
    ))
}

/// Makes a line of a key and a value; it is all of TSV that there is.
fn tsv(key: &[u8], value: &[u8], formats: Formats, line: &mut Vec<u8>) -> Result<(), Failure> {
    line.clear();
    formats
        .key_as
        .print(key, line)
        .map_err(|why| unfit(key, "key-as", &why))?;
    line.push(b'\t');
    formats
        .value_as
        .print(value, line)
        .map_err(|why| unfit(key, "value-as", &why))
}

fn to_json(key: &[u8], value: &[u8], formats: Formats) -> Result<serde_json::Value, Failure> {
    Ok(json!({
        "key": formats.key_as.to_json(key).map_err(|why| unfit(key, "key-as", &why))?,
        "value": formats.value_as.to_json(value).map_err(|why| unfit(key, "value-as", &why))?,
    }))
}

/// Cuts a line to a width: what it ends with says what is missing.
fn cut(line: &[u8], width: usize, bytes: usize) -> String {
    let text = String::from_utf8_lossy(line);
    // The tab takes up to eight columns.
    let columns = console::measure_text_width(&text) + 8;
    if columns <= width {
        return text.into_owned();
    }
    let tail = format!("... ({bytes} bytes)");
    console::truncate_str(&text, width.saturating_sub(8).max(tail.len()), &tail).into_owned()
}

pub(crate) fn dump(
    name: &str,
    limit: Option<u64>,
    full: bool,
    formats: Formats,
    out: &mut Output,
) -> Result<(), Failure> {
    let map = open(name, For::Reading)?;
    let terminal = console::Term::stdout();
    let width =
        (!full && !out.json && io::stdout().is_terminal()).then(|| usize::from(terminal.size().1));
    let mut line = Vec::new();
    let mut shown = 0;
    for_each(&map, |key, value| {
        if limit.is_some_and(|limit| shown == limit) {
            return Ok(false);
        }
        if out.json {
            out.element(shown == 0, &to_json(key, value, formats)?)?;
        } else {
            tsv(key, value, formats, &mut line)?;
            match width {
                Some(width) => out.line(cut(&line, width, value.len()))?,
                None => out.line(&line)?,
            }
        }
        shown += 1;
        Ok(true)
    })?;
    if out.json {
        out.end_array(shown == 0)?;
    }
    Ok(())
}

/// Where an export goes.
enum Target {
    Stdout,
    /// What is no plain file is written to as it is.
    Special(File),
    /// A plain file is complete when it appears under its name.
    Plain {
        file: File,
        made: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    fn new(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout);
        };
        // What a link leads to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let known = fs::metadata(&path);
        if known.as_ref().is_ok_and(|known| !known.is_file()) {
            return Ok(Self::Special(File::options().write(true).open(&path)?));
        }
        let mut made = path.clone().into_os_string();
        made.push(format!(".{}.part", std::process::id()));
        let file = File::create_new(&made)?;
        let target = Self::Plain {
            file,
            made: made.into(),
            path,
        };
        if let (Ok(known), Self::Plain { file, .. }) = (known, &target) {
            file.set_permissions(known.permissions())?;
        }
        Ok(target)
    }

    /// What to remove if it does not become complete.
    fn made(&self) -> Option<PathBuf> {
        match self {
            Self::Plain { made, .. } => Some(made.clone()),
            _ => None,
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain { file, made, path } => {
                file.sync_all()?;
                fs::rename(made, path)
            }
            _ => Ok(()),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => io::stdout().write(bytes),
            Self::Special(file) | Self::Plain { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::Special(file) | Self::Plain { file, .. } => file.flush(),
        }
    }
}

pub(crate) fn export(
    name: &str,
    path: Option<&Path>,
    format: Option<FileFormat>,
    formats: Formats,
    out: &Output,
) -> Result<(), Failure> {
    let map = open(name, For::Reading)?;
    let shown = path.map_or("standard output".into(), |path| path.display().to_string());
    let failed = |error: io::Error| Failure::of_file("written to", &shown, &error);
    let target = Target::new(path).map_err(failed)?;
    let made = target.made();
    let format = format.unwrap_or(match out.json {
        true => FileFormat::Jsonl,
        false => FileFormat::Tsv,
    });
    let bar = match io::stdout().is_terminal() && matches!(target, Target::Stdout) {
        true => indicatif::ProgressBar::hidden(),
        false => progress::bar(Some(map.len()?), false),
    };
    let (interrupted, to_clear) = (made.clone(), bar.clone());
    on_interrupt(move || {
        to_clear.finish_and_clear();
        let what = match &interrupted {
            Some(made) => {
                let _ = fs::remove_file(made);
                "interrupted; no file was written"
            }
            None => "interrupted; what was written is incomplete",
        };
        Failure::error(what).tell();
        130
    })?;

    let mut to = BufWriter::with_capacity(1 << 16, target);
    let mut line = Vec::new();
    let done = for_each(&map, |key, value| {
        match format {
            FileFormat::Tsv => tsv(key, value, formats, &mut line)?,
            FileFormat::Jsonl => line = to_json(key, value, formats)?.to_string().into_bytes(),
        }
        line.push(b'\n');
        to.write_all(&line).map_err(failed)?;
        bar.inc(1);
        Ok(true)
    });
    let done = done.and_then(|()| {
        let target = to
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        target.finish().map_err(failed)
    });
    bar.finish_and_clear();
    if let (Err(_), Some(made)) = (&done, made) {
        // What is there under the name is as it was.
        let _ = fs::remove_file(made);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(cut(b"key\tvalue", 80, 5), "key\tvalue");
        let line = [&b"key\t"[..], &[b'x'; 200]].concat();
        let shown = cut(&line, 80, 200);
        assert!(shown.starts_with("key\txxx") && shown.ends_with("xxx... (200 bytes)"));
        assert!(console::measure_text_width(&shown) + 8 <= 80, "{shown}");
        assert!(cut(&line, 1, 200).ends_with("... (200 bytes)"));
    }
}
