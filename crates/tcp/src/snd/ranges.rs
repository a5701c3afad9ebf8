//! Sets of sequence numbers, as ranges: what of the flight is SACKed, and what of it waits to be sent again.
//!
//! Ranges are kept by their distance from the first one, unwrapped to 64 bits so that they have an order; they are maximal.
//! Each call tells how many look-ups it took, each O(log n): a few, and one or two for each range that it ends.

use alloc::collections::BTreeMap;
use synfin_wire::SeqNum;

/// A set of sequence numbers, all within half the circle.
#[derive(Debug)]
pub(super) struct Ranges {
    /// A sequence number among them or before them, and its place.
    base: (SeqNum, i64),
    /// Start to end.
    map: BTreeMap<i64, i64>,
}

impl Default for Ranges {
    fn default() -> Ranges {
        Ranges { base: (SeqNum(0), 0), map: BTreeMap::new() }
    }
}

impl Ranges {
    /// `from..to` is in the set now.
    pub(super) fn add(&mut self, from: SeqNum, to: SeqNum) -> u32 {
        if self.map.is_empty() {
            self.base = (from, 0);
        }
        let (mut from, mut to) = (self.place(from), self.place(to));
        let mut lookups = 3;
        if let Some((&s, &e)) = self.map.range(..=from).next_back()
            && e >= from
        {
            (from, to) = (s, to.max(e));
        }
        while let Some((&s, &e)) = self.map.range(from + 1..).next()
            && s <= to
        {
            to = to.max(e);
            self.map.remove(&s);
            lookups += 2;
        }
        self.map.insert(from, to);
        lookups
    }

    /// `from..to` is not in the set any more.
    pub(super) fn remove(&mut self, from: SeqNum, to: SeqNum) -> u32 {
        let (from, to) = (self.place(from), self.place(to));
        let mut lookups = 2;
        let mut rest = None;
        if let Some((_, e)) = self.map.range_mut(..from).next_back()
            && *e > from
        {
            rest = Some(core::mem::replace(e, from));
        }
        while let Some((&s, &e)) = self.map.range(from..).next()
            && s < to
        {
            rest = Some(e);
            self.map.remove(&s);
            lookups += 2;
        }
        if let Some(end) = rest.filter(|e| *e > to) {
            self.map.insert(to, end);
            lookups += 1;
        }
        lookups
    }

    /// What lies before `una` is not in the set any more.
    pub(super) fn forget_before(&mut self, una: SeqNum) -> u32 {
        let at = self.place(una);
        let mut lookups = 0;
        while let Some(first) = self.map.first_entry()
            && *first.key() < at
        {
            let end = first.remove();
            lookups += 1;
            if end > at {
                self.map.insert(at, end);
                lookups += 1;
            }
        }
        self.base = (una, at);
        lookups
    }

    pub(super) fn clear(&mut self) {
        self.map.clear();
    }

    /// The first range.
    pub(super) fn first(&self) -> Option<(SeqNum, SeqNum)> {
        self.map.first_key_value().map(|(s, e)| (self.seq(*s), self.seq(*e)))
    }

    /// Where the range ends that holds `seq`.
    pub(super) fn end_at(&self, seq: SeqNum) -> Option<SeqNum> {
        let at = self.place(seq);
        self.map.range(..=at).next_back().filter(|(_, e)| at < **e).map(|(_, e)| self.seq(*e))
    }

    /// The ranges, first to last.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (SeqNum, SeqNum)> {
        self.map.iter().map(|(s, e)| (self.seq(*s), self.seq(*e)))
    }

    fn place(&self, seq: SeqNum) -> i64 {
        self.base.1 + i64::from(seq.diff(self.base.0))
    }

    fn seq(&self, place: i64) -> SeqNum {
        self.base.0 + (place - self.base.1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn the_work_does_not_grow_with_the_number_of_ranges() {
        let mut r = Ranges::default();
        let most = |lookups: Vec<u32>| lookups.into_iter().max();
        let every_second = |n: u32| SeqNum(n * 20_000 % 19_997 * 2);
        assert_eq!(most((0..19_997).map(|n| r.add(every_second(n), every_second(n) + 1)).collect()), Some(3));
        assert_eq!(r.iter().count(), 19_997);
        assert_eq!(r.end_at(SeqNum(20_000)), Some(SeqNum(20_001)));
        // What is filled joins two.
        assert_eq!(most((0..9_000).map(|n| r.add(SeqNum(2 * n + 1), SeqNum(2 * n + 2))).collect()), Some(5));
        assert_eq!(r.first(), Some((SeqNum(0), SeqNum(18_001))));
        assert_eq!(most((0..18_000).map(|n| r.forget_before(SeqNum(n))).collect()), Some(2), "octet by octet");
        assert_eq!(most((0..900).map(|n| r.remove(SeqNum(18_000) + n, SeqNum(18_001) + n)).collect()), Some(4));
    }

    proptest! {
        /// Against an array, around the wrap, while the front moves far.
        #[test]
        fn behaves_like_an_array(
            base in prop_oneof![Just(0u32), Just(u32::MAX - 300), Just(u32::MAX / 2 - 300)],
            ops in proptest::collection::vec((0u8..6, 0u32..100, 1u32..30), 1..200),
        ) {
            let mut r = Ranges::default();
            let mut una = 0u32;
            let mut model: Vec<bool> = vec![];
            let seq = |n: usize| SeqNum(base) + n as u32;
            for (op, x, n) in ops {
                let range = (una + x) as usize..(una + x + n) as usize;
                model.resize(model.len().max(range.end), false);
                match op {
                    0..=2 => {
                        r.add(seq(range.start), seq(range.end));
                        model[range].fill(true);
                    }
                    3 | 4 => {
                        r.remove(seq(range.start), seq(range.end));
                        model[range].fill(false);
                    }
                    _ => {
                        una += n;
                        r.forget_before(seq(una as usize));
                        let gone = model.len().min(una as usize);
                        model[..gone].fill(false);
                    }
                }
                let mut want: Vec<(SeqNum, SeqNum)> = vec![];
                for (i, _) in model.iter().enumerate().filter(|(_, there)| **there) {
                    match want.last_mut() {
                        Some(last) if last.1 == seq(i) => last.1 = seq(i + 1),
                        _ => want.push((seq(i), seq(i + 1))),
                    }
                }
                prop_assert!(r.iter().eq(want.iter().copied()), "{:?} instead of {want:?}", r);
                prop_assert_eq!(r.first(), want.first().copied());
                let probe = seq((una + x) as usize);
                let end = want.iter().find(|w| w.0.le(probe) && probe.lt(w.1)).map(|w| w.1);
                prop_assert_eq!(r.end_at(probe), end);
            }
        }
    }
}
