//! What was sent and is not acknowledged, record by record: the scoreboard of RFC 6675 with the times of RFC 8985.
//!
//! A [`Record`] is what left at once: a segment, or a super-segment whose pieces the link made. It is cut at the boundaries
//! of its pieces where a SACK ends inside it, for the peer has received whole pieces: one that is covered in part stays
//! unSACKed. A FIN takes its octet at the end of the last record.
//!
//! Work is bounded by what changes. What is SACKed is stepped over range by range; what waits to be sent again is known by its
//! ranges, too; what was sent once is judged in its order, from where the judge stopped (`judged`); what was sent again lies in
//! the order of its times (`resent`). So an acknowledgment looks at what it tells of first, at what it finds lost, and for the
//! rest at some records, however many there are: [`Scoreboard::visits`] counts, and `crates/tcp/tests/work.rs` holds it to that.
//! What walks over all records are the retransmission timer and the undoing of losses, some times in a flight.

use super::ranges::Ranges;
use super::rate::Stamp;
use super::records::{At, Records};
use crate::buf::Pool;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use synfin_wire::SeqNum;

/// What left at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its first octet.
    pub start: SeqNum,
    /// The one after its last.
    pub end: SeqNum,
    /// The size of its pieces.
    pub piece: u16,
    /// What is known of it.
    pub mark: Mark,
    /// Whether it was sent more than once.
    pub resent: bool,
    /// When it was sent last.
    pub sent: Instant,
    /// How delivery stood then.
    pub stamp: Stamp,
}

/// What is known of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is out.
    Out,
    /// It was found lost, and has not been sent again.
    Lost,
    /// It was found lost and has been sent again; that is out.
    LostResent,
    /// It was not found lost, and has been sent again all the same, by a loss probe; both are out.
    OutResent,
    /// The peer has it.
    Sacked,
}

impl Mark {
    fn lost(self) -> bool {
        matches!(self, Mark::Lost | Mark::LostResent)
    }

    fn again(self) -> bool {
        matches!(self, Mark::LostResent | Mark::OutResent)
    }
}

impl Record {
    /// Octets.
    #[allow(clippy::len_without_is_empty)] // a record is never empty
    pub fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// Segments.
    fn pieces(&self) -> u32 {
        self.len().div_ceil(u32::from(self.piece))
    }
}

/// What there is while something is out; it comes from the pool and goes back.
#[derive(Debug, Default)]
pub(crate) struct Board {
    records: Records,
    /// What was sent again, in the order of its times.
    resent: VecDeque<(SeqNum, SeqNum, Instant)>,
    /// What is SACKed.
    sacked: Ranges,
    /// What is lost and not sent again.
    unsent: Ranges,
    /// How often losses were undone, until this is acknowledged, which is all that was out when they were first.
    undone: Option<(SeqNum, u8)>,
}

/// The scoreboard.
#[derive(Debug, Default)]
pub struct Scoreboard {
    board: Option<Box<Board>>,
    /// Octets SACKed.
    sacked: u32,
    /// Segments SACKed.
    sacked_pieces: u32,
    /// Octets found lost, sent again or not.
    lost: u32,
    /// Octets found lost and not sent again.
    unsent: u32,
    /// Octets sent again, and out.
    again: u32,
    /// Every record before it is SACKed, lost, or was sent again.
    judged: SeqNum,
    /// Records looked at and look-ups, each O(log n), in all.
    visits: u32,
}

/// What is to be judged lost: what was sent long enough before something that has arrived (RFC 8985 6.2, step 5).
#[derive(Debug, Clone, Copy)]
pub struct Overdue {
    /// When, and with which end, the most recently sent of what has arrived was sent.
    pub latest: (Instant, SeqNum),
    /// RACK.rtt + RACK.reo_wnd: how long after it was sent a record is lost.
    pub patience: Duration,
    /// Now.
    pub now: Instant,
}

impl Overdue {
    /// RACK_sent_after, of the latest and a record.
    fn sent_before(&self, sent: Instant, end: SeqNum) -> bool {
        sent < self.latest.0 || (sent == self.latest.0 && end.lt(self.latest.1))
    }

    /// When the record is lost.
    fn deadline(&self, sent: Instant) -> Instant {
        sent + self.patience
    }
}

