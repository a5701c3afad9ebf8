//! What an acknowledgment costs the sender: looks at records and look-ups among them, counted, with a megabyte and more in
//! flight in the smallest segments that a peer can ask for, and a peer that does its worst.
//!
//! Of each run two things are asserted. One acknowledgment that tells nothing new makes few looks, however much is out. And
//! all of them make, beside so many each, some for each segment that is told of, found lost, or sent again: each counts once.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod pair;

use pair::{Pair, bare};
use synfin_tcp::Rng;
use synfin_tcp::tcb::Tcb;
use synfin_tcp::time::Duration;
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Timestamps};

/// Looks that an acknowledgment may make beside those for its news.
const EACH: u64 = 32;
/// Looks for one segment that an acknowledgment covers, reports, finds lost, or lets go again.
const NEWS: u64 = 8;
/// Octets in a segment.
const MSS: u32 = 76;
/// A MiB of them.
const MIB: u32 = (1 << 20) / MSS;

/// A sender with text in flight, all of which is lost, and a peer that says what it likes.
struct Sender {
    p: Pair,
    /// SND.UNA at first.
    una: SeqNum,
    /// Segments in flight at first.
    segments: u32,
    acks: u64,
    visits: u64,
    /// Segments that were told of, lost or sent.
    news: u64,
    /// The most looks of one acknowledgment beside those for its news.
    most: u64,
    /// The time of sending that the peer echoes.
    echo: u32,
}

impl Sender {
    /// `segments` are in flight. `apart`: sent one by one, so that each is a record; else at once, so that they are one.
    fn new(segments: u32, apart: bool, rack: bool) -> Sender {
        let mut p = Pair::new();
        p.b.mss = 1;
        p.a.cfg.rack = rack;
        p.a.cfg.snd_buf_initial = p.a.cfg.snd_buf_max;
        p.establish();
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        assert_eq!(p.a.send(now, &vec![9; (segments * MSS) as usize]), (segments * MSS) as usize);
        let mut s = Sender { una: tcb(&p).snd.una, p, segments, acks: 0, visits: 0, news: 0, most: 0, echo: 0 };
        // The window is as open as can be.
        let mut open = s.segment(0);
        open.hdr.window = 65_535;
        s.p.inject(false, open);
        for n in if apart { 1 } else { segments }..=segments {
            s.p.now += Duration::from_micros(1);
            s.p.a.conn.as_mut().unwrap().tcb_mut().unwrap().snd.window.cwnd = n * MSS;
            s.p.drain();
        }
        let t = tcb(&s.p);
        assert_eq!((u32::from(t.snd.mss), t.snd.flight()), (MSS, segments * MSS));
        s.p.now += Duration::from_millis(20);
        s
    }

    /// An acknowledgment of everything before `ack`, in octets from the first on.
    fn segment(&self, ack: u32) -> synfin_tcp::Segment {
        let t = tcb(&self.p);
        let mut s = bare(t.rcv.nxt.0, self.una.0.wrapping_add(ack), Flags::ACK);
        s.opts.timestamps = Some(Timestamps { val: t.rcv.ts_recent.val, ecr: self.echo });
        s.hdr.window = 65_535;
        s
    }

    /// The peer acknowledges everything before `ack` and reports `blocks`, in octets from the first on.
    fn hears(&mut self, ack: u32, blocks: impl IntoIterator<Item = (u32, u32)>) {
        let mut s = self.segment(ack);
        for (left, right) in blocks {
            assert!(s.opts.sack.push(self.una + left, self.una + right));
        }
        let before = self.stand();
        self.p.now += Duration::from_micros(1);
        self.p.inject(false, s);
        let after = self.stand();
        let visits = u64::from(after.0.wrapping_sub(before.0));
        let news = after.1.iter().zip(before.1).map(|(a, b)| a - b).sum::<u64>();
        self.acks += 1;
        self.visits += visits;
        self.news += news;
        self.most = self.most.max(visits.saturating_sub(news * NEWS));
    }

    /// Segments from `from` to `to`, as a block.
    fn hears_of(&mut self, blocks: impl IntoIterator<Item = (u32, u32)>) {
        self.hears(0, blocks.into_iter().map(|(from, to)| (from * MSS, to * MSS)));
    }

    /// The looks, and what is acknowledged, delivered, lost and sent, in segments.
    fn stand(&self) -> (u32, [u64; 4]) {
        let t = tcb(&self.p);
        let acked = u64::from(t.snd.una.since(self.una));
        let octets = [acked, t.snd.rate.delivered, t.snd.rate.lost].map(|n| n.div_ceil(u64::from(MSS)));
        (t.snd.board.visits(), [octets[0], octets[1], octets[2], t.counters.segs_out])
    }

