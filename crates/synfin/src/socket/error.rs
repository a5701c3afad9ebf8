//! What errors carry inside.

use std::io;
use synfin_stack::engine::arrives::icmp::IcmpError;
use synfin_stack::engine::{CloseReason, Rule};
use synfin_stack::{ConnectError, EndedBy, ListenError, UdpError};

/// Why a call failed: what is inside of the [`io::Error`] of TCP's and UDP's sockets (`get_ref()`, then `downcast_ref::<Cause>()`), beside
/// its kind, which is that of `std::net`. What only says "not now" ([`io::ErrorKind::WouldBlock`]) carries nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The connection has ended: why, and what ended it if that came from outside.
    Ended {
        /// Why.
        reason: CloseReason,
        /// The segment, by the rule that judged it, or the ICMP error.
        by: Option<EndedBy>,
    },
    /// The direction was closed by its user: nothing can be written any more.
    Closed,
    /// The connection could not be opened.
    Connect(ConnectError),
    /// The port could not be opened.
    Listen(ListenError),
    /// A UDP socket could not do it.
    Udp(UdpError),
    /// The table of settings is full: there are as many kinds of them as the host keeps.
    SettingsFull,
    /// The link is gone, with this error.
    LinkGone(io::ErrorKind),
    /// The host was shut down.
    Stopped,
}

impl Cause {
    /// The kind of error that a user of `std::net` expects.
    pub fn kind(&self) -> io::ErrorKind {
        use io::ErrorKind as K;
        match self {
            Cause::Ended { reason, .. } => match reason {
                CloseReason::Refused => K::ConnectionRefused,
                CloseReason::Reset => K::ConnectionReset,
                CloseReason::TimedOut => K::TimedOut,
                CloseReason::HostUnreachable => K::HostUnreachable,
                CloseReason::NetUnreachable => K::NetworkUnreachable,
                CloseReason::Finished | CloseReason::Aborted | CloseReason::DataAfterClose => K::NotConnected,
            },
            Cause::Closed => K::BrokenPipe,
            Cause::Connect(e) => match e {
                ConnectError::NoRoute => K::NetworkUnreachable,
                ConnectError::AddressNotAvailable | ConnectError::NoPort => K::AddrNotAvailable,
                ConnectError::AddressInUse => K::AddrInUse,
                ConnectError::TableFull => K::OutOfMemory,
                ConnectError::InvalidDestination => K::InvalidInput,
            },
            Cause::Listen(e) => match e {
                ListenError::AddressInUse => K::AddrInUse,
                ListenError::AddressNotAvailable => K::AddrNotAvailable,
                ListenError::TableFull => K::OutOfMemory,
            },
            Cause::Udp(e) => match e {
                UdpError::NotOpen | UdpError::NotConnected => K::NotConnected,
                UdpError::AddressInUse => K::AddrInUse,
                UdpError::AddressNotAvailable => K::AddrNotAvailable,
                UdpError::WouldBlock | UdpError::NoRoom => K::WouldBlock,
                UdpError::TooLong | UdpError::OtherFamily => K::InvalidInput,
                UdpError::NoNeighbor => K::HostUnreachable,
                UdpError::Unreachable => K::NetworkUnreachable,
                UdpError::Refused => K::ConnectionRefused,
            },
            Cause::SettingsFull => K::OutOfMemory,
            Cause::LinkGone(kind) => *kind,
            Cause::Stopped => K::NotConnected,
        }
    }

    /// The rule by which a segment of the peer ended the connection.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Cause::Ended { by: Some(EndedBy::Segment(rule)), .. } => Some(*rule),
            _ => None,
        }
    }

    /// The ICMP error that ended the connection, or was the last word before it timed out.
    pub fn icmp(&self) -> Option<IcmpError> {
        match self {
            Cause::Ended { by: Some(EndedBy::Icmp(e)), .. } => Some(*e),
            _ => None,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Ended { reason, .. } => f.write_str(reason.name()),
            Cause::Closed => f.write_str("broken pipe"),
            Cause::Connect(e) => f.write_str(match e {
                ConnectError::NoRoute => "no route",
                ConnectError::AddressNotAvailable => "the local address is not ours",
                ConnectError::AddressInUse => "address in use",
                ConnectError::NoPort => "no free port",
                ConnectError::TableFull => "too many connections, or kinds of settings",
                ConnectError::InvalidDestination => "not an address to connect to",
            }),
            Cause::Listen(e) => f.write_str(match e {
                ListenError::AddressInUse => "address in use",
                ListenError::AddressNotAvailable => "the address is not ours",
                ListenError::TableFull => "too many kinds of settings",
            }),
            Cause::Udp(e) => f.write_str(match e {
                UdpError::NotOpen => "the socket is closed",
                UdpError::AddressInUse => "address in use",
                UdpError::AddressNotAvailable => "the address is not ours",
                UdpError::NotConnected => "no destination",
                UdpError::WouldBlock => "nothing has come",
                UdpError::TooLong => "the datagram is longer than any packet",
                UdpError::OtherFamily => "the destination is of the other version of IP",
                UdpError::Unreachable => "no route",
                UdpError::NoNeighbor => "the neighbor does not answer",
                UdpError::NoRoom => "no room on the way out",
                UdpError::Refused => "connection refused",
            }),
            Cause::SettingsFull => f.write_str("too many kinds of settings"),
            Cause::LinkGone(_) => f.write_str("the link is gone"),
            Cause::Stopped => f.write_str("the host has stopped"),
        }
    }
}

impl std::error::Error for Cause {}

impl From<Cause> for io::Error {
    fn from(c: Cause) -> io::Error {
        match c {
            Cause::Udp(UdpError::WouldBlock) => io::ErrorKind::WouldBlock.into(),
            c => io::Error::new(c.kind(), c),
        }
    }
}
