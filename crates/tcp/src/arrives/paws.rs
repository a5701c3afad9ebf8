//! Protection against wrapped sequences (RFC 7323 5).

use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::tcp::Flags;

/// R1: a segment with an old timestamp is not acceptable, whatever its sequence number; RST is exempt.
//= RFC 7323 3.2 (e)
//= RFC 7323 5.3 (a) (b) (c): R1
//= RFC 7323 5.2 (b): a RST is not judged by its timestamp
pub(super) fn check<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment) -> ControlFlow<Verdict> {
    if !t.negotiated.timestamps || seg.has(Flags::RST) {
        return ControlFlow::Continue(());
    }
    match seg.opts.timestamps {
        Some(ts) if t.rcv.ts_recent.is_old(ts.val, cx.now) => {
            cx.mib.paws_estab += 1;
            ControlFlow::Break(Verdict::Acked(Rule::Paws))
        }
        Some(_) => ControlFlow::Continue(()),
        // A SYN is challenged whatever it carries (RFC 5961 4.2).
        None if seg.has(Flags::SYN) => ControlFlow::Continue(()),
        //= RFC 7323 3.2 (d): a segment without the option SHOULD be dropped silently
        None => ControlFlow::Break(Verdict::Dropped(Rule::MissingTimestamp)),
    }
}

/// R3: an acceptable segment that covers Last.ACK.sent updates TS.Recent.
//= RFC 7323 4.3
//= RFC 7323 5.2 (a) (c): nothing older replaces TS.Recent, and nothing in a RST
pub(super) fn update<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>, seg: &Segment) {
    if let Some(ts) = seg.opts.timestamps
        && t.negotiated.timestamps
        && !seg.has(Flags::RST)
        && seg.seq().le(t.rcv.last_ack_sent)
        && !t.rcv.ts_recent.is_old(ts.val, cx.now)
    {
        t.rcv.ts_recent.update(ts.val, cx.now);
    }
}
