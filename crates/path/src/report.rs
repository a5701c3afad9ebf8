//! What a path has done, as plain data, in words and as JSON.

use crate::model::Lost;
use crate::way::Way;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// Both directions, and how late packets were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// From the first link to the second, and back.
    pub directions: [Direction; 2],
    /// The path's own fault.
    pub lateness: Lateness,
}

/// One direction. Packets are those on the wire: super-segments count as their pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direction {
    /// The link that packets come from.
    pub from: String,
    /// The link that they go to.
    pub to: String,
    /// Packets and octets that came in.
    pub taken: (u64, u64),
    /// Packets and octets that went out, copies included.
    pub sent: (u64, u64),
    /// Packets lost, by cause; only causes that there were.
    pub lost: Vec<(&'static str, u64)>,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets held back to be overtaken.
    pub reordered: u64,
    /// Packets with a bit flipped.
    pub corrupted: u64,
    /// Packets marked "congestion experienced".
    pub marked: u64,
    /// The most octets and packets that waited for the rate.
    pub longest_queue: (u64, u64),
    /// Packets that are in it still.
    pub within: u64,
}

/// How much later than intended packets were written: what the machine adds to the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// How many packets were written.
    pub packets: u64,
    /// The mean.
    pub mean: Duration,
    /// What 99 of 100 do not exceed.
    pub p99: Duration,
    /// The greatest.
    pub max: Duration,
    /// Whether the path ran with real-time priority.
    pub real_time: bool,
}

impl Direction {
    pub(crate) fn of(from: &str, to: &str, w: &Way) -> Direction {
        let c = &w.link.counters;
        let causes = Lost::ALL.iter().map(|why| (why.name(), c.lost(*why)));
        let own = [("malformed", w.malformed), ("no memory", w.no_room)];
        Direction {
            from: from.into(),
            to: to.into(),
            taken: (w.taken.packets, w.taken.bytes),
            sent: (w.sent.packets, w.sent.bytes),
            lost: causes.chain(own).filter(|l| l.1 > 0).collect(),
            duplicated: c.duplicated,
            reordered: c.reordered,
            corrupted: c.corrupted,
            marked: c.marked,
            longest_queue: (c.longest_bytes, c.longest_packets as u64),
            within: w.within() as u64,
        }
    }
}

impl Report {
    /// One object for each direction, and one for the lateness.
    pub fn to_json(&self) -> [Value; 3] {
        let direction = |d: &Direction| {
            let lost: Map<String, Value> = d.lost.iter().map(|(why, n)| (why.replace(' ', "_"), json!(n))).collect();
            json!({
                "event": "direction", "from": d.from, "to": d.to,
                "packets_in": d.taken.0, "bytes_in": d.taken.1, "packets_out": d.sent.0, "bytes_out": d.sent.1,
                "lost": lost, "duplicated": d.duplicated, "reordered": d.reordered, "corrupted": d.corrupted,
                "marked": d.marked, "longest_queue_bytes": d.longest_queue.0,
                "longest_queue_packets": d.longest_queue.1, "within": d.within,
            })
        };
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let l = &self.lateness;
        let lateness = json!({
            "event": "lateness", "packets": l.packets,
            "mean_us": us(l.mean), "p99_us": us(l.p99), "max_us": us(l.max), "real_time": l.real_time,
        });
        [direction(&self.directions[0]), direction(&self.directions[1]), lateness]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.directions {
            writeln!(f, "{d}")?;
        }
        write!(f, "{}", self.lateness)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packets, bytes) = self.taken;
        write!(f, "{} -> {}: {packets} packets in ({bytes} bytes), {} out", self.from, self.to, self.sent.0)?;
        for (why, n) in &self.lost {
            write!(f, ", {n} lost: {why}")?;
        }
        let others = [
            (self.duplicated, "duplicated"),
            (self.reordered, "held back"),
            (self.corrupted, "corrupted"),
            (self.marked, "marked"),
            (self.within, "still on the way"),
        ];
        for (n, what) in others.iter().filter(|o| o.0 > 0) {
            write!(f, ", {n} {what}")?;
        }
        write!(f, "; longest queue {} bytes ({} packets)", self.longest_queue.0, self.longest_queue.1)
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        write!(
            f,
            "later than intended: {:.1} us in the mean, 99 of 100 at most {:.1} us, the last {:.1} us ({} packets)",
            us(self.mean),
            us(self.p99),
            us(self.max),
            self.packets
        )?;
        if !self.real_time {
            write!(f, "; real-time priority was refused (CAP_SYS_NICE): others can delay it")?;
        }
        Ok(())
    }
}
