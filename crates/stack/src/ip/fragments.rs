//! Reassembly of fragments (RFC 791 3.2, RFC 8200 4.5, RFC 5722), bounded in memory and time.
//!
//! A datagram whose fragments overlap is given up, in both versions: nobody sends such in good faith, and every
//! known attack on reassembly does (RFC 5722 demands it for IPv6, Linux does so for IPv4 too). An exact repetition is a
//! duplicate, and harmless.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use synfin_tcp::Instant;
use synfin_wire::ip::Ecn;

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ident: u32,
    pub protocol: u8,
}

#[derive(Debug)]
struct Datagram {
    pieces: BTreeMap<u32, Vec<u8>>,
    /// Its length, once the last fragment has come.
    len: Option<u32>,
    expires: Instant,
    /// Given up: what still comes is dropped.
    dead: bool,
    /// Octets held.
    have: u32,
    /// The ECN codepoints that its fragments came with, a bit each.
    ecn: u8,
}

/// A fragment: where it stands, whether more follow, its octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub offset: u16,
    pub more: bool,
    pub ecn: Ecn,
    pub data: &'a [u8],
}

/// What a fragment leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Others are missing.
    Waits,
    /// The whole datagram, and its ECN codepoint.
    Whole(Vec<u8>, Ecn),
    /// It, or the datagram with it, is dropped.
    Failed,
}

/// The datagrams that are incomplete.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    datagrams: BTreeMap<Key, Datagram>,
    /// When each began, plus the timeout: all wait equally long. Those that are gone are passed over.
    order: VecDeque<(Instant, Key)>,
    memory: usize,
    /// How many entries were looked at: the work.
    #[cfg(test)]
    visited: usize,
}

/// The codepoint of a datagram whose fragments came with those whose bits are set: CE is not lost, and not made of what is not
/// capable; of two that are capable the first.
//= RFC 3168 5.3
fn codepoint(seen: u8) -> Option<Ecn> {
    let came = |e: Ecn| seen & 1 << e.bits() != 0;
    match (came(Ecn::Ce), came(Ecn::NotEct)) {
        (true, true) => None,
        (true, false) => Some(Ecn::Ce),
        (false, true) => Some(Ecn::NotEct),
        (false, false) => Some(if came(Ecn::Ect0) { Ecn::Ect0 } else { Ecn::Ect1 }),
    }
}

/// What a record costs beside its octets.
const OVERHEAD: usize = 128;

impl Fragments {
    /// Octets held.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// A fragment at `offset`, with more to come or not.
    pub(crate) fn add(&mut self, key: Key, piece: Piece<'_>, now: Instant, timeout: Duration, limit: usize) -> Outcome {
        let Piece { offset, more, ecn, data } = piece;
        if data.is_empty() {
            return Outcome::Failed;
        }
        let (start, end) = (u32::from(offset), u32::from(offset) + data.len() as u32);
        if end > 65_535 {
            self.kill(&key);
            return Outcome::Failed;
        }
        let cost = data.len() + OVERHEAD;
        if self.memory + cost > limit {
            self.expire(now);
            if self.memory + cost > limit {
                return Outcome::Failed; // the old ones are older: whoever comes first is served
            }
        }
        // Datagrams that are complete leave their entries behind: never many more of them than datagrams.
        if self.order.len() > 2 * self.datagrams.len() + 64 {
            self.work(self.order.len());
            let datagrams = &self.datagrams;
            self.order.retain(|(at, k)| datagrams.get(k).is_some_and(|d| d.expires == *at));
        }
        // The datagram, and the neighbours on both sides.
        self.work(3);
        let d = self.datagrams.entry(key).or_insert_with(|| Datagram {
            pieces: BTreeMap::new(),
            len: None,
            expires: now + timeout,
            dead: false,
            have: 0,
            ecn: 0,
        });
        if d.have == 0 && d.pieces.is_empty() && !d.dead {
            self.order.push_back((d.expires, key));
        }
        if d.dead {
            return Outcome::Failed;
        }
        let before = d.pieces.range(..=start).next_back().map(|(s, p)| (*s, *s + p.len() as u32));
        let after = d.pieces.range(start..).next().map(|(s, p)| (*s, *s + p.len() as u32));
        if before == Some((start, end)) && d.pieces.get(&start).is_some_and(|p| p[..] == *data) {
            return Outcome::Waits;
        }
        let overlaps = before.is_some_and(|(_, e)| e > start) || after.is_some_and(|(s, _)| s < end);
        let beyond = d.len.is_some_and(|l| end > l || (!more && end != l));
        let short = !more && d.pieces.last_key_value().is_some_and(|(s, p)| s + p.len() as u32 > end);
        if overlaps || beyond || short {
            self.kill(&key);
            return Outcome::Failed;
        }
        if !more {
            d.len = Some(end);
        }
        d.ecn |= 1 << ecn.bits();
        d.pieces.insert(start, data.to_vec());
        d.have += data.len() as u32;
        self.memory += cost;
        if d.len != Some(d.have) {
            return Outcome::Waits;
        }
        let Some(ecn) = codepoint(d.ecn) else {
            self.kill(&key);
            return Outcome::Failed;
        };
        let pieces = d.pieces.len();
        let whole: Vec<u8> = d.pieces.values().flatten().copied().collect();
        self.forget(&key);
        self.work(pieces);
        Outcome::Whole(whole, ecn)
    }

