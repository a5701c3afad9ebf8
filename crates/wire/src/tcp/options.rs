//! TCP options: all that the design uses, and those it recognises only to name them.
//!
//! [`Options::parse`] is lenient where the RFCs ask for it (RFC 9293 3.1, MUST-6, MUST-7): an unknown kind is skipped by its length; a
//! known kind of the wrong size is ignored and remembered in [`Options::malformed`]; only a length that makes the
//! rest unreadable (under 2, or beyond the area) ends the walk, with what was read before it kept.

use super::fast_open::Cookie;
use crate::field::{put, u8_at, u16_at, u32_at};

use crate::{Error, SeqNum};

/// Octets of option space in a header.
pub const MAX_OPTIONS_LEN: usize = 40;

/// Option kinds (IANA tcp-parameters).
pub mod kind {
    /// End of option list.
    pub const EOL: u8 = 0;
    /// No operation.
    pub const NOP: u8 = 1;
    /// Maximum segment size (RFC 9293 3.2).
    pub const MSS: u8 = 2;
    /// Window scale (RFC 7323 2).
    pub const WINDOW_SCALE: u8 = 3;
    /// SACK permitted (RFC 2018 2).
    pub const SACK_PERMITTED: u8 = 4;
    /// SACK (RFC 2018 3).
    pub const SACK: u8 = 5;
    /// Timestamps (RFC 7323 3).
    pub const TIMESTAMPS: u8 = 8;
    /// MD5 signature (RFC 2385).
    pub const MD5: u8 = 19;
    /// User timeout (RFC 5482).
    pub const USER_TIMEOUT: u8 = 28;
    /// TCP-AO (RFC 5925).
    pub const AO: u8 = 29;
    /// Multipath TCP (RFC 8684).
    pub const MPTCP: u8 = 30;
    /// Fast Open cookie (RFC 7413).
    pub const FAST_OPEN: u8 = 34;
    /// Accurate ECN order 0 (RFC 9768).
    pub const ACC_ECN0: u8 = 172;
    /// Accurate ECN order 1 (RFC 9768).
    pub const ACC_ECN1: u8 = 174;
}

/// The two timestamp fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval.
    pub val: u32,
    /// TSecr.
    pub ecr: u32,
}

/// Up to four SACK blocks, in the order in which they stand. `(left, right)`, right excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SackBlocks {
    blocks: [(SeqNum, SeqNum); 4],
    len: u8,
}

impl SackBlocks {
    /// Appends a block; false if there are four already.
    pub fn push(&mut self, left: SeqNum, right: SeqNum) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.len)) else { return false };
        *slot = (left, right);
        self.len += 1;
        true
    }

    /// The blocks.
    pub fn as_slice(&self) -> &[(SeqNum, SeqNum)] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The counters of an Accurate ECN option (RFC 9768 3.2.3), 24 bits each, as far as they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccEcn {
    /// EE0B, ECEB, EE1B.
    counters: [u32; 3],
    /// How many stand in the option: 0 to 3.
    fields: u8,
    /// Kind 174: they stand from EE1B to EE0B. Else from EE0B to EE1B.
    order1: bool,
}

impl AccEcn {
    /// The first `fields` counters of the given order; only the low 24 bits of each are sent.
    //= RFC 9768 3.2.3.1
    pub fn new(order1: bool, fields: u8, e0b: u32, ceb: u32, e1b: u32) -> AccEcn {
        AccEcn { counters: [e0b, ceb, e1b].map(|c| c & 0x00ff_ffff), fields: fields.min(3), order1 }
    }

    /// Whole fields count, whatever the length; what is left over is padding.
    //= RFC 9768 3.2.3: whole fields are used, the remainder is ignored
    fn read(order1: bool, v: &[u8]) -> AccEcn {
        let mut a = AccEcn { counters: [0; 3], fields: (v.len() / 3).min(3) as u8, order1 };
        for (i, f) in v.chunks_exact(3).take(3).enumerate() {
            a.counters[a.place(i)] = u32::from(f[0]) << 16 | u32::from(f[1]) << 8 | u32::from(f[2]);
        }
        a
    }

