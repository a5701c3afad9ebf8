//! A host as people give it.

use super::Hosts;
use hickory_resolver::proto::rr;
use std::io;
use std::net::IpAddr;

/// A host as it was given: an address, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// It was given by its address.
    Address(IpAddr),
    /// A hosts file knows it: at least one address, in the file's order.
    Known(Vec<IpAddr>),
    /// Servers are to be asked for it.
    Name(Name),
}

/// A name that servers can be asked for. It is always whole: no domain is tried behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(rr::Name);

impl Target {
    /// Reads one. [`io::ErrorKind::InvalidInput`] if it is no address and can be no name (RFC 1035 2.3.4; letters beyond ASCII
    /// are written as RFC 5890 has it).
    pub fn parse(s: &str, hosts: &Hosts) -> io::Result<Target> {
        if let Ok(a) = s.parse() {
            return Ok(Target::Address(a));
        }
        // As it stands before a port (RFC 3986 3.2.2).
        if let Some(Ok(a)) = s.strip_prefix('[').and_then(|s| s.strip_suffix(']')).map(str::parse) {
            return Ok(Target::Address(IpAddr::V6(a)));
        }
        let known = hosts.addresses(s);
        if !known.is_empty() {
            return Ok(Target::Known(known.to_vec()));
        }
        let wrong = |e: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{s:?} is no address and no name: {e}"))
        };
        let mut name = rr::Name::from_utf8(s).map_err(|e| wrong(&e))?;
        if name.iter().next().is_none() {
            return Err(wrong(&"it is empty"));
        }
        name.set_fqdn(true);
        Ok(Target::Name(Name(name)))
    }
}

impl Name {
    pub(super) fn asked(&self) -> rr::Name {
        self.0.clone()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_utf8().trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_known_or_names() {
        let hosts = Hosts::parse("192.0.2.9 here.example.test\n");
        assert_eq!(Target::parse("fd00::1", &hosts).unwrap(), Target::Address("fd00::1".parse().unwrap()));
        assert_eq!(Target::parse("[fd00::1]", &hosts).unwrap(), Target::Address("fd00::1".parse().unwrap()));
        assert_eq!(Target::parse("HERE.example.test", &hosts).unwrap(), Target::Known(vec![[192, 0, 2, 9].into()]));
        for (s, is) in [("www.example.test", "www.example.test"), ("b\u{fc}cher.test.", "b\u{fc}cher.test")] {
            let Ok(Target::Name(n)) = Target::parse(s, &hosts) else { panic!("{s} is a name") };
            assert!(n.to_string() == is && n.asked().is_fqdn(), "{n}");
        }
        for s in ["", ".", "a..b", "[192.0.2.1]", "[fd00::1", &"a".repeat(300)] {
            assert_eq!(Target::parse(s, &hosts).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput), "{s:?}");
        }
    }
}
