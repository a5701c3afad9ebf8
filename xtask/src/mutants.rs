//! Mutation testing of what judges segments, timers and the receiving half, by cargo-mutants.

use crate::{Result, root};
use std::process::Command;

/// What is changed where.
const FILES: [&str; 3] = ["crates/tcp/src/arrives/**", "crates/tcp/src/timeout/**", "crates/tcp/src/rcv/**"];

/// Which sample.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The part of all changes to try, as K/N: the K-th of N, from 0
    #[arg(long, default_value = "0/3")]
    shard: String,
    /// Only list them
    #[arg(long)]
    list: bool,
}

/// Runs cargo-mutants.
pub fn run(args: &Args) -> Result<String> {
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
        Some(0 | 2 | 3) => Ok(summary()),
        _ => Err(format!("cargo mutants: {status}")),
    }
}

/// What the last run found, if there was one.
pub fn summary() -> String {
    let count = |name: &str| {
        let path = root().join("target/mutants.out").join(name);
        std::fs::read_to_string(path).map_or(0, |t| t.lines().filter(|l| !l.is_empty()).count())
    };
    let (caught, missed, timeout) = (count("caught.txt"), count("missed.txt"), count("timeout.txt"));
    let tried = caught + missed + timeout;
    if tried == 0 {
        return "no changes tried (cargo xtask mutants)".into();
    }
    let killed = 100.0 * (caught + timeout) as f64 / tried as f64;
    format!("{tried} changes tried, {} found, {missed} missed: {killed:.1} % killed", caught + timeout)
}
