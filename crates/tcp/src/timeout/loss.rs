//! The timers of loss detection: RACK's reordering timer, the time to the loss probe (RFC 8985 6.3, 7.2), and pacing's.
//! RFC 8985 8 has them exclude each other and the retransmission timer; here each has a deadline of its own, and the probe,
//! which comes before the retransmission timer, starts that anew.

use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::snd::recovery::Tlp;
use crate::tcb::Tcb;
use crate::time::Instant;

pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    let s = &t.snd;
    t.timers.reorder = if s.flight() == 0 { Instant::NEVER } else { s.recovery.reorder };
    t.timers.probe = if may_probe(t, cx) {
        let one = s.flight() <= u32::from(s.mss);
        let pto = Tlp::pto(s.rtt.smoothed(), one, cx.cfg.tlp_max_ack_delay);
        //= RFC 8985 7.2 (c): not after the retransmission timer
        (s.recovery.tlp.since + pto).min(t.timers.retransmission)
    } else {
        Instant::NEVER
    };
    let s = &mut t.snd;
    if s.flight() == 0 {
        s.recovery.tlp.due = false;
    }
    let waits = s.board.unsent() > 0 || s.has_pending();
    let may = s.pipe() < s.window.cwnd || s.recovery.force;
    let later = waits && may && s.pacer.next > cx.now && s.pacing(cx.cfg).is_some();
    t.timers.pacing = if later { s.pacer.next } else { Instant::NEVER };
}

/// Not while recovery, a SACKed segment or the reordering timer does the same; one probe at a time, with a round trip
/// measured between two of them.
//= RFC 8985 4 (a) (d)
//= RFC 8985 7.2 (a)
//= RFC 8985 7.3 (a) (b) (c)
fn may_probe<P: Probe>(t: &Tcb, cx: &Cx<'_, P>) -> bool {
    let (s, p) = (&t.snd, &t.snd.recovery.tlp);
    let quiet = !s.recovery.is_on() && s.board.sacked() == 0 && s.recovery.reorder == Instant::NEVER;
    let once = p.end().is_none() && p.measured && !p.due && p.since != Instant::NEVER;
    // Everything that is out must be on the scoreboard: nothing was rolled back, our SYN is acknowledged.
    let whole = s.board.pipe() > 0 && s.cursor == s.nxt && s.una.ge(s.queue.base());
    cx.cfg.tlp && cx.cfg.rack && t.negotiated.sack && quiet && once && whole && s.wnd > 0
}

/// The probe goes out.
pub(super) fn probe<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    t.snd.recovery.tlp.due = true;
    t.timers.probe = Instant::NEVER;
    //= RFC 8985 7.3 (g): the retransmission timer is the last resort
    t.timers.retransmission = cx.now + t.snd.rtt.rto(cx.cfg);
}

/// What was not acknowledged within the reordering window is lost.
//= RFC 8985 6.2 (f)
pub(super) fn reordered<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) {
    t.timers.reorder = Instant::NEVER;
    t.snd.detect(cx);
    t.snd.judge_probe(cx, &mut t.again);
    t.snd.no_burst();
    if t.snd.congestive() > 0 && !t.snd.recovery.is_on() {
        let flight = t.snd.flight();
        t.snd.enter(cx, flight, 0);
        t.again = SendReason::FastRetransmit;
    }
}
