//! What a connection costs that nobody uses: the octets of the heap, counted, for each kind and all told; and that they are
//! returned.
//!
//! `cargo test -p synfin-stack --test idle -- --ignored --nocapture` does so with a million.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{Say, Server, all_options};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Mutex;
use std::time::Duration;
use synfin_stack::engine::config::SynCookies;
use synfin_stack::engine::{State, TcpConfig};
use synfin_stack::wire::tcp::{Flags, Options, Timestamps};
use synfin_stack::{ConnId, StackConfig, TxFrame};

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

/// There is one heap, and one who counts it.
static HEAP: Mutex<()> = Mutex::new(());

fn heap() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// Peer number `n`: each is a host of its own.
fn peer(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 0)) + n), 1024)
}

/// What a peer answers with: the number and the timestamp of the only segment that the host says.
fn said(s: &mut Server) -> (u32, u32) {
    let mut got = None;
    let word = |f: &TxFrame<'_>, at: usize| u32::from_be_bytes(f.header[at..at + 4].try_into().unwrap());
    while s.stack.poll_frame(s.now, &mut (), s.link, &mut |f: &TxFrame<'_>| {
        // A SYN,ACK has its MSS and SACK-permitted before its timestamps, any other segment two NOPs.
        let syn = f.header[33] & 2 != 0;
        assert!(got.replace((word(f, 24), word(f, if syn { 48 } else { 44 }))).is_none());
        true
    }) {}
    got.expect("a segment")
}

/// Time goes on between any two: a million segments in an instant are nobody's.
fn tick(s: &mut Server) {
    s.now += Duration::from_micros(1);
}

fn syn(s: &mut Server, n: u32) {
    tick(s);
    s.hear(&Say { from: peer(n), opts: all_options(1), ..Say::default() });
}

fn answer(s: &mut Server, n: u32, flags: Flags, seq: u32, (ack, ecr): (u32, u32)) {
    tick(s);
    let opts = Options { timestamps: Some(Timestamps { val: 1, ecr }), ..Options::default() };
    s.hear(&Say { from: peer(n), flags, seq: (seq, ack.wrapping_add(1)), opts, ..Say::default() });
}

/// Under so many octets of the heap is each, all told, at any number from [`FEW`] on.
const HALF_OPEN: f64 = 128.0;
const ESTABLISHED: f64 = 1024.0;
const TIME_WAIT: f64 = 64.0;

/// Fewer are not worth the pages and buffers that there must be at any number.
const FEW: u32 = 10_000;

/// What is left of 64 places when nothing is in them is where they were, and how often they were used: less than two octets
/// for each; and what is not worth being given back.
fn little(n: u32) -> f64 {
    2.0 + 65_536.0 / f64::from(n)
}

/// What each of them costs, asked after each.
struct Cost {
    none: usize,
    limit: f64,
    /// The last, and the most.
    each: (f64, f64),
}

impl Cost {
    fn under(limit: f64, none: usize) -> Cost {
        Cost { none, limit, each: (0.0, 0.0) }
    }

    /// There are `n` now.
    fn ask(&mut self, n: u32) {
        let each = heap().saturating_sub(self.none) as f64 / f64::from(n);
        let most = if n < FEW { 0.0 } else { self.each.1.max(each) };
        self.each = (each, most);
        assert!(most < self.limit, "{most} octets for each of {n}");
    }
}

/// A host for `n` of each kind, with buffers in its pool, and nothing else; and its octets.
fn host(n: u32) -> (Server, usize) {
    let all = n as usize;
    let host = StackConfig { max_half_open: all, max_time_wait: all, max_orphans: 1, ..StackConfig::default() };
    let mut s = Server::new(all, host, &TcpConfig { syn_cookies: SynCookies::Off, ..TcpConfig::default() });
    open(&mut s, n);
    let conn = s.stack.tcp_accept(s.listener).unwrap();
    close(&mut s, n, conn);
    s.run(Duration::from_secs(200));
    assert_eq!(occupied(&s), [0; 5]);
    (s, heap())
}

