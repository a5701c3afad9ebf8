//! What an acknowledgment tells the sending half: what has arrived, what is lost, what that means for recovery and for the
//! congestion window, in this order.

use super::Snd;
use super::congestion::{Ack, Congestion, Loss, LossCause, LostPiece, Window};
use super::rate::{Rate, Sampling};
use super::recovery::{AfterTimeout, Answer, DUP_THRESH, Duplicates, Episode, Frto, Phase, Prr, Step, Undo};
use super::scoreboard::{Mark, Record};
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;

/// What an acknowledgment says, as far as it was found acceptable.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// SEG.ACK, not before SND.UNA and not after SND.NXT.
    pub ack: SeqNum,
    /// SACK blocks, as they came; none if SACK was not agreed on.
    pub blocks: &'a [(SeqNum, SeqNum)],
    /// Whether SACK was agreed on.
    pub sack: bool,
    /// The time of sending, in milliseconds, that the timestamp echoes.
    pub echo: Option<u32>,
    /// Whether it is a duplicate by the five conditions of RFC 5681 2.
    pub duplicate: bool,
    /// Whether it is one but for the first: nothing need be out.
    pub repeated: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Octets by which SND.UNA moved.
    pub acked: u32,
    /// Whether it reported text that was not known to have arrived.
    pub news: bool,
    /// Whether the retransmission timer begins anew.
    pub restart: bool,
}

/// How things stood before.
#[derive(Clone, Copy)]
struct Before {
    phase: Phase,
    una: SeqNum,
    flight: u32,
    sacked: u32,
    lost: u64,
}

/// What was delivered.
#[derive(Clone, Copy, Default)]
struct Delivery {
    /// Octets, each once.
    octets: u32,
    /// The round trip of what was sent last, once.
    rtt: Option<Duration>,
    /// Something of it was sent once only, before recovery began.
    original: bool,
    /// Something of it was sent after recovery began, for the first time.
    beyond: bool,
}

impl Snd {
    /// Takes what an acknowledgment says. `again` becomes the reason why lost text goes out next.
    pub fn feedback<P: Probe>(&mut self, cx: &mut Cx<'_, P>, told: &Told<'_>, again: &mut SendReason) -> Heard {
        let before = Before {
            phase: self.recovery.phase,
            una: self.una,
            flight: self.flight(),
            sacked: self.board.sacked(),
            lost: self.rate.lost,
        };
        let acked = told.ack.since(self.una);
        let dsack = came_twice(told, before.una);
        let mut sampling = Sampling::default();
        let mut got = self.deliver(cx, told, &mut sampling, dsack.is_some());
        let news = acked == 0 && got.octets > 0;
        //= RFC 3042 2 (c): with SACK only what it tells has left the network
        if !told.sack {
            got.octets = self.count_duplicates(told, acked, before.flight);
        } else if news {
            //= RFC 6675 2
            self.recovery.duplicates.count = self.recovery.duplicates.count.saturating_add(1);
        } else if acked > 0 {
            self.recovery.duplicates.count = 0;
        }
        if self.board.sacked() > 0 && (before.sacked == 0 || acked > 0) && !self.recovery.is_on() {
            self.recovery.flight_before = before.flight.saturating_sub(acked);
        }
        let rate = self.rate.sample(sampling, cx.now, self.rtt.min());
        self.recovery.rack.on_una(self.una);
        if let Some((left, right)) = dsack {
            cx.mib.dsack_recv += 1;
            self.recovery.rack.on_dsack(self.nxt);
            let twice = |u: &mut Undo| u.came_twice(left, right, told.ack, u32::from(self.mss));
            if self.recovery.undo().is_some_and(twice) && self.board.may_undo() {
                cx.mib.dsack_undo += 1;
                self.undo(cx, acked);
            }
        }
        let bare = told.repeated && told.blocks.is_empty();
        if self.recovery.tlp.on_ack(told.ack, dsack.map(|d| d.1), bare) == Answer::Repaired {
            cx.mib.loss_probe_recovery += 1;
            //= RFC 8985 7.4.2 (b)
            if !self.recovery.is_on() {
                self.react(cx, before.flight, before.una);
                self.window.cwnd = self.window.cwnd.min(self.window.ssthresh);
                // What was lost is there already: recovery ends where it begins.
                self.congestion.get().on_recovered(&mut self.window, cx.now);
            }
        }
        let original = |u: &mut Undo| u.echoes_the_original(told.echo);
        if self.recovery.is_on() && acked > 0 && self.recovery.undo().is_some_and(original) && self.board.may_undo() {
            self.undo(cx, acked);
        }
        self.find_losses(cx, told, acked);
        self.judge_probe(cx, again);
        if self.recovery.frto != Frto::Off && (acked > 0 || got.octets > 0 || told.duplicate) {
            self.after_timeout(cx, told, &got, acked);
        }
        let timed_out = self.recovery.phase == Phase::Loss;
        let restart = self.move_on(cx, told, &before, &got, again);
        let lost = (self.rate.lost - before.lost) as u32;
        self.control(cx, &before, &got, rate, lost, timed_out);
        Heard { acked, news: news || (told.duplicate && !told.sack), restart: acked > 0 && restart }
    }

