//! What a sender spent its time on: `busy_time`, `rwnd_limited` and `sndbuf_limited` of Linux's `tcp_info`.

use super::Snd;
use crate::time::{Duration, Instant};

/// What holds the sender up, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    by: Limit,
    since: Instant,
}

/// What can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// Nothing is to be sent, nothing is out.
    Idle,
    /// The path: cwnd, pacing, or only the time that acknowledgments take.
    Path,
    /// The peer's window.
    Window,
    /// The send buffer: everything in it is out, and the user waits for room.
    Buffer,
}

/// Times in microseconds, each up to the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Busy {
    /// Something was to be sent, or was out.
    pub busy_us: u64,
    /// Of it: the peer's window was full.
    pub rwnd_limited_us: u64,
    /// Of it: the send buffer was too small.
    pub sndbuf_limited_us: u64,
}

impl Limited {
    /// Nothing to send yet.
    pub fn idle(now: Instant) -> Limited {
        Limited { by: Limit::Idle, since: now }
    }

    /// How things stand now; what has passed goes to `busy` when that changes.
    pub fn update(&mut self, snd: &Snd, write_blocked: bool, now: Instant, busy: &mut Busy) {
        let by = if snd.flight() == 0 && !snd.has_pending() {
            Limit::Idle
        } else if snd.has_pending() && snd.usable() < u32::from(snd.mss) && snd.pipe() < snd.window.cwnd {
            Limit::Window
        } else if write_blocked && !snd.has_pending() && snd.pipe() < snd.window.cwnd {
            Limit::Buffer
        } else {
            Limit::Path
        };
        if by != self.by {
            *busy = busy.until_now(*self, now);
            *self = Limited { by, since: now };
        }
    }
}

impl Busy {
    /// With what has passed since the last change.
    pub fn until_now(&self, l: Limited, now: Instant) -> Busy {
        let us = now.since(l.since).as_micros() as u64;
        let add = |yes: bool| if yes { us } else { 0 };
        Busy {
            busy_us: self.busy_us + add(l.by != Limit::Idle),
            rwnd_limited_us: self.rwnd_limited_us + add(l.by == Limit::Window),
            sndbuf_limited_us: self.sndbuf_limited_us + add(l.by == Limit::Buffer),
        }
    }

    /// How long something was to be sent, or was out.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_us)
    }
}
