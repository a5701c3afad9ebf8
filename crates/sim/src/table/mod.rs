//! Tables of how congestion control does: goodput by algorithm, loss, round trip and reordering, with what theory expects
//! beside it; fairness between flows of one algorithm and of several; the delay in the queue.
//!
//! The same everywhere, so that rows can be compared: a bottleneck of [`RATE`], segments of 1448 octets, a queue of one
//! bandwidth-delay product (of 20 ms at least), the seed 1. A run lasts until it has seen enough losses to have a mean.

mod theory;

pub use theory::{cubic, mathis, pftk};

use crate::link::{Aqm, Limit, LinkModel};
use crate::network::{HostModel, Topology};
use crate::scenario::{Flow, Report, Run, Scenario, Writer};
use std::time::Duration;
use synfin_stack::engine::TcpConfig;

/// Goodput of one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodput {
    /// The algorithm.
    pub algorithm: &'static str,
    /// Probability of loss, in millionths.
    pub loss: u32,
    /// The round trip without queues.
    pub rtt: Duration,
    /// Probability that a packet is overtaken, in millionths.
    pub reorder: u32,
    /// Bits per second that arrived.
    pub bps: f64,
    /// From where to where theory expects them.
    pub expected: (f64, f64),
}

/// Whether what was found is as expected: not more than a quarter below the least, nor above the most.
pub fn verdict(found: f64, expected: (f64, f64)) -> &'static str {
    match found {
        f if f < expected.0 * 0.75 => "below",
        f if f > expected.1 * 1.25 => "above",
        _ => "as expected",
    }
}

/// How flows share a bottleneck.
#[derive(Debug, Clone, PartialEq)]
pub struct Fairness {
    /// The algorithms, in turn.
    pub algorithms: Vec<&'static str>,
    /// How many flows.
    pub flows: usize,
    /// Jain's index.
    pub jain: f64,
    /// From where to where it should be.
    pub expected: (f64, f64),
    /// How much of the bottleneck they used.
    pub used: f64,
}

/// How long packets wait where one flow fills the link.
#[derive(Debug, Clone, PartialEq)]
pub struct Queueing {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The queue.
    pub queue: &'static str,
    /// Mean of the waits.
    pub mean: Duration,
    /// From where to where theory expects it.
    pub expected: (Duration, Duration),
    /// What 95 in 100 do not exceed.
    pub p95: Duration,
    /// How much of the link was used.
    pub used: f64,
}

/// The algorithms that the engine knows.
pub fn algorithms() -> Vec<&'static str> {
    let known: Vec<_> = ALGORITHMS.into_iter().filter(|a| TcpConfig::default().set("congestion", a).is_ok()).collect();
    // Before there was a choice there was Reno.
    if known.is_empty() { vec![ALGORITHMS[0]] } else { known }
}

/// Every cell: losses by round trips by reordering.
pub fn goodput(algorithm: &'static str) -> impl Iterator<Item = Goodput> {
    let cells = REORDERS.into_iter().flat_map(|r| RTTS.into_iter().flat_map(move |t| LOSSES.map(|l| (r, t, l))));
    cells.map(move |(reorder, rtt_ms, loss)| {
        let rtt = Duration::from_millis(rtt_ms);
        let expected = expectation(algorithm, loss, rtt);
        let model = LinkModel { loss, reorder, reorder_by: rtt / 4, ..bottleneck(rtt) };
        let report = play(&[algorithm], 1, model, how_long(expected, loss, rtt));
        Goodput { algorithm, loss, rtt, reorder, bps: report.flows[0].goodput, expected }
    })
}

