//! The state of an end, from the segments it sends and gets (RFC 9293 figure 5).

use synfin_tcp::{State, Trigger};
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Header};

/// An end as it looks from outside. What it cannot show (CLOSE without anything to be sent, timeouts) is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its state.
    pub state: State,
    /// Its SYN was sent with this number.
    syn: Option<SeqNum>,
    /// The number after its FIN.
    fin_end: Option<SeqNum>,
    /// The number after the last text in order that it has got.
    nxt: Option<SeqNum>,
    /// The peer's FIN came before what precedes it: the number of the FIN.
    early_fin: Option<SeqNum>,
    /// The peer's FIN has passed us on its way to it, but what it has sent since shows that it has not got it.
    crossed: bool,
    /// It came here from LISTEN.
    passive: bool,
}

impl Endpoint {
    /// In LISTEN or CLOSED.
    pub fn new(state: State) -> Endpoint {
        let passive = state == State::Listen;
        Endpoint { state, syn: None, fin_end: None, nxt: None, early_fin: None, crossed: false, passive }
    }

    fn go(&mut self, t: Trigger) {
        if let Some(to) = self.state.next(t) {
            self.state = to;
        }
    }

    /// It sends a segment with `len` octets of text.
    pub fn sends(&mut self, h: &Header, len: u32) {
        if h.flags.has(Flags::RST) {
            self.go(Trigger::Abort);
            return;
        }
        self.notice_crossing(h);
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
        if h.flags.has(Flags::FIN) {
            self.fin_end = Some(h.seq + len + 1);
            self.go(Trigger::Close);
        }
    }

    /// We see segments in the middle of the way: an end that does not acknowledge a FIN had not got it when it spoke.
    fn notice_crossing(&mut self, h: &Header) {
        let Some(nxt) = self.nxt.filter(|_| h.flags.has(Flags::ACK)) else { return };
        if self.crossed && h.ack.ge(nxt) {
            self.crossed = false;
            self.go(Trigger::RcvFin);
        } else if self.state == State::CloseWait && h.ack.lt(nxt) {
            self.crossed = true;
            self.state = State::Established;
        }
    }

    /// It gets a segment with `len` octets of text.
    pub fn gets(&mut self, h: &Header, len: u32) {
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
        if h.flags.has(Flags::ACK) {
            if self.state == State::SynReceived && self.syn.is_none_or(|s| h.ack.gt(s)) {
                self.go(Trigger::RcvAckOfSyn);
            }
            let fin_acked = self.fin_end.is_some_and(|f| h.ack.ge(f));
            let fin_in_order = h.flags.has(Flags::FIN) && self.nxt.is_none_or(|n| n == h.seq || h.seq.lt(n));
            if fin_acked && !(fin_in_order && self.state == State::FinWait1) {
                self.go(Trigger::RcvAckOfFin);
            }
        }
        let end = h.seq + len;
        if self.nxt.is_none_or(|n| h.seq.le(n) && end.gt(n)) {
            self.nxt = Some(end);
        }
        if h.flags.has(Flags::FIN) {
            self.early_fin = Some(end);
        }
        // What was put aside is not known here: text that fills a hole is followed by what was seen before.
        if let (Some(f), Some(n)) = (self.early_fin, self.nxt)
            && f.le(n)
            && !self.state.peer_closed()
        {
            let acked = self.fin_end.is_some_and(|e| h.flags.has(Flags::ACK) && h.ack.ge(e));
            self.go(if self.state == State::FinWait1 && acked { Trigger::RcvFinAckOfFin } else { Trigger::RcvFin });
            self.nxt = Some(f + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h(seq: u32, ack: u32, flags: Flags) -> Header {
        Header {
            src_port: 1,
            dst_port: 2,
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            header_len: 20,
            flags,
            window: 0,
            urgent: 0,
        }
    }

    /// Runs a conversation; returns the states of client and server after each segment.
    fn run(segments: &[(bool, Header, u32)]) -> Vec<(State, State)> {
        let (mut c, mut s) = (Endpoint::new(State::Closed), Endpoint::new(State::Listen));
        segments
            .iter()
            .map(|(from_client, h, len)| {
                let (from, to) = if *from_client { (&mut c, &mut s) } else { (&mut s, &mut c) };
                from.sends(h, *len);
                to.gets(h, *len);
                (c.state, s.state)
            })
            .collect()
    }

    const FIN_ACK: Flags = Flags(0x11);

    #[test]
    fn handshake_and_four_way_close() {
        use State::*;
        let got = run(&[
            (true, h(100, 0, Flags::SYN), 0),
            (false, h(500, 101, Flags::SYN | Flags::ACK), 0),
            (true, h(101, 501, Flags::ACK), 0),
            (true, h(101, 501, FIN_ACK), 5),
            (false, h(501, 107, Flags::ACK), 0),
            (false, h(501, 107, FIN_ACK), 0),
            (true, h(107, 502, Flags::ACK), 0),
        ]);
        assert_eq!(
            got,
            [
                (SynSent, SynReceived),
                (Established, SynReceived),
                (Established, Established),
                (FinWait1, CloseWait),
                (FinWait2, CloseWait),
                (TimeWait, LastAck),
                (TimeWait, Closed),
            ]
        );
    }

    #[test]
    fn fins_that_cross_on_the_way() {
        use State::*;
        let got = run(&[
            (true, h(100, 0, Flags::SYN), 0),
            (false, h(500, 101, Flags::SYN | Flags::ACK), 0),
            (true, h(101, 501, Flags::ACK), 0),
            (false, h(501, 101, FIN_ACK), 0),
            (true, h(101, 501, Flags::ACK), 0),
            (true, h(101, 501, FIN_ACK), 0),
            (true, h(102, 502, Flags::ACK), 0),
            (false, h(502, 102, Flags::ACK), 0),
        ]);
        assert_eq!(
            got[3..],
            [
                (CloseWait, FinWait1),
                (Established, FinWait1),
                (FinWait1, Closing),
                (Closing, TimeWait),
                (TimeWait, TimeWait)
            ]
        );
    }

    #[test]
    fn three_segment_close_and_reset() {
        use State::*;
        let open = [
            (true, h(100, 0, Flags::SYN), 0),
            (false, h(500, 101, Flags::SYN | Flags::ACK), 0),
            (true, h(101, 501, Flags::ACK), 0),
        ];
        let mut three = open.to_vec();
        three.extend([
            (true, h(101, 501, FIN_ACK), 0),
            (false, h(501, 102, FIN_ACK), 0),
            (true, h(102, 502, Flags::ACK), 0),
        ]);
        assert_eq!(run(&three)[3..], [(FinWait1, CloseWait), (TimeWait, LastAck), (TimeWait, Closed)]);
        let mut reset = open.to_vec();
        reset.push((false, h(501, 101, Flags::RST | Flags::ACK), 0));
        assert_eq!(run(&reset)[3..], [(Closed, Closed)]);
    }
}
