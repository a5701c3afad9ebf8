//! UDP (RFC 768).

use crate::field::{put, u16_at};
use crate::{Error, Result};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

/// A UDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Source port; zero if unused.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Octets of header and payload.
    pub len: u16,
    /// The checksum; zero means none (IPv4 only).
    pub checksum: u16,
}

impl Header {
    /// Parses the header; the payload is `b[8..len]`.
    pub fn parse(b: &[u8]) -> Result<Header> {
        if b.len() < HEADER_LEN {
            return Err(Error::Truncated);
        }
        let len = u16_at(b, 4);
        if usize::from(len) < HEADER_LEN || usize::from(len) > b.len() {
            return Err(Error::BadLength);
        }
        Ok(Header { src_port: u16_at(b, 0), dst_port: u16_at(b, 2), len, checksum: u16_at(b, 6) })
    }

    /// Writes the header as it stands.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize> {
        if out.len() < HEADER_LEN {
            return Err(Error::NoRoom);
        }
        put(out, 0, &self.src_port.to_be_bytes());
        put(out, 2, &self.dst_port.to_be_bytes());
        put(out, 4, &self.len.to_be_bytes());
        put(out, 6, &self.checksum.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_lengths() {
        let h = Header { src_port: 53, dst_port: 4096, len: 10, checksum: 7 };
        let mut b = [0u8; 10];
        assert_eq!(h.emit(&mut b), Ok(8));
        assert_eq!(Header::parse(&b), Ok(h));
        assert_eq!(Header::parse(&b[..7]), Err(Error::Truncated));
        assert_eq!(Header::parse(&b[..9]), Err(Error::BadLength));
        b[5] = 7;
        assert_eq!(Header::parse(&b), Err(Error::BadLength));
    }
}
