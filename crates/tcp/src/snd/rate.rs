//! Delivery-rate samples (draft-ietf-ccwg-bbr 4.1.2): how fast the path delivers, measured over the flight of each segment.

use super::congestion::RateSample;
use super::scoreboard::Record;
use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;

/// What a connection keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    /// C.delivered: octets delivered in all.
    pub delivered: u64,
    /// Octets found lost in all.
    pub lost: u64,
    /// C.delivered_time.
    delivered_at: Instant,
    /// C.first_send_time: when the segment was sent that was last among those delivered last.
    first_sent: Instant,
    /// C.app_limited: the sender is limited by its application until this many octets are delivered; 0 if it is not.
    app_limited: u64,
    /// The last sample, octets per second.
    pub last: u64,
    /// Whether the application limited it.
    pub last_app_limited: bool,
}

/// How delivery stood when a segment was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// P.delivered.
    delivered: u64,
    /// P.delivered_time.
    delivered_at: Instant,
    /// P.first_send_time.
    first_sent: Instant,
    /// Octets lost in all.
    pub lost: u64,
    /// P.tx_in_flight: octets in the network, the segment included.
    pub in_flight: u32,
    /// P.is_app_limited.
    pub app_limited: bool,
}

/// A sample in the making, while an acknowledgment is looked through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampling {
    /// The most recently sent of what was delivered: when it was sent, its end, how things stood.
    newest: Option<(Instant, SeqNum, Stamp)>,
}

impl Rate {
    /// `len` octets leave while `pipe` are in the network.
    pub fn stamp(&mut self, now: Instant, pipe: u32, len: u32) -> Stamp {
        if pipe == 0 {
            (self.first_sent, self.delivered_at) = (now, now);
        }
        Stamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            lost: self.lost,
            in_flight: pipe.saturating_add(len),
            app_limited: self.app_limited > 0,
        }
    }

    /// A record was delivered.
    pub fn delivered(&mut self, s: &mut Sampling, r: &Record, now: Instant) {
        self.delivered += u64::from(r.len());
        self.delivered_at = now;
        if s.newest.is_none_or(|(sent, end, _)| sent < r.sent || (sent == r.sent && end.lt(r.end))) {
            s.newest = Some((r.sent, r.end, r.stamp));
        }
    }

    /// All that an acknowledgment delivers has been told. An interval shorter than the least round trip cannot be measured:
    /// its rate is 0.
    pub fn sample(&mut self, s: Sampling, now: Instant, min_rtt: Duration) -> Option<RateSample> {
        if self.app_limited > 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let (sent, _, stamp) = s.newest?;
        self.first_sent = sent;
        let ns = sent.nanos_since(stamp.first_sent).max(now.nanos_since(stamp.delivered_at));
        let interval = Duration::from_nanos(ns);
        let delivered = self.delivered.saturating_sub(stamp.delivered);
        let measurable = ns > 0 && interval >= min_rtt;
        let delivery_rate = if measurable { delivered.saturating_mul(1_000_000_000) / ns } else { 0 };
        if measurable && (!stamp.app_limited || delivery_rate >= self.last) {
            (self.last, self.last_app_limited) = (delivery_rate, stamp.app_limited);
        }
        Some(RateSample {
            delivery_rate,
            delivered,
            lost: self.lost.saturating_sub(stamp.lost),
            interval,
            total_delivered: self.delivered,
            prior_delivered: stamp.delivered,
            is_app_limited: stamp.app_limited,
            tx_in_flight: stamp.in_flight,
        })
    }

    /// The application has nothing more to send while `pipe` octets are in the network.
    pub fn app_limited(&mut self, pipe: u32) {
        self.app_limited = (self.delivered + u64::from(pipe)).max(1);
    }

    /// Whether the application limits the sender.
    pub fn is_app_limited(&self) -> bool {
        self.app_limited > 0
    }
}
