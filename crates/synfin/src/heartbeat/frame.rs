//! The framing: what tells text from signs of life on a byte stream, where an empty write sends nothing.
//!
//! ```text
//!      0        1        2        3
//! +--------+--------+--------+--------+----
//! |  kind  |      length     |  body  ..
//! +--------+--------+--------+--------+----
//! ```
//!
//! | kind | what | length (network order) | body |
//! |---|---|---|---|
//! | 1 | greeting | 4 | its interval in milliseconds: the other side is not to be silent for longer |
//! | 2 | text | 1 to 16,384 | the text |
//! | 3 | probe | 4 | its number: the first is 1, each the last one and 1, modulo 2^32 |
//! | 4 | answer | 4 | the number of the last probe that has come |
//! | 5 | end | 0 | none: no more text comes from this side; probes and answers still do |
//!
//! The greeting is the first frame of each side. A side that has closed before its end has been cut short.

use std::fmt;

/// How a peer broke the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A kind that there is not: the peer speaks something else.
    UnknownKind(u8),
    /// A frame of text without text, or with more than 16,384 octets.
    TextLength(u16),
    /// A greeting, a probe, an answer or an end of a wrong length.
    ControlLength {
        /// The kind of the frame.
        kind: u8,
        /// The length it claims.
        length: u16,
    },
    /// The first frame is no greeting, or another one is.
    Greeting,
    /// An answer to a probe that was not sent, or is answered already.
    UnaskedAnswer(u32),
    /// Text, or an end, after the end.
    AfterEnd,
    /// The stream ended without an end: the peer's program died, or something between closed in its name.
    CutShort,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::UnknownKind(k) => {
                write!(f, "heartbeat: no frame is of kind {k}: the peer speaks something else")
            }
            FrameError::TextLength(n) => write!(f, "heartbeat: a frame of {n} octets of text; 1 to {TEXT_MAX} may be"),
            FrameError::ControlLength { kind, length } => {
                write!(f, "heartbeat: a frame of kind {kind} with {length} octets")
            }
            FrameError::Greeting => write!(f, "heartbeat: the first frame, and no other, is the greeting"),
            FrameError::UnaskedAnswer(n) => write!(f, "heartbeat: an answer to probe {n}, which was not asked"),
            FrameError::AfterEnd => write!(f, "heartbeat: text after the end"),
            FrameError::CutShort => write!(f, "heartbeat: the stream was cut short"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Milliseconds.
    Greeting(u32),
    /// Text, or some of it.
    Text(&'a [u8]),
    Probe(u32),
    Answer(u32),
    End,
}

/// Takes a stream apart, however it was cut.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The begin of a frame, until it is known what it is.
    begin: [u8; CONTROL_LEN],
    have: usize,
    /// Octets that the frame of text still has.
    text: usize,
    greeted: bool,
    ended: bool,
}

impl Decoder {
    /// The next piece of `octets`, which it takes away; `None` when they do not hold a whole one. Of text at most `room`
    /// octets are taken; `None` if there is no room.
    pub(super) fn next<'a>(&mut self, octets: &mut &'a [u8], room: usize) -> Result<Option<Piece<'a>>, FrameError> {
        while self.text == 0 {
            let Some((first, rest)) = octets.split_first() else { return Ok(None) };
            self.begin[self.have] = *first;
            self.have += 1;
            *octets = rest;
            if let Some(control) = self.begun()? {
                self.have = 0;
                return Ok(Some(control));
            }
        }
        let n = self.text.min(octets.len()).min(room);
        if n == 0 {
            return Ok(None);
        }
        let (text, rest) = octets.split_at(n);
        *octets = rest;
        self.text -= n;
        Ok(Some(Piece::Text(text)))
    }

    /// Whether the greeting has come.
    pub(super) fn has_greeted(&self) -> bool {
        self.greeted
    }

    /// The stream has ended.
    pub(super) fn finish(&self) -> Result<(), FrameError> {
        if self.ended && self.have == 0 { Ok(()) } else { Err(FrameError::CutShort) }
    }

    /// One octet more of a frame's begin: what it is by now. Each is judged as soon as it is there.
    fn begun(&mut self) -> Result<Option<Piece<'static>>, FrameError> {
        let [kind, l0, l1, number @ ..] = self.begin;
        if !(GREETING..=END).contains(&kind) {
            return Err(FrameError::UnknownKind(kind));
        }
        if self.greeted == (kind == GREETING) {
            return Err(FrameError::Greeting);
        }
        if self.have < HEADER_LEN {
            return Ok(None);
        }
        let length = u16::from_be_bytes([l0, l1]);
        let number = u32::from_be_bytes(number);
        match (kind, length) {
            (TEXT | END, _) if self.ended => Err(FrameError::AfterEnd),
            (TEXT, n) if (1..=TEXT_MAX).contains(&usize::from(n)) => {
                (self.text, self.have) = (usize::from(n), 0);
                Ok(None)
            }
            (TEXT, n) => Err(FrameError::TextLength(n)),
            (END, 0) => {
                self.ended = true;
                Ok(Some(Piece::End))
            }
            (GREETING | PROBE | ANSWER, 4) if self.have < CONTROL_LEN => Ok(None),
            (GREETING, 4) => {
                self.greeted = true;
                Ok(Some(Piece::Greeting(number)))
            }
            (PROBE, 4) => Ok(Some(Piece::Probe(number))),
            (ANSWER, 4) => Ok(Some(Piece::Answer(number))),
            (kind, length) => Err(FrameError::ControlLength { kind, length }),
        }
    }
}

