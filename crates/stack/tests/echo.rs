//! Echo sockets: replies and errors come to the socket whose identifier they carry, and what waits is bounded.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{IpAddr, Ipv4Addr};
use synfin_stack::engine::{Chunk, Instant, Rng, TcpConfig};
use synfin_stack::wire::icmp::{Message, Unreachable, emit_v4};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::{Protocol, ipv4};
use synfin_stack::{
    Cidr, EchoError, EchoOutcome, LinkConfig, LinkId, RxChecksum, RxFrame, SocketEvent, Stack, StackConfig, TxFrame,
};

fn host(addrs: [&str; 2], seed: u64) -> (Stack, LinkId) {
    let now = Instant::from_nanos(1);
    let mut s = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(seed));
    let link = s.add_link(now, LinkConfig::ip(1500));
    addrs.iter().for_each(|a| s.add_address(now, link, Cidr::parse(a).unwrap()));
    (s, link)
}

fn at(ns: u64) -> Instant {
    Instant::from_nanos(ns)
}

fn frames(now: Instant, (s, link): (&mut Stack, LinkId)) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut sink = |f: &TxFrame<'_>| {
        all.push(f.to_vec());
        true
    };
    while s.poll_frame(now, &mut (), link, &mut sink) {}
    all
}

fn give(now: Instant, (s, link): (&mut Stack, LinkId), frame: &[u8]) {
    let frame = RxFrame { bytes: Chunk::copy_of(frame), checksum: RxChecksum::Unverified, gso_size: 0 };
    s.on_frame(now, &mut (), link, frame);
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

const OURS: [&str; 2] = ["192.0.2.2/24", "fd00:2::2/64"];
const THEIRS: [&str; 2] = ["192.0.2.1/24", "fd00:2::1/64"];

/// A packet from `src` to 192.0.2.2 with an ICMP message.
fn packet(src: [u8; 4], m: &Message<'_>) -> Vec<u8> {
    let mut b = [0; 1_500];
    let n = emit_v4(m, &mut b[20..]).unwrap();
    let h = ipv4::Header {
        header_len: 20,
        dscp: 0,
        ecn: Ecn::NotEct,
        total_len: 20 + n as u16,
        ident: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 63,
        protocol: Protocol::ICMP,
        src: src.into(),
        dst: Ipv4Addr::new(192, 0, 2, 2),
        source_routed: false,
    };
    h.emit(&mut b).unwrap();
    b[..20 + n].to_vec()
}

#[test]
fn each_socket_gets_the_replies_to_its_own_requests() {
    for (n, to) in [ip("192.0.2.1"), ip("fd00:2::1")].into_iter().enumerate() {
        let ((mut us, link), (mut them, other)) = (host(OURS, 1), host(THEIRS, 2));
        let (a, b) = (us.echo_open().unwrap(), us.echo_open().unwrap());
        assert_ne!(us.echo_ident(a), us.echo_ident(b));
        us.echo_send(at(10), a, to, 1, None, b"to a").unwrap();
        // Greater than any packet of the link: it goes and comes in pieces.
        us.echo_send(at(10), b, to, 7, Some(9), &[n as u8; 5_000]).unwrap();
        for f in frames(at(20), (&mut us, link)) {
            give(at(20), (&mut them, other), &f);
        }
        for f in frames(at(30), (&mut them, other)) {
            give(at(40), (&mut us, link), &f);
        }
        let events: Vec<_> = std::iter::from_fn(|| us.poll_event()).collect();
        assert_eq!(events, [SocketEvent::Echo(a), SocketEvent::Echo(b)]);
        let got = us.echo_receive(a).unwrap();
        assert_eq!((got.from, got.seq, got.at), (to, 1, at(40)));
        assert_eq!(got.what, EchoOutcome::Reply { hop_limit: 64, data: b"to a".to_vec() });
        let got = us.echo_receive(b).unwrap();
        assert_eq!((got.seq, got.what), (7, EchoOutcome::Reply { hop_limit: 64, data: vec![n as u8; 5_000] }));
        assert_eq!(us.echo_receive(a), Err(EchoError::WouldBlock));
        us.echo_close(a);
        assert_eq!(us.echo_receive(a), Err(EchoError::NotOpen));
    }
}

#[test]
fn a_hop_limit_of_ones_own_is_in_the_header() {
    let (mut us, link) = host(OURS, 1);
    let a = us.echo_open().unwrap();
    us.echo_send(at(10), a, ip("192.0.2.1"), 1, Some(3), b"").unwrap();
    us.echo_send(at(10), a, ip("fd00:2::1"), 1, Some(4), b"").unwrap();
    let all = frames(at(10), (&mut us, link));
    assert_eq!((all[0][8], all[1][7]), (3, 4));
}

#[test]
fn errors_about_a_request_come_to_its_socket_with_who_reports_them() {
    let (mut us, link) = host(OURS, 1);
    let a = us.echo_open().unwrap();
    us.echo_send(at(10), a, ip("192.0.2.1"), 5, None, b"text").unwrap();
    let asked = frames(at(10), (&mut us, link)).remove(0);
    for (message, what) in [
        (Message::Unreachable(Unreachable::Host, &asked), EchoOutcome::Unreachable(Unreachable::Host)),
        (Message::PacketTooBig(1_400, &asked), EchoOutcome::TooBig(1_400)),
        (Message::TimeExceeded(0, &asked), EchoOutcome::TimeExceeded(0)),
        // No more is quoted than RFC 792 asks for: the header and 64 bits.
        (Message::ParameterProblem(0, 8, &asked[..28]), EchoOutcome::ParameterProblem),
    ] {
        give(at(20), (&mut us, link), &packet([192, 0, 2, 77], &message));
        let got = us.echo_receive(a).unwrap();
        assert_eq!((got.from, got.seq, got.what), (ip("192.0.2.77"), 5, what));
    }
    // What quotes nothing of ours, or too little, is ignored: another identifier, another sender, a header alone.
    let ignored = |us: &Stack| us.counters().0.icmp_in_ignored + us.counters().0.icmp_in_errors;
    let before = ignored(&us);
    let mut forged = [asked.clone(), asked.clone(), asked[..24].to_vec()];
    forged[0][24] ^= 1;
    forged[1][15] ^= 1;
    for f in &forged {
        give(at(30), (&mut us, link), &packet([192, 0, 2, 77], &Message::TimeExceeded(0, f)));
        assert_eq!(us.echo_receive(a), Err(EchoError::WouldBlock), "{f:?}");
    }
    assert_eq!(ignored(&us) - before, 3);
}

#[test]
fn replies_that_nobody_takes_are_dropped_and_counted() {
    let (mut us, link) = host(OURS, 1);
    let a = us.echo_open().unwrap();
    let ident = us.echo_ident(a).unwrap();
    let reply = packet([192, 0, 2, 1], &Message::EchoReply(ident, 1, &[0; 1_000]));
    for _ in 0..1_000 {
        give(at(10), (&mut us, link), &reply);
    }
    let held = std::iter::from_fn(|| us.echo_receive(a).ok()).count() as u64;
    assert_eq!((held, us.echo_drops(a)), (212_992 / 1_064, 1_000 - 212_992 / 1_064));
    give(at(20), (&mut us, link), &reply);
    assert!(us.echo_receive(a).is_ok(), "there is room again");
    // A reply to nobody's request is ignored.
    let stray = packet([192, 0, 2, 1], &Message::EchoReply(ident.wrapping_add(1), 1, b""));
    give(at(20), (&mut us, link), &stray);
    assert_eq!(us.counters().0.icmp_in_ignored, 1);
}

#[test]
fn what_cannot_be_sent_is_said() {
    let (mut us, _) = host(OURS, 1);
    let a = us.echo_open().unwrap();
    let to = ip("192.0.2.1");
    assert_eq!(us.echo_send(at(10), a, ip("203.0.113.1"), 1, None, b""), Err(EchoError::Unreachable));
    assert_eq!(us.echo_send(at(10), a, to, 1, None, &[0; 65_508]), Err(EchoError::TooLong));
    assert_eq!(us.echo_send(at(10), a, to, 1, None, &[0; 65_507]), Ok(()));
    assert_eq!(us.echo_send(at(10), a, ip("fd00:2::1"), 1, None, &[0; 65_528]), Err(EchoError::TooLong));
    for _ in 1..65_536 {
        us.echo_open().unwrap();
    }
    assert_eq!(us.echo_open(), Err(EchoError::NoIdentifier));
}
