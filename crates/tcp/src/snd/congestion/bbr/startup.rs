//! Startup, which doubles the rate until the pipe is full, and Drain, which takes away the queue that this has made.

use super::constants::{DRAIN_ROUNDS, FULL_BW_GROWTH, FULL_BW_ROUNDS, Gain, STARTUP_FULL_LOSS_CNT};
use super::{Bbr, Recovery, State};

/// The estimator of a full pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FullBw {
    /// BBR.full_bw: the rate from which growth is counted.
    pub(super) bw: u64,
    /// BBR.full_bw_count: rounds without much of it.
    pub(super) count: u8,
    /// BBR.full_bw_now: full, since it was last asked.
    pub(super) now: bool,
    /// BBR.full_bw_reached: full, ever.
    pub(super) reached: bool,
}

impl FullBw {
    /// The question is asked anew, from the rate `bw` on.
    //= draft-ietf-ccwg-bbr-06 5.3.1.2
    pub(super) fn reset(&mut self, bw: u64) {
        *self = FullBw { bw, count: 0, now: false, reached: self.reached };
    }

    /// A round has ended with a sample of `rate`.
    //= draft-ietf-ccwg-bbr-06 5.3.1.2
    fn on_round(&mut self, rate: u64) {
        if rate >= FULL_BW_GROWTH.of(self.bw) {
            self.reset(rate);
            return;
        }
        self.count += 1;
        self.now = self.count >= FULL_BW_ROUNDS;
        self.reached |= self.now;
    }
}

impl Bbr {
    //= draft-ietf-ccwg-bbr-06 5.3.1.1
    pub(super) fn enter_startup(&mut self) {
        self.state = State::Startup;
    }

    //= draft-ietf-ccwg-bbr-06 5.3.1.2
    pub(super) fn check_full_bw_reached(&mut self) {
        if self.full_bw.now || !self.round_start || self.rs.is_app_limited {
            return;
        }
        self.full_bw.on_round(self.rs.delivery_rate);
    }

    //= draft-ietf-ccwg-bbr-06 5.3.1.1
    pub(super) fn check_startup_done(&mut self) {
        self.check_startup_high_loss();
        if self.state == State::Startup && self.full_bw.reached {
            self.enter_drain();
        }
    }

    /// Losses, too, show a full pipe.
    //= draft-ietf-ccwg-bbr-06 5.3.1.3
    fn check_startup_high_loss(&mut self) {
        if self.state == State::Startup && !self.full_bw.reached {
            let fast_recovery = self.c.recovery == Recovery::Fast;
            // A loss round ends a full round after its first loss: so long has recovery lasted by then.
            let high_loss = self.loss_round_start
                && self.lost_ranges_in_round >= STARTUP_FULL_LOSS_CNT
                && self.is_inflight_too_high(self.rs.lost, self.rs.tx_in_flight);
            let any_loss = !self.c.has_selective_acks && self.rs.lost > 0;
            // Marks are congestion (3.7), and as with every other algorithm the first of them ends slow start.
            if (fast_recovery && (high_loss || any_loss)) || self.rs.is_marked {
                self.undo.state = fast_recovery.then_some(State::Startup);
                (self.full_bw.now, self.full_bw.reached) = (true, true);
                self.inflight_longterm = self.bdp().max(super::constants::clamp(self.inflight_latest));
            }
        }
        if self.loss_round_start {
            self.lost_ranges_in_round = 0;
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.3.2
    fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.drain_start_round = self.round_count;
    }

    //= draft-ietf-ccwg-bbr-06 5.3.2
    pub(super) fn check_drain_done(&mut self) {
        let drained = self.c.inflight <= self.inflight(self.bw, Gain::UNIT);
        if self.state == State::Drain && (drained || self.round_count > self.drain_start_round + DRAIN_ROUNDS) {
            self.enter_probe_bw();
        }
    }
}
