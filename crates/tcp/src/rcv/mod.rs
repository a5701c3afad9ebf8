//! The receiving half: RCV.*, the text on its way to the user, and what acknowledgments are owed.

pub mod ack_policy;
pub mod ecn;
mod queue;
mod reassembly;
mod sack;
mod sizing;
mod timestamps;
mod window;

pub use ack_policy::{AckPolicy, Owed};
pub use queue::ReceiveQueue;
pub use reassembly::{Inserted, Reassembly};
pub use sack::SackList;
pub use sizing::Sizing;
pub use timestamps::TsRecent;

use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// Receive-sequence variables and their surroundings.
#[derive(Debug)]
pub struct Rcv {
    /// IRS.
    pub irs: SeqNum,
    /// RCV.NXT.
    pub nxt: SeqNum,
    /// The right edge of the window that the peer was told last: RCV.NXT + RCV.WND. It never moves left.
    pub edge: SeqNum,
    /// Last.ACK.sent (RFC 7323 4.3).
    pub last_ack_sent: SeqNum,
    /// RCV.UP: the octet after the urgent data, from its announcement until the user has read as far.
    pub up: Option<SeqNum>,
    /// Where the peer's FIN stands, if it came before what precedes it.
    pub fin: Option<SeqNum>,
    /// The size of the receive buffer now.
    pub buf: u32,
    /// What the size follows.
    pub sizing: Sizing,
    /// Rcv.Wind.Shift.
    pub shift: u8,
    /// What the peer may send per segment, as we announced it.
    pub mss: u16,
    /// Nobody will read: the user has closed.
    pub closed: bool,
    /// TS.Recent.
    pub ts_recent: TsRecent,
    /// What acknowledgments are owed.
    pub ack: AckPolicy,
    /// Which marks have come, and how they are fed back.
    pub ecn: crate::ecn::Part<ecn::Receiver>,
    /// Text in order.
    pub queue: ReceiveQueue,
    /// Text out of order.
    pub holes: Option<Box<Reassembly>>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::buf::{Chunk, Pool};
    use crate::ecn::{Found, OptionPolicy, Part};
    use crate::time::Instant;

    /// A buffer of `buf` octets, of which `unread` wait for the user, and `wnd` are what the peer was told.
    pub(crate) fn rcv(buf: u32, mss: u16, unread: usize, wnd: u32) -> Rcv {
        let nxt = SeqNum(1);
        let mut queue = ReceiveQueue::default();
        queue.push(Chunk::copy_of(&alloc::vec![0; unread]), &mut Pool::default());
        Rcv {
            irs: SeqNum(0),
            nxt,
            edge: nxt + wnd,
            last_ack_sent: nxt,
            up: None,
            fin: None,
            buf,
            sizing: Sizing::new(mss, Instant::ZERO),
            shift: 0,
            mss,
            closed: false,
            ts_recent: TsRecent::new(0, Instant::ZERO),
            ack: AckPolicy::new(nxt, 0),
            ecn: Part::new(crate::rcv::ecn::Receiver::new(&Found::default(), OptionPolicy::default(), false)),
            queue,
            holes: None,
        }
    }
}
