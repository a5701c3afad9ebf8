//! Packets that broke others, thrown at a whole host: no panic, the right verdict, and the counter that says so.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::config::{MtuProbing, SynCookies};
use synfin_stack::engine::probe::Watch;
use synfin_stack::engine::{
    Chunk, CloseReason, Event, Events, Instant, Observer, Rng, Rule, State, TcpConfig, Trigger, Verdict,
};
use synfin_stack::wire::frame::{self, TcpPacket};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::tcp::{Flags, Header};
use synfin_stack::wire::{Protocol, SeqNum, checksum, icmp, ipv4, ipv6};
use synfin_stack::{
    Cidr, ConnId, ConnectError, LinkConfig, LinkId, ListenError, ListenerId, Occupancy, Route, RxChecksum, RxFrame,
    SocketEvent, Stack, StackConfig, TxFrame,
};

const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

struct Lab {
    stack: Stack,
    link: LinkId,
    now: Instant,
    listener: ListenerId,
}

impl Lab {
    fn new(cfg: StackConfig) -> Lab {
        let mut stack = Stack::new(cfg, TcpConfig::default(), Rng::from_number(1));
        let now = Instant::from_nanos(1_000_000_000);
        let link = stack.add_link(now, LinkConfig::ip(1500));
        stack.add_address(now, link, Cidr { addr: OURS.into(), prefix: 24 });
        stack.add_address(now, link, Cidr { addr: "fd00:2::2".parse().unwrap(), prefix: 64 });
        let on = SocketAddr::from((OURS, 80));
        let listener = stack.tcp_listen(now, &mut (), on, 4, &TcpConfig::default()).unwrap();
        Lab { stack, link, now, listener }
    }

    /// Hands in a packet; returns what the host sends.
    fn packet(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let frame = RxFrame { bytes: Chunk::copy_of(bytes), checksum: RxChecksum::Unverified, gso_size: 0 };
        self.stack.on_frame(self.now, &mut (), self.link, frame);
        self.stack.check_invariants();
        self.out()
    }

    fn out(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut sink = |f: &TxFrame<'_>| {
            all.push(f.to_vec());
            true
        };
        while self.stack.poll_frame(self.now, &mut (), self.link, &mut sink) {}
        all
    }

    fn run(&mut self, d: Duration) {
        let until = self.now + d;
        loop {
            let next = self.stack.next_deadline(self.now);
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            self.stack.on_deadline(self.now, &mut ());
            self.out();
        }
    }

    /// A connection from `port`, established.
    fn establish(&mut self, port: u16) -> ConnId {
        let out = self.packet(&tcp(port, Flags::SYN, 1000, 0, &[2, 4, 5, 0xb4]));
        let ack = head(&out[0]).seq.0.wrapping_add(1);
        self.packet(&tcp(port, Flags::ACK, 1001, ack, b""));
        self.stack.tcp_accept(self.listener).expect("a finished connection")
    }

    fn icmp(&mut self, m: &icmp::Message<'_>) -> Vec<Vec<u8>> {
        let mut b = vec![0; 100];
        let n = icmp::emit_v4(m, &mut b).unwrap();
        self.packet(&ip(PEER, OURS, Protocol::ICMP, &b[..n]))
    }
}

fn head(b: &[u8]) -> Header {
    TcpPacket::parse(b).unwrap().expect("a segment").header
}

fn ip(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut b = vec![0; 20 + payload.len()];
    let total_len = b.len() as u16;
    ipv4::Header {
        header_len: 20,
        dscp: 0,
        ecn: Ecn::NotEct,
        total_len,
        ident: 9,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol,
        src,
        dst,
        source_routed: false,
    }
    .emit(&mut b)
    .unwrap();
    b[20..].copy_from_slice(payload);
    b
}

/// A segment from anywhere to anywhere, with a correct checksum.
fn segment(src: Ipv4Addr, dst: Ipv4Addr, ports: (u16, u16), flags: Flags, seq: u32, ack: u32, opts: &[u8]) -> Vec<u8> {
    let hdr = Header {
        src_port: ports.0,
        dst_port: ports.1,
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        header_len: 20,
        flags,
        window: 1000,
        urgent: 0,
    };
    let mut b = vec![0; 40 + opts.len()];
    frame::emit_tcp_v4((src, dst), &hdr, opts, &[], &mut b).unwrap();
    b
}

/// A segment of the peer's to our port 80.
fn tcp(port: u16, flags: Flags, seq: u32, ack: u32, opts: &[u8]) -> Vec<u8> {
    segment(PEER, OURS, (port, 80), flags, seq, ack, opts)
}

/// Collects what became of segments.
#[derive(Default)]
struct Verdicts(Vec<Verdict>);

impl Observer for Verdicts {
    fn event(&mut self, _: Instant, _: u64, e: &Event) {
        if let Event::Arrived { verdict, .. } = *e {
            self.0.push(verdict);
        }
    }
}

#[test]
//= RFC 9293 3.1 MUST-3
fn a_bad_checksum_is_dropped_and_counted() {
    let mut lab = Lab::new(StackConfig::default());
    let mut b = tcp(1000, Flags::SYN, 1, 0, b"");
    b[36] ^= 1;
    let mut seen = Verdicts::default();
    let frame = RxFrame { bytes: Chunk::copy_of(&b), checksum: RxChecksum::Unverified, gso_size: 0 };
    lab.stack.on_frame(lab.now, &mut Watch::new(&mut seen), lab.link, frame);
    assert_eq!(seen.0, [Verdict::Dropped(Rule::BadChecksum)]);
    assert!(lab.out().is_empty());
    (b[36], b[37]) = (0, 0);
    assert!(lab.packet(&b).is_empty(), "a checksum of zero is no exception for TCP");
    assert_eq!(lab.stack.counters().1.in_csum_errors, 2);
    assert_eq!(lab.stack.occupancy().half_open, 0);
}

#[test]
fn data_offsets_under_five_or_beyond_the_segment() {
    let mut lab = Lab::new(StackConfig::default());
    for offset in [0u8, 1, 4, 6, 15] {
        let mut b = tcp(1000, Flags::SYN, 1, 0, b"");
        b[32] = offset << 4;
        b[36..38].copy_from_slice(&[0, 0]);
        let sum = checksum::pseudo_v4(PEER, OURS, 6, 20).add(&b[20..]).finish();
        b[36..38].copy_from_slice(&sum.to_be_bytes());
        assert!(lab.packet(&b).is_empty(), "{offset}");
    }
    assert_eq!(lab.stack.counters().1.in_errs, 5);
}

#[test]
fn every_combination_of_flags_leaves_a_sound_host() {
    let mut lab = Lab::new(StackConfig::default());
    for flags in 0..512u16 {
        for port in [80, 81] {
            lab.packet(&segment(PEER, OURS, (1000 + flags, port), Flags(flags), 1, 2, &[]));
        }
        let f = Flags(flags);
        let opens = f.has(Flags::SYN) && !f.any(Flags::ACK | Flags::RST);
        assert_eq!(lab.stack.occupancy().half_open, usize::from(opens), "{f:?}");
        lab.packet(&segment(PEER, OURS, (1000 + flags, 80), Flags::RST, 2, 0, &[]));
        assert_eq!(lab.stack.occupancy().half_open, 0, "{f:?}");
    }
}

#[test]
//= RFC 9293 3.1 (reserved bits: zero in what is sent, ignored in what is received)
fn the_reserved_bits_are_ignored_and_never_sent() {
    let mut lab = Lab::new(StackConfig::default());
    let reserved = |mut b: Vec<u8>| {
        b[32] |= 0x0e;
        b[36..38].copy_from_slice(&[0, 0]);
        let sum = checksum::pseudo_v4(PEER, OURS, 6, (b.len() - 20) as u32).add(&b[20..]).finish();
        b[36..38].copy_from_slice(&sum.to_be_bytes());
        b
    };
    let out = lab.packet(&reserved(tcp(1000, Flags::SYN, 1000, 0, b"")));
    assert_eq!((head(&out[0]).flags, out[0][32] & 0x0f), (Flags::SYN | Flags::ACK, 0));
    let ack = head(&out[0]).seq.0.wrapping_add(1);
    lab.packet(&reserved(tcp(1000, Flags::ACK, 1001, ack, b"")));
    assert!(lab.stack.tcp_accept(lab.listener).is_some());
}

#[test]
fn syn_with_ece_and_cwr_is_a_syn() {
    let mut lab = Lab::new(StackConfig::default());
    let out = lab.packet(&tcp(1000, Flags::SYN | Flags::ECE | Flags::CWR, 1, 0, b""));
    assert_eq!(head(&out[0]).flags, Flags::SYN | Flags::ACK | Flags::ECE, "ECN is granted to whom asks for it");
    let ack = head(&out[0]).seq.0.wrapping_add(1);
    lab.packet(&tcp(1000, Flags::ACK, 2, ack, b""));
    assert!(lab.stack.tcp_accept(lab.listener).is_some());
}

