//! TCP.

use super::address::{ToAddress, each};
use crate::Bytes;
use crate::driver::probed;
use crate::handle::Stack;
use crate::socket::options::{self, Before, listener_options, stream_options, tcp_socket};
use crate::socket::{Cause, Keepalive, Listener, Ready, Stream};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use synfin_stack::engine::{State, Status, TcpConfig};
use synfin_stack::{ConnId, ListenerStatus};

/// A connection. Dropping the last handle closes it: what was written is still delivered; text that was not read resets
/// the connection instead (RFC 2525 2.17).
#[derive(Debug)]
pub struct TcpStream(Arc<Stream>);

stream_options!(TcpStream);

impl TcpStream {
    /// Connects. How long it may take is a setting: see `connect-timeout` and `syn-retries` of [`TcpConfig`]. Of several addresses
    /// the first that answers is taken, one after another; if none does, the error is the last one's.
    pub fn connect(host: &Stack, to: impl ToAddress) -> io::Result<TcpStream> {
        let cfg = host.tcp_defaults();
        each(to.to_addresses()?, |to| TcpStream::connect_with(host, None, to, &cfg))
    }

    /// Connects, and gives up after `timeout`; zero is refused.
    pub fn connect_timeout(host: &Stack, to: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timeout of zero"));
        }
        let connect_timeout = options::millis(timeout).min(options::LONGEST_CONNECT);
        let cfg = TcpConfig { connect_timeout, ..host.tcp_defaults() };
        TcpStream::connect_with(host, None, *to, &cfg)
    }

    /// Connects with settings of its own, from `local` if given. [`io::ErrorKind::InvalidInput`] if they are out of their ranges or
    /// contradict each other ([`TcpConfig::check`]).
    pub fn connect_with(
        host: &Stack,
        local: Option<SocketAddr>,
        to: SocketAddr,
        cfg: &TcpConfig,
    ) -> io::Result<TcpStream> {
        TcpStream::finish(Stream::begin(host, local, to, cfg)?)
    }

    /// Waits until it is open.
    fn finish(stream: Stream) -> io::Result<TcpStream> {
        stream.wait(Ready::WRITE, &Default::default(), |s| stream.try_connected(s))?;
        Ok(TcpStream(Arc::new(stream)))
    }

    /// Of a connection that a listener has taken.
    pub(super) fn adopted(stream: Stream) -> TcpStream {
        TcpStream(Arc::new(stream))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn share(stream: Arc<Stream>) -> TcpStream {
        TcpStream(stream)
    }

    /// The core of it, if this is the only handle.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_stream(self) -> Result<Stream, TcpStream> {
        Arc::try_unwrap(self.0).map_err(TcpStream)
    }

    fn stream(&self) -> &Stream {
        &self.0
    }

    /// Another handle of the same connection; timeouts and modes are shared, too.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream(self.0.clone()))
    }

    /// How long a read may wait; `None` waits for ever. Then it fails with [`io::ErrorKind::WouldBlock`].
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        self.0.read_timeout.set(t)
    }

    /// How long a write may wait; `None` waits for ever. Then it fails with [`io::ErrorKind::WouldBlock`].
    pub fn set_write_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        self.0.write_timeout.set(t)
    }

    /// How long a read may wait.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.read_timeout.get())
    }

    /// How long a write may wait.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.write_timeout.get())
    }

    /// With `on`, reads and writes that would have to wait fail with [`io::ErrorKind::WouldBlock`] instead.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.nonblocking.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// Closes one direction or both. After `Write` the peer reads to the end, and may go on writing; after `Read`, what has
    /// come and still comes can be read, and then reads give 0 instead of waiting (as on Linux).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Resets the connection at once (ABORT, RFC 9293 3.10.5), other handles of it or not: their calls fail from then on.
    pub fn abort(self) {
        self.reset();
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }

    /// Reads without taking.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.wait(Ready::READ, &self.0.read_timeout, |s| self.0.try_peek(s, buf))
    }

    /// Reads what has come in one piece, without a copy; `None` at the peer's FIN.
    pub fn read_bytes(&self) -> io::Result<Option<Bytes>> {
        self.0.wait(Ready::READ, &self.0.read_timeout, |s| self.0.try_read_bytes(s))
    }

    /// Writes all of `data` without a copy. After an error, what was not taken is lost to the caller: see
    /// [`TcpStream::write_all_bytes`].
    pub fn write_bytes(&self, mut data: Bytes) -> io::Result<()> {
        self.write_all_bytes(&mut data)
    }

    /// Likewise, and cuts off from `data` what was taken: after an error, such as [`io::ErrorKind::WouldBlock`] when the time of
    /// a write is over, the rest is there to go on with.
    pub fn write_all_bytes(&self, data: &mut Bytes) -> io::Result<()> {
        while !data.is_empty() {
            self.0.wait(Ready::WRITE, &self.0.write_timeout, |s| self.0.try_write_bytes(s, data))?;
        }
        Ok(())
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.wait(Ready::READ, &self.0.read_timeout, |s| self.0.try_read(s, bufs))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(data)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.wait(Ready::WRITE, &self.0.write_timeout, |s| self.0.try_write(s, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A listening socket. Dropping the last handle closes it, and resets what waits in its queues.
#[derive(Debug)]
pub struct TcpListener(Arc<Listener>);

impl TcpListener {
    /// Listens with a backlog of 128, as `std` does. Of several addresses it is the first that can be had; if none can, the error
    /// is the last one's.
    pub fn bind(host: &Stack, on: impl ToAddress) -> io::Result<TcpListener> {
        let cfg = host.tcp_defaults();
        each(on.to_addresses()?, |on| TcpListener::bind_with(host, on, 128, &cfg))
    }

    /// Listens with a backlog, which bounds the SYN queue and the accept queue each, and with settings of its own, which are checked
    /// ([`TcpConfig::check`]).
    pub fn bind_with(host: &Stack, on: SocketAddr, backlog: usize, cfg: &TcpConfig) -> io::Result<TcpListener> {
        Ok(TcpListener(Arc::new(Listener::open(host, on, backlog, cfg)?)))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local)
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener(self.0.clone()))
    }

    /// With `on`, [`TcpListener::accept`] fails with [`io::ErrorKind::WouldBlock`] instead of waiting.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.nonblocking.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing goes wrong with a listener that a call has not told.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Waits for a connection.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.0.nonblocking.load(Ordering::Relaxed) {
            let id = self.0.host.shared().attempt(self.0.key(), |s| self.0.try_accept(s))?;
            return self.accepted(id);
        }
        self.accept_within(None)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Waits for a connection, not longer than `patience`; `None` if none has come.
    pub fn accept_within(&self, patience: Option<Duration>) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let got = self.0.host.shared().block_on(self.0.key(), Ready::READ, patience, |s| self.0.try_accept(s));
        got.map(|id| self.accepted(id?)).transpose()
    }

    fn accepted(&self, id: ConnId) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream(Arc::new(self.0.adopt(id)?));
        let peer = stream.0.peer;
        Ok((stream, peer))
    }

    /// Connections one after another.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// Connections one after another, and the listener with them.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming(self)
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

/// See [`TcpListener::into_incoming`].
#[derive(Debug)]
pub struct IntoIncoming(TcpListener);

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept().map(|(s, _)| s))
    }
}

listener_options!(TcpListener);
tcp_socket!(TcpSocket);

impl TcpSocket {
    /// Connects, and waits until it is open. Of several addresses the first that answers is taken.
    pub fn connect(self, to: impl ToAddress) -> io::Result<TcpStream> {
        each(to.to_addresses()?, |to| TcpStream::finish(self.begin(to)?))
    }

    /// Listens; `backlog` bounds the SYN queue and the accept queue each.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        Ok(TcpListener(Arc::new(self.open(backlog)?)))
    }
}
