//! RACK: a segment is lost if one that was sent sufficiently later has arrived (RFC 8985 6).

use crate::snd::scoreboard::{Overdue, Record};
use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;

/// What RACK keeps between acknowledgments.
#[derive(Debug, Clone, Copy)]
pub struct Rack {
    /// RACK.segment: when the most recently sent of what has arrived was sent, [`Instant::NEVER`] before anything has; and
    /// its end.
    sent: Instant,
    end: SeqNum,
    /// RACK.rtt: how long it took, in microseconds.
    rtt_us: u32,
    /// RACK.fack: the highest sequence number delivered.
    fack: SeqNum,
    /// The greatest distance seen between what arrived out of order, in segments, one at least; 0: none was seen.
    distance: u16,
    /// RACK.reo_wnd_mult.
    mult: u8,
    /// RACK.reo_wnd_persist: recoveries until the window goes back.
    persist: u8,
    /// RACK.dsack_round: the round in which a D-SACK has widened the window ends here.
    dsack_round: Option<SeqNum>,
}

impl Rack {
    /// Before anything is sent.
    pub fn new(iss: SeqNum) -> Rack {
        Rack {
            sent: Instant::NEVER,
            end: iss,
            rtt_us: 0,
            fack: iss,
            distance: 0,
            mult: 1,
            persist: 0,
            dsack_round: None,
        }
    }

    /// A record was delivered at `now`. `echo`: the time of sending, in milliseconds, that the peer's timestamp echoes.
    //= RFC 8985 6.2 (b) (c): steps 2 and 3
    pub fn delivered(&mut self, r: &Record, now: Instant, min_rtt: Duration, echo: Option<u32>) {
        if r.end.gt(self.fack) {
            self.fack = r.end;
        } else if r.end.lt(self.fack) && !r.resent {
            let distance = self.fack.since(r.end) / u32::from(r.piece);
            self.distance = self.distance.max(distance.clamp(1, u32::from(u16::MAX)) as u16);
        }
        let rtt = now.since(r.sent);
        // The acknowledgment of what was sent again may be that of the first time.
        let earlier = echo.is_some_and(|ms| (ms.wrapping_sub(r.sent.as_millis() as u32) as i32) < 0);
        if r.resent && (earlier || rtt < min_rtt) {
            return;
        }
        if self.sent == Instant::NEVER || self.sent < r.sent || (self.sent == r.sent && self.end.lt(r.end)) {
            (self.sent, self.end) = (r.sent, r.end);
            self.rtt_us = (now.nanos_since(r.sent) / 1_000).min(u64::from(u32::MAX)) as u32;
        }
    }

    /// RACK.reordering_seen.
    pub fn reordering_seen(&self) -> bool {
        self.distance > 0
    }

    /// How far segments have overtaken each other, in segments: three before anything is known.
    pub fn reordering(&self) -> u16 {
        self.distance.max(DUP_THRESH as u16)
    }

    /// SND.UNA is at `una`: a round in which the window was widened is over there.
    //= RFC 8985 6.2 (d): step 4, RACK_update_reo_wnd
    pub fn on_una(&mut self, una: SeqNum) {
        self.dsack_round = self.dsack_round.filter(|end| una.lt(*end));
    }

    /// A D-SACK came: something was sent again for nothing. Once a round, which ends at `nxt`, the window widens.
    //= RFC 8985 3.3.2 (c), 4 (c), 6.2 (d): step 4, RACK_update_reo_wnd
    pub fn on_dsack(&mut self, nxt: SeqNum) {
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.mult = self.mult.saturating_add(1).min(MOST_MULT);
            self.persist = 16;
        }
    }

    /// A recovery has ended.
    //= RFC 8985 6.2 (d): step 4, RACK_update_reo_wnd
    pub fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.mult = 1;
        }
    }

    /// RACK.reo_wnd.
    //= RFC 8985 3.3.2 (a) (b) (d), 6.2 (d): step 4, RACK_update_reo_wnd
    pub fn reo_wnd(&self, recovering: bool, sacked_pieces: u32, min_rtt: Duration, srtt: Duration) -> Duration {
        if !self.reordering_seen() && (recovering || sacked_pieces >= DUP_THRESH) {
            return Duration::ZERO;
        }
        (min_rtt / 4 * u32::from(self.mult)).min(srtt)
    }

    /// What is overdue with a reordering window of `reo_wnd`, once something has arrived.
    pub fn overdue(&self, now: Instant, reo_wnd: Duration) -> Option<Overdue> {
        let latest = (self.sent.finite()?, self.end);
        Some(Overdue { latest, patience: self.patience(reo_wnd), now })
    }

    /// How long after it was sent a segment is lost: RACK.rtt and the window.
    fn patience(&self, reo_wnd: Duration) -> Duration {
        Duration::from_micros(u64::from(self.rtt_us)) + reo_wnd
    }

    /// The same when the retransmission timer has expired. Before anything has arrived SRTT, of the handshake, stands for RACK.rtt.
    //= RFC 8985 6.3 (b)
    pub fn patience_at_timeout(&self, reo_wnd: Duration, srtt: Duration) -> Duration {
        if self.sent == Instant::NEVER { srtt + reo_wnd } else { self.patience(reo_wnd) }
    }

    /// What of it decides, for explorers of states.
    pub(crate) fn digest(&self, h: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        (
            (self.sent != Instant::NEVER).then_some(self.end.0),
            self.fack.0,
            self.reordering_seen(),
            self.mult,
            self.persist,
        )
            .hash(h);
        self.dsack_round.map(|s| s.0).hash(h);
    }
}

