//! IPv6 and its extension headers (RFC 8200).

use crate::field::{array_at, put, u8_at, u16_at, u32_at};
use crate::{Error, Protocol, Result, ip::Ecn};
use core::net::Ipv6Addr;

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Octets of a fragment extension header.
pub const FRAGMENT_LEN: usize = 8;
/// How many extension headers a packet may carry before it is refused (a limit of ours; RFC 8504 5.3 allows one).
pub const MAX_EXTENSIONS: usize = 8;

/// The fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Differentiated services code point.
    pub dscp: u8,
    /// Congestion notification.
    pub ecn: Ecn,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Octets behind the fixed header.
    pub payload_len: u16,
    /// The first next-header value: an extension or the payload's protocol.
    pub next_header: Protocol,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub src: Ipv6Addr,
    /// Destination.
    pub dst: Ipv6Addr,
}

impl Header {
    /// Parses and checks the fixed header. Link padding behind the payload is allowed.
    pub fn parse(b: &[u8]) -> Result<Header> {
        let h = Header::parse_quoted(b)?;
        if HEADER_LEN + usize::from(h.payload_len) > b.len() { Err(Error::BadLength) } else { Ok(h) }
    }

    /// Parses without asking that the payload is all there (quoted in ICMP errors, truncated captures).
    pub fn parse_quoted(b: &[u8]) -> Result<Header> {
        if b.is_empty() {
            return Err(Error::Truncated);
        }
        if b[0] >> 4 != 6 {
            return Err(Error::BadVersion);
        }
        if b.len() < HEADER_LEN {
            return Err(Error::Truncated);
        }
        let word = u32_at(b, 0);
        let class = (word >> 20) as u8;
        Ok(Header {
            dscp: class >> 2,
            ecn: Ecn::from_bits(class),
            flow_label: word & 0xf_ffff,
            payload_len: u16_at(b, 4),
            next_header: Protocol(b[6]),
            hop_limit: b[7],
            src: Ipv6Addr::from(array_at::<16>(b, 8)),
            dst: Ipv6Addr::from(array_at::<16>(b, 24)),
        })
    }

    /// Writes the fixed header.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize> {
        if out.len() < HEADER_LEN {
            return Err(Error::NoRoom);
        }
        let class = u32::from(self.dscp << 2 | self.ecn.bits());
        put(out, 0, &(6 << 28 | class << 20 | self.flow_label & 0xf_ffff).to_be_bytes());
        put(out, 4, &self.payload_len.to_be_bytes());
        put(out, 6, &[self.next_header.0, self.hop_limit]);
        put(out, 8, &self.src.octets());
        put(out, 24, &self.dst.octets());
        Ok(HEADER_LEN)
    }
}

/// A fragment extension header (RFC 8200 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Offset in octets.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Identification.
    pub ident: u32,
}

impl Fragment {
    /// An atomic fragment is a whole packet (RFC 6946).
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Writes the header.
    pub fn emit(&self, next: Protocol, out: &mut [u8]) -> Result<usize> {
        if out.len() < FRAGMENT_LEN {
            return Err(Error::NoRoom);
        }
        put(out, 0, &[next.0, 0]);
        put(out, 2, &(self.offset | u16::from(self.more)).to_be_bytes());
        put(out, 4, &self.ident.to_be_bytes());
        Ok(FRAGMENT_LEN)
    }
}

/// Where the upper-layer header is, after walking the extension headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    /// The upper-layer protocol (or the first extension that cannot be passed: the destination reports it).
    pub protocol: Protocol,
    /// Its offset from the start of the packet.
    pub offset: usize,
    /// Offset of the octet that named it, for an ICMP parameter problem.
    pub named_at: usize,
    /// The fragment header, if there was one.
    pub fragment: Option<Fragment>,
    /// Whether a routing header with segments left was seen, which a host that is no router must not obey.
    pub routed: bool,
    /// What an unknown option in a hop-by-hop or destination header asks for, if it asks for anything but "skip".
    pub option_action: OptionAction,
}

/// The two high bits of an unknown option's type (RFC 8200 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptionAction {
    /// Skip over it.
    #[default]
    Skip,
    /// Discard the packet silently.
    Discard,
    /// Discard and report, even to a multicast (the offset of the option).
    Report(usize),
    /// Discard and report unless it was sent to a multicast (the offset of the option).
    ReportUnlessMulticast(usize),
}

/// Walks the extension headers of the packet `b`, whose fixed header is `h`.
pub fn upper(b: &[u8], h: &Header) -> Result<Upper> {
    let end = (HEADER_LEN + usize::from(h.payload_len)).min(b.len());
    let b = &b[..end];
    let mut u = Upper {
        protocol: h.next_header,
        offset: HEADER_LEN,
        named_at: 6,
        fragment: None,
        routed: false,
        option_action: OptionAction::Skip,
    };
    for n in 0..=MAX_EXTENSIONS {
        match u.protocol.0 {
            // Hop-by-hop only directly behind the fixed header (RFC 8200 4.1).
            0 if n > 0 => return Err(Error::BadExtension),
            0 | 43 | 60 => {
                if b.len() < u.offset + 8 {
                    return Err(Error::Truncated);
                }
                let len = (usize::from(u8_at(b, u.offset + 1)) + 1) * 8;
                if u.offset + len > b.len() {
                    return Err(Error::BadLength);
                }
                if u.protocol.0 == 43 {
                    u.routed |= u8_at(b, u.offset + 3) != 0;
                } else if u.option_action == OptionAction::Skip {
                    u.option_action = check_options(&b[u.offset..u.offset + len], u.offset)?;
                }
                u.protocol = Protocol(u8_at(b, u.offset));
                u.named_at = u.offset;
                u.offset += len;
            }
            44 => {
                if b.len() < u.offset + FRAGMENT_LEN {
                    return Err(Error::Truncated);
                }
                let word = u16_at(b, u.offset + 2);
                let f = Fragment { offset: word & 0xfff8, more: word & 1 == 1, ident: u32_at(b, u.offset + 4) };
                let payload = b.len() - u.offset - FRAGMENT_LEN;
                if u.fragment.is_some() {
                    return Err(Error::BadExtension);
                }
                if (f.more && !payload.is_multiple_of(8)) || usize::from(f.offset) + payload > 65_535 {
                    return Err(Error::BadFragment);
                }
                u.protocol = Protocol(u8_at(b, u.offset));
                u.named_at = u.offset;
                u.offset += FRAGMENT_LEN;
                u.fragment = Some(f);
                if !f.is_atomic() {
                    return Ok(u); // what follows is a piece, not a header
                }
            }
            _ => return Ok(u),
        }
    }
    Err(Error::BadExtension)
}