    /// SND.UNA moves, and the scoreboard learns. In the order of sequence numbers, so that nothing looks reordered that is not.
    //= RFC 9293 3.10.7.4: fifth, SND.UNA <- SEG.ACK
    //= RFC 6675 5 (a) (g), 5.1 (b): in every phase
    //= RFC 2018 5
    fn deliver<P: Probe>(
        &mut self,
        cx: &mut Cx<'_, P>,
        told: &Told<'_>,
        sampling: &mut Sampling,
        dsack: bool,
    ) -> Delivery {
        let now = cx.now;
        let min_rtt = self.rtt.min();
        let mut got = Delivery::default();
        let Snd { board, recovery, rate, .. } = self;
        let recover = recovery.recover;
        let mut each = |r: &Record| {
            //= RFC 9937 6.2 (a)
            got.octets += r.len();
            rate.delivered(sampling, r, now);
            recovery.rack.delivered(r, now, min_rtt, told.echo);
            if !r.resent {
                let rtt = now.since(r.sent);
                //= RFC 9406 4.3 (b)
                got.rtt = Some(got.rtt.map_or(rtt, |least| least.min(rtt)));
                got.original |= r.end.le(recover);
            }
            got.beyond |= r.end.gt(recover);
        };
        board.acknowledge(told.ack, cx.pool, &mut each);
        if !told.blocks.is_empty() {
            let mut blocks = [(told.ack, told.ack); 4];
            let mut n = 0;
            for b in told.blocks.iter().skip(usize::from(dsack)).take(4) {
                if b.0.ge(told.ack) && b.0.lt(b.1) && b.1.le(self.nxt) {
                    blocks[n] = *b;
                    n += 1;
                }
            }
            blocks[..n].sort_unstable_by_key(|b| b.0.since(told.ack));
            for (left, right) in &blocks[..n] {
                board.sack(*left, *right, &mut each);
            }
        }
        self.una = told.ack;
        self.cursor = self.cursor.max(told.ack);
        self.queue.acknowledge(told.ack, cx.pool);
        if let Some(rtt) = got.rtt {
            self.rtt.least(rtt, now);
            self.recovery.tlp.measured = true;
        }
        got
    }

    /// Without SACK: what duplicates, and the acknowledgment that follows them, say has left the network.
    fn count_duplicates(&mut self, told: &Told<'_>, acked: u32, flight: u32) -> u32 {
        let smss = u32::from(self.mss);
        let r = &mut self.recovery;
        if acked > 0 {
            return r.duplicates.acknowledged(acked, smss);
        }
        if !told.duplicate {
            return 0;
        }
        if r.duplicates.count == 0 {
            r.flight_before = flight;
        }
        let counted = r.duplicates.octets;
        let most = match r.phase {
            Phase::Recovery => counted.saturating_add(r.episode().prr.credible()),
            // The third begins recovery, if it may; if not, there is no more to be had by further ones.
            //= RFC 3042 2 (a)
            _ => smss.saturating_mul(if self.una.gt(r.recover) { DUP_THRESH } else { DUP_THRESH - 1 }),
        };
        // The first segment has not left: it is what is missing.
        r.duplicates.another(smss, most.min(flight.saturating_sub(self.board.lost().max(smss.min(flight)))));
        r.duplicates.octets - counted
    }