    /// Which counter stands in field `i`.
    fn place(&self, i: usize) -> usize {
        if self.order1 { 2 - i } else { i }
    }

    fn counter(&self, which: usize) -> Option<u32> {
        (0..usize::from(self.fields)).any(|i| self.place(i) == which).then(|| self.counters[which])
    }

    /// EE0B: octets of text that came as ECT(0).
    pub fn e0b(&self) -> Option<u32> {
        self.counter(0)
    }

    /// ECEB: octets of text that came as CE.
    pub fn ceb(&self) -> Option<u32> {
        self.counter(1)
    }

    /// EE1B: octets of text that came as ECT(1).
    pub fn e1b(&self) -> Option<u32> {
        self.counter(2)
    }

    /// How many counters stand in the option.
    pub const fn fields(&self) -> u8 {
        self.fields
    }

    /// Octets of an option with so many counters, padded to a multiple of four.
    pub const fn padded_len(fields: u8) -> usize {
        (2 + 3 * fields as usize).next_multiple_of(4)
    }
}

/// Options that are recognised so that they can be shown, and not acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unusual {
    /// An MD5 signature is there.
    pub md5: bool,
    /// TCP-AO: key id and next key id.
    pub ao: Option<(u8, u8)>,
    /// Multipath TCP: the subtype.
    pub mptcp: Option<u8>,
    /// The kind of the first option nobody here knows.
    pub unknown: Option<u8>,
}

/// What the options of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// MSS, as announced.
    pub mss: Option<u16>,
    /// Window scale shift count, as announced: may exceed 14, the user of the value clamps it (RFC 7323 2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// Accurate ECN.
    pub acc_ecn: Option<AccEcn>,
    /// Fast Open. It has a meaning only in a segment with SYN.
    pub fast_open: Option<Cookie>,
    /// User timeout: granularity bit (true: minutes) and value.
    pub user_timeout: Option<(bool, u16)>,
    /// What is there and not acted upon.
    pub unusual: Unusual,
    /// The first defect found.
    pub malformed: Option<Error>,
}

impl Options {
    /// Parses the option area. Never fails: see the module's words on what is kept.
    #[inline]
    pub fn parse(b: &[u8]) -> Options {
        // The layout of nearly every segment of nearly every connection (RFC 7323 appendix A).
        if b.len() == 12 && b[..4] == [kind::NOP, kind::NOP, kind::TIMESTAMPS, 10] {
            let timestamps = Some(Timestamps { val: u32_at(b, 4), ecr: u32_at(b, 8) });
            return Options { timestamps, ..Options::default() };
        }
        let mut o = Options::default();
        if !b.is_empty() {
            o.walk(b);
        }
        o
    }

    //= RFC 9293 3.1 MUST-4 MUST-6 MUST-7 MUST-68
    //= RFC 9293 3.2 MUST-64
    fn walk(&mut self, mut b: &[u8]) {
        while let Some(&k) = b.first() {
            match k {
                kind::EOL => return,
                kind::NOP => b = &b[1..],
                _ => {
                    let len = usize::from(u8_at(b, 1));
                    if len < 2 || len > b.len() {
                        self.malformed = self.malformed.or(Some(Error::BadOptionLength));
                        return;
                    }
                    if !self.one(k, &b[2..len]) {
                        self.malformed = self.malformed.or(Some(Error::BadOptionSize));
                    }
                    b = &b[len..];
                }
            }
        }
    }

