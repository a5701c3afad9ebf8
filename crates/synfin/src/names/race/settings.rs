//! The times of RFC 8305 8.

use std::time::Duration;

/// How patient a race is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub(super) resolution_delay: Duration,
    pub(super) attempt_delay: Duration,
    pub(super) first_family_count: usize,
}

impl Settings {
    /// Whatever is known of round-trip times, no attempt begins sooner after another.
    //= RFC 8305 5
    pub const LEAST_DELAY: Duration = Duration::from_millis(100);
    /// Nor later, while there are addresses and none has won.
    //= RFC 8305 5
    pub const MOST_DELAY: Duration = Duration::from_secs(2);

    /// How long IPv4 addresses wait for an answer about IPv6; default 50 ms.
    pub fn resolution_delay(self, d: Duration) -> Settings {
        Settings { resolution_delay: d, ..self }
    }

    /// How long after an attempt the next one begins; default 250 ms, kept from 100 ms to 2 s. Who knows the path takes the time
    /// after which a SYN would be sent again.
    pub fn attempt_delay(self, d: Duration) -> Settings {
        Settings { attempt_delay: d.clamp(Settings::LEAST_DELAY, Settings::MOST_DELAY), ..self }
    }

    /// How many addresses of the first family are tried before one of the other; default 1, at least that.
    pub fn first_family_count(self, n: usize) -> Settings {
        Settings { first_family_count: n.max(1), ..self }
    }
}

impl Default for Settings {
    //= RFC 8305 8
    fn default() -> Self {
        Settings {
            resolution_delay: Duration::from_millis(50),
            attempt_delay: Duration::from_millis(250),
            first_family_count: 1,
        }
    }
}
