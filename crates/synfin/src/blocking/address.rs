//! Where to: literal addresses. `std::net::ToSocketAddrs` would ask the machine's own resolver for a name, past the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What says where to: `"192.0.2.1:80"`, `("fd00::1", 80)`, a type of `std::net`, or a slice of addresses, of which each is
/// tried. What `ToSocketAddrs` is to `std`, but without names.
pub trait ToAddress {
    /// The address, or the first of them; [`io::ErrorKind::InvalidInput`] if it is none.
    fn to_address(&self) -> io::Result<SocketAddr>;

    /// All of them, in the order in which they are tried.
    fn to_addresses(&self) -> io::Result<Addresses> {
        self.to_address().map(Addresses::from)
    }
}

/// Addresses to try, one after another.
#[derive(Debug, Clone)]
pub struct Addresses(Kept);

#[derive(Debug, Clone)]
enum Kept {
    One(std::option::IntoIter<SocketAddr>),
    Many(std::vec::IntoIter<SocketAddr>),
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match &mut self.0 {
            Kept::One(a) => a.next(),
            Kept::Many(all) => all.next(),
        }
    }
}

impl From<SocketAddr> for Addresses {
    fn from(a: SocketAddr) -> Addresses {
        Addresses(Kept::One(Some(a).into_iter()))
    }
}

impl From<Vec<SocketAddr>> for Addresses {
    fn from(all: Vec<SocketAddr>) -> Addresses {
        Addresses(Kept::Many(all.into_iter()))
    }
}

/// Calls `f` for one address after another, until it can; else the last error is the result, as in `std`.
pub(crate) fn each<R>(all: Addresses, mut f: impl FnMut(SocketAddr) -> io::Result<R>) -> io::Result<R> {
    let mut last = None;
    for a in all {
        match f(a) {
            Err(e) => last = Some(e),
            done => return done,
        }
    }
    Err(last.unwrap_or_else(none))
}

/// There is no address.
pub(crate) fn none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no address at all")
}

impl ToAddress for [SocketAddr] {
    fn to_address(&self) -> io::Result<SocketAddr> {
        self.first().copied().ok_or_else(none)
    }

    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(self.to_vec().into())
    }
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

    fn to_addresses(&self) -> io::Result<Addresses> {
        (**self).to_addresses()
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
    fn a_slice_is_tried_in_its_order_until_one_can_be_had() {
        let all: Vec<SocketAddr> = (1..=3).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
        let asked = |good: u8| {
            let mut asked = Vec::new();
            let r = each(all[..].to_addresses().unwrap(), |a| {
                asked.push(a);
                let last = all[usize::from(good)..].first().copied();
                if last == Some(a) { Ok(a) } else { Err(io::Error::other(a.to_string())) }
            });
            (r.map_err(|e| e.to_string()), asked.len())
        };
        assert_eq!((asked(0), asked(1)), ((Ok(all[0]), 1), (Ok(all[1]), 2)));
        assert_eq!(asked(3), (Err("192.0.2.3:80".to_string()), 3), "the last error");
        assert_eq!(all[..].to_address().unwrap(), all[0]);
        let nothing: &[SocketAddr] = &[];
        let e = each(nothing.to_addresses().unwrap(), |_| Ok(())).unwrap_err();
        assert_eq!((e.kind(), nothing.to_address().unwrap_err().kind()), (io::ErrorKind::InvalidInput, e.kind()));
        assert_eq!("192.0.2.1:80".to_addresses().unwrap().collect::<Vec<_>>(), all[..1]);
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
