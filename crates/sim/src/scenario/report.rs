//! What a run tells: plain data.

use crate::link::{Counters, Histogram};
use std::time::Duration;
use synfin_stack::engine::{CloseReason, Status};

/// What a scenario did.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it is called.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// How long it took in virtual time.
    pub took: Duration,
    /// Packets that hosts have sent.
    pub packets: u64,
    /// The flows, in their order.
    pub flows: Vec<FlowReport>,
    /// The links, both directions of each.
    pub links: Vec<LinkReport>,
}

impl Report {
    /// How fair the flows' goodputs are to one another.
    pub fn fairness(&self) -> f64 {
        let began = self.flows.iter().filter(|f| f.outcome != Outcome::NotBegun);
        jain(&began.map(|f| f.goodput).collect::<Vec<_>>())
    }
}

/// Jain's fairness index: 1 if all have the same, 1/n if one has it all; 1 for nobody.
pub fn jain(all: &[f64]) -> f64 {
    let (sum, squares) = all.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
    if squares > 0.0 { sum * sum / (all.len() as f64 * squares) } else { 1.0 }
}

/// What a flow did.
#[derive(Debug, Clone)]
pub struct FlowReport {
    /// What it is called.
    pub name: String,
    /// The names of its hosts.
    pub ends: [String; 2],
    /// When it began, since the scenario did.
    pub start: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Until its last octet was read, or it was ended.
    pub took: Duration,
    /// Octets that its reader has read; of requests, the responses.
    pub bytes: u64,
    /// These by the time, in bits per second.
    pub goodput: f64,
    /// The sender's last status: counters, cwnd, rtt and the rest.
    pub status: Status,
    /// SRTT as it was sampled at equal intervals.
    pub rtt: Histogram,
    /// Time from each request until all of its response was read.
    pub requests: Histogram,
    /// The sender over time, [`FlowReport::SAMPLES`] at most.
    pub samples: Vec<Sample>,
}

impl FlowReport {
    /// Samples kept of a flow; more would draw no finer line.
    pub const SAMPLES: usize = 4_096;

    /// What the path's queues added to the round trip, in the mean: SRTT less the least one.
    pub fn queueing(&self) -> Duration {
        self.rtt.mean().saturating_sub(Duration::from_micros(u64::from(self.status.minrtt_us)))
    }
}

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that was to be sent has arrived.
    Finished,
    /// Its time was over, or the scenario's.
    TimeUp,
    /// The sender was told that the connection is gone.
    SenderFailed(CloseReason),
    /// The receiver was told.
    ReceiverFailed(CloseReason),
    /// It had not begun.
    NotBegun,
}

impl Outcome {
    /// In words.
    pub fn words(self) -> String {
        match self {
            Outcome::Finished => "finished".into(),
            Outcome::TimeUp => "time up".into(),
            Outcome::SenderFailed(why) => format!("sender: {why}"),
            Outcome::ReceiverFailed(why) => format!("receiver: {why}"),
            Outcome::NotBegun => "not begun".into(),
        }
    }
}

/// The sender of a flow at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Since the scenario began.
    pub at: Duration,
    /// cwnd, octets.
    pub cwnd: u32,
    /// ssthresh, octets; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// SRTT, microseconds.
    pub rtt_us: u32,
    /// Octets acknowledged.
    pub acked: u64,
    /// Octets sent and not acknowledged.
    pub unacked: u32,
}

/// What a link did.
#[derive(Debug, Clone)]
pub struct LinkReport {
    /// What it is called.
    pub name: String,
    /// From this node to that, by the names of hosts or as routers.
    pub ends: [String; 2],
    /// What it did.
    pub counters: Counters,
    /// How much of the time it was sending, what was lost on the way included; none without a rate at the end.
    pub used: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_all_alike_and_a_part_for_one_alone() {
        assert_eq!(jain(&[5.0; 4]), 1.0);
        assert_eq!(jain(&[7.0, 0.0, 0.0, 0.0]), 0.25);
        assert!((jain(&[1.0, 3.0]) - 0.8).abs() < 1e-9);
        assert_eq!((jain(&[]), jain(&[0.0])), (1.0, 1.0));
    }
}
