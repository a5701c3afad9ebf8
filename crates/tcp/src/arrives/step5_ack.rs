//! Fifth, check the ACK field (RFC 9293 3.10.7.4 with RFC 5961 5.2).

use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::snd::congestion::{Ack, Loss, LossCause};
use crate::snd::recovery::Step;
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use crate::time::Duration;
use core::ops::ControlFlow;
use synfin_wire::tcp::Flags;

pub(super) fn process<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) -> ControlFlow<Verdict, Rule> {
    if !seg.has(Flags::ACK) {
        return ControlFlow::Break(Verdict::Dropped(Rule::NoAck));
    }
    let ack = seg.hdr.ack;
    if ack.gt(t.snd.nxt) {
        return ControlFlow::Break(Verdict::Acked(Rule::AckOfUnsent));
    }
    //= RFC 5961 5.2: (SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT
    //= RFC 9293 3.10.7.4 MAY-12
    if ack.lt(t.snd.una - t.snd.max_wnd) {
        return ControlFlow::Break(Verdict::Acked(Rule::AckTooOld));
    }
    // The peer lives and answers: a closed window may stay closed for ever (RFC 9293 3.8.6.1, MUST-37).
    if ack.ge(t.snd.una) {
        // A connection that its user has closed is not kept open for ever, though (RFC 6429 4).
        //= RFC 9293 3.8.6.1 MUST-37
        //= RFC 9293 3.8.6 SHLD-17
        t.snd.retries = if t.snd.wnd == 0 && !t.orphan { 0 } else { t.snd.retries };
    }
    let rule = if ack.gt(t.snd.una) {
        advance(t, cx, seg);
        update_window(t, cx, seg);
        Rule::PureAck
    } else if is_duplicate(t, seg)
        && let arrived @ 1.. = arrived(t, seg)
    {
        (0..arrived).for_each(|_| duplicate(t, cx));
        Rule::DuplicateAck
    } else {
        //= RFC 9293 3.10.7.4: fifth, only if SND.UNA =< SEG.ACK
        let changed = ack.ge(t.snd.una) && update_window(t, cx, seg);
        if changed { Rule::WindowUpdate } else { Rule::PureAck }
    };
    // With a FIN in the same segment both arrows are one (figure 5, note 2): step 8 takes it.
    if !seg.has(Flags::FIN) {
        fin_acknowledged(t, cx);
    }
    if t.state == State::Closed {
        return ControlFlow::Break(Verdict::Accepted(rule));
    }
    ControlFlow::Continue(rule)
}

/// The five conditions of RFC 5681 2.
//= RFC 5681 2
fn is_duplicate(t: &Tcb, seg: &Segment) -> bool {
    t.snd.flight() > 0
        && seg.is_empty()
        && seg.hdr.ack == t.snd.una
        && u32::from(seg.hdr.window) << t.snd.shift == t.snd.wnd
        && t.snd.wnd > 0
}

/// How many segments a duplicate acknowledgment says have arrived.
fn arrived(t: &mut Tcb, seg: &Segment) -> u32 {
    let s = &mut t.snd;
    if t.negotiated.sack { s.recovery.news(s.una, s.nxt, seg.opts.sack.as_slice(), u32::from(s.mss)) } else { 1 }
}

fn duplicate<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) {
    let s = &mut t.snd;
    let (smss, flight) = (u32::from(s.mss), s.flight());
    if s.recovery.on_duplicate(s.una, flight, &mut s.window, smss) == Step::Enter {
        //= RFC 5681 3.2: without what limited transmit has sent
        let loss = Loss { now: cx.now, flight: flight.min(s.recovery.flight_before), smss, cause: LossCause::Lost };
        if !s.ecn.is_reduced_for(s.una) {
            s.congestion.get().on_loss(&mut s.window, &loss);
        }
        s.ecn.on_reduced(s.nxt);
        s.recovery.enter(s.nxt, flight, &mut s.window, smss);
        t.again = SendReason::FastRetransmit;
        cx.mib.fast_retrans += 1;
    }
}

