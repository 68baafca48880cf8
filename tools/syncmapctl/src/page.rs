// SPDX-License-Identifier: GPL-2.0

//! The manual, `docs/syncmapctl.8`.

use clap::CommandFactory;
use clap_mangen::roff::{bold, roman, Roff};
use clap_mangen::Man;
use std::io::{self, Write};

use crate::cli::{formats, Cli, EXIT_STATUS};
use crate::failure::Failure;

const FORMATS: &str = "In files of TSV, and in what dump and get show, keys and values of the formats \
    text and escaped are written with \\t for a tab, \\n for a newline, \\r for a carriage return, \
    \\\\ for a backslash, and \\xNN for any other byte that cannot be printed. So a line is a key, a \
    tab and a value, and what export writes, import reads, whatever the bytes are. Empty lines mean \
    nothing, and a line may end as in DOS.";

const JSON: &str = "In JSON, text is a string if it is UTF-8, else an object with the bytes in \
    hexadecimal digits: {\"hex\": \"00ff\"}. Such an object is understood whatever the format is. \
    Numbers are numbers; those above 2^53 are exact here, but not in all programs.";

const EXAMPLES: &[(&str, &str)] = &[
    (
        "A map that a group may read, of addresses and reasons:",
        "syncmapctl create -m 0640 blocklist",
    ),
    ("", "syncmapctl -k ipv4 set blocklist 192.0.2.1 spam"),
    ("", "syncmapctl -k ipv4 dump blocklist"),
    (
        "A counter of 8 bytes, raised if nobody else has done so:",
        "syncmapctl -v u64 cas stats hits 41 42",
    ),
    (
        "A copy of a map, and back:",
        "syncmapctl export sessions sessions.tsv",
    ),
    ("", "syncmapctl import --create sessions sessions.tsv"),
    (
        "A value from a file, and back:",
        "syncmapctl set config logo --value-file logo.png",
    ),
    ("", "syncmapctl get config logo --raw >logo.png"),
    (
        "Completions for bash:",
        "syncmapctl completions bash >/etc/bash_completion.d/syncmapctl",
    ),
];

/// Writes the manual.
pub(crate) fn page() -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    write(&mut page).map_err(|error| Failure::error(format!("no manual: {error}")))?;
    Ok(page)
}

fn write(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".\\\" SPDX-License-Identifier: GPL-2.0")?;
    writeln!(
        page,
        ".\\\" Made by scripts/tools.sh docs from what the program says of itself."
    )?;
    // No width, no help of each command's help, and no date: the same everywhere and always.
    let mut cli = Cli::command()
        .disable_help_subcommand(true)
        .term_width(1000);
    cli.build();
    let version = format!("syncmapctl {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(cli.clone())
        .section("8")
        .source(version)
        .manual("syncmap");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    roff.to_writer(page)?;
    for verb in cli.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let mut roff = Roff::new();
        let aliases: Vec<_> = verb.get_visible_aliases().collect();
        let aliases = match aliases.as_slice() {
            [] => String::new(),
            aliases => format!(" (or {})", aliases.join(", ")),
        };
        roff.control("SS", [format!("{}{aliases}", verb.get_name()).as_str()]);
        let about = verb.get_long_about().or(verb.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let mut parts = about
            .split("\n\n")
            .map(str::trim)
            .filter(|part| !part.is_empty());
        if let Some(first) = parts.next() {
            roff.text([roman(first), roman(".")]);
        }
        for part in parts {
            roff.control("PP", []);
            roff.text([roman(part)]);
        }
        roff.control("PP", []);
        let usage = verb.clone().render_usage().to_string();
        roff.text([bold(usage.trim_start_matches("Usage: "))]);
        for argument in verb.get_arguments() {
            // Those of all commands are above.
            if argument.is_global_set() || argument.get_id() == "help" {
                continue;
            }
            roff.control("TP", []);
            roff.text([bold(title(argument))]);
            let help = argument.get_long_help().or(argument.get_help());
            let mut help = help.map(ToString::to_string).unwrap_or_default();
            let values = argument.get_default_values();
            if let ([value], true) = (values, argument.get_action().takes_values()) {
                help.push_str(&format!(" [default: {}]", value.to_string_lossy()));
            }
            roff.text([roman(help)]);
        }
        roff.to_writer(page)?;
    }

    let mut roff = Roff::new();
    roff.control("SH", ["FORMATS"]);
    for (name, help) in formats() {
        roff.control("TP", ["10"]);
        roff.text([bold(name)]);
        roff.text([roman(help)]);
    }
    roff.control("PP", []);
    roff.text([roman(FORMATS)]);
    roff.control("PP", []);
    roff.text([roman(JSON)]);
    roff.control("SH", ["EXIT STATUS"]);
    for (status, text) in EXIT_STATUS {
        roff.control("TP", []);
        roff.text([bold(*status)]);
        roff.text([roman(*text)]);
    }
    roff.control("SH", ["FILES"]);
    roff.control("TP", []);
    roff.text([bold("/dev/syncmap")]);
    roff.text([roman(
        "The device. Who may open it may list all names, and make maps; each map decides who may use it.",
    )]);
    roff.control("SH", ["EXAMPLES"]);
    for (text, command) in EXAMPLES {
        if !text.is_empty() {
            roff.control("PP", []);
            roff.text([roman(*text)]);
        }
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.text([roman(*command)]);
        roff.control("RE", []);
    }
    roff.to_writer(page)
}

/// An argument, as it is written.
fn title(argument: &clap::Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    let value = match argument.get_action().takes_values() {
        true => value,
        false => String::new(),
    };
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    match (names.as_slice(), value.as_str()) {
        ([], value) => value.into(),
        (names, "") => names.join(", "),
        (names, value) => format!("{} {value}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_manual() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        for verb in Cli::command()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
        {
            let heads = [".SS ", ".SS \""].map(|head| format!("{head}{}", verb.get_name()));
            assert!(
                heads.iter().any(|head| page.contains(head)),
                "{}",
                verb.get_name()
            );
        }
        for (status, text) in EXIT_STATUS {
            assert!(
                page.contains(status) && page.contains(&text[..10]),
                "{status}"
            );
        }
    }
}
