//! Packetization Layer Path MTU Discovery (RFC 4821; the names of RFC 8899 where it has better ones): a connection finds out
//! by itself what its path carries, and so survives a black hole, a path that drops large packets without a word.
//!
//! Two halves. After R1 timeouts in a row of a large segment SMSS comes down ([`Snd::full_stop`], RFC 4821 7.7), first to
//! what is known to pass, or to the setting `mtu-base`, then by half. And [`Search`] leads it up again: now and then one
//! segment of new text is larger than SMSS, a probe ([`crate::transmit`] says when). If it arrives, SMSS rises to it; if it
//! alone is lost, its text goes again in segments of SMSS, and that is no sign of congestion (RFC 4821 7.6.2).
//!
//! Sizes are text per segment beside the options that every segment has, as SMSS is: they stand for packets that are larger
//! by the same headers always. RFC 4821's eff_pmtu is SMSS.
//!
//! Not done: sharing what is found between connections (RFC 4821 5.2), MTU verification by the rate of loss (7.8). A search
//! costs a connection that never meets a black hole one pointer, for there is none.

use super::Snd;
use super::recovery::{DUP_THRESH, Duplicates};
use super::scoreboard::{Mark, Record};
use crate::config::{MtuProbing, TcpConfig};
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// The search for the greatest segment that the path carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// search_low: segments of this size are expected to pass.
    low: u16,
    /// search_high: greater ones are expected not to, or cannot be.
    high: u16,
    /// No probe has failed yet: the next has the size of `high` itself, or twice SMSS where that is below the base. Most full
    /// stops are outages, not black holes; then that ends the search.
    first: bool,
    /// The search has converged (RFC 8899 5.2: Search Complete).
    complete: bool,
    /// The probe that is out.
    probe: Option<Probed>,
    /// What is left of the text of a failed probe to be sent again, without congestion (RFC 4821 3: probe gap); kept until
    /// it is acknowledged.
    gap: Option<(SeqNum, SeqNum)>,
    /// No probe before this.
    not_before: Instant,
}

/// A probe that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Probed {
    start: SeqNum,
    end: SeqNum,
    size: u16,
}

impl Search {
    /// A search between `low` and `high`.
    fn new(low: u16, high: u16) -> Search {
        Search { low, high, first: true, complete: false, probe: None, gap: None, not_before: Instant::ZERO }
    }

    /// What a connection begins with whose handshake allows segments of `most`: SMSS, and a search if it is to begin at once.
    //= RFC 4821 7.2
    pub(crate) fn at_start(cfg: &TcpConfig, most: u16) -> (u16, Option<Box<Search>>) {
        let base = base(cfg);
        if cfg.mtu_probing != MtuProbing::On || base >= most {
            return (most, None);
        }
        (base, Some(Box::new(Search::new(base, most))))
    }

    /// The size of the next probe, beside an SMSS of `mss`; none if it is not time, or if it is not worth its cost. `most` is
    /// what handshake and link allow.
    //= RFC 4821 7.1 (a): larger than search_low, at most search_high
    //= RFC 4821 7.3: in small steps, but for the first; when the timer has expired search_high is as in the beginning
    //= RFC 4821 7.4 (a) (b)
    pub(crate) fn next(&self, mss: u16, most: u16, cfg: &TcpConfig, now: Instant) -> Option<u16> {
        if self.probe.is_some() || now < self.not_before || cfg.mtu_probing == MtuProbing::Off {
            return None;
        }
        let low = self.low.max(mss);
        let high = if self.complete { most } else { self.high.min(most) };
        let range = high.saturating_sub(low);
        if range == 0 || range < cfg.mtu_threshold {
            return None;
        }
        let step = match (self.first || self.complete, mss < base(cfg)) {
            (false, _) => range.div_ceil(STEPS).max(cfg.mtu_threshold),
            (true, false) => range,
            // As it went down. The window is small, too, and would not soon have room for a large one.
            (true, true) => range.min(mss),
        };
        Some(low + step)
    }