impl Scoreboard {
    /// Text, or a FIN, has left for the first time since the board was last cleared.
    //= RFC 8985 4 (b), 6.1: RACK_transmit_new_data
    pub fn sent(&mut self, record: Record, pool: &mut Pool) {
        if self.board.is_none() {
            self.judged = record.start;
        }
        let records = &mut self.board.get_or_insert_with(|| pool.take_board()).records;
        if let Some(last) = records.last_mut() {
            debug_assert_eq!(last.end, record.start, "records lie end to end");
            // What leaves in the same instant is one record: it can be cut again.
            let whole = last.len().is_multiple_of(u32::from(last.piece));
            if whole
                && (last.sent, last.mark, last.piece, last.resent)
                    == (record.sent, Mark::Out, record.piece, record.resent)
            {
                last.end = record.end;
                last.stamp.in_flight = record.stamp.in_flight;
                return;
            }
        }
        records.push(record);
    }

    /// `start..end`, which was sent before, was sent again in pieces of `piece` octets.
    //= RFC 8985 4 (b), 6.1: RACK_retransmit_data
    pub fn resent(&mut self, start: SeqNum, end: SeqNum, piece: u16, now: Instant, stamp: Stamp) {
        let Some(mut board) = self.board.take() else { return };
        let mut i = board.records.find(start);
        self.visit(1);
        if board.records.get(i).is_some_and(|r| r.start.lt(start)) {
            i = board.records.cut(i, start);
            i = board.records.after(i);
        }
        while let Some(r) = board.records.get(i)
            && r.start.lt(end)
        {
            self.visit(1);
            if r.end.gt(end) {
                i = board.records.cut(i, end);
            }
            let r = &mut board.records[i];
            let len = r.len();
            let (mark, more) = match r.mark {
                Mark::Lost => {
                    self.unsent -= len;
                    (Mark::LostResent, len)
                }
                Mark::Out => (Mark::OutResent, len),
                same => (same, 0),
            };
            self.again += more;
            (r.mark, r.resent, r.sent, r.piece, r.stamp) = (mark, true, now, piece.max(1), stamp);
            i = board.records.after(i);
        }
        self.visit(board.unsent.remove(start, end));
        board.resent.push_back((start, end, now));
        self.board = Some(board);
    }

    /// Everything before `una` is acknowledged; `each` is told what had not been delivered before.
    pub fn acknowledge(&mut self, una: SeqNum, pool: &mut Pool, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        while let Some(first) = board.records.first_mut()
            && first.start.lt(una)
        {
            self.visit(1);
            let mut gone = *first;
            let mut pieces = gone.pieces();
            if first.end.le(una) {
                board.records.drop_first();
            } else {
                gone.end = una;
                // The rest of a piece is one of its own: what lies behind it is reported by whole pieces.
                let whole = gone.start + gone.len().next_multiple_of(u32::from(gone.piece));
                first.start = una;
                if whole.gt(una) && whole.lt(first.end) {
                    let i = board.records.find(una);
                    board.records.cut(i, whole);
                }
                pieces = gone.len() / u32::from(gone.piece);
            }
            self.forget(&gone, pieces);
            if gone.mark != Mark::Sacked {
                each(&gone);
            }
        }
        self.visit(board.sacked.forget_before(una) + board.unsent.forget_before(una));
        self.judged = self.judged.max(una);
        board.undone = board.undone.filter(|(end, _)| una.lt(*end));
        if self.again == 0 {
            board.resent.clear();
        }
        while board.resent.front().is_some_and(|(_, end, _)| end.le(una)) {
            board.resent.pop_front();
        }
        if board.records.is_empty() {
            *self = Scoreboard { judged: una, visits: self.visits, ..Scoreboard::default() };
            pool.give_board(board);
        } else {
            self.board = Some(board);
        }
    }

    /// Takes a record out of the sums.
    fn forget(&mut self, r: &Record, pieces: u32) {
        let len = r.len();
        match r.mark {
            Mark::Out => {}
            Mark::Sacked => {
                self.sacked -= len;
                self.sacked_pieces -= pieces;
            }
            Mark::Lost => {
                self.lost -= len;
                self.unsent -= len;
            }
            Mark::LostResent => {
                self.lost -= len;
                self.again -= len;
            }
            Mark::OutResent => self.again -= len,
        }
    }

