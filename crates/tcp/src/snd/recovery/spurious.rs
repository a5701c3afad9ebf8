//! Losses that were none: found by what the peer echoes (Eifel, RFC 3522), by what came twice (D-SACK, RFC 3708), and after a
//! timeout by what arrives although it was never sent again (F-RTO, RFC 5682). Then the window is put back (RFC 4015).

use crate::snd::congestion::Window;
use crate::snd::ecn::Answered;
use crate::time::Instant;
use synfin_wire::SeqNum;

/// What is put back if a loss was none.
#[derive(Debug, Clone, Copy)]
pub struct Undo {
    /// SND.UNA when recovery began: what lies before is not part of it.
    marker: SeqNum,
    /// The window then.
    pub window: Window,
    /// When the first segment was sent again, in milliseconds.
    resent_at: Option<u32>,
    /// Segments sent again that the peer has not reported twice.
    pending: u32,
    /// Where the first and the last of them lie.
    range: Option<(SeqNum, SeqNum)>,
    /// SND.NXT when recovery was over: what was sent again has arrived, or not, when this is acknowledged.
    end: Option<SeqNum>,
    /// Marks were told of meanwhile: the path is congested, whatever was lost.
    pub marked: bool,
    /// For what window marks were answered before.
    pub answered: Answered,
}

impl Undo {
    /// Recovery begins; how things stand before it answers anything.
    pub fn new(una: SeqNum, window: Window, answered: Answered) -> Undo {
        Undo { marker: una, window, resent_at: None, pending: 0, range: None, end: None, marked: false, answered }
    }

    /// `start..end` was sent again, in pieces of `piece` octets.
    pub fn resent(&mut self, now: Instant, start: SeqNum, end: SeqNum, piece: u32) {
        //= RFC 3522 3.2 (a): steps (1) and (2)
        self.resent_at.get_or_insert(now.as_millis() as u32);
        self.pending += end.since(start).div_ceil(piece.max(1));
        self.range = Some(self.range.map_or((start, end), |(from, to)| (from.min(start), to.max(end))));
    }

    /// Recovery is over, with SND.NXT at `nxt`: of what was sent again word may still come for a round trip.
    pub fn ends_at(&mut self, nxt: SeqNum) {
        self.end = Some(nxt);
    }

    /// Whether with SND.UNA at `una` no more word of it is to be expected: what comes twice now is of something else.
    pub fn is_over(&self, una: SeqNum) -> bool {
        self.end.is_some_and(|end| una.gt(end))
    }

    /// Whether an acknowledgment that moves SND.UNA was caused by what had been sent before anything was sent again.
    //= RFC 3522 3.2 (b): step (4)
    //= RFC 4015 2: one of three ways to tell
    pub fn echoes_the_original(&self, echo: Option<u32>) -> bool {
        matches!((echo, self.resent_at), (Some(ms), Some(at)) if (ms.wrapping_sub(at) as i32) < 0)
    }

    /// `left..right` came twice. Whether now all that was sent again has come twice.
    //= RFC 2883 4
    //= RFC 3708 3
    pub fn came_twice(&mut self, left: SeqNum, right: SeqNum, una: SeqNum, piece: u32) -> bool {
        let sent_again = self.range.is_some_and(|(from, to)| left.ge(from.max(self.marker)) && right.le(to));
        if self.pending == 0 || !sent_again || right.gt(una) {
            return false;
        }
        self.pending = self.pending.saturating_sub(right.since(left).div_ceil(piece.max(1)));
        self.pending == 0
    }
}

/// Forward RTO-recovery: where it stands after a timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frto {
    /// It is off, or has decided that the timeout was right.
    #[default]
    Off,
    /// Only the first segment was sent again; what the first acknowledgment says is waited for.
    Waiting,
    /// It acknowledged new data: up to two new segments go, instead of old ones.
    Probing,
}

impl Frto {
    /// An acknowledgment after the timeout; one that neither moves SND.UNA, nor is a duplicate, nor tells of more is none. True
    /// if the timeout was spurious.
    //= RFC 5682 2.1 (f) (g) (h) (i): without SACK
    //= RFC 5682 3.1 (e) (f) (g) (i) (j): with SACK
    pub fn on_ack(&mut self, a: &AfterTimeout) -> bool {
        let (next, spurious) = match *self {
            // Step 2 with SACK: duplicates only tell the scoreboard; without, they end it (2a).
            Frto::Waiting if a.sack && !a.advanced => (Frto::Waiting, false),
            Frto::Waiting if a.advanced && a.repaired && !a.all && a.more => (Frto::Probing, false), // step 2b
            Frto::Probing if a.original && !(a.sack && a.beyond) => (Frto::Off, true),               // step 3b
            _ => (Frto::Off, false),                                                                 // steps 2a and 3a
        };
        *self = next;
        spurious
    }
}

