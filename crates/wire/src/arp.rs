//! ARP for IPv4 over Ethernet (RFC 826).

use crate::ethernet::Mac;
use crate::field::{array_at, put, u8_at, u16_at};
use crate::{Error, Result};
use core::net::Ipv4Addr;

/// Octets of an ARP packet for IPv4 over Ethernet.
pub const LEN: usize = 28;

/// What an ARP packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// Sender hardware address.
    pub sha: Mac,
    /// Sender protocol address.
    pub spa: Ipv4Addr,
    /// Target hardware address (zero in a request).
    pub tha: Mac,
    /// Target protocol address.
    pub tpa: Ipv4Addr,
}

impl Packet {
    /// Parses a packet; other hardware or protocol spaces are [`Error::BadValue`].
    pub fn parse(b: &[u8]) -> Result<Packet> {
        if b.len() < LEN {
            return Err(Error::Truncated);
        }
        if u16_at(b, 0) != 1 || u16_at(b, 2) != 0x0800 || u8_at(b, 4) != 6 || u8_at(b, 5) != 4 {
            return Err(Error::BadValue);
        }
        let operation = match u16_at(b, 6) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::BadValue),
        };
        Ok(Packet {
            operation,
            sha: Mac(array_at(b, 8)),
            spa: Ipv4Addr::from(array_at::<4>(b, 14)),
            tha: Mac(array_at(b, 18)),
            tpa: Ipv4Addr::from(array_at::<4>(b, 24)),
        })
    }

    /// Writes the packet to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize> {
        if out.len() < LEN {
            return Err(Error::NoRoom);
        }
        put(out, 0, &[0, 1, 8, 0, 6, 4, 0, if self.operation == Operation::Request { 1 } else { 2 }]);
        put(out, 8, &self.sha.0);
        put(out, 14, &self.spa.octets());
        put(out, 18, &self.tha.0);
        put(out, 24, &self.tpa.octets());
        Ok(LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_rejects() {
        let p = Packet {
            operation: Operation::Request,
            sha: Mac([2, 0, 0, 0, 0, 1]),
            spa: Ipv4Addr::new(192, 0, 2, 1),
            tha: Mac::default(),
            tpa: Ipv4Addr::new(192, 0, 2, 2),
        };
        let mut b = [0u8; LEN];
        assert_eq!(p.emit(&mut b), Ok(LEN));
        assert_eq!(Packet::parse(&b), Ok(p));
        for n in 0..LEN {
            assert_eq!(Packet::parse(&b[..n]), Err(Error::Truncated));
        }
        for (at, v) in [(1, 6), (3, 1), (4, 8), (5, 16), (7, 9)] {
            let mut bad = b;
            bad[at] = v;
            assert_eq!(Packet::parse(&bad), Err(Error::BadValue));
        }
    }
}
