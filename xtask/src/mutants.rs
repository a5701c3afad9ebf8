//! Mutation testing of what judges segments, timers and the receiving half, by cargo-mutants.
//!
//! In two passes, for the engine's own tests are built and run in a fraction of the time that those of the host and the
//! scripts take, and find nearly everything: only what they miss is shown to the others.

use crate::{Result, root};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

/// What is changed where.
const FILES: [&str; 3] = ["crates/tcp/src/arrives/**", "crates/tcp/src/timeout/**", "crates/tcp/src/rcv/**"];
/// Who is asked first, and who is asked about the rest.
const PASSES: [&[&str]; 2] = [&["synfin-tcp"], &["synfin-stack", "synfin-drill"]];
/// Fewer are no sample.
const LEAST: usize = 200;
/// Seconds that the tests may take: several times what they take on what is right. One that does not end has found it.
const TIMEOUT: &str = "30";

/// Which sample.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The part of all changes to try, as K/N: the K-th of N, from 0
    #[arg(long, default_value = "0/3")]
    shard: String,
    /// Only list them
    #[arg(long)]
    list: bool,
    /// Only write the page of the last run
    #[arg(long)]
    page: bool,
}

/// Runs cargo-mutants.
pub fn run(args: &Args) -> Result<String> {
    if args.page {
        return page_of_the_last(&args.shard);
    }
    let shard = ["--shard", &args.shard, "--sharding", "round-robin"];
    if args.list {
        let mut list = command(&[&shard[..], &["--list"]].concat());
        return done(list.status()).map(|()| String::new());
    }
    // A later pass leaves out what an earlier one of this run has found, and nothing that another run has.
    for old in [last(), first(), root().join("target/mutants.out.old")] {
        match fs::remove_dir_all(&old) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(format!("{}: {e}", old.display())),
            _ => {}
        }
    }
    for (n, packages) in PASSES.iter().enumerate() {
        let mut with = vec!["--profile", "mutants", "--timeout", TIMEOUT, "--output", "target"];
        packages.iter().for_each(|p| with.extend(["--test-package", p]));
        // Examples in the documentation take seconds to build, and judge nothing here.
        with.push("--cargo-test-arg=--tests");
        // The shard is taken of what is left, so in the second pass all that is not left is named instead.
        with.extend(if n == 0 { &shard[..] } else { &["--iterate", "--baseline", "skip"] });
        if n > 0 {
            sound(packages)?;
        }
        done(command(&with).status())?;
        if n == 0 {
            keep_the_first()?;
            if names(&first(), &["missed.txt"]).is_empty() {
                break;
            }
        }
    }
    page_of_the_last(&args.shard)
}

/// Tests that fail without any change find nothing. cargo-mutants looks only at those of the package that it changes.
fn sound(packages: &[&str]) -> Result<()> {
    let mut c = Command::new(env!("CARGO"));
    c.current_dir(root()).args(["test", "--quiet", "--profile", "mutants", "--tests"]);
    packages.iter().for_each(|p| {
        c.args(["--package", p]);
    });
    match c.status() {
        Ok(s) if s.success() => Ok(()),
        Ok(_) => Err(format!("the tests of {} fail without any change", packages.join(" and "))),
        Err(e) => Err(format!("cargo: {e}")),
    }
}

fn command(with: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO"));
    c.current_dir(root()).arg("mutants").args(["--package", "synfin-tcp"]);
    FILES.iter().for_each(|f| {
        c.args(["--file", f]);
    });
    c.args(with);
    c
}

fn done(status: io::Result<ExitStatus>) -> Result<()> {
    let status = status.map_err(|e| format!("cargo mutants: {e} (cargo install cargo-mutants --locked)"))?;
    // 2: some were missed. 3: some did not end in time, which is as good as found. 4: the tests fail without any change.
    match status.code() {
        Some(0 | 2 | 3) => Ok(()),
        _ => Err(format!("cargo mutants: {status}")),
    }
}

/// Where cargo-mutants says what it found.
fn last() -> PathBuf {
    root().join("target/mutants.out")
}

/// Where that of the first pass is kept.
fn first() -> PathBuf {
    root().join("target/mutants.first")
}

/// Keeps what the first pass found, and has the second leave out all changes but those that the first has missed.
fn keep_the_first() -> Result<()> {
    let (from, to) = (last(), first());
    let failed = |e: io::Error| format!("{}: {e}", to.display());
    fs::create_dir_all(&to).map_err(failed)?;
    for name in ["caught.txt", "timeout.txt", "missed.txt"] {
        fs::copy(from.join(name), to.join(name)).map_err(failed)?;
    }
    let missed = names(&to, &["missed.txt"]);
    let all = command(&["--list"]).output().map_err(failed)?;
    let all = String::from_utf8_lossy(&all.stdout);
    let others: String = all.lines().filter(|n| !missed.contains(*n)).map(|n| format!("{n}\n")).collect();
    fs::write(from.join("caught.txt"), others).map_err(failed)
}

/// The changes that stand in files of cargo-mutants' output.
fn names(dir: &Path, files: &[&str]) -> BTreeSet<String> {
    let text = |name: &&str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    files.iter().map(text).flat_map(|t| t.lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

/// Writes docs/mutants.md of the last run: how many were found, and each that was not.
fn page_of_the_last(shard: &str) -> Result<String> {
    let (first, last) = (first(), last());
    let own = names(&first, &["caught.txt", "timeout.txt"]);
    let missed = names(&last, &["missed.txt"]);
    let found: BTreeSet<_> = own.union(&names(&last, &["caught.txt", "timeout.txt"])).cloned().collect();
    // What the first pass missed and the second did not come to: it was broken off.
    let open = names(&first, &["missed.txt"]).iter().filter(|n| !found.contains(*n) && !missed.contains(*n)).count();
    if open > 0 {
        return Err(format!("the last run was broken off: {open} changes were not shown to every test"));
    }
    let tried = found.len() + missed.len();
    let killed = 100.0 * found.len() as f64 / tried.max(1) as f64;
    let shard_of = ["--shard", shard, "--sharding", "round-robin", "--list"];
    let drawn = command(&shard_of).output().map_err(|e| format!("cargo mutants: {e}"))?;
    let drawn = String::from_utf8_lossy(&drawn.stdout).lines().count();
    let words = format!(
        "{drawn} changes drawn, {tried} of which compile; {} found ({} by the engine's own tests), {} missed: {killed:.1} % killed",
        found.len(),
        own.len(),
        missed.len()
    );
    let list: String = missed.iter().map(|m| format!("- `{m}`\n")).collect();
    if drawn < LEAST {
        return Err(format!(
            "{words}\n{list}a sample of fewer than {LEAST} shows little: docs/mutants.md stays as it is"
        ));
    }
    let s = format!(
        "# Changes at random\n\nMade by `cargo xtask mutants --shard {shard}`: cargo-mutants changes `tcp/arrives`, `tcp/timeout` and \
         `tcp/rcv`, one thing at a\ntime. The tests of `tcp` are asked, and about what they miss those of `stack` and of `drill`, with \
         all scripts. Another\n`--shard K/N` takes another sample.\n\n{words} of those that compile.\n\nNot \
         found:\n\n{list}"
    );
    crate::page("mutants.md", &s, false)?;
    Ok(words)
}
