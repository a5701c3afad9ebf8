//! A path in virtual time, to drive an algorithm alone: one sender, one bottleneck with a queue, a round-trip propagation
//! delay, losses and marks.
//!
//! The sender here numbers packets and never sends the same one again, as QUIC has it: what is lost goes back to what waits to
//! be sent. So there is no recovery to get wrong, only what every algorithm is told of it: an episode begins with the first
//! loss, and ends when something is acknowledged that was sent after the last loss of what was out at its beginning. Where an algorithm leaves recovery to the
//! engine, cwnd is ssthresh in it. The delivery-rate sampler is that of draft-ietf-ccwg-bbr-06 4.1.2, line by line.

use super::{Ack, CongestionControl, Loss, LossCause, LostPiece, RateSample, Sending, Start, Window};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use synfin_wire::SeqNum;

/// SMSS, of all tests.
pub(crate) const SMSS: u32 = 1460;

/// The path. Everything may change while packets are under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// The bottleneck, in octets per second.
    pub(crate) rate: u64,
    /// The round-trip time without a queue.
    pub(crate) delay: Duration,
    /// What can wait at the bottleneck, in octets.
    pub(crate) buffer: u32,
    /// Packets in a million that are lost by chance.
    pub(crate) loss_ppm: u32,
    /// Packets are marked when more than this waits.
    pub(crate) mark_above: u32,
    /// Acknowledgments come at multiples of this time, all at once; zero: each for itself.
    pub(crate) aggregation: Duration,
}

impl Path {
    /// A path of `mbit` Mbit/s and `rtt_ms` with a deep buffer of four times their product.
    pub(crate) fn new(mbit: u64, rtt_ms: u64) -> Path {
        let (rate, delay) = (mbit * 125_000, Duration::from_millis(rtt_ms));
        let mut path = Path { rate, delay, buffer: 0, loss_ppm: 0, mark_above: u32::MAX, aggregation: Duration::ZERO };
        path.buffer = 4 * path.bdp();
        path
    }

    /// The bandwidth-delay product.
    pub(crate) fn bdp(&self) -> u32 {
        (self.rate * self.delay.as_micros() as u64 / 1_000_000) as u32
    }
}

/// What the application does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum App {
    /// It always has something to send.
    Bulk,
    /// It writes so many octets at a time, at this distance.
    Paced(u64, Duration),
    /// It waits.
    Silent,
}

/// What was seen in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    /// Delivered octets per second, in thousandths of the bottleneck's rate.
    pub(crate) utilization: u64,
    /// The mean queue, in thousandths of the bandwidth-delay product.
    pub(crate) mean_queue: u64,
    /// The longest queue, likewise.
    pub(crate) peak_queue: u64,
    /// Packets in ten thousand that were lost, by chance or by the full buffer.
    pub(crate) loss: u64,
    /// Retransmission timeouts.
    pub(crate) timeouts: u32,
}

/// A packet that is out.
#[derive(Debug, Clone, Copy)]
struct Packet {
    number: u64,
    delivered: u64,
    delivered_time: Instant,
    first_send_time: Instant,
    send_time: Instant,
    is_app_limited: bool,
    tx_in_flight: u32,
    lost: u64,
}

/// An episode of recovery.
#[derive(Debug, Clone, Copy)]
struct Episode {
    /// The first packet that was sent in it.
    begin: u64,
    /// The packet that repairs the last of what was lost before.
    end: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    sent: u64,
    dropped: u64,
    timeouts: u32,
    peak_queue: u32,
    /// Octets times nanoseconds.
    queue_time: u128,
    last_change: Instant,
}

/// The sender with its algorithm, on the path.
pub(crate) struct Sim<C> {
    pub(crate) path: Path,
    pub(crate) app: App,
    pub(crate) cc: C,
    pub(crate) window: Window,
    pub(crate) now: Instant,
    /// C.delivered.
    pub(crate) delivered: u64,
    /// C.inflight.
    pub(crate) inflight: u32,
    delivered_time: Instant,
    first_send_time: Instant,
    app_limited: u64,
    lost: u64,
    min_rtt: Duration,
    srtt: Duration,
    cwnd_limited: bool,
    waiting: u64,
    next_write: Instant,
    next_send: Instant,
    next_number: u64,
    recovery: Option<Episode>,
    marked_until: u64,
    rto: Instant,
    out: VecDeque<Packet>,
    queue: VecDeque<(u64, bool)>,
    served: Instant,
    acks: VecDeque<(Instant, u64, bool)>,
    rng: Rng,
    totals: Totals,
}

