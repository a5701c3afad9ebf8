//! Memory of the text of all connections together: it is bounded, each connection goes on, and it comes back.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that fails may well panic

mod path;

use path::{Pair, Path};
use std::time::Duration;
use synfin_stack::engine::TcpConfig;

const CONNECTIONS: usize = 20;
const LIMIT: usize = 400_000;
/// What a connection may hold beyond the limit: a segment in a buffer of its own, or the least that may be written.
const BEYOND: usize = 4_096;

fn connections(path: &mut Path, cfg: &TcpConfig) -> Vec<Pair> {
    (0..CONNECTIONS).map(|i| path.connect(cfg, 1_000 + i as u16)).collect()
}

/// Lets host 0 write as much as it may, up to `total` on each; how much that was.
fn write(path: &mut Path, pairs: &[Pair], sent: &mut [usize], total: usize) -> usize {
    let (stack, now) = (&mut path.hosts[0].0, path.now);
    let mut all = 0;
    for (pair, sent) in pairs.iter().zip(sent) {
        while *sent < total {
            let n = 10_000.min(total - *sent);
            let Ok(n @ 1..) = stack.tcp_send(now, &mut (), pair.client, &vec![7; n]) else { break };
            *sent += n;
            all += n;
        }
    }
    all
}

fn read(path: &mut Path, pairs: &[Pair], received: &mut [usize]) {
    let (stack, now) = (&mut path.hosts[1].0, path.now);
    let mut buf = vec![0; 10_000];
    for (pair, received) in pairs.iter().zip(received) {
        while let Ok(n @ 1..) = stack.tcp_receive(now, &mut (), pair.server, &mut buf) {
            *received += n;
        }
    }
}

#[test]
fn users_who_do_not_read_share_a_bounded_memory_and_all_is_delivered_once_they_do() {
    let cfg = TcpConfig::default();
    let mut path = Path::new(&cfg);
    path.hosts[1].0.pool().set_limit(LIMIT);
    let pairs = connections(&mut path, &cfg);
    let (mut sent, mut received) = ([0; CONNECTIONS], [0; CONNECTIONS]);
    let mut most = 0;
    for _ in 0..300 {
        write(&mut path, &pairs, &mut sent, 500_000);
        path.run(Duration::from_millis(100));
        most = most.max(path.hosts[1].0.occupancy().memory);
    }
    assert!(most >= LIMIT, "{most}: they would hold more than there is");
    assert!(most < LIMIT + CONNECTIONS * BEYOND, "{most}");
    let stack = &path.hosts[1].0;
    assert!(pairs.iter().all(|p| stack.tcp_status(p.server).unwrap().rcv_queued > 0), "each has something to read");
    assert!(stack.counters().1.rcv_q_drop > 0);
    for _ in 0..6_000 {
        write(&mut path, &pairs, &mut sent, 500_000);
        read(&mut path, &pairs, &mut received);
        if received == [500_000; CONNECTIONS] {
            break;
        }
        path.run(Duration::from_millis(100));
        assert!(path.hosts[1].0.occupancy().memory < LIMIT + CONNECTIONS * BEYOND);
    }
    assert_eq!(received, [500_000; CONNECTIONS]);
    path.run(Duration::from_secs(1));
    assert_eq!([0, 1].map(|h| path.hosts[h].0.occupancy().memory), [0, 0], "all of it has come back");
}

#[test]
fn users_who_write_more_than_there_is_memory_for_wait_and_all_of_them_go_on() {
    let cfg = TcpConfig::default();
    let mut path = Path::new(&cfg);
    path.hosts[0].0.pool().set_limit(LIMIT);
    let pairs = connections(&mut path, &cfg);
    let (mut sent, mut received) = ([0; CONNECTIONS], [0; CONNECTIONS]);
    for _ in 0..6_000 {
        write(&mut path, &pairs, &mut sent, 500_000);
        let memory = path.hosts[0].0.occupancy().memory;
        // One write may take a whole buffer, of which the text fills a part.
        assert!(memory < LIMIT + (CONNECTIONS + 1) * 70_000, "{memory}");
        path.run(Duration::from_millis(100));
        read(&mut path, &pairs, &mut received);
        if received == [500_000; CONNECTIONS] {
            break;
        }
    }
    assert_eq!(received, [500_000; CONNECTIONS]);
    path.run(Duration::from_secs(1));
    assert_eq!(path.hosts[0].0.occupancy().memory, 0);
}

#[test]
fn the_send_buffer_grows_with_the_window_and_the_receive_buffer_with_what_the_user_takes() {
    let cfg = TcpConfig { snd_buf_initial: 20_000, rcv_buf_initial: 20_000, ..TcpConfig::default() };
    let mut path = Path::new(&cfg);
    let c = path.connect(&cfg, 80);
    let room = |path: &Path| path.hosts[0].0.tcp_send_room(c.client);
    let before = room(&path);
    assert!((20_000..40_000).contains(&before), "{before}: an initial window twice");
    path.transfer(c, 3_000_000);
    path.run(Duration::from_secs(1));
    let (sender, receiver) = (path.status(c), path.hosts[1].0.tcp_status(c.server).unwrap());
    assert_eq!(room(&path) as u32, 2 * sender.cwnd);
    // 10 Mbit/s, 40 ms, and a queue of 40 ms: 100,000 octets in a round trip, and as much again when a hole is filled. Twice
    // that, and twice again for a sender that still doubles, is far from the maximum of 6 MiB.
    assert!((200_000..1_000_000).contains(&receiver.rcv_buf), "{}", receiver.rcv_buf);
    // A user who takes little keeps what is there.
    let slow = path.connect(&cfg, 81);
    let mut buf = vec![0; 100];
    for _ in 0..1_000 {
        let _ = path.hosts[0].0.tcp_send(path.now, &mut (), slow.client, &[7; 1_000]);
        path.run(Duration::from_millis(100));
        let _ = path.hosts[1].0.tcp_receive(path.now, &mut (), slow.server, &mut buf);
    }
    assert_eq!(path.hosts[1].0.tcp_status(slow.server).unwrap().rcv_buf, 20_000);
}
