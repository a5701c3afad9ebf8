//! The shape of the workspace is what ARCHITECTURE.md says: the arrows between crates, the paths it names, the core
//! without std, unsafe code only where it may be.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Which crates of ours each may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("tcp", &["wire"]),
    ("stack", &["wire", "tcp"]),
    ("device", &["wire"]),
    ("capture", &["wire"]),
    ("synfin", &["stack", "device", "capture"]),
    ("sim", &["stack", "capture"]),
    ("drill", &["stack", "capture"]),
    ("path", &["wire", "stack", "device", "sim"]),
    ("trace", &["wire", "tcp", "capture", "device"]),
    ("cli", &["wire", "tcp", "stack", "device", "capture", "synfin", "sim", "path", "trace", "drill"]),
];

fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut all = Vec::new();
    for l in manifest.lines() {
        if l.starts_with('[') {
            section = l;
        } else if section == "[dependencies]"
            && let Some(name) = l.split(['.', ' ', '=']).next().filter(|n| n.starts_with("synfin"))
        {
            all.push(name.strip_prefix("synfin-").unwrap_or("synfin").to_string());
        }
    }
    all
}

#[test]
fn the_arrows_between_crates_are_those_of_the_design() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for dir in fs::read_dir(root().join("crates")).unwrap() {
        let dir = dir.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the list of arrows"));
        for d in dependencies(&manifest) {
            assert!(may.contains(&d.as_str()), "{name} must not use {d}");
        }
    }
}

#[test]
fn the_core_has_no_std_and_no_unsafe_code() {
    for name in ["wire", "tcp", "stack"] {
        let lib = fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![no_std]") && lib.contains("#![forbid(unsafe_code)]"), "{name}");
    }
    for name in ["capture", "synfin", "sim", "path", "trace"] {
        let lib = fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{name}");
    }
}

/// Where something ambient may be read (clippy.toml): the clock of a driver or of a program, and the seed of a host.
const AMBIENT: [&str; 6] = [
    "crates/cli/src/clock.rs",
    "crates/cli/src/drill/mod.rs",
    "crates/path/src/run.rs",
    "crates/synfin/src/handle.rs",
    "crates/synfin/src/heartbeat/blocking.rs",
    "crates/synfin/src/sync.rs",
];

#[test]
fn nothing_ambient_is_read_but_where_it_may_be() {
    let banned = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for path in ["std::time::Instant::now", "std::thread::sleep", "std::hash::RandomState::new", "getrandom::fill"] {
        assert!(banned.contains(&format!("path = \"{path}\"")), "{path}");
    }
    let mut files = Vec::new();
    for dir in fs::read_dir(root().join("crates")).unwrap() {
        sources(&dir.unwrap().path().join("src"), &mut files);
    }
    files.retain(|f| fs::read_to_string(f).unwrap().contains("clippy::disallowed_methods"));
    files.sort();
    assert_eq!(files, AMBIENT.map(|f| root().join(f)));
}

#[test]
fn the_core_builds_without_std() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-std");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(root().join("tests/no-std/Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn every_path_that_architecture_md_names_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut n = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = word.contains('/') && !word.contains([' ', '<', '*', '{', ':']);
        if is_path {
            n += 1;
            assert!(root().join(word).exists(), "ARCHITECTURE.md names {word}, which is not there");
        }
    }
    assert!(n > 20, "only {n} paths are named");
}

/// All Rust sources of the workspace.
fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for e in fs::read_dir(dir).unwrap() {
        let path = e.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "corpus" && !name.starts_with('.') {
            sources(&path, all);
        } else if name.ends_with(".rs") {
            all.push(path);
        }
    }
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_and_seed_that_hostile_input_md_names_exists() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    let mut tests = std::collections::BTreeSet::new();
    for f in files {
        let text = fs::read_to_string(f).unwrap();
        for part in text.split("#[test]").skip(1) {
            let name = part.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
            tests.extend(name.map(str::to_string));
        }
        for block in text.split("proptest! {").skip(1) {
            let names = block.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            tests.extend(names.map(str::to_string));
        }
    }
    let doc = fs::read_to_string(root().join("docs/hostile-input.md")).unwrap();
    let mut n = 0;
    for line in doc.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| What ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, named, seeds] = cells[..] else { panic!("three columns: {line}") };
        assert!(in_backticks(named).next().is_some(), "no test: {line}");
        assert!(
            in_backticks(seeds).next().is_some() || seeds.trim().starts_with("none: "),
            "no seed and no reason: {line}"
        );
        for seed in in_backticks(seeds) {
            assert!(
                root().join("fuzz/seeds").join(seed).exists(),
                "docs/hostile-input.md names {seed}, which is no seed"
            );
        }
        for name in in_backticks(named) {
            n += 1;
            assert!(tests.contains(name), "docs/hostile-input.md names {name}, which is no test");
        }
    }
    assert!(n > 40, "only {n} tests are named");
}