impl<C: CongestionControl> Sim<C> {
    /// At the end of a handshake that took a round-trip time, with ten segments for the initial window.
    pub(crate) fn new(path: Path, seed: u64, algorithm: impl FnOnce(&Start) -> C) -> Sim<C> {
        let now = Instant::ZERO + path.delay;
        let window = Window { cwnd: 10 * SMSS, ssthresh: u32::MAX };
        let start = Start { now, initial_cwnd: window.cwnd, smss: SMSS, srtt: path.delay, sack: true, seed };
        Sim {
            path,
            app: App::Bulk,
            cc: algorithm(&start),
            window,
            now,
            delivered: 0,
            inflight: 0,
            delivered_time: now,
            first_send_time: now,
            app_limited: 0,
            lost: 0,
            min_rtt: path.delay,
            srtt: path.delay,
            cwnd_limited: false,
            waiting: 0,
            next_write: now,
            next_send: now,
            next_number: 1,
            recovery: None,
            marked_until: 0,
            rto: Instant::NEVER,
            out: VecDeque::new(),
            queue: VecDeque::new(),
            served: Instant::NEVER,
            acks: VecDeque::new(),
            rng: Rng::from_number(seed),
            totals: Totals { last_change: now, ..Totals::default() },
        }
    }

    /// Octets that wait at the bottleneck.
    pub(crate) fn queued(&self) -> u32 {
        self.queue.len() as u32 * SMSS
    }

    /// Lets `time` go by, and says what was seen.
    pub(crate) fn run(&mut self, time: Duration) -> Report {
        let begin = self.now;
        let before = self.delivered;
        self.totals = Totals { last_change: self.now, ..Totals::default() };
        self.run_until(time, |_| false);
        self.queue_changes();
        let t = self.totals;
        let bdp = u64::from(self.path.bdp()).max(1);
        let ns = self.now.since(begin).as_nanos().max(1);
        Report {
            utilization: (u128::from(self.delivered - before) * 1_000_000_000_000 / ns) as u64 / self.path.rate,
            mean_queue: (t.queue_time * 1000 / ns) as u64 / bdp,
            peak_queue: u64::from(t.peak_queue) * 1000 / bdp,
            loss: t.dropped * 10_000 / t.sent.max(1),
            timeouts: t.timeouts,
        }
    }