    fn find_losses<P: Probe>(&mut self, cx: &mut Cx<'_, P>, told: &Told<'_>, acked: u32) {
        if told.sack {
            self.detect(cx);
            return;
        }
        let (una, r) = (self.una, &self.recovery);
        let partial = r.is_on() && acked > 0 && una.lt(r.recover);
        let fast = !r.is_on() && r.duplicates.enough(una, r.recover);
        if partial || fast {
            //= RFC 6582 3.2 (step 3)
            self.lose(cx, |board, each| board.lose_first(each));
        }
    }

    /// Looks for losses by time, or by what lies above them; also when the reordering timer has expired.
    //= RFC 8985 9.2: by one of them, never by both
    //= RFC 6675 5 (c): by segments that are SACKed, not by duplicates
    pub(crate) fn detect<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        self.recovery.reorder = Instant::NEVER;
        if cx.cfg.rack {
            let reo_wnd = self.recovery.reo_wnd(self.board.sacked_pieces(), self.rtt.min(), self.rtt.smoothed());
            if let Some(o) = self.recovery.rack.overdue(cx.now, reo_wnd).filter(|o| !self.board.in_order(o)) {
                let mut next = Instant::NEVER;
                self.lose(cx, |board, each| next = board.detect(&o, each));
                self.recovery.reorder = next;
            }
        } else if let Some(limit) = self.board.sacked_above(DUP_THRESH) {
            self.lose(cx, |board, each| board.lose_before(limit, each));
        }
    }

    /// Lets `find` find losses, and tells congestion control of each; not yet of a path MTU probe, which is judged after it.
    pub(crate) fn lose<P: Probe>(
        &mut self,
        cx: &Cx<'_, P>,
        find: impl FnOnce(&mut super::Scoreboard, &mut dyn FnMut(&Record)),
    ) {
        let is_probe = self.is_probe();
        let Snd { board, rate, congestion, window, .. } = self;
        find(board, &mut |r: &Record| {
            if !is_probe(r) {
                tell_lost(rate, congestion, window, r, cx.now);
            }
        });
    }

    /// Tells congestion control of a loss that was kept from it until it was known what it means.
    pub(crate) fn tell_lost(&mut self, r: &Record, now: Instant) {
        tell_lost(&mut self.rate, &mut self.congestion, &mut self.window, r, now);
    }

    /// From one phase to another. Whether the retransmission timer may begin anew.
    fn move_on<P: Probe>(
        &mut self,
        cx: &mut Cx<'_, P>,
        told: &Told<'_>,
        before: &Before,
        got: &Delivery,
        again: &mut SendReason,
    ) -> bool {
        let acked = self.una.since(before.una);
        let smss = u32::from(self.mss);
        let all = self.una.ge(self.recovery.recover);
        let mut restart = true;
        match self.recovery.phase {
            Phase::Recovery | Phase::Loss if acked > 0 && all => {
                self.recovered(cx, smss, told.sack);
                // What is missing now is of a flight of its own.
                self.recovery.flight_before = before.flight.saturating_sub(acked);
            }
            Phase::Recovery if acked > 0 && !told.sack => {
                *again = SendReason::PartialAck;
                self.recovery.force = true;
                // Only the first restarts the timer (the impatient variant).
                restart = !core::mem::replace(&mut self.recovery.duplicates.partial, true);
            }
            _ => {}
        }
        if !self.recovery.is_on() {
            //= RFC 6675 5 (c), 5.1 (d)
            if self.congestive() > 0 {
                let newly = got.octets;
                self.enter(cx, before.flight, newly);
                *again = SendReason::FastRetransmit;
            } else if self.una.gt(self.recovery.recover) {
                self.recovery.recover = self.una - 1; // dragged along, so that it never falls half the circle behind
            }
            let una = self.una;
            if self.recovery.undo().is_some_and(|u| u.is_over(una)) {
                self.recovery.episode = None;
            }
        }
        restart
    }

    /// F-RTO hears what an acknowledgment says.
    //= RFC 5682 2.1 (d), 3.1 (h): nothing else is heard
    fn after_timeout<P: Probe>(&mut self, cx: &mut Cx<'_, P>, told: &Told<'_>, got: &Delivery, acked: u32) {
        let waits = self.queue.end().diff(self.nxt).max(0) as u32;
        let said = AfterTimeout {
            sack: told.sack,
            advanced: acked > 0,
            repaired: self.board.again() == 0,
            all: self.una.ge(self.recovery.recover),
            original: got.original,
            beyond: got.beyond,
            more: waits > 0 && self.usable() >= waits.min(u32::from(self.mss)),
        };
        if self.recovery.frto.on_ack(&said) {
            cx.mib.spurious_rtos += 1;
            self.undo(cx, acked);
            //= RFC 5682 2.1 (i), 3.1 (k): recover is SND.UNA, so that a loss of now is found
            //= RFC 4015 4: likewise
            self.recovery.recover = self.una - 1;
        }
    }

    /// Fast recovery begins; `newly` octets were delivered by what tells of the loss.
    //= RFC 5681 3.2 (e)
    //= RFC 6582 3.2 (step 2)
    //= RFC 6675 5 (d)
    //= RFC 8985 7.1
    pub(crate) fn enter<P: Probe>(&mut self, cx: &mut Cx<'_, P>, flight: u32, newly: u32) {
        let undo = Undo::new(self.una, self.window, self.answered());
        self.react(cx, flight, self.una);
        cx.mib.fast_retrans += 1;
        let r = &mut self.recovery;
        (r.phase, r.recover, r.force) = (Phase::Recovery, self.nxt, true);
        //= RFC 9937 6.1 (a) (b)
        let out = self.nxt.since(self.una) - self.board.sacked();
        let prr = Prr::begin(out.saturating_sub(self.recovery.duplicates.octets).saturating_add(newly));
        *self.recovery.episode() = Episode { prr, undo: Some(undo) };
        self.recovery.duplicates.partial = false;
        self.recovery.tlp.reset();
        if newly == 0 && !self.congestion.view().governs_recovery() {
            // No acknowledgment told, but the time: one segment goes.
            let (inflight, ssthresh, smss) = (self.pipe(), self.window.ssthresh, u32::from(self.mss));
            self.window.cwnd =
                self.recovery.episode().prr.on_ack(&Step { delivered: 0, inflight, safe: false, ssthresh, smss });
        }
    }

    /// In recovery the reordering timer has found losses: they make the pipe smaller, and make no room, for nothing has arrived.
    //= RFC 9937 6.2 (d)
    pub(crate) fn no_burst(&mut self) {
        if self.recovery.phase == Phase::Recovery && !self.congestion.view().governs_recovery() {
            let (inflight, ssthresh, smss) = (self.pipe(), self.window.ssthresh, u32::from(self.mss));
            let step = Step { delivered: 0, inflight, safe: false, ssthresh, smss };
            // Where all is lost, nothing would arrive that could make room.
            let room = self.recovery.episode().prr.on_ack(&step).max(smss);
            self.window.cwnd = self.window.cwnd.min(room);
        }
    }

    /// Congestion control answers to a loss of what was sent from `first` on, once in a window of data: not if marks have told
    /// of congestion in the same one, unless it answers those otherwise.
    //= RFC 3168 6.1.2: once in response to dropped and marked packets of one window
    //= RFC 9768 4 (b)
    //= RFC 5681 3.2 (c) (d), 4.3 (a): without what limited transmit has sent
    //= RFC 6675 5 (d): step 4.2
    //= RFC 9438 4.6 (a) (c)
    fn react<P: Probe>(&mut self, cx: &Cx<'_, P>, flight: u32, first: SeqNum) {
        let answered = self.ecn.is_reduced_for(first) && self.congestion.view().answers_marks_as_losses();
        self.recovery.episode = None;
        self.reduced_now();
        if answered {
            // Recovery leads to ssthresh, which an algorithm that lets marks pass may have left anywhere.
            self.window.ssthresh = self.window.ssthresh.min(self.window.cwnd.max(2 * u32::from(self.mss)));
            return;
        }
        let told_by_others = self.board.sacked() > 0 || self.recovery.duplicates.octets > 0;
        let flight = if told_by_others { flight.min(self.recovery.flight_before) } else { flight };
        // Where cwnd, and not the peer's window, is what limits the sender it is what the path bore. FlightSize is short of it
        // by less than a segment, or by what was acknowledged just before the loss was told of, with nothing sent in between.
        let full = self.usage.full() && self.has_pending() && self.wnd >= self.window.cwnd;
        let flight = if full { flight.max(self.window.cwnd) } else { flight };
        let loss = Loss { now: cx.now, flight, smss: u32::from(self.mss), cause: LossCause::Lost };
        self.congestion.get().on_loss(&mut self.window, &loss);
    }

    /// Everything is acknowledged that was out when recovery began.
    //= RFC 9937 6.4 (a)
    //= RFC 6675 5 (e) (f): the scoreboard stays
    //= RFC 5681 3.2 (g), 4.3 (c)
    //= RFC 6582 3.2 (step 3, full acknowledgments)
    fn recovered<P: Probe>(&mut self, cx: &Cx<'_, P>, smss: u32, sack: bool) {
        let fast = self.recovery.phase == Phase::Recovery;
        self.recovery.phase = Phase::Open;
        self.recovery.force = false;
        self.recovery.frto = Frto::Off;
        let nxt = self.nxt;
        match self.recovery.undo().filter(|_| fast) {
            Some(u) => u.ends_at(nxt),
            None => self.recovery.episode = None,
        }
        self.recovery.rack.on_recovered();
        if fast && !self.congestion.view().governs_recovery() {
            let w = &mut self.window;
            // Without SACK, without a burst: cwnd follows what is out.
            let flight = self.nxt.since(self.una);
            w.cwnd = if sack { w.ssthresh } else { w.ssthresh.min(flight.max(smss).saturating_add(smss)) };
        }
        self.recovery.duplicates = Duplicates::default();
        self.congestion.get().on_recovered(&mut self.window, cx.now);
    }

    /// The loss was none: what it changed is put back.
    //= RFC 4015 3.1 (b) (c)
    //= RFC 5682 4
    fn undo<P: Probe>(&mut self, cx: &mut Cx<'_, P>, acked: u32) {
        let Some(u) = self.recovery.episode.take().and_then(|e| e.undo) else { return };
        cx.mib.undo += 1;
        self.board.nothing_lost();
        let timeout = self.recovery.phase == Phase::Loss;
        let r = &mut self.recovery;
        (r.phase, r.force, r.frto, r.duplicates.octets) = (Phase::Open, false, Frto::Off, 0);
        if !u.marked {
            self.not_reduced(u.answered);
        }
        let w = &mut self.window;
        if u.marked {
            // The losses were none, but what they did to the window stays.
            //= RFC 4015 3.4
            if !timeout && !self.congestion.view().governs_recovery() {
                w.cwnd = w.ssthresh;
            }
            return self.congestion.get().on_recovered(&mut self.window, cx.now);
        }
        if timeout {
            // No burst after a pause: slow start leads back to where the window was.
            let burst = acked.min(super::congestion::initial_window(cx.cfg.initial_window, u32::from(self.mss)));
            let out = self.board.pipe().saturating_add(burst);
            w.cwnd = w.cwnd.max(u.window.cwnd.min(out));
            w.ssthresh = u.window.ssthresh.max(u.window.cwnd);
            self.rtt.backoff = 0;
        } else {
            w.cwnd = w.cwnd.max(u.window.cwnd);
            w.ssthresh = u.window.ssthresh;
        }
        self.congestion.get().on_spurious(&mut self.window, cx.now);
    }

    /// The congestion window follows. `timed_out`: the acknowledgment came while a timeout was being recovered.
    fn control<P: Probe>(
        &mut self,
        cx: &Cx<'_, P>,
        before: &Before,
        got: &Delivery,
        rate: Option<super::congestion::RateSample>,
        lost: u32,
        timed_out: bool,
    ) {
        let acked = self.una.since(before.una);
        let smss = u32::from(self.mss);
        let pipe = self.pipe();
        let marked = if got.octets > 0 { self.ecn.on().map_or(0, |e| e.take_marked(got.octets)) } else { 0 };
        let governs = self.congestion.view().governs_recovery();
        if (self.recovery.phase == Phase::Recovery || before.phase == Phase::Recovery) && !governs {
            if got.octets > 0 && self.recovery.phase == Phase::Recovery {
                let safe = acked > 0 && lost == 0;
                let step = Step { delivered: got.octets, inflight: pipe, safe, ssthresh: self.window.ssthresh, smss };
                //= RFC 8985 9.3 (b)
                //= RFC 9937 5
                self.window.cwnd = self.recovery.episode().prr.on_ack(&step);
            }
            return;
        }
        if acked == 0 && got.octets == 0 && lost == 0 {
            return;
        }
        //= RFC 5682 3.1 (f): also if it covers everything that was out
        //= RFC 3465 2.3: after a timeout L = 1, for one ACK may then cover much that was sent long ago
        let limit = match (timed_out, self.pacing(cx.cfg)) {
            (true, _) => 1,
            //= RFC 9406 4.3 (e): no limit where text is paced
            (false, Some(_)) => u32::MAX,
            (false, None) => u32::from(cx.cfg.slow_start_limit),
        };
        let ack = Ack {
            now: cx.now,
            acked,
            delivered: got.octets,
            lost,
            marked,
            smss,
            flight: before.flight,
            pipe,
            limit,
            cwnd_limited: self.usage.limited(&self.window),
            in_recovery: self.recovery.is_on(),
            una: self.una,
            nxt: self.nxt,
            rtt: got.rtt,
            srtt: self.rtt.smoothed(),
            min_rtt: self.rtt.min(),
            rate,
        };
        self.congestion.get().on_ack(&mut self.window, &ack);
        if self.congestion.view().holds_back() {
            self.rate.app_limited(pipe);
        }
    }
}

