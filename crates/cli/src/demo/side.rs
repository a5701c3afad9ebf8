//! Sockets of either end: the kernel's, or ours.

use super::{PATIENCE, now};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;
use synfin::Stack;
use synfin::device::{EventFd, wait};

/// An end.
#[derive(Clone)]
pub(crate) enum Side {
    Kernel,
    Ours(Stack),
}

/// A connection of either end.
pub(crate) enum Stream {
    Kernel(std::net::TcpStream),
    Ours(synfin::blocking::TcpStream),
}

/// A listener of either end.
pub(crate) enum Listener {
    Kernel(std::net::TcpListener),
    Ours(synfin::blocking::TcpListener),
}

impl Side {
    /// Connects: the kernel has patience, and we have our settings.
    pub fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        let s = match self {
            Side::Kernel => Stream::Kernel(std::net::TcpStream::connect_timeout(&to, PATIENCE)?),
            Side::Ours(h) => Stream::Ours(synfin::blocking::TcpStream::connect(h, to)?),
        };
        s.set_read_timeout(PATIENCE)?;
        Ok(s)
    }

    pub fn listen(&self, on: SocketAddr) -> io::Result<Listener> {
        Ok(match self {
            Side::Kernel => Listener::Kernel(std::net::TcpListener::bind(on)?),
            Side::Ours(h) => Listener::Ours(synfin::blocking::TcpListener::bind(h, on)?),
        })
    }
}

impl Listener {
    /// Waits for a connection with patience.
    pub fn accept(&self) -> io::Result<Stream> {
        let s = match self {
            Listener::Kernel(l) => {
                let (until, nobody) = (now() + PATIENCE, EventFd::new()?);
                loop {
                    let left = until.saturating_duration_since(now());
                    if wait(l.as_raw_fd(), false, &nobody, Some(left))?.device {
                        break Stream::Kernel(l.accept()?.0);
                    }
                    if left.is_zero() {
                        return Err(nobody_came());
                    }
                }
            }
            Listener::Ours(l) => Stream::Ours(l.accept_within(Some(PATIENCE))?.ok_or_else(nobody_came)?.0),
        };
        s.set_read_timeout(PATIENCE)?;
        Ok(s)
    }
}

fn nobody_came() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("nobody has connected within {} s", PATIENCE.as_secs()))
}

impl Stream {
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Stream::Kernel(s) => s.shutdown(Shutdown::Write),
            Stream::Ours(s) => s.shutdown(Shutdown::Write),
        }
    }

    /// Closes with a reset.
    pub fn abort(self) -> io::Result<()> {
        match self {
            Stream::Kernel(s) => synfin::device::set_linger_zero(s.as_raw_fd()),
            Stream::Ours(s) => {
                s.abort();
                Ok(())
            }
        }
    }

    /// What the kernel says of its own socket (`TCP_INFO`): where it is, who its peer is, the number of its state. None for
    /// a socket of ours.
    pub fn kernel_says(&self) -> Option<(SocketAddr, SocketAddr, u8)> {
        let Stream::Kernel(s) = self else { return None };
        Some((s.local_addr().ok()?, s.peer_addr().ok()?, synfin::device::tcp_info_state(s.as_raw_fd()).ok()?))
    }

    pub fn set_read_timeout(&self, t: Duration) -> io::Result<()> {
        match self {
            Stream::Kernel(s) => s.set_read_timeout(Some(t)),
            Stream::Ours(s) => s.set_read_timeout(Some(t)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Kernel(s) => s.read(buf),
            Stream::Ours(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Kernel(s) => s.write(data),
            Stream::Ours(s) => s.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
