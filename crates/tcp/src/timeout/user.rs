//! The user timeout (RFC 9293 3.10.8, RFC 5482 for the idea of setting it per connection). "In any state": handshakes
//! have it too, from the OPEN on; one from LISTEN has no block for a timer and keeps to it by the lengths of its waits.

use super::Ended;
use crate::config::TcpConfig;
use crate::connection::{Connection, Phase};
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

impl Connection {
    /// How long the user waits for a handshake that was begun actively: as the settings say now.
    //= RFC 9293 3.10.8
    pub(crate) fn arm_patience(&mut self, cfg: &TcpConfig) {
        let opening = matches!(self.phase, Phase::SynSent(_) | Phase::SynReceived(_));
        let patience = [cfg.connect_timeout, cfg.user_timeout].into_iter().filter(|d| opening && !d.is_zero()).min();
        self.give_up = patience.map_or(Instant::NEVER, |d| self.opened + d);
    }
}

/// "Flush all queues, signal the user, delete the TCB, enter the CLOSED state."
//= RFC 9293 3.10.8
pub(super) fn expired() -> Ended {
    Ended { reason: CloseReason::TimedOut, farewell: None }
}