#[test]
//= RFC 9293 3.9.2.3 MUST-57 MUST-63
fn addresses_that_no_connection_can_have_are_dropped_and_counted() {
    let mut lab = Lab::new(StackConfig::default());
    let bad: [[u8; 4]; 6] = [[0; 4], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1], [192, 0, 2, 255], [192, 0, 2, 2]];
    for src in bad {
        let ports = if src == OURS.octets() { (80, 80) } else { (1000, 80) };
        assert!(lab.packet(&segment(src.into(), OURS, ports, Flags::SYN, 1, 0, &[])).is_empty(), "{src:?}");
    }
    for dst in [[192, 0, 2, 255], [255; 4], [224, 0, 0, 1]] {
        assert!(lab.packet(&segment(PEER, dst.into(), (1000, 80), Flags::SYN, 1, 0, &[])).is_empty());
    }
    for ports in [(0, 80), (1000, 0)] {
        assert!(lab.packet(&segment(PEER, OURS, ports, Flags::SYN, 1, 0, &[])).is_empty());
    }
    let (mib, _) = lab.stack.counters();
    assert_eq!(mib.tcp_martian + mib.ip_in_addr_errors, 11);
    assert_eq!(lab.stack.occupancy().half_open, 0);
}

#[test]
//= RFC 9293 3.9.2.3 MUST-57 MUST-63
fn ipv6_addresses_that_no_connection_can_have_are_dropped_and_counted() {
    let mut lab = Lab::new(StackConfig::default());
    let syn = |src: &str, dst: &str, ports: (u16, u16)| {
        let (src, dst): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), dst.parse().unwrap());
        let mut b = vec![0; 60];
        let (dscp, ecn, flow_label, next_header) = (0, Ecn::NotEct, 0, Protocol::TCP);
        ipv6::Header { dscp, ecn, flow_label, payload_len: 20, next_header, hop_limit: 64, src, dst }
            .emit(&mut b)
            .unwrap();
        b[40..].copy_from_slice(&segment(PEER, OURS, ports, Flags::SYN, 1, 0, b"")[20..]);
        b[56..58].copy_from_slice(&[0, 0]);
        let sum = checksum::pseudo_v6(src, dst, 6, 20).add(&b[40..]).finish();
        b[56..58].copy_from_slice(&sum.to_be_bytes());
        b
    };
    let ours = "fd00:2::2";
    let bad = [("::", ours), ("::1", ours), ("ff02::1", ours), ("::ffff:192.0.2.1", ours), ("fd00:2::1", "ff02::1")];
    for (src, dst) in bad {
        assert!(lab.packet(&syn(src, dst, (1000, 80))).is_empty(), "{src} > {dst}");
    }
    assert!(lab.packet(&syn(ours, ours, (80, 80))).is_empty(), "LAND");
    let (mib, _) = lab.stack.counters();
    assert_eq!(mib.tcp_martian + mib.ip_in_addr_errors, 6);
    let out = lab.packet(&syn("fd00:2::1", ours, (1000, 80)));
    assert_eq!(head(&out[0]).flags, Flags::RST | Flags::ACK, "a good one is answered: nobody listens on this address");
}

#[test]
//= RFC 9293 3.1 MUST-6 MUST-7
fn option_areas_of_every_kind_are_survived() {
    let mut lab = Lab::new(StackConfig::default());
    let areas: [&[u8]; 13] = [
        &[2, 0, 0, 0],
        &[2, 1, 0, 0],
        &[2, 40, 0, 0],
        &[0, 7, 7, 7],
        &[1; 40],
        &[2, 4, 0, 0],
        &[2, 4, 0, 1],
        &[3, 3, 255, 0],
        &[5, 10, 0, 0, 0, 9, 0, 0, 0, 1, 1, 1],
        &[253, 4, 1, 2],
        &[34, 3, 9, 1],
        &[34, 19, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1, 1, 1, 1],
        &[30, 4, 0x90, 0],
    ];
    for (i, area) in areas.iter().enumerate() {
        let port = 2000 + i as u16;
        let out = lab.packet(&tcp(port, Flags::SYN, 1, 0, area));
        assert_eq!(head(&out[0]).flags, Flags::SYN | Flags::ACK, "{area:?}");
        lab.packet(&tcp(port, Flags::RST, 2, 0, b""));
    }
}

#[test]
fn a_tiny_mss_does_not_make_a_storm_of_headers() {
    let mut lab = Lab::new(StackConfig::default());
    let out = lab.packet(&tcp(1000, Flags::SYN, 1000, 0, &[2, 4, 0, 1]));
    let ack = head(&out[0]).seq.0.wrapping_add(1);
    lab.packet(&tcp(1000, Flags::ACK, 1001, ack, b""));
    let c = lab.stack.tcp_accept(lab.listener).unwrap();
    assert_eq!(lab.stack.tcp_status(c).map(|s| s.mss), Some(TcpConfig::default().mss_min));
}

#[test]
fn a_syn_flood_fills_the_syn_queue_and_no_more() {
    for (mode, dropped, cookies) in
        [(SynCookies::Off, 9_996, 0), (SynCookies::Overflow, 0, 9_996), (SynCookies::Always, 0, 10_000)]
    {
        let mut lab = Lab::new(StackConfig::default());
        assert!(lab.stack.tcp_configure_listener(lab.listener, |c| c.syn_cookies = mode));
        for i in 0..10_000u32 {
            let src = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 0, 0)) + i);
            lab.packet(&segment(src, OURS, (1000, 80), Flags::SYN, i, 0, &[]));
        }
        let s = lab.stack.tcp_listener_status(lab.listener).unwrap();
        let half_open = if mode == SynCookies::Always { 0 } else { 4 };
        assert_eq!((s.half_open, s.dropped, s.cookies.sent), (half_open, dropped, cookies), "{mode:?}");
        let (m, _) = lab.stack.counters();
        assert_eq!((m.listen_drops, m.req_q_full_drop, m.listen_overflows), (dropped, dropped, 0), "{mode:?}");
        assert_eq!((m.cookies_sent, m.req_q_full_do_cookies), (cookies, cookies), "{mode:?}");
        lab.run(Duration::from_secs(300));
        assert_eq!(lab.stack.occupancy().half_open, 0, "given up after the retries");
    }
}

#[test]
fn a_full_accept_queue_makes_us_look_busy_until_there_is_room() {
    let mut lab = Lab::new(StackConfig::default());
    let acks: Vec<(u16, u32)> = (1000..1004)
        .map(|port| (port, head(&lab.packet(&tcp(port, Flags::SYN, 1000, 0, b""))[0]).seq.0.wrapping_add(1)))
        .collect();
    for (port, ack) in acks {
        lab.packet(&tcp(port, Flags::ACK, 1001, ack, b""));
    }
    let s = lab.stack.tcp_listener_status(lab.listener).unwrap();
    assert_eq!((s.accept_queue, s.half_open), (4, 0));
    assert!(lab.packet(&tcp(1004, Flags::SYN, 1000, 0, b"")).is_empty());
    assert!(lab.stack.tcp_accept(lab.listener).is_some());
    assert_eq!(lab.packet(&tcp(1004, Flags::SYN, 1000, 0, b"")).len(), 1, "its SYN, sent again, is taken");
}

#[test]
fn resets_and_icmp_errors_are_limited_in_rate() {
    let cfg = StackConfig { resets_per_second: 10, icmp_errors_per_second: 10, ..StackConfig::default() };
    let mut lab = Lab::new(cfg);
    let refused = |i: u16| segment(PEER, OURS, (i + 1, 81), Flags::SYN, 1, 0, &[]);
    let sent: usize = (0..100).map(|i| lab.packet(&refused(i)).len()).sum();
    assert_eq!((sent, lab.stack.counters().0.rst_limited), (10, 90));
    let udp = ip(PEER, OURS, Protocol::UDP, &[0, 9, 0, 9, 0, 9, 0, 0, 1]);
    let sent: usize = (0..100).map(|_| lab.packet(&udp).len()).sum();
    assert_eq!((sent, lab.stack.counters().0.icmp_out_limited), (10, 90));
}

