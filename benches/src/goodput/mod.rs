//! How much gets through a bad path: synfin and Linux as senders to the same receiver, and as receivers from the same sender,
//! over `synfin path` between two network namespaces.
//!
//! Runs are one after another and in turn, theirs and ours with the same seed, for the machine is shared. An algorithm that
//! one of the two does not have is said to be missing and left out.

mod flow;
mod rig;

pub use rig::{far, path};

use flow::Job;
use rig::{Conditions, Outcome, Rig, Who};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// 100 Mbit/s, 40 ms, a queue of one bandwidth-delay product.
const EACH_WAY: &[&str] = &["rate=100M", "delay=20ms", "queue=500k"];
/// What is wrong with the direction in which the text goes.
const PATHS: &[(&str, &[&str])] =
    &[("0", &[]), ("0.1", &["loss=0.1%"]), ("1", &["loss=1%"]), ("3", &["loss=3%"]), ("reorder", &["reorder=1%"])];
const ALGORITHMS: [&str; 3] = ["reno", "cubic", "bbr"];
const SIZES: [(&str, u64); 3] = [("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)];

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Short(u64),
    Receive,
}

/// One row of the table.
#[derive(Debug)]
struct Cell {
    name: String,
    kind: Kind,
    algorithm: &'static str,
    /// Of the direction in which the text goes.
    path: &'static [&'static str],
}

struct Options {
    seconds: u64,
    seeds: u64,
    cells: Vec<String>,
    /// The part of what is wanted that each cell must reach, or the command fails.
    floor: Option<f64>,
}

/// What may be asked for.
const USAGE: &str = "--seconds N, --seeds N, --floor X or --cells NAME,.. is expected";

pub fn run(args: &[String]) -> io::Result<()> {
    let o = Options::read(args)?;
    let cells: Vec<Cell> = all_cells().into_iter().filter(|c| o.wants(&c.name)).collect();
    if cells.is_empty() {
        let names: Vec<_> = all_cells().into_iter().map(|c| c.name).collect();
        return Err(invalid(format!("no such cell; there are {}", names.join(", "))));
    }
    let mut rig = Rig::new()?;
    println!(
        "100 Mbit/s, 40 ms, queue 500 kB; {} s from the start of each flow, medians of {} seeds\n",
        o.seconds, o.seeds
    );
    println!("| cell | what | Linux | synfin | ratio | by seed | wanted | |\n|---|---|---|---|---|---|---|---|");
    let mut all = Vec::new();
    let mut ours_of = BTreeMap::new();
    let mut below = Vec::new();
    for c in &cells {
        let lacks = [
            (rig.kernel_has(c.algorithm), "Linux"),
            (c.kind == Kind::Receive || rig.config(c.algorithm).is_some(), "synfin"),
        ];
        if let Some((_, who)) = lacks.iter().find(|l| !l.0) {
            println!("| {} | | | | | | | {who} has no {}: not there yet |", c.name, c.algorithm);
            continue;
        }
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for seed in 1..=o.seeds {
            for (who, results) in [(Who::Linux, &mut theirs), (Who::Synfin, &mut ours)] {
                let r = one(&mut rig, who, c, &o, seed);
                let r = r.map_err(|e| io::Error::new(e.kind(), format!("{} seed {seed}, {who:?}: {e}", c.name)))?;
                eprintln!(
                    "{} seed {seed} {who:?}: {} octets in {:.3} s, late {:.0} us",
                    c.name,
                    r.octets,
                    r.took.as_secs_f64(),
                    r.late.as_secs_f64() * 1e6
                );
                results.push(c.value(&r));
                all.push(r);
            }
        }
        let rival = c.rival().and_then(|r| ours_of.get(&r).copied());
        ours_of.insert(c.name.clone(), crate::spread(ours.clone()).0);
        let reached = print_row(c, theirs, ours, rival);
        if o.floor.is_some_and(|least| reached < least) {
            below.push(c.name.clone());
        }
    }
    let late = all.iter().map(|r| r.late).max().unwrap_or_default();
    let faults: u64 = all.iter().map(|r| r.faults).sum();
    let priority = if all.iter().all(|r| r.real_time) { "with" } else { "without" };
    println!(
        "\n{} transfers over a path {priority} real-time priority; 99 of 100 packets left it at most {:.0} us late in the",
        all.len(),
        late.as_secs_f64() * 1e6
    );
    println!("worst of them; packets it lost against its settings: {faults}");
    match (o.floor, below.is_empty()) {
        (Some(least), false) => Err(io::Error::other(format!("not {least} of what is wanted in {}", below.join(", ")))),
        _ => Ok(()),
    }
}

fn one(rig: &mut Rig, who: Who, c: &Cell, o: &Options, seed: u64) -> io::Result<Outcome> {
    let plain: Vec<String> = EACH_WAY.iter().map(|s| s.to_string()).collect();
    let bad: Vec<String> = EACH_WAY.iter().chain(c.path).map(|s| s.to_string()).collect();
    let bulk = Job::Bulk(Duration::from_secs(o.seconds));
    let r = match c.kind {
        Kind::Send => rig.outward(who, c.algorithm, bulk, &Conditions { forth: bad, back: plain, seed }),
        Kind::Short(n) => rig.outward(who, c.algorithm, Job::Short(n), &Conditions { forth: bad, back: plain, seed }),
        Kind::Receive => rig.inward(who, c.algorithm, bulk, &Conditions { forth: plain, back: bad, seed }),
    }?;
    if r.octets < 1_000 { Err(io::Error::other("nothing arrived")) } else { Ok(r) }
}

