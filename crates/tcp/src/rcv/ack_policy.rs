//! When an acknowledgment is sent (RFC 9293 3.8.6.3, RFC 5681 4.2).
//!
//! A handler says what it owes; the way out pays, with the data or FIN that is on its way if there is some. What is
//! only owed "soon" waits for the delayed-acknowledgment timer.

use crate::rule::SendReason;
use crate::time::Instant;
use synfin_wire::SeqNum;

/// What is owed to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owed {
    /// Nothing.
    #[default]
    Nothing,
    /// An acknowledgment soon; the timer runs.
    Soon,
    /// An acknowledgment now.
    Now(SendReason),
}

/// What speaks for an acknowledgment sooner than it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hurry {
    /// Nothing: the user does not want it.
    Never,
    /// Nothing yet.
    Little,
    /// Nothing: we have sent text since the peer's last, and may again.
    Answered,
    /// The last text was pushed and is not acknowledged yet: it will be when it is read.
    Pushed,
}

/// The state of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckPolicy {
    /// What is owed.
    pub owed: Owed,
    /// Up to where the peer's text was acknowledged when something was last sent.
    pub acked: SeqNum,
    /// Segments still to be acknowledged at once; renewed after a silence.
    pub quick: u8,
    /// What speaks for an acknowledgment sooner than it must be.
    pub hurry: Hurry,
    /// Acknowledgments to be sent once more as they are, for further segments out of order.
    pub repeat: u8,
    /// When text came last.
    pub last_text: Instant,
    /// When the last challenge ACK or answer to an unacceptable empty segment was owed.
    pub last_challenge: Instant,
}

impl AckPolicy {
    /// At the beginning of a connection, `quick` segments are acknowledged at once.
    pub fn new(nxt: SeqNum, quick: u8) -> AckPolicy {
        AckPolicy {
            owed: Owed::Nothing,
            acked: nxt,
            quick,
            hurry: Hurry::Little,
            repeat: 0,
            last_text: Instant::ZERO,
            last_challenge: Instant::NEVER,
        }
    }

    /// Owes an acknowledgment now; the first reason stands, unless it was the least of all.
    //= RFC 5681 4.2 (b)
    //= RFC 9293 3.10.7.4 MUST-58 MUST-59: owed once, however many segments ask for it
    pub fn now(&mut self, why: SendReason) {
        if !matches!(self.owed, Owed::Now(first) if first != SendReason::AckOfAcks) {
            self.owed = Owed::Now(why);
        }
    }

    /// Owes an acknowledgment soon.
    pub fn soon(&mut self) {
        if self.owed == Owed::Nothing {
            self.owed = Owed::Soon;
        }
    }

    /// Text arrived, in order or not. If we have sent none since the peer's last, no answer is likely to carry the
    /// acknowledgment, and the peer may wait for it. After `silence` (more than an RTO) the peer has begun anew, with one
    /// segment after a timeout or with the restart window after a pause (RFC 5681 3.1, 4.1): `quick` segments are
    /// acknowledged at once, as when the connection began. Text that is `pushed` is the last that the peer can send for
    /// now: its user has no more, or its window is full.
    pub fn text(&mut self, silence: bool, pushed: bool, quick: u8) {
        self.hurry = match self.hurry {
            Hurry::Never => Hurry::Never,
            Hurry::Answered => Hurry::Little,
            Hurry::Little | Hurry::Pushed => {
                if silence {
                    self.quick = self.quick.max(quick);
                }
                if pushed && quick > 0 { Hurry::Pushed } else { Hurry::Little }
            }
        };
    }

    /// We have sent text.
    pub fn answered(&mut self) {
        if self.hurry != Hurry::Never {
            self.hurry = Hurry::Answered;
        }
    }

    /// The user asks for `count` acknowledgments at once, or, with 0, for none before its time.
    pub fn set_quick(&mut self, count: u8) {
        self.quick = count;
        self.hurry = match self.hurry {
            _ if count == 0 => Hurry::Never,
            Hurry::Never => Hurry::Little,
            same => same,
        };
    }

    /// The user has read all there is: what was pushed is acknowledged no later.
    pub fn read(&mut self) {
        if self.hurry == Hurry::Pushed && self.owed == Owed::Soon {
            self.now(SendReason::Ack);
        }
    }

    /// Text arrived in order, RCV.NXT is `nxt` now. The second segment is acknowledged at once, full-sized or not, two
    /// full-sized ones that came as one, and everything while the peer is likely to be in slow start.
    //= RFC 9293 3.8.6.3 SHLD-18 SHLD-19
    //= RFC 5681 4.2 (a)
    pub fn text_in_order(&mut self, nxt: SeqNum, full: u32) {
        if self.quick > 0 {
            self.quick -= 1;
            self.now(SendReason::Ack);
        } else if self.owed == Owed::Soon || nxt.since(self.acked) >= 2 * full {
            self.now(SendReason::Ack);
        } else {
            self.soon();
        }
    }

    /// A segment arrived out of order. Each is answered, even if several come before anything can be sent: a sender
    /// without SACK counts the duplicates, though none beyond the third.
    //= RFC 5681 4.2 (b)
    //= RFC 9293 3.10.7.4 MAY-13
    pub fn out_of_order(&mut self) {
        if matches!(self.owed, Owed::Now(_)) {
            self.repeat = (self.repeat + 1).min(MOST_REPEATS);
        }
        self.now(SendReason::OutOfOrderAck);
    }