/// Floods of segments that are nobody's: every kind is answered within the rate or not at all.
#[test]
fn floods_of_ack_fin_and_rst_that_are_nobodys_are_limited_and_leave_nothing() {
    let cfg = StackConfig { resets_per_second: 10, ..StackConfig::default() };
    for (flags, most) in [(Flags::ACK, 10), (Flags::FIN | Flags::ACK, 10), (Flags::RST, 0), (Flags::NONE, 10)] {
        let mut lab = Lab::new(cfg.clone());
        let before = lab.stack.occupancy();
        let sent: usize = (0..5_000u16)
            .map(|i| lab.packet(&segment(PEER, OURS, (1 + i % 100, 81), flags, u32::from(i), 7, &[])).len())
            .sum();
        assert_eq!((sent, lab.stack.occupancy()), (most, before), "{flags:?}");
        let limited = if most == 0 { 0 } else { 5_000 - most as u64 };
        assert_eq!(lab.stack.counters().0.rst_limited, limited, "{flags:?}");
    }
}

/// Ten thousand of each into a connection: it stays, nothing grows, and answers are few; where each is answered, since it may
/// be a retransmission, the answer is one, and no larger.
#[test]
//= RFC 5961 7
fn floods_into_a_connection_cost_it_nothing() {
    for (flags, text) in
        [(Flags::ACK, 0), (Flags::RST, 0), (Flags::FIN | Flags::ACK, 0), (Flags::SYN, 0), (Flags::ACK, 100)]
    {
        let mut lab = Lab::new(StackConfig::default());
        let c = lab.establish(1000);
        let (nxt, ack) = lab.stack.tcp_status(c).map(|s| (s.seq.2, s.seq.1)).unwrap();
        let before = lab.stack.occupancy();
        let mut sent = 0;
        for i in 0..10_000u32 {
            // Anywhere but where it would count: behind what came, or beyond the window.
            let seq =
                if i % 2 == 0 { nxt.0.wrapping_sub(2 + text as u32 + i) } else { nxt.0.wrapping_add(1_000_000 + i) };
            let mut p = segment(PEER, OURS, (1000, 80), flags, seq, ack.0, &[]);
            if text > 0 {
                p = ip(PEER, OURS, Protocol::TCP, &with_text(&p[20..], text));
            }
            let answers = lab.packet(&p);
            let octets: usize = answers.iter().map(Vec::len).sum();
            assert!(answers.len() <= 1 && octets <= p.len(), "{flags:?}: nothing is gained by what comes back");
            sent += answers.len();
        }
        assert_eq!((lab.stack.tcp_state(c), lab.stack.occupancy()), (State::Established, before), "{flags:?}");
        // What has text or a FIN may be a retransmission, whose sender waits for the answer; all others are limited.
        let answered = flags.has(Flags::FIN) || text > 0;
        assert!(sent <= if answered { 10_000 } else { 1 }, "{flags:?}: {sent} answers");
    }
}

/// The octets of a segment with text behind, and its checksum made anew.
fn with_text(segment: &[u8], text: usize) -> Vec<u8> {
    let mut b = segment.to_vec();
    b.resize(b.len() + text, 7);
    b[16..18].fill(0);
    let sum = checksum::pseudo_v4(PEER, OURS, 6, b.len() as u32).add(&b).finish();
    Header::put_checksum(&mut b, sum);
    b
}

/// A segment of the peer's to our port 80 whose urgent pointer is `up`, with `text` octets.
fn urgent(flags: Flags, seq: u32, ack: u32, up: u16, text: usize) -> Vec<u8> {
    let mut p = segment(PEER, OURS, (1000, 80), flags | Flags::URG, seq, ack, &[]);
    p[38..40].copy_from_slice(&up.to_be_bytes());
    ip(PEER, OURS, Protocol::TCP, &with_text(&p[20..], text))
}

/// The octets stay in line and nothing is indexed by the pointer (RFC 6093 4): the worst that it can do is to say how much is urgent.
#[test]
//= RFC 9293 3.8.5 MUST-31
fn urgent_pointers_behind_beyond_and_across_the_wrap_only_say_how_much_is_urgent() {
    // The last number is 2^32 - 101 once, so that the text and what the pointer names wrap.
    for irs in [1000, u32::MAX - 100] {
        let mut lab = Lab::new(StackConfig::default());
        let out = lab.packet(&tcp(1000, Flags::SYN, irs, 0, &[2, 4, 5, 0xb4]));
        let ack = head(&out[0]).seq.0.wrapping_add(1);
        let nxt = irs.wrapping_add(1);
        lab.packet(&tcp(1000, Flags::ACK, nxt, ack, b""));
        let c = lab.stack.tcp_accept(lab.listener).unwrap();
        let left = |lab: &Lab| lab.stack.tcp_status(c).unwrap().urgent;
        let before = lab.stack.occupancy();
        // Nothing is announced that has passed: the pointer at RCV.NXT, and behind it.
        lab.packet(&urgent(Flags::ACK, nxt, ack, 0, 0));
        lab.packet(&urgent(Flags::ACK, nxt.wrapping_sub(500), ack, 400, 500));
        assert_eq!(left(&lab), 0);
        // Far beyond the window, and on segments without text.
        lab.packet(&urgent(Flags::ACK, nxt, ack, 65_535, 0));
        assert_eq!(left(&lab), 65_535, "beyond the window of a host whose peer does not scale");
        assert_eq!(lab.stack.occupancy(), before, "what is announced costs nothing");
        // It never moves back.
        lab.packet(&urgent(Flags::ACK, nxt, ack, 1, 0));
        assert_eq!(left(&lab), 65_535);
        // Text is taken by its place, whatever the pointer says, and all of it is delivered.
        lab.packet(&urgent(Flags::ACK | Flags::PSH, nxt, ack, 65_535, 300));
        let mut text = vec![0; 1000];
        assert_eq!(lab.stack.tcp_receive(lab.now, &mut (), c, &mut text), Ok(300));
        assert_eq!((left(&lab), &text[..300]), (65_235, &[7; 300][..]));
        // A FIN ends what is urgent: nothing can follow it.
        lab.packet(&urgent(Flags::ACK | Flags::FIN, nxt.wrapping_add(300), ack, 65_535, 10));
        assert_eq!((lab.stack.tcp_state(c), left(&lab)), (State::CloseWait, 10));
        assert_eq!(lab.stack.tcp_receive(lab.now, &mut (), c, &mut text), Ok(10));
        assert_eq!((lab.stack.tcp_receive(lab.now, &mut (), c, &mut text), left(&lab)), (Ok(0), 0));
    }
}

#[test]
fn an_urgent_pointer_on_a_syn_changes_nothing() {
    for flags in [Flags::SYN, Flags::SYN | Flags::FIN] {
        let mut lab = Lab::new(StackConfig::default());
        let answers = lab.packet(&urgent(flags, 1000, 0, 65_535, 0));
        let plain = lab_that_got(&segment(PEER, OURS, (1000, 80), flags, 1000, 0, &[]));
        let like = |all: &[Vec<u8>]| all.iter().map(|b| (head(b).flags, head(b).ack)).collect::<Vec<_>>();
        assert_eq!(like(&answers), like(&plain.1), "{flags:?}");
        assert_eq!(lab.stack.occupancy(), plain.0.stack.occupancy(), "{flags:?}");
    }
}

fn lab_that_got(packet: &[u8]) -> (Lab, Vec<Vec<u8>>) {
    let mut lab = Lab::new(StackConfig::default());
    let answers = lab.packet(packet);
    (lab, answers)
}

/// 10,000 announcements, each of another octet: the user is told once until he looks, no memory is held, and what is not
/// text is not answered more than its like without the flag.
#[test]
fn a_flood_of_urgent_pointers_is_one_event_and_no_memory() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    let (nxt, ack) = lab.stack.tcp_status(c).map(|s| (s.seq.2.0, s.seq.1.0)).unwrap();
    while lab.stack.poll_event().is_some() {}
    let before = lab.stack.occupancy();
    let mut sent = 0;
    for i in 0..10_000u32 {
        // In the window and without text, behind it, and beyond it.
        let seq = [nxt, nxt.wrapping_sub(1 + i), nxt.wrapping_add(1_000_000 + i)][i as usize % 3];
        sent += lab.packet(&urgent(Flags::ACK, seq, ack, (i * 7) as u16, 0)).len();
    }
    assert_eq!((lab.stack.tcp_state(c), lab.stack.occupancy()), (State::Established, before));
    assert!(sent <= 1, "{sent} answers: a segment out of the window is answered, and those are limited");
    let mut told = 0;
    while let Some(e) = lab.stack.poll_event() {
        told += usize::from(e == SocketEvent::Tcp(c) && lab.stack.tcp_events(c).has(Events::URGENT));
    }
    assert_eq!(told, 1);
}

