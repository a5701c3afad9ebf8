//! The constants of the draft, under its names, and the arithmetic they need: gains are whole per cents, so that nothing is lost.

use crate::time::Duration;

/// A factor in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gain(pub(super) u32);

impl Gain {
    /// One.
    pub(super) const UNIT: Gain = Gain(100);

    /// This part of `value`, rounded down.
    pub(super) fn of(self, value: u64) -> u64 {
        let gain = u64::from(self.0);
        // Only a value that no path has is too large to be multiplied first.
        value.checked_mul(gain).map_or_else(|| (value / 100).saturating_mul(gain), |v| v / 100)
    }

    /// What `value` is this part of, rounded down; of no part, all.
    pub(super) fn over(self, value: u64) -> u64 {
        value.saturating_mul(100) / u64::from(self.0.max(1))
    }

    /// This part of a volume.
    pub(super) fn of_volume(self, octets: u32) -> u32 {
        clamp(self.of(u64::from(octets)))
    }
}

/// Octets that go by at `rate` octets per second in `time`.
pub(super) fn volume(rate: u64, time: Duration) -> u64 {
    const NANOS: u128 = 1_000_000_000;
    let ns = time.as_nanos();
    match u64::try_from(ns).ok().and_then(|ns| rate.checked_mul(ns)) {
        Some(product) => product / NANOS as u64,
        None => u64::try_from(u128::from(rate).saturating_mul(ns) / NANOS).unwrap_or(u64::MAX),
    }
}

/// The rate, in octets per second, at which `octets` go by in `time`.
pub(super) fn rate(octets: u64, time: Duration) -> u64 {
    let ns = time.as_nanos().max(1);
    u64::try_from(u128::from(octets) * 1_000_000_000 / ns).unwrap_or(u64::MAX)
}

/// A volume; one that is too large is [`INFINITE`].
pub(super) fn clamp(octets: u64) -> u32 {
    u32::try_from(octets).unwrap_or(INFINITE)
}

/// "Infinity" as a volume: no bound.
pub(super) const INFINITE: u32 = u32::MAX;
/// "Infinity" as a rate: no bound.
pub(super) const INFINITE_RATE: u64 = u64::MAX;

//= draft-ietf-ccwg-bbr-06 2.5
/// StartupPacingGain: 4 ln 2, the least by which the rate doubles each round.
pub(super) const STARTUP_PACING_GAIN: Gain = Gain(277);
/// DrainPacingGain.
pub(super) const DRAIN_PACING_GAIN: Gain = Gain(50);
/// PacingMarginPercent, taken off: what is left of the rate.
pub(super) const PACING_MARGIN: Gain = Gain(99);

//= draft-ietf-ccwg-bbr-06 5.6.1
/// The pacing gain of ProbeBW_DOWN.
pub(super) const PROBE_DOWN_PACING_GAIN: Gain = Gain(90);
/// The pacing gain of ProbeBW_UP.
pub(super) const PROBE_UP_PACING_GAIN: Gain = Gain(125);
/// The cwnd gain of ProbeBW_UP.
pub(super) const PROBE_UP_CWND_GAIN: Gain = Gain(225);

//= draft-ietf-ccwg-bbr-06 2.6
/// DefaultCwndGain.
pub(super) const DEFAULT_CWND_GAIN: Gain = Gain(200);

//= draft-ietf-ccwg-bbr-06 2.8
/// LossThresh, in per cent.
pub(super) const LOSS_THRESH: u64 = 2;
/// Beta.
pub(super) const BETA: Gain = Gain(70);
/// Headroom.
pub(super) const HEADROOM: Gain = Gain(15);
/// MinPipeCwnd, in SMSS.
pub(super) const MIN_PIPE_CWND: u32 = 4;

//= draft-ietf-ccwg-bbr-06 2.12
/// ExtraAckedFilterLen, in rounds.
pub(super) const EXTRA_ACKED_FILTER_LEN: u64 = 10;

//= draft-ietf-ccwg-bbr-06 5.3.1.2
/// What the delivery rate grows to, at least, while the pipe is not full.
pub(super) const FULL_BW_GROWTH: Gain = Gain(125);
/// Rounds without that growth after which it is.
pub(super) const FULL_BW_ROUNDS: u8 = 3;
//= draft-ietf-ccwg-bbr-06 5.3.1.3
/// StartupFullLossCnt: ranges lost in one round that end Startup.
pub(super) const STARTUP_FULL_LOSS_CNT: u8 = 6;
//= draft-ietf-ccwg-bbr-06 5.3.2
/// Rounds after which Drain ends in any case.
pub(super) const DRAIN_ROUNDS: u64 = 3;

//= draft-ietf-ccwg-bbr-06 5.3.3.8
/// T_bbr: the least time between probes for bandwidth.
pub(super) const PROBE_WAIT_MIN: Duration = Duration::from_secs(2);
/// And how much longer it can be, by chance.
pub(super) const PROBE_WAIT_RANDOM: Duration = Duration::from_secs(1);
/// T_reno_bound: the most rounds between them.
pub(super) const RENO_ROUNDS_MAX: u64 = 63;
//= draft-ietf-ccwg-bbr-06 5.3.3.9
/// How often the increase of inflight_longterm doubles at most.
pub(super) const PROBE_UP_ROUNDS_MAX: u8 = 30;

//= draft-ietf-ccwg-bbr-06 2.16
/// MinRTTFilterLen.
pub(super) const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
/// ProbeRTTCwndGain.
pub(super) const PROBE_RTT_CWND_GAIN: Gain = Gain(50);
/// ProbeRTTDuration.
pub(super) const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);
/// ProbeRTTInterval.
pub(super) const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);

//= draft-ietf-ccwg-bbr-06 5.6.2
/// The round-trip time taken for the first pacing rate while none is known.
pub(super) const NOMINAL_RTT: Duration = Duration::from_millis(1);
//= draft-ietf-ccwg-bbr-06 5.6.3
/// How long a quantum lasts.
pub(super) const QUANTUM_TIME: Duration = Duration::from_millis(1);
/// The most octets of a quantum.
pub(super) const QUANTUM_MAX: u32 = 65_536;
/// The least, in SMSS.
pub(super) const QUANTUM_MIN: u32 = 2;
//= draft-ietf-ccwg-bbr-06 5.5.8.1
/// Quanta that the hosts at both ends keep to themselves.
pub(super) const OFFLOAD_QUANTA: u32 = 3;

/// Ours: more than a TCP window (RFC 7323 2.3) is never of use, and far from an overflow.
pub(super) const MAX_CWND: u32 = 1 << 30;
