//! The sending half of ECN: what feedback says of our packets, and which packets say that they can be marked (RFC 3168
//! 6.1.2, RFC 9768 3.2).
//!
//! What is fed back becomes octets for the congestion control (`Ack::marked`), and at most once in a window of data a
//! congestion event ([`LossCause::Marked`]). With RFC 3168 all that an acknowledgment with ECE delivers counts as marked, as
//! RFC 8257 3.3 has it.
//!
//! Not done: to find out by continuous feedback that the path marks everything (RFC 9768 3.2.2.3 leaves how to us).

use crate::ecn::{FIRST_CEP, Feedback, Found, Half, Options, ace, handshake_ace};
use crate::segment::Segment;
use crate::snd::Snd;
use crate::snd::congestion::{Loss, LossCause};
use crate::time::Instant;
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{AccEcn, Flags};

/// The counters of a Data Sender, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    feedback: Feedback,
    /// ECT may be set.
    pub ect: bool,
    /// Feedback is answered.
    respond: bool,
    /// s.cep: our packets that were marked, from 5 on; with RFC 3168 those that were acknowledged with ECE.
    pub cep: u32,
    /// s.ceb: octets of our text that were marked.
    pub ceb: u32,
    /// s.e0b: that arrived as ECT(0), from 1 on.
    pub e0b: u32,
    /// s.e1b: as ECT(1), from 1 on.
    pub e1b: u32,
    /// The peer's options.
    pub options: Options,
    /// Octets marked that the congestion control has not been told of.
    marked: u32,
    /// For what the window was reduced.
    answered: Answered,
    /// The right edge of the SACK blocks so far: a block beyond it shows that an acknowledgment is no old one.
    sacked: SeqNum,
    /// The mean number of segments that an acknowledgment covers, in 64ths.
    covers: u16,
    /// Pure acknowledgments of our SYN+ACK that have the handshake encoding, which is no count.
    encoded: Encoded,
    /// Segments that have left, as far as eight: up to there ACE cannot have come round.
    packets: u8,
}

/// For what the window was reduced, by marks or by losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// Where the window ended that was reduced last: marks of what was sent before are the same event.
    reduced: Option<SeqNum>,
    /// The next new text is to say so.
    cwr: bool,
}

/// Which acknowledgments of the handshake are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoded {
    None,
    /// The one that ended it.
    One,
    /// All: a server that has sent its SYN+ACK more than once may get more than one.
    Any,
}

impl Half for Sender {
    const OFF: &'static Sender = &Sender {
        feedback: Feedback::Off,
        ect: false,
        respond: false,
        cep: FIRST_CEP,
        ceb: 0,
        e0b: 1,
        e1b: 1,
        options: Options::Absent,
        marked: 0,
        answered: Answered { reduced: None, cwr: false },
        sacked: SeqNum(0),
        covers: 0,
        encoded: Encoded::None,
        packets: 0,
    };

    fn mode(&self) -> Feedback {
        self.feedback
    }
}

/// Above so many segments for each acknowledgment on average it is they that are rare, and not that some were lost.
const THINNED: u16 = 4 * 64;

impl Sender {
    /// At the beginning of a connection.
    //= RFC 9768 3.2.1
    //= RFC 9768 3.2.2.1: table 4, by the server
    //= RFC 9768 3.1.5: ECT is not set without feedback, nor by a server whose handshake had packets without ECN
    pub fn new(found: &Found, iss: SeqNum) -> Sender {
        let f = found.feedback;
        let told = found.told.filter(|_| f == Feedback::Accurate);
        // Our SYN and SYN+ACK were not ECT: anything else was made of it on the way (RFC 9768 3.2.2.3). Currently unused
        // codepoints tell nothing.
        //= RFC 9768 3.2.2.3
        let mangled = told.is_some_and(|a| matches!(a, 0b011 | 0b100 | 0b110));
        let disabled = told == Some(0) && !found.client;
        let ce = told == Some(handshake_ace(Ecn::Ce));
        Sender {
            feedback: f,
            ect: f != Feedback::Off && !found.mixed && !mangled && !disabled,
            respond: !disabled,
            // A client stays in step with the server, which does not count a marked SYN.
            //= RFC 9768 3.2.2.2
            cep: FIRST_CEP + u32::from(ce && !found.client),
            ceb: 0,
            e0b: 1,
            e1b: 1,
            options: found.options,
            marked: 0,
            answered: Answered::default(),
            sacked: iss,
            covers: 0,
            encoded: match (found.repeated, told.is_some() && !found.client) {
                (true, _) => Encoded::Any,
                (false, one) => {
                    if one {
                        Encoded::One
                    } else {
                        Encoded::None
                    }
                }
            },
            packets: 0,
        }
    }