    /// Takes one option; the first of its kind counts. False if its size is not the one its standard gives it.
    fn one(&mut self, k: u8, v: &[u8]) -> bool {
        match (k, v.len()) {
            (kind::MSS, 2) => self.mss = self.mss.or(Some(u16_at(v, 0))),
            (kind::WINDOW_SCALE, 1) => self.window_scale = self.window_scale.or(Some(v[0])),
            (kind::SACK_PERMITTED, 0) => self.sack_permitted = true,
            (kind::TIMESTAMPS, 8) => {
                self.timestamps = self.timestamps.or(Some(Timestamps { val: u32_at(v, 0), ecr: u32_at(v, 4) }));
            }
            (kind::SACK, 8 | 16 | 24 | 32) => {
                if self.sack.is_empty() {
                    for at in (0..v.len()).step_by(8) {
                        self.sack.push(SeqNum(u32_at(v, at)), SeqNum(u32_at(v, at + 4)));
                    }
                }
            }
            //= RFC 7413 4.1.1 (b): one of another length is ignored
            (kind::FAST_OPEN, _) => match Cookie::new(v) {
                Some(cookie) => self.fast_open = self.fast_open.or(Some(cookie)),
                None => return false,
            },
            (kind::USER_TIMEOUT, 2) => {
                let w = u16_at(v, 0);
                self.user_timeout = self.user_timeout.or(Some((w >> 15 == 1, w & 0x7fff)));
            }
            (kind::MD5, 16) => self.unusual.md5 = true,
            (kind::AO, 2..) => self.unusual.ao = Some((v[0], v[1])),
            (kind::MPTCP, 1..) => self.unusual.mptcp = Some(v[0] >> 4),
            (kind::ACC_ECN0 | kind::ACC_ECN1, _) => {
                self.acc_ecn = self.acc_ecn.or(Some(AccEcn::read(k == kind::ACC_ECN1, v)));
            }
            (
                kind::MSS
                | kind::WINDOW_SCALE
                | kind::SACK_PERMITTED
                | kind::TIMESTAMPS
                | kind::SACK
                | kind::USER_TIMEOUT
                | kind::MD5
                | kind::AO
                | kind::MPTCP,
                _,
            ) => return false,
            //= RFC 9293 3.1 MUST-6
            _ => self.unusual.unknown = self.unusual.unknown.or(Some(k)),
        }
        true
    }
}

/// In which order a SYN carries its options.
pub mod layout {
    /// The order of an operating system's SYN, which fingerprinting and test scripts look at.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
    pub enum Layout {
        /// `mss, sackOK, TS, nop, wscale`.
        #[default]
        Linux,
        /// `mss, nop, wscale, sackOK, TS`.
        FreeBsd,
    }
}

/// Options ready to be put into a header: a multiple of four octets, at most 40.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OptionsBuf {
    bytes: [u8; MAX_OPTIONS_LEN],
    len: u8,
}

impl Default for OptionsBuf {
    fn default() -> Self {
        OptionsBuf { bytes: [0; MAX_OPTIONS_LEN], len: 0 }
    }
}

impl core::fmt::Debug for OptionsBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Options::parse(self.as_slice()).fmt(f)
    }
}

