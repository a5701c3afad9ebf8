//! What a script may not say though its grammar would let it: calls with arguments that no such call has, times that go
//! backward, definitions of nothing.

use super::{Call, Cursor, SyntaxError, Time, names};
use std::ops::RangeInclusive;

/// How many arguments a call takes, as packetdrill counts them. Calls that the language has and that are not listed are
/// skipped when they are reached.
const ARGUMENTS: &[(&str, RangeInclusive<usize>)] = &[
    ("socket", 3..=3),
    ("bind", 3..=3),
    ("listen", 2..=2),
    ("accept", 3..=3),
    ("accept4", 4..=4),
    ("connect", 3..=3),
    ("read", 3..=3),
    ("readv", 3..=3),
    ("recv", 4..=4),
    ("recvfrom", 6..=6),
    ("recvmsg", 3..=3),
    ("write", 3..=3),
    ("writev", 3..=3),
    ("send", 4..=4),
    ("sendto", 6..=6),
    ("sendmsg", 3..=3),
    ("fcntl", 2..=3),
    ("ioctl", 2..=3),
    ("close", 1..=1),
    ("shutdown", 2..=2),
    ("getsockopt", 5..=5),
    ("setsockopt", 5..=5),
    ("poll", 3..=3),
    ("epoll_create", 1..=1),
    ("epoll_create1", 1..=1),
    ("epoll_ctl", 4..=4),
    ("epoll_wait", 4..=4),
    ("splice", 6..=6),
    ("sendfile", 4..=4),
];

/// There is such a call; `at` is where its name stands.
pub(super) fn call_name(name: &str, at: &Cursor<'_>) -> Result<(), SyntaxError> {
    names::call(name, ARGUMENTS.iter().map(|a| a.0)).or_else(|e| at.fail(e))
}

/// A call has as many arguments as it takes; `at` is where it stands.
pub(super) fn arguments(call: &Call, at: &Cursor<'_>) -> Result<(), SyntaxError> {
    let Some((name, takes)) = ARGUMENTS.iter().find(|a| a.0 == call.name) else { return Ok(()) };
    if takes.contains(&call.args.len()) {
        return Ok(());
    }
    let (least, most) = (takes.start(), takes.end());
    let number = if least == most { least.to_string() } else { format!("{least} or {most}") };
    at.fail(format!("{name}: expected {number} arguments, found {}", call.args.len()))
}

/// `NAME=VALUE` of a definition; the error says what is wrong with it.
pub fn definition(text: &str) -> Result<(String, String), String> {
    let word = |n: &str| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !n.is_empty();
    match text.split_once('=').filter(|(name, _)| word(name)) {
        Some((name, value)) => Ok((name.to_string(), value.to_string())),
        None => Err(format!("expected NAME=VALUE, found {text:?}")),
    }
}

/// The times of events, one after another.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Whether there was one.
    begun: bool,
    /// The latest that was absolute.
    latest: Option<i64>,
}

impl Times {
    /// The next event is due at `time`, which stands at `at`.
    pub(super) fn next(&mut self, time: Time, at: &Cursor<'_>) -> Result<(), SyntaxError> {
        let first = !std::mem::replace(&mut self.begun, true);
        let (absolute, t) = match time {
            Time::Absolute(t) | Time::AbsoluteRange(t, _) => (true, t),
            Time::Relative(t) | Time::RelativeRange(t, _) => (false, t),
            Time::Any => return Ok(()),
        };
        if first && t != 0 {
            // All times are counted from it; packetdrill refuses the script.
            return at.expected("the first event at time 0");
        }
        if !absolute {
            return Ok(());
        }
        if let Some(before) = self.latest.filter(|before| t < *before) {
            let seconds = |us: i64| us as f64 / 1e6;
            return at.fail(format!("this time goes backward: {} after {}", seconds(t), seconds(before)));
        }
        self.latest = Some(t);
        Ok(())
    }
}
