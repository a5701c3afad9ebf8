//! Keepalive (RFC 9293 3.8.4): off by default, and only while nothing is outstanding.

use super::Ended;
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::Instant;

/// The k-th probe goes out when the peer has been silent for idle + k x interval.
//= RFC 9293 3.8.4 MAY-5 MUST-24 MUST-25 MUST-26 MUST-27
pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    let on = cx.cfg.keepalive
        && t.snd.flight() == 0
        && !t.snd.has_pending()
        && matches!(t.state, State::Established | State::CloseWait | State::FinWait2);
    t.timers.keepalive = if on {
        // Of one that is already late (the setting was changed, the process was stopped) every probe still gets its time.
        let first = t.last_heard + cx.cfg.keepalive_idle;
        if t.snd.keepalives == 0 { first } else { t.probed_at + cx.cfg.keepalive_interval }
    } else {
        Instant::NEVER
    };
}

/// One probe more, or the verdict that nobody is there. It takes more than one unanswered probe (MUST-29: a probe may
/// be lost, and pure acknowledgments are not delivered reliably).
//= RFC 9293 3.8.4 MUST-29
pub(super) fn expired<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) -> Option<Ended> {
    if t.snd.keepalives >= cx.cfg.keepalive_count {
        return Some(Ended { reason: CloseReason::TimedOut, farewell: Some(SendReason::KeepaliveReset) });
    }
    t.snd.keepalives += 1;
    t.probed_at = cx.now;
    cx.mib.keep_alive += 1;
    t.probe_due = Some(SendReason::Keepalive);
    None
}
