//! DCTCP: the window follows the share of what was marked (RFC 8257), for networks whose switches mark at a small threshold
//! and whose hosts all agree to it. It grows and meets losses as Reno does.
//!
//! An observation window ends when all is acknowledged that was out at its beginning. Then `alpha`, the estimate of the share
//! that was marked, takes in what the window has shown, and if anything was marked cwnd is reduced by alpha / 2: once per window by
//! construction. So [`CongestionControl::on_loss`] with a mark does not reduce; it only ends slow start, which would else double
//! the window once more before the observation ends.

use super::{Ack, CongestionControl, Loss, LossCause, Reno, Window};
use synfin_wire::SeqNum;

/// The state of DCTCP.
#[derive(Debug, Clone, Copy)]
pub struct Dctcp {
    /// How it grows and meets losses (RFC 8257 3.4, 3.5).
    reno: Reno,
    /// DCTCP.Alpha, in 1/65536.
    alpha: u32,
    /// DCTCP.WindowEnd; none before the first acknowledgment.
    window_end: Option<SeqNum>,
    /// DCTCP.BytesAcked.
    acked: u32,
    /// DCTCP.BytesMarked.
    marked: u32,
    /// A loss has reduced cwnd in this window: marks do not once more.
    reduced: bool,
}

impl Default for Dctcp {
    /// At the beginning of a connection, alpha is 1: the first mark halves the window.
    //= RFC 8257 3.3
    fn default() -> Self {
        Dctcp { reno: Reno::default(), alpha: SCF, window_end: None, acked: 0, marked: 0, reduced: false }
    }
}

impl Dctcp {
    /// Takes what the observation window has shown into alpha.
    //= RFC 8257 3.3 (steps 5 and 6)
    //= RFC 8257 4.2: alpha can reach 0 and never exceeds 1
    fn update_alpha(&mut self) {
        let m = u64::from(SCF) * u64::from(self.marked.min(self.acked)) / u64::from(self.acked.max(1));
        if self.alpha >> SHF == 0 {
            self.alpha = 0;
        }
        // Not more than SCF + SCF/16, and what is subtracted is a part of alpha.
        self.alpha = (self.alpha + (m as u32 >> SHF) - (self.alpha >> SHF)).min(SCF);
    }

    /// cwnd x (1 - alpha / 2)
    //= RFC 8257 3.3 (step 9)
    fn reduce(&self, w: &mut Window, smss: u32) {
        let less = (u64::from(w.cwnd) * u64::from(self.alpha) / (2 * u64::from(SCF))) as u32;
        let floor = w.cwnd.min(2 * smss);
        w.cwnd = (w.cwnd - less).max(floor);
        w.ssthresh = w.cwnd.max(2 * smss);
    }
}

impl CongestionControl for Dctcp {
    fn name(&self) -> &'static str {
        "dctcp"
    }

    //= RFC 8257 3.3
    //= RFC 8257 3.4
    fn on_ack(&mut self, w: &mut Window, ack: &Ack) {
        // By SND.UNA alone: what SACK reports is not counted. Marks are told by the octets delivered, which can be more.
        self.acked = self.acked.saturating_add(ack.acked);
        self.marked = self.marked.saturating_add(ack.marked.min(ack.acked));
        let unmarked = Ack { marked: 0, ..*ack }; // marks do not keep the window from growing: alpha answers them
        let end = *self.window_end.get_or_insert(ack.nxt);
        if ack.una.lt(end) || self.acked == 0 {
            self.reno.on_ack(w, &unmarked);
            return;
        }
        let congested = self.marked > 0 && !self.reduced;
        self.update_alpha();
        self.window_end = Some(ack.nxt);
        (self.acked, self.marked, self.reduced) = (0, 0, false);
        if congested {
            self.reduce(w, ack.smss);
        } else {
            self.reno.on_ack(w, &unmarked);
        }
    }

    //= RFC 8257 3.5: a loss is met as by a conventional TCP
    fn on_loss(&mut self, w: &mut Window, loss: &Loss) {
        match loss.cause {
            LossCause::Marked => w.ssthresh = w.ssthresh.min(w.cwnd.max(2 * loss.smss)),
            LossCause::Lost => {
                self.reno.on_loss(w, loss);
                self.reduced = true;
            }
        }
    }

    //= RFC 8257 3.5: a loss is met as by a conventional TCP, whatever was marked
    fn answers_marks_as_losses(&self) -> bool {
        false
    }

    //= RFC 8257 3.5: the loss window, whatever was reduced before
    fn on_timeout(&mut self, w: &mut Window, loss: &Loss, first: bool) {
        self.reno.on_timeout(w, loss, first);
        self.reduced = true;
    }

    fn on_spurious(&mut self, w: &mut Window, now: crate::time::Instant) {
        self.reno.on_spurious(w, now);
        self.reduced = false;
    }
}

