//! What sockets that do not block ask of a connection, and what a host that ends does with all of them.

use super::{ConnId, ListenerId, Slot};
use crate::cx::tcp_cx;
use crate::stack::Stack;
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::call::ReceiveError;
use synfin_tcp::{CloseReason, Instant, Probe, Rule, SendReason, State, TcpConfig};

/// What came from outside and ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// A segment, by the rule that judged it.
    Segment(Rule),
    /// An ICMP error: at once, or as the last word before a timeout (RFC 9293 3.9.2.2).
    Icmp(IcmpError),
}

impl Stack {
    /// Copies out up to `most` octets of what has come, in pieces that `sink` takes; `Ok(0)` at the peer's FIN.
    pub fn tcp_receive_with<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        most: usize,
        sink: impl FnMut(&[u8]),
    ) -> Result<usize, ReceiveError> {
        self.with(now, probe, id, |c, cx| c.receive_with(cx, most, sink))
            .unwrap_or(Err(ReceiveError::Closed(CloseReason::Finished)))
    }

    /// Whether closing the connection resets it.
    pub fn tcp_linger_zero(&self, id: ConnId) -> bool {
        self.tcp.conns.get((id.0, id.1)).is_some_and(|e| e.conn.abort_on_close())
    }

    /// What came from outside and ended the connection.
    pub fn tcp_ended_by(&self, id: ConnId) -> Option<EndedBy> {
        self.tcp.conns.get((id.0, id.1)).filter(|e| e.conn.reason().is_some())?;
        self.tcp.ended_by.get(&id.0).copied()
    }

    /// The settings of a listener's connections.
    pub fn tcp_listener_config(&self, id: ListenerId) -> Option<&TcpConfig> {
        self.tcp.listeners.get((id.0, id.1)).map(|l| &self.configs[l.cfg])
    }

    /// All connections, those that their user has closed included, with their states. Half-open ones and TIME-WAIT are in
    /// tables of their own.
    pub fn tcp_connections(&self) -> impl Iterator<Item = (ConnId, State)> {
        self.tcp.conns.iter().map(|(i, e)| (ConnId(i, self.tcp.conns.generation(i)), e.conn.state()))
    }

    /// Whether something will happen to a connection by itself, sooner or later: one of its timers runs.
    pub fn tcp_has_timer(&self, id: ConnId) -> bool {
        self.tcp.conns.get((id.0, id.1)).is_some_and(|e| e.conn.next_deadline() != Instant::NEVER)
    }

    /// All listeners.
    pub fn tcp_listeners(&self) -> impl Iterator<Item = ListenerId> {
        self.tcp.listeners.iter().map(|(i, _)| ListenerId(i, self.tcp.listeners.generation(i)))
    }

    /// Resets a connection, also one that its user has closed; whoever holds it still does.
    pub fn tcp_end<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ConnId) {
        let Some(e) = self.tcp.conns.get_mut((id.0, id.1)) else { return };
        probe.focus(u64::from(Slot::Conn(id.0).token()));
        e.conn.abort(&mut tcp_cx!(self, e.cfg, now, probe), SendReason::Abort);
        self.after_input(now, id.0);
    }
}
