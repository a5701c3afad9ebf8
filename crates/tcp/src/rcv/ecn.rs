//! The receiving half of ECN: marks are counted as packets come, and fed back (RFC 3168 6.1.3, RFC 9768 3.2, RFC 8257 3.2).
//!
//! Only acceptable packets count (RFC 9768 3.2, RFC 3168 6.1.5): the way in calls [`Receiver::arrived`] behind its fifth
//! step. What goes back is read by the way out: [`Receiver::flags`] on every segment, [`Receiver::option`] on some.
//!
//! A super-segment that the link put together counts as its pieces, and makes one acknowledgment: RFC 9768 3.2.2.5.1
//! leaves that to us.

use crate::ecn::{FIRST_CEP, Feedback, Found, Half, OptionPolicy, flags_of, handshake_ace};
use crate::time::{Duration, Instant};
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{AccEcn, Flags};

/// The counters of a Data Receiver, and what of them is still to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// How marks are fed back.
    pub feedback: Feedback,
    /// r.cep: packets that came as CE, from 5 on.
    pub cep: u32,
    /// r.ceb: octets of text that came as CE.
    pub ceb: u32,
    /// r.e0b: as ECT(0), from 1 on.
    pub e0b: u32,
    /// r.e1b: as ECT(1), from 1 on.
    pub e1b: u32,
    /// Whether packets with an ECN codepoint have come at all.
    pub seen: bool,
    /// ECE is set: RFC 3168's until CWR comes, RFC 8257's until a packet without mark does.
    pub ece: bool,
    /// ECE follows each packet (RFC 8257 3.2).
    each: bool,
    /// The IP-ECN field of the packet before.
    last: Ecn,
    /// The IP-ECN field of the peer's SYN.
    syn: Ecn,
    /// We were the TCP client.
    client: bool,
    /// The next pure acknowledgment tells of this field, of a SYN+ACK (RFC 9768 3.2.2.1).
    pub handshake: Option<Ecn>,
    /// A SYN+ACK with CE has been counted: only one is.
    syn_ack_ce: bool,
    /// CE packets since the last acknowledgment.
    untold: u8,
    /// When options are sent.
    policy: OptionPolicy,
    /// The peer has sent an option.
    pub peer_sends: bool,
    /// Whether segments with options get through.
    path: Path,
    /// Counters that moved since the last option: bit 0 EE1B, 1 ECEB, 2 EE0B, as they stand in ours.
    moved: u8,
    /// Which of them moved last.
    counted: u8,
    /// A counter has moved since the last acknowledgment.
    fresh: bool,
    /// Options that are owed to changes.
    demand: u8,
    /// Octets counted since the last option.
    since: u32,
    /// When the last option was sent.
    sent_at: Instant,
}

/// What is known of the path's way with our options (RFC 9768 3.2.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// The first segment with text is to carry one.
    Untested,
    /// It has, and is not acknowledged up to here.
    Tested(SeqNum),
    /// Nothing speaks against them.
    Fine,
    /// It was lost: no more options.
    Lossy,
}

impl Half for Receiver {
    const OFF: &'static Receiver = &Receiver {
        feedback: Feedback::Off,
        cep: FIRST_CEP,
        ceb: 0,
        e0b: 1,
        e1b: 1,
        seen: false,
        ece: false,
        each: false,
        last: Ecn::NotEct,
        syn: Ecn::NotEct,
        client: false,
        handshake: None,
        syn_ack_ce: false,
        untold: 0,
        policy: OptionPolicy::Off,
        peer_sends: false,
        path: Path::Untested,
        moved: 0,
        counted: 0,
        fresh: false,
        demand: 0,
        since: 0,
        sent_at: Instant::ZERO,
    };

    fn mode(&self) -> Feedback {
        self.feedback
    }
}

/// Octets after which each counter is told, whatever else (RFC 9768 3.2.3.3).
const REPEAT: u32 = 1 << 22;

/// A packet that has been found acceptable.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// Its IP-ECN field.
    pub ecn: Ecn,
    /// Its flags.
    pub flags: Flags,
    /// Octets of text, before anything was cut off.
    pub text: u32,
    /// Of how many packets the link has put it together.
    pub pieces: u32,
    /// Whether text waits to be acknowledged, its own included.
    pub unacknowledged: bool,
}

