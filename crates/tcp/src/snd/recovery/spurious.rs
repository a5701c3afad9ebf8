//! Losses that were none: found by what the peer echoes (Eifel, RFC 3522), by what came twice (D-SACK, RFC 3708), and after a
//! timeout by what arrives although it was never sent again (F-RTO, RFC 5682). Then the window is put back (RFC 4015).

use crate::snd::congestion::Window;
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
}

impl Undo {
    /// Recovery begins.
    pub fn new(una: SeqNum, window: Window) -> Undo {
        Undo { marker: una, window, resent_at: None, pending: 0 }
    }

    /// `segments` were sent again.
    pub fn resent(&mut self, now: Instant, segments: u32) {
        self.resent_at.get_or_insert(now.as_millis() as u32);
        self.pending += segments;
    }

    /// Whether an acknowledgment that moves SND.UNA was caused by what had been sent before anything was sent again.
    //= RFC 3522 3.2: step (4)
    pub fn echoes_the_original(&self, echo: Option<u32>) -> bool {
        matches!((echo, self.resent_at), (Some(ms), Some(at)) if (ms.wrapping_sub(at) as i32) < 0)
    }

    /// `left..right` came twice. Whether now all that was sent again has come twice.
    //= RFC 2883 4
    //= RFC 3708 3
    pub fn came_twice(&mut self, left: SeqNum, right: SeqNum, una: SeqNum, piece: u32) -> bool {
        if self.pending == 0 || left.lt(self.marker) || right.gt(una) {
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
    /// An acknowledgment after the timeout. `advanced`: it moves SND.UNA; `all`: beyond all that was out then; `original`: it
    /// delivers something that was sent once, before the timeout; `more`: there is new text that may go. True if the timeout
    /// was spurious.
    //= RFC 5682 3.1
    pub fn on_ack(&mut self, advanced: bool, all: bool, original: bool, more: bool) -> bool {
        let (next, spurious) = match *self {
            Frto::Waiting if advanced && !all && more => (Frto::Probing, false), // step 2b
            Frto::Probing if original => (Frto::Off, true),                      // step 3b
            _ => (Frto::Off, false),
        };
        *self = next;
        spurious
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn undo() -> Undo {
        Undo::new(SeqNum(1000), Window { cwnd: 10_000, ssthresh: 5_000 })
    }

    #[test]
    //= RFC 3522 3.2
    fn an_echo_from_before_the_retransmission_is_of_the_original() {
        let mut u = undo();
        assert!(!u.echoes_the_original(Some(1)), "nothing was sent again");
        u.resent(Instant::ZERO + Duration::from_millis(50), 1);
        u.resent(Instant::ZERO + Duration::from_millis(90), 1);
        assert!(u.echoes_the_original(Some(49)));
        assert!(!u.echoes_the_original(Some(50)) && !u.echoes_the_original(None));
        assert!(u.echoes_the_original(Some(50u32.wrapping_sub(1 << 20))), "across the wrap");
    }

    #[test]
    //= RFC 2883 4
    fn when_all_that_was_sent_again_came_twice_nothing_was_lost() {
        let mut u = undo();
        u.resent(Instant::ZERO, 3);
        let una = SeqNum(9000);
        assert!(!u.came_twice(SeqNum(1000), SeqNum(2000), una, 1000));
        assert!(!u.came_twice(SeqNum(0), SeqNum(1000), una, 1000), "of an earlier recovery");
        assert!(!u.came_twice(SeqNum(9000), SeqNum(10_000), una, 1000), "it cannot have come twice");
        assert!(u.came_twice(SeqNum(2000), SeqNum(4000), una, 1000));
        assert!(!u.came_twice(SeqNum(2000), SeqNum(4000), una, 1000), "once");
    }

    #[test]
    //= RFC 5682 3.1
    fn two_acknowledgments_decide() {
        let after = |first: (bool, bool, bool, bool), second: (bool, bool, bool, bool)| {
            let mut f = Frto::Waiting;
            let a = f.on_ack(first.0, first.1, first.2, first.3);
            (a, f.on_ack(second.0, second.1, second.2, second.3))
        };
        let more = true;
        assert_eq!(after((true, false, false, more), (true, false, true, more)), (false, true), "spurious");
        assert_eq!(after((true, false, false, more), (false, false, false, more)), (false, false), "a duplicate");
        assert_eq!(after((false, false, false, more), (true, false, true, more)), (false, false), "step 2a");
        assert_eq!(after((true, true, true, more), (true, false, true, more)), (false, false), "all at once: not told");
        assert_eq!(
            after((true, false, false, false), (true, false, true, more)),
            (false, false),
            "no new text to ask with"
        );
    }
}
