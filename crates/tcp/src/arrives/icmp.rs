//! What ICMP errors do to a connection (RFC 9293 3.9.2.2), as far as RFC 5927 lets them.

use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::state::{State, Trigger};
use synfin_wire::SeqNum;
use synfin_wire::icmp::Unreachable;

/// An ICMP error about a segment of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpError {
    /// Destination unreachable.
    Unreachable(Unreachable),
    /// Time exceeded or parameter problem: soft.
    Other,
    /// The path carries less than we send; the most text per segment (without options) is given.
    TooBig(u16),
}

impl Connection {
    /// Handles an ICMP error that quotes a segment of ours with sequence number `seq`. False if it was ignored: the
    /// quoted segment is not in flight, so whoever sent the error has only guessed (RFC 5927 4.1).
    //= RFC 9293 3.9.2.2 MUST-54
    pub fn on_icmp<P: Probe>(&mut self, cx: &mut Cx<'_, P>, error: IcmpError, seq: SeqNum) -> bool {
        //= RFC 5927 4.1: SND.UNA =< SEG.SEQ < SND.NXT
        let in_flight = match &self.phase {
            Phase::SynSent(s) => seq == s.open.iss,
            Phase::SynReceived(s) => seq == s.iss,
            Phase::Synchronized(t) => seq.ge(t.snd.una) && seq.lt(t.snd.nxt),
            Phase::Closed => false,
        };
        if !in_flight {
            return false;
        }
        if let (Phase::SynSent(_), Some(e)) = (&self.phase, &mut self.early) {
            e.blocked();
        }
        let soft = match error {
            IcmpError::TooBig(mss) => return self.path_mss(cx, mss, seq),
            IcmpError::Unreachable(Unreachable::Net) => CloseReason::NetUnreachable,
            IcmpError::Unreachable(Unreachable::Host | Unreachable::Other(_)) => CloseReason::HostUnreachable,
            IcmpError::Unreachable(Unreachable::Protocol | Unreachable::Port | Unreachable::Prohibited) => {
                //= RFC 5927 5.2: hard errors abort only where there is no connection yet
                //= RFC 9293 3.9.2.2 SHLD-26
                if matches!(self.phase, Phase::SynSent(_)) {
                    cx.mib.attempt_fails += 1;
                    let mut state = State::SynSent;
                    cx.transition(&mut state, Trigger::RcvRst);
                    self.finish(cx, CloseReason::Refused, None);
                    return true;
                }
                CloseReason::HostUnreachable
            }
            IcmpError::Other => CloseReason::HostUnreachable,
        };
        //= RFC 9293 3.9.2.2 MUST-47 MUST-56 SHLD-25: soft errors do not abort; they become the reason if it times out
        self.soft = Some(soft);
        true
    }

    /// What a router said of the path is too old to be believed: segments may again be as large as the handshake allows.
    //= RFC 1191 6.3
    //= RFC 8201 5.3
    pub fn on_path_forgotten<P: Probe>(&mut self, cx: &Cx<'_, P>) {
        let Phase::Synchronized(t) = &mut self.phase else { return };
        let most = t.negotiated.text();
        if let Some(s) = &mut t.snd.search {
            // Who has met a black hole does not take the way on trust: a probe asks first.
            return s.restart(most, cx.now);
        }
        t.snd.mss = most;
        // Else a whole segment could never leave.
        t.snd.window.cwnd = t.snd.window.cwnd.max(u32::from(t.snd.mss));
        t.settle(cx);
    }

    /// The path carries at most `mss` octets of text per segment without options. Only downwards here.
    //= RFC 7323 5.7
    //= RFC 9293 3.7.1 MUST-16
    fn path_mss<P: Probe>(&mut self, cx: &mut Cx<'_, P>, mss: u16, seq: SeqNum) -> bool {
        let mss = mss.max(cx.cfg.mss_min);
        match &mut self.phase {
            Phase::SynSent(s) => s.open.mss_limit = s.open.mss_limit.min(mss),
            Phase::SynReceived(s) => s.negotiated.snd_mss = s.negotiated.snd_mss.min(mss),
            Phase::Synchronized(t) => {
                let mss = mss.saturating_sub(if t.negotiated.timestamps { 12 } else { 0 }).max(1);
                if mss >= t.snd.mss {
                    return t.snd.search.as_mut().is_some_and(|s| s.told(seq, mss));
                }
                // What it says was too big must have been.
                //= RFC 5927 7.2: the claimed next-hop MTU is smaller than the packet that was sent
                // What was rolled back and is not out again has no record any more: it was as large as segments were.
                let quoted =
                    t.snd.board.find_record(seq).map_or(u32::from(t.snd.mss), |r| r.len().min(u32::from(r.piece)));
                if quoted + MOST_SACK_ROOM <= u32::from(mss) {
                    return false;
                }
                t.snd.mss = mss;
                if let Some(s) = &mut t.snd.search {
                    s.lowered(mss, cx.cfg, cx.now);
                }
                // What was too big is lost, and is sent again in smaller pieces at once; the path is not congested. Whoever says
                // so again before that is acknowledged gets one segment: each word would else be worth a window.
                //= RFC 1191 6.4: only one segment until acknowledgments begin to arrive again
                let again = t.snd.una.le(t.snd.recovery.recover) && !t.snd.recovery.is_on();
                t.snd.rtt.retransmitted();
                t.snd.roll_back(cx.pool);
                let w = &mut t.snd.window;
                if again {
                    w.ssthresh = w.ssthresh.max(w.cwnd); // slow start leads back to it
                    w.cwnd = u32::from(mss);
                }
                w.cwnd = w.cwnd.max(u32::from(mss));
            }
            Phase::Closed => return false,
        }
        self.settle(cx);
        true
    }
}

/// The most octets that SACK blocks take of a segment, beside its text: four of eight, and four.
const MOST_SACK_ROOM: u32 = 36;
