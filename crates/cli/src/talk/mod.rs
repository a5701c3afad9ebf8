//! A conversation over a connection: with standard input and output, with a command, or with an echo.
//!
//! Two threads carry text, one each way; the caller hears what becomes of them, signals, and what is typed after `^]`. The
//! threads hold the connection only while they use it, so that it is closed when its owner says so, even if one of them is
//! stuck on a terminal that nobody reads.

mod escape;
mod line;
mod pump;
mod status;

use crate::clock::{now, pause};
use crate::host::{GRACE, Stop, Voice};
use crate::output::{complain, named};
use escape::{Command, ESCAPE};
use line::{Line, TURN};
use pump::{News, Source};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Instant;
use synfin::blocking::TcpStream;
use synfin::device::{EventFd, LineEnd};
use synfin::heartbeat::Settings;
use synfin_tcp::State;

/// Who talks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct With {
    /// Talk with this command instead of standard input and output: the shell runs it for each connection
    ///
    /// Without --link it runs in the program's user namespace: as root there, which is whoever started the program and nobody
    /// else. What wants to become another user, like sshd, has to run as the one that there is: `unshare -U --map-user=UID
    /// --map-group=GID CMD`.
    #[arg(long, value_name = "CMD", conflicts_with = "echo")]
    exec: Option<String>,
    /// Send back what comes
    #[arg(long)]
    echo: bool,
    /// Keep a heartbeat with the peer, which must have one too: a peer that is gone, or hangs, is an error
    ///
    /// `usual` finds it 35 s after the last sign of life, `strict` 8 s; or seconds: after how much silence it is asked, and how
    /// long its answer is waited for. A reader of standard output that takes nothing is a program that hangs.
    #[arg(long, value_name = "usual|strict|15/20")]
    heartbeat: Option<Settings>,
}

impl With {
    /// Whether standard output carries what comes.
    pub fn uses_stdout(&self) -> bool {
        self.exec.is_none() && !self.echo
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match (&self.exec, self.echo) {
            (Some(_), _) => "exec",
            (None, true) => "echo",
            (None, false) => "",
        }
    }
}

/// How it is heard that the program is to end, and how is told what happens.
#[derive(Clone)]
pub(crate) struct Around {
    /// Whether connections are accepted: then the peer's heart asks first.
    pub accepted: bool,
    pub stop: Arc<Stop>,
    pub voice: Voice,
}

/// Talks until both ends have closed and both FINs are acknowledged.
pub(crate) fn converse(stream: TcpStream, with: &With, around: &Around) -> io::Result<()> {
    let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
    let json = around.voice.is_json();
    if json {
        let o = json!({"event": "connected", "local": local.to_string(), "peer": peer.to_string()});
        around.voice.object(&o);
    }
    let line = Line::new(stream, with.heartbeat, around.accepted).map_err(|e| named("connection to", peer, &e));
    let (done, (sent, received)) = match line.and_then(|line| Talk::start(Arc::new(line), with, around)) {
        Ok(mut talk) => {
            let done = talk.run(&around.stop);
            (talk.end(done, &around.stop, peer), talk.totals())
        }
        Err(e) => (Err(e), (0, 0)),
    };
    if json {
        let error = done.as_ref().err().map(ToString::to_string);
        let o = json!({"event": "closed", "local": local.to_string(), "peer": peer.to_string(),
            "bytes_sent": sent, "bytes_received": received, "error": error});
        around.voice.object(&o);
    }
    done
}

struct Talk {
    /// None once it is closed.
    line: Option<Arc<Line>>,
    news: mpsc::Receiver<News>,
    /// Ends the thread that waits for what is to be sent.
    over: Arc<EventFd>,
    child: Option<Child>,
    count: Arc<pump::Count>,
    _listening: crate::host::Listening,
    _line_end: Option<LineEnd>,
}

/// How the carrying came to its end.
enum End {
    /// Both ends have said all they had to say.
    Said,
    /// Whoever took what comes has gone: a reader, or a command that has ended.
    Gone,
    /// The program is to end, and the time for an orderly end is over.
    Reset,
}

impl Talk {
    fn start(line: Arc<Line>, with: &With, around: &Around) -> io::Result<Talk> {
        let (tell, news) = mpsc::channel();
        let over = Arc::new(EventFd::new()?);
        let count = Arc::<pump::Count>::default();
        let listening = around.stop.tell({
            let tell = tell.clone();
            move || drop(tell.send(News::Asked))
        });
        let way = pump::Way { line: Arc::downgrade(&line), tell, over: over.clone(), count: count.clone() };
        let (mut child, mut line_end) = (None, None);
        if with.echo {
            way.echo()?;
        } else if let Some(command) = &with.exec {
            let mut c = Process::new("sh");
            // In a process group of its own, so that all that it starts can be ended with it.
            c.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
            let mut c = c.spawn().map_err(|e| named("exec", "sh", &e))?;
            let (from, to) = (c.stdout.take().map(OwnedFd::from), c.stdin.take().map(OwnedFd::from));
            child = Some(c);
            if let (Some(from), Some(to)) = (from, to) {
                way.clone().send(Source { file: from.into(), escape: false })?;
                way.receive(to.into(), "exec")?;
            }
        } else {
            let (stdin, stdout) = (io::stdin(), io::stdout());
            let escape = stdin.is_terminal();
            if escape {
                line_end = LineEnd::set(&stdin, ESCAPE)?;
            }
            let dup = |fd: &dyn AsFdDyn| fd.dup().map(File::from);
            way.clone().send(Source { file: dup(&stdin)?, escape })?;
            way.receive(dup(&stdout)?, "standard output")?;
        }
        Ok(Talk { line: Some(line), news, over, child, count, _listening: listening, _line_end: line_end })
    }

