//! SEGMENT ARRIVES in SYN-RECEIVED where there is a block already, for the SYN's text was taken (RFC 7413 4.2.2). What a
//! half-open record does with a segment is done here, on the block; what only a connection can do comes once our SYN is
//! acknowledged.

use super::step1_sequence::acceptable;
use super::{conclude, synchronized};
use crate::connection::{Connection, Farewell, Phase};
use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

pub(super) fn on_segment<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
    let Phase::Synchronized(t) = &mut c.phase else { return Connection::GONE };
    if seg.has(Flags::SYN) && !seg.has(Flags::RST | Flags::ACK) && seg.seq() == t.rcv.irs {
        // The client did not get our SYN+ACK. Sent again as it was, with its timer running on. The text of the SYN is here
        // already, whether this one has it or not.
        t.counters.segs_in += 1;
        t.snd.rtt.retransmitted();
        if t.snd.cursor.gt(t.snd.iss) {
            t.probe_due = Some(SendReason::SynAckRetransmission);
        }
        return Verdict::Acked(Rule::SynAgain);
    }
    let plain = seg.has(Flags::ACK) && !seg.has(Flags::RST) && !seg.has(Flags::SYN);
    let inside = acceptable(seg.seq(), seg.len(), t.rcv.nxt, t.rcv.wnd());
    if plain && inside && !(seg.hdr.ack.gt(t.snd.una) && seg.hdr.ack.le(t.snd.nxt)) {
        // Our SYN is not what it acknowledges: answered, and the handshake goes on.
        t.counters.segs_in += 1;
        let why = SendReason::Reset;
        c.farewell = Some(Farewell { seq: seg.hdr.ack, ack: SeqNum(0), flags: Flags::RST, ts: None, why });
        return Verdict::Reset(Rule::HandshakeBadAck);
    }
    let verdict = synchronized(t, cx, seg);
    if t.state != State::SynReceived {
        c.early = None; // the cookie was given, or the client does not need it
    }
    conclude(c, cx, seg, verdict);
    verdict
}

/// Our SYN is acknowledged.
//= RFC 7413 4.2.2 (g)
pub(super) fn established<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) {
    t.transition(cx, Trigger::RcvAckOfSyn);
    t.events |= Events::CONNECTED | Events::WRITABLE;
}
