//! Hosts on an Ethernet: addresses are asked for, defended and given up, routers are found.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::{Chunk, Instant, Rng, State, TcpConfig};
use synfin_stack::wire::checksum::{pseudo_v4, pseudo_v6};
use synfin_stack::wire::ethernet::{self, Mac, ethertype};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::ndp::{self, Message};
use synfin_stack::wire::tcp::{Flags, Header};
use synfin_stack::wire::{Protocol, SeqNum, arp, ipv4, ipv6};
use synfin_stack::{Cidr, ConnId, LinkConfig, LinkId, Route, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

struct Host {
    stack: Stack,
    link: LinkId,
}

fn host(mac: Mac, seed: u64, now: Instant, addrs: &[&str]) -> Host {
    let mut stack = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(seed));
    let link = stack.add_link(now, LinkConfig::ethernet(mac, 1500));
    for a in addrs {
        stack.add_address(now, link, Cidr::parse(a).unwrap());
    }
    Host { stack, link }
}

impl Host {
    fn out(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut sink = |f: &TxFrame<'_>| {
            all.push(f.to_vec());
            true
        };
        while self.stack.poll_frame(now, &mut (), self.link, &mut sink) {}
        all
    }

    fn get(&mut self, now: Instant, bytes: &[u8]) {
        let frame = RxFrame { bytes: Chunk::copy_of(bytes), checksum: RxChecksum::Unverified, gso_size: 0 };
        self.stack.on_frame(now, &mut (), self.link, frame);
        self.stack.check_invariants();
    }
}

/// Lets both talk until neither has anything to say, then lets time pass; for `d` in all. `heard`: whether b hears a.
fn run(a: &mut Host, b: &mut Host, now: &mut Instant, d: Duration, heard: bool) {
    let until = *now + d;
    loop {
        loop {
            let (x, y) = (a.out(*now), b.out(*now));
            if x.is_empty() && y.is_empty() {
                break;
            }
            if heard {
                x.iter().for_each(|f| b.get(*now, f));
                y.iter().for_each(|f| a.get(*now, f));
            }
        }
        let next = a.stack.next_deadline(*now).min(b.stack.next_deadline(*now));
        if next > until {
            *now = until;
            return;
        }
        *now = (*now).max(next);
        a.stack.on_deadline(*now, &mut ());
        b.stack.on_deadline(*now, &mut ());
    }
}

fn start() -> Instant {
    Instant::from_nanos(1_000_000_000)
}

fn connect(a: &mut Host, now: Instant, to: &str) -> ConnId {
    let to: SocketAddr = to.parse().unwrap();
    a.stack.tcp_connect(now, &mut (), None, to, &TcpConfig::default()).unwrap()
}

#[test]
fn a_connection_is_made_at_once_although_neither_knows_the_other() {
    for (addrs, to) in
        [(["192.0.2.1/24", "192.0.2.2/24"], "192.0.2.2:80"), (["fd00::1/64", "fd00::2/64"], "[fd00::2]:80")]
    {
        let mut now = start();
        let (mut a, mut b) = (host(A, 1, now, &addrs[..1]), host(B, 2, now, &addrs[1..]));
        let on = SocketAddr::new(to.parse::<SocketAddr>().unwrap().ip(), 80);
        b.stack.tcp_listen(now, &mut (), on, 4, &TcpConfig::default()).unwrap();
        run(&mut a, &mut b, &mut now, Duration::from_secs(2), true); // duplicate address detection
        let c = connect(&mut a, now, to);
        run(&mut a, &mut b, &mut now, Duration::from_millis(10), true);
        assert_eq!(a.stack.tcp_state(c), State::Established, "{to}: within 10 ms, neighbors asked for on both sides");
    }
}

#[test]
fn a_neighbor_that_does_not_answer_is_a_path_that_loses_everything() {
    let mut now = start();
    let (mut a, mut b) = (host(A, 1, now, &["192.0.2.1/24"]), host(B, 2, now, &["192.0.2.2/24"]));
    let c = connect(&mut a, now, "192.0.2.2:80");
    run(&mut a, &mut b, &mut now, Duration::from_secs(300), false);
    assert_eq!(a.stack.tcp_state(c), State::Closed);
    assert!(a.stack.counters().0.neighbor_failed > 0);
    a.stack.tcp_close(now, &mut (), c);
    a.out(now);
    assert_eq!(a.stack.occupancy().connections, 0);
}

