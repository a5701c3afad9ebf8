//! `synfin demo`: the experiments of TCP on this machine.
//!
//! A fresh user and network namespace, a TUN in it: the Linux kernel with its sockets at one end, synfin at the other.
//! Where there is no TUN, a veth and a packet socket; where there is neither, or no namespace, two hosts of ours in memory.

mod child;
mod dns;
mod rig;
mod scenes;
mod side;

use crate::clock::{now, pause};
use crate::output::Output;
use crate::recorder::Recorder;
use clap::builder::PossibleValuesParser;
use rig::{Backend, Rig};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};
use synfin_capture::{LinkType, PcapNg};
use synfin_trace::render::text;

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
    /// Print one JSON object per segment; with --list, per scene
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

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Plays.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    if args.list {
        for s in scenes::ALL {
            if args.json {
                let o = json!({"scene": s.name, "about": s.about, "default": s.default});
                writeln!(out, "{o}")?;
                continue;
            }
            writeln!(out, "{:<12} {}{}", s.name, s.about, if s.default { "" } else { " (not played by default)" })?;
        }
        return Ok(());
    }
    let chosen = choose(&args.scene);
    // Before the first thread: the kernel refuses it later.
    let backend = rig::enter(args.backend)?;
    let mut pcap = args.pcap.as_deref().map(Capture::create).transpose()?;
    let mut disagreements = 0;
    for scene in chosen {
        let rec = Recorder::new(args.absolute);
        if let Some(p) = &mut pcap {
            p.begin_scene();
        }
        let (played, shown) = play(args, scene, Rig::new(backend, rec.clone(), args.real_time), &rec, out);
        shown?;
        if let Some(p) = &mut pcap {
            p.scene(&rec)?;
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

/// Plays a scene and shows it: lines as they come, diagrams and objects at its end. How it went, and the output.
fn play(
    args: &Args,
    scene: &scenes::Scene,
    mut rig: Rig,
    rec: &Recorder,
    out: &mut Output,
) -> (io::Result<()>, io::Result<()>) {
    let mut play = || {
        let played = (scene.play)(&mut rig);
        rig.stop();
        played
    };
    if args.json || args.diagram {
        return (play(), show(args, scene, rec, out));
    }
    std::thread::scope(|s| {
        let (goes_on, over) = mpsc::channel::<()>();
        let teller = s.spawn(|| tell(scene, rec, over, out));
        let played = play();
        drop(goes_on);
        let told = teller.join().unwrap_or_else(|_| Err(io::Error::other("the output has panicked")));
        (played, told)
    })
}

/// Shows lines until the scene is over.
fn tell(scene: &scenes::Scene, rec: &Recorder, over: mpsc::Receiver<()>, out: &mut Output) -> io::Result<()> {
    writeln!(out, "\n== {}: {}", scene.name, scene.about)?;
    let mut told = 0;
    loop {
        let ends = over.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Disconnected);
        for e in rec.settled(told, ends) {
            writeln!(out, "{}", text::entry(&e))?;
            told += 1;
        }
        out.flush()?;
        if ends {
            break;
        }
    }
    writeln!(out, "-- {} segments", rec.count(|_, _| true))
}

/// Shows a scene that is over.
fn show(args: &Args, scene: &scenes::Scene, rec: &Recorder, out: &mut Output) -> io::Result<()> {
    if args.json {
        for o in rec.json(scene.name) {
            writeln!(out, "{o}")?;
        }
        return Ok(());
    }
    writeln!(out, "\n== {}: {}", scene.name, scene.about)?;
    write!(out, "{}", text::diagram(&rec.report(), args.ascii))?;
    writeln!(out, "-- {} segments", rec.count(|_, _| true))
}

/// The capture file of all scenes.
struct Capture<'a> {
    path: &'a Path,
    file: PcapNg<BufWriter<File>>,
    /// When the scene began, and the last packet so far, since the Unix epoch. Time does not run backwards: after a scene
    /// in virtual time, which may be ahead of the machine's, the next begins with its last packet.
    begin: Duration,
    last: Duration,
}

impl Capture<'_> {
    fn create(path: &Path) -> io::Result<Capture<'_>> {
        let file = File::create(path).map_err(|e| named(path, &e))?;
        let file = PcapNg::new(BufWriter::new(file), LinkType::Ip, "synfin0").map_err(|e| named(path, &e))?;
        Ok(Capture { path, file, begin: Duration::ZERO, last: Duration::ZERO })
    }

    fn begin_scene(&mut self) {
        self.begin = self.last.max(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    }

    fn scene(&mut self, rec: &Recorder) -> io::Result<()> {
        for (at, bytes, comment) in rec.packets() {
            self.last = self.begin + at;
            self.file.packet(self.last, &bytes, comment.as_deref()).map_err(|e| named(self.path, &e))?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.file.finish().map(|_| ()).map_err(|e| named(self.path, &e))
    }
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}