/// Who spoofs learns nothing from how many answers are left for himself.
#[test]
fn the_limit_of_answers_to_others_cannot_be_seen() {
    let stranger = Ipv4Addr::new(192, 0, 2, 77);
    let answers_to_the_stranger = |known: bool| {
        let cfg = StackConfig { resets_per_second: 10, ..StackConfig::default() };
        let mut lab = Lab::new(cfg);
        if known {
            lab.establish(1000);
        }
        // In the name of the peer: a tuple that may or may not exist.
        for i in 0..1_000 {
            lab.packet(&segment(PEER, OURS, (1000, 80), Flags::SYN | Flags::ACK, 5 + i, 9, &[]));
        }
        (0..20)
            .map(|i| lab.packet(&segment(stranger, OURS, (2000 + i, 81), Flags::SYN, 1, 0, &[])).len())
            .sum::<usize>()
    };
    assert_eq!((answers_to_the_stranger(true), answers_to_the_stranger(false)), (10, 10));
}

#[test]
//= RFC 5927 4.1
//= RFC 5927 5.2
//= RFC 9293 3.9.2.2 MUST-54 MUST-56
//= RFC 7323 5.7
fn icmp_errors_are_hints_and_only_about_what_is_in_flight() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 1400]).unwrap();
    let sent = lab.out();
    let (seq, mss) = (head(&sent[0]).seq.0, lab.stack.tcp_status(c).unwrap().mss);
    let quote = |seq: u32| {
        let mut q = sent[0][..28].to_vec();
        q[24..28].copy_from_slice(&seq.to_be_bytes());
        q
    };
    for guess in [seq.wrapping_sub(1), seq.wrapping_add(1 << 20)] {
        lab.icmp(&icmp::Message::PacketTooBig(600, &quote(guess)));
        assert_eq!(lab.stack.tcp_status(c).unwrap().mss, mss, "a guess");
    }
    assert_eq!(lab.stack.counters().0.icmp_in_ignored, 2);
    lab.icmp(&icmp::Message::Unreachable(icmp::Unreachable::Port, &quote(seq)));
    assert_eq!(lab.stack.tcp_state(c), State::Established, "a hard error is soft here");
    for (mtu, want) in [(1000, 960), (0, 468), (1400, 468), (300, 260), (68, 88)] {
        lab.icmp(&icmp::Message::PacketTooBig(mtu, &quote(seq)));
        assert_eq!(lab.stack.tcp_status(c).unwrap().mss, want, "MTU {mtu}");
    }
}

#[test]
//= RFC 5927 5.2
//= RFC 9293 3.9.2.2 MUST-56 SHLD-26
fn no_icmp_error_ends_or_slows_an_established_connection() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 800]).unwrap();
    let sent = lab.out();
    let before = lab.stack.tcp_status(c);
    for kind in [3u8, 11, 12] {
        for code in 0..=15 {
            if (kind, code) == (3, 4) {
                continue; // too big: another matter
            }
            let mut b = vec![kind, code, 0, 0, 0, 0, 0, 0];
            b.extend_from_slice(&sent[0][..28]);
            let sum = checksum::Sum::ZERO.add(&b).finish();
            b[2..4].copy_from_slice(&sum.to_be_bytes());
            assert!(lab.packet(&ip(PEER, OURS, Protocol::ICMP, &b)).is_empty(), "{kind} {code}");
            assert_eq!(lab.stack.tcp_status(c), before, "{kind} {code}");
        }
    }
    let ack = head(&sent[0]).seq.0.wrapping_add(800);
    lab.packet(&tcp(1000, Flags::ACK, 1001, ack, b""));
    assert_eq!(lab.stack.tcp_status(c).map(|s| (s.state, s.unacked)), Some((State::Established, 0)), "it goes on");
}

#[test]
//= RFC 1191 6.3
//= RFC 8201 5.3
fn what_a_router_said_of_the_path_is_forgotten_after_ten_minutes() {
    let mut lab = Lab::new(StackConfig::default());
    let mss = |lab: &Lab, c| lab.stack.tcp_status(c).unwrap().mss;
    let c = lab.establish(1000);
    // Nobody answers for ten minutes: that would be a black hole.
    assert!(lab.stack.tcp_configure(lab.now, &mut (), c, |t| t.mtu_probing = MtuProbing::Off));
    let full = mss(&lab, c);
    lab.stack.tcp_send(lab.now, &mut (), c, &vec![1; 20_000]).unwrap();
    let sent = lab.out();
    lab.icmp(&icmp::Message::PacketTooBig(1000, &sent[0][..28]));
    let next = lab.establish(1001);
    assert_eq!((full, mss(&lab, c), mss(&lab, next)), (1460, 960, 960));
    lab.run(Duration::from_secs(590));
    let next = lab.establish(1002);
    assert_eq!((mss(&lab, c), mss(&lab, next)), (960, 960));
    lab.run(Duration::from_secs(80));
    let next = lab.establish(1003);
    assert_eq!((mss(&lab, c), mss(&lab, next)), (1460, 1460));
    // Its congestion window had come down to one segment of the smaller size; the peer's window is 1000.
    let seq = head(&sent[0]).seq.0;
    let out = lab.packet(&tcp(1000, Flags::ACK, 1001, seq.wrapping_add(960), b""));
    assert_eq!(out.iter().map(|b| b.len() - 40).max(), Some(1000));
}

#[test]
//= RFC 9293 3.9.2.2 MUST-54 SHLD-26
fn icmp_port_unreachable_refuses_a_connection_that_is_being_opened() {
    let mut lab = Lab::new(StackConfig::default());
    let to = SocketAddr::from((PEER, 99));
    let c = lab.stack.tcp_connect(lab.now, &mut (), None, to, &TcpConfig::default()).unwrap();
    let syn = lab.out();
    for short in [27, 20, 1, 0] {
        lab.icmp(&icmp::Message::Unreachable(icmp::Unreachable::Port, &syn[0][..short]));
    }
    assert_eq!(lab.stack.counters().0.icmp_in_errors, 4);
    lab.icmp(&icmp::Message::Unreachable(icmp::Unreachable::Port, &syn[0][..28]));
    assert_eq!(lab.stack.tcp_state(c), State::Closed);
}

#[test]
fn self_connect_is_refused_as_an_address_in_use() {
    let mut lab = Lab::new(StackConfig::default());
    let me = SocketAddr::from((OURS, 5000));
    let r = lab.stack.tcp_connect(lab.now, &mut (), Some(me), me, &TcpConfig::default());
    assert_eq!(r, Err(ConnectError::AddressInUse));
}

#[test]
fn ip_packets_that_lie_about_themselves() {
    let mut lab = Lab::new(StackConfig::default());
    for b in [&[][..], &[0x45], &[0x60], &[0x45; 19], &[0x60; 39], &[0x15; 40], &[0x44; 40], &[0x4f; 40]] {
        assert!(lab.packet(b).is_empty());
    }
    assert_eq!(lab.stack.counters().0.ip_in_hdr_errors, 8);
}

/// The header of a segment in two fragments, or in three: a filter that looks at the first alone sees no flags (RFC 1858).
#[test]
fn a_segment_in_tiny_fragments_is_put_together_and_judged_as_a_whole() {
    let mut lab = Lab::new(StackConfig::default());
    let whole = tcp(1000, Flags::SYN, 1000, 0, &[2, 4, 5, 0xb4, 1, 1, 1, 1]);
    let piece = |at: usize, to: usize| {
        let mut b = whole[..20].to_vec();
        b.extend_from_slice(&whole[20 + at..20 + to]);
        let more = if 20 + to < whole.len() { 0x2000 } else { 0 };
        let total = b.len() as u16;
        b[2..4].copy_from_slice(&total.to_be_bytes());
        b[6..8].copy_from_slice(&(more | (at as u16 / 8)).to_be_bytes());
        b[10..12].fill(0);
        let sum = checksum::Sum::ZERO.add(&b[..20]).finish();
        b[10..12].copy_from_slice(&sum.to_be_bytes());
        b
    };
    let len = whole.len() - 20;
    assert_eq!(len % 8, 4, "the last is under eight octets");
    for p in [piece(16, 24), piece(24, len), piece(8, 16)] {
        assert!(lab.packet(&p).is_empty());
    }
    assert_eq!(lab.stack.occupancy().half_open, 0);
    let out = lab.packet(&piece(0, 8));
    assert_eq!(head(&out[0]).flags, Flags::SYN | Flags::ACK);
    let o = lab.stack.occupancy();
    assert_eq!((o.half_open, o.fragments), (1, 0));
}

