//! `synfin drill`: packetdrill scripts against the engine, in virtual time.

use crate::output::Output;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use synfin::device::netns;
use synfin_capture::{LinkType, PcapNg};
use synfin_packetdrill::host::{Crossed, START};
use synfin_packetdrill::library::Library;
use synfin_packetdrill::run::{Played, Settings, Verdict, play, play_loaded};
use synfin_packetdrill::script::Script;
use synfin_tcp::State;
use synfin_trace::infer::Ends;
use synfin_trace::render::line::{Lines, label};

use synfin_trace::render::text;
use synfin_trace::{Entry, Report, Step};
use synfin_wire::frame::TcpPacket;

/// Which scripts, and how. The long names with underscores are packetdrill's own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Scripts, and directories that are searched for *.pkt
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Scripts at the same time; by default as many as there are processors
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Replace the word NAME in scripts by VALUE
    #[arg(long = "define", short = 'D', value_name = "NAME=VALUE")]
    defines: Vec<String>,
    /// Print every conversation, and what was left over
    #[arg(long, short)]
    verbose: bool,
    /// Fail too if a packet leaves after the last event that no event takes
    #[arg(long)]
    strict: bool,
    /// Write the packets of one script to FILE, as pcapng
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Write the results to FILE, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// One JSON object per script instead of lines
    #[arg(long)]
    json: bool,
    /// A setting of TCP (`synfin settings` lists them)
    #[arg(long = "tcp", value_name = "KEY=VALUE")]
    tcp: Vec<String>,
    /// ipv4, ipv6 or ipv4-mapped-ipv6
    #[arg(long = "ip_version", value_name = "VERSION")]
    ip_version: Option<String>,
    /// The address of the host under test
    #[arg(long = "local_ip", value_name = "ADDRESS")]
    local_ip: Option<String>,
    /// The address of its peer
    #[arg(long = "remote_ip", value_name = "ADDRESS")]
    remote_ip: Option<String>,
    /// The port that `bind(fd, ..., ...)` takes
    #[arg(long = "bind_port", value_name = "PORT")]
    bind_port: Option<String>,
    /// The port that `connect(fd, ..., ...)` goes to
    #[arg(long = "connect_port", value_name = "PORT")]
    connect_port: Option<String>,
    /// By how much a time may differ
    #[arg(long = "tolerance_usecs", value_name = "MICROSECONDS")]
    tolerance_usecs: Option<String>,
    /// By how much of the gap to the event before it may differ
    #[arg(long = "tolerance_percent", value_name = "PERCENT")]
    tolerance_percent: Option<String>,
    /// The MTU of the link
    #[arg(long, value_name = "OCTETS")]
    mtu: Option<String>,
    /// Compare TSval, whose unit is this long
    #[arg(long = "tcp_ts_tick_usecs", value_name = "MICROSECONDS")]
    tcp_ts_tick_usecs: Option<String>,
    /// Take segments as they are: none are put together
    #[arg(long = "strict_segments")]
    strict_segments: bool,
    /// Go on after a failure of packet or syscall
    #[arg(long = "non_fatal", value_name = "WHAT")]
    non_fatal: Option<String>,
    /// Settings as the adapter library takes them: mtu=, quickack=, and any of TCP
    #[arg(long = "so_flags", value_name = "KEY=VALUE,..")]
    so_flags: Option<String>,
    /// Play on the stack in this library, which has packetdrill's C interface, and not on our own; sysctls are set in a
    /// network namespace of each script
    #[arg(long = "so_filename", value_name = "FILE")]
    so_filename: Option<PathBuf>,
}

/// Whatever is wrong with what the user gave.
fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}

impl Args {
    fn settings(&self) -> io::Result<Settings> {
        let mut s = Settings::default();
        for (name, value) in [
            ("ip_version", &self.ip_version),
            ("local_ip", &self.local_ip),
            ("remote_ip", &self.remote_ip),
            ("bind_port", &self.bind_port),
            ("connect_port", &self.connect_port),
            ("tolerance_usecs", &self.tolerance_usecs),
            ("tolerance_percent", &self.tolerance_percent),
            ("mtu", &self.mtu),
            ("tcp_ts_tick_usecs", &self.tcp_ts_tick_usecs),
            ("non_fatal", &self.non_fatal),
            ("so_flags", &self.so_flags),
        ] {
            if let Some(v) = value {
                s.option(name, Some(v)).map_err(wrong)?;
                // Flags add up, and those of a script say what it is about; any other option counts more from here.
                if name != "so_flags" {
                    s.fixed.push(name.to_string());
                }
            }
        }
        s.strict = self.strict;
        s.strict_segments = self.strict_segments;
        for kv in &self.tcp {
            let (key, value) = kv.split_once('=').ok_or_else(|| wrong(format!("--tcp {kv}: KEY=VALUE is expected")))?;
            s.tcp(key, value).map_err(|e| wrong(format!("--tcp {e}")))?;
        }
        Ok(s)
    }

    fn defines(&self) -> io::Result<Vec<(String, String)>> {
        let one = |d: &String| match d.split_once('=') {
            Some((n, v)) => Ok((n.to_string(), v.to_string())),
            None => Err(wrong(format!("-D {d}: NAME=VALUE is expected"))),
        };
        self.defines.iter().map(one).collect()
    }
}

