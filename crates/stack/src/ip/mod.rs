//! Addresses, routes; which addresses to take, and the ways in and out, are in the modules below.

pub(crate) mod fragments;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod paths;
pub(crate) mod selection;

use crate::link::LinkId;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

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

/// Whether `a` is valid on its link only.
pub(crate) fn is_link_local(a: Ipv6Addr) -> bool {
    a.segments()[0] & 0xffc0 == 0xfe80
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
    fn networks() {
        let n = Cidr::parse("192.0.2.1/24").unwrap();
        assert!(n.contains(ip("192.0.2.77")) && !n.contains(ip("192.0.3.1")) && !n.contains(ip("::1")));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains(ip("8.8.8.8")));
        assert_eq!(Cidr::parse("192.0.2.1/33"), None);
        assert_eq!(Cidr::parse("192.0.2/24"), None);
    }
}
