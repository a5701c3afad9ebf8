//! A flow at work: the two programs at the ends of a connection.
//!
//! Each end writes up to a total that its program allows by now, and reads up to another; when a total will be greater is when
//! the flow wants to be woken. Everything else follows from events of its two sockets.

use super::report::{FlowReport, Outcome, Sample};
use super::{Flow, Writer};
use crate::link::Histogram;
use crate::network::Network;
use std::net::SocketAddr;
use std::time::Duration;
use synfin_stack::engine::{Chunk, CloseReason, Instant, Status};
use synfin_stack::{ConnId, ListenerId};

/// One end of the connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End {
    host: usize,
    pub id: Option<ConnId>,
    written: u64,
    read: u64,
    /// The other end's FIN has been read.
    ended: bool,
    /// Its own has been asked for.
    shut: bool,
}

/// A flow at work.
#[derive(Debug)]
pub(super) struct FlowRun {
    flow: Flow,
    /// The sender's, the receiver's.
    pub ends: [End; 2],
    listener: ListenerId,
    port: u16,
    began: Instant,
    /// When it is aborted.
    stop: Instant,
    /// When it wants to act, whatever happens.
    pub wake: Instant,
    pub outcome: Option<Outcome>,
    /// When the last octet was read that counts; of a flow that has ended otherwise, when that was.
    last: Instant,
    responses: u64,
    next_request: Instant,
    status: Status,
    rtt: Histogram,
    requests: Histogram,
    samples: Vec<Sample>,
    /// Every how many ticks a sample is kept, and ticks until the next.
    stride: (u32, u32),
}

impl FlowRun {
    /// Opens the port that the flow will be accepted on.
    pub(super) fn new(flow: Flow, n: usize, net: &mut Network) -> FlowRun {
        let began = net.now + flow.start;
        let port = FIRST_PORT + n as u16;
        let host = &mut net.hosts[flow.to];
        let local = SocketAddr::new(host.addrs[0], port);
        // The address is the host's, and each flow has a port of its own.
        let listener =
            host.stack.tcp_listen(net.now, &mut (), local, 8, &flow.tcp[1]).expect("a port that nobody has taken");
        FlowRun {
            ends: [End { host: flow.from, ..End::default() }, End { host: flow.to, ..End::default() }],
            listener,
            port,
            began,
            stop: flow.duration.map_or(Instant::NEVER, |d| began + d),
            wake: began,
            outcome: None,
            last: began,
            responses: 0,
            next_request: began,
            status: Status::default(),
            rtt: Histogram::default(),
            requests: Histogram::default(),
            samples: Vec::new(),
            stride: (1, 0),
            flow,
        }
    }

    /// The sender's host, the receiver's.
    pub(super) fn hosts(&self) -> [usize; 2] {
        [self.flow.from, self.flow.to]
    }

    /// The receiver's host and its listener.
    pub(super) fn listener(&self) -> (usize, ListenerId) {
        (self.flow.to, self.listener)
    }

    /// Does what there is to do at the network's time.
    pub(super) fn act(&mut self, net: &mut Network) {
        let now = net.now;
        self.wake = Instant::NEVER;
        if now < self.began {
            self.wake = self.began;
            return;
        }
        if self.outcome.is_none() {
            self.open(net);
            if now >= self.stop {
                self.end(net, Outcome::TimeUp);
                return;
            }
            self.wake = self.stop;
        }
        for end in 0..2 {
            self.read(net, end);
            self.write(net, end);
        }
        self.check(net);
    }

