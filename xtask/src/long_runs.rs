//! Runs that take too long for every day: fuzzing, changes at random, faults put in on purpose, Miri. Whoever has made one keeps
//! what came of it in `docs/long-runs.toml`; the page of evidence shows it.

use crate::{Result, read, root};
use serde::Deserialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    run: Vec<Run>,
}

/// A run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of which kind.
    pub kind: Kind,
    what: String,
    command: String,
    /// The commit whose sources it was.
    commit: String,
    /// The day, as 2026-11-27.
    date: String,
    seconds: u64,
    result: String,
    /// Of the fuzzer: inputs run, and edges of the program that they reached.
    executions: Option<u64>,
    coverage: Option<u64>,
}

/// Kinds of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// cargo-fuzz.
    Fuzz,
    /// `cargo xtask faults`.
    Faults,
    /// `cargo xtask mutants`.
    Mutants,
    /// Miri.
    Miri,
    /// A large bound of the explorer, many seeds.
    Simulation,
}

impl Run {
    fn wrong(&self) -> Option<&'static str> {
        let digits = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        let mut day = self.date.split('-');
        let day = [day.next(), day.next(), day.next(), day.next()];
        let fuzz = self.kind == Kind::Fuzz;
        if !(7..=40).contains(&self.commit.len()) || !self.commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            Some("the commit is 7 to 40 hexadecimal digits")
        } else if !matches!(day, [Some(y), Some(m), Some(d), None] if digits(y, 4) && digits(m, 2) && digits(d, 2)) {
            Some("the date is YEAR-MONTH-DAY")
        } else if [&self.what, &self.command, &self.result].iter().any(|s| s.trim().is_empty() || s.contains('|')) {
            Some("what, command and result are words for a table")
        } else if fuzz != self.executions.is_some() || fuzz != self.coverage.is_some() {
            Some("executions and coverage are for fuzzing, and for all of it")
        } else {
            None
        }
    }
}

fn parse(text: &str) -> Result<Vec<Run>> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    match file.run.iter().find_map(|r| Some((r, r.wrong()?))) {
        Some((r, why)) => Err(format!("{}: {why}", r.what)),
        None => Ok(file.run),
    }
}

/// The runs that are kept.
pub fn kept() -> Result<Vec<Run>> {
    parse(&read(&root().join("docs/long-runs.toml"))?).map_err(|e| format!("docs/long-runs.toml: {e}"))
}

/// The section of the page of evidence.
pub fn section(runs: &[Run]) -> String {
    let mut s = String::from(
        "\n## Long runs\n\nMade by hand, each on the commit that it names; kept in [long-runs.toml](long-runs.toml).\n\n\
         | What | Command | Result | Seconds | Commit | Day |\n|---|---|---|---|---|---|\n",
    );
    for r in runs {
        let numbers = match (r.executions, r.coverage) {
            (Some(n), Some(edges)) => format!("{n} executions, {edges} edges covered; "),
            _ => String::new(),
        };
        let _ = writeln!(
            s,
            "| {} | `{}` | {numbers}{} | {} | {} | {} |",
            r.what, r.command, r.result, r.seconds, r.commit, r.date
        );
    }
    let fuzzed = runs.iter().filter(|r| r.kind == Kind::Fuzz);
    let (seconds, n) = fuzzed.fold((0, 0), |(s, n), r| (s + r.seconds, n + r.executions.unwrap_or(0)));
    if n > 0 {
        let _ = writeln!(s, "\nFuzzing in all: {n} executions in {seconds} s.");
    }
    s
}

/// Logs of the fuzzer.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// What `cargo fuzz run TARGET` printed, in a file named TARGET.log or fuzz-TARGET.log
    #[arg(required = true)]
    logs: Vec<PathBuf>,
}

/// Prints what is to be kept of logs of the fuzzer.
pub fn report(args: &Report) -> Result<String> {
    let line = |program: &str, with: &[&str]| {
        let out =
            Command::new(program).current_dir(root()).args(with).output().map_err(|e| format!("{program}: {e}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&out.stdout).trim().to_string())
    };
    let (commit, date) = (line("git", &["rev-parse", "--short", "HEAD"])?, line("date", &["-u", "+%F"])?);
    let mut s = String::new();
    for log in &args.logs {
        s += &entry(log, &read(log)?, &commit, &date)?;
    }
    parse(&s)?;
    Ok(s)
}

/// Of one log: libFuzzer says `Done N runs in S second(s)` when it has ended by itself, and before that `cov: EDGES` now and then.
fn entry(log: &Path, text: &str, commit: &str, date: &str) -> Result<String> {
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    let target = name.strip_prefix("fuzz-").unwrap_or(&name);
    let number = |s: &str| s.split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
    let done = text.lines().rev().find_map(|l| l.strip_prefix("Done "));
    let seconds = done.and_then(|d| number(d.split_once(" runs in ")?.1));
    let coverage = text.lines().rev().find_map(|l| number(l.split_once("cov: ")?.1));
    match (done.and_then(number), seconds, coverage) {
        (Some(n), Some(seconds), Some(edges)) => Ok(format!(
            "[[run]]\nkind = \"fuzz\"\nwhat = \"Fuzzing: {target}\"\n\
             command = \"cargo +nightly fuzz run {target} -- -max_total_time={seconds} -max_len=1000\"\n\
             commit = \"{commit}\"\ndate = \"{date}\"\nseconds = {seconds}\nexecutions = {n}\ncoverage = {edges}\n\
             result = \"no finding\"\n\n"
        )),
        _ => Err(format!("{}: the fuzzer did not end by itself: a finding, or it was broken off", log.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: seed corpus\n#2\tINITED cov: 100 ft: 200 corp: 1/1b\n#4096\tpulse  cov: 3456 ft: 9 corp: 9/9b\n\
                       #5000\tDONE   cov: 3470 ft: 11 corp: 9/9b\nDone 5000 runs in 901 second(s)\n";

    #[test]
    fn a_log_of_the_fuzzer_becomes_an_entry_that_is_read_again() {
        let text = entry(Path::new("target/fuzz-stack.log"), LOG, "0123abc", "2026-11-27").expect("it has ended");
        let runs = parse(&text).expect("it is well formed");
        assert_eq!((runs[0].executions, runs[0].coverage, runs[0].seconds), (Some(5000), Some(3470), 901));
        assert!(section(&runs).contains("5000 executions in 901 s"));
        let broken = LOG.replace("Done 5000 runs", "==1== ERROR: libFuzzer: deadly signal");
        assert!(entry(Path::new("stack.log"), &broken, "0123abc", "2026-11-27").is_err());
    }

    #[test]
    fn what_is_kept_has_its_form() {
        let good = "[[run]]\nkind = \"faults\"\nwhat = \"w\"\ncommand = \"c\"\ncommit = \"0123abc\"\ndate = \"2026-11-27\"\n\
                    seconds = 1\nresult = \"r\"\n";
        assert!(parse(good).is_ok());
        for (from, to) in [
            ("0123abc", "main"),
            ("2026-11-27", "yesterday"),
            ("\"r\"", "\"\""),
            ("faults", "fuzz"),
            ("faults", "guesses"),
            ("seconds = 1", "seconds = 1\nexecutions = 5"),
            ("seconds = 1", "seconds = 1\nhow = 5"),
        ] {
            assert!(parse(&good.replace(from, to)).is_err(), "{from} as {to}");
        }
        assert!(kept().is_ok_and(|r| !r.is_empty()), "docs/long-runs.toml: {:?}", kept());
    }
}
