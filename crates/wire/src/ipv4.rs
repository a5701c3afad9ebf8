//! IPv4 (RFC 791).

use crate::checksum::Sum;
use crate::field::{array_at, put, u8_at, u16_at};
use crate::{Error, Protocol, Result, ip::Ecn};
use core::net::Ipv4Addr;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;

/// An IPv4 header. Options are recognised and skipped: [`Header::header_len`] tells where the payload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Octets of the header with its options: 20 to 60.
    pub header_len: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Congestion notification.
    pub ecn: Ecn,
    /// Octets of header and payload.
    pub total_len: u16,
    /// Identification, for reassembly.
    pub ident: u16,
    /// Don't fragment.
    pub dont_fragment: bool,
    /// More fragments follow.
    pub more_fragments: bool,
    /// Offset of this fragment in octets.
    pub fragment_offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// The protocol of the payload.
    pub protocol: Protocol,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Whether the options hold a source route, which hosts must not obey unless told to.
    pub source_routed: bool,
}

impl Header {
    /// Parses and checks the header: version, lengths, checksum, options. Link padding behind `total_len` is allowed.
    pub fn parse(b: &[u8]) -> Result<Header> {
        let h = Header::parse_unverified(b)?;
        if Sum::ZERO.add(&b[..usize::from(h.header_len)]).is_valid() { Ok(h) } else { Err(Error::BadChecksum) }
    }

    /// Parses without looking at the checksum or at whether the payload is all there: for the header quoted in an
    /// ICMP error (its checksum may have been rewritten) and for truncated captures.
    pub fn parse_quoted(b: &[u8]) -> Result<Header> {
        let (header_len, total_len) = Header::lengths(b)?;
        Header::fields(b, header_len, total_len)
    }

    fn parse_unverified(b: &[u8]) -> Result<Header> {
        let (header_len, total_len) = Header::lengths(b)?;
        if total_len > b.len() {
            return Err(Error::BadLength);
        }
        Header::fields(b, header_len, total_len)
    }

    fn lengths(b: &[u8]) -> Result<(usize, usize)> {
        if b.is_empty() {
            return Err(Error::Truncated);
        }
        if b[0] >> 4 != 4 {
            return Err(Error::BadVersion);
        }
        if b.len() < HEADER_LEN {
            return Err(Error::Truncated);
        }
        let header_len = usize::from(b[0] & 0xf) * 4;
        if header_len < HEADER_LEN || header_len > b.len() {
            return Err(Error::BadHeaderLength);
        }
        let total_len = usize::from(u16_at(b, 2));
        if total_len < header_len {
            return Err(Error::BadLength);
        }
        Ok((header_len, total_len))
    }

    fn fields(b: &[u8], header_len: usize, total_len: usize) -> Result<Header> {
        let frag = u16_at(b, 6);
        let fragment_offset = (frag & 0x1fff) * 8;
        let more_fragments = frag & 0x2000 != 0;
        let payload_len = total_len - header_len;
        if (more_fragments && !payload_len.is_multiple_of(8)) || usize::from(fragment_offset) + payload_len > 65_535 {
            return Err(Error::BadFragment);
        }
        Ok(Header {
            header_len: header_len as u8,
            dscp: b[1] >> 2,
            ecn: Ecn::from_bits(b[1]),
            total_len: total_len as u16,
            ident: u16_at(b, 4),
            dont_fragment: frag & 0x4000 != 0,
            more_fragments,
            fragment_offset,
            ttl: b[8],
            protocol: Protocol(b[9]),
            src: Ipv4Addr::from(array_at::<4>(b, 12)),
            dst: Ipv4Addr::from(array_at::<4>(b, 16)),
            source_routed: check_options(&b[HEADER_LEN..header_len])?,
        })
    }