/// What a packet asks of the acknowledgment policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// An acknowledgment at once: of text, or with news of the path while something is unacknowledged.
    Ack,
    /// An acknowledgment at once although nothing is unacknowledged: it must not look like a duplicate.
    AckOfAcks,
}

impl Receiver {
    /// At the beginning of a connection.
    //= RFC 9768 3.2.1
    //= RFC 9768 3.2.2.2: a SYN with CE is not counted, a SYN+ACK with CE is
    pub fn new(found: &Found, policy: OptionPolicy, each: bool) -> Receiver {
        let accurate = found.feedback == Feedback::Accurate;
        let ce = accurate && found.client && found.heard == Ecn::Ce;
        Receiver {
            feedback: found.feedback,
            cep: FIRST_CEP + u32::from(ce),
            ceb: 0,
            e0b: 1,
            e1b: 1,
            seen: false,
            ece: false,
            each,
            last: Ecn::NotEct,
            syn: found.heard,
            client: found.client,
            handshake: Some(found.heard).filter(|_| accurate && found.client),
            syn_ack_ce: ce,
            untold: 0,
            policy,
            peer_sends: found.options != crate::ecn::Options::Absent,
            path: Path::Untested,
            moved: 0,
            counted: 0,
            fresh: false,
            demand: 0,
            since: 0,
            sent_at: Instant::ZERO,
        }
    }

    /// An acceptable packet has come. `beacon` is the time after which an option is repeated while counters move.
    //= RFC 3168 6.1.3
    //= RFC 9768 3.2
    pub fn arrived(&mut self, now: Instant, beacon: Duration, p: &Packet) -> Wants {
        self.seen |= p.ecn != Ecn::NotEct;
        let (ce, before) = (p.ecn == Ecn::Ce, self.last);
        match self.feedback {
            Feedback::Off => Wants::Nothing,
            Feedback::Classic => {
                if p.text == 0 {
                    return Wants::Nothing; // RFC 3168 6.1.3 speaks of packets with text
                }
                self.last = p.ecn;
                let told = self.ece;
                //= RFC 8257 3.2 (a)
                self.ece = if self.each { ce } else { ce || (self.ece && !p.flags.has(Flags::CWR)) };
                //= RFC 8257 3.2 (b): each change of CE is told at once
                // A sender that says CWR may have little left to send: it is not kept waiting.
                let cut = p.flags.has(Flags::CWR) && !self.each;
                if cut || told != self.ece { Wants::Ack } else { Wants::Nothing }
            }
            Feedback::Accurate => {
                self.last = p.ecn;
                self.count(now, beacon, p);
                //= RFC 9768 3.2.2.5.1: change-triggered, of packets with text
                if ce && before != Ecn::Ce && p.text > 0 {
                    return Wants::Ack;
                }
                //= RFC 9768 3.2.2.5.1: increment-triggered, n = 2 or 3
                match (p.unacknowledged, self.untold) {
                    (true, 2..) if ce => Wants::Ack,
                    (false, 3..) if ce => Wants::AckOfAcks,
                    _ => Wants::Nothing,
                }
            }
        }
    }

    fn count(&mut self, now: Instant, beacon: Duration, p: &Packet) {
        if p.ecn == Ecn::Ce {
            self.cep = self.cep.wrapping_add(p.pieces);
            self.untold = self.untold.saturating_add(p.pieces.min(255) as u8);
        }
        if p.text == 0 {
            return;
        }
        let (counter, bit) = match p.ecn {
            Ecn::NotEct => return,
            Ecn::Ect1 => (&mut self.e1b, 1),
            Ecn::Ce => (&mut self.ceb, 2),
            Ecn::Ect0 => (&mut self.e0b, 4),
        };
        *counter = counter.wrapping_add(p.text);
        //= RFC 9768 3.2.3.3: change-triggered options, and once more; CE always; each counter within 2^22 octets
        if self.counted != bit || p.ecn == Ecn::Ce {
            self.demand = 2;
        }
        self.counted = bit;
        self.since = self.since.saturating_add(p.text);
        if self.since >= REPEAT || now.since(self.sent_at) >= beacon {
            self.demand = self.demand.max(1);
        }
        self.moved |= bit;
        self.fresh = true;
    }

