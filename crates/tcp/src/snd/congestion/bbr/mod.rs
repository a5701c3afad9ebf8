//! BBRv3 (draft-ietf-ccwg-bbr-06): a model of the path, from which rate and window follow.
//!
//! The model has two numbers: the most bandwidth that was delivered lately, `max_bw`, and the least round-trip time, `min_rtt`.
//! Their product is what the path holds when no queue stands. BBR paces at the one and keeps about two products in flight, so
//! that neither a loss that is none of congestion nor a deep buffer misleads it; it probes for more bandwidth every two or three
//! seconds, and for a shorter path every five. Losses teach it two bounds: `inflight_longterm`, where the last probe went too
//! high, and the short-term pair, `bw_shortterm` and `inflight_shortterm`, which hold until the next probe.
//!
//! The text is the draft's, its names in its order; a file has one of its topics: [`startup`] (5.3.1, 5.3.2), [`probe_bw`]
//! (5.3.3), [`probe_rtt`] (5.3.4, 5.5.7), [`model`] (5.5.1 to 5.5.9), [`loss`] (5.5.10), [`undo`] (5.5.11), [`control`] (5.6).
//! What the draft keeps with the connection, C.*, is mirrored in [`state::Conn`]; RS.* is [`state::Sample`]. All is counted in octets and
//! octets per second, in integers that saturate: whatever a peer acknowledges, no rate and no window becomes zero.
//!
//! The delivery rate (4.1) is measured by the engine, for it keeps what was sent.
//!
//! # What differs, and why
//!
//! * State is saved for an undo once per episode of losses, not once per round of it (see [`undo`]).
//! * cwnd is saved before ProbeRTT begins, not after: else what is restored might be older than what was there.
//! * Where no round-trip time was known at the beginning, the first one sets the pacing rate (5.6.2 says so in words only).
//! * A cycle without a sample of use does not age `max_bw`. One that ProbeRTT cuts off does, if none has come to its end since
//!   the ProbeRTT before: where a round takes seconds, as it does when the bandwidth falls in front of a deep buffer, none ever
//!   would, and what is no longer there would keep the buffer full for good.
//! * What is delivered less because it was paced by less, by the margin or in DOWN, does not bring `bw_shortterm` down
//!   (5.5.10.3). By the draft each round with a loss, however small, takes a hundredth, and one in DOWN a tenth, until the next
//!   probe: at a loss of 0.1 % that is a tenth of the path.
//! * A careful probe (5.3.3.6) stops when no segment more fits under `inflight_longterm`, with what was in flight before the
//!   acknowledgment. Counted in octets, and after it, the draft's C.inflight does not come to the bound at all.
//! * ECN: the draft leaves the response open, and asks for one (3.7). A window of data in which marks were reported counts as
//!   one with a loss; the first one ends Startup, and one in a probe means that it went too high.
//! * After a timeout cwnd is one SMSS: C.inflight + 1, where all that was out is taken for lost.
//! * Bounds of our own: cwnd at most 2^30, pacing at least one SMSS per second.
//! * ssthresh is no part of BBR. It holds the last good cwnd, for those who look at it.

mod constants;
mod control;
mod filter;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;
mod startup;
mod state;
#[cfg(test)]
mod tests;
mod undo;

use super::{Ack, CongestionControl, Loss, LossCause, LostPiece, Pacing, Sending, Start, Window};
use crate::time::{Duration, Instant};
use constants::{Gain, INFINITE, INFINITE_RATE};
use filter::{Dice, MaxBwFilter, WindowedMax};
use startup::FullBw;
use state::{AckPhase, Conn, Sample, State};
use synfin_wire::SeqNum;
use undo::{Recovery, Undo};

/// The model, the state machine and what they decide. BBR.* of the draft, but for its C.* and RS.*.
#[derive(Debug)]
pub struct Bbr {
    c: Conn,
    rs: Sample,
    state: State,
    dice: Dice,

    // Rounds (2.7).
    round_count: u64,
    round_start: bool,
    next_round_delivered: u64,
    limited_this_round: bool,
    limited_last_round: bool,
    idle_restart: bool,

    // The rate (2.9.1, 2.11).
    max_bw: MaxBwFilter,
    max_bw_aged: bool,
    bw_shortterm: u64,
    bw: u64,

    // The volume (2.9.2, 2.12).
    inflight_longterm: u32,
    inflight_shortterm: u32,
    extra_acked: u32,
    extra_acked_interval_start: Instant,
    extra_acked_delivered: u64,
    extra_acked_filter: WindowedMax,

    // Congestion (2.10, 2.15).
    bw_latest: u64,
    /// The least pacing gain of this round, and of the one before, in which what arrives now was sent.
    held_back: [Gain; 2],
    inflight_latest: u64,
    is_loss_in_round: bool,
    loss_round_start: bool,
    loss_round_delivered: u64,
    lost_ranges_in_round: u8,
    lost_range_end: SeqNum,
    marked: bool,
    prior_cwnd: u32,
    undo: Undo,

