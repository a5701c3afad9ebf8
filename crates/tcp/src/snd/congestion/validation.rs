//! Congestion window validation (RFC 7661), the setting `idle-restart=validate`: a window that is not used is kept for a
//! while, but not trusted.
//!
//! `pipeACK` is the most that was acknowledged within a round trip lately. While it is less than half of cwnd, the window
//! is non-validated: it says what the path could carry once. It stays as it is, so that a program that pauses can go on as
//! fast as before; but a loss now brings it down to what was really used, and after five minutes it is halved.
//!
//! This is a mantle around an algorithm that is about windows. It needs nothing of the engine that the algorithms are not told
//! anyway: measurements by [`CongestionControl::on_ack`], the time by [`CongestionControl::on_send`], the volume of what was
//! lost by [`CongestionControl::on_lost`].
//!
//! Not here: bursts after a pause are for pacing to soften (4.4.2).

use super::{Ack, Congestion, CongestionControl, Loss, LossCause, LostPiece, Pacing, Sending, Window, initial_window};
use crate::time::{Duration, Instant};

/// An algorithm whose window is validated.
#[derive(Debug)]
pub struct Validated {
    inner: Congestion,
    pipe_ack: PipeAck,
    /// Since when the window is non-validated, less what it was already halved for.
    non_validated_since: Option<Instant>,
    /// The last acknowledgment.
    last_ack: Instant,
    /// max(pipeACK, LossFlightSize) of a loss in the non-validated phase.
    recovering: Option<u32>,
    /// What was lost, each octet once, since all was well (R). Those that begin recovery are told of before it begins.
    lost: u32,
    /// IW, in segments.
    initial_window: u8,
    /// SMSS, as last told; zero before that.
    smss: u32,
}

impl Validated {
    /// Around `inner`. It begins validated.
    //= RFC 7661 4.1
    pub fn new(inner: Congestion, initial_window: u8) -> Validated {
        Validated {
            inner,
            pipe_ack: PipeAck::default(),
            non_validated_since: None,
            last_ack: Instant::ZERO,
            recovering: None,
            lost: 0,
            initial_window,
            smss: 0,
        }
    }

    /// Enters or leaves the non-validated phase, and halves cwnd for each period for which it has lasted.
    //= RFC 7661 4.3
    //= RFC 7661 4.4
    fn judge(&mut self, w: &mut Window, now: Instant) {
        match self.pipe_ack.get(now) {
            Some(p) if u64::from(p) * 2 < u64::from(w.cwnd) => {
                // Nobody looks while nothing happens: in a pause the phase began with the last acknowledgment.
                let since = *self.non_validated_since.get_or_insert(self.last_ack);
                let periods = (now.since(since).as_secs() / NVP.as_secs()).min(32) as u32;
                for _ in 0..periods {
                    //= RFC 7661 4.4.3
                    w.ssthresh = w.ssthresh.max(w.cwnd / 4 * 3);
                    let iw = initial_window(self.initial_window, self.smss);
                    w.cwnd = w.cwnd.min(iw.max(w.cwnd / 2));
                }
                self.non_validated_since = Some(since + NVP * periods);
            }
            _ => self.non_validated_since = None,
        }
    }

    /// What a congestion event in the non-validated phase leaves: what was used, not what could have been.
    fn used(&self, flight: u32, now: Instant) -> Option<u32> {
        self.non_validated_since?;
        Some(self.pipe_ack.get(now)?.max(flight))
    }
}

