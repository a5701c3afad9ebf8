//! What ECN puts on segments that leave: AE, CWR and ECE, and the codepoint of their packet.

use super::{Kind, Limits, Plan, control};
use crate::ecn::Feedback;
use crate::tcb::Tcb;
use crate::time::Instant;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::Flags;

/// A client's first acknowledgment goes alone, even if text waits: only so it tells of the SYN+ACK's mark.
//= RFC 9768 3.2.2.1
pub(super) fn first(t: &Tcb) -> Option<Plan> {
    t.rcv.ecn.handshake.and_then(|_| control::ack(t))
}

/// The plan with the flags of ECN.
pub(super) fn stamp(t: &Tcb, mut p: Plan) -> Plan {
    p.flags |= if p.kind == Kind::SynAck { t.rcv.ecn.syn_ack_flags() } else { t.rcv.ecn.flags(is_pure(t, &p)) };
    if is_new(t, &p) {
        p.flags |= t.snd.ecn.cwr();
    }
    p
}

/// Whether the next text has to go as single segments.
///
/// RFC 3168's CWR belongs on one segment, and whoever cuts would repeat it or drop it. ACE is the same on all pieces of a
/// super-segment (RFC 9768 3.3.4), and so is ECE; but what cuts for RFC 3168 clears its middle bit, CWR, from the second piece
/// on, and the peer would read a count that goes to and fro. So while that bit is set a link must not cut; our own cut may.
//= RFC 9768 3.3.4
pub(super) fn single(t: &Tcb, limits: &Limits) -> bool {
    match t.snd.ecn.feedback() {
        Feedback::Off => false,
        Feedback::Classic => t.snd.ecn.cwr().has(Flags::CWR),
        Feedback::Accurate => !limits.repeats_flags && t.rcv.ecn.flags(false).has(Flags::CWR),
    }
}

/// The codepoint of the packet.
pub(super) fn codepoint(t: &Tcb, p: &Plan, control: bool) -> Ecn {
    if p.kind == Kind::SynAck { Ecn::NotEct } else { t.snd.codepoint(is_new(t, p), control) }
}

/// What a segment is, before SND.NXT moves over it: new text, a pure acknowledgment, sent again.
pub(super) fn leaving(t: &Tcb, p: &Plan) -> (bool, bool, bool) {
    (is_new(t, p), is_pure(t, p), p.seq.lt(t.snd.nxt))
}

/// It has left, with `fields` counters in an AccECN option if it had one.
pub(super) fn sent(t: &mut Tcb, now: Instant, p: &Plan, (new, pure, again): (bool, bool, bool), fields: Option<u8>) {
    let pieces = if p.gso > 0 { p.len.div_ceil(u32::from(p.gso)) } else { 1 };
    if let Some(e) = t.snd.ecn.on() {
        e.sent(p.flags, new, u64::from(pieces));
    }
    if let Some(e) = t.rcv.ecn.on() {
        e.sent(now, (p.len > 0).then(|| p.seq + p.len), again, fields);
        if pure {
            e.told_handshake();
        }
    }
}

/// Text that was never sent before. A window probe is none.
fn is_new(t: &Tcb, p: &Plan) -> bool {
    p.kind == Kind::AtCursor && p.len > 0 && p.seq.ge(t.snd.nxt)
}

/// An acknowledgment and nothing else.
fn is_pure(t: &Tcb, p: &Plan) -> bool {
    p.kind == Kind::Ack && (!t.negotiated.sack || t.sack.blocks().1 == 0)
}