    /// AE, CWR and ECE of a segment that is no SYN; `pure` if it carries neither text nor SACK blocks.
    //= RFC 3168 6.1.3
    //= RFC 9768 3.2.2
    //= RFC 9768 3.2.2.1: the handshake encoding, on a pure acknowledgment of a SYN+ACK
    pub fn flags(&self, pure: bool) -> Flags {
        match self.feedback {
            Feedback::Off => Flags::NONE,
            Feedback::Classic => {
                if self.ece {
                    Flags::ECE
                } else {
                    Flags::NONE
                }
            }
            Feedback::Accurate => match self.handshake {
                Some(ip) if pure => flags_of(handshake_ace(ip)),
                _ => flags_of((self.cep & 7) as u8),
            },
        }
    }

    /// The flags of our SYN+ACK, should it go out again after CLOSE in SYN-RECEIVED.
    pub fn syn_ack_flags(&self) -> Flags {
        self.feedback.syn_ack_flags(self.syn)
    }

    /// How many counters an option on the next segment must have, and may have; `None` if it needs none. `text` if that
    /// segment carries text.
    //= RFC 9768 3.2.3.2.1
    //= RFC 9768 3.2.3.3
    pub fn option(&self, text: bool) -> Option<(u8, u8)> {
        if self.feedback != Feedback::Accurate {
            return None;
        }
        let test = self.handshake.is_some() || (text && self.path == Path::Untested);
        let due = match (self.policy, self.path) {
            (OptionPolicy::Off, _) => false,
            (OptionPolicy::Persist, _) => self.peer_sends,
            (_, Path::Lossy) => false,
            (OptionPolicy::Full, _) => self.peer_sends,
            (OptionPolicy::Simple, _) => test || self.fresh,
            (OptionPolicy::Changed, _) => test || self.demand > 0,
        };
        // The counter that stands last of those that moved.
        let needed = (8 - self.moved.leading_zeros()) as u8;
        due.then_some((needed, 3))
    }

    /// The option with so many counters. Always in the order in which ECT(0) stands last: who uses ECT(1) wants it most.
    pub fn option_of(&self, fields: u8) -> AccEcn {
        AccEcn::new(true, fields, self.e0b, self.ceb, self.e1b)
    }

    /// A segment up to `end`, whose text is sent `again` or not, has left, with an option of so many counters or none.
    pub fn sent(&mut self, now: Instant, end: Option<SeqNum>, again: bool, fields: Option<u8>) {
        self.untold = 0;
        self.fresh = false;
        if let Some(n) = fields {
            self.moved &= !((1 << n) - 1);
            self.demand = self.demand.saturating_sub(1);
            (self.since, self.sent_at) = (0, now);
        }
        match (self.path, end) {
            (Path::Untested, Some(end)) if fields.is_some() => self.path = Path::Tested(end),
            //= RFC 9768 3.2.3.2.2: the first segment with an option was lost: no option on what is sent again
            (Path::Tested(first), Some(end)) if again && end.le(first) => self.path = Path::Lossy,
            _ => {}
        }
    }

    /// Whether the segment that ends at `end` tests the path and was lost.
    pub fn failed(&self, end: SeqNum) -> bool {
        self.policy != OptionPolicy::Persist && matches!(self.path, Path::Tested(first) if end.le(first))
    }

    /// A pure acknowledgment has left.
    pub fn told_handshake(&mut self) {
        self.handshake = None;
    }

    /// Our text is acknowledged up to `una`.
    pub fn acknowledged(&mut self, una: SeqNum) {
        if matches!(self.path, Path::Tested(end) if una.ge(end)) {
            self.path = Path::Fine;
        }
    }