impl OptionsBuf {
    /// The options of a SYN or SYN+ACK, in the given order, each if present. A Fast Open option comes last, and only if it
    /// has its place ([`Cookie::fits`]).
    //= RFC 9293 3.1 MUST-4
    //= RFC 9293 3.7.1 MUST-14
    pub fn syn(o: &Options, layout: layout::Layout) -> OptionsBuf {
        let mut b = OptionsBuf::default();
        if let Some(mss) = o.mss {
            b.push(&[kind::MSS, 4, (mss >> 8) as u8, mss as u8]);
        }
        match layout {
            layout::Layout::Linux => {
                if o.timestamps.is_none() {
                    b.push_acc_ecn(o.acc_ecn);
                }
                match (o.sack_permitted, o.timestamps) {
                    (true, Some(_)) => b.push(&[kind::SACK_PERMITTED, 2]),
                    (true, None) => b.push(&[kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]),
                    (false, Some(_)) => b.push(&[kind::NOP, kind::NOP]),
                    (false, None) => {}
                }
                if let Some(ts) = o.timestamps {
                    b.push_timestamps(ts);
                    b.push_acc_ecn(o.acc_ecn);
                }
                if let Some(shift) = o.window_scale {
                    b.push(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
                }
            }
            layout::Layout::FreeBsd => {
                if let Some(shift) = o.window_scale {
                    b.push(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
                }
                match (o.sack_permitted, o.timestamps) {
                    (true, Some(_)) => b.push(&[kind::SACK_PERMITTED, 2]),
                    //= RFC 9293 3.1 MUST-69
                    (true, None) => b.push(&[kind::SACK_PERMITTED, 2, kind::EOL, kind::EOL]),
                    (false, Some(_)) => b.push(&[kind::NOP, kind::NOP]),
                    (false, None) => {}
                }
                if let Some(ts) = o.timestamps {
                    b.push_timestamps(ts);
                }
                b.push_acc_ecn(o.acc_ecn);
            }
        }
        b.push_cookie(o.fast_open);
        b
    }

    /// The options of any other segment: timestamps and SACK blocks as far as there is room (RFC 2018 3: three
    /// blocks beside timestamps, four without).
    #[inline]
    //= RFC 9293 3.2 MUST-65
    //= RFC 2018 2
    pub fn data(timestamps: Option<Timestamps>, sack: &[(SeqNum, SeqNum)]) -> OptionsBuf {
        OptionsBuf::feedback(timestamps, None, sack)
    }

    /// The same with an Accurate ECN option, which has its room before the SACK blocks.
    #[inline]
    pub fn feedback(ts: Option<Timestamps>, acc_ecn: Option<AccEcn>, sack: &[(SeqNum, SeqNum)]) -> OptionsBuf {
        let mut b = OptionsBuf::default();
        if let Some(ts) = ts {
            let ([a, c, d, e], [f, g, h, i]) = (ts.val.to_be_bytes(), ts.ecr.to_be_bytes());
            b.push(&[kind::NOP, kind::NOP, kind::TIMESTAMPS, 10, a, c, d, e, f, g, h, i]);
        }
        b.push_acc_ecn(acc_ecn);
        if sack.is_empty() {
            return b;
        }
        let room = (MAX_OPTIONS_LEN - usize::from(b.len) - 4) / 8;
        let sack = &sack[..sack.len().min(room)];
        if !sack.is_empty() {
            b.push(&[kind::NOP, kind::NOP, kind::SACK, 2 + 8 * sack.len() as u8]);
            for (left, right) in sack {
                b.push(&left.0.to_be_bytes());
                b.push(&right.0.to_be_bytes());
            }
        }
        b
    }

    #[inline]
    fn push_timestamps(&mut self, ts: Timestamps) {
        self.push(&[kind::TIMESTAMPS, 10]);
        self.push(&ts.val.to_be_bytes());
        self.push(&ts.ecr.to_be_bytes());
    }

    /// Padded at its end, as Linux does it.
    //= RFC 9768 3.2.3: kind 172 for order 0, 174 for order 1; the length says which fields are there
    //= RFC 9768 7
    //= RFC 9768 7
    #[inline]
    fn push_acc_ecn(&mut self, a: Option<AccEcn>) {
        let Some(a) = a else { return };
        let len = 2 + 3 * a.fields;
        self.push(&[if a.order1 { kind::ACC_ECN1 } else { kind::ACC_ECN0 }, len]);
        for i in 0..usize::from(a.fields) {
            self.push(&a.counters[a.place(i)].to_be_bytes()[1..]);
        }
        for _ in usize::from(len)..AccEcn::padded_len(a.fields) {
            self.push(&[kind::NOP]);
        }
    }

    /// Padded at its end, as Linux does it.
    fn push_cookie(&mut self, cookie: Option<Cookie>) {
        let Some(c) = cookie.filter(|c| c.fits(self.len())) else { return };
        let n = c.as_slice().len();
        self.push(&[kind::FAST_OPEN, 2 + n as u8]);
        self.push(c.as_slice());
        for _ in 2 + n..c.padded_len() {
            self.push(&[kind::NOP]);
        }
    }

    #[inline]
    fn push(&mut self, b: &[u8]) {
        put(&mut self.bytes, usize::from(self.len), b);
        self.len += b.len() as u8;
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Octets.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::Layout;
    use proptest::prelude::*;

    fn full() -> Options {
        Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 1_154_875_489, ecr: 0 }),
            ..Options::default()
        }
    }

    #[test]
    //= RFC 9293 3.1 MUST-4
    fn the_syn_of_a_real_capture() {
        let b = OptionsBuf::syn(&full(), Layout::Linux);
        assert_eq!(b.as_slice()[..6], [2, 4, 5, 0xb4, 4, 2]);
        assert_eq!(b.as_slice()[6..8], [8, 10]);
        assert_eq!(b.as_slice()[16..], [1, 3, 3, 7]);
    }

