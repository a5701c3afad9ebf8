//! A connection, with a heartbeat or without. With one, whoever reads keeps it beating, also when the peer has no more to say.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use synfin::blocking::TcpStream;
use synfin::heartbeat::{HeartbeatStream, Settings};

/// How often a thread that waits for the connection looks whether it is still wanted.
pub(super) const TURN: Duration = Duration::from_millis(200);

/// A connection.
pub(super) enum Line {
    Plain(TcpStream),
    Beating(Box<HeartbeatStream>),
}

impl Line {
    /// `accepted`: the peer began, and asks first.
    pub fn new(stream: TcpStream, heartbeat: Option<Settings>, accepted: bool) -> io::Result<Line> {
        let Some(settings) = heartbeat else {
            stream.set_read_timeout(Some(TURN))?;
            stream.set_write_timeout(Some(TURN))?;
            return Ok(Line::Plain(stream));
        };
        let make = if accepted { HeartbeatStream::accepted } else { HeartbeatStream::new };
        let s = make(stream, settings)?;
        s.set_read_timeout(Some(TURN))?;
        Ok(Line::Beating(Box::new(s)))
    }

    /// The connection below. What is read from it or written to it is not for a heartbeat's framing.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Line::Plain(s) => s,
            Line::Beating(s) => s.get_ref(),
        }
    }

    /// Reads; [`io::ErrorKind::WouldBlock`] when the turn is over, 0 when the peer has no more.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(s) => (&mut &*s).read(buf),
            Line::Beating(s) => (&mut &**s).read(buf),
        }
    }

    /// Writes; [`io::ErrorKind::WouldBlock`] when the turn is over. With a heartbeat it waits as long as the peer lives.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(s) => (&mut &*s).write(data),
            Line::Beating(s) => (&mut &**s).write(data),
        }
    }

    /// Says that no more comes from here: a FIN, or a heartbeat's end, after which the hearts beat on. Waits as a write does.
    pub fn shut(&self) -> io::Result<()> {
        match self {
            Line::Plain(s) => s.shutdown(Shutdown::Write),
            Line::Beating(s) => s.end(),
        }
    }

    /// Likewise, and does not wait.
    pub fn shut_soon(self: &Arc<Line>) -> io::Result<()> {
        match &**self {
            Line::Plain(_) => self.shut(),
            Line::Beating(_) => {
                let line = self.clone();
                std::thread::Builder::new().name("end".into()).spawn(move || drop(line.shut())).map(drop)
            }
        }
    }

    /// Likewise, and nothing more is heard: the connection below ends as well.
    pub fn leave_soon(self: &Arc<Line>) -> io::Result<()> {
        match &**self {
            Line::Plain(_) => self.shut(),
            Line::Beating(_) => {
                let line = self.clone();
                let leave = move || drop(line.shut().and_then(|()| line.finish()));
                std::thread::Builder::new().name("end".into()).spawn(leave).map(drop)
            }
        }
    }

    /// Ends the connection below, when all is said: the FIN that a heartbeat's end was not.
    pub fn finish(&self) -> io::Result<()> {
        match self {
            Line::Plain(_) => Ok(()),
            Line::Beating(s) => match s.get_ref().shutdown(Shutdown::Write) {
                Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()), // the peer was quicker
                r => r,
            },
        }
    }

    /// When this is dropped it is reset, and whoever waits in a write waits no longer.
    pub fn give_up(&self) -> io::Result<()> {
        self.tcp().set_linger(Some(Duration::ZERO))?;
        if let Line::Beating(s) = self {
            let _ = s.get_ref().shutdown(Shutdown::Both);
        }
        Ok(())
    }

    /// Keeps the heart beating for a turn; whether there is one that is to beat.
    pub fn tend(&self) -> io::Result<bool> {
        match self {
            Line::Plain(_) => Ok(false),
            Line::Beating(s) => s.tend(TURN).map(|()| true),
        }
    }
}
