//! CUBIC (RFC 9438) in octets and integers.
//!
//! After a congestion event the window comes back along a cubic curve around `w_max`, where the event happened: fast while it
//! is far below, slowly near it, then faster again to find out whether there is more. The curve is a function of time, not of the
//! round-trip time. Beside it runs `w_est`, an estimate of what Reno would have; where that is more, cwnd follows it.
//!
//! * Windows are octets, so C = 0.4 becomes 0.4 x SMSS octets per second cubed. Times are microseconds, products have 128
//!   bits: the curve is exact to the octet, and nothing overflows for any window, SMSS or time.
//! * 4.4 and 4.5 grow by (target - cwnd)/cwnd for each acknowledgment. An acknowledgment here can cover dozens of segments, so
//!   it counts by the octets that it acknowledges (4.1), as an acknowledgment for every segment would. Fractions of an octet
//!   are kept.
//! * Slow start is HyStart++ ([`HyStart`]).
//! * Time in which the window was not used does not count: `epoch_start` is moved on by it.

use super::{Ack, CongestionControl, HyStart, Loss, LossCause, Sending, Window};
use crate::time::{Duration, Instant};
use alloc::boxed::Box;

/// The state of CUBIC.
#[derive(Debug, Clone)]
pub struct Cubic {
    /// The congestion avoidance stage.
    stage: Stage,
    /// What the stage was before the last congestion event (4.9.2: undo_).
    undo: Option<Box<Stage>>,
    /// Slow start.
    hystart: HyStart,
    /// The last acknowledgment.
    last_ack: Instant,
    /// cwnd as it was left: if somebody else reduces it, a new stage begins.
    left_at: u32,
    /// The part of an octet by which cwnd has grown, in 1/65536.
    fraction: u32,
}

/// A congestion avoidance stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stage {
    /// t_epoch: when it began; `NEVER` before it does.
    epoch_start: Instant,
    /// W_max: cwnd before the last reduction, or less by fast convergence; zero while it is undefined.
    w_max: u32,
    /// cwnd when ssthresh was last set.
    cwnd_prior: u32,
    /// K, in microseconds.
    k_us: u64,
    /// W_est, in 1/1024 octets.
    w_est: u64,
}

impl Cubic {
    /// At the beginning of a connection, with or without HyStart++.
    pub fn new(hystart: bool) -> Cubic {
        Cubic {
            stage: Stage { epoch_start: Instant::NEVER, w_max: 0, cwnd_prior: 0, k_us: 0, w_est: 0 },
            undo: None,
            hystart: HyStart::new(hystart),
            last_ack: Instant::ZERO,
            left_at: 0,
            fraction: 0,
        }
    }

    /// Slow start; returns how many of the acknowledged octets it has left for congestion avoidance.
    //= RFC 9438 4.10 (a) (b)
    //= RFC 9406 4.2 (a)
    fn slow_start(&mut self, w: &mut Window, ack: &Ack) -> u32 {
        // A stage that began before has ended: cwnd came down to below ssthresh, and time will have passed.
        self.stage.epoch_start = Instant::NEVER;
        let (before, ssthresh) = (w.cwnd, w.ssthresh);
        self.hystart.on_ack(w, ack);
        if ssthresh == u32::MAX && w.ssthresh != ssthresh {
            // HyStart++ has ended it without a loss: W_max stays undefined.
            self.stage.cwnd_prior = w.cwnd;
        }
        if w.cwnd <= ssthresh {
            return 0;
        }
        w.cwnd = ssthresh;
        ack.acked - (ssthresh - before).min(ack.acked)
    }

    /// Congestion avoidance, for `acked` octets.
    fn avoid(&mut self, w: &mut Window, ack: &Ack, acked: u32) {
        if self.stage.epoch_start == Instant::NEVER || w.cwnd < self.left_at {
            self.begin_stage(w, ack);
        }
        let t = ack.now.since(self.stage.epoch_start);
        self.stage.estimate(w.cwnd, acked, ack.smss);
        let w_est = u32::try_from(self.stage.w_est >> EST_BITS).unwrap_or(u32::MAX);
        //= RFC 9438 4.3 (a): below W_est, cwnd is W_est at each acknowledgment
        if self.stage.w_cubic(t, ack.smss) < u64::from(w_est) {
            w.cwnd = w.cwnd.max(w_est);
            return;
        }
        //= RFC 9438 4.2 (b): the target is bounded
        let cwnd = u64::from(w.cwnd);
        let target = self.stage.w_cubic(t.saturating_add(ack.srtt), ack.smss).clamp(cwnd, cwnd + cwnd / 2);
        //= RFC 9438 4.4
        //= RFC 9438 4.5
        let step = ((u128::from(target - cwnd) * u128::from(acked.min(w.cwnd))) << 16) / u128::from(cwnd.max(1))
            + u128::from(self.fraction);
        self.fraction = (step & 0xffff) as u32;
        w.cwnd = w.cwnd.saturating_add(u32::try_from(step >> 16).unwrap_or(u32::MAX));
    }