#[test]
//= RFC 4862 5.4.3
fn an_address_that_another_has_is_given_up() {
    let mut now = start();
    let mut a = host(A, 1, now, &["fd00::9/64"]);
    let mut none = host(B, 2, now, &[]);
    run(&mut a, &mut none, &mut now, Duration::from_secs(2), true);
    let mut b = host(B, 2, now, &["fd00::9/64"]);
    assert!(b.stack.has_address("fd00::9".parse().unwrap()));
    run(&mut b, &mut a, &mut now, Duration::from_secs(2), true);
    assert!(!b.stack.has_address("fd00::9".parse().unwrap()), "a has defended it");
    assert!(a.stack.has_address("fd00::9".parse().unwrap()));
}

#[test]
//= RFC 9293 3.8.3 MUST-20
fn a_neighbor_whose_connections_get_no_answer_is_asked_for_again() {
    for (addrs, to) in
        [(["192.0.2.1/24", "192.0.2.2/24"], "192.0.2.2:80"), (["fd00::1/64", "fd00::2/64"], "[fd00::2]:80")]
    {
        let mut now = start();
        let (mut a, mut b) = (host(A, 1, now, &addrs[..1]), host(B, 2, now, &addrs[1..]));
        let to: SocketAddr = to.parse().unwrap();
        let l = b.stack.tcp_listen(now, &mut (), to, 4, &TcpConfig::default()).unwrap();
        run(&mut a, &mut b, &mut now, Duration::from_secs(2), true);
        let c = connect(&mut a, now, &to.to_string());
        run(&mut a, &mut b, &mut now, Duration::from_millis(100), true);
        assert!(b.stack.tcp_accept(l).is_some());
        // Nothing arrives any more: B's address may have moved to another interface. A's entry is fresh for 30 s.
        a.stack.tcp_send(now, &mut (), c, b"hello").unwrap();
        let (mut segments, mut asked) = (0, None);
        while asked.is_none() && segments < 10 {
            for f in a.out(now) {
                // An ARP request, or a neighbor solicitation.
                let asks = f[12..14] == [8, 6] || f[12..14] == [0x86, 0xdd] && f[20] == 58 && f[54] == 135;
                segments += usize::from(!asks);
                asked = asked.or(asks.then_some(segments));
            }
            now = now.max(a.stack.next_deadline(now));
            a.stack.on_deadline(now, &mut ());
        }
        // The text, a loss probe, and the retransmissions before the R1-th.
        let before = 1 + 1 + usize::from(TcpConfig::default().retries1) - 1;
        assert_eq!(asked, Some(before), "{to}: with the R1-th retransmission, before it leaves");
    }
}

#[test]
//= RFC 4862 5.3
//= RFC 3810 5.2.13
fn an_ethernet_link_has_a_link_local_address_from_which_its_groups_are_reported() {
    let mut now = start();
    let mut a = host(A, 1, now, &["192.0.2.1/24"]);
    let local: Ipv6Addr = "fe80::ff:fe00:1".parse().unwrap();
    assert!(!a.stack.has_address(local.into()), "no use for it");
    a.out(now);
    a.stack.add_address(now, a.link, Cidr::parse("fd00::9/64").unwrap());
    assert!(a.stack.has_address(local.into()));
    let frames = a.out(now);
    // Who reports, and the end of the group, which ends the message.
    let reports = |frames: &[Vec<u8>]| -> Vec<(Ipv6Addr, Vec<u8>)> {
        let mld = frames.iter().filter(|f| f[20] == 58 && f[54] == 143);
        mld.map(|f| (<[u8; 16]>::try_from(&f[22..38]).unwrap().into(), f[f.len() - 3..].to_vec())).collect()
    };
    let both = |from: Ipv6Addr| vec![(from, vec![0, 0, 9]), (from, vec![0, 0, 1])];
    assert_eq!(reports(&frames), both(Ipv6Addr::UNSPECIFIED), "there is none to be used yet");
    let asked = |f: &&Vec<u8>| f[20] == 58 && f[54] == 135 && f[22..38] == [0; 16] && f[62..78] == local.octets();
    assert_eq!(frames.iter().filter(asked).count(), 1, "it is asked for before it is used");
    now += Duration::from_secs(1);
    assert!(a.stack.next_deadline(now) <= now);
    a.stack.on_deadline(now, &mut ());
    assert_eq!(reports(&a.out(now)), both(local));
    a.stack.add_address(now, a.link, Cidr::parse("fd00::8/64").unwrap());
    assert_eq!(reports(&a.out(now)), [(local, vec![0, 0, 8])]);
}