    /// The mode.
    pub fn feedback(&self) -> Feedback {
        self.feedback
    }

    /// CWR for a segment of new text after the window was reduced.
    //= RFC 3168 6.1.2: on the first new data packet, not on what is sent again
    //= RFC 9768 3.1.5: with AccECN CWR says no such thing
    pub fn cwr(&self) -> Flags {
        if self.answered.cwr { Flags::CWR } else { Flags::NONE }
    }

    /// So many segments have left, of new text or not.
    pub fn sent(&mut self, flags: Flags, new_text: bool, pieces: u64) {
        self.packets = self.packets.saturating_add(pieces.min(8) as u8);
        if self.feedback == Feedback::Classic && new_text && flags.has(Flags::CWR) {
            self.answered.cwr = false;
        }
    }

    /// The window was reduced, for whatever reason, with `nxt` as SND.NXT: marks of what was sent before it are no new event.
    //= RFC 3168 6.1.2
    pub fn on_reduced(&mut self, nxt: SeqNum) {
        if self.feedback != Feedback::Off {
            self.answered = Answered { reduced: Some(nxt), cwr: self.feedback == Feedback::Classic };
        }
    }

    /// What [`Sender::on_reduced`] was told of last was no congestion: what was answered before stands.
    fn not_reduced(&mut self, before: Answered) {
        // CWR that has left meanwhile is not said again.
        self.answered = Answered { cwr: before.cwr && self.answered.cwr, ..before };
    }

    /// Whether the window was already reduced for what an acknowledgment of `ack` tells of. What CWR stands on begins where
    /// that window ended, so its acknowledgment is the first with news.
    pub fn is_reduced(&self, ack: SeqNum) -> bool {
        self.answered.reduced.is_some_and(|end| ack.le(end))
    }

    /// Whether the window was already reduced for the flight that text at `seq` was sent in: its loss is no new event.
    //= RFC 3168 6.1.2: once in response to dropped and marked packets of one window
    pub fn is_reduced_for(&self, seq: SeqNum) -> bool {
        self.answered.reduced.is_some_and(|end| seq.lt(end))
    }

    /// The octets of `delivered` ones that were marked, to be told once.
    pub fn take_marked(&mut self, delivered: u32) -> u32 {
        core::mem::take(&mut self.marked).min(delivered)
    }

    /// Feedback by counters: how many packets more were marked, if that can be told.
    //= RFC 9768 3.2.2.2
    fn counters(&mut self, seg: &Segment, acked: u32, smss: u32) -> u32 {
        let packets = acked.div_ceil(smss);
        let octets = seg.opts.acc_ecn.and_then(|o| self.option(&o));
        if packets > 0 {
            let now = packets.min(1_000) * 64;
            let mean = if self.covers == 0 { now } else { (u32::from(self.covers) * 63 + now) / 64 };
            self.covers = mean as u16;
        }
        let least = u32::from(ace(seg.hdr.flags)).wrapping_sub(self.cep) & 7;
        let marks = likely(least, packets, octets, smss, self.covers);
        self.cep = self.cep.wrapping_add(marks);
        //= RFC 9768 3.2.3.2.5: octets were marked but no packets, and ACE cannot have come round: someone changes feedback
        if octets.is_some_and(|o| o > 0) && least == 0 && self.packets < 8 {
            self.ect = false;
        }
        let marked = octets.unwrap_or(marks.saturating_mul(smss));
        self.marked = self.marked.saturating_add(marked);
        marks
    }

