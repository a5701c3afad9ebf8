//! When to try again.

use std::time::Duration;

/// Waiting times between attempts: each twice the last, up to a most. Half of each is fixed, the other half drawn, so that
/// many who lost the same peer at once do not come back at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    /// Failures in a row after which it gives up.
    limit: u32,
    failures: u32,
}

impl Backoff {
    /// From `first`, up to `most`, without end.
    pub const fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most, limit: u32::MAX, failures: 0 }
    }

    /// Gives up after so many failures in a row.
    pub const fn give_up_after(self, failures: u32) -> Backoff {
        Backoff { limit: failures, ..self }
    }

    /// A connection was lost, or an attempt failed: how long to wait before the next one, by a number drawn at random from all
    /// of its type; `None` if this was one too many.
    pub fn on_failure(&mut self, random: u32) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limit {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (self.failures - 1).min(30));
        let half = doubled.min(self.most) / 2;
        let drawn = half.as_nanos() * u128::from(random) / u128::from(u32::MAX);
        Some(half + Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX)))
    }

    /// The peer has given a sign of life: the next failure is a first one. That it took the connection is none yet: there
    /// are servers, and machines before servers, that accept and close.
    pub fn on_sign_of_life(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row, by now.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

impl Default for Backoff {
    /// From half a second up to half a minute.
    fn default() -> Self {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_double_up_to_the_most_and_half_of_each_is_drawn() {
        let ms = Duration::from_millis;
        for (random, times) in [(0, [50, 100, 200, 250, 250]), (u32::MAX, [100, 200, 400, 500, 500])] {
            let mut b = Backoff::new(ms(100), ms(500));
            assert_eq!(times.map(|_| b.on_failure(random)), times.map(|t| Some(ms(t))));
            b.on_sign_of_life();
            assert_eq!((b.failures(), b.on_failure(random)), (0, Some(ms(times[0]))));
        }
        let mut b = Backoff::new(ms(100), ms(500));
        assert_eq!(b.on_failure(u32::MAX / 2).map(|d| d.as_millis()), Some(74));
    }

    #[test]
    fn it_gives_up_when_it_was_told_to_and_never_overflows() {
        let mut b = Backoff::default().give_up_after(3);
        assert_eq!([0; 4].map(|r| b.on_failure(r).is_some()), [true, true, false, false]);
        let mut b = Backoff::new(Duration::MAX, Duration::MAX);
        for _ in 0..100 {
            assert!(b.on_failure(0).is_some_and(|d| d >= Duration::MAX / 3));
        }
    }
}
