//! Two programs on two hosts, 20 ms apart, in virtual time: they connect, say nothing, and something happens to one of them or
//! to the path. The first watches over the connection: not at all, by keepalive, or both by a heartbeat.

use std::net::SocketAddr;
use std::time::Duration;
use synfin::heartbeat::{Heartbeat, Settings, Verdict};
use synfin::stack::engine::call::{ReceiveError, SendError};
use synfin::stack::engine::{CloseReason, Instant, Rng, TcpConfig};
use synfin::stack::{Cidr, ConnId, LinkConfig, ListenerId, Stack, StackConfig};
use synfin_sim::{Host, HostModel, Limit, LinkModel, Middlebox, Network, Topology};

/// How the first program watches over its connection.
#[derive(Debug, Clone, Copy)]
pub enum Watch {
    Nothing,
    /// Idle time and interval in seconds, probes.
    Keepalive(u64, u64, u8),
    /// Both programs.
    Heartbeat(Settings),
}

impl Watch {
    /// Those of the table's columns.
    pub const ALL: [Watch; 5] = [
        Watch::Keepalive(7_200, 75, 9),
        Watch::Keepalive(20, 5, 3),
        Watch::Keepalive(4, 1, 3),
        Watch::Heartbeat(Settings::USUAL),
        Watch::Heartbeat(Settings::STRICT),
    ];

    /// After how much silence it asks.
    pub fn period(self) -> Duration {
        match self {
            Watch::Nothing => Duration::ZERO,
            Watch::Keepalive(idle, ..) => Duration::from_secs(idle),
            Watch::Heartbeat(s) => s.interval(),
        }
    }

    /// How long it bears silence.
    pub fn patience(self) -> Duration {
        match self {
            Watch::Nothing => Duration::ZERO,
            Watch::Keepalive(idle, interval, count) => Duration::from_secs(idle + interval * u64::from(count)),
            Watch::Heartbeat(s) => s.verdict_after(),
        }
    }

    fn settings(self) -> TcpConfig {
        match self {
            Watch::Keepalive(idle, interval, count) => TcpConfig {
                keepalive: true,
                keepalive_idle: Duration::from_secs(idle),
                keepalive_interval: Duration::from_secs(interval),
                keepalive_count: count,
                ..TcpConfig::default()
            },
            Watch::Heartbeat(_) => TcpConfig { nodelay: true, ..TcpConfig::default() },
            Watch::Nothing => TcpConfig::default(),
        }
    }
}

/// What a program was told of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Closed(CloseReason),
    Heartbeat(Verdict),
    /// `recv` gave 0.
    End,
}

/// A program and its end of the connection.
pub struct End {
    host: usize,
    pub id: ConnId,
    beat: Option<Heartbeat>,
    /// Whether the program runs.
    pub runs: bool,
    /// Octets of text that it has read.
    pub read: usize,
    /// What it was told, and when.
    pub told: Option<(Instant, Told)>,
}

pub struct Rig {
    pub net: Network,
    pub ends: [End; 2],
    /// When the last packet arrived at the first host.
    pub heard: Instant,
    passed: u64,
}

pub const DELAY: Duration = Duration::from_millis(20);
/// A round trip, and a delayed acknowledgment.
pub const ANSWERED: Duration = Duration::from_millis(100);
const PORT: u16 = 7;

impl Rig {
    pub fn new(watch: Watch) -> Rig {
        Rig::through(watch, 0, None)
    }