/// SND.UNA moves to SEG.ACK.
pub(super) fn advance<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) {
    let ack = seg.hdr.ack;
    let rtt = measure(t, cx, seg);
    let s = &mut t.snd;
    let (acked, flight) = (ack.since(s.una), s.flight());
    let smss = u32::from(s.mss);
    s.una = ack;
    s.cursor = s.cursor.max(ack);
    s.queue.acknowledge(ack, cx.pool);
    if s.up.lt(ack) {
        s.up = ack;
    }
    if s.small_end.lt(ack) {
        s.small_end = ack; // dragged along, so that it never falls half the circle behind
    }
    // An orphan has to take what is worth a segment, or all that is left: one that drips would keep it for ever.
    if !t.orphan || acked >= smss || (s.flight() == 0 && !s.has_pending()) {
        s.retries = 0;
    }
    t.counters.bytes_acked += u64::from(acked);
    let left = s.flight();
    match s.recovery.on_ack(ack, acked, left, &mut s.window, smss) {
        Step::Open => {
            //= RFC 3465 2.3: after a timeout L = 1, for one ACK may then cover much that was sent long ago
            let limit = if s.recovery.after_timeout { 1 } else { u32::from(cx.cfg.slow_start_limit) };
            let ack = Ack {
                now: cx.now,
                acked,
                delivered: acked,
                lost: 0,
                marked: s.ecn.take_marked(acked),
                smss,
                flight,
                pipe: left,
                limit,
                cwnd_limited: u64::from(flight) + u64::from(acked.max(smss)) >= u64::from(s.window.cwnd),
                in_recovery: s.recovery.after_timeout,
                una: ack,
                nxt: s.nxt,
                rtt,
                srtt: Duration::from_micros(u64::from(s.rtt.srtt_us)),
                min_rtt: s.rtt.min(),
                rate: None,
            };
            s.congestion.get().on_ack(&mut s.window, &ack);
        }
        Step::Partial(restart) => {
            t.again = SendReason::PartialAck;
            if !restart {
                // RFC 6582 3.2 step 3: only the first partial ACK restarts the timer (the impatient variant).
                t.after_ack(cx, false);
                return;
            }
        }
        Step::Left | Step::Stay | Step::Enter => {}
    }
    t.after_ack(cx, true);
}

/// Takes a round-trip time: of the one segment that is being timed, else by timestamp.
//= RFC 6298 3
//= RFC 7323 4.1
fn measure<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>, seg: &Segment) -> Option<Duration> {
    if let Some(rtt) = t.snd.rtt.acknowledged(seg.hdr.ack, cx.now) {
        t.snd.rtt.sample(rtt, cx.cfg);
        return Some(rtt);
    }
    if t.snd.rtt.backoff > 0
        && t.negotiated.timestamps
        && let Some(ts) = seg.opts.timestamps
    {
        // Only where it is needed: a millisecond is coarse beside what is measured above.
        let ms = (cx.now.as_millis() as u32).wrapping_add(t.negotiated.ts_offset).wrapping_sub(ts.ecr);
        if ts.ecr != 0 && ms < 1 << 30 {
            let rtt = Duration::from_millis(u64::from(ms));
            t.snd.rtt.sample(rtt, cx.cfg);
            return Some(rtt);
        }
    }
    None
}

/// SND.WND follows the latest segment. True if it changed.
//= RFC 9293 3.10.7.4: fifth, SND.WL1, SND.WL2
fn update_window<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) -> bool {
    let s = &mut t.snd;
    if !(s.wl1.lt(seg.seq()) || (s.wl1 == seg.seq() && s.wl2.le(seg.hdr.ack))) {
        return false;
    }
    //= RFC 9293 3.1 MUST-1 REC-1
    //= RFC 7323 2.3
    let wnd = u32::from(seg.hdr.window) << s.shift;
    if (seg.hdr.ack + wnd).lt(s.wl2 + s.wnd) {
        cx.mib.window_shrunk += 1;
    }
    let changed = wnd != s.wnd;
    if s.wnd == 0 && wnd > 0 {
        t.restart_after_idle(cx);
        let s = &mut t.snd;
        // The window opens: what was probed goes out with the rest, at once. If nothing but the probe was out, or all of it
        // timed out, timers begin anew; else they go on: what is on its way is not sent again because a window was shut
        // and opened over it (RFC 6298 5).
        if s.out() == 0 {
            s.rtt.backoff = 0;
            t.timers.retransmission = crate::time::Instant::NEVER;
        }
        t.timers.persist = crate::time::Instant::NEVER;
        t.probe_due = None;
        t.again = SendReason::Data;
    }
    let s = &mut t.snd;
    s.wnd = wnd;
    s.wl1 = seg.seq();
    s.wl2 = seg.hdr.ack;
    s.max_wnd = s.max_wnd.max(wnd);
    changed
}

/// If our FIN is acknowledged, the state follows.
pub(super) fn fin_acknowledged<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) {
    if t.snd.fin_seq().is_some_and(|f| t.snd.una.gt(f)) {
        match t.state {
            State::FinWait1 | State::Closing | State::LastAck => t.transition(cx, Trigger::RcvAckOfFin),
            _ => {}
        }
    }
}

impl Tcb {
    /// After SND.UNA moved: the retransmission timer, and the user who waits for room.
    //= RFC 6298 5.2
    //= RFC 6298 5.3
    fn after_ack<P: Probe>(&mut self, cx: &Cx<'_, P>, restart: bool) {
        if restart {
            self.timers.retransmission = crate::time::Instant::NEVER;
        }
        self.timers.user = crate::time::Instant::NEVER;
        if self.write_blocked && self.send_room(cx.cfg) >= cx.cfg.snd_buf / 3 {
            self.write_blocked = false;
            self.events |= Events::WRITABLE;
        }
    }
}
