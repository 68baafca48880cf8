// SPDX-License-Identifier: GPL-2.0

//! Everything that the header defines is compared with what this crate knows of it. What the header
//! means is up to the C compiler: a program that prints all of it is made from the header's names.

use super::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process;

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/uapi");

/// What this crate knows.
fn ours() -> BTreeMap<String, u64> {
    let constants = [
        ("IOC_TYPE", IOC_TYPE.into()),
        ("KEY_MAX", KEY_MAX as u64),
        ("VALUE_MAX", VALUE_MAX as u64),
        ("BATCH_MAX", BATCH_MAX as u64),
        ("NAME_MAX", NAME_MAX as u64),
        ("RESULT_FOUND", RESULT_FOUND.into()),
        ("RESULT_STORED", RESULT_STORED.into()),
        ("RESULT_DELETED", RESULT_DELETED.into()),
        ("RANGE_END", RANGE_END.into()),
        ("ATTACH_CREATE", ATTACH_CREATE.into()),
        ("ATTACH_EXCL", ATTACH_EXCL.into()),
        ("ATTACH_CREATED", ATTACH_CREATED.into()),
    ];
    let constants = constants.map(|(name, value)| (format!("SYNCMAP_{name}"), value));
    let commands = Command::ALL.iter().flat_map(|&command| {
        let name = command.name();
        [
            (format!("SYNCMAP_CMD_{name}"), command as u64),
            (format!("SYNCMAP_IOC_{name}"), command.request().into()),
        ]
    });
    constants
        .into_iter()
        .chain(commands)
        .chain(layout())
        .collect()
}

/// An expression in C for each thing that the header defines.
fn expressions(header: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inside = None;
    for line in header.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), inside) {
            (["#define", name, _, ..] | ["#define", name, "\\"], _)
                if name.starts_with("SYNCMAP_") =>
            {
                found.insert(name.to_string(), name.to_string());
            }
            ([name] | [name, "=", _], _) if name.starts_with("SYNCMAP_CMD_") => {
                let name = name.trim_end_matches(',');
                found.insert(name.into(), name.into());
            }
            (["struct", name, "{"], _) => {
                found.insert(format!("struct {name}"), format!("sizeof(struct {name})"));
                inside = Some(*name);
            }
            (["};"], _) => inside = None,
            ([ty, member], Some(name)) if ty.starts_with("__") && member.ends_with(';') => {
                let member = member.trim_end_matches(';');
                let offset = format!("offsetof(struct {name}, {member})");
                found.insert(format!("{name}.{member}"), offset);
            }
            _ => {}
        }
    }
    found
}

/// What the header says, by way of the C compiler.
fn theirs() -> BTreeMap<String, u64> {
    let header = fs::read_to_string(Path::new(INCLUDE).join("linux/syncmap.h")).unwrap();
    let mut source = "#include <stddef.h>\n#include <stdio.h>\n#include <linux/syncmap.h>\n\
         int main(void)\n{\n"
        .to_string();
    for (name, expression) in expressions(&header) {
        writeln!(
            source,
            "printf(\"{name}\\t%llu\\n\", (unsigned long long)({expression}));"
        )
        .unwrap();
    }
    source.push_str("}\n");

    let dir = std::env::temp_dir().join(format!("syncmap-abi-{}", process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (file, program) = (dir.join("abi.c"), dir.join("abi"));
    fs::write(&file, source).unwrap();
    let compiled = process::Command::new("cc")
        .arg(format!("-I{INCLUDE}"))
        .args(["-Wall", "-Werror", "-o"])
        .args([&program, &file])
        .status()
        .unwrap();
    assert!(compiled.success());
    let output = process::Command::new(&program).output().unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once('\t').unwrap();
        (name.to_string(), value.parse().unwrap())
    };
    output.lines().map(pair).collect()
}

#[test]
fn everything_in_the_header_is_here_and_the_same() {
    let (ours, theirs) = (ours(), theirs());
    // Should the parser above be blind, both would agree on nothing.
    assert!(
        theirs.len() > 120,
        "only {} things in the header",
        theirs.len()
    );
    assert_eq!(ours, theirs);
}
