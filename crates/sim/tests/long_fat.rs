//! 1 Gbit/s over 200 ms: windows of 25 MB, which only scaling can say and only buffers that grow can hold.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::SocketAddr;
use std::time::Duration;
use synfin_sim::{Limit, LinkModel, Network};
use synfin_stack::engine::TcpConfig;

const RATE: u64 = 1_000_000_000;

/// Octets that arrive from the tenth to the fifteenth second, with a queue of `queue` octets; then everything is closed.
fn from_the_tenth_second(cfg: &TcpConfig, queue: u64) -> u64 {
    let mut net = Network::new(1, cfg, 1500, false);
    for l in &mut net.links {
        l.model = LinkModel {
            delay: Duration::from_millis(100),
            rate: RATE,
            queue: Limit::Bytes(queue),
            ..LinkModel::default()
        };
    }
    let server = SocketAddr::new(net.hosts[1].addrs[0], 80);
    let listener = net.hosts[1].stack.tcp_listen(net.now, &mut (), server, 1, cfg).unwrap();
    let sender = net.hosts[0].stack.tcp_connect(net.now, &mut (), None, server, cfg).unwrap();
    net.run(&mut (), Duration::from_millis(500));
    let receiver = net.hosts[1].stack.tcp_accept(listener).unwrap();
    let first = net.hosts[1].stack.tcp_status(receiver).unwrap().rcv_buf;
    let (data, mut buf) = (vec![7; 1 << 20], vec![0; 1 << 20]);
    let (start, mut received, mut before) = (net.now, 0, 0);
    for ms in (1..=15_000).step_by(2) {
        while net.hosts[0].stack.tcp_send(net.now, &mut (), sender, &data).is_ok_and(|n| n == data.len()) {}
        net.run(&mut (), (start + Duration::from_millis(ms)).since(net.now));
        while let Ok(n @ 1..) = net.hosts[1].stack.tcp_receive(net.now, &mut (), receiver, &mut buf) {
            received += n as u64;
        }
        before = if ms < 10_000 { received } else { before };
    }
    let held = [0, 1].map(|h| net.hosts[h].stack.occupancy().memory);
    let grown = net.hosts[1].stack.tcp_status(receiver).unwrap().rcv_buf;
    assert!(
        held[0] > 20 << 20 && grown > 25 << 20 && first < 1 << 20,
        "{held:?} octets held, the buffer {first} and {grown}"
    );
    net.hosts[0].stack.tcp_close(net.now, &mut (), sender);
    net.run(&mut (), Duration::from_secs(2));
    while let Ok(1..) = net.hosts[1].stack.tcp_receive(net.now, &mut (), receiver, &mut buf) {
        net.run(&mut (), Duration::from_millis(1));
    }
    net.hosts[1].stack.tcp_close(net.now, &mut (), receiver);
    net.run(&mut (), Duration::from_secs(2));
    assert_eq!([0, 1].map(|h| net.hosts[h].stack.occupancy().memory), [0, 0], "all of it has come back");
    received - before
}

#[test]
fn nine_tenths_of_the_rate_from_the_tenth_second_on_and_the_memory_comes_back() {
    let bdp = RATE / 8 / 5;
    let cfg = TcpConfig { rcv_buf_max: 64 << 20, snd_buf_max: 64 << 20, ..TcpConfig::default() };
    let rate = from_the_tenth_second(&cfg, bdp) as f64 * 8.0 / 5.0;
    println!("{:.0} Mbit/s", rate / 1e6);
    assert!(rate >= 0.9 * RATE as f64, "{:.0} Mbit/s", rate / 1e6);
}
