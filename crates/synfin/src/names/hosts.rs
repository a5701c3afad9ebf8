//! A hosts file: `ADDRESS NAME..`, a line each, `#` before what is said to people (hosts(5)).

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a hosts file says. Names are compared without regard to the case of ASCII letters, and to a dot at the end (RFC 4343,
/// RFC 1034 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    names: BTreeMap<IpAddr, String>,
    skipped: Vec<usize>,
    entries: usize,
}

impl Hosts {
    /// Pairs of address and name that are kept, at most; what is beyond counts as skipped.
    pub const ENTRIES: usize = 100_000;

    /// Reads one. A line that is not as it should be says nothing: see [`skipped`](Hosts::skipped).
    pub fn parse(text: &str) -> Hosts {
        let mut h = Hosts::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(first) = words.next() else { continue };
            let names: Vec<String> = words.map(canonical).collect();
            let sound = !names.is_empty() && names.iter().all(|n| is_name(n));
            match first.parse::<IpAddr>() {
                Ok(a) if sound && h.entries + names.len() <= Hosts::ENTRIES => h.add(a, names),
                _ => h.skipped.push(number + 1),
            }
        }
        h
    }

    /// The addresses of a name, in the order of the file; none if it does not say.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.addresses.get(&canonical(name)).map_or(&[], Vec::as_slice)
    }

    /// The first name of an address.
    pub fn name(&self, a: IpAddr) -> Option<&str> {
        self.names.get(&a).map(String::as_str)
    }

    /// The numbers of the lines, from 1, that say nothing: no address, no name, or one that can be none.
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    fn add(&mut self, a: IpAddr, names: Vec<String>) {
        self.entries += names.len();
        if let Some(first) = names.first() {
            self.names.entry(a).or_insert_with(|| first.clone());
        }
        for n in names {
            let all = self.addresses.entry(n).or_default();
            if !all.contains(&a) {
                all.push(a);
            }
        }
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether it can be a name (RFC 1035 2.3.4): 253 characters, in labels of 1 to 63. Underscores are in use.
fn is_name(n: &str) -> bool {
    let letters = |l: &str| l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    n.len() <= 253 && n.split('.').all(|l| (1..=63).contains(&l.len()) && letters(l))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(all: &[&str]) -> Vec<IpAddr> {
        all.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn names_have_the_addresses_of_all_their_lines() {
        let h = Hosts::parse(
            "# of this host\n127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\n\n  192.0.2.1   Www.Example.COM. www # ours\r\n\
             2001:db8::1 www\n192.0.2.1 www\n",
        );
        assert_eq!(h.addresses("localhost"), ips(&["127.0.0.1", "::1"]));
        assert_eq!(h.addresses("www"), ips(&["192.0.2.1", "2001:db8::1"]));
        assert_eq!(h.addresses("WWW.example.com."), ips(&["192.0.2.1"]));
        assert!(h.addresses("example.com").is_empty() && h.skipped().is_empty());
        assert_eq!((h.name(ips(&["192.0.2.1"])[0]), h.name(ips(&["::2"])[0])), (Some("www.example.com"), None));
    }

    #[test]
    fn lines_that_are_wrong_say_nothing_and_are_told() {
        let long = format!("192.0.2.1 {}", "a".repeat(64));
        for line in [
            "192.0.2.1",
            "192.0.2 www",
            "www 192.0.2.1",
            "fe80::1%eth0 www",
            "192.0.2.1 a..b",
            "192.0.2.1 w\u{fc}rst",
            "192.0.2.1 good b\0d",
            "192.0.2.1 .",
            &long,
        ] {
            let h = Hosts::parse(&format!("::1 before\n{line}\n::1 after"));
            assert_eq!(h.skipped(), [2], "{line:?}");
            assert!(!h.addresses("before").is_empty() && !h.addresses("after").is_empty() && h.entries == 2);
        }
    }

    #[test]
    fn its_memory_is_bounded() {
        let text: String = (0..Hosts::ENTRIES + 5).map(|n| format!("192.0.2.1 h{n}\n")).collect();
        let h = Hosts::parse(&text);
        assert_eq!((h.entries, h.skipped().len()), (Hosts::ENTRIES, 5));
    }
}
