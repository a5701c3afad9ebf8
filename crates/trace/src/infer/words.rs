//! What a segment means, in words: the steps of the handshake and what each proves, the steps of the close, and what is
//! out of the ordinary.

use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Header};

/// What is remembered of one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    syn: Option<SeqNum>,
    /// The number after the last one sent.
    end: Option<SeqNum>,
    /// The number after its FIN.
    fin_end: Option<SeqNum>,
    fin_acked: bool,
    /// The last acknowledgment it sent.
    acked: Option<SeqNum>,
    syns: u32,
}

/// Tells a connection's story, segment by segment.
#[derive(Debug, Clone, Default)]
pub struct Narrator {
    /// The client's and the server's.
    sides: [Side; 2],
    established: bool,
    closes: u32,
    three: bool,
}

impl Narrator {
    /// What the next segment means; `from_client` tells who sent it.
    pub fn tell(&mut self, from_client: bool, h: &Header, len: u32) -> String {
        let (me, other) = if from_client { (0, 1) } else { (1, 0) };
        let words = self.words(me, other, h, len);
        let side = &mut self.sides[me];
        let end = h.seq + len + u32::from(h.flags.any(Flags::SYN)) + u32::from(h.flags.any(Flags::FIN));
        side.end = Some(side.end.map_or(end, |e| e.max(end)));
        if h.flags.has(Flags::ACK) {
            side.acked = Some(h.ack);
        }
        words
    }

    fn words(&mut self, me: usize, other: usize, h: &Header, len: u32) -> String {
        let f = h.flags;
        if f.has(Flags::RST) {
            return match (self.sides[other].syn, self.established) {
                (Some(_), false) => "refused: nobody listens there".into(),
                _ => "reset: both ends release everything at once".into(),
            };
        }
        if f.has(Flags::SYN) {
            return self.syn(me, other, h);
        }
        let new_ack = f.has(Flags::ACK) && self.sides[me].acked != Some(h.ack);
        let acks_fin =
            new_ack && !self.sides[other].fin_acked && self.sides[other].fin_end.is_some_and(|e| h.ack.ge(e));
        if acks_fin {
            self.sides[other].fin_acked = true;
        }
        if f.has(Flags::FIN) {
            let again = self.sides[me].fin_end.is_some();
            self.sides[me].fin_end = Some(h.seq + len + 1);
            if again {
                return "the FIN again: its acknowledgment did not come".into();
            }
            return self.fin(acks_fin, len);
        }
        if !self.established && f.has(Flags::ACK) && self.sides[other].syn.is_some_and(|s| h.ack == s + 1) {
            self.established = true;
            let data = if len > 0 { format!(", with {len} octets of data") } else { String::new() };
            return format!(
                "handshake 3/3: the server knows that the client can receive; both agree on both numbers{data}"
            );
        }
        if acks_fin {
            self.closes += 1;
            return match (self.three, self.closes) {
                (true, _) => "close 3/3: the second FIN is acknowledged; this end waits 2 MSL".into(),
                (false, 2) => "close 2/4: the first FIN is acknowledged; this end may still send".into(),
                (false, n) => format!("close {n}/4: the second FIN is acknowledged; this end waits 2 MSL"),
            };
        }
        self.ordinary(me, other, h, len, new_ack)
    }

    fn syn(&mut self, me: usize, other: usize, h: &Header) -> String {
        let again = self.sides[me].syn == Some(h.seq);
        if !again {
            // A new incarnation, or the first: nothing of the last one counts.
            if !h.flags.has(Flags::ACK) && self.sides[me].fin_end.is_some() {
                *self = Narrator::default();
            }
            self.sides[me].syn = Some(h.seq);
        }
        self.sides[me].syns += 1;
        match (h.flags.has(Flags::ACK), again) {
            (false, true) => {
                format!("the SYN again ({}), with the same number: nobody has answered", self.sides[me].syns)
            }
            (true, true) => "the SYN+ACK again: the last step of the handshake is missing".into(),
            (false, false) if self.sides[other].syn.is_some() => "a SYN crosses the other: simultaneous open".into(),
            (false, false) => "handshake 1/3: the client can send, the server can receive".into(),
            (true, false) => {
                "handshake 2/3: the server can send, the client can receive; the client's number is agreed".into()
            }
        }
    }

    fn fin(&mut self, acks_fin: bool, len: u32) -> String {
        let with = if len > 0 { format!(" (with {len} octets)") } else { String::new() };
        self.closes += 1;
        if self.closes == 1 {
            return format!("close 1/4: no more data from this end{with}");
        }
        if acks_fin {
            self.three = true;
            self.closes += 1;
            return format!("close 2/3: ACK and FIN in one segment, the passive side closed at once{with}");
        }
        match self.closes {
            2 => format!("a FIN crosses the other: simultaneous close{with}"),
            n => format!("close {n}/4: no more data from the other end either{with}"),
        }
    }

    fn ordinary(&self, me: usize, other: usize, h: &Header, len: u32, new_ack: bool) -> String {
        let side = &self.sides[me];
        if len > 0 {
            return match side.end {
                Some(e) if h.seq.lt(e) && (h.seq + len).le(e) => format!("{len} octets again"),
                _ => format!("{len} octets"),
            };
        }
        if side.end.is_some_and(|e| h.seq == e - 1) && !new_ack {
            return "keepalive: is anybody there?".into();
        }
        if h.window == 0 {
            return "the window is closed".into();
        }
        match (new_ack, self.sides[other].end) {
            (true, Some(e)) if h.ack == e => "everything so far has arrived".into(),
            (true, _) => "more has arrived".into(),
            (false, _) if self.sides[other].fin_acked => {
                "the acknowledgment of the FIN again; the wait starts afresh".into()
            }
            (false, _) => "the same acknowledgment again".into(),
        }
    }
}
