//! ProbeBW, where a long flow spends its life: DOWN, CRUISE, REFILL, UP, and the bound that the probes move, inflight_longterm.

use super::constants::{
    Gain, INFINITE, PROBE_UP_ROUNDS_MAX, PROBE_WAIT_MIN, PROBE_WAIT_RANDOM, RENO_ROUNDS_MAX, clamp,
};
use super::{AckPhase, Bbr, State};
use crate::time::Duration;

impl Bbr {
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn enter_probe_bw(&mut self) {
        self.start_probe_bw_down();
    }

    /// Sends less than is delivered, to take the queue away.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn start_probe_bw_down(&mut self) {
        self.reset_congestion_signals();
        self.probe_up_acked_per_inc = INFINITE;
        self.pick_probe_wait();
        self.cycle_stamp = self.c.now;
        self.ack_phase = AckPhase::ProbeStopping;
        self.start_round();
        self.state = State::ProbeBwDown;
    }

    /// Sends as much as is delivered.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn start_probe_bw_cruise(&mut self) {
        self.state = State::ProbeBwCruise;
    }

    /// Fills the pipe for one round, without regard to the losses of the cycle, so that the probe begins with a full one.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn start_probe_bw_refill(&mut self) {
        self.reset_short_term_model();
        self.bw_probe_up_rounds = 0;
        self.bw_probe_up_acked = 0;
        self.prev_probe_precautionary = false;
        self.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.state = State::ProbeBwRefill;
    }

    /// Sends more than is delivered, to see whether there is more.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    fn start_probe_bw_up(&mut self) {
        self.ack_phase = AckPhase::ProbeStarting;
        self.start_round();
        self.full_bw.reset(self.rs.delivery_rate);
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    /// The core of ProbeBW, on each acknowledgment.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn update_probe_bw_cycle_phase(&mut self) {
        if !self.full_bw.reached || self.adapt_long_term_model() {
            return;
        }
        match self.state {
            State::ProbeBwDown => {
                if !self.is_time_to_probe_bw() && self.is_time_to_cruise() {
                    self.start_probe_bw_cruise();
                }
            }
            State::ProbeBwCruise => {
                self.is_time_to_probe_bw();
            }
            State::ProbeBwRefill => {
                if self.round_start {
                    self.is_bw_probe_sample = true;
                    self.start_probe_bw_up();
                }
            }
            State::ProbeBwUp => {
                if self.is_time_to_go_down() {
                    self.prev_probe_too_high = false;
                    self.start_probe_bw_down();
                }
            }
            State::Startup | State::Drain | State::ProbeRtt => {}
        }
    }

    /// From DOWN to CRUISE: the queue is gone, and others have room.
    //= draft-ietf-ccwg-bbr-06 5.3.3.1
    fn is_time_to_cruise(&self) -> bool {
        self.c.inflight <= self.inflight_with_headroom()
            && self.c.inflight <= self.inflight(self.max_bw.get(), Gain::UNIT)
    }

    /// From UP to DOWN: as a precaution after a probe that went too high, or because the pipe is full.
    //= draft-ietf-ccwg-bbr-06 5.3.3.6
    //= draft-ietf-ccwg-bbr-06 5.3.3.7
    fn is_time_to_go_down(&mut self) -> bool {
        let full = self.rs.prior_inflight.saturating_add(self.c.smss) > self.inflight_longterm;
        if self.prev_probe_too_high && full {
            self.prev_probe_precautionary = true;
            return true;
        }
        if self.c.is_cwnd_limited && self.c.cwnd >= self.inflight_longterm {
            self.full_bw.reset(self.rs.delivery_rate); // inflight_longterm limits the rate, not the path
            return false;
        }
        self.full_bw.now
    }

    /// From DOWN or CRUISE to REFILL. True if it went there.
    //= draft-ietf-ccwg-bbr-06 5.3.3.8
    fn is_time_to_probe_bw(&mut self) -> bool {
        let elapsed = self.c.now > self.cycle_stamp + self.bw_probe_wait;
        let time = elapsed || self.is_reno_coexistence_probe_time();
        if time {
            self.start_probe_bw_refill();
        }
        time
    }

    /// Reno would have grown its window over the BDP by now: a segment each round.
    //= draft-ietf-ccwg-bbr-06 5.3.3.8.2
    fn is_reno_coexistence_probe_time(&self) -> bool {
        let reno_rounds = u64::from(self.target_inflight() / self.c.smss);
        self.rounds_since_probe_up >= reno_rounds.min(RENO_ROUNDS_MAX)
    }

    /// How long it is to the next probe at most, by chance.
    //= draft-ietf-ccwg-bbr-06 5.3.3.8.3
    fn pick_probe_wait(&mut self) {
        self.rounds_since_probe_up = u64::from(self.dice.below(2));
        let random = self.dice.below(PROBE_WAIT_RANDOM.as_micros() as u32);
        self.bw_probe_wait = PROBE_WAIT_MIN + Duration::from_micros(u64::from(random));
    }

    /// The increase of inflight_longterm doubles with each round of the probe.
    //= draft-ietf-ccwg-bbr-06 5.3.3.5
    pub(super) fn raise_inflight_longterm_slope(&mut self) {
        let growth_this_round = 1_u32 << self.bw_probe_up_rounds;
        self.bw_probe_up_rounds = (self.bw_probe_up_rounds + 1).min(PROBE_UP_ROUNDS_MAX);
        self.probe_up_acked_per_inc = (self.c.cwnd / growth_this_round).max(self.c.smss);
    }

    /// Raises inflight_longterm, if it is used in full.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn probe_inflight_longterm_upward(&mut self) {
        if !self.c.is_cwnd_limited || self.c.cwnd < self.inflight_longterm {
            return;
        }
        self.bw_probe_up_acked = self.bw_probe_up_acked.saturating_add(self.rs.newly_acked);
        let per_inc = self.probe_up_acked_per_inc.max(1);
        if self.bw_probe_up_acked >= per_inc {
            let delta = self.bw_probe_up_acked / per_inc;
            self.bw_probe_up_acked -= delta * per_inc;
            let raised = u64::from(self.inflight_longterm) + u64::from(delta) * u64::from(self.c.smss);
            self.inflight_longterm = clamp(raised);
        }
        if self.round_start {
            self.raise_inflight_longterm_slope();
        }
    }

    /// A cycle is over.
    //= draft-ietf-ccwg-bbr-06 5.5.6
    pub(super) fn advance_max_bw_filter(&mut self) {
        self.max_bw.advance();
        self.max_bw_aged = true;
    }

    /// Follows what acknowledgments mean in the cycle, ages max_bw, raises inflight_longterm. True if it changed the state.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    fn adapt_long_term_model(&mut self) -> bool {
        if self.ack_phase == AckPhase::ProbeStarting && self.round_start {
            self.ack_phase = AckPhase::ProbeFeedback;
        }
        if self.ack_phase == AckPhase::ProbeStopping && self.round_start {
            self.is_bw_probe_sample = false;
            self.ack_phase = AckPhase::Init;
            if self.state.is_probe_bw() {
                if !self.rs.is_app_limited {
                    self.advance_max_bw_filter();
                }
                //= draft-ietf-ccwg-bbr-06 5.3.3.6: the precaution was needless, the probe goes on
                if self.prev_probe_precautionary && !self.prev_probe_too_high {
                    self.start_probe_bw_refill();
                    return true;
                }
            }
        }
        if self.inflight_longterm != INFINITE && !self.is_inflight_too_high(self.rs.lost, self.rs.tx_in_flight) {
            self.inflight_longterm = self.inflight_longterm.max(self.rs.tx_in_flight);
            if self.state == State::ProbeBwUp {
                self.probe_inflight_longterm_upward();
            }
        }
        false
    }
}