impl CongestionControl for Validated {
    fn name(&self) -> &'static str {
        self.inner.view().name()
    }

    fn on_ack(&mut self, w: &mut Window, ack: &Ack) {
        self.smss = ack.smss;
        //= RFC 7661 4.2: not updated in recovery
        if !ack.in_recovery {
            self.pipe_ack.on_ack(ack);
            self.lost = 0;
        }
        self.judge(w, ack.now);
        self.last_ack = ack.now;
        // Those that are inside do not grow a window that is not used.
        //= RFC 7661 4.4
        self.inner.get().on_ack(w, ack);
    }

    //= RFC 7661 4.4.1
    fn on_loss(&mut self, w: &mut Window, loss: &Loss) {
        let Some(used) = self.used(loss.flight, loss.now) else {
            self.inner.get().on_loss(w, loss);
            return;
        };
        // The algorithm is told of the window that was used.
        let cwnd = w.cwnd;
        w.cwnd = cwnd.min(used);
        self.inner.get().on_loss(w, loss);
        let safe = (used / 2).max(loss.smss);
        w.ssthresh = safe.max(2 * loss.smss);
        self.non_validated_since = None;
        if loss.cause == LossCause::Marked {
            w.cwnd = cwnd.min(safe);
            self.pipe_ack = PipeAck::default();
        } else {
            w.cwnd = cwnd; // recovery brings it down to ssthresh
            self.recovering = Some(used);
        }
    }

    //= RFC 7661 4.4: a timeout ends the non-validated phase
    fn on_timeout(&mut self, w: &mut Window, loss: &Loss, first: bool) {
        self.inner.get().on_timeout(w, loss, first);
        self.non_validated_since = None;
        self.recovering = None;
        self.pipe_ack = PipeAck::default();
    }

    fn on_spurious(&mut self, w: &mut Window, now: Instant) {
        self.inner.get().on_spurious(w, now);
        self.recovering = None;
    }

    //= RFC 7661 4.4.1: at the end of recovery
    fn on_recovered(&mut self, w: &mut Window, now: Instant) {
        self.inner.get().on_recovered(w, now);
        if let Some(used) = self.recovering.take() {
            w.cwnd = w.cwnd.min((used.saturating_sub(self.lost) / 2).max(self.smss));
            w.ssthresh = w.cwnd.max(2 * self.smss);
        }
        self.lost = 0;
        self.pipe_ack = PipeAck::default();
    }

    fn on_lost(&mut self, w: &mut Window, lost: &LostPiece, now: Instant) {
        self.inner.get().on_lost(w, lost, now);
        if !lost.again {
            self.lost = self.lost.saturating_add(lost.len);
        }
    }

    fn on_send(&mut self, w: &mut Window, sending: &Sending) {
        self.judge(w, sending.now);
        self.inner.get().on_send(w, sending);
    }

    fn answers_marks_as_losses(&self) -> bool {
        self.inner.view().answers_marks_as_losses()
    }

    fn governs_recovery(&self) -> bool {
        self.inner.view().governs_recovery()
    }

    fn pacing(&self) -> Option<Pacing> {
        self.inner.view().pacing()
    }
}

/// pipeACK: the greatest sample of the last sampling period, kept in five parts of it (4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct PipeAck {
    /// The greatest sample of each part, the current first.
    parts: [u32; PARTS],
    /// When the current part began.
    part_start: Instant,
    /// How long a part is.
    part: Duration,
    /// The sample being taken: when it began, and what was acknowledged since.
    sample: Option<(Instant, u32)>,
    /// Whether there was a sample: before, the variable is undefined.
    defined: bool,
}

impl PipeAck {
    /// A sample is what is acknowledged within a round trip.
    //= RFC 7661 4.2
    fn on_ack(&mut self, ack: &Ack) {
        self.turn(ack.now);
        let (start, volume) = self.sample.unwrap_or((ack.now, 0));
        let volume = volume.saturating_add(ack.acked);
        let passed = ack.now.since(start);
        if self.sample.is_none() || passed < ack.srtt {
            self.sample = Some((start, volume));
            // What is on the way counts as soon as it is more: a window in full use is at no time taken for unused.
            if self.defined {
                self.parts[0] = self.parts[0].max(volume);
            }
            return;
        }
        if self.parts == [0; PARTS] {
            self.part_start = ack.now;
        }
        // Max(3 x RTT, 1 s)
        self.part = ack.srtt.saturating_mul(3).max(Duration::from_secs(1)) / PARTS as u32;
        // Acknowledgments that came slower than one round trip measured less than a round trip's worth each.
        self.parts[0] = self.parts[0].max(volume);
        self.defined = true;
        self.sample = Some((ack.now, 0));
    }

