//! What crosses the link, told while it happens: lines or objects for `-v`, a capture file.

use super::Voice;
use crate::recorder::{Recorder, Taken};
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use synfin_capture::{LinkType, PcapNg};
use synfin_trace::render::text;

/// Octets of packets that wait to be told and written, at most: beyond it they are counted as lost, for the stack does not
/// wait for a terminal.
const WAITING: usize = 64 << 20;
/// How often what has happened is told.
const TURN: Duration = Duration::from_millis(20);

/// What sees it.
pub(super) fn recorder(ours: &[IpAddr], ethernet: bool, listening: &[u16]) -> Recorder {
    let r = Recorder::new(false);
    r.set_ours(ours, ethernet);
    r.keep_whole_frames();
    r.keep_at_most(WAITING);
    for port in listening {
        r.listening(*port);
    }
    r
}

/// A capture file, not begun yet.
pub(super) struct Capture {
    path: PathBuf,
    file: File,
}

impl Capture {
    pub fn create(path: &Path) -> io::Result<Capture> {
        let file = File::create(path).map_err(|e| named(path, &e))?;
        Ok(Capture { path: path.into(), file })
    }
}

/// The thread that tells.
pub(super) struct Watch {
    thread: JoinHandle<io::Result<()>>,
    goes_on: mpsc::Sender<()>,
}

impl Watch {
    /// Starts. `lines`: who tells each segment.
    pub fn start(rec: Recorder, lines: Option<Voice>, pcap: Option<Capture>, ethernet: bool) -> io::Result<Watch> {
        let begin = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let link = if ethernet { LinkType::Ethernet } else { LinkType::Ip };
        let begin_file = |c: Capture| {
            let file = PcapNg::new(BufWriter::new(c.file), link, "synfin0").map_err(|e| named(&c.path, &e))?;
            Ok::<_, io::Error>((c.path, file))
        };
        let mut pcap = pcap.map(begin_file).transpose()?;
        let (goes_on, over) = mpsc::channel();
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
            let mut lost = 0;
            loop {
                let ends = over.recv_timeout(TURN) == Err(RecvTimeoutError::Disconnected);
                let taken = rec.take(ends);
                lost += taken.lost;
                if let Some(voice) = lines {
                    tell(voice, &taken);
                }
                if let Some((path, file)) = &mut pcap {
                    for (at, bytes, comment) in &taken.packets {
                        file.packet(begin + *at, bytes, comment.as_deref()).map_err(|e| named(path, &e))?;
                    }
                }
                if ends {
                    break;
                }
            }
            if lost > 0 {
                crate::output::complain(format_args!("{lost} segments came too fast to be told"));
            }
            pcap.map_or(Ok(()), |(path, file)| file.finish().map(drop).map_err(|e| named(&path, &e)))
        })?;
        Ok(Watch { thread, goes_on })
    }

    /// Tells the rest.
    pub fn finish(self) -> io::Result<()> {
        drop(self.goes_on);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("what tells of the link has panicked")))
    }
}

fn tell(voice: Voice, taken: &Taken) {
    if voice.is_json() {
        for o in &taken.objects {
            let mut o = o.clone();
            o["event"] = "segment".into();
            voice.object(&o);
        }
    }
    for e in &taken.entries {
        voice.line(text::entry(e));
    }
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}
