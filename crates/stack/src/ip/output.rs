//! The way out for packets that are made whole: resets, ICMP, datagrams, neighbor discovery. Segments of connections
//! go out by `egress`, without a copy.

use crate::ip::selection::select_source;
use crate::ip::{Route, is_link_local};
use crate::link::neighbor::Resolution;
use crate::link::{LinkId, Medium};
use crate::stack::Stack;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use synfin_tcp::{Instant, TcpConfig};
use synfin_wire::checksum::{Sum, pseudo_v4, pseudo_v6};
use synfin_wire::ethernet::{self, Mac, ethertype};
use synfin_wire::ip::Ecn;
use synfin_wire::{Protocol, ipv4, ipv6};

/// The pseudo-header sum for either version.
pub(crate) fn pseudo(src: IpAddr, dst: IpAddr, protocol: Protocol, len: u32) -> Sum {
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => pseudo_v4(s, d, protocol.0, len),
        (IpAddr::V6(s), IpAddr::V6(d)) => pseudo_v6(s, d, protocol.0, len),
        _ => Sum::ZERO,
    }
}

/// Octets of an IP header for `a`'s version.
pub(crate) fn ip_header_len(a: IpAddr) -> usize {
    if a.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN }
}

/// What the sender of a packet chooses of its IP header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// The codepoint of differentiated services: six bits (RFC 2474 3).
    pub dscp: u8,
    /// The other two bits of that octet (RFC 3168 5).
    pub ecn: Ecn,
    /// The time to live, or hop limit.
    pub ttl: u8,
}

impl Mark {
    /// Of packets for which nobody has asked for anything.
    pub(crate) fn plain(ttl: u8) -> Mark {
        Mark { dscp: 0, ecn: Ecn::NotEct, ttl }
    }

    /// Of segments of a connection with these settings; `hop_limit` is the host's. ECN is theirs to say.
    //= RFC 9293 3.9.2 MUST-49
    pub(crate) fn of(cfg: &TcpConfig, hop_limit: u8) -> Mark {
        Mark { dscp: cfg.dscp, ..Mark::plain(if cfg.ttl == 0 { hop_limit } else { cfg.ttl }) }
    }
}

/// Writes an IP header for `payload_len` octets of `protocol`; TCP segments may not be fragmented.
pub(crate) fn put_ip_header(out: &mut [u8], src: IpAddr, dst: IpAddr, protocol: Protocol, payload_len: usize, ttl: u8) {
    put_marked_ip_header(out, (src, dst), protocol, payload_len, Mark::plain(ttl));
}

/// The same with all that a sender chooses.
pub(crate) fn put_marked_ip_header(
    out: &mut [u8],
    ends: (IpAddr, IpAddr),
    protocol: Protocol,
    payload_len: usize,
    Mark { dscp, ecn, ttl }: Mark,
) {
    match ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let h = ipv4::Header {
                header_len: 20,
                dscp,
                ecn,
                total_len: (ipv4::HEADER_LEN + payload_len).min(65_535) as u16,
                ident: 0, // atomic datagrams need none (RFC 6864 4.1); for others it is set by the caller
                // Only TCP finds out what the path carries; routers may cut the rest.
                dont_fragment: protocol == Protocol::TCP,
                more_fragments: false,
                fragment_offset: 0,
                ttl,
                protocol,
                src,
                dst,
                source_routed: false,
            };
            let _ = h.emit(out);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let h = ipv6::Header {
                dscp,
                ecn,
                flow_label: 0,
                payload_len: payload_len.min(65_535) as u16,
                next_header: protocol,
                hop_limit: ttl,
                src,
                dst,
            };
            let _ = h.emit(out);
        }
        _ => {}
    }
}

/// Gives an IPv4 header that routers may cut an identification.
fn set_ident(packet: &mut [u8], ident: u16) {
    let old = u16::from_be_bytes([packet[10], packet[11]]);
    packet[4..6].copy_from_slice(&ident.to_be_bytes());
    packet[10..12].copy_from_slice(&synfin_wire::checksum::update(old, 0, ident).to_be_bytes());
}

/// Writes an Ethernet header.
pub(crate) fn put_ethernet_header(out: &mut [u8], dst: Mac, src: Mac, v4: bool) {
    let ethertype = if v4 { ethertype::IPV4 } else { ethertype::IPV6 };
    let _ = ethernet::Header { dst, src, ethertype }.emit(out);
}

/// Why a packet cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// No route leads there, or there is no link for it.
    NoRoute,
    /// Too many packets wait for the device.
    NoRoom,
    /// The neighbor it would go to does not answer.
    NoNeighbor,
    /// It is longer than any packet, or than all fragments that may wait.
    TooLong,
}

