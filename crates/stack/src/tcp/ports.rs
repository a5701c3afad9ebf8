//! Ephemeral ports that nobody can guess (RFC 6056 3.3.3, algorithm 3: a keyed offset per destination, and a counter).

use super::Key;
use crate::stack::Stack;
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use siphasher::sip::SipHasher24;

impl Stack {
    /// A free port for a connection from `local` to `remote`.
    //= RFC 6056 3.3.3
    pub(crate) fn ephemeral_port(&mut self, local: IpAddr, remote: SocketAddr) -> Option<u16> {
        let (lo, hi) = self.cfg.ephemeral_ports;
        let span = u32::from(hi.checked_sub(lo)?) + 1;
        let mut h = SipHasher24::new_with_key(&self.secret);
        h.write_u8(b'p');
        h.write(Key::new(SocketAddr::new(local, 0), remote).bytes());
        let offset = h.finish() as u32;
        for _ in 0..span {
            self.port_counter = self.port_counter.wrapping_add(1);
            let port = lo + (offset.wrapping_add(self.port_counter) % span) as u16;
            let key = Key::new(SocketAddr::new(local, port), remote);
            if self.tcp.find(&key).is_none() && !self.tcp.ports.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}
