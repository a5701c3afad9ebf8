//! Listening for any destination.

use super::TcpStream;
use crate::driver::Shard;
use crate::handle::Stack;
use crate::socket::{Listener, Ready, Request};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use synfin_stack::{ConnId, ListenerStatus, Tuple};

/// A listener for what no other listener takes, whatever address and port it is for: what a gateway needs. Each SYN is put before
/// the user ([`request`](AnyListener::request)), who sees where it wanted to go and says what becomes of it before anything is said
/// to its sender; what was accepted is taken with [`accept`](AnyListener::accept) when its handshake is complete. There is one such
/// listener for a host at most, and from then on the host takes packets to any address for its own
/// ([`Stack::set_any_address`](crate::Stack::set_any_address)). SYN cookies are not for it: they answer first.
///
/// Dropping the last handle closes it, and resets what waits in its queues; connections that were taken stay.
///
/// ```
/// use std::io::Write;
/// use synfin::Stack;
/// use synfin::blocking::{AnyListener, TcpStream};
///
/// # let (a, b) = synfin::device::memory_pair(1500, true)?;
/// # let start = |b: synfin::Builder, d| b.start(synfin::device::Device::Memory(d));
/// let gateway = start(Stack::builder().address("192.0.2.1/24")?, a)?;
/// let client = start(Stack::builder().address("192.0.2.2/24")?.gateway("192.0.2.1".parse().unwrap()), b)?;
/// let listener = AnyListener::bind(&gateway)?;
/// let wants = std::thread::spawn(move || TcpStream::connect(&client, "203.0.113.7:80"));
///
/// let request = listener.request()?;
/// assert_eq!(request.destination(), "203.0.113.7:80".parse().unwrap());
/// assert!(request.accept());
/// let (mut stream, _) = listener.accept()?;
/// assert_eq!(stream.local_addr()?, "203.0.113.7:80".parse().unwrap());
/// stream.write_all(b"not quite what you asked for")?;
/// # wants.join().expect("no panic")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AnyListener(Arc<Listener>);

impl AnyListener {
    /// Listens with a backlog of 128, as [`TcpListener`](super::TcpListener) does.
    pub fn bind(host: &Stack) -> io::Result<AnyListener> {
        AnyListener::bind_with(host, 128, &host.tcp_defaults())
    }

    /// Listens with a backlog, which bounds what awaits a decision or the end of its handshake, and the accept queue; and with
    /// settings of its own. [`io::ErrorKind::AddrInUse`] if there is one already.
    pub fn bind_with(host: &Stack, backlog: usize, cfg: &TcpConfig) -> io::Result<AnyListener> {
        Ok(AnyListener(Arc::new(Listener::open_any(host, backlog, cfg)?)))
    }

    /// Waits for somebody who wants a connection.
    pub fn request(&self) -> io::Result<Request> {
        self.wait(None, |l, s| l.try_request(s))?.map(|of: Tuple| self.0.request(of)).ok_or_else(would_block)
    }

    /// Likewise, not longer than `patience`; `None` if nobody has come.
    pub fn request_within(&self, patience: Duration) -> io::Result<Option<Request>> {
        Ok(self.wait(Some(patience), |l, s| l.try_request(s))?.map(|of: Tuple| self.0.request(of)))
    }

    /// Waits for a connection whose request was accepted and whose handshake is complete. Its `local_addr` is where it wanted to go.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let id = self.wait(None, |l, s| l.try_accept(s))?.ok_or_else(would_block)?;
        self.accepted(id)
    }

    /// Likewise, not longer than `patience`; `None` if none has come.
    pub fn accept_within(&self, patience: Duration) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        self.wait(Some(patience), |l, s| l.try_accept(s))?.map(|id| self.accepted(id)).transpose()
    }

    /// Its queues.
    pub fn status(&self) -> Option<ListenerStatus> {
        self.0.host.shared().lock().stack.tcp_listener_status(self.0.id)
    }

    /// Another handle of the same socket: requests and connections can be waited for by two threads.
    pub fn try_clone(&self) -> io::Result<AnyListener> {
        Ok(AnyListener(self.0.clone()))
    }

    /// With `on`, [`request`](AnyListener::request) and [`accept`](AnyListener::accept) fail with [`io::ErrorKind::WouldBlock`]
    /// instead of waiting.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.nonblocking.store(on, Ordering::Relaxed);
        Ok(())
    }

    fn wait<R>(
        &self,
        patience: Option<Duration>,
        f: impl Fn(&Listener, &mut Shard) -> Option<io::Result<R>>,
    ) -> io::Result<Option<R>> {
        let (l, shared) = (&self.0, self.0.host.shared());
        if patience.is_none() && l.nonblocking.load(Ordering::Relaxed) {
            return shared.attempt(l.key(), |s| f(l, s)).map(Some);
        }
        shared.block_on(l.key(), Ready::READ, patience, |s| f(l, s)).transpose()
    }

    fn accepted(&self, id: ConnId) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream::adopted(self.0.adopt(id)?);
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
