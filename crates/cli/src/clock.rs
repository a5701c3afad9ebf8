//! The clock of the machine: for what happens in real time.

use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods)] // programs and scenes run in real time
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods)] // as above; no correctness depends on it
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
