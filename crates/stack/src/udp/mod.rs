//! UDP sockets (RFC 768, RFC 1122 4.1). "Connecting" only remembers a destination and the source to it, "disconnecting"
//! forgets both; the receive buffer is bounded, and what does not fit is dropped and counted. A datagram for which the device has
//! no room is not taken; one that waits for a neighbor in vain is lost, as on any network.

use crate::ip::input::Arrival;
use crate::ip::output::{Mark, NotSent, pseudo};
use crate::slab::Numbered;
use crate::stack::{RxChecksum, SocketEvent, Stack};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::{Chunk, Instant};
use synfin_wire::icmp::{Message, Unreachable};
use synfin_wire::{Protocol, udp};

/// The number of a UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpId(pub(crate) u32, pub(crate) u32);

crate::tcp::numbered!(UdpId);

/// Why a call on a UDP socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpError {
    /// No such socket.
    NotOpen,
    /// The port is taken.
    AddressInUse,
    /// The address is not ours.
    AddressNotAvailable,
    /// No destination was given, and none is remembered.
    NotConnected,
    /// Nothing has come.
    WouldBlock,
    /// The datagram is longer than any packet, or has more fragments than may wait for the device.
    TooLong,
    /// The destination is of the other version of IP.
    OtherFamily,
    /// No route leads there.
    Unreachable,
    /// The neighbor it would go to does not answer.
    NoNeighbor,
    /// Too many packets wait for the device: see [`Stack::udp_has_room`].
    NoRoom,
    /// An ICMP error said that nobody is there.
    Refused,
}

/// A datagram as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// To which of our addresses.
    pub to: SocketAddr,
    /// Its text.
    pub data: Vec<u8>,
}

#[derive(Debug)]
struct Socket {
    /// As its user opened it.
    bound: SocketAddr,
    /// The same, with the source to `remote` in the place of any.
    local: SocketAddr,
    remote: Option<SocketAddr>,
    queue: VecDeque<Datagram>,
    held: usize,
    drops: u64,
    refused: bool,
    /// The hop limit of its packets; 0 takes the host's.
    ttl: u8,
    /// Their codepoint of differentiated services.
    dscp: u8,
}

/// The sockets, and who has which port.
#[derive(Debug, Default)]
pub(crate) struct UdpSockets {
    sockets: Numbered<Socket>,
    ports: BTreeMap<u16, Vec<u32>>,
}

/// What a datagram is charged beside its text.
const OVERHEAD: usize = 64;

impl Stack {
    /// Opens a socket on `local`; port 0 takes a free one.
    pub fn udp_bind(&mut self, local: SocketAddr) -> Result<UdpId, UdpError> {
        if !local.ip().is_unspecified() && !self.has_address(local.ip()) {
            return Err(UdpError::AddressNotAvailable);
        }
        let port = match local.port() {
            0 => {
                let (lo, hi) = self.cfg.ephemeral_ports;
                let span = u32::from(hi.saturating_sub(lo)) + 1;
                let start = self.rng.below(span);
                let mut ports = (0..span).map(|i| lo + ((start + i) % span) as u16);
                ports.find(|p| !self.udp.ports.contains_key(p)).ok_or(UdpError::AddressInUse)?
            }
            p => p,
        };
        let local = SocketAddr::new(local.ip(), port);
        let clash = |s: &Socket| {
            let (one, other) = (s.bound.ip(), local.ip());
            one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
        };
        let taken = self.udp.ports.get(&port).into_iter().flatten().any(|i| self.udp.sockets.at(*i).is_some_and(clash));
        if taken {
            return Err(UdpError::AddressInUse);
        }
        let socket = Socket {
            bound: local,
            local,
            remote: None,
            queue: VecDeque::new(),
            held: 0,
            drops: 0,
            refused: false,
            ttl: 0,
            dscp: 0,
        };
        let (i, g) = self.udp.sockets.insert(socket);
        self.udp.ports.entry(port).or_default().push(i);
        Ok(UdpId(i, g))
    }

