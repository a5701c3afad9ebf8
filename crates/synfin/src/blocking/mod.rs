//! Sockets that block, with the names and the meaning of `std::net`. The host comes first, else they are the same; and
//! addresses are literal ([`ToAddress`]), for names are to be asked for over the host's own sockets.

mod address;
mod icmp;
mod tcp;
mod udp;

pub use address::ToAddress;
pub use icmp::EchoSocket;
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;