    /// An acknowledgment up to `nxt` has gone out, alone (`pure`) or with something else.
    pub fn sent(&mut self, nxt: SeqNum, pure: bool) {
        self.acked = nxt;
        if self.hurry == Hurry::Pushed {
            self.hurry = Hurry::Little;
        }
        if pure && self.repeat > 0 {
            self.repeat -= 1;
            self.owed = Owed::Now(SendReason::OutOfOrderAck);
        } else {
            self.repeat = 0;
            self.owed = Owed::Nothing;
        }
    }

    /// Whether a challenge ACK may be owed: per connection and interval one (RFC 5961 7), so that neither an
    /// attacker nor two confused peers make us send without end, and no global counter tells anything.
    //= RFC 5961 7
    pub fn may_challenge(&mut self, now: Instant, interval: core::time::Duration) -> bool {
        let ok = self.last_challenge == Instant::NEVER || now.since(self.last_challenge) >= interval;
        if ok {
            self.last_challenge = now;
        }
        ok
    }
}

/// With the acknowledgment itself these make the duplicates that fast retransmit waits for, and one that is none.
const MOST_REPEATS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 9293 3.8.6.3 SHLD-18 SHLD-19
    fn every_second_full_segment_at_once_the_rest_soon() {
        let mut a = AckPolicy::new(SeqNum(u32::MAX - 500), 0);
        a.text_in_order(a.acked + 1000, 1000);
        assert_eq!(a.owed, Owed::Soon);
        a.text_in_order(a.acked + 2000, 1000);
        assert_eq!(a.owed, Owed::Now(SendReason::Ack));
        a.sent(SeqNum(1500), true);
        assert_eq!(a.owed, Owed::Nothing);
        // Two that came as one, and one and a half.
        for (octets, want) in [(2000, Owed::Now(SendReason::Ack)), (1500, Owed::Soon)] {
            let mut a = AckPolicy::new(SeqNum(0), 0);
            a.text_in_order(a.acked + octets, 1000);
            assert_eq!(a.owed, want, "{octets} octets");
        }
    }

    #[test]
    fn quick_at_the_start() {
        let mut a = AckPolicy::new(SeqNum(0), 2);
        for want in [Owed::Now(SendReason::Ack), Owed::Now(SendReason::Ack), Owed::Soon] {
            a.text_in_order(a.acked + 1, 1000);
            assert_eq!(a.owed, want);
            a.sent(a.acked + 1, true);
        }
    }

    #[test]
    fn after_a_silence_at_once_again_and_what_was_pushed_as_soon_as_it_is_read() {
        let full = 1000;
        let mut a = AckPolicy::new(SeqNum(0), 0);
        a.text(true, false, 16);
        a.text_in_order(a.acked + full, full);
        assert_eq!((a.owed, a.quick), (Owed::Now(SendReason::Ack), 15));

        for (pushed, want) in [(true, Owed::Now(SendReason::Ack)), (false, Owed::Soon)] {
            let mut a = AckPolicy::new(SeqNum(0), 0);
            a.text(false, pushed, 16);
            a.text_in_order(a.acked + full, full);
            assert_eq!(a.owed, Owed::Soon);
            a.read();
            assert_eq!(a.owed, want);
            a.sent(a.acked + full, true);
            a.soon();
            a.read();
            assert_eq!(a.owed, Owed::Soon, "only what was pushed");
        }

        // Not if we have answered, if it was turned off, or if it never was on.
        let plain = AckPolicy::new(SeqNum(0), 0);
        let (mut answered, mut never, mut none) = (plain, plain, plain);
        answered.answered();
        answered.text(true, true, 16);
        never.set_quick(0);
        never.text(true, true, 16);
        never.answered();
        none.text(true, true, 0);
        assert_eq!((answered, never, none), (plain, AckPolicy { hurry: Hurry::Never, ..plain }, plain));
        never.set_quick(9);
        assert_eq!(never, AckPolicy { quick: 9, ..plain });
    }

    #[test]
    //= RFC 5681 4.2 (b)
    //= RFC 9293 3.10.7.4 MAY-13
    fn several_out_of_order_at_once_are_several_duplicates_though_not_without_end() {
        for (segments, want) in [(1, 1), (2, 2), (3, 3), (50, 4)] {
            let mut a = AckPolicy::new(SeqNum(0), 0);
            (0..segments).for_each(|_| a.out_of_order());
            let mut sent = 0;
            while matches!(a.owed, Owed::Now(_)) {
                sent += 1;
                a.sent(SeqNum(0), true);
            }
            assert_eq!(sent, want, "{segments}");
        }
    }

    #[test]
    //= RFC 5961 7
    fn challenges_are_limited_in_rate() {
        let mut a = AckPolicy::new(SeqNum(0), 0);
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let half = core::time::Duration::from_millis(500);
        let got: std::vec::Vec<bool> = [0, 1, 499, 500, 900, 1000].map(|ms| a.may_challenge(at(ms), half)).into();
        assert_eq!(got, [true, false, false, true, false, true]);
    }
}
