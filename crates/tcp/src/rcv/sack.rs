//! Which SACK blocks an acknowledgment carries (RFC 2018 4, RFC 2883 4).

use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// What is to be reported, if anything: a connection without holes carries nothing for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SackList(Option<Box<Reports>>);

/// The runs that changed last, the latest first, and a duplicate to report once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Reports {
    blocks: [(SeqNum, SeqNum); 4],
    len: u8,
    dsack: Option<(SeqNum, SeqNum)>,
}

impl SackList {
    /// Text arrived and lies in the run `left..right` now: that run is reported first (RFC 2018 4, the first block
    /// specifies the contiguous block that contains the segment which triggered this ACK).
    //= RFC 2018 4 (b), 8 (a)
    //= RFC 2883 3
    pub fn arrived(&mut self, left: SeqNum, right: SeqNum) {
        let r = self.0.get_or_insert_default();
        let mut kept = [(left, right); 4];
        let mut n = 1;
        for &(l, e) in &r.blocks[..usize::from(r.len)] {
            // Blocks that the new run has swallowed or grown out of are replaced by it.
            if (e.lt(left) || l.gt(right)) && n < kept.len() {
                kept[n] = (l, e);
                n += 1;
            }
        }
        (r.blocks, r.len) = (kept, n as u8);
    }

    /// Whether more runs can be reported, of `runs` that there are: some were forgotten for want of room, and there is room
    /// since others have grown together.
    pub fn has_room(&self, runs: usize) -> bool {
        self.0.as_ref().is_some_and(|r| usize::from(r.len) < runs.min(r.blocks.len()))
    }

    /// Reports those of `runs` that are not yet, after the others, as far as there is room.
    //= RFC 2018 4 (c)
    pub fn fill(&mut self, runs: impl Iterator<Item = (SeqNum, SeqNum)>) {
        let Some(r) = &mut self.0 else { return };
        for (left, right) in runs {
            let n = usize::from(r.len);
            if n == r.blocks.len() {
                break;
            }
            if !r.blocks[..n].iter().any(|b| b.1 == right) {
                r.blocks[n] = (left, right);
                r.len += 1;
            }
        }
    }

    /// Text came twice: it is reported in the next acknowledgment, once, as its first block. Of several runs before
    /// that the first is.
    //= RFC 2883 4
    pub fn duplicate(&mut self, left: SeqNum, right: SeqNum) {
        self.0.get_or_insert_default().dsack.get_or_insert((left, right));
    }

    /// Whether a duplicate is to be reported.
    pub fn has_duplicate(&self) -> bool {
        self.0.as_ref().is_some_and(|r| r.dsack.is_some())
    }

    /// RCV.NXT moved: what it covers is no longer reported.
    pub fn advance(&mut self, nxt: SeqNum) {
        if let Some(r) = &mut self.0 {
            let mut n = 0;
            for i in 0..usize::from(r.len) {
                if r.blocks[i].1.gt(nxt) {
                    r.blocks[n] = r.blocks[i];
                    n += 1;
                }
            }
            r.len = n as u8;
        }
    }

    /// The blocks for the next acknowledgment, and how many there are.
    pub fn blocks(&self) -> ([(SeqNum, SeqNum); 4], usize) {
        let mut out = [(SeqNum(0), SeqNum(0)); 4];
        let Some(r) = &self.0 else { return (out, 0) };
        let mut n = 0;
        if let Some(d) = r.dsack {
            out[0] = d;
            n = 1;
        }
        for b in &r.blocks[..usize::from(r.len)] {
            if n < out.len() {
                out[n] = *b;
                n += 1;
            }
        }
        (out, n)
    }

    /// The acknowledgment was sent: the duplicate has been reported.
    pub fn sent(&mut self) {
        if let Some(r) = &mut self.0 {
            r.dsack = None;
            if r.len == 0 {
                self.0 = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(l: u32, r: u32) -> (SeqNum, SeqNum) {
        (SeqNum(l), SeqNum(r))
    }

    fn list(s: &SackList) -> std::vec::Vec<(SeqNum, SeqNum)> {
        let (blocks, n) = s.blocks();
        blocks[..n].to_vec()
    }

    #[test]
    //= RFC 2018 4 (b), 8 (a)
    //= RFC 2883 3
    fn the_latest_run_comes_first_and_swallows_the_older() {
        for base in [0u32, u32::MAX - 50] {
            let at = |l: u32, r: u32| (SeqNum(base) + l, SeqNum(base) + r);
            let mut s = SackList::default();
            for (l, r) in [at(10, 20), at(30, 40), at(50, 60), at(70, 80), at(90, 100)] {
                s.arrived(l, r);
            }
            assert_eq!(list(&s), [at(90, 100), at(70, 80), at(50, 60), at(30, 40)]);
            s.arrived(at(50, 80).0, at(50, 80).1);
            assert_eq!(list(&s), [at(50, 80), at(90, 100), at(30, 40)]);
            //= RFC 2018 4 (c)
            assert!(!s.has_room(3) && s.has_room(4), "the first run was forgotten");
            s.fill([at(10, 20), at(30, 40), at(50, 80), at(90, 100)].into_iter());
            assert_eq!(list(&s), [at(50, 80), at(90, 100), at(30, 40), at(10, 20)]);
            s.advance(SeqNum(base) + 80);
            assert_eq!(list(&s), [at(90, 100)]);
        }
    }

    #[test]
    //= RFC 2883 4
    fn a_duplicate_is_reported_once_and_first() {
        let mut s = SackList::default();
        s.arrived(SeqNum(30), SeqNum(40));
        s.duplicate(SeqNum(5), SeqNum(10));
        assert_eq!(list(&s), [b(5, 10), b(30, 40)]);
        s.sent();
        assert_eq!(list(&s), [b(30, 40)]);
    }
}