#[test]
fn ipv6_options_that_ask_for_it_are_answered_and_mapped_addresses_are_nobodys() {
    let mut lab = Lab::new(StackConfig::default());
    let packet = |src: &str, rest: &[u8]| {
        let mut b = vec![0; 40];
        ipv6::Header {
            dscp: 0,
            ecn: Ecn::NotEct,
            flow_label: 0,
            payload_len: rest.len() as u16,
            next_header: Protocol(60),
            hop_limit: 64,
            src: src.parse::<Ipv6Addr>().unwrap(),
            dst: "fd00:2::2".parse().unwrap(),
        }
        .emit(&mut b)
        .unwrap();
        b.extend_from_slice(rest);
        b
    };
    let unknown = [6, 0, 0xbe, 4, 0, 0, 0, 0];
    assert_eq!(lab.packet(&packet("fd00:2::1", &unknown)).len(), 1, "parameter problem");
    assert!(lab.packet(&packet("fd00:2::1", &[6, 0, 0x7e, 4, 0, 0, 0, 0])).is_empty());
    assert!(lab.packet(&packet("::ffff:192.0.2.1", &unknown)).is_empty());
    assert_eq!(lab.stack.counters().0.ip_in_addr_errors, 1);
}

#[test]
fn a_peer_that_sends_an_octet_a_minute_costs_one_connection_and_no_more() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    let nxt = lab.stack.tcp_status(c).unwrap().seq.1.0;
    let before = lab.stack.occupancy();
    for i in 0..120 {
        let mut b = segment(PEER, OURS, (1000, 80), Flags::ACK, 1001 + i, nxt, b"");
        b.push(b'x');
        let (body, len) = (b.split_off(20), 21);
        let mut b = ip(PEER, OURS, Protocol::TCP, &body);
        b[36..38].copy_from_slice(&[0, 0]);
        let sum = checksum::pseudo_v4(PEER, OURS, 6, len).add(&b[20..]).finish();
        b[36..38].copy_from_slice(&sum.to_be_bytes());
        lab.packet(&b);
        lab.run(Duration::from_secs(60));
    }
    assert_eq!(lab.stack.tcp_status(c).unwrap().rcv_queued, 120);
    let memory = lab.stack.occupancy().memory;
    assert!((120..=2_048).contains(&memory), "a small buffer: {memory}");
    assert_eq!(lab.stack.occupancy(), Occupancy { memory, ..before });
}

/// Slow reading: full send queues behind windows that are opened by an octet at a time.
#[test]
fn peers_that_read_an_octet_at_a_time_hold_their_buffers_and_nothing_else_and_the_user_decides_how_long() {
    let mut lab = Lab::new(StackConfig::default());
    let limit = Duration::from_secs(600);
    let conns: Vec<(u16, ConnId)> = (0..20).map(|i| (1000 + i, lab.establish(1000 + i))).collect();
    let most = TcpConfig::default().snd_buf_max as usize;
    let mut queued = 0;
    for (_, c) in &conns {
        // A user who minds sets a limit: how long its text may stay without an answer (RFC 9293 3.10.8).
        while let Ok(n) = lab.stack.tcp_send(lab.now, &mut (), *c, &[7; 65_536]) {
            queued += n;
        }
    }
    lab.out();
    assert!(queued <= conns.len() * (most + 65_536), "{queued} octets for {} connections", conns.len());
    let before = lab.stack.occupancy();
    for _ in 0..60 {
        for (port, c) in &conns {
            let (una, nxt) = lab.stack.tcp_status(*c).map(|s| (s.seq.0.0, s.seq.2.0)).unwrap();
            let mut p = segment(PEER, OURS, (*port, 80), Flags::ACK, nxt, una.wrapping_add(1), &[]);
            p[34..36].copy_from_slice(&1u16.to_be_bytes());
            p[36..38].fill(0);
            let sum = checksum::pseudo_v4(PEER, OURS, 6, 20).add(&p[20..]).finish();
            p[36..38].copy_from_slice(&sum.to_be_bytes());
            assert!(lab.packet(&p).len() <= 2, "an octet buys an octet");
        }
        lab.run(Duration::from_secs(10));
    }
    assert_eq!(lab.stack.occupancy(), before, "they live, and so do their connections");
    // The peers go: what is left is given up, for the user has said when.
    for (_, c) in &conns {
        lab.stack.tcp_configure(lab.now, &mut (), *c, |t| t.user_timeout = limit);
    }
    lab.run(limit * 2);
    assert!(conns.iter().all(|(_, c)| lab.stack.tcp_state(*c) == State::Closed));
}

#[test]
fn a_redirect_changes_no_route() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, b"x").unwrap();
    let sent = lab.out();
    let mut m = vec![5, 1, 0, 0, 192, 0, 2, 66];
    m.extend_from_slice(&sent[0][..28]);
    let sum = checksum::Sum::ZERO.add(&m).finish();
    m[2..4].copy_from_slice(&sum.to_be_bytes());
    assert!(lab.packet(&ip(PEER, OURS, Protocol::ICMP, &m)).is_empty());
    assert_eq!(lab.stack.counters().0.icmp_in_ignored, 1);
    lab.stack.tcp_send(lab.now, &mut (), c, &[0; 536]).unwrap();
    assert_eq!(lab.out().len(), 1, "it goes on as before");
}

#[test]
fn a_jumbogram_is_refused() {
    // RFC 2675: hop-by-hop option 194, payload length zero; its highest bits ask for a parameter problem.
    let mut lab = Lab::new(StackConfig::default());
    for (payload_len, jumbo) in [(0u16, 0u32), (0, 65_536), (8, 70_000), (8, 0)] {
        let mut b = vec![0; 40];
        let (src, dst) = ("fd00:2::1".parse::<Ipv6Addr>().unwrap(), "fd00:2::2".parse::<Ipv6Addr>().unwrap());
        let (dscp, ecn, flow_label, next_header, hop_limit) = (0, Ecn::NotEct, 0, Protocol(0), 64);
        ipv6::Header { dscp, ecn, flow_label, payload_len, next_header, hop_limit, src, dst }.emit(&mut b).unwrap();
        b.extend_from_slice(&[6, 0, 0xc2, 4]);
        b.extend_from_slice(&jumbo.to_be_bytes());
        let out = lab.packet(&b);
        assert!(out.len() <= 1 && lab.stack.occupancy().half_open == 0, "{payload_len} {jumbo}");
    }
    let m = lab.stack.counters().0;
    assert!(m.ip_in_hdr_errors + m.icmp_out >= 4, "each has its verdict: {m:?}");
}

#[test]
fn a_clock_that_goes_back_is_survived() {
    let mut lab = Lab::new(StackConfig::default());
    lab.now = Instant::from_nanos(100_000_000_000);
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 5_000]).unwrap();
    lab.out();
    lab.now = Instant::from_nanos(50_000_000_000);
    let nxt = lab.stack.tcp_status(c).unwrap().seq;
    lab.packet(&tcp(1000, Flags::ACK, 1001, nxt.0.0, b""));
    lab.stack.on_deadline(lab.now, &mut ());
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 5_000]).unwrap();
    lab.out();
    lab.run(Duration::from_secs(60));
    assert_eq!(lab.stack.tcp_state(c), State::Established, "and once the clock is back, the timers run");
    assert!(lab.stack.tcp_status(c).unwrap().counters.retrans > 0);
}

#[test]
fn what_is_due_after_the_clock_went_back_does_not_wait_until_it_is_where_it_was() {
    let mut lab = Lab::new(StackConfig::default());
    lab.now = Instant::from_nanos(100_000_000_000);
    let to = |port| SocketAddr::new(PEER.into(), port);
    lab.stack.tcp_connect(lab.now, &mut (), None, to(7), &TcpConfig::default()).unwrap();
    lab.out();
    lab.run(Duration::from_secs(2));
    lab.now = Instant::from_nanos(50_000_000_000);
    lab.stack.tcp_connect(lab.now, &mut (), None, to(8), &TcpConfig::default()).unwrap();
    lab.out();
    let due = lab.stack.next_deadline(lab.now);
    assert!(due < lab.now + Duration::from_secs(2), "the new SYN's timer: {due:?}");
    lab.now = due;
    lab.stack.on_deadline(lab.now, &mut ());
    assert!(lab.stack.next_deadline(lab.now) > lab.now, "what was due is done");
    assert_eq!(lab.out().len(), 1, "the SYN went again");
}

#[test]
//= RFC 6056 3.3.3
fn ports_and_initial_numbers_are_spread_over_all_their_values() {
    let mut lab = Lab::new(StackConfig { ephemeral_ports: (32_768, 65_535), ..StackConfig::default() });
    let network = Cidr { addr: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 };
    lab.stack.add_route(Route { network, link: lab.link, gateway: None });
    let (mut ports, mut bits) = ([0u32; 16], [0u32; 32]);
    for i in 0..1_600u32 {
        let to = SocketAddr::from((Ipv4Addr::from(0xc633_6400 + i), 7));
        let c = lab.stack.tcp_connect(lab.now, &mut (), None, to, &TcpConfig::default()).unwrap();
        ports[usize::from(lab.stack.tcp_tuple(c).unwrap().local.port() - 32_768) / 2_048] += 1;
        let iss = head(&lab.out()[0]).seq.0;
        bits.iter_mut().enumerate().for_each(|(n, b)| *b += iss >> n & 1);
    }
    // 100 expected in each, with a standard deviation of 9.7; and 800 with one of 20.
    assert!(ports.iter().all(|n| (60..140).contains(n)), "{ports:?}");
    assert!(bits.iter().all(|n| (700..900).contains(n)), "{bits:?}");
}