    /// How many segments are to follow a probe, that its loss is found in time: three for duplicates, one for RACK. On a path
    /// of many losses, where three timeouts in a row are no black hole, the window hardly gets to more.
    //= RFC 4821 7.4 (e)
    pub(crate) fn following(sack: bool, cfg: &TcpConfig) -> u32 {
        if sack && cfg.rack { 1 } else { DUP_THRESH }
    }

    /// A probe of `size` has left; `most` is what the handshake allows.
    pub(crate) fn sent(&mut self, start: SeqNum, end: SeqNum, size: u16, most: u16) {
        if self.complete {
            (self.high, self.first, self.complete) = (most.max(size), true, false);
        }
        self.probe = Some(Probed { start, end, size });
    }

    /// `start..end` has left again.
    pub(crate) fn resent(&mut self, start: SeqNum, end: SeqNum) {
        if let Some((from, to)) = &mut self.gap
            && start.le(*from)
        {
            *from = from.max(end).min(*to);
        }
        // Whose acknowledgment comes cannot be told any more.
        if self.probe.is_some_and(|p| start.lt(p.end) && end.gt(p.start)) {
            self.probe = None;
        }
    }

    /// What is out counts as never sent: nothing can be concluded from it.
    //= RFC 4821 7.6.4
    pub(crate) fn inconclusive(&mut self) {
        (self.probe, self.gap) = (None, None);
    }

    /// A router says that the packet which began at `seq` was too big, and that the path carries `mss`, which is no less than
    /// SMSS. Whether that was the probe: a hint where to go on, no more. Whether it is lost acknowledgments tell.
    //= RFC 4821 7.6.2
    pub(crate) fn told(&mut self, seq: SeqNum, mss: u16) -> bool {
        let ours = self.probe.is_some_and(|p| p.start == seq && mss < p.size);
        if ours {
            self.high = self.high.min(mss);
        }
        ours
    }

    /// A router's word has brought SMSS down to `mss`. Until the timer expires that is not doubted.
    pub(crate) fn lowered(&mut self, mss: u16, cfg: &TcpConfig, now: Instant) {
        self.inconclusive();
        (self.low, self.high) = (self.low.min(mss), mss);
        self.settle(mss, cfg, now);
    }

    /// The path may have become better: the search begins anew, up to `most`.
    pub(crate) fn restart(&mut self, most: u16, now: Instant) {
        (self.high, self.first, self.complete) = (most.max(self.low), true, false);
        self.not_before = now;
    }

    /// The probe has arrived. Its size.
    //= RFC 4821 7.6.1
    fn succeeded(&mut self, p: Probed, cfg: &TcpConfig, now: Instant) {
        (self.low, self.high) = (p.size, self.high.max(p.size));
        self.probe = None;
        self.settle(p.size, cfg, now);
    }

    /// The probe is lost, and nothing else. The next one has to wait for `headway`.
    //= RFC 4821 7.6.2
    //= RFC 4821 7.6.3
    fn failed(&mut self, p: Probed, headway: Duration, mss: u16, cfg: &TcpConfig, now: Instant) {
        self.high = self.high.min(p.size - 1).max(self.low);
        (self.probe, self.first) = (None, false);
        self.not_before = now + headway;
        self.settle(mss, cfg, now);
    }

    /// Whether the search is at its end: then it rests for the interval.
    //= RFC 4821 7.3: converged; a timer of ten minutes
    fn settle(&mut self, mss: u16, cfg: &TcpConfig, now: Instant) {
        let range = self.high.saturating_sub(self.low.max(mss));
        if range == 0 || range < cfg.mtu_threshold {
            self.complete = true;
            self.not_before = self.not_before.max(now + cfg.mtu_raise);
        }
    }

