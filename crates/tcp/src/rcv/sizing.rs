//! How large the receive buffer is: it follows what the user takes within a round trip (dynamic right-sizing: Fisk, Feng,
//! "Dynamic Right-Sizing in TCP", 2001).
//!
//! A sender that is to fill the path needs a window of what it delivers in a round trip, and as much again because what the
//! user takes is told half a round trip later; while it doubles its rate each round trip, twice that. A user who takes little
//! gets no large buffer, however long the connection lasts; but for a peer without timestamps, of which no round trip is known:
//! then what is taken of half a buffer counts, and it grows with time.

use super::Rcv;
use crate::config::TcpConfig;
use crate::time::Instant;

/// What is measured. Times in milliseconds, for that is what timestamps give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Octets that the user took in this round trip.
    copied: u32,
    /// The most of them in a round trip so far.
    space: u32,
    /// When this round trip began, modulo 2^32.
    since: u32,
    /// The round trip as the receiver sees it; 0 before it has seen one.
    rtt: u16,
    /// The least of this round trip: what is sent after a pause echoes a timestamp from before it.
    least: u16,
}

impl Sizing {
    /// For a connection that is established at `now`, on which the peer may send `mss` octets a segment.
    pub fn new(mss: u16, now: Instant) -> Sizing {
        // An initial window needs no more than there is.
        Sizing { copied: 0, space: 10 * u32::from(mss), since: now.as_millis() as u32, rtt: 0, least: u16::MAX }
    }

    /// The most that the user took within a round trip, in octets.
    pub fn space(&self) -> u32 {
        self.space
    }

    /// The round trip as the receiver sees it, in microseconds; 0 before it has seen one.
    pub fn rtt_us(&self) -> u32 {
        u32::from(self.rtt) * 1_000
    }

    /// A whole segment echoes a timestamp that was sent `ms` milliseconds ago.
    pub fn measured(&mut self, ms: u32) {
        let ms = ms.clamp(1, u32::from(u16::MAX)) as u16;
        self.least = self.least.min(ms);
        if self.rtt == 0 {
            self.rtt = ms;
        }
    }
}

impl Rcv {
    /// The user took `n` octets: the buffer grows if that has become more, up to the configured maximum, unless memory is
    /// `scarce`.
    pub fn drained(&mut self, n: u32, cfg: &TcpConfig, now: Instant, scarce: bool) {
        let s = &mut self.sizing;
        s.copied = s.copied.saturating_add(n);
        let ms = now.as_millis() as u32;
        // Without timestamps a round trip is not known; it has not passed while half of the buffer has not.
        let over = if s.rtt == 0 { s.copied >= self.buf / 2 } else { ms.wrapping_sub(s.since) >= u32::from(s.rtt) };
        if !over {
            return;
        }
        if s.copied > s.space {
            let need = 2 * u64::from(s.copied) + 16 * u64::from(self.mss);
            let grown = u64::from(s.copied - s.space).min(u64::from(s.space));
            let need = need.saturating_add(need.saturating_mul(grown) / u64::from(s.space.max(1)));
            s.space = s.copied;
            if !scarce {
                self.buf = self.buf.max(need.min(u64::from(cfg.rcv_buf_max)) as u32);
            }
        }
        s.copied = 0;
        s.since = ms;
        if s.least != u16::MAX {
            (s.rtt, s.least) = (s.least, u16::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rcv::tests::rcv;
    use crate::time::Duration;

    const MSS: u16 = 1_000;

    /// A user who takes `taken` octets in each of some round trips of 50 ms, in ten portions; the buffer after it.
    fn taken(buf: u32, taken: &[u32], scarce: bool) -> u32 {
        let cfg = TcpConfig { rcv_buf_max: 1_000_000, ..TcpConfig::default() };
        let mut r = rcv(buf, MSS, 0, 0);
        let mut now = Instant::ZERO;
        for n in taken {
            for _ in 0..10 {
                now += Duration::from_millis(5);
                r.sizing.measured(50);
                r.drained(n / 10, &cfg, now, scarce);
            }
        }
        r.buf
    }

    #[test]
    fn the_buffer_follows_what_is_taken_in_a_round_trip() {
        for (rounds, want, why) in [
            (&[10_000; 20][..], 100_000, "no more than an initial window"),
            (&[1_000; 500], 100_000, "a user who takes little, however long"),
            (&[60_000; 10], 272_000, "what was taken twice, and some segments; twice that, for it has just grown"),
            (&[20_000, 40_000, 80_000], 352_000, "as long as it doubles, four times"),
            (&[900_000, 900_000], 1_000_000, "the maximum"),
        ] {
            assert_eq!(taken(100_000, rounds, false), want, "{why}");
        }
        assert_eq!(taken(100_000, &[60_000; 10], true), 100_000, "there is no memory");
    }

    #[test]
    fn without_timestamps_half_of_the_buffer_is_a_round() {
        let cfg = TcpConfig { rcv_buf_max: 1_000_000, ..TcpConfig::default() };
        let mut r = rcv(100_000, MSS, 0, 0);
        r.drained(49_999, &cfg, Instant::ZERO, false);
        assert_eq!(r.buf, 100_000);
        r.drained(1, &cfg, Instant::ZERO, false);
        assert_eq!(r.buf, 232_000);
    }

    #[test]
    fn a_round_trip_is_what_was_least_in_the_last() {
        let mut s = Sizing::new(MSS, Instant::ZERO);
        s.measured(0);
        assert_eq!(s.rtt, 1, "a clock of milliseconds");
        s.measured(3_000_000);
        s.measured(40);
        assert_eq!((s.rtt, s.least), (1, 1));
    }
}