    /// The counters of an option follow; the octets that were newly marked. `None` if options are not to be believed.
    //= RFC 9768 3.2.3.1
    fn option(&mut self, o: &AccEcn) -> Option<u32> {
        match self.options {
            Options::Zeroed => return None,
            //= RFC 9768 3.2.3.2.3: they come after all
            Options::Absent => self.options = Options::Seen,
            Options::Seen => {}
        }
        let mut marked = None;
        for (ours, theirs) in [(&mut self.e0b, o.e0b()), (&mut self.e1b, o.e1b()), (&mut self.ceb, o.ceb())] {
            let Some(t) = theirs else { continue };
            let more = t.wrapping_sub(*ours) & 0x00ff_ffff;
            // More than half of the field is a step back: an acknowledgment that was overtaken.
            let more = if more < 1 << 23 { more } else { 0 };
            *ours = ours.wrapping_add(more);
            marked = Some(more); // of the last, which is that of CE
        }
        marked.filter(|_| o.ceb().is_some())
    }
}

/// How many packets were marked, `least` being the smallest number that the ACE field allows: it may have come round if more
/// than seven `packets` were acknowledged. `octets` of marks are known if an option told them.
//= RFC 9768 3.2.2.5.2: the safest likely case (as appendix A.2 has it)
fn likely(least: u32, packets: u32, octets: Option<u32>, smss: u32, covers: u16) -> u32 {
    if packets < 8 {
        return least;
    }
    let most = packets.saturating_sub(packets.wrapping_sub(least) & 7).max(least);
    match octets {
        Some(0) => least,
        // So many octets need more packets than that; or they would fill most of them by half at least.
        Some(o) if o > least.saturating_mul(smss) || o >= most.saturating_mul(smss) / 2 => most,
        Some(_) => least,
        None if covers > THINNED => least,
        None => most,
    }
}

impl Snd {
    /// Takes the feedback of an acceptable acknowledgment, before SND.UNA moves. `newer`: its timestamp is later than any
    /// before; SND.UNA =< SEG.ACK =< SND.NXT. True if it asks for less: then [`Snd::answer_marks`] is due.
    //= RFC 9768 3.2.2.2: an acknowledgment that was overtaken tells nothing (as appendix A.1 has it)
    pub fn ecn_feedback(&mut self, seg: &Segment, newer: bool) -> bool {
        let Some(e) = self.ecn.on() else { return false };
        e.answered.reduced = e.answered.reduced.filter(|end| seg.hdr.ack.le(*end)); // forgotten before numbers come round
        let acked = seg.hdr.ack.diff(self.una).max(0) as u32;
        match e.feedback {
            Feedback::Off => false,
            Feedback::Classic => {
                if !seg.has(Flags::ECE) {
                    return false;
                }
                e.marked = e.marked.saturating_add(acked);
                e.cep = e.cep.wrapping_add(acked.div_ceil(u32::from(self.mss))); // as Linux counts them
                true
            }
            Feedback::Accurate => {
                let right =
                    seg.opts.sack.as_slice().iter().fold(self.una.max(e.sacked), |a, b| a.max(b.1.min(self.nxt)));
                let news = right.gt(e.sacked.max(self.una));
                e.sacked = right;
                //= RFC 9768 3.2.2.2: a server may test for the handshake encoding also later
                let of_handshake = seg.hdr.ack == self.iss + 1 && seg.is_empty() && !news;
                let encoded = e.encoded;
                e.encoded = if encoded == Encoded::One { Encoded::None } else { encoded };
                if (of_handshake && encoded != Encoded::None) || (acked == 0 && !news && !newer) {
                    return false;
                }
                e.counters(seg, acked, u32::from(self.mss)) > 0 && e.respond
            }
        }
    }