    /// What must hold between any two verbs.
    pub(crate) fn check_invariants(&self, s: &Snd) {
        assert!(self.low <= self.high, "{self:?}");
        if let Some(p) = self.probe {
            assert!(p.start.lt(p.end) && p.end.gt(s.una) && p.end.le(s.nxt) && p.size > s.mss, "{self:?}");
        }
    }

    /// What of it decides, for explorers of states.
    pub(crate) fn digest(&self, h: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        (self.low, self.high, self.first, self.complete, self.not_before > Instant::ZERO).hash(h);
        self.probe.map(|p| (p.start.0, p.end.0, p.size)).hash(h);
        self.gap.map(|(from, to)| (from.0, to.0)).hash(h);
    }
}

impl Snd {
    /// R1 timeouts in a row, or more, have found nobody. If the first segment out is larger than what is tried next, the path
    /// may be a black hole for it: SMSS comes down to search_low, or to the base, or by half. `options` is the room that
    /// options take in a segment beside those that every one has.
    //= RFC 4821 7.7
    pub(crate) fn full_stop(&mut self, cfg: &TcpConfig, options: u32, now: Instant) {
        if cfg.mtu_probing == MtuProbing::Off || self.una.lt(self.queue.base()) {
            return;
        }
        let (mss, base, floor) = (self.mss, base(cfg), floor(cfg));
        let low = self.search.as_ref().map_or(base.min(mss), |s| s.low);
        let next = match (mss > low, low > base, self.retries > cfg.retries1) {
            (true, _, _) => low,
            (false, true, _) => base,
            (false, false, true) => (low / 2).max(floor),
            // What is no larger than the base passes nearly everywhere: this is an outage, unless it goes on.
            (false, false, false) => return,
        };
        // What is small enough already, and does not arrive, says nothing of sizes.
        let large = self.board.first_segment(mss.into()).is_some_and(|octets| octets + options > u32::from(next));
        if next >= mss || !large {
            return;
        }
        self.mss = next;
        let s = self.search.get_or_insert_with(|| Box::new(Search::new(next, mss)));
        s.inconclusive();
        // What was in use is the next to be tried: if this was an outage it will pass.
        (s.low, s.high, s.first, s.complete) = (next, s.high.max(mss), true, false);
        s.not_before = now;
    }

