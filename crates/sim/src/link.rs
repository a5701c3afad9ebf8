//! What a link does to packets.

use std::time::Duration;
use synfin_stack::engine::{Instant, Rng};

/// From the first host to the second, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From host 0 to host 1.
    Forth,
    /// From host 1 to host 0.
    Back,
}

/// One direction of a link. Probabilities are in millionths.
#[derive(Debug, Clone)]
pub struct LinkModel {
    /// Propagation delay.
    pub delay: Duration,
    /// Bits per second; 0 is without limit.
    pub rate: u64,
    /// Octets that wait for the rate before the tail is dropped.
    pub queue: u64,
    /// Probability of loss.
    pub loss: u32,
    /// Probability that a packet is held back and overtaken.
    pub reorder: u32,
    /// How long it is held back at most.
    pub reorder_by: Duration,
    /// Probability of duplication.
    pub duplicate: u32,
    /// Probability that one bit is flipped.
    pub corrupt: u32,
    /// Nothing passes.
    pub cut: bool,
    /// When the last bit of what is queued leaves.
    pub(crate) busy_until: Instant,
}

impl Default for LinkModel {
    fn default() -> Self {
        LinkModel {
            delay: Duration::from_millis(10),
            rate: 0,
            queue: 1 << 20,
            loss: 0,
            reorder: 0,
            reorder_by: Duration::from_millis(20),
            duplicate: 0,
            corrupt: 0,
            cut: false,
            busy_until: Instant::ZERO,
        }
    }
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost, and why.
    Lost(&'static str),
    /// It arrives at these times, and whether a bit of each is flipped.
    Arrives(Vec<(Instant, bool)>),
}

impl LinkModel {
    /// What becomes of a packet of `len` octets that is handed in at `now`.
    pub(crate) fn pass(&mut self, now: Instant, len: usize, rng: &mut Rng) -> Fate {
        let hit = |rng: &mut Rng, p: u32| p > 0 && rng.below(1_000_000) < p;
        if self.cut {
            return Fate::Lost("cut");
        }
        if hit(rng, self.loss) {
            return Fate::Lost("loss");
        }
        let start = self.busy_until.max(now);
        let mut leaves = now;
        if self.rate > 0 {
            let waiting = start.since(now).as_nanos() * u128::from(self.rate) / 8 / 1_000_000_000;
            if waiting > u128::from(self.queue) {
                return Fate::Lost("queue full");
            }
            leaves = start + Duration::from_nanos(len as u64 * 8 * 1_000_000_000 / self.rate);
            self.busy_until = leaves;
        }
        let mut times = vec![leaves + self.delay];
        if hit(rng, self.reorder) {
            let by = (self.reorder_by.as_micros() as u32).max(1);
            times[0] += Duration::from_micros(u64::from(rng.below(by)));
        }
        if hit(rng, self.duplicate) {
            times.push(leaves + self.delay + Duration::from_micros(u64::from(rng.below(5_000))));
        }
        Fate::Arrives(times.into_iter().map(|t| (t, hit(rng, self.corrupt))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_queue() {
        let mut l = LinkModel { rate: 8_000_000, queue: 3_000, delay: Duration::ZERO, ..LinkModel::default() };
        let mut rng = Rng::from_number(1);
        let ms = |n: u64| Instant::ZERO + Duration::from_millis(n);
        for n in 1..=4 {
            assert_eq!(l.pass(Instant::ZERO, 1000, &mut rng), Fate::Arrives(vec![(ms(n), false)]));
        }
        assert_eq!(l.pass(Instant::ZERO, 1000, &mut rng), Fate::Lost("queue full"));
        assert_eq!(l.pass(ms(4), 1000, &mut rng), Fate::Arrives(vec![(ms(5), false)]));
    }
}
