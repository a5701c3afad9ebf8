//! ABORT (RFC 9293 3.10.5).

use crate::connection::{Connection, Farewell, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::state::{State, Trigger};
use synfin_wire::tcp::Flags;

impl Connection {
    /// Ends the connection at once. In the states where the peer still believes in it, it is told by a RST:
    /// `<SEQ=SND.NXT><CTL=RST>`.
    pub fn abort<P: Probe>(&mut self, cx: &mut Cx<'_, P>, why: SendReason) {
        let mut state = self.state();
        if matches!(state, State::Closed) {
            return;
        }
        let farewell = match &self.phase {
            Phase::Synchronized(t) => {
                // Both FINs are known there: only text that nobody will read is worth a word (RFC 9293 3.6.1, SHLD-3).
                let over = matches!(t.state, State::Closing | State::LastAck);
                let silent = t.state == State::TimeWait || (over && why != SendReason::ResetUnread);
                (!silent).then(|| Farewell {
                    seq: t.snd.nxt,
                    ack: t.rcv.nxt,
                    flags: Flags::RST | Flags::ACK,
                    ts: t.timestamps(cx.now),
                    why,
                })
            }
            Phase::SynReceived(s) => Some(s.farewell(cx, why)),
            Phase::SynSent(_) | Phase::Closed => None,
        };
        // TIME-WAIT has a record of its own; what is left here is only the user's side of it.
        if state != State::TimeWait {
            cx.transition(&mut state, Trigger::Abort);
        }
        self.finish(cx, CloseReason::Aborted, farewell);
    }
}
