//! A path that stays as it is.

use super::*;
use crate::snd::congestion::CongestionControl;
use crate::snd::congestion::testing::{App, SMSS};
use std::vec::Vec;

const PATH: fn() -> Path = || Path::new(100, 40);

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.1.1
//= draft-ietf-ccwg-bbr-06 5.3.1.2
fn startup_finds_the_bandwidth_and_leaves_at_the_plateau() {
    // A.1. From 10 segments to a BDP of 342: log2 of 34, six rounds; three without growth, and one that set the mark.
    let mut sim = flow(PATH(), 1);
    reach(&mut sim, State::Drain);
    assert!(sim.cc.round_count <= 12, "{} rounds", sim.cc.round_count);
    assert!((980..=1020).contains(&max_bw(&sim)), "{}", max_bw(&sim));
    assert!(sim.cc.full_bw.now && sim.cc.full_bw.reached && sim.cc.full_bw.count == 3);
    // (cwnd gain 2 - 1) BDP of queue, and what a quantum adds.
    assert!(sim.queued() <= sim.path.bdp() * 11 / 10);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.2
fn drain_takes_the_queue_away() {
    // A.3. Half the rate: a BDP of queue is gone after two times 40 ms, and then one BDP is in flight.
    let mut sim = flow(PATH(), 1);
    reach(&mut sim, State::Drain);
    assert_eq!(sim.cc.state.pacing_gain().0, 50);
    let took = sim.run_until(secs(1), |s| s.cc.state != State::Drain).unwrap();
    assert!(took <= ms(120), "{took:?}");
    assert!(sim.inflight <= sim.path.bdp() + 2 * SMSS, "{} of {}", sim.inflight, sim.path.bdp());
    assert!(sim.cc.state.is_probe_bw());
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.2
fn drain_ends_in_any_case() {
    // A.4. An estimate that is too high: nine tenths of the bandwidth go when Drain begins, and the queue only grows.
    let mut sim = flow(PATH(), 1);
    reach(&mut sim, State::Drain);
    sim.path.rate /= 10;
    let begin = sim.cc.round_count;
    sim.run_until(secs(20), |s| s.cc.state != State::Drain).unwrap();
    assert_eq!(sim.cc.round_count, begin + 4, "the first round after three");
}

#[test]
//= draft-ietf-ccwg-bbr-06 3.2
//= draft-ietf-ccwg-bbr-06 5.3.4.2
fn a_long_flow_fills_the_link_and_keeps_the_queue_small() {
    // 0.98 by ProbeRTT, 0.99 by the pacing margin: 0.97. A probe puts cwnd gain 2.25 - 1 BDP in the queue at most, for four
    // rounds of sixty.
    let mut sim = settled(PATH());
    let r = sim.run(secs(60));
    assert!(r.utilization >= 940, "{r:?}");
    assert!(r.peak_queue <= 1_000 && r.mean_queue <= 100, "{r:?}");
    assert_eq!((r.loss, r.timeouts), (0, 0));
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3
fn the_cycle_goes_down_cruise_refill_up_every_two_or_three_seconds() {
    let mut sim = settled(PATH());
    let mut seen: Vec<(State, crate::Instant)> = Vec::new();
    sim.run_until(secs(60), |s| {
        if seen.last().is_none_or(|l| l.0 != s.cc.state) {
            seen.push((s.cc.state, s.now));
        }
        false
    });
    for pair in seen.windows(2) {
        use State::*;
        let way = (pair[0].0, pair[1].0);
        // DOWN can be over with the acknowledgment that begins it, and ProbeRTT comes from anywhere.
        let known = matches!(
            way,
            (ProbeBwUp, ProbeBwDown | ProbeBwCruise)
                | (ProbeBwDown, ProbeBwCruise | ProbeBwRefill)
                | (ProbeBwCruise, ProbeBwRefill)
                | (ProbeBwRefill, ProbeBwUp)
                | (ProbeRtt, ProbeBwCruise)
                | (_, ProbeRtt)
        );
        assert!(known, "{way:?}");
    }
    let ups: Vec<_> = seen.iter().filter(|s| s.0 == State::ProbeBwUp).map(|s| s.1).collect();
    assert!(ups.len() >= 60 / 5, "{}", ups.len());
    // At most three seconds, or 63 rounds, and the probe itself; ProbeRTT begins the waiting anew.
    assert!(ups.windows(2).all(|w| w[1].since(w[0]) <= secs(6) && w[1].since(w[0]) >= secs(2)));
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.4.3
fn probe_rtt_comes_every_five_seconds_and_is_short() {
    // A.10. It begins with the first acknowledgment after five seconds, and lasts 200 ms and what it takes to begin and to end.
    let mut sim = settled(PATH());
    reach(&mut sim, State::ProbeRtt);
    for _ in 0..5 {
        assert!(sim.cc.holds_back());
        let took = sim.run_until(secs(1), |s| s.cc.state != State::ProbeRtt).unwrap();
        assert!((ms(200)..=ms(300)).contains(&took), "{took:?}");
        let between = reach(&mut sim, State::ProbeRtt);
        assert!((secs(5)..=ms(5_010)).contains(&between), "{between:?}");
        sim.run_until(ms(60), |s| s.inflight <= s.path.bdp() / 2 + SMSS).unwrap();
    }
    assert!(sim.cc.min_rtt <= ms(41), "{:?}", sim.cc.min_rtt);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.6.4.3
fn a_path_of_less_than_a_segment_has_four_in_flight() {
    // A.14. 64 kbit/s and 10 ms: 80 octets. A segment takes 182 ms.
    let path = Path { rate: 8_000, buffer: 64_000, ..Path::new(1, 10) };
    let mut sim = flow(path, 1);
    sim.run(secs(30));
    let r = sim.run(secs(60));
    assert!(sim.window.cwnd >= 4 * SMSS);
    assert!(r.utilization >= 940 && r.loss == 0, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.9
fn aggregated_acknowledgments_are_bridged() {
    // A.12, A.13. Acknowledgments come every 20 ms, for half a BDP at a time.
    let mut sim = flow(Path { aggregation: ms(20), ..PATH() }, 1);
    sim.run(secs(5));
    assert!(max_bw(&sim) >= 950, "{}", max_bw(&sim));
    let extra = sim.cc.extra_acked;
    assert!((sim.path.bdp() / 4..=sim.path.bdp()).contains(&extra), "{extra}");
    let r = sim.run(secs(30));
    assert!(r.utilization >= 900, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.4
fn an_application_that_sends_little_does_not_change_the_model() {
    // A.7, A.22. A tenth of the bandwidth for half a minute: ten cycles in which nothing is to be learned.
    let mut sim = settled(PATH());
    sim.app = App::Paced(sim.path.rate / 1_000, ms(10));
    sim.run(secs(30));
    assert!(max_bw(&sim) >= 980, "{}", max_bw(&sim));
    sim.app = App::Bulk;
    let r = sim.run(secs(2));
    assert!(r.utilization >= 900, "{r:?}");
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.1.2
fn an_application_that_sends_little_does_not_end_startup() {
    // A.7.
    let mut sim = flow(PATH(), 1);
    sim.app = App::Paced(u64::from(4 * SMSS), ms(20));
    sim.run(secs(4));
    assert_eq!(sim.cc.state, State::Startup);
    sim.app = App::Bulk;
    reach(&mut sim, State::Drain);
    assert!(max_bw(&sim) >= 980, "{}", max_bw(&sim));
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.4.3
fn a_probe_rtt_in_startup_leads_back_to_it() {
    // A.20.
    let mut sim = flow(PATH(), 1);
    sim.app = App::Paced(u64::from(4 * SMSS), ms(20));
    reach(&mut sim, State::ProbeRtt);
    sim.run_until(secs(1), |s| s.cc.state != State::ProbeRtt).unwrap();
    assert_eq!(sim.cc.state, State::Startup);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.4.1
fn after_idle_times_it_paces_at_the_bandwidth() {
    // A.11. No slow start, no burst, no ProbeRTT.
    let mut sim = settled(PATH());
    sim.app = App::Silent;
    sim.run(secs(8));
    assert_eq!(sim.inflight, 0);
    sim.app = App::Paced(100 << 20, secs(60));
    sim.run_until(ms(1), |s| s.inflight > 0).unwrap();
    assert!(sim.cc.idle_restart);
    assert_eq!(sim.cc.pacing().unwrap().rate, sim.cc.bw * 99 / 100);
    let r = sim.run(ms(80));
    assert!(r.peak_queue <= 50, "{r:?}");
    assert_ne!(sim.cc.state, State::ProbeRtt);
    let r = sim.run(secs(2));
    assert!(r.utilization >= 950, "{r:?}");
}

#[test]
fn a_run_is_the_same_with_the_same_seed_and_another_with_another() {
    let run = |seed| {
        let mut sim = flow(Path { loss_ppm: 1_000, ..PATH() }, seed);
        sim.run(secs(15));
        (sim.delivered, sim.window.cwnd, sim.cc.bw_probe_wait)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).2, run(8).2);
}
