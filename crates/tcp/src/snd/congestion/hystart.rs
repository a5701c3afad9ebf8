//! HyStart++: slow start that ends before it has overfilled the path (RFC 9406).
//!
//! A round is the time in which all is acknowledged that was out at its beginning. If the least round-trip time of a round
//! is well above that of the round before, a queue is building up: conservative slow start (CSS) follows, a quarter as fast.
//! If the delay falls back, it was jitter, and slow start resumes; if not, congestion avoidance begins after five rounds.
//!
//! It is for the initial slow start only (4.3), which is known by ssthresh: nothing has set it yet. A loss or a timeout sets
//! it, and a later slow start ends at it, which needs no help; where a loss turns out to have been none and ssthresh is put
//! back, HyStart++ goes on with it.
//!
//! **How many measurements a round needs.** `N_RTT_SAMPLE` of eight supposes an acknowledgment for every second segment. Where
//! super-segments travel, one acknowledgment covers dozens of segments, and rounds of eight acknowledgments may never come:
//! slow start would then end by loss alone. So a round is judged as soon as it has eight measurements, and at its end if
//! eight segments or more were acknowledged in it and every acknowledgment measured, however few they were: there is nothing
//! more to be known of it. Where only some measure, as one per round trip, the round stays unjudged: within a round slow start
//! builds a queue of half the window by itself, and only the least of all measurements is free of it.

use super::{Ack, Window};
use core::time::Duration;
use synfin_wire::SeqNum;

/// The state of HyStart++. Times in microseconds; `INFINITY` stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HyStart {
    /// Whether it is used at all.
    enabled: bool,
    /// windowEnd: the round ends when this is acknowledged; none before the first.
    window_end: Option<SeqNum>,
    /// lastRoundMinRTT.
    last_round_min_rtt: u32,
    /// currentRoundMinRTT.
    current_round_min_rtt: u32,
    /// rttSampleCount.
    rtt_sample_count: u32,
    /// Octets acknowledged in the round.
    acked: u32,
    /// An acknowledgment of the round has measured nothing.
    unmeasured: bool,
    /// cssBaselineMinRtt: not infinite in conservative slow start.
    css_baseline_min_rtt: u32,
    /// Rounds of conservative slow start that are complete.
    css_rounds: u8,
}

impl HyStart {
    /// At the beginning of a connection.
    pub fn new(enabled: bool) -> HyStart {
        HyStart {
            enabled,
            window_end: None,
            last_round_min_rtt: INFINITY,
            current_round_min_rtt: INFINITY,
            rtt_sample_count: 0,
            acked: 0,
            unmeasured: false,
            css_baseline_min_rtt: INFINITY,
            css_rounds: 0,
        }
    }

    /// An acknowledgment in slow start: grows cwnd, if it was used, and sets ssthresh when it is time to leave.
    //= RFC 9406 4.2 (a) (b) (d) (f)
    //= RFC 9406 4.3 (c) (f)
    //= RFC 5681 3.1 (a): equation 2, with L x SMSS
    pub fn on_ack(&mut self, w: &mut Window, ack: &Ack) {
        let n = ack.acked.min(ack.limit.saturating_mul(ack.smss));
        let initial = self.enabled && w.ssthresh == u32::MAX;
        let divisor = if initial && self.in_css() { CSS_GROWTH_DIVISOR } else { 1 };
        // A window that is not used says nothing about the path (RFC 7661), but what is sent still measures it.
        if ack.cwnd_limited {
            w.cwnd = w.cwnd.saturating_add(n / divisor);
        }
        if !initial {
            return;
        }
        self.measure(ack);
        let end = *self.window_end.get_or_insert(ack.nxt);
        let over = ack.una.ge(end);
        // A round of few segments cannot overfill anything.
        let complete = over && !self.unmeasured && self.acked / ack.smss.max(1) >= N_RTT_SAMPLE;
        if self.rtt_sample_count >= N_RTT_SAMPLE || complete {
            self.judge();
        }
        if over && self.next_round(ack.nxt) {
            w.ssthresh = w.cwnd;
        }
    }

    /// A loss, a mark or a timeout: this slow start is over. Rounds begin anew should it be resumed.
    pub fn reset(&mut self) {
        *self = HyStart::new(self.enabled);
    }

    /// Whether slow start is conservative now.
    pub fn in_css(&self) -> bool {
        self.css_baseline_min_rtt != INFINITY
    }

    fn measure(&mut self, ack: &Ack) {
        self.acked = self.acked.saturating_add(ack.acked);
        if let Some(rtt) = ack.rtt {
            let us = u32::try_from(rtt.as_micros()).unwrap_or(INFINITY);
            self.current_round_min_rtt = self.current_round_min_rtt.min(us);
            self.rtt_sample_count = self.rtt_sample_count.saturating_add(1);
        } else {
            self.unmeasured |= ack.acked > 0;
        }
    }