/// A SYN to a port 80, in a frame to `mac`.
fn syn(src: IpAddr, dst: IpAddr, mac: Mac) -> Vec<u8> {
    let hdr = Header {
        src_port: 1000,
        dst_port: 80,
        seq: SeqNum(1),
        ack: SeqNum(0),
        header_len: 20,
        flags: Flags::SYN,
        window: 1000,
        urgent: 0,
    };
    let mut segment = vec![0; 20];
    hdr.emit(&[], &mut segment).unwrap();
    let (ethertype, mut ip, sum) = match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let (dscp, ecn, flow_label, next_header) = (0, Ecn::NotEct, 0, Protocol::TCP);
            let h = ipv6::Header { dscp, ecn, flow_label, payload_len: 20, next_header, hop_limit: 64, src, dst };
            let mut b = vec![0; 40];
            h.emit(&mut b).unwrap();
            (ethertype::IPV6, b, pseudo_v6(src, dst, 6, 20))
        }
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let h = ipv4::Header {
                header_len: 20,
                dscp: 0,
                ecn: Ecn::NotEct,
                total_len: 40,
                ident: 9,
                dont_fragment: false,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 64,
                protocol: Protocol::TCP,
                src,
                dst,
                source_routed: false,
            };
            let mut b = vec![0; 20];
            h.emit(&mut b).unwrap();
            (ethertype::IPV4, b, pseudo_v4(src, dst, 6, 20))
        }
        _ => panic!("of one version"),
    };
    let sum = sum.add(&segment).finish();
    Header::put_checksum(&mut segment, sum);
    ip.extend_from_slice(&segment);
    let mut b = vec![0; 14];
    ethernet::Header { dst: mac, src: B, ethertype }.emit(&mut b).unwrap();
    b.extend_from_slice(&ip);
    b
}

#[test]
//= RFC 1122 2.4 3.3.6
fn a_segment_in_a_frame_for_many_is_dropped_and_counted() {
    let now = start();
    let mut a = host(A, 1, now, &["192.0.2.1/24", "fd00::1/64"]);
    a.stack.tcp_listen(now, &mut (), "[::]:80".parse().unwrap(), 4, &TcpConfig::default()).unwrap();
    let now = now + Duration::from_secs(1);
    a.stack.on_deadline(now, &mut ());
    a.out(now);
    for (from, to) in [("192.0.2.2", "192.0.2.1"), ("fd00::2", "fd00::1")] {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        for mac in [Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1]), Mac([0x33, 0x33, 0, 0, 0, 1])] {
            a.get(now, &syn(from, to, mac));
        }
        assert!(a.out(now).is_empty(), "not a word");
    }
    let (mib, _) = a.stack.counters();
    assert_eq!((mib.ip_in_discards, mib.tcp_martian, a.stack.occupancy().half_open), (3, 3, 0));
    a.get(now, &syn("192.0.2.2".parse().unwrap(), "192.0.2.1".parse().unwrap(), A));
    assert_eq!(a.stack.occupancy().half_open, 1, "to us alone");
}

#[test]
//= RFC 4862 5.4
fn nothing_but_neighbor_discovery_is_taken_for_a_tentative_address() {
    let mut now = start();
    let ours: Ipv6Addr = "fd00::1".parse().unwrap();
    let mut a = host(A, 1, now, &["fd00::1/64"]);
    a.stack.tcp_listen(now, &mut (), "[::]:80".parse().unwrap(), 4, &TcpConfig::default()).unwrap();
    a.out(now);
    let to_it = syn("fd00::2".parse().unwrap(), ours.into(), A);
    a.get(now, &to_it);
    assert_eq!((a.stack.occupancy().half_open, a.stack.counters().0.ip_in_addr_errors), (0, 1));
    now += Duration::from_secs(1);
    a.stack.on_deadline(now, &mut ());
    a.get(now, &to_it);
    assert_eq!(a.stack.occupancy().half_open, 1);
    // An advertisement sent to the address itself ends it too.
    let mut b = host(A, 1, now, &["fd00::1/64"]);
    let (solicited, overrides) = (false, true);
    let advert = Message::NeighborAdvert { target: ours, solicited, overrides, mac: Some(B) };
    let mut frame = icmpv6("fd00::1".parse().unwrap(), ours, 255, &advert);
    frame[..6].copy_from_slice(&A.0);
    b.get(now, &frame);
    assert!(!b.stack.has_address(ours.into()));
}

fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, hop_limit: u8, m: &Message) -> Vec<u8> {
    let mut body = [0; 128];
    let n = ndp::emit(m, |n| pseudo_v6(from, to, 58, n), &mut body).unwrap();
    let mut b = vec![0; 54];
    ethernet::Header { dst: Mac::for_ipv6_multicast(to), src: B, ethertype: ethertype::IPV6 }.emit(&mut b).unwrap();
    let h = ipv6::Header {
        dscp: 0,
        ecn: Ecn::NotEct,
        flow_label: 0,
        payload_len: n as u16,
        next_header: Protocol::ICMPV6,
        hop_limit,
        src: from,
        dst: to,
    };
    h.emit(&mut b[14..]).unwrap();
    b.extend_from_slice(&body[..n]);
    b
}

/// The frame with a fragment header before what was IPv6's payload: first and last fragment in one.
fn in_an_atomic_fragment(frame: &[u8]) -> Vec<u8> {
    let (ethernet, ip) = frame.split_at(14);
    let mut ip = ip.to_vec();
    let (len, next) = (u16::from_be_bytes([ip[4], ip[5]]) + 8, ip[6]);
    ip[4..6].copy_from_slice(&len.to_be_bytes());
    ip[6] = 44;
    ip.splice(40..40, [next, 0, 0, 0, 0, 0, 0, 9]);
    [ethernet, &ip].concat()
}

#[test]
//= RFC 6980 5
fn neighbor_discovery_in_fragments_is_not_believed() {
    let mut now = start();
    let (mut a, mut b) = (host(A, 1, now, &["fd00::1/64"]), host(B, 2, now, &[]));
    run(&mut a, &mut b, &mut now, Duration::from_secs(20), true);
    let (all, link_local): (Ipv6Addr, Ipv6Addr) = ("ff02::1".parse().unwrap(), "fe80::2".parse().unwrap());
    let advert = Message::RouterAdvert { hop_limit: 64, lifetime_s: 1800, mac: Some(B), mtu: None, prefix: None };
    let frame = icmpv6(link_local, all, 255, &advert);
    let away: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    let connects = |a: &mut Host, now| a.stack.tcp_connect(now, &mut (), None, away, &TcpConfig::default()).is_ok();
    let errors = a.stack.counters().0.icmp_in_errors;
    a.get(now, &in_an_atomic_fragment(&frame));
    assert!(!connects(&mut a, now));
    assert_eq!(a.stack.counters().0.icmp_in_errors, errors + 1);
    a.get(now, &frame);
    assert!(connects(&mut a, now), "the same without");
}

