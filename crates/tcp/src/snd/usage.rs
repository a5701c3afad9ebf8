//! How much of the congestion window is used: one that is not says nothing about the path, and does not grow (RFC 7661 1).

use super::congestion::Window;
use synfin_wire::SeqNum;

/// The most that was out within a round.
///
/// Acknowledgments are often read several at a time, with nothing sent in between. What is out before each of them would say
/// that only the first finds the window in use; what was out when the segments left says what holds for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Octets; [`FULL`] if there was no room for another segment.
    most: u32,
    /// The round is over when everything before this is acknowledged: SND.NXT when it was the most.
    until: SeqNum,
}

/// More than any window.
const FULL: u32 = u32::MAX;

impl Usage {
    /// Nothing was sent yet.
    pub fn new(iss: SeqNum) -> Usage {
        Usage { most: 0, until: iss }
    }

    /// A segment has left: `out` octets are in the network with it, SND.NXT is `nxt`, and cwnd has `room` for more or not.
    pub fn sent(&mut self, out: u32, room: bool, una: SeqNum, nxt: SeqNum) {
        let most = if room { out } else { FULL };
        if most >= self.most || una.ge(self.until) {
            *self = Usage { most, until: nxt };
        }
    }

    //= RFC 9438 4.6 (c), 5.8
    /// Whether there was no room for another segment at some time in the round.
    pub fn full(&self) -> bool {
        self.most == FULL
    }

    /// Whether cwnd was what limited the sender in the round. In slow start, where it doubles, it was if more than half of it
    /// was out.
    pub fn limited(&self, w: &Window) -> bool {
        self.full() || (w.cwnd < w.ssthresh && u64::from(w.cwnd) < 2 * u64::from(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 9438 4.6 (c), 5.8
    fn a_full_window_counts_until_what_filled_it_is_acknowledged() {
        let w = Window { cwnd: 10_000, ssthresh: 5_000 };
        let mut u = Usage::new(SeqNum(0));
        assert!(!u.limited(&w));
        u.sent(9_500, false, SeqNum(0), SeqNum(9_500));
        assert!(u.limited(&w));
        u.sent(3_000, true, SeqNum(8_000), SeqNum(11_000));
        assert!(u.limited(&w), "not all is acknowledged that was out then");
        u.sent(3_000, true, SeqNum(9_500), SeqNum(12_500));
        assert!(!u.limited(&w), "another round, with room");
    }

    #[test]
    fn slow_start_goes_on_while_more_than_half_of_the_window_is_used() {
        let mut u = Usage::new(SeqNum(0));
        u.sent(5_000, true, SeqNum(0), SeqNum(5_000));
        for (cwnd, ssthresh, want) in
            [(9_999, u32::MAX, true), (10_000, u32::MAX, false), (9_999, 9_000, false), (5_000, 5_000, false)]
        {
            assert_eq!(u.limited(&Window { cwnd, ssthresh }), want, "cwnd {cwnd}, ssthresh {ssthresh}");
        }
        u.sent(4_000, true, SeqNum(4_000), SeqNum(8_000));
        assert!(u.limited(&Window { cwnd: 9_999, ssthresh: u32::MAX }), "the most of the round counts");
    }
}
