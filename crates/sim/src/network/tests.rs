//! Packets through routers, past middleboxes and over links that are too narrow.

use super::*;
use crate::link::Oversize;
use std::net::SocketAddr;
use synfin_stack::ConnId;
use synfin_stack::engine::config::MtuProbing;
use synfin_stack::engine::{CloseReason, State};

const SECOND: Duration = Duration::from_secs(1);

fn network(t: Topology) -> Network {
    let host = HostModel { tcp: TcpConfig::default(), mtu: 1500, offload: false };
    let (hosts, links) = (vec![host; t.hosts.len()], vec![LinkModel::default(); t.links.len()]);
    Network::of(1, t, &hosts, links)
}

/// Opens a connection from one host to another; both ends.
fn connect(net: &mut Network, from: usize, to: usize, version: usize) -> (ConnId, ConnId) {
    connect_with(net, from, to, version, MtuProbing::Auto)
}

fn connect_with(
    net: &mut Network,
    from: usize,
    to: usize,
    version: usize,
    mtu_probing: MtuProbing,
) -> (ConnId, ConnId) {
    let cfg = TcpConfig { mtu_probing, ..TcpConfig::default() };
    let server = SocketAddr::new(net.hosts[to].addrs[version], 80);
    let listener = net.hosts[to].stack.tcp_listen(net.now, &mut (), server, 8, &cfg).unwrap();
    let id = net.hosts[from].stack.tcp_connect(net.now, &mut (), None, server, &cfg).unwrap();
    net.run(&mut (), SECOND);
    (id, net.hosts[to].stack.tcp_accept(listener).expect("connected"))
}

/// Sends `n` octets and counts what arrives within `d`.
fn send(net: &mut Network, (from, a): (usize, ConnId), (to, b): (usize, ConnId), n: usize, d: Duration) -> usize {
    let now = net.now;
    assert_eq!(net.hosts[from].stack.tcp_send(now, &mut (), a, &vec![7; n]), Ok(n));
    net.run(&mut (), d);
    let mut buf = vec![0; n];
    let (mut got, now) = (0, net.now);
    while let Ok(k @ 1..) = net.hosts[to].stack.tcp_receive(now, &mut (), b, &mut buf) {
        got += k;
    }
    got
}

#[test]
fn text_crosses_every_topology_in_both_versions() {
    for (t, from, to, hops) in
        [(Topology::pair(), 0, 1, 1), (Topology::dumbbell(3), 1, 5, 3), (Topology::chain(3), 0, 3, 5)]
    {
        for version in [0, 1] {
            let mut net = network(t.clone());
            let (a, b) = connect(&mut net, from, to, version);
            assert_eq!(send(&mut net, (from, a), (to, b), 50_000, 5 * SECOND), 50_000);
            let rtt = net.hosts[from].stack.tcp_status(a).map(|s| s.minrtt_us);
            assert_eq!(rtt, Some(20_000 * hops), "each link delays by 10 ms, each way");
        }
    }
}

#[test]
fn a_router_tells_of_a_narrow_link_unless_it_is_a_black_hole() {
    for version in [0, 1] {
        for (oversize, arrives) in [(Oversize::Tell, 50_000), (Oversize::Silent, 0)] {
            let mut net = network(Topology::chain(2));
            net.links[2].model.mtu = 1_300;
            net.links[2].model.oversize = oversize;
            let (a, b) = connect_with(&mut net, 0, 2, version, MtuProbing::Off);
            assert_eq!(send(&mut net, (0, a), (2, b), 50_000, 2 * SECOND), arrives, "version {version}, {oversize:?}");
            assert!(net.links[2].counters.lost(Lost::TooBig) > 0);
        }
    }
}

/// Sends `n` octets to a program that reads what comes; how many arrive within `d`, and how long they took.
fn transfer(
    net: &mut Network,
    (from, a): (usize, ConnId),
    (to, b): (usize, ConnId),
    n: usize,
    d: Duration,
) -> (usize, Duration) {
    let start = net.now;
    let (text, mut left, mut got, mut buf) = (vec![7; n], n, 0, vec![0; n]);
    loop {
        let now = net.now;
        while let Ok(k @ 1..) = net.hosts[from].stack.tcp_send(now, &mut (), a, &text[n - left..]) {
            left -= k;
        }
        if got == n || !net.step(&mut (), start + d) {
            break;
        }
        let now = net.now;
        while let Ok(k @ 1..) = net.hosts[to].stack.tcp_receive(now, &mut (), b, &mut buf) {
            got += k;
        }
    }
    (got, net.now.since(start))
}

