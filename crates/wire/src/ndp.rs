//! Neighbor Discovery for IPv6 (RFC 4861), the part a host needs.

use crate::checksum::Sum;
use crate::ethernet::Mac;
use crate::field::{array_at, put, u8_at, u16_at, u32_at};
use crate::icmp;
use crate::{Error, Result};
use core::net::Ipv6Addr;

/// Prefix information (RFC 4861 4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its length in bits, at most 128.
    pub len: u8,
    /// On-link flag.
    pub on_link: bool,
    /// Autonomous address-configuration flag.
    pub autonomous: bool,
    /// Seconds the prefix is valid.
    pub valid_s: u32,
    /// Seconds addresses made from it are preferred.
    pub preferred_s: u32,
}

/// A neighbor discovery message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Router solicitation with the sender's link-layer address.
    RouterSolicit(Option<Mac>),
    /// Router advertisement.
    RouterAdvert {
        /// The hop limit to use; 0 says nothing.
        hop_limit: u8,
        /// Seconds the router is a default router; 0 says it is none.
        lifetime_s: u16,
        /// The router's link-layer address.
        mac: Option<Mac>,
        /// The link's MTU.
        mtu: Option<u32>,
        /// The first prefix (others are skipped).
        prefix: Option<Prefix>,
    },
    /// Neighbor solicitation: target, and the sender's link-layer address (none during DAD).
    NeighborSolicit(Ipv6Addr, Option<Mac>),
    /// Neighbor advertisement.
    NeighborAdvert {
        /// Whose address it is.
        target: Ipv6Addr,
        /// Sent in answer to a solicitation.
        solicited: bool,
        /// Replaces what is cached.
        overrides: bool,
        /// The target's link-layer address.
        mac: Option<Mac>,
    },
}

/// Parses the ICMPv6 message `b` (checksum already verified). `hop_limit` must be 255: the packet has crossed no
/// router (RFC 4861 7.1). `None` if it is no neighbor discovery message that a host uses.
pub fn parse(b: &[u8], hop_limit: u8) -> Result<Option<Message>> {
    let kind = u8_at(b, 0);
    if !(133..=136).contains(&kind) {
        return Ok(None);
    }
    if hop_limit != 255 || u8_at(b, 1) != 0 {
        return Err(Error::BadValue);
    }
    let fixed = match kind {
        133 => 8,
        134 => 16,
        _ => 24,
    };
    if b.len() < fixed {
        return Err(Error::Truncated);
    }
    let o = options(&b[fixed..])?;
    let target = Ipv6Addr::from(array_at::<16>(b, 8));
    if kind >= 135 && target.is_multicast() {
        return Err(Error::BadValue);
    }
    Ok(Some(match kind {
        133 => Message::RouterSolicit(o.source),
        134 => Message::RouterAdvert {
            hop_limit: u8_at(b, 4),
            lifetime_s: u16_at(b, 6),
            mac: o.source,
            mtu: o.mtu,
            prefix: o.prefix,
        },
        135 => Message::NeighborSolicit(target, o.source),
        _ => {
            Message::NeighborAdvert { target, solicited: b[4] & 0x40 != 0, overrides: b[4] & 0x20 != 0, mac: o.target }
        }
    }))
}

#[derive(Default)]
struct Options {
    source: Option<Mac>,
    target: Option<Mac>,
    mtu: Option<u32>,
    prefix: Option<Prefix>,
}

fn options(mut b: &[u8]) -> Result<Options> {
    let mut o = Options::default();
    while !b.is_empty() {
        let len = usize::from(u8_at(b, 1)) * 8;
        if len == 0 || len > b.len() {
            return Err(Error::BadOptionLength);
        }
        match (b[0], len) {
            (1, 8) => o.source = Some(Mac(array_at(b, 2))),
            (2, 8) => o.target = Some(Mac(array_at(b, 2))),
            (3, 32) => {
                let p = Prefix {
                    prefix: Ipv6Addr::from(array_at::<16>(b, 16)),
                    len: u8_at(b, 2),
                    on_link: b[3] & 0x80 != 0,
                    autonomous: b[3] & 0x40 != 0,
                    valid_s: u32_at(b, 4),
                    preferred_s: u32_at(b, 8),
                };
                if p.len > 128 {
                    return Err(Error::BadValue);
                }
                o.prefix = o.prefix.or(Some(p));
            }
            (5, 8) => o.mtu = Some(u32_at(b, 4)),
            (1..=3 | 5, _) => return Err(Error::BadOptionSize),
            _ => {} // unknown options are skipped (RFC 4861 4.6)
        }
        b = &b[len..];
    }
    Ok(o)
}