    /// A congestion avoidance stage begins.
    //= RFC 9438 4.2 (a): K
    fn begin_stage(&mut self, w: &Window, ack: &Ack) {
        let s = &mut self.stage;
        s.epoch_start = ack.now;
        s.w_est = u64::from(w.cwnd) << EST_BITS;
        s.k_us = match s.w_max.checked_sub(w.cwnd) {
            // K^3 = (W_max - cwnd_epoch) / C, in cubes of microseconds.
            Some(below) if below > 0 => {
                cube_root(u128::from(below) * C_DEN * SECOND_CUBED / (C_NUM * u128::from(ack.smss.max(1))))
            }
            // W_max is undefined, after HyStart++ and after a timeout, or was passed: the curve begins here.
            //= RFC 9438 4.8 (b) (c)
            //= RFC 9438 4.10 (c)
            _ => {
                s.w_max = w.cwnd;
                0
            }
        };
        self.fraction = 0;
    }

    /// Remembers cwnd and W_max, with fast convergence.
    //= RFC 9438 4.7 (a)
    fn remember(&mut self, w: &Window) {
        self.undo = Some(Box::new(self.stage));
        let s = &mut self.stage;
        //= RFC 9438 4.6 (a) (figure 5: cwnd_prior)
        s.cwnd_prior = w.cwnd;
        // (1 + beta) / 2 = 17/20
        s.w_max = if w.cwnd < s.w_max { scale(w.cwnd, 17, 20) } else { w.cwnd };
        s.epoch_start = Instant::NEVER;
        self.hystart.reset();
    }

    /// Time in which the window was not used, up to now, is not part of the stage.
    //= RFC 9438 4.2 (c): t MUST NOT include application-limited periods
    //= RFC 9438 5.8
    fn skip_time(&mut self, now: Instant) {
        if self.stage.epoch_start != Instant::NEVER {
            self.stage.epoch_start += now.since(self.last_ack);
        }
        self.last_ack = now;
    }
}

impl CongestionControl for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
    }

    fn on_ack(&mut self, w: &mut Window, ack: &Ack) {
        if !ack.cwnd_limited {
            self.skip_time(ack.now);
        }
        self.last_ack = ack.now;
        //= RFC 3168 6.1.2: no growth by what tells of marks
        if ack.marked > 0 {
            return;
        }
        let acked = if w.cwnd < w.ssthresh { self.slow_start(w, ack) } else { ack.acked };
        if acked > 0 && ack.cwnd_limited && w.cwnd >= w.ssthresh {
            self.avoid(w, ack, acked);
        }
        self.left_at = w.cwnd;
    }

    //= RFC 9438 4.6 (a) (b) (d)
    fn on_loss(&mut self, w: &mut Window, loss: &Loss) {
        self.remember(w);
        let reduced = scale(loss.flight, 7, 10);
        w.ssthresh = reduced.max(2 * loss.smss);
        if loss.cause == LossCause::Marked {
            // Nothing was lost: there is no recovery that would reduce cwnd, and nothing to be undone.
            w.cwnd = w.cwnd.min(reduced.max(loss.smss));
            self.undo = None;
        }
        self.left_at = 0;
    }

    //= RFC 9438 4.8 (a)
    fn on_timeout(&mut self, w: &mut Window, loss: &Loss, first: bool) {
        if first {
            self.remember(w);
            w.ssthresh = scale(loss.flight, 7, 10).max(2 * loss.smss);
        }
        // Undefined: the next stage begins with K = 0 and W_max = cwnd.
        self.stage.w_max = 0;
        self.stage.epoch_start = Instant::NEVER;
        self.left_at = 0;
        //= RFC 5681 3.1 (i)
        w.cwnd = loss.smss; // the loss window
    }

    //= RFC 9438 4.9.2 (a) (b)
    fn on_spurious(&mut self, w: &mut Window, _now: Instant) {
        // Found out so late that cwnd has come further: then what is now goes on.
        if let Some(undo) = self.undo.take()
            && w.cwnd <= self.stage.cwnd_prior
        {
            self.stage = *undo;
        }
        self.left_at = 0;
    }

    fn on_send(&mut self, _w: &mut Window, sending: &Sending) {
        if sending.pipe == 0 {
            // What was idle is over. The first acknowledgment may find the window full again, and would count it.
            self.skip_time(sending.now);
        }
    }
}