impl Stack {
    /// The route to `dst`: the longest prefix; of equals the first.
    pub(crate) fn route(&self, dst: IpAddr) -> Option<Route> {
        let mut best: Option<Route> = None;
        for (r, _) in &self.routes {
            if r.network.contains(dst) && best.is_none_or(|b| r.network.prefix > b.network.prefix) {
                best = Some(*r);
            }
        }
        best
    }

    /// The source for packets to `dst` by its route.
    pub(crate) fn source_for(&self, dst: IpAddr, now: Instant) -> Option<IpAddr> {
        let link = self.route(dst)?.link;
        self.source_on(link, dst, now)
    }

    pub(crate) fn source_on(&self, link: LinkId, dst: IpAddr, now: Instant) -> Option<IpAddr> {
        let usable = |l: &crate::link::Link| -> Vec<IpAddr> {
            l.addrs.iter().filter(|a| a.tentative_until <= now).map(|a| a.cidr.addr).collect()
        };
        let on_link = usable(self.links.get(usize::from(link.0))?);
        select_source(dst, on_link.into_iter()).or_else(|| select_source(dst, self.links.iter().flat_map(usable)))
    }

    /// The most that a packet to `dst` may have, as far as known.
    pub(crate) fn path_mtu(&self, dst: IpAddr, link: LinkId) -> u32 {
        let mtu = self.links.get(usize::from(link.0)).map_or(1280, |l| l.cfg.mtu);
        self.paths.mtu(dst).map_or(mtu, |p| mtu.min(p))
    }

    /// Whether a datagram of `len` octets finds room among the packets that wait for the device, all its fragments or none. Where
    /// there is no route it needs none.
    pub(crate) fn room_for(&self, src: IpAddr, dst: IpAddr, len: usize) -> Result<(), NotSent> {
        let Some(route) = self.route_of(src, dst) else { return Ok(()) };
        let Some(link) = self.links.get(usize::from(route.link.0)) else { return Ok(()) };
        let (head, mtu) = (ip_header_len(dst), self.path_mtu(dst, route.link) as usize);
        let pieces = if head + len <= mtu { 1 } else { len.div_ceil(fragment_size(dst, mtu).max(1)) };
        if pieces > self.cfg.max_control {
            return Err(NotSent::TooLong);
        }
        if link.control.len() + pieces > self.cfg.max_control { Err(NotSent::NoRoom) } else { Ok(()) }
    }

    /// Sends `payload` (transport header included) to `dst`, in fragments if it must. What waits for a neighbor and finds its
    /// queue full is dropped and counted, as everywhere; that is no error.
    pub(crate) fn send_ip(
        &mut self,
        now: Instant,
        src: IpAddr,
        dst: IpAddr,
        protocol: Protocol,
        mark: Mark,
        payload: &[u8],
    ) -> Result<(), NotSent> {
        let Some(route) = self.route_of(src, dst) else {
            self.mib.ip_out_no_routes += 1;
            return Err(NotSent::NoRoute);
        };
        self.mib.ip_out += 1;
        let head = ip_header_len(dst);
        let mtu = self.path_mtu(dst, route.link) as usize;
        if head + payload.len() <= mtu {
            let mut packet = vec![0; head + payload.len()];
            put_marked_ip_header(&mut packet, (src, dst), protocol, payload.len(), mark);
            if dst.is_ipv4() && protocol != Protocol::TCP {
                self.fragment_ident = self.fragment_ident.wrapping_add(1);
                set_ident(&mut packet, self.fragment_ident as u16);
            }
            packet[head..].copy_from_slice(payload);
            return self.send_packet(now, route, dst, &packet);
        }
        if head + payload.len() > 65_535 + if dst.is_ipv4() { 0 } else { head } {
            self.mib.ip_out_discards += 1;
            return Err(NotSent::TooLong);
        }
        self.send_fragments(now, route, (src, dst, protocol, mark), payload, mtu)
    }

    /// What is of a link only leaves by the link that owns its source, whatever the routes say: link-local destinations,
    /// and multicasts that no route is for.
    pub(crate) fn route_of(&self, src: IpAddr, dst: IpAddr) -> Option<Route> {
        let by_source = || {
            let owner = self.links.iter().position(|l| l.addrs.iter().any(|a| a.cidr.addr == src))?;
            let network = crate::ip::Cidr { addr: dst, prefix: 128 };
            Some(Route { network, link: LinkId(owner as u8), gateway: None })
        };
        match dst {
            IpAddr::V6(a) if is_link_local(a) => by_source().or_else(|| self.route(dst)),
            _ if dst.is_multicast() => self.route(dst).or_else(by_source),
            _ => self.route(dst),
        }
    }

