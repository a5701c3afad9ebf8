//! A token bucket.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use synfin_tcp::{Instant, isn};

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

/// As many buckets as groups of hosts: who is in a group is a keyed hash's business.
///
/// One limit for all would tell a stranger how many answers others were given (CVE-2016-5696): he would send in somebody's
/// name, and see by his own answers whether those were limited elsewhere, so that there is a connection, or here.
#[derive(Debug)]
pub(crate) struct Buckets(Vec<Bucket>);

/// Groups of hosts.
const GROUPS: usize = 256;

impl Buckets {
    /// Each group has `per_second`.
    pub(crate) fn new(per_second: u32) -> Buckets {
        Buckets(vec![Bucket::new(per_second); GROUPS])
    }

    /// Takes from the bucket of who is to be answered.
    pub(crate) fn take(&mut self, now: Instant, secret: &[u8; 16], to: IpAddr) -> bool {
        let group = match to {
            IpAddr::V4(a) => isn::host_group(secret, &a.octets()),
            // A host has a whole /64 to itself.
            IpAddr::V6(a) => isn::host_group(secret, &a.octets()[..8]),
        };
        self.0[group as usize % GROUPS].take(now)
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
