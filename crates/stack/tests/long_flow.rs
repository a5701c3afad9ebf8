//! A flow of more than 2^32 octets: nothing that is compared modulo 2^32 may fall half the circle behind.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{IpAddr, SocketAddr};
use synfin_stack::engine::{Chunk, Instant, Rng, TcpConfig};
use synfin_stack::{Cidr, ConnId, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

struct End {
    stack: Stack,
    link: LinkId,
}

fn end(n: u8) -> End {
    let mut stack = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(u64::from(n)));
    let now = Instant::from_nanos(1);
    let link = stack.add_link(now, LinkConfig { max_gso: 60_000, ..LinkConfig::ip(1500) });
    stack.add_address(now, link, Cidr { addr: IpAddr::from([192, 0, 2, n]), prefix: 24 });
    End { stack, link }
}

/// Moves every frame that `from` has to `to`, but for those that `lose` names by their place.
fn carry(from: &mut End, to: &mut End, now: Instant, lose: &mut dyn FnMut() -> bool) {
    let End { stack, link } = to;
    let mut sink = |f: &TxFrame<'_>| {
        let mut buf = stack.take_buffer(65_000);
        let len = f.copy_to(buf.as_mut_slice());
        let frame =
            RxFrame { bytes: buf.freeze(0, len), checksum: RxChecksum::Trusted, gso_size: f.gso.map_or(0, |g| g.size) };
        if !lose() {
            stack.on_frame(now, &mut (), *link, frame);
        }
        true
    };
    while from.stack.poll_frame(now, &mut (), from.link, &mut sink) {}
}

struct Flow {
    a: End,
    b: End,
    ids: (ConnId, ConnId),
    clock: u64,
}

impl Flow {
    /// Moves `total` octets in pieces of `piece`; the `lost`-th frame of ours is lost. Returns the virtual milliseconds.
    fn transfer(&mut self, total: u64, piece: &Chunk, lost: u64) -> u64 {
        let (mut sent, mut got, mut frames) = (0, 0, 0);
        let start = self.clock;
        while got < total {
            self.clock += 100_000;
            let now = Instant::from_nanos(self.clock);
            while sent < total {
                let Ok(n) = self.a.stack.tcp_send_chunk(now, &mut (), self.ids.0, piece.clone()) else { break };
                sent += n as u64;
            }
            carry(&mut self.a, &mut self.b, now, &mut || {
                frames += 1;
                frames == lost
            });
            while let Ok(Some(c)) = self.b.stack.tcp_receive_chunk(now, &mut (), self.ids.1) {
                got += c.len() as u64;
                self.b.stack.pool().give(c);
            }
            carry(&mut self.b, &mut self.a, now, &mut || false);
            for e in [&mut self.a, &mut self.b] {
                while e.stack.poll_event().is_some() {}
                if e.stack.next_deadline(now) <= now {
                    e.stack.on_deadline(now, &mut ());
                }
            }
            assert!(self.clock - start < 600_000_000_000, "stalled after {got} of {total}");
        }
        (self.clock - start) / 1_000_000
    }
}

#[test]
fn five_gibibytes_then_a_small_tail_then_a_loss() {
    let (mut a, mut b) = (end(1), end(2));
    let now = Instant::from_nanos(1_000_000);
    let server = SocketAddr::from(([192, 0, 2, 2], 80));
    let cfg = TcpConfig::default();
    let l = b.stack.tcp_listen(now, &mut (), server, 8, &cfg).unwrap();
    let c = a.stack.tcp_connect(now, &mut (), None, server, &cfg).unwrap();
    for _ in 0..4 {
        carry(&mut a, &mut b, now, &mut || false);
        carry(&mut b, &mut a, now, &mut || false);
    }
    let s = b.stack.tcp_accept(l).unwrap();
    let mut flow = Flow { a, b, ids: (c, s), clock: 1_000_000 };
    // Whole segments only, so that what remembers the last small one is never touched.
    let whole = Chunk::copy_of(&vec![7; 1448 * 40]);
    let tail = Chunk::copy_of(&[7; 100]);
    for gib in [3u64, 2] {
        let total = (gib << 30) / whole.len() as u64 * whole.len() as u64;
        flow.transfer(total, &whole, 0);
        flow.transfer(100, &tail, 0);
        // A loss far from the last one is recovered without a timeout.
        let timeouts = flow.a.stack.counters().1.timeouts;
        flow.transfer(whole.len() as u64 * 40, &whole, 5);
        let (_, mib) = flow.a.stack.counters();
        assert_eq!(mib.timeouts, timeouts, "fast retransmit works after {gib} GiB");
        assert!(mib.fast_retrans > 0);
    }
}
