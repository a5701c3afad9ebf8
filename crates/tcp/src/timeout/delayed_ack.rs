//! The delayed-acknowledgment timer (RFC 9293 3.8.6.3, MUST-40: under half a second).

use crate::cx::Cx;
use crate::probe::Probe;
use crate::rcv::Owed;
use crate::rule::SendReason;
use crate::tcb::Tcb;
use crate::time::Instant;

pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    if t.rcv.ack.owed != Owed::Soon {
        t.timers.delayed_ack = Instant::NEVER;
    } else if t.timers.delayed_ack == Instant::NEVER {
        t.timers.delayed_ack = cx.now + cx.cfg.delayed_ack;
    }
}

//= RFC 9293 3.8.6.3 MUST-40
pub(super) fn expired<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) {
    t.timers.delayed_ack = Instant::NEVER;
    if t.rcv.ack.owed == Owed::Soon {
        cx.mib.delayed_acks += 1;
        t.rcv.ack.owed = Owed::Now(SendReason::DelayedAck);
    }
}
