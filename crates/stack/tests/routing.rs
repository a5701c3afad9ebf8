//! A host with several links: each packet leaves by its route, from the right address, and as large as the path allows.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{IpAddr, SocketAddr};
use synfin_stack::engine::{Instant, Rng, TcpConfig};
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{Cidr, ConnectError, LinkConfig, LinkId, Route, Stack, StackConfig, TxFrame};

fn out(s: &mut Stack, link: LinkId) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut sink = |f: &TxFrame<'_>| {
        all.push(f.to_vec());
        true
    };
    while s.poll_frame(Instant::from_nanos(5), &mut (), link, &mut sink) {}
    all
}

#[test]
//= RFC 9293 3.9.1.1 MUST-43 MUST-44
//= RFC 9293 3.7.1 MUST-67 SHLD-5 MAY-3
fn each_connection_leaves_by_its_route_with_the_source_and_the_mss_of_that_link() {
    let now = Instant::from_nanos(5);
    let cfg = TcpConfig::default();
    let mut s = Stack::new(StackConfig::default(), cfg.clone(), Rng::from_number(1));
    let lan = s.add_link(now, LinkConfig::ip(1500));
    let tunnel = s.add_link(now, LinkConfig::ip(1280));
    for (link, addrs) in [(lan, ["192.0.2.2/24", "fd00:1::2/64"]), (tunnel, ["198.51.100.2/24", "fd00:2::2/64"])] {
        addrs.iter().for_each(|a| s.add_address(now, link, Cidr::parse(a).unwrap()));
    }
    let gateway = Some(IpAddr::from([198, 51, 100, 1]));
    s.add_route(Route { network: Cidr::parse("0.0.0.0/0").unwrap(), link: tunnel, gateway });
    for (to, link, from, mss) in [
        ("192.0.2.9:80", lan, "192.0.2.2", 1460),
        ("198.51.100.9:80", tunnel, "198.51.100.2", 1240),
        ("203.0.113.9:80", tunnel, "198.51.100.2", 1240),
        ("[fd00:1::9]:80", lan, "fd00:1::2", 1440),
        ("[fd00:2::9]:80", tunnel, "fd00:2::2", 1220),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        s.tcp_connect(now, &mut (), None, to, &cfg).unwrap();
        let other = if link == lan { tunnel } else { lan };
        assert!(out(&mut s, other).is_empty(), "{to}");
        let frames = out(&mut s, link);
        let p = TcpPacket::parse(&frames[0]).unwrap().unwrap();
        assert_eq!((p.dst(), p.src().ip(), p.options.mss), (to, from.parse().unwrap(), Some(mss)));
    }
    let nowhere: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    assert_eq!(s.tcp_connect(now, &mut (), None, nowhere, &cfg), Err(ConnectError::NoRoute));
    let not_ours = Some("203.0.113.1:0".parse().unwrap());
    let to = "192.0.2.9:81".parse().unwrap();
    assert_eq!(s.tcp_connect(now, &mut (), not_ours, to, &cfg), Err(ConnectError::AddressNotAvailable));
}
