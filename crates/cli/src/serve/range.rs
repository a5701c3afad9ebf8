//! The Range header (RFC 9110 14.1.2): one range of octets. What asks for several is answered with the whole, as a server may
//! (RFC 9110 14.2).

/// What is to be sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From the first octet to the last, both included.
    Range(u64, u64),
    /// A range that begins behind the end: 416.
    Beyond,
}

/// What a header asks for of a file of `len` octets. What cannot be read is ignored.
//= RFC 9110 14.2
pub(super) fn part(header: &[u8], len: u64) -> Part {
    let Some(spec) = std::str::from_utf8(header).ok().and_then(|h| {
        let (unit, spec) = h.trim().split_once('=')?;
        unit.eq_ignore_ascii_case("bytes").then_some(spec.trim())
    }) else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Part::Whole };
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Part::Whole };
    match (first, last) {
        (None, None) => Part::Whole,
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), _) if first >= len => Part::Beyond,
        (Some(first), last) => Part::Range(first, last.map_or(len - 1, |l| l.min(len - 1))),
        // The last octets, as many as there are.
        (None, Some(0)) => Part::Beyond,
        (None, Some(_)) if len == 0 => Part::Beyond,
        (None, Some(n)) => Part::Range(len.saturating_sub(n), len - 1),
    }
}

/// A number, or nothing; None if it is neither. One that is too great is greater than any file.
fn number(s: &str) -> Option<Option<u64>> {
    let s = s.trim();
    if s.is_empty() {
        return Some(None);
    }
    s.bytes().all(|b| b.is_ascii_digit()).then(|| Some(s.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        use Part::*;
        for (header, len, is) in [
            ("bytes=0-499", 1_000, Range(0, 499)),
            ("bytes=500-", 1_000, Range(500, 999)),
            ("bytes=-500", 1_000, Range(500, 999)),
            ("bytes=-5000", 1_000, Range(0, 999)),
            ("bytes=900-5000", 1_000, Range(900, 999)),
            ("Bytes=1-1", 1_000, Range(1, 1)),
            ("bytes=1000-", 1_000, Beyond),
            ("bytes=-0", 1_000, Beyond),
            ("bytes=0-", 0, Beyond),
            ("bytes=-5", 0, Beyond),
            ("bytes=99999999999999999999-", 1_000, Beyond),
            ("bytes=0-99999999999999999999", 1_000, Range(0, 999)),
            ("bytes=5-4", 1_000, Whole),
            ("bytes=0-1,5-6", 1_000, Whole),
            ("bytes=-", 1_000, Whole),
            ("bytes=a-b", 1_000, Whole),
            ("bytes=+1-2", 1_000, Whole),
            ("lines=1-2", 1_000, Whole),
            ("", 1_000, Whole),
        ] {
            assert_eq!(part(header.as_bytes(), len), is, "{header:?} of {len}");
        }
        assert_eq!(part(&[0xff, b'='], 5), Whole);
    }
}
