//! Packets through routers, past middleboxes and over links that are too narrow.

use super::*;
use crate::link::Oversize;
use std::net::SocketAddr;
use synfin_stack::ConnId;
use synfin_stack::engine::{CloseReason, State};

const SECOND: Duration = Duration::from_secs(1);

fn network(t: Topology) -> Network {
    let host = HostModel { tcp: TcpConfig::default(), mtu: 1500, offload: false };
    let (hosts, links) = (vec![host; t.hosts.len()], vec![LinkModel::default(); t.links.len()]);
    Network::of(1, t, &hosts, links)
}

/// Opens a connection from one host to another; both ends.
fn connect(net: &mut Network, from: usize, to: usize, version: usize) -> (ConnId, ConnId) {
    let cfg = TcpConfig::default();
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
            let (a, b) = connect(&mut net, 0, 2, version);
            assert_eq!(send(&mut net, (0, a), (2, b), 50_000, 2 * SECOND), arrives, "version {version}, {oversize:?}");
            assert!(net.links[2].counters.lost(Lost::TooBig) > 0);
        }
    }
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