/// Between two transfers the path begins to drop what is larger than 1200 octets, without a word (RFC 4821 7.6, 7.7). What a
/// probe has found is used afterwards; where nothing probes nothing arrives any more.
#[test]
fn a_path_that_becomes_a_black_hole_is_survived_and_its_mtu_found() {
    for (version, headers) in [(0, 52), (1, 72)] {
        for mtu_probing in [MtuProbing::Off, MtuProbing::Auto, MtuProbing::On] {
            let mut net = network(Topology::chain(2));
            for l in &mut net.links {
                (l.model.rate, l.model.queue) = (20_000_000, crate::link::Limit::Bytes(100_000));
            }
            let (a, b) = connect_with(&mut net, 0, 2, version, mtu_probing);
            let (a, b) = ((0, a), (2, b));
            assert_eq!(transfer(&mut net, a, b, 500_000, 5 * SECOND).0, 500_000);
            let mss = |net: &Network| net.hosts[0].stack.tcp_status(a.1).map_or(0, |s| s.mss);
            assert_eq!(mss(&net), 1_500 - headers, "{mtu_probing:?}");
            (net.links[2].model.mtu, net.links[2].model.oversize) = (1_200, Oversize::Silent);
            let arrives = if mtu_probing == MtuProbing::Off { 0 } else { 500_000 };
            assert_eq!(transfer(&mut net, a, b, 500_000, 30 * SECOND).0, arrives, "{mtu_probing:?}");
            if arrives == 0 {
                continue;
            }
            // The search goes on while there is text, a failed probe in some seconds.
            (0..40).for_each(|_| assert_eq!(transfer(&mut net, a, b, 4_000_000, 60 * SECOND).0, 4_000_000));
            let (found, most) = (mss(&net), 1_200 - headers);
            assert!(found > 1_100 && found <= most && most - found < 8, "IPv{version}: {found} of {most}");
            // Now it is at its end: nothing is lost, and the rate is what such packets bear.
            let (lost, before) = (net.links[2].counters.lost(Lost::TooBig), net.hosts[0].stack.counters().1);
            let (octets, took) = transfer(&mut net, a, b, 4_000_000, 60 * SECOND);
            println!("IPv{version}, {mtu_probing:?}: {found} of {most}; {octets} in {took:?}");
            let goodput = octets as f64 * 8.0 / took.as_secs_f64();
            assert!(octets == 4_000_000 && goodput > 13e6, "IPv{version}, {mtu_probing:?}: {goodput:.0} bit/s");
            let after = net.hosts[0].stack.counters().1;
            assert_eq!((net.links[2].counters.lost(Lost::TooBig), after.mtup_fail), (lost, before.mtup_fail));
            assert!(after.mtup_success >= 2 && after.mtup_fail >= 2, "{after:?}");
        }
    }
}

/// A host with large frames at home, on a path that carries 1500 octets and does not say so.
#[test]
fn a_host_of_large_frames_finds_the_1500_octets_of_its_path() {
    let topology = Topology::chain(2);
    let host = HostModel { tcp: TcpConfig::default(), mtu: 9_000, offload: false };
    let (hosts, links) = (vec![host; topology.hosts.len()], vec![LinkModel::default(); topology.links.len()]);
    let mut net = Network::of(1, topology, &hosts, links);
    for l in &mut net.links {
        (l.model.rate, l.model.queue) = (20_000_000, crate::link::Limit::Bytes(100_000));
    }
    (net.links[2].model.mtu, net.links[2].model.oversize) = (1_500, Oversize::Silent);
    let (a, b) = connect(&mut net, 0, 2, 0);
    let (a, b) = ((0, a), (2, b));
    (0..60).for_each(|_| assert_eq!(transfer(&mut net, a, b, 4_000_000, 60 * SECOND).0, 4_000_000));
    let mss = |net: &Network| net.hosts[0].stack.tcp_status(a.1).map_or(0, |s| s.mss);
    assert!((1_441..=1_448).contains(&mss(&net)), "{}", mss(&net));
    // The path becomes better, and after the interval that is noticed.
    net.links[2].model.mtu = 0;
    net.run(&mut (), 600 * SECOND);
    (0..3).for_each(|_| assert_eq!(transfer(&mut net, a, b, 4_000_000, 60 * SECOND).0, 4_000_000));
    assert_eq!(mss(&net), 8_948);
}

/// A cut is no black hole: the first probes say so, and nothing stays small.
#[test]
fn after_an_outage_segments_are_as_large_as_before() {
    let mut net = network(Topology::pair());
    let (a, b) = connect(&mut net, 0, 1, 0);
    let (a, b) = ((0, a), (1, b));
    net.links[0].model.cut = true;
    assert_eq!(transfer(&mut net, a, b, 100_000, 20 * SECOND).0, 0);
    assert!(net.hosts[0].stack.tcp_status(a.1).is_some_and(|s| s.mss < 1_024));
    net.links[0].model.cut = false;
    assert!(transfer(&mut net, a, b, 100_000, 60 * SECOND).0 >= 100_000);
    assert_eq!(net.hosts[0].stack.tcp_status(a.1).map(|s| s.mss), Some(1_448));
    let mib = net.hosts[0].stack.counters().1;
    assert_eq!((mib.mtup_fail, mib.mtup_success), (0, 5), "by doubles, from what many timeouts have left");
}

#[test]
fn a_middlebox_that_has_forgotten_a_flow_is_silent_or_resets_it() {
    for resets in [false, true] {
        let mut net = network(Topology::pair());
        net.put_middlebox(0, Middlebox::new(10 * SECOND, resets, 100));
        let (a, b) = connect(&mut net, 0, 1, 0);
        net.run(&mut (), 9 * SECOND);
        assert_eq!(send(&mut net, (0, a), (1, b), 100, SECOND), 100);
        net.run(&mut (), 20 * SECOND);
        assert_eq!(send(&mut net, (0, a), (1, b), 100, 2 * SECOND), 0);
        assert_eq!(net.middleboxes[0].forgotten, 1);
        let stack = &net.hosts[0].stack;
        let (state, reason) =
            if resets { (State::Closed, Some(CloseReason::Reset)) } else { (State::Established, None) };
        assert_eq!((stack.tcp_state(a), stack.tcp_reason(a)), (state, reason));
        assert!(net.links[0].counters.lost(Lost::Forgotten) > 0);
    }
}

#[test]
fn only_links_that_are_watched_are_recorded() {
    let mut net = network(Topology::dumbbell(1));
    net.watch(|l| l == 1);
    net.records = Some(Vec::new());
    connect(&mut net, 0, 1, 0);
    let records = net.records.unwrap_or_default();
    assert_eq!(records.iter().map(|r| r.link).collect::<Vec<_>>(), [1], "the SYN+ACK on its way back");
}