    /// Keeps a sample; the tick is the same for all flows.
    pub(super) fn tick(&mut self, net: &Network, since_start: Duration) {
        if self.outcome.is_some() || !self.look(net) {
            return;
        }
        let s = &self.status;
        self.rtt.add(Duration::from_micros(u64::from(s.rtt_us)));
        self.stride.1 = (self.stride.1 + 1) % self.stride.0;
        if self.stride.1 > 0 {
            return;
        }
        if self.samples.len() >= FlowReport::SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride.0 *= 2;
        }
        self.samples.push(Sample {
            at: since_start,
            cwnd: s.cwnd,
            ssthresh: s.ssthresh,
            rtt_us: s.rtt_us,
            acked: s.counters.bytes_acked,
            unacked: s.unacked,
        });
    }

    /// What it did, by now.
    pub(super) fn report(&self, net: &Network, since: Instant) -> FlowReport {
        let outcome = self.outcome.unwrap_or(if net.now < self.began { Outcome::NotBegun } else { Outcome::TimeUp });
        let until = if self.outcome.is_some() { self.last } else { net.now };
        let took = until.since(self.began);
        let bytes = match self.flow.writer {
            Writer::Stream { .. } => self.ends[1].read,
            Writer::Requests { .. } => self.ends[0].read,
        };
        let goodput = if took.is_zero() { 0.0 } else { bytes as f64 * 8.0 / took.as_secs_f64() };
        let name = |host: usize| net.topology().hosts[host].clone();
        FlowReport {
            name: self.flow.name.clone(),
            ends: [name(self.flow.from), name(self.flow.to)],
            start: self.began.since(since),
            outcome,
            took,
            bytes,
            goodput,
            status: self.status,
            rtt: self.rtt.clone(),
            requests: self.requests.clone(),
            samples: self.samples.clone(),
        }
    }

    fn open(&mut self, net: &mut Network) {
        let now = net.now;
        if self.ends[0].id.is_none() {
            let to = SocketAddr::new(net.hosts[self.flow.to].addrs[0], self.port);
            let stack = &mut net.hosts[self.flow.from].stack;
            // Ports and table entries are more than there can be flows.
            let id = stack.tcp_connect(now, &mut (), None, to, &self.flow.tcp[0]).expect("a port for each flow");
            self.ends[0].id = Some(id);
        }
        if self.ends[1].id.is_none() {
            self.ends[1].id = net.hosts[self.flow.to].stack.tcp_accept(self.listener);
        }
    }

    /// Reads what there is and the program wants.
    fn read(&mut self, net: &mut Network, end: usize) {
        let now = net.now;
        let End { host, id: Some(id), .. } = self.ends[end] else { return };
        let (total, wake) = match self.flow.read_rate {
            0 => (u64::MAX, Instant::NEVER),
            _ if end == 0 => (u64::MAX, Instant::NEVER),
            rate => paced(rate, now.since(self.began), now),
        };
        let stack = &mut net.hosts[host].stack;
        let before = self.ends[end].read;
        while self.ends[end].read < total {
            let left = total - self.ends[end].read;
            let mut buf = [0; QUANTUM as usize];
            let n = left.min(QUANTUM) as usize;
            // A program that takes all takes it without a copy.
            let taken = if total == u64::MAX {
                stack.tcp_receive_chunk(now, &mut (), id).map(|c| {
                    let n = c.as_ref().map_or(0, Chunk::len);
                    c.into_iter().for_each(|c| stack.pool().give(c));
                    n
                })
            } else {
                stack.tcp_receive(now, &mut (), id, &mut buf[..n])
            };
            let Ok(n) = taken else { break };
            if n == 0 {
                self.ends[end].ended = true;
                break;
            }
            self.ends[end].read += n as u64;
        }
        if !self.ends[end].ended {
            self.wake = self.wake.min(wake);
        }
        if self.ends[end].read > before && self.outcome.is_none() {
            self.took_in(end, now);
        }
    }

    /// Octets have been read.
    fn took_in(&mut self, end: usize, now: Instant) {
        match self.flow.writer {
            Writer::Stream { .. } if end == 1 => self.last = now,
            Writer::Requests { response, think, .. } if end == 0 => {
                self.last = now;
                if self.ends[0].read >= (self.responses + 1) * response {
                    self.requests.add(now.since(self.next_request));
                    self.responses += 1;
                    self.next_request = now + think;
                }
            }
            _ => {}
        }
    }

    /// Writes what the program has by now, and closes its direction after the last of it.
    fn write(&mut self, net: &mut Network, end: usize) {
        let now = net.now;
        let End { host, id: Some(id), shut: false, .. } = self.ends[end] else { return };
        let (total, wake) = self.wants(end, now);
        let (stack, e) = (&mut net.hosts[host].stack, &mut self.ends[end]);
        while e.written < total {
            let n = (total - e.written).min(PATTERN.len() as u64) as usize;
            // Taken in part, or not at all: it says when there is room again.
            let Ok(taken) = stack.tcp_send(now, &mut (), id, &PATTERN[..n]) else { break };
            e.written += taken as u64;
            if taken < n {
                break;
            }
        }
        self.wake = self.wake.min(wake);
        let last = if end == 0 { self.wrote_all() } else { self.ends[1].ended };
        if last && stack.tcp_state(id).is_synchronized() {
            stack.tcp_shutdown_write(now, &mut (), id);
            self.ends[end].shut = true;
        }
    }

    /// How many octets an end may have written by now, and when that will be more.
    fn wants(&self, end: usize, now: Instant) -> (u64, Instant) {
        let written = self.ends[end].written;
        match self.flow.writer {
            Writer::Stream { .. } if end == 1 => (0, Instant::NEVER),
            Writer::Stream { bytes, rate, on_off } => {
                let all = bytes.unwrap_or(u64::MAX);
                let (on_for, boundary) = time_on(on_off, now.since(self.began));
                let (is_on, change) = (boundary.0, boundary.1.map_or(Instant::NEVER, |d| self.began + d));
                match (rate, is_on) {
                    (0, true) => (all, change),
                    (0, false) => (written, change),
                    (_, false) => (paced(rate, on_for, now).0.min(all), change),
                    (_, true) => {
                        let (total, wake) = paced(rate, on_for, now);
                        (total.min(all), if total >= all { Instant::NEVER } else { wake.min(change) })
                    }
                }
            }
            Writer::Requests { request, .. } if end == 0 => {
                let due = self.next_request <= now && !self.wrote_all();
                let wake = if due || self.wrote_all() { Instant::NEVER } else { self.next_request };
                ((self.responses + u64::from(due)) * request, wake)
            }
            Writer::Requests { request, response, .. } => {
                ((self.ends[1].read / request).saturating_mul(response), Instant::NEVER)
            }
        }
    }

    /// Whether the sender has nothing more to say.
    fn wrote_all(&self) -> bool {
        match self.flow.writer {
            Writer::Stream { bytes, .. } => bytes == Some(self.ends[0].written),
            Writer::Requests { count, .. } => count == Some(self.responses),
        }
    }

    /// Has it ended, and how? Then what is left is closed.
    fn check(&mut self, net: &mut Network) {
        for end in 0..2 {
            let End { host, id: Some(id), ended, shut, .. } = self.ends[end] else { continue };
            let reason = net.hosts[host].stack.tcp_reason(id).filter(|r| *r != CloseReason::Finished);
            if let (Some(why), None) = (reason, self.outcome) {
                let outcome = [Outcome::SenderFailed(why), Outcome::ReceiverFailed(why)][end];
                self.end(net, outcome);
                return;
            }
            if ended && self.outcome.is_none() {
                self.look(net);
                self.outcome = Some(Outcome::Finished);
            }
            if ended && shut {
                let now = net.now;
                net.hosts[host].stack.tcp_close(now, &mut (), id);
                self.ends[end].id = None;
            }
        }
    }

    fn end(&mut self, net: &mut Network, outcome: Outcome) {
        self.look(net);
        self.outcome = Some(outcome);
        self.wake = Instant::NEVER;
        self.last = net.now;
        for End { host, id, .. } in &mut self.ends {
            if let Some(id) = id.take() {
                net.hosts[*host].stack.tcp_abort(net.now, &mut (), id);
            }
        }
    }

    /// Remembers the sender's status, while there is one.
    fn look(&mut self, net: &Network) -> bool {
        let End { host, id: Some(id), .. } = self.ends[0] else { return false };
        match net.hosts[host].stack.tcp_status(id).filter(|s| s.state.is_synchronized()) {
            Some(s) => {
                self.status = s;
                true
            }
            None => false,
        }
    }
}

