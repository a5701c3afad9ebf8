//! The receive window (RFC 9293 3.8.6.2.2): how much is offered, never less than before.

use super::Rcv;
use crate::buf::Memory;
use crate::config::TcpConfig;
use synfin_wire::SeqNum;

impl Rcv {
    /// RCV.WND as the peer knows it.
    //= RFC 9293 3.1 REC-1
    pub fn wnd(&self) -> u32 {
        self.edge.diff(self.nxt).max(0) as u32
    }

    /// Room in the receive buffer, in octets: where memory is scarce, for a few segments, and where there is none, for one if
    /// nothing waits for the user.
    //= RFC 9293 3.8.6.1 MAY-8: shut as long as the user does not read
    pub fn free(&self, memory: Memory) -> u32 {
        let held = self.queue.pinned() + self.holes.as_ref().map_or(0, |h| h.pinned());
        // Pinned memory is charged up to twice the buffer: beyond that small segments in large buffers would starve us.
        let over = held.saturating_sub(2 * self.buf as usize).min(self.buf as usize) as u32;
        // Less, rounded to what scaling can express, would be kept back as not worth it.
        let segment = u32::from(self.mss).next_multiple_of(1 << self.shift);
        let share = match memory {
            Memory::Plenty => u32::MAX,
            Memory::Scarce => 4 * segment,
            Memory::Full if self.queue.is_empty() => segment,
            Memory::Full => 0,
        };
        // No field can offer more than 65,535 units.
        self.buf.saturating_sub(self.queue.len()).saturating_sub(over).min(65_535 << self.shift).min(share)
    }

    /// The window to put into a header: the value of the field, and the edge it stands for.
    ///
    /// The edge moves right only by steps worth sending (silly-window avoidance), and never left: what scaling
    /// cannot express is rounded up. Only when a peer of very small segments has let that rounding add up to
    /// `SLACK_UNITS` units is it rounded down, which such a peer sees as a retreat of less than one unit
    /// (RFC 7323 2.4); what was promised before is accepted all the same.
    //= RFC 9293 3.8.6 SHLD-14 (do not shrink the window)
    //= RFC 7323 2.3 (d), 2.4 (b)
    //= RFC 9293 3.8.6.2.2 MUST-39
    pub fn offer(&self, memory: Memory) -> (u16, SeqNum) {
        let unit = 1u32 << self.shift;
        let promised = self.wnd();
        let free = self.free(memory);
        let step = (self.buf / 2).min(u32::from(self.mss)).max(1);
        let rounded = free & !(unit - 1);
        let field = if rounded >= promised.saturating_add(step) {
            rounded / unit
        } else if promised + unit + self.queue.len() <= self.buf.saturating_add(SLACK_UNITS * unit) {
            promised.div_ceil(unit)
        } else {
            promised / unit
        }
        .min(65_535);
        (field as u16, self.edge.max(self.nxt + field * unit))
    }

    /// The window field of a SYN or SYN+ACK, which is never scaled (RFC 7323 2.2).
    //= RFC 7323 2.2 (c)
    pub fn syn_window(cfg: &TcpConfig) -> u16 {
        cfg.first_rcv_buf().min(65_535) as u16
    }

    /// Whether the user's reading has opened the window enough to tell the peer without being asked: it saw the
    /// window shrink to less than half of what there is now, or by two segments' worth.
    pub fn update_is_due(&self, memory: Memory) -> bool {
        let free = self.free(memory) & !((1 << self.shift) - 1);
        let gain = free.saturating_sub(self.wnd());
        gain >= u32::from(self.mss).min(self.buf / 2).max(1)
            && (gain >= self.buf / 4 || self.wnd() < u32::from(self.mss) * 2 || free / 2 >= self.wnd())
    }
}

/// How far rounding up may exceed the buffer, in units of the window scale.
const SLACK_UNITS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rcv::tests::rcv;

    #[test]
    //= RFC 9293 3.8.6.2.2 MUST-39
    fn the_peer_is_told_of_a_window_that_is_worth_it() {
        for (buf, mss, unread, wnd, due) in [
            // Less than a segment is never worth it, though the window is shut: a segment is.
            (60_000, 1_000, 59_001, 0, false),
            (60_000, 1_000, 59_000, 0, true),
            // In a buffer of less than two segments, half of it is.
            (1_000, 1_000, 501, 0, false),
            (1_000, 1_000, 500, 0, true),
            // A peer that can send two segments yet has no need to know of one more,
            (60_000, 1_000, 57_000, 2_000, false),
            // but if it cannot,
            (60_000, 1_000, 57_001, 1_999, true),
            // or if the window is twice as large now,
            (60_000, 1_000, 52_001, 4_000, false),
            (60_000, 1_000, 52_000, 4_000, true),
            // or has grown by a quarter of the buffer.
            (60_000, 1_000, 15_001, 30_000, false),
            (60_000, 1_000, 15_000, 30_000, true),
            // All of it was promised.
            (60_000, 1_000, 0, 60_000, false),
        ] {
            let r = rcv(buf, mss, unread, wnd);
            assert_eq!(r.update_is_due(Memory::Plenty), due, "{unread} of {buf} octets unread, {wnd} promised");
        }
    }

    #[test]
    fn where_memory_is_scarce_a_window_is_a_few_segments_and_where_there_is_none_one_for_a_user_who_reads() {
        use Memory::{Full, Plenty, Scarce};
        for (memory, unread, want) in [
            (Plenty, 0, 60_000),
            (Plenty, 50_000, 10_000),
            (Scarce, 0, 4_000),
            (Scarce, 58_000, 2_000),
            (Full, 0, 1_000),
            (Full, 1, 0),
        ] {
            let mut r = rcv(60_000, 1_000, unread, 0);
            assert_eq!(r.free(memory), want, "{memory:?}, {unread} unread");
            assert_eq!(u32::from(r.offer(memory).0), want);
            // What was promised stays.
            r.edge = r.nxt + 9_000;
            assert_eq!(u32::from(r.offer(memory).0), want.max(9_000));
        }
    }
}
