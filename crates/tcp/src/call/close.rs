//! CLOSE (RFC 9293 3.10.4): all that was written is delivered first (MUST-12).

use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::state::{State, Trigger};

impl Connection {
    /// Closes the sending direction: a FIN follows what is queued. The peer may go on sending, and we on reading.
    pub fn shutdown_write<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        match &mut self.phase {
            Phase::SynSent(_) => {
                let mut state = State::SynSent;
                cx.transition(&mut state, Trigger::Close);
                self.finish(cx, CloseReason::Aborted, None);
            }
            Phase::SynReceived(s) => {
                let mut tcb = s.close(cx);
                if let Some(e) = &mut self.early {
                    e.take_queue(&mut tcb);
                }
                tcb.snd.fin = true;
                self.phase = Phase::Synchronized(tcb);
            }
            Phase::Synchronized(t) => {
                if matches!(t.state, State::SynReceived | State::Established | State::CloseWait) {
                    t.snd.fin = true;
                    t.transition(cx, Trigger::Close);
                }
            }
            Phase::Closed => {}
        }
        self.settle(cx);
    }

    /// Closes both directions: the user holds the connection no more. With text unread it is reset instead, for
    /// the peer must not believe that it was taken.
    //= RFC 2525 2.17
    //= RFC 9293 3.6.1 MAY-1 SHLD-3
    pub fn close<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        if self.abort_on_close {
            self.abort(cx, SendReason::Abort);
            return;
        }
        self.release(cx.pool);
        let unread = match &self.phase {
            Phase::Synchronized(t) => !t.rcv.queue.is_empty() && t.state != State::TimeWait,
            _ => false,
        };
        if unread {
            cx.mib.abort_on_data += 1;
            self.abort(cx, SendReason::ResetUnread);
            return;
        }
        self.shutdown_write(cx);
        if let Phase::Synchronized(t) = &mut self.phase {
            t.orphan = true;
            t.rcv.closed = true;
        }
        self.settle(cx);
    }
}
