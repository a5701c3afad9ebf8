//! TCP.

use super::ToAddress;
use crate::driver::probed;
use crate::handle::Stack;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;
use synfin_stack::engine::call::{ReceiveError, SendError};
use synfin_stack::engine::{CloseReason, State, Status, TcpConfig};
use synfin_stack::{ConnId, ConnectError, ListenError, ListenerId, ListenerStatus, SocketEvent};

fn reason(r: CloseReason) -> io::Error {
    let kind = match r {
        CloseReason::Refused => io::ErrorKind::ConnectionRefused,
        CloseReason::Reset => io::ErrorKind::ConnectionReset,
        CloseReason::TimedOut => io::ErrorKind::TimedOut,
        CloseReason::HostUnreachable => io::ErrorKind::HostUnreachable,
        CloseReason::NetUnreachable => io::ErrorKind::NetworkUnreachable,
        CloseReason::Finished | CloseReason::Aborted | CloseReason::DataAfterClose => io::ErrorKind::NotConnected,
    };
    io::Error::new(kind, r.name())
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the host has stopped")
}

/// Why a call ended without a result: the link is gone, or its time was up.
fn unfinished(host: &Stack, words: &'static str) -> io::Error {
    match host.shared().lock().broken {
        Some(kind) => io::Error::new(kind, "the link is gone"),
        None => io::Error::new(io::ErrorKind::WouldBlock, words),
    }
}

/// A connection.
#[derive(Debug)]
pub struct TcpStream {
    host: Stack,
    id: ConnId,
    peer: SocketAddr,
    local: SocketAddr,
    read_timeout: Mutex<Option<Duration>>,
    write_timeout: Mutex<Option<Duration>>,
}

impl TcpStream {
    /// Connects. How long it may take is a setting: see `connect-timeout` and `syn-retries` of [`TcpConfig`].
    pub fn connect(host: &Stack, to: impl ToAddress) -> io::Result<TcpStream> {
        let cfg = host.tcp_defaults();
        TcpStream::connect_with(host, None, to.to_address()?, &cfg)
    }

    /// Connects, and gives up after `timeout`.
    pub fn connect_timeout(host: &Stack, to: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let cfg = TcpConfig { connect_timeout: timeout, ..host.tcp_defaults() };
        TcpStream::connect_with(host, None, *to, &cfg)
    }

    /// Connects with settings of its own, from `local` if given.
    pub fn connect_with(
        host: &Stack,
        local: Option<SocketAddr>,
        to: SocketAddr,
        cfg: &TcpConfig,
    ) -> io::Result<TcpStream> {
        let id = {
            let mut s = host.shared().lock();
            let now = s.now();
            let r = probed!(s, stack, probe, stack.tcp_connect(now, probe, local, to, cfg));
            s.flush();
            host.shared().nudge(&s);
            r.map_err(|e| connect_error(e, to))?
        };
        let stream = TcpStream::adopt(host.clone(), id)?;
        let done = host.shared().block_on(SocketEvent::Tcp(id), None, |s| {
            s.stack.tcp_events(id);
            match s.stack.tcp_state(id) {
                // Fast Open: the SYN goes with what is written first.
                State::SynSent if s.stack.tcp_waits_for_text(id) => Some(Ok(())),
                State::SynSent | State::SynReceived => None,
                State::Closed => Some(Err(reason(s.stack.tcp_reason(id).unwrap_or(CloseReason::Refused)))),
                _ => Some(Ok(())),
            }
        });
        done.unwrap_or_else(|| Err(gone()))?;
        Ok(stream)
    }

    fn adopt(host: Stack, id: ConnId) -> io::Result<TcpStream> {
        let t = host.shared().lock().stack.tcp_tuple(id).ok_or_else(gone)?;
        let (local, peer) = (t.local, t.remote);
        Ok(TcpStream { host, id, peer, local, read_timeout: Mutex::default(), write_timeout: Mutex::default() })
    }

    /// The other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }

