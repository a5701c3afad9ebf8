//! Both ends of a connection, and the lines that show them.
//!
//! A segment is seen on its way: that it left is seen, that it arrived is not. It counts as arrived at once, so that a FIN's
//! own line shows CLOSE-WAIT, until what the other end sends next shows that it had not: an acknowledgment of less, a FIN
//! that crosses it. Then the lines since are corrected, and it is under way still: the next line to that end counts it as
//! arrived, as figure 13 of RFC 9293 draws it.
//!
//! So each column is in the order of its own end, and goes along the arrows of the table only; what passes within one
//! segment (FIN-WAIT-1 by CLOSING to TIME-WAIT) may be passed over. What happens without a segment is told by
//! [`Ends::observed`]. What nothing contradicts counts as arrived, as does an acknowledgment that is lost unseen.

use super::state::Endpoint;
use synfin_tcp::State;
use synfin_wire::tcp::{Flags, Header};

/// What the line of a segment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The client's state and the server's.
    pub states: (State, State),
    /// Where the sender has been since the line before, if it took two arrows: the FIN that it answers with its own came
    /// after what it sent last.
    pub passed: Option<State>,
    /// What earlier lines must show instead.
    pub earlier: Option<Correction>,
}

/// A segment had not arrived when it was shown: the column of one end changes on all lines of the connection from `since`
/// to the one before the segment that told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// The first line.
    pub since: usize,
    /// The client's column, or the server's.
    pub client: bool,
    /// What it must show.
    pub state: State,
}

/// Client and server.
#[derive(Debug, Clone)]
pub struct Ends([Seen; 2]);

impl Ends {
    /// A client that is about to open, and a server in LISTEN or CLOSED.
    pub fn new(server: State) -> Ends {
        Ends([State::Closed, server].map(Seen::new))
    }

    /// A segment with `len` octets of text is the line `line` (numbers that grow), and never arrives if it is lost.
    pub fn segment(&mut self, line: usize, from_client: bool, h: &Header, len: u32, lost: bool) -> Shown {
        let (me, peer) = if from_client { (0, 1) } else { (1, 0) };
        let (correction, passed) = self.0[me].speaks(h, len);
        let earlier = correction.map(|(since, state)| Correction { since, client: from_client, state });
        if !lost {
            self.0[peer].hears(line, h, len);
        }
        Shown { states: (self.0[0].shown, self.0[1].shown), passed, earlier }
    }

    /// An end itself says that it has handled all that was sent to it, and where it is.
    pub fn observed(&mut self, client: bool, state: State) {
        let end = &mut self.0[usize::from(!client)];
        end.base = end.after(end.under_way.len());
        end.base.state = state;
        end.under_way.clear();
        end.lines.clear();
        end.shown = state;
    }

    /// What the last line shows of an end.
    pub fn shown(&self, client: bool) -> State {
        self.0[usize::from(!client)].shown
    }

    /// Where an end is when all that is under way to it has arrived.
    pub fn arrived(&self, client: bool) -> State {
        let end = &self.0[usize::from(!client)];
        end.after(end.under_way.len()).state
    }

    /// An end says where it is. If all that is under way to it must have arrived for that, it has. Where it is expected.
    pub fn confirm(&mut self, client: bool, says: State) -> State {
        let expected = self.arrived(client);
        if expected == says {
            self.observed(client, says);
        }
        expected
    }

    /// The first line that may have to be corrected yet: what is printed at once waits for it, or risks it.
    pub fn unsettled(&self) -> Option<usize> {
        self.0.iter().filter_map(|e| e.changed_since(0)).min()
    }
}

/// An end, what is under way to it, and what its column shows.
#[derive(Debug, Clone)]
struct Seen {
    /// When it last spoke.
    base: Endpoint,
    /// What may have arrived since, in the order sent.
    under_way: Vec<UnderWay>,
    /// How many of those count as arrived, and from which line on.
    lines: Vec<(usize, usize)>,
    /// What its column shows.
    shown: State,
}

/// A segment, or text that follows on.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    h: Header,
    len: u32,
    /// The end when this and all before it have arrived.
    after: Endpoint,
}

