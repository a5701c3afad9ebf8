//! Two stacks of a kind in one thread: frames are copied from one to the other, checksums are made and verified, an
//! application writes and reads in pieces of 64 KiB.

use crate::spread;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use synfin_stack::engine::{self, Rng, TcpConfig};
use synfin_stack::{Cidr, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

const TOTAL: usize = 1 << 30;
const PIECE: usize = 64 * 1024;
const BUFFER: usize = 256 * 1024;

pub fn run() -> io::Result<()> {
    println!(
        "in memory, one thread, MTU 1500 (MSS 1460), checksums made and verified, {} MiB, buffers {} KiB",
        TOTAL >> 20,
        BUFFER >> 10
    );
    let (mut full, mut plain, mut chunks, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        full.push(gbit(synfin(TOTAL, true, false)));
        plain.push(gbit(synfin(TOTAL, false, false)));
        chunks.push(gbit(synfin(TOTAL, true, true)));
        peer.push(gbit(smol(TOTAL)));
    }
    let ratio = |v: &[f64]| v.iter().zip(&peer).map(|(a, b)| a / b).collect::<Vec<_>>();
    // smoltcp sends neither timestamps nor SACK by default: the second line is the same work.
    for (name, v, r) in [
        ("synfin, as it is", &full, ratio(&full)),
        ("synfin, without timestamps and SACK", &plain, ratio(&plain)),
        ("synfin, text handed over by reference", &chunks, ratio(&chunks)),
        ("smoltcp 0.13", &peer, ratio(&peer)),
    ] {
        let ((m, lo, hi), (r, rlo, rhi)) = (spread(v.clone()), spread(r));
        println!("{name:<38} {m:6.2} Gbit/s (of 5: {lo:.2} to {hi:.2}), ratio {r:.2} ({rlo:.2} to {rhi:.2})");
    }
    Ok(())
}

/// For a profiler.
pub fn ours_only() -> io::Result<()> {
    println!("{:.2} Gbit/s", gbit(synfin(4 * TOTAL, true, false)) * 4.0);
    Ok(())
}

fn gbit(d: Duration) -> f64 {
    TOTAL as f64 * 8.0 / d.as_secs_f64() / 1e9
}

struct End {
    stack: Stack,
    link: LinkId,
}

fn end(n: u8, timestamps: bool) -> End {
    let tcp = TcpConfig {
        rcv_buf_initial: BUFFER as u32,
        rcv_buf_max: BUFFER as u32,
        snd_buf_initial: BUFFER as u32,
        snd_buf_max: BUFFER as u32,
        timestamps,
        sack: timestamps,
        ..TcpConfig::default()
    };
    let mut stack = Stack::new(StackConfig::default(), tcp, Rng::from_number(u64::from(n)));
    let now = engine::Instant::from_nanos(1);
    let link = stack.add_link(now, LinkConfig::ip(1500));
    stack.add_address(now, link, Cidr { addr: IpAddr::from([192, 0, 2, n]), prefix: 24 });
    End { stack, link }
}

/// Moves every frame that `from` has to `to`; true if there was one.
fn carry(from: &mut End, to: &mut End, now: engine::Instant) -> bool {
    let mut any = false;
    loop {
        let End { stack, link } = to;
        let mut sink = |f: &TxFrame<'_>| {
            let mut buf = stack.take_buffer(2048);
            let len = f.copy_to(buf.as_mut_slice());
            let bytes = buf.freeze(0, len);
            stack.on_frame(now, &mut (), *link, RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size: 0 });
            true
        };
        if !from.stack.poll_frame(now, &mut (), from.link, &mut sink) {
            return any;
        }
        any = true;
    }
}

fn synfin(total: usize, timestamps: bool, by_reference: bool) -> Duration {
    let (mut a, mut b) = (end(1, timestamps), end(2, timestamps));
    let start = Instant::now();
    let clock = || engine::Instant::from_nanos(start.elapsed().as_nanos() as u64 + 1);
    let cfg = b.stack.tcp_defaults().clone();
    let server = "192.0.2.2:80".parse().expect("an address");
    let l = b.stack.tcp_listen(clock(), &mut (), server, 8, &cfg).expect("a free port");
    let c = a.stack.tcp_connect(clock(), &mut (), None, server, &cfg).expect("a route");
    let mut s = None;
    let data = vec![7; PIECE];
    let chunk = synfin_stack::engine::Chunk::copy_of(&data);
    let mut buf = vec![0; PIECE];
    let (mut sent, mut got) = (0, 0);
    while got < total {
        let now = clock();
        if sent < total {
            let piece = PIECE.min(total - sent);
            let done = if by_reference {
                let room = a.stack.tcp_status(c).map_or(0, |s| BUFFER - (s.unacked + s.notsent) as usize);
                if room >= piece { a.stack.tcp_send_chunk(now, &mut (), c, chunk.clone()) } else { Ok(0) }
            } else {
                a.stack.tcp_send(now, &mut (), c, &data[..piece])
            };
            sent += done.unwrap_or(0);
        }
        carry(&mut a, &mut b, now);
        if s.is_none() {
            s = b.stack.tcp_accept(l);
        }
        if let Some(s) = s {
            while by_reference && let Ok(Some(c)) = b.stack.tcp_receive_chunk(now, &mut (), s) {
                got += c.len();
                b.stack.pool().give(c);
            }
            while !by_reference && let Ok(n) = b.stack.tcp_receive(now, &mut (), s, &mut buf) {
                got += n;
                if n == 0 {
                    break;
                }
            }
        }
        carry(&mut b, &mut a, now);
        while a.stack.poll_event().is_some() {}
        while b.stack.poll_event().is_some() {}
        for e in [&mut a, &mut b] {
            if e.stack.next_deadline(now) <= now {
                e.stack.on_deadline(now, &mut ());
            }
        }
    }
    start.elapsed()
}

