//! `synfin sim bulk`: bulk transfer both ways over a bad link, by seed. `synfin sim explore`: every state of two peers.

use super::{create, drawn, named};
use crate::clock::now;
use crate::output::Output;
use clap::error::ErrorKind;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use synfin_capture::PcapNg;
use synfin_sim::Network;
use synfin_sim::bulk::{Params, run as run_seed};
use synfin_sim::explore::{Bounds, explore};

/// What to explore.
#[derive(Debug, clap::Args)]
pub(super) struct Explore {
    /// Octets that the first end writes, one by one
    #[arg(long, allow_negative_numbers = true, default_value_t = 1)]
    octets: u8,
    /// Octets that the second end writes
    #[arg(long, allow_negative_numbers = true, default_value_t = 1)]
    answer: u8,
    /// Packets that may be lost
    #[arg(long, allow_negative_numbers = true, default_value_t = 1)]
    losses: u8,
    /// Packets that may arrive twice
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    duplicates: u8,
    /// Timeouts of each end
    #[arg(long, allow_negative_numbers = true, default_value_t = 1)]
    timeouts: u8,
    /// Both ends open actively
    #[arg(long)]
    simultaneous: bool,
    /// Packets do not overtake one another
    #[arg(long)]
    in_order: bool,
    /// Octets of the receive buffers; then users read when they choose to
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    window: u8,
    /// How many users may close whenever they like, or abort
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    abrupt: u8,
    /// Give up after this many states
    #[arg(long, allow_negative_numbers = true, default_value_t = 20_000_000)]
    states: usize,
}

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(super) struct Bulk {
    /// How many seeds
    #[arg(long, allow_negative_numbers = true, default_value_t = 1000, conflicts_with = "seed",
        value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Run this one seed, and say what it decides
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Write what crossed the link to this file (pcapng)
    #[arg(long, requires = "seed", conflicts_with_all = ["seeds", "from"])]
    pcap: Option<PathBuf>,
}

/// Runs the seeds.
pub(super) fn run(b: &Bulk, out: &mut Output) -> io::Result<()> {
    if let Some(seed) = b.seed {
        return one(seed, b.pcap.as_deref(), out);
    }
    if b.from.checked_add(b.seeds.saturating_sub(1)).is_none() {
        let words = format!("--seeds {} from {} on: the last seed is {}\n", b.seeds, b.from, u64::MAX);
        clap::Error::raw(ErrorKind::ValueValidation, words).exit();
    }
    many(b.from, b.seeds, out)
}

/// Visits the states.
pub(super) fn visit(e: &Explore, out: &mut Output) -> io::Result<()> {
    let bounds = Bounds {
        octets: [e.octets, e.answer],
        losses: e.losses,
        duplicates: e.duplicates,
        timeouts: [e.timeouts; 2],
        simultaneous: e.simultaneous,
        reordering: !e.in_order,
        window: e.window,
        abrupt: e.abrupt,
        states: e.states,
    };
    let x = explore(bounds, |_| {}).map_err(io::Error::other)?;
    if !x.complete {
        return Err(io::Error::other(format!(
            "given up after {} states, and {} pairs of connection states, without a fault: there are more (--states)",
            x.states, x.pairs
        )));
    }
    let all = "all states within the bounds";
    writeln!(
        out,
        "{} states visited ({all}), {} choices made, the longest way {} choices",
        x.states, x.choices, x.depth
    )?;
    writeln!(out, "{} pairs of connection states, all possible; each state leads to the end of both", x.pairs)
}

fn one(seed: u64, pcap: Option<&Path>, out: &mut Output) -> io::Result<()> {
    let pcap = pcap.map(|path| create(path).map(|file| (path, file)).map_err(|e| named(path, &e))).transpose()?;
    let p = Params::from_seed(seed);
    drawn::params(&p, out)?;
    let (result, net) = run_seed(&p, pcap.is_some());
    if let Some((path, file)) = pcap {
        write_pcap(&net, file).map_err(|e| named(path, &e))?;
    }
    let r = result.map_err(io::Error::other)?;
    drawn::report(&r, out)
}

fn write_pcap(net: &Network, mut file: PcapNg<BufWriter<File>>) -> io::Result<()> {
    for r in net.records.iter().flatten() {
        let way = if r.link == 0 { "host 0 -> host 1" } else { "host 1 -> host 0" };
        let comment = match r.lost {
            Some(why) => format!("{way}, lost: {why}"),
            None => way.to_string(),
        };
        file.packet(Duration::from_nanos(r.at.as_nanos()), &r.bytes, Some(&comment))?;
    }
    file.finish()?;
    Ok(())
}

/// How far it is, once a second on a terminal.
struct Progress {
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { next: io::stderr().is_terminal().then(|| now() + SECOND), shown: false }
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        let Some(next) = self.next.filter(|n| now() >= *n) else { return };
        let _ = write!(io::stderr(), "\r{}", words());
        (self.next, self.shown) = (Some(next + SECOND), true);
    }

    /// Nothing is left of it.
    fn end(self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn many(from: u64, seeds: u64, out: &mut Output) -> io::Result<()> {
    let (mut packets, mut retransmitted, mut bytes) = (0u64, 0u64, 0u64);
    let mut longest = (Duration::ZERO, from);
    let mut total = Duration::ZERO;
    let mut progress = Progress::new();
    for seed in (0..seeds).map(|i| from + i) {
        let p = Params::from_seed(seed);
        let r = run_seed(&p, false).0.map_err(io::Error::other)?;
        packets += r.packets;
        retransmitted += r.retransmitted;
        bytes += u64::from(p.bytes[0]) + u64::from(p.bytes[1]);
        total += r.took;
        longest = longest.max((r.took, seed));
        progress.tell(|| format!("{} of {seeds} seeds", seed - from + 1));
    }
    progress.end();
    writeln!(out, "{seeds} seeds: {bytes} octets arrived in order, both ends closed, nothing left allocated")?;
    writeln!(
        out,
        "{packets} packets, {retransmitted} segments sent again, {:.0} s of virtual time",
        total.as_secs_f64()
    )?;
    writeln!(out, "the longest run: {:.3} s, seed {}", longest.0.as_secs_f64(), longest.1)
}