    /// The peer's SYN+ACK has come again: it is told of the latest.
    //= RFC 9768 3.1.5: the IP-ECN field of the latest SYN+ACK is fed back
    //= RFC 9768 3.2.2.2: CE on SYN+ACKs counts once
    pub fn syn_ack_again(&mut self, ip: Ecn) {
        if self.feedback == Feedback::Accurate && self.client {
            self.handshake = Some(ip);
            if ip == Ecn::Ce && !self.syn_ack_ce {
                (self.cep, self.syn_ack_ce) = (self.cep.wrapping_add(1), true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(feedback: Feedback, policy: OptionPolicy) -> Receiver {
        Receiver::new(&Found { feedback, ..Found::default() }, policy, false)
    }

    fn packet(ecn: Ecn, text: u32) -> Packet {
        Packet { ecn, flags: Flags::ACK, text, pieces: 1, unacknowledged: text > 0 }
    }

    fn take(r: &mut Receiver, ecn: Ecn, text: u32) -> Wants {
        r.arrived(Instant::ZERO, Duration::MAX, &packet(ecn, text))
    }

    fn send(r: &mut Receiver) -> Option<u8> {
        let fields = r.option(false).map(|(_, most)| most);
        r.sent(Instant::ZERO, None, false, fields);
        fields
    }

    #[test]
    //= RFC 9768 3.2
    //= RFC 9768 3.2.1
    //= RFC 9768 3.2.2
    fn packets_and_octets_are_counted_by_codepoint() {
        let mut r = receiver(Feedback::Accurate, OptionPolicy::Simple);
        assert_eq!((r.cep, r.ceb, r.e0b, r.e1b), (5, 0, 1, 1));
        for (ecn, text) in [(Ecn::NotEct, 9), (Ecn::Ect0, 10), (Ecn::Ect1, 20), (Ecn::Ce, 40), (Ecn::Ce, 0)] {
            take(&mut r, ecn, text);
        }
        assert_eq!((r.cep, r.ceb, r.e0b, r.e1b), (7, 40, 11, 21));
        r.arrived(Instant::ZERO, Duration::MAX, &Packet { pieces: 45, ..packet(Ecn::Ce, 65_000) });
        assert_eq!((r.cep, r.ceb, r.flags(true)), (52, 65_040, flags_of(52 % 8)), "a super-segment is its pieces");
    }

    #[test]
    //= RFC 9768 3.2.2.5.1
    fn marks_ask_for_acknowledgments() {
        let mut r = receiver(Feedback::Accurate, OptionPolicy::Simple);
        assert_eq!(take(&mut r, Ecn::Ect0, 100), Wants::Nothing);
        assert_eq!(take(&mut r, Ecn::Ce, 100), Wants::Ack, "a change");
        send(&mut r);
        assert_eq!(take(&mut r, Ecn::Ce, 100), Wants::Nothing);
        assert_eq!(take(&mut r, Ecn::Ce, 100), Wants::Ack, "the second since");
        send(&mut r);
        assert_eq!(take(&mut r, Ecn::Ect0, 0), Wants::Nothing);
        let acks = [0; 3].map(|_| take(&mut r, Ecn::Ce, 0));
        assert_eq!(acks, [Wants::Nothing, Wants::Nothing, Wants::AckOfAcks], "the third, with nothing unacknowledged");
        send(&mut r);
        assert_eq!(take(&mut r, Ecn::Ect0, 0), Wants::Nothing, "what is not marked asks for nothing");
    }

    #[test]
    //= RFC 9768 3.2.2.1
    //= RFC 9768 3.2.2.2
    //= RFC 9768 3.1.5
    fn the_handshake_encoding_is_for_pure_acknowledgments_and_one_mark() {
        let found = Found { feedback: Feedback::Accurate, client: true, heard: Ecn::Ce, ..Found::default() };
        let mut r = Receiver::new(&found, OptionPolicy::Off, false);
        assert_eq!((r.cep, r.flags(true), r.flags(false)), (6, flags_of(6), flags_of(6)));
        r.told_handshake();
        r.syn_ack_again(Ecn::Ect0);
        assert_eq!((r.cep, r.flags(true), r.flags(false)), (6, flags_of(4), flags_of(6)));
        r.syn_ack_again(Ecn::Ce);
        assert_eq!(r.cep, 6, "once");
        let mut server = Receiver::new(&Found { client: false, ..found }, OptionPolicy::Off, false);
        server.syn_ack_again(Ecn::Ce);
        assert_eq!((server.cep, server.handshake), (5, None));
        assert_eq!(server.syn_ack_flags(), flags_of(6));
    }

    #[test]
    //= RFC 9768 3.2.3.3
    fn when_options_are_sent() {
        use OptionPolicy::{Changed, Full, Off, Persist, Simple};
        // One packet a line; does an acknowledgment right after it carry an option?
        let story = [Ecn::Ect0, Ecn::Ect0, Ecn::Ect0, Ecn::NotEct, Ecn::Ce, Ecn::Ect0, Ecn::Ect0, Ecn::Ect0];
        for (policy, want) in [
            (Off, [false; 8]),
            (Changed, [true, true, false, false, true, true, true, false]),
            (Simple, [true, true, true, false, true, true, true, true]),
            (Full, [false; 8]), // the peer has sent none
            (Persist, [false; 8]),
        ] {
            let mut r = receiver(Feedback::Accurate, policy);
            let got = story.map(|ecn| {
                take(&mut r, ecn, 100);
                send(&mut r).is_some()
            });
            assert_eq!(got, want, "{policy:?}");
        }
        let mut r = receiver(Feedback::Accurate, Full);
        r.peer_sends = true;
        assert!(send(&mut r).is_some() && send(&mut r).is_some());
    }

    #[test]
    //= RFC 9768 3.2.3.3
    fn counters_are_repeated_within_four_mebioctets_and_at_the_beacon() {
        let mut r = receiver(Feedback::Accurate, OptionPolicy::Changed);
        (0..2).for_each(|_| {
            take(&mut r, Ecn::Ect0, 100);
            send(&mut r);
        });
        assert_eq!(send(&mut r), None);
        for _ in 0..65 {
            take(&mut r, Ecn::Ect0, 65_000);
        }
        assert!(send(&mut r).is_some());
        take(&mut r, Ecn::Ect0, 100);
        assert_eq!(send(&mut r), None);
        let later = Instant::ZERO + Duration::from_millis(10);
        r.arrived(later, Duration::from_millis(10), &packet(Ecn::Ect0, 100));
        assert!(send(&mut r).is_some());
    }

    #[test]
    //= RFC 9768 3.2.3.3: what has moved must not be left out
    fn an_option_is_as_long_as_what_moved() {
        for (ecn, least) in [(Ecn::Ect1, 1), (Ecn::Ce, 2), (Ecn::Ect0, 3)] {
            let mut r = receiver(Feedback::Accurate, OptionPolicy::Simple);
            take(&mut r, ecn, 100);
            assert_eq!(r.option(false), Some((least, 3)));
            r.sent(Instant::ZERO, None, false, None);
            take(&mut r, Ecn::Ect1, 100);
            assert_eq!(r.option(false), Some((least, 3)), "it was not sent");
            r.sent(Instant::ZERO, None, false, Some(least));
            take(&mut r, Ecn::Ect1, 100);
            assert_eq!(r.option(false), Some((1, 3)));
        }
    }

    #[test]
    //= RFC 9768 3.2.3.2.1
    //= RFC 9768 3.2.3.2.2
    fn the_first_text_tests_the_path() {
        let mut r = receiver(Feedback::Accurate, OptionPolicy::Simple);
        assert_eq!((r.option(true), r.option(false)), (Some((0, 3)), None));
        r.sent(Instant::ZERO, Some(SeqNum(100)), false, Some(3));
        assert_eq!(r.option(true), None);
        let mut fine = r;
        fine.acknowledged(SeqNum(100));
        fine.sent(Instant::ZERO, Some(SeqNum(90)), true, None);
        take(&mut fine, Ecn::Ce, 10);
        assert!(fine.option(false).is_some(), "it had come");
        assert!(r.failed(SeqNum(100)) && !r.failed(SeqNum(101)));
        r.sent(Instant::ZERO, Some(SeqNum(100)), true, None);
        take(&mut r, Ecn::Ce, 10);
        assert_eq!(r.option(false), None, "it was lost");
    }

    #[test]
    //= RFC 3168 6.1.3
    //= RFC 8257 3.2 (a) (b)
    fn ece_until_cwr_or_of_each_packet() {
        let story = [(Ecn::Ect0, false), (Ecn::Ce, false), (Ecn::Ect0, false), (Ecn::Ce, true), (Ecn::Ect0, true)];
        for (each, want) in [(false, [false, true, true, true, false]), (true, [false, true, false, true, false])] {
            let found = Found { feedback: Feedback::Classic, ..Found::default() };
            let mut r = Receiver::new(&found, OptionPolicy::Simple, each);
            let got = story.map(|(ecn, cwr)| {
                let flags = if cwr { Flags::CWR } else { Flags::NONE };
                r.arrived(Instant::ZERO, Duration::MAX, &Packet { flags, ..packet(ecn, 100) });
                r.flags(true).has(Flags::ECE)
            });
            assert_eq!(got, want);
            take(&mut r, Ecn::Ce, 0);
            assert!(!r.ece, "an acknowledgment's mark is not echoed");
        }
    }
}
