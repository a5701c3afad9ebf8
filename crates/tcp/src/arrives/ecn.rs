//! What ECN makes of an arriving segment: feedback for the sending half, marks for the receiving one.

use crate::cx::Cx;
use crate::ecn::Feedback;
use crate::probe::Probe;
use crate::rcv::ecn::{Packet, Wants};
use crate::rule::{Rule, SendReason};
use crate::segment::Segment;
use crate::tcb::Tcb;
use crate::time::Duration;
use synfin_wire::tcp::Flags;

/// Feedback is taken and answered, before SND.UNA moves; of an acknowledgment that the fifth step will accept.
pub(super) fn feedback<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment, newer: bool) {
    let current = seg.has(Flags::ACK) && seg.hdr.ack.ge(t.snd.una) && seg.hdr.ack.le(t.snd.nxt);
    if t.snd.ecn.feedback() == Feedback::Off || !current {
        return;
    }
    let before = t.snd.ecn.cep;
    if t.snd.ecn_feedback(seg, newer) {
        // What it was sent for is answered; what an acknowledgment that ends recovery tells of is of the next window.
        let busy = t.snd.recovery.is_on() && seg.hdr.ack.lt(t.snd.recovery.recover);
        t.snd.answer_marks(cx.now, seg.hdr.ack, busy);
    }
    cx.mib.delivered_ce += u64::from(t.snd.ecn.cep.wrapping_sub(before));
    if let Some(e) = t.rcv.ecn.on() {
        e.acknowledged(seg.hdr.ack);
    }
}

/// The segment is acceptable: its mark counts, and may ask for an acknowledgment at once.
//= RFC 9768 4 (c) (d)
pub(super) fn arrived<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>, seg: &Segment, text: u32) -> Wants {
    let unacknowledged = !seg.payload.is_empty() || t.rcv.nxt != t.rcv.ack.acked;
    let Some(e) = t.rcv.ecn.on() else { return Wants::Nothing };
    e.peer_sends |= seg.opts.acc_ecn.is_some();
    let pieces = if seg.gro > 0 { text.div_ceil(u32::from(seg.gro)).max(1) } else { 1 };
    let packet = Packet { ecn: seg.ecn, flags: seg.hdr.flags, text, pieces, unacknowledged };
    let srtt = Duration::from_micros(u64::from(t.snd.rtt.srtt_us));
    let beacon = srtt.checked_div(u32::from(cx.cfg.accecn_beacon)).unwrap_or(Duration::MAX);
    e.arrived(cx.now, beacon, &packet)
}

/// Once the text has asked for its own acknowledgment: one that goes anyway does not go twice.
pub(super) fn acknowledge(t: &mut Tcb, wants: Wants) {
    match wants {
        Wants::Nothing => {}
        Wants::Ack => t.rcv.ack.now(SendReason::CongestionAck),
        Wants::AckOfAcks => t.rcv.ack.now(SendReason::AckOfAcks),
    }
}

/// The segment was refused, and is answered: if it is the peer's SYN+ACK, the answer tells of its mark.
pub(super) fn refused(t: &mut Tcb, seg: &Segment, rule: Rule) {
    if rule == Rule::SynInSynchronized
        && seg.has(Flags::SYN | Flags::ACK)
        && seg.seq() == t.rcv.irs
        && let Some(e) = t.rcv.ecn.on()
    {
        e.syn_ack_again(seg.ecn);
    }
}

/// Whether the segment's timestamp is later than any before it, which tells its acknowledgment from an old one.
pub(super) fn is_newer(t: &Tcb, seg: &Segment) -> bool {
    t.negotiated.timestamps
        && seg.opts.timestamps.is_some_and(|ts| (ts.val.wrapping_sub(t.rcv.ts_recent.val) as i32) > 0)
}