/// DupThresh (RFC 5681, RFC 8985 6.2).
pub(crate) const DUP_THRESH: u32 = 3;
/// How far the reordering window can widen: it is bounded by SRTT anyway.
const MOST_MULT: u8 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snd::rate::Stamp;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn record(start: u32, sent_ms: u64, resent: bool) -> Record {
        let at = Instant::ZERO + MS(sent_ms);
        Record::new(SeqNum(start), SeqNum(start + 1000), 1000, resent, at, Stamp::default())
    }

    #[test]
    //= RFC 8985 6.2 (b)
    fn the_most_recently_sent_of_what_arrived_counts_and_ambiguous_ones_do_not() {
        let mut r = Rack::new(SeqNum(0));
        let now = Instant::ZERO + MS(100);
        assert!(r.overdue(now, MS(0)).is_none(), "nothing has arrived");
        r.delivered(&record(2000, 20, false), now, MS(40), None);
        let o = r.overdue(now, MS(10)).expect("something has arrived");
        assert_eq!((o.latest, o.patience), ((Instant::ZERO + MS(20), SeqNum(3000)), MS(90)));
        // Sent again 10 ms ago, on a path of 40: it is the first one that arrived.
        r.delivered(&record(3000, 90, true), now, MS(40), None);
        assert_eq!(r.overdue(now, MS(0)).map(|o| o.patience), Some(MS(80)));
        // Sent again long enough ago, but the peer echoes an earlier time.
        r.delivered(&record(3000, 50, true), now, MS(40), Some(49));
        assert_eq!(r.overdue(now, MS(0)).map(|o| o.patience), Some(MS(80)));
        r.delivered(&record(3000, 50, true), now, MS(40), Some(50));
        assert_eq!(r.overdue(now, MS(0)).map(|o| o.patience), Some(MS(50)));
    }

    #[test]
    //= RFC 8985 3.3.2 (a) (b) (c) (d), 4 (c), 6.2 (c) (d)
    fn the_window_is_nothing_at_three_then_a_quarter_and_wider_with_each_round_of_dsack() {
        let mut r = Rack::new(SeqNum(0));
        let wnd = |r: &Rack, recovering, sacked| r.reo_wnd(recovering, sacked, MS(40), MS(60));
        assert_eq!((wnd(&r, false, 2), wnd(&r, false, 3), wnd(&r, true, 1)), (MS(10), MS(0), MS(0)));
        assert_eq!(r.reo_wnd(false, 2, MS(0), MS(0)), MS(0), "no estimate");
        r.delivered(&record(3000, 0, false), Instant::ZERO + MS(40), MS(40), None);
        r.delivered(&record(1000, 0, false), Instant::ZERO + MS(41), MS(40), None);
        assert!(r.reordering_seen());
        assert_eq!((wnd(&r, false, 3), r.reordering()), (MS(10), 3));
        for una in [4000, 5000] {
            r.on_una(SeqNum(una));
            r.on_dsack(SeqNum(una + 5000));
        }
        assert_eq!(wnd(&r, false, 3), MS(20), "once a round");
        for n in 1..20 {
            r.on_una(SeqNum(n * 10_000));
            r.on_dsack(SeqNum((n + 1) * 10_000));
        }
        assert_eq!(wnd(&r, false, 3), MS(60), "never above SRTT");
        for _ in 0..16 {
            r.on_recovered();
        }
        assert_eq!(wnd(&r, false, 3), MS(10));
    }
}
