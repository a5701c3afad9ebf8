//! Frames in: the link's header, then IP or ARP.

use crate::link::{LinkId, Medium};
use crate::stack::{RxFrame, RxMeta, Stack};
use synfin_tcp::{Instant, Probe};
use synfin_wire::ethernet::{self, Mac, ethertype};

impl Stack {
    /// Handles a frame that arrived on `link`. Whatever it holds, its buffer goes back to the pool, or into a queue.
    pub fn on_frame<P: Probe>(&mut self, now: Instant, probe: &mut P, link: LinkId, frame: RxFrame) {
        let RxFrame { mut bytes, checksum, gso_size } = frame;
        let mut meta = RxMeta { checksum, gso_size, many: false };
        let Some(l) = self.links.get(usize::from(link.0)) else { return };
        let Medium::Ethernet(mac) = l.cfg.medium else {
            self.ip_in(now, probe, link, bytes, meta);
            return;
        };
        match ethernet::Header::parse(bytes.as_slice()) {
            Ok(h) if for_us(h.dst, mac) && !h.src.is_multicast() => {
                bytes.advance(ethernet::HEADER_LEN);
                meta.many = h.dst.is_multicast();
                match h.ethertype {
                    ethertype::IPV4 | ethertype::IPV6 => self.ip_in(now, probe, link, bytes, meta),
                    ethertype::ARP => {
                        self.arp_in(now, link, bytes.as_slice());
                        self.pool.give(bytes);
                    }
                    _ => {
                        self.mib.link_ignored += 1;
                        self.pool.give(bytes);
                    }
                }
            }
            _ => {
                self.mib.link_ignored += 1;
                self.pool.give(bytes);
            }
        }
    }
}

fn for_us(dst: Mac, mac: Mac) -> bool {
    dst == mac || dst.is_multicast()
}