    /// The peer has `left..right`; `each` is told what it was not known to have. Nothing outside of what is out counts.
    //= RFC 6675 3, 4 (a), 5 (a): Update()
    //= RFC 8985 4 (a)
    pub fn sack(&mut self, left: SeqNum, right: SeqNum, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let mut i = board.records.find(left);
        self.visit(1);
        // All between the first piece that is new and the last one is SACKed in the end.
        let mut whole: Option<(SeqNum, SeqNum)> = None;
        while let Some(r) = board.records.get(i).copied()
            && r.start.lt(right)
        {
            self.visit(1);
            if r.mark == Mark::Sacked {
                i = self.beyond(&board, &r);
                continue;
            }
            // Whole pieces only; what ends the record counts as whole.
            let piece = u32::from(r.piece);
            let from = if r.start.ge(left) { r.start } else { r.start + left.since(r.start).next_multiple_of(piece) };
            let to = if r.end.le(right) { r.end } else { r.start + right.since(r.start) / piece * piece };
            if from.lt(to) {
                if from.gt(r.start) {
                    i = board.records.cut(i, from);
                    i = board.records.after(i);
                }
                if to.lt(r.end) {
                    i = board.records.cut(i, to);
                }
                let fresh = board.records[i];
                self.forget(&fresh, 0); // it was not SACKed: no pieces
                self.sacked += fresh.len();
                self.sacked_pieces += fresh.pieces();
                if fresh.mark == Mark::Lost {
                    self.visit(board.unsent.remove(from, to));
                }
                board.records[i].mark = Mark::Sacked;
                each(&fresh);
                whole = Some((whole.map_or(from, |w| w.0), to));
            }
            i = board.records.after(i);
        }
        if let Some((from, to)) = whole {
            self.visit(board.sacked.add(from, to));
        }
        self.board = Some(board);
    }

    /// Whether what is out was sent after all that has arrived: then nothing is overdue.
    pub fn in_order(&self, o: &Overdue) -> bool {
        let first = self.board.as_ref().and_then(|b| b.records.first());
        let later = first.is_none_or(|r| r.mark == Mark::Out && !o.sent_before(r.sent, r.end));
        later && self.sacked == 0 && self.again == 0
    }

    /// Finds lost what is overdue, and tells `each`. When the next will be: [`Instant::NEVER`] if nothing is on its way there.
    //= RFC 8985 6.2 (e) (f): step 5, detect losses
    pub fn detect(&mut self, o: &Overdue, mut each: impl FnMut(&Record)) -> Instant {
        let Some(mut board) = self.board.take() else { return Instant::NEVER };
        let mut next = Instant::NEVER;
        // What was sent once lies in the order of its times.
        let mut i = board.records.find(self.judged);
        self.visit(1);
        while let Some(r) = board.records.get(i).copied() {
            self.visit(1);
            match r.mark {
                Mark::Sacked => {
                    i = self.beyond(&board, &r);
                    continue;
                }
                Mark::Out if !o.sent_before(r.sent, r.end) => break,
                Mark::Out if o.deadline(r.sent) > o.now => {
                    next = o.deadline(r.sent);
                    break;
                }
                Mark::Out => {
                    self.lose(&mut board, i);
                    each(&r);
                }
                _ => {}
            }
            i = board.records.after(i);
        }
        self.judged = board.records.get(i).map_or(board.end(), |r| r.start);
        // What was sent again has an order of its own.
        while let Some((start, end, sent)) = board.resent.front().copied() {
            if !o.sent_before(sent, end) {
                break;
            }
            let overdue = o.deadline(sent) <= o.now;
            let mut i = board.records.find(start);
            self.visit(1);
            let mut waits = false;
            while let Some(r) = board.records.get(i).copied()
                && r.start.lt(end)
            {
                self.visit(1);
                if r.mark == Mark::Sacked {
                    i = self.beyond(&board, &r);
                    continue;
                }
                if r.mark.again() && r.sent == sent {
                    if !overdue {
                        // Nothing before it will be asked for again.
                        board.resent[0].0 = r.start;
                        waits = true;
                        break;
                    }
                    self.lose(&mut board, i);
                    each(&r);
                }
                i = board.records.after(i);
            }
            if waits {
                next = next.min(o.deadline(sent));
                break;
            }
            board.resent.pop_front();
        }
        self.board = Some(board);
        next
    }

    /// Finds lost what lies before `limit` and was sent once, and tells `each`.
    //= RFC 6675 4 (c): IsLost()
    pub fn lose_before(&mut self, limit: SeqNum, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let mut i = board.records.find(self.judged);
        self.visit(1);
        while let Some(r) = board.records.get(i).copied()
            && r.end.le(limit)
        {
            self.visit(1);
            if r.mark == Mark::Sacked {
                i = self.beyond(&board, &r);
                continue;
            }
            if r.mark == Mark::Out {
                self.lose(&mut board, i);
                each(&r);
            }
            i = board.records.after(i);
        }
        self.judged = board.records.get(i).map_or(board.end(), |r| r.start);
        self.board = Some(board);
    }

    /// Where the last `segments` SACKed segments begin: what is before them has that many above it.
    pub fn sacked_above(&mut self, segments: u32) -> Option<SeqNum> {
        let board = self.board.as_ref().filter(|_| self.sacked_pieces >= segments)?;
        let mut left = segments;
        for (from, to) in board.sacked.iter().rev() {
            let mut i = Some(board.records.find(to - 1));
            self.visits = self.visits.wrapping_add(2);
            while let Some(r) = i.map(|i| &board.records[i])
                && r.end.gt(from)
            {
                self.visits = self.visits.wrapping_add(1);
                if r.pieces() >= left {
                    return Some(r.start + (r.pieces() - left) * u32::from(r.piece));
                }
                left -= r.pieces();
                i = i.and_then(|i| board.records.before(i));
            }
        }
        None
    }

