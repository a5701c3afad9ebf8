//! Text that came before what precedes it (RFC 9293 3.10.7.4, seventh).
//!
//! Pieces are kept by their offset from IRS, unwrapped to 64 bits so that they have an order. They never overlap: of
//! octets that come twice the first ones count, and a difference is counted. Work per segment is O(log n) in the
//! number of pieces, and both their number and the memory they pin are bounded.

use crate::buf::{COPY_LIMIT, Chunk, Pool};
use alloc::collections::BTreeMap;

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// The run of text, holes excluded, in which the segment now lies.
    pub run: (u64, u64),
    /// Octets that were there before.
    pub duplicate: u32,
    /// The first run of them, from and to.
    pub first_duplicate: Option<(u64, u64)>,
    /// Octets that were there before, with another value.
    pub differing: u32,
    /// Octets dropped for want of room.
    pub dropped: u32,
    /// Look-ups in the trees, each O(log n): the work that the segment made.
    pub lookups: u32,
}

/// The pieces beyond the first hole.
#[derive(Debug, Default)]
pub struct Reassembly {
    pieces: BTreeMap<u64, Chunk>,
    /// Runs of adjoining pieces: start to end.
    runs: BTreeMap<u64, u64>,
    pinned: usize,
}

impl Reassembly {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Octets of buffers kept alive.
    pub fn pinned(&self) -> usize {
        self.pinned
    }

    /// How many pieces are kept.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Where the first piece begins; beyond everything if there is none.
    pub fn start(&self) -> u64 {
        self.pieces.first_key_value().map_or(u64::MAX, |(s, _)| *s)
    }

