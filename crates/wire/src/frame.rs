//! A whole IP packet down to its transport header, for those who look at packets from outside: the tracer, the
//! captures, the tests. The stack's own way in goes step by step, with state, and is in `synfin-stack`.

use crate::{Error, Protocol, Result, checksum, icmp, ip::Ecn, ipv4, ipv6, tcp, udp};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The network layer, whichever version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// What the payload is.
    pub protocol: Protocol,
    /// Congestion notification.
    pub ecn: Ecn,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Whether it may not be fragmented (always so for IPv6).
    pub dont_fragment: bool,
    /// Where the transport header begins.
    pub offset: usize,
    /// Where the packet ends (link padding follows).
    pub end: usize,
    /// Whether it is a fragment that is not the whole.
    pub fragment: bool,
}

impl Ip {
    /// Parses either version. Packets cut by a capture's snap length are accepted.
    pub fn parse(b: &[u8]) -> Result<Ip> {
        match b.first().map(|v| v >> 4) {
            Some(4) => {
                let h = ipv4::Header::parse_quoted(b)?;
                Ok(Ip {
                    src: h.src.into(),
                    dst: h.dst.into(),
                    protocol: h.protocol,
                    ecn: h.ecn,
                    ttl: h.ttl,
                    dont_fragment: h.dont_fragment,
                    offset: usize::from(h.header_len),
                    end: usize::from(h.total_len).min(b.len()),
                    fragment: h.is_fragment(),
                })
            }
            Some(6) => {
                let h = ipv6::Header::parse_quoted(b)?;
                let u = ipv6::upper(b, &h)?;
                Ok(Ip {
                    src: h.src.into(),
                    dst: h.dst.into(),
                    protocol: u.protocol,
                    ecn: h.ecn,
                    ttl: h.hop_limit,
                    dont_fragment: true,
                    offset: u.offset,
                    end: (ipv6::HEADER_LEN + usize::from(h.payload_len)).min(b.len()),
                    fragment: u.fragment.is_some_and(|f| !f.is_atomic()),
                })
            }
            Some(_) => Err(Error::BadVersion),
            None => Err(Error::Truncated),
        }
    }
}

/// A TCP segment inside an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpPacket<'a> {
    /// The network layer.
    pub ip: Ip,
    /// The fixed header.
    pub header: tcp::Header,
    /// Its options.
    pub options: tcp::Options,
    /// The option bytes in their order, for printing.
    pub option_bytes: &'a [u8],
    /// The text.
    pub payload: &'a [u8],
}

