//! Pacing: when the next segment may leave, so that a window does not leave at once.

use super::Snd;
use super::congestion::Pacing;
use crate::config::{Pacing as Setting, TcpConfig};
use crate::time::{Duration, Instant};

/// The time of departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pacer {
    /// Nothing leaves before it.
    pub next: Instant,
    /// Octets per second at which the last text left; 0 if it was not paced.
    pub rate: u64,
}

impl Pacer {
    /// `octets` have left at `now`, at a pace. Timers are late, most of all beside others: what they were is made up for, but by
    /// no more than a quantum, so that time that passed unused gives no greater burst.
    pub fn sent(&mut self, now: Instant, octets: u32, pace: Pacing) {
        let time = |octets: u32| u64::from(octets).saturating_mul(1_000_000_000) / pace.rate.max(1);
        let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(time(pace.quantum)));
        self.next = self.next.max(earliest) + Duration::from_nanos(time(octets));
        self.rate = pace.rate;
    }
}

impl Snd {
    /// How fast text may leave now; `None` if it is not paced.
    //= RFC 9937 6.4 (b)
    pub fn pacing(&self, cfg: &TcpConfig) -> Option<Pacing> {
        match cfg.pacing {
            Setting::Off => None,
            Setting::Auto => self.congestion.view().pacing(),
            Setting::On => self.congestion.view().pacing().or_else(|| self.pacing_by_window()),
        }
    }

    /// Twice cwnd a round trip while it grows by half or more of it, else 1.2 times it: fast enough not to hold cwnd back.
    fn pacing_by_window(&self) -> Option<Pacing> {
        let srtt = u64::from(self.rtt.srtt_us);
        if srtt == 0 {
            return None;
        }
        let percent = if self.window.cwnd < self.window.ssthresh / 2 { 200 } else { 120 };
        let rate = u64::from(self.window.cwnd).saturating_mul(percent * 10_000) / srtt;
        // About a millisecond at that rate, two segments at least.
        let quantum = (rate / 1_000).min(65_536).max(2 * u64::from(self.mss)) as u32;
        Some(Pacing { rate: rate.max(1), quantum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departures_are_as_far_apart_as_the_rate_says_and_late_ones_are_made_up_for_by_a_quantum_at_most() {
        let ms = |n: u64| Instant::ZERO + Duration::from_millis(n);
        let mut p = Pacer::default();
        let pace = Pacing { rate: 1_000_000, quantum: 4_000 };
        p.next = ms(10);
        p.sent(ms(10), 10_000, pace);
        assert_eq!(p.next, ms(20));
        p.sent(ms(10), 10_000, pace);
        assert_eq!(p.next, ms(30), "two at once wait for both");
        p.sent(ms(33), 10_000, pace);
        assert_eq!(p.next, ms(40), "as if it had left in time");
        p.sent(ms(1_000), 10_000, pace);
        assert_eq!(p.next, ms(1_006), "a pause is not made up for, but for a quantum");
        (0..4).for_each(|_| p.sent(ms(1_020), 1_000, pace));
        assert_eq!(p.next, ms(1_020), "small ones are a quantum together");
        p.sent(ms(1_020), u32::MAX, Pacing { rate: 0, ..pace });
        assert!(p.next > ms(1 << 20));
    }
}
