//! What sockets do, without waiting: the one core beneath [`crate::blocking`] and `tokio`. Each operation is a try under the
//! lock that gives its result, or nothing where it would have to wait.

mod any;
mod error;
mod listener;
pub(crate) mod options;
mod stream;
pub(crate) mod udp;

pub use any::Request;
pub use error::Cause;
pub use options::Keepalive;

pub(crate) use listener::Listener;
pub(crate) use stream::Stream;
pub(crate) use udp::Datagrams;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synfin_stack::engine::Events;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready(u8);

impl Ready {
    /// There is something to be read, or the end of it.
    pub(crate) const READ: Ready = Ready(1);
    /// There is room to write, or nobody to write to.
    pub(crate) const WRITE: Ready = Ready(2);
    /// Either.
    #[cfg(feature = "tokio")]
    pub(crate) const BOTH: Ready = Ready(3);

    /// What has happened to a connection, as a hint of what is worth trying.
    pub(crate) fn of(e: Events) -> Ready {
        const READ: [Events; 4] = [Events::READABLE, Events::PEER_CLOSED, Events::CLOSED, Events::CONNECTED];
        const WRITE: [Events; 3] = [Events::WRITABLE, Events::CLOSED, Events::CONNECTED];
        let any = |of: &[Events]| of.iter().any(|x| e.has(*x));
        Ready(u8::from(any(&READ)) | u8::from(any(&WRITE)) << 1)
    }

    pub(crate) fn intersects(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }
}

/// How long a call may wait, changed by any holder of the socket; zero says for ever.
#[derive(Debug, Default)]
pub(crate) struct Timeout(AtomicU64);

impl Timeout {
    /// `None` waits for ever; zero is refused, as `std` does.
    pub(crate) fn set(&self, t: Option<Duration>) -> io::Result<()> {
        if t == Some(Duration::ZERO) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timeout of zero"));
        }
        let nanos = t.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.0.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

/// Why a call that waited gave nothing.
pub(crate) fn timed_out(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, words)
}