impl Stage {
    /// W_cubic(t), in octets.
    //= RFC 9438 4.2 (a): figure 1
    fn w_cubic(&self, t: Duration, smss: u32) -> u64 {
        let t_us = u64::try_from(t.as_micros()).unwrap_or(u64::MAX).min(LONGEST_US);
        let d = u128::from(t_us.abs_diff(self.k_us));
        let moved = d * d * d * C_NUM * u128::from(smss) / (C_DEN * SECOND_CUBED);
        let moved = u64::try_from(moved).unwrap_or(u64::MAX);
        let w_max = u64::from(self.w_max);
        if t_us < self.k_us { w_max.saturating_sub(moved) } else { w_max.saturating_add(moved) }
    }

    /// W_est grows by alpha x SMSS per window of acknowledged text: as Reno with beta, and once it has come to where ssthresh
    /// was set, as Reno.
    //= RFC 9438 4.3 (a) (b): figure 4
    fn estimate(&mut self, cwnd: u32, acked: u32, smss: u32) {
        // alpha = 3 (1 - beta) / (1 + beta) = 9/17
        let reached = self.w_est >> EST_BITS >= u64::from(self.cwnd_prior);
        let (num, den) = if reached { (1, 1) } else { (9, 17) };
        let grown = ((u128::from(acked) * u128::from(smss) * num) << EST_BITS) / (den * u128::from(cwnd.max(1)));
        self.w_est = self.w_est.saturating_add(u64::try_from(grown).unwrap_or(u64::MAX));
    }
}

/// `n * num / den`.
fn scale(n: u32, num: u32, den: u32) -> u32 {
    u32::try_from(u64::from(n) * u64::from(num) / u64::from(den)).unwrap_or(u32::MAX)
}

/// The greatest integer whose cube is not more than `n`, bit by bit.
fn cube_root(n: u128) -> u64 {
    let bits = (128 - n.leading_zeros()).div_ceil(3);
    let mut root = 0u128;
    for bit in (0..bits).rev() {
        let next = root | 1 << bit;
        if next.checked_mul(next * next).is_some_and(|cube| cube <= n) {
            root = next;
        }
    }
    root as u64
}

