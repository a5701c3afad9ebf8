//! Which address of ours to send from, and which of a peer's to try first (RFC 6724).

use super::{common_bits, is_link_local};
use crate::stack::Stack;
use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};
use synfin_tcp::Instant;

impl Stack {
    /// Sorts destinations, such as the addresses of a name, the best first (RFC 6724 6): by whether there is a way and a source,
    /// and which.
    pub fn order_destinations(&self, now: Instant, all: &mut [IpAddr]) {
        order_destinations(all, |d| self.source_for(d, now));
    }
}

/// The scope of an address, as RFC 6724 3.1 orders them; a group tells its own (RFC 4291 2.7).
//= RFC 6724 3.1
fn scope(a: IpAddr) -> u8 {
    match a {
        IpAddr::V4(a) if a.is_loopback() || a.is_link_local() => 2,
        IpAddr::V6(a) if a.is_multicast() => a.octets()[1] & 0xf,
        IpAddr::V6(a) if a.is_loopback() || is_link_local(a) => 2,
        IpAddr::V6(a) if a.segments()[0] & 0xffc0 == 0xfec0 => 5,
        _ => 14,
    }
}

/// The default policy table: prefixes, the longest first, with precedence and label.
//= RFC 6724 2.1
const POLICY: [(Ipv6Addr, u32, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

/// Precedence and label of an address; IPv4 is looked up as mapped.
fn policy(a: IpAddr) -> (u8, u8) {
    let a = match a {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    };
    let within = |p: &&(Ipv6Addr, u32, u8, u8)| (u128::from(p.0) ^ u128::from(a)).leading_zeros() >= p.1;
    POLICY.iter().find(within).map_or((40, 1), |p| (p.2, p.3))
}

fn label(a: IpAddr) -> u8 {
    policy(a).1
}

/// Sorts destinations, the best first, by the source that each would have (RFC 6724 6; the rules that apply without mobility,
/// deprecated addresses and tunnels: 1, 2, 5, 6, 8, and 9 for IPv6, where a prefix that both share says that they are near. Those
/// of IPv4 stay in their order, by which resolvers spread the load: rules 9 and 10 may be superseded).
//= RFC 6724 6
fn order_destinations(all: &mut [IpAddr], source: impl Fn(IpAddr) -> Option<IpAddr>) {
    all.sort_by_cached_key(|d| {
        let d = *d;
        let s = source(d);
        let differs = |of: fn(IpAddr) -> u8| s.is_some_and(|s| of(s) != of(d));
        let shared = s.filter(|_| d.is_ipv6()).and_then(|s| common_bits(s, d)).map_or(0, |n| n.min(PREFIX));
        (s.is_none(), differs(scope), differs(label), Reverse(policy(d).0), scope(d), Reverse(shared))
    });
}

/// What an address of ours shares with another is counted up to its interface identifier (RFC 6724 2.2, RFC 4291 2.5.4).
const PREFIX: u32 = 64;

/// Picks the source for `dst` among `candidates` (RFC 6724 5, the rules that apply without mobility, temporary and
/// deprecated addresses: 1, 2, 6 and 8; rule 5 is in the choice of candidates).
//= RFC 6724 5
pub(crate) fn select_source(dst: IpAddr, candidates: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    candidates.filter(|a| a.is_ipv4() == dst.is_ipv4()).reduce(|a, b| {
        if a == dst || b == dst {
            return if b == dst { b } else { a };
        }
        let (sa, sb, sd) = (scope(a), scope(b), scope(dst));
        if sa != sb {
            // Rule 2: the smaller scope, unless it is smaller than the destination's.
            let (small, large) = if sa < sb { (a, b) } else { (b, a) };
            return if scope(small) < sd { large } else { small };
        }
        let [la, lb, ld] = [a, b, dst].map(label);
        if (la == ld) != (lb == ld) {
            return if la == ld { a } else { b }; // Rule 6
        }
        if common_bits(b, dst) > common_bits(a, dst) { b } else { a }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    //= RFC 6724 5 (examples of 10.1)
    fn source_selection() {
        let pick = |dst: &str, c: &[&str]| select_source(ip(dst), c.iter().map(|s| ip(s)));
        assert_eq!(pick("2001:db8:1::1", &["2001:db8:3::1", "fe80::1"]), Some(ip("2001:db8:3::1")));
        assert_eq!(pick("ff05::1", &["2001:db8:3::1", "fe80::1"]), Some(ip("2001:db8:3::1")));
        assert_eq!(pick("fe80::1", &["fe80::2", "2001:db8:1::1"]), Some(ip("fe80::2")));
        assert_eq!(pick("2001:db8:1::1", &["2001:db8:1::1", "2001:db8:2::1"]), Some(ip("2001:db8:1::1")));
        assert_eq!(pick("2001:db8:1::d5e3:0:0:1", &["2001:db8:2::2", "2001:db8:1::2"]), Some(ip("2001:db8:1::2")));
        assert_eq!(pick("ff02::1", &["2001:db8:1::1", "fe80::2"]), Some(ip("fe80::2")), "rule 2: the scope of a group");
        assert_eq!(pick("ff0e::1", &["fe80::2", "2001:db8:1::1"]), Some(ip("2001:db8:1::1")));
        assert_eq!(
            pick("2002:c633:6401::1", &["2002:c633:6401::d5e3:7953:13eb:22e8", "2001:db8:1::2"]),
            Some(ip("2002:c633:6401::d5e3:7953:13eb:22e8"))
        );
        assert_eq!(pick("fd00:1::1", &["2001:db8:1::2", "fc00::2"]), Some(ip("fc00::2")), "rule 6: the same label");
        assert_eq!(pick("ff0e::1", &["fd00::2", "2001:db8:1::1"]), Some(ip("2001:db8:1::1")), "before rule 8");
        assert_eq!(pick("192.0.2.9", &["10.0.0.1", "192.0.2.1", "fe80::1"]), Some(ip("192.0.2.1")));
        assert_eq!(pick("192.0.2.9", &["fe80::1"]), None);
    }

    #[test]
    //= RFC 6724 6 (examples of 10.2)
    fn destination_selection() {
        for (ours, destinations, why) in [
            (&["2001:db8:1::2", "fe80::1", "169.254.13.78"][..], &["2001:db8:1::1", "198.51.100.121"][..], "rule 2"),
            (&["fe80::1", "198.51.100.117"], &["198.51.100.121", "2001:db8:1::1"], "rule 2"),
            (&["2001:db8:1::2", "fe80::1", "10.1.2.4"], &["2001:db8:1::1", "10.1.2.3"], "rule 6"),
            (&["2001:db8:1::2", "fe80::2"], &["fe80::1", "2001:db8:1::1"], "rule 8"),
            (&["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"], &["2001:db8:1::1", "2001:db8:3ffe::1"], "rule 9"),
            (&["2002:c633:6401::2", "fe80::2"], &["2002:c633:6401::1", "2001:db8:1::1"], "rule 5"),
            (&["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"], &["2001:db8:1::1", "2002:c633:6401::1"], "rule 6"),
            (&["192.0.2.1"], &["192.0.2.9", "2001:db8:1::1"], "rule 1"),
            (&["fd00::1", "192.0.2.1"], &["198.51.100.1", "2001:db8::1"], "rule 5: no way out for what is local"),
        ] {
            let wanted: std::vec::Vec<IpAddr> = destinations.iter().map(|d| ip(d)).collect();
            let source = |d| select_source(d, ours.iter().map(|s| ip(s)));
            for turned in [false, true] {
                let mut all = wanted.clone();
                if turned {
                    all.reverse();
                }
                order_destinations(&mut all, source);
                assert_eq!(all, wanted, "{why}");
            }
        }
        let mut all = ["192.0.2.1", "10.0.0.7", "10.0.0.8"].map(ip);
        order_destinations(&mut all, |_| Some(ip("10.0.0.1")));
        assert_eq!(all, ["192.0.2.1", "10.0.0.7", "10.0.0.8"].map(ip), "the resolver's order");
    }
}
