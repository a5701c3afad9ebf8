//! Mutation testing of what judges segments, timers and the receiving half, by cargo-mutants.

use crate::{Result, root};
use std::process::Command;

/// What is changed where.
const FILES: [&str; 3] = ["crates/tcp/src/arrives/**", "crates/tcp/src/timeout/**", "crates/tcp/src/rcv/**"];

/// Which sample.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The part of all changes to try, as K/N: the K-th of N, from 0
    #[arg(long, default_value = "0/4")]
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
    let mut c = Command::new(env!("CARGO"));
    c.current_dir(root()).arg("mutants").args(["--package", "synfin-tcp"]);
    FILES.iter().for_each(|f| {
        c.args(["--file", f]);
    });
    c.args(["--shard", &args.shard, "--sharding", "round-robin"]);
    if args.list {
        c.arg("--list");
    } else {
        // The engine's own tests, those of the host, and the scripts. In the dev profile, as all tests.
        c.args(["--test-package", "synfin-tcp", "--test-package", "synfin-stack", "--test-package", "synfin-drill"]);
        c.args(["--timeout", "25", "--baseline", "skip", "--output", "target"]);
    }
    let status = c.status().map_err(|e| format!("cargo mutants: {e} (cargo install cargo-mutants --locked)"))?;
    // 2: some were missed; they are listed in target/mutants.out/missed.txt. 3: some did not end in time, which is as good as found.
    match status.code() {
        Some(0 | 2 | 3) if args.list => Ok(String::new()),
        Some(0 | 2 | 3) => page_of_the_last(&args.shard),
        _ => Err(format!("cargo mutants: {status}")),
    }
}

/// Writes docs/mutants.md of the last run: how many were found, and each that was not.
fn page_of_the_last(shard: &str) -> Result<String> {
    let lines = |name: &str| -> Vec<String> {
        let path = root().join("target/mutants.out").join(name);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter(|l| !l.is_empty()).map(str::to_string).collect()
    };
    let (caught, missed, timeout) = (lines("caught.txt").len(), lines("missed.txt"), lines("timeout.txt").len());
    let tried = caught + missed.len() + timeout;
    if tried == 0 {
        return Err("no changes were tried".into());
    }
    let killed = 100.0 * (caught + timeout) as f64 / tried as f64;
    let words =
        format!("{tried} changes tried, {} found, {} missed: {killed:.1} % killed", caught + timeout, missed.len());
    let mut s = format!(
        "# Changes at random\n\nMade by `cargo xtask mutants --shard {shard}`: cargo-mutants changes `tcp/arrives`, `tcp/timeout` and \
         `tcp/rcv`, one thing at a\ntime, and the tests of `tcp`, of `stack` and of `drill` are asked. Another `--shard K/N` takes another \
         sample.\n\n{words}. What does not compile is not counted.\n\nNot found:\n\n"
    );
    missed.iter().for_each(|m| s += &format!("- `{m}`\n"));
    crate::page("mutants.md", &s, false)?;
    Ok(words)
}
