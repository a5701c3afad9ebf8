//! The Internet checksum (RFC 1071), fast and incremental (RFC 1624).
//!
//! Sums are kept as a [`Sum`]: a partial ones' complement sum in native byte order, so that the inner loop is a
//! plain addition of 32-bit words that the compiler vectorises; the byte order is put right once, at the end.

use core::net::{Ipv4Addr, Ipv6Addr};

/// A partial sum over an even number of octets (or over the last piece, which may be odd).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u64);

impl Sum {
    /// The empty sum.
    pub const ZERO: Sum = Sum(0);

    /// Adds `bytes`. An odd tail is padded with a zero octet, so only the last piece may be odd.
    #[allow(clippy::should_implement_trait)] // it adds octets, not another sum
    #[inline]
    pub fn add(self, bytes: &[u8]) -> Sum {
        let mut acc = 0u64;
        // 64 octets at a time in independent sums: enough for the compiler to keep every vector unit busy.
        let (blocks, rest) = bytes.as_chunks::<64>();
        if !blocks.is_empty() {
            let mut sums = [0u64; 8];
            for block in blocks {
                let (words, _) = block.as_chunks::<8>();
                for (sum, w) in sums.iter_mut().zip(words) {
                    let w = u64::from_ne_bytes(*w);
                    *sum += (w & 0xffff_ffff) + (w >> 32);
                }
            }
            acc = sums.iter().sum();
        }
        let (words, tail) = rest.as_chunks::<4>();
        for w in words {
            acc += u64::from(u32::from_ne_bytes(*w));
        }
        let mut last = [0u8; 4];
        last[..tail.len()].copy_from_slice(tail);
        acc += u64::from(u32::from_ne_bytes(last));
        // 64 KiB of 32-bit words fill 46 bits; folding to 33 here keeps any number of pieces from overflowing.
        Sum(self.0 + (acc & 0xffff_ffff) + (acc >> 32))
    }

    /// Adds a piece that begins at an odd offset of the whole (if `odd`), and says whether the next one does.
    ///
    /// RFC 1071 2(B): the sum of a piece that is shifted by one octet is the sum of the piece with its octets swapped.
    #[inline]
    pub fn add_piece(self, odd: bool, bytes: &[u8]) -> (Sum, bool) {
        let sum = if odd {
            Sum(self.0 + u64::from(Sum::ZERO.add(bytes).fold().to_be().swap_bytes()))
        } else {
            self.add(bytes)
        };
        (sum, odd ^ (bytes.len() % 2 == 1))
    }

    /// Adds a 16-bit field given in host order.
    #[inline]
    pub fn add_u16(self, v: u16) -> Sum {
        Sum(self.0 + u64::from(v.to_be()))
    }

    /// Adds a 32-bit field given in host order.
    #[inline]
    pub fn add_u32(self, v: u32) -> Sum {
        Sum(self.0 + u64::from(v.to_be()))
    }

    /// Folds to 16 bits, in network order as a host integer, not complemented: what a partial checksum field holds.
    #[inline]
    pub fn fold(self) -> u16 {
        let mut s = self.0;
        while s >> 16 != 0 {
            s = (s & 0xffff) + (s >> 16);
        }
        u16::from_be(s as u16)
    }

    /// The checksum to put into a header (in host order; write it big-endian).
    #[inline]
    pub fn finish(self) -> u16 {
        !self.fold()
    }

    /// Whether a sum over data that includes its checksum says "intact".
    #[inline]
    pub fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }
}

/// The pseudo-header sum for IPv4 (RFC 9293 3.1).
#[inline]
pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: u32) -> Sum {
    Sum::ZERO.add(&src.octets()).add(&dst.octets()).add_u16(u16::from(protocol)).add_u32(len)
}

/// The pseudo-header sum for IPv6 (RFC 8200 8.1).
#[inline]
pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, len: u32) -> Sum {
    Sum::ZERO.add(&src.octets()).add(&dst.octets()).add_u16(u16::from(protocol)).add_u32(len)
}

/// The checksum after a 16-bit field changed from `old` to `new` (RFC 1624, equation 3). All in host order.
#[inline]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let mut s = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    !(s as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 4.1, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut s = 0u32;
        for w in bytes.chunks(2) {
            s += u32::from(u16::from_be_bytes([w[0], *w.get(1).unwrap_or(&0)]));
            s = (s & 0xffff) + (s >> 16);
        }
        !(s as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        // RFC 1071 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
        assert_eq!(Sum::ZERO.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // RFC 1624 4: checksum dd2f, a field changes from 5555 to 3285: 0000.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn equals_the_naive_loop(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(Sum::ZERO.add(&bytes).finish(), naive(&bytes));
        }

        #[test]
        fn pieces_of_even_length_add_up(a in proptest::collection::vec(any::<u8>(), 0..200), b in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut even = a;
            if even.len() % 2 == 1 { even.pop(); }
            let mut whole = even.clone();
            whole.extend_from_slice(&b);
            prop_assert_eq!(Sum::ZERO.add(&even).add(&b).finish(), naive(&whole));
        }

        #[test]
        fn pieces_of_any_length_add_up(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let (mut sum, mut odd) = (Sum::ZERO, false);
            for p in &pieces {
                (sum, odd) = sum.add_piece(odd, p);
            }
            prop_assert_eq!(sum.finish(), naive(&pieces.concat()));
        }

        #[test]
        fn an_update_equals_a_new_sum(mut bytes in proptest::collection::vec(any::<u8>(), 20..60), new in any::<u16>()) {
            bytes[0] |= 1; // not all zero: ones' complement has two zeros
            let before = naive(&bytes);
            let old = u16::from_be_bytes([bytes[4], bytes[5]]);
            bytes[4..6].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update(before, old, new), naive(&bytes));
        }
    }
}