/// A device that keeps what is sent until it is carried over.
#[derive(Default)]
struct Queue {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

struct Tx<'a>(&'a mut Queue);

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut b = self.0.spare.pop().unwrap_or_default();
        b.resize(len, 0);
        let r = f(&mut b);
        self.0.tx.push_back(b);
        r
    }
}

/// Receiving and answering at once needs both halves: frames in are taken out first.
struct Both<'a>(&'a std::cell::RefCell<Queue>);

impl phy::TxToken for Both<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        Tx(&mut self.0.borrow_mut()).consume(len, f)
    }
}

struct RxCell<'a>(Vec<u8>, &'a std::cell::RefCell<Queue>);

impl phy::RxToken for RxCell<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let r = f(&self.0);
        self.1.borrow_mut().spare.push(self.0);
        r
    }
}

#[derive(Default)]
struct Wire(std::cell::RefCell<Queue>);

impl Device for Wire {
    type RxToken<'a> = RxCell<'a>;
    type TxToken<'a> = Both<'a>;

    fn receive(&mut self, _: SmolInstant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.0.borrow_mut().rx.pop_front()?;
        Some((RxCell(frame, &self.0), Both(&self.0)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Self::TxToken<'_>> {
        // As many frames in flight as fit a device queue.
        (self.0.borrow().tx.len() < 256).then_some(Both(&self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.medium = Medium::Ip;
        c.max_transmission_unit = 1500;
        c
    }
}

struct Smol {
    wire: Wire,
    iface: Interface,
    sockets: SocketSet<'static>,
    handle: smoltcp::iface::SocketHandle,
}

fn smol_end(n: u8, now: SmolInstant) -> Smol {
    let mut wire = Wire::default();
    let mut iface = Interface::new(Config::new(HardwareAddress::Ip), &mut wire, now);
    iface.update_ip_addrs(|a| {
        let _ = a.push(IpCidr::new(IpAddress::v4(192, 0, 2, n), 24));
    });
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let mut sockets = SocketSet::new(vec![]);
    let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
    Smol { wire, iface, sockets, handle }
}

fn smol(total: usize) -> Duration {
    let start = Instant::now();
    let clock = || SmolInstant::from_micros(start.elapsed().as_micros() as i64 + 1);
    let (mut a, mut b) = (smol_end(1, clock()), smol_end(2, clock()));
    b.sockets.get_mut::<tcp::Socket>(b.handle).listen(80).expect("a free port");
    a.sockets
        .get_mut::<tcp::Socket>(a.handle)
        .connect(a.iface.context(), (IpAddress::v4(192, 0, 2, 2), 80), 49_152)
        .expect("a route");
    let data = vec![7; PIECE];
    let mut buf = vec![0; PIECE];
    let (mut sent, mut got) = (0, 0);
    while got < total {
        let now = clock();
        let s = a.sockets.get_mut::<tcp::Socket>(a.handle);
        if sent < total && s.can_send() {
            sent += s.send_slice(&data[..PIECE.min(total - sent)]).unwrap_or(0);
        }
        a.iface.poll(now, &mut a.wire, &mut a.sockets);
        hand_over(&a.wire, &b.wire);
        b.iface.poll(now, &mut b.wire, &mut b.sockets);
        let s = b.sockets.get_mut::<tcp::Socket>(b.handle);
        while s.can_recv() {
            got += s.recv_slice(&mut buf).unwrap_or(0);
        }
        b.iface.poll(now, &mut b.wire, &mut b.sockets);
        hand_over(&b.wire, &a.wire);
    }
    start.elapsed()
}

/// Copies every frame, as the other side's benchmark does.
fn hand_over(from: &Wire, to: &Wire) {
    let (mut from, mut to) = (from.0.borrow_mut(), to.0.borrow_mut());
    while let Some(f) = from.tx.pop_front() {
        let mut b = to.spare.pop().unwrap_or_default();
        b.clear();
        b.extend_from_slice(&f);
        to.rx.push_back(b);
        from.spare.push(f);
    }
}
