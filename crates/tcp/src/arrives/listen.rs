//! SEGMENT ARRIVES in LISTEN (RFC 9293 3.10.7.2).

use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use synfin_wire::tcp::Flags;

/// What a listening socket makes of a segment: first RST, second ACK, third SYN, fourth anything else. On
/// `Accepted` a [`super::syn_received::SynReceived`] is due, on `Reset` a [`super::closed::reset_for`].
///
/// A SYN with FIN is taken as the SYN it is: like its text the FIN is not kept, and will be sent again.
//= RFC 9293 3.10.7.2
pub fn judge(seg: &Segment) -> Verdict {
    if seg.has(Flags::RST) {
        Verdict::Dropped(Rule::ResetToListen)
    } else if seg.has(Flags::ACK) {
        Verdict::Reset(Rule::AckToListen)
    } else if seg.has(Flags::SYN) {
        Verdict::Accepted(Rule::SynToListen)
    } else {
        Verdict::Dropped(Rule::NothingToListen)
    }
}