    /// The first segment is lost; `each` is told, unless that was known.
    pub fn lose_first(&mut self, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        if board.records.first().is_some_and(|r| matches!(r.mark, Mark::Out | Mark::OutResent))
            && let Some((i, r)) = board.first_piece()
        {
            self.visit(1);
            self.lose(&mut board, i);
            each(&r);
        }
        self.board = Some(board);
    }

    /// The retransmission timer has expired: the first segment is lost, and what is older than `patience`. A peer that has
    /// not acknowledged a first segment that it had reported has reneged: then nothing that it reported counts.
    //= RFC 8985 6.3 (a) (b)
    //= RFC 6675 5.1 (b)
    //= RFC 2018 5.1 (b)
    pub fn timeout(&mut self, now: Instant, patience: Duration, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let first = board.first_piece();
        let reneged = first.is_some_and(|(_, r)| r.mark == Mark::Sacked);
        if reneged {
            board.sacked.clear();
        }
        let mut next = first.map(|(i, _)| i);
        while let Some(i) = next
            && let Some(r) = board.records.get(i).copied()
        {
            self.visit(1);
            if reneged && r.mark == Mark::Sacked {
                self.forget(&r, r.pieces());
                board.records[i].mark = Mark::Out;
                self.judged = self.judged.min(r.start);
            }
            let old = Some(i) == first.map(|f| f.0) || reneged || r.sent + patience <= now;
            if old && !matches!(board.records[i].mark, Mark::Lost | Mark::Sacked) {
                self.lose(&mut board, i);
                each(&r);
            }
            next = Some(board.records.after(i));
        }
        self.board = Some(board);
    }

    /// Nothing is lost: what was sent first is on its way, or has arrived.
    pub fn nothing_lost(&mut self) {
        let Some(board) = &mut self.board else { return };
        board.resent.clear();
        board.unsent.clear();
        self.visits = self.visits.wrapping_add(board.records.len() as u32);
        for r in board.records.iter_mut() {
            r.mark = match r.mark {
                // It may be out twice; and by its time it does not lie among what was sent once.
                Mark::Lost if r.resent => {
                    self.again += r.len();
                    Mark::OutResent
                }
                Mark::Lost => Mark::Out,
                Mark::LostResent => Mark::OutResent,
                same => same,
            };
            if r.mark == Mark::OutResent {
                board.resent.push_back((r.start, r.end, r.sent));
            }
        }
        board.resent.make_contiguous().sort_by_key(|(_, _, sent)| *sent);
        (self.lost, self.unsent) = (0, 0);
        self.judged = board.start();
        let (end, n) = board.undone.unwrap_or((board.end(), 0));
        board.undone = Some((end, n.saturating_add(1)));
    }

    /// Whether losses may be undone because the peer says so: some times in a flight. It takes a walk over all that is out, and
    /// another one where they are found lost anew, and the peer could ask for both with each acknowledgment.
    pub fn may_undo(&self) -> bool {
        self.board.as_ref().and_then(|b| b.undone).is_none_or(|(_, n)| n < MOST_UNDONE)
    }

    /// Forgets everything: what is out will be sent as if it never had been.
    pub fn clear(&mut self, pool: &mut Pool) {
        if let Some(b) = self.board.take() {
            pool.give_board(b);
        }
        *self = Scoreboard { visits: self.visits, ..Scoreboard::default() };
    }

    fn lose(&mut self, board: &mut Board, i: At) {
        let r = &mut board.records[i];
        let len = r.len();
        if r.mark.again() {
            self.again -= len;
        }
        if !r.mark.lost() {
            self.lost += len;
        }
        self.unsent += len;
        r.mark = Mark::Lost;
        let (start, end) = (r.start, r.end);
        self.visit(board.unsent.add(start, end));
    }

    /// Where the first record lies behind a SACKed one that is not SACKed.
    fn beyond(&mut self, board: &Board, r: &Record) -> At {
        self.visit(2);
        board.records.find(board.sacked.end_at(r.start).unwrap_or(r.end))
    }

    fn visit(&mut self, n: u32) {
        self.visits = self.visits.wrapping_add(n);
    }