impl<'a> TcpPacket<'a> {
    /// Parses an IP packet that holds a TCP segment; `None` if it holds something else, or a later fragment.
    pub fn parse(b: &'a [u8]) -> Result<Option<TcpPacket<'a>>> {
        let ip = Ip::parse(b)?;
        if ip.protocol != Protocol::TCP || ip.fragment {
            return Ok(None);
        }
        let seg = b.get(ip.offset..ip.end).ok_or(Error::BadLength)?;
        let header = tcp::Header::parse(seg)?;
        let (head, payload) = seg.split_at(usize::from(header.header_len));
        let option_bytes = &head[tcp::HEADER_LEN..];
        Ok(Some(TcpPacket { ip, header, options: tcp::Options::parse(option_bytes), option_bytes, payload }))
    }

    /// Source address and port.
    pub fn src(&self) -> SocketAddr {
        SocketAddr::new(self.ip.src, self.header.src_port)
    }

    /// Destination address and port.
    pub fn dst(&self) -> SocketAddr {
        SocketAddr::new(self.ip.dst, self.header.dst_port)
    }
}

/// Whether an ICMP error may be sent about packet `b` (RFC 1122 3.2.2, RFC 4443 2.4): never about an ICMP error,
/// a later fragment, a source that is not one host, or a destination that is many.
pub fn may_answer_with_error(b: &[u8]) -> bool {
    let Ok(ip) = Ip::parse(b) else { return false };
    let many = |a: IpAddr| a.is_multicast() || a.is_unspecified() || matches!(a, IpAddr::V4(a) if a.is_broadcast());
    if many(ip.src) || many(ip.dst) || ip.src.is_loopback() {
        return false;
    }
    let rest = b.get(ip.offset..ip.end).unwrap_or_default();
    match ip.protocol {
        // Echo and its reply may be answered; everything else is an error or a conversation of routers.
        Protocol::ICMP => !ip.fragment && rest.first().is_some_and(|t| matches!(t, 0 | 8)),
        Protocol::ICMPV6 => !ip.fragment && rest.first().is_some_and(|t| *t >= 128),
        _ => !ip.fragment || ipv4_first_fragment(b),
    }
}

fn ipv4_first_fragment(b: &[u8]) -> bool {
    ipv4::Header::parse_quoted(b).is_ok_and(|h| h.fragment_offset == 0)
}

/// The four-tuple quoted in an ICMP error, as its sender wrote it: (protocol, source, destination, sequence number).
pub fn quoted(b: &[u8]) -> Result<(Protocol, SocketAddr, SocketAddr, crate::SeqNum)> {
    let ip = Ip::parse(b)?;
    let t = b.get(ip.offset..).ok_or(Error::Truncated)?;
    let h = match ip.protocol {
        Protocol::TCP | Protocol::UDP => tcp::Header::parse_quoted(t)?,
        _ => return Err(Error::BadValue),
    };
    Ok((ip.protocol, SocketAddr::new(ip.src, h.src_port), SocketAddr::new(ip.dst, h.dst_port), h.seq))
}

/// The echo request quoted in an ICMP error, as its sender wrote it: (source, destination, identifier, sequence number).
pub fn quoted_echo(b: &[u8]) -> Result<(IpAddr, IpAddr, u16, u16)> {
    let ip = Ip::parse(b)?;
    let t = b.get(ip.offset..).and_then(|t| t.first_chunk::<{ icmp::HEADER_LEN }>()).ok_or(Error::Truncated)?;
    match (ip.protocol, t[0]) {
        (Protocol::ICMP, 8) | (Protocol::ICMPV6, 128) => {}
        _ => return Err(Error::BadValue),
    }
    Ok((ip.src, ip.dst, u16::from_be_bytes([t[4], t[5]]), u16::from_be_bytes([t[6], t[7]])))
}

/// The shortest header of each protocol, to say how much of a quotation is needed.
pub const MIN_QUOTED: usize = {
    assert!(udp::HEADER_LEN == 8 && icmp::HEADER_LEN == 8);
    8
};

/// Writes a whole IPv4 packet that carries one segment, both checksums included; returns its length. `options` are a
/// multiple of four octets; `header_len` of `hdr` is ignored.
pub fn emit_tcp_v4(
    (src, dst): (Ipv4Addr, Ipv4Addr),
    hdr: &tcp::Header,
    options: &[u8],
    text: &[u8],
    out: &mut [u8],
) -> Result<usize> {
    let len = ipv4::HEADER_LEN + tcp::HEADER_LEN + options.len() + text.len();
    let total_len = u16::try_from(len).map_err(|_| Error::NoRoom)?;
    let out = out.get_mut(..len).ok_or(Error::NoRoom)?;
    ipv4::Header {
        header_len: ipv4::HEADER_LEN as u8,
        dscp: 0,
        ecn: Ecn::NotEct,
        total_len,
        ident: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol: Protocol::TCP,
        src,
        dst,
        source_routed: false,
    }
    .emit(out)?;
    let segment = &mut out[ipv4::HEADER_LEN..];
    let n = hdr.emit(options, segment)?;
    segment[n..].copy_from_slice(text);
    let sum = checksum::pseudo_v4(src, dst, Protocol::TCP.0, segment.len() as u32).add(segment).finish();
    tcp::Header::put_checksum(segment, sum);
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeqNum;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn segment() -> Vec<u8> {
        let mut b = std::vec![0u8; 60];
        let h = tcp::Header {
            src_port: 1000,
            dst_port: 80,
            seq: SeqNum(9),
            ack: SeqNum(0),
            header_len: 0,
            flags: tcp::Flags::SYN,
            window: 64240,
            urgent: 0,
        };
        let ends = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let n = emit_tcp_v4(ends, &h, &[2, 4, 5, 0xb4], b"abc", &mut b).unwrap();
        assert_eq!(emit_tcp_v4(ends, &h, &[2, 4, 5, 0xb4], b"abc", &mut b[..n - 1]), Err(Error::NoRoom));
        b.truncate(n);
        b
    }

    #[test]
    fn a_segment_is_taken_apart() {
        let b = segment();
        let p = TcpPacket::parse(&b).unwrap().unwrap();
        assert_eq!((p.src().port(), p.dst().port(), p.options.mss, p.payload), (1000, 80, Some(1460), &b"abc"[..]));
        assert_eq!(quoted(&b[..28]).unwrap().3, SeqNum(9));
        let sum = checksum::pseudo_v4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2), 6, 27);
        assert!(tcp::Header::checksum_ok(&b[20..], sum) && b.len() == 47);
        assert!(quoted(&b[..27]).is_err());
        assert!(may_answer_with_error(&b));
    }

    #[test]
    fn no_error_about_an_error_or_to_many() {
        let mut b = segment();
        b[9] = 1;
        b[20] = 3;
        assert!(!may_answer_with_error(&b));
        b[20] = 8;
        assert!(may_answer_with_error(&b));
        let mut b = segment();
        b[16] = 224;
        assert!(!may_answer_with_error(&b));
        let mut b = segment();
        b[12..16].copy_from_slice(&[0; 4]);
        assert!(!may_answer_with_error(&b));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut b in proptest::collection::vec(any::<u8>(), 0..120), v in 0u8..3) {
            if let Some(first) = b.first_mut() {
                *first = match v { 0 => 0x45, 1 => 0x60, _ => *first };
            }
            let _ = TcpPacket::parse(&b);
            let _ = quoted(&b);
            let _ = may_answer_with_error(&b);
        }
    }
}