    /// Gives up what has waited too long; returns how many.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let mut n = 0;
        while let Some((at, key)) = self.order.front().copied() {
            let current = self.datagrams.get(&key).is_some_and(|d| d.expires == at);
            if current && at > now {
                break;
            }
            self.order.pop_front();
            if current {
                self.forget(&key);
                n += 1;
            }
        }
        n
    }

    /// When [`Fragments::expire`] has something to do; perhaps only to pass over what is gone.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.order.front().map_or(Instant::NEVER, |o| o.0)
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::needless_pass_by_ref_mut))]
    fn work(&mut self, _entries: usize) {
        #[cfg(test)]
        {
            self.visited += _entries;
        }
    }

    fn cost(d: &Datagram) -> usize {
        // One that was given up is remembered for a while, and costs as much as one fragment's record.
        d.pieces.values().map(|p| p.len() + OVERHEAD).sum::<usize>() + if d.dead { OVERHEAD } else { 0 }
    }

    fn kill(&mut self, key: &Key) {
        self.work(self.datagrams.get(key).map_or(0, |d| d.pieces.len()));
        if let Some(d) = self.datagrams.get_mut(key) {
            self.memory -= Self::cost(d);
            d.pieces.clear();
            d.dead = true;
            self.memory += Self::cost(d);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(d) = self.datagrams.remove(key) {
            self.memory -= Self::cost(&d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn key(ident: u32) -> Key {
        let a = IpAddr::from([192, 0, 2, 1]);
        Key { src: a, dst: a, ident, protocol: 17 }
    }

    fn add(f: &mut Fragments, ident: u32, offset: u16, more: bool, data: &[u8]) -> Outcome {
        f.add(key(ident), Piece { offset, more, ecn: Ecn::Ect0, data }, Instant::ZERO, Duration::from_secs(30), 100_000)
    }

    #[test]
    fn the_work_of_a_fragment_does_not_grow_with_what_is_kept() {
        let mut f = Fragments::default();
        let mut most = 0;
        // A hole between any two, from behind; then datagrams that come whole and leave only their turn behind; then a
        // fragment that gives up all that is kept.
        for at in (0..4_000u16).rev() {
            let before = f.visited;
            assert_eq!(
                f.add(
                    key(1),
                    Piece { offset: at * 16, more: true, ecn: Ecn::NotEct, data: &[1; 8] },
                    Instant::ZERO,
                    Duration::from_secs(30),
                    1 << 20
                ),
                Outcome::Waits
            );
            most = most.max(f.visited - before);
        }
        assert!(most <= 4, "{most} entries looked at for one fragment");
        let before = f.visited;
        for ident in 2..5_002 {
            add(&mut f, ident, 0, true, b"first...");
            add(&mut f, ident, 8, false, b"last");
        }
        add(&mut f, 1, 4, true, b"overlaps");
        // Each turn that is left behind is passed over once, each piece given back once.
        assert!(f.visited - before <= 10_000 * 6 + 4_000, "{} entries looked at", f.visited - before);
    }

    #[test]
    fn in_any_order_and_twice() {
        let mut f = Fragments::default();
        assert_eq!(add(&mut f, 1, 16, false, b"last"), Outcome::Waits);
        assert_eq!(add(&mut f, 1, 8, true, b"middle.."), Outcome::Waits);
        assert_eq!(add(&mut f, 1, 8, true, b"middle.."), Outcome::Waits, "an exact duplicate");
        assert_eq!(add(&mut f, 1, 0, true, b"first..."), Outcome::Whole(b"first...middle..last".to_vec(), Ecn::Ect0));
        assert_eq!(f.memory(), 0);
    }

    #[test]
    fn the_smallest_fragments_and_a_last_one_under_eight_octets_make_a_whole() {
        let whole: Vec<u8> = (0..=255).cycle().take(1_005).collect();
        let mut f = Fragments::default();
        let pieces: Vec<&[u8]> = whole.chunks(8).collect();
        for (i, p) in pieces.iter().enumerate().rev().take(pieces.len() - 1) {
            let more = i + 1 < pieces.len();
            assert_eq!((add(&mut f, 1, 8 * i as u16, more, p), p.len()), (Outcome::Waits, if more { 8 } else { 5 }));
        }
        assert_eq!(add(&mut f, 1, 0, true, pieces[0]), Outcome::Whole(whole.clone(), Ecn::Ect0));
        assert_eq!(f.memory(), 0);
        for last in 1..8 {
            assert_eq!(add(&mut f, 2, 0, true, b"first..."), Outcome::Waits);
            let want = [b"first...", &whole[..last]].concat();
            assert_eq!(
                add(&mut f, 2, 8, false, &whole[..last]),
                Outcome::Whole(want, Ecn::Ect0),
                "a last one of {last}"
            );
        }
    }

    #[test]
    fn overlap_differing_duplicates_and_lengths_that_disagree_give_the_datagram_up() {
        for (offset, more, data) in [
            (4u16, true, &b"overlaps"[..]),
            (0, true, b"differs."),
            (0, true, b"longer than it was......"),
            (0, false, b"end"),
        ] {
            let mut f = Fragments::default();
            assert_eq!(add(&mut f, 1, 0, true, b"first..."), Outcome::Waits);
            assert_eq!(add(&mut f, 1, offset, more, data), Outcome::Failed, "{offset} {more}");
            assert_eq!(add(&mut f, 1, 8, false, b"rest"), Outcome::Failed, "and what comes later is dropped");
            assert_eq!(f.memory(), OVERHEAD, "what was given up is remembered, and charged");
        }
        let mut f = Fragments::default();
        assert_eq!(add(&mut f, 1, 8, false, b"end"), Outcome::Waits);
        assert_eq!(add(&mut f, 1, 16, true, b"beyond.."), Outcome::Failed);
        assert_eq!(add(&mut f, 2, 65_528, true, &[0; 8]), Outcome::Failed, "beyond 65,535");
        assert_eq!(add(&mut f, 3, 0, true, b""), Outcome::Failed);
    }

    #[test]
    fn never_completed_ones_are_bounded_and_expire() {
        let mut f = Fragments::default();
        let mut failed = 0;
        for i in 0..10_000 {
            failed += usize::from(add(&mut f, i, 0, true, &vec![0; 1400]) == Outcome::Failed);
        }
        assert!(f.memory() <= 100_000 && failed > 9_000);
        let later = Instant::ZERO + Duration::from_secs(30);
        assert_eq!(f.next_deadline(), later);
        assert!(f.expire(later) > 0);
        assert_eq!((f.memory(), f.next_deadline()), (0, Instant::NEVER));
    }

    #[test]
    //= RFC 3168 5.3
    fn marks_of_fragments_are_not_lost_and_not_made() {
        let (n, e0, e1, ce) = (Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce);
        for (came, want) in [
            ([n, n, n], Some(n)),
            ([e0, e0, e0], Some(e0)),
            ([e1, e1, e1], Some(e1)),
            ([ce, ce, ce], Some(ce)),
            ([e0, ce, e0], Some(ce)),
            ([ce, e1, e1], Some(ce)),
            ([e0, n, e0], Some(n)),
            ([e0, e1, e0], Some(e0)),
            ([n, ce, e0], None),
        ] {
            let mut f = Fragments::default();
            let mut last = Outcome::Waits;
            for (i, ecn) in came.into_iter().enumerate() {
                let piece = Piece { offset: i as u16 * 8, more: i < 2, ecn, data: &[1; 8] };
                last = f.add(key(1), piece, Instant::ZERO, Duration::from_secs(30), 100_000);
            }
            assert_eq!(last, want.map_or(Outcome::Failed, |e| Outcome::Whole([1; 24].to_vec(), e)), "{came:?}");
        }
    }
}
