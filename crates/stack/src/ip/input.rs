//! IP packets in: headers checked, fragments put together, the payload handed to its protocol.

use super::fragments::{Key, Outcome, Piece};
use crate::link::LinkId;
use crate::stack::{RxChecksum, RxMeta, Stack};
use core::net::IpAddr;
use synfin_tcp::{Chunk, Instant, Probe};
use synfin_wire::icmp::{Message, Unreachable};
use synfin_wire::ip::Ecn;
use synfin_wire::ipv6::OptionAction;
use synfin_wire::{Error, Protocol, ipv4, ipv6};

/// Where a transport payload came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub link: LinkId,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub hop_limit: u8,
    pub ecn: Ecn,
    pub meta: RxMeta,
    /// Offset of the IP header in the chunk before it was advanced to the payload; ICMP errors quote from there.
    pub header: usize,
}

/// Whose an address is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Us,
    /// Tentatively ours: nobody's until duplicate address detection is over.
    Nobody,
    Other,
}

impl Stack {
    /// An IP packet of either version: the whole of `packet`, link padding included.
    pub(crate) fn ip_in<P: Probe>(&mut self, now: Instant, probe: &mut P, link: LinkId, packet: Chunk, meta: RxMeta) {
        self.mib.ip_in += 1;
        let version = packet.as_slice().first().map(|b| b >> 4);
        let done = match version {
            Some(4) => self.ipv4_in(now, probe, link, packet, meta),
            Some(6) => self.ipv6_in(now, probe, link, packet, meta),
            _ => Err(Error::BadVersion),
        };
        if done.is_err() {
            self.mib.ip_in_hdr_errors += 1;
        }
    }

    /// Whose a destination that is no group is.
    fn owner(&self, dst: IpAddr, now: Instant) -> Owner {
        match self.links.iter().flat_map(|l| &l.addrs).find(|x| x.cidr.addr == dst) {
            Some(x) if x.tentative_until > now => Owner::Nobody,
            None if !self.any_address => Owner::Other,
            _ => Owner::Us,
        }
    }

