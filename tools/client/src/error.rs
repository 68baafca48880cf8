// SPDX-License-Identifier: GPL-2.0

//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// What all fallible functions here return.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong; as text, a sentence that says what to do.
///
/// ```
/// use syncmap_client::{Error, MapOptions};
///
/// match MapOptions::new().device("/nowhere").anonymous() {
///     Err(Error::NoDevice { .. }) => println!("The module is not loaded."),
///     Err(other) => println!("{other}"),
///     Ok(_) => println!("There it is."),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device is not there (`ENOENT`, `ENODEV`, `ENXIO`).
    #[error(
        "there is no {}: the module is not loaded. Load it with \"modprobe syncmap\", or with \
         \"insmod syncmap.ko\" from where it was built",
        .path.display()
    )]
    NoDevice {
        /// Where it should be.
        path: PathBuf,
    },
    /// The device must not be opened (`EACCES`, `EPERM`).
    #[error(
        "you may not open {}. Become root, or let root give a group of yours the right: \
         \"chgrp GROUP {}; chmod 660 {}\", for good by a udev rule",
        .path.display(), .path.display(), .path.display()
    )]
    DeviceAccess {
        /// Where it is.
        path: PathBuf,
    },
    /// The device cannot be opened for another reason.
    #[error("{} cannot be opened: {}", .path.display(), io::Error::from_raw_os_error(*.errno))]
    Device {
        /// Where it is.
        path: PathBuf,
        /// The error's number.
        errno: i32,
    },
    /// The descriptor is no map, or the module does not know the command (`ENOTTY`).
    #[error(
        "this file knows no {command}: it is not the device of syncmap, or of a version older \
         than this program"
    )]
    UnknownCommand {
        /// The command's name.
        command: &'static str,
    },
    /// The module does not know what was asked for (`EINVAL`, `E2BIG`, `EOPNOTSUPP`). This crate asks
    /// for nothing that the first version of the module does not know.
    #[error(
        "the module refuses {command} ({}): it is another version than this program was made for. \
         Use those of one release",
        io::Error::from_raw_os_error(*.errno)
    )]
    Unsupported {
        /// The command's name.
        command: &'static str,
        /// The error's number.
        errno: i32,
    },
    /// A key has no bytes, or too many.
    #[error("a key has 1 to 512 bytes, this one has {len}")]
    KeyLength {
        /// The bytes that it has.
        len: usize,
    },
    /// A value has too many bytes.
    #[error("a value has at most 65536 bytes, this one has {len}. Store it in parts")]
    ValueTooLong {
        /// The bytes that it has.
        len: usize,
    },
    /// A batch has too many operations.
    #[error("a batch has at most 65536 operations, this one has {len}. Run it in parts")]
    BatchTooLong {
        /// The operations that it has.
        len: usize,
    },
    /// This cannot be the name of a map (`EINVAL`, `ENAMETOOLONG`).
    #[error(
        "\"{}\" cannot be the name of a map: it takes 1 to 63 letters, digits and . _ - : and does \
         not begin with a dot",
        .name.escape_debug()
    )]
    InvalidName {
        /// What was given.
        name: String,
    },
    /// There is no map of this name (`ENOENT`).
    #[error("there is no map \"{name}\"")]
    NoSuchMap {
        /// The name.
        name: String,
    },
    /// There is a map of this name already (`EEXIST`).
    #[error("there is a map \"{name}\" already")]
    MapExists {
        /// The name.
        name: String,
    },
    /// The caller may not use the map for what it has opened it for (`EACCES`).
    #[error(
        "the map \"{name}\" does not permit this to you. Its owner decides, by the mode that it is \
         created with; or become root"
    )]
    MapAccess {
        /// The name.
        name: String,
    },
    /// Only the owner may take the name away (`EPERM`).
    #[error("the map \"{name}\" is not yours: only its owner, or root, may take its name away")]
    NotOwner {
        /// The name.
        name: String,
    },
    /// The owner has as many names as may be (`EDQUOT`).
    #[error(
        "you have as many named maps as you may. Unlink some, or let root load the module with a \
         greater max_names"
    )]
    TooManyNames,
    /// The file is attached to a map already, or is about to be (`EBUSY`).
    #[error("this file has its map already. Open the device anew")]
    Attached,
    /// The file's own map has keys in it (`ENOTEMPTY`).
    #[error(
        "the map of this file is not empty, so it cannot become another. Open the device anew"
    )]
    NotEmpty,
    /// The map, or all maps of its owner, are at a limit (`EDQUOT`).
    #[error(
        "the map, or its owner, has reached a limit of keys or memory. Delete something, or let \
         root load the module with a greater max_entries, max_bytes or max_owner_bytes"
    )]
    Quota,
    /// Too many keys collide with this one (`E2BIG`).
    #[error("too many keys of the map collide with this one. Use another key")]
    Collisions,
    /// The value is longer than there is room for it (`ENOSPC`). Only operations of a
    /// [`Batch`](crate::Batch) fail with it: see [`Batch::room`](crate::Batch::room).
    #[error("the value has {needed} bytes, more than there is room for. Give the batch more room")]
    NoRoom {
        /// The bytes that it has.
        needed: usize,
    },
    /// The map is not open for reading, or not for writing (`EBADF`).
    #[error("the map is not open for what {command} does. Open it for reading and writing")]
    NotOpenFor {
        /// The command's name.
        command: &'static str,
    },
    /// The kernel has no memory for it (`ENOMEM`).
    #[error("the kernel has no memory for this, or the memory cgroup has none left")]
    NoMemory,
    /// A signal has arrived (`EINTR`); nothing has happened, so it can be tried again.
    #[error("a signal has interrupted the call. Try again")]
    Interrupted,
    /// The kernel has written something that is not as the interface says.
    #[error("the kernel has reported something unexpected: {what}. Is this another module?")]
    Garbled {
        /// What it is.
        what: &'static str,
    },
    /// Another error.
    #[error("{command} has failed: {}", io::Error::from_raw_os_error(*.errno))]
    Other {
        /// The command's name.
        command: &'static str,
        /// The error's number.
        errno: i32,
    },
}