    /// This end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// How long a read may wait; `None` waits for ever.
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.read_timeout, t)
    }

    /// How long a write may wait; `None` waits for ever.
    pub fn set_write_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.write_timeout, t)
    }

    /// Closes one direction or both. After `Write` the peer reads to the end, and may go on writing.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Read {
            return Ok(()); // as on Linux: what still comes can still be read
        }
        let mut s = self.host.shared().lock();
        let now = s.now();
        probed!(s, stack, probe, stack.tcp_shutdown_write(now, probe, self.id));
        s.flush();
        self.host.shared().nudge(&s);
        Ok(())
    }

    /// Changes its settings.
    pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) {
        let mut s = self.host.shared().lock();
        let now = s.now();
        probed!(s, stack, probe, stack.tcp_configure(now, probe, self.id, change));
        s.flush();
        self.host.shared().nudge(&s);
    }

    /// Sends small segments at once.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.configure(|c| c.nodelay = on);
        Ok(())
    }

    /// With `Some(0)`, dropping the stream resets the connection.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        if linger.is_some_and(|l| !l.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "only a linger time of zero; see Stack::wait_closed",
            ));
        }
        self.host.shared().lock().stack.tcp_set_linger_zero(self.id, linger.is_some());
        Ok(())
    }

    /// Resets the connection.
    pub fn abort(self) {
        let _ = self.set_linger(Some(Duration::ZERO));
    }

    /// Reads without taking.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf, true)
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.host.shared().lock().stack.tcp_state(self.id)
    }

    /// A snapshot of it.
    pub fn status(&self) -> Option<Status> {
        self.host.shared().lock().stack.tcp_status(self.id)
    }

    fn receive(&self, buf: &mut [u8], peek: bool) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let patience = timeout_of(&self.read_timeout);
        let id = self.id;
        let done = self.host.shared().block_on(SocketEvent::Tcp(id), patience, |s| {
            let now = s.now();
            s.stack.tcp_events(id);
            let r = if peek {
                s.stack.tcp_peek(id, buf)
            } else {
                probed!(s, stack, probe, stack.tcp_receive(now, probe, id, buf))
            };
            match r {
                Ok(n) => {
                    s.flush(); // the window may have opened
                    Some(Ok(n))
                }
                Err(ReceiveError::WouldBlock) => None,
                Err(ReceiveError::Closed(r)) => Some(Err(reason(r))),
            }
        });
        done.unwrap_or_else(|| Err(unfinished(&self.host, "read timed out")))
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        let patience = timeout_of(&self.write_timeout);
        let id = self.id;
        let done = self.host.shared().block_on(SocketEvent::Tcp(id), patience, |s| {
            let now = s.now();
            s.stack.tcp_events(id);
            match probed!(s, stack, probe, stack.tcp_send(now, probe, id, data)) {
                Ok(n) => {
                    s.flush();
                    Some(Ok(n))
                }
                Err(SendError::WouldBlock) => None,
                Err(SendError::Closing | SendError::Closed(CloseReason::Finished)) => {
                    Some(Err(io::Error::from(io::ErrorKind::BrokenPipe)))
                }
                Err(SendError::Closed(r)) => Some(Err(reason(r))),
            }
        });
        done.unwrap_or_else(|| Err(unfinished(&self.host, "write timed out")))
    }
}

fn set_timeout(slot: &Mutex<Option<Duration>>, t: Option<Duration>) -> io::Result<()> {
    if t == Some(Duration::ZERO) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timeout of zero"));
    }
    *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = t;
    Ok(())
}

fn timeout_of(slot: &Mutex<Option<Duration>>) -> Option<Duration> {
    *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn connect_error(e: ConnectError, to: SocketAddr) -> io::Error {
    let (kind, words) = match e {
        ConnectError::NoRoute => (io::ErrorKind::NetworkUnreachable, "no route"),
        ConnectError::AddressNotAvailable => (io::ErrorKind::AddrNotAvailable, "the local address is not ours"),
        ConnectError::AddressInUse => (io::ErrorKind::AddrInUse, "address in use"),
        ConnectError::NoPort => (io::ErrorKind::AddrNotAvailable, "no free port"),
        ConnectError::TableFull => (io::ErrorKind::OutOfMemory, "too many connections, or kinds of settings"),
        ConnectError::InvalidDestination => (io::ErrorKind::InvalidInput, "not an address to connect to"),
    };
    io::Error::new(kind, format!("{to}: {words}"))
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf, false)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf, false)
    }
}

impl Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.send(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.send(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Closes: what was written is still delivered; what was not read resets the connection instead (RFC 2525 2.17).
impl Drop for TcpStream {
    fn drop(&mut self) {
        let mut s = self.host.shared().lock();
        let now = s.now();
        probed!(s, stack, probe, stack.tcp_close(now, probe, self.id));
        s.flush();
        self.host.shared().nudge(&s);
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct TcpListener {
    host: Stack,
    id: ListenerId,
    local: SocketAddr,
}

impl TcpListener {
    /// Listens with a backlog of 128, as `std` does.
    pub fn bind(host: &Stack, on: impl ToAddress) -> io::Result<TcpListener> {
        let cfg = host.tcp_defaults();
        TcpListener::bind_with(host, on.to_address()?, 128, &cfg)
    }

    /// Listens with a backlog, which bounds the SYN queue and the accept queue each, and with settings of its own.
    pub fn bind_with(host: &Stack, on: SocketAddr, backlog: usize, cfg: &TcpConfig) -> io::Result<TcpListener> {
        let mut s = host.shared().lock();
        let now = s.now();
        let id = probed!(s, stack, probe, stack.tcp_listen(now, probe, on, backlog, cfg)).map_err(|e| {
            let kind = match e {
                ListenError::AddressInUse => io::ErrorKind::AddrInUse,
                ListenError::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
                ListenError::TableFull => io::ErrorKind::OutOfMemory,
            };
            io::Error::new(kind, format!("{on}: {kind}"))
        })?;
        let local = s.stack.tcp_listener_status(id).map_or(on, |l| l.local);
        drop(s);
        Ok(TcpListener { host: host.clone(), id, local })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Its queues.
    pub fn status(&self) -> Option<ListenerStatus> {
        self.host.shared().lock().stack.tcp_listener_status(self.id)
    }

    /// Waits for a connection.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_within(None)?.ok_or_else(gone)
    }

    /// Waits for a connection, not longer than `patience`.
    pub fn accept_within(&self, patience: Option<Duration>) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let id = self.id;
        let got = self.host.shared().block_on(SocketEvent::Listener(id), patience, |s| s.stack.tcp_accept(id));
        let Some(conn) = got else { return Ok(None) };
        let stream = TcpStream::adopt(self.host.clone(), conn)?;
        let peer = stream.peer;
        Ok(Some((stream, peer)))
    }

    /// Connections one after another.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let mut s = self.host.shared().lock();
        let now = s.now();
        probed!(s, stack, probe, stack.tcp_close_listener(now, probe, self.id));
        s.flush();
        self.host.shared().nudge(&s);
    }
}

/// See [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a>(&'a TcpListener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept().map(|(s, _)| s))
    }
}