/// Octets that a rate allows in a time, in whole pieces, and when it allows another piece.
fn paced(rate: u64, time: Duration, now: Instant) -> (u64, Instant) {
    let total = (u128::from(rate) * time.as_nanos() / 8_000_000_000) as u64;
    let whole = total / QUANTUM * QUANTUM;
    let next = nanos(whole + QUANTUM, rate).saturating_sub(time.as_nanos() as u64);
    (whole, now + Duration::from_nanos(next))
}

/// How long a rate needs for so many octets, rounded up.
fn nanos(octets: u64, rate: u64) -> u64 {
    u64::try_from((u128::from(octets) * 8_000_000_000).div_ceil(u128::from(rate.max(1)))).unwrap_or(u64::MAX)
}

/// For how long a flow with pauses has been on, whether it is, and when that changes.
fn time_on((on, off): (Duration, Duration), elapsed: Duration) -> (Duration, (bool, Option<Duration>)) {
    if off.is_zero() {
        return (elapsed, (true, None));
    }
    let period = (on + off).as_nanos();
    let rounds = (elapsed.as_nanos() / period) as u32;
    let begin = (on + off) * rounds;
    let within = elapsed - begin;
    let on_for = on * rounds + within.min(on);
    if within < on { (on_for, (true, Some(begin + on))) } else { (on_for, (false, Some(begin + on + off))) }
}

/// What a paced program writes or reads at a time.
const QUANTUM: u64 = 1_448;
/// What is written.
static PATTERN: [u8; 65_536] = [0x5a; 65_536];
/// The port of the first flow.
const FIRST_PORT: u16 = 5_001;
