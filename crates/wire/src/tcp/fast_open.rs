//! The cookie of the Fast Open option (RFC 7413 4.1.1): nothing, which asks for one, or 4 to 16 octets, of an even number.

use super::MAX_OPTIONS_LEN;

/// A cookie, as a server makes it and a client brings it back; an empty one asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cookie {
    len: u8,
    octets: [u8; 16],
}

impl Cookie {
    /// Asks for a cookie.
    pub const REQUEST: Cookie = Cookie { len: 0, octets: [0; 16] };

    /// The cookie of these octets. None if there are too few, too many, or an odd number of them.
    //= RFC 7413 4.1.1 (a)
    pub fn new(octets: &[u8]) -> Option<Cookie> {
        let valid = matches!(octets.len(), 0 | 4..=16) && octets.len().is_multiple_of(2);
        valid.then(|| {
            let mut c = Cookie { len: octets.len() as u8, ..Cookie::REQUEST };
            c.octets[..octets.len()].copy_from_slice(octets);
            c
        })
    }

    /// Its octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Whether it asks for one.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets of the option, padded to a multiple of four.
    pub const fn padded_len(&self) -> usize {
        (2 + self.len as usize).next_multiple_of(4)
    }

    /// Whether the option has its place beside `used` octets of others.
    pub const fn fits(&self, used: usize) -> bool {
        used + self.padded_len() <= MAX_OPTIONS_LEN
    }
}

impl core::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.is_empty() {
            return f.write_str("request");
        }
        self.as_slice().iter().try_for_each(|o| write!(f, "{o:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::{Options, OptionsBuf, Timestamps, layout::Layout};

    #[test]
    //= RFC 7413 4.1.1 (a)
    fn a_cookie_has_none_or_4_to_16_octets_of_an_even_number() {
        let octets = [7; 20];
        let lengths: std::vec::Vec<_> = (0..=20).filter(|n| Cookie::new(&octets[..*n]).is_some()).collect();
        assert_eq!(lengths, [0, 4, 6, 8, 10, 12, 14, 16]);
    }

    #[test]
    //= RFC 7413 4.1.1 (a)
    fn every_cookie_comes_back_from_a_syn_and_is_padded_at_its_end() {
        let octets: [u8; 16] = core::array::from_fn(|i| i as u8 + 1);
        for n in (0..=16).filter(|n| Cookie::new(&octets[..*n]).is_some()) {
            let o = Options {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                timestamps: Some(Timestamps { val: 1, ecr: 2 }),
                fast_open: Cookie::new(&octets[..n]),
                ..Options::default()
            };
            for layout in [Layout::Linux, Layout::FreeBsd] {
                let b = OptionsBuf::syn(&o, layout);
                assert_eq!(Options::parse(b.as_slice()), o, "the largest fits beside all that a SYN has");
                assert_eq!(b.as_slice()[20..22], [34, n as u8 + 2]);
                assert!(b.as_slice()[22 + n..].iter().all(|o| *o == 1) && b.len().is_multiple_of(4));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_can_be_known_before() {
        let cookie = Cookie::new(&[1; 16]).unwrap();
        assert!(cookie.fits(20) && !cookie.fits(24));
        let full = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 1, ecr: 2 }),
            acc_ecn: Some(crate::tcp::AccEcn::new(true, 3, 1, 0, 1)),
            fast_open: Some(cookie),
            ..Options::default()
        };
        let b = OptionsBuf::syn(&full, Layout::Linux);
        assert_eq!(Options::parse(b.as_slice()).fast_open, None);
        let small = Options { fast_open: Some(Cookie::REQUEST), ..full };
        assert_eq!(Options::parse(OptionsBuf::syn(&small, Layout::Linux).as_slice()).fast_open, Some(Cookie::REQUEST));
    }
}
