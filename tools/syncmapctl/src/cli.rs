// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::format::Format;

/// The head of options that all commands have.
const COMMON: &str = "Options of all commands";

/// What the exit status says; also a part of the manual.
pub(crate) const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "all is well"),
    (
        "1",
        "an error; a sentence on standard error says what to do",
    ),
    ("2", "wrong usage"),
    ("3", "there is no such key, or no such map"),
    (
        "4",
        "a condition is not met: the value is another one, or there is one already",
    ),
    ("5", "permission denied, by the device or by the map"),
    ("6", "there is no device: the module is not loaded"),
    ("130", "an import or export was interrupted"),
];

fn exit_status() -> String {
    let rows = EXIT_STATUS
        .iter()
        .map(|(status, text)| format!("  {status:<4} {text}"));
    format!("Exit status:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

/// The formats of keys and values, and what they mean.
pub(crate) fn formats() -> impl Iterator<Item = (String, String)> {
    let values = Format::value_variants().iter();
    values.filter_map(Format::to_possible_value).map(|value| {
        let help = value.get_help().map(ToString::to_string);
        (value.get_name().to_string(), help.unwrap_or_default())
    })
}

fn formats_and_exit_status() -> String {
    let rows = formats().map(|(name, help)| format!("  {name:<8} {help}"));
    let rows = rows.collect::<Vec<_>>().join("\n");
    format!("Formats of keys and values:\n{rows}\n\n{}", exit_status())
}

/// Show and change the named maps of the kernel module syncmap
///
/// A map has a name, an owner and permissions, like a file. Keys have 1 to 512 bytes, values at most
/// 65536. Maps live until they are unlinked, or the module goes.
#[derive(Parser)]
#[command(version, max_term_width = 80)]
#[command(after_help = exit_status(), after_long_help = formats_and_exit_status())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) formats: Formats,
    #[command(flatten)]
    pub(crate) style: Style,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How keys and values are written, here and on output.
#[derive(Args, Clone, Copy)]
pub(crate) struct Formats {
    /// How keys are written: text, hex, u32, ... (all of them: syncmapctl --help)
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    #[arg(hide_possible_values = true, help_heading = COMMON)]
    pub(crate) key_as: Format,
    /// How values are written, in the same formats
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    #[arg(hide_possible_values = true, help_heading = COMMON)]
    pub(crate) value_as: Format,
}

#[derive(Args)]
pub(crate) struct Style {
    /// Write JSON
    ///
    /// Text that is no UTF-8 is written as {"hex": "00ff"}, and read as such.
    #[arg(long, short, global = true, help_heading = COMMON)]
    pub(crate) json: bool,
    /// Write JSON for people to read
    #[arg(long, short, global = true, help_heading = COMMON)]
    pub(crate) pretty: bool,
}

/// A value on the command line, or elsewhere.
#[derive(Args)]
pub(crate) struct Value {
    /// The value
    #[arg(allow_negative_numbers = true, required_unless_present = "value_file")]
    pub(crate) value: Option<OsString>,
    /// Take the bytes of this file as they are; "-" is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) value_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the maps that have names, or show what is known of one
    #[command(visible_alias = "show")]
    List {
        /// The map
        name: Option<String>,
    },
    /// Make a map
    Create {
        /// Its name: 1 to 63 letters, digits and . _ - : and no dot in front
        name: String,
        /// Its permissions, in octal; the umask does not apply
        #[arg(long, short, default_value = "0600", value_parser = mode)]
        mode: u32,
        /// No error if there is a map of the name, which stays as it is
        #[arg(long)]
        exist_ok: bool,
    },
    /// Show all keys and values of a map
    ///
    /// A line for each key: the key, a tab, the value, written as by export. On a terminal, lines
    /// are cut to its width.
    Dump {
        /// The map
        name: String,
        /// Show so many keys at most
        #[arg(long, short = 'n', value_name = "KEYS")]
        limit: Option<u64>,
        /// Cut no lines
        #[arg(long)]
        full: bool,
    },
    /// Show the value of a key
    Get {
        /// The map
        name: String,
        /// The key
        #[arg(allow_negative_numbers = true)]
        key: OsString,
        /// Write the bytes of the value as they are, and nothing else
        #[arg(long)]
        raw: bool,
    },
    /// Set the value of a key
    Set {
        /// The map
        name: String,
        /// The key
        #[arg(allow_negative_numbers = true)]
        key: OsString,
        #[command(flatten)]
        value: Value,
        /// Only if the key has no value yet; else the exit status is 4
        #[arg(long)]
        if_absent: bool,
    },
    /// Delete keys
    ///
    /// If one of them is not in the map, the others are deleted nevertheless, and the exit status
    /// is 3.
    Del {
        /// The map
        name: String,
        /// The keys
        #[arg(allow_negative_numbers = true, required = true, value_name = "KEY")]
        keys: Vec<OsString>,
        /// Only if this is their value; else the exit status is 4
        #[arg(long = "if", value_name = "VALUE", allow_negative_numbers = true)]
        only_if: Option<OsString>,
    },
    /// Set the value of a key, and show the previous one
    Swap {
        /// The map
        name: String,
        /// The key
        #[arg(allow_negative_numbers = true)]
        key: OsString,
        #[command(flatten)]
        value: Value,
    },
    /// Set the value of a key if the present one is OLD
    ///
    /// Compare and swap: if the key has another value, the exit status is 4; if it has none, 3.
    Cas {
        /// The map
        name: String,
        /// The key
        #[arg(allow_negative_numbers = true)]
        key: OsString,
        /// What its value must be
        #[arg(allow_negative_numbers = true)]
        old: OsString,
        /// Its new value
        #[arg(allow_negative_numbers = true)]
        new: OsString,
    },
    /// Delete all keys of a map, at one instant
    Clear {
        /// The map
        name: String,
    },
    /// Take the names of maps away
    ///
    /// A map lives on for those who use it, and is freed after the last of them.
    Unlink {
        /// The maps
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Store keys and values from a file
    Import(Import),
    /// Write all keys and values to a file
    ///
    /// Each key comes once; a key that is changed meanwhile may come with either value. The file
    /// appears when it is complete.
    Export {
        /// The map
        name: String,
        /// The file; standard output if it is missing or "-"
        file: Option<PathBuf>,
        /// What it is made of: tsv or jsonl [default: tsv, or with --json jsonl]
        #[arg(long, short, value_enum)]
        format: Option<FileFormat>,
    },
    /// Show counters of a map
    Stats {
        /// The map
        name: String,
    },
    /// Show how the counters of a map change, until it is interrupted
    Watch {
        /// The map
        name: String,
        /// Seconds between two lines
        #[arg(long, short, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
        interval: Duration,
        /// End after so many lines
        #[arg(long, short = 'n', value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// Write completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual
    #[command(hide = true)]
    Man,
}

#[derive(Args)]
#[command(long_about = "Store keys and values from a file\n\n\
    Lines are stored in their order, many in one system call. Each key is stored by itself, not all \
    at once: others may see a part of them. At the first line that cannot be read, the lines in \
    front of it are stored, and no others. If the map refuses a key, for instance because it is \
    full, up to 4095 lines behind it may have been stored. An import can simply be repeated.")]
pub(crate) struct Import {
    /// The map
    pub(crate) name: String,
    /// The file; standard input if it is missing or "-"
    pub(crate) file: Option<PathBuf>,
    /// What it is made of: tsv or jsonl [default: tsv, or with --json jsonl]
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<FileFormat>,
    /// Make the map if there is none
    #[arg(long)]
    pub(crate) create: bool,
    /// The permissions of a map that is made, in octal; the umask does not apply
    #[arg(long, short, default_value = "0600", value_parser = mode, requires = "create")]
    pub(crate) mode: u32,
    /// Leave keys as they are that have a value
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// Go on behind lines that cannot be stored; in the end, the exit status is 1
    #[arg(long)]
    pub(crate) keep_going: bool,
}

/// What is in a file.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FileFormat {
    /// A line for each key: the key, a tab, the value; what is not printable is escaped
    Tsv,
    /// A line for each key: {"key": "...", "value": "..."}
    Jsonl,
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) if !text.starts_with('+') => Ok(mode),
        _ => Err("permissions are an octal number from 0 to 0777, such as 0640".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.01..=86400.0).contains(seconds));
    let seconds = seconds.ok_or("give a number of seconds from 0.01 to 86400")?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0640"), Ok(0o640));
        assert_eq!(mode("0"), Ok(0));
        for bad in ["", "0o640", "1000", "8", "-1", "+7", "rw-"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn intervals_end() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