    /// An acknowledgment of `ack` has fed back marks: the window is reduced, once for each window of data, and not while
    /// recovery is `busy` with a loss in it.
    //= RFC 3168 6.1.2
    //= RFC 9293 3.8.2 SHLD-8
    //= RFC 9768 3.1.5
    //= RFC 9768 4 (a)
    pub fn answer_marks(&mut self, now: Instant, ack: SeqNum, busy: bool) {
        // Classic feedback is repeated until CWR, also when nothing is out any more.
        let late = self.ecn.feedback == Feedback::Classic && self.nxt == self.una;
        if !busy && !late && !self.ecn.is_reduced(ack) {
            self.reduce(now, self.flight());
        } else if let Some(u) = self.recovery.undo() {
            // A loss has reduced the window already: for good, even if it was none.
            //= RFC 4015 3.4
            u.marked = true;
        }
    }

    /// Our SYN, or SYN+ACK, was marked: text begins with less.
    //= RFC 9768 3.2.2.2: CE on handshake packets is answered as any
    pub fn answer_handshake(&mut self, now: Instant, found: &Found) {
        if self.ecn.feedback == Feedback::Accurate && found.told == Some(handshake_ace(Ecn::Ce)) {
            self.reduce(now, self.window.cwnd);
        }
    }

    fn reduce(&mut self, now: Instant, flight: u32) {
        // What a loss has changed before is not put back after this.
        //= RFC 4015 3.4
        self.recovery.episode = None;
        let loss = Loss { now, flight, smss: u32::from(self.mss), cause: LossCause::Marked };
        let c = self.congestion.get();
        c.on_loss(&mut self.window, &loss);
        if !c.governs_recovery() {
            self.window.cwnd = self.window.cwnd.min(self.window.ssthresh);
        }
        self.reduced_now();
    }

    /// For what the window was reduced so far.
    pub(crate) fn answered(&self) -> Answered {
        self.ecn.answered
    }

    /// A loss that had reduced the window was none: marks of the same window are answered as if it had not.
    pub(crate) fn not_reduced(&mut self, before: Answered) {
        if let Some(e) = self.ecn.on() {
            e.not_reduced(before);
        }
    }

    /// The window was reduced for what is out.
    pub(crate) fn reduced_now(&mut self) {
        if let Some(e) = self.ecn.on() {
            e.on_reduced(self.nxt);
        }
    }