/// The next value by the last three and the commonest step.
type Guess = fn(&[u32], u32) -> u32;

/// Whether whoever knows all values so far, of other tuples, could guess the next of `bits` bits better than by chance. Each
/// bound is more than five standard deviations, or nearly so, from what is expected of chance.
fn can_be_guessed(values: &[u32], bits: u32) -> Option<String> {
    let (n, mask) = (values.len(), u32::MAX >> (32 - bits));
    let minus = |a: u32, b: u32| a.wrapping_sub(b) & mask;
    // The high and the low four bits of the values, of their differences, and of the differences of those.
    let first: Vec<u32> = values.windows(2).map(|w| minus(w[1], w[0])).collect();
    let second: Vec<u32> = first.windows(2).map(|w| minus(w[1], w[0])).collect();
    for (name, series) in [("values", values), ("differences", &first[..]), ("their differences", &second[..])] {
        for (ends, of_high) in [("high", true), ("low", false)] {
            let at = |v: u32| if of_high { (v >> (bits - 4)) as usize } else { v as usize & 15 };
            let mut one = [0u32; 16];
            let mut two = [[0u32; 16]; 16];
            series.iter().for_each(|v| one[at(*v)] += 1);
            series.windows(2).for_each(|w| two[at(w[0])][at(w[1])] += 1);
            let chi = |cells: &[u32], expected: f64| -> f64 {
                cells.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum()
            };
            let n = series.len() as f64;
            // 15 and 255 degrees of freedom: chance gives more than these once in a million.
            let (x, y) = (chi(&one, n / 16.0), chi(two.as_flattened(), n / 256.0));
            if x > 57.0 || y > 380.0 {
                return Some(format!("{ends} bits of {name}: {x:.0} and {y:.0}"));
            }
        }
    }
    // Each with the one before, and with the one before that.
    for lag in [1, 2, 3] {
        let half = f64::from(mask) / 2.0;
        let products = values.windows(lag + 1).map(|w| (f64::from(w[0]) - half) * (f64::from(w[lag]) - half));
        let r = products.sum::<f64>() / n as f64 / (half * half / 3.0);
        if r.abs() > 5.0 / (n as f64).sqrt() {
            return Some(format!("correlation of {r:.2} at a distance of {lag}"));
        }
    }
    // Who draws a line, or a parabola, through the last ones, repeats the last, or adds the commonest step: hits within a
    // thousandth of the range on either side.
    let near = (mask >> 10).max(1);
    let expected = n as f64 * f64::from(2 * near + 1) / f64::from(mask);
    let mut steps: Vec<u32> = first.iter().map(|d| d / near).collect();
    steps.sort_unstable();
    let common = steps.chunk_by(|a, b| a == b).max_by_key(|c| c.len()).map_or(0, |c| c[0] * near);
    let guesses: [(&str, Guess); 4] = [
        ("the last", |w, _| w[2]),
        ("a line", |w, _| w[2].wrapping_add(w[2]).wrapping_sub(w[1])),
        ("a parabola", |w, _| w[2].wrapping_sub(w[1]).wrapping_mul(3).wrapping_add(w[0])),
        ("the commonest step", |w, step| w[2].wrapping_add(step)),
    ];
    for (name, guess) in guesses {
        let close = |w: &&[u32]| {
            let guessed = guess(w, common);
            minus(w[3], guessed).min(minus(guessed, w[3])) <= near
        };
        let hits = values.windows(4).filter(close).count();
        if hits as f64 > expected + 6.0 * expected.sqrt() {
            return Some(format!("{name}: {hits} hits where chance has {expected:.1}"));
        }
    }
    None
}

#[test]
//= RFC 6056 3.3.3
//= RFC 6528 3
fn nothing_about_the_next_port_or_initial_number_is_told_by_those_before() {
    const N: u32 = 8_192;
    let (mut ports, mut numbers, mut passive) = (Vec::new(), Vec::new(), Vec::new());
    let mut lab = Lab::new(StackConfig { ephemeral_ports: (32_768, 65_535), ..StackConfig::default() });
    let network = Cidr { addr: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 };
    lab.stack.add_route(Route { network, link: lab.link, gateway: None });
    for i in 0..N {
        // Neighbors, one after the other, a millisecond apart: what an attacker would choose.
        let host = Ipv4Addr::from(0xc633_0000 + i);
        let c = lab.stack.tcp_connect(lab.now, &mut (), None, (host, 7).into(), &TcpConfig::default()).unwrap();
        ports.push(u32::from(lab.stack.tcp_tuple(c).unwrap().local.port() - 32_768));
        numbers.push(head(&lab.out()[0]).seq.0);
        lab.stack.tcp_abort(lab.now, &mut (), c);
        passive.push(head(&lab.packet(&segment(host, OURS, (1000, 80), Flags::SYN, 1, 0, &[]))[0]).seq.0);
        lab.packet(&segment(host, OURS, (1000, 80), Flags::RST, 2, 0, &[]));
        lab.now += Duration::from_millis(1);
    }
    for (what, values, bits) in [("ports", &ports, 15), ("numbers", &numbers, 32), ("of SYN+ACKs", &passive, 32)] {
        assert_eq!(can_be_guessed(values, bits), None, "{what}");
    }
}

/// Makes a value of its number and of dice.
type Generator<'a> = dyn FnMut(u32, &mut dyn FnMut(u32) -> u32) -> u32 + 'a;

#[test]
fn the_judge_of_ports_and_initial_numbers_finds_what_can_be_guessed() {
    let mut rng = Rng::from_number(9);
    let mut dice = move |n: u32| rng.below(n);
    let mut of = |f: &mut Generator<'_>| -> Vec<u32> { (0..8_192).map(|i| f(i, &mut dice)).collect() };
    for (what, bits, values) in [
        ("a constant step", 32, of(&mut |i, _| i.wrapping_mul(64_000))),
        ("a large odd step, all of whose bits are balanced", 32, of(&mut |i, _| i.wrapping_mul(0x9e37_79b9))),
        ("a step that grows", 32, of(&mut |i, _| i.wrapping_mul(i).wrapping_mul(77_777))),
        ("a step with some noise", 32, of(&mut |i, d| i.wrapping_mul(0x9e37_79b9).wrapping_add(d(1 << 20)))),
        ("a clock", 32, of(&mut |i, d| i.wrapping_mul(250_000).wrapping_add(d(250_000)))),
        ("few bits", 32, of(&mut |_, d| d(1 << 12) << 20)),
        ("each twice", 32, {
            let mut last = 0;
            of(&mut |i, d| {
                if i % 2 == 0 {
                    last = d(u32::MAX);
                }
                last
            })
        }),
        ("a port after the other", 15, of(&mut |i, _| i & 0x7fff)),
        ("every 4,567th port", 15, of(&mut |i, _| i.wrapping_mul(4_567) & 0x7fff)),
        ("a port near the last", 15, {
            let mut p = 0;
            of(&mut |_, d| {
                p = (p + d(500)) & 0x7fff;
                p
            })
        }),
    ] {
        assert!(can_be_guessed(&values, bits).is_some(), "not found: {what}");
    }
    for bits in [15, 32] {
        let chance = of(&mut |_, d| d(u32::MAX) >> (32 - bits));
        assert_eq!(can_be_guessed(&chance, bits), None);
    }
}

#[test]
fn time_wait_is_bounded_and_the_oldest_goes_first() {
    let mut lab = Lab::new(StackConfig { max_time_wait: 4, ..StackConfig::default() });
    for port in 1000..1010 {
        let c = lab.establish(port);
        let nxt = lab.stack.tcp_status(c).unwrap().seq.1.0;
        lab.stack.tcp_close(lab.now, &mut (), c);
        lab.out();
        lab.packet(&tcp(port, Flags::FIN | Flags::ACK, 1001, nxt.wrapping_add(1), b""));
    }
    let o = lab.stack.occupancy();
    assert_eq!((o.time_wait, o.connections), (4, 0));
    assert_eq!(lab.stack.counters().0.time_wait_overflow, 6);
    lab.run(Duration::from_secs(61));
    assert_eq!(lab.stack.occupancy().time_wait, 0);
}

