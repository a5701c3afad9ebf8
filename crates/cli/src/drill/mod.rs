//! `synfin drill`: packetdrill scripts against the engine, in virtual time.

mod args;
mod diagram;
mod junit;
mod scripts;
mod show;

pub(crate) use args::Args;

use crate::files;
use crate::output::{Output, failed, usage};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use synfin::device::netns;
use synfin_packetdrill::library::Library;
use synfin_packetdrill::run::{Played, Settings, Verdict, play, play_loaded, settle_namespace};
use synfin_packetdrill::script::Script;

/// A script and what became of it.
struct Done {
    path: String,
    played: Played,
    /// The script could not be read.
    unreadable: Option<String>,
    took: Duration,
}

/// What all scripts are played with.
struct Table {
    settings: Settings,
    defines: Vec<(String, String)>,
    library: Option<Library>,
    /// They are read, and not played.
    dry: bool,
}

#[allow(clippy::disallowed_methods)] // how long a script took on this machine is for people only
fn one(path: &Path, table: &Table) -> Done {
    let began = std::time::Instant::now();
    let name = path.display().to_string();
    // A fault of ours in one script must not lose what became of the others.
    let (played, unreadable) = match std::panic::catch_unwind(|| read_and_play(path, &name, table)) {
        Ok(Ok(played)) => (played, None),
        Ok(Err(unreadable)) => (skipped(String::new()), Some(unreadable)),
        Err(_) => (skipped(String::new()), Some(format!("{name}: this script makes synfin panic: a fault of ours"))),
    };
    Done { path: name, played, unreadable, took: began.elapsed() }
}

fn skipped(why: String) -> Played {
    Played::without_a_run(Verdict::Skip(why))
}

/// The error says why it cannot be read.
fn read_and_play(path: &Path, name: &str, table: &Table) -> Result<Played, String> {
    let text = scripts::read(path)?;
    let script = Script::parse(name, &text, &table.defines).map_err(|e| e.to_string())?;
    if table.dry {
        return Ok(skipped("dry run: read, not played".into()));
    }
    Ok(match table.library.map(|l| netns::enter_network().and_then(|()| settle_namespace()).map(|()| l)) {
        None => play(&script, &table.settings),
        Some(Ok(library)) => play_loaded(&script, &table.settings, &library),
        Some(Err(e)) => skipped(e.to_string()),
    })
}

/// The library with another stack. Sysctls are then really set, so never in the network that this program was started in.
fn load(file: &Path) -> io::Result<Library> {
    netns::enter_new()?;
    // A name without a slash would be looked for where the system's libraries are.
    Library::load(&fs::canonicalize(file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?)
        .map_err(io::Error::other)
}

/// A file for results, made before there are any: that it cannot be is known at once.
fn create(option: &str, file: Option<&Path>, scripts: &[PathBuf]) -> io::Result<Option<File>> {
    let Some(file) = file else { return Ok(None) };
    if file.as_os_str() == "-" {
        return Err(usage(format!(
            "{option}: expected the name of a file, found \"-\": standard output has the results"
        )));
    }
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{option}: {}: {e}", file.display()));
    files::another(file, scripts.iter().map(PathBuf::as_path)).map_err(named)?;
    File::create(file).map(Some).map_err(named)
}

/// Plays them all, and says what became of each as soon as those before it are known.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    if args.asks_for_settings() {
        return crate::settings::run(out);
    }
    let (settings, defines) = (args.settings()?, args.defines()?);
    if args.paths.is_empty() {
        return Err(usage("expected scripts, or directories of them"));
    }
    if args.jobs == Some(0) {
        return Err(usage("--jobs: expected a number from 1, found 0"));
    }
    let paths = scripts::find(&args.paths)?;
    if paths.is_empty() {
        return Err(usage("there is no script (*.pkt) there"));
    }
    if args.pcap.is_some() && paths.len() != 1 {
        return Err(usage(format!("--pcap: expected one script, found {}", paths.len())));
    }
    let create = |option, file| create(option, file, &paths);
    let (junit, pcap) = (create("--junit", args.junit.as_deref())?, create("--pcap", args.pcap.as_deref())?);
    let library = args.so_filename.as_deref().map(load).transpose()?;
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
    let table = Table { settings, defines, library, dry: args.dry_run };
    let all = play_all(&paths, &table, jobs, |d| match show::show(out, d, args) {
        // Whoever read has gone; what becomes of the others still counts.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    })?;
    let count = |word: &str| all.iter().filter(|d| show::word(d) == word).count();
    let (passed, failures, skips) = (count("PASS"), count("FAIL"), count("SKIP"));
    let told = if args.json || out.is_closed() {
        Ok(())
    } else {
        writeln!(out, "{passed} passed, {failures} failed, {skips} skipped")
    };
    let told = told.and_then(|()| if out.is_closed() { Ok(()) } else { out.flush() });
    let written = |option: &str, r: io::Result<()>| {
        r.map_err(|e| io::Error::other(format!("{option}: it cannot be written: {e}")))
    };
    if let Some(mut file) = junit {
        written("--junit", file.write_all(junit::junit(&all, failures, skips).as_bytes()))?;
    }
    if let (Some(file), Some(d)) = (pcap, all.first()) {
        written("--pcap", diagram::write_pcap(file, &d.played.packets))?;
    }
    match failures {
        0 => told,
        n => Err(failed(format!("{n} of {} scripts failed", all.len()))),
    }
}

/// Plays all scripts, `jobs` at a time, and gives each to `tell` when those before it were.
fn play_all(
    paths: &[PathBuf],
    table: &Table,
    jobs: usize,
    mut tell: impl FnMut(&Done) -> io::Result<()>,
) -> io::Result<Vec<Done>> {
    let next = AtomicUsize::new(0);
    let (send, done) = mpsc::channel();
    let mut all: Vec<Option<Done>> = paths.iter().map(|_| None).collect();
    std::thread::scope(|scope| -> io::Result<()> {
        for _ in 0..jobs.clamp(1, paths.len()) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(p) = paths.get(i) else { return };
                    if send.send((i, one(p, table))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut shown = 0;
        for (i, d) in done {
            all[i] = Some(d);
            while let Some(Some(d)) = all.get(shown) {
                tell(d)?;
                shown += 1;
            }
        }
        Ok(())
    })?;
    Ok(all.into_iter().flatten().collect())
}
