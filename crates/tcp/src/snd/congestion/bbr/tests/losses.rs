//! Losses, by chance and by small buffers, and marks.

use super::*;
use crate::snd::congestion::testing::SMSS;

/// The mean utilization of `seeds` runs of `time` each after `warm`, on 100 Mbit/s and 40 ms.
fn mean_with_loss(loss_ppm: u32, warm: Duration, time: Duration) -> u64 {
    let runs = (0..8).map(|seed| {
        let mut sim = flow(Path { loss_ppm, ..Path::new(100, 40) }, seed);
        sim.run(warm);
        sim.run(time).utilization
    });
    runs.sum::<u64>() / 8
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.8.3
//= draft-ietf-ccwg-bbr-06 5.5.10.3
fn losses_by_chance_cost_what_the_draft_says() {
    // In CRUISE the rate falls by the rate of loss with each round, for 62 rounds; REFILL brings it back. At 1 % the mean of
    // 0.99^n is (1 - 0.99^62) / 0.62 = 0.75. The best sample of a round is better than its mean, and the probes and what
    // follows ProbeRTT run at the full rate.
    let u = mean_with_loss(10_000, secs(5), secs(30));
    assert!((700..=900).contains(&u), "{u}");
    // At 0.1 % a round with a loss takes what was lost, and not the pacing margin.
    let u = mean_with_loss(1_000, secs(5), secs(30));
    assert!((940..=980).contains(&u), "{u}");
    // Reno at 1 %: 1.22 / sqrt(p) segments in flight, 12 of 342.
    assert!(u > 20 * 12 * 1000 / 342);
}

#[test]
//= draft-ietf-ccwg-bbr-06 2.8
//= draft-ietf-ccwg-bbr-06 5.5.10.2
fn more_losses_than_the_threshold_take_it_to_the_least_window() {
    // 3 % are more than LossThresh: each probe finds inflight too high and cuts to 0.7, until MinPipeCwnd is near: 4 segments in
    // a round-trip time are 1.17 Mbit/s of 100. From 342 segments to 4 it takes log(85) / log(1 / 0.7) = 12.5 probes, of 63 rounds
    // and fewer the less is in flight: half a minute. There one loss is too many, and a probe of four rounds with w segments goes
    // without one with the chance 0.97^4w: half for 6 segments, a tenth for 19. So it stays between 4 and 19.
    let segments = |n: u32| u64::from(n * SMSS) * 1_000 / u64::from(Path::new(100, 40).bdp());
    assert_eq!((segments(4), segments(19)), (11, 55));
    let u = mean_with_loss(30_000, secs(60), secs(30));
    assert!((segments(4) * 7 / 10..=segments(19)).contains(&u), "{u}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.1.3
//= draft-ietf-ccwg-bbr-06 5.3.3.7
fn a_shallow_buffer_costs_little() {
    // 0.1 BDP. Startup sends up to 2.77 times the rate for two rounds before it can know, of some 75 rounds in three seconds.
    let path = Path::new(100, 40);
    let mut sim = flow(Path { buffer: path.bdp() / 10, ..path }, 1);
    let r = sim.run(secs(3));
    assert!(r.loss <= 400 && r.timeouts == 0, "{r:?}");
    assert!(sim.cc.inflight_longterm <= sim.path.bdp() * 13 / 10, "losses have set it: {}", sim.cc.inflight_longterm);
    // Headroom: 0.85 of 1.1 BDP are cruised at, 0.935; a probe that fails is over within a round.
    let r = sim.run(secs(60));
    assert!(r.utilization >= 880 && r.loss <= 50, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.1.3
fn startup_ends_by_losses_and_sets_the_bound() {
    // A.2. The buffer is full before the plateau is three rounds old.
    let path = Path::new(100, 40);
    let mut sim = flow(Path { buffer: path.bdp() / 4, ..path }, 1);
    reach(&mut sim, State::Drain);
    let long = sim.cc.inflight_longterm;
    assert!((path.bdp()..=path.bdp() * 14 / 10).contains(&long), "{long} of {}", path.bdp());
    assert_eq!(sim.cc.undo.state, Some(State::Startup));
    assert!(sim.cc.full_bw.reached && sim.cc.round_count <= 11, "{}", sim.cc.round_count);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.6
//= draft-ietf-ccwg-bbr-06 5.3.3.7
fn a_probe_that_went_too_high_is_followed_by_a_careful_one() {
    // A.21. The buffer takes half a BDP; a bound above it lets the probe find out.
    let path = Path::new(100, 40);
    let mut sim = settled(Path { buffer: path.bdp() / 2, ..path });
    sim.cc.inflight_longterm = 2 * path.bdp();
    sim.cc.prev_probe_too_high = false;
    sim.run_until(secs(10), |s| s.cc.prev_probe_too_high).unwrap();
    assert_eq!(sim.cc.state, State::ProbeBwDown);
    let long = sim.cc.inflight_longterm;
    assert!((path.bdp() * 7 / 10..=path.bdp() * 16 / 10).contains(&long), "{long} of {}", path.bdp());
    // The next one stops as soon as that much is in flight, and when nothing was lost in its round, goes on at once.
    sim.run_until(secs(10), |s| s.cc.prev_probe_precautionary).unwrap();
    assert_eq!(sim.cc.state, State::ProbeBwDown);
    let next = sim.run_until(ms(200), |s| s.cc.state == State::ProbeBwRefill || s.cc.prev_probe_too_high);
    assert!(next.is_some());
}

#[test]
//= draft-ietf-ccwg-bbr-06 3.7
fn marks_are_congestion() {
    // The queue marks from a twentieth of a BDP on: no buffer is filled, and little is lost by that.
    let path = Path::new(100, 40);
    let mut sim = flow(Path { mark_above: path.bdp() / 20, ..path }, 1);
    let r = sim.run(secs(3));
    assert!(r.peak_queue <= 1_100, "{r:?}");
    let r = sim.run(secs(30));
    assert!(r.utilization >= 850 && r.peak_queue <= 500 && r.mean_queue <= 50, "{r:?}");
}
