//! Round-trip time and the retransmission timeout (RFC 6298).

use crate::config::TcpConfig;
use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;

/// The estimator. All times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtt {
    /// SRTT; 0 before the first measurement.
    pub srtt_us: u32,
    /// RTTVAR.
    pub rttvar_us: u32,
    /// RTO without back-off.
    pub rto_us: u32,
    /// The least round trip of the last minutes, in two halves: since [`Rtt::least`] began the second one, and before.
    min_us: [u32; 2],
    /// When the second half began, in seconds of the driver's clock: a coarse time, for the sake of what an idle connection costs.
    min_since: u32,
    /// How often the timeout was doubled since the last measurement.
    pub backoff: u8,
    /// The segment being timed was sent, once, at this time; [`Instant::NEVER`] if none is.
    timed_at: Instant,
    /// It ends here.
    timed: SeqNum,
}

impl Rtt {
    /// Before any measurement.
    //= RFC 6298 2.1
    pub fn new(cfg: &TcpConfig) -> Rtt {
        Rtt {
            srtt_us: 0,
            rttvar_us: 0,
            rto_us: micros(cfg.rto_initial),
            min_us: [u32::MAX; 2],
            min_since: 0,
            backoff: 0,
            timed_at: Instant::NEVER,
            timed: SeqNum(0),
        }
    }

    /// Takes a measurement.
    //= RFC 6298 2.2
    //= RFC 6298 2.3 (a) (b)
    //= RFC 6298 4: the least timeout is above one tick
    //= RFC 9293 3.8.1 MUST-18
    pub fn sample(&mut self, rtt: Duration, cfg: &TcpConfig) {
        let r = micros(rtt).max(1);
        if self.srtt_us == 0 {
            self.srtt_us = r;
            self.rttvar_us = r / 2;
        } else {
            let (srtt, var) = (u64::from(self.srtt_us), u64::from(self.rttvar_us));
            self.rttvar_us = ((3 * var + u64::from(self.srtt_us.abs_diff(r))) / 4) as u32;
            self.srtt_us = ((7 * srtt + u64::from(r)) / 8) as u32;
        }
        self.backoff = 0;
        // K = 4. The least timeout stands for the variation that has not been seen yet, as that of the peer's delayed
        // acknowledgments: it is added to SRTT, so that a long path does not use it up.
        let variation = (4 * u64::from(self.rttvar_us)).max(u64::from(micros(cfg.rto_min)));
        self.rto_us = (u64::from(self.srtt_us) + variation).min(u64::from(micros(cfg.rto_max))) as u32;
    }

    /// A segment that was sent once took `rtt`.
    //= RFC 8985 6.2 (a): step 1, a windowed minimum
    pub fn least(&mut self, rtt: Duration, now: Instant) {
        let now = (now.as_millis() / 1_000) as u32;
        if now.wrapping_sub(self.min_since) > MIN_WINDOW_S / 2 {
            (self.min_us, self.min_since) = ([self.min_us[1], u32::MAX], now);
        }
        self.min_us[1] = self.min_us[1].min(micros(rtt).max(1));
    }

    /// Begins with what an earlier connection measured. A measurement of the handshake is newer; it can only have been lucky:
    /// the variation is the greater of both.
    pub fn begin_with(&mut self, srtt_us: u32, rttvar_us: u32, cfg: &TcpConfig) {
        if self.srtt_us == 0 {
            self.srtt_us = srtt_us;
        }
        self.rttvar_us = self.rttvar_us.max(rttvar_us);
        let variation = (4 * u64::from(self.rttvar_us)).max(u64::from(micros(cfg.rto_min)));
        self.rto_us = (u64::from(self.srtt_us) + variation).min(u64::from(micros(cfg.rto_max))) as u32;
    }

    /// The least round trip of the last minutes; zero before the first.
    pub fn min(&self) -> Duration {
        match self.min_us[0].min(self.min_us[1]) {
            u32::MAX => Duration::ZERO,
            us => Duration::from_micros(u64::from(us)),
        }
    }

    /// SRTT; zero before the first measurement.
    pub fn smoothed(&self) -> Duration {
        Duration::from_micros(u64::from(self.srtt_us))
    }

