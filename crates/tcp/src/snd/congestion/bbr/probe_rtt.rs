//! min_rtt, and ProbeRTT, which empties the queue every few seconds to see it.

use super::constants::{MIN_RTT_FILTER_LEN, PROBE_RTT_CWND_GAIN, PROBE_RTT_DURATION, PROBE_RTT_INTERVAL};
use super::{AckPhase, Bbr, State};
use crate::time::Instant;

impl Bbr {
    /// Two filters, the shorter one inside the longer: min_rtt remembers what the last ProbeRTT saw.
    //= draft-ietf-ccwg-bbr-06 5.3.4.3
    pub(super) fn update_min_rtt(&mut self) {
        let now = self.c.now;
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        if let Some(rtt) = self.rs.rtt
            && (rtt < self.probe_rtt_min_delay || self.probe_rtt_expired)
        {
            self.probe_rtt_min_delay = rtt;
            self.probe_rtt_min_stamp = now;
        }
        let min_rtt_expired = now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN;
        if self.probe_rtt_min_delay < self.min_rtt || min_rtt_expired {
            self.min_rtt = self.probe_rtt_min_delay;
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.3.4.3
    pub(super) fn check_probe_rtt(&mut self) {
        if self.state != State::ProbeRtt && self.probe_rtt_expired && !self.idle_restart {
            // Before the state changes, as it is the cwnd of the old one that is kept (the draft saves it after).
            self.save_cwnd();
            // Ours: where a cycle takes longer than the time between two of these, this is its end.
            if self.state.is_probe_bw() && !self.max_bw_aged {
                self.advance_max_bw_filter();
            }
            self.max_bw_aged = false;
            self.state = State::ProbeRtt;
            self.probe_rtt_done_stamp = Instant::NEVER;
            self.ack_phase = AckPhase::ProbeStopping;
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt();
        }
        if self.rs.delivered > 0 {
            self.idle_restart = false;
        }
    }

    /// The engine marks the connection as limited by the application while this lasts (`holds_back`).
    //= draft-ietf-ccwg-bbr-06 5.3.4.3
    fn handle_probe_rtt(&mut self) {
        if self.probe_rtt_done_stamp == Instant::NEVER {
            if self.c.inflight <= self.probe_rtt_cwnd() {
                self.probe_rtt_done_stamp = self.c.now + PROBE_RTT_DURATION;
                self.probe_rtt_round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt_round_done |= self.round_start;
        if self.probe_rtt_round_done {
            self.check_probe_rtt_done();
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.3.4.3
    pub(super) fn check_probe_rtt_done(&mut self) {
        // Not begun is `NEVER`, which no time is after.
        if self.c.now > self.probe_rtt_done_stamp {
            self.probe_rtt_min_stamp = self.c.now;
            self.restore_cwnd();
            self.exit_probe_rtt();
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.3.4.4
    fn exit_probe_rtt(&mut self) {
        self.reset_short_term_model();
        if self.full_bw.reached {
            self.start_probe_bw_down();
            self.start_probe_bw_cruise();
        } else {
            self.enter_startup();
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.5
    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        self.bdp_multiple(self.bw, PROBE_RTT_CWND_GAIN).max(self.min_pipe_cwnd())
    }
}