#[test]
fn the_length_of_time_wait_is_the_hosts_whatever_a_connection_asks_for() {
    let mut lab = Lab::new(StackConfig::default());
    for (port, wait) in [(1000, Duration::from_secs(1)), (1001, Duration::from_secs(3600))] {
        let c = lab.establish(port);
        assert!(lab.stack.tcp_configure(lab.now, &mut (), c, |t| (t.time_wait, t.rfc1337) = (wait, false)));
        let nxt = lab.stack.tcp_status(c).unwrap().seq.1.0;
        lab.stack.tcp_close(lab.now, &mut (), c);
        lab.out();
        lab.packet(&tcp(port, Flags::FIN | Flags::ACK, 1001, nxt.wrapping_add(1), b""));
        lab.packet(&tcp(port, Flags::RST, 1002, 0, b""));
    }
    lab.run(Duration::from_secs(59));
    assert_eq!(lab.stack.occupancy().time_wait, 2);
    lab.run(Duration::from_secs(2));
    assert_eq!(lab.stack.occupancy().time_wait, 0);
}

#[test]
fn orphans_are_bounded_in_number_and_in_time() {
    let mut lab = Lab::new(StackConfig { max_orphans: 2, ..StackConfig::default() });
    for port in 1000..1004 {
        let c = lab.establish(port);
        lab.stack.tcp_close(lab.now, &mut (), c);
        let rst = lab.out().iter().any(|b| head(b).flags.has(Flags::RST));
        assert_eq!(rst, port >= 1002);
    }
    assert_eq!(lab.stack.occupancy().connections, 2);
    lab.run(Duration::from_secs(600));
    assert_eq!(lab.stack.occupancy().connections, 0, "a silent peer does not hold them for ever");
}

#[test]
fn ephemeral_ports_run_out_cleanly() {
    let mut lab = Lab::new(StackConfig { ephemeral_ports: (50_000, 50_009), ..StackConfig::default() });
    let to = SocketAddr::from((PEER, 7));
    let cfg = TcpConfig::default();
    let mut ports: Vec<u16> = (0..10)
        .map(|_| {
            let c = lab.stack.tcp_connect(lab.now, &mut (), None, to, &cfg).unwrap();
            lab.stack.tcp_tuple(c).unwrap().local.port()
        })
        .collect();
    assert_eq!(lab.stack.tcp_connect(lab.now, &mut (), None, to, &cfg), Err(ConnectError::NoPort));
    let other = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 7));
    assert!(lab.stack.tcp_connect(lab.now, &mut (), None, other, &cfg).is_ok());
    ports.sort_unstable();
    assert_eq!(ports, (50_000..50_010).collect::<Vec<_>>());
}

#[test]
fn settings_are_kept_as_long_as_something_uses_them() {
    let mut lab = Lab::new(StackConfig::default());
    let to = SocketAddr::from((PEER, 7));
    for ms in 1..=200_000 {
        let cfg = TcpConfig { connect_timeout: Duration::from_millis(ms), ..TcpConfig::default() };
        let c = lab.stack.tcp_connect(lab.now, &mut (), None, to, &cfg).unwrap();
        assert_eq!(lab.stack.tcp_config(c), Some(&cfg));
        lab.stack.tcp_close(lab.now, &mut (), c);
        if ms % 1_000 == 0 {
            lab.out();
        }
    }
    lab.stack.check_invariants();
    assert_eq!((lab.stack.occupancy().settings, lab.stack.occupancy().connections), (0, 0));
}

#[test]
fn when_the_table_of_settings_is_full_the_next_ones_are_refused() {
    let mut lab = Lab::new(StackConfig { max_settings: 2, ..StackConfig::default() });
    let to = SocketAddr::from((PEER, 7));
    let cfg = |ms| TcpConfig { connect_timeout: Duration::from_millis(ms), ..TcpConfig::default() };
    let connect = |lab: &mut Lab, ms| lab.stack.tcp_connect(lab.now, &mut (), None, to, &cfg(ms));
    let (a, b) = (connect(&mut lab, 1).unwrap(), connect(&mut lab, 2).unwrap());
    assert_eq!(connect(&mut lab, 3), Err(ConnectError::TableFull));
    let on = SocketAddr::from((OURS, 81));
    assert_eq!(lab.stack.tcp_listen(lab.now, &mut (), on, 4, &cfg(3)), Err(ListenError::TableFull));
    assert!(!lab.stack.tcp_configure_listener(lab.listener, |c| c.nodelay = true));
    let (same, default) = (connect(&mut lab, 2).unwrap(), lab.establish(1000));
    assert!(!lab.stack.tcp_configure(lab.now, &mut (), same, |c| c.nodelay = true), "b needs the old ones");
    assert_eq!(lab.stack.tcp_config(same), Some(&cfg(2)));
    assert!(lab.stack.tcp_configure(lab.now, &mut (), a, |c| c.nodelay = true), "nobody needs the old ones");
    assert!(lab.stack.tcp_configure(lab.now, &mut (), default, |c| *c = cfg(2)));
    lab.stack.check_invariants();
    for c in [a, b, same, default] {
        lab.stack.tcp_abort(lab.now, &mut (), c);
    }
    lab.out();
    lab.stack.check_invariants();
    assert_eq!(lab.stack.occupancy().settings, 0);
}

#[test]
fn the_sizes_of_connections() {
    let [half_open, idle, time_wait] = Stack::footprint();
    println!("octets of a record, and with index, timer and slab, beside what is designed for:");
    println!("half-open         {:4} {:8.2}   under 128 all told", half_open.0, half_open.1);
    println!("idle established  {:4} {:8.2}   under 1024 all told", idle.0, idle.1);
    println!("TIME-WAIT         {:4} {:8.2}   under 64 all told", time_wait.0, time_wait.1);
    assert!(half_open.1 < 128.0 && idle.1 < 1024.0 && time_wait.1 < 64.0);
}

#[test]
fn udp_buffers_are_bounded_and_drops_are_counted() {
    let mut lab = Lab::new(StackConfig { udp_receive_buffer: 1_000, ..StackConfig::default() });
    let s = lab.stack.udp_bind(SocketAddr::from((OURS, 9))).unwrap();
    let mut d = vec![0, 7, 0, 9, 0, 108, 0, 0];
    d.resize(108, 1);
    let datagram = ip(PEER, OURS, Protocol::UDP, &d);
    (0..20).for_each(|_| drop(lab.packet(&datagram)));
    assert_eq!(lab.stack.udp_drops(s), 14);
    assert_eq!((0..20).filter(|_| lab.stack.udp_receive(s).is_ok()).count(), 6);
    // "Connected": only from there; "disconnected": from anywhere.
    lab.stack.udp_connect(lab.now, s, Some(SocketAddr::from((PEER, 8)))).unwrap();
    lab.packet(&datagram);
    assert!(lab.stack.udp_receive(s).is_err());
    lab.stack.udp_connect(lab.now, s, None).unwrap();
    lab.packet(&datagram);
    assert_eq!(lab.stack.udp_receive(s).map(|d| d.from), Ok(SocketAddr::from((PEER, 7))));
}

/// The clock jumps over everything that is due: all of it is late at once, and nothing runs after it.
#[test]
fn a_clock_that_jumps_far_ahead_is_survived() {
    for jump in [(1 << 31) - 1, 1 << 31, (1u64 << 31) + 70_000, 1 << 32, 1 << 36] {
        let mut lab = Lab::new(StackConfig::default());
        // A timer of each kind: retransmission, keepalive, SYN-SENT, SYN-RECEIVED, an orphan, TIME-WAIT, fragments.
        let sends = lab.establish(1000);
        lab.stack.tcp_send(lab.now, &mut (), sends, b"hello").unwrap();
        let idle = lab.establish(1001);
        assert!(lab.stack.tcp_configure(lab.now, &mut (), idle, |t| t.keepalive = true));
        let to = SocketAddr::from((PEER, 99));
        let opens = lab.stack.tcp_connect(lab.now, &mut (), None, to, &TcpConfig::default()).unwrap();
        lab.packet(&tcp(1002, Flags::SYN, 1000, 0, b""));
        for (port, fin) in [(1003, false), (1004, true)] {
            let c = lab.establish(port);
            let nxt = lab.stack.tcp_status(c).unwrap().seq.1.0;
            lab.stack.tcp_close(lab.now, &mut (), c);
            lab.out();
            if fin {
                lab.packet(&tcp(port, Flags::FIN | Flags::ACK, 1001, nxt.wrapping_add(1), b""));
            }
        }
        let mut fragment = ip(PEER, OURS, Protocol::UDP, &[7; 16]);
        (fragment[6], fragment[10], fragment[11]) = (0x20, 0, 0);
        let sum = checksum::Sum::ZERO.add(&fragment[..20]).finish();
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
        lab.packet(&fragment);
        let o = lab.stack.occupancy();
        assert_eq!((o.connections, o.half_open, o.time_wait, o.fragments > 0), (4, 1, 1, true));
        for n in 1..=40 {
            lab.now += Duration::from_millis(jump);
            assert!(n > 10 || lab.stack.next_deadline(lab.now) <= lab.now, "jump {n} passes over timers");
            lab.stack.on_deadline(lab.now, &mut ());
            lab.stack.check_invariants();
            // However late, each timer does its work once.
            let sent = lab.out().len();
            assert!(sent <= 8, "jump {n} of {jump} ms: {sent} packets");
            assert!(lab.stack.next_deadline(lab.now) > lab.now, "jump {n} of {jump} ms: what was due is done");
        }
        for (c, want) in [(sends, CloseReason::TimedOut), (idle, CloseReason::TimedOut), (opens, CloseReason::TimedOut)]
        {
            assert_eq!((lab.stack.tcp_state(c), lab.stack.tcp_reason(c)), (State::Closed, Some(want)), "{jump}");
        }
        let o = lab.stack.occupancy();
        assert_eq!((o.half_open, o.time_wait, o.fragments), (0, 0, 0), "{jump}");
    }
}

