//! Links: what they can do, whose addresses they carry, who their neighbors are.

pub(crate) mod neighbor;

use crate::ip::{Cidr, is_link_local};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use neighbor::Neighbors;
use synfin_tcp::Instant;
use synfin_wire::ethernet::{self, Mac};

/// The number of a link, in the order of [`crate::Stack::add_link`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u8);

/// What a frame of the link begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An IP packet.
    Ip,
    /// An Ethernet II header; the address is ours.
    Ethernet(Mac),
}

/// What a link can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// What a frame begins with.
    pub medium: Medium,
    /// Octets of the greatest IP packet.
    pub mtu: u32,
    /// The device completes transport checksums: a frame may leave with a partial one.
    pub tx_checksum: bool,
    /// Octets of text in the greatest super-segment that the device cuts; 0 if it cuts none.
    pub max_gso: u32,
}

impl LinkConfig {
    /// A plain link for IP packets.
    pub fn ip(mtu: u32) -> LinkConfig {
        LinkConfig { medium: Medium::Ip, mtu, tx_checksum: false, max_gso: 0 }
    }

    /// A plain Ethernet link.
    pub fn ethernet(mac: Mac, mtu: u32) -> LinkConfig {
        LinkConfig { medium: Medium::Ethernet(mac), mtu, tx_checksum: false, max_gso: 0 }
    }
}

/// An address of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub cidr: Cidr,
    /// Until then duplicate address detection is on (RFC 4862 5.4), and the address is not used.
    pub tentative_until: Instant,
}

/// A link and what belongs to it.
#[derive(Debug)]
pub(crate) struct Link {
    pub cfg: LinkConfig,
    pub addrs: Vec<Address>,
    pub neighbors: Neighbors,
    /// Whole frames that wait for the device.
    pub control: VecDeque<Vec<u8>>,
    /// Router solicitations still to be sent, and when the next is due (RFC 4861 6.3.7).
    pub solicit: (u8, Instant),
    /// When all groups are reported again, from the link-local address that is usable from then on (RFC 3590 4).
    pub report_at: Instant,
}

impl Link {
    pub(crate) fn new(cfg: LinkConfig) -> Link {
        Link {
            cfg,
            addrs: Vec::new(),
            neighbors: Neighbors::default(),
            control: VecDeque::new(),
            solicit: (0, Instant::NEVER),
            report_at: Instant::NEVER,
        }
    }

    /// Octets before the IP header.
    pub(crate) fn header_len(&self) -> usize {
        match self.cfg.medium {
            Medium::Ip => 0,
            Medium::Ethernet(_) => ethernet::HEADER_LEN,
        }
    }

    /// Its usable link-local address.
    pub(crate) fn link_local(&self, now: Instant) -> Option<Ipv6Addr> {
        self.addrs.iter().filter(|x| x.tentative_until <= now).find_map(|x| match x.cidr.addr {
            IpAddr::V6(a) if is_link_local(a) => Some(a),
            _ => None,
        })
    }

    pub(crate) fn mac(&self) -> Option<Mac> {
        match self.cfg.medium {
            Medium::Ip => None,
            Medium::Ethernet(mac) => Some(mac),
        }
    }
}

/// The link-local address of an interface with this link-layer address: its modified EUI-64 after the prefix.
//= RFC 4862 5.3
//= RFC 4291 appendix A
pub(crate) fn link_local_of(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
}
