//! What a segment means, in words: the steps of the handshake and what each proves, the steps of the close, and what is
//! out of the ordinary. A step that is lost is a step, and is told as one, but proves nothing: what it would have brought
//! about is not said of it, nor of what comes after.

use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Header};

/// What is remembered of one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    syn: Option<SeqNum>,
    /// That of its SYN+ACK.
    syn_ack: Option<SeqNum>,
    /// The number after the last one sent.
    end: Option<SeqNum>,
    /// The number after its FIN.
    fin_end: Option<SeqNum>,
    /// An acknowledgment of its FIN was sent.
    fin_answered: bool,
    /// And has come.
    fin_acked: bool,
    /// It has sent or got a RST.
    released: bool,
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
    simultaneous: bool,
}

impl Narrator {
    /// What the next segment means; `from_client` tells who sent it, `lost` that it never arrives.
    pub fn tell(&mut self, from_client: bool, h: &Header, len: u32, lost: bool) -> String {
        let (me, other) = if from_client { (0, 1) } else { (1, 0) };
        let words = self.words(me, other, h, len, lost);
        let side = &mut self.sides[me];
        let end = h.seq + len + u32::from(h.flags.any(Flags::SYN)) + u32::from(h.flags.any(Flags::FIN));
        side.end = Some(side.end.map_or(end, |e| e.max(end)));
        if h.flags.has(Flags::ACK) {
            side.acked = Some(h.ack);
        }
        words
    }

    fn words(&mut self, me: usize, other: usize, h: &Header, len: u32, lost: bool) -> String {
        let f = h.flags;
        if f.has(Flags::RST) {
            return self.reset(me, other, lost).into();
        }
        if f.has(Flags::SYN) {
            return self.syn(me, other, h, lost);
        }
        let new_ack = f.has(Flags::ACK) && self.sides[me].acked != Some(h.ack);
        let covers_fin = f.has(Flags::ACK) && self.sides[other].fin_end.is_some_and(|e| h.ack.ge(e));
        let acks_fin = covers_fin && !self.sides[other].fin_answered;
        self.sides[other].fin_answered |= covers_fin;
        self.sides[other].fin_acked |= covers_fin && !lost;
        if f.has(Flags::FIN) {
            let again = self.sides[me].fin_end.is_some();
            self.sides[me].fin_end = Some(h.seq + len + 1);
            if again {
                return "the FIN again: its acknowledgment did not come".into();
            }
            return self.fin(other, acks_fin, len, lost);
        }
        if !self.established && f.has(Flags::ACK) && self.sides[other].syn.is_some_and(|s| h.ack == s + 1) {
            if lost {
                return "handshake 3/3, lost on the way: the server still waits for it".into();
            }
            self.established = true;
            let data = if len > 0 { format!(", with {len} octets of data") } else { String::new() };
            return format!(
                "handshake 3/3: the server knows that the client can receive; both agree on both numbers{data}"
            );
        }
        if acks_fin {
            return self.acknowledged(me, lost);
        }
        self.ordinary(me, other, h, len, new_ack)
    }

