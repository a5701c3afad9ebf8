//! CoDel (RFC 8289): a queue is bad when packets have stood in it for more than a target during a whole interval.
//!
//! The RFC writes one loop that takes packets out until one may go. Here each packet is judged on its own, and whoever asks
//! goes on to the next when one was dropped: the same decisions, and a marked packet goes its way without a case of its own.

use std::time::Duration;
use synfin_stack::engine::Instant;

/// What is known of the queue (RFC 8289 5.3).
#[derive(Debug, Clone, Default)]
pub(super) struct Codel {
    /// When the delay will have been above the target for an interval, if it is above it.
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    count: u32,
    last_count: u32,
}

impl Codel {
    /// Whether the packet that leaves at `now` after `sojourn`, with `left` octets behind it, is to be dropped or marked.
    pub(super) fn hits(
        &mut self,
        now: Instant,
        sojourn: Duration,
        left: u64,
        target: Duration,
        interval: Duration,
    ) -> bool {
        let ok_to_drop = if sojourn < target || left <= MAX_PACKET {
            self.first_above = None;
            false
        } else {
            now >= *self.first_above.get_or_insert(now + interval)
        };
        if !ok_to_drop {
            self.dropping = false;
            return false;
        }
        if self.dropping {
            if now < self.drop_next {
                return false;
            }
            self.count = self.count.saturating_add(1);
            self.drop_next = law(self.drop_next, self.count, interval);
            return true;
        }
        // Dropping again soon after the last time goes on at the rate that controlled the queue then.
        //= RFC 8289 5.5
        let delta = self.count - self.last_count;
        let recent = now.since(self.drop_next) < interval * 16;
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = law(now, self.count, interval);
        self.dropping = true;
        true
    }
}

/// When the next packet is dropped: the interval, by the square root of how many have been (RFC 8289 5.4).
fn law(t: Instant, count: u32, interval: Duration) -> Instant {
    t + interval.div_f64(f64::from(count).sqrt())
}

/// Below a packet of this size nothing stands in the queue (RFC 8289 5.3 asks for the greatest seen).
const MAX_PACKET: u64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(5);
    const INTERVAL: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    /// Milliseconds at which a packet is hit, if each millisecond one leaves after `sojourn`.
    fn hits(c: &mut Codel, from: u64, to: u64, sojourn: u64) -> Vec<u64> {
        let mut all = Vec::new();
        for ms in from..to {
            while c.hits(at(ms), Duration::from_millis(sojourn), 100_000, TARGET, INTERVAL) {
                all.push(ms);
            }
        }
        all
    }

    #[test]
    fn a_standing_queue_is_hit_after_an_interval_and_ever_faster() {
        let mut c = Codel::default();
        // 100 ms, then after 100, 100/sqrt(2), 100/sqrt(3), ...
        assert_eq!(hits(&mut c, 1, 500, 20), [101, 201, 272, 330, 380, 425, 465]);
    }

    #[test]
    fn a_burst_that_drains_within_an_interval_is_not_hit() {
        let mut c = Codel::default();
        for round in 0..20 {
            let t = 1 + round * 100;
            assert_eq!(hits(&mut c, t, t + 90, 20), []);
            assert_eq!(hits(&mut c, t + 90, t + 100, 1), []);
        }
        assert!(!c.hits(at(5_000), Duration::from_secs(1), MAX_PACKET, TARGET, INTERVAL), "a packet is no queue");
    }

    #[test]
    fn a_queue_that_comes_back_soon_is_hit_as_fast_as_it_was() {
        let mut c = Codel::default();
        let first = hits(&mut c, 1, 1_000, 20).len();
        assert_eq!(hits(&mut c, 1_000, 1_050, 1), []);
        let again = hits(&mut c, 1_050, 1_400, 20);
        let slow = hits(&mut Codel::default(), 1_050, 1_400, 20);
        assert!(first > 10 && again.len() > 2 * slow.len(), "{first}, {again:?}, {slow:?}");
    }
}
