//! ICMP echo, for `ping`. `std` has nothing like it.

use crate::handle::Stack;
use crate::socket::{Ready, Timeout, timed_out};
use crate::waiting::Key;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use synfin_stack::engine::Instant;
use synfin_stack::{EchoAnswer, EchoError, EchoId, SocketEvent};

/// A socket for echo requests of either version, under an identifier of its own.
#[derive(Debug)]
pub struct EchoSocket {
    host: Stack,
    id: EchoId,
    read_timeout: Timeout,
}

fn error(e: EchoError) -> io::Error {
    io::Error::from(match e {
        EchoError::NotOpen => io::ErrorKind::NotConnected,
        EchoError::NoIdentifier => io::ErrorKind::AddrInUse,
        EchoError::WouldBlock => io::ErrorKind::WouldBlock,
        EchoError::TooLong => io::ErrorKind::InvalidInput,
        EchoError::Unreachable => io::ErrorKind::NetworkUnreachable,
    })
}

impl EchoSocket {
    /// Opens a socket; [`io::ErrorKind::AddrInUse`] if all 65,536 identifiers are in use.
    pub fn open(host: &Stack) -> io::Result<EchoSocket> {
        let mut s = host.shared().lock();
        s.opens()?;
        let id = s.stack.echo_open().map_err(error)?;
        drop(s);
        Ok(EchoSocket { host: host.clone(), id, read_timeout: Timeout::default() })
    }

    fn key(&self) -> Key {
        SocketEvent::Echo(self.id)
    }

    /// The identifier in its requests.
    pub fn ident(&self) -> u16 {
        self.host.shared().lock().stack.echo_ident(self.id).unwrap_or_default()
    }

    /// Sends a request with the sequence number `seq` to `dst`, with a hop limit other than the host's if one is given.
    /// Returns when it was sent, on the clock on which answers arrive ([`EchoAnswer::at`]).
    pub fn send_to(&self, data: &[u8], dst: IpAddr, seq: u16, hop_limit: Option<u8>) -> io::Result<Instant> {
        self.host.shared().act(|s| {
            if let Some(stopped) = s.stopped() {
                return stopped;
            }
            let now = s.now();
            s.stack.echo_send(now, self.id, dst, seq, hop_limit, data).map_err(error)?;
            Ok(now)
        })
    }

    /// How long a receive may wait; `None` waits for ever.
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(t)
    }

    /// Receives a reply, or an error about a request. [`io::ErrorKind::WouldBlock`] when the time is up.
    pub fn recv(&self) -> io::Result<EchoAnswer> {
        let (id, patience) = (self.id, self.read_timeout.get());
        let got = self.host.shared().block_on(self.key(), Ready::READ, patience, |s| match s.stack.echo_receive(id) {
            Err(EchoError::WouldBlock) => None,
            r => Some(r.map_err(error)),
        });
        got.unwrap_or_else(|| Err(timed_out("no answer within the time")))
    }

    /// Answers dropped because the buffer was full.
    pub fn drops(&self) -> u64 {
        self.host.shared().lock().stack.echo_drops(self.id)
    }
}

impl Drop for EchoSocket {
    fn drop(&mut self) {
        let mut s = self.host.shared().lock();
        s.waiters.close(self.key());
        s.stack.echo_close(self.id);
    }
}
