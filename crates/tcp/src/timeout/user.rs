//! The user timeout (RFC 9293 3.10.8, RFC 5482 for the idea of setting it per connection).

use super::Ended;
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::tcb::Tcb;
use crate::time::Instant;

/// It runs from the moment something is unacknowledged, or waits before a shut window, until SND.UNA moves.
//= RFC 9293 3.8.3 MUST-21
pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    let waiting = t.snd.flight() > 0 || t.snd.has_pending();
    if cx.cfg.user_timeout.is_zero() || !waiting {
        t.timers.user = Instant::NEVER;
    } else if t.timers.user == Instant::NEVER {
        t.timers.user = cx.now + cx.cfg.user_timeout;
    }
}

/// "Flush all queues, signal the user, delete the TCB, enter the CLOSED state."
//= RFC 9293 3.10.8
pub(super) fn expired() -> Ended {
    Ended { reason: CloseReason::TimedOut, farewell: None }
}