    /// A path with a rate and a queue of a second, and a middlebox on it.
    pub fn through(watch: Watch, rate: u64, middlebox: Option<Middlebox>) -> Rig {
        let host = |tcp| HostModel { tcp, mtu: 1_500, offload: false };
        let hosts = [(); 2].map(|()| host(TcpConfig::default()));
        let queue = Limit::Bytes(rate / 8);
        let link = LinkModel { delay: DELAY, rate, queue, ..LinkModel::default() };
        let mut net = Network::of(1, Topology::pair(), &hosts, vec![link; 2]);
        net.check = false;
        middlebox.into_iter().for_each(|m| net.put_middlebox(0, m));
        let listener = listen(&mut net.hosts[1], net.now, &TcpConfig { keepalive: false, ..watch.settings() });
        let server = SocketAddr::new(net.hosts[1].addrs[0], PORT);
        let cfg = watch.settings();
        let client = net.hosts[0].stack.tcp_connect(net.now, &mut (), None, server, &cfg).unwrap();
        net.run(&mut (), Duration::from_secs(1));
        let accepted = net.hosts[1].stack.tcp_accept(listener).unwrap();
        let now = net.now;
        let end = |host, id| {
            let beat = match watch {
                Watch::Heartbeat(s) if host == 0 => Some(Heartbeat::new(now, s)),
                Watch::Heartbeat(s) => Some(Heartbeat::accepted(now, s)),
                _ => None,
            };
            End { host, id, beat, runs: true, read: 0, told: None }
        };
        let mut rig = Rig { ends: [end(0, client), end(1, accepted)], heard: now, passed: 0, net };
        rig.run(4 * DELAY);
        rig
    }

    /// Lets time pass, at most until one of them has been told something.
    pub fn until_told(&mut self, end: usize, d: Duration) -> Option<(Duration, Told)> {
        let (start, until) = (self.net.now, self.net.now + d);
        while self.ends[end].told.is_none() && self.step(until) {}
        self.ends[end].told.map(|(at, what)| (at.since(start), what))
    }

    /// Lets time pass.
    pub fn run(&mut self, d: Duration) {
        let until = self.net.now + d;
        while self.step(until) {}
    }

    /// Lets time pass until the first host has asked once more, and the answer has come.
    pub fn until_answered(&mut self, within: Duration) {
        let (sent, until) = (self.net.links[0].counters.passed, self.net.now + within);
        while self.net.links[0].counters.passed == sent {
            assert!(self.step(until), "nobody asks");
        }
        self.run(ANSWERED);
    }

    /// Cuts the path, or heals it.
    pub fn cut(&mut self, cut: bool) {
        self.net.links.iter_mut().for_each(|l| l.model.cut = cut);
    }

