//! Sequence numbers: 32 bits that wrap (RFC 9293 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// A sequence number. It has no `Ord`: on a circle "less than" holds only between numbers that are less than
/// 2^31 apart, so the comparisons are methods whose names are those of the RFC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// `self < other` modulo 2^32.
    #[inline]
    pub const fn lt(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// `self =< other` modulo 2^32.
    #[inline]
    pub const fn le(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) <= 0
    }

    /// `self > other` modulo 2^32.
    #[inline]
    pub const fn gt(self, other: SeqNum) -> bool {
        other.lt(self)
    }

    /// `self >= other` modulo 2^32.
    #[inline]
    pub const fn ge(self, other: SeqNum) -> bool {
        other.le(self)
    }

    /// How far `self` lies after `earlier`, in octets; wraps when it lies before.
    #[inline]
    pub const fn since(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The signed distance from `other` to `self`.
    #[inline]
    pub const fn diff(self, other: SeqNum) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// The later of two.
    #[inline]
    pub const fn max(self, other: SeqNum) -> SeqNum {
        if self.lt(other) { other } else { self }
    }

    /// The earlier of two.
    #[inline]
    pub const fn min(self, other: SeqNum) -> SeqNum {
        if self.lt(other) { self } else { other }
    }

    /// Whether `start =< self < start + len` (RFC 9293 3.4, the window test), exact for any `len`.
    #[inline]
    pub const fn within(self, start: SeqNum, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }
}

impl Add<u32> for SeqNum {
    type Output = SeqNum;
    #[inline]
    fn add(self, n: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for SeqNum {
    type Output = SeqNum;
    #[inline]
    fn sub(self, n: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(n))
    }
}

impl SubAssign<u32> for SeqNum {
    #[inline]
    fn sub_assign(&mut self, n: u32) {
        *self = *self - n;
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_holds_across_the_wrap() {
        for base in [0u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff] {
            for step in [1u32, 2, 15, 16, 0x1000, 0x7fff_fffe] {
                let (a, b) = (SeqNum(base), SeqNum(base) + step);
                assert!(a.lt(b) && a.le(b) && b.gt(a) && b.ge(a), "{a} {b}");
                assert!(!b.lt(a) && !b.le(a) && !a.gt(b) && !a.ge(b), "{a} {b}");
                assert_eq!(a.max(b), b);
                assert_eq!(a.min(b), a);
                assert_eq!(b.since(a), step);
                assert_eq!(a.diff(b), -(step as i32));
                assert_eq!(b - step, a);
            }
            let a = SeqNum(base);
            assert!(a.le(a) && a.ge(a) && !a.lt(a) && !a.gt(a));
        }
    }

    #[test]
    fn the_window_test_is_exact_at_both_edges_and_across_the_wrap() {
        for base in [0u32, 0xffff_fffe, 0xffff_ffff, 0x8000_0000] {
            let start = SeqNum(base);
            assert!(!(start - 1).within(start, 4));
            assert!(start.within(start, 4));
            assert!((start + 3).within(start, 4));
            assert!(!(start + 4).within(start, 4));
            assert!(!start.within(start, 0));
        }
    }
}