/// 2 to 10 flows of each algorithm, and of each two in turn.
pub fn fairness(algorithms: &[&'static str]) -> Vec<Fairness> {
    let mut mixes: Vec<Vec<&'static str>> = algorithms.iter().map(|a| vec![*a]).collect();
    for (i, a) in algorithms.iter().enumerate() {
        mixes.extend(algorithms[i + 1..].iter().map(|b| vec![*a, *b]));
    }
    let mut all = Vec::new();
    for mix in mixes {
        for flows in [2, 4, 10] {
            let report = play(&mix, flows, bottleneck(Duration::from_millis(40)), Duration::from_secs(120));
            let used = report.links[0].used.unwrap_or(0.0);
            let (jain, expected) = (report.fairness(), theory::fairness(&mix));
            all.push(Fairness { algorithms: mix.clone(), flows, jain, expected, used });
        }
    }
    all
}

/// Each algorithm on each queue.
pub fn queueing(algorithm: &'static str) -> impl Iterator<Item = Queueing> {
    let rtt = Duration::from_millis(40);
    let deep = Limit::Bytes(octets(rtt * 8));
    let queues = [
        ("tail, 1 BDP", bottleneck(rtt), Some(1.0)),
        ("tail, 8 BDP", LinkModel { queue: deep, ..bottleneck(rtt) }, Some(8.0)),
        ("CoDel, 8 BDP", LinkModel { queue: deep, aqm: Aqm::codel(false), ..bottleneck(rtt) }, None),
    ];
    queues.into_iter().map(move |(queue, model, bdps)| {
        let report = play(&[algorithm], 1, model, Duration::from_secs(60));
        let (link, wait) = (&report.links[0], &report.links[0].counters.waited);
        let expected = theory::queueing(algorithm, bdps);
        let expected = (rtt.mul_f64(expected.0), rtt.mul_f64(expected.1));
        let used = link.used.unwrap_or(0.0);
        Queueing { algorithm, queue, mean: wait.mean(), expected, p95: wait.percentile(95), used }
    })
}

/// A bottleneck with a queue of what it carries in a round trip.
fn bottleneck(rtt: Duration) -> LinkModel {
    let queue = Limit::Bytes(octets(rtt.max(Duration::from_millis(20))));
    LinkModel { rate: RATE, delay: rtt / 2, queue, ..LinkModel::default() }
}

fn octets(time: Duration) -> u64 {
    (RATE as f64 / 8.0 * time.as_secs_f64()) as u64
}

/// Flows of the algorithms in turn over one bottleneck; the way back is as long and has no faults.
fn play(algorithms: &[&'static str], flows: usize, model: LinkModel, duration: Duration) -> Report {
    let topology = Topology::dumbbell(flows);
    let links = topology.links.iter().enumerate().map(|(i, _)| match i {
        0 => model.clone(),
        1 => LinkModel { delay: model.delay, ..LinkModel::default() },
        _ => LinkModel { delay: Duration::ZERO, ..LinkModel::default() },
    });
    let tcp = |i: usize| {
        let mut tcp = TcpConfig::default();
        // An engine without the setting has one algorithm, which is the one asked for.
        let _ = tcp.set("congestion", algorithms[i % algorithms.len()]);
        tcp
    };
    let flow = |i: usize| Flow {
        name: algorithms[i % algorithms.len()].to_string(),
        from: i,
        to: flows + i,
        start: STAGGER * i as u32,
        duration: None,
        writer: Writer::Stream { bytes: None, rate: 0, on_off: Default::default() },
        read_rate: 0,
        tcp: [tcp(i), tcp(i)],
    };
    let scenario = Scenario {
        name: String::new(),
        seed: 1,
        duration,
        hosts: vec![HostModel { tcp: TcpConfig::default(), mtu: 1500, offload: false }; topology.hosts.len()],
        links: links.collect(),
        middleboxes: Vec::new(),
        flows: (0..flows).map(flow).collect(),
        topology,
    };
    let mut run = Run::new(&scenario);
    // Other tests check the engine at every verb; this one is about numbers.
    run.network().check = false;
    run.finish()
}

/// What theory says of a flow, at least and at most.
fn expectation(algorithm: &str, loss: u32, rtt: Duration) -> (f64, f64) {
    let link = RATE as f64 * SEGMENT / PACKET * (1.0 - f64::from(loss) / 1e6);
    if loss == 0 {
        return (link, link);
    }
    let (p, rtt) = (f64::from(loss) / 1e6, rtt.as_secs_f64());
    // What fits into a round trip at the rate of the link is sent at once: no round trip is shorter than a segment.
    let rtt = rtt.max(PACKET * 8.0 / RATE as f64);
    let low = pftk(rtt, p, rtt + RTO_MIN);
    let (low, high) = match algorithm {
        "cubic" => (low, cubic(rtt, p)),
        // The draft bears losses up to 2 % (BBRLossThresh), and says less of what is above.
        "bbr" if loss <= 20_000 => {
            let full = link / 8.0 / SEGMENT;
            (full * theory::bbr(full * rtt, rtt, p), full)
        }
        "bbr" => (low, f64::MAX),
        _ => (low, mathis(rtt, p)),
    };
    let bps = |segments: f64| (segments * SEGMENT * 8.0).min(link);
    (bps(low), bps(high))
}

/// Long enough for [`PACKETS`] and [`LOST`] at what is expected, within limits.
fn how_long(expected: (f64, f64), loss: u32, rtt: Duration) -> Duration {
    let packets = if loss == 0 { PACKETS } else { PACKETS.max(LOST * 1e6 / f64::from(loss)) };
    let needed = packets / (expected.0 / 8.0 / SEGMENT);
    Duration::from_secs_f64(needed.clamp(30.0, 1200.0)).max(rtt * 300)
}

/// Bits per second of the bottleneck.
pub const RATE: u64 = 20_000_000;
const ALGORITHMS: [&str; 3] = ["reno", "cubic", "bbr"];
const LOSSES: [u32; 5] = [0, 1_000, 10_000, 30_000, 100_000];
const RTTS: [u64; 3] = [1, 40, 200];
const REORDERS: [u32; 2] = [0, 10_000];
/// Octets of text and of the packet around it.
const SEGMENT: f64 = 1_448.0;
const PACKET: f64 = 1_500.0;
/// `rto-min` in seconds: what is above the round trip in a timeout.
const RTO_MIN: f64 = 0.2;
/// Packets, and losses, after which a mean is one.
const PACKETS: f64 = 50_000.0;
const LOST: f64 = 50.0;
/// Flows begin one after another.
const STAGGER: Duration = Duration::from_millis(500);
