//! Listening for any destination.

use super::{TcpStream, attempt};
use crate::handle::Stack;
use crate::socket::{Listener, Ready, Request};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use synfin_stack::ListenerStatus;
use synfin_stack::engine::TcpConfig;

/// A listener for what no other listener takes, whatever address and port it is for: see
/// [`blocking::AnyListener`](crate::blocking::AnyListener), which it is for tasks. Dropping it closes it, and resets what waits
/// in its queues.
#[derive(Debug)]
pub struct AnyListener(Listener);

impl AnyListener {
    /// Listens with a backlog of 1024, as [`TcpListener`](super::TcpListener) does.
    pub async fn bind(host: &Stack) -> io::Result<AnyListener> {
        AnyListener::bind_with(host, 1_024, &host.tcp_defaults()).await
    }

    /// Listens with a backlog, which bounds what awaits a decision or the end of its handshake, and the accept queue; and with
    /// settings of its own. [`io::ErrorKind::AddrInUse`] if there is one already.
    pub async fn bind_with(host: &Stack, backlog: usize, cfg: &TcpConfig) -> io::Result<AnyListener> {
        Ok(AnyListener(Listener::open_any(host, backlog, cfg)?))
    }

    /// Waits for somebody who wants a connection. Dropping the future takes nobody.
    pub async fn request(&self) -> io::Result<Request> {
        let l = &self.0;
        let of = attempt(&l.host, l.key(), Ready::READ, |s| l.try_request(s)).await?;
        Ok(l.request(of))
    }

    /// Waits for a connection whose request was accepted and whose handshake is complete. Its `local_addr` is where it wanted to go.
    /// Dropping the future takes none.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let l = &self.0;
        let id = attempt(&l.host, l.key(), Ready::READ, |s| l.try_accept(s)).await?;
        let stream = l.adopt(id)?;
        let peer = stream.peer;
        Ok((TcpStream(Arc::new(stream)), peer))
    }

    /// Its queues.
    pub fn status(&self) -> Option<ListenerStatus> {
        self.0.host.shared().lock().stack.tcp_listener_status(self.0.id)
    }
}
