//! TS.Recent and PAWS (RFC 7323 4.3, 5).

use crate::time::Instant;

/// TS.Recent and when it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TsRecent {
    /// TS.Recent.
    pub val: u32,
    /// In seconds since the beginning of time: a day more or less is all that is asked.
    at: u32,
}

impl TsRecent {
    /// Taken from the peer's SYN.
    pub fn new(val: u32, now: Instant) -> TsRecent {
        TsRecent { val, at: seconds(now) }
    }

    /// Whether a segment with TSval `val` is too old (R1 of RFC 7323 5.3). After 24 days without a segment
    /// TS.Recent itself is too old to judge by (RFC 7323 5.5).
    //= RFC 7323 5.3 (a)
    //= RFC 7323 5.5
    pub fn is_old(&self, val: u32, now: Instant) -> bool {
        (val.wrapping_sub(self.val) as i32) < 0 && seconds(now).saturating_sub(self.at) < OUTDATED
    }

    /// Takes a new value; the caller has checked SEG.SEQ =< Last.ACK.sent (R3).
    pub fn update(&mut self, val: u32, now: Instant) {
        *self = TsRecent::new(val, now);
    }
}

/// The clock of the peer ticks at most once a millisecond: half of its range takes 24.8 days (RFC 7323 5.5).
const OUTDATED: u32 = 24 * 24 * 3600;

/// Good for 136 years.
fn seconds(now: Instant) -> u32 {
    (now.as_millis() / 1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    //= RFC 7323 5.3 (a)
    //= RFC 7323 5.5
    fn older_is_older_across_the_wrap_until_24_days_have_passed() {
        for base in [0u32, 5, u32::MAX, 1 << 31] {
            let t = TsRecent::new(base, Instant::ZERO);
            assert!(!t.is_old(base, Instant::ZERO));
            assert!(!t.is_old(base.wrapping_add(1), Instant::ZERO));
            assert!(t.is_old(base.wrapping_sub(1), Instant::ZERO));
            assert!(t.is_old(base.wrapping_sub(0x7fff_ffff), Instant::ZERO));
            assert!(!t.is_old(base.wrapping_sub(1), Instant::ZERO + Duration::from_secs(OUTDATED.into())));
        }
    }
}