    fn reset(&mut self, me: usize, other: usize, lost: bool) -> &'static str {
        let refused = self.sides[other].syn.is_some() && self.sides[me].syn.is_none() && !self.established;
        let (mine, theirs) = (self.sides[me].released, self.sides[other].released);
        self.sides[me].released = true;
        self.sides[other].released |= !lost;
        match (refused, lost) {
            (true, false) => "refused: nobody listens there",
            (true, true) => "refused, lost on the way: the other end hears nothing",
            (false, true) if mine => "reset again, lost on the way",
            (false, true) => "reset, lost on the way: only this end releases everything",
            (false, false) if mine => "reset again: this end has released everything before",
            (false, false) if theirs => "reset: this end releases everything, too",
            (false, false) => "reset: both ends release everything at once",
        }
    }

    /// The first acknowledgment of a FIN, from the end `me`.
    fn acknowledged(&mut self, me: usize, lost: bool) -> String {
        self.closes += 1;
        let n = self.closes;
        let step = if self.three { "close 3/3".to_string() } else { format!("close {n}/4") };
        if lost {
            return format!("{step}, lost on the way: the other end still waits for the acknowledgment of its FIN");
        }
        let mine = &self.sides[me];
        match (mine.fin_end.is_some(), mine.fin_acked) {
            (false, _) => format!("{step}: the first FIN is acknowledged; this end may still send"),
            (true, true) if self.simultaneous => {
                format!("{step}: the other FIN is acknowledged, too; this end waits 2 MSL, as does the other")
            }
            (true, true) => format!("{step}: the second FIN is acknowledged; this end waits 2 MSL"),
            (true, false) => {
                format!("{step}: the other end's FIN is acknowledged; this end still waits for that of its own")
            }
        }
    }

    fn syn(&mut self, me: usize, other: usize, h: &Header, lost: bool) -> String {
        let ack = h.flags.has(Flags::ACK);
        let known = if ack { self.sides[me].syn_ack } else { self.sides[me].syn };
        let (again, synced) = (known == Some(h.seq), self.sides[me].syn == Some(h.seq));
        if !synced {
            // A new incarnation, or the first: nothing of the last one counts.
            if !ack && (self.sides[me].fin_end.is_some() || self.sides[me].released) {
                *self = Narrator::default();
            }
            self.sides[me].syn = Some(h.seq);
        }
        if ack {
            self.sides[me].syn_ack = Some(h.seq);
        } else {
            self.sides[me].syns += 1;
        }
        match (ack, again) {
            (false, true) => {
                format!("the SYN again ({}), with the same number: nobody has answered", self.sides[me].syns)
            }
            (true, true) => "the SYN+ACK again: the last step of the handshake is missing".into(),
            (false, false) if self.sides[other].syn.is_some() => "a SYN crosses the other: simultaneous open".into(),
            (false, false) if lost => "handshake 1/3, lost on the way: the server knows nothing of it".into(),
            (false, false) => "handshake 1/3: the client can send, the server can receive".into(),
            (true, false) if synced => "the other end's SYN has come, and is acknowledged: simultaneous open".into(),
            (true, false) if lost => "handshake 2/3, lost on the way: the client has no answer yet".into(),
            (true, false) => {
                "handshake 2/3: the server can send, the client can receive; the client's number is agreed".into()
            }
        }
    }

    fn fin(&mut self, other: usize, acks_fin: bool, len: u32, lost: bool) -> String {
        let with = if len > 0 { format!(" (with {len} octets)") } else { String::new() };
        let lost = if lost { ", lost on the way" } else { "" };
        self.closes += 1;
        if self.closes == 1 {
            return format!("close 1/4{lost}: no more data from this end{with}");
        }
        if acks_fin {
            self.three = true;
            self.closes += 1;
            return format!("close 2/3{lost}: ACK and FIN in one segment, the passive side closed at once{with}");
        }
        if !self.sides[other].fin_answered {
            self.simultaneous = true;
            return format!("a FIN crosses the other{lost}: simultaneous close{with}");
        }
        format!("close {}/4{lost}: no more data from the other end either{with}", self.closes)
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
            // It sends no more, and has nothing to answer but the other end's FIN.
            (false, _) if self.sides[other].fin_answered && side.fin_acked => {
                "the acknowledgment of the FIN again; the wait starts afresh".into()
            }
            (false, _) if self.sides[other].fin_answered => "the acknowledgment of the FIN again".into(),
            (false, _) => "the same acknowledgment again".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: Flags = Flags::SYN;
    const ACK: Flags = Flags::ACK;
    const SYN_ACK: Flags = Flags(0x12);
    const FIN_ACK: Flags = Flags(0x11);
    const RST_ACK: Flags = Flags(0x14);

    /// Who sends (`c` or `s`), flags, sequence number, acknowledgment, octets, whether it is lost.
    type Sent = (char, Flags, u32, u32, u32, bool);

    /// What is said of these segments, one line each.
    fn told(segments: &[Sent]) -> String {
        let mut n = Narrator::default();
        let tell = |&(from, flags, seq, ack, len, lost): &Sent| {
            let (seq, ack) = (SeqNum(seq), SeqNum(ack));
            let h = Header { src_port: 1, dst_port: 2, seq, ack, header_len: 20, flags, window: 9, urgent: 0 };
            let words = n.tell(from == 'c', &h, len, lost);
            format!("{from} {flags}{} | {words}\n", if lost { " LOST" } else { "" })
        };
        segments.iter().map(tell).collect()
    }

    const OPEN: [Sent; 3] =
        [('c', SYN, 100, 0, 0, false), ('s', SYN_ACK, 500, 101, 0, false), ('c', ACK, 101, 501, 0, false)];

    /// The same, after the handshake.
    fn told_after_open(segments: &[Sent]) -> String {
        told(&[&OPEN, segments].concat()).lines().skip(3).map(|l| format!("{l}\n")).collect()
    }

    #[test]
    fn each_step_of_the_handshake_lost_once() {
        insta::assert_snapshot!(told(&[
            ('c', SYN, 100, 0, 0, true),
            ('c', SYN, 100, 0, 0, false),
            ('s', SYN_ACK, 500, 101, 0, true),
            ('s', SYN_ACK, 500, 101, 0, false),
            ('c', ACK, 101, 501, 0, true),
            ('s', SYN_ACK, 500, 101, 0, false),
            ('c', ACK, 101, 501, 0, false),
        ]));
    }

    #[test]
    fn the_text_after_a_lost_acknowledgment_is_the_third_step() {
        insta::assert_snapshot!(told(&[
            OPEN[0],
            OPEN[1],
            ('c', ACK, 101, 501, 0, true),
            ('c', ACK, 101, 501, 5, false),
        ]));
    }

    #[test]
    fn simultaneous_open() {
        insta::assert_snapshot!(told(&[
            ('c', SYN, 100, 0, 0, false),
            ('s', SYN, 500, 0, 0, false),
            ('c', SYN_ACK, 100, 501, 0, false),
            ('s', SYN_ACK, 500, 101, 0, false),
        ]));
    }

    #[test]
    fn a_close_in_four_with_each_step_lost_once() {
        insta::assert_snapshot!(told_after_open(&[
            ('c', FIN_ACK, 101, 501, 0, true),
            ('c', FIN_ACK, 101, 501, 0, false),
            ('s', ACK, 501, 102, 0, true),
            ('c', FIN_ACK, 101, 501, 0, false),
            ('s', ACK, 501, 102, 0, false),
            ('s', FIN_ACK, 501, 102, 0, true),
            ('s', FIN_ACK, 501, 102, 0, false),
            ('c', ACK, 102, 502, 0, true),
            ('s', FIN_ACK, 501, 102, 0, false),
            ('c', ACK, 102, 502, 0, false),
        ]));
    }

    #[test]
    fn a_close_in_three_whose_last_step_is_lost() {
        insta::assert_snapshot!(told_after_open(&[
            ('c', FIN_ACK, 101, 501, 0, false),
            ('s', FIN_ACK, 501, 102, 0, false),
            ('c', ACK, 102, 502, 0, true),
            ('s', FIN_ACK, 501, 102, 0, false),
            ('c', ACK, 102, 502, 0, false),
        ]));
    }

    #[test]
    fn a_simultaneous_close() {
        insta::assert_snapshot!(told_after_open(&[
            ('c', FIN_ACK, 101, 501, 0, false),
            ('s', FIN_ACK, 501, 101, 0, false),
            ('c', ACK, 102, 502, 0, false),
            ('s', ACK, 502, 102, 0, false),
        ]));
    }

    #[test]
    fn a_simultaneous_close_whose_first_acknowledgment_is_lost() {
        insta::assert_snapshot!(told_after_open(&[
            ('c', FIN_ACK, 101, 501, 0, false),
            ('s', FIN_ACK, 501, 101, 0, false),
            ('c', ACK, 102, 502, 0, true),
            ('s', ACK, 502, 102, 0, false),
            ('s', FIN_ACK, 501, 102, 0, false),
            ('c', ACK, 102, 502, 0, false),
        ]));
    }

    #[test]
    fn resets() {
        let lost = told_after_open(&[('c', RST_ACK, 101, 501, 0, true), ('s', RST_ACK, 501, 101, 0, false)]);
        let came = told_after_open(&[('c', RST_ACK, 101, 501, 0, false), ('c', RST_ACK, 101, 501, 0, false)]);
        let refused = told(&[OPEN[0], ('s', RST_ACK, 0, 101, 0, true), OPEN[0], ('s', RST_ACK, 0, 101, 0, false)]);
        let given_up = told(&[OPEN[0], OPEN[1], ('c', RST_ACK, 101, 501, 0, false)]);
        insta::assert_snapshot!([lost, came, refused, given_up].join("\n"));
    }
}