    /// What is to be sent again next: where it begins, and the octets up to something that is not.
    //= RFC 6675 4 (e) (i): NextSeg()
    pub fn next_lost(&self) -> Option<(SeqNum, u32)> {
        self.board.as_ref()?.unsent.first().map(|(start, end)| (start, end.since(start)))
    }

    /// The last segment: where it begins, and its octets.
    pub fn last_segment(&self) -> Option<(SeqNum, u32)> {
        let r = self.board.as_ref()?.records.last()?;
        let len = match r.len() % u32::from(r.piece) {
            0 => u32::from(r.piece),
            rest => rest,
        };
        Some((r.end - len, len))
    }

    /// The record that holds `seq`.
    pub fn find_record(&self, seq: SeqNum) -> Option<Record> {
        let board = self.board.as_ref()?;
        board.records.get(board.records.find(seq)).filter(|r| r.start.le(seq)).copied()
    }

    /// Octets of the segment that goes when all is sent again, at most `mss`: small ones are put together, up to what is SACKed.
    pub fn first_segment(&self, mss: u32) -> Option<u32> {
        let board = self.board.as_ref()?;
        let end = board.sacked.first().map_or(board.end(), |(from, _)| from);
        Some(end.since(board.start()).min(mss))
    }

    /// Octets of `from..to` found lost and not sent again.
    pub fn unsent_in(&self, from: SeqNum, to: SeqNum) -> u32 {
        let Some(board) = &self.board else { return 0 };
        let (mut at, mut octets) = (board.records.find(from), 0);
        while let Some(r) = board.records.get(at).filter(|r| r.start.lt(to)) {
            octets += if r.mark == Mark::Lost { r.end.min(to).since(r.start.max(from)) } else { 0 };
            at = board.records.after(at);
        }
        octets
    }

    /// Octets in the network.
    //= RFC 6675 4 (d): SetPipe()
    //= RFC 5681 3.2 (b): what tells nothing new makes no room
    //= RFC 9937 6.2 (b)
    pub fn pipe(&self) -> u32 {
        self.board.as_ref().map_or(0, |b| b.end().since(b.start()) - self.sacked - self.lost + self.again)
    }

    /// Octets that the peer has reported.
    pub fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Segments that the peer has reported.
    pub fn sacked_pieces(&self) -> u32 {
        self.sacked_pieces
    }

    /// Octets found lost and not delivered since, sent again or not.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Octets found lost and not sent again.
    pub fn unsent(&self) -> u32 {
        self.unsent
    }

    /// Octets sent again that are out.
    pub fn again(&self) -> u32 {
        self.again
    }

    /// Records looked at, and look-ups in the board, each O(log n), in all; it wraps. What acknowledgments cost is a difference.
    pub fn visits(&self) -> u32 {
        self.visits
    }

    /// The records, first to last.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.board.iter().flat_map(|b| b.records.iter())
    }

    /// What must hold between any two verbs. Of long boards only the sums are looked at.
    pub fn check_invariants(&self) {
        let Some(board) = &self.board else {
            assert_eq!((self.sacked, self.lost, self.unsent, self.again), (0, 0, 0, 0));
            return;
        };
        assert!(self.unsent <= self.lost && !board.records.is_empty());
        board.records.check_invariants();
        if board.records.len() > CHECKED {
            return;
        }
        let sum = |f: fn(Mark) -> bool| board.records.iter().filter(|r| f(r.mark)).map(Record::len).sum::<u32>();
        assert_eq!(self.sacked, sum(|m| m == Mark::Sacked));
        assert_eq!(self.lost, sum(Mark::lost));
        assert_eq!(self.unsent, sum(|m| m == Mark::Lost));
        assert_eq!(self.again, sum(Mark::again));
        let (mut sacked, mut unsent) = (Ranges::default(), Ranges::default());
        let mut end = board.start();
        for r in board.records.iter() {
            assert!(r.start.lt(r.end) && r.piece > 0 && r.start == end, "{r:?}");
            assert!(r.mark != Mark::Out || r.start.ge(self.judged), "{r:?} before {:?}", self.judged);
            end = r.end;
            match r.mark {
                Mark::Sacked => sacked.add(r.start, r.end),
                Mark::Lost => unsent.add(r.start, r.end),
                _ => 0,
            };
        }
        assert!(board.sacked.iter().eq(sacked.iter()), "{:?}", board.sacked);
        assert!(board.unsent.iter().eq(unsent.iter()), "{:?}", board.unsent);
    }
}

impl Record {
    /// Text that leaves at `sent` for the first time, or, if `resent`, again after the board was cleared.
    pub fn new(start: SeqNum, end: SeqNum, piece: u16, resent: bool, sent: Instant, stamp: Stamp) -> Record {
        Record { start, end, piece: piece.max(1), mark: Mark::Out, resent, sent, stamp }
    }
}

