//! The wait for a FIN that may never come, on a connection that its user has closed. The RFC waits for ever; every
//! implementation sets a limit, for it is memory that a silent peer holds (compliance/exceptions.toml).

use super::Ended;
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::Instant;

pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    if t.state != State::FinWait2 || !t.orphan || cx.cfg.fin_wait_2.is_zero() {
        t.timers.fin_wait_2 = Instant::NEVER;
    } else if t.timers.fin_wait_2 == Instant::NEVER {
        t.timers.fin_wait_2 = cx.now + cx.cfg.fin_wait_2;
    }
}

pub(super) fn expired() -> Ended {
    Ended { reason: CloseReason::Finished, farewell: None }
}