impl Seen {
    fn new(state: State) -> Seen {
        Seen { base: Endpoint::new(state), under_way: Vec::new(), lines: Vec::new(), shown: state }
    }

    /// It sends a segment. The first line that showed as arrived what had not when it left, and what is true there; and
    /// what no line shows.
    fn speaks(&mut self, h: &Header, len: u32) -> (Option<(usize, State)>, Option<State>) {
        let all = self.under_way.len();
        let longest = |fits: &dyn Fn(Endpoint) -> bool| (0..=all).rev().find(|n| fits(self.after(*n)));
        // If nothing explains it, what it acknowledges decides; or the capture began in the middle.
        let arrived = longest(&|e| e.may_send(h, len)).or_else(|| longest(&|e| e.may_acknowledge(h))).unwrap_or(all);
        self.base = self.after(arrived);
        let by = self.base.state;
        let correction = self.changed_since(arrived).map(|line| (line, by));
        let before = if correction.is_some() { by } else { self.shown };
        self.base.sends(h, len);
        self.lines.clear();
        self.shown = self.base.state;
        let held = self.under_way.split_off(arrived);
        self.under_way.clear();
        for u in held {
            self.push(&u.h, u.len);
        }
        (correction, (by != before && by != self.shown).then_some(by))
    }

    /// A segment is sent to it.
    fn hears(&mut self, line: usize, h: &Header, len: u32) {
        if self.under_way.len() == LIMIT {
            self.forget();
        }
        let before = self.under_way.len();
        let behind = self.after(before).state != self.shown;
        self.push(h, len);
        // A line that catches up on what has crossed does not show its own effect as well.
        let arrived = if behind { before } else { self.under_way.len() };
        if self.lines.last().is_none_or(|(_, n)| *n != arrived) {
            self.lines.push((line, arrived));
        }
        self.shown = self.after(arrived).state;
    }

    fn push(&mut self, h: &Header, len: u32) {
        let n = self.under_way.len();
        let mut after = self.after(n);
        after.gets(h, len);
        let plain = |h: &Header| !h.flags.any(Flags::SYN | Flags::FIN | Flags::RST);
        let no_effect = n > 0 && self.after(n - 1).state == after.state;
        match self.under_way.last_mut() {
            Some(u) if no_effect && plain(&u.h) && plain(h) && u.h.seq + u.len == h.seq => {
                u.h.ack = h.ack;
                u.len += len;
                u.after = after;
            }
            _ => self.under_way.push(UnderWay { h: *h, len, after }),
        }
    }

    /// The first counts as arrived: an end that never speaks must not cost memory.
    fn forget(&mut self) {
        self.base = self.under_way.remove(0).after;
        for (_, n) in &mut self.lines {
            *n = n.saturating_sub(1);
        }
        self.lines.retain(|(_, n)| *n > 0);
    }

    /// The end when the first `n` under way have arrived.
    fn after(&self, n: usize) -> Endpoint {
        n.checked_sub(1).and_then(|i| self.under_way.get(i)).map_or(self.base, |u| u.after)
    }

    /// The first line that shows another state than that after the first `n` under way.
    fn changed_since(&self, n: usize) -> Option<usize> {
        let state = self.after(n).state;
        self.lines.iter().find(|(_, m)| *m > n && self.after(*m).state != state).map(|(line, _)| *line)
    }
}