fn check_options(ext: &[u8], at: usize) -> Result<OptionAction> {
    let mut i = 2;
    while i < ext.len() {
        let kind = ext[i];
        if kind == 0 {
            i += 1;
            continue;
        }
        let len = usize::from(*ext.get(i + 1).ok_or(Error::BadOptionLength)?);
        if i + 2 + len > ext.len() {
            return Err(Error::BadOptionLength);
        }
        // PadN, router alert: known. Everything else says itself what to do.
        if kind != 1 && kind != 5 {
            match kind >> 6 {
                0 => {}
                1 => return Ok(OptionAction::Discard),
                2 => return Ok(OptionAction::Report(at + i)),
                _ => return Ok(OptionAction::ReportUnlessMulticast(at + i)),
            }
        }
        i += 2 + len;
    }
    Ok(OptionAction::Skip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn packet(next: u8, rest: &[u8]) -> Vec<u8> {
        let h = Header {
            dscp: 1,
            ecn: Ecn::Ce,
            flow_label: 0xabcde,
            payload_len: rest.len() as u16,
            next_header: Protocol(next),
            hop_limit: 64,
            src: "fd00:2::1".parse().unwrap(),
            dst: "fd00:2::2".parse().unwrap(),
        };
        let mut b = vec![0u8; HEADER_LEN];
        h.emit(&mut b).unwrap();
        assert_eq!(Header::parse_quoted(&b), Ok(h));
        b.extend_from_slice(rest);
        b
    }

    fn walk(next: u8, rest: &[u8]) -> Result<Upper> {
        let b = packet(next, rest);
        upper(&b, &Header::parse(&b).unwrap())
    }

    #[test]
    fn fixed_header_mismatches_are_named() {
        let b = packet(6, &[0; 4]);
        assert_eq!(Header::parse(&[]), Err(Error::Truncated));
        assert_eq!(Header::parse(&[0x45]), Err(Error::BadVersion));
        assert_eq!(Header::parse(&b[..39]), Err(Error::Truncated));
        assert_eq!(Header::parse(&b[..43]), Err(Error::BadLength));
    }

    #[test]
    fn extensions_are_walked_to_the_upper_layer() {
        let u = walk(0, &[6, 0, 1, 4, 0, 0, 0, 0, 9, 9]).unwrap();
        assert_eq!((u.protocol, u.offset, u.named_at), (Protocol::TCP, 48, 40));
        assert_eq!(walk(6, &[]).unwrap().offset, 40);
        assert!(walk(43, &[17, 0, 0, 1, 0, 0, 0, 0]).unwrap().routed);
        assert!(!walk(43, &[17, 0, 0, 0, 0, 0, 0, 0]).unwrap().routed);
    }

    #[test]
    fn chains_lengths_and_places_are_limited() {
        let mut chain = Vec::new();
        for _ in 0..9 {
            chain.extend_from_slice(&[60, 0, 1, 4, 0, 0, 0, 0]);
        }
        assert_eq!(walk(60, &chain), Err(Error::BadExtension));
        assert_eq!(walk(0, &[0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]), Err(Error::BadExtension));
        assert_eq!(walk(0, &[6, 1, 1, 4, 0, 0, 0, 0]), Err(Error::BadLength));
        assert_eq!(walk(0, &[6, 0, 1]), Err(Error::Truncated));
        assert_eq!(walk(0, &[6, 0, 1, 5, 0, 0, 0, 0]), Err(Error::BadOptionLength));
    }

    #[test]
    fn unknown_options_say_what_to_do() {
        let act = |kind: u8| walk(0, &[6, 0, kind, 4, 0, 0, 0, 0]).unwrap().option_action;
        assert_eq!(act(0x3e), OptionAction::Skip);
        assert_eq!(act(0x7e), OptionAction::Discard);
        assert_eq!(act(0xbe), OptionAction::Report(42));
        assert_eq!(act(0xfe), OptionAction::ReportUnlessMulticast(42));
    }

    #[test]
    fn fragments_atomic_and_not() {
        let atomic = walk(44, &[6, 0, 0, 0, 0, 0, 0, 7, 1, 2]).unwrap();
        assert!(atomic.fragment.unwrap().is_atomic());
        assert_eq!(atomic.offset, 48);
        let first = walk(44, &[6, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(first.fragment, Some(Fragment { offset: 0, more: true, ident: 7 }));
        assert_eq!(walk(44, &[6, 0, 0, 1, 0, 0, 0, 7, 1]), Err(Error::BadFragment));
        assert_eq!(walk(44, &[6, 0, 0xff, 0xf8, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8]), Err(Error::BadFragment));
        assert_eq!(walk(44, &[44, 0, 0, 0, 0, 0, 0, 7, 6, 0, 0, 0, 0, 0, 0, 7]), Err(Error::BadExtension));
    }
}
