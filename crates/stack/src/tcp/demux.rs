//! Which record a segment is for: a table of four-tuples under a keyed hash, for strangers choose the keys.

use crate::linear_hash::LinearHash;
use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use siphasher::sip::SipHasher13;

/// The four-tuple, from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.local, self.remote)
    }
}

/// The four-tuple in 36 octets; IPv4 addresses as mapped ones.
#[derive(Debug, Clone, Copy, Eq)]
pub(crate) struct Key([u8; 36]);

impl PartialEq for Key {
    /// In words: the derived comparison calls `memcmp`, which shows in a profile.
    #[inline]
    fn eq(&self, other: &Key) -> bool {
        let (a, _) = self.0.as_chunks::<4>();
        let (b, _) = other.0.as_chunks::<4>();
        let differ = a.iter().zip(b).fold(0, |d, (a, b)| d | (u32::from_ne_bytes(*a) ^ u32::from_ne_bytes(*b)));
        differ == 0
    }
}

fn mapped(a: IpAddr) -> [u8; 16] {
    match a {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

impl Key {
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr) -> Key {
        let mut b = [0; 36];
        b[..16].copy_from_slice(&mapped(local.ip()));
        b[16..32].copy_from_slice(&mapped(remote.ip()));
        b[32..34].copy_from_slice(&local.port().to_be_bytes());
        b[34..].copy_from_slice(&remote.port().to_be_bytes());
        Key(b)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Both addresses without the ports.
    pub(crate) fn hosts(&self) -> &[u8] {
        &self.0[..32]
    }

    fn addr(&self, at: usize) -> IpAddr {
        let mut b = [0; 16];
        b.copy_from_slice(&self.0[at..at + 16]);
        Ipv6Addr::from(b).to_canonical()
    }

    pub(crate) fn local(&self) -> SocketAddr {
        SocketAddr::new(self.addr(0), u16::from_be_bytes([self.0[32], self.0[33]]))
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.addr(16), u16::from_be_bytes([self.0[34], self.0[35]]))
    }

    pub(crate) fn tuple(&self) -> Tuple {
        Tuple { local: self.local(), remote: self.remote() }
    }
}

/// Where a record is: in which table, and at which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Conn(u32),
    Half(u32),
    Wait(u32),
}

impl Slot {
    /// Records of a table have numbers below this.
    pub(crate) const NUMBERS: u32 = 1 << 26;

    /// As a timer's token, and as what the table holds: two bits of kind, twenty-six of number.
    pub(crate) fn token(self) -> u32 {
        match self {
            Slot::Conn(i) => i,
            Slot::Half(i) => Slot::NUMBERS + i,
            Slot::Wait(i) => 2 * Slot::NUMBERS + i,
        }
    }

    pub(crate) fn from_token(t: u32) -> Slot {
        let i = t % Slot::NUMBERS;
        match t / Slot::NUMBERS {
            0 => Slot::Conn(i),
            1 => Slot::Half(i),
            _ => Slot::Wait(i),
        }
    }
}

/// The table: it holds only slots, the keys stay in the records.
#[derive(Debug, Default)]
pub(crate) struct Index {
    table: LinearHash,
    secret: [u8; 16],
}

impl Index {
    pub(crate) fn set_secret(&mut self, secret: [u8; 16]) {
        self.secret = secret;
    }

    fn hash(secret: &[u8; 16], key: &Key) -> u64 {
        let mut h = SipHasher13::new_with_key(secret);
        h.write(&key.0);
        h.finish()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn find<'a>(&self, key: &Key, key_of: impl Fn(Slot) -> Option<&'a Key>) -> Option<Slot> {
        let hash = Self::hash(&self.secret, key);
        self.table.find(hash, |t| key_of(Slot::from_token(t)) == Some(key)).map(Slot::from_token)
    }

    pub(crate) fn insert<'a>(&mut self, key: &Key, slot: Slot, key_of: impl Fn(Slot) -> Option<&'a Key>) {
        let secret = self.secret;
        let hash_of = |t: u32| key_of(Slot::from_token(t)).map_or(0, |k| Self::hash(&secret, k));
        self.table.insert(Self::hash(&secret, key), slot.token(), hash_of);
    }

    pub(crate) fn remove(&mut self, key: &Key, slot: Slot) {
        self.table.remove(Self::hash(&self.secret, key), slot.token());
    }

    /// The record of `key` has moved.
    pub(crate) fn renumber(&mut self, key: &Key, old: Slot, new: Slot) {
        self.table.replace(Self::hash(&self.secret, key), old.token(), new.token());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_version_address_and_port() {
        for (l, r) in [("192.0.2.1:80", "192.0.2.2:1024"), ("[fd00::1]:80", "[fd00::2]:65535")] {
            let (l, r): (SocketAddr, SocketAddr) = (l.parse().unwrap(), r.parse().unwrap());
            assert_eq!(Key::new(l, r).tuple(), Tuple { local: l, remote: r });
        }
        for s in [Slot::Conn(5), Slot::Half(0), Slot::Wait(Slot::NUMBERS - 1)] {
            assert_eq!(Slot::from_token(s.token()), s);
        }
    }
}
