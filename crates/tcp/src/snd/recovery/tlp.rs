//! Tail loss probes: when acknowledgments stay away, one segment asks for them before the retransmission timer does
//! (RFC 8985 7).

use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;

/// What is kept between probes.
#[derive(Debug, Clone, Copy)]
pub struct Tlp {
    /// TLP.end_seq: SND.NXT when the last probe was sent.
    end: SeqNum,
    /// It has not been answered.
    out: bool,
    /// TLP.is_retrans: the probe was sent before.
    is_retrans: bool,
    /// When new text was sent, or SND.UNA moved, last: from then on the time to the probe counts.
    pub since: Instant,
    /// It is to be sent.
    pub due: bool,
    /// A round trip was measured since the last probe.
    pub measured: bool,
}

/// What an acknowledgment says of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, or that nothing was lost.
    Fine,
    /// The probe has repaired the loss of the last segment: congestion control is to answer to it.
    Repaired,
}

impl Default for Tlp {
    fn default() -> Self {
        Tlp { end: SeqNum(0), out: false, is_retrans: false, since: Instant::NEVER, due: false, measured: true }
    }
}

impl Tlp {
    /// The time to the probe, PTO, with `flight` segments out.
    //= RFC 8985 7.2 (b) (c): TLP_calc_PTO
    pub fn pto(srtt: Duration, one_segment: bool, max_ack_delay: Duration) -> Duration {
        if srtt.is_zero() {
            return Duration::from_secs(1);
        }
        2 * srtt + if one_segment { max_ack_delay } else { SLACK }
    }

    /// The probe is sent, with SND.NXT after it at `nxt`.
    //= RFC 8985 7.3 (a): TLP_send_probe
    pub fn sent(&mut self, nxt: SeqNum, is_retrans: bool) {
        *self = Tlp { end: nxt, out: true, is_retrans, since: Instant::NEVER, due: false, measured: false };
    }

    /// Recovery begins: no probe is out any more, but that none was measured since the last one is remembered.
    //= RFC 8985 7.1: TLP_init
    //= RFC 8985 7.3 (b): a timeout measures nothing
    pub fn reset(&mut self) {
        *self = Tlp { measured: self.measured, ..Tlp::default() };
    }

    /// TLP.end_seq of the probe that has not been answered.
    pub fn end(&self) -> Option<SeqNum> {
        self.out.then_some(self.end)
    }

    /// What an acknowledgment of everything before `ack` says of a probe that is out. `dsack`: the end of what came twice.
    /// `bare`: it is a duplicate without any SACK.
    //= RFC 8985 7.4.2 (a): TLP_process_ack
    pub fn on_ack(&mut self, ack: SeqNum, dsack: Option<SeqNum>, bare: bool) -> Answer {
        if !self.out || ack.lt(self.end) {
            return Answer::Fine;
        }
        let in_vain = !self.is_retrans || dsack == Some(self.end);
        let repaired = !in_vain && ack.gt(self.end);
        self.out = !(in_vain || repaired || bare);
        if repaired { Answer::Repaired } else { Answer::Fine }
    }
}

/// Added to PTO when more than one segment is out: the least that timers can tell apart.
const SLACK: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 8985 7.2 (b) (c)
    fn the_time_to_the_probe() {
        let ms = Duration::from_millis;
        assert_eq!(Tlp::pto(Duration::ZERO, true, ms(200)), ms(1000));
        assert_eq!(Tlp::pto(ms(50), true, ms(200)), ms(300));
        assert_eq!(Tlp::pto(ms(50), false, ms(200)), ms(102));
    }

    #[test]
    //= RFC 8985 7.4.2 (a)
    fn a_probe_that_was_needed_is_told_from_one_that_was_not() {
        let sent = |is_retrans| {
            let mut t = Tlp::default();
            t.sent(SeqNum(5000), is_retrans);
            t
        };
        let (before, at, after) = (SeqNum(4000), SeqNum(5000), SeqNum(5001));
        let mut t = sent(true);
        assert_eq!((t.on_ack(before, None, false), t.out), (Answer::Fine, true));
        assert_eq!((t.on_ack(at, None, false), t.out), (Answer::Fine, true), "it may still come twice");
        assert_eq!((t.on_ack(after, None, false), t.out), (Answer::Repaired, false));
        let mut t = sent(true);
        assert_eq!((t.on_ack(at, Some(SeqNum(5000)), false), t.out), (Answer::Fine, false), "both arrived");
        let mut t = sent(true);
        assert_eq!((t.on_ack(at, None, true), t.out), (Answer::Fine, false), "both arrived, without D-SACK");
        let mut t = sent(false);
        assert_eq!((t.on_ack(after, None, false), t.out), (Answer::Fine, false), "new text tells by itself");
    }
}
