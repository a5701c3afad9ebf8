//! Single steps: undo, recovery, bounds, what the beginning knows.

use super::*;
use crate::TcpConfig;
use crate::snd::congestion::testing::SMSS;
use crate::snd::congestion::{
    Ack, Algorithm, Congestion, CongestionControl, Loss, LossCause, LostPiece, RateSample, Start, Window,
};
use crate::time::Instant;
use synfin_wire::SeqNum;

const START: Start =
    Start { now: Instant::ZERO, initial_cwnd: 10 * SMSS, smss: SMSS, srtt: Duration::ZERO, sack: true, seed: 1 };

fn window() -> Window {
    Window { cwnd: 10 * SMSS, ssthresh: u32::MAX }
}

fn lost(number: u32, tx_in_flight: u32, lost_before: u64, total_lost: u64) -> LostPiece {
    LostPiece {
        seq: SeqNum(number * SMSS),
        len: SMSS,
        tx_in_flight,
        lost_before,
        total_lost,
        total_delivered: 0,
        is_app_limited: false,
        again: false,
    }
}

fn loss(now: Instant) -> Loss {
    Loss { now, flight: 10 * SMSS, smss: SMSS, cause: LossCause::Lost }
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.6.2
fn the_first_rate_is_the_initial_window_in_a_millisecond_or_the_handshakes_time() {
    let iw = u64::from(10 * SMSS);
    assert_eq!(Bbr::new(&START).pacing().unwrap().rate, iw * 1_000 * 277 / 100);
    let known = Start { srtt: ms(40), ..START };
    assert_eq!(Bbr::new(&known).pacing().unwrap().rate, iw * 25 * 277 / 100);
    // The first round-trip time sets it, later ones do not.
    let mut b = Bbr::new(&START);
    let mut w = window();
    let ack = Ack { rtt: Some(ms(40)), ..Ack::of(SMSS, 10 * SMSS, SMSS) };
    b.on_ack(&mut w, &ack);
    assert_eq!(b.pacing().unwrap().rate, iw * 25 * 277 / 100);
    b.on_ack(&mut w, &Ack { rtt: Some(ms(80)), ..ack });
    assert_eq!(b.pacing().unwrap().rate, iw * 25 * 277 / 100);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.6.3
fn a_quantum_is_a_millisecond_within_bounds() {
    let quantum = |rate| {
        let mut b = Bbr::new(&START);
        b.c.pacing_rate = rate;
        b.set_send_quantum();
        b.pacing().unwrap().quantum
    };
    assert_eq!((quantum(1), quantum(12_500_000), quantum(u64::MAX)), (2 * SMSS, 12_500, 65_536));
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.11.2
fn a_spurious_loss_in_startup_leads_back_to_it() {
    // A.18.
    let path = Path::new(100, 40);
    let mut sim = flow(Path { buffer: path.bdp() / 4, ..path }, 1);
    reach(&mut sim, State::Drain);
    let now = sim.now;
    sim.cc.on_spurious(&mut sim.window, now);
    assert_eq!((sim.cc.state, sim.cc.full_bw.reached), (State::Startup, false));
    assert_eq!(sim.cc.inflight_longterm, u32::MAX);
    // Only once: what was saved is used up.
    sim.cc.state = State::Drain;
    sim.cc.full_bw.reached = true;
    sim.cc.on_spurious(&mut sim.window, now);
    assert_eq!((sim.cc.state, sim.cc.full_bw.reached), (State::Drain, true));
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.11.1
//= draft-ietf-ccwg-bbr-06 5.5.11.2
fn a_spurious_loss_in_a_probe_is_undone_however_many_pieces_it_had() {
    // A.18, A.19. More than 2 % in one acknowledgment: the first pieces end the probe, the last are of the same episode.
    for timeout in [false, true] {
        let mut sim = settled(Path::new(100, 40));
        reach(&mut sim, State::ProbeBwUp);
        let (now, before, cwnd) = (sim.now, sim.cc.inflight_longterm, sim.window.cwnd);
        for n in 0..20 {
            let piece = lost(2 * n, 400 * SMSS, 0, u64::from((n + 1) * SMSS));
            sim.cc.on_lost(&mut sim.window, &piece, now);
        }
        assert_eq!(sim.cc.state, State::ProbeBwDown);
        assert!(sim.cc.inflight_longterm < 400 * SMSS && sim.cc.prev_probe_too_high);
        if timeout {
            sim.cc.on_timeout(&mut sim.window, &loss(now), true);
            assert_eq!(sim.window.cwnd, SMSS);
        } else {
            sim.cc.on_loss(&mut sim.window, &loss(now));
        }
        assert_eq!(sim.window.ssthresh, cwnd, "for those who look at it");
        sim.cc.on_spurious(&mut sim.window, now);
        assert_eq!(sim.cc.state, State::ProbeBwRefill, "the probe begins anew");
        assert_eq!((sim.cc.inflight_longterm, sim.window.cwnd), (before, cwnd));
    }
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.6.4.4
fn recovery_ends_with_the_window_it_began_with_within_the_model() {
    let mut sim = settled(Path::new(100, 40));
    reach(&mut sim, State::ProbeBwCruise);
    let (now, cwnd) = (sim.now, sim.window.cwnd);
    assert!(sim.cc.governs_recovery());
    sim.cc.on_lost(&mut sim.window, &lost(0, 300 * SMSS, 0, u64::from(SMSS)), now);
    sim.cc.on_timeout(&mut sim.window, &loss(now), true);
    assert_eq!(sim.window.cwnd, SMSS);
    sim.cc.on_recovered(&mut sim.window, now);
    assert_eq!(sim.window.cwnd, cwnd);
    // A bound that was found meanwhile holds.
    sim.cc.on_timeout(&mut sim.window, &loss(now), true);
    sim.cc.inflight_shortterm = 20 * SMSS;
    sim.cc.on_recovered(&mut sim.window, now);
    assert_eq!(sim.window.cwnd, 20 * SMSS);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.5.10.3
fn a_round_with_losses_follows_what_was_delivered_by_no_more_than_beta() {
    let mut sim = settled(Path::new(100, 40));
    reach(&mut sim, State::ProbeBwCruise);
    let b = &mut sim.cc;
    (b.bw_latest, b.inflight_latest, b.is_loss_in_round, b.loss_round_start) = (0, 0, true, true);
    (b.bw_shortterm, b.inflight_shortterm) = (1_000_000, 100_000);
    b.rs = super::super::Sample::default();
    b.update_congestion_signals();
    assert_eq!((b.bw_shortterm, b.inflight_shortterm), (700_000, 70_000));
    assert!(!b.is_loss_in_round);
    (b.bw_latest, b.inflight_latest, b.is_loss_in_round) = (673_200, 65_000, true);
    b.update_congestion_signals();
    assert_eq!((b.bw_shortterm, b.inflight_shortterm), (680_000, 65_000), "but for the pacing margin");
    // What was sent in DOWN was paced by a tenth less.
    (b.bw_latest, b.is_loss_in_round, b.held_back[1]) = (594_000, true, State::ProbeBwDown.pacing_gain());
    b.update_congestion_signals();
    assert_eq!(b.bw_shortterm, 666_666);
    b.bw_shortterm = 680_000;
    b.held_back[1] = State::ProbeBwCruise.pacing_gain();
    // While it probes, it does not.
    b.state = State::ProbeBwUp;
    (b.bw_latest, b.is_loss_in_round) = (0, true);
    b.update_congestion_signals();
    assert_eq!(b.bw_shortterm, 680_000);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.3.5
fn the_bound_grows_by_twice_as_many_segments_each_round() {
    // A.15. 100 segments are acknowledged in each round, while the bound is what limits the sender.
    let mut b = Bbr::new(&Start { srtt: ms(40), ..START });
    b.state = State::ProbeBwUp;
    b.full_bw.reached = true;
    (b.c.cwnd, b.inflight_longterm) = (100 * SMSS, 100 * SMSS);
    let mut grown = std::vec::Vec::new();
    for _ in 0..5 {
        b.c.cwnd = 100 * SMSS;
        b.raise_inflight_longterm_slope();
        b.c.is_cwnd_limited = true;
        let before = b.inflight_longterm;
        for _ in 0..100 {
            b.c.cwnd = b.inflight_longterm;
            b.rs.newly_acked = SMSS;
            b.probe_inflight_longterm_upward();
        }
        grown.push((b.inflight_longterm - before) / SMSS);
    }
    assert_eq!(grown, [1, 2, 4, 8, 16]);
}

#[test]
//= draft-ietf-ccwg-bbr-06 5.3.1.3
fn without_selective_acknowledgments_one_loss_ends_startup() {
    let mut b = Bbr::new(&Start { sack: false, srtt: ms(40), ..START });
    let mut w = window();
    b.on_lost(&mut w, &lost(0, 10 * SMSS, 0, u64::from(SMSS)), Instant::ZERO);
    b.on_loss(&mut w, &loss(Instant::ZERO));
    let rate = RateSample {
        delivery_rate: 1_000_000,
        delivered: u64::from(9 * SMSS),
        lost: u64::from(SMSS),
        interval: ms(40),
        total_delivered: u64::from(9 * SMSS),
        prior_delivered: 0,
        is_app_limited: false,
        tx_in_flight: 10 * SMSS,
    };
    let ack = Ack { rate: Some(rate), in_recovery: true, ..Ack::of(SMSS, 10 * SMSS, SMSS) };
    b.on_ack(&mut w, &ack);
    assert!(b.full_bw.reached && b.state != State::Startup, "{:?}", b.state);
}

#[test]
fn the_setting_names_it_and_its_state_is_small() {
    let mut cfg = TcpConfig::default();
    cfg.set("congestion", "bbr").unwrap();
    assert_eq!(cfg.congestion, Algorithm::Bbr);
    assert_eq!(Congestion::new(&cfg, &START).view().name(), "bbr");
    assert!(size_of::<Bbr>() <= 640, "{}", size_of::<Bbr>());
}
