//! Faults put in on purpose: does the judge that is named for each find it?

use crate::{Result, read, root};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Which, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the faults whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Debug, Deserialize)]
struct Faults {
    fault: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    name: String,
    file: String,
    from: String,
    to: String,
    judge: String,
}

/// The tests that a judge consists of.
fn command(judge: &str) -> Option<&'static [&'static str]> {
    Some(match judge {
        "scripts" => &["-p", "synfin-drill", "--test", "corpus"],
        "engine" => &["-p", "synfin-tcp"],
        "host" => &["-p", "synfin-stack"],
        "explorer" => &["-p", "synfin-sim", "explore"],
        "simulation" => &["-p", "synfin-sim", "bulk"],
        _ => return None,
    })
}

fn git(args: &[&str]) -> Result<()> {
    let s = Command::new("git").current_dir(root()).args(args).output().map_err(|e| format!("git: {e}"))?;
    if s.status.success() { Ok(()) } else { Err(format!("git: {}", String::from_utf8_lossy(&s.stderr).trim())) }
}

/// A copy of what is committed, taken away again when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Result<Copy> {
        let at = root().join("target/faults");
        let name = at.to_string_lossy().into_owned();
        let _ = git(&["worktree", "remove", "--force", &name]);
        git(&["worktree", "add", "--detach", &name, "HEAD"])?;
        Ok(Copy(at))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = git(&["worktree", "remove", "--force", &self.0.to_string_lossy()]);
    }
}

/// Whether the tests pass. What they are built of is built first: only they have a time to keep.
fn judge(copy: &Path, with: &[&str]) -> Result<bool> {
    let built = cargo(Command::new(env!("CARGO")).args(["test", "--quiet", "--no-run"]).args(with), copy)?;
    if !built.status.success() {
        return Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    // One that does not come to an end has found something, too: without the fault it does.
    let tests = ["180", env!("CARGO"), "test", "--quiet"];
    Ok(cargo(Command::new("timeout").args(tests).args(with), copy)?.status.success())
}

fn cargo(c: &mut Command, copy: &Path) -> Result<Output> {
    c.current_dir(copy)
        .env("CARGO_TARGET_DIR", root().join("target/faults-build"))
        // What takes the time is compiling, not the tests.
        .envs([("CARGO_PROFILE_DEV_OPT_LEVEL", "1"), ("CARGO_PROFILE_DEV_DEBUG", "0")])
        .output()
        .map_err(|e| format!("cargo: {e}"))
}

fn faults() -> Result<Vec<Fault>> {
    let path = root().join("tests/faults.toml");
    let all: Faults = toml::from_str(&read(&path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(all.fault)
}

/// What a file becomes with the fault.
fn with(f: &Fault, good: &str) -> Result<String> {
    match good.matches(&f.from).count() {
        1 => Ok(good.replacen(&f.from, &f.to, 1)),
        n => Err(format!("{}: {} holds {:?} {n} times", f.name, f.file, f.from)),
    }
}

/// Puts each fault in, and asks its judge.
pub fn run(args: &Args) -> Result<String> {
    let copy = Copy::new()?;
    let (mut lines, mut missed, mut sound) = (Vec::new(), 0, BTreeSet::new());
    for f in faults()?.iter().filter(|f| f.name.contains(&args.only)) {
        let judges = command(&f.judge).ok_or_else(|| format!("{}: there is no judge {:?}", f.name, f.judge))?;
        // A judge that condemns what is right finds nothing.
        if sound.insert(f.judge.clone()) && !judge(&copy.0, judges)? {
            return Err(format!("the judge {:?} fails without any fault", f.judge));
        }
        let file = copy.0.join(&f.file);
        let good = read(&file)?;
        let write = |text: &str| fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()));
        write(&with(f, &good)?)?;
        let passed = judge(&copy.0, judges).map_err(|e| format!("{}: {e}", f.name))?;
        write(&good)?;
        missed += usize::from(passed);
        lines.push(format!("{} {}: {}", if passed { "MISSED" } else { "found " }, f.judge, f.name));
    }
    let words = format!("{}\n{} faults, {missed} missed", lines.join("\n"), lines.len());
    if missed == 0 { Ok(words) } else { Err(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_can_be_put_in_and_has_its_judge() {
        for f in faults().expect("faults") {
            let good = read(&root().join(&f.file)).expect("a file");
            assert!(with(&f, &good).is_ok_and(|bad| bad != good), "{:?}", with(&f, &good).err());
            assert!(command(&f.judge).is_some(), "{}", f.judge);
        }
    }
}