impl Board {
    fn start(&self) -> SeqNum {
        self.records.first().map_or(SeqNum(0), |r| r.start)
    }

    fn end(&self) -> SeqNum {
        self.records.last().map_or(SeqNum(0), |r| r.end)
    }

    /// Makes the first segment a record of its own.
    fn first_piece(&mut self) -> Option<(At, Record)> {
        let r = *self.records.first()?;
        let (mut i, end) = (self.records.find(r.start), r.start + u32::from(r.piece));
        if end.lt(r.end) {
            i = self.records.cut(i, end);
        }
        Some((i, self.records[i]))
    }

    /// Empties it for the next owner.
    pub(crate) fn reset(&mut self) {
        let Board { records, resent, sacked, unsent, undone } = self;
        *undone = None;
        records.clear();
        resent.clear();
        sacked.clear();
        unsent.clear();
    }
}

/// How often losses are undone in a flight.
const MOST_UNDONE: u8 = 8;
/// Boards up to this many records are looked through by [`Scoreboard::check_invariants`].
const CHECKED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const PIECE: u16 = 100;
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + MS(ms)
    }

    fn record(start: u32, end: u32, ms: u64) -> Record {
        Record::new(SeqNum(start), SeqNum(end), PIECE, false, at(ms), Stamp::default())
    }

    /// One super-segment of ten pieces from 0 on, sent at 0.
    fn ten(pool: &mut Pool) -> Scoreboard {
        let mut b = Scoreboard::default();
        b.sent(record(0, 1000, 0), pool);
        b
    }

    fn sums(b: &Scoreboard) -> (u32, u32, u32, u32, u32) {
        b.check_invariants();
        (b.pipe(), b.sacked(), b.lost(), b.unsent(), b.again())
    }

    #[test]
    //= RFC 6675 3, 4 (a) (d)
    //= RFC 9937 6.2 (b)
    fn a_super_segment_is_cut_at_its_pieces_and_what_is_covered_in_part_stays_unsacked() {
        let mut pool = Pool::default();
        let mut b = ten(&mut pool);
        let mut told = Vec::new();
        b.sack(SeqNum(250), SeqNum(620), |r| told.push((r.start.0, r.end.0)));
        assert_eq!(told, [(300, 600)]);
        assert_eq!((sums(&b), b.sacked_pieces()), ((700, 300, 0, 0, 0), 3));
        b.sack(SeqNum(250), SeqNum(699), |_| panic!("nothing new: the piece at 600 is not whole"));
        // The last piece is whole where the record ends.
        b.sack(SeqNum(910), SeqNum(1000), |_| panic!("its first octets are missing"));
        b.sack(SeqNum(900), SeqNum(1000), |r| told.push((r.start.0, r.end.0)));
        assert_eq!(told.last(), Some(&(900, 1000)));
        b.acknowledge(SeqNum(450), &mut pool, |r| told.push((r.start.0, r.end.0)));
        assert_eq!((told.last(), sums(&b)), (Some(&(0, 300)), (300, 250, 0, 0, 0)));
    }

    #[test]
    //= RFC 6675 4 (c) (d) (e) (i)
    //= RFC 8985 6.2 (e) (f)
    //= RFC 9937 6.2 (b)
    fn what_three_segments_lie_above_is_lost_goes_again_and_is_lost_again_by_time() {
        let mut pool = Pool::default();
        let mut b = ten(&mut pool);
        b.sack(SeqNum(400), SeqNum(600), |_| {});
        assert_eq!(b.sacked_above(3), None);
        b.sack(SeqNum(700), SeqNum(800), |_| {});
        let limit = b.sacked_above(3).expect("three");
        assert_eq!(limit, SeqNum(400));
        let mut lost = Vec::new();
        b.lose_before(limit, |r| lost.push((r.start.0, r.end.0)));
        assert_eq!((lost.as_slice(), b.next_lost()), (&[(0, 400)][..], Some((SeqNum(0), 400))));
        assert_eq!(sums(&b), (300, 300, 400, 400, 0));
        b.resent(SeqNum(0), SeqNum(150), 150, at(10), Stamp::default());
        assert_eq!((b.next_lost(), sums(&b)), (Some((SeqNum(150), 250)), (450, 300, 400, 250, 150)));
        // Something sent at 20 has arrived: what was sent again at 10 is overdue at 40, and only that.
        let o = Overdue { latest: (at(20), SeqNum(2000)), patience: MS(30), now: at(39) };
        let mut lost = Vec::new();
        assert_eq!(b.detect(&o, |r| lost.push((r.start.0, r.end.0))), at(40));
        assert_eq!(lost, [(600, 700), (800, 1000)], "sent once, and long ago");
        let next = b.detect(&Overdue { now: at(40), ..o }, |r| assert_eq!((r.start.0, r.end.0), (0, 150)));
        assert_eq!((next, b.again(), b.next_lost()), (Instant::NEVER, 0, Some((SeqNum(0), 400))));
        b.nothing_lost();
        assert_eq!((sums(&b), b.next_lost()), ((850, 300, 0, 0, 150), None), "what went twice may be out twice");
    }

    #[test]
    //= RFC 8985 6.3 (a) (b)
    //= RFC 2018 5.1 (b)
    fn a_timeout_loses_the_first_segment_and_what_is_old_and_believes_nobody_who_reneges() {
        let mut pool = Pool::default();
        let mut b = ten(&mut pool);
        b.sent(record(1000, 1500, 50), &mut pool);
        b.sack(SeqNum(1000), SeqNum(1200), |_| {});
        b.timeout(at(60), MS(100), |_| {});
        assert_eq!(b.next_lost(), Some((SeqNum(0), 100)), "the rest may be on its way");
        b.timeout(at(110), MS(100), |_| {});
        assert_eq!((b.next_lost(), b.sacked()), (Some((SeqNum(0), 1000)), 200));
        // The first is what the peer said that it had.
        b.acknowledge(SeqNum(1000), &mut pool, |_| {});
        b.timeout(at(120), MS(100), |_| {});
        assert_eq!((b.next_lost(), sums(&b)), (Some((SeqNum(1000), 500)), (0, 0, 500, 500, 0)));
    }

    #[test]
    //= RFC 8985 4 (b), 6.1
    fn each_segment_keeps_the_time_at_which_it_was_sent_last_finer_than_a_quarter_of_a_short_round_trip() {
        let us = |n: u64| Instant::ZERO + Duration::from_micros(n);
        let sent = |start: u32, at| Record::new(SeqNum(start), SeqNum(start + 100), PIECE, false, at, Stamp::default());
        let mut pool = Pool::default();
        let mut b = Scoreboard::default();
        for n in 0..4 {
            b.sent(sent(n * 100, us(u64::from(n))), &mut pool);
        }
        let times = |b: &Scoreboard| b.records().map(|r| (r.start.0, r.sent, r.resent)).collect::<Vec<_>>();
        assert_eq!(times(&b), (0..4).map(|n| (n * 100, us(u64::from(n)), false)).collect::<Vec<_>>());
        // A microsecond apart, on a path of ten: the last has arrived, the first is lost, the second not yet.
        b.sack(SeqNum(300), SeqNum(400), |_| {});
        let o = Overdue { latest: (us(3), SeqNum(400)), patience: Duration::from_micros(10), now: us(10) };
        let mut lost = Vec::new();
        assert_eq!(b.detect(&o, |r| lost.push(r.start.0)), us(11));
        assert_eq!((lost.as_slice(), b.records().next().map(|r| r.mark)), (&[0][..], Some(Mark::Lost)));
        b.resent(SeqNum(0), SeqNum(100), PIECE, us(12), Stamp::default());
        assert_eq!(times(&b)[0], (0, us(12), true));
        assert_eq!(b.records().next().map(|r| r.mark), Some(Mark::LostResent), "it is out, and not lost");
    }

    #[test]
    fn the_last_segment_is_the_odd_one_and_an_empty_board_goes_back() {
        let mut pool = Pool::default();
        let mut b = Scoreboard::default();
        assert_eq!((b.last_segment(), b.pipe()), (None, 0));
        b.sent(record(0, 250, 0), &mut pool);
        assert_eq!(b.last_segment(), Some((SeqNum(200), 50)));
        b.acknowledge(SeqNum(250), &mut pool, |_| {});
        assert_eq!((b.records().count(), sums(&b)), (0, (0, 0, 0, 0, 0)));
    }

    #[test]
    fn losses_are_undone_some_times_in_a_flight() {
        let mut pool = Pool::default();
        let mut b = ten(&mut pool);
        for n in 0..u32::from(MOST_UNDONE) {
            assert!(b.may_undo(), "{n}");
            b.lose_before(SeqNum(1000), |_| {});
            b.nothing_lost();
            b.sent(record(1000 + n * 100, 1100 + n * 100, u64::from(n) + 1), &mut pool);
            b.acknowledge(SeqNum(10 + n), &mut pool, |_| {});
        }
        assert!(!b.may_undo());
        b.acknowledge(SeqNum(999), &mut pool, |_| {});
        assert!(!b.may_undo());
        b.acknowledge(SeqNum(1000), &mut pool, |_| {});
        assert!(b.may_undo(), "what was out then is acknowledged");
    }

    /// What is known of a piece of the naive model.
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Piece {
        mark: Mark,
        sent: u64,
        resent: bool,
    }

    proptest! {
        /// Against a vector of pieces, around the wrap: any order of sending, SACK, acknowledgment, loss, undo.
        #[test]
        fn behaves_like_a_list_of_pieces(
            base in prop_oneof![Just(0u32), Just(u32::MAX - 2_500)],
            ops in proptest::collection::vec((0u8..9, 0u32..40, 0u32..12), 1..120),
        ) {
            let mut pool = Pool::default();
            let mut b = Scoreboard::default();
            let p = u32::from(PIECE);
            let seq = |n: u32| SeqNum(base) + n * p;
            let (mut una, mut now) = (0u32, 0u64);
            let mut model: Vec<Piece> = vec![];
            for (op, x, n) in ops {
                let nxt = una + model.len() as u32;
                let (from, to) = ((una + x % 16).min(nxt), (una + x % 16 + n).min(nxt));
                let range = (from - una) as usize..(to - una) as usize;
                match op {
                    0 | 1 if n > 0 && model.len() < 200 => {
                        now += u64::from(x % 3);
                        let r = Record::new(seq(nxt), seq(nxt + n), PIECE, false, at(now), Stamp::default());
                        b.sent(r, &mut pool);
                        model.extend((0..n).map(|_| Piece { mark: Mark::Out, sent: now, resent: false }));
                    }
                    2 | 3 => {
                        let mut fresh = 0;
                        b.sack(seq(from), seq(to), |r| fresh += r.len());
                        let news = model[range.clone()].iter().filter(|m| m.mark != Mark::Sacked).count() as u32;
                        prop_assert_eq!(fresh, news * p);
                        model[range].iter_mut().for_each(|m| m.mark = Mark::Sacked);
                    }
                    4 => {
                        let mut fresh = 0;
                        b.acknowledge(seq(to), &mut pool, |r| fresh += r.len());
                        let gone: Vec<_> = model.drain(..(to - una) as usize).collect();
                        prop_assert_eq!(fresh, gone.iter().filter(|m| m.mark != Mark::Sacked).count() as u32 * p);
                        una = to;
                    }
                    5 => {
                        now += 1;
                        if let Some((start, len)) = b.next_lost() {
                            let i = start.since(seq(una)) / p;
                            let first = model.iter().position(|m| m.mark == Mark::Lost);
                            prop_assert_eq!(Some(i as usize), first);
                            let k = (n.max(1) * p).min(len);
                            b.resent(start, start + k, PIECE, at(now), Stamp::default());
                            for m in &mut model[i as usize..(i + k / p) as usize] {
                                *m = Piece { mark: Mark::LostResent, sent: now, resent: true };
                            }
                        }
                    }
                    6 => {
                        // No piece ends there: a record is not cut by what cannot have arrived.
                        let latest = (at(now.saturating_sub(u64::from(n))), seq(una));
                        let o = Overdue { latest, patience: MS(2), now: at(now) };
                        b.detect(&o, |_| {});
                        for (i, m) in model.iter_mut().enumerate() {
                            let end = seq(una + i as u32 + 1);
                            let before = at(m.sent) < latest.0 || (at(m.sent) == latest.0 && end.lt(latest.1));
                            let out = !matches!(m.mark, Mark::Sacked | Mark::Lost);
                            if out && before && m.sent + 2 <= now {
                                m.mark = Mark::Lost;
                            }
                        }
                    }
                    7 => {
                        b.nothing_lost();
                        for m in &mut model {
                            m.mark = match m.mark {
                                Mark::Lost if !m.resent => Mark::Out,
                                Mark::Lost | Mark::LostResent => Mark::OutResent,
                                same => same,
                            };
                        }
                    }
                    _ => {
                        now += 1;
                        let reneged = model.first().is_some_and(|m| m.mark == Mark::Sacked);
                        b.timeout(at(now), MS(u64::from(n)), |_| {});
                        for (i, m) in model.iter_mut().enumerate() {
                            if reneged || (m.mark != Mark::Sacked && (i == 0 || m.sent + u64::from(n) <= now)) {
                                m.mark = Mark::Lost;
                            }
                        }
                    }
                }
                b.check_invariants();
                let sum = |f: fn(Mark) -> bool| model.iter().filter(|m| f(m.mark)).count() as u32 * p;
                prop_assert_eq!(b.sacked(), sum(|m| m == Mark::Sacked));
                prop_assert_eq!(b.lost(), sum(Mark::lost));
                prop_assert_eq!(b.unsent(), sum(|m| m == Mark::Lost));
                prop_assert_eq!(b.again(), sum(Mark::again));
            }
        }
    }
}
