//! Sixth, check the URG bit (RFC 9293 3.10.7.4, RFC 6093).

use crate::event::Events;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::Tcb;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

impl Tcb {
    /// Octets of urgent data that the user has not read; 0 when there is none.
    //= RFC 9293 3.8.5 MUST-33
    pub fn urgent_left(&self) -> u32 {
        let text_end = self.rcv.nxt - u32::from(self.state.peer_closed());
        let read_next = text_end - self.rcv.queue.len();
        self.rcv.up.filter(|up| up.gt(read_next)).map_or(0, |up| up.since(read_next))
    }
}

/// RCV.UP moves forward, and the user is told once for each announcement. The octets themselves stay in line
/// (RFC 6093 4): nothing is indexed by the pointer, so no value of it can do harm.
//= RFC 9293 3.8.5 MUST-30 MUST-31 MUST-32
//= RFC 9293 3.4 MUST-66
pub(super) fn process(t: &mut Tcb, seg: &Segment, up: SeqNum) {
    if !seg.has(Flags::URG) || !matches!(t.state, State::Established | State::FinWait1 | State::FinWait2) {
        return;
    }
    // What RCV.NXT has passed is announced no more; until it is read, it counts as urgent.
    let old = t.rcv.up.filter(|old| old.gt(t.rcv.nxt));
    if up.gt(t.rcv.nxt) && old.is_none_or(|old| up.gt(old)) {
        t.rcv.up = Some(up);
        t.events |= Events::URGENT;
    }
}
