//! A listening socket.

use super::options::{changed, check};
use super::{Cause, Stream};
use crate::driver::{Shard, probed};
use crate::handle::Stack;
use crate::waiting::Key;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use synfin_stack::engine::TcpConfig;
use synfin_stack::{ListenerId, SocketEvent};

/// A listening socket; it is closed when its last holder is gone.
#[derive(Debug)]
pub(crate) struct Listener {
    pub host: Stack,
    pub id: ListenerId,
    pub local: SocketAddr,
    pub nonblocking: AtomicBool,
}

impl Listener {
    /// Opens a port.
    pub(crate) fn open(host: &Stack, on: SocketAddr, backlog: usize, cfg: &TcpConfig) -> io::Result<Listener> {
        check(cfg)?;
        let mut s = host.shared().lock();
        s.opens()?;
        let now = s.now();
        let id = probed!(s, stack, probe, stack.tcp_listen(now, probe, on, backlog, cfg)).map_err(Cause::Listen)?;
        let local = s.stack.tcp_listener_status(id).map_or(on, |l| l.local);
        drop(s);
        Ok(Listener { host: host.clone(), id, local, nonblocking: AtomicBool::new(false) })
    }

    pub(crate) fn key(&self) -> Key {
        SocketEvent::Listener(self.id)
    }

    /// Takes a finished connection, if there is one, and makes a socket of it with [`Listener::adopt`].
    pub(crate) fn try_accept(&self, s: &mut Shard) -> Option<io::Result<synfin_stack::ConnId>> {
        if s.stack.tcp_listener_status(self.id).is_none() {
            return Some(Err(Cause::Stopped.into()));
        }
        s.stack.tcp_accept(self.id).map(Ok)
    }

    pub(crate) fn ttl(&self) -> u32 {
        let s = self.host.shared().lock();
        let own = s.stack.tcp_listener_config(self.id).map_or(0, |c| c.ttl);
        if own == 0 { s.stack.config().hop_limit } else { own }.into()
    }

    pub(crate) fn config<R>(&self, of: impl FnOnce(&TcpConfig) -> R) -> Option<R> {
        self.host.shared().lock().stack.tcp_listener_config(self.id).map(of)
    }

    /// Changes settings of its connections from now on.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
        let mut s = self.host.shared().lock();
        let new = changed(s.stack.tcp_listener_config(self.id).ok_or(Cause::Stopped)?, change)?;
        if s.stack.tcp_configure_listener(self.id, |c| *c = new) { Ok(()) } else { Err(Cause::SettingsFull.into()) }
    }

    /// A socket for a connection that was taken.
    pub(crate) fn adopt(&self, id: synfin_stack::ConnId) -> io::Result<Stream> {
        Stream::adopt(self.host.clone(), id)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.host.shared().act(|s| {
            let now = s.now();
            s.waiters.close(self.key());
            probed!(s, stack, probe, stack.tcp_close_listener(now, probe, self.id));
        });
    }
}
