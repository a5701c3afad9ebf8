//! After an outage that ended the connection: how soon is there another one?

use super::page::{line, range, seconds};
use super::rig::{DELAY, Rig, Watch};
use std::net::SocketAddr;
use std::time::Duration;
use synfin::heartbeat::{Backoff, Settings};
use synfin::stack::engine::config::TcpConfig;
use synfin::stack::engine::{Rng, State};

/// Cuts the path for `outage`; the program connects again by the usual back-off, each attempt for 5 s at most. How long after the
/// path is back it is connected, and attempts.
fn connected_again(settings: Settings, outage: Duration, seed: u64) -> (Duration, u32) {
    let mut rng = Rng::from_number(seed);
    let mut rig = Rig::new(Watch::Heartbeat(settings));
    rig.run(10 * settings.interval());
    rig.cut(true);
    let back = rig.net.now + outage;
    let cfg = TcpConfig { connect_timeout: Duration::from_secs(5), ..TcpConfig::default() };
    let (mut backoff, mut attempts) = (Backoff::default(), 0);
    rig.until_told(0, outage).expect("gone before the path is back");
    rig.abort(0);
    loop {
        let wait = backoff.on_failure(rng.next_u32()).expect("no limit");
        run(&mut rig, wait, back);
        let (now, to) = (rig.net.now, SocketAddr::new(rig.net.hosts[1].addrs[0], 7));
        let id = rig.net.hosts[0].stack.tcp_connect(now, &mut (), None, to, &cfg).unwrap();
        attempts += 1;
        loop {
            match rig.net.hosts[0].stack.tcp_state(id) {
                State::Established => return (rig.net.now.since(back), attempts),
                State::Closed => break,
                _ => run(&mut rig, DELAY / 4, back),
            }
        }
    }
}

/// Lets time pass, and the path heal when that is due.
fn run(rig: &mut Rig, d: Duration, back: synfin::stack::engine::Instant) {
    let until = rig.net.now + d;
    if rig.net.now < back {
        rig.run(back.since(rig.net.now).min(d));
        if rig.net.now >= back {
            rig.cut(false);
        }
    }
    rig.run(until.since(rig.net.now));
}

#[test]
fn a_connection_is_made_again_soon_after_the_path_is_back() {
    for (name, settings) in [("usual", Settings::USUAL), ("strict", Settings::STRICT)] {
        let mut cells = Vec::new();
        for minutes in [1, 10, 60] {
            let outage = Duration::from_secs(60 * minutes);
            let all: Vec<_> = (0..20).map(|seed| connected_again(settings, outage, seed)).collect();
            let most = all.iter().map(|a| a.1).max().unwrap();
            let times: Vec<Duration> = all.iter().map(|a| a.0).collect();
            // The longest wait, and an attempt that began just before.
            assert!(times.iter().all(|t| *t < Duration::from_secs(36)), "{times:?}");
            cells.push(format!(
                "{}, in mean {}; up to {most} attempts",
                range(&times),
                seconds(times.iter().sum::<Duration>() / 20)
            ));
        }
        line(&format!("made again, {name}"), &cells);
    }
}
