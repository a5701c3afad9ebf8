//! What routers and middleboxes say of a packet that they did not let pass.

use std::net::IpAddr;
use synfin_stack::wire::checksum::{Sum, pseudo_v4, pseudo_v6};
use synfin_stack::wire::frame::{TcpPacket, may_answer_with_error};
use synfin_stack::wire::icmp::{Message, emit_v4, emit_v6};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::tcp::{Flags, HEADER_LEN, Header};
use synfin_stack::wire::{Protocol, SeqNum, ipv4, ipv6};

/// A router's word that `packet` is greater than `mtu`, to its sender (RFC 1191 4, RFC 4443 3.2); `None` if there must be
/// none about this packet.
pub(super) fn too_big(packet: &[u8], router: [IpAddr; 2], mtu: u32) -> Option<Vec<u8>> {
    if !may_answer_with_error(packet) {
        return None;
    }
    let src = source(packet)?;
    let most = if src.is_ipv4() { 576 - 28 } else { 1280 - 48 };
    let message = Message::PacketTooBig(mtu, &packet[..packet.len().min(most)]);
    let mut b = vec![0; 8 + most];
    let (from, protocol, n) = if src.is_ipv4() {
        (router[0], Protocol::ICMP, emit_v4(&message, &mut b).ok()?)
    } else {
        let p = |n| pseudo((router[1], src), Protocol::ICMPV6, n);
        (router[1], Protocol::ICMPV6, emit_v6(&message, p, &mut b).ok()?)
    };
    b.truncate(n);
    ip_packet((from, src), protocol, &b)
}

/// A reset for the sender of a segment, in the name of its receiver (RFC 9293 3.5.2).
pub(super) fn reset(packet: &[u8]) -> Option<Vec<u8>> {
    let p = TcpPacket::parse(packet).ok()??;
    let (flags, seq, ack) = if p.header.flags.has(Flags::ACK) {
        (Flags::RST, p.header.ack, SeqNum(0))
    } else {
        let len = p.payload.len() as u32 + u32::from(p.header.flags.has(Flags::SYN));
        (Flags::RST | Flags::ACK, SeqNum(0), p.header.seq + len)
    };
    let h = Header {
        src_port: p.header.dst_port,
        dst_port: p.header.src_port,
        seq,
        ack,
        header_len: 0,
        flags,
        window: 0,
        urgent: 0,
    };
    let mut b = vec![0; HEADER_LEN];
    h.emit(&[], &mut b).ok()?;
    let ends = (p.ip.dst, p.ip.src);
    let sum = pseudo(ends, Protocol::TCP, HEADER_LEN as u32).add(&b).finish();
    Header::put_checksum(&mut b, sum);
    ip_packet(ends, Protocol::TCP, &b)
}

/// The destination of an IP packet.
pub(super) fn destination(packet: &[u8]) -> Option<IpAddr> {
    address(packet, 16, 24)
}

fn source(packet: &[u8]) -> Option<IpAddr> {
    address(packet, 12, 8)
}

fn address(b: &[u8], v4: usize, v6: usize) -> Option<IpAddr> {
    match b.first()? >> 4 {
        4 => Some(IpAddr::from(b.get(v4..v4 + 4)?.first_chunk::<4>().copied()?)),
        6 => Some(IpAddr::from(b.get(v6..v6 + 16)?.first_chunk::<16>().copied()?)),
        _ => None,
    }
}

fn pseudo(ends: (IpAddr, IpAddr), protocol: Protocol, len: u32) -> Sum {
    match ends {
        (IpAddr::V4(a), IpAddr::V4(b)) => pseudo_v4(a, b, protocol.0, len),
        (IpAddr::V6(a), IpAddr::V6(b)) => pseudo_v6(a, b, protocol.0, len),
        _ => Sum::ZERO, // the ends of one packet are of one version
    }
}

/// An IP header before `payload`.
fn ip_packet(ends: (IpAddr, IpAddr), protocol: Protocol, payload: &[u8]) -> Option<Vec<u8>> {
    const HOPS: u8 = 64;
    let mut b;
    match ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            b = vec![0; ipv4::HEADER_LEN];
            let h = ipv4::Header {
                header_len: ipv4::HEADER_LEN as u8,
                dscp: 0,
                ecn: Ecn::NotEct,
                total_len: u16::try_from(ipv4::HEADER_LEN + payload.len()).ok()?,
                ident: 0,
                dont_fragment: false,
                more_fragments: false,
                fragment_offset: 0,
                ttl: HOPS,
                protocol,
                src,
                dst,
                source_routed: false,
            };
            h.emit(&mut b).ok()?;
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            b = vec![0; ipv6::HEADER_LEN];
            let h = ipv6::Header {
                dscp: 0,
                ecn: Ecn::NotEct,
                flow_label: 0,
                payload_len: u16::try_from(payload.len()).ok()?,
                next_header: protocol,
                hop_limit: HOPS,
                src,
                dst,
            };
            h.emit(&mut b).ok()?;
        }
        _ => return None,
    }
    b.extend_from_slice(payload);
    Some(b)
}
