//! Floods, with the octets of the heap counted: what strangers send costs nothing that stays, and who is there gets in.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{AT, Say, Server};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Mutex;
use std::time::Duration;
use synfin_stack::engine::config::SynCookies;
use synfin_stack::engine::{Rng, State, TcpConfig};
use synfin_stack::wire::tcp::Options;
use synfin_stack::{Cidr, ConnId, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

/// There is one heap, and one who counts it.
static HEAP: Mutex<()> = Mutex::new(());

/// A SYN of a flood: from any host that could be one, and any port.
fn stranger(seed: &mut u64) -> Say<'static> {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let [a, b, c, d, e, f, ..] = (*seed >> 8).to_be_bytes();
    let from = SocketAddrV4::new(Ipv4Addr::new(11 + a % 100, b, c, d), 1024 + u16::from_be_bytes([e, f]) % 60_000);
    let opts = Options { mss: Some(1460), ..Options::default() };
    Say { from, seq: ((*seed >> 16) as u32, 0), opts, ..Say::default() }
}

/// Somebody who really is there: a host of ours.
struct Client {
    stack: Stack,
    link: LinkId,
    conn: ConnId,
}

impl Client {
    fn new(s: &Server) -> Client {
        let mut stack = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(2));
        let link = stack.add_link(s.now, LinkConfig::ip(1500));
        stack.add_address(s.now, link, Cidr { addr: IpAddr::from([192, 0, 2, 1]), prefix: 24 });
        let conn = stack.tcp_connect(s.now, &mut (), None, SocketAddr::from(AT), &TcpConfig::default()).unwrap();
        Client { stack, link, conn }
    }

    /// What it has to say goes to the server, if `arrives`.
    fn speak(&mut self, s: &mut Server, arrives: bool) {
        self.stack.on_deadline(s.now, &mut ());
        while self.stack.poll_frame(s.now, &mut (), self.link, &mut |f: &TxFrame<'_>| {
            let bytes = synfin_stack::engine::Chunk::copy_of(&f.to_vec());
            if arrives {
                let frame = RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size: 0 };
                s.stack.on_frame(s.now, &mut (), s.link, frame);
            }
            true
        }) {}
    }

    /// What the server has to say goes out; what is for the client reaches it.
    fn listen(&mut self, s: &mut Server) {
        while s.stack.poll_frame(s.now, &mut (), s.link, &mut |f: &TxFrame<'_>| {
            if f.header[16..20] == [192, 0, 2, 1] {
                let bytes = synfin_stack::engine::Chunk::copy_of(&f.to_vec());
                let frame = RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size: 0 };
                self.stack.on_frame(s.now, &mut (), self.link, frame);
            }
            true
        }) {}
    }
}

/// `syns` SYNs from anywhere in two seconds, and in their midst a client. What it needed: how often its SYN went again.
fn flood(mode: SynCookies, syns: u64, first_is_lost: bool) -> (Option<u8>, Server) {
    const ROUNDS: u64 = 2_000;
    let cfg = TcpConfig { syn_cookies: mode, ..TcpConfig::default() };
    let mut s = Server::new(128, StackConfig::default(), &cfg);
    let (mut seed, mut client, mut in_at) = (1, None, None);
    let mut after_a_tenth = 0;
    for round in 0..ROUNDS {
        for n in 0..syns / ROUNDS {
            s.hear(&stranger(&mut seed));
            if n == syns / ROUNDS / 2 && round >= ROUNDS / 10 {
                let new = client.is_none();
                let c = client.get_or_insert_with(|| Client::new(&s));
                c.speak(&mut s, !(new && first_is_lost));
            }
        }
        match &mut client {
            Some(c) => c.listen(&mut s),
            None => {
                s.drain();
            }
        }
        s.now += Duration::from_millis(1);
        s.stack.on_deadline(s.now, &mut ());
        if let (Some(c), None) = (&mut client, in_at)
            && c.stack.tcp_state(c.conn) == State::Established
            && s.stack.tcp_accept(s.listener).is_some()
        {
            in_at = Some(c.stack.counters().1.retrans_segs as u8);
        }
        let heap = dhat::HeapStats::get().curr_bytes;
        if round == ROUNDS / 10 + 2 {
            after_a_tenth = heap;
        }
        if round > ROUNDS / 10 + 2 {
            let room = 16 << 10; // the client's own segments, and its connection
            assert!(heap < after_a_tenth + room, "round {round}: {heap} octets, {after_a_tenth} after a tenth");
        }
    }
    if let (Some(_), Some(c)) = (in_at, &mut client) {
        let said = c.stack.tcp_send(s.now, &mut (), c.conn, b"still here");
        c.speak(&mut s, true);
        assert_eq!((said, s.stack.occupancy().connections), (Ok(10), 1));
        let t = c.stack.tcp_status(c.conn).unwrap();
        assert_eq!((t.options, t.wscale), ((true, true), (7, 7)), "with all that it asked for");
    }
    (in_at, s)
}

fn story(syns: u64) {
    let _one = HEAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _count = dhat::Profiler::builder().testing().build();
    println!("{syns} SYNs in 2 s, a backlog of 128, and a client in their midst:");
    for (mode, lost) in [(SynCookies::Overflow, false), (SynCookies::Overflow, true), (SynCookies::Off, false)] {
        let (retries, mut s) = flood(mode, syns, lost);
        let o = s.stack.occupancy();
        let names = ["SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "TCPReqQFullDoCookies", "TCPReqQFullDrop"];
        let counts = names.map(|n| s.counter(&format!("TcpExt{n}")));
        let drops = ["ListenDrops", "ListenOverflows"].map(|n| s.counter(&format!("TcpExt{n}")));
        let peak = dhat::HeapStats::get().max_bytes;
        let first = if lost { "its first SYN is lost" } else { "" };
        println!("{mode:?} {first}: in after {retries:?} retries; {names:?} {counts:?}, drops {drops:?}");
        println!(
            "  half-open {}, connections {}, octets of the heap at most so far {peak}",
            o.half_open, o.connections
        );
        assert!(o.half_open <= 128 && o.index <= 129);
        let [sent, recv, failed, cookies, dropped] = counts;
        assert_eq!((failed, cookies, drops), (0, sent, [dropped, 0]));
        if mode == SynCookies::Off {
            // Nobody gets in while strangers keep the queue full.
            assert_eq!((retries, sent, recv), (None, 0, 0));
            assert!(dropped >= syns - 128);
        } else {
            assert_eq!((retries, recv, dropped), (Some(u8::from(lost)), 1, 0));
            assert!(sent >= syns - 128);
        }
        s.run(Duration::from_secs(200));
        assert_eq!(s.stack.occupancy().half_open, 0);
        s.stack.check_invariants();
    }
}

#[test]
fn a_syn_flood_costs_no_memory_and_a_client_gets_in_at_once() {
    story(40_000);
}

#[test]
#[ignore = "the same with a million SYNs: a minute, for each octet is counted"]
fn a_syn_flood_of_a_million() {
    story(1_000_000);
}
