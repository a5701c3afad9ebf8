//! The state of an end, from the segments it sends and gets (RFC 9293 figure 5).
//!
//! What it cannot show (CLOSE without anything to be sent, timeouts) is not known. When a segment arrives is not known here
//! either: `ends` decides it.

use synfin_tcp::{State, Trigger};
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Header};

/// An end as it looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its state.
    pub state: State,
    /// Its SYN was sent with this number.
    syn: Option<SeqNum>,
    /// The number after its FIN.
    fin_end: Option<SeqNum>,
    /// RCV.NXT: the number after the last in order that it has got.
    nxt: Option<SeqNum>,
    /// The number of the peer's FIN; it may have come before what precedes it.
    peer_fin: Option<SeqNum>,
    /// It came here from LISTEN.
    passive: bool,
}

impl Endpoint {
    /// In LISTEN or CLOSED.
    pub(super) fn new(state: State) -> Endpoint {
        let passive = state == State::Listen;
        Endpoint { state, syn: None, fin_end: None, nxt: None, peer_fin: None, passive }
    }

    /// It sends a segment with `len` octets of text.
    pub(super) fn sends(&mut self, h: &Header, len: u32) {
        if h.flags.has(Flags::RST) {
            self.go(Trigger::Abort);
            return;
        }
        if h.flags.has(Flags::SYN) {
            self.syn = Some(h.seq);
            match (self.state, h.flags.has(Flags::ACK)) {
                (State::Closed, false) => self.go(Trigger::ActiveOpen),
                (State::Listen, false) => self.go(Trigger::Send),
                // A capture that began in the middle: it must have got a SYN.
                (State::Listen | State::Closed, true) => self.state = State::SynReceived,
                _ => {}
            }
            return;
        }
        if h.flags.has(Flags::ACK) {
            // SEG.ACK is RCV.NXT: what it had put aside is in order now, or what it was sent was not taken.
            self.nxt = Some(h.ack);
            self.take_fin(h.ack, false);
        }
        if h.flags.has(Flags::FIN) {
            self.fin_end = Some(h.seq + len + 1);
            self.go(Trigger::Close);
        }
    }

    /// It gets a segment with `len` octets of text.
    pub(super) fn gets(&mut self, h: &Header, len: u32) {
        if h.flags.has(Flags::RST) {
            match self.state {
                State::SynReceived if self.passive => self.go(Trigger::RcvRstPassive),
                State::TimeWait => {}
                State::SynSent if !h.flags.has(Flags::ACK) => {}
                _ => self.go(Trigger::RcvRst),
            }
            return;
        }
        if h.flags.has(Flags::SYN) {
            let acks = h.flags.has(Flags::ACK) && self.syn.is_some_and(|s| h.ack == s + 1);
            match self.state {
                State::Listen => {
                    self.nxt = Some(h.seq + 1);
                    self.go(Trigger::RcvSyn);
                }
                State::SynSent => {
                    self.nxt = Some(h.seq + 1);
                    self.go(if acks { Trigger::RcvSynAck } else { Trigger::RcvSyn });
                }
                State::SynReceived if acks => self.go(Trigger::RcvAckOfSyn),
                _ => {}
            }
            return;
        }
        let end = h.seq + len;
        let in_order = |f: SeqNum, n: Option<SeqNum>| n.is_none_or(|n| f.le(n));
        let fin_acked = h.flags.has(Flags::ACK) && self.fin_end.is_some_and(|f| h.ack.ge(f));
        if h.flags.has(Flags::ACK) && self.state == State::SynReceived && self.syn.is_none_or(|s| h.ack.gt(s)) {
            self.go(Trigger::RcvAckOfSyn);
        }
        // A FIN that acknowledges ours as well is one arrow (note 2), not two.
        let both = h.flags.has(Flags::FIN) && in_order(h.seq, self.nxt) && self.state == State::FinWait1;
        if fin_acked && !both {
            self.go(Trigger::RcvAckOfFin);
        }
        if self.nxt.is_none_or(|n| h.seq.le(n) && end.gt(n)) {
            self.nxt = Some(end);
        }
        if h.flags.has(Flags::FIN) {
            self.peer_fin = Some(end);
        }
        // What was put aside is not known here: the number that it acknowledges will tell.
        if let Some(f) = self.peer_fin
            && in_order(f, self.nxt)
        {
            self.take_fin(f + 1, fin_acked);
        }
    }

    /// It has got everything before `nxt`: the peer's FIN, too?
    fn take_fin(&mut self, nxt: SeqNum, fin_acked: bool) {
        if self.peer_fin.is_some_and(|f| f.lt(nxt)) && !self.state.peer_closed() {
            let both = self.state == State::FinWait1 && fin_acked;
            self.go(if both { Trigger::RcvFinAckOfFin } else { Trigger::RcvFin });
            self.nxt = Some(nxt);
        }
    }

    /// Whether an end that is here can send this: else what brought it here had not arrived when it spoke.
    pub(super) fn may_send(&self, h: &Header, len: u32) -> bool {
        use State::*;
        let f = h.flags;
        if f.has(Flags::RST) {
            return true;
        }
        if !self.may_acknowledge(h) {
            return false;
        }
        if f.has(Flags::FIN) && self.fin_end.is_some_and(|e| (h.seq + len).lt(e)) {
            // The FIN again: it is not acknowledged.
            return matches!(self.state, FinWait1 | Closing | LastAck);
        }
        match (f.has(Flags::SYN), f.has(Flags::ACK)) {
            (true, false) => matches!(self.state, Closed | Listen | SynSent),
            (true, true) => matches!(self.state, Closed | Listen | SynReceived),
            (false, _) => !matches!(self.state, Closed | Listen | SynSent),
        }
    }

    /// Whether it has got no more than this acknowledges.
    pub(super) fn may_acknowledge(&self, h: &Header) -> bool {
        !h.flags.has(Flags::ACK) || self.nxt.is_none_or(|n| h.ack.ge(n))
    }

    fn go(&mut self, t: Trigger) {
        if let Some(to) = self.state.next(t) {
            self.state = to;
        }
    }
}