    /// Whether this is a piece of a larger datagram.
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Writes a header without options, checksum included. `header_len` and `source_routed` are ignored.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize> {
        if out.len() < HEADER_LEN {
            return Err(Error::NoRoom);
        }
        let frag = (self.fragment_offset / 8)
            | if self.dont_fragment { 0x4000 } else { 0 }
            | if self.more_fragments { 0x2000 } else { 0 };
        put(out, 0, &[0x45, self.dscp << 2 | self.ecn.bits()]);
        put(out, 2, &self.total_len.to_be_bytes());
        put(out, 4, &self.ident.to_be_bytes());
        put(out, 6, &frag.to_be_bytes());
        put(out, 8, &[self.ttl, self.protocol.0, 0, 0]);
        put(out, 12, &self.src.octets());
        put(out, 16, &self.dst.octets());
        let sum = Sum::ZERO.add(&out[..HEADER_LEN]).finish();
        put(out, 10, &sum.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

/// Walks the options; true if there is a loose (131) or strict (137) source route.
//= RFC 9293 3.9.2 MUST-50
fn check_options(mut o: &[u8]) -> Result<bool> {
    let mut routed = false;
    while let Some(&kind) = o.first() {
        match kind {
            0 => break,
            1 => o = &o[1..],
            _ => {
                let len = usize::from(u8_at(o, 1));
                if len < 2 || len > o.len() {
                    return Err(Error::BadOptionLength);
                }
                routed |= kind == 131 || kind == 137;
                o = &o[len..];
            }
        }
    }
    Ok(routed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn sample() -> Header {
        Header {
            header_len: 20,
            dscp: 0x2e,
            ecn: Ecn::Ect0,
            total_len: 28,
            ident: 0x1234,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            protocol: Protocol::TCP,
            src: Ipv4Addr::new(192, 0, 2, 1),
            dst: Ipv4Addr::new(192, 0, 2, 2),
            source_routed: false,
        }
    }

    fn bytes(h: &Header) -> Vec<u8> {
        let mut b = [0u8; 60].to_vec();
        h.emit(&mut b).unwrap();
        b.truncate(usize::from(h.total_len));
        b
    }

    fn refresh(b: &mut [u8]) {
        b[10] = 0;
        b[11] = 0;
        let n = usize::from(b[0] & 15) * 4;
        let s = Sum::ZERO.add(&b[..n]).finish();
        b[10..12].copy_from_slice(&s.to_be_bytes());
    }

    #[test]
    fn round_trip() {
        assert_eq!(Header::parse(&bytes(&sample())), Ok(sample()));
    }

    #[test]
    fn version_length_and_checksum_mismatches_are_named() {
        let good = bytes(&sample());
        assert_eq!(Header::parse(&[]), Err(Error::Truncated));
        assert_eq!(Header::parse(&good[..19]), Err(Error::Truncated));
        let cases: &[(usize, u8, Error)] = &[
            (0, 0x65, Error::BadVersion),
            (0, 0x44, Error::BadHeaderLength),
            (0, 0x4f, Error::BadHeaderLength),
            (3, 19, Error::BadLength),
            (3, 29, Error::BadLength),
            (6, 0x20 | 0x1f, Error::BadFragment),
        ];
        for &(at, v, e) in cases {
            let mut b = good.clone();
            b[at] = v;
            if at == 6 {
                b[7] = 0xff; // offset 65,528 and eight octets: beyond 65,535
            }
            refresh_if_possible(&mut b);
            assert_eq!(Header::parse(&b), Err(e), "octet {at} = {v:#x}");
        }
        let mut b = good;
        b[8] = 63;
        assert_eq!(Header::parse(&b), Err(Error::BadChecksum));
    }

    fn refresh_if_possible(b: &mut [u8]) {
        if usize::from(b[0] & 15) * 4 <= b.len() && b[0] & 15 >= 5 {
            refresh(b);
        }
    }

    #[test]
    fn a_fragment_with_more_to_come_is_a_multiple_of_eight() {
        let mut h = sample();
        h.more_fragments = true;
        h.dont_fragment = false;
        h.total_len = 28;
        assert!(Header::parse(&bytes(&h)).unwrap().is_fragment());
        h.total_len = 27;
        assert_eq!(Header::parse(&bytes(&h)), Err(Error::BadFragment));
    }

    #[test]
    //= RFC 9293 3.9.2 MUST-50
    fn options_are_walked_and_source_routes_seen() {
        let with = |opts: &[u8]| {
            let mut b = bytes(&Header { total_len: 20, ..sample() });
            b.extend_from_slice(opts);
            b[0] = 0x40 | (5 + opts.len() / 4) as u8;
            b[3] = b.len() as u8;
            refresh(&mut b);
            Header::parse(&b)
        };
        assert!(!with(&[1, 1, 1, 0]).unwrap().source_routed);
        assert!(with(&[131, 3, 4, 0]).unwrap().source_routed);
        assert!(with(&[137, 3, 4, 0]).unwrap().source_routed);
        assert_eq!(with(&[7, 0, 0, 0]), Err(Error::BadOptionLength));
        assert_eq!(with(&[7, 1, 0, 0]), Err(Error::BadOptionLength));
        assert_eq!(with(&[7, 5, 0, 0]), Err(Error::BadOptionLength));
        assert_eq!(with(&[1, 1, 1, 7]), Err(Error::BadOptionLength));
        assert!(!with(&[0, 9, 9, 9]).unwrap().source_routed);
    }
}
