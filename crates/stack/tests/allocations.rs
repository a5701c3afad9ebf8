//! In steady state the fast path does not allocate: not per segment, not per super-segment, in neither direction.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{IpAddr, SocketAddr};
use synfin_stack::engine::{Instant, Rng, TcpConfig};
use synfin_stack::{Cidr, ConnId, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

struct End {
    stack: Stack,
    link: LinkId,
}

fn end(n: u8, gso: u32) -> End {
    let mut stack = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(u64::from(n)));
    let now = Instant::from_nanos(1);
    let link = stack.add_link(now, LinkConfig { max_gso: gso, ..LinkConfig::ip(1500) });
    stack.add_address(now, link, Cidr { addr: IpAddr::from([192, 0, 2, n]), prefix: 24 });
    End { stack, link }
}

/// Moves every frame that `from` has to `to`; returns how many segments went.
fn carry(from: &mut End, to: &mut End, now: Instant) -> u64 {
    let before = from.stack.counters().1.out_segs;
    loop {
        let End { stack, link } = to;
        let mut sink = |f: &TxFrame<'_>| {
            let mut buf = stack.take_buffer(65_000);
            let len = f.copy_to(buf.as_mut_slice());
            let gso_size = f.gso.map_or(0, |g| g.size);
            let bytes = buf.freeze(0, len);
            stack.on_frame(now, &mut (), *link, RxFrame { bytes, checksum: RxChecksum::Trusted, gso_size });
            true
        };
        if !from.stack.poll_frame(now, &mut (), from.link, &mut sink) {
            return from.stack.counters().1.out_segs - before;
        }
    }
}

/// Moves `total` octets; returns how many segments that took.
fn transfer(a: &mut End, b: &mut End, ids: (ConnId, ConnId), total: usize, clock: &mut u64, buf: &mut [u8]) -> u64 {
    let (mut sent, mut got, mut segments) = (0, 0, 0);
    while got < total {
        *clock += 50_000;
        let now = Instant::from_nanos(*clock);
        let piece = buf.len().min(total - sent);
        sent += a.stack.tcp_send(now, &mut (), ids.0, &buf[..piece]).unwrap_or(0);
        segments += carry(a, b, now);
        got += b.stack.tcp_receive(now, &mut (), ids.1, buf).unwrap_or(0);
        segments += carry(b, a, now);
        for e in [&mut *a, &mut *b] {
            while let Some(ev) = e.stack.poll_event() {
                if let synfin_stack::SocketEvent::Tcp(c) = ev {
                    e.stack.tcp_events(c);
                }
            }
            if e.stack.next_deadline(now) <= now {
                e.stack.on_deadline(now, &mut ());
            }
        }
    }
    segments
}

#[test]
fn no_allocation_per_segment_in_steady_state() {
    let _profiler = dhat::Profiler::builder().testing().build();
    for gso in [0, 60_000] {
        let (mut a, mut b) = (end(1, gso), end(2, gso));
        let mut clock = 1_000_000;
        let now = Instant::from_nanos(clock);
        let server = SocketAddr::from(([192, 0, 2, 2], 80));
        let cfg = TcpConfig::default();
        let l = b.stack.tcp_listen(now, &mut (), server, 8, &cfg).unwrap();
        let c = a.stack.tcp_connect(now, &mut (), None, server, &cfg).unwrap();
        for _ in 0..4 {
            carry(&mut a, &mut b, now);
            carry(&mut b, &mut a, now);
        }
        let s = b.stack.tcp_accept(l).unwrap();
        let mut buf = vec![7; 64 * 1024];
        transfer(&mut a, &mut b, (c, s), 64 << 20, &mut clock, &mut buf);
        let before = dhat::HeapStats::get().total_blocks;
        let segments = transfer(&mut a, &mut b, (c, s), 64 << 20, &mut clock, &mut buf);
        let allocations = dhat::HeapStats::get().total_blocks - before;
        println!("super-segments of {gso}: {segments} segments, {allocations} allocations");
        assert_eq!(allocations, 0, "of {segments} segments");
    }
}