    /// The retransmission timer has expired. If the probe is the first that is missing, it has failed, as far as can be told;
    /// the price was high, so that the next one waits five times as long.
    //= RFC 4821 7.6.3
    //= RFC 4821 7.6.4
    pub(crate) fn probe_timed_out<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        let (una, mss, headway) = (self.una, self.mss, self.headway() * 5);
        let Some(s) = &mut self.search else { return };
        if let Some(p) = s.probe.filter(|p| p.start == una) {
            cx.mib.mtup_fail += 1;
            s.failed(p, headway, mss, cx.cfg, cx.now);
        }
        s.inconclusive();
    }

    /// Whether a record is the probe that is out: whether it is lost alone is to be known before anyone is told.
    pub(crate) fn is_probe(&self) -> impl Fn(&Record) -> bool + use<> {
        let probe = self.search.as_ref().and_then(|s| s.probe);
        move |r: &Record| probe.is_some_and(|p| r.start.ge(p.start) && r.end.le(p.end))
    }

    /// What has become of the probe, once arrivals and losses are known. If it is lost alone its text is due again at once, for
    /// the reason `again`, and neither does recovery begin nor does cwnd change.
    //= RFC 4821 7.5
    //= RFC 4821 4 (a) (b) (f): only an isolated probe
    //= RFC 4821 7.1 (b): no other segment's loss is a failure
    pub(crate) fn judge_probe<P: Probe>(&mut self, cx: &mut Cx<'_, P>, again: &mut SendReason) {
        let una = self.una;
        let Some(s) = &mut self.search else { return };
        if s.gap.is_some_and(|(_, to)| una.ge(to)) {
            s.gap = None;
            if !self.recovery.is_on() {
                // Without SACK: what they stood for is acknowledged, with the text that was missing.
                self.recovery.duplicates = Duplicates::default();
            }
        }
        let Some(p) = s.probe else { return };
        let last = self.board.find_record(p.end - 1);
        match last.map(|r| r.mark) {
            _ if una.ge(p.end) => self.probe_arrived(cx, p),
            Some(Mark::Sacked) => self.probe_arrived(cx, p),
            Some(Mark::Out) => {}
            Some(Mark::Lost) if self.is_alone(p) => {
                self.probe_lost(cx, p);
                *again = SendReason::ProbeGap;
            }
            //= RFC 4821 7.6.4
            _ => {
                self.search.iter_mut().for_each(|s| s.inconclusive());
                if let Some(r) = last.filter(|r| r.mark == Mark::Lost) {
                    self.tell_lost(&r, cx.now);
                }
            }
        }
    }

    //= RFC 4821 7.6.2
    fn probe_lost<P: Probe>(&mut self, cx: &mut Cx<'_, P>, p: Probed) {
        let (mss, headway) = (self.mss, self.headway());
        let Some(s) = &mut self.search else { return };
        cx.mib.mtup_fail += 1;
        s.failed(p, headway, mss, cx.cfg, cx.now);
        s.gap = Some((p.start, p.end));
    }

    //= RFC 4821 7.6.1
    //= RFC 4821 4 (c): cwnd is in octets, and stays
    fn probe_arrived<P: Probe>(&mut self, cx: &mut Cx<'_, P>, p: Probed) {
        let Some(s) = &mut self.search else { return };
        if p.size <= self.mss || self.window.cwnd < u32::from(p.size) {
            return s.inconclusive();
        }
        cx.mib.mtup_success += 1;
        s.succeeded(p, cx.cfg, cx.now);
        self.mss = p.size;
    }

    /// Whether nothing but the probe is missing of what was sent before it and after it, as far as is known.
    //= RFC 4821 7.5
    fn is_alone(&self, p: Probed) -> bool {
        !self.recovery.is_on() && self.una == p.start && self.board.lost() == p.end.since(p.start)
    }

    /// Octets found lost and not sent again that congestion may be to blame for: not the text of a failed probe.
    //= RFC 4821 7.6.2
    pub(crate) fn congestive(&self) -> u32 {
        let unsent = self.board.unsent();
        let gap = self.search.as_ref().and_then(|s| s.gap);
        match gap {
            Some((from, to)) if unsent > 0 => unsent - self.board.unsent_in(from, to),
            _ => unsent,
        }
    }

    /// How long no probe goes after one that has failed: a round trip for each packet of the congestion window, so that
    /// failures are rarer than losses of congestion would be.
    //= RFC 4821 4 (d)
    //= RFC 4821 7.6.2
    fn headway(&self) -> Duration {
        let srtt = self.rtt.smoothed().max(Duration::from_millis(1));
        srtt * self.window.cwnd.div_ceil(u32::from(self.mss)).max(1)
    }
}

/// Into how many steps the range of sizes in doubt is cut. A probe that arrives costs nothing, and the next may follow at
/// once; one that fails keeps the next waiting for as many round trips as cwnd has packets. So there should be few of those:
/// with steps of an eighth a failure leaves an eighth in doubt (RFC 4821 7.3).
const STEPS: u16 = 8;

/// What SMSS falls back to: the setting, not below the least.
fn base(cfg: &TcpConfig) -> u16 {
    cfg.mtu_base.max(floor(cfg))
}

