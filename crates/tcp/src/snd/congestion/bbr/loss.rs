//! What losses do: to the short-term model, while the flow does not probe, and to inflight_longterm, while it does.

use super::constants::{BETA, Gain, INFINITE, INFINITE_RATE, LOSS_THRESH, PACING_MARGIN, clamp};
use super::{Bbr, State};
use crate::snd::congestion::LostPiece;

impl Bbr {
    /// Near the beginning of an acknowledgment.
    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn update_latest_delivery_signals(&mut self) {
        self.bw_latest = self.bw_latest.max(self.rs.delivery_rate);
        self.held_back[0] = self.held_back[0].min(self.state.pacing_gain());
        self.inflight_latest = self.inflight_latest.max(self.rs.delivered);
        self.loss_round_start = self.rs.has_data && self.rs.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = self.c.delivered;
        }
    }

    /// Near its end.
    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn advance_latest_delivery_signals(&mut self) {
        if self.loss_round_start {
            self.bw_latest = self.rs.delivery_rate;
            self.held_back = [self.state.pacing_gain(), self.held_back[0]];
            self.inflight_latest = self.rs.delivered;
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn reset_congestion_signals(&mut self) {
        self.is_loss_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn update_congestion_signals(&mut self) {
        self.update_max_bw();
        if !self.loss_round_start {
            return; // until the end of the round
        }
        self.adapt_lower_bounds_from_congestion();
        self.is_loss_in_round = false;
    }

    /// Once per round: the short-term model follows what was delivered, at most by Beta at a time.
    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    fn adapt_lower_bounds_from_congestion(&mut self) {
        if self.state.is_probing_bw() || !self.is_loss_in_round {
            return;
        }
        // InitLowerBounds: the first congestion of this cycle.
        if self.bw_shortterm == INFINITE_RATE {
            self.bw_shortterm = self.max_bw.get();
        }
        if self.inflight_shortterm == INFINITE {
            self.inflight_shortterm = self.c.cwnd;
        }
        // LossLowerBounds.
        let delivered = self.delivered_but_for_pacing().min(self.bw_shortterm);
        self.bw_shortterm = BETA.of(self.bw_shortterm).max(delivered);
        self.inflight_shortterm = BETA.of_volume(self.inflight_shortterm).max(clamp(self.inflight_latest));
    }

    /// The bandwidth that would have been delivered had it not been paced by less than the model says: by the margin, always,
    /// and by the gain of DOWN, when what arrives now was sent. Losses do not explain that part.
    fn delivered_but_for_pacing(&self) -> u64 {
        let gain = self.held_back[0].min(self.held_back[1]).min(Gain::UNIT);
        PACING_MARGIN.over(gain.over(self.bw_latest))
    }

    //= draft-ietf-ccwg-bbr-06 5.5.10.3
    pub(super) fn reset_short_term_model(&mut self) {
        self.bw_shortterm = INFINITE_RATE;
        self.inflight_shortterm = INFINITE;
    }

    /// Whether `lost` octets were too many for `tx_in_flight`.
    //= draft-ietf-ccwg-bbr-06 5.5.10.2
    pub(super) fn is_inflight_too_high(&self, lost: u64, tx_in_flight: u32) -> bool {
        lost.saturating_mul(100) > u64::from(tx_in_flight) * LOSS_THRESH || (lost > 0 && !self.c.has_selective_acks)
    }

    /// The probe went too high: `tx_in_flight` is what would have been right.
    //= draft-ietf-ccwg-bbr-06 5.5.10.2
    pub(super) fn handle_inflight_too_high(&mut self, tx_in_flight: u32, is_app_limited: bool) {
        self.prev_probe_too_high = true;
        self.is_bw_probe_sample = false; // once per probe
        if !is_app_limited {
            self.inflight_longterm = BETA.of_volume(self.target_inflight()).max(tx_in_flight);
        }
        if self.state == State::ProbeBwUp {
            self.undo.state = Some(State::ProbeBwUp);
            self.start_probe_bw_down();
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.5.10.2
    pub(super) fn note_loss(&mut self) {
        if !self.is_loss_in_round {
            self.loss_round_delivered = self.c.delivered;
            self.save_state_upon_loss();
        }
        self.is_loss_in_round = true;
    }

    //= draft-ietf-ccwg-bbr-06 5.5.10.2
    pub(super) fn handle_lost_packet(&mut self, p: &LostPiece) {
        self.note_loss();
        if p.seq != self.lost_range_end || self.lost_ranges_in_round == 0 {
            self.lost_ranges_in_round = self.lost_ranges_in_round.saturating_add(1);
        }
        self.lost_range_end = p.seq + p.len;
        if !self.is_bw_probe_sample {
            return; // not sent while the flow probed
        }
        let lost = p.total_lost.saturating_sub(p.lost_before);
        if self.is_inflight_too_high(lost, p.tx_in_flight) {
            self.handle_inflight_too_high(inflight_at_loss(p, lost), p.is_app_limited);
        }
    }
}

/// How much was in flight when losses crossed the threshold, somewhere within `p`, which may be a super-segment.
//= draft-ietf-ccwg-bbr-06 5.5.10.2
fn inflight_at_loss(p: &LostPiece, lost: u64) -> u32 {
    let inflight_prev = u64::from(p.tx_in_flight.saturating_sub(p.len));
    let lost_prev = lost.saturating_sub(u64::from(p.len));
    // (LossThresh * inflight_prev - lost_prev) / (1 - LossThresh). Below zero it was crossed before p: then what was in flight
    // before p is as near as we come.
    let lost_prefix = (inflight_prev * LOSS_THRESH).saturating_sub(lost_prev.saturating_mul(100)) / (100 - LOSS_THRESH);
    clamp(inflight_prev + lost_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfin_wire::SeqNum;

    #[test]
    //= draft-ietf-ccwg-bbr-06 5.5.10.2
    fn the_threshold_is_crossed_within_a_super_segment() {
        let p = |len, tx_in_flight| LostPiece {
            seq: SeqNum(0),
            len,
            tx_in_flight,
            lost_before: 0,
            total_lost: 0,
            total_delivered: 0,
            is_app_limited: false,
            again: false,
        };
        // 98,000 before, nothing lost of it: 2,000 of 100,000 are 2 %.
        assert_eq!(inflight_at_loss(&p(64_000, 162_000), 64_000), 100_000);
        // 1,000 of it lost already: (1,960 - 1,000) / 0.98 more.
        assert_eq!(inflight_at_loss(&p(64_000, 162_000), 65_000), 98_979);
        // More lost already than the threshold allows: what was there before.
        assert_eq!(inflight_at_loss(&p(64_000, 162_000), 90_000), 98_000);
        // What cannot be does no harm.
        assert_eq!(inflight_at_loss(&p(64_000, 10), 0), 0);
        assert_eq!(inflight_at_loss(&p(1, u32::MAX), u64::MAX), u32::MAX - 1);
    }
}