    /// Where the last run ends; 0 if there is none.
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, e)| *e)
    }

    /// The runs, in order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.runs.iter().map(|(s, e)| (*s, *e))
    }

    /// The run that contains `at`, if any.
    pub fn run_at(&self, at: u64) -> Option<(u64, u64)> {
        self.runs.range(..=at).next_back().map(|(s, e)| (*s, *e)).filter(|(_, e)| at < *e)
    }

    /// Keeps the text at `start`, as far as it is new and `max_pieces` and `max_pinned` allow.
    pub fn insert(
        &mut self,
        start: u64,
        text: &Chunk,
        max_pieces: usize,
        max_pinned: usize,
        pool: &mut Pool,
    ) -> Inserted {
        let (end, before) = (start + text.len() as u64, self.pinned);
        let mut out = Inserted::default();
        let mut at = start;
        while at < end {
            out.lookups += 1;
            if let Some((from, there)) = self.pieces.range(..=at).next_back() {
                let there_end = from + there.len() as u64;
                if there_end > at {
                    let to = there_end.min(end);
                    let old = &there.as_slice()[(at - from) as usize..(to - from) as usize];
                    let new = &text.as_slice()[(at - start) as usize..(to - start) as usize];
                    out.duplicate += (to - at) as u32;
                    out.first_duplicate = match out.first_duplicate {
                        Some((from, end)) if end == at => Some((from, to)),
                        None => Some((at, to)),
                        earlier => earlier,
                    };
                    out.differing += old.iter().zip(new).filter(|(a, b)| a != b).count() as u32;
                    at = to;
                    continue;
                }
            }
            let to = self.pieces.range(at..).next().map_or(end, |(s, _)| (*s).min(end));
            let piece = &text.as_slice()[(at - start) as usize..(to - start) as usize];
            if !self.keep(at, piece, text, (at - start) as usize, max_pieces, max_pinned, pool) {
                out.dropped += (to - at) as u32;
                break;
            }
            out.lookups += 2 + self.join(at, to);
            at = to;
        }
        pool.charge(before, self.pinned);
        out.lookups += 1;
        out.run = self.run_at(start).unwrap_or((start, start));
        out
    }

    /// Keeps one new piece: behind the one that ends where it begins if there is room, by reference if it is large.
    #[allow(clippy::too_many_arguments)] // private, called once
    fn keep(
        &mut self,
        at: u64,
        piece: &[u8],
        text: &Chunk,
        off: usize,
        max_pieces: usize,
        max_pinned: usize,
        pool: &mut Pool,
    ) -> bool {
        if let Some((from, before)) = self.pieces.range_mut(..at).next_back()
            && from + before.len() as u64 == at
            && piece.len() <= COPY_LIMIT
            && before.room() >= piece.len()
            && before.extend(piece) == piece.len()
        {
            return true;
        }
        if self.pieces.len() >= max_pieces {
            return false;
        }
        let chunk = if piece.len() > COPY_LIMIT {
            let mut c = text.clone();
            c.advance(off);
            c.truncate(piece.len());
            c
        } else {
            let mut b = pool.take(piece.len());
            b.as_mut_slice()[..piece.len()].copy_from_slice(piece);
            b.freeze(0, piece.len())
        };
        if self.pinned + chunk.pinned() > max_pinned {
            pool.give(chunk);
            return false;
        }
        self.pinned += chunk.pinned();
        self.pieces.insert(at, chunk);
        true
    }

    /// Records that `from..to` is there now; returns how many look-ups that took.
    fn join(&mut self, mut from: u64, mut to: u64) -> u32 {
        let mut lookups = 2;
        if let Some((&s, &e)) = self.runs.range(..=from).next_back()
            && e >= from
        {
            from = s;
            to = to.max(e);
        }
        while let Some((&s, &e)) = self.runs.range(from..).next() {
            if s > to {
                break;
            }
            to = to.max(e);
            self.runs.remove(&s);
            lookups += 2;
        }
        self.runs.insert(from, to);
        lookups
    }

    /// Takes the piece that begins at or before `nxt` and reaches beyond it, without what lies before `nxt`.
    /// Pieces that lie wholly before it are given back.
    pub fn pop(&mut self, nxt: u64, pool: &mut Pool) -> Option<Chunk> {
        loop {
            let first = self.pieces.first_entry()?;
            let start = *first.key();
            if start > nxt {
                return None;
            }
            let mut c = first.remove();
            self.pinned -= c.pinned();
            pool.charge(c.pinned(), 0);
            let end = start + c.len() as u64;
            if let Some(run_end) = self.runs.remove(&start)
                && run_end > end
            {
                self.runs.insert(end, run_end);
            }
            if end > nxt {
                c.advance((nxt - start) as usize);
                return Some(c);
            }
            pool.give(c);
        }
    }

    /// Gives everything back.
    pub fn clear(&mut self, pool: &mut Pool) {
        while let Some((_, c)) = self.pieces.pop_first() {
            pool.give(c);
        }
        self.runs.clear();
        pool.charge(core::mem::take(&mut self.pinned), 0);
    }

    /// What must hold: pieces do not overlap, runs are their union, maximal and in order.
    pub fn check_invariants(&self) {
        let mut runs = alloc::vec::Vec::<(u64, u64)>::new();
        for (s, c) in &self.pieces {
            let e = s + c.len() as u64;
            match runs.last_mut() {
                Some(last) if last.1 == *s => last.1 = e,
                Some(last) => {
                    assert!(last.1 < *s, "pieces overlap");
                    runs.push((*s, e));
                }
                None => runs.push((*s, e)),
            }
        }
        assert!(self.runs.iter().map(|(s, e)| (*s, *e)).eq(runs), "runs are the union of the pieces");
        assert_eq!(self.pinned, self.pieces.values().map(Chunk::pinned).sum::<usize>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const NO_LIMIT: (usize, usize) = (usize::MAX, usize::MAX);

    #[test]
    fn the_first_of_differing_octets_counts() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        r.insert(10, &Chunk::copy_of(b"aaaa"), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        let i = r.insert(8, &Chunk::copy_of(b"bbbbbbbb"), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        assert_eq!((i.run, i.duplicate, i.differing, i.dropped), ((8, 16), 4, 4, 0));
        let mut got = Vec::new();
        let mut nxt = 8;
        while let Some(c) = r.pop(nxt, &mut pool) {
            got.extend_from_slice(c.as_slice());
            nxt += c.len() as u64;
        }
        assert_eq!(got, b"bbaaaabb");
        assert!(r.is_empty());
    }

    #[test]
    fn the_first_run_of_what_came_twice_ends_where_something_new_begins() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        let mut insert = |start, text: &[u8]| r.insert(start, &Chunk::copy_of(text), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        insert(0, b"aaaa");
        insert(4, b"bbbb");
        insert(12, b"cccc");
        // 8 to 12 is new: the 12 to 16 that came twice, too, are another run.
        let i = insert(2, &[b'x'; 14]);
        assert_eq!((i.first_duplicate, i.duplicate, i.run), (Some((2, 8)), 10, (0, 16)));
    }

    #[test]
    fn small_pieces_share_a_buffer_and_large_ones_are_kept_as_they_came() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        let small = Chunk::copy_of(&[1; 100]);
        assert_eq!(r.pinned(), 0);
        for i in 0..4 {
            r.insert(10 + i * 100, &small, NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        }
        let shared = r.pinned();
        assert!(r.pieces() == 1 && shared >= 400, "{} pieces, {shared} octets", r.pieces());
        // As large as can be copied, in a buffer of its own; one octet more is kept by reference, without its beginning,
        // which had come before.
        r.insert(10_000, &Chunk::copy_of(&[2; COPY_LIMIT]), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        let copied = r.pinned() - shared;
        let large = Chunk::copy_of(&[[3; 90].as_slice(), &[4; COPY_LIMIT + 1]].concat());
        r.insert(320, &large, NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        assert_eq!((r.pieces(), r.pinned()), (3, shared + copied + large.pinned()));
        r.check_invariants();
        let mut got = Vec::new();
        while let Some(c) = r.pop(10 + got.len() as u64, &mut pool) {
            got.extend_from_slice(c.as_slice());
        }
        assert_eq!(got, [vec![1; 400], vec![4; COPY_LIMIT + 1]].concat());
        assert_eq!(r.pinned(), copied);
    }

    #[test]
    fn what_finds_no_room_is_counted_by_the_octet() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        r.insert(100, &Chunk::copy_of(&[1; 10]), 1, NO_LIMIT.1, &mut pool);
        let i = r.insert(200, &Chunk::copy_of(&[1; 7]), 1, NO_LIMIT.1, &mut pool);
        assert_eq!((i.dropped, i.run, r.pieces()), (7, (200, 200), 1));
    }

    #[test]
    fn one_octet_holes_are_bounded_in_number_and_memory() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        let mut dropped = 0;
        for i in 0..10_000u64 {
            dropped += r.insert(i * 2, &Chunk::copy_of(b"x"), 1024, 1 << 20, &mut pool).dropped;
        }
        assert_eq!(r.pieces(), 512, "2 KiB each: the memory limit is met first");
        assert_eq!(dropped, 10_000 - 512);
        assert!(r.pinned() <= 1 << 20);
        r.check_invariants();
    }

    #[test]
    fn the_work_of_a_segment_does_not_grow_with_what_is_kept() {
        let mut pool = Pool::default();
        let mut r = Reassembly::default();
        let x = Chunk::copy_of(b"x");
        let mut most = 0;
        // Holes from behind, which is the worst order for a list; then each octet once more; then the holes are filled.
        let (holes, again) = ((0..20_000).rev().map(|i| i * 2), (0..20_000).map(|i| i * 2));
        for at in holes.chain(again).chain((0..20_000).map(|i| i * 2 + 1)) {
            most = most.max(r.insert(at, &x, NO_LIMIT.0, NO_LIMIT.1, &mut pool).lookups);
        }
        assert!(most <= 10, "{most} look-ups for one octet");
        assert_eq!(r.run_at(0), Some((0, 40_000)));
        let over = r.insert(0, &Chunk::copy_of(&[b'x'; 1460]), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
        assert!(over.lookups <= 1460 + 1, "{over:?}");
    }

    proptest! {
        /// Against an array of octets.
        #[test]
        fn behaves_like_an_array(ops in proptest::collection::vec((0u64..400, 1usize..120, any::<u8>(), any::<bool>()), 1..60)) {
            let mut pool = Pool::default();
            let mut r = Reassembly::default();
            let mut model: Vec<Option<u8>> = vec![None; 600];
            let mut nxt = 0u64;
            for (start, len, value, drain) in ops {
                let start = start + nxt;
                if start as usize + len > model.len() { continue; }
                let i = r.insert(start, &Chunk::copy_of(&vec![value; len]), NO_LIMIT.0, NO_LIMIT.1, &mut pool);
                let mut dup = 0;
                for slot in &mut model[start as usize..start as usize + len] {
                    if slot.is_some() { dup += 1 } else { *slot = Some(value) }
                }
                prop_assert_eq!(i.duplicate, dup);
                let (s, e) = i.run;
                prop_assert!(model[s as usize..e as usize].iter().all(Option::is_some));
                prop_assert!(s == nxt || s == 0 || model[s as usize - 1].is_none() || s as usize == nxt as usize);
                prop_assert!(model.get(e as usize).is_none_or(|m| m.is_none()));
                r.check_invariants();
                if drain {
                    while let Some(c) = r.pop(nxt, &mut pool) {
                        for b in c.as_slice() {
                            prop_assert_eq!(model[nxt as usize], Some(*b));
                            nxt += 1;
                        }
                        r.check_invariants();
                    }
                    prop_assert!(model.get(nxt as usize).is_none_or(|m| m.is_none()));
                }
            }
        }
    }
}
