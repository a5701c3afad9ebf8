//! Where to: literal addresses. `std::net::ToSocketAddrs` would ask the machine's own resolver for a name, past the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What says an address and a port: `"192.0.2.1:80"`, `("fd00::1", 80)`, or a type of `std::net`. What `ToSocketAddrs` is
/// to `std`, but without names.
pub trait ToAddress {
    /// The address; [`io::ErrorKind::InvalidInput`] if it is none.
    fn to_address(&self) -> io::Result<SocketAddr>;
}

impl ToAddress for str {
    fn to_address(&self) -> io::Result<SocketAddr> {
        self.parse().map_err(|_| not_literal(format_args!("{self:?} is no ADDRESS:PORT")))
    }
}

impl ToAddress for String {
    fn to_address(&self) -> io::Result<SocketAddr> {
        self.as_str().to_address()
    }
}

impl ToAddress for (&str, u16) {
    fn to_address(&self) -> io::Result<SocketAddr> {
        let ip: IpAddr = self.0.parse().map_err(|_| not_literal(format_args!("{:?} is no address", self.0)))?;
        Ok(SocketAddr::new(ip, self.1))
    }
}

impl ToAddress for (String, u16) {
    fn to_address(&self) -> io::Result<SocketAddr> {
        (self.0.as_str(), self.1).to_address()
    }
}

macro_rules! known {
    ($($t:ty),*) => {$(
        impl ToAddress for $t {
            fn to_address(&self) -> io::Result<SocketAddr> {
                Ok((*self).into())
            }
        }
    )*};
}
known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl<T: ToAddress + ?Sized> ToAddress for &T {
    fn to_address(&self) -> io::Result<SocketAddr> {
        (**self).to_address()
    }
}

fn not_literal(what: std::fmt::Arguments<'_>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}; names come with the resolver"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_taken_in_every_form() {
        let v4: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let v6: SocketAddr = "[fd00::1]:80".parse().unwrap();
        let forms: [(&dyn ToAddress, SocketAddr); 9] = [
            (&"192.0.2.1:80", v4),
            (&"[fd00::1]:80".to_string(), v6),
            (&("192.0.2.1", 80), v4),
            (&("fd00::1".to_string(), 80), v6),
            (&(v4.ip(), 80), v4),
            (&(Ipv4Addr::new(192, 0, 2, 1), 80), v4),
            (&(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), 80), v6),
            (&SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 80), v4),
            (&&v6, v6),
        ];
        for (n, (given, is)) in forms.into_iter().enumerate() {
            assert_eq!(given.to_address().unwrap(), is, "form {n}");
        }
    }

    #[test]
    fn a_name_is_refused_and_nobody_is_asked() {
        let wrong: [(&dyn ToAddress, &str); 6] = [
            (&"www.example.com:80", "\"www.example.com:80\" is no ADDRESS:PORT; names come with the resolver"),
            (&"localhost:80", "\"localhost:80\" is no ADDRESS:PORT; names come with the resolver"),
            (&"192.0.2.1", "\"192.0.2.1\" is no ADDRESS:PORT; names come with the resolver"),
            (&"", "\"\" is no ADDRESS:PORT; names come with the resolver"),
            (&("localhost", 80), "\"localhost\" is no address; names come with the resolver"),
            (&("127.1".to_string(), 80), "\"127.1\" is no address; names come with the resolver"),
        ];
        for (given, words) in wrong {
            let e = given.to_address().expect_err(words);
            assert_eq!((e.kind(), e.to_string().as_str()), (io::ErrorKind::InvalidInput, words));
        }
    }
}