    #[test]
    //= RFC 9293 3.1 MUST-4
    //= RFC 9293 3.7.1 MUST-14
    fn each_option_of_a_syn_can_be_absent_in_either_layout() {
        for mask in 0..16u8 {
            let f = full();
            let o = Options {
                mss: f.mss.filter(|_| mask & 1 != 0),
                window_scale: f.window_scale.filter(|_| mask & 2 != 0),
                sack_permitted: mask & 4 != 0,
                timestamps: f.timestamps.filter(|_| mask & 8 != 0),
                ..Options::default()
            };
            for layout in [Layout::Linux, Layout::FreeBsd] {
                let b = OptionsBuf::syn(&o, layout);
                assert_eq!(b.len() % 4, 0);
                assert_eq!(Options::parse(b.as_slice()), o, "{mask:04b} {layout:?}");
            }
        }
    }

    #[test]
    fn data_segments_carry_three_sack_blocks_beside_timestamps_and_four_without() {
        let blocks: [(SeqNum, SeqNum); 5] =
            core::array::from_fn(|i| (SeqNum(i as u32 * 10), SeqNum(i as u32 * 10 + 5)));
        let ts = Timestamps { val: 1, ecr: 2 };
        assert_eq!(Options::parse(OptionsBuf::data(Some(ts), &blocks).as_slice()).sack.as_slice(), &blocks[..3]);
        assert_eq!(Options::parse(OptionsBuf::data(None, &blocks).as_slice()).sack.as_slice(), &blocks[..4]);
        assert_eq!(OptionsBuf::data(Some(ts), &[]).len(), 12);
    }

    #[test]
    //= RFC 9293 3.1 MUST-6 MUST-68
    fn unknown_options_are_skipped_and_named() {
        let o = Options::parse(&[253, 4, 1, 2, 2, 4, 5, 0xb4]);
        assert_eq!((o.mss, o.unusual.unknown, o.malformed), (Some(1460), Some(253), None));
    }

    #[test]
    //= RFC 9293 3.1 MUST-7
    fn lengths_that_end_the_walk_keep_what_was_read() {
        for tail in [&[8u8, 0][..], &[8, 1], &[8, 20], &[8]] {
            let mut b = std::vec![2, 4, 5, 0xb4];
            b.extend_from_slice(tail);
            let o = Options::parse(&b);
            assert_eq!((o.mss, o.malformed), (Some(1460), Some(Error::BadOptionLength)), "{tail:?}");
        }
    }

