// SPDX-License-Identifier: GPL-2.0

//! Why the program ends, as a sentence and as an exit status.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use syncmap_client::Error;

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// An error like others.
    pub(crate) fn error(text: impl Display) -> Self {
        Self {
            status: 1,
            text: text.to_string(),
        }
    }

    /// Wrong usage.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self {
            status: 2,
            text: text.to_string(),
        }
    }

    /// There is no such key or map.
    pub(crate) fn not_found(text: impl Display) -> Self {
        Self {
            status: 3,
            text: text.to_string(),
        }
    }

    /// A condition is not met.
    pub(crate) fn condition(text: impl Display) -> Self {
        Self {
            status: 4,
            text: text.to_string(),
        }
    }

    /// Something with a file.
    pub(crate) fn of_file(what: &str, path: impl Display, error: &io::Error) -> Self {
        Self::error(format!("{path} cannot be {what}: {error}"))
    }

    /// Says so, and with which status to end.
    pub(crate) fn tell(&self) -> ExitCode {
        let dot = if self.text.ends_with('.') { "" } else { "." };
        // There is nobody else to tell.
        let _ = writeln!(io::stderr(), "syncmapctl: {}{dot}", self.text);
        ExitCode::from(self.status)
    }
}

/// The status that fits an error, and what this program can do about it.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match &error {
            Error::NoSuchMap { name } => Self::not_found(format!(
                "{text}. \"syncmapctl list\" shows those that there are, and \"syncmapctl \
                 create {name}\" would make it"
            )),
            Error::MapExists { .. } => Self::condition(text),
            Error::MapAccess { name } => Self {
                status: 5,
                text: denied(name, text),
            },
            Error::DeviceAccess { .. } | Error::NotOwner { .. } => Self { status: 5, text },
            Error::NoDevice { .. } => Self { status: 6, text },
            Error::KeyLength { .. } | Error::ValueTooLong { .. } | Error::InvalidName { .. } => {
                Self::usage(text)
            }
            _ => Self::error(text),
        }
    }
}

/// Who may use the map, as everybody may know.
fn denied(name: &str, text: String) -> String {
    match syncmap_client::find(name) {
        Ok(map) => format!(
            "the map \"{name}\" does not permit this to you: it belongs to user {} and group {}, \
             and has the mode {:04o}. Become one of those who may, or have the map made with \
             another mode",
            map.uid, map.gid, map.mode
        ),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_statuses() {
        let name = || "n".to_string();
        for (error, status) in [
            (Error::Quota, 1),
            (Error::KeyLength { len: 0 }, 2),
            (Error::InvalidName { name: name() }, 2),
            (Error::NoSuchMap { name: name() }, 3),
            (Error::MapExists { name: name() }, 4),
            (Error::MapAccess { name: name() }, 5),
            (Error::NotOwner { name: name() }, 5),
            (
                Error::DeviceAccess {
                    path: "/dev/syncmap".into(),
                },
                5,
            ),
            (
                Error::NoDevice {
                    path: "/dev/syncmap".into(),
                },
                6,
            ),
        ] {
            assert_eq!(Failure::from(error.clone()).status, status, "{error}");
        }
    }
}
