//! Quantities as people write them.

use std::time::Duration;

/// Bits per second: `100M`, `2.5Gbit`, `56k`; powers of ten.
pub(crate) fn rate(s: &str) -> Option<u64> {
    scaled(s.strip_suffix("bit").unwrap_or(s))
}

/// `20ms`, `150us`, `1.5s`, or seconds.
pub fn duration(s: &str) -> Option<Duration> {
    let (number, unit) = split(s);
    let unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

/// A probability in millionths: `1%`, `0.01`.
pub(crate) fn probability(s: &str) -> Option<u32> {
    let (number, unit) = split(s);
    let n: f64 = number.parse().ok()?;
    let p = match unit {
        "%" => n / 100.0,
        "" => n,
        _ => return None,
    };
    (0.0..=1.0).contains(&p).then_some((p * 1e6).round() as u32)
}

/// A number with `k`, `M` or `G` behind it.
pub(crate) fn scaled(s: &str) -> Option<u64> {
    let (number, unit) = split(s);
    let unit = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return None,
    };
    let n = number.parse::<f64>().ok()? * unit;
    (n < 1e18).then_some(n.round() as u64)
}

/// Number and unit. A number begins with a digit and has no sign.
fn split(s: &str) -> (&str, &str) {
    s.split_at(s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_nonsense_is_not() {
        assert_eq!(rate("100M"), Some(100_000_000));
        assert_eq!(rate("2.5Gbit"), Some(2_500_000_000));
        assert_eq!(duration("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(duration("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(probability("0.1%"), Some(1_000));
        assert_eq!(probability("1"), Some(1_000_000));
        assert_eq!(scaled("500k"), Some(500_000));
        for nonsense in ["", "-1", "M", "1x", "1..2", "1e3", "99999999999G"] {
            assert_eq!(scaled(nonsense), None, "{nonsense}");
        }
        assert_eq!((probability("101%"), probability("2"), duration("5d")), (None, None, None));
    }
}