    #[test]
    //= RFC 9293 3.1 MUST-7
    //= RFC 9293 3.2 MUST-64
    fn known_options_of_the_wrong_size_are_ignored_and_the_rest_is_read() {
        for bad in [
            &[2u8, 3, 0][..],
            &[3, 2],
            &[4, 3, 0],
            &[8, 9, 0, 0, 0, 0, 0, 0, 0],
            &[5, 2],
            &[5, 9, 0, 0, 0, 0, 0, 0, 0],
            // Fast Open cookies of 1, 2 and 17 octets: 4 to 16 are allowed (RFC 7413 2).
            &[34, 3, 0],
            &[34, 4, 0, 0],
            &[34, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[28, 3, 0],
            &[19, 3, 0],
            &[29, 3, 0],
            &[30, 2],
        ] {
            let mut b = bad.to_vec();
            b.extend_from_slice(&[3, 3, 7]);
            let want_scale = Some(7);
            let o = Options::parse(&b);
            assert_eq!((o.window_scale, o.malformed), (want_scale, Some(Error::BadOptionSize)), "{bad:?}");
        }
        // Five SACK blocks need 42 octets: no header has room for them.
        let mut five = std::vec![5u8, 42];
        five.resize(40, 0);
        assert_eq!(Options::parse(&five).malformed, Some(Error::BadOptionLength));
    }

    #[test]
    //= RFC 9293 3.1 MUST-4
    fn forty_nops_and_what_follows_the_end_of_list() {
        assert_eq!(Options::parse(&[1; 40]), Options::default());
        assert_eq!(Options::parse(&[0, 2, 4, 5, 0xb4]), Options::default());
    }

    #[test]
    //= RFC 9293 3.2 MUST-64
    fn the_first_of_duplicates_counts() {
        let o = Options::parse(&[2, 4, 5, 0xb4, 2, 4, 0, 1, 3, 3, 2, 3, 3, 9]);
        assert_eq!((o.mss, o.window_scale), (Some(1460), Some(2)));
    }

    #[test]
    fn rare_kinds_are_recognised() {
        let o = Options::parse(&[29, 4, 7, 8, 30, 3, 0x20, 172, 5, 0, 0, 1, 28, 4, 0x80, 5, 34, 6, 1, 2, 3, 4]);
        assert_eq!(o.unusual.ao, Some((7, 8)));
        assert_eq!(o.unusual.mptcp, Some(2));
        assert_eq!(o.acc_ecn, Some(AccEcn::new(false, 1, 1, 0, 0)));
        assert_eq!(o.user_timeout, Some((true, 5)));
        assert_eq!(o.fast_open.map(|c| c.as_slice().len()), Some(4));
    }

    #[test]
    fn subtypes_of_mptcp_that_nobody_knows_are_passed_over() {
        // RFC 8684 knows 0 to 8, and 15 for experiments.
        for subtype in 9..=14u8 {
            for len in [3u8, 4, 20] {
                let mut b = std::vec![30, len];
                b.resize(usize::from(len), 0xff);
                b[2] = subtype << 4;
                b.extend_from_slice(&[3, 3, 7]);
                let o = Options::parse(&b);
                assert_eq!((o.unusual.mptcp, o.window_scale, o.malformed), (Some(subtype), Some(7), None), "{len}");
            }
        }
    }

    #[test]
    //= RFC 9768 3.2.3: any length, either order
    //= RFC 9768 7
    //= RFC 9768 7
    fn accurate_ecn_options_of_every_length_and_order() {
        let b = [0, 0, 1, 0xff, 0xff, 0xff, 1, 2, 3, 9, 9, 9];
        for order1 in [false, true] {
            for len in 0..=b.len() {
                let mut o = std::vec![if order1 { 174 } else { 172 }, len as u8 + 2];
                o.extend_from_slice(&b[..len]);
                let a = Options::parse(&o).acc_ecn.unwrap();
                let (first, last) = if order1 { (a.e1b(), a.e0b()) } else { (a.e0b(), a.e1b()) };
                let want = [Some(1).filter(|_| len >= 3), Some(0xff_ffff).filter(|_| len >= 6)];
                assert_eq!(([first, a.ceb()], last), (want, Some(0x01_0203).filter(|_| len >= 9)), "{len}");
            }
        }
        // What is written is read back, in every kind of segment.
        for (order1, fields) in (0..8).map(|n| (n >= 4, n % 4)) {
            let acc_ecn = Some(AccEcn::new(order1, fields, 7, 1 << 24 | 8, 9));
            let b = OptionsBuf::feedback(full().timestamps, acc_ecn, &[(SeqNum(1), SeqNum(2)); 4]);
            assert!(b.len().is_multiple_of(4) && Options::parse(b.as_slice()).sack.as_slice().len() <= 3);
            let read = Options::parse(b.as_slice()).acc_ecn.unwrap();
            let some = |n: u8, v| Some(v).filter(|_| fields > if order1 { 2 - n } else { n });
            assert_eq!((read.e0b(), read.ceb(), read.e1b()), (some(0, 7), some(1, 8), some(2, 9)));
            for (layout, ts) in [(Layout::Linux, true), (Layout::Linux, false), (Layout::FreeBsd, true)] {
                let o = Options { acc_ecn: Some(read), timestamps: full().timestamps.filter(|_| ts), ..full() };
                let b = OptionsBuf::syn(&o, layout);
                assert!(b.len().is_multiple_of(4));
                assert_eq!(Options::parse(b.as_slice()), o);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(b in proptest::collection::vec(any::<u8>(), 0..=40)) {
            let o = Options::parse(&b);
            prop_assert!(o.sack.as_slice().len() <= 4);
        }
    }
}
