//! Numbers with units, as people write them: `100M`, `20ms`, `64KiB`, `0.1%`. Of scenario files and of command lines alike.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::time::Duration;

/// Bits per second: `100M`, `1.5Gbit/s`, `9600`. Prefixes are decimal.
pub fn rate(s: &str) -> Option<u64> {
    let s = ["bit/s", "bps", "bit"].iter().find_map(|unit| s.strip_suffix(unit)).unwrap_or(s);
    scaled(s, &[("", 1.0), ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9)])
}

/// Octets: `1500`, `10MB`, `64KiB`.
pub fn size(s: &str) -> Option<u64> {
    let binary = [("KiB", 1024.0), ("MiB", 1048576.0), ("GiB", 1073741824.0)];
    let decimal = [("", 1.0), ("B", 1.0), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9)];
    scaled(s, &[&binary[..], &decimal[..]].concat())
}

/// A length of time: `20ms`, `1.5s`, `2h`; without a unit seconds.
pub fn time(s: &str) -> Option<Duration> {
    let units = [("", 1.0), ("s", 1.0), ("us", 1e-6), ("ms", 1e-3), ("m", 60.0), ("min", 60.0), ("h", 3600.0)];
    let (n, unit) = split(s)?;
    let by = units.iter().find(|(u, _)| *u == unit)?.1;
    Duration::try_from_secs_f64(n * by).ok()
}

/// A part of the whole, in millionths: `1%`, or a plain number from 0 to 1.
pub fn portion(s: &str) -> Option<u32> {
    let (n, unit) = split(s)?;
    let n = match unit {
        "%" => n / 100.0,
        "" => n,
        _ => return None,
    };
    (0.0..=1.0).contains(&n).then_some((n * 1e6).round() as u32)
}

/// The room of a queue: `100 packets`, a size, or a time.
pub fn room(s: &str) -> Option<Room> {
    if let Some(n) = s.strip_suffix("packets").or_else(|| s.strip_suffix("packet")) {
        return n.trim().parse().ok().map(Room::Packets);
    }
    size(s).map(Room::Bytes).or_else(|| time(s).map(Room::Time))
}

/// The room of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many packets.
    Packets(u32),
    /// So many octets.
    Bytes(u64),
    /// What the link's rate carries in that time.
    Time(Duration),
}

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let expected = "the room of a queue, such as \"100 packets\", \"64KiB\" or \"40ms\" of the link's rate";
        let s = d.deserialize_any(Text(expected))?;
        room(&s).ok_or_else(|| D::Error::custom(format!("{s:?} is not {expected}")))
    }
}

fn scaled(s: &str, units: &[(&str, f64)]) -> Option<u64> {
    let (n, unit) = split(s)?;
    let n = n * units.iter().find(|(u, _)| *u == unit)?.1;
    (n < 2f64.powi(53)).then_some(n.round() as u64)
}

/// A number that is not negative, and what follows it.
fn split(s: &str) -> Option<(f64, &str)> {
    let cut = s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len());
    Some((s[..cut].parse().ok()?, s[cut..].trim()))
}

/// A type for each unit that reads text, or a plain number.
macro_rules! unit {
    ($($(#[$doc:meta])* $name:ident($t:ty) = $parse:path, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
        pub struct $name(pub $t);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_any(Text($expected)).and_then(|s| match $parse(&s) {
                    Some(v) => Ok($name(v)),
                    None => Err(D::Error::custom(format!("{s:?} is not {}", $expected))),
                })
            }
        }
    )*};
}
unit! {
    /// Bits per second.
    Rate(u64) = rate, "a rate, such as \"100M\" (bits per second)";
    /// Octets.
    Size(u64) = size, "a size, such as 1500, \"10MB\" or \"64KiB\"";
    /// A length of time.
    Time(Duration) = time, "a time, such as \"20ms\", \"1.5s\" or \"2h\"";
    /// Millionths.
    Portion(u32) = portion, "a part of the whole, such as \"1%\" or 0.01";
}

/// Text, or a number as text.
struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: Error>(self, s: &str) -> Result<String, E> {
        Ok(s.to_string())
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<String, E> {
        Ok(n.to_string())
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<String, E> {
        Ok(n.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_read() {
        let rates = ["100M", "1.5Gbit/s", "9600", "10kbps", "0"].map(rate);
        assert_eq!(rates, [100_000_000, 1_500_000_000, 9600, 10_000, 0].map(Some));
        assert_eq!(["1500", "10MB", "64 KiB", "3B"].map(size), [1500, 10_000_000, 65_536, 3].map(Some));
        let times = ["20ms", "1.5s", "2h", "3", "7us", "1min"].map(time);
        assert_eq!(
            times,
            [20_000, 1_500_000, 7_200_000_000, 3_000_000, 7, 60_000_000].map(|us| Some(Duration::from_micros(us)))
        );
        assert_eq!(["1%", "0.1 %", "0.5", "100%", "0"].map(portion), [10_000, 1_000, 500_000, 1_000_000, 0].map(Some));
    }

    #[test]
    fn what_is_none_is_refused() {
        for s in ["", "M", "-1", "1X", "fast", "1e9", "99999999G"] {
            assert_eq!((rate(s), size(s)), (None, None), "{s}");
        }
        assert_eq!([time("5 days"), time("-1s"), time("99999999999999999999h")], [None; 3]);
        assert_eq!(["101%", "2", "-1%", "1ms"].map(portion), [None; 4]);
    }
}
