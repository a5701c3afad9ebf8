//! A connection of a server: its peer has only so much patience coming, and it ends when the program is to end.

use super::Stop;
use crate::clock::now;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use synfin::blocking::TcpStream;

/// How often signals are looked for while nothing moves.
const TURN: Duration = Duration::from_millis(200);

/// A connection.
pub(crate) struct Line {
    stream: Arc<TcpStream>,
    stop: Arc<Stop>,
}

impl Line {
    pub fn new(stream: TcpStream, stop: Arc<Stop>) -> io::Result<Line> {
        stream.set_read_timeout(Some(TURN))?;
        stream.set_write_timeout(Some(TURN))?;
        Ok(Line { stream: Arc::new(stream), stop })
    }

    /// The same connection for another thread.
    pub fn share(&self) -> Line {
        Line { stream: self.stream.clone(), stop: self.stop.clone() }
    }

    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Whether the program is to end.
    pub fn is_to_end(&self) -> bool {
        self.stop.asked() > 0
    }

    /// Reads; 0 at the end, and if the program is to end. [`io::ErrorKind::TimedOut`] after `until`.
    pub fn read(&self, buf: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            if self.stop.asked() > 0 {
                return Ok(0);
            }
            match (&mut &*self.stream).read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && now() < until => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                r => return r,
            }
        }
    }

    /// Writes all. [`io::ErrorKind::TimedOut`] if nothing of it is taken for `patience`, or if the program is to end and the
    /// time for that is over.
    pub fn write_all(&self, mut data: &[u8], patience: Duration) -> io::Result<()> {
        let mut until = now() + patience;
        while !data.is_empty() {
            match (&mut &*self.stream).write(data) {
                Ok(n) => {
                    data = &data[n..];
                    until = now() + patience;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && now() < until && !self.stop.is_over() => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Closes in order: a FIN, and what the peer still sends is read and thrown away until its own, but not for longer than
    /// `patience`. Text that is not read would make the close a reset, which may overtake the answer.
    pub fn close(self, patience: Duration) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let until = now() + patience;
        let mut thrown = [0; 16 << 10];
        while now() < until && !self.stop.is_over() {
            match (&mut &*self.stream).read(&mut thrown) {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        self.reset();
    }

    /// Resets.
    pub fn reset(self) {
        let _ = self.stream.set_linger(Some(Duration::ZERO)); // and it is dropped
    }
}
