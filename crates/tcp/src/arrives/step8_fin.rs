//! Eighth, check the FIN bit (RFC 9293 3.10.7.4).

use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason};
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use synfin_wire::SeqNum;

/// A FIN that is in order ends the peer's direction. One that came early is remembered by its place (`at`); it has
/// effect when the text before it has come. In ESTABLISHED its acknowledgment may wait for our own FIN: a prompt
/// close takes three segments.
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
    t.rcv.up = None;
    t.rcv.nxt += 1;
    t.events |= Events::READABLE | Events::PEER_CLOSED;
    match t.state {
        State::Established => t.rcv.ack.soon(),
        // Nothing of ours can follow that would carry the acknowledgment.
        _ => t.rcv.ack.now(SendReason::Ack),
    }
    let ours_acknowledged = t.snd.fin_seq().is_some_and(|f| t.snd.una.gt(f));
    let trigger =
        if t.state == State::FinWait1 && ours_acknowledged { Trigger::RcvFinAckOfFin } else { Trigger::RcvFin };
    t.transition(cx, trigger);
    Some(Rule::FinInOrder)
}
