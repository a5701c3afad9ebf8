//! Sockets that block, with the names and the meaning of `std::net`. The host comes first, else they are the same.

mod tcp;
mod udp;

pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Addresses are literal here: `ADDRESS:PORT`. (Names go through a resolver that asks over the host's own sockets.)
fn literal(a: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    a.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"))
}
