//! On Ethernet an IPv6 address is tentative until nobody has objected to it (RFC 4862 5.4), for a second: until then the host has
//! no source for what it sends, and a client that does not wait would hear that there is no route.

use super::{Host, HostArgs};
use crate::clock::{now, pause};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use synfin::blocking::UdpSocket;
use synfin::names::Target;

/// How long is waited at most: somebody may have the address already, and then it is never ours.
const PATIENCE: Duration = Duration::from_secs(3);

impl HostArgs {
    /// Waits until the host may send to `target`, if that needs IPv6.
    pub fn settle(&self, host: &Host, target: &Target) -> io::Result<()> {
        let has_v4 = host.addresses().iter().any(IpAddr::is_ipv4);
        let needs_v6 = match target {
            Target::Address(a) => a.is_ipv6(),
            Target::Known(all) => all.iter().all(IpAddr::is_ipv6),
            // Servers are asked for it: over IPv4, if one of them can be.
            _ => !(has_v4 && self.dns.iter().any(IpAddr::is_ipv4)),
        };
        let own = host.addresses().iter().find_map(|a| if let IpAddr::V6(a) = a { Some(*a) } else { None });
        match own.filter(|_| needs_v6 && host.ethernet) {
            Some(own) => wait(host, neighbor_of(own)),
            None => Ok(()),
        }
    }
}

/// Waits until there is a source for what is sent there. Nothing is.
fn wait(host: &Host, to: Ipv6Addr) -> io::Result<()> {
    let socket = UdpSocket::bind(&host.stack, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))?;
    let until = now() + PATIENCE;
    while socket.connect(SocketAddr::from((to, 9))).is_err() && now() < until && host.stop.asked() == 0 {
        pause(20);
    }
    Ok(())
}

/// Somebody on the link of this address, whether anybody is there or not.
fn neighbor_of(own: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(own.to_bits() ^ 1)
}