    /// Lets time go by until `done`, at most `limit`; how long it took, if it came to that.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> Option<Duration> {
        let begin = self.now;
        let end = begin + limit;
        loop {
            self.send();
            if done(self) {
                return Some(self.now.since(begin));
            }
            let next = self.next_event();
            if next > end {
                self.now = end;
                return None;
            }
            self.now = self.now.max(next);
            self.happen();
        }
    }

    fn next_event(&self) -> Instant {
        let ack = self.acks.front().map_or(Instant::NEVER, |a| a.0);
        let write = if matches!(self.app, App::Paced(..)) { self.next_write } else { Instant::NEVER };
        let may_send = self.has_data() && self.inflight + SMSS <= self.window.cwnd;
        let send = if may_send { self.next_send } else { Instant::NEVER };
        self.served.min(ack).min(write).min(send).min(self.rto)
    }

    fn happen(&mut self) {
        if self.served <= self.now {
            self.queue_changes();
            if let Some((number, marked)) = self.queue.pop_front() {
                self.acknowledge_later(number, marked);
            }
            self.served = if self.queue.is_empty() { Instant::NEVER } else { self.now + self.serving() };
        }
        if let App::Paced(octets, every) = self.app
            && self.next_write <= self.now
        {
            self.check_if_application_limited();
            self.waiting += octets;
            self.next_write = self.now + every;
        }
        if self.acks.front().is_some_and(|a| a.0 <= self.now) {
            self.on_acks();
        } else if self.rto <= self.now {
            self.on_timeout();
        }
    }

    fn serving(&self) -> Duration {
        Duration::from_nanos(u64::from(SMSS) * 1_000_000_000 / self.path.rate)
    }

    fn acknowledge_later(&mut self, number: u64, marked: bool) {
        let mut at = self.now + self.path.delay;
        let every = self.path.aggregation.as_nanos() as u64;
        if every > 0 {
            at = Instant::from_nanos(at.as_nanos().next_multiple_of(every));
        }
        // A path that gets shorter does not reorder.
        let last = self.acks.back().map_or(Instant::ZERO, |a| a.0);
        self.acks.push_back((at.max(last), number, marked));
    }

    fn has_data(&self) -> bool {
        matches!(self.app, App::Bulk) || self.waiting > 0
    }

    fn queue_changes(&mut self) {
        let time = self.now.since(self.totals.last_change).as_nanos();
        self.totals.queue_time += time * u128::from(self.queued());
        self.totals.last_change = self.now;
        self.totals.peak_queue = self.totals.peak_queue.max(self.queued());
    }

    //= draft-ietf-ccwg-bbr-06 4.1.2.4
    fn check_if_application_limited(&mut self) {
        if !self.has_data() && self.inflight < self.window.cwnd {
            self.mark_connection_app_limited();
        }
    }

    fn mark_connection_app_limited(&mut self) {
        self.app_limited = (self.delivered + u64::from(self.inflight)).max(1);
    }

    /// Sends what application, window and pacing allow.
    fn send(&mut self) {
        while self.has_data() && self.next_send <= self.now {
            if self.inflight + SMSS > self.window.cwnd {
                return;
            }
            self.send_one();
        }
    }

    //= draft-ietf-ccwg-bbr-06 4.1.2.2
    fn send_one(&mut self) {
        let is_app_limited = self.app_limited != 0;
        let sending = Sending { now: self.now, pipe: self.inflight, is_app_limited, total_delivered: self.delivered };
        self.cc.on_send(&mut self.window, &sending);
        if self.inflight == 0 {
            self.first_send_time = self.now;
            self.delivered_time = self.now;
            self.rto = self.now + self.timeout();
        }
        self.inflight += SMSS;
        // Fully used, whether or not pacing would let more out.
        self.cwnd_limited |= self.inflight + SMSS > self.window.cwnd;
        self.out.push_back(Packet {
            number: self.next_number,
            delivered: self.delivered,
            delivered_time: self.delivered_time,
            first_send_time: self.first_send_time,
            send_time: self.now,
            is_app_limited,
            tx_in_flight: self.inflight,
            lost: self.lost,
        });
        self.waiting = self.waiting.saturating_sub(u64::from(SMSS));
        if let Some(pacing) = self.cc.pacing() {
            assert!(pacing.rate > 0 && pacing.quantum >= SMSS, "{pacing:?}");
            self.next_send = self.now + Duration::from_nanos(u64::from(SMSS) * 1_000_000_000 / pacing.rate);
        }
        self.enter_queue(self.next_number);
        self.next_number += 1;
    }

    fn enter_queue(&mut self, number: u64) {
        self.totals.sent += 1;
        self.queue_changes();
        let by_chance = self.rng.below(1_000_000) < self.path.loss_ppm;
        // The one that is being served does not wait.
        if by_chance || self.queued() > self.path.buffer.max(SMSS) {
            self.totals.dropped += 1;
            return;
        }
        let marked = self.queued() > self.path.mark_above;
        self.queue.push_back((number, marked));
        if self.served == Instant::NEVER {
            self.served = self.now + self.serving();
        }
        self.queue_changes();
    }

    fn timeout(&self) -> Duration {
        self.srtt * 2 + Duration::from_millis(200)
    }

    /// Takes all acknowledgments that have come as one.
    //= draft-ietf-ccwg-bbr-06 4.1.2.3
    fn on_acks(&mut self) {
        self.check_if_application_limited();
        let flight = self.inflight;
        let mut newest: Option<Packet> = None;
        let (mut newly_acked, mut marked) = (0, 0);
        while let Some(&(at, number, mark)) = self.acks.front()
            && at <= self.now
        {
            self.acks.pop_front();
            let Some(i) = self.out.iter().position(|p| p.number == number) else { continue };
            let Some(p) = self.out.remove(i) else { continue };
            self.delivered += u64::from(SMSS);
            self.delivered_time = self.now;
            self.inflight -= SMSS;
            newly_acked += SMSS;
            marked += if mark { SMSS } else { 0 };
            newest = Some(p);
        }
        // Nothing: taken for lost by a timeout.
        let Some(p) = newest else { return };
        self.first_send_time = p.send_time;
        let lost = self.detect_losses(p.number, flight);
        if self.recovery.is_some_and(|r| p.number >= r.end) {
            self.recovery = None;
            self.cc.on_recovered(&mut self.window, self.now);
        }
        if marked > 0 && p.number >= self.marked_until {
            self.marked_until = self.next_number;
            let loss = Loss { now: self.now, flight, smss: SMSS, cause: LossCause::Marked };
            self.cc.on_loss(&mut self.window, &loss);
        }
        let rtt = self.now.since(p.send_time);
        self.min_rtt = self.min_rtt.min(rtt);
        self.srtt = (self.srtt * 7 + rtt) / 8;
        self.rto = if self.inflight > 0 { self.now + self.timeout() } else { Instant::NEVER };
        let rate = self.generate_rate_sample(&p);
        let in_recovery = self.recovery.is_some();
        let una = self.out.front().map_or(self.next_number, |p| p.number);
        let ack = Ack {
            now: self.now,
            acked: newly_acked,
            delivered: newly_acked,
            lost,
            marked,
            smss: SMSS,
            flight,
            pipe: self.inflight,
            limit: 8,
            cwnd_limited: core::mem::take(&mut self.cwnd_limited),
            in_recovery,
            una: seq(una),
            nxt: seq(self.next_number),
            rtt: Some(rtt),
            srtt: self.srtt,
            min_rtt: self.min_rtt,
            rate: Some(rate),
        };
        if !in_recovery || self.cc.governs_recovery() {
            self.cc.on_ack(&mut self.window, &ack);
        }
        if self.cc.holds_back() {
            self.mark_connection_app_limited();
        }
    }

    /// The path keeps the order: what is three packets behind is lost. How much is.
    fn detect_losses(&mut self, acked: u64, flight: u32) -> u32 {
        let mut lost = 0;
        while let Some(&p) = self.out.front()
            && p.number + 3 <= acked
        {
            self.out.pop_front();
            self.lose(&p);
            lost += SMSS;
        }
        if lost > 0 && self.recovery.is_none() {
            self.recovery = Some(Episode { begin: self.next_number, end: self.next_number });
            let loss = Loss { now: self.now, flight, smss: SMSS, cause: LossCause::Lost };
            self.cc.on_loss(&mut self.window, &loss);
            if !self.cc.governs_recovery() {
                self.window.cwnd = self.window.ssthresh;
            }
        }
        lost
    }

    fn lose(&mut self, p: &Packet) {
        self.lost += u64::from(SMSS);
        self.inflight -= SMSS;
        self.waiting += u64::from(SMSS);
        if let Some(r) = &mut self.recovery
            && p.number < r.begin
        {
            r.end = self.next_number;
        }
        let piece = LostPiece {
            seq: seq(p.number),
            len: SMSS,
            tx_in_flight: p.tx_in_flight,
            lost_before: p.lost,
            total_lost: self.lost,
            total_delivered: self.delivered,
            is_app_limited: p.is_app_limited,
            again: false,
        };
        self.cc.on_lost(&mut self.window, &piece, self.now);
    }

    //= draft-ietf-ccwg-bbr-06 4.1.2.3
    fn generate_rate_sample(&mut self, p: &Packet) -> RateSample {
        if self.app_limited != 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let send_elapsed = p.send_time.since(p.first_send_time);
        let ack_elapsed = self.delivered_time.since(p.delivered_time);
        let interval = send_elapsed.max(ack_elapsed);
        let delivered = self.delivered - p.delivered;
        let reliable = interval >= self.min_rtt && !interval.is_zero();
        let ns = interval.as_nanos().max(1);
        RateSample {
            delivery_rate: if reliable { (u128::from(delivered) * 1_000_000_000 / ns) as u64 } else { 0 },
            delivered,
            lost: self.lost - p.lost,
            interval,
            total_delivered: self.delivered,
            prior_delivered: p.delivered,
            is_app_limited: p.is_app_limited,
            tx_in_flight: p.tx_in_flight,
        }
    }

    /// All that is out is taken for lost.
    fn on_timeout(&mut self) {
        self.totals.timeouts += 1;
        let flight = self.inflight;
        for p in core::mem::take(&mut self.out) {
            self.lose(&p);
        }
        let first = self.recovery.is_none();
        self.recovery = Some(Episode { begin: self.next_number, end: self.next_number });
        let loss = Loss { now: self.now, flight, smss: SMSS, cause: LossCause::Lost };
        self.cc.on_timeout(&mut self.window, &loss, first);
        self.next_send = self.now;
        self.rto = Instant::NEVER;
    }
}

fn seq(number: u64) -> SeqNum {
    SeqNum((number as u32).wrapping_mul(SMSS))
}