#[test]
//= RFC 4861 6.1.2
//= RFC 4861 6.3.4
//= RFC 4861 6.3.7
fn routers_are_asked_for_and_believed_only_from_the_link() {
    let mut now = start();
    let (mut a, mut b) = (host(A, 1, now, &["fd00::1/64"]), host(B, 2, now, &[]));
    run(&mut a, &mut b, &mut now, Duration::from_secs(20), true);
    let away: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    let try_it = |a: &mut Host, now| a.stack.tcp_connect(now, &mut (), None, away, &TcpConfig::default()).is_ok();
    assert!(!try_it(&mut a, now), "no route");
    let all: Ipv6Addr = "ff02::1".parse().unwrap();
    let advert =
        |lifetime_s| Message::RouterAdvert { hop_limit: 64, lifetime_s, mac: Some(B), mtu: None, prefix: None };
    let link_local: Ipv6Addr = "fe80::2".parse().unwrap();
    a.get(now, &icmpv6(link_local, all, 254, &advert(1800)));
    a.get(now, &icmpv6("2001:db8::2".parse().unwrap(), all, 255, &advert(1800)));
    assert!(!try_it(&mut a, now), "from beyond a router, or not from a link-local address");
    a.get(now, &icmpv6(link_local, all, 255, &advert(1800)));
    assert!(try_it(&mut a, now));
    a.get(now, &icmpv6(link_local, all, 255, &advert(0)));
    assert!(!try_it(&mut a, now), "it says that it is a router no more");
    a.get(now, &icmpv6(link_local, all, 255, &advert(1800)));
    run(&mut a, &mut b, &mut now, Duration::from_secs(1000), true);
    a.get(now, &icmpv6(link_local, all, 255, &advert(1800)));
    run(&mut a, &mut b, &mut now, Duration::from_secs(1799), true);
    assert!(try_it(&mut a, now), "its lifetime began again");
    run(&mut a, &mut b, &mut now, Duration::from_secs(1), true);
    assert!(!try_it(&mut a, now), "nothing was heard of it for its lifetime");
    let network = Cidr::parse("::/0").unwrap();
    a.stack.add_route(Route { network, link: a.link, gateway: Some(link_local.into()) });
    a.get(now, &icmpv6(link_local, all, 255, &advert(1)));
    run(&mut a, &mut b, &mut now, Duration::from_secs(2), true);
    a.get(now, &icmpv6(link_local, all, 255, &advert(0)));
    assert!(try_it(&mut a, now), "this one was configured");
}

#[test]
fn arp_for_our_address_is_answered_and_nobody_else_may_claim_it() {
    let now = start();
    let mut a = host(A, 1, now, &["192.0.2.1/24"]);
    let request = |spa: [u8; 4]| {
        let mut b = vec![0; 14 + arp::LEN];
        ethernet::Header { dst: Mac::BROADCAST, src: B, ethertype: ethertype::ARP }.emit(&mut b).unwrap();
        let p = arp::Packet {
            operation: arp::Operation::Request,
            sha: B,
            spa: spa.into(),
            tha: Mac::default(),
            tpa: [192, 0, 2, 1].into(),
        };
        p.emit(&mut b[14..]).unwrap();
        b
    };
    let replies = |a: &mut Host, b: &[u8]| {
        a.get(now, b);
        a.out(now).iter().filter(|f| f[12..14] == [8, 6]).count()
    };
    assert_eq!(replies(&mut a, &request([192, 0, 2, 2])), 1);
    assert_eq!(replies(&mut a, &request([0; 4])), 1, "a probe (RFC 5227)");
    assert_eq!(replies(&mut a, &request([192, 0, 2, 1])), 0, "somebody claims our address");
    for n in 0..14 + arp::LEN {
        a.get(now, &request([192, 0, 2, 2])[..n]); // runts
    }
    assert!(a.stack.has_address(IpAddr::from([192, 0, 2, 1])));
}

#[test]
//= RFC 3810 6.2
fn a_router_that_asks_who_listens_is_told() {
    let mut now = start();
    let (mut a, mut b) = (host(A, 1, now, &["fd00::1/64"]), host(B, 2, now, &[]));
    run(&mut a, &mut b, &mut now, Duration::from_secs(20), true);
    let query = |src: &str, hop_limit: u8| {
        let (from, to): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), "ff02::1".parse().unwrap());
        let mut b = icmpv6(from, to, hop_limit, &Message::RouterSolicit(None));
        b.truncate(54);
        let mut q = vec![130, 0, 0, 0, 0, 0, 0, 0];
        q.resize(28, 0);
        let sum = pseudo_v6(from, to, 58, 28).add(&q).finish();
        q[2..4].copy_from_slice(&sum.to_be_bytes());
        b.extend_from_slice(&q);
        b[18..20].copy_from_slice(&28u16.to_be_bytes());
        b
    };
    let reports = |a: &mut Host, q: &[u8]| {
        a.get(now, q);
        a.out(now).iter().filter(|f| f[20] == 58 && f[54] == 143).count()
    };
    assert_eq!(reports(&mut a, &query("fe80::2", 1)), 1);
    assert_eq!(reports(&mut a, &query("fe80::2", 64)), 0, "it has crossed a router");
    assert_eq!(reports(&mut a, &query("2001:db8::2", 1)), 0, "it is not of this link");
}
