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
    ("trace", &["wire", "tcp", "capture", "device"]),
    ("cli", &["wire", "tcp", "stack", "device", "capture", "synfin", "sim", "trace"]),
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
    for name in ["capture", "synfin", "sim", "trace"] {
        let lib = fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{name}");
    }
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
