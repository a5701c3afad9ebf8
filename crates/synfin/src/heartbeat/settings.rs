//! How long silence is borne.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When to ask, and how long to wait for the answer. The two ends need not have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    interval: Duration,
    timeout: Duration,
}

impl Settings {
    /// A verdict 35 s after the last sign of life. A probe that is lost is sent again by TCP, at intervals that double: the
    /// timeout has room for the time that comes 15 s after the probe, where a round trip takes 40 ms, so that outages of that
    /// length are borne.
    pub const USUAL: Settings = Settings { interval: Duration::from_secs(15), timeout: Duration::from_secs(20) };
    /// A verdict 8 s after the last sign of life, for where that matters more than octets and some connections lost to short
    /// outages. The timeout has room for the time that comes 4 s after the probe.
    pub const STRICT: Settings = Settings { interval: Duration::from_secs(3), timeout: Duration::from_secs(5) };

    /// Others: after how much silence to ask, and how long to wait then; 10 ms to a day each.
    pub fn new(interval: Duration, timeout: Duration) -> Result<Settings, InvalidSettings> {
        let within = |d| (LEAST..=MOST).contains(&d);
        if within(interval) && within(timeout) { Ok(Settings { interval, timeout }) } else { Err(InvalidSettings) }
    }

    /// After how much silence, of either side, a probe is sent.
    pub fn interval(self) -> Duration {
        self.interval
    }

    /// How long is waited for a sign of life then.
    pub fn timeout(self) -> Duration {
        self.timeout
    }

    /// How long after the peer's last sign of life it is taken for gone.
    pub fn verdict_after(self) -> Duration {
        self.interval + self.timeout
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::USUAL
    }
}

/// As users say it: `usual`, `strict`, or an interval and a timeout in seconds, as `15/20` or `0.5/1.5`.
impl FromStr for Settings {
    type Err = InvalidSettings;

    fn from_str(s: &str) -> Result<Settings, InvalidSettings> {
        let seconds = |s: &str| {
            let digits = s.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            s.parse().ok().filter(|_| digits).and_then(|n| Duration::try_from_secs_f64(n).ok()).ok_or(InvalidSettings)
        };
        match (s, s.split_once('/')) {
            ("usual", _) => Ok(Settings::USUAL),
            ("strict", _) => Ok(Settings::STRICT),
            (_, Some((interval, timeout))) => Settings::new(seconds(interval)?, seconds(timeout)?),
            _ => Err(InvalidSettings),
        }
    }
}

/// An interval or a timeout that is shorter than 10 ms, or longer than a day; or words that are no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSettings;

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a heartbeat is usual, strict, or seconds INTERVAL/TIMEOUT, such as 15/20; 0.01 to 86400 each")
    }
}

impl std::error::Error for InvalidSettings {}

/// Less would be a flood.
const LEAST: Duration = Duration::from_millis(10);
/// More would not be a heartbeat.
const MOST: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_within_what_is_usual_and_what_is_strict() {
        let s = Duration::from_secs;
        assert!((s(30)..=s(40)).contains(&Settings::USUAL.verdict_after()));
        assert!((s(6)..=s(9)).contains(&Settings::STRICT.verdict_after()));
        for p in [Settings::USUAL, Settings::STRICT] {
            assert_eq!(Settings::new(p.interval(), p.timeout()), Ok(p));
        }
    }

    #[test]
    fn users_name_a_preset_or_two_times() {
        let ms = Duration::from_millis;
        for (s, is) in [
            ("usual", Ok(Settings::USUAL)),
            ("strict", Ok(Settings::STRICT)),
            ("0.5/1.5", Settings::new(ms(500), ms(1_500))),
            ("15/20", Ok(Settings::USUAL)),
            ("", Err(InvalidSettings)),
            ("15", Err(InvalidSettings)),
            ("15/", Err(InvalidSettings)),
            ("15/20/25", Err(InvalidSettings)),
            ("-15/20", Err(InvalidSettings)),
            ("inf/20", Err(InvalidSettings)),
            ("1e3/20", Err(InvalidSettings)),
            ("15s/20s", Err(InvalidSettings)),
            ("0/20", Err(InvalidSettings)),
            ("99999999999999999999999999/1", Err(InvalidSettings)),
        ] {
            assert_eq!(s.parse::<Settings>(), is, "{s:?}");
        }
    }

    #[test]
    fn floods_and_eternities_are_refused() {
        let ms = Duration::from_millis;
        for (interval, timeout) in [(0, 100), (100, 9), (86_400_001, 100), (100, u64::MAX)] {
            assert_eq!(Settings::new(ms(interval), ms(timeout)), Err(InvalidSettings));
        }
    }
}
