//! SEGMENT ARRIVES in CLOSED (RFC 9293 3.10.7.1): nobody is there, and the sender is told so.

use crate::segment::Segment;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// A reset to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Its SEG.SEQ.
    pub seq: SeqNum,
    /// Its SEG.ACK; meaningful if ACK is among the flags.
    pub ack: SeqNum,
    /// RST, or RST and ACK.
    pub flags: Flags,
}

/// The reset that answers `seg`; none for a segment that is a reset itself.
//= RFC 9293 3.10.7.1
//= RFC 9293 3.5.2 (group 1)
pub fn reset_for(seg: &Segment) -> Option<Reset> {
    if seg.has(Flags::RST) {
        return None;
    }
    Some(if seg.has(Flags::ACK) {
        Reset { seq: seg.hdr.ack, ack: SeqNum(0), flags: Flags::RST }
    } else {
        Reset { seq: SeqNum(0), ack: seg.end(), flags: Flags::RST | Flags::ACK }
    })
}
