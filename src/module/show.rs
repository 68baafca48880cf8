// SPDX-License-Identifier: GPL-2.0

//! What people can look at: fdinfo of open files, and two files in debugfs.

use kernel::debugfs::{Dir, File, Writer};
use kernel::fmt;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

use crate::device::OpenMap;
use crate::registry::Registry;

impl OpenMap {
    /// The lines of the file's fdinfo: one figure each.
    pub(crate) fn show(&self, m: &SeqFile) {
        let shared = self.shared();
        let stats = shared.map.stats();
        if let Some(name) = self
            .attached
            .as_ref()
            .and_then(|map| Registry::get().name_of(map))
        {
            seq_print!(m, "name:\t{}\n", name);
        }
        for (what, figure) in [
            ("entries", stats.entries),
            ("bytes", stats.bytes),
            ("retired_bytes", stats.retired_bytes),
            ("read_slots", stats.read_slots),
            ("dirty_slots", stats.dirty_slots),
            ("amended", stats.amended.into()),
            ("misses", stats.misses),
            ("promotions", stats.promotions),
            ("expunged", stats.expunged),
            ("sweeps", stats.sweeps),
        ] {
            seq_print!(m, "{}:\t{}\n", what, figure);
        }
    }
}

/// `/sys/kernel/debug/syncmap/`
#[pin_data]
pub(crate) struct DebugFs {
    #[pin]
    maps: File<Maps>,
    #[pin]
    modules: File<Modules>,
    _dir: Dir,
}

impl DebugFs {
    /// The registry must have been published, and outlives this. Without debugfs, does nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init::pin_init_scope(|| {
            let dir = Dir::new(c"syncmap");
            Ok::<_, core::convert::Infallible>(pin_init!(Self {
                maps <- dir.read_only_file(c"maps", Maps),
                modules <- dir.read_only_file(c"modules", Modules),
                _dir: dir,
            }))
        })
    }
}

/// `maps`: the maps that have names, one in a line.
struct Maps;

impl Writer for Maps {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("entries bytes retired_bytes read_slots dirty_slots amended misses promotions expunged \
             sweeps longest_probe users name\n"
        ))?;
        let registry = Registry::get();
        let mut behind = None;
        // Each on its own: the lock of a map is not taken under that of the registry.
        while let Some((name, shared)) = registry.next_map(behind.as_ref()) {
            let stats = shared.map.stats();
            f.write_fmt(fmt!(
                "{} {} {} {} {} {} {} {} {} {} {} {} {}\n",
                stats.entries,
                stats.bytes,
                stats.retired_bytes,
                stats.read_slots,
                stats.dirty_slots,
                u8::from(stats.amended),
                stats.misses,
                stats.promotions,
                stats.expunged,
                stats.sweeps,
                shared.map.longest_probe(),
                shared.users(),
                name
            ))?;
            behind = Some(name);
        }
        Ok(())
    }
}

/// `modules`: what modules hold through the C API, one map in a line.
struct Modules;

impl Writer for Modules {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("module kind key_len entries bytes references\n"))?;
        Registry::get().holders.show(f)
    }
}