    fn is_bounded(&self, what: &str) {
        let Sender { acks, visits, news, most, segments, .. } = self;
        println!("{what}: {acks} acknowledgments, {news} news, {visits} looks, {most} at most");
        let bound = acks * EACH + news * NEWS;
        assert!(
            *visits <= bound,
            "{what}: {visits} looks for {acks} acknowledgments with {news} news, at most {bound}"
        );
        assert!(*most <= EACH, "{what}: {most} looks for one acknowledgment, beside its news");
        let records = tcb(&self.p).snd.board.records().count();
        assert!(records <= *segments as usize + 2, "{what}: {records} records of {segments} segments");
    }
}

fn tcb(p: &Pair) -> &Tcb {
    p.a.conn.as_ref().and_then(|c| c.tcb()).expect("a block")
}

/// With RACK and without, sent at once and one by one.
fn each_way(segments: u32, mut f: impl FnMut(&mut Sender, &str)) {
    for (rack, apart) in [(true, false), (true, true), (false, false), (false, true)] {
        f(&mut Sender::new(segments, apart, rack), if rack { "rack" } else { "rack=off" });
    }
}

/// The numbers under 10,000, in an order of no order.
fn scattered(n: u32) -> u32 {
    n * 7_919 % HOLES
}

const HOLES: u32 = 10_000;

/// 10,000 holes, told in an order: four new blocks in each acknowledgment, and one with the three before it.
fn holes(what: &str, order: fn(u32) -> u32) {
    let block = |n: u32| (order(n) * 2 + 1, order(n) * 2 + 2);
    each_way(2 * HOLES, |s, how| {
        for n in 0..HOLES / 4 {
            s.hears_of((n * 4..n * 4 + 4).map(block));
        }
        s.is_bounded(&format!("{how}, holes {what}, by four"));
    });
    each_way(2 * HOLES, |s, how| {
        for n in 0..HOLES {
            s.hears_of((n.saturating_sub(3)..=n).rev().map(block));
        }
        s.is_bounded(&format!("{how}, holes {what}, one by one"));
    });
}

#[test]
fn ten_thousand_holes_in_order_cost_what_each_of_them_costs() {
    holes("in order", |n| n);
}

#[test]
fn ten_thousand_holes_in_reverse_cost_what_each_of_them_costs() {
    holes("in reverse", |n| HOLES - 1 - n);
}

#[test]
fn ten_thousand_holes_in_any_order_cost_what_each_of_them_costs() {
    holes("in any order", scattered);
}

#[test]
fn edges_that_shift_cost_nothing_for_what_is_known() {
    for (what, step, times) in [("by a segment", MSS, MIB - 400), ("by an octet", 1, 5_000)] {
        each_way(MIB, |s, how| {
            let end = s.segments * MSS;
            // The second and third block shift as the first does; the fourth ends earlier each time.
            for n in 0..times {
                let left = MSS + n * step;
                s.hears(0, [(left, end), (left + 100 * MSS, end), (left + 200 * MSS, end), (left, end - n * step)]);
            }
            s.is_bounded(&format!("{how}, left edges that shift {what}"));
        });
        each_way(MIB, |s, how| {
            for n in 0..times {
                let right = (n * step).max(MSS);
                s.hears(0, [(MSS, right + MSS), (right, right + MSS), (MSS * 2, right + MSS), (MSS, right)]);
            }
            s.is_bounded(&format!("{how}, right edges that shift {what}"));
        });
    }
}

#[test]
fn divided_acknowledgments_cost_the_same_however_much_is_out() {
    each_way(MIB, |s, how| {
        // Above lies what makes losses be looked for each time.
        s.hears_of([(MIB - 3, MIB), (MIB - 9, MIB - 8), (1_000, 1_001)]);
        for n in 1..20_000 {
            s.hears(n, [(n + 1, n + 2), (1_000 * MSS, 1_001 * MSS)]);
        }
        s.is_bounded(&format!("{how}, acknowledged octet by octet"));
    });
}

#[test]
fn sacks_of_single_octets_cut_nothing_and_cost_nothing() {
    each_way(MIB, |s, how| {
        let before = tcb(&s.p).snd.board.records().count();
        let most = s.segments * MSS;
        for n in 0..10_000 {
            let octet = |k: u32| (1 + (n * 4 + k) * 7_919 % (most - 2), 2 + (n * 4 + k) * 7_919 % (most - 2));
            s.hears(0, (0..4).map(octet));
        }
        let t = tcb(&s.p);
        assert_eq!((t.snd.board.records().count(), t.snd.board.sacked(), s.news), (before, 0, 0), "{how}");
        // All but an octet of each segment, which is as little.
        for n in 0..s.segments / 4 {
            s.hears(0, (0..4).map(|k| ((n * 4 + k) * MSS + 1, (n * 4 + k + 1) * MSS)));
        }
        s.is_bounded(&format!("{how}, SACK of single octets"));
    });
}