    /// The codepoint for a segment with `new` text (RFC 3168 6.1.4 to 6.1.6: nothing else is marked), or for any with
    /// `control` if its marks are fed back as all others are (RFC 8311 4.3 leaves that to experiments).
    //= RFC 3168 6.1.2: ECT(0)
    //= RFC 3168 6.1.4
    //= RFC 3168 6.1.5
    //= RFC 3168 6.1.6
    //= RFC 9768 4 (d)
    pub fn codepoint(&self, new: bool, control: bool) -> Ecn {
        let accurate = self.ecn.feedback == Feedback::Accurate;
        if self.ecn.ect && (new || (control && accurate)) { Ecn::Ect0 } else { Ecn::NotEct }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1460;

    #[test]
    //= RFC 9768 3.2.2.5.2
    fn ace_is_read_with_care_where_it_may_have_come_round() {
        // The smallest number that ACE allows, packets, octets of marks, packets per acknowledgment in 64ths; and the result.
        for (least, packets, octets, covers, want) in [
            (0, 7, None, 64, 0),
            (7, 1, None, 64, 7), // the count of packets is the less certain of the two
            (2, 9, None, 64, 2),
            (2, 10, None, 64, 10),
            (0, 9, None, 64, 8),
            (0, 10, None, 640, 0), // acknowledgments are rare here anyway
            (1, 10, None, 640, 1),
            (3, 40, None, 64, 35),
            (0, 8, Some(1460), 64, 8), // no packet can have had octets
            (0, 30, Some(0), 64, 0),
            (2, 10, Some(1460), 64, 2),
            (7, 15, Some(10_200), 64, 7),
            (7, 15, Some(21_000), 64, 15),
            (5, u32::MAX, None, 64, u32::MAX - 2),
        ] {
            assert_eq!(likely(least, packets, octets, SMSS, covers), want, "{least} {packets} {octets:?} {covers}");
        }
    }

    fn sender(found: Found) -> Sender {
        Sender::new(&Found { feedback: Feedback::Accurate, ..found }, SeqNum(0))
    }

    #[test]
    //= RFC 9768 3.2.2.1: table 4
    //= RFC 9768 3.2.2.2
    //= RFC 9768 3.2.2.3
    fn what_the_end_of_the_handshake_tells() {
        let server = |told| sender(Found { told: Some(told), ..Found::default() });
        let of = |s: Sender| (s.cep, s.ect, s.respond);
        let table = [0, 1, 2, 3, 4, 5, 6, 7].map(|a| of(server(a)));
        let (fine, mangled) = ((5, true, true), (5, false, true));
        assert_eq!(table, [(5, false, false), fine, fine, mangled, mangled, fine, (6, false, true), fine]);
        let client = |told| of(sender(Found { told: Some(told), client: true, ..Found::default() }));
        assert_eq!([2, 3, 4, 6].map(client), [fine, mangled, mangled, mangled], "a client counts no mark of its SYN");
        assert!(!sender(Found { mixed: true, ..Found::default() }).ect);
        assert!(!Sender::new(&Found::default(), SeqNum(0)).ect);
    }

    #[test]
    //= RFC 9768 3.2.3.1
    //= RFC 9768 3.2.1
    fn counters_of_options_follow_round_the_end_and_never_back() {
        let mut s = sender(Found { options: Options::Seen, ..Found::default() });
        assert_eq!((s.cep, s.ceb, s.e0b, s.e1b), (5, 0, 1, 1));
        let mut feed = |e0b, ceb, e1b| s.option(&AccEcn::new(true, 3, e0b, ceb, e1b));
        assert_eq!(feed(1001, 1461, 1), Some(1461));
        assert_eq!(feed(1001, 1461, 1), Some(0));
        assert_eq!(feed(1000, 1460, 1), Some(0), "overtaken");
        assert_eq!(feed(1001, 8_000_000, 1), Some(7_998_539));
        assert_eq!(feed(1001, 16_000_000, 1), Some(8_000_000));
        assert_eq!(feed(1001, 100, 1), Some((1 << 24) - 16_000_000 + 100), "round the end");
        assert_eq!(s.option(&AccEcn::new(true, 1, 0, 0, 501)), None, "an option without ECEB");
        assert_eq!((s.ceb, s.e0b, s.e1b), ((1 << 24) + 100, 1001, 501));
        s.options = Options::Zeroed;
        assert_eq!(s.option(&AccEcn::new(true, 3, 9999, 9999, 9999)), None);
    }

    #[test]
    //= RFC 3168 6.1.2
    //= RFC 9768 3.1.5: no CWR in this sense
    fn cwr_is_for_the_first_new_text() {
        let found = Found { feedback: Feedback::Classic, ..Found::default() };
        let mut s = Sender::new(&found, SeqNum(0));
        s.on_reduced(SeqNum(100));
        assert!(s.is_reduced(SeqNum(100)) && !s.is_reduced(SeqNum(101)));
        assert!(s.is_reduced_for(SeqNum(99)) && !s.is_reduced_for(SeqNum(100)));
        s.sent(Flags::ACK, false, 1);
        assert_eq!(s.cwr(), Flags::CWR, "not for what is sent again");
        s.sent(Flags::ACK | Flags::CWR, true, 1);
        assert_eq!(s.cwr(), Flags::NONE);
        let mut s = sender(Found::default());
        s.on_reduced(SeqNum(100));
        assert_eq!(s.cwr(), Flags::NONE);
        s.marked = 700;
        assert_eq!((s.take_marked(500), s.take_marked(500)), (500, 0));
    }
}