/// The scripts of a path, in order.
fn scripts(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if !fs::metadata(path).map_err(named)?.is_dir() {
        found.push(path.to_path_buf());
        return Ok(());
    }
    let mut inside: Vec<PathBuf> =
        fs::read_dir(path).map_err(named)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>().map_err(named)?;
    inside.sort();
    for p in inside {
        // A link to a directory may lead back here.
        let is_dir = fs::symlink_metadata(&p).is_ok_and(|m| m.is_dir());
        if is_dir || !p.is_dir() && p.extension().is_some_and(|e| e == "pkt") {
            scripts(&p, found)?;
        }
    }
    Ok(())
}

/// A script and what became of it.
struct Done {
    path: String,
    played: Played,
    /// The script could not be read.
    unreadable: Option<String>,
    took: Duration,
}

#[allow(clippy::disallowed_methods)] // how long a script took on this machine is for people only
fn one(path: &Path, settings: &Settings, defines: &[(String, String)], library: Option<&Library>) -> Done {
    let began = std::time::Instant::now();
    let name = path.display().to_string();
    // A fault of ours in one script must not lose what became of the others.
    let (played, unreadable) = match std::panic::catch_unwind(|| read_and_play(path, &name, settings, defines, library))
    {
        Ok(Ok(played)) => (played, None),
        Ok(Err(unreadable)) => (nothing(String::new()), Some(unreadable)),
        Err(_) => (nothing(String::new()), Some(format!("{name}: this script makes synfin panic: a fault of ours"))),
    };
    Done { path: name, played, unreadable, took: began.elapsed() }
}

fn nothing(why: String) -> Played {
    Played { verdict: Verdict::Skip(why), notes: Vec::new(), packets: Vec::new() }
}

/// The error says why it cannot be read.
fn read_and_play(
    path: &Path,
    name: &str,
    settings: &Settings,
    defines: &[(String, String)],
    library: Option<&Library>,
) -> Result<Played, String> {
    let text = fs::read(path).map_err(|e| format!("{name}: {e}"))?;
    let script = Script::parse(name, &String::from_utf8_lossy(&text), defines).map_err(|e| e.to_string())?;
    Ok(match library.map(|l| netns::enter_network().map(|()| l)) {
        None => play(&script, settings),
        Some(Ok(library)) => play_loaded(&script, settings, library),
        Some(Err(e)) => nothing(e.to_string()),
    })
}

