//! One transfer: what its two ends do, whether they are the kernel's or ours.
//!
//! The first eight octets say what it is about, so that whoever listens need not be told: how long the receiver takes what
//! comes and then resets, or how many octets it waits for and then answers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use synfin::blocking;
use synfin::device::set_linger_zero;

/// What a transfer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// As much as gets through in this time.
    Bulk(Duration),
    /// So many octets, as soon as possible.
    Short(u64),
}

impl Job {
    pub fn to_bytes(self) -> [u8; 8] {
        match self {
            Job::Bulk(d) => (d.as_millis() as u64).to_be_bytes(),
            Job::Short(n) => (n | SHORT).to_be_bytes(),
        }
    }

    pub fn from_bytes(b: [u8; 8]) -> Job {
        match u64::from_be_bytes(b) {
            n if n & SHORT != 0 => Job::Short(n & !SHORT),
            n => Job::Bulk(Duration::from_millis(n)),
        }
    }
}

const SHORT: u64 = 1 << 63;

/// A socket of either.
pub trait Socket: Read + Write + Sized {
    fn read_timeout(&self, t: Duration) -> io::Result<()>;
    fn write_timeout(&self, t: Duration) -> io::Result<()>;
    fn end_of_text(&self) -> io::Result<()>;
    fn reset(self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn read_timeout(&self, t: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(t))
    }
    fn write_timeout(&self, t: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(t))
    }
    fn end_of_text(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
    fn reset(self) -> io::Result<()> {
        set_linger_zero(self.as_raw_fd())
    }
}

impl Socket for blocking::TcpStream {
    fn read_timeout(&self, t: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(t))
    }
    fn write_timeout(&self, t: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(t))
    }
    fn end_of_text(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
    fn reset(self) -> io::Result<()> {
        self.abort();
        Ok(())
    }
}

/// Sends until the receiver has had enough. `began` is when the connection was asked for; how long it took from then on.
pub fn send(mut s: impl Socket, job: Job, began: Instant) -> io::Result<Duration> {
    s.write_timeout(PATIENCE)?;
    s.read_timeout(PATIENCE)?;
    let data = vec![7; PIECE];
    match job {
        Job::Bulk(_) => {
            s.write_all(&job.to_bytes())?;
            loop {
                match s.write(&data) {
                    Ok(_) => {}
                    // The receiver's reset: it has had enough.
                    Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
                    Err(e) => return Err(e),
                }
            }
        }
        Job::Short(n) => {
            // One write, as a program does that has it all; the header is of its octets.
            let mut all = job.to_bytes().to_vec();
            all.resize(n.max(8) as usize, 7);
            s.write_all(&all)?;
            s.read_exact(&mut [0])?;
        }
    }
    let took = began.elapsed();
    if matches!(job, Job::Short(_)) {
        s.end_of_text()?;
    }
    Ok(took)
}

/// Receives what the sender says; the octets, and how long that took.
pub fn receive(mut s: impl Socket) -> io::Result<(u64, Duration)> {
    let began = Instant::now();
    s.read_timeout(PATIENCE)?;
    let mut head = [0; 8];
    s.read_exact(&mut head)?;
    let mut buf = vec![0; 4 * PIECE];
    let mut got = head.len() as u64;
    match Job::from_bytes(head) {
        Job::Bulk(time) => {
            while let Some(left) = time.checked_sub(began.elapsed()).filter(|l| !l.is_zero()) {
                s.read_timeout(left)?;
                match s.read(&mut buf) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(n) => got += n as u64,
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(e) => return Err(e),
                }
            }
            s.reset()?;
            Ok((got, time))
        }
        Job::Short(n) => {
            while got < n {
                match s.read(&mut buf)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    n => got += n as u64,
                }
            }
            s.write_all(&[1])?;
            let took = began.elapsed();
            // The sender closes first; its end need not be seen.
            let _ = s.read(&mut buf);
            Ok((got, took))
        }
    }
}

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);
const PIECE: usize = 64 * 1024;
