//! Sixth, check the URG bit (RFC 9293 3.10.7.4, RFC 6093).

use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::Tcb;
use synfin_wire::tcp::Flags;

/// RCV.UP moves forward, and the user is told once for each announcement. The octets themselves stay in line
/// (RFC 6093 4): nothing is indexed by the pointer, so no value of it can do harm.
//= RFC 9293 3.8.5 MUST-31 MUST-32 SHLD-13
pub(super) fn process<P: Probe>(t: &mut Tcb, _: &mut Cx<'_, P>, seg: &Segment) {
    if !seg.has(Flags::URG) || !matches!(t.state, State::Established | State::FinWait1 | State::FinWait2) {
        return;
    }
    let up = seg.seq() + u32::from(seg.hdr.urgent);
    if t.rcv.up.is_none_or(|old| up.gt(old)) && up.gt(t.rcv.nxt) {
        t.rcv.up = Some(up);
        t.events |= Events::URGENT;
    }
}
