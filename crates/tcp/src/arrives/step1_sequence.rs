//! First, check the sequence number (RFC 9293 3.10.7.4; the table of 3.4).

use super::paws;
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rcv::Rcv;
use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// The four cases of the acceptability test (RFC 9293 3.4, table 6).
pub(crate) fn acceptable(seq: SeqNum, len: u32, nxt: SeqNum, wnd: u32) -> bool {
    match (len, wnd) {
        (0, 0) => seq == nxt,
        (0, _) => seq.within(nxt, wnd),
        (_, 0) => false,
        _ => seq.within(nxt, wnd) || (seq + (len - 1)).within(nxt, wnd) || (seq.lt(nxt) && (seq + len).gt(nxt + wnd)),
    }
}

/// Judges the sequence number, updates TS.Recent, and trims the segment to the window.
pub(super) fn check<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &mut Segment) -> ControlFlow<Verdict> {
    let (nxt, wnd) = (t.rcv.nxt, t.rcv.wnd());
    if seg.seq() == nxt && seg.payload.len() as u32 <= wnd && !seg.has(Flags::SYN) && !seg.has(Flags::FIN) {
        paws::update(t, cx, seg); // the segment that everybody waits for
        return ControlFlow::Continue(());
    }
    // An empty segment exactly at the right edge comes from a peer that has filled our window: its acknowledgment is
    // as good as any, although the table of 3.4 stops one short.
    let at_edge = seg.is_empty() && seg.seq() == nxt + wnd && !seg.has(Flags::RST);
    // A RST counts whatever text it carries, and whether or not there is room for it.
    //= RFC 9293 3.4 MUST-66
    let len = if seg.has(Flags::RST) { 0 } else { seg.len() };
    if !at_edge && !acceptable(seg.seq(), len, nxt, wnd) {
        return unacceptable(t, cx, seg);
    }
    paws::update(t, cx, seg);
    if seg.seq().lt(nxt) && !seg.has(Flags::RST) && !seg.has(Flags::SYN) {
        // A part of it was received before: reported by D-SACK, then cut.
        duplicate(t, cx, seg.seq(), nxt.min(seg.end()));
    }
    if !seg.has(Flags::RST) && !seg.has(Flags::SYN) {
        seg.trim(nxt, nxt + wnd);
    }
    ControlFlow::Continue(())
}

fn unacceptable<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &mut Segment) -> ControlFlow<Verdict> {
    let (nxt, wnd) = (t.rcv.nxt, t.rcv.wnd());
    if seg.has(Flags::RST) {
        return ControlFlow::Break(Verdict::Dropped(Rule::ResetOutside));
    }
    // A SYN, wherever it lies, is challenged (RFC 5961 4.2): it is an old duplicate of nothing.
    if seg.has(Flags::SYN) {
        return ControlFlow::Break(Verdict::Acked(Rule::SynInSynchronized));
    }
    // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept
    // valid ACKs": the text is left for later, and the sender told again how things stand.
    //= RFC 9293 3.4 MUST-66
    if wnd == 0 && seg.seq() == nxt {
        seg.hdr.flags = seg.hdr.flags.without(Flags::FIN | Flags::PSH);
        seg.payload.truncate(0);
        t.rcv.ack.now(crate::rule::SendReason::UnacceptableAck);
        return ControlFlow::Continue(());
    }
    if seg.end().le(nxt) || seg.seq().lt(nxt) {
        //= RFC 9293 3.8.4: a probe is an empty segment at SND.NXT-1 (one with an octet of garbage is old text to us)
        if seg.payload.is_empty() && seg.seq() == nxt - 1 && !seg.has(Flags::FIN) {
            let used = accept_ack(t, cx, seg);
            return ControlFlow::Break(Verdict::Acked(if used { Rule::OldWithNews } else { Rule::KeepaliveProbe }));
        }
        duplicate(t, cx, seg.seq(), seg.end().min(nxt));
        let used = accept_ack(t, cx, seg);
        return ControlFlow::Break(Verdict::Acked(if used { Rule::OldWithNews } else { Rule::OldDuplicate }));
    }
    ControlFlow::Break(Verdict::Acked(Rule::OutsideWindow))
}

/// The peer is alive, and what it acknowledges in a segment whose text is old is still worth knowing: without it
/// two ends that both lost their last acknowledgments would only repeat themselves. True if it acknowledged something new.
/// RFC 9293 3.10.7.4 has such a segment dropped whole: what we do stands in `compliance/exceptions.toml`.
fn accept_ack<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) -> bool {
    // Only close behind RCV.NXT, where a retransmission can be: nobody who guesses half of all sequence numbers may
    // acknowledge for the peer (RFC 5961 5).
    let near = t.rcv.nxt.since(seg.seq()) <= t.rcv.buf.max(65_535);
    if near && seg.has(Flags::ACK) && seg.hdr.ack.ge(t.snd.una) && seg.hdr.ack.le(t.snd.nxt) {
        t.heard(cx.now);
        if seg.hdr.ack.gt(t.snd.una) {
            super::step5_ack::advance(t, cx, seg);
            super::step5_ack::fin_acknowledged(t, cx);
            return true;
        }
    }
    false
}

/// Text came twice.
//= RFC 2883 4
fn duplicate<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, left: SeqNum, right: SeqNum) {
    if t.negotiated.sack && cx.cfg.dsack && left.lt(right) {
        cx.mib.dsack_old_sent += 1;
        t.sack.duplicate(left, right);
    }
}

impl Rcv {
    /// Whether `seq` lies in the window.
    pub(crate) fn contains(&self, seq: SeqNum) -> bool {
        seq.within(self.nxt, self.wnd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 9293 3.4
    fn the_four_cases_at_both_edges_and_across_the_wrap() {
        for base in [0u32, 1000, u32::MAX - 3, u32::MAX] {
            let n = SeqNum(base);
            assert!(acceptable(n, 0, n, 0));
            assert!(!acceptable(n + 1, 0, n, 0) && !acceptable(n - 1, 0, n, 0));
            assert!(acceptable(n, 0, n, 10) && acceptable(n + 9, 0, n, 10));
            assert!(!acceptable(n + 10, 0, n, 10) && !acceptable(n - 1, 0, n, 10));
            assert!(!acceptable(n, 1, n, 0));
            assert!(acceptable(n, 1, n, 10) && acceptable(n + 9, 5, n, 10) && acceptable(n - 4, 5, n, 10));
            assert!(!acceptable(n + 10, 1, n, 10) && !acceptable(n - 5, 5, n, 10));
            assert!(acceptable(n - 5, 100, n, 10), "it covers the whole window");
        }
    }
}