impl Error {
    /// What an error of opening the device means.
    pub(crate) fn of_open(path: PathBuf, error: &io::Error) -> Self {
        match error.raw_os_error().unwrap_or(0) {
            libc::ENOENT | libc::ENODEV | libc::ENXIO => Self::NoDevice { path },
            libc::EACCES | libc::EPERM => Self::DeviceAccess { path },
            libc::ENOMEM => Self::NoMemory,
            errno => Self::Device { path, errno },
        }
    }

    /// What an error of any command means.
    pub(crate) fn of_command(command: &'static str, errno: i32) -> Self {
        match errno {
            libc::ENOTTY => Self::UnknownCommand { command },
            libc::EINVAL | libc::E2BIG | libc::EOPNOTSUPP => Self::Unsupported { command, errno },
            libc::EBADF => Self::NotOpenFor { command },
            libc::EDQUOT => Self::Quota,
            libc::ENOMEM => Self::NoMemory,
            libc::EINTR => Self::Interrupted,
            errno => Self::Other { command, errno },
        }
    }

    /// What an error of an operation on a key means, which has asked for room of `needed` bytes.
    pub(crate) fn of_operation(command: &'static str, errno: i32, needed: usize) -> Self {
        match errno {
            libc::E2BIG => Self::Collisions,
            libc::ENOSPC => Self::NoRoom { needed },
            errno => Self::of_command(command, errno),
        }
    }

    /// What an error of a command on a name means.
    pub(crate) fn of_name(command: &'static str, errno: i32, name: &str) -> Self {
        let name = name.to_string();
        match errno {
            libc::ENOENT => Self::NoSuchMap { name },
            libc::EEXIST => Self::MapExists { name },
            libc::EACCES => Self::MapAccess { name },
            libc::EPERM => Self::NotOwner { name },
            libc::ENAMETOOLONG => Self::InvalidName { name },
            libc::EDQUOT => Self::TooManyNames,
            libc::EBUSY => Self::Attached,
            libc::ENOTEMPTY => Self::NotEmpty,
            errno => Self::of_command(command, errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_means_different_things() {
        let big = |error: fn(&'static str, i32) -> Error| error("X", libc::E2BIG);
        assert_eq!(big(|c, e| Error::of_operation(c, e, 0)), Error::Collisions);
        let unsupported = Error::Unsupported {
            command: "X",
            errno: libc::E2BIG,
        };
        assert_eq!(big(Error::of_command), unsupported);
        assert_eq!(Error::of_name("X", libc::EDQUOT, "n"), Error::TooManyNames);
        assert_eq!(Error::of_command("X", libc::EDQUOT), Error::Quota);
        let needed = Error::of_operation("X", libc::ENOSPC, 7);
        assert_eq!(needed, Error::NoRoom { needed: 7 });
    }

    #[test]
    fn sentences_say_what_to_do() {
        let error = Error::NoDevice {
            path: "/dev/syncmap".into(),
        };
        assert!(error.to_string().contains("modprobe syncmap"));
        let error = Error::DeviceAccess {
            path: "/dev/syncmap".into(),
        };
        assert!(error
            .to_string()
            .contains("chgrp GROUP /dev/syncmap; chmod 660 /dev/syncmap"));
        let error = Error::of_command("STATS", libc::ENOTTY);
        assert!(error.to_string().contains("older"));
        let error = Error::InvalidName {
            name: "a\u{1b}[m".into(),
        };
        assert!(!error.to_string().contains('\u{1b}'));
        // The limits stand in the texts as numbers.
        for (text, limit) in [
            (Error::KeyLength { len: 0 }.to_string(), crate::KEY_MAX),
            (Error::ValueTooLong { len: 0 }.to_string(), crate::VALUE_MAX),
            (Error::BatchTooLong { len: 0 }.to_string(), crate::BATCH_MAX),
            (
                Error::InvalidName {
                    name: String::new(),
                }
                .to_string(),
                crate::NAME_MAX,
            ),
        ] {
            assert!(text.contains(&limit.to_string()), "{text}");
        }
    }
}
