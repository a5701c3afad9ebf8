//! A token bucket.

use synfin_tcp::Instant;

/// At most `per_second` in any second, with a burst of as many.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    per_second: u32,
    /// Tokens in units of a billionth.
    tokens: u64,
    last: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Bucket {
        Bucket { per_second, tokens: u64::from(per_second) * UNIT, last: Instant::ZERO }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let full = u64::from(self.per_second) * UNIT;
        let elapsed = u64::try_from(now.since(self.last).as_nanos()).unwrap_or(u64::MAX);
        self.tokens = self.tokens.saturating_add(elapsed.saturating_mul(u64::from(self.per_second))).min(full);
        self.last = now;
        if self.tokens < UNIT {
            return false;
        }
        self.tokens -= UNIT;
        true
    }
}

const UNIT: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut b = Bucket::new(10);
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        assert_eq!((0..20).filter(|_| b.take(at(0))).count(), 10);
        assert_eq!((0..20).filter(|_| b.take(at(100))).count(), 1);
        assert_eq!((0..20).filter(|_| b.take(at(100_000))).count(), 10);
    }
}
