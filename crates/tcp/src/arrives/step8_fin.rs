//! Eighth, check the FIN bit (RFC 9293 3.10.7.4).

use crate::config::ReceiveWindow;
use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason};
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use synfin_wire::SeqNum;

/// A FIN that is in order ends the peer's direction. One that came early is remembered by its place (`at`); it has
/// effect when the text before it has come. In ESTABLISHED its acknowledgment may wait for our own FIN, so that a prompt
/// close takes three segments: as long as that of text, if text has come lately and is being answered, else briefly.
pub(super) fn process<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, at: Option<SeqNum>) -> Option<Rule> {
    // A FIN before text that has come is nobody's: it contradicts what the peer has sent.
    let text_end = t.text_end();
    if let Some(at) = at.filter(|at| !t.state.peer_closed() && at.ge(text_end)) {
        // Of two FINs in different places the first counts, as with text.
        t.rcv.fin = t.rcv.fin.or(Some(at));
        if at.gt(t.rcv.nxt) {
            t.rcv.ack.now(SendReason::OutOfOrderAck);
        }
    }
    if t.rcv.fin != Some(t.rcv.nxt) {
        return None;
    }
    t.rcv.fin = None;
    // Nothing urgent can follow a FIN.
    t.rcv.up = t.rcv.up.map(|up| up.min(t.rcv.nxt));
    t.rcv.nxt += 1;
    if cx.cfg.rcv_window == ReceiveWindow::FreeBsd {
        // The FIN takes no room in the buffer: the window moves with it.
        t.rcv.edge += 1;
    }
    t.events |= Events::READABLE | Events::PEER_CLOSED;
    match t.state {
        State::Established => {
            let lately = cx.now.since(t.rcv.ack.last_text) <= cx.cfg.delayed_ack;
            t.rcv.ack.soon();
            if !lately {
                t.timers.delayed_ack = t.timers.delayed_ack.min(cx.now + cx.cfg.fin_ack_delay);
            }
        }
        // Nothing of ours can follow that would carry the acknowledgment.
        _ => t.rcv.ack.now(SendReason::Ack),
    }
    let ours_acknowledged = t.snd.fin_seq().is_some_and(|f| t.snd.una.gt(f));
    let trigger =
        if t.state == State::FinWait1 && ours_acknowledged { Trigger::RcvFinAckOfFin } else { Trigger::RcvFin };
    t.transition(cx, trigger);
    Some(Rule::FinInOrder)
}
