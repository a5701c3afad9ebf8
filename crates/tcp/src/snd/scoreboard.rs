//! What was sent and is not acknowledged, record by record: the scoreboard of RFC 6675 with the times of RFC 8985.
//!
//! A [`Record`] is what left at once: a segment, or a super-segment whose pieces the link made. It is cut at the boundaries
//! of its pieces where a SACK ends inside it, for the peer has received whole pieces: one that is covered in part stays
//! unSACKed. A FIN takes its octet at the end of the last record.
//!
//! Work is bounded by what changes. Runs of SACKed records are stepped over at once (`run`); what was sent once is judged
//! in its order, from where the judge stopped (`judged`); what was sent again lies in the order of its times (`resent`).

use super::rate::Stamp;
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
    /// How many records from this one on are known to be SACKed, if it is the first of them.
    run: u32,
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
    records: VecDeque<Record>,
    /// What was sent again, in the order of its times.
    resent: VecDeque<(SeqNum, SeqNum, Instant)>,
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
    /// No record before it is lost and not sent again.
    lost_from: SeqNum,
    /// Every record before it is SACKed, lost, or was sent again.
    judged: SeqNum,
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
    pub fn sent(&mut self, record: Record, pool: &mut Pool) {
        if self.board.is_none() {
            self.judged = record.start;
        }
        let records = &mut self.board.get_or_insert_with(|| pool.take_board()).records;
        if let Some(last) = records.back_mut() {
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
        records.push_back(record);
    }

    /// `start..end`, which was sent before, was sent again in pieces of `piece` octets.
    pub fn resent(&mut self, start: SeqNum, end: SeqNum, piece: u16, now: Instant, stamp: Stamp) {
        let Some(board) = &mut self.board else { return };
        let mut i = board.find(start);
        if board.records.get(i).is_some_and(|r| r.start.lt(start)) {
            board.split(i, start);
            i += 1;
        }
        while let Some(r) = board.records.get(i)
            && r.start.lt(end)
        {
            if r.end.gt(end) {
                board.split(i, end);
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
            i += 1;
        }
        if self.lost_from.ge(start) && self.lost_from.lt(end) {
            self.lost_from = end;
        }
        board.resent.push_back((start, end, now));
    }

    /// Everything before `una` is acknowledged; `each` is told what had not been delivered before.
    pub fn acknowledge(&mut self, una: SeqNum, pool: &mut Pool, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        while let Some(first) = board.records.front_mut()
            && first.start.lt(una)
        {
            let mut gone = *first;
            let mut pieces = gone.pieces();
            if first.end.le(una) {
                board.records.pop_front();
                if let Some(next) = board.records.front_mut() {
                    next.run = next.run.max(gone.run.saturating_sub(1));
                }
            } else {
                gone.end = una;
                first.start = una;
                pieces -= first.pieces();
            }
            self.forget(&gone, pieces);
            if gone.mark != Mark::Sacked {
                each(&gone);
            }
        }
        self.judged = self.judged.max(una);
        self.lost_from = self.lost_from.max(una);
        if self.again == 0 {
            board.resent.clear();
        }
        if board.records.is_empty() {
            *self = Scoreboard { judged: una, lost_from: una, ..Scoreboard::default() };
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
    //= RFC 6675 4: Update()
    pub fn sack(&mut self, left: SeqNum, right: SeqNum, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let mut i = board.find(left);
        let mut run_from = i;
        while let Some(r) = board.records.get(i).copied()
            && r.start.lt(right)
        {
            if r.mark == Mark::Sacked {
                i += (r.run as usize).max(1);
                continue;
            }
            // Whole pieces only; what ends the record counts as whole.
            let piece = u32::from(r.piece);
            let from = if r.start.ge(left) { r.start } else { r.start + left.since(r.start).next_multiple_of(piece) };
            let to = if r.end.le(right) { r.end } else { r.start + right.since(r.start) / piece * piece };
            if from.ge(to) {
                board.run(run_from, i);
                i += 1;
                run_from = i;
                continue;
            }
            if from.gt(r.start) {
                board.split(i, from);
                board.run(run_from, i);
                i += 1;
                run_from = i;
            }
            if to.lt(r.end) {
                board.split(i, to);
            }
            let fresh = board.records[i];
            self.forget(&fresh, 0); // it was not SACKed: no pieces
            self.sacked += fresh.len();
            self.sacked_pieces += fresh.pieces();
            board.records[i].mark = Mark::Sacked;
            each(&fresh);
            i += 1;
        }
        board.run(run_from, i);
        self.board = Some(board);
    }

    /// Finds lost what is overdue, and tells `each`. When the next will be: [`Instant::NEVER`] if nothing is on its way there.
    //= RFC 8985 6.2: step 5, detect losses
    pub fn detect(&mut self, o: &Overdue, mut each: impl FnMut(&Record)) -> Instant {
        let Some(mut board) = self.board.take() else { return Instant::NEVER };
        let mut next = Instant::NEVER;
        // What was sent once lies in the order of its times.
        let mut i = board.find(self.judged);
        while let Some(r) = board.records.get(i).copied() {
            match r.mark {
                Mark::Sacked => i += (r.run as usize).max(1),
                Mark::Out if !o.sent_before(r.sent, r.end) => break,
                Mark::Out if o.deadline(r.sent) > o.now => {
                    next = o.deadline(r.sent);
                    break;
                }
                Mark::Out => {
                    self.lose(&mut board, i);
                    each(&r);
                    i += 1;
                }
                _ => i += 1,
            }
        }
        self.judged = board.records.get(i).map_or(board.end(), |r| r.start);
        // What was sent again has an order of its own.
        while let Some((start, end, sent)) = board.resent.front().copied() {
            if !o.sent_before(sent, end) {
                break;
            }
            let overdue = o.deadline(sent) <= o.now;
            let mut alive = false;
            let mut i = board.find(start);
            while let Some(r) = board.records.get(i).copied()
                && r.start.lt(end)
            {
                if r.mark.again() && r.sent == sent {
                    alive = true;
                    if overdue {
                        self.lose(&mut board, i);
                        each(&r);
                    }
                }
                i += if r.mark == Mark::Sacked { (r.run as usize).max(1) } else { 1 };
            }
            if alive && !overdue {
                next = next.min(o.deadline(sent));
                break;
            }
            board.resent.pop_front();
        }
        self.board = Some(board);
        next
    }

    /// Finds lost what lies before `limit` and was sent once, and tells `each`.
    //= RFC 6675 4: IsLost()
    pub fn lose_before(&mut self, limit: SeqNum, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let mut i = board.find(self.judged);
        while let Some(r) = board.records.get(i).copied()
            && r.end.le(limit)
        {
            if r.mark == Mark::Out {
                self.lose(&mut board, i);
                each(&r);
            }
            i += if r.mark == Mark::Sacked { (r.run as usize).max(1) } else { 1 };
        }
        self.judged = board.records.get(i).map_or(board.end(), |r| r.start);
        self.board = Some(board);
    }

    /// Where the last `segments` SACKed segments begin: what is before them has that many above it.
    pub fn sacked_above(&self, segments: u32) -> Option<SeqNum> {
        let board = self.board.as_ref().filter(|_| self.sacked_pieces >= segments)?;
        let mut left = segments;
        for r in board.records.iter().rev().filter(|r| r.mark == Mark::Sacked) {
            if r.pieces() >= left {
                return Some(r.start + (r.pieces() - left) * u32::from(r.piece));
            }
            left -= r.pieces();
        }
        None
    }

    /// The first segment is lost; `each` is told, unless that was known.
    pub fn lose_first(&mut self, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        if let Some(r) = board.records.front().copied()
            && matches!(r.mark, Mark::Out | Mark::OutResent)
        {
            let end = r.start + u32::from(r.piece);
            if end.lt(r.end) {
                board.split(0, end);
            }
            let first = board.records[0];
            self.lose(&mut board, 0);
            each(&first);
        }
        self.board = Some(board);
    }

    /// The retransmission timer has expired: the first segment is lost, and what is older than `patience`. A peer that has
    /// not acknowledged a first segment that it had reported has reneged: then nothing that it reported counts.
    //= RFC 8985 6.3
    //= RFC 2018 8
    pub fn timeout(&mut self, now: Instant, patience: Duration, mut each: impl FnMut(&Record)) {
        let Some(mut board) = self.board.take() else { return };
        let reneged = board.records.front().is_some_and(|r| r.mark == Mark::Sacked);
        if let Some(r) = board.records.front().copied() {
            let end = r.start + u32::from(r.piece);
            if end.lt(r.end) {
                board.split(0, end);
            }
        }
        for i in 0..board.records.len() {
            let r = board.records[i];
            if reneged && r.mark == Mark::Sacked {
                self.forget(&r, r.pieces());
                (board.records[i].mark, board.records[i].run) = (Mark::Out, 0);
                self.judged = self.judged.min(r.start);
            }
            let old = i == 0 || reneged || r.sent + patience <= now;
            if old && !matches!(board.records[i].mark, Mark::Lost | Mark::Sacked) {
                self.lose(&mut board, i);
                each(&r);
            }
        }
        self.board = Some(board);
    }

    /// Nothing is lost: what was sent first is on its way, or has arrived.
    pub fn nothing_lost(&mut self) {
        let Some(board) = &mut self.board else { return };
        for r in &mut board.records {
            r.mark = match r.mark {
                Mark::Lost => Mark::Out,
                Mark::LostResent => Mark::OutResent,
                same => same,
            };
        }
        (self.lost, self.unsent) = (0, 0);
        if let Some(first) = board.records.front() {
            self.judged = first.start;
        }
    }

    /// Forgets everything: what is out will be sent as if it never had been.
    pub fn clear(&mut self, pool: &mut Pool) {
        if let Some(b) = self.board.take() {
            pool.give_board(b);
        }
        *self = Scoreboard::default();
    }

    fn lose(&mut self, board: &mut Board, i: usize) {
        let r = &mut board.records[i];
        let len = r.len();
        if r.mark.again() {
            self.again -= len;
        }
        if !r.mark.lost() {
            self.lost += len;
        }
        self.lost_from = if self.unsent == 0 { r.start } else { self.lost_from.min(r.start) };
        self.unsent += len;
        r.mark = Mark::Lost;
    }

    /// What is to be sent again next: where it begins, and the octets up to something that is not.
    //= RFC 6675 4: NextSeg(), rule 1
    pub fn next_lost(&self) -> Option<(SeqNum, u32)> {
        let board = self.board.as_ref().filter(|_| self.unsent > 0)?;
        let mut i = board.find(self.lost_from);
        while let Some(r) = board.records.get(i)
            && r.mark != Mark::Lost
        {
            i += if r.mark == Mark::Sacked { (r.run as usize).max(1) } else { 1 };
        }
        let start = board.records.get(i)?.start;
        let mut end = start;
        while let Some(r) = board.records.get(i)
            && r.mark == Mark::Lost
            && end.since(start) < LONGEST
        {
            end = r.end;
            i += 1;
        }
        Some((start, end.since(start)))
    }

    /// The last segment: where it begins, and its octets.
    pub fn last_segment(&self) -> Option<(SeqNum, u32)> {
        let r = self.board.as_ref()?.records.back()?;
        let len = match r.len() % u32::from(r.piece) {
            0 => u32::from(r.piece),
            rest => rest,
        };
        Some((r.end - len, len))
    }

    /// Octets in the network.
    //= RFC 6675 2: pipe
    //= RFC 9937 6.2
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
        if board.records.len() > CHECKED {
            return;
        }
        let sum = |f: fn(Mark) -> bool| board.records.iter().filter(|r| f(r.mark)).map(Record::len).sum::<u32>();
        assert_eq!(self.sacked, sum(|m| m == Mark::Sacked));
        assert_eq!(self.lost, sum(Mark::lost));
        assert_eq!(self.unsent, sum(|m| m == Mark::Lost));
        assert_eq!(self.again, sum(Mark::again));
        for (i, r) in board.records.iter().enumerate() {
            assert!(r.start.lt(r.end) && r.piece > 0, "{r:?}");
            assert!(board.records.get(i + 1).is_none_or(|n| n.start == r.end), "end to end");
            let run = board.records.iter().skip(i).take_while(|r| r.mark == Mark::Sacked).count();
            assert!(r.mark != Mark::Sacked || r.run as usize <= run, "{} of {run}", r.run);
            assert!(r.mark != Mark::Lost || r.start.ge(self.lost_from), "{r:?} before {:?}", self.lost_from);
            assert!(r.mark != Mark::Out || r.start.ge(self.judged), "{r:?} before {:?}", self.judged);
        }
    }
}

impl Record {
    /// Text that leaves at `sent` for the first time, or, if `resent`, again after the board was cleared.
    pub fn new(start: SeqNum, end: SeqNum, piece: u16, resent: bool, sent: Instant, stamp: Stamp) -> Record {
        Record { start, end, piece: piece.max(1), mark: Mark::Out, resent, run: 0, sent, stamp }
    }
}

impl Board {
    fn start(&self) -> SeqNum {
        self.records.front().map_or(SeqNum(0), |r| r.start)
    }

    fn end(&self) -> SeqNum {
        self.records.back().map_or(SeqNum(0), |r| r.end)
    }

    /// The index of the record that holds `seq`, or of the first after it.
    fn find(&self, seq: SeqNum) -> usize {
        self.records.partition_point(|r| r.end.le(seq))
    }

    /// Cuts record `i` at `at`.
    fn split(&mut self, i: usize, at: SeqNum) {
        let mut rest = self.records[i];
        rest.start = at;
        self.records[i].end = at;
        self.records.insert(i + 1, rest);
    }

    /// The records `from..to` are SACKed.
    fn run(&mut self, from: usize, to: usize) {
        if let Some(r) = self.records.get_mut(from)
            && from < to
        {
            r.run = r.run.max((to - from) as u32);
        }
    }

    /// Empties it for the next owner.
    pub(crate) fn reset(&mut self) {
        self.records.clear();
        self.resent.clear();
    }
}

/// More octets than leave at once: where [`Scoreboard::next_lost`] stops counting.
const LONGEST: u32 = 1 << 17;
/// Boards up to this many records are looked through by [`Scoreboard::check_invariants`].
const CHECKED: usize = 64;
