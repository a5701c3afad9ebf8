//! Fourth, check the SYN bit (RFC 9293 3.10.7.4 with RFC 5961 4.2).

use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::tcp::Flags;

/// In a synchronized state a SYN, wherever it lies, is answered by a challenge ACK: a peer that has really started
/// anew will reset us, and nobody else can use it.
//= RFC 5961 4.2 (a) (b)
pub(super) fn check<P: Probe>(_: &mut Tcb, _: &mut Cx<'_, P>, seg: &Segment) -> ControlFlow<Verdict> {
    if seg.has(Flags::SYN) {
        return ControlFlow::Break(Verdict::Acked(Rule::SynInSynchronized));
    }
    ControlFlow::Continue(())
}