/// Segments under way to one end that are kept; text that follows on is one. A window of small segments with holes fits.
const LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use synfin_tcp::Trigger;
    use synfin_wire::SeqNum;

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

    const FIN_ACK: Flags = Flags(0x11);
    const SYN_ACK: Flags = Flags(0x12);

    /// The columns of client and server as they are shown at last; all segments are of one connection, none is lost.
    fn columns(segments: &[(bool, Header, u32)]) -> Vec<(State, State)> {
        let (mut ends, mut lines) = (Ends::new(State::Listen), Vec::new());
        for (i, (from_client, h, len)) in segments.iter().enumerate() {
            let shown = ends.segment(i, *from_client, h, *len, false);
            correct(&mut lines, shown.earlier);
            lines.push(shown.states);
        }
        lines
    }

    fn correct(lines: &mut [(State, State)], c: Option<Correction>) {
        let Some(c) = c else { return };
        for l in &mut lines[c.since..] {
            *(if c.client { &mut l.0 } else { &mut l.1 }) = c.state;
        }
    }

    fn handshake() -> Vec<(bool, Header, u32)> {
        vec![(true, h(100, 0, Flags::SYN), 0), (false, h(500, 101, SYN_ACK), 0), (true, h(101, 501, Flags::ACK), 0)]
    }

    fn after_handshake(rest: &[(bool, Header, u32)]) -> Vec<(State, State)> {
        let all = [handshake(), rest.to_vec()].concat();
        columns(&all)[3..].to_vec()
    }

    #[test]
    fn handshake_and_four_way_close() {
        use State::*;
        let mut all = handshake();
        all.extend([
            (true, h(101, 501, FIN_ACK), 5),
            (false, h(501, 107, Flags::ACK), 0),
            (false, h(501, 107, FIN_ACK), 0),
            (true, h(107, 502, Flags::ACK), 0),
        ]);
        assert_eq!(
            columns(&all),
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
    fn three_segment_close_and_reset() {
        use State::*;
        let three =
            [(true, h(101, 501, FIN_ACK), 0), (false, h(501, 102, FIN_ACK), 0), (true, h(102, 502, Flags::ACK), 0)];
        assert_eq!(after_handshake(&three), [(FinWait1, CloseWait), (TimeWait, LastAck), (TimeWait, Closed)]);
        assert_eq!(after_handshake(&[(false, h(501, 101, Flags::RST | Flags::ACK), 0)]), [(Closed, Closed)]);
    }

    #[test]
    fn a_fin_that_crosses_an_acknowledgment_counts_when_it_is_acknowledged() {
        use State::*;
        let got = after_handshake(&[
            (true, h(101, 501, Flags::ACK), 8),
            (true, h(109, 501, FIN_ACK), 0),
            (false, h(501, 109, Flags::ACK), 0),
            (false, h(501, 110, Flags::ACK), 0),
            (false, h(501, 110, FIN_ACK), 0),
            (true, h(110, 502, Flags::ACK), 0),
        ]);
        assert_eq!(
            got[1..],
            [
                (FinWait1, Established),
                (FinWait1, Established),
                (FinWait2, CloseWait),
                (TimeWait, LastAck),
                (TimeWait, Closed)
            ]
        );
    }

    #[test]
    fn a_close_in_three_whose_fin_crosses_passes_close_wait() {
        use State::*;
        let mut ends = Ends::new(State::Listen);
        let all = [
            (true, h(101, 501, Flags::ACK), 5),
            (true, h(106, 501, FIN_ACK), 0),
            (false, h(501, 106, Flags::ACK), 0),
            (false, h(501, 107, FIN_ACK), 0),
        ];
        let all = [handshake(), all.to_vec()].concat();
        let shown: Vec<_> =
            all.iter().enumerate().map(|(i, (c, h, len))| ends.segment(i, *c, h, *len, false)).collect();
        assert_eq!(shown[5].earlier, Some(Correction { since: 4, client: false, state: Established }));
        assert_eq!((shown[6].states, shown[6].passed), ((TimeWait, LastAck), Some(CloseWait)));
        assert!(shown[..6].iter().all(|s| s.passed.is_none()));
    }

    #[test]
    fn simultaneous_close_as_in_figure_13() {
        use State::*;
        let segments = [
            (true, h(101, 501, FIN_ACK), 0),
            (false, h(501, 101, FIN_ACK), 0),
            (true, h(102, 502, Flags::ACK), 0),
            (false, h(502, 102, Flags::ACK), 0),
        ];
        let figure = [(FinWait1, Established), (Closing, FinWait1), (Closing, Closing), (TimeWait, TimeWait)];
        assert_eq!(after_handshake(&segments), figure);
        // The other end began.
        let segments = segments.map(|(c, s, len)| {
            let turn = |n: SeqNum| if n.ge(SeqNum(500)) { n - 400 } else { n + 400 };
            (!c, Header { seq: turn(s.seq), ack: turn(s.ack), ..s }, len)
        });
        assert_eq!(after_handshake(&segments), figure.map(|(c, s)| (s, c)));
    }

    #[test]
    fn half_close_and_text_behind_the_fin() {
        use State::*;
        let got = after_handshake(&[
            (true, h(101, 501, FIN_ACK), 0),
            (false, h(501, 102, Flags::ACK), 9),
            (true, h(102, 510, Flags::ACK), 0),
            (false, h(510, 102, FIN_ACK), 0),
            (true, h(102, 511, Flags::ACK), 0),
        ]);
        assert_eq!(
            got,
            [
                (FinWait1, CloseWait),
                (FinWait2, CloseWait),
                (FinWait2, CloseWait),
                (TimeWait, LastAck),
                (TimeWait, Closed)
            ]
        );
    }

    #[test]
    fn a_fin_behind_a_hole_counts_when_it_is_acknowledged() {
        use State::*;
        let mut ends = Ends::new(State::Listen);
        for (i, (c, h, len)) in handshake().iter().enumerate() {
            ends.segment(i, *c, h, *len, false);
        }
        let mut shown = |line, c, h, len, lost| ends.segment(line, c, &h, len, lost).states;
        assert_eq!(shown(3, true, h(101, 501, Flags::ACK), 5, true), (Established, Established));
        assert_eq!(shown(4, true, h(106, 501, Flags::ACK), 5, false), (Established, Established));
        assert_eq!(shown(5, true, h(111, 501, FIN_ACK), 0, false), (FinWait1, Established));
        assert_eq!(shown(6, false, h(501, 101, Flags::ACK), 0, false), (FinWait1, Established));
        assert_eq!(shown(7, true, h(101, 501, Flags::ACK), 5, false), (FinWait1, Established));
        assert_eq!(shown(8, false, h(501, 112, Flags::ACK), 0, false), (FinWait2, CloseWait));
    }

    #[test]
    fn an_end_that_speaks_had_not_got_the_reset_nor_the_last_acknowledgment() {
        use State::*;
        let reset = after_handshake(&[
            (true, h(101, 501, Flags::RST | Flags::ACK), 0),
            (false, h(501, 101, Flags::ACK), 9),
            (true, h(101, 0, Flags::RST), 0),
        ]);
        assert_eq!(reset, [(Closed, Established), (Closed, Established), (Closed, Closed)]);
        let fin_again = after_handshake(&[
            (false, h(501, 101, FIN_ACK), 0),
            (true, h(101, 502, FIN_ACK), 0),
            (false, h(502, 102, Flags::ACK), 0),
            (true, h(101, 502, FIN_ACK), 0),
            (false, h(502, 102, Flags::ACK), 0),
        ]);
        assert_eq!(fin_again[2..], [(LastAck, TimeWait), (LastAck, TimeWait), (Closed, TimeWait)]);
    }

    #[test]
    fn what_may_be_corrected_yet_is_known() {
        let mut ends = Ends::new(State::Listen);
        for (i, (c, h, len)) in handshake().iter().enumerate() {
            ends.segment(i, *c, h, *len, false);
        }
        ends.segment(3, true, &h(101, 501, Flags::ACK), 5, false);
        ends.segment(4, false, &h(501, 106, Flags::ACK), 0, false);
        assert_eq!(ends.unsettled(), None);
        ends.segment(5, true, &h(106, 501, FIN_ACK), 0, false);
        assert_eq!(ends.unsettled(), Some(5));
        ends.segment(6, false, &h(501, 107, Flags::ACK), 0, false);
        ends.observed(true, State::FinWait2);
        assert_eq!(ends.unsettled(), None);
    }

    /// What it sent before, and is seen after, does not take back what it said itself.
    #[test]
    fn an_end_that_says_so_has_got_the_fin() {
        use State::*;
        let mut ends = Ends::new(State::Listen);
        for (i, (c, h, len)) in handshake().iter().enumerate() {
            ends.segment(i, *c, h, *len, false);
        }
        ends.segment(3, true, &h(101, 501, Flags::ACK), 5, false);
        ends.segment(4, true, &h(106, 501, FIN_ACK), 0, false);
        assert_eq!(ends.confirm(false, Established), CloseWait);
        assert_eq!(ends.unsettled(), Some(2));
        assert_eq!(ends.confirm(false, CloseWait), CloseWait);
        let shown = ends.segment(5, false, &h(501, 106, Flags::ACK), 0, false);
        assert_eq!(shown, Shown { states: (FinWait1, CloseWait), passed: None, earlier: None });
        let shown = ends.segment(6, false, &h(501, 107, FIN_ACK), 0, false);
        assert_eq!(shown, Shown { states: (TimeWait, LastAck), passed: None, earlier: None });
    }

    #[test]
    fn an_end_that_never_speaks_costs_a_bounded_amount() {
        let mut ends = Ends::new(State::Listen);
        for i in 0..10_000 {
            ends.segment(i, true, &h(100 + 7 * i as u32, 0, Flags::ACK), 5, false);
        }
        assert!(ends.0.iter().all(|e| e.under_way.len() <= LIMIT && e.lines.len() <= LIMIT));
    }

    /// An end as it is: what it has sent, what it has got, what it must send again.
    struct Host {
        state: State,
        iss: u32,
        /// Octets of text that are sent before the FIN; each is a segment.
        text: u32,
        sent: u32,
        una: u32,
        rcv_nxt: u32,
        peer_fin: Option<u32>,
    }

    impl Host {
        fn new(iss: u32, irs: u32, text: u32) -> Host {
            let (sent, una, rcv_nxt) = (iss + 1, iss + 1, irs + 1);
            Host { state: State::Established, iss, text, sent, una, rcv_nxt, peer_fin: None }
        }

        fn fin(&self) -> u32 {
            self.iss + 1 + self.text
        }

        fn go(&mut self, t: Trigger) {
            if let Some(to) = self.state.next(t) {
                self.state = to;
            }
        }

        /// The next of its text, or its FIN; `again`: from the first that is not acknowledged.
        fn speak(&mut self, again: bool) -> Option<(Header, u32)> {
            let again = again && self.una < self.sent;
            let at = if again { self.una } else { self.sent };
            if at > self.fin() || matches!(self.state, State::Closed | State::TimeWait) {
                return None;
            }
            let fin = at == self.fin();
            if fin && !again {
                self.go(Trigger::Close);
            }
            self.sent = self.sent.max(at + 1);
            Some((h(at, self.rcv_nxt, if fin { FIN_ACK } else { Flags::ACK }), u32::from(!fin)))
        }

        fn ack(&self) -> (Header, u32) {
            (h(self.sent, self.rcv_nxt, Flags::ACK), 0)
        }

        /// Whether an acknowledgment is owed.
        fn get(&mut self, s: &Header, len: u32) -> bool {
            if self.state == State::Closed {
                return false;
            }
            self.una = self.una.max(s.ack.0);
            if s.flags.has(Flags::FIN) {
                self.peer_fin = Some(s.seq.0);
            }
            let acked = self.una > self.fin();
            let (fin, was) = (s.flags.has(Flags::FIN), self.state);
            if s.seq.0 == self.rcv_nxt {
                self.rcv_nxt += len;
                if fin {
                    self.rcv_nxt += 1;
                    let both = self.state == State::FinWait1 && acked;
                    self.go(if both { Trigger::RcvFinAckOfFin } else { Trigger::RcvFin });
                }
            }
            if acked && was == self.state {
                self.go(Trigger::RcvAckOfFin);
            }
            fin || len > 0
        }
    }

    struct Played {
        lines: Vec<(State, State)>,
        /// Who sent each line, and its state when it did.
        truth: Vec<(bool, State)>,
        passed: Vec<Option<State>>,
        /// A FIN was lost before it could be seen.
        fin_unseen: bool,
        last: [State; 2],
    }

    /// Whether the table has an arrow for this, other than for the end of the wait.
    fn leads(from: State, to: State) -> bool {
        from == to
            || synfin_tcp::state::TRANSITIONS.iter().any(|t| {
                (t.from, t.to) == (from, to)
                    && !matches!(t.trigger, Trigger::Timeout | Trigger::Timeout2Msl | Trigger::RcvRst)
            })
    }

    /// Plays two closing ends. Segments pass a tap on the way, where they are shown: `(way, from client)` is a queue each.
    /// Each step is a number; lost segments are lost before the tap (never seen), at it (known), or behind it (not known).
    fn play(texts: (u32, u32), steps: &[u8]) -> Played {
        let mut hosts = [Host::new(100, 500, texts.0), Host::new(500, 100, texts.1)];
        type Queue = VecDeque<(Header, u32, State)>;
        let mut to_tap: [Queue; 2] = Default::default();
        let mut from_tap: [Queue; 2] = Default::default();
        let (mut ends, mut lines, mut truth) = (Ends::new(State::Listen), Vec::new(), Vec::new());
        let (mut fin_unseen, mut passed) = (false, vec![None; 3]);
        for (i, (c, h, len)) in handshake().iter().enumerate() {
            lines.push(ends.segment(i, *c, h, *len, false).states);
            truth.push((*c, if *c { lines[i].0 } else { lines[i].1 }));
        }
        // Then nothing is lost, and all comes to its end: what is under way arrives, then each end speaks in turn.
        let arrive = [4, 5, 6, 7].repeat(20);
        let calm = [arrive.repeat(4), [vec![0, 1, 2, 3], arrive].concat().repeat(20)].concat();
        for step in steps.iter().copied().chain(calm) {
            let side = usize::from(step & 1);
            let lost = (step >> 4) & 7; // 0..=3: not lost
            match (step >> 1) & 7 {
                0 | 1 => {
                    let again = (step >> 1) & 7 == 1;
                    if let Some((s, len)) = hosts[side].speak(again) {
                        to_tap[side].push_back((s, len, hosts[side].state));
                    }
                }
                2 | 4 | 6 => {
                    let Some((s, len, state)) = to_tap[side].pop_front() else { continue };
                    if lost == 4 {
                        fin_unseen |= s.flags.has(Flags::FIN);
                        continue;
                    }
                    let shown = ends.segment(lines.len(), side == 0, &s, len, lost == 5);
                    correct(&mut lines, shown.earlier);
                    lines.push(shown.states);
                    passed.push(shown.passed);
                    truth.push((side == 0, state));
                    if lost < 5 {
                        from_tap[side].push_back((s, len, state));
                    }
                }
                _ => {
                    let Some((s, len, _)) = from_tap[side].pop_front() else { continue };
                    let peer = 1 - side;
                    if lost != 6 && hosts[peer].get(&s, len) {
                        let (a, len) = hosts[peer].ack();
                        to_tap[peer].push_back((a, len, hosts[peer].state));
                    }
                }
            }
        }
        Played { lines, truth, passed, fin_unseen, last: [ends.arrived(true), ends.arrived(false)] }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn columns_go_along_the_arrows_and_never_count_a_fin_before_it_came(
            texts in (0u32..4, 0u32..4),
            steps in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let Played { lines, truth, passed, fin_unseen, last } = play(texts, &steps);
            for (i, w) in lines.windows(2).enumerate().skip(2) {
                let by = passed[i + 1];
                for (client, from, to) in [(true, w[0].0, w[1].0), (false, w[0].1, w[1].1)] {
                    let by = by.filter(|_| truth[i + 1].0 == client);
                    let follows = by.map_or(leads(from, to), |by| leads(from, by) && leads(by, to));
                    prop_assert!(follows, "line {}: from {} by {:?} to {}\n{:#?}", i + 1, from, by, to, lines);
                }
            }
            for (i, (client, state)) in truth.iter().enumerate().skip(3) {
                let shown = if *client { lines[i].0 } else { lines[i].1 };
                // Who speaks is shown as it was when it spoke, as far as the segment can tell.
                if !matches!((shown, state), (State::Closed, State::TimeWait | State::LastAck)) {
                    prop_assert_eq!(shown.peer_closed(), state.peer_closed(), "line {}: {}, {}", i, shown, state);
                    prop_assert!(fin_unseen || shown.we_closed() == state.we_closed(), "line {}: {}, {}", i, shown, state);
                }
            }
            prop_assert!(last.iter().all(|s| matches!(s, State::Closed | State::TimeWait)), "{:?}\n{:#?}", last, lines);
        }
    }
}