    /// Compares the round with the one before, or with the one that began CSS.
    //= RFC 9406 4.2 (c) (e)
    fn judge(&mut self) {
        let (last, current) = (self.last_round_min_rtt, self.current_round_min_rtt);
        if self.in_css() {
            if current < self.css_baseline_min_rtt {
                self.css_baseline_min_rtt = INFINITY;
            }
        } else if last != INFINITY && current != INFINITY {
            let thresh = MIN_RTT_THRESH.max(MAX_RTT_THRESH.min(last / MIN_RTT_DIVISOR));
            if current >= last.saturating_add(thresh) {
                self.css_baseline_min_rtt = current;
                self.css_rounds = 0;
            }
        }
    }

    /// The round is over. True if it was the last of CSS.
    fn next_round(&mut self, nxt: SeqNum) -> bool {
        self.window_end = Some(nxt);
        // A round that measured nothing does not make the one before it forgotten.
        if self.current_round_min_rtt != INFINITY {
            self.last_round_min_rtt = self.current_round_min_rtt;
        }
        self.current_round_min_rtt = INFINITY;
        self.rtt_sample_count = 0;
        self.acked = 0;
        self.unmeasured = false;
        if self.in_css() {
            // The round in which CSS began counts.
            self.css_rounds += 1;
        }
        self.in_css() && self.css_rounds >= CSS_ROUNDS
    }
}

const INFINITY: u32 = u32::MAX;

