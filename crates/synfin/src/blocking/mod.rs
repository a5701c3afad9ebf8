//! Sockets that block, with the names and the meaning of `std::net`. The host comes first, else they are the same; and
//! addresses are literal ([`ToAddress`]), for names are to be asked for over the host's own sockets.
//!
//! Each error carries its [`Cause`](crate::Cause). One that ended a connection is told by every call from then on: a read gives 0
//! only at an orderly end (RFC 9293 3.6, MUST-12), where Linux tells an error once and then gives 0, too.
//!
//! # What `std::net` has and this has not
//!
//! | what | why |
//! |---|---|
//! | `ToSocketAddrs` | it would ask the machine's resolver, past the host; [`ToAddress`] is the same without names: one address, or several of which each is tried |
//! | `as_fd`, `as_raw_fd`, `into_raw_fd`, `from_raw_fd`, `From<OwnedFd>` | there is no descriptor: a socket is a record of the host. What waits on descriptors waits by a task here (feature `tokio`) |
//! | `UdpSocket::set_broadcast`, `broadcast` | the host sends no broadcasts of its users |
//! | `UdpSocket::join_multicast_v4`, `join_multicast_v6`, `leave_multicast_v4`, `leave_multicast_v6`, `multicast_loop_v4`, `set_multicast_loop_v4`, `multicast_loop_v6`, `set_multicast_loop_v6`, `multicast_ttl_v4`, `set_multicast_ttl_v4` | the host is in no groups but those of neighbor discovery |
//! | `TcpListener::set_only_v6`, `only_v6` | deprecated there; a listener on `[::]` takes IPv4, too, unless another one on `0.0.0.0` does |
//! | `TcpStream::quickack` | `set_quickack` lasts for some segments, as on Linux; what is left of it is not told |
//! | `TcpStream::set_deferaccept`, `deferaccept` (unstable there) | it is the listener's: [`TcpListener::set_defer_accept`] |
//!
//! And what is otherwise: [`TcpSocket::bind`] takes its port when it connects or listens, so that a port that is taken is told
//! then; `shutdown(Read)` leaves what still comes to be read, as on Linux; a listening socket's TTL is that of its connections.

mod address;
mod any;
mod icmp;
mod tcp;
mod udp;

pub use crate::socket::Request;
pub use address::{Addresses, ToAddress};
#[cfg(feature = "tokio")]
pub(crate) use address::{each, none as no_address};
pub use any::AnyListener;
pub use icmp::EchoSocket;
pub use tcp::{Incoming, IntoIncoming, TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
