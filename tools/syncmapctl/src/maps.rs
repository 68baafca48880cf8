// SPDX-License-Identifier: GPL-2.0

//! The commands on maps as a whole.

use serde_json::{json, Value};
use syncmap_client::{Error, Map, MapOptions, NamedMap};

use crate::failure::Failure;
use crate::output::{size, Output};
use crate::process::clear_umask;

/// What a map is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
    Both,
}

/// Opens a map that there is. Only what is needed must be permitted.
pub(crate) fn open(name: &str, wanted: For) -> Result<Map, Failure> {
    let mut options = MapOptions::new();
    options
        .read(wanted != For::Writing)
        .write(wanted != For::Reading);
    Ok(options.open(name)?)
}

fn as_json(map: &NamedMap) -> Value {
    json!({
        "name": map.name,
        "mode": format!("{:04o}", map.mode),
        "uid": map.uid,
        "gid": map.gid,
        "users": map.users,
        "keys": map.entries,
        "bytes": map.bytes,
    })
}

pub(crate) fn list(out: &mut Output) -> Result<(), Failure> {
    let maps = syncmap_client::names()?;
    if out.json {
        return out.value(&maps.iter().map(as_json).collect());
    }
    out.line("MODE    UID    GID  USERS       KEYS      MEMORY  NAME")?;
    for map in maps {
        let NamedMap {
            name,
            mode,
            uid,
            gid,
            users,
            entries,
            bytes,
            ..
        } = map;
        let bytes = size(bytes);
        out.line(format!(
            "{mode:04o} {uid:>6} {gid:>6} {users:>6} {entries:>10} {bytes:>11}  {name}"
        ))?;
    }
    Ok(())
}

pub(crate) fn show(name: &str, out: &mut Output) -> Result<(), Failure> {
    let map = syncmap_client::find(name)?;
    // The limits are those of any map.
    let limits = MapOptions::new().write(false).anonymous()?.info()?;
    if out.json {
        let mut value = as_json(&map);
        value["max_keys"] = limits.max_entries.into();
        value["max_bytes"] = limits.max_bytes.into();
        return out.value(&value);
    }
    out.line(format!("name    {}", map.name))?;
    out.line(format!("mode    {:04o}", map.mode))?;
    out.line(format!("owner   user {}, group {}", map.uid, map.gid))?;
    out.line(format!("users   {}", map.users))?;
    out.line(format!(
        "keys    {} of at most {}",
        map.entries, limits.max_entries
    ))?;
    out.line(format!(
        "memory  {} of at most {}",
        size(map.bytes),
        size(limits.max_bytes)
    ))
}

pub(crate) fn create(name: &str, mode: u32, exist_ok: bool) -> Result<(), Failure> {
    clear_umask();
    let mut options = MapOptions::new();
    options.create(exist_ok).create_new(!exist_ok).mode(mode);
    // A map that is there may be another's.
    match options.open(name) {
        Err(Error::MapAccess { .. }) if exist_ok => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

pub(crate) fn clear(name: &str) -> Result<(), Failure> {
    Ok(open(name, For::Writing)?.clear()?)
}

pub(crate) fn unlink(names: &[String]) -> Result<(), Failure> {
    let mut failed = None;
    for name in names {
        if let Err(error) = syncmap_client::unlink(name) {
            // One that is told at the end tells the status.
            if let Some(before) = failed.replace(Failure::from(error)) {
                before.tell();
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
