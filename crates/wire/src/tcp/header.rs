//! The fixed part of the TCP header.

use crate::checksum::Sum;
use crate::field::{put, u8_at, u16_at, u32_at};
use crate::{Error, Result, SeqNum};
use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Octets of the longest header.
pub const MAX_HEADER_LEN: usize = 60;

/// The control bits, with AE, CWR and ECE (RFC 9293 3.1, RFC 9768 3.1.1). Bit 0 is FIN; AE is bit 8.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(1);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(1 << 1);
    /// Reset the connection.
    pub const RST: Flags = Flags(1 << 2);
    /// Push.
    pub const PSH: Flags = Flags(1 << 3);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(1 << 4);
    /// The urgent pointer is significant.
    pub const URG: Flags = Flags(1 << 5);
    /// ECN-Echo.
    pub const ECE: Flags = Flags(1 << 6);
    /// Congestion window reduced.
    pub const CWR: Flags = Flags(1 << 7);
    /// Accurate ECN.
    pub const AE: Flags = Flags(1 << 8);
    /// None.
    pub const NONE: Flags = Flags(0);

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Without the bits of `other`.
    #[inline]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    #[inline]
    fn bitor(self, o: Flags) -> Flags {
        Flags(self.0 | o.0)
    }
}

impl BitOrAssign for Flags {
    #[inline]
    fn bitor_assign(&mut self, o: Flags) {
        self.0 |= o.0;
    }
}

/// In tcpdump's letters and order: `S`, `S.`, `P.`, `F.`, `R`, `none`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Flags, char); 9] = [
            (Flags::FIN, 'F'),
            (Flags::SYN, 'S'),
            (Flags::RST, 'R'),
            (Flags::PSH, 'P'),
            (Flags::ACK, '.'),
            (Flags::URG, 'U'),
            (Flags::ECE, 'E'),
            (Flags::CWR, 'W'),
            (Flags::AE, 'e'),
        ];
        if self.0 == 0 {
            return f.write_str("none");
        }
        for (bit, c) in LETTERS {
            if self.has(bit) {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// The fixed header, in the RFC's names; lengths in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; meaningful if ACK is set.
    pub ack: SeqNum,
    /// Octets of the header with its options: 20 to 60. An emitter takes it from the options it is given.
    pub header_len: u8,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, unscaled.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
}

impl Header {
    /// Parses the fixed header. The option bytes are `b[20..header_len]`, the payload begins at `header_len`.
    /// The checksum is not looked at: the link may have verified it, or left it partial.
    #[inline]
    pub fn parse(b: &[u8]) -> Result<Header> {
        if b.len() < HEADER_LEN {
            return Err(Error::Truncated);
        }
        let header_len = usize::from(b[12] >> 4) * 4;
        if header_len < HEADER_LEN || header_len > b.len() {
            return Err(Error::BadHeaderLength);
        }
        Ok(Header::fields(b, header_len))
    }

    /// Parses the eight octets that every ICMP error quotes at least: ports and sequence number. The other
    /// fields are zero where the quotation ends before them.
    pub fn parse_quoted(b: &[u8]) -> Result<Header> {
        if b.len() < 8 { Err(Error::Truncated) } else { Ok(Header::fields(b, HEADER_LEN)) }
    }

    #[inline]
    fn fields(b: &[u8], header_len: usize) -> Header {
        Header {
            src_port: u16_at(b, 0),
            dst_port: u16_at(b, 2),
            seq: SeqNum(u32_at(b, 4)),
            ack: SeqNum(u32_at(b, 8)),
            header_len: header_len as u8,
            flags: Flags(u16::from(u8_at(b, 13)) | u16::from(u8_at(b, 12) & 1) << 8),
            //= RFC 9293 3.1 MUST-1
            window: u16_at(b, 14),
            urgent: u16_at(b, 18),
        }
    }

    /// Writes the header and `options` (a multiple of four octets) with a zero checksum; returns its length.
    #[inline]
    pub fn emit(&self, options: &[u8], out: &mut [u8]) -> Result<usize> {
        let len = HEADER_LEN + options.len();
        if out.len() < len || len > MAX_HEADER_LEN || !options.len().is_multiple_of(4) {
            return Err(Error::NoRoom);
        }
        put(out, 0, &self.src_port.to_be_bytes());
        put(out, 2, &self.dst_port.to_be_bytes());
        put(out, 4, &self.seq.0.to_be_bytes());
        put(out, 8, &self.ack.0.to_be_bytes());
        put(out, 12, &[(len as u8 / 4) << 4 | (self.flags.0 >> 8 & 1) as u8, self.flags.0 as u8]);
        put(out, 14, &self.window.to_be_bytes());
        put(out, 16, &[0, 0]);
        put(out, 18, &self.urgent.to_be_bytes());
        put(out, HEADER_LEN, options);
        Ok(len)
    }

    /// Writes a checksum field (from [`Sum::finish`], or a partial one from [`Sum::fold`]).
    #[inline]
    pub fn put_checksum(out: &mut [u8], checksum: u16) {
        put(out, 16, &checksum.to_be_bytes());
    }

    /// Whether the segment `b` with its pseudo-header sum is intact (RFC 9293 3.1, MUST-3).
    #[inline]
    //= RFC 9293 3.1 MUST-3
    pub fn checksum_ok(b: &[u8], pseudo: Sum) -> bool {
        pseudo.add(b).is_valid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn round_trip_with_every_flag() {
        for bits in 0..512u16 {
            let h = Header {
                src_port: 1,
                dst_port: 65535,
                seq: SeqNum(0xffff_ffff),
                ack: SeqNum(7),
                header_len: 24,
                flags: Flags(bits),
                window: 502,
                urgent: 3,
            };
            let mut b = [0u8; 24];
            assert_eq!(h.emit(&[2, 4, 5, 0xb4], &mut b), Ok(24));
            assert_eq!(Header::parse(&b), Ok(h));
        }
    }

    #[test]
    fn data_offsets_under_five_and_beyond_the_segment_are_refused() {
        let mut b = [0u8; 40];
        for off in 0..16u8 {
            b[12] = off << 4;
            let want = (5..=10).contains(&off);
            assert_eq!(Header::parse(&b).is_ok(), want, "offset {off}");
        }
        for n in 0..HEADER_LEN {
            assert_eq!(Header::parse(&b[..n]), Err(Error::Truncated));
        }
        assert!(Header::parse_quoted(&b[..8]).is_ok());
        assert_eq!(Header::parse_quoted(&b[..7]), Err(Error::Truncated));
    }

    #[test]
    fn flags_print_as_tcpdump_prints_them() {
        assert_eq!((Flags::SYN | Flags::ACK).to_string(), "S.");
        assert_eq!((Flags::PSH | Flags::ACK).to_string(), "P.");
        assert_eq!((Flags::FIN | Flags::PSH | Flags::ACK).to_string(), "FP.");
        assert_eq!(Flags::NONE.to_string(), "none");
        assert_eq!((Flags::SYN | Flags::ECE | Flags::CWR).to_string(), "SEW");
    }
}