#[test]
fn ten_thousand_retransmissions_cost_what_each_of_them_costs() {
    each_way(2 * HOLES, |s, how| {
        for n in 0..HOLES / 4 {
            s.hears_of((n * 4..n * 4 + 4).map(|n| (n * 2 + 1, n * 2 + 2)));
        }
        // Each tells of one more segment, so that one more goes again: first of what went again, then of what has waited.
        for n in 1..HOLES {
            let n = if n % 2 == 0 { n / 2 } else { HOLES - 1 - n / 2 };
            s.hears_of([(n * 2, n * 2 + 1)]);
        }
        assert!(tcb(&s.p).counters.retrans > u64::from(HOLES) / 3, "{how}");
        s.hears_of([(1, 2 * HOLES)]);
        s.hears(2 * HOLES * MSS, []);
        s.is_bounded(&format!("{how}, retransmissions of what lies alone"));
    });
    each_way(MIB, |s, how| {
        // The end is there: all before it is lost, and goes again from its beginning.
        s.hears_of([(MIB - 4, MIB)]);
        for n in 1..MIB - 4 {
            s.hears(n * MSS, [((MIB - 4) * MSS, MIB * MSS)]);
        }
        assert!(tcb(&s.p).counters.retrans >= u64::from(MIB - 4), "{how}: {}", tcb(&s.p).counters.retrans);
        s.is_bounded(&format!("{how}, retransmissions of one run"));
    });
}

#[test]
fn retransmissions_that_are_lost_again_cost_what_each_of_them_costs() {
    each_way(2 * HOLES, |s, how| {
        for n in 0..HOLES / 4 {
            s.hears_of((n * 4..n * 4 + 4).map(|n| (n * 2 + 1, n * 2 + 2)));
        }
        // Now and then a round trip passes, and something arrives that was sent last.
        for n in 0..HOLES / 2 {
            let n = HOLES - 1 - n;
            s.p.now += Duration::from_micros(if n.is_multiple_of(64) { 30_000 } else { 0 });
            s.hears_of([(n * 2, n * 2 + 1), (n * 2, n * 2 + 8)].into_iter().take(1 + (n % 2) as usize));
        }
        s.is_bounded(&format!("{how}, retransmissions that are lost again"));
    });
}

#[test]
fn a_peer_that_calls_each_loss_spurious_is_believed_some_times_in_a_flight() {
    each_way(MIB, |s, how| {
        s.hears_of([(MIB - 4, MIB)]);
        let first = (s.visits, s.news);
        s.echo = 101; // long before anything was sent again (RFC 3522)
        let times = 1_000;
        for n in 1..times {
            s.hears(n, [((MIB - 4) * MSS, MIB * MSS)]);
        }
        let (undone, visits) = (s.p.a.mib.undo, s.visits - first.0);
        println!("{how}: {times} acknowledgments, {undone} times undone, {visits} looks");
        assert!((1..=8).contains(&undone));
        // Each time there is a walk over what is out, and each segment is found lost anew.
        let bound = u64::from(times) * EACH + undone * u64::from(MIB) * NEWS;
        assert!(visits <= bound, "{how}: {visits} looks, at most {bound}");
        // And then the peer has to take what is sent again, and gains nothing.
        s.echo = 0;
        for n in 1..=MIB - 4 {
            s.hears(n * MSS, [((MIB - 4) * MSS, MIB * MSS)]);
        }
        s.is_bounded(&format!("{how}, called spurious"));
    });
}

#[test]
fn whatever_a_peer_tells_costs_what_it_tells() {
    let mut rng = Rng::from_number(7);
    each_way(MIB, |s, how| {
        let mut ack = 0;
        let all = s.segments * MSS;
        while ack < all && s.acks < 20_000 {
            let mut any = |n: u32| rng.below(n);
            ack = (ack + [0, 0, 1, MSS, 10 * MSS][any(5) as usize]).min(all);
            s.echo = [0, 0, 0, 101][any(4) as usize];
            s.p.now += Duration::from_micros([0u64, 10, 1_000, 30_000][any(4) as usize]);
            let mut blocks = vec![];
            for _ in 0..any(5) {
                let left = ack + any(all - ack + 1);
                let len = [1, MSS, 3 * MSS, 100 * MSS][any(4) as usize];
                // Mostly whole segments, and mostly short: what is long soon tells all.
                let (left, len) = if any(8) > 0 { (left / MSS * MSS, len.min(3 * MSS)) } else { (left, len) };
                blocks.push((left.max(ack), (left + len).min(all)));
            }
            s.hears(ack, blocks);
        }
        s.is_bounded(&format!("{how}, whatever"));
    });
}
