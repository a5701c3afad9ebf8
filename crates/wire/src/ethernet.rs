//! Ethernet II frames.

use crate::field::{array_at, put, u16_at};
use crate::{Error, Result};
use core::fmt;

/// Octets of an Ethernet II header.
pub const HEADER_LEN: usize = 14;

/// A 48-bit MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Whether the group bit is set (broadcast included).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The group address that carries an IPv6 multicast (RFC 2464 7).
    pub const fn for_ipv6_multicast(a: core::net::Ipv6Addr) -> Mac {
        let o = a.octets();
        Mac([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The EtherTypes the stack knows.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// An Ethernet II header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// See [`ethertype`].
    pub ethertype: u16,
}

impl Header {
    /// Parses the header; the payload begins at [`HEADER_LEN`].
    pub fn parse(b: &[u8]) -> Result<Header> {
        if b.len() < HEADER_LEN {
            return Err(Error::Truncated);
        }
        Ok(Header { dst: Mac(array_at(b, 0)), src: Mac(array_at(b, 6)), ethertype: u16_at(b, 12) })
    }

    /// Writes the header to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize> {
        if out.len() < HEADER_LEN {
            return Err(Error::NoRoom);
        }
        put(out, 0, &self.dst.0);
        put(out, 6, &self.src.0);
        put(out, 12, &self.ethertype.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_runts() {
        let h = Header { dst: Mac::BROADCAST, src: Mac([2, 0, 0, 0, 0, 1]), ethertype: ethertype::ARP };
        let mut b = [0u8; HEADER_LEN];
        assert_eq!(h.emit(&mut b), Ok(HEADER_LEN));
        assert_eq!(Header::parse(&b), Ok(h));
        for n in 0..HEADER_LEN {
            assert_eq!(Header::parse(&b[..n]), Err(Error::Truncated));
        }
    }
}
