//! Slow start and congestion avoidance (RFC 5681 3.1), with appropriate byte counting (RFC 3465).

use super::{Ack, CongestionControl, HyStart, Loss, LossCause, Window};

/// NewReno's window; its recovery is in [`crate::snd::recovery`].
#[derive(Debug, Clone, Copy)]
pub struct Reno {
    /// Octets acknowledged in congestion avoidance that have not yet grown the window.
    counted: u32,
    /// Slow start.
    hystart: HyStart,
}

impl Reno {
    /// At the beginning of a connection, with or without HyStart++.
    pub fn new(hystart: bool) -> Reno {
        Reno { counted: 0, hystart: HyStart::new(hystart) }
    }
}

impl Default for Reno {
    fn default() -> Self {
        Reno::new(false)
    }
}

impl CongestionControl for Reno {
    fn name(&self) -> &'static str {
        "reno"
    }

    fn on_ack(&mut self, w: &mut Window, ack: &Ack) {
        // A window does not grow that marks are told of.
        //= RFC 3168 6.1.2
        if ack.marked > 0 {
            return;
        }
        if w.cwnd < w.ssthresh {
            //= RFC 9293 3.8.2 MUST-19
            self.hystart.on_ack(w, ack);
        } else if ack.cwnd_limited {
            // A window that is not used says nothing about the path (RFC 7661): a flow limited by its
            // application or its receiver does not grow.
            //= RFC 5681 3.1 (a) (f) (g), 4.3 (d): equation 3, one SMSS per window of acknowledged data
            //= RFC 9293 3.8.2 MUST-19
            self.counted = self.counted.saturating_add(ack.acked);
            // A round trip brings as many octets as whole segments fit into cwnd: with half a segment more, which is never
            // out, a round would not be enough.
            let round = w.cwnd - if w.cwnd < ack.smss { 0 } else { w.cwnd % ack.smss };
            if self.counted >= round {
                self.counted -= round;
                w.cwnd = w.cwnd.saturating_add(ack.smss);
            }
        }
    }

    fn on_loss(&mut self, w: &mut Window, loss: &Loss) {
        //= RFC 5681 3.1 (e) (h), 3.2 (c), 4.3 (a): equation 4
        w.ssthresh = (loss.flight / 2).max(2 * loss.smss);
        if loss.cause == LossCause::Marked {
            // Nothing was lost: there is no recovery that would reduce cwnd.
            //= RFC 3168 6.1.2
            w.cwnd = w.cwnd.min((loss.flight / 2).max(loss.smss));
        }
        self.counted = 0;
        self.hystart.reset();
    }

    fn on_timeout(&mut self, w: &mut Window, loss: &Loss, first: bool) {
        if first {
            self.on_loss(w, loss);
        }
        //= RFC 5681 3.1 (i)
        w.cwnd = loss.smss; // the loss window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const SMSS: u32 = 1000;

    fn ack(acked: u32, flight: u32) -> Ack {
        Ack::of(acked, flight, SMSS)
    }

    fn loss(flight: u32) -> Loss {
        Loss { now: Instant::ZERO, flight, smss: SMSS, cause: LossCause::Lost }
    }

    #[test]
    //= RFC 5681 3.1 (a) (f) (g), 4.3 (d)
    //= RFC 9293 3.8.2 MUST-19
    fn slow_start_doubles_and_avoidance_adds_one_per_window() {
        let mut w = Window { cwnd: 10 * SMSS, ssthresh: 40 * SMSS };
        let mut r = Reno::default();
        for _ in 0..10 {
            let f = w.cwnd;
            r.on_ack(&mut w, &ack(SMSS, f));
        }
        assert_eq!(w.cwnd, 20 * SMSS);
        w.ssthresh = w.cwnd;
        for _ in 0..20 {
            let f = w.cwnd;
            r.on_ack(&mut w, &ack(SMSS, f));
        }
        assert_eq!(w.cwnd, 21 * SMSS);
    }

    #[test]
    //= RFC 5681 3.1 (a) (f) (g), 4.3 (d)
    fn a_round_trip_of_whole_segments_adds_one_though_cwnd_has_half_a_segment_more() {
        let mut w = Window { cwnd: 3_500, ssthresh: 3_500 };
        let mut r = Reno::default();
        for round in [3, 4, 5, 6, 7] {
            for _ in 0..round {
                assert_eq!(w.cwnd / SMSS, round, "what fits is what is out");
                r.on_ack(&mut w, &ack(SMSS, round * SMSS));
            }
        }
        assert_eq!(w.cwnd, 8_500);
        let mut w = Window { cwnd: 500, ssthresh: 500 };
        for _ in 0..499 {
            r.on_ack(&mut w, &ack(1, 500));
        }
        assert_eq!(w.cwnd, 500, "a window of less than a segment is a round trip of its own");
    }

    #[test]
    //= RFC 5681 3.1 (a)
    fn an_unused_window_does_not_grow_and_acks_are_counted_by_octets() {
        let mut w = Window { cwnd: 10 * SMSS, ssthresh: u32::MAX };
        let mut r = Reno::default();
        r.on_ack(&mut w, &Ack { cwnd_limited: false, ..ack(SMSS, 2 * SMSS) });
        assert_eq!(w.cwnd, 10 * SMSS);
        r.on_ack(&mut w, &Ack { marked: 1, ..ack(SMSS, 10 * SMSS) });
        assert_eq!(w.cwnd, 10 * SMSS, "nor one that marks are told of");
        r.on_ack(&mut w, &ack(1, 10 * SMSS));
        assert_eq!(w.cwnd, 10 * SMSS + 1, "ACK division gains nothing");
        r.on_ack(&mut w, &ack(1 << 20, 1 << 20));
        assert_eq!(w.cwnd, 18 * SMSS + 1, "an ACK for very much counts as L segments");
    }

    #[test]
    //= RFC 5681 3.1 (e) (h) (i), 4.3 (a)
    //= RFC 9293 3.8.2 MUST-19
    fn losses_halve_and_timeouts_restart() {
        let mut w = Window { cwnd: 20 * SMSS, ssthresh: u32::MAX };
        let mut r = Reno::default();
        r.on_loss(&mut w, &loss(20 * SMSS));
        assert_eq!(w.ssthresh, 10 * SMSS);
        r.on_timeout(&mut w, &loss(3 * SMSS), true);
        assert_eq!((w.ssthresh, w.cwnd), (2 * SMSS, SMSS));
        r.on_timeout(&mut w, &loss(100 * SMSS), false);
        assert_eq!(w.ssthresh, 2 * SMSS, "the same loss is not counted twice");
    }

    #[test]
    //= RFC 3168 6.1.2
    fn marks_halve_the_window_at_once_and_down_to_one_segment() {
        for (flight, cwnd) in [(20 * SMSS, 10 * SMSS), (3 * SMSS, 1_500), (SMSS, SMSS)] {
            let mut w = Window { cwnd: flight, ssthresh: u32::MAX };
            Reno::default().on_loss(&mut w, &Loss { cause: LossCause::Marked, ..loss(flight) });
            assert_eq!(w, Window { cwnd, ssthresh: cwnd.max(2 * SMSS) });
        }
    }
}
