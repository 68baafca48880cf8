// SPDX-License-Identifier: GPL-2.0

//! How maps are opened.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::abi::{ATTACH_CREATE, ATTACH_EXCL};
use crate::sys;
use crate::{check_name, Error, Map, Result};

/// Where the device is.
pub const DEVICE: &str = "/dev/syncmap";

/// How to open a map: for reading, writing, or both (unless it is said otherwise), and what to do if
/// there is no map of the name.
///
/// ```no_run
/// use syncmap_client::MapOptions;
///
/// # fn main() -> syncmap_client::Result<()> {
/// // One that must be there, and is not changed.
/// let settings = MapOptions::new().write(false).open("settings")?;
/// // A new one, for the owner and the group.
/// let sessions = MapOptions::new().create_new(true).mode(0o660).open("sessions")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MapOptions {
    device: PathBuf,
    read: bool,
    write: bool,
    create: bool,
    create_new: bool,
    mode: u32,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl MapOptions {
    /// For reading and writing; a map of a name must be there.
    pub fn new() -> Self {
        Self {
            device: DEVICE.into(),
            read: true,
            write: true,
            create: false,
            create_new: false,
            mode: 0o600,
        }
    }

    /// Whether the map is read. Without, [`Map::load`] and the like fail.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.read = read;
        self
    }

    /// Whether the map is written to. Without, [`Map::store`] and the like fail.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.write = write;
        self
    }

    /// Whether a map is made if there is none of the name.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }

    /// Whether a map is made, and must not be there yet.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create_new = create_new;
        self
    }

    /// The permission bits of a map that is made, 0600 otherwise; subject to the umask.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Where the device is, if not at [`DEVICE`].
    pub fn device(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.device = path.as_ref().into();
        self
    }

    /// Opens a new map without a name.
    pub fn anonymous(&self) -> Result<Map> {
        let file = OpenOptions::new()
            .read(self.read)
            .write(self.write)
            .open(&self.device);
        let file = file.map_err(|error| Error::of_open(self.device.clone(), &error))?;
        Ok(OwnedFd::from(file).into())
    }

    /// Opens the map of a name.
    pub fn open(&self, name: &str) -> Result<Map> {
        check_name(name)?;
        let map = self.anonymous()?;
        self.attach(&map, name)?;
        Ok(map)
    }

    /// Attaches a file; whether its map has got the name.
    pub(crate) fn attach(&self, map: &Map, name: &str) -> Result<bool> {
        check_name(name)?;
        let (flags, mode) = match (self.create, self.create_new) {
            (_, true) => (ATTACH_CREATE | ATTACH_EXCL, self.mode),
            (true, false) => (ATTACH_CREATE, self.mode),
            (false, false) => (0, 0),
        };
        sys::attach(map.as_fd(), name, flags, mode)
            .map_err(|errno| Error::of_name("ATTACH", errno, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_is_told_from_a_forbidden_one() {
        let path = PathBuf::from("/nowhere/syncmap");
        let open = MapOptions::new().device(&path).open("name");
        assert_eq!(open.unwrap_err(), Error::NoDevice { path });
        let path = PathBuf::from("/");
        let open = MapOptions::new().device(&path).anonymous();
        assert_eq!(
            open.unwrap_err(),
            Error::Device {
                path,
                errno: libc::EISDIR
            }
        );
    }

    #[test]
    fn names_are_checked_before_the_device_is_opened() {
        let mut options = MapOptions::new();
        options.device("/nowhere");
        let long = "a".repeat(64);
        for name in ["", ".", ".a", "a b", "a/b", "ä", &long] {
            let name = name.to_string();
            assert_eq!(
                options.open(&name).unwrap_err(),
                Error::InvalidName { name }
            );
        }
        for name in ["a", "a.b", "_", "-", ":", "Z9", &long[1..]] {
            assert!(matches!(options.open(name), Err(Error::NoDevice { .. })));
        }
    }
}
