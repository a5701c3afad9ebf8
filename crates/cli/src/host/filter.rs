//! Ports at which the host is silent, as behind a firewall that drops: nobody hears that nobody listens.
//!
//! The packets are lost where they come from the link, before the host sees them, and are told and recorded as lost.

use crate::recorder::Recorder;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use synfin::{PacketLog, Sniffed};
use synfin_wire::{Protocol, ethernet, ipv4, ipv6};

/// Loses what comes for some ports.
pub(super) struct Filter {
    ports: Vec<u16>,
    ethernet: bool,
    dropped: Arc<AtomicU64>,
    /// Who is shown each packet, and whether it is lost.
    watched_by: Option<Recorder>,
}

impl Filter {
    pub fn new(ports: &[u16], ethernet: bool, watched_by: Option<Recorder>) -> Filter {
        Filter { ports: ports.to_vec(), ethernet, dropped: Arc::default(), watched_by }
    }

    /// How many packets are lost so far.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }
}

impl PacketLog for Filter {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let skip = if self.ethernet { ethernet::HEADER_LEN } else { 0 };
        let lost = !p.out && is_for(p.bytes.get(skip..).unwrap_or_default(), &self.ports);
        self.dropped.fetch_add(lost.into(), Ordering::Relaxed);
        if let Some(r) = &self.watched_by {
            r.crosses(p, Some(lost));
        }
        !lost
    }
}

/// Whether an IP packet is for one of these ports, by TCP or UDP. Of fragments only the first tells: without it the rest
/// comes to nothing. One too short to tell has been made so that it is not told (RFC 1858 3), and counts as for them.
fn is_for(b: &[u8], ports: &[u16]) -> bool {
    let first = match b.first().map(|v| v >> 4) {
        Some(4) => ipv4::Header::parse_quoted(b)
            .ok()
            .map(|h| (h.protocol, usize::from(h.header_len), h.fragment_offset, usize::from(h.total_len))),
        Some(6) => ipv6::Header::parse_quoted(b).and_then(|h| Ok((h, ipv6::upper(b, &h)?))).ok().map(|(h, u)| {
            let end = ipv6::HEADER_LEN + usize::from(h.payload_len);
            (u.protocol, u.offset, u.fragment.map_or(0, |f| f.offset), end)
        }),
        _ => None,
    };
    // What cannot be read the host does not take either.
    let Some((Protocol::TCP | Protocol::UDP, at, 0, end)) = first else { return false };
    let port = b.get(..end.min(b.len())).and_then(|b| b.get(at + 2..at + 4));
    port.is_none_or(|p| ports.contains(&u16::from_be_bytes([p[0], p[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use synfin_wire::ip::Ecn;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    /// A packet with `payload`, a fragment from `offset` on.
    fn v4(protocol: Protocol, offset: u16, payload: &[u8]) -> Vec<u8> {
        let mut h =
            ipv4::Header::parse_quoted(&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, protocol.0, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2])
                .unwrap();
        assert_eq!(h.src, A);
        (h.total_len, h.fragment_offset, h.more_fragments) = (20 + payload.len() as u16, offset, offset > 0);
        let mut b = vec![0; 20];
        h.emit(&mut b).unwrap();
        [b, payload.to_vec()].concat()
    }

    fn v6(chain: &[u8], first: Protocol) -> Vec<u8> {
        let h = ipv6::Header {
            dscp: 0,
            ecn: Ecn::NotEct,
            flow_label: 0,
            payload_len: chain.len() as u16,
            next_header: first,
            hop_limit: 64,
            src: Ipv6Addr::LOCALHOST,
            dst: Ipv6Addr::LOCALHOST,
        };
        let mut b = vec![0; ipv6::HEADER_LEN];
        h.emit(&mut b).unwrap();
        [b, chain.to_vec()].concat()
    }

    #[test]
    fn both_versions_and_both_protocols_are_read_down_to_the_port() {
        let to = |port: u16| [&[0x30, 0x39][..], &port.to_be_bytes(), &[0; 16]].concat();
        for protocol in [Protocol::TCP, Protocol::UDP] {
            assert!(is_for(&v4(protocol, 0, &to(82)), &[81, 82]));
            assert!(!is_for(&v4(protocol, 0, &to(83)), &[81, 82]));
            assert!(is_for(&v6(&to(82), protocol), &[82]) && !is_for(&v6(&to(83), protocol), &[82]));
            // Behind options for the destination, and in the first fragment.
            let options = [&[protocol.0, 0, 1, 4, 0, 0, 0, 0][..], &to(82)].concat();
            assert!(is_for(&v6(&options, Protocol(60)), &[82]));
            let fragment = [&[protocol.0, 0, 0, 1, 0, 0, 0, 7][..], &to(82)[..16]].concat();
            assert!(is_for(&v6(&fragment, Protocol(44)), &[82]));
        }
        assert!(!is_for(&v4(Protocol::ICMP, 0, &to(82)), &[82]), "ICMP has no ports");
    }

    #[test]
    fn a_first_fragment_that_hides_the_port_is_lost_and_a_later_one_says_nothing() {
        assert!(is_for(&v4(Protocol::TCP, 0, &[0x30]), &[82]));
        assert!(!is_for(&v4(Protocol::TCP, 8, &[0, 0, 0, 82, 0, 0, 0, 0]), &[82]));
    }

    #[test]
    fn what_is_no_packet_is_left_to_the_host() {
        for b in [&[][..], &[0x45], &[0x60; 12], &[0xff; 60]] {
            assert!(!is_for(b, &[82]), "{b:?}");
        }
    }
}
