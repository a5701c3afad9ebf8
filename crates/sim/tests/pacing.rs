//! A paced window leaves in bursts of about a millisecond of its rate, with and without super-segments.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use synfin_sim::{LinkModel, Network};
use synfin_stack::engine::config::Pacing;
use synfin_stack::engine::snd::congestion::Algorithm;
use synfin_stack::engine::{Instant, TcpConfig};

/// The most octets that left within a millisecond, and the fastest pace, while a second of text went over 40 ms.
fn bursts(congestion: Algorithm, pacing: Pacing, offload: bool) -> (u64, u64) {
    let cfg = TcpConfig { congestion, pacing, rcv_buf_max: 1 << 20, snd_buf_max: 4 << 20, ..TcpConfig::default() };
    let mut net = Network::new(7, &cfg, 1500, offload);
    for l in &mut net.links {
        l.model = LinkModel { delay: Duration::from_millis(20), ..LinkModel::default() };
    }
    let server = SocketAddr::new(net.hosts[1].addrs[0], 80);
    let listener = net.hosts[1].stack.tcp_listen(net.now, &mut (), server, 1, &cfg).unwrap();
    let sender = net.hosts[0].stack.tcp_connect(net.now, &mut (), None, server, &cfg).unwrap();
    net.run(&mut (), Duration::from_millis(100));
    let receiver = net.hosts[1].stack.tcp_accept(listener).unwrap();
    net.watch(|link| link == 0);
    net.records = Some(Vec::new());
    let (data, mut buf) = (vec![7; 1 << 20], vec![0; 1 << 20]);
    let mut fastest = 0;
    for _ in 0..1_000 {
        while net.hosts[0].stack.tcp_send(net.now, &mut (), sender, &data).is_ok_and(|n| n == data.len()) {}
        net.run(&mut (), Duration::from_millis(1));
        while let Ok(1..) = net.hosts[1].stack.tcp_receive(net.now, &mut (), receiver, &mut buf) {}
        fastest = fastest.max(net.hosts[0].stack.tcp_status(sender).unwrap().pacing_rate);
    }
    let mut lately: VecDeque<(Instant, u64)> = VecDeque::new();
    let (mut sum, mut most) = (0, 0);
    for r in net.records.take().unwrap() {
        // The link tells of a packet when it comes out at the far end, 20 ms later: the same distances.
        lately.push_back((r.at, r.bytes.len() as u64));
        sum += r.bytes.len() as u64;
        while lately[0].0 + Duration::from_millis(1) <= r.at {
            sum -= lately.pop_front().unwrap().1;
        }
        most = sum.max(most);
    }
    (most, fastest)
}

#[test]
fn what_leaves_in_a_millisecond_is_what_the_pace_gives_and_two_quanta() {
    for (algorithm, pacing) in
        [(Algorithm::Cubic, Pacing::On), (Algorithm::Reno, Pacing::On), (Algorithm::Bbr, Pacing::Auto)]
    {
        for offload in [false, true] {
            let (most, fastest) = bursts(algorithm, pacing, offload);
            let a_millisecond = fastest / 1_000;
            // Headers are a twentieth at most.
            let quantum = a_millisecond.clamp(2 * 1460, 65_536);
            println!("{algorithm:?} {offload}: {most} octets in a millisecond, {fastest} octets/s, quantum {quantum}");
            assert!(fastest > 10_000_000, "{algorithm:?}: {fastest} octets per second");
            // A quantum that is made up for after a pause, and one that leaves as the millisecond ends.
            assert!(
                most <= (a_millisecond + 2 * quantum) * 21 / 20,
                "{algorithm:?} {offload}: {most} in a millisecond"
            );
        }
    }
    // Not paced, the same window leaves in far greater ones: the measure sees them.
    let (most, fastest) = bursts(Algorithm::Cubic, Pacing::Off, true);
    println!("not paced: {most} octets in a millisecond");
    assert!(fastest == 0 && most > 500_000, "{most} octets in a millisecond");
}