/// The library with another stack. Sysctls are then really set, so never in the network that this program was started in.
fn load(file: &Path) -> io::Result<Library> {
    netns::enter_new()?;
    // A name without a slash would be looked for where the system's libraries are.
    Library::load(&fs::canonicalize(file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?)
        .map_err(wrong)
}

/// Plays them all, and says what became of each as soon as those before it are known.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    let (settings, defines) = (args.settings()?, args.defines()?);
    let mut paths = Vec::new();
    for p in &args.paths {
        scripts(p, &mut paths)?;
    }
    if paths.is_empty() {
        return Err(wrong("there is no script (*.pkt) there"));
    }
    if args.pcap.is_some() && paths.len() != 1 {
        return Err(wrong(format!("--pcap takes the packets of one script, not of {}", paths.len())));
    }
    let library = args.so_filename.as_deref().map(load).transpose()?;
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    let mut all: Vec<Option<Done>> = paths.iter().map(|_| None).collect();
    std::thread::scope(|scope| -> io::Result<()> {
        for _ in 0..jobs.clamp(1, paths.len()) {
            let (tell, next, paths, settings, defines) = (tell.clone(), &next, &paths, &settings, &defines);
            let library = library.as_ref();
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(p) = paths.get(i) else { return };
                    if tell.send((i, one(p, settings, defines, library))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let mut shown = 0;
        for (i, done) in told {
            all[i] = Some(done);
            while let Some(Some(d)) = all.get(shown) {
                show(out, d, args)?;
                shown += 1;
            }
        }
        Ok(())
    })?;
    let all: Vec<Done> = all.into_iter().flatten().collect();
    let count = |f: fn(&Done) -> bool| all.iter().filter(|d| f(d)).count();
    let passed = count(|d| d.played.verdict == Verdict::Pass);
    let skipped = count(|d| matches!(d.played.verdict, Verdict::Skip(_)) && d.unreadable.is_none());
    let failed = all.len() - passed - skipped;
    if !args.json {
        writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    }
    out.flush()?;
    if let Some(file) = &args.junit {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
        fs::write(file, junit(&all, failed, skipped)).map_err(named)?;
    }
    if let (Some(file), Some(d)) = (&args.pcap, all.first()) {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
        write_pcap(file, &d.played.packets).map_err(named)?;
    }
    if failed == 0 { Ok(()) } else { Err(io::Error::other(format!("{failed} of {} scripts failed", all.len()))) }
}

fn word(d: &Done) -> &'static str {
    match &d.played.verdict {
        _ if d.unreadable.is_some() => "FAIL",
        Verdict::Pass => "PASS",
        Verdict::Fail(_) => "FAIL",
        Verdict::Skip(_) => "SKIP",
    }
}

fn show(out: &mut impl Write, d: &Done, args: &Args) -> io::Result<()> {
    let ms = d.took.as_secs_f64() * 1e3;
    let why = match (&d.played.verdict, &d.unreadable) {
        (_, Some(e)) => Some(e.clone()),
        (Verdict::Skip(why), _) => Some(why.clone()),
        (Verdict::Fail(f), _) => Some(f.headline.clone()),
        (Verdict::Pass, _) => None,
    };
    if args.json {
        let line = serde_json::json!({
            "result": word(d).to_lowercase(),
            "path": d.path,
            "ms": (ms * 1e3).round() / 1e3,
            "reason": why,
            "notes": d.played.notes,
        });
        return writeln!(out, "{line}");
    }
    let reason = match (&d.played.verdict, &d.unreadable) {
        (Verdict::Skip(why), None) => format!(" ({why})"),
        _ => String::new(),
    };
    writeln!(out, "{} {} {ms:.1}{reason}", word(d), d.path)?;
    if let Some(e) = &d.unreadable {
        writeln!(out, "{e}")?;
    }
    if let Verdict::Fail(f) = &d.played.verdict {
        write!(out, "{f}")?;
    }
    if args.verbose {
        for n in &d.played.notes {
            writeln!(out, "    note: {n}")?;
        }
    }
    if args.verbose || matches!(d.played.verdict, Verdict::Fail(_)) {
        write!(out, "{}", diagram(&d.played.packets))?;
    }
    Ok(())
}

/// The conversation so far: the script's side on the left, with the states that its segments imply, ours on the right.
fn diagram(packets: &[Crossed]) -> String {
    let mut report = Report { left: "script".into(), right: "synfin".into(), entries: Vec::new() };
    let mut lines = Lines::new(false);
    // By the ends: theirs and ours, and whether theirs is the client.
    let mut conversations: HashMap<(SocketAddr, SocketAddr), (Ends, bool)> = HashMap::new();
    for c in packets {
        let at = c.at.since(START);
        let Ok(Some(p)) = TcpPacket::parse(&c.bytes) else {
            let what = if c.inbound { "a packet arrives" } else { "a packet leaves" };
            let step = Step::Remark(format!("{what}: {} octets, not TCP", c.bytes.len()));
            report.entries.push(Entry { at, step });
            continue;
        };
        let ends = if c.inbound { (p.src(), p.dst()) } else { (p.dst(), p.src()) };
        let (seen, client) = conversations.entry(ends).or_insert_with(|| (Ends::new(State::Listen), c.inbound));
        let line = report.entries.len();
        let shown = seen.segment(line, c.inbound == *client, &p.header, p.payload.len() as u32, false);
        if let Some(fix) = shown.earlier.filter(|fix| fix.client == *client) {
            for e in &mut report.entries[fix.since..] {
                if let Step::Segment { states, ends: e, .. } = &mut e.step
                    && (*e == ends || *e == (ends.1, ends.0))
                {
                    states.0 = fix.state;
                }
            }
        }
        let text = lines.line(&p);
        let (theirs, ours) = if *client { shown.states } else { (shown.states.1, shown.states.0) };
        let step = Step::Segment {
            rightwards: c.inbound,
            label: label(&p, &text),
            line: text,
            states: (theirs, c.state.unwrap_or(ours)),
            words: String::new(),
            lost: false,
            ends: (p.src(), p.dst()),
        };
        report.entries.push(Entry { at, step });
    }
    text::diagram(&report, false)
}

fn write_pcap(file: &Path, packets: &[Crossed]) -> io::Result<()> {
    let mut w = PcapNg::new(BufWriter::new(File::create(file)?), LinkType::Ip, "drill")?;
    for c in packets {
        let state = c.state.map(|s| format!("synfin: {s}"));
        w.packet(c.at.since(START), &c.bytes, state.as_deref())?;
    }
    w.finish()?.flush()
}

fn xml(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn junit(all: &[Done], failed: usize, skipped: usize) -> String {
    let total: f64 = all.iter().map(|d| d.took.as_secs_f64()).sum();
    let mut s = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        s,
        "<testsuite name=\"synfin drill\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\" time=\"{total:.6}\">",
        all.len()
    );
    for d in all {
        let _ = write!(s, "  <testcase name=\"{}\" time=\"{:.6}\"", xml(&d.path), d.took.as_secs_f64());
        let _ = match (&d.played.verdict, &d.unreadable) {
            (_, Some(e)) => writeln!(s, "><failure message=\"cannot be read\">{}</failure></testcase>", xml(e)),
            (Verdict::Pass, _) => writeln!(s, "/>"),
            (Verdict::Skip(why), _) => writeln!(s, "><skipped message=\"{}\"/></testcase>", xml(why)),
            (Verdict::Fail(f), _) => {
                writeln!(s, "><failure message=\"{}\">{}</failure></testcase>", xml(&f.headline), xml(&f.to_string()))
            }
        };
    }
    s + "</testsuite>\n"
}
