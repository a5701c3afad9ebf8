//! The receiving half: RCV.*, the text on its way to the user, and what acknowledgments are owed.

pub mod ack_policy;
pub mod ecn;
mod queue;
mod reassembly;
mod sack;
mod timestamps;
mod window;

pub use ack_policy::{AckPolicy, Owed};
pub use queue::ReceiveQueue;
pub use reassembly::{Inserted, Reassembly};
pub use sack::SackList;
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
    /// Octets that the user took in the current round trip (dynamic right-sizing).
    pub drained: u32,
    /// RCV.NXT when the current round trip began.
    pub round: SeqNum,
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
