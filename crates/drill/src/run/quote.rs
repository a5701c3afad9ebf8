//! The packet that an ICMP error quotes, beside what a script says of it.

use super::compare::Table;
use super::flow::Flow;
use crate::script::IcmpQuote;
use std::net::{IpAddr, SocketAddr};
use synfin_stack::wire::{Protocol, ipv4, ipv6};

/// The flag SYN in the fourteenth octet of a TCP header.
const SYN: u8 = 2;

/// What of the offending packet stands behind the eight octets of an error's own header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote {
    protocol: Protocol,
    src: SocketAddr,
    dst: SocketAddr,
    /// Octets above IP that the packet had, by its header.
    whole: usize,
    /// Those of them that are quoted.
    head: Vec<u8>,
}

impl Quote {
    /// The quotation `b`; `None` if there is no IP header with the ports behind it.
    pub(super) fn parse(b: &[u8]) -> Option<Quote> {
        // What follows the header may be cut, the header may not.
        let (src, dst, protocol, at, whole) = match b.first()? >> 4 {
            4 => {
                let at = usize::from(b[0] & 15) * 4;
                let total = usize::from(u16::from_be_bytes([*b.get(2)?, *b.get(3)?]));
                let ip = |at: usize| b.get(at..at + 4)?.first_chunk::<4>().map(|a| IpAddr::from(*a));
                (ip(12)?, ip(16)?, Protocol(*b.get(9)?), at, total.checked_sub(at)?)
            }
            6 => {
                let payload = usize::from(u16::from_be_bytes([*b.get(4)?, *b.get(5)?]));
                let ip = |at: usize| b.get(at..at + 16)?.first_chunk::<16>().map(|a| IpAddr::from(*a));
                (ip(8)?, ip(24)?, Protocol(*b.get(6)?), ipv6::HEADER_LEN, payload)
            }
            _ => return None,
        };
        if at < ipv4::HEADER_LEN {
            return None;
        }
        let head = b.get(at..)?.to_vec();
        let port = |at: usize| head.get(at..at + 2).map(|p| u16::from_be_bytes([p[0], p[1]]));
        let (src, dst) = (SocketAddr::new(src, port(0)?), SocketAddr::new(dst, port(2)?));
        Some(Quote { protocol, src, dst, whole, head })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.head.get(at..at + 2).map(|p| u16::from_be_bytes([p[0], p[1]]))
    }

    /// The sequence number of a segment.
    fn seq(&self) -> Option<u32> {
        self.head.get(4..8).map(|p| u32::from_be_bytes([p[0], p[1], p[2], p[3]]))
    }

    /// Octets of the header above IP: of a segment as many as it says, if that is quoted.
    fn header_len(&self) -> usize {
        match self.protocol {
            Protocol::TCP => self.head.get(12).map_or(20, |o| usize::from(o >> 4) * 4),
            _ => 8,
        }
    }

    /// Octets of text that the packet had.
    fn text(&self) -> usize {
        self.whole.saturating_sub(self.header_len())
    }

    /// As a script writes it; `flow` maps numbers.
    pub(super) fn as_script(&self, flow: Option<&Flow>) -> String {
        match self.protocol {
            Protocol::TCP => {
                let seq = flow.map_or(self.seq().unwrap_or(0), |f| self.script_seq(f));
                format!("[{seq}:{}({})]", seq.wrapping_add(self.text() as u32), self.text())
            }
            Protocol::UDP => format!("[udp ({})]", self.text()),
            p => format!("[protocol {} ({})]", p.0, self.whole),
        }
    }

    /// The sequence number as the script counts those of the peer.
    fn script_seq(&self, flow: &Flow) -> u32 {
        let seq = self.seq().unwrap_or(0);
        let syn = self.head.get(13).map_or(seq == flow.remote_isn.1, |f| f & SYN != 0);
        seq.wrapping_sub(flow.remote_offset(syn))
    }
}