/// Prints a line of the table, and gives what was reached as a part of what is wanted; `rival` is what synfin reached with the algorithm that this one is to outdo, if it was asked for.
///
/// The verdict is by pairs: one seed loses the same packets of both, and what they do with them is to be compared. Medians of the
/// two sides can be of different seeds, and then the ratio is in part that of two paths.
fn print_row(c: &Cell, theirs: Vec<f64>, ours: Vec<f64>, rival: Option<f64>) -> f64 {
    let by_seed = crate::spread(ours.iter().zip(&theirs).map(|(o, t)| o / t).collect()).0;
    let (theirs, ours) = (crate::spread(theirs).0, crate::spread(ours).0);
    let (what, wanted, reached) = match (c.kind, c.rival()) {
        (Kind::Send, Some(name)) => ("sends, Mbit/s", format!("above {name}"), rival.map(|r| ours / r)),
        (Kind::Send, None) => ("sends, Mbit/s", ">= 0.95".into(), Some(by_seed / 0.95)),
        (Kind::Receive, _) => ("receives, Mbit/s", ">= 0.97".into(), Some(by_seed / 0.97)),
        (Kind::Short(_), _) => ("takes, ms", "<= 1.05".into(), Some(1.05 / by_seed)),
    };
    let flag = match reached {
        Some(r) if r >= 1.0 => "",
        Some(_) => "**missed**",
        None => "that was not asked for",
    };
    let ratio = ours / theirs;
    println!("| {} | {what} | {theirs:.1} | {ours:.1} | {ratio:.2} | {by_seed:.2} | {wanted} | {flag} |", c.name);
    reached.unwrap_or(1.0)
}

impl Cell {
    /// The cell of our own that this one is to outdo, where Linux is no measure: its bbr is BBRv1, which does not mind loss;
    /// BBRv3 does from 2 % on (BBR.LossThresh, draft-ietf-ccwg-bbr-06 5.5.10), and 1 % at random is above that in some rounds.
    fn rival(&self) -> Option<String> {
        match self.name.as_str() {
            "bbr/1" | "bbr/3" => Some(self.name.replace("bbr", "cubic")),
            _ => None,
        }
    }

    /// What is compared of a transfer: Mbit/s, or milliseconds.
    fn value(&self, r: &Outcome) -> f64 {
        match self.kind {
            Kind::Short(_) => r.took.as_secs_f64() * 1e3,
            Kind::Send | Kind::Receive => r.octets as f64 * 8.0 / r.took.as_secs_f64() / 1e6,
        }
    }
}

fn all_cells() -> Vec<Cell> {
    let mut all = Vec::new();
    for algorithm in ALGORITHMS {
        for (name, path) in PATHS {
            all.push(Cell { name: format!("{algorithm}/{name}"), kind: Kind::Send, algorithm, path });
        }
    }
    for algorithm in ALGORITHMS {
        for (size, octets) in SIZES {
            for (name, path) in PATHS {
                let name = format!("short/{algorithm}/{size}/{name}");
                all.push(Cell { name, kind: Kind::Short(octets), algorithm, path });
            }
        }
    }
    for algorithm in ALGORITHMS {
        for (name, path) in PATHS {
            all.push(Cell { name: format!("receive/{algorithm}/{name}"), kind: Kind::Receive, algorithm, path });
        }
    }
    all
}

impl Options {
    fn read(args: &[String]) -> io::Result<Options> {
        let mut o = Options { seconds: 10, seeds: 5, cells: Vec::new(), floor: None };
        let mut args = args.iter();
        while let Some(key) = args.next() {
            let Some(value) = args.next().filter(|_| key.starts_with("--") && key != "--help") else {
                return Err(invalid(format!("{key}: {USAGE}")));
            };
            let number = || value.parse().ok().filter(|n| (1..=3_600).contains(n));
            let number =
                || number().ok_or_else(|| invalid(format!("{key} {value}: a number from 1 to 3600 is expected")));
            match key.as_str() {
                "--seconds" => o.seconds = number()?,
                "--seeds" => o.seeds = number()?,
                "--cells" => o.cells = value.split(',').map(str::to_string).collect(),
                "--floor" => {
                    let least = value.parse().ok().filter(|x| (0.0..=1.0).contains(x));
                    o.floor = Some(least.ok_or_else(|| invalid(format!("{key} {value}: from 0 to 1 is expected")))?);
                }
                _ => return Err(invalid(format!("{key}: {USAGE}"))),
            }
        }
        Ok(o)
    }

    /// A cell is asked for by its name, or by the beginning of it: `reno`, `short/cubic`.
    fn wants(&self, name: &str) -> bool {
        let begins =
            |c: &String| name.strip_prefix(c.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.cells.is_empty() || self.cells.iter().any(begins)
    }
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}