/// The header of a frame of `n` octets of text.
pub(super) fn text_header(n: usize) -> [u8; HEADER_LEN] {
    debug_assert!((1..=TEXT_MAX).contains(&n));
    let [l0, l1] = (n as u16).to_be_bytes();
    [TEXT, l0, l1]
}

/// A greeting.
pub(super) fn greeting(interval_ms: u32) -> [u8; CONTROL_LEN] {
    numbered(GREETING, interval_ms)
}

/// A probe.
pub(super) fn probe(number: u32) -> [u8; CONTROL_LEN] {
    numbered(PROBE, number)
}

/// An answer.
pub(super) fn answer(number: u32) -> [u8; CONTROL_LEN] {
    numbered(ANSWER, number)
}

fn numbered(kind: u8, number: u32) -> [u8; CONTROL_LEN] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind, 0, 4, a, b, c, d]
}

const GREETING: u8 = 1;
const TEXT: u8 = 2;
const PROBE: u8 = 3;
const ANSWER: u8 = 4;
const END: u8 = 5;

/// Octets before the body.
pub const HEADER_LEN: usize = 3;
/// A greeting, a probe or an answer, as a whole.
pub const CONTROL_LEN: usize = 7;
/// The most text of one frame: behind it a probe waits.
pub const TEXT_MAX: usize = 16_384;
/// The end.
pub(super) const END_FRAME: [u8; HEADER_LEN] = [END, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, and what is no text by kind and number.
    type Said = (Vec<u8>, Vec<(u8, u32)>);

    /// What a stream says, cut into pieces of `n` octets; text put together.
    fn decode(stream: &[u8], n: usize) -> Result<Said, FrameError> {
        let (mut d, mut text, mut control) = (Decoder::default(), Vec::new(), Vec::new());
        for mut part in stream.chunks(n) {
            while let Some(p) = d.next(&mut part, usize::MAX)? {
                match p {
                    Piece::Greeting(n) => control.push((GREETING, n)),
                    Piece::Text(t) => text.extend_from_slice(t),
                    Piece::Probe(n) => control.push((PROBE, n)),
                    Piece::Answer(n) => control.push((ANSWER, n)),
                    Piece::End => control.push((END, 0)),
                }
            }
            assert!(part.is_empty());
        }
        d.finish().map(|()| (text, control))
    }

    #[test]
    fn a_stream_says_the_same_however_it_is_cut() {
        let mut s = greeting(20_000).to_vec();
        s.extend(probe(1));
        s.extend(text_header(5));
        s.extend(b"hello");
        s.extend(answer(0xffff_ffff));
        s.extend(text_header(TEXT_MAX));
        s.extend(vec![7; TEXT_MAX]);
        s.extend(END_FRAME);
        s.extend(probe(2));
        let whole = decode(&s, s.len()).unwrap();
        assert_eq!(whole.1, [(GREETING, 20_000), (PROBE, 1), (ANSWER, u32::MAX), (END, 0), (PROBE, 2)]);
        assert_eq!((whole.0.len(), &whole.0[..6]), (5 + TEXT_MAX, b"hello\x07".as_slice()));
        for n in 1..40 {
            assert_eq!(decode(&s, n).as_ref(), Ok(&whole), "in pieces of {n}");
        }
    }

    #[test]
    fn every_breach_has_its_name_at_its_first_octet() {
        for (greeted, stream, error) in [
            (false, b"HTTP/1.1 200 OK".as_slice(), FrameError::UnknownKind(b'H')),
            (false, &[0], FrameError::UnknownKind(0)),
            (false, &[2], FrameError::Greeting),
            (false, &[1, 0, 5], FrameError::ControlLength { kind: 1, length: 5 }),
            (false, &[], FrameError::CutShort),
            (false, &[1, 0], FrameError::CutShort),
            (true, &[6], FrameError::UnknownKind(6)),
            (true, &[1], FrameError::Greeting),
            (true, &[2, 0, 0], FrameError::TextLength(0)),
            (true, &[2, 0x40, 1], FrameError::TextLength(16_385)),
            (true, &[3, 0, 3], FrameError::ControlLength { kind: 3, length: 3 }),
            (true, &[4, 1, 4], FrameError::ControlLength { kind: 4, length: 260 }),
            (true, &[5, 0, 1], FrameError::ControlLength { kind: 5, length: 1 }),
            (true, &[5, 0, 0, 2, 0, 1], FrameError::AfterEnd),
            (true, &[5, 0, 0, 5, 0, 0], FrameError::AfterEnd),
            (true, &[], FrameError::CutShort),
            (true, &[2, 0, 2, 7], FrameError::CutShort),
            (true, &[5, 0, 0, 3, 0], FrameError::CutShort),
        ] {
            let before: &[u8] = if greeted { &greeting(1) } else { &[] };
            let stream = &[before, stream].concat();
            for n in [1, 100] {
                assert_eq!(decode(stream, n), Err(error), "{stream:?} in pieces of {n}");
            }
            assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn text_waits_where_there_is_no_room_and_control_does_not() {
        let mut d = Decoder::default();
        let s = [&greeting(1)[..], &probe(9), &text_header(3), b"abc", &probe(10)].concat();
        let mut rest = s.as_slice();
        assert_eq!(d.next(&mut rest, 0), Ok(Some(Piece::Greeting(1))));
        assert_eq!(d.next(&mut rest, 0), Ok(Some(Piece::Probe(9))));
        assert_eq!(d.next(&mut rest, 0), Ok(None));
        assert_eq!(d.next(&mut rest, 2), Ok(Some(Piece::Text(b"ab"))));
        assert_eq!(d.next(&mut rest, 2), Ok(Some(Piece::Text(b"c"))));
        assert_eq!(d.next(&mut rest, 0), Ok(Some(Piece::Probe(10))));
    }
}
