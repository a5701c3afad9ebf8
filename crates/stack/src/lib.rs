//! One host, one shard: several links and addresses, IPv4 and IPv6, ICMP, UDP sockets, and the tables around the
//! TCP engine of `synfin-tcp`.
//!
//! The driver pulls. It hands in frames ([`Stack::on_frame`]) and time ([`Stack::on_deadline`]), takes frames out
//! ([`Stack::poll_frame`]) and events ([`Stack::poll_event`]). The stack knows what a link can do
//! ([`LinkConfig`]), not what it is.
//!
//! The way in: `ingress` -> `link` -> `ip` -> `tcp::demux` -> the engine. The way out: `egress` -> the engine ->
//! `ip::output` -> the device.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod cx;
mod egress;
mod icmp;
mod ingress;
mod ip;
mod linear_hash;
mod link;
mod mib;
mod rate;
mod slab;
mod stack;
mod tcp;
mod timer_wheel;
mod udp;

pub use config::StackConfig;
pub use egress::{Checksum, Gso, TxFrame};
pub use icmp::echo::{EchoAnswer, EchoError, EchoId, EchoOutcome};
pub use ip::{Cidr, Route};
pub use link::{LinkConfig, LinkId, Medium};
pub use mib::StackMib;
pub use stack::{RxChecksum, RxFrame, SocketEvent, Stack};
pub use synfin_tcp as engine;
pub use synfin_wire as wire;
pub use tcp::{
    ConnId, ConnectError, CookieCounts, Decision, EndedBy, ListenError, ListenerId, ListenerStatus, Occupancy, Tuple,
};
pub use udp::{Datagram, UdpError, UdpId};