/// What alpha is measured in.
const SCF: u32 = 1 << 16;
/// g = 1/16.
const SHF: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const SMSS: u32 = 1000;

    struct Path {
        dctcp: Dctcp,
        window: Window,
        una: SeqNum,
    }

    impl Path {
        fn new(segments: u32) -> Path {
            let window = Window { cwnd: segments * SMSS, ssthresh: segments * SMSS };
            let mut p = Path { dctcp: Dctcp::default(), window, una: SeqNum(u32::MAX - 7_000) };
            // The first window begins.
            p.dctcp.window_end = Some(p.una + p.window.cwnd);
            p
        }

        /// All that is out is acknowledged, a segment at a time; the first `marked` were marked. What is sent meanwhile is out
        /// at the end of the window.
        fn window(&mut self, marked: u32) {
            let n = self.window.cwnd / SMSS;
            let out = self.una + n * SMSS;
            for i in 0..n {
                self.una += SMSS;
                let mark = if i < marked { SMSS } else { 0 };
                if i == 0 && mark > 0 {
                    let loss = Loss { now: Instant::ZERO, flight: n * SMSS, smss: SMSS, cause: LossCause::Marked };
                    self.dctcp.on_loss(&mut self.window, &loss);
                }
                // The window ends with the last of them.
                let nxt = if i + 1 == n { out } else { out + SMSS };
                let ack = Ack { una: self.una, nxt, marked: mark, ..Ack::of(SMSS, n * SMSS, SMSS) };
                self.dctcp.on_ack(&mut self.window, &ack);
            }
            self.dctcp.window_end = Some(self.una + self.window.cwnd / SMSS * SMSS);
        }
    }

    #[test]
    //= RFC 8257 3.3
    //= RFC 8257 4.2
    fn alpha_follows_the_share_that_was_marked() {
        let mut d = Dctcp::default();
        assert_eq!(d.alpha, SCF);
        // By hand: alpha - alpha/16 + M/16.
        for (acked, marked, alpha) in [
            (10, 0, 61_440),
            (10, 0, 57_600),
            (10, 0, 54_000),
            (10, 10, 54_721),
            (10, 5, 53_349),
            (4, 1, 51_039),
            (0, 0, 47_850),
            (10, 20, 48_956),
        ] {
            (d.acked, d.marked) = (acked * SMSS, marked * SMSS);
            d.update_alpha();
            assert_eq!(d.alpha, alpha, "{marked} of {acked}");
        }
        for _ in 0..200 {
            (d.acked, d.marked) = (u32::MAX, u32::MAX);
            d.update_alpha();
            assert!(d.alpha <= SCF);
        }
        assert!(d.alpha > SCF - 16, "all marked: towards 1");
        for _ in 0..200 {
            (d.acked, d.marked) = (10, 0);
            d.update_alpha();
        }
        assert_eq!(d.alpha, 0, "nothing marked: to 0 and not only near it");
    }

    #[test]
    //= RFC 8257 3.3
    //= RFC 8257 3.4
    fn the_window_is_reduced_once_per_window_by_half_of_alpha() {
        let mut p = Path::new(100);
        p.window(0);
        assert_eq!(p.window.cwnd, 101 * SMSS, "as Reno without marks");
        // alpha: 65536 -> 61440 -> M = 10/101: 57,600 + 405.
        p.window(10);
        assert_eq!(p.dctcp.alpha, 58_005);
        let want = 101 * SMSS - (u64::from(101 * SMSS) * 58_005 / 131_072) as u32;
        assert_eq!((p.window.cwnd, p.window.ssthresh), (want, want));
        let mut p = Path::new(100);
        p.dctcp.alpha = SCF / 16;
        p.window(100);
        // 4096 - 256 + 4096 = 7936 of 65536: 6 % less.
        assert_eq!(p.window.cwnd, 100 * SMSS - 100 * SMSS * 7_936 / 131_072);
    }

    #[test]
    //= RFC 8257 3.3
    fn a_mark_in_slow_start_ends_it() {
        let mut p = Path::new(10);
        p.window.ssthresh = u32::MAX;
        p.window(1);
        assert!(p.window.cwnd < 10 * SMSS && p.window.ssthresh == p.window.cwnd, "{:?}", p.window);
    }

    #[test]
    //= RFC 8257 3.5
    fn losses_halve_and_the_marks_of_the_same_window_do_not_reduce_again() {
        let mut p = Path::new(100);
        let loss = Loss { now: Instant::ZERO, flight: 100 * SMSS, smss: SMSS, cause: LossCause::Lost };
        p.dctcp.on_loss(&mut p.window, &loss);
        assert_eq!((p.window.cwnd, p.window.ssthresh), (100 * SMSS, 50 * SMSS), "cwnd is recovery's");
        p.window.cwnd = 50 * SMSS;
        p.dctcp.window_end = Some(p.una + 50 * SMSS);
        p.window(50);
        assert!(p.window.cwnd >= 50 * SMSS);
        p.window(1);
        assert!(p.window.cwnd < 30 * SMSS);
        p.dctcp.on_timeout(&mut p.window, &loss, true);
        assert_eq!(p.window, Window { cwnd: SMSS, ssthresh: 50 * SMSS });
    }

    #[test]
    fn nothing_overflows() {
        let mut d = Dctcp::default();
        let mut w = Window { cwnd: u32::MAX, ssthresh: u32::MAX };
        for una in [0, 1 << 30, 1 << 31, 3 << 30, 0] {
            let ack =
                Ack { una: SeqNum(una), nxt: SeqNum(una), marked: u32::MAX, ..Ack::of(u32::MAX, u32::MAX, 65_535) };
            d.on_ack(&mut w, &ack);
        }
        let mut w = Window { cwnd: 0, ssthresh: 0 };
        d.marked = 1;
        d.on_ack(&mut w, &Ack { marked: 1, ..Ack::of(1, 1, SMSS) });
    }
}
