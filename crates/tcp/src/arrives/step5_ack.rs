//! Fifth, check the ACK field (RFC 9293 3.10.7.4 with RFC 5961 5.2).

use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::snd::{Heard, Told};
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
    //= RFC 5961 5.2 (a) (b): (SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT
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
    } else if ack == t.snd.una {
        let duplicate = is_duplicate(t, seg);
        // Also when nothing is out any more: what came twice is told after it was acknowledged.
        //= RFC 8985 7.4.2 (a): nor is that both copies of a loss probe have arrived
        let asked = t.snd.recovery.tlp.end() == Some(ack);
        let something = t.snd.flight() > 0 || asked || !seg.opts.sack.is_empty();
        let news = something && hear(t, cx, seg, duplicate).news;
        let changed = update_window(t, cx, seg);
        match (news, changed) {
            (true, _) => Rule::DuplicateAck,
            (false, true) => Rule::WindowUpdate,
            (false, false) => Rule::PureAck,
        }
    } else {
        //= RFC 9293 3.10.7.4: fifth, only if SND.UNA =< SEG.ACK
        Rule::PureAck
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
    t.snd.flight() > 0 && repeats(t, seg)
}

/// All but the first of them.
fn repeats(t: &Tcb, seg: &Segment) -> bool {
    seg.is_empty() && seg.hdr.ack == t.snd.una && u32::from(seg.hdr.window) << t.snd.shift == t.snd.wnd && t.snd.wnd > 0
}

/// The sending half takes what the segment says.
fn hear<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment, duplicate: bool) -> Heard {
    let echo = seg.opts.timestamps.filter(|ts| t.negotiated.timestamps && ts.ecr != 0);
    let told = Told {
        ack: seg.hdr.ack,
        blocks: if t.negotiated.sack { seg.opts.sack.as_slice() } else { &[] },
        sack: t.negotiated.sack,
        echo: echo.map(|ts| ts.ecr.wrapping_sub(t.negotiated.ts_offset)),
        duplicate,
        repeated: repeats(t, seg),
    };
    t.snd.feedback(cx, &told, &mut t.again)
}

/// SND.UNA moves to SEG.ACK.
pub(super) fn advance<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) {
    let ack = seg.hdr.ack;
    if t.state == State::SynReceived {
        super::fast_open::established(t, cx);
    }
    measure(t, cx, seg);
    let heard = hear(t, cx, seg, false);
    let s = &mut t.snd;
    if s.up.lt(ack) {
        s.up = ack;
    }
    if s.small_end.lt(ack) {
        s.small_end = ack; // dragged along, so that it never falls half the circle behind
    }
    //= RFC 8985 7.2 (a)
    s.recovery.tlp.since = cx.now;
    // An orphan has to take what is worth a segment, or all that is left: one that drips would keep it for ever.
    if !t.orphan || heard.acked >= u32::from(s.mss) || (s.flight() == 0 && !s.has_pending()) {
        s.retries = 0;
    }
    t.counters.bytes_acked += u64::from(heard.acked);
    t.after_ack(cx, heard.restart);
}

/// Takes a round-trip time: of the one segment that is being timed, else by timestamp.
//= RFC 6298 3 (a) (b)
//= RFC 7323 3.2 (b), 4.1: not reached without ACK
fn measure<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>, seg: &Segment) {
    if let Some(rtt) = t.snd.rtt.acknowledged(seg.hdr.ack, cx.now) {
        t.snd.rtt.sample(rtt, cx.cfg);
    } else if t.snd.rtt.backoff > 0
        && t.negotiated.timestamps
        && let Some(ts) = seg.opts.timestamps
    {
        // Only where it is needed: a millisecond is coarse beside what is measured above.
        let ms = (cx.now.as_millis() as u32).wrapping_add(t.negotiated.ts_offset).wrapping_sub(ts.ecr);
        if ts.ecr != 0 && ms < 1 << 30 {
            t.snd.rtt.sample(Duration::from_millis(u64::from(ms)), cx.cfg);
        }
    }
}

/// SND.WND follows the latest segment. True if it changed.
//= RFC 9293 3.10.7.4: fifth, SND.WL1, SND.WL2
fn update_window<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) -> bool {
    let s = &mut t.snd;
    if !(s.wl1.lt(seg.seq()) || (s.wl1 == seg.seq() && s.wl2.le(seg.hdr.ack))) {
        return false;
    }
    //= RFC 9293 3.1 MUST-1 REC-1
    //= RFC 7323 2.3 (c)
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
        if self.write_blocked && self.snd.has_room(cx.cfg, cx.pool.memory()) {
            self.write_blocked = false;
            self.events |= Events::WRITABLE;
        }
    }
}
