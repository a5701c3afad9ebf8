//! Addresses, routes, source selection; the ways in and out are in the modules below.

pub(crate) mod fragments;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod paths;

use crate::link::LinkId;
use core::fmt;
use core::net::IpAddr;

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub addr: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

impl Cidr {
    /// Whether `a` lies in the network.
    pub fn contains(&self, a: IpAddr) -> bool {
        common_bits(self.addr, a).is_some_and(|n| n >= u32::from(self.prefix))
    }

    /// Reads `ADDRESS/PREFIX`.
    pub fn parse(s: &str) -> Option<Cidr> {
        let (addr, prefix) = s.split_once('/')?;
        let (addr, prefix): (IpAddr, u8) = (addr.parse().ok()?, prefix.parse().ok()?);
        (prefix <= if addr.is_ipv4() { 32 } else { 128 }).then_some(Cidr { addr, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// Where packets for a network go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub network: Cidr,
    /// Out of this link.
    pub link: LinkId,
    /// To this neighbor; none if the destination is a neighbor itself.
    pub gateway: Option<IpAddr>,
}

/// How many leading bits two addresses of one version share; none for different versions.
pub(crate) fn common_bits(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((u32::from(a) ^ u32::from(b)).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((u128::from(a) ^ u128::from(b)).leading_zeros()),
        _ => None,
    }
}

/// The scope of an address, as RFC 6724 3.1 orders them.
fn scope(a: IpAddr) -> u8 {
    match a {
        IpAddr::V4(a) if a.is_loopback() || a.is_link_local() => 2,
        IpAddr::V6(a) if a.is_loopback() || (a.segments()[0] & 0xffc0) == 0xfe80 => 2,
        _ => 14,
    }
}

/// Picks the source for `dst` among `candidates` (RFC 6724 5, the rules that apply without mobility, temporary and
/// deprecated addresses: 1, 2 and 8).
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
        if common_bits(b, dst) > common_bits(a, dst) { b } else { a }
    })
}

/// Whether a packet can come from `a`: one host, and not this one's loopback.
pub(crate) fn is_plausible_source(a: IpAddr) -> bool {
    !(a.is_multicast() || a.is_loopback() || matches!(a, IpAddr::V4(a) if a.is_broadcast()))
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
        assert_eq!(pick("192.0.2.9", &["10.0.0.1", "192.0.2.1", "fe80::1"]), Some(ip("192.0.2.1")));
        assert_eq!(pick("192.0.2.9", &["fe80::1"]), None);
    }

    #[test]
    fn networks() {
        let n = Cidr::parse("192.0.2.1/24").unwrap();
        assert!(n.contains(ip("192.0.2.77")) && !n.contains(ip("192.0.3.1")) && !n.contains(ip("::1")));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains(ip("8.8.8.8")));
        assert_eq!(Cidr::parse("192.0.2.1/33"), None);
        assert_eq!(Cidr::parse("192.0.2/24"), None);
    }
}
