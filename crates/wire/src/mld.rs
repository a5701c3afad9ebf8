//! Multicast Listener Discovery, version 2 reports (RFC 3810), the part a host needs: it says which groups it
//! listens to, so that switches that snoop pass its solicited-node multicasts.

use crate::checksum::Sum;
use crate::field::{array_at, put, u16_at};
use crate::icmp;
use crate::{Error, Result};
use core::net::Ipv6Addr;

/// All MLDv2-capable routers, to which reports go.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A query from a router: how long to wait at most before the answer, and for which group (unspecified: all).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Maximum response delay in milliseconds; 0 is allowed and means at once.
    pub max_response_ms: u32,
    /// The group asked for.
    pub group: Ipv6Addr,
}

/// Parses a query (type 130).
pub fn parse_query(b: &[u8]) -> Result<Query> {
    if b.len() < 24 {
        return Err(Error::Truncated);
    }
    if b[0] != 130 {
        return Err(Error::BadValue);
    }
    let code = u32::from(u16_at(b, 4));
    // RFC 3810 5.1.3: at 32768 and above the code is a floating-point value.
    let max_response_ms = if code < 32_768 { code } else { ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3) };
    Ok(Query { max_response_ms, group: Ipv6Addr::from(array_at::<16>(b, 8)) })
}

/// Writes a report of one group in "change to exclude {}" form, that is: joined. Returns its length.
pub fn emit_join(group: Ipv6Addr, pseudo: impl Fn(u32) -> Sum, out: &mut [u8]) -> Result<usize> {
    let mut record = [0u8; 20];
    record[0] = 4; // CHANGE_TO_EXCLUDE_MODE
    put(&mut record, 4, &group.octets());
    icmp::emit(143, 0, 1, &record, pseudo(28), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_with_zero_and_floating_delay() {
        let mut b = [0u8; 24];
        b[0] = 130;
        assert_eq!(parse_query(&b).unwrap().max_response_ms, 0);
        b[4] = 0x27;
        b[5] = 0x10;
        assert_eq!(parse_query(&b).unwrap().max_response_ms, 10_000);
        b[4] = 0x80;
        b[5] = 0;
        assert_eq!(parse_query(&b).unwrap().max_response_ms, 32_768);
        assert_eq!(parse_query(&b[..23]), Err(Error::Truncated));
    }

    #[test]
    fn a_report_holds_one_record() {
        let mut b = [0u8; 64];
        assert_eq!(emit_join("ff02::1:ff00:1".parse().unwrap(), |_| Sum::ZERO, &mut b), Ok(28));
        assert_eq!((b[0], b[7], b[8]), (143, 1, 4));
    }
}
