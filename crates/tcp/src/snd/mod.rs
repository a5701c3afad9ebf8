//! The sending half: SND.* and what decides how much may be sent, and what again.
//!
//! `una <= cursor <= nxt`: everything before `una` is acknowledged, everything before `nxt` was sent once, and new text goes
//! out at `cursor`. What lies between `una` and it is on the [`Scoreboard`], which says what of it is lost and goes again.
//! The cursor is behind `nxt` only where what was sent does not count as sent: a probe of a shut window, text over which the
//! window was shut, segments that were too big for the path.

pub mod busy;
pub mod congestion;
pub mod ecn;
mod feedback;
mod pacing;
mod plpmtu;
mod queue;
mod ranges;
pub mod rate;
mod records;
pub mod recovery;
mod room;
mod rtt;
pub mod scoreboard;
mod usage;

pub use feedback::{Heard, Told};
pub use pacing::Pacer;
pub use plpmtu::Search;
pub use queue::SendQueue;
pub use rate::Rate;
pub use rtt::Rtt;
pub use scoreboard::Scoreboard;
pub use usage::Usage;

use crate::time::Instant;
use alloc::boxed::Box;
use congestion::{Congestion, Window};
use recovery::Recovery;
use synfin_wire::SeqNum;

/// Send-sequence variables and their surroundings.
#[derive(Debug)]
pub struct Snd {
    /// ISS.
    pub iss: SeqNum,
    /// SND.UNA: the oldest unacknowledged.
    pub una: SeqNum,
    /// SND.NXT: the next that was never sent.
    pub nxt: SeqNum,
    /// The next to go out; behind `nxt` while what was sent is sent again.
    pub cursor: SeqNum,
    /// SND.UP: the octet after the urgent data; equal to `una` or before it when there is none.
    pub up: SeqNum,
    /// SND.WND, in octets.
    //= RFC 9293 3.1 REC-1
    pub wnd: u32,
    /// SND.WL1: the segment of the last window update.
    pub wl1: SeqNum,
    /// SND.WL2: the acknowledgment of the last window update.
    pub wl2: SeqNum,
    /// MAX.SND.WND (RFC 5961 5.2, RFC 9293 3.8.6.2.1).
    pub max_wnd: u32,
    /// The most text per segment, timestamps already taken off.
    pub mss: u16,
    /// Snd.Wind.Shift.
    pub shift: u8,
    /// The user has closed this direction: a FIN follows the queue.
    pub fin: bool,
    /// Text of the client's SYN was taken (RFC 7413).
    pub fast_open: bool,
    /// Retransmissions, or probes, since the last acknowledgment.
    pub retries: u8,
    /// Unacknowledged keepalive probes.
    pub keepalives: u8,
    /// The end of the last segment smaller than the MSS (Minshall's variant of Nagle's algorithm).
    pub small_end: SeqNum,
    /// cwnd and ssthresh.
    pub window: Window,
    /// How much of cwnd is used.
    pub usage: Usage,
    /// The algorithm that moves them.
    pub congestion: Congestion,
    /// What marks tell, and which packets can be marked.
    pub ecn: crate::ecn::Part<ecn::Sender>,
    /// What is out, and what of it is lost.
    pub board: Scoreboard,
    /// How losses are found and mended.
    pub recovery: Recovery,
    /// How fast the path delivers.
    pub rate: Rate,
    /// When the next segment may leave.
    pub pacer: Pacer,
    /// Round-trip time and retransmission timeout.
    pub rtt: Rtt,
    /// The search for what the path carries, once there is one.
    pub search: Option<Box<Search>>,
    /// When text was last sent (RFC 5681 4.1).
    pub last_sent: Instant,
    /// The text from `una` on.
    pub queue: SendQueue,
}

impl Snd {
    /// Octets that were sent and not acknowledged (FlightSize, RFC 5681 2).
    pub fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// Octets out since the cursor was last at `una`.
    pub fn out(&self) -> u32 {
        self.cursor.since(self.una)
    }

    /// Octets in the network, as far as is known (RFC 6675 2, RFC 9937 6.2).
    pub fn pipe(&self) -> u32 {
        self.board.pipe().saturating_sub(self.recovery.duplicates.octets)
    }

    /// What is out will be sent as if it never had been.
    pub fn roll_back(&mut self, pool: &mut crate::buf::Pool) {
        if self.recovery.is_on() {
            // Where recovery would have led.
            self.window.cwnd = self.window.cwnd.min(self.window.ssthresh);
        }
        self.cursor = self.una;
        self.board.clear(pool);
        self.recovery.rolled_back(self.nxt);
        if let Some(s) = &mut self.search {
            s.inconclusive();
        }
    }

    /// The sequence number of our FIN, if it is queued: right behind the text.
    pub fn fin_seq(&self) -> Option<SeqNum> {
        self.fin.then(|| self.queue.end())
    }

    /// Whether our FIN was sent.
    pub fn fin_sent(&self) -> bool {
        self.fin_seq().is_some_and(|f| self.nxt.gt(f))
    }

    /// Whether something waits that the cursor has not passed.
    pub fn has_pending(&self) -> bool {
        self.cursor.lt(self.queue.end() + u32::from(self.fin))
    }

    /// What the send window still admits, in octets.
    //= RFC 9293 3.8.6 MUST-34: below zero it is zero
    pub fn usable(&self) -> u32 {
        (self.una + self.wnd).diff(self.cursor).max(0) as u32
    }
}
