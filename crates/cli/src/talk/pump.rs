//! The threads that carry text, one each way.

use super::escape::{Command, Escape, Typed};
use super::line::Line;
use crate::output::complain;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use synfin::device::{EventFd, Interest, wait_any};

/// What becomes of a conversation.
pub(super) enum News {
    /// All that was to be sent is sent, and our FIN; or it cannot be.
    Sent(io::Result<()>),
    /// The peer's FIN has come, and all before it is written; or not.
    Received(io::Result<()>),
    /// Whoever reads what comes has gone.
    Gone,
    /// A signal has come.
    Asked,
    /// Typed after `^]`.
    Typed(Command),
}

/// Octets carried.
#[derive(Default)]
pub(super) struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Count {
    pub fn totals(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}

/// What is to be sent.
pub(super) struct Source {
    pub file: File,
    /// `^]` is typed to this program.
    pub escape: bool,
}

/// What a thread has to know.
#[derive(Clone)]
pub(super) struct Way {
    pub line: Weak<Line>,
    pub tell: mpsc::Sender<News>,
    pub over: Arc<EventFd>,
    pub count: Arc<Count>,
}

/// Octets carried at a time.
const PIECE: usize = 64 << 10;

impl Way {
    /// Sends what comes from `source`, then a FIN.
    pub fn send(self, source: Source) -> io::Result<()> {
        self.spawn(move |way| {
            let done = way.send_all(source);
            let _ = way.tell.send(News::Sent(done));
        })
    }

    /// Writes what the peer sends to `sink`, which is called `name`.
    pub fn receive(self, sink: File, name: &'static str) -> io::Result<()> {
        self.spawn(move |way| {
            let done = way.receive_all(sink, name);
            let at_end = matches!(done, News::Received(Ok(())));
            let _ = way.tell.send(done);
            if at_end && let Err(e) = way.tend() {
                let _ = way.tell.send(News::Received(Err(e)));
            }
        })
    }

    /// Sends back what the peer sends.
    pub fn echo(self) -> io::Result<()> {
        self.spawn(|way| {
            let done = way.echo_all();
            let _ = way.tell.send(News::Sent(done));
            let _ = way.tell.send(News::Received(Ok(())));
        })
    }

    fn spawn(self, f: impl FnOnce(Way) + Send + 'static) -> io::Result<()> {
        std::thread::Builder::new().spawn(move || f(self)).map(drop)
    }

    fn send_all(&self, mut source: Source) -> io::Result<()> {
        let mut buf = vec![0; PIECE];
        let mut escape = source.escape.then(Escape::default);
        loop {
            let look = |fd| Interest { fd, readable: true, writable: false, ready: false };
            let mut all = [look(source.file.as_raw_fd()), look(self.over.fd())];
            wait_any(&mut all, None)?;
            if all[1].ready {
                return Ok(());
            }
            if !all[0].ready {
                continue;
            }
            let n = match source.file.read(&mut buf) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(io::Error::new(e.kind(), format!("standard input: {e}"))),
            };
            if n == 0 {
                return self.shut();
            }
            match &mut escape {
                None => self.write_all(&buf[..n])?,
                Some(escape) => {
                    for typed in escape.typed(&buf[..n]) {
                        match typed {
                            Typed::Text(text) => self.write_all(&text)?,
                            Typed::Prompt => drop(io::stderr().write_all(b"\nsynfin> ")),
                            Typed::Unknown(line) => {
                                complain(format_args!(
                                    "{line:?}: there are quit, close and status; an empty line goes on"
                                ));
                            }
                            Typed::Command(c) => drop(self.tell.send(News::Typed(c))),
                        }
                    }
                }
            }
        }
    }

    fn shut(&self) -> io::Result<()> {
        self.line.upgrade().map_or(Ok(()), |l| l.shut())
    }

    fn receive_all(&self, mut sink: File, name: &str) -> News {
        let mut buf = vec![0; PIECE];
        loop {
            match self.read(&mut buf) {
                Ok(0) => return News::Received(Ok(())),
                Ok(n) => match sink.write_all(&buf[..n]) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return News::Gone,
                    Err(e) => return News::Received(Err(io::Error::new(e.kind(), format!("{name}: {e}")))),
                },
                Err(e) => return News::Received(Err(e)),
            }
        }
    }

    /// The peer has no more to say, but its heart beats, and ours has to.
    fn tend(&self) -> io::Result<()> {
        while let Some(line) = self.line.upgrade()
            && line.tend()?
        {}
        Ok(())
    }

    fn echo_all(&self) -> io::Result<()> {
        let mut buf = vec![0; PIECE];
        loop {
            match self.read(&mut buf)? {
                0 => return self.shut(),
                n => self.write_all(&buf[..n])?,
            }
        }
    }

    /// Reads, as long as the connection is wanted; 0 at its end.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(line) = self.line.upgrade() else { return Ok(0) };
            match line.read(buf) {
                Err(e) if is_turn(&e) => {}
                Ok(n) => {
                    self.count.received.fetch_add(n as u64, Ordering::Relaxed);
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes, as long as the connection is wanted and open.
    fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let Some(line) = self.line.upgrade() else { return Ok(()) };
            match line.write(data) {
                Ok(n) => {
                    self.count.sent.fetch_add(n as u64, Ordering::Relaxed);
                    data = &data[n..];
                }
                Err(e) if is_turn(&e) => {}
                // We have closed: what comes after is for nobody.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Only the turn is over.
fn is_turn(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::WouldBlock
}
