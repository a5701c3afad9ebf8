//! Listening, and sockets before they are open.

use super::{TcpStream, ToAddress, attempt};
use crate::blocking::each;
use crate::handle::Stack;
use crate::socket::options::{self, Before, listener_options, tcp_socket};
use crate::socket::{Cause, Keepalive, Listener, Ready, Stream};
use crate::waiting::Ticket;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use synfin_stack::{ConnId, ListenerStatus};

/// A listening socket. Dropping it closes it, and resets what waits in its queues.
#[derive(Debug)]
pub struct TcpListener(Listener);

impl TcpListener {
    /// Listens with a backlog of 1024, as tokio does. Of several addresses it is the first that can be had; if none can, the error
    /// is the last one's.
    pub async fn bind(host: &Stack, on: impl ToAddress) -> io::Result<TcpListener> {
        let cfg = host.tcp_defaults();
        each(on.to_addresses()?, |on| Ok(TcpListener(Listener::open(host, on, 1_024, &cfg)?)))
    }

    /// Waits for a connection. Dropping the future takes none.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let l = &self.0;
        let id = attempt(&l.host, l.key(), Ready::READ, |s| l.try_accept(s)).await?;
        self.accepted(id)
    }

    /// Likewise, for one task.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (l, mut ticket) = (&self.0, Some(Ticket::READ));
        let id = ready!(l.host.shared().poll(cx, l.key(), &mut ticket, Ready::READ, |s| l.try_accept(s)))?;
        Poll::Ready(self.accepted(id))
    }

    fn accepted(&self, id: ConnId) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = self.0.adopt(id)?;
        let peer = stream.peer;
        Ok((TcpStream(Arc::new(stream)), peer))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local)
    }
}

listener_options!(TcpListener);
tcp_socket!(TcpSocket);

impl TcpSocket {
    /// Connects. Dropping the future gives up.
    pub async fn connect(self, to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::finish(self.begin(to)?).await
    }

    /// Listens; `backlog` bounds the SYN queue and the accept queue each.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        Ok(TcpListener(self.open(backlog)?))
    }
}