// The constants that 4.3 recommends.
//= RFC 9406 4.3 (a) (d): CSS_GROWTH_DIVISOR is at least 2
const MIN_RTT_THRESH: u32 = Duration::from_millis(4).as_micros() as u32;
const MAX_RTT_THRESH: u32 = Duration::from_millis(16).as_micros() as u32;
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;

    /// A path that is asked round by round.
    struct Path {
        hystart: HyStart,
        window: Window,
        una: SeqNum,
    }

    impl Path {
        fn new(segments: u32) -> Path {
            let window = Window { cwnd: segments * SMSS, ssthresh: u32::MAX };
            Path { hystart: HyStart::new(true), window, una: SeqNum(u32::MAX - 20_000) }
        }

        /// A round: all of cwnd is acknowledged, `per_ack` segments at a time; `rtt` tells the delay of each
        /// acknowledgment in milliseconds, or 0 for nothing measured. What is acknowledged lets new text out at once.
        fn round(&mut self, per_ack: u32, rtt: impl Fn(u32) -> u32) {
            let mut out = self.una + self.window.cwnd;
            let end = out;
            let mut i = 0;
            while self.una.lt(end) && self.window.cwnd < self.window.ssthresh {
                let acked = (per_ack * SMSS).min(end.since(self.una));
                let flight = out.since(self.una);
                self.una += acked;
                let rtt = Some(rtt(i)).filter(|ms| *ms > 0).map(|ms| Duration::from_millis(u64::from(ms)));
                let ack = Ack { una: self.una, nxt: out, rtt, ..Ack::of(acked, flight, SMSS) };
                self.hystart.on_ack(&mut self.window, &ack);
                out = self.una + self.window.cwnd;
                i += 1;
            }
        }

        fn segments(&self) -> u32 {
            self.window.cwnd / SMSS
        }
    }

    #[test]
    //= RFC 9406 4.2 (b) (c)
    //= RFC 9406 4.3 (c)
    fn a_growing_queue_leads_through_five_conservative_rounds_to_avoidance() {
        let mut p = Path::new(10);
        p.round(2, |_| 40);
        p.round(2, |_| 40);
        assert_eq!((p.segments(), p.hystart.in_css()), (40, false), "the window doubles");
        // 40 ms / 8 = 5 ms is the threshold. The eighth measurement tells.
        p.round(2, |_| 44);
        assert_eq!((p.segments(), p.hystart.in_css()), (80, false), "not yet");
        // 44 + 44/8 = 49.5
        p.round(2, |_| 50);
        assert!(p.hystart.in_css());
    }

    #[test]
    //= RFC 9406 4.3 (a) (d)
    fn the_constants_are_those_recommended() {
        assert_eq!((MIN_RTT_THRESH, MAX_RTT_THRESH, MIN_RTT_DIVISOR), (4_000, 16_000, 8));
        assert_eq!((N_RTT_SAMPLE, CSS_GROWTH_DIVISOR, CSS_ROUNDS), (8, 4, 5));
        assert_eq!(crate::TcpConfig::default().slow_start_limit, 8, "L");
    }

    #[test]
    //= RFC 9406 4.2 (d) (f)
    fn conservative_slow_start_grows_by_a_quarter_and_ends_after_five_rounds() {
        let mut p = Path::new(32);
        p.round(1, |_| 40);
        assert_eq!(p.segments(), 64);
        p.round(1, |_| 60);
        assert!(p.hystart.in_css());
        let mut before = p.window.cwnd;
        let mut rounds = 1;
        while p.window.ssthresh == u32::MAX {
            before = p.window.cwnd;
            p.round(1, |_| 60);
            rounds += 1;
            assert!(rounds <= 8);
            // The last of its rounds ends a few acknowledgments before ours does: it began at SND.NXT as that was before they
            // let text out.
            if p.window.ssthresh == u32::MAX {
                assert!(p.window.cwnd.abs_diff(before + before / 4) <= 1, "a quarter of what was acknowledged");
            }
        }
        assert_eq!((rounds, p.window.ssthresh), (5, p.window.cwnd), "the round in which it began counts");
        assert!(before > 100 * SMSS);
    }

    #[test]
    //= RFC 9406 4.2 (b) (e)
    fn jitter_does_not_end_slow_start() {
        let mut p = Path::new(16);
        // Every second acknowledgment is late by 30 ms: the least of a round is what it was.
        for _ in 0..6 {
            p.round(1, |i| 40 + 30 * (i % 2));
            assert!(!p.hystart.in_css());
        }
        assert_eq!(p.segments(), 16 << 6);
        // A whole round that is late looks like a queue; the next one tells that it was none.
        p.round(1, |_| 60);
        assert!(p.hystart.in_css());
        let before = p.segments();
        p.round(1, |_| 40);
        assert!(!p.hystart.in_css());
        assert!(p.segments() > before + before / 2, "slow start goes on: {before} to {}", p.segments());
        assert_eq!(p.window.ssthresh, u32::MAX);
    }

    #[test]
    //= RFC 9406 4.2 (c)
    //= RFC 9406 4.3 (a)
    fn thresholds_are_an_eighth_between_4_and_16_ms() {
        for (base, below, enough) in [(8, 11, 12), (40, 44, 45), (80, 89, 90), (400, 415, 416)] {
            for (rtt, css) in [(below, false), (enough, true)] {
                let mut h = HyStart { last_round_min_rtt: base * 1000, ..HyStart::new(true) };
                h.current_round_min_rtt = rtt * 1000;
                h.judge();
                assert_eq!(h.in_css(), css, "{base} ms, then {rtt}");
            }
        }
    }

    #[test]
    //= RFC 9406 4.3 (c): eight measurements are recommended; rounds of super-segments are judged by what they have
    fn a_round_of_few_acknowledgments_is_judged_at_its_end_and_one_of_few_segments_not_at_all() {
        let mut p = Path::new(64);
        p.round(32, |_| 40);
        p.round(32, |_| 40);
        p.round(32, |_| 60);
        p.round(32, |_| 60);
        assert!(p.hystart.in_css());
        let mut p = Path::new(2);
        p.window.ssthresh = u32::MAX;
        p.round(1, |_| 40);
        p.round(4, |_| 60);
        assert!(!p.hystart.in_css(), "four segments are no queue");
        // One measurement per round trip, of whichever segment it was.
        let mut p = Path::new(64);
        p.round(1, |i| if i == 5 { 40 } else { 0 });
        p.round(1, |i| if i == 50 { 60 } else { 0 });
        p.round(1, |i| if i == 100 { 60 } else { 0 });
        assert!(!p.hystart.in_css() && p.hystart.last_round_min_rtt == 60_000);
    }

    #[test]
    //= RFC 9406 4.3 (f)
    fn later_slow_starts_and_those_without_it_only_double() {
        for (enabled, ssthresh) in [(false, u32::MAX), (true, u32::MAX - 1)] {
            let mut p = Path::new(16);
            (p.hystart, p.window.ssthresh) = (HyStart::new(enabled), ssthresh);
            for i in 0..5 {
                p.round(1, |_| 40 + 20 * i);
            }
            assert_eq!((p.segments(), p.window.ssthresh), (16 << 5, ssthresh));
        }
    }

    #[test]
    //= RFC 9406 4.2 (a): L
    fn an_acknowledgment_counts_as_l_segments_at_most_and_an_unused_window_stays() {
        let mut h = HyStart::new(true);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: u32::MAX };
        h.on_ack(&mut w, &Ack::of(50 * SMSS, 100 * SMSS, SMSS));
        assert_eq!(w.cwnd, 108 * SMSS);
        h.on_ack(&mut w, &Ack { limit: u32::MAX, ..Ack::of(50 * SMSS, 100 * SMSS, SMSS) });
        assert_eq!(w.cwnd, 158 * SMSS, "paced: no limit");
        h.on_ack(&mut w, &Ack { cwnd_limited: false, ..Ack::of(50 * SMSS, 50 * SMSS, SMSS) });
        assert_eq!(w.cwnd, 158 * SMSS);
    }
}
