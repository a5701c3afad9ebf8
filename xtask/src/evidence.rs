//! All the evidence in one go: what was run, how many, how long, what is left out and why.

use crate::long_runs::{self, Kind};
use crate::{Result, page, root};
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

/// What besides.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory with scripts of others, to be played too
    #[arg(long, value_name = "DIR")]
    scripts: Option<std::path::PathBuf>,
    /// The seeded faults too (minutes)
    #[arg(long)]
    faults: bool,
}

struct Ran {
    what: String,
    command: String,
    last: String,
    took: Duration,
    ok: bool,
    /// Tests that were not run.
    ignored: Vec<Ignored>,
}

/// A test that was not run, and why.
#[derive(Debug, PartialEq, Eq)]
struct Ignored {
    name: String,
    reason: String,
}

#[allow(clippy::disallowed_methods)] // how long it took here is for people only
fn ran(what: &str, args: &[&str]) -> Result<Ran> {
    let began = std::time::Instant::now();
    let out = Command::new("timeout")
        .arg("3000")
        .arg(env!("CARGO"))
        .args(args)
        .current_dir(root())
        .output()
        .map_err(|e| format!("{what}: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let last = match lines.len() {
        _ if args.contains(&"test") => tests(&text),
        1..=3 => lines.join("; "),
        _ => lines.last().copied().unwrap_or("").to_string(),
    };
    let command = format!("cargo {}", args.join(" "));
    let ignored = ignored(&text);
    let ok = if what.contains("suite") { most_pass(&last) } else { out.status.success() };
    Ok(Ran { what: what.to_string(), command, last, took: began.elapsed(), ok, ignored })
}

/// Whether scripts of others hold: some passed, and of those that were judged at least four in five. What of them we do
/// otherwise stands in a page of its own; whether the engine and the library say the same is asked besides.
fn most_pass(line: &str) -> bool {
    let count = |word: &str| line.split(", ").find_map(|p| p.strip_suffix(word)?.trim().parse::<u64>().ok());
    match (count("passed"), count("failed")) {
        (Some(passed), Some(failed)) => passed > 0 && passed * 5 >= (passed + failed) * 4,
        _ => false,
    }
}

/// The totals of `cargo test`.
fn tests(text: &str) -> String {
    let (mut passed, mut failed, mut ignored) = (0u64, 0u64, 0u64);
    for l in text.lines().filter(|l| l.starts_with("test result:")) {
        let number = |word: &str| {
            l.split(';').find_map(|p| p.trim().strip_suffix(word)?.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        passed += l.split(". ").nth(1).and_then(|p| p.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
        failed += number(" failed");
        ignored += number(" ignored");
    }
    format!("{passed} passed, {failed} failed, {ignored} not run")
}

/// The tests that `cargo test` left out, as it names them: with the reason of their `#[ignore = ".."]`.
fn ignored(text: &str) -> Vec<Ignored> {
    let one = |line: &str| {
        let (name, why) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = why.strip_prefix(", ").unwrap_or("no reason is given");
        Some(Ignored { name: name.to_string(), reason: reason.trim().to_string() })
    };
    text.lines().filter_map(one).collect()
}

/// The commit that all of it is about, and whether something was changed since.
fn commit() -> Result<String> {
    let git = |args: &[&str]| {
        let out = Command::new("git").current_dir(root()).args(args).output().map_err(|e| format!("git: {e}"))?;
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).trim().to_string()),
            false => Err(format!("git: {}", String::from_utf8_lossy(&out.stderr).trim())),
        }
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let with = if changed.is_empty() { "" } else { ", with changes that were not committed" };
    Ok(format!("{}{with}", git(&["rev-parse", "--short", "HEAD"])?))
}

/// As Linux has it, where no sysctl says so: `docs/scripts-of-others.md`.
const LIKE_LINUX: &str = "slow-start-limit=255,window-probe=empty,ecn-control=on,syn-linear=4";

/// Runs all of it and writes the page.
pub fn run(args: &Args) -> Result<String> {
    let long = long_runs::kept()?;
    // Before this page and what the runs themselves write are changed.
    let commit = commit()?;
    let synfin = |rest: &[&'static str]| [&["run", "--release", "--quiet", "--"][..], rest].concat();
    // Building is no evidence, and without it there is none.
    for build in [
        &["build", "--release", "--quiet", "-p", "synfin-cli", "-p", "synfin-drill"][..],
        &["test", "--workspace", "--no-run", "--quiet"],
    ] {
        if !ran("build", build)?.ok {
            return Err(format!("cargo {} fails", build.join(" ")));
        }
    }
    let mut all = vec![
        ran(
            "Every test: units, properties, hostile input, hosts against the kernel, scripts",
            &["test", "--workspace"],
        )?,
        ran("Scripts of our own, by situation, from the RFCs", &synfin(&["drill", "--strict", "tests/scripts"]))?,
        ran("Every state meets every event", &["xtask", "scripts", "--check"])?,
        ran("Every requirement has a proof or a reason", &["xtask", "compliance", "--check"])?,
        ran("Every state of two peers (one octet each way, a loss, timeouts)", &synfin(&["sim", "explore"]))?,
        ran(
            "Every state of a simultaneous open, with an old duplicate",
            &synfin(&[
                "sim",
                "explore",
                "--octets",
                "0",
                "--answer",
                "0",
                "--duplicates",
                "1",
                "--losses",
                "0",
                "--simultaneous",
            ]),
        )?,
        ran(
            "Every state with windows that shut, and users who read when they like",
            &synfin(&["sim", "explore", "--octets", "3", "--answer", "0", "--window", "1", "--in-order"]),
        )?,
        ran(
            "Every state in which one user closes or aborts at any time",
            &synfin(&["sim", "explore", "--abrupt", "1", "--in-order"]),
        )?,
        ran(
            "Every state with a loss and a duplicate together",
            &synfin(&["sim", "explore", "--answer", "0", "--losses", "1", "--duplicates", "1"]),
        )?,
        ran("Bulk transfer over bad links, by seed", &synfin(&["sim", "bulk", "--seeds", "10000"]))?,
    ];
    if let Some(dir) = &args.scripts {
        let dir = dir.to_string_lossy().into_owned();
        let freebsd = format!("{dir}/freebsd");
        let (google, linux) = (format!("{dir}/google"), format!("{dir}/linux-7.3"));
        let library = ["--so_filename", "target/release/libsynfin_packetdrill.so"];
        let first = all.len();
        for (how, through) in [("", &library[..0]), (", through packetdrill's C interface", &library[..])] {
            let base = [&["run", "--release", "--quiet", "--", "drill"][..], through].concat();
            let args = [&base[..], &["--so_flags", "rcv-window=freebsd", &freebsd]].concat();
            all.push(ran(&format!("Scripts of FreeBSD's suite{how}"), &args)?);
            // What `defaults.sh` means beside its sysctls a library can only be told by flags.
            let like_linux = if through.is_empty() { &[][..] } else { &["--so_flags", LIKE_LINUX][..] };
            let args = [&base[..], like_linux, &[&google, &linux]].concat();
            all.push(ran(&format!("Scripts of Google's and Linux's suites{how}"), &args)?);
        }
        for i in [first, first + 1] {
            all[i + 2].ok &= all[i].last == all[i + 2].last;
        }
    }
    if args.faults {
        all.push(ran("Faults put in on purpose", &["xtask", "faults"])?);
    }
    let mut s = format!(
        "# Evidence\n\nMade by `just evidence` of commit {commit}. What was run, what it said last, and how long it took on the \
         machine of the day.\n\n\
         | What | Command | Result | Seconds |\n|---|---|---|---|\n",
    );
    for r in &all {
        let ok = if r.ok { "" } else { "**failed**: " };
        let command = match &args.scripts {
            Some(dir) => r.command.replace(&*dir.to_string_lossy(), "DIR"),
            None => r.command.clone(),
        };
        let _ = writeln!(s, "| {} | `{command}` | {ok}{} | {:.1} |", r.what, r.last, r.took.as_secs_f64());
    }
    let left_out: Vec<&Ignored> = all.iter().flat_map(|r| &r.ignored).collect();
    if !left_out.is_empty() {
        s += "\nTests that were not run, and why:\n\n";
        for Ignored { name, reason } in left_out {
            let _ = writeln!(s, "- `{name}`: {reason}");
        }
    }
    s += &long_runs::section(&long);
    s += "\nWhich changes at random no test found: [mutants.md](mutants.md).\n";
    s += "\nLeft out here, and why:\n\n";
    if args.scripts.is_some() {
        s += "- What scripts of others ask for and synfin does not do: [scripts-of-others.md](scripts-of-others.md).\n";
    } else {
        s += "- Scripts of others: they are not part of this project (`cargo xtask evidence --scripts DIR` plays them).\n";
    }
    for (kind, words) in [
        (Kind::Faults, "Faults put in on purpose: minutes of building (`cargo xtask faults`, or `--faults`)"),
        (Kind::Mutants, "Changes at random: they take hours (`cargo xtask mutants`)"),
        (Kind::Fuzz, "Fuzzing: it has no end of its own (`just fuzz`: an hour over all targets)"),
        (Kind::Miri, "Miri over `wire` and `tcp` (`just miri`): not every nightly toolchain has it"),
    ] {
        let kept = if long.iter().any(|r| r.kind == kind) { "; the last long run is above" } else { "" };
        if kind != Kind::Faults || !args.faults {
            let _ = writeln!(s, "- {words}{kept}.");
        }
    }
    s += "\nThe fuzzer's seeds are replayed by the tests.\n";
    page("evidence.md", &s, false)?;
    let failed = all.iter().filter(|r| !r.ok).count();
    let words = format!("{} of {} pieces hold; docs/evidence.md says what they are", all.len() - failed, all.len());
    if failed == 0 { Ok(words) } else { Err(words) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn of_scripts_of_others_most_must_pass() {
        for (line, want) in [
            ("268 passed, 0 failed, 3 skipped", true),
            ("26 passed, 6 failed, 25 skipped", true),
            ("20 passed, 6 failed, 25 skipped", false),
            ("0 passed, 0 failed, 271 skipped", false),
            ("there is no script (*.pkt) there", false),
        ] {
            assert_eq!(super::most_pass(line), want, "{line}");
        }
    }

    #[test]
    fn totals_of_tests_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nx\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(super::tests(text), "5 passed, 1 failed, 1 not run");
    }

    #[test]
    fn tests_that_are_not_run_are_named_with_their_reasons() {
        let text = "running 3 tests\ntest a::b ... ok\ntest a_million ... ignored, minutes, for each octet is counted\n\
                    test src/lib.rs - f (line 3) ... ignored\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured";
        let named: Vec<_> = super::ignored(text).into_iter().map(|i| (i.name, i.reason)).collect();
        let want =
            [("a_million", "minutes, for each octet is counted"), ("src/lib.rs - f (line 3)", "no reason is given")];
        assert_eq!(named, want.map(|(n, r)| (n.to_string(), r.to_string())));
    }
}
