//! Names: what a file says of them ([`Hosts`]), and which of a name's addresses to connect to ([`Race`], RFC 8305: happy eyeballs).
//! Both do no I/O and read no clock: whoever asks a resolver and opens connections is above.

mod hosts;
mod race;

pub use hosts::Hosts;
pub use race::{Event, Family, Race, Settings};

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
