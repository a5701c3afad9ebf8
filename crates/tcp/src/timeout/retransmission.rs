//! The retransmission timer (RFC 6298 5), R1 and R2 (RFC 9293 3.8.3).

use super::Ended;
use crate::cx::Cx;
use crate::event::{CloseReason, Events};
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::snd::congestion::{Loss, LossCause};
use crate::tcb::Tcb;
use crate::time::Instant;

/// It runs while something is unacknowledged.
//= RFC 6298 5.1
//= RFC 6298 5.2
pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    // Before a shut window the persist timer is on, also for the octet of a probe.
    if t.snd.flight() == 0 || (t.snd.wnd == 0 && t.snd.out() == 0) {
        t.timers.retransmission = Instant::NEVER;
    } else if t.timers.retransmission == Instant::NEVER {
        t.timers.retransmission = cx.now + t.snd.rtt.rto(cx.cfg);
    }
}

/// Everything from SND.UNA on goes out again, one segment first; the next timeout is twice as long.
//= RFC 6298 5
//= RFC 6298 5.4
//= RFC 6298 5.5
//= RFC 6298 5.6
//= RFC 5681 4.3: a lost retransmission is counted again
//= RFC 9293 3.8.3 MUST-20
//= RFC 2018 5: from SND.UNA on, whatever was SACKed
//= RFC 2018 5.1
pub(super) fn expired<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) -> Option<Ended> {
    if t.snd.flight() == 0 {
        t.timers.retransmission = Instant::NEVER;
        return None;
    }
    if t.snd.retries >= retry_limit(t, cx) {
        return Some(Ended { reason: CloseReason::TimedOut, farewell: None });
    }
    t.snd.retries += 1;
    t.snd.rtt.back_off();
    t.timers.retransmission = cx.now + t.snd.rtt.rto(cx.cfg);
    if t.snd.retries == cx.cfg.retries1 {
        //= RFC 9293 3.8.3 SHLD-9 SHLD-10
        t.events |= Events::SLUGGISH;
    }
    if t.snd.wnd == 0 {
        // The peer closed its window over what was sent: that is no sign of congestion, only to be asked again.
        t.snd.cursor = t.snd.una;
        //= RFC 9293 3.8.6 MUST-35
        t.probe_due = Some(SendReason::WindowProbe);
        return None;
    }
    cx.mib.timeouts += 1;
    let s = &mut t.snd;
    let smss = u32::from(s.mss);
    let loss = Loss { now: cx.now, flight: s.flight(), smss, cause: LossCause::Lost };
    s.congestion.get().on_timeout(&mut s.window, &loss, s.retries == 1);
    s.ecn.on_reduced(s.nxt);
    s.recovery.on_timeout(s.nxt);
    s.rtt.retransmitted();
    s.cursor = s.una;
    t.sws_override = s.wnd < smss;
    t.again = SendReason::Timeout;
    None
}

/// R2: how often before the connection is given up. A user who has closed waits less long for the kernel of the
/// connection to go (RFC 9293 3.8.3 leaves the value to us; orphans cost memory and nobody waits for them).
//= RFC 9293 3.8.3 MUST-21 SHLD-11
pub(super) fn retry_limit<P: Probe>(t: &Tcb, cx: &Cx<'_, P>) -> u8 {
    if t.orphan { cx.cfg.orphan_retries.min(cx.cfg.retries2) } else { cx.cfg.retries2 }
}
