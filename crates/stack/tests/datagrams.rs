//! Why a datagram cannot be sent, and the source that a socket with a destination has.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::SocketAddr;
use std::time::Duration;
use synfin_stack::engine::{Chunk, Instant, Rng, TcpConfig};
use synfin_stack::wire::ethernet::Mac;
use synfin_stack::{Cidr, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame, UdpError};

fn at(a: &str) -> SocketAddr {
    a.parse().unwrap()
}

fn host(limits: StackConfig, link: LinkConfig, now: Instant) -> (Stack, LinkId) {
    let mut stack = Stack::new(limits, TcpConfig::default(), Rng::from_number(1));
    let link = stack.add_link(now, link);
    for a in ["192.0.2.1/24", "198.51.100.1/24"] {
        stack.add_address(now, link, Cidr::parse(a).unwrap());
    }
    (stack, link)
}

/// Takes frames, so many at most.
fn take(stack: &mut Stack, link: LinkId, now: Instant, n: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for _ in 0..n {
        let mut sink = |f: &TxFrame<'_>| {
            all.push(f.to_vec());
            true
        };
        if !stack.poll_frame(now, &mut (), link, &mut sink) {
            break;
        }
    }
    all
}

fn start() -> Instant {
    Instant::from_nanos(1_000_000_000)
}

#[test]
fn a_full_device_a_silent_neighbor_and_no_route_are_three_things() {
    let mut now = start();
    let (mut s, link) = host(StackConfig::default(), LinkConfig::ethernet(Mac([2, 0, 0, 0, 0, 1]), 1500), now);
    let u = s.udp_bind(at("0.0.0.0:9")).unwrap();
    let nobody = Some(at("192.0.2.9:7"));
    // More than may wait for its address are lost, as on any network.
    let held = s.config().neighbor_queue as u64;
    (0..20).for_each(|_| assert_eq!(s.udp_send(now, u, nobody, b"?"), Ok(())));
    assert_eq!(s.counters().0.ip_out_discards, 20 - held);
    assert_eq!(s.udp_send(now, u, Some(at("203.0.113.1:7")), b"?"), Err(UdpError::Unreachable));
    assert_eq!(s.udp_send(now, u, Some(at("[fd00::1]:7")), b"?"), Err(UdpError::OtherFamily));
    for _ in 0..4 {
        take(&mut s, link, now, 100);
        now += Duration::from_secs(1);
        s.on_deadline(now, &mut ());
    }
    assert_eq!(s.udp_send(now, u, nobody, b"?"), Err(UdpError::NoNeighbor));
}

#[test]
fn a_datagram_finds_room_with_all_its_fragments_or_not_at_all() {
    let now = start();
    let limits = StackConfig { max_control: 8, ..StackConfig::default() };
    let (mut s, link) = host(limits, LinkConfig::ip(1500), now);
    let u = s.udp_bind(at("192.0.2.1:9")).unwrap();
    let (to, three, nine) = (Some(at("192.0.2.9:7")), [7; 4_000], [7; 12_500]);
    assert_eq!(s.udp_send(now, u, to, &nine), Err(UdpError::TooLong), "it never would");
    assert_eq!(s.udp_send(now, u, to, &three), Ok(()));
    assert!(s.udp_has_room());
    assert_eq!(s.udp_send(now, u, to, &three), Ok(()));
    assert!(!s.udp_has_room());
    assert_eq!(s.udp_send(now, u, to, &three), Err(UdpError::NoRoom));
    assert_eq!(s.udp_send(now, u, to, b"small"), Ok(()));
    assert_eq!((s.counters().0.udp_out, s.counters().0.ip_out_discards), (3, 0));
    assert_eq!(take(&mut s, link, now, 3).len(), 3);
    assert!(s.udp_has_room());
    assert_eq!(s.udp_send(now, u, to, &three), Ok(()));
    assert_eq!(take(&mut s, link, now, 100).len(), 7, "nothing was sent by halves");
}

/// The source of a socket on any address is chosen when the destination is, and holds for what comes, too.
#[test]
//= RFC 1122 4.1.3.5
fn a_connected_socket_has_one_address_until_it_is_disconnected() {
    let now = start();
    let (mut s, link) = host(StackConfig::default(), LinkConfig::ip(1500), now);
    let (u, peer) = (s.udp_bind(at("0.0.0.0:9")).unwrap(), at("198.51.100.7:7"));
    s.udp_connect(now, u, Some(peer)).unwrap();
    assert_eq!(s.udp_local(u), Some(at("198.51.100.1:9")));
    // The other address is not free for others: it is the socket's again when it is disconnected.
    assert_eq!(s.udp_bind(at("192.0.2.1:9")), Err(UdpError::AddressInUse));
    let hear = |s: &mut Stack, to: [u8; 4]| {
        let mut p = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7];
        p.extend(to);
        p.extend([0, 7, 0, 9, 0, 9, 0, 0, b'!']);
        let sum = synfin_stack::wire::checksum::Sum::ZERO.add(&p[..20]).finish();
        p[10..12].copy_from_slice(&sum.to_be_bytes());
        let frame = RxFrame { bytes: Chunk::copy_of(&p), checksum: RxChecksum::Unverified, gso_size: 0 };
        s.on_frame(now, &mut (), link, frame);
        s.udp_receive(u).map(|d| d.to.ip())
    };
    assert_eq!(hear(&mut s, [198, 51, 100, 1]), Ok(at("198.51.100.1:9").ip()));
    assert_eq!(hear(&mut s, [192, 0, 2, 1]), Err(UdpError::WouldBlock));
    // One that cannot be changes nothing; another destination has another source.
    assert_eq!(s.udp_connect(now, u, Some(at("203.0.113.1:7"))), Err(UdpError::Unreachable));
    assert_eq!((s.udp_peer(u), s.udp_local(u)), (Some(peer), Some(at("198.51.100.1:9"))));
    s.udp_connect(now, u, Some(at("192.0.2.7:7"))).unwrap();
    assert_eq!(s.udp_local(u), Some(at("192.0.2.1:9")));
    s.udp_connect(now, u, None).unwrap();
    assert_eq!((s.udp_local(u), hear(&mut s, [192, 0, 2, 1])), (Some(at("0.0.0.0:9")), Ok(at("192.0.2.1:9").ip())));
}