    // Startup and Drain (2.13).
    full_bw: FullBw,
    drain_start_round: u64,
    has_seen_rtt: bool,

    // ProbeBW (2.14).
    ack_phase: AckPhase,
    is_bw_probe_sample: bool,
    bw_probe_up_acked: u32,
    probe_up_acked_per_inc: u32,
    bw_probe_up_rounds: u8,
    rounds_since_probe_up: u64,
    bw_probe_wait: Duration,
    cycle_stamp: Instant,
    prev_probe_too_high: bool,
    prev_probe_precautionary: bool,

    // min_rtt and ProbeRTT (2.16). Infinity is `Duration::MAX`, a stamp of 0 `Instant::NEVER`.
    min_rtt: Duration,
    min_rtt_stamp: Instant,
    probe_rtt_min_delay: Duration,
    probe_rtt_min_stamp: Instant,
    probe_rtt_expired: bool,
    probe_rtt_done_stamp: Instant,
    probe_rtt_round_done: bool,
}

impl Bbr {
    /// At the beginning of a connection.
    //= draft-ietf-ccwg-bbr-06 5.2.1
    pub fn new(start: &Start) -> Bbr {
        let min_rtt = if start.srtt.is_zero() { Duration::MAX } else { start.srtt };
        let c = Conn {
            now: start.now,
            smss: start.smss.max(1),
            initial_cwnd: start.initial_cwnd,
            has_selective_acks: start.sack,
            delivered: 0,
            inflight: 0,
            cwnd: start.initial_cwnd,
            is_cwnd_limited: false,
            recovery: Recovery::Open,
            pacing_rate: 0,
            send_quantum: 0,
        };
        let mut bbr = Bbr {
            c,
            rs: Sample::default(),
            state: State::Startup,
            dice: Dice::new(start.seed),
            round_count: 0,
            round_start: false,
            next_round_delivered: 0,
            limited_this_round: false,
            limited_last_round: false,
            idle_restart: false,
            max_bw: MaxBwFilter::default(),
            max_bw_aged: false,
            bw_shortterm: INFINITE_RATE,
            bw: 0,
            inflight_longterm: INFINITE,
            inflight_shortterm: INFINITE,
            extra_acked: 0,
            extra_acked_interval_start: start.now,
            extra_acked_delivered: 0,
            extra_acked_filter: WindowedMax::default(),
            bw_latest: 0,
            held_back: [Gain::UNIT; 2],
            inflight_latest: 0,
            is_loss_in_round: false,
            loss_round_start: false,
            loss_round_delivered: 0,
            lost_ranges_in_round: 0,
            lost_range_end: SeqNum(0),
            marked: false,
            prior_cwnd: 0,
            undo: Undo::NOTHING,
            full_bw: FullBw::default(),
            drain_start_round: 0,
            has_seen_rtt: !start.srtt.is_zero(),
            ack_phase: AckPhase::Init,
            is_bw_probe_sample: false,
            bw_probe_up_acked: 0,
            probe_up_acked_per_inc: INFINITE,
            bw_probe_up_rounds: 0,
            rounds_since_probe_up: 0,
            bw_probe_wait: Duration::ZERO,
            cycle_stamp: start.now,
            prev_probe_too_high: false,
            prev_probe_precautionary: false,
            min_rtt,
            min_rtt_stamp: start.now,
            probe_rtt_min_delay: min_rtt,
            probe_rtt_min_stamp: start.now,
            probe_rtt_expired: false,
            probe_rtt_done_stamp: Instant::NEVER,
            probe_rtt_round_done: false,
        };
        bbr.init_pacing_rate(start.srtt);
        bbr.set_send_quantum();
        bbr
    }