    /// Parts that are over move on.
    fn turn(&mut self, now: Instant) {
        if self.part.is_zero() {
            return;
        }
        let over = (now.since(self.part_start).as_nanos() / self.part.as_nanos()).min(PARTS as u128) as usize;
        if over > 0 {
            self.parts.rotate_right(over % PARTS);
            self.parts[..over].fill(0);
            self.part_start = now;
        }
    }

    /// The variable; `None` while it is undefined.
    fn get(&self, now: Instant) -> Option<u32> {
        let mut then = *self;
        then.turn(now);
        self.defined.then(|| then.parts.into_iter().max().unwrap_or(0))
    }
}

const PARTS: usize = 5;
/// The non-validated period: five minutes at most (4.4, 5).
//= RFC 7661 4.4
const NVP: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::super::{Cubic, Reno};
    use super::*;

    const SMSS: u32 = 1000;
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + MS(ms)
    }

    fn reno() -> Validated {
        Validated::new(Congestion::Reno(Reno::default()), 10)
    }

    /// `per_rtt` segments are acknowledged in each round trip of 100 ms.
    fn run(v: &mut Validated, w: &mut Window, from: u64, until: u64, per_rtt: u32) {
        for rtt in (from..until).step_by(100) {
            for i in 0..per_rtt {
                let now = at(rtt) + MS(100) * i / per_rtt;
                let cwnd_limited = (per_rtt + 1) * SMSS >= w.cwnd;
                let ack = Ack { now, srtt: MS(100), cwnd_limited, ..Ack::of(SMSS, per_rtt * SMSS, SMSS) };
                v.on_ack(w, &ack);
            }
        }
    }

    fn send(v: &mut Validated, w: &mut Window, ms: u64) {
        v.on_send(w, &Sending { now: at(ms), pipe: 0, is_app_limited: true, total_delivered: 0 });
    }

    fn loss(ms: u64, flight: u32, cause: LossCause) -> Loss {
        Loss { now: at(ms), flight, smss: SMSS, cause }
    }

    #[test]
    //= RFC 7661 4.1
    //= RFC 7661 4.2
    //= RFC 7661 4.3
    fn a_window_in_use_is_validated_and_grows_an_unused_one_is_kept() {
        let mut v = reno();
        let mut w = Window { cwnd: 40 * SMSS, ssthresh: 20 * SMSS };
        assert_eq!(v.pipe_ack.get(at(0)), None, "undefined at first: validated");
        run(&mut v, &mut w, 0, 2_000, 40);
        assert!(v.non_validated_since.is_none() && w.cwnd > 40 * SMSS);
        let full = w.cwnd;
        // Ten segments per round trip: what was measured lasts for a second.
        run(&mut v, &mut w, 2_000, 2_800, 10);
        assert!(v.non_validated_since.is_none());
        run(&mut v, &mut w, 2_800, 4_000, 10);
        assert!(v.non_validated_since.is_some());
        let p = v.pipe_ack.get(at(4_000)).unwrap();
        assert!((9 * SMSS..=11 * SMSS).contains(&p), "{p}");
        assert_eq!(w.cwnd, full, "kept, not grown");
        run(&mut v, &mut w, 4_000, 4_300, 40);
        assert!(v.non_validated_since.is_none(), "in use again");
    }

    #[test]
    //= RFC 7661 4.4.3
    fn every_five_minutes_halve_an_unused_window_down_to_the_initial_one() {
        let mut v = reno();
        let mut w = Window { cwnd: 64 * SMSS, ssthresh: 20 * SMSS };
        run(&mut v, &mut w, 0, 500, 64);
        w.cwnd = 64 * SMSS;
        send(&mut v, &mut w, 10_000);
        assert_eq!(w.cwnd, 64 * SMSS, "a pause of ten seconds is forgiven");
        send(&mut v, &mut w, 300_400);
        assert_eq!(w.cwnd, 64 * SMSS);
        send(&mut v, &mut w, 300_500);
        assert_eq!(w, Window { cwnd: 32 * SMSS, ssthresh: 48 * SMSS });
        send(&mut v, &mut w, 300_501);
        assert_eq!(w.cwnd, 32 * SMSS, "once for each period");
        send(&mut v, &mut w, 86_400_000);
        assert_eq!(w, Window { cwnd: 10 * SMSS, ssthresh: 48 * SMSS });
        // Nobody has looked in between.
        let mut v = reno();
        let mut w = Window { cwnd: 64 * SMSS, ssthresh: 20 * SMSS };
        run(&mut v, &mut w, 0, 500, 64);
        w.cwnd = 64 * SMSS;
        send(&mut v, &mut w, 301_000);
        assert_eq!(w, Window { cwnd: 32 * SMSS, ssthresh: 48 * SMSS });
    }

    #[test]
    //= RFC 7661 4.4.1
    fn a_loss_brings_an_unused_window_down_to_what_was_used() {
        let mut v = reno();
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS };
        run(&mut v, &mut w, 0, 2_000, 10);
        // As the engine tells it: what is lost, then that recovery begins.
        let piece = LostPiece {
            seq: synfin_wire::SeqNum(0),
            len: 2 * SMSS,
            tx_in_flight: 0,
            lost_before: 0,
            total_lost: 0,
            total_delivered: 0,
            is_app_limited: true,
            again: false,
        };
        v.on_lost(&mut w, &piece, at(2_000));
        v.on_loss(&mut w, &loss(2_000, 12 * SMSS, LossCause::Lost));
        assert_eq!(w.ssthresh, 6 * SMSS, "max(pipeACK, LossFlightSize) / 2");
        v.on_lost(&mut w, &piece, at(2_050));
        v.on_lost(&mut w, &LostPiece { again: true, ..piece }, at(2_060)); // a retransmission of the same
        w.cwnd = w.ssthresh;
        v.on_recovered(&mut w, at(2_100));
        assert_eq!(w.cwnd, 4 * SMSS, "less what was lost");
        assert_eq!(v.pipe_ack.get(at(2_100)), None, "undefined again");
        // In the validated phase the algorithm's own answer stands.
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS };
        v.on_loss(&mut w, &loss(2_200, 100 * SMSS, LossCause::Lost));
        v.on_recovered(&mut w, at(2_300));
        assert_eq!(w, Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS });
    }

    #[test]
    //= RFC 7661 4.4
    //= RFC 7661 4.4.1
    fn marks_and_timeouts_end_the_phase() {
        let mut v = Validated::new(Congestion::Cubic(Cubic::new(true)), 10);
        let mut w = Window { cwnd: 100 * SMSS, ssthresh: 50 * SMSS };
        run(&mut v, &mut w, 0, 2_000, 10);
        let mut marked = w;
        v.on_loss(&mut marked, &loss(2_000, 12 * SMSS, LossCause::Marked));
        assert_eq!(marked, Window { cwnd: 6 * SMSS, ssthresh: 6 * SMSS });
        assert!(v.non_validated_since.is_none());
        let mut v = reno();
        run(&mut v, &mut w, 0, 2_000, 10);
        v.on_timeout(&mut w, &loss(2_000, 12 * SMSS, LossCause::Lost), true);
        assert_eq!(w, Window { cwnd: SMSS, ssthresh: 6 * SMSS });
        assert!(v.non_validated_since.is_none() && v.pipe_ack.get(at(2_000)).is_none());
    }
}
