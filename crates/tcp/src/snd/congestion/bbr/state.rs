//! The states, and what the connection and the acknowledgment that is on tell: C.* and RS.* of the draft.

use super::constants::{
    DEFAULT_CWND_GAIN, DRAIN_PACING_GAIN, Gain, PROBE_DOWN_PACING_GAIN, PROBE_RTT_CWND_GAIN, PROBE_UP_CWND_GAIN,
    PROBE_UP_PACING_GAIN, STARTUP_PACING_GAIN,
};
use super::undo::Recovery;
use crate::time::{Duration, Instant};

/// C.*, as far as it matters here, as of the event that is on.
//= draft-ietf-ccwg-bbr-06 2.2
//= draft-ietf-ccwg-bbr-06 2.4
#[derive(Debug, Clone, Copy)]
pub(super) struct Conn {
    pub(super) now: Instant,
    pub(super) smss: u32,
    pub(super) initial_cwnd: u32,
    pub(super) has_selective_acks: bool,
    pub(super) delivered: u64,
    pub(super) inflight: u32,
    pub(super) cwnd: u32,
    pub(super) is_cwnd_limited: bool,
    pub(super) recovery: Recovery,
    pub(super) pacing_rate: u64,
    pub(super) send_quantum: u32,
}

/// RS.*: what the acknowledgment that is on has shown.
//= draft-ietf-ccwg-bbr-06 2.3
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) has_data: bool,
    pub(super) newly_acked: u32,
    pub(super) delivery_rate: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) prior_delivered: u64,
    pub(super) tx_in_flight: u32,
    pub(super) is_app_limited: bool,
    pub(super) rtt: Option<Duration>,
    /// C.inflight before it came.
    pub(super) prior_inflight: u32,
    /// Whether cwnd was the limit since the acknowledgment before.
    pub(super) cwnd_limited: bool,
    /// Whether a window of data was marked.
    pub(super) is_marked: bool,
}

/// The states.
//= draft-ietf-ccwg-bbr-06 5.1.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Startup,
    Drain,
    ProbeBwDown,
    ProbeBwCruise,
    ProbeBwRefill,
    ProbeBwUp,
    ProbeRtt,
}

//= draft-ietf-ccwg-bbr-06 5.6.1
impl State {
    pub(super) fn pacing_gain(self) -> Gain {
        match self {
            State::Startup => STARTUP_PACING_GAIN,
            State::Drain => DRAIN_PACING_GAIN,
            State::ProbeBwDown => PROBE_DOWN_PACING_GAIN,
            State::ProbeBwUp => PROBE_UP_PACING_GAIN,
            State::ProbeBwCruise | State::ProbeBwRefill | State::ProbeRtt => Gain::UNIT,
        }
    }

    pub(super) fn cwnd_gain(self) -> Gain {
        match self {
            State::ProbeBwUp => PROBE_UP_CWND_GAIN,
            State::ProbeRtt => PROBE_RTT_CWND_GAIN,
            _ => DEFAULT_CWND_GAIN,
        }
    }

    /// IsInAProbeBWState.
    pub(super) fn is_probe_bw(self) -> bool {
        matches!(self, State::ProbeBwDown | State::ProbeBwCruise | State::ProbeBwRefill | State::ProbeBwUp)
    }

    /// IsProbingBW.
    pub(super) fn is_probing_bw(self) -> bool {
        matches!(self, State::Startup | State::ProbeBwRefill | State::ProbeBwUp)
    }
}

/// What acknowledgments tell of the probe for bandwidth.
//= draft-ietf-ccwg-bbr-06 2.14
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckPhase {
    Init,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}
