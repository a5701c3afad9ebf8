//! What pings come to, as iputils counts and prints it.

use crate::output::Output;
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    pub sent: u64,
    pub received: u64,
    pub errors: u64,
    duplicates: u64,
    corrupted: u64,
    /// From the first request to the last.
    time: Duration,
    min: Option<Duration>,
    max: Duration,
    /// Sums of the times in milliseconds, and of their squares.
    sum: f64,
    squares: f64,
    /// The most requests on the way at once.
    pipe: u64,
}

impl Statistics {
    pub fn new() -> Statistics {
        Statistics::default()
    }

    /// A request has left, this long after the first.
    pub fn on_sent(&mut self, since_first: Duration) {
        self.sent += 1;
        self.time = since_first;
    }

    /// A reply: to which request, and after what time; whether one has come before; whether its data is wrong.
    pub fn on_reply(&mut self, seq: u16, rtt: Duration, again: bool, wrong: bool) {
        self.heard_of(seq);
        if again {
            self.duplicates += 1;
        } else {
            self.received += 1;
        }
        self.corrupted += u64::from(wrong);
        self.min = Some(self.min.map_or(rtt, |m| m.min(rtt)));
        self.max = self.max.max(rtt);
        let ms = rtt.as_secs_f64() * 1e3;
        self.sum += ms;
        self.squares += ms * ms;
    }

    /// An error about a request.
    pub fn on_error(&mut self, seq: u16) {
        self.heard_of(seq);
        self.errors += 1;
    }

    fn heard_of(&mut self, seq: u16) {
        let behind = (self.sent as u16).wrapping_sub(seq);
        if behind < 1 << 15 {
            self.pipe = self.pipe.max(u64::from(behind) + 1);
        }
    }

    /// The longest time.
    pub fn longest(&self) -> Option<Duration> {
        self.min.map(|_| self.max)
    }

    fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.sent.saturating_sub(self.received) as f64 * 100.0 / self.sent as f64 }
    }

    /// min, avg, max and mdev in milliseconds, if anything came back.
    fn times(&self) -> Option<[f64; 4]> {
        let n = (self.received + self.duplicates) as f64;
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let mean = self.sum / n;
        let mdev = (self.squares / n - mean * mean).max(0.0).sqrt();
        self.min.map(|min| [ms(min), mean, ms(self.max), mdev])
    }

    /// Tells the result.
    pub fn total(&self, to: &str, out: &mut Output, machine: bool) -> io::Result<()> {
        if machine {
            let us = |i: usize| self.times().map(|t| (t[i] * 1e3 * 1e3).round() / 1e3);
            let o = json!({"event": "statistics", "to": to, "sent": self.sent, "received": self.received,
                "duplicates": self.duplicates, "corrupted": self.corrupted, "errors": self.errors,
                "loss_percent": self.loss(), "time_ms": self.time.as_millis() as u64,
                "rtt_min_us": us(0), "rtt_avg_us": us(1), "rtt_max_us": us(2), "rtt_mdev_us": us(3)});
            return writeln!(out, "{o}");
        }
        write!(out, "{}", self.words(to))
    }

    fn words(&self, to: &str) -> String {
        let mut s = format!("\n--- {to} ping statistics ---\n");
        s += &format!("{} packets transmitted, {} received", self.sent, self.received);
        for (n, what) in [(self.duplicates, "duplicates"), (self.corrupted, "corrupted"), (self.errors, "errors")] {
            if n > 0 {
                s += &format!(", +{n} {what}");
            }
        }
        s += &format!(", {}% packet loss, time {}ms\n", six_digits(self.loss()), self.time.as_millis());
        let pipe = (self.pipe > 1).then(|| format!("pipe {}", self.pipe));
        match (self.times(), pipe) {
            (Some([min, avg, max, mdev]), pipe) => {
                s += &format!("rtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms");
                s += &pipe.map_or_else(String::new, |p| format!(", {p}"));
                s += "\n";
            }
            (None, Some(pipe)) => s += &format!("{pipe}\n"),
            (None, None) => {}
        }
        s
    }
}

/// A share in percent as `%g` prints it.
fn six_digits(n: f64) -> String {
    let whole = n.trunc().to_string().len();
    let s = format!("{n:.*}", 6usize.saturating_sub(whole));
    if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_string() } else { s }
}

/// A time in milliseconds, with fewer digits the longer it is.
pub(super) fn time(t: Duration) -> String {
    let us = t.as_micros();
    match us {
        99_950.. => format!("{}", (us + 500) / 1_000),
        9_995.. => format!("{}.{}", (us + 50) / 1_000, (us + 50) % 1_000 / 100),
        1_000.. => format!("{}.{:02}", (us + 5) / 1_000, (us + 5) % 1_000 / 10),
        _ => format!("0.{us:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_iputils_prints_them() {
        let cases = [
            (39, "0.039"),
            (999, "0.999"),
            (1_004, "1.00"),
            (1_005, "1.01"),
            (9_994, "9.99"),
            (9_995, "10.0"),
            (12_345, "12.3"),
            (99_949, "99.9"),
            (99_950, "100"),
            (1_234_567, "1235"),
        ];
        for (us, words) in cases {
            assert_eq!(time(Duration::from_micros(us)), words, "{us} us");
        }
    }

    #[test]
    fn statistics_are_those_of_iputils() {
        let to = "192.0.2.1";
        let mut s = Statistics::new();
        for (seq, us) in [(1, 1_000), (2, 3_000), (3, 2_000)] {
            s.on_sent(Duration::from_secs(seq - 1));
            s.on_reply(seq as u16, Duration::from_micros(us), false, false);
        }
        let words = "\n--- 192.0.2.1 ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time 2000ms\n\
            rtt min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms\n";
        assert_eq!(s.words(to), words);
        s.on_sent(Duration::from_secs(3));
        s.on_sent(Duration::from_secs(4));
        s.on_sent(Duration::from_secs(5));
        s.on_error(4);
        s.on_reply(3, Duration::from_micros(2_000), true, true);
        assert!(s.words(to).contains(
            "6 packets transmitted, 3 received, +1 duplicates, +1 corrupted, +1 errors, 50% packet loss, time 5000ms\n"
        ));
        assert!(s.words(to).ends_with(" ms, pipe 4\n"), "{}", s.words(to));
        let lost = Statistics { sent: 3, received: 2, ..Statistics::default() };
        assert!(lost.words(to).contains(" 33.3333% packet loss"), "{}", lost.words(to));
        let silent = Statistics { sent: 1, ..Statistics::default() };
        assert!(silent.words(to).ends_with("1 packets transmitted, 0 received, 100% packet loss, time 0ms\n"));
    }
}
