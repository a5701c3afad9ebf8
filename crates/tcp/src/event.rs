//! What a connection tells its user.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// A set of events. They are level-triggered hints: the user looks again at what they name.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Events(pub u16);

impl Events {
    /// The handshake is complete.
    pub const CONNECTED: Events = Events(1);
    /// There is data, or the end of it.
    pub const READABLE: Events = Events(1 << 1);
    /// There is room in the send buffer again.
    pub const WRITABLE: Events = Events(1 << 2);
    /// The peer's FIN was reached.
    pub const PEER_CLOSED: Events = Events(1 << 3);
    /// The connection is gone; the reason says how.
    pub const CLOSED: Events = Events(1 << 4);
    /// The connection is in TIME-WAIT: the record can be moved to a table.
    pub const TIME_WAIT: Events = Events(1 << 5);
    /// R1 retransmissions without an answer (RFC 9293 3.8.3, MUST-20): the stack doubts the next hop, and the user may know.
    pub const SLUGGISH: Events = Events(1 << 6);
    /// Urgent data is announced (RFC 9293 3.8.5, MUST-32); `Status::urgent` says how much is left (MUST-33).
    pub const URGENT: Events = Events(1 << 7);

    /// Whether all of `other` are set.
    pub const fn has(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether none is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Events;
    fn bitor(self, o: Events) -> Events {
        Events(self.0 | o.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, o: Events) {
        self.0 |= o.0;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Events, &str); 8] = [
            (Events::CONNECTED, "CONNECTED"),
            (Events::READABLE, "READABLE"),
            (Events::WRITABLE, "WRITABLE"),
            (Events::PEER_CLOSED, "PEER_CLOSED"),
            (Events::CLOSED, "CLOSED"),
            (Events::TIME_WAIT, "TIME_WAIT"),
            (Events::SLUGGISH, "SLUGGISH"),
            (Events::URGENT, "URGENT"),
        ];
        f.debug_set().entries(NAMES.iter().filter(|(e, _)| self.has(*e)).map(|(_, n)| n)).finish()
    }
}

/// Why a connection ended, or what an ICMP error said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both directions were closed in order.
    Finished,
    /// The local user closed it before it was open, or aborted it.
    Aborted,
    /// The peer answered the SYN with RST, or a hard ICMP error did (RFC 9293 3.10.7.3).
    Refused,
    /// The peer reset it.
    Reset,
    /// Nobody answered: retransmissions, keepalive or the user timeout ran out.
    TimedOut,
    /// A soft ICMP error was the last word before the timeout: host unreachable (RFC 9293 3.9.2.2).
    HostUnreachable,
    /// A soft ICMP error was the last word before the timeout: network unreachable.
    NetUnreachable,
    /// The peer sent data nobody will read (RFC 2525 2.17).
    DataAfterClose,
}

impl CloseReason {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::Finished => "closed",
            CloseReason::Aborted => "aborted",
            CloseReason::Refused => "connection refused",
            CloseReason::Reset => "connection reset by peer",
            CloseReason::TimedOut => "connection timed out",
            CloseReason::HostUnreachable => "host unreachable",
            CloseReason::NetUnreachable => "network unreachable",
            CloseReason::DataAfterClose => "data arrived after close",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