    //= RFC 791 3.2
    //= RFC 8200 4.5
    fn send_fragments(
        &mut self,
        now: Instant,
        route: Route,
        (src, dst, protocol, mark): (IpAddr, IpAddr, Protocol, Mark),
        payload: &[u8],
        mtu: usize,
    ) -> Result<(), NotSent> {
        self.fragment_ident = self.fragment_ident.wrapping_add(1);
        let ident = self.fragment_ident;
        let extra = if dst.is_ipv4() { 0 } else { ipv6::FRAGMENT_LEN };
        let head = ip_header_len(dst) + extra;
        let size = fragment_size(dst, mtu);
        if size == 0 {
            return Err(NotSent::TooLong);
        }
        for (i, piece) in payload.chunks(size).enumerate() {
            let (offset, more) = (i * size, (i + 1) * size < payload.len());
            let mut packet = vec![0; head + piece.len()];
            if let (IpAddr::V4(s), IpAddr::V4(d)) = (src, dst) {
                let h = ipv4::Header {
                    header_len: 20,
                    dscp: mark.dscp,
                    ecn: mark.ecn,
                    total_len: packet.len() as u16,
                    ident: ident as u16,
                    dont_fragment: false,
                    more_fragments: more,
                    fragment_offset: offset as u16,
                    ttl: mark.ttl,
                    protocol,
                    src: s,
                    dst: d,
                    source_routed: false,
                };
                let _ = h.emit(&mut packet);
            } else {
                put_marked_ip_header(&mut packet, (src, dst), Protocol(44), extra + piece.len(), mark);
                let f = ipv6::Fragment { offset: offset as u16, more, ident };
                let _ = f.emit(protocol, &mut packet[ipv6::HEADER_LEN..]);
            }
            packet[head..].copy_from_slice(piece);
            self.send_packet(now, route, dst, &packet)?; // one that is not whole is of no use
        }
        Ok(())
    }

    /// Sends a whole IP packet by `route`, with the link's header before it.
    pub(crate) fn send_packet(
        &mut self,
        now: Instant,
        route: Route,
        dst: IpAddr,
        packet: &[u8],
    ) -> Result<(), NotSent> {
        let limit = self.cfg.max_control;
        let link = self.links.get_mut(usize::from(route.link.0)).ok_or(NotSent::NoRoute)?;
        let Medium::Ethernet(mac) = link.cfg.medium else {
            if link.control.len() >= limit {
                self.mib.ip_out_discards += 1;
                return Err(NotSent::NoRoom);
            }
            link.control.push_back(packet.to_vec());
            return Ok(());
        };
        let mut frame = vec![0; ethernet::HEADER_LEN + packet.len()];
        frame[ethernet::HEADER_LEN..].copy_from_slice(packet);
        let hop = route.gateway.unwrap_or(dst);
        let to = match multicast_mac(hop) {
            Some(m) => m,
            None => match link.neighbors.resolve(hop, now, self.cfg.max_neighbors) {
                Resolution::Known(m) => m,
                Resolution::Waits => {
                    put_ethernet_header(&mut frame, Mac::default(), mac, dst.is_ipv4());
                    let held = link.neighbors.hold(hop, frame, self.cfg.neighbor_queue);
                    self.mib.ip_out_discards += u64::from(!held);
                    self.solicit_neighbors(now);
                    return Ok(());
                }
                Resolution::Failed => {
                    self.mib.ip_out_discards += 1;
                    return Err(NotSent::NoNeighbor);
                }
            },
        };
        if link.control.len() >= limit {
            self.mib.ip_out_discards += 1;
            return Err(NotSent::NoRoom);
        }
        put_ethernet_header(&mut frame, to, mac, dst.is_ipv4());
        link.control.push_back(frame);
        Ok(())
    }
}

/// Octets in a fragment of a packet to `dst`; the last may have less.
fn fragment_size(dst: IpAddr, mtu: usize) -> usize {
    let head = ip_header_len(dst) + if dst.is_ipv4() { 0 } else { ipv6::FRAGMENT_LEN };
    mtu.saturating_sub(head) & !7
}

/// The link-layer address of a multicast or broadcast.
pub(crate) fn multicast_mac(a: IpAddr) -> Option<Mac> {
    match a {
        IpAddr::V4(a) if a.is_broadcast() => Some(Mac::BROADCAST),
        IpAddr::V4(a) if a.is_multicast() => {
            let o = a.octets();
            Some(Mac([1, 0, 0x5e, o[1] & 0x7f, o[2], o[3]]))
        }
        IpAddr::V6(a) if a.is_multicast() => Some(Mac::for_ipv6_multicast(a)),
        _ => None,
    }
}
