//! A UDP socket.

use super::{Cause, Timeout};
use crate::driver::Shard;
use crate::handle::Stack;
use crate::waiting::{Key, key_of};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use synfin_stack::{SocketEvent, UdpError, UdpId};

/// A UDP socket; it is closed when its last holder is gone.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub host: Stack,
    pub id: UdpId,
    pub local: SocketAddr,
    pub read_timeout: Timeout,
    pub write_timeout: Timeout,
    pub nonblocking: AtomicBool,
}

fn result<T>(r: Result<T, UdpError>) -> Option<io::Result<T>> {
    match r {
        Err(UdpError::WouldBlock) => None,
        r => Some(r.map_err(|e| Cause::Udp(e).into())),
    }
}

impl Datagrams {
    pub(crate) fn open(host: &Stack, on: SocketAddr) -> io::Result<Datagrams> {
        let mut s = host.shared().lock();
        s.opens()?;
        let id = s.stack.udp_bind(on).map_err(Cause::Udp)?;
        let local = s.stack.udp_local(id).unwrap_or(on);
        drop(s);
        Ok(Datagrams {
            host: host.clone(),
            id,
            local,
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            nonblocking: AtomicBool::new(false),
        })
    }

    pub(crate) fn key(&self) -> Key {
        key_of(SocketEvent::Udp(self.id))
    }

    /// Remembers a destination, or forgets it.
    pub(crate) fn connect(&self, to: Option<SocketAddr>) -> io::Result<()> {
        let mut s = self.host.shared().lock();
        Ok(s.stack.udp_connect(self.id, to).map_err(Cause::Udp)?)
    }

    /// The remembered destination.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        let peer = self.host.shared().lock().stack.udp_peer(self.id);
        peer.ok_or_else(|| Cause::Udp(UdpError::NotConnected).into())
    }

    /// Sends a datagram. UDP promises nothing: one for which there is no room on the way out waits for nobody.
    pub(crate) fn try_send(&self, s: &mut Shard, to: Option<SocketAddr>, data: &[u8]) -> Option<io::Result<usize>> {
        let now = s.now();
        let r = s.stack.udp_send(now, self.id, to, data);
        s.flush();
        result(r.map(|()| data.len()))
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
            s.stack.udp_close(self.id);
        });
    }
}
