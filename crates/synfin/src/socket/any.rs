//! A listening socket for any destination.

use super::{Cause, Listener};
use crate::driver::{Shard, probed};
use crate::handle::Stack;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use synfin_stack::engine::TcpConfig;
use synfin_stack::{Decision, Tuple};

/// Somebody who wants a connection to somewhere, and has not been answered yet. It is decided once; dropped before, it is refused.
/// It waits for [`decision_timeout`](synfin_stack::StackConfig::decision_timeout); then it is over, as if it had been ignored.
#[derive(Debug)]
pub struct Request {
    host: Stack,
    of: Tuple,
    decided: bool,
}

impl Request {
    /// Who asks.
    pub fn peer_addr(&self) -> SocketAddr {
        self.of.remote
    }

    /// Where it wants to go: an address and port of anybody's.
    pub fn destination(&self) -> SocketAddr {
        self.of.local
    }

    /// It is answered by a SYN,ACK. When the handshake is complete, the listener's `accept` gives the connection. False if it is
    /// over by now.
    pub fn accept(mut self) -> bool {
        self.decide(Decision::Accept)
    }

    /// It is answered by a RST, as if nobody listened there (RFC 9293 3.10.7.1). False if it is over by now.
    pub fn refuse(mut self) -> bool {
        self.decide(Decision::Refuse)
    }

    /// It is not answered, nor is the same SYN again for as long as a decision may take. False if it is over by now.
    pub fn ignore(mut self) -> bool {
        self.decide(Decision::Drop)
    }

    fn decide(&mut self, decision: Decision) -> bool {
        self.decided = true;
        let of = self.of;
        self.host.shared().act(|s| {
            let now = s.now();
            probed!(s, stack, probe, stack.tcp_decide(now, probe, of, decision))
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.decided {
            self.decide(Decision::Refuse);
        }
    }
}

impl Listener {
    /// Listens for what no other listener takes, wherever it goes.
    pub(crate) fn open_any(host: &Stack, backlog: usize, cfg: &TcpConfig) -> io::Result<Listener> {
        super::options::check(cfg)?;
        let mut s = host.shared().lock();
        s.opens()?;
        let now = s.now();
        let id = probed!(s, stack, probe, stack.tcp_listen_any(now, probe, backlog, cfg)).map_err(Cause::Listen)?;
        s.stack.set_any_address(true);
        drop(s);
        let local = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        Ok(Listener { host: host.clone(), id, local, nonblocking: AtomicBool::new(false) })
    }

    /// Takes a SYN that nobody has seen, if there is one.
    pub(crate) fn try_request(&self, s: &mut Shard) -> Option<io::Result<Tuple>> {
        if s.stack.tcp_listener_status(self.id).is_none() {
            return Some(Err(Cause::Stopped.into()));
        }
        s.stack.tcp_next_request(self.id).map(Ok)
    }

    pub(crate) fn request(&self, of: Tuple) -> Request {
        Request { host: self.host.clone(), of, decided: false }
    }
}
