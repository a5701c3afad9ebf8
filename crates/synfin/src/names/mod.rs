//! Names: what a file says of them ([`Hosts`]), and which of a name's addresses to connect to ([`Race`], RFC 8305: happy eyeballs).
//! Both do no I/O and read no clock. With the feature `dns`, `Resolver` is above them: it asks servers over the host's own UDP and
//! TCP, and connects by name.

#[cfg(feature = "dns")]
mod connect;
mod hosts;
mod race;
#[cfg(feature = "dns")]
mod resolver;
#[cfg(feature = "dns")]
mod sockets;
#[cfg(feature = "dns")]
mod target;

#[cfg(feature = "dns")]
pub use connect::{Connected, Unconnected};
pub use hosts::Hosts;
pub use race::{Event, Family, Race, Settings};
#[cfg(feature = "dns")]
pub use resolver::{Resolver, ResolverSettings};
#[cfg(feature = "dns")]
pub use target::{Name, Target};

use crate::handle::Stack;
use std::net::IpAddr;

impl Stack {
    /// Sorts destinations, such as the addresses of a name, the best first (RFC 6724 6): by whether this host has a way there and
    /// a source, and which. What [`Race::on_addresses`] wants to be ordered by.
    pub fn order_destinations(&self, all: &mut [IpAddr]) {
        let s = self.shared().lock();
        s.stack.order_destinations(s.now(), all);
    }
}