    /// Takes over what the acknowledgment says of the connection and of the path.
    fn read(&mut self, cwnd: u32, ack: &Ack) {
        let marked = core::mem::take(&mut self.marked);
        self.rs = Sample {
            newly_acked: ack.delivered,
            rtt: ack.rtt,
            prior_inflight: ack.pipe.saturating_add(ack.delivered).saturating_add(ack.lost),
            cwnd_limited: ack.cwnd_limited,
            is_marked: marked,
            ..Sample::default()
        };
        self.c.delivered = self.c.delivered.saturating_add(u64::from(ack.delivered));
        if let Some(rate) = ack.rate {
            self.rs = Sample {
                has_data: true,
                delivery_rate: rate.delivery_rate,
                delivered: rate.delivered,
                lost: rate.lost,
                prior_delivered: rate.prior_delivered,
                tx_in_flight: rate.tx_in_flight,
                is_app_limited: rate.is_app_limited,
                ..self.rs
            };
            self.c.delivered = rate.total_delivered;
        }
        (self.c.now, self.c.smss, self.c.inflight, self.c.cwnd) = (ack.now, ack.smss.max(1), ack.pipe, cwnd);
        if !ack.in_recovery {
            self.close_episode();
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.2.3
    fn update_model_and_state(&mut self) {
        self.update_latest_delivery_signals();
        self.update_congestion_signals();
        self.update_ack_aggregation();
        self.check_full_bw_reached();
        self.check_startup_done();
        self.check_drain_done();
        self.update_probe_bw_cycle_phase();
        self.update_min_rtt();
        self.check_probe_rtt();
        self.advance_latest_delivery_signals();
        self.bound_bw_for_model();
    }

    //= draft-ietf-ccwg-bbr-06 5.2.3
    fn update_control_parameters(&mut self) {
        self.set_pacing_rate();
        self.set_send_quantum();
        self.set_cwnd();
    }

    /// The window is about to be cut: ssthresh, which is not ours, shows what it was.
    fn recovery_begins(&mut self, window: &mut Window, loss: &Loss, recovery: Recovery) {
        (self.c.now, self.c.smss, self.c.cwnd) = (loss.now, loss.smss.max(1), window.cwnd);
        self.enter_recovery(recovery);
        window.ssthresh = self.prior_cwnd.max(self.min_pipe_cwnd());
    }
}

impl CongestionControl for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
    }

    //= draft-ietf-ccwg-bbr-06 5.2.3
    fn on_ack(&mut self, window: &mut Window, ack: &Ack) {
        self.read(window.cwnd, ack);
        if !self.has_seen_rtt
            && let Some(rtt) = ack.rtt
        {
            self.has_seen_rtt = true;
            self.init_pacing_rate(rtt);
        }
        if self.rs.is_marked && self.is_bw_probe_sample {
            self.handle_inflight_too_high(self.rs.tx_in_flight, self.rs.is_app_limited);
        }
        self.update_model_and_state();
        self.update_control_parameters();
        window.cwnd = self.c.cwnd;
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    fn on_loss(&mut self, window: &mut Window, loss: &Loss) {
        match loss.cause {
            LossCause::Lost => self.recovery_begins(window, loss, Recovery::Fast),
            LossCause::Marked => {
                //= draft-ietf-ccwg-bbr-06 3.7: MUST treat any CE marks as congestion
                (self.c.now, self.c.cwnd) = (loss.now, window.cwnd);
                self.note_loss();
                self.marked = true;
            }
        }
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    fn on_timeout(&mut self, window: &mut Window, loss: &Loss, first: bool) {
        if first {
            self.recovery_begins(window, loss, Recovery::Timeout);
        }
        self.c.inflight = 0;
        window.cwnd = loss.smss.max(1);
    }

    //= draft-ietf-ccwg-bbr-06 5.2.5
    fn on_spurious(&mut self, window: &mut Window, now: Instant) {
        (self.c.now, self.c.cwnd) = (now, window.cwnd);
        self.handle_spurious_loss_detection();
        self.bound_cwnd();
        window.cwnd = self.c.cwnd;
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    fn on_recovered(&mut self, window: &mut Window, now: Instant) {
        (self.c.now, self.c.cwnd) = (now, window.cwnd);
        self.close_episode();
        self.restore_cwnd();
        self.bound_cwnd();
        window.cwnd = self.c.cwnd;
    }

    //= draft-ietf-ccwg-bbr-06 5.2.4
    fn on_lost(&mut self, window: &mut Window, lost: &LostPiece, now: Instant) {
        (self.c.now, self.c.cwnd, self.c.delivered) = (now, window.cwnd, lost.total_delivered);
        self.handle_lost_packet(lost);
    }

    //= draft-ietf-ccwg-bbr-06 5.2.2
    //= draft-ietf-ccwg-bbr-06 5.4.1
    fn on_send(&mut self, window: &mut Window, sending: &Sending) {
        if sending.pipe > 0 || !sending.is_app_limited {
            return;
        }
        (self.c.now, self.c.inflight, self.c.cwnd) = (sending.now, 0, window.cwnd);
        self.c.delivered = sending.total_delivered;
        self.idle_restart = true;
        self.extra_acked_interval_start = sending.now;
        if self.state.is_probe_bw() {
            self.set_pacing_rate_with_gain(Gain::UNIT);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done();
        }
        window.cwnd = self.c.cwnd;
    }

    fn answers_marks_as_losses(&self) -> bool {
        false
    }

    fn governs_recovery(&self) -> bool {
        true
    }

    //= draft-ietf-ccwg-bbr-06 5.3.4.3
    fn holds_back(&self) -> bool {
        self.state == State::ProbeRtt
    }

    //= draft-ietf-ccwg-bbr-06 5.6.2
    fn pacing(&self) -> Option<Pacing> {
        Some(Pacing { rate: self.c.pacing_rate, quantum: self.c.send_quantum })
    }
}
