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
    /// `octets` have left at `now`, at `rate` octets a second. Time that passed unused gives no credit.
    pub fn sent(&mut self, now: Instant, octets: u32, rate: u64) {
        let wait = u64::from(octets).saturating_mul(1_000_000_000) / rate.max(1);
        self.next = self.next.max(now) + Duration::from_nanos(wait);
        self.rate = rate;
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
        let quantum = (rate / 1_000).clamp(2 * u64::from(self.mss), 65_536) as u32;
        Some(Pacing { rate: rate.max(1), quantum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departures_are_as_far_apart_as_the_rate_says_and_unused_time_is_lost() {
        let ms = |n: u64| Instant::ZERO + Duration::from_millis(n);
        let mut p = Pacer::default();
        p.sent(ms(10), 1_000, 1_000_000);
        assert_eq!(p.next, ms(11));
        p.sent(ms(10), 1_000, 1_000_000);
        assert_eq!(p.next, ms(12), "two at once wait for both");
        p.sent(ms(100), 1_000, 1_000_000);
        assert_eq!(p.next, ms(101));
        p.sent(ms(100), u32::MAX, 0);
        assert!(p.next > ms(1 << 20));
    }
}