/// Collects the arrows that are taken.
#[derive(Default)]
struct Moves(Vec<(State, Trigger, State)>);

impl Observer for Moves {
    fn event(&mut self, _: Instant, _: u64, e: &Event) {
        if let Event::Moved { from, trigger, to } = *e {
            self.0.push((from, trigger, to));
        }
    }
}

#[test]
fn the_arrows_of_listening() {
    let mut lab = Lab::new(StackConfig::default());
    let mut moves = Moves::default();
    let mut probe = Watch::new(&mut moves);
    let (now, cfg) = (lab.now, TcpConfig::default());
    let on = |port| SocketAddr::from((OURS, port));
    let l = lab.stack.tcp_listen(now, &mut probe, on(81), 4, &cfg).unwrap();
    lab.stack.tcp_close_listener(now, &mut probe, l);
    let l = lab.stack.tcp_listen(now, &mut probe, on(82), 4, &cfg).unwrap();
    let c = lab.stack.tcp_connect_from_listener(now, &mut probe, l, SocketAddr::from((PEER, 9))).unwrap();
    assert_eq!(lab.stack.tcp_tuple(c).map(|t| t.local), Some(on(82)), "from the listener's port");
    for arrow in [
        (State::Closed, Trigger::PassiveOpen, State::Listen),
        (State::Listen, Trigger::Close, State::Closed),
        (State::Listen, Trigger::Send, State::SynSent),
    ] {
        assert!(moves.0.contains(&arrow), "{arrow:?} of {:?}", moves.0);
    }
}

#[test]
fn closing_a_listener_resets_what_waits_in_its_queues() {
    let mut lab = Lab::new(StackConfig::default());
    lab.packet(&tcp(1000, Flags::SYN, 1000, 0, b""));
    let out = lab.packet(&tcp(1001, Flags::SYN, 1000, 0, b""));
    lab.packet(&tcp(1001, Flags::ACK, 1001, head(&out[0]).seq.0.wrapping_add(1), b""));
    let s = lab.stack.tcp_listener_status(lab.listener).unwrap();
    assert_eq!((s.half_open, s.accept_queue), (1, 1));
    lab.stack.tcp_close_listener(lab.now, &mut (), lab.listener);
    let resets = lab.out().iter().filter(|b| head(b).flags.has(Flags::RST)).count();
    assert_eq!(resets, 2);
    let o = lab.stack.occupancy();
    assert_eq!((o.connections, o.half_open, o.index), (0, 0, 0));
}

#[test]
//= RFC 9293 3.1 MUST-2
//= RFC 9293 3.9.1.1 MUST-45
fn whatever_is_sent_has_a_checksum_and_the_address_that_was_spoken_to() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 777]).unwrap();
    let mut all = lab.out();
    for port in [80, 81] {
        all.extend(lab.packet(&segment(PEER, OURS, (1001, port), Flags::SYN, 1, 0, b"")));
    }
    assert_eq!(all.len(), 3, "text, a SYN+ACK and a reset");
    for b in all {
        let pseudo = checksum::pseudo_v4(OURS, PEER, 6, (b.len() - 20) as u32);
        assert!(Header::checksum_ok(&b[20..], pseudo));
        assert_eq!(b[12..16], OURS.octets());
    }
}

#[test]
//= RFC 9293 3.9.2 MUST-49
fn the_hop_limit_is_a_setting() {
    let mut lab = Lab::new(StackConfig { hop_limit: 9, ..StackConfig::default() });
    for port in [80, 81] {
        let out = lab.packet(&segment(PEER, OURS, (1000, port), Flags::SYN, 1, 0, b""));
        assert_eq!(out[0][8], 9, "of a SYN+ACK, and of a reset");
    }
}

#[test]
//= RFC 9293 3.9.2 MUST-50
fn an_ip_option_that_nobody_knows_is_passed_over() {
    let mut lab = Lab::new(StackConfig::default());
    let mut b = tcp(1000, Flags::SYN, 1, 0, b"");
    drop(b.splice(20..20, [158, 4, 0, 0]));
    (b[0], b[3], b[10], b[11]) = (0x46, 44, 0, 0);
    let sum = checksum::Sum::ZERO.add(&b[..24]).finish();
    b[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(head(&lab.packet(&b)[0]).flags, Flags::SYN | Flags::ACK);
}

#[test]
//= RFC 9293 3.9.2.2 MUST-55
fn a_source_quench_changes_nothing() {
    let mut lab = Lab::new(StackConfig::default());
    let c = lab.establish(1000);
    lab.stack.tcp_send(lab.now, &mut (), c, &[1; 777]).unwrap();
    let sent = lab.out();
    let before = lab.stack.tcp_status(c);
    let mut b = vec![4, 0, 0, 0, 0, 0, 0, 0];
    b.extend_from_slice(&sent[0][..28]);
    let sum = checksum::Sum::ZERO.add(&b).finish();
    b[2..4].copy_from_slice(&sum.to_be_bytes());
    assert!(lab.packet(&ip(PEER, OURS, Protocol::ICMP, &b)).is_empty());
    assert_eq!(lab.stack.counters().0.icmp_in_ignored, 1);
    assert_eq!(lab.stack.tcp_status(c), before);
}

#[test]
//= RFC 9293 3.9.2.2 MUST-47 MUST-54 MUST-56 SHLD-25
fn a_soft_icmp_error_ends_no_attempt_but_tells_why_it_failed() {
    let mut lab = Lab::new(StackConfig::default());
    let to = SocketAddr::from((PEER, 99));
    let c = lab.stack.tcp_connect(lab.now, &mut (), None, to, &TcpConfig::default()).unwrap();
    let syn = lab.out();
    let quote = &syn[0][..28];
    for m in [
        icmp::Message::TimeExceeded(0, quote),
        icmp::Message::ParameterProblem(0, 0, quote),
        icmp::Message::Unreachable(icmp::Unreachable::Host, quote),
        icmp::Message::Unreachable(icmp::Unreachable::Net, quote),
    ] {
        lab.icmp(&m);
        assert_eq!(lab.stack.tcp_state(c), State::SynSent, "{m:?}");
    }
    lab.run(Duration::from_secs(200));
    assert_eq!(lab.stack.tcp_reason(c), Some(CloseReason::NetUnreachable));
}

#[test]
//= RFC 9293 3.9.1.1 MUST-41 MUST-42
fn one_may_listen_on_the_port_of_a_connection_that_is_being_opened() {
    let mut lab = Lab::new(StackConfig::default());
    let (now, cfg) = (lab.now, TcpConfig::default());
    let on = SocketAddr::from((OURS, 5000));
    let c = lab.stack.tcp_connect(now, &mut (), Some(on), SocketAddr::from((PEER, 99)), &cfg).unwrap();
    assert!(lab.stack.tcp_listen(now, &mut (), on, 4, &cfg).is_ok());
    assert_eq!(lab.stack.tcp_state(c), State::SynSent, "it is not touched");
    lab.packet(&tcp(1000, Flags::SYN, 1, 0, b""));
    let other = "[fd00:2::2]:80".parse().unwrap();
    assert!(lab.stack.tcp_listen(now, &mut (), other, 4, &cfg).is_ok());
    assert_eq!(lab.stack.occupancy().half_open, 1, "nor is this one");
}

#[test]
//= RFC 9293 3.9.1.1 MUST-46
fn an_open_to_a_group_or_to_nobody_is_an_error() {
    let mut lab = Lab::new(StackConfig::default());
    for to in ["224.0.0.1:80", "239.255.255.255:80", "0.0.0.0:80", "192.0.2.1:0", "[ff02::1]:80", "[::]:80"] {
        let r = lab.stack.tcp_connect(lab.now, &mut (), None, to.parse().unwrap(), &TcpConfig::default());
        assert_eq!(r, Err(ConnectError::InvalidDestination), "{to}");
    }
    assert!(lab.out().is_empty());
}