    /// Closes a socket.
    pub fn udp_close(&mut self, id: UdpId) {
        let Some(s) = self.udp.sockets.get((id.0, id.1)) else { return };
        let port = s.local.port();
        self.udp.sockets.remove(id.0);
        if let Some(list) = self.udp.ports.get_mut(&port) {
            list.retain(|i| *i != id.0);
            if list.is_empty() {
                self.udp.ports.remove(&port);
            }
        }
    }

    /// Remembers a destination, or forgets it. Only from there is received, and only at the address that is the source to it:
    /// that of a socket on any address is chosen here, and is kept whatever becomes of the routes (RFC 1122 4.1.3.5). If there is
    /// none, nothing changes.
    pub fn udp_connect(&mut self, now: Instant, id: UdpId, remote: Option<SocketAddr>) -> Result<(), UdpError> {
        let bound = self.udp.sockets.get((id.0, id.1)).ok_or(UdpError::NotOpen)?.bound;
        let source = match remote {
            None => bound.ip(),
            Some(to) if to.is_ipv4() != bound.is_ipv4() => return Err(UdpError::OtherFamily),
            Some(to) if !bound.ip().is_unspecified() => {
                self.route_of(bound.ip(), to.ip()).ok_or(UdpError::Unreachable)?;
                bound.ip()
            }
            Some(to) => {
                self.route(to.ip()).ok_or(UdpError::Unreachable)?;
                self.source_for(to.ip(), now).ok_or(UdpError::AddressNotAvailable)?
            }
        };
        let s = self.udp.sockets.get_mut((id.0, id.1)).ok_or(UdpError::NotOpen)?;
        s.remote = remote;
        s.local.set_ip(source);
        if remote.is_some() {
            s.queue.retain(|d| Some(d.from) == remote && d.to.ip() == source);
            s.held = s.queue.iter().map(|d| d.data.len() + OVERHEAD).sum();
        }
        Ok(())
    }

    /// The socket's own address; while a destination is remembered, with the source to it.
    pub fn udp_local(&self, id: UdpId) -> Option<SocketAddr> {
        self.udp.sockets.get((id.0, id.1)).map(|s| s.local)
    }

    /// Whether a datagram, or an error, waits for its user.
    pub fn udp_is_readable(&self, id: UdpId) -> bool {
        self.udp.sockets.get((id.0, id.1)).is_some_and(|s| s.refused || !s.queue.is_empty())
    }

    /// Datagrams that did not fit.
    pub fn udp_drops(&self, id: UdpId) -> u64 {
        self.udp.sockets.get((id.0, id.1)).map_or(0, |s| s.drops)
    }

