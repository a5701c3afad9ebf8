//! The model of the path: rounds, the most bandwidth, the degree of aggregation, the bandwidth-delay product.

use super::constants::{EXTRA_ACKED_FILTER_LEN, Gain, INFINITE, MIN_PIPE_CWND, OFFLOAD_QUANTA, clamp, volume};
use super::{Bbr, State};
use crate::time::Duration;

impl Bbr {
    /// Counts a round when something sent after its beginning is acknowledged.
    //= draft-ietf-ccwg-bbr-06 5.5.1
    fn update_round(&mut self) {
        self.round_start = self.rs.has_data && self.rs.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round_count += 1;
            self.rounds_since_probe_up = self.rounds_since_probe_up.saturating_add(1);
            (self.limited_last_round, self.limited_this_round) = (self.limited_this_round, false);
        }
        //= draft-ietf-ccwg-bbr-06 2.2: is_cwnd_limited, at any point in the last round
        self.limited_this_round |= self.rs.cwnd_limited;
        self.c.is_cwnd_limited = self.limited_this_round || self.limited_last_round;
    }

    /// A round begins with what is sent now.
    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.c.delivered;
    }

    /// Takes a sample of the delivery rate; one that the application limited only if it shows more than is known.
    //= draft-ietf-ccwg-bbr-06 5.5.4
    //= draft-ietf-ccwg-bbr-06 5.5.5
    pub(super) fn update_max_bw(&mut self) {
        self.update_round();
        let rate = self.rs.delivery_rate;
        if rate > 0 && (rate >= self.max_bw.get() || !self.rs.is_app_limited) {
            self.max_bw.update(rate);
        }
    }

    /// The rate that is appropriate, given all that is known.
    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn bound_bw_for_model(&mut self) {
        self.bw = self.max_bw.get().min(self.bw_shortterm);
    }

    /// How much more is acknowledged at once than the rate explains.
    //= draft-ietf-ccwg-bbr-06 5.5.9
    pub(super) fn update_ack_aggregation(&mut self) {
        let interval = self.c.now.since(self.extra_acked_interval_start);
        let mut expected_delivered = volume(self.bw, interval);
        if self.extra_acked_delivered <= expected_delivered {
            self.extra_acked_delivered = 0;
            self.extra_acked_interval_start = self.c.now;
            expected_delivered = 0;
        }
        self.extra_acked_delivered = self.extra_acked_delivered.saturating_add(u64::from(self.rs.newly_acked));
        let extra = clamp(self.extra_acked_delivered - expected_delivered).min(self.c.cwnd);
        let filter_len = if self.full_bw.reached { EXTRA_ACKED_FILTER_LEN } else { 1 };
        self.extra_acked = self.extra_acked_filter.update(extra, self.round_count, filter_len);
    }

    /// BBR.min_pipe_cwnd, in octets.
    //= draft-ietf-ccwg-bbr-06 5.6.4.3
    pub(super) fn min_pipe_cwnd(&self) -> u32 {
        MIN_PIPE_CWND.saturating_mul(self.c.smss)
    }

    /// A multiple of the bandwidth-delay product at the rate `bw`.
    //= draft-ietf-ccwg-bbr-06 5.6.4.2
    pub(super) fn bdp_multiple(&self, bw: u64, gain: Gain) -> u32 {
        if self.min_rtt == Duration::MAX {
            return self.c.initial_cwnd; // nothing has been measured yet
        }
        clamp(gain.of(volume(bw, self.min_rtt)))
    }

    /// BBR.bdp.
    pub(super) fn bdp(&self) -> u32 {
        self.bdp_multiple(self.bw, Gain::UNIT)
    }

    /// Room for what the hosts themselves hold: BBR.offload_budget is that of TCP.
    //= draft-ietf-ccwg-bbr-06 5.5.8.1
    //= draft-ietf-ccwg-bbr-06 5.6.4.2
    fn quantization_budget(&self, inflight_cap: u32) -> u32 {
        let offload_budget = OFFLOAD_QUANTA.saturating_mul(self.c.send_quantum);
        let cap = inflight_cap.max(offload_budget).max(self.min_pipe_cwnd());
        if self.state == State::ProbeBwUp { cap.saturating_add(2 * self.c.smss) } else { cap }
    }

    /// What is to be in flight at the rate `bw`.
    //= draft-ietf-ccwg-bbr-06 5.6.4.2
    pub(super) fn inflight(&self, bw: u64, gain: Gain) -> u32 {
        self.quantization_budget(self.bdp_multiple(bw, gain))
    }

    /// BBR.max_inflight.
    //= draft-ietf-ccwg-bbr-06 5.6.4.2
    pub(super) fn max_inflight(&self) -> u32 {
        let cap = self.bdp_multiple(self.bw, self.state.cwnd_gain());
        self.quantization_budget(cap.saturating_add(self.extra_acked))
    }

    /// What we want in flight: the estimated BDP, unless congestion has cut cwnd.
    //= draft-ietf-ccwg-bbr-06 5.3.3.8.3
    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp().min(self.c.cwnd)
    }

    /// What leaves others room in the bottleneck.
    //= draft-ietf-ccwg-bbr-06 5.3.3.9
    pub(super) fn inflight_with_headroom(&self) -> u32 {
        if self.inflight_longterm == INFINITE {
            return INFINITE;
        }
        let headroom = super::constants::HEADROOM.of_volume(self.inflight_longterm).max(self.c.smss);
        self.inflight_longterm.saturating_sub(headroom).max(self.min_pipe_cwnd())
    }
}
