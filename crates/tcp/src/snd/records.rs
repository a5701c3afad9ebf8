//! The records of the scoreboard in their order: a list that can be cut in the middle at little cost.
//!
//! They lie in rows of at most [`ROW`]. A cut moves less than a row of records; a row that is full becomes two, and then the
//! rows on its shorter side move by a place, 32 octets each. With 4 MiB in flight in segments of 76 octets, which a peer can
//! ask for, there are 55,000 records: in one list each cut would move a megabyte. A place is found in O(log n). Rows are used
//! again, so that a flight in steady state allocates nothing.

use super::scoreboard::Record;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};
use synfin_wire::SeqNum;

/// The records.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// None of them is empty.
    rows: VecDeque<VecDeque<Record>>,
    /// Empty ones, to be used again.
    spare: Vec<VecDeque<Record>>,
    len: usize,
}

/// A place in the list. It is good until the list changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    row: usize,
    col: usize,
}

impl Records {
    pub(super) fn push(&mut self, r: Record) {
        if self.rows.back().is_none_or(|row| row.len() >= ROW) {
            self.rows.push_back(self.spare.pop().unwrap_or_default());
        }
        if let Some(row) = self.rows.back_mut() {
            row.push_back(r);
            self.len += 1;
        }
    }

    /// Drops the first one.
    pub(super) fn drop_first(&mut self) {
        let Some(row) = self.rows.front_mut() else { return };
        row.pop_front();
        self.len -= 1;
        if row.is_empty() {
            self.spare.extend(self.rows.pop_front());
        }
    }

    /// Cuts a record in two at `seq`, which lies inside of it; returns where the first part lies now.
    pub(super) fn cut(&mut self, at: At, seq: SeqNum) -> At {
        let mut rest = self[at];
        self[at].end = seq;
        rest.start = seq;
        let mut to = at;
        if self.rows[at.row].len() >= ROW {
            let mut second = self.spare.pop().unwrap_or_default();
            second.extend(self.rows[at.row].drain(ROW / 2..));
            self.rows.insert(at.row + 1, second);
            if at.col >= ROW / 2 {
                to = At { row: at.row + 1, col: at.col - ROW / 2 };
            }
        }
        self.rows[to.row].insert(to.col + 1, rest);
        self.len += 1;
        to
    }

    /// Empties it; what it has grown to is kept.
    pub(super) fn clear(&mut self) {
        self.rows.iter_mut().for_each(VecDeque::clear);
        self.spare.extend(self.rows.drain(..));
        self.len = 0;
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Record> {
        self.rows.front_mut()?.front_mut()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Record> {
        self.rows.back_mut()?.back_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.rows.iter_mut().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.rows.iter().flatten()
    }

    pub(super) fn first(&self) -> Option<&Record> {
        self.rows.front()?.front()
    }

    pub(super) fn last(&self) -> Option<&Record> {
        self.rows.back()?.back()
    }

    pub(super) fn get(&self, at: At) -> Option<&Record> {
        self.rows.get(at.row)?.get(at.col)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the record lies that holds `seq`, or the first after it.
    pub(super) fn find(&self, seq: SeqNum) -> At {
        let before = |r: &Record| r.end.le(seq);
        let row = self.rows.partition_point(|row| row.back().is_some_and(before));
        At { row, col: self.rows.get(row).map_or(0, |r| r.partition_point(before)) }
    }

    pub(super) fn after(&self, at: At) -> At {
        let inside = self.rows.get(at.row).is_some_and(|row| at.col + 1 < row.len());
        if inside { At { col: at.col + 1, ..at } } else { At { row: at.row + 1, col: 0 } }
    }

    pub(super) fn before(&self, at: At) -> Option<At> {
        match at.col.checked_sub(1) {
            Some(col) => Some(At { col, ..at }),
            None => at.row.checked_sub(1).map(|row| At { row, col: self.rows[row].len() - 1 }),
        }
    }

    /// What must hold: no row is empty, or longer than it may be.
    pub(super) fn check_invariants(&self) {
        assert!(self.rows.iter().all(|r| (1..=ROW).contains(&r.len())) && self.spare.iter().all(VecDeque::is_empty));
        assert_eq!(self.len, self.rows.iter().map(VecDeque::len).sum::<usize>());
    }
}

impl Index<At> for Records {
    type Output = Record;
    fn index(&self, at: At) -> &Record {
        &self.rows[at.row][at.col]
    }
}

impl IndexMut<At> for Records {
    fn index_mut(&mut self, at: At) -> &mut Record {
        &mut self.rows[at.row][at.col]
    }
}

/// Records in a row: 4 KiB.
const ROW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snd::rate::Stamp;
    use crate::time::Instant;
    use proptest::prelude::*;
    use std::vec;

    fn record(start: u32, end: u32) -> Record {
        Record::new(SeqNum(start), SeqNum(end), 1, false, Instant::ZERO, Stamp::default())
    }

    #[test]
    fn rows_are_used_again() {
        let mut list = Records::default();
        for n in 0..10 * ROW as u32 {
            list.push(record(n, n + 1));
        }
        let rows = list.rows.len();
        for n in 0..100 * ROW as u32 {
            list.drop_first();
            list.push(record(n, n + 1));
        }
        assert!(list.rows.len() + list.spare.len() <= rows + 1);
        list.clear();
        assert!(list.is_empty() && list.spare.len() == rows + 1 && list.first().is_none());
        list.check_invariants();
    }

    proptest! {
        /// Against a vector of the ends of records, around the wrap.
        #[test]
        fn behaves_like_a_vector(
            base in prop_oneof![Just(0u32), Just(u32::MAX - 3_000)],
            ops in proptest::collection::vec((0u8..8, any::<u32>()), 1..600),
        ) {
            let seq = |n: u32| SeqNum(base) + n;
            let mut list = Records::default();
            let (mut from, mut ends) = (0u32, vec![]);
            for (op, x) in ops {
                let end = ends.last().copied().unwrap_or(from);
                match op {
                    0 | 1 => {
                        list.push(Record::new(seq(end), seq(end + 100), 1, false, Instant::ZERO, Stamp::default()));
                        ends.push(end + 100);
                    }
                    2 => {
                        list.drop_first();
                        if !ends.is_empty() {
                            from = ends.remove(0);
                        }
                    }
                    _ if end > from => {
                        let at = from + x % (end - from);
                        let i = ends.partition_point(|e| *e <= at);
                        let start = if i == 0 { from } else { ends[i - 1] };
                        let mut place = list.find(seq(at));
                        prop_assert_eq!((list[place].start, list[place].end), (seq(start), seq(ends[i])));
                        prop_assert_eq!(list.before(place).map(|b| list[b].end), (i > 0).then(|| seq(start)));
                        prop_assert_eq!(list.get(list.after(place)).map(|r| r.start), (i + 1 < ends.len()).then(|| seq(ends[i])));
                        if at > start {
                            place = list.cut(place, seq(at));
                            ends.insert(i, at);
                            prop_assert_eq!((list[place].start, list[place].end), (seq(start), seq(at)));
                            prop_assert_eq!(list[list.after(place)].start, seq(at));
                        }
                    }
                    _ => {}
                }
                list.check_invariants();
                prop_assert!(list.iter().map(|r| r.end).eq(ends.iter().map(|e| seq(*e))));
                prop_assert_eq!(list.get(list.find(seq(ends.last().copied().unwrap_or(from)))), None);
                prop_assert_eq!((list.len(), list.first().map(|r| r.start)), (ends.len(), (!ends.is_empty()).then(|| seq(from))));
            }
        }
    }
}