    /// The second host loses its power, and knows of nothing when it has some again.
    pub fn power_off(&mut self) {
        self.cut(true);
        self.ends[1].runs = false;
        let now = self.net.now;
        let mut stack = Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(2));
        let link = stack.add_link(now, LinkConfig::ip(1_500));
        let addrs = self.net.hosts[1].addrs;
        addrs.iter().zip([24, 64]).for_each(|(addr, prefix)| {
            stack.add_address(now, link, Cidr { addr: *addr, prefix });
        });
        self.net.hosts[1] = Host { stack, link, addrs };
        listen(&mut self.net.hosts[1], now, &TcpConfig::default());
    }

    /// A program writes; octets that were taken.
    pub fn write(&mut self, end: usize, n: usize) -> usize {
        let now = self.net.now;
        let e = &mut self.ends[end];
        let data = vec![7; n];
        let taken = match &mut e.beat {
            Some(b) => b.send(now, &data).unwrap_or(0),
            None => match self.net.hosts[e.host].stack.tcp_send(now, &mut (), e.id, &data) {
                Ok(n) => n,
                Err(SendError::WouldBlock) => 0,
                Err(_) => panic!("written after the end"),
            },
        };
        self.tend(end);
        taken
    }

    /// A program without a heartbeat sends; what the call gives.
    pub fn send(&mut self, end: usize, n: usize) -> Result<usize, SendError> {
        let (now, e) = (self.net.now, &self.ends[end]);
        self.net.hosts[e.host].stack.tcp_send(now, &mut (), e.id, &vec![7; n])
    }

    /// A program closes, or dies, and its TCP closes for it.
    pub fn close(&mut self, end: usize) {
        let (now, e) = (self.net.now, &mut self.ends[end]);
        e.runs = false;
        self.net.hosts[e.host].stack.tcp_close(now, &mut (), e.id);
    }

    /// A program resets its connection.
    pub fn abort(&mut self, end: usize) {
        let (now, e) = (self.net.now, &mut self.ends[end]);
        e.runs = false;
        self.net.hosts[e.host].stack.tcp_abort(now, &mut (), e.id);
    }

    /// Lets time pass until a connection has ended; when, and why.
    pub fn until_closed(&mut self, end: usize, d: Duration) -> Option<(Instant, CloseReason)> {
        let until = self.net.now + d;
        loop {
            let e = &self.ends[end];
            if let Some(why) = self.net.hosts[e.host].stack.tcp_reason(e.id) {
                return Some((self.net.now, why));
            }
            if !self.step(until) {
                return None;
            }
        }
    }

    /// Octets and packets that crossed the path, both ways.
    pub fn traffic(&self) -> (u64, u64) {
        let c = self.net.links.iter().map(|l| &l.counters);
        c.fold((0, 0), |(b, p), c| (b + c.bytes, p + c.passed))
    }

    fn step(&mut self, until: Instant) -> bool {
        (0..2).for_each(|e| self.tend(e));
        if self.net.now >= until {
            return false;
        }
        let due = |e: &End| match &e.beat {
            Some(b) if e.runs && e.told.is_none() => b.next_deadline(),
            _ => Instant::NEVER,
        };
        let wake = until.min(due(&self.ends[0])).min(due(&self.ends[1]));
        if !self.net.step(&mut (), wake) {
            self.net.now = self.net.now.max(wake);
        }
        let passed = self.net.links[1].counters.passed;
        if passed != self.passed {
            (self.passed, self.heard) = (passed, self.net.now + DELAY);
        }
        true
    }

    /// A program does what there is to do: reads what has come, looks at the time, writes what is to go.
    fn tend(&mut self, end: usize) {
        let now = self.net.now;
        let e = &mut self.ends[end];
        let stack = &mut self.net.hosts[e.host].stack;
        if !e.runs || e.told.is_some() {
            return;
        }
        let mut buf = [0; 4_096];
        let mut told = None;
        while told.is_none() {
            let room = e.beat.as_ref().map_or(buf.len(), |b| b.room().min(buf.len()));
            match (stack.tcp_receive(now, &mut (), e.id, &mut buf[..room]), &mut e.beat) {
                (Ok(0), None) => told = Some(Told::End),
                (Ok(0), Some(b)) => {
                    told = Some(b.on_end().map_or_else(|e| Told::Heartbeat(Verdict::Broken(e)), |()| Told::End));
                }
                (Ok(n), None) => e.read += n,
                (Ok(n), Some(b)) => {
                    assert_eq!(b.on_received(now, &buf[..n]), Ok(n));
                    e.read += b.receive(now, &mut buf);
                }
                (Err(ReceiveError::WouldBlock), _) => break,
                (Err(ReceiveError::Closed(why)), _) => told = Some(Told::Closed(why)),
            }
        }
        if let Some(b) = &mut e.beat {
            if b.next_deadline() <= now {
                b.on_deadline(now);
            }
            b.check_invariants();
            told = told.or(b.verdict().map(Told::Heartbeat));
            while !b.poll_transmit().is_empty() {
                let out = b.poll_transmit();
                match stack.tcp_send(now, &mut (), e.id, out) {
                    Ok(n) => b.on_transmitted(n),
                    Err(_) => break, // full; or closed, which the next look tells
                }
            }
        }
        e.told = told.map(|t| (now, t));
    }
}

fn listen(host: &mut Host, now: Instant, cfg: &TcpConfig) -> ListenerId {
    let on = SocketAddr::new(host.addrs[0], PORT);
    host.stack.tcp_listen(now, &mut (), on, 8, cfg).unwrap()
}
