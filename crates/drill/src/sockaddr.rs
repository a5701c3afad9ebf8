//! Socket addresses as they lie in memory: `struct sockaddr_in` and `struct sockaddr_in6` of Linux.

use std::net::{IpAddr, SocketAddr};

/// The address in `bytes`, if its family is IPv4's or IPv6's and it is long enough.
pub(crate) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    let ip = match i32::from(family) {
        libc::AF_INET if bytes.len() >= size_of::<libc::sockaddr_in>() => {
            IpAddr::from(*bytes.get(4..)?.first_chunk::<4>()?)
        }
        libc::AF_INET6 if bytes.len() >= size_of::<libc::sockaddr_in6>() => {
            IpAddr::from(*bytes.get(8..)?.first_chunk::<16>()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// `addr` as a socket of IPv6 (`v6`), which has IPv4 addresses mapped, or of IPv4 sees it.
pub(crate) fn encode(addr: SocketAddr, v6: bool) -> Vec<u8> {
    let port = addr.port().to_be_bytes();
    match (addr.ip(), v6) {
        (IpAddr::V4(ip), false) => {
            let family = (libc::AF_INET as u16).to_ne_bytes();
            [&family[..], &port, &ip.octets(), &[0; 8]].concat()
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let family = (libc::AF_INET6 as u16).to_ne_bytes();
            [&family[..], &port, &[0; 4], &ip.octets(), &[0; 4]].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_and_have_the_kernels_size() {
        for (text, v6, len) in [
            ("192.0.2.1:80", false, size_of::<libc::sockaddr_in>()),
            ("192.0.2.1:80", true, size_of::<libc::sockaddr_in6>()),
            ("[2001:db8::1]:443", true, size_of::<libc::sockaddr_in6>()),
        ] {
            let addr: SocketAddr = text.parse().unwrap();
            let bytes = encode(addr, v6);
            assert_eq!(bytes.len(), len);
            let back = decode(&bytes).unwrap();
            assert_eq!(SocketAddr::new(back.ip().to_canonical(), back.port()), addr);
            assert_eq!(back.is_ipv6(), v6);
            for short in 0..len {
                assert_eq!(decode(&bytes[..short]), None, "{short} octets");
            }
        }
        assert_eq!(decode(&[0; 64]), None, "AF_UNSPEC");
    }
}