/// What an acknowledgment after a timeout says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AfterTimeout {
    /// SACK was agreed on: what duplicates tell of can be seen.
    pub sack: bool,
    /// It moves SND.UNA.
    pub advanced: bool,
    /// All that was sent again is acknowledged.
    pub repaired: bool,
    /// All is acknowledged that was out at the timeout.
    pub all: bool,
    /// It delivers something that was sent once, before the timeout.
    pub original: bool,
    /// It delivers something that was sent for the first time after the timeout.
    pub beyond: bool,
    /// There is new text that may go.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn undo() -> Undo {
        Undo::new(SeqNum(1000), Window { cwnd: 10_000, ssthresh: 5_000 }, Answered::default())
    }

    #[test]
    //= RFC 3522 3.2 (a) (b)
    fn an_echo_from_before_the_retransmission_is_of_the_original() {
        let mut u = undo();
        assert!(!u.echoes_the_original(Some(1)), "nothing was sent again");
        u.resent(Instant::ZERO + Duration::from_millis(50), SeqNum(1000), SeqNum(2000), 1000);
        u.resent(Instant::ZERO + Duration::from_millis(90), SeqNum(2000), SeqNum(3000), 1000);
        assert!(u.echoes_the_original(Some(49)));
        assert!(!u.echoes_the_original(Some(50)) && !u.echoes_the_original(None));
        assert!(u.echoes_the_original(Some(50u32.wrapping_sub(1 << 20))), "across the wrap");
    }

    #[test]
    //= RFC 2883 4
    fn when_all_that_was_sent_again_came_twice_nothing_was_lost() {
        let mut u = undo();
        u.resent(Instant::ZERO, SeqNum(1000), SeqNum(3000), 1000);
        u.resent(Instant::ZERO, SeqNum(3000), SeqNum(4000), 1000);
        let una = SeqNum(9000);
        assert!(!u.came_twice(SeqNum(1000), SeqNum(2000), una, 1000));
        assert!(!u.came_twice(SeqNum(0), SeqNum(1000), una, 1000), "of an earlier recovery");
        assert!(!u.came_twice(SeqNum(9000), SeqNum(10_000), una, 1000), "it cannot have come twice");
        assert!(!u.came_twice(SeqNum(4000), SeqNum(6000), una, 1000), "sent once: the network has doubled it");
        assert!(u.came_twice(SeqNum(2000), SeqNum(4000), una, 1000));
        assert!(!u.came_twice(SeqNum(2000), SeqNum(4000), una, 1000), "once");
        assert!(!u.is_over(SeqNum(9000)), "recovery goes on");
        u.ends_at(SeqNum(9000));
        assert!(!u.is_over(SeqNum(9000)) && u.is_over(SeqNum(9001)), "a round trip later");
    }

    /// What two acknowledgments after a timeout lead to: where it then stands, and whether it was found spurious.
    fn after(first: AfterTimeout, second: AfterTimeout) -> (Frto, bool) {
        let mut f = Frto::Waiting;
        assert!(!f.on_ack(&first), "one never decides");
        let spurious = f.on_ack(&second);
        (f, spurious)
    }

    #[test]
    //= RFC 5682 2.1 (f) (g) (h) (i)
    fn without_sack_two_acknowledgments_in_a_row_must_move_on() {
        let partial = AfterTimeout { advanced: true, repaired: true, more: true, ..AfterTimeout::default() };
        let next = AfterTimeout { original: true, ..partial };
        let duplicate = AfterTimeout { more: true, ..AfterTimeout::default() };
        assert_eq!(after(partial, next), (Frto::Off, true), "step 3b");
        assert_eq!(after(partial, AfterTimeout { all: true, ..next }), (Frto::Off, true), "step 3b, everything");
        assert_eq!(after(partial, AfterTimeout { all: true, beyond: true, ..next }), (Frto::Off, true), "and more");
        assert_eq!(after(partial, duplicate), (Frto::Off, false), "step 3a");
        assert_eq!(after(duplicate, next), (Frto::Off, false), "step 2a: a duplicate");
        assert_eq!(after(AfterTimeout { all: true, ..partial }, next), (Frto::Off, false), "step 2a: all at once");
        let some = AfterTimeout { repaired: false, ..partial };
        assert_eq!(after(some, next), (Frto::Off, false), "step 2a: not all of what was sent again");
        let nothing = AfterTimeout { more: false, ..partial };
        assert_eq!(after(nothing, next), (Frto::Off, false), "no new text to ask with");
    }

    #[test]
    //= RFC 5682 3.1 (e) (f) (g) (i) (j)
    fn with_sack_duplicates_before_the_first_acknowledgment_are_waited_out() {
        let sack = AfterTimeout { sack: true, more: true, ..AfterTimeout::default() };
        let news = AfterTimeout { original: true, ..sack };
        let partial = AfterTimeout { advanced: true, repaired: true, ..sack };
        let next = AfterTimeout { original: true, ..partial };
        let mut f = Frto::Waiting;
        for duplicate in [news, sack, news] {
            assert!(!f.on_ack(&duplicate), "it may be what arrived before the timeout");
            assert_eq!(f, Frto::Waiting, "step 2");
        }
        assert_eq!(after(partial, next), (Frto::Off, true), "step 3b");
        assert_eq!(after(partial, news), (Frto::Off, true), "step 3b, by SACK");
        assert_eq!(after(partial, AfterTimeout { all: true, ..next }), (Frto::Off, true), "step 3b, everything");
        assert_eq!(after(partial, sack), (Frto::Off, false), "step 3a: a duplicate that tells nothing");
        assert_eq!(after(partial, AfterTimeout { beyond: true, ..news }), (Frto::Off, false), "step 3a: new text");
        assert_eq!(after(AfterTimeout { all: true, ..partial }, next), (Frto::Off, false), "step 2a");
        let nothing = AfterTimeout { more: false, ..partial };
        assert_eq!(after(nothing, next), (Frto::Off, false), "no new text to ask with");
    }
}
