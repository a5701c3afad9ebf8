//! A UDP socket.

use super::{Cause, Timeout};
use crate::driver::Shard;
use crate::handle::Stack;
use crate::waiting::Key;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use synfin_stack::{SocketEvent, UdpError, UdpId};

/// A UDP socket; it is closed when its last holder is gone.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub host: Stack,
    pub id: UdpId,
    bound: SocketAddr,
    pub read_timeout: Timeout,
    pub write_timeout: Timeout,
    pub nonblocking: AtomicBool,
}

fn result<T>(r: Result<T, UdpError>) -> Option<io::Result<T>> {
    match r {
        Err(UdpError::WouldBlock | UdpError::NoRoom) => None,
        r => Some(r.map_err(|e| Cause::Udp(e).into())),
    }
}

impl Datagrams {
    pub(crate) fn open(host: &Stack, on: SocketAddr) -> io::Result<Datagrams> {
        let mut s = host.shared().lock();
        s.opens()?;
        let id = s.stack.udp_bind(on).map_err(Cause::Udp)?;
        let bound = s.stack.udp_local(id).unwrap_or(on);
        drop(s);
        Ok(Datagrams {
            host: host.clone(),
            id,
            bound,
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            nonblocking: AtomicBool::new(false),
        })
    }

    pub(crate) fn key(&self) -> Key {
        SocketEvent::Udp(self.id)
    }

    /// Where it is; while a destination is remembered, with the source to it.
    pub(crate) fn local(&self) -> SocketAddr {
        self.host.shared().lock().stack.udp_local(self.id).unwrap_or(self.bound)
    }

    /// Remembers a destination, or forgets it.
    pub(crate) fn connect(&self, to: Option<SocketAddr>) -> io::Result<()> {
        let mut s = self.host.shared().lock();
        let now = s.now();
        Ok(s.stack.udp_connect(now, self.id, to).map_err(Cause::Udp)?)
    }

    /// The remembered destination.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        let peer = self.host.shared().lock().stack.udp_peer(self.id);
        peer.ok_or_else(|| Cause::Udp(UdpError::NotConnected).into())
    }

    /// Sends a datagram, once the device has room; what happens to it then UDP does not promise.
    pub(crate) fn try_send(&self, s: &mut Shard, to: Option<SocketAddr>, data: &[u8]) -> Option<io::Result<usize>> {
        let now = s.now();
        let r = s.stack.udp_send(now, self.id, to, data);
        if r == Err(UdpError::NoRoom) {
            self.waits_for_room(s);
        }
        s.flush();
        result(r.map(|()| data.len()))
    }

    /// Whether a send is worth trying; if not, who waits for it will be woken.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_writable(&self, s: &mut Shard) -> bool {
        let room = s.stack.udp_has_room();
        if !room {
            self.waits_for_room(s);
        }
        room
    }

    fn waits_for_room(&self, s: &mut Shard) {
        if !s.crowded.contains(&self.key()) {
            s.crowded.push(self.key());
        }
    }

    /// Takes a datagram, or only looks at it: `take` is told its text and who sent it.
    pub(crate) fn try_recv<R>(
        &self,
        s: &mut Shard,
        peek: bool,
        take: impl FnOnce(&[u8], SocketAddr) -> R,
    ) -> Option<io::Result<R>> {
        if peek {
            return result(s.stack.udp_peek(self.id).map(|d| take(&d.data, d.from)));
        }
        result(s.stack.udp_receive(self.id).map(|d| take(&d.data, d.from)))
    }

    pub(crate) fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = super::options::hops(ttl)?;
        self.host.shared().lock().stack.udp_set_ttl(self.id, ttl);
        Ok(())
    }

    pub(crate) fn ttl(&self) -> u32 {
        self.host.shared().lock().stack.udp_ttl(self.id).into()
    }

    pub(crate) fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let dscp = super::options::codepoint(dscp)?;
        self.host.shared().lock().stack.udp_set_dscp(self.id, dscp);
        Ok(())
    }

    pub(crate) fn dscp(&self) -> u8 {
        self.host.shared().lock().stack.udp_dscp(self.id)
    }

    /// What an ICMP error has told, once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let refused = self.host.shared().lock().stack.udp_take_refusal(self.id);
        refused.then(|| Cause::Udp(UdpError::Refused).into())
    }
}

/// As much as fits: what does not is cut off.
pub(crate) fn copy(data: &[u8], buf: &mut [u8]) -> usize {
    let n = data.len().min(buf.len());
    buf[..n].copy_from_slice(&data[..n]);
    n
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.host.shared().act(|s| {
            s.waiters.close(self.key());
            s.crowded.retain(|k| *k != self.key());
            s.stack.udp_close(self.id);
        });
    }
}
