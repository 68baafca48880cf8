// SPDX-License-Identifier: GPL-2.0

//! Writes the list of modules, by what `src/lib.rs` of the source says, with their full paths.
//!
//! The source is that of this checkout, or another copy of its `src`, which SYNCMAP_SOURCE names.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Of those, the model has its own ...
const OWN: &[&str] = &["atomic"];
/// ... and of these none: they only call the module's C API.
const NONE: &[&str] = &["named"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"));
    println!("cargo::rerun-if-env-changed=SYNCMAP_SOURCE");
    let source = match env::var_os("SYNCMAP_SOURCE").filter(|source| !source.is_empty()) {
        Some(source) => PathBuf::from(source),
        None => here.join("../../../src"),
    };
    let source = source
        .canonicalize()
        .expect("SYNCMAP_SOURCE is the path of a copy of src");
    println!("cargo::rerun-if-changed={}", source.display());

    let root = fs::read_to_string(source.join("lib.rs")).expect("src/lib.rs");
    let mut modules = String::new();
    for line in root.lines().map(str::trim) {
        if line.starts_with("pub use ") {
            modules += &format!("{line}\n");
        }
        let declared = line
            .strip_prefix("pub ")
            .unwrap_or(line)
            .strip_prefix("mod ");
        let Some(name) = declared.and_then(|rest| rest.strip_suffix(';')) else {
            continue;
        };
        if NONE.contains(&name) {
            continue;
        }
        let file = match OWN.contains(&name) {
            true => here.join("src").join(format!("{name}.rs")),
            false => file_of(&source, name),
        };
        modules += &format!("#[path = {file:?}]\n{line}\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("run by cargo"));
    fs::write(out.join("modules.rs"), modules).expect("OUT_DIR is writable");

    // As the KUnit suites: directory nodes of four slots.
    println!("cargo::rustc-cfg=syncmap_small_nodes");
    println!("cargo::rustc-check-cfg=cfg(syncmap_small_nodes)");
}

fn file_of(source: &Path, name: &str) -> PathBuf {
    let file = source.join(format!("{name}.rs"));
    match file.exists() {
        true => file,
        false => source.join(name).join("mod.rs"),
    }
}
