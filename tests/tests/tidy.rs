//! The house, kept: who may import whom, how long a file is, what must not stand in one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import which of our crates (docs/ARCHITECTURE.md has the reasons).
const ARROWS: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("proto", &[]),
    ("xtask", &[]),
    ("record", &["model"]),
    ("atlas", &["model"]),
    ("engine", &["model"]),
    ("store", &["model", "record", "engine"]),
    ("node", &["model", "record", "engine", "store"]),
    ("web", &["model", "store", "node"]),
    ("cli", &["model", "store", "node", "web"]),
    ("chapter-node", &["model", "atlas", "store", "node", "web", "cli"]),
    ("hub-node", &["model", "atlas", "store", "node", "web", "cli"]),
    ("tests", &["model", "record", "atlas", "engine", "store", "node", "web", "cli", "chapter-node", "hub-node"]),
];
/// A library that only one crate may import.
const ALONE: [(&str, &str); 6] = [
    ("automerge", "record"),
    ("rusqlite", "store"),
    ("tonic", "node"),
    ("tonic-prost", "node"),
    ("rustls", "node"),
    ("rcgen", "node"),
];
/// A file is one idea.
const LINES_MAX: usize = 600;
const DRAWERS: [&str; 5] = ["common", "utils", "types", "helpers", "core"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifests() -> BTreeMap<String, String> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.extend(["proto", "chapter-node", "hub-node", "tests"].map(|name| root().join(name)));
    let named = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(folder.join("Cargo.toml")).unwrap())
    };
    folders.into_iter().map(named).collect()
}

/// The names under `[dependencies]`, and under `[dev-dependencies]` where asked for.
fn dependencies(manifest: &str, dev: Option<()>) -> Vec<String> {
    let mut names = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line == "[dependencies]" || (dev.is_some() && line == "[dev-dependencies]");
        } else if counts && let Some(name) = line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()) {
            names.push(name.to_owned());
        }
    }
    names
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = ["crates", "proto", "chapter-node", "hub-node", "tests", "fuzz/fuzz_targets"]
        .map(|name| root().join(name))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let generated = path.ends_with("crates/node/src/wire");
            if path.is_dir() && !generated && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 60, "the sources are found");
    found
}

#[test]
fn arrows_point_up_the_table_only() {
    let manifests = manifests();
    let ours: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        manifests.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        ours.iter().copied().collect()
    );
    for (name, allowed) in ARROWS {
        for dependency in dependencies(&manifests[name], None) {
            let known = ours.contains(&dependency.as_str());
            assert!(!known || allowed.contains(&dependency.as_str()), "{name} may not import {dependency}");
        }
        assert!(!DRAWERS.contains(&name), "{name} is a drawer, not a crate");
    }
}

#[test]
fn some_libraries_are_imported_by_one_crate_alone() {
    for (name, manifest) in manifests() {
        for (library, owner) in ALONE {
            let imports = dependencies(&manifest, Some(())).iter().any(|dependency| dependency == library);
            assert!(!imports || name == owner || name == "tests", "{name} imports {library}, which only {owner} may");
        }
    }
}

#[test]
fn every_file_is_one_idea_and_says_which() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; {LINES_MAX} are an idea", path.display());
        assert!(text.starts_with("//!"), "{} does not open with what it is for", path.display());
    }
}

#[test]
fn nothing_unfinished_and_no_waiting_by_the_clock() {
    // Put together here, so that this file does not find itself.
    let marks = ["to", "do!("].concat();
    let marks = [marks, ["unimplemen", "ted!("].concat(), ["#[ig", "nore"].concat(), ["FIX", "ME"].concat()];
    let sleeps = [["thread::sl", "eep"].concat(), ["time::sl", "eep"].concat()];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} has {mark}", path.display());
        }
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        for sleep in sleeps.iter().filter(|_| is_test) {
            assert!(!text.contains(sleep.as_str()), "{} waits by the clock: wait for a condition", path.display());
        }
    }
}

#[test]
fn the_gazetteer_is_attributed() {
    let readme = fs::read_to_string(root().join("crates/atlas/data/README.md")).unwrap();
    assert!(readme.contains("GeoNames") && readme.contains("Attribution 4.0"));
}
