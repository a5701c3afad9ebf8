//! What the model is for: pacing rate, send quantum, cwnd.

use super::constants::{
    Gain, INFINITE, MAX_CWND, NOMINAL_RTT, PACING_MARGIN, QUANTUM_MAX, QUANTUM_MIN, QUANTUM_TIME, STARTUP_PACING_GAIN,
    clamp, rate, volume,
};
use super::{Bbr, State};
use crate::time::Duration;

impl Bbr {
    /// Before there is an estimate: the initial window in one round-trip time, or in a millisecond while that is not known.
    //= draft-ietf-ccwg-bbr-06 5.6.2
    pub(super) fn init_pacing_rate(&mut self, srtt: Duration) {
        let rtt = if srtt.is_zero() { NOMINAL_RTT } else { srtt };
        let nominal_bandwidth = rate(u64::from(self.c.initial_cwnd), rtt);
        self.c.pacing_rate = STARTUP_PACING_GAIN.of(nominal_bandwidth).max(self.least_pacing_rate());
    }

    //= draft-ietf-ccwg-bbr-06 5.6.2
    pub(super) fn set_pacing_rate_with_gain(&mut self, gain: Gain) {
        let rate = PACING_MARGIN.of(gain.of(self.bw));
        if self.full_bw.reached || rate > self.c.pacing_rate {
            self.c.pacing_rate = rate.max(self.least_pacing_rate());
        }
    }

    /// Ours: a segment a second. What is slower would not be probed again before retransmission timers have expired.
    fn least_pacing_rate(&self) -> u64 {
        u64::from(self.c.smss)
    }

    //= draft-ietf-ccwg-bbr-06 5.6.2
    pub(super) fn set_pacing_rate(&mut self) {
        self.set_pacing_rate_with_gain(self.state.pacing_gain());
    }

    //= draft-ietf-ccwg-bbr-06 5.6.3
    pub(super) fn set_send_quantum(&mut self) {
        let quantum = clamp(volume(self.c.pacing_rate, QUANTUM_TIME)).min(QUANTUM_MAX);
        self.c.send_quantum = quantum.max(QUANTUM_MIN.saturating_mul(self.c.smss));
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.6
    pub(super) fn set_cwnd(&mut self) {
        let max_inflight = self.max_inflight();
        let grown = self.c.cwnd.saturating_add(self.rs.newly_acked);
        if self.full_bw.reached {
            self.c.cwnd = grown.min(max_inflight);
        } else if self.c.cwnd < max_inflight || self.c.delivered < u64::from(self.c.initial_cwnd) {
            self.c.cwnd = grown;
        }
        self.bound_cwnd();
    }

    /// The bounds of ProbeRTT and of the model; no less than MinPipeCwnd in any case.
    //= draft-ietf-ccwg-bbr-06 5.6.4.5
    //= draft-ietf-ccwg-bbr-06 5.6.4.7
    pub(super) fn bound_cwnd(&mut self) {
        let floor = self.min_pipe_cwnd();
        let probe_rtt = if self.state == State::ProbeRtt { self.probe_rtt_cwnd() } else { INFINITE };
        let longterm = match self.state {
            State::ProbeBwDown | State::ProbeBwRefill | State::ProbeBwUp => self.inflight_longterm,
            State::ProbeBwCruise | State::ProbeRtt => self.inflight_with_headroom(),
            State::Startup | State::Drain => INFINITE,
        };
        let cap = longterm.min(self.inflight_shortterm).min(probe_rtt).min(MAX_CWND).max(floor);
        self.c.cwnd = self.c.cwnd.max(floor).min(cap);
    }
}
