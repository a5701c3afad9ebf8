//! The ECN field of a packet, read and set without taking the packet apart.

use synfin_stack::wire::checksum;
use synfin_stack::wire::ip::Ecn;

/// The ECN field of an IP packet; none for what is no IP packet.
pub fn ecn_of(packet: &[u8]) -> Ecn {
    match packet {
        [v, tos, ..] if v >> 4 == 4 => Ecn::from_bits(*tos),
        [v, class, ..] if v >> 4 == 6 => Ecn::from_bits(class >> 4),
        _ => Ecn::NotEct,
    }
}

/// Marks an IP packet "congestion experienced" and puts the header's checksum right (RFC 3168 5, RFC 1624).
pub fn mark_ce(packet: &mut [u8]) {
    match packet {
        [v, tos, _, _, _, _, _, _, _, _, hi, lo, ..] if *v >> 4 == 4 => {
            let old = u16::from_be_bytes([*v, *tos]);
            *tos |= Ecn::Ce.bits();
            let sum = checksum::update(u16::from_be_bytes([*hi, *lo]), old, u16::from_be_bytes([*v, *tos]));
            [*hi, *lo] = sum.to_be_bytes();
        }
        [v, class, ..] if *v >> 4 == 6 => *class |= Ecn::Ce.bits() << 4,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use synfin_stack::wire::{Protocol, ipv4, ipv6};

    #[test]
    fn a_marked_packet_of_either_version_is_whole() {
        for ecn in [Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            let mut b = [0; 60];
            let h4 = ipv4::Header {
                header_len: 20,
                dscp: 0x2e,
                ecn,
                total_len: 40,
                ident: 7,
                dont_fragment: true,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 64,
                protocol: Protocol::TCP,
                src: Ipv4Addr::new(192, 0, 2, 1),
                dst: Ipv4Addr::new(192, 0, 2, 2),
                source_routed: false,
            };
            h4.emit(&mut b).unwrap();
            assert_eq!(ecn_of(&b), ecn);
            mark_ce(&mut b);
            assert_eq!(ipv4::Header::parse(&b), Ok(ipv4::Header { ecn: Ecn::Ce, ..h4 }));
            let h6 = ipv6::Header {
                dscp: 0x2e,
                ecn,
                flow_label: 0xf_ffff,
                payload_len: 20,
                next_header: Protocol::TCP,
                hop_limit: 64,
                src: Ipv6Addr::LOCALHOST,
                dst: Ipv6Addr::LOCALHOST,
            };
            h6.emit(&mut b).unwrap();
            assert_eq!(ecn_of(&b), ecn);
            mark_ce(&mut b);
            assert_eq!(ipv6::Header::parse(&b), Ok(ipv6::Header { ecn: Ecn::Ce, ..h6 }));
        }
        mark_ce(&mut [0x45]);
        assert_eq!(ecn_of(&[]), Ecn::NotEct);
    }
}
