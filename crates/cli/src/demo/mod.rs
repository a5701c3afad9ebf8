//! `synfin demo`: the experiments of TCP on this machine.
//!
//! A fresh user and network namespace, a TUN in it: the Linux kernel with its sockets at one end, synfin at the other.
//! Where there is no TUN, a veth and a packet socket; where there are no namespaces, two hosts of ours in memory.

mod child;
mod dns;
mod recorder;
mod rig;
mod scenes;
mod side;

use crate::output::Output;
use clap::builder::PossibleValuesParser;
use recorder::Recorder;
use rig::{Backend, Rig};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use synfin_capture::{LinkType, PcapNg};
use synfin_trace::render::text;
use synfin_trace::{Report, Step};

/// How long a scene waits for what must come, before it says that it did not.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to play.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Play this scene: a name of --list, or `all`; may be repeated
    #[arg(long, value_name = "NAME", value_parser = names(), hide_possible_values = true)]
    scene: Vec<String>,
    /// List the scenes
    #[arg(long)]
    list: bool,
    /// Draw sequence diagrams instead of lines
    #[arg(long)]
    diagram: bool,
    /// Draw with ASCII characters only
    #[arg(long, requires = "diagram")]
    ascii: bool,
    /// Print one JSON object per segment
    #[arg(long, conflicts_with = "diagram")]
    json: bool,
    /// Print absolute sequence numbers, as tcpdump -S does
    #[arg(short = 'S', long)]
    absolute: bool,
    /// Write every packet to this file (pcapng, the states as comments)
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Play `no-answer` in real time (31 s) instead of virtual time
    #[arg(long)]
    real_time: bool,
    /// What stands at the other end: the kernel over a TUN, over a veth, or a second host of ours in memory
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
}

/// Plays.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    if args.list {
        for s in scenes::ALL {
            writeln!(out, "{:<12} {}{}", s.name, s.about, if s.default { "" } else { " (not played by default)" })?;
        }
        return Ok(());
    }
    let chosen = choose(&args.scene);
    // Before the first thread: the kernel refuses it later.
    let backend = rig::enter(args.backend)?;
    let mut pcap = match &args.pcap {
        Some(path) => {
            let file = File::create(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
            Some(PcapNg::new(BufWriter::new(file), LinkType::Ip, "synfin0")?)
        }
        None => None,
    };
    let epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut disagreements = 0;
    for scene in chosen {
        let rec = Recorder::new(args.absolute);
        let mut rig = Rig::new(backend, rec.clone(), args.real_time);
        let played = (scene.play)(&mut rig);
        rig.stop();
        show(args, scene, &rec, out)?;
        if let Some(p) = &mut pcap {
            for (at, bytes, comment) in rec.packets() {
                p.packet(epoch + at, &bytes, comment.as_deref())?;
            }
        }
        played.map_err(|e| io::Error::new(e.kind(), format!("scene {}: {e}", scene.name)))?;
        disagreements += rec.disagreements();
    }
    if let Some(p) = pcap {
        p.finish()?;
    }
    if disagreements > 0 {
        return Err(io::Error::other(format!(
            "{disagreements} times the kernel says otherwise of its end than what is shown"
        )));
    }
    Ok(())
}

#[allow(clippy::disallowed_methods)] // the demo plays in real time
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods)] // as above; no correctness depends on it
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// What --scene may be.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(["all"].into_iter().chain(scenes::ALL.iter().map(|s| s.name)))
}

fn choose(names: &[String]) -> Vec<&'static scenes::Scene> {
    if names.is_empty() {
        return scenes::ALL.iter().filter(|s| s.default).collect();
    }
    names.iter().flat_map(|n| scenes::ALL.iter().filter(move |s| n == "all" || n == s.name)).collect()
}

fn show(args: &Args, scene: &scenes::Scene, rec: &Recorder, out: &mut Output) -> io::Result<()> {
    if args.json {
        for o in rec.json(scene.name) {
            writeln!(out, "{o}")?;
        }
        return out.flush();
    }
    let report: Report = rec.report();
    writeln!(out, "\n== {}: {}", scene.name, scene.about)?;
    if args.diagram {
        write!(out, "{}", text::diagram(&report, args.ascii))?;
    } else {
        for e in &report.entries {
            writeln!(out, "{}", text::entry(e))?;
        }
    }
    let segments = report.entries.iter().filter(|e| matches!(e.step, Step::Segment { .. })).count();
    writeln!(out, "-- {segments} segments")?;
    out.flush()
}