/// How far SMSS can come down.
//= RFC 4821 7.7
fn floor(cfg: &TcpConfig) -> u16 {
    cfg.mtu_floor.max(cfg.mss_min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at(s: u64) -> Instant {
        Instant::ZERO + S(s)
    }

    /// Searches on a path that carries `fits`, from SMSS on; the probes, and SMSS after them.
    fn search(s: &mut Search, mut mss: u16, most: u16, fits: u16, cfg: &TcpConfig, now: Instant) -> (Vec<u16>, u16) {
        let mut probes = Vec::new();
        while let Some(size) = s.next(mss, most, cfg, now) {
            assert!(size > mss && size <= most && (s.complete || size > s.low && size <= s.high), "{size}: {s:?}");
            s.sent(SeqNum(0), SeqNum(u32::from(size)), size, most);
            assert_eq!(s.next(mss, most, cfg, now), None, "one at a time");
            let p = s.probe.expect("it is out");
            if size <= fits {
                s.succeeded(p, cfg, now);
                mss = size;
            } else {
                s.failed(p, Duration::ZERO, mss, cfg, now);
            }
            probes.push(size);
        }
        (probes, mss)
    }

    #[test]
    //= RFC 4821 7.1 (a)
    //= RFC 4821 7.3
    fn the_whole_is_tried_first_and_then_small_steps_of_which_few_fail() {
        let cfg = TcpConfig::default();
        let go = |fits| search(&mut Search::new(1_024, 1_460), 1_024, 1_460, fits, &cfg, at(0));
        assert_eq!(go(1_460), (vec![1_460], 1_460));
        assert_eq!(go(1_160), (vec![1_460, 1_079, 1_127, 1_169, 1_135, 1_143, 1_151, 1_159, 1_167], 1_159));
        for fits in 1_024..=1_460 {
            let (probes, found) = go(fits);
            assert!(found <= fits && fits - found < 8 && probes.len() < 30, "{fits}: {probes:?}");
            assert!(probes.iter().filter(|p| **p > fits).count() <= 3, "{fits}: {probes:?}");
        }
        // What came down by halves goes up by doubles, and then to the whole.
        let small = |fits| search(&mut Search::new(100, 1_460), 100, 1_460, fits, &cfg, at(0));
        assert_eq!(small(1_460), (vec![200, 400, 800, 1_460], 1_460));
        assert_eq!(small(500), (vec![200, 400, 800, 450, 494, 533, 502], 494));
        // A threshold of one octet leaves nothing in doubt.
        let exact = TcpConfig { mtu_threshold: 1, ..cfg };
        for fits in 1_024..=1_460 {
            let (_, found) = search(&mut Search::new(1_024, 1_460), 1_024, 1_460, fits, &exact, at(0));
            assert_eq!(found, fits);
        }
    }

    #[test]
    //= RFC 4821 7.3
    fn a_search_that_is_at_its_end_rests_and_begins_again_from_above() {
        let cfg = TcpConfig::default();
        let mut s = Search::new(1_024, 1_460);
        let (_, mss) = search(&mut s, 1_024, 1_460, 1_160, &cfg, at(0));
        assert!(s.complete);
        assert_eq!(s.next(mss, 1_460, &cfg, at(599)), None);
        assert_eq!(search(&mut s, mss, 1_460, 1_460, &cfg, at(600)), (vec![1_460], 1_460));
        assert_eq!(s.next(1_460, 1_460, &cfg, at(9_999)), None, "there is nothing left to find");
        // The link has become narrower meanwhile: no probe goes above it.
        s.restart(1_460, at(10_000));
        assert_eq!(s.next(1_200, 1_300, &cfg, at(10_000)), None, "what has passed is above it");
    }

    #[test]
    //= RFC 4821 7.3: not less than five minutes
    fn the_interval_cannot_be_shorter_than_five_minutes() {
        let mut cfg = TcpConfig::default();
        assert_eq!(cfg.set("mtu-raise", "299s").unwrap_err(), "mtu-raise: \"299s\" is none of 300s..=2147483647ms");
        assert_eq!((cfg.set("mtu-raise", "300s"), cfg.mtu_raise), (Ok(()), S(300)));
    }

    #[test]
    //= RFC 4821 7.4 (b)
    //= RFC 4821 7.6.2
    fn after_a_failure_the_next_probe_waits() {
        let cfg = TcpConfig::default();
        let mut s = Search::new(1_024, 1_460);
        s.sent(SeqNum(0), SeqNum(1_460), 1_460, 1_460);
        let p = s.probe.expect("it is out");
        s.failed(p, S(7), 1_024, &cfg, at(1));
        assert_eq!((s.next(1_024, 1_460, &cfg, at(7)), s.next(1_024, 1_460, &cfg, at(8))), (None, Some(1_079)));
    }

    #[test]
    //= RFC 4821 7.6.4
    fn what_nothing_can_be_concluded_from_is_asked_again() {
        let cfg = TcpConfig::default();
        let mut s = Search::new(1_024, 1_460);
        s.sent(SeqNum(0), SeqNum(1_460), 1_460, 1_460);
        // A piece of it goes again, as a loss probe: which of both arrives?
        s.resent(SeqNum(1_000), SeqNum(1_460));
        assert_eq!(s.next(1_024, 1_460, &cfg, at(0)), Some(1_460));
        s.sent(SeqNum(0), SeqNum(1_460), 1_460, 1_460);
        s.resent(SeqNum(1_460), SeqNum(2_000));
        assert_eq!(s.next(1_024, 1_460, &cfg, at(0)), None, "what lies behind it is not it");
        s.inconclusive();
        assert_eq!(s.next(1_024, 1_460, &cfg, at(0)), Some(1_460));
    }

    #[test]
    //= RFC 4821 7.6.2
    //= RFC 5927 4.1
    fn a_routers_word_is_taken_only_of_the_probe_and_only_downwards() {
        let cfg = TcpConfig::default();
        let mut s = Search::new(1_024, 1_460);
        assert!(!s.told(SeqNum(0), 1_200), "nothing is out");
        s.sent(SeqNum(0), SeqNum(1_460), 1_460, 1_460);
        assert!(!s.told(SeqNum(1), 1_200) && !s.told(SeqNum(0), 1_460));
        assert!(s.told(SeqNum(0), 1_200) && s.told(SeqNum(0), 1_300));
        let p = s.probe.expect("it is out");
        s.failed(p, S(0), 1_024, &cfg, at(0));
        assert_eq!(s.next(1_024, 1_460, &cfg, at(0)), Some(1_046), "an eighth of the way to 1200");
        // A lie: the probe arrives all the same.
        s.sent(SeqNum(0), SeqNum(1_046), 1_046, 1_460);
        assert!(s.told(SeqNum(0), 1_030));
        let p = s.probe.expect("it is out");
        s.succeeded(p, &cfg, at(0));
        assert_eq!((s.low, s.high, s.complete), (1_046, 1_046, true));
    }

    #[test]
    //= RFC 4821 7.2
    fn what_a_connection_begins_with() {
        let with = |mtu_probing, mtu_base| TcpConfig { mtu_probing, mtu_base, ..TcpConfig::default() };
        let begin = |cfg: &TcpConfig, most| {
            let (mss, search) = Search::at_start(cfg, most);
            (mss, search.is_some())
        };
        assert_eq!(begin(&with(MtuProbing::Off, 512), 1_460), (1_460, false));
        assert_eq!(begin(&with(MtuProbing::Auto, 512), 1_460), (1_460, false));
        assert_eq!(begin(&with(MtuProbing::On, 512), 1_460), (512, true));
        assert_eq!(begin(&with(MtuProbing::On, 1_460), 1_460), (1_460, false));
        assert_eq!(begin(&with(MtuProbing::On, 50), 1_460), (88, true), "not below mss-min");
        assert_eq!(begin(&with(MtuProbing::On, 1_024), 1), (1, false));
    }
}
