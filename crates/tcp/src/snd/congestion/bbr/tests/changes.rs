//! A path that changes.

use super::*;

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.4.3
fn a_shorter_path_is_seen_at_once() {
    let mut sim = settled(Path::new(100, 40));
    sim.path.delay = ms(20);
    // What the queue hides, the next ProbeRTT shows at the latest.
    let took = sim.run_until(secs(10), |s| s.cc.min_rtt <= ms(21)).unwrap();
    assert!(took <= ms(5_500), "{took:?}");
    sim.run(secs(5));
    let r = sim.run(secs(20));
    assert!(r.utilization >= 940 && r.peak_queue <= 1_000, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.4.3
//= draft-ietf-ccwg-bbr-06 5.5.7.2
fn a_longer_path_is_seen_when_the_filter_forgets() {
    // MinRTTFilterLen, and the ProbeRTT in which it runs out, five seconds later at most.
    let mut sim = settled(Path::new(100, 40));
    sim.path.delay = ms(80);
    let took = sim.run_until(secs(30), |s| s.cc.min_rtt >= ms(80)).unwrap();
    assert!(took <= ms(15_500), "{took:?}");
    sim.run(secs(5));
    assert!((ms(80)..=ms(82)).contains(&sim.cc.min_rtt), "{:?}", sim.cc.min_rtt);
    let r = sim.run(secs(20));
    assert!(r.utilization >= 940, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.5
fn ten_times_the_bandwidth_is_found_within_seconds() {
    // A.15. The next probe is three seconds away at most. UP raises the rate by 1.25 each round as long as that bears fruit:
    // ten times in ten or eleven rounds of 40 ms, and it takes two or three cycles at worst.
    let path = Path { buffer: Path::new(100, 40).buffer, ..Path::new(10, 40) };
    let mut sim = settled(path);
    assert!(max_bw(&sim) >= 980);
    sim.path.rate *= 10;
    let took = sim.run_until(secs(20), |s| max_bw(s) >= 950).unwrap();
    assert!(took <= secs(6), "{took:?}");
    let r = sim.run(secs(20));
    assert!(r.utilization >= 900, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.5
fn with_a_bound_from_losses_too_it_is_found_within_seconds() {
    // As before, but inflight_longterm stands at the small BDP, and grows by 1, 2, 4, 8.. segments a round.
    let mut sim = settled(Path { buffer: 12_500, ..Path::new(10, 40) });
    assert!(sim.cc.inflight_longterm < 2 * sim.path.bdp(), "{}", sim.cc.inflight_longterm);
    sim.path.rate *= 10;
    sim.path.buffer *= 10;
    let took = sim.run_until(secs(30), |s| max_bw(s) >= 950).unwrap();
    assert!(took <= secs(12), "{took:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.6
fn a_tenth_of_the_bandwidth_is_followed() {
    // A.16. The buffer holds 1 BDP of before, 10 of now.
    let path = Path::new(100, 40);
    let mut sim = settled(Path { buffer: path.bdp(), ..path });
    sim.path.rate /= 10;
    let took = sim.run_until(secs(60), |s| max_bw(s) <= 1_050).unwrap();
    assert!(took <= secs(15), "two cycles, of rounds that take up to half a second: {took:?}");
    sim.run(secs(30));
    let r = sim.run(secs(20));
    assert!(r.utilization >= 900 && r.mean_queue <= 1_000, "{r:?}");
    assert!(r.loss <= 100, "{r:?}");
}

#[test]
fn a_tenth_of_the_bandwidth_is_followed_where_rounds_take_seconds() {
    // The buffer holds 40 BDP of now, so that nothing is lost and a round takes up to 1.6 s: ProbeRTT comes before any cycle has
    // ended. After two of them max_bw has forgotten; each of the next halves what is in the buffer.
    let mut sim = settled(Path::new(100, 40));
    sim.path.rate /= 10;
    let took = sim.run_until(secs(60), |s| max_bw(s) <= 1_050).unwrap();
    assert!(took <= secs(20), "{took:?}");
    sim.run(secs(60));
    let r = sim.run(secs(20));
    assert!(r.utilization >= 900 && r.mean_queue <= 1_000, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.6.4.4
fn a_cut_line_is_survived() {
    let mut sim = settled(Path::new(100, 40));
    sim.path.loss_ppm = 1_000_000;
    let r = sim.run(secs(2));
    assert!(r.timeouts >= 1, "{r:?}");
    sim.path.loss_ppm = 0;
    // The timer goes off, cwnd comes back with what is acknowledged: to what was known, not to a search.
    sim.run(secs(1));
    let r = sim.run(secs(5));
    assert!(r.utilization >= 900, "{r:?}");
    assert!(max_bw(&sim) >= 950);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.1
fn a_down_that_never_drains_ends_with_the_wait() {
    // A.9. A fifth of the bandwidth goes when DOWN begins, which sends 0.9 of what was there: the queue only grows.
    let mut sim = settled(Path::new(100, 40));
    reach(&mut sim, State::ProbeBwUp);
    reach(&mut sim, State::ProbeBwDown);
    sim.path.rate = sim.path.rate * 8 / 10;
    sim.cc.probe_rtt_min_stamp = sim.now; // not now
    let wait = sim.cc.bw_probe_wait;
    assert!((secs(2)..=secs(3)).contains(&wait), "{wait:?}");
    let took = sim.run_until(secs(20), |s| s.cc.state != State::ProbeBwDown).unwrap();
    assert_eq!(sim.cc.state, State::ProbeBwRefill);
    assert!(took <= wait + ms(50), "{took:?}");
}