/// Compares what stands behind an ICMP header with what the script writes in brackets. Of a packet that is quoted at least
/// eight octets above IP come, and at most all of them (RFC 792, RFC 1812 4.3.2.3): how many is not compared.
pub(super) fn compare(t: &mut Table, want: IcmpQuote, rest: &[u8], flow: &Flow) {
    let zeros = |t: &mut Table, b: &[u8]| t.text(b.iter().all(|o| *o == 0));
    let (protocol, name) = match want {
        IcmpQuote::Raw(n) => {
            t.eq("length", n as usize, rest.len());
            return zeros(t, rest);
        }
        IcmpQuote::Udp(_) => (Protocol::UDP, "udp"),
        IcmpQuote::Tcp(..) => (Protocol::TCP, "tcp"),
    };
    let Some(q) = Quote::parse(rest) else {
        return t.row("quote", name, format!("{} octets that are no packet", rest.len()), false);
    };
    let came = match q.protocol {
        Protocol::TCP => "tcp".to_string(),
        Protocol::UDP => "udp".to_string(),
        p => format!("protocol {}", p.0),
    };
    t.row("quote", name, came, q.protocol == protocol);
    if q.protocol != protocol {
        return;
    }
    t.eq("quoted source", flow.remote, q.src);
    t.eq("quoted destination", flow.local, q.dst);
    match want {
        IcmpQuote::Tcp(seq, len) => {
            t.eq("quoted seq", seq, q.script_seq(flow));
            t.eq("quoted length", len as usize, q.text());
        }
        IcmpQuote::Udp(len) | IcmpQuote::Raw(len) => {
            t.eq("quoted length", len as usize, q.text());
            let field = q.u16(4).map_or("none".into(), |n| n.to_string());
            t.eq("quoted UDP length", (8 + u64::from(len)).to_string(), field);
        }
    }
    let enough = (8..=q.whole).contains(&q.head.len());
    t.row("quoted octets", format!("8 to {}", q.whole), q.head.len(), enough);
    zeros(t, q.head.get(q.header_len()..).unwrap_or(&[]));
}

#[cfg(test)]
mod tests {
    use super::super::flow::Role;
    use super::*;

    #[test]
    fn what_is_too_short_for_a_quotation_is_none() {
        let mut udp = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 168, 0, 1];
        udp.extend([0xc0, 0x01, 0x1f, 0x90, 0, 20, 0, 0]);
        for n in 0..24 {
            assert_eq!(Quote::parse(&udp[..n]), None, "{n} octets");
        }
        let q = Quote::parse(&udp).expect("a datagram");
        assert_eq!((q.src.to_string(), q.dst.port(), q.text()), ("192.0.2.1:49153".into(), 8_080, 12));
        assert_eq!(q.as_script(None), "[udp (12)]");
        udp[0] = 0x44;
        assert_eq!(Quote::parse(&udp), None, "a header that is shorter than any");
    }

    #[test]
    fn numbers_of_a_segment_are_the_scripts() {
        let mut tcp = vec![0x45, 0, 0, 45, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 168, 0, 1];
        tcp.extend([0xc0, 0x01, 0x1f, 0x90, 0, 0, 3, 0xe9]);
        let mut flow =
            Flow::new("192.168.0.1:8080".parse().unwrap(), "192.0.2.1:49153".parse().unwrap(), Role::Pair, None);
        flow.learn_remote(1_000);
        let rows = |want| {
            let mut t = Table::default();
            compare(&mut t, want, &tcp, &flow);
            t.into_rows().into_iter().filter(|c| !c.same).map(|c| c.name).collect::<Vec<_>>()
        };
        assert!(rows(IcmpQuote::Tcp(1, 5)).is_empty());
        assert_eq!(rows(IcmpQuote::Tcp(2, 6)), ["quoted seq", "quoted length"]);
        assert_eq!(rows(IcmpQuote::Udp(5)), ["quote"]);
        assert_eq!(rows(IcmpQuote::Raw(28)), ["text"]);
    }
}
