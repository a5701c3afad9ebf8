//! Second, check the RST bit (RFC 9293 3.10.7.4 with RFC 5961 3.2).

use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::tcp::Flags;

/// Exactly at RCV.NXT it resets; elsewhere in the window it is challenged, so that nobody who only guesses can cut
/// a connection. (Outside the window it was dropped in the first step.)
//= RFC 5961 3.2 (a) (b) (c) (d)
//= RFC 5961 4.2 (c)
pub(super) fn check<P: Probe>(t: &mut Tcb, _: &mut Cx<'_, P>, seg: &Segment) -> ControlFlow<Verdict> {
    if !seg.has(Flags::RST) {
        return ControlFlow::Continue(());
    }
    //= RFC 9293 3.5.3 SHLD-2: with or without text
    if seg.seq() == t.rcv.nxt {
        return ControlFlow::Break(Verdict::Reset(Rule::ResetExact));
    }
    if t.rcv.contains(seg.seq()) {
        return ControlFlow::Break(Verdict::Acked(Rule::ResetInWindow));
    }
    ControlFlow::Break(Verdict::Dropped(Rule::ResetOutside))
}
