//! The persist timer: zero-window probes (RFC 9293 3.8.6.1) and the override timeout of silly-window avoidance
//! (3.8.6.2.1).

use super::{Ended, retransmission::retry_limit};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::tcb::Tcb;
use crate::time::Instant;

/// It runs while something waits, nothing is out whose acknowledgment could open the window, and the window is
/// too small to send. The first probe comes after one RTO (SHLD-29), the next ones at growing distances (SHLD-30).
//= RFC 9293 3.8.6.1 MUST-36 SHLD-29 SHLD-30
//= RFC 9293 3.9.1.2 MUST-60: the override timeout lets small segments go
//= RFC 9293 3.8.6.2.1
pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    let s = &t.snd;
    let mss = u32::from(s.mss);
    // A cork holds what does not fill a segment, and no longer than the window does.
    let corked = cx.cfg.cork && !s.fin && (s.queue.end().diff(s.cursor).max(0) as u32) < mss;
    let too_small = s.usable() < mss || corked;
    let waits = s.out() == 0 && s.has_pending() && too_small && t.probe_due.is_none();
    if !waits || (t.sws_override && s.usable() > 0) {
        t.timers.persist = Instant::NEVER;
    } else if t.timers.persist == Instant::NEVER {
        let wait = if s.wnd == 0 { s.rtt.rto(cx.cfg) } else { cx.cfg.sws_override };
        t.timers.persist = cx.now + wait;
    }
}

/// A peer that answers may keep its window shut for ever (MUST-37): answers reset the count.
//= RFC 9293 3.8.6.1 MUST-37 SHLD-30
pub(super) fn expired<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) -> Option<Ended> {
    t.timers.persist = Instant::NEVER;
    if t.snd.wnd > 0 {
        t.sws_override = true;
        return None;
    }
    if t.snd.retries >= retry_limit(t, cx) {
        return Some(Ended { reason: CloseReason::TimedOut, farewell: None });
    }
    t.snd.retries += 1;
    t.snd.rtt.back_off();
    t.probe_due = Some(SendReason::WindowProbe);
    None
}
