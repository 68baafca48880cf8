// SPDX-License-Identifier: GPL-2.0

//! The commands on keys.

use serde_json::{json, Value as Json};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use syncmap_client::{check_key, check_value, Compared, LoadOrStore, VALUE_MAX};

use crate::cli::{Formats, Value};
use crate::escape::escaped;
use crate::failure::Failure;
use crate::format::Format;
use crate::maps::{open, For};
use crate::output::Output;

/// The bytes of a key on the command line.
fn key_of(text: &OsStr, formats: Formats) -> Result<Vec<u8>, Failure> {
    let key = formats.key_as.parse(text.as_bytes());
    let key = key.map_err(|why| wrong("key", text, &why))?;
    check_key(&key)?;
    Ok(key)
}

fn parse_value(text: &OsStr, formats: Formats) -> Result<Vec<u8>, Failure> {
    let value = formats.value_as.parse(text.as_bytes());
    let value = value.map_err(|why| wrong("value", text, &why))?;
    check_value(&value)?;
    Ok(value)
}

fn wrong(what: &str, text: &OsStr, why: &str) -> Failure {
    Failure::usage(format!(
        "the {what} \"{}\" cannot be read: {why}",
        escaped(text.as_bytes())
    ))
}

/// The bytes of a value on the command line or elsewhere.
fn value_of(value: &Value, formats: Formats) -> Result<Vec<u8>, Failure> {
    match (&value.value, &value.value_file) {
        (Some(text), _) => parse_value(text, formats),
        (None, Some(path)) => read_value(path),
        (None, None) => Err(Failure::usage("there is no value")),
    }
}

/// The bytes of a file, if there are not too many: it may have no end.
fn read_value(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::of_file("read", path.display(), &error);
    let file: Box<dyn Read> = match path.as_os_str().as_bytes() {
        b"-" => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    let mut value = Vec::new();
    file.take(VALUE_MAX as u64 + 1)
        .read_to_end(&mut value)
        .map_err(failed)?;
    if value.len() > VALUE_MAX {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{path} has more bytes than a value may have, 65536"
        )));
    }
    Ok(value)
}

fn absent(name: &str, key: &[u8]) -> Failure {
    Failure::not_found(format!(
        "there is no key \"{}\" in the map \"{name}\"",
        escaped(key)
    ))
}

/// A value as text.
fn print(format: Format, value: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    format
        .print(value, &mut text)
        .map_err(|why| unfit("value", &why))?;
    Ok(text)
}

fn to_json(format: Format, what: &str, bytes: &[u8]) -> Result<Json, Failure> {
    format.to_json(bytes).map_err(|why| unfit(what, &why))
}

fn unfit(what: &str, why: &str) -> Failure {
    Failure::error(format!("the {what} cannot be written: {why} (--{what}-as)"))
}

pub(crate) fn get(
    name: &str,
    key: &OsStr,
    raw: bool,
    formats: Formats,
    out: &mut Output,
) -> Result<(), Failure> {
    let key = key_of(key, formats)?;
    let map = open(name, For::Reading)?;
    let value = map.load(&key)?.ok_or_else(|| absent(name, &key))?;
    if raw {
        return out.raw(&value);
    }
    if out.json {
        let key = to_json(formats.key_as, "key", &key)?;
        let value = to_json(formats.value_as, "value", &value)?;
        return out.value(&json!({ "key": key, "value": value }));
    }
    out.line(print(formats.value_as, &value)?)
}

pub(crate) fn set(
    name: &str,
    key: &OsStr,
    value: &Value,
    if_absent: bool,
    formats: Formats,
) -> Result<(), Failure> {
    let key = key_of(key, formats)?;
    let value = value_of(value, formats)?;
    if !if_absent {
        return Ok(open(name, For::Writing)?.store(&key, &value)?);
    }
    match open(name, For::Both)?.load_or_store(&key, &value)? {
        LoadOrStore::Stored => Ok(()),
        LoadOrStore::Loaded(_) => {
            let key = escaped(&key);
            Err(Failure::condition(format!(
                "the key \"{key}\" has a value, and keeps it"
            )))
        }
    }
}

/// What a comparison that was lost means.
fn judge(compared: Compared, name: &str, key: &[u8]) -> Result<(), Failure> {
    match compared {
        Compared::Equal => Ok(()),
        Compared::Absent => Err(absent(name, key)),
        Compared::Different => {
            let key = escaped(key);
            Err(Failure::condition(format!(
                "the key \"{key}\" has another value, and keeps it"
            )))
        }
    }
}

pub(crate) fn del(
    name: &str,
    keys: &[std::ffi::OsString],
    only_if: Option<&OsStr>,
    formats: Formats,
) -> Result<(), Failure> {
    // All of them are read before the first is deleted.
    let keys: Vec<_> = keys
        .iter()
        .map(|key| key_of(key, formats))
        .collect::<Result<_, _>>()?;
    let old = only_if
        .map(|value| parse_value(value, formats))
        .transpose()?;
    let map = open(
        name,
        if old.is_some() {
            For::Both
        } else {
            For::Writing
        },
    )?;
    let mut failed: Option<Failure> = None;
    for key in keys {
        let compared = match &old {
            Some(old) => map.compare_and_delete(&key, old)?,
            None if map.delete(&key)? => Compared::Equal,
            None => Compared::Absent,
        };
        if let Err(failure) = judge(compared, name, &key) {
            if let Some(before) = failed.replace(failure) {
                before.tell();
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

pub(crate) fn swap(
    name: &str,
    key: &OsStr,
    value: &Value,
    formats: Formats,
    out: &mut Output,
) -> Result<(), Failure> {
    let key = key_of(key, formats)?;
    let value = value_of(value, formats)?;
    let previous = open(name, For::Both)?.swap(&key, &value)?;
    if out.json {
        let previous = previous.map(|value| to_json(formats.value_as, "value", &value));
        return out.value(&json!({ "previous": previous.transpose()? }));
    }
    match previous {
        Some(previous) => out.line(print(formats.value_as, &previous)?),
        None => Ok(()),
    }
}

pub(crate) fn cas(
    name: &str,
    key: &OsStr,
    old: &OsStr,
    new: &OsStr,
    formats: Formats,
) -> Result<(), Failure> {
    let key = key_of(key, formats)?;
    let (old, new) = (parse_value(old, formats)?, parse_value(new, formats)?);
    judge(
        open(name, For::Both)?.compare_and_swap(&key, &old, &new)?,
        name,
        &key,
    )
}
