//! What a link has done, in numbers.

use super::Lost;
use std::time::Duration;

/// Totals of one direction of a link.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Packets that came through.
    pub passed: u64,
    /// Their octets.
    pub bytes: u64,
    /// Packets marked "congestion experienced".
    pub marked: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets held back, to be overtaken.
    pub reordered: u64,
    /// Packets with a bit flipped.
    pub corrupted: u64,
    /// The most octets that waited.
    pub longest_bytes: u64,
    /// The most packets that waited.
    pub longest_packets: usize,
    /// How long packets waited.
    pub waited: Histogram,
    lost: [u64; Lost::ALL.len()],
}

impl Counters {
    /// Packets lost for a reason.
    pub fn lost(&self, why: Lost) -> u64 {
        self.lost[why as usize]
    }

    /// Packets lost for any reason.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().sum()
    }

    pub(crate) fn lose(&mut self, why: Lost) {
        self.lost[why as usize] += 1;
    }
}

/// How often each length of time was seen, in bounded room: 32 steps per power of two, so a quantile is at most 3 % too
/// great.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: Box::new([0; BUCKETS]), count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, d: Duration) {
        let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; zero if there are none.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.checked_div(u128::from(self.count)).unwrap_or(0) as u64)
    }

    /// The greatest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// What `percent` of them do not exceed.
    pub fn percentile(&self, percent: u32) -> Duration {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100) as u64;
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank && seen > 0 {
                return Duration::from_nanos(top(i).min(self.max_ns));
            }
        }
        Duration::ZERO
    }
}

/// Up to 32 each number has a bucket; above, each power of two has 32.
fn bucket(ns: u64) -> usize {
    let log = (64 - ns.leading_zeros()).max(STEP_BITS + 1);
    let shift = log - STEP_BITS - 1;
    (shift as usize) * STEPS + (ns >> shift) as usize
}

/// The greatest number of a bucket.
fn top(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let within = (bucket - shift * STEPS) as u128;
    u64::try_from(((within + 1) << shift) - 1).unwrap_or(u64::MAX)
}

const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_bucket_that_ends_at_most_three_percent_above_it() {
        for n in (0..5_000).chain((0..64).flat_map(|b| [(1u64 << b) - 1, 1 << b, (1 << b) + 1])).chain([u64::MAX]) {
            let t = top(bucket(n));
            assert!(t >= n && (t - n) as f64 <= n as f64 / 32.0, "{n} {t}");
            assert!(bucket(n) < BUCKETS);
        }
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let mut h = Histogram::default();
        assert_eq!((h.mean(), h.percentile(99)), (Duration::ZERO, Duration::ZERO));
        (1..=100).for_each(|ms| h.add(Duration::from_millis(ms)));
        let ms = |p| h.percentile(p).as_secs_f64() * 1e3;
        assert_eq!(h.mean(), Duration::from_micros(50_500));
        assert!((50.0..51.6).contains(&ms(50)) && (95.0..98.0).contains(&ms(95)), "{} {}", ms(50), ms(95));
        assert_eq!((h.percentile(100), h.count()), (Duration::from_millis(100), 100));
    }
}