/// Counts a loss, and tells congestion control.
fn tell_lost(rate: &mut Rate, congestion: &mut Congestion, window: &mut Window, r: &Record, now: Instant) {
    rate.lost += u64::from(r.len());
    let piece = LostPiece {
        seq: r.start,
        total_delivered: rate.delivered,
        len: r.len(),
        tx_in_flight: r.stamp.in_flight,
        lost_before: r.stamp.lost,
        total_lost: rate.lost,
        is_app_limited: r.stamp.app_limited,
        again: r.mark == Mark::LostResent,
    };
    congestion.get().on_lost(window, &piece, now);
}

/// What the first block says came twice: text that is acknowledged, or that the second block covers.
//= RFC 2883 4 5
fn came_twice(told: &Told<'_>, una: SeqNum) -> Option<(SeqNum, SeqNum)> {
    let (left, right) = *told.blocks.first()?;
    if left.ge(right) || left.lt(una - OLDEST) {
        return None;
    }
    let within = |(l, r): &(SeqNum, SeqNum)| left.ge(*l) && right.le(*r);
    (right.le(told.ack) || told.blocks.get(1).is_some_and(within)).then_some((left, right))
}

/// How far behind SND.UNA a D-SACK is believed.
const OLDEST: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 2883 5
    fn a_block_is_judged_by_the_acknowledgment_of_its_own_segment() {
        let b = |left, right| (SeqNum(left), SeqNum(right));
        let una = SeqNum(5_000);
        for (ack, blocks, want) in [
            (5_000, &[b(2_000, 3_000)][..], Some(b(2_000, 3_000))),
            (3_000, &[b(2_000, 3_000)], Some(b(2_000, 3_000))),
            // An older acknowledgment that was overtaken: when it was sent, this lay beyond a hole.
            (1_000, &[b(2_000, 3_000)], None),
            (1_000, &[b(2_000, 3_000), b(2_000, 4_000)], Some(b(2_000, 3_000))),
            (5_000, &[b(6_000, 7_000)], None),
        ] {
            let told = Told { ack: SeqNum(ack), blocks, sack: true, echo: None, duplicate: false, repeated: false };
            assert_eq!(came_twice(&told, una), want, "ACK {ack} with {blocks:?}");
        }
    }
}
