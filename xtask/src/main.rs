//! `cargo xtask`: checks that read the sources, and the pages of `docs/` that are made from them.
#![forbid(unsafe_code)]
#![allow(unreachable_pub)] // a program has no outside

mod compliance;
mod evidence;
mod faults;
mod long_runs;
mod mutants;
mod scripts;

use clap::{Parser, Subcommand};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks and pages of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that each requirement is cited where it is obeyed and where it is proved, and write docs/compliance.md
    Compliance(Pages),
    /// Check that each state meets each event in a script, and write docs/scripts.md
    Scripts(Pages),
    /// Put seeded faults into a copy of the sources, one by one, and see that the judge named for each finds it
    Faults(faults::Args),
    /// Change the sources at many places (cargo-mutants) and see which changes no test finds
    Mutants(mutants::Args),
    /// Say what is to be kept of logs of the fuzzer in docs/long-runs.toml
    FuzzReport(long_runs::Report),
    /// Run all the evidence and write docs/evidence.md
    Evidence(evidence::Args),
}

#[derive(Debug, clap::Args)]
struct Pages {
    /// Only check; the page must be as it would be written
    #[arg(long)]
    check: bool,
}

/// What is wrong, for people.
type Result<T> = std::result::Result<T, String>;

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// All files under `dir` whose name ends with one of `ends`, in order, by their path from the root.
fn files(dir: &str, ends: &[&str]) -> Result<Vec<String>> {
    fn walk(dir: &Path, ends: &[&str], all: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for e in fs::read_dir(dir)? {
            let path = e?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != "corpus" {
                    walk(&path, ends, all)?;
                }
            } else if ends.iter().any(|end| name.ends_with(end)) {
                all.push(path);
            }
        }
        Ok(())
    }
    let mut all = Vec::new();
    walk(&root().join(dir), ends, &mut all).map_err(|e| format!("{dir}: {e}"))?;
    let name = |p: PathBuf| p.strip_prefix(root()).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let mut names: Vec<String> = all.into_iter().map(name).collect();
    names.sort();
    Ok(names)
}

/// Writes a page, or with `check` compares it.
fn page(name: &str, text: &str, check: bool) -> Result<()> {
    let path = root().join("docs").join(name);
    if !check {
        return fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()));
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    if there == text { Ok(()) } else { Err(format!("docs/{name} is not up to date: run cargo xtask without --check")) }
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compliance(p) => compliance::run(p.check),
        Command::Scripts(p) => scripts::run(p.check),
        Command::Faults(a) => faults::run(&a),
        Command::Mutants(a) => mutants::run(&a),
        Command::FuzzReport(a) => long_runs::report(&a),
        Command::Evidence(a) => evidence::run(&a),
    };
    match done {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_requirement_is_cited_or_excepted_and_the_page_is_up_to_date() {
        if let Err(e) = super::compliance::run(true) {
            panic!("{e}");
        }
    }

    #[test]
    fn every_state_meets_every_event_and_the_page_is_up_to_date() {
        if let Err(e) = super::scripts::run(true) {
            panic!("{e}");
        }
    }
}