/// Connections, half-open ones, TIME-WAIT, timers, entries of the index.
fn occupied(s: &Server) -> [usize; 5] {
    let o = s.stack.occupancy();
    [o.connections, o.half_open, o.time_wait, o.timers, o.index]
}

/// Peer `n` connects.
fn open(s: &mut Server, n: u32) {
    syn(s, n);
    let syn_ack = said(s);
    answer(s, n, Flags::ACK, 1001, syn_ack);
    while s.stack.poll_event().is_some() {}
    s.drain();
}

/// We close the connection with peer `n`, and so does it.
fn close(s: &mut Server, n: u32, conn: ConnId) {
    s.stack.tcp_close(s.now, &mut (), conn);
    let fin = said(s);
    answer(s, n, Flags::FIN | Flags::ACK, 1001, fin);
    s.drain();
}

fn half_open(n: u32) {
    let (mut s, none) = host(n);
    let mut cost = Cost::under(HALF_OPEN, none);
    for i in 0..n {
        syn(&mut s, i);
        s.drain();
        cost.ask(i + 1);
    }
    assert_eq!(occupied(&s), [0, n as usize, 0, n as usize, n as usize]);
    (0..n).for_each(|i| answer(&mut s, i, Flags::RST, 1001, (0, 0)));
    gone(s, "half-open", n, &cost);
}

fn established(n: u32) {
    let (mut s, none) = host(n);
    let mut cost = Cost::under(ESTABLISHED, none);
    let mut conns: Vec<ConnId> = Vec::with_capacity(n as usize);
    let ours = heap() - none;
    cost.none += ours;
    for i in 0..n {
        open(&mut s, i);
        conns.extend(s.stack.tcp_accept(s.listener));
        cost.ask(i + 1);
    }
    s.run(Duration::from_secs(1));
    cost.ask(n);
    assert_eq!(occupied(&s), [n as usize, 0, 0, 0, n as usize], "they hold nothing and want nothing");
    assert_eq!(s.stack.occupancy().memory, 0);
    assert!(conns.iter().all(|c| s.stack.tcp_state(*c) == State::Established));
    // All of them go over into TIME-WAIT.
    conns.iter().enumerate().for_each(|(i, c)| close(&mut s, i as u32, *c));
    assert_eq!(occupied(&s), [0, 0, n as usize, 0, n as usize]);
    drop(conns);
    cost.none -= ours;
    gone(s, "idle established", n, &cost);
}

fn time_wait(n: u32) {
    let (mut s, none) = host(n);
    let mut cost = Cost::under(TIME_WAIT, none);
    for i in 0..n {
        open(&mut s, i);
        let conn = s.stack.tcp_accept(s.listener).unwrap();
        close(&mut s, i, conn);
        cost.ask(i + 1);
    }
    assert_eq!(occupied(&s), [0, 0, n as usize, 0, n as usize]);
    gone(s, "TIME-WAIT", n, &cost);
}

/// What is left when they are gone.
fn gone(mut s: Server, what: &str, n: u32, cost: &Cost) {
    s.run(Duration::from_secs(70));
    s.stack.check_invariants();
    assert_eq!(occupied(&s), [0; 5]);
    let left = heap().saturating_sub(cost.none) as f64 / f64::from(n);
    let (each, most) = cost.each;
    println!("{what:16} {each:7.2}, at any number from {FEW} on at most {most:7.2}; when they are gone {left:.2}");
    assert!(left < little(n), "{left}");
}

/// The octets of each of `n` half-open, established and TIME-WAIT connections, and of each of any smaller number.
fn measure(n: u32) {
    let _one = HEAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _count = dhat::Profiler::builder().testing().build();
    println!("octets of the heap for each of {n}, all told:");
    half_open(n);
    established(n);
    time_wait(n);
}

#[test]
fn idle_connections_are_small_at_any_number_and_all_is_returned() {
    measure(25_000);
}

#[test]
#[ignore = "the same with a million: minutes, for each octet is counted"]
fn a_million_idle_connections() {
    measure(1_000_000);
}