/// Writes a message to the front of `out`; `pseudo` maps the message's length to its pseudo-header sum. Router
/// advertisements are for routers, and for tests of hosts: prefix and MTU are written if given.
pub fn emit(m: &Message, pseudo: impl Fn(u32) -> Sum, out: &mut [u8]) -> Result<usize> {
    let mut rest = [0u8; 80];
    let mut n = 0;
    let option = |rest: &mut [u8; 80], n: &mut usize, kind: u8, mac: Option<Mac>| {
        if let Some(mac) = mac {
            put(rest, *n, &[kind, 1]);
            put(rest, *n + 2, &mac.0);
            *n += 8;
        }
    };
    let (kind, word) = match *m {
        Message::RouterSolicit(mac) => {
            option(&mut rest, &mut n, 1, mac);
            (133, 0)
        }
        Message::RouterAdvert { hop_limit, lifetime_s, mac, mtu, prefix } => {
            n = 8;
            option(&mut rest, &mut n, 1, mac);
            if let Some(mtu) = mtu {
                put(&mut rest, n, &[5, 1, 0, 0]);
                put(&mut rest, n + 4, &mtu.to_be_bytes());
                n += 8;
            }
            if let Some(p) = prefix {
                put(&mut rest, n, &[3, 4, p.len, u8::from(p.on_link) << 7 | u8::from(p.autonomous) << 6]);
                put(&mut rest, n + 4, &p.valid_s.to_be_bytes());
                put(&mut rest, n + 8, &p.preferred_s.to_be_bytes());
                put(&mut rest, n + 16, &p.prefix.octets());
                n += 32;
            }
            (134, u32::from(hop_limit) << 24 | u32::from(lifetime_s))
        }
        Message::NeighborSolicit(target, mac) => {
            put(&mut rest, 0, &target.octets());
            n = 16;
            option(&mut rest, &mut n, 1, mac);
            (135, 0)
        }
        Message::NeighborAdvert { target, solicited, overrides, mac } => {
            put(&mut rest, 0, &target.octets());
            n = 16;
            option(&mut rest, &mut n, 2, mac);
            (136, u32::from(solicited) << 30 | u32::from(overrides) << 29)
        }
    };
    icmp::emit(kind, 0, word, &rest[..n], pseudo((icmp::HEADER_LEN + n) as u32), out)
}

/// The solicited-node multicast address (RFC 4291 2.7.1).
pub const fn solicited_node(a: Ipv6Addr) -> Ipv6Addr {
    let o = a.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | o[13] as u16, (o[14] as u16) << 8 | o[15] as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(m: Message) {
        let mut b = [0u8; 128];
        let n = emit(&m, |_| Sum::ZERO, &mut b).unwrap();
        assert_eq!(parse(&b[..n], 255), Ok(Some(m)));
        assert_eq!(parse(&b[..n], 254), Err(Error::BadValue));
        for cut in 1..n {
            let _ = parse(&b[..cut], 255); // never panics
        }
    }

    #[test]
    fn round_trip() {
        let mac = Some(Mac([2, 0, 0, 0, 0, 9]));
        let target = "fe80::1".parse().unwrap();
        round(Message::RouterSolicit(mac));
        round(Message::NeighborSolicit(target, mac));
        round(Message::NeighborSolicit(target, None));
        round(Message::NeighborAdvert { target, solicited: true, overrides: true, mac });
        let prefix = Prefix {
            prefix: "2001:db8::".parse().unwrap(),
            len: 64,
            on_link: true,
            autonomous: true,
            valid_s: 7200,
            preferred_s: 1800,
        };
        round(Message::RouterAdvert { hop_limit: 64, lifetime_s: 1800, mac, mtu: Some(1400), prefix: Some(prefix) });
    }

    #[test]
    fn option_length_zero_and_prefix_over_128_are_refused() {
        let mut b = [0u8; 128];
        let m = Message::NeighborSolicit("fe80::1".parse().unwrap(), Some(Mac([2; 6])));
        let n = emit(&m, |_| Sum::ZERO, &mut b).unwrap();
        b[25] = 0;
        assert_eq!(parse(&b[..n], 255), Err(Error::BadOptionLength));
        b[25] = 2;
        assert_eq!(parse(&b[..n], 255), Err(Error::BadOptionLength));
        let prefix = Prefix {
            prefix: Ipv6Addr::UNSPECIFIED,
            len: 129,
            on_link: false,
            autonomous: false,
            valid_s: 0,
            preferred_s: 0,
        };
        let m = Message::RouterAdvert { hop_limit: 0, lifetime_s: 0, mac: None, mtu: None, prefix: Some(prefix) };
        let n = emit(&m, |_| Sum::ZERO, &mut b).unwrap();
        assert_eq!(parse(&b[..n], 255), Err(Error::BadValue));
    }

    #[test]
    fn solicited_node_address() {
        let a: Ipv6Addr = "4037::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(a), "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap());
    }
}