    /// Hears what becomes of both ways.
    fn run(&mut self, stop: &Stop) -> io::Result<End> {
        let Some(line) = &self.line else { return Ok(End::Said) };
        let (mut ours, mut theirs) = (true, true);
        let mut until: Option<Instant> = None;
        while ours || theirs {
            let news = match (until, &mut self.child) {
                // A command that has ended takes nothing more, and the peer need not say that it has no more.
                (None, Some(child)) if !ours => match self.news.recv_timeout(TURN) {
                    Err(_) if child.try_wait()?.is_some() => return Ok(End::Gone),
                    Err(_) => continue,
                    Ok(news) => Some(news),
                },
                (None, _) => self.news.recv().ok(),
                (Some(until), _) => self.news.recv_timeout(until.saturating_duration_since(now())).ok(),
            };
            match news {
                Some(News::Sent(done)) => {
                    done?;
                    ours = false;
                }
                Some(News::Received(done)) => {
                    done?;
                    theirs = false;
                }
                Some(News::Gone) => return Ok(End::Gone),
                Some(News::Asked) if stop.asked() > 1 => return Ok(End::Reset),
                Some(News::Typed(Command::Status)) => complain_status(line.tcp()),
                Some(News::Typed(Command::Close)) => {
                    line.shut_soon()?;
                    ours = false;
                }
                Some(News::Asked | News::Typed(Command::Quit)) => {
                    line.shut_soon()?;
                    ours = false;
                    until.get_or_insert_with(|| now() + GRACE);
                }
                None => return Ok(End::Reset),
            }
        }
        Ok(End::Said)
    }

    /// Closes: what was said has to arrive.
    fn end(&mut self, done: io::Result<End>, stop: &Stop, peer: SocketAddr) -> io::Result<()> {
        self.over.wake();
        let Some(line) = self.line.take() else { return Ok(()) };
        let asked = stop.asked();
        let done = match done {
            Ok(End::Said) => line.finish().and_then(|()| acknowledged(&line, stop)),
            Ok(End::Gone) => delivered(&line, stop),
            Ok(End::Reset) => line.give_up(),
            Err(e) => Err(e),
        };
        let held = Arc::downgrade(&line);
        drop(line);
        // A thread that waits for the connection lets go of it when its turn is over; only then it is closed.
        let until = now() + TURN * 3 / 2;
        while held.strong_count() > 0 && now() < until {
            pause(2);
        }
        let failed = self.child.take().and_then(|child| reap(child, stop, done.is_err()));
        // Whoever was asked to end has done what was asked.
        if asked > 0 {
            return Ok(());
        }
        done.map_err(|e| named("connection to", peer, &e))?;
        failed.map_or(Ok(()), |status| Err(io::Error::other(format!("--exec: the command failed: {status}"))))
    }

    /// Octets sent and received.
    fn totals(&self) -> (u64, u64) {
        self.count.totals()
    }
}

/// Waits until the peer has acknowledged our FIN as well.
fn acknowledged(line: &Line, stop: &Stop) -> io::Result<()> {
    let (mut ms, stream) = (1, line.tcp());
    loop {
        match stream.state() {
            State::TimeWait => return Ok(()),
            // Both FINs are acknowledged; or it was reset, which a read tells.
            State::Closed => {
                return match (&mut &*stream).read(&mut [0]) {
                    Err(e) if e.kind() == io::ErrorKind::ConnectionReset || e.kind() == io::ErrorKind::TimedOut => {
                        Err(e)
                    }
                    _ => Ok(()),
                };
            }
            _ => {}
        }
        if stop.is_over() {
            return line.give_up();
        }
        pause(ms);
        ms = (ms * 2).min(20);
    }
}

/// Waits until the peer has all that we have said, and leaves it: nobody hears what it may still say.
fn delivered(line: &Arc<Line>, stop: &Stop) -> io::Result<()> {
    line.leave_soon()?;
    let until = now() + GRACE;
    loop {
        match line.tcp().state() {
            State::TimeWait | State::Closed => return Ok(()),
            State::FinWait2 => break,
            _ if now() >= until || stop.is_over() => break,
            _ => pause(2),
        }
    }
    line.give_up()
}

/// Waits for a command that has lost its connection, and gives its status if it says that it failed. What does not notice is
/// killed with all that it has started: at once if the program is to end, after a while if the connection has failed.
fn reap(mut child: Child, stop: &Stop, failed: bool) -> Option<ExitStatus> {
    let until = failed.then(|| now() + GRACE);
    loop {
        match child.try_wait() {
            // One that a signal has ended had nobody to write to any more.
            Ok(Some(status)) => return Some(status).filter(|s| s.code().is_some_and(|c| c != 0)),
            Ok(None) => {}
            Err(_) => return None,
        }
        if stop.asked() > 0 || until.is_some_and(|u| now() >= u) {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let _ = group.map(|g| kill_process_group(g, Signal::KILL));
            let _ = child.wait();
            return None;
        }
        pause(10);
    }
}

fn complain_status(stream: &TcpStream) {
    match status::line(stream) {
        Some(l) => complain(l),
        None => complain("the connection is gone"),
    }
}

/// A descriptor that can be duplicated.
trait AsFdDyn {
    fn dup(&self) -> io::Result<OwnedFd>;
}

impl<T: AsFd> AsFdDyn for T {
    fn dup(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}