    /// Sends a datagram, to the remembered destination if none is given.
    pub fn udp_send(&mut self, now: Instant, id: UdpId, to: Option<SocketAddr>, data: &[u8]) -> Result<(), UdpError> {
        let s = self.udp.sockets.get_mut((id.0, id.1)).ok_or(UdpError::NotOpen)?;
        if core::mem::take(&mut s.refused) {
            return Err(UdpError::Refused);
        }
        let to = to.or(s.remote).ok_or(UdpError::NotConnected)?;
        let (local, own, dscp) = (s.local, s.ttl, s.dscp);
        let len = udp::HEADER_LEN + data.len();
        if len > 65_535 - if to.is_ipv4() { 20 } else { 0 } {
            return Err(UdpError::TooLong);
        }
        if to.is_ipv4() != local.is_ipv4() {
            return Err(UdpError::OtherFamily);
        }
        let src = if local.ip().is_unspecified() { self.source_for(to.ip(), now) } else { Some(local.ip()) };
        let src = src.ok_or(UdpError::Unreachable)?;
        self.room_for(src, to.ip(), len).map_err(not_sent)?;
        let mut b = vec![0; len];
        let h = udp::Header { src_port: local.port(), dst_port: to.port(), len: len as u16, checksum: 0 };
        let _ = h.emit(&mut b);
        b[udp::HEADER_LEN..].copy_from_slice(data);
        let sum = pseudo(src, to.ip(), Protocol::UDP, len as u32).add(&b).finish();
        // RFC 768: a computed zero is sent as all ones.
        b[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
        self.mib.udp_out += 1;
        let mark = Mark { dscp, ..Mark::plain(if own == 0 { self.cfg.hop_limit } else { own }) };
        self.send_ip(now, src, to.ip(), Protocol::UDP, mark, &b).map_err(not_sent)
    }

    /// Whether half of what may wait for the device is free: who was told [`UdpError::NoRoom`] may try again. Less would wake many
    /// for one place.
    pub fn udp_has_room(&self) -> bool {
        self.links.iter().all(|l| l.control.len() <= self.cfg.max_control / 2)
    }

    /// Takes a datagram.
    pub fn udp_receive(&mut self, id: UdpId) -> Result<Datagram, UdpError> {
        let s = self.udp.sockets.get_mut((id.0, id.1)).ok_or(UdpError::NotOpen)?;
        if core::mem::take(&mut s.refused) {
            return Err(UdpError::Refused);
        }
        let d = s.queue.pop_front().ok_or(UdpError::WouldBlock)?;
        s.held -= d.data.len() + OVERHEAD;
        Ok(d)
    }

    /// Looks at the next datagram without taking it. An error is taken.
    pub fn udp_peek(&mut self, id: UdpId) -> Result<&Datagram, UdpError> {
        let s = self.udp.sockets.get_mut((id.0, id.1)).ok_or(UdpError::NotOpen)?;
        if core::mem::take(&mut s.refused) {
            return Err(UdpError::Refused);
        }
        s.queue.front().ok_or(UdpError::WouldBlock)
    }

    /// The remembered destination.
    pub fn udp_peer(&self, id: UdpId) -> Option<SocketAddr> {
        self.udp.sockets.get((id.0, id.1))?.remote
    }

    /// Whether an ICMP error has said that nobody is there, once.
    pub fn udp_take_refusal(&mut self, id: UdpId) -> bool {
        self.udp.sockets.get_mut((id.0, id.1)).is_some_and(|s| core::mem::take(&mut s.refused))
    }

    /// The codepoint of differentiated services of the socket's packets, 0 to 63 (RFC 2474 3); only its six bits count.
    pub fn udp_set_dscp(&mut self, id: UdpId, dscp: u8) {
        if let Some(s) = self.udp.sockets.get_mut((id.0, id.1)) {
            s.dscp = dscp & 0x3f;
        }
    }

    /// The codepoint of differentiated services of the socket's packets.
    pub fn udp_dscp(&self, id: UdpId) -> u8 {
        self.udp.sockets.get((id.0, id.1)).map_or(0, |s| s.dscp)
    }

    /// The hop limit of the socket's packets; 0 takes the host's.
    pub fn udp_set_ttl(&mut self, id: UdpId, ttl: u8) {
        if let Some(s) = self.udp.sockets.get_mut((id.0, id.1)) {
            s.ttl = ttl;
        }
    }

    /// The hop limit of the socket's packets.
    pub fn udp_ttl(&self, id: UdpId) -> u8 {
        let own = self.udp.sockets.get((id.0, id.1)).map_or(0, |s| s.ttl);
        if own == 0 { self.cfg.hop_limit } else { own }
    }

    pub(crate) fn udp_in(&mut self, now: Instant, at: Arrival, payload: Chunk, many: bool) {
        let b = payload.as_slice();
        let ok = match udp::Header::parse(b) {
            Ok(h) if at.meta.checksum != RxChecksum::Unverified || udp_checksum_ok(&at, &h, b) => Some(h),
            _ => None,
        };
        match ok {
            Some(h) if ip_source_ok(at.src) => {
                self.udp_deliver(now, &at, &h, &b[udp::HEADER_LEN..usize::from(h.len)], b, many)
            }
            _ => self.mib.udp_in_errors += 1,
        }
        self.pool.give(payload);
    }

    fn udp_deliver(&mut self, now: Instant, at: &Arrival, h: &udp::Header, data: &[u8], whole: &[u8], many: bool) {
        let (from, to) = (SocketAddr::new(at.src, h.src_port), SocketAddr::new(at.dst, h.dst_port));
        let candidates = self.udp.ports.get(&h.dst_port).cloned().unwrap_or_default();
        // The most specific socket: connected to the sender, bound to the address, bound to any.
        let rank = |s: &Socket| {
            let addr =
                s.local.ip() == at.dst || (s.local.ip().is_unspecified() && s.local.is_ipv4() == at.dst.is_ipv4());
            let peer = s.remote.is_none_or(|r| r == from);
            (addr && peer).then_some((s.remote.is_some(), !s.local.ip().is_unspecified()))
        };
        let best = candidates
            .into_iter()
            .filter_map(|i| self.udp.sockets.at(i).and_then(rank).map(|r| (r, i)))
            .max_by_key(|(r, _)| *r);
        let Some((_, i)) = best else {
            self.mib.udp_no_ports += 1;
            if many {
                return; // nobody is told that one of many has no such port (RFC 1122 3.2.2)
            }
            let quoted = crate::icmp::requote(at, Protocol::UDP, whole);
            self.icmp_error(now, at.src, at.dst, |q| Message::Unreachable(Unreachable::Port, q), &quoted);
            return;
        };
        let limit = self.cfg.udp_receive_buffer;
        let generation = self.udp.sockets.generation(i);
        let Some(s) = self.udp.sockets.at_mut(i) else { return };
        if s.held + data.len() + OVERHEAD > limit {
            s.drops += 1;
            self.mib.udp_rcvbuf_errors += 1;
            return;
        }
        s.held += data.len() + OVERHEAD;
        s.queue.push_back(Datagram { from, to, data: data.to_vec() });
        self.mib.udp_in += 1;
        self.events.push_back(SocketEvent::Udp(UdpId(i, generation)));
    }

    /// An ICMP error about a datagram of ours: connected sockets learn of it (RFC 1122 4.1.3.3).
    pub(crate) fn udp_icmp(&mut self, error: IcmpError, local: SocketAddr, remote: SocketAddr) -> bool {
        if !matches!(error, IcmpError::Unreachable(Unreachable::Port | Unreachable::Protocol)) {
            return false;
        }
        let mut used = false;
        for i in self.udp.ports.get(&local.port()).cloned().unwrap_or_default() {
            let generation = self.udp.sockets.generation(i);
            if let Some(s) = self.udp.sockets.at_mut(i)
                && s.remote == Some(remote)
                && s.local == local
            {
                s.refused = true;
                used = true;
                self.events.push_back(SocketEvent::Udp(UdpId(i, generation)));
            }
        }
        used
    }
}

fn not_sent(why: NotSent) -> UdpError {
    match why {
        NotSent::NoRoute => UdpError::Unreachable,
        NotSent::NoRoom => UdpError::NoRoom,
        NotSent::NoNeighbor => UdpError::NoNeighbor,
        NotSent::TooLong => UdpError::TooLong,
    }
}

fn ip_source_ok(src: IpAddr) -> bool {
    crate::ip::is_plausible_source(src) && !src.is_unspecified()
}

/// A checksum of zero means none, for IPv4 only (RFC 768, RFC 8200 8.1).
fn udp_checksum_ok(at: &Arrival, h: &udp::Header, b: &[u8]) -> bool {
    if h.checksum == 0 {
        return at.src.is_ipv4();
    }
    pseudo(at.src, at.dst, Protocol::UDP, u32::from(h.len)).add(&b[..usize::from(h.len)]).is_valid()
}