    /// The timeout with its back-off.
    //= RFC 6298 5.5
    //= RFC 9293 3.8.2 MUST-19
    pub fn rto(&self, cfg: &TcpConfig) -> Duration {
        let us = u64::from(self.rto_us) << self.backoff.min(31);
        Duration::from_micros(us).min(cfg.rto_max)
    }

    /// Doubles the timeout.
    pub fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// New text was sent: if nothing is being timed, this is.
    //= RFC 6298 3 (b)
    pub fn sent(&mut self, end: SeqNum, now: Instant) {
        if self.timed_at == Instant::NEVER {
            (self.timed, self.timed_at) = (end, now);
        }
    }

    /// Something was sent again: what is being timed can no longer be told apart (Karn's algorithm).
    //= RFC 6298 3 (a)
    //= RFC 9293 3.8.1 MUST-18
    pub fn retransmitted(&mut self) {
        self.timed_at = Instant::NEVER;
    }

    /// `una` was acknowledged: the measurement, if the timed segment is among it.
    pub fn acknowledged(&mut self, una: SeqNum, now: Instant) -> Option<Duration> {
        let sent = self.timed_at.finite().filter(|_| una.ge(self.timed))?;
        self.timed_at = Instant::NEVER;
        Some(now.since(sent))
    }
}

/// How long a least round trip is remembered, in seconds: the path may have changed.
const MIN_WINDOW_S: u32 = 300;

fn micros(d: Duration) -> u32 {
    u32::try_from(d.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    //= RFC 6298 2.2
    //= RFC 6298 2.3 (a) (b)
    //= RFC 6298 5.5
    //= RFC 9293 3.8.1 MUST-18
    //= RFC 9293 3.8.2 MUST-19
    fn first_and_later_measurements_and_back_off() {
        let cfg = TcpConfig { rto_min: MS(1), ..TcpConfig::default() };
        let mut r = Rtt::new(&cfg);
        assert_eq!(r.rto(&cfg), MS(1000));
        r.sample(MS(100), &cfg);
        assert_eq!((r.srtt_us, r.rttvar_us, r.rto_us), (100_000, 50_000, 300_000));
        r.sample(MS(200), &cfg);
        assert_eq!((r.srtt_us, r.rttvar_us), (112_500, 62_500));
        r.back_off();
        assert_eq!(r.rto(&cfg), Duration::from_micros(2 * 362_500));
        for _ in 0..40 {
            r.back_off();
        }
        assert_eq!(r.rto(&cfg), cfg.rto_max);
    }

    #[test]
    //= RFC 6298 4
    fn zero_and_huge_measurements_are_survived() {
        let cfg = TcpConfig::default();
        let mut r = Rtt::new(&cfg);
        r.sample(Duration::ZERO, &cfg);
        assert_eq!(r.rto(&cfg), cfg.rto_min + Duration::from_micros(1));
        r.sample(Duration::from_secs(1 << 40), &cfg);
        assert_eq!(r.rto(&cfg), cfg.rto_max);
    }

    #[test]
    //= RFC 8985 6.2 (a)
    fn the_least_round_trip_is_forgotten_when_the_path_has_become_longer() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let mut r = Rtt::new(&TcpConfig::default());
        assert_eq!(r.min(), MS(0));
        r.least(MS(40), at(1));
        r.least(MS(90), at(2));
        assert_eq!(r.min(), MS(40));
        for s in (10..=300).step_by(10) {
            r.least(MS(90), at(s));
        }
        assert_eq!(r.min(), MS(40), "not before five minutes are over");
        for s in (310..=320).step_by(10) {
            r.least(MS(90), at(s));
        }
        assert_eq!(r.min(), MS(90));
    }

    #[test]
    //= RFC 6298 3 (a)
    //= RFC 9293 3.8.1 MUST-18
    fn what_was_sent_again_is_not_measured() {
        let mut r = Rtt::new(&TcpConfig::default());
        let at = |ms| Instant::ZERO + MS(ms);
        r.sent(SeqNum(10), at(0));
        r.sent(SeqNum(20), at(5));
        assert_eq!(r.acknowledged(SeqNum(5), at(7)), None);
        assert_eq!(r.acknowledged(SeqNum(20), at(9)), Some(MS(9)), "the first of the flight is timed");
        r.sent(SeqNum(30), at(10));
        r.retransmitted();
        assert_eq!(r.acknowledged(SeqNum(30), at(20)), None);
    }
}