    fn ipv4_in<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        link: LinkId,
        mut packet: Chunk,
        meta: RxMeta,
    ) -> Result<(), Error> {
        let h = ipv4::Header::parse(packet.as_slice())?;
        self.mib.count_ecn(h.ecn);
        let (src, dst) = (IpAddr::V4(h.src), IpAddr::V4(h.dst));
        packet.truncate(usize::from(h.total_len));
        let broadcast = h.dst.is_broadcast() || h.dst.is_multicast() || self.is_subnet_broadcast(h.dst);
        //= RFC 9293 3.9.2.3 MUST-63
        let odd_source = !super::is_plausible_source(src) || self.is_subnet_broadcast(h.src);
        if odd_source || (!broadcast && self.owner(dst, now) != Owner::Us) {
            self.mib.ip_in_addr_errors += 1;
            self.pool.give(packet);
            return Ok(());
        }
        // A packet for one host, in a frame for all: a mistake of the sender's, or a trick.
        //= RFC 1122 3.3.6
        if meta.many && !broadcast {
            self.mib.ip_in_discards += 1;
            self.pool.give(packet);
            return Ok(());
        }
        // A host obeys no source route unless told to (RFC 1122 3.2.1.8 (c)), and nobody has.
        if h.source_routed {
            self.mib.ip_in_discards += 1;
            self.pool.give(packet);
            return Ok(());
        }
        let mut at = Arrival { link, src, dst, hop_limit: h.ttl, ecn: h.ecn, meta, header: usize::from(h.header_len) };
        let f = ipv6::Fragment { offset: h.fragment_offset, more: h.more_fragments, ident: u32::from(h.ident) };
        let fragment = h.is_fragment().then_some(f);
        let Some(payload) = self.payload(now, &mut at, fragment, h.protocol, packet) else { return Ok(()) };
        self.deliver(now, probe, at, h.protocol, payload, broadcast);
        Ok(())
    }

    /// What the packet carries; of a fragment the whole datagram, once nothing of it is missing.
    fn payload(
        &mut self,
        now: Instant,
        at: &mut Arrival,
        fragment: Option<ipv6::Fragment>,
        protocol: Protocol,
        mut packet: Chunk,
    ) -> Option<Chunk> {
        let Some(f) = fragment else {
            packet.advance(at.header);
            return Some(packet);
        };
        self.mib.reasm_reqds += 1;
        let key = Key { src: at.src, dst: at.dst, ident: f.ident, protocol: protocol.0 };
        let piece = Piece { offset: f.offset, more: f.more, ecn: at.ecn, data: &packet.as_slice()[at.header..] };
        let outcome = self.fragments.add(key, piece, now, self.cfg.fragment_timeout, self.cfg.fragment_memory);
        self.pool.give(packet);
        match outcome {
            Outcome::Waits => None,
            Outcome::Failed => {
                self.mib.reasm_fails += 1;
                None
            }
            Outcome::Whole(bytes, ecn) => {
                at.ecn = ecn;
                self.mib.reasm_oks += 1;
                at.meta = RxMeta { checksum: RxChecksum::Unverified, gso_size: 0, ..at.meta };
                at.header = 0;
                Some(Chunk::copy_of(&bytes))
            }
        }
    }

    /// Whether `a` is one host's: no multicast, no broadcast.
    pub(crate) fn is_one_host(&self, a: IpAddr) -> bool {
        match a {
            IpAddr::V4(v4) => !(a.is_multicast() || v4.is_broadcast() || self.is_subnet_broadcast(v4)),
            IpAddr::V6(_) => !a.is_multicast(),
        }
    }

    fn is_subnet_broadcast(&self, a: core::net::Ipv4Addr) -> bool {
        self.links.iter().flat_map(|l| &l.addrs).any(|x| match x.cidr.addr {
            IpAddr::V4(o) if x.cidr.prefix < 31 => {
                let mask = u32::MAX.checked_shr(u32::from(x.cidr.prefix)).unwrap_or(0);
                u32::from(o) | mask == u32::from(a)
            }
            _ => false,
        })
    }

    fn ipv6_in<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        link: LinkId,
        mut packet: Chunk,
        meta: RxMeta,
    ) -> Result<(), Error> {
        let h = ipv6::Header::parse(packet.as_slice())?;
        self.mib.count_ecn(h.ecn);
        let u = ipv6::upper(packet.as_slice(), &h)?;
        let (src, dst) = (IpAddr::V6(h.src), IpAddr::V6(h.dst));
        packet.truncate(ipv6::HEADER_LEN + usize::from(h.payload_len));
        let group = h.dst.is_multicast();
        // A mapped address is never on the wire (RFC 4291 2.5.5.2 gives it no meaning there), and would be taken for the
        // IPv4 one it holds.
        let mapped = h.src.to_ipv4_mapped().is_some() || h.dst.to_ipv4_mapped().is_some();
        let odd_source = mapped || !super::is_plausible_source(src);
        // A tentative address gets nothing but neighbor discovery, which finds out whether it may be ours.
        //= RFC 4862 5.4
        let discovery = || packet.as_slice().get(u.offset).is_some_and(|t| (133..=136).contains(t));
        let for_us = group
            || match self.owner(dst, now) {
                Owner::Us => true,
                Owner::Nobody => u.protocol == Protocol::ICMPV6 && discovery(),
                Owner::Other => false,
            };
        if odd_source || !for_us {
            self.mib.ip_in_addr_errors += 1;
            self.pool.give(packet);
            return Ok(());
        }
        // No error is sent about what came in a frame for many (RFC 4443 2.4 (e.4)), and no segment is taken from one.
        let group = group || meta.many;
        let report = match u.option_action {
            OptionAction::Skip => None,
            OptionAction::Discard => Some(None),
            OptionAction::Report(p) => Some(Some(p)),
            OptionAction::ReportUnlessMulticast(p) => Some((!group).then_some(p)),
        };
        if report.is_some() || u.routed {
            self.mib.ip_in_discards += 1;
            if let Some(Some(pointer)) = report {
                let quoted = packet.as_slice().to_vec();
                self.icmp_error(now, src, dst, |q| Message::ParameterProblem(2, pointer as u32, q), &quoted);
            }
            self.pool.give(packet);
            return Ok(());
        }
        let mut at = Arrival { link, src, dst, hop_limit: h.hop_limit, ecn: h.ecn, meta, header: u.offset };
        if u.fragment.is_some() {
            // Neighbor discovery is never fragmented, nor in an atomic fragment (RFC 6980 5): its hop limit is made to fail.
            at.hop_limit = at.hop_limit.min(254);
        }
        let fragment = u.fragment.filter(|f| !f.is_atomic());
        let Some(payload) = self.payload(now, &mut at, fragment, u.protocol, packet) else { return Ok(()) };
        self.deliver(now, probe, at, u.protocol, payload, group);
        Ok(())
    }

    fn deliver<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        at: Arrival,
        protocol: Protocol,
        payload: Chunk,
        many: bool,
    ) {
        self.mib.ip_in_delivers += 1;
        match protocol {
            Protocol::TCP if !many => self.tcp_in(now, probe, at, payload),
            // A TCP connection is between two hosts.
            //= RFC 9293 3.9.2.3 MUST-57
            Protocol::TCP => {
                self.mib.tcp_martian += 1;
                self.pool.give(payload);
            }
            Protocol::UDP => self.udp_in(now, at, payload, many),
            Protocol::ICMP if at.src.is_ipv4() => self.icmp_in(now, probe, at, payload, many),
            Protocol::ICMPV6 if at.src.is_ipv6() => self.icmp_in(now, probe, at, payload, many),
            Protocol::NO_NEXT => self.pool.give(payload),
            _ => {
                self.mib.ip_in_unknown_protos += 1;
                if !many {
                    let quoted = crate::icmp::requote(&at, protocol, payload.as_slice());
                    self.icmp_error(now, at.src, at.dst, |q| Message::Unreachable(Unreachable::Protocol, q), &quoted);
                }
                self.pool.give(payload);
            }
        }
    }
}