// C = 0.4
//= RFC 9438 5.1
const C_NUM: u128 = 2;
const C_DEN: u128 = 5;
/// Cubes of microseconds in a cube of a second.
const SECOND_CUBED: u128 = 1_000_000_000_000_000_000;
/// Two hours: any window is reached by then (with an SMSS of 1, 2^32 octets take 37 minutes), and its cube fits.
const LONGEST_US: u64 = 7_200_000_000;
/// The fraction of W_est.
const EST_BITS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const SMSS: u32 = 1000;
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + MS(ms)
    }

    fn ack(acked: u32, now: Instant, rtt: Duration) -> Ack {
        Ack { now, srtt: rtt, rtt: Some(rtt), ..Ack::of(acked, acked, SMSS) }
    }

    fn loss(flight: u32, cause: LossCause) -> Loss {
        Loss { now: at(0), flight, smss: SMSS, cause }
    }

    fn lost(c: &mut Cubic, w: &mut Window) {
        c.on_loss(w, &loss(w.cwnd, LossCause::Lost));
        w.cwnd = w.ssthresh; // recovery
    }

    /// Acknowledges whole windows, a segment at a time, from `from` until `until`.
    fn run(c: &mut Cubic, w: &mut Window, from: u64, until: u64, rtt: u64) {
        let mut ms = from;
        while ms < until {
            let n = w.cwnd / SMSS;
            for i in 0..n {
                let now = at(ms) + MS(rtt) * i / n;
                c.on_ack(w, &ack(SMSS, now, MS(rtt)));
            }
            ms += rtt;
        }
    }

    #[test]
    fn the_cube_root_is_exact() {
        let mut all: Vec<u128> = (0..2_000).collect();
        for r in [10u128, 999, 1 << 20, 4_217_163, 1 << 32, (1 << 42) + 12_345, 6_981_463_658_331] {
            all.extend([r * r * r - 1, r * r * r, r * r * r + 1]);
        }
        all.extend([u128::MAX, u128::MAX - 1, u128::from(u64::MAX)]);
        for n in all {
            let r = u128::from(cube_root(n));
            assert!(r * r * r <= n, "{n}");
            assert!((r + 1).checked_mul((r + 1) * (r + 1)).is_none_or(|cube| cube > n), "{n}");
        }
    }

    #[test]
    //= RFC 9438 4.2 (a)
    fn the_curve_passes_the_points_of_the_formula() {
        // W_max = 100 segments, cwnd_epoch = 70: K = (30 / 0.4)^(1/3) = 75^(1/3) = 4.217163 s.
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS };
        lost(&mut c, &mut w);
        assert_eq!(w, Window { cwnd: 70 * SMSS, ssthresh: 70 * SMSS });
        c.begin_stage(&w, &ack(SMSS, at(0), MS(100)));
        let s = c.stage;
        assert_eq!(s.k_us, 4_217_163);
        // 0.4 (t - K)^3 + 100 segments, by hand.
        for (t_us, want) in [
            (0, 70_000),
            (1_000_000, 86_681),
            (2_217_163, 96_800),
            (4_217_163, 100_000),
            (5_217_163, 100_400),
            (8_434_326, 129_999),
            (14_217_163, 500_000),
        ] {
            let got = s.w_cubic(Duration::from_micros(t_us), SMSS);
            assert!(got.abs_diff(want) <= 1, "W_cubic({t_us} us) = {got}, not {want}");
        }
    }

    #[test]
    //= RFC 9438 4.4
    //= RFC 9438 4.5
    fn the_window_follows_the_curve_through_both_regions() {
        // 1000 segments, 100 ms: K = (300 / 0.4)^(1/3) = 9.086 s.
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 1000 * SMSS, ssthresh: 500 * SMSS };
        lost(&mut c, &mut w);
        let mut from = 0;
        for (until, concave) in [(3_000, true), (6_000, true), (9_000, true), (12_000, false), (15_000, false)] {
            run(&mut c, &mut w, from, until, 100);
            from = until;
            // cwnd is where the curve will be a round trip later, at most.
            let (now, next) = (c.stage.w_cubic(MS(until - 100), SMSS), c.stage.w_cubic(MS(until + 100), SMSS));
            assert!((now..=next).contains(&u64::from(w.cwnd)), "at {until} ms: {} of {now}..={next}", w.cwnd);
            assert_eq!(w.cwnd < c.stage.w_max, concave);
        }
    }

    #[test]
    //= RFC 9438 4.2 (b)
    fn a_window_grows_by_half_in_a_round_trip_at_most_and_never_shrinks() {
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 10 * SMSS };
        c.on_ack(&mut w, &ack(SMSS, at(0), MS(100)));
        // A minute without an acknowledgment, the window full: the curve is far away.
        let before = w.cwnd;
        c.on_ack(&mut w, &ack(before, at(60_000), MS(100)));
        assert_eq!(w.cwnd, before + before / 2);
        c.stage.k_us = 100_000_000;
        let before = w.cwnd;
        c.on_ack(&mut w, &ack(SMSS, at(60_100), MS(100)));
        assert!(w.cwnd >= before);
    }

    #[test]
    //= RFC 9438 4.3 (a) (b)
    fn on_a_short_path_it_is_as_friendly_as_reno() {
        // 20 segments, 5 ms: Reno's line is far above the curve. 9/17 of a segment per round trip until it is back at
        // cwnd_prior, 20 segments, after (20 - 14) x 17/9 = 11.3 round trips; then one.
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 20 * SMSS, ssthresh: 10 * SMSS };
        lost(&mut c, &mut w);
        assert_eq!(w.cwnd, 14 * SMSS);
        run(&mut c, &mut w, 0, 5 * 9, 5);
        let want = 14 * SMSS + 9 * 9 * SMSS / 17;
        assert!(w.cwnd.abs_diff(want) <= SMSS / 4, "{} of {want}", w.cwnd);
        run(&mut c, &mut w, 45, 100, 5);
        let reached = w.cwnd;
        assert!(reached >= 20 * SMSS);
        run(&mut c, &mut w, 100, 150, 5);
        assert!((w.cwnd - reached).abs_diff(10 * SMSS) <= SMSS, "alpha is 1: {reached} to {}", w.cwnd);
    }

    #[test]
    //= RFC 9438 4.6 (a) (b)
    //= RFC 9438 5.1
    fn a_loss_takes_three_tenths_and_never_goes_below_two_segments() {
        for (flight, want) in [(100 * SMSS, 70 * SMSS), (3 * SMSS, 2_100), (2 * SMSS, 2 * SMSS), (0, 2 * SMSS)] {
            let mut w = Window { cwnd: 100 * SMSS, ssthresh: u32::MAX };
            Cubic::new(true).on_loss(&mut w, &loss(flight, LossCause::Lost));
            assert_eq!((w.ssthresh, w.cwnd), (want, 100 * SMSS), "cwnd is recovery's");
        }
    }

    #[test]
    //= RFC 9438 4.6 (d)
    fn marks_reduce_the_window_at_once() {
        for (flight, cwnd, ssthresh) in
            [(100 * SMSS, 70 * SMSS, 70 * SMSS), (2 * SMSS, 1_400, 2 * SMSS), (SMSS, SMSS, 2 * SMSS)]
        {
            let mut w = Window { cwnd: flight, ssthresh: u32::MAX };
            let mut c = Cubic::new(true);
            c.on_loss(&mut w, &loss(flight, LossCause::Marked));
            assert_eq!(w, Window { cwnd, ssthresh });
            assert_eq!(c.undo, None, "a mark is never spurious");
        }
    }

    #[test]
    //= RFC 9438 4.7 (a)
    fn fast_convergence_gives_up_more_when_the_path_has_less() {
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS };
        lost(&mut c, &mut w);
        assert_eq!(c.stage.w_max, 100 * SMSS);
        w.cwnd = 80 * SMSS;
        lost(&mut c, &mut w);
        assert_eq!(c.stage.w_max, 68 * SMSS, "80 x 1.7/2");
        w.cwnd = 90 * SMSS;
        lost(&mut c, &mut w);
        assert_eq!(c.stage.w_max, 90 * SMSS);
    }

    #[test]
    //= RFC 9438 4.8 (a) (b) (c)
    fn a_timeout_starts_slowly_and_the_next_stage_begins_its_curve_at_ssthresh() {
        let mut c = Cubic::new(true);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: u32::MAX };
        c.on_timeout(&mut w, &loss(100 * SMSS, LossCause::Lost), true);
        assert_eq!(w, Window { cwnd: SMSS, ssthresh: 70 * SMSS });
        c.on_timeout(&mut w, &loss(SMSS, LossCause::Lost), false);
        assert_eq!(w, Window { cwnd: SMSS, ssthresh: 70 * SMSS }, "the same loss is not counted twice");
        let mut at_the_end = (c.clone(), Window { cwnd: 70 * SMSS, ..w });
        at_the_end.0.begin_stage(&at_the_end.1, &ack(SMSS, at(700), MS(100)));
        assert_eq!(at_the_end.0.stage.w_est >> EST_BITS, u64::from(70 * SMSS), "Reno's line begins there, too");
        run(&mut c, &mut w, 0, 800, 100);
        assert_eq!((c.stage.k_us, c.stage.w_max, c.stage.cwnd_prior), (0, 70 * SMSS, 100 * SMSS));
    }

    #[test]
    //= RFC 9438 4.10 (a) (b) (c)
    //= RFC 9406 4.2 (a)
    fn slow_start_ends_exactly_at_ssthresh_and_by_delay() {
        let mut c = Cubic::new(true);
        let mut w = Window { cwnd: 10 * SMSS, ssthresh: 12 * SMSS };
        c.on_ack(&mut w, &ack(5 * SMSS, at(0), MS(100)));
        assert!((12 * SMSS..13 * SMSS).contains(&w.cwnd), "three segments are left for avoidance: {}", w.cwnd);
        // By delay: nothing was lost, so the curve begins where slow start ended.
        let mut c = Cubic::new(true);
        let mut w = Window { cwnd: 16 * SMSS, ssthresh: u32::MAX };
        let (mut una, mut rtt) = (synfin_wire::SeqNum(1), 40);
        for ms in (0..).step_by(100) {
            let out = una + w.cwnd;
            while una.lt(out) {
                una += SMSS;
                let nxt = una + w.cwnd;
                c.on_ack(&mut w, &Ack { una, nxt, ..ack(SMSS, at(ms), MS(rtt)) });
            }
            rtt += 8;
            if w.ssthresh != u32::MAX {
                break;
            }
        }
        let out = una + w.cwnd;
        while una.lt(out) {
            una += SMSS;
            c.on_ack(&mut w, &Ack { una, nxt: una, ..ack(SMSS, at(100_000), MS(rtt)) });
        }
        assert_eq!((c.stage.k_us, c.stage.w_max), (0, w.ssthresh));
        assert_eq!(c.stage.cwnd_prior, w.ssthresh);
    }

    #[test]
    //= RFC 9438 4.9.2 (a) (b)
    fn a_spurious_loss_leaves_no_trace() {
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 1000 * SMSS, ssthresh: 500 * SMSS };
        lost(&mut c, &mut w);
        run(&mut c, &mut w, 0, 2_000, 100);
        let (stage, window) = (c.stage, w);
        lost(&mut c, &mut w);
        run(&mut c, &mut w, 2_000, 2_300, 100);
        w = window; // the engine puts these back
        c.on_spurious(&mut w, at(2_300));
        assert_eq!(c.stage, stage);
        // Too late: cwnd is already beyond.
        lost(&mut c, &mut w);
        w.cwnd = 2000 * SMSS;
        let stage = c.stage;
        c.on_spurious(&mut w, at(2_300));
        assert_eq!(c.stage, stage);
    }

    #[test]
    //= RFC 9438 4.2 (c)
    //= RFC 9438 4.6 (c), 5.8
    fn time_in_which_the_window_is_not_used_does_not_count() {
        for idle in [false, true] {
            let mut c = Cubic::new(false);
            let mut w = Window { cwnd: 1000 * SMSS, ssthresh: 500 * SMSS };
            lost(&mut c, &mut w);
            run(&mut c, &mut w, 0, 2_000, 100);
            let (curve, cwnd) = (c.stage.w_cubic(MS(2_000), SMSS), w.cwnd);
            if idle {
                let sending = Sending { now: at(60_000), pipe: 0, is_app_limited: false, total_delivered: 0 };
                c.on_send(&mut w, &sending);
            } else {
                for ms in (2_000..=60_000).step_by(100) {
                    c.on_ack(&mut w, &Ack { cwnd_limited: false, ..ack(SMSS, at(ms), MS(100)) });
                }
            }
            assert_eq!(w.cwnd, cwnd, "an unused window does not grow");
            c.on_ack(&mut w, &ack(SMSS, at(60_010), MS(100)));
            let t = at(60_010).since(c.stage.epoch_start);
            assert!(t <= MS(2_020), "{t:?}");
            assert!(c.stage.w_cubic(t, SMSS).abs_diff(curve) < 2_000);
        }
    }

    #[test]
    fn nothing_overflows_and_a_window_that_others_reduce_begins_a_new_stage() {
        let far = Instant::from_nanos(u64::MAX - 1);
        for cwnd in [1, SMSS, u32::MAX - 1, u32::MAX] {
            for acked in [0, 1, u32::MAX] {
                let mut c = Cubic::new(true);
                let mut w = Window { cwnd, ssthresh: 2 };
                c.on_ack(&mut w, &Ack { smss: 65_535, ..ack(acked, at(0), MS(1)) });
                c.on_ack(&mut w, &Ack { smss: 65_535, ..ack(acked, far, Duration::MAX) });
                assert!(w.cwnd >= cwnd);
                c.on_loss(&mut w, &loss(u32::MAX, LossCause::Lost));
                w.cwnd = 1;
                w.ssthresh = 1;
                c.on_ack(&mut w, &Ack { smss: 1, ..ack(acked, at(0), MS(1)) });
                c.on_ack(&mut w, &Ack { smss: 1, ..ack(acked, far, Duration::MAX) });
            }
        }
        let mut c = Cubic::new(false);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 10 * SMSS };
        run(&mut c, &mut w, 0, 1_000, 100);
        w.cwnd = 20 * SMSS;
        c.on_ack(&mut w, &ack(SMSS, at(1_000), MS(100)));
        assert!(w.cwnd < 21 * SMSS, "it does not jump to the old estimate: {}", w.cwnd);
    }
}
