//! A scenario being played: the network's next event, then whoever it concerns, and so on to the end.

use super::flow::FlowRun;
use super::report::{LinkReport, Report};
use super::{MAX_FLOWS, Scenario};
use crate::network::Network;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;
use synfin_stack::engine::Instant;
use synfin_stack::{ConnId, ListenerId, SocketEvent};

/// A scenario being played.
#[derive(Debug)]
pub struct Run {
    name: String,
    seed: u64,
    net: Network,
    flows: Vec<FlowRun>,
    start: Instant,
    end: Instant,
    tick: Duration,
    next_tick: Instant,
    /// When flows want to act; what is not their wish any more is passed over.
    wakes: BinaryHeap<Reverse<(Instant, usize)>>,
    sockets: BTreeMap<(usize, ConnId), usize>,
    listeners: BTreeMap<(usize, ListenerId), usize>,
    unfinished: usize,
}

impl Run {
    /// Sets the network up; nothing has happened yet.
    ///
    /// # Panics
    /// If the scenario is not consistent: hosts and links as many as the topology's, flows between its hosts and at most
    /// [`MAX_FLOWS`].
    pub fn new(s: &Scenario) -> Run {
        assert!(s.flows.len() <= MAX_FLOWS, "at most {MAX_FLOWS} flows");
        let mut net = Network::of(s.seed, s.topology.clone(), &s.hosts, s.links.clone());
        net.check = cfg!(debug_assertions);
        s.middleboxes.iter().for_each(|(link, m)| net.put_middlebox(*link, m.clone()));
        let start = net.now;
        let flows: Vec<FlowRun> =
            s.flows.iter().enumerate().map(|(n, f)| FlowRun::new(f.clone(), n, &mut net)).collect();
        let tick = (s.duration / TICKS).clamp(Duration::from_millis(1), Duration::from_secs(1));
        Run {
            name: s.name.clone(),
            seed: s.seed,
            start,
            end: start + s.duration,
            tick,
            next_tick: start + tick,
            wakes: flows.iter().enumerate().map(|(i, f)| Reverse((f.wake, i))).collect(),
            sockets: BTreeMap::new(),
            listeners: flows.iter().enumerate().map(|(i, f)| (f.listener(), i)).collect(),
            unfinished: flows.len(),
            flows,
            net,
        }
    }

    /// Plays it to its end.
    pub fn finish(mut self) -> Report {
        while self.step() {}
        self.report()
    }

    /// Lets the next thing happen; false when all flows have ended, or the scenario has.
    pub fn step(&mut self) -> bool {
        if self.unfinished == 0 || self.net.now >= self.end {
            return false;
        }
        let wake = self.wakes.peek().map_or(Instant::NEVER, |w| w.0.0);
        let until = wake.min(self.next_tick).min(self.end);
        if !self.net.step(&mut (), until) {
            self.net.now = self.net.now.max(until);
        }
        self.events();
        while let Some(Reverse((at, i))) = self.wakes.peek().copied()
            && at <= self.net.now
        {
            self.wakes.pop();
            if self.flows[i].wake <= self.net.now {
                self.act(i);
            }
        }
        if self.net.now >= self.next_tick {
            self.next_tick += self.tick;
            let since = self.net.now.since(self.start);
            self.flows.iter_mut().for_each(|f| f.tick(&self.net, since));
        }
        true
    }

    /// The network, to watch it.
    pub fn network(&mut self) -> &mut Network {
        &mut self.net
    }

    /// What it did so far.
    pub fn report(&self) -> Report {
        let took = self.net.now.since(self.start);
        let topology = self.net.topology();
        let node = |n: usize| match topology.hosts.get(n) {
            Some(name) => name.clone(),
            None => format!("router {}", n - topology.hosts.len() + 1),
        };
        let links = self.net.links.iter().zip(&topology.links).map(|(l, e)| LinkReport {
            name: e.name.clone(),
            ends: [node(e.from), node(e.to)],
            counters: l.counters.clone(),
            used: (l.model.rate > 0 && !took.is_zero())
                .then(|| l.busy(self.net.now).as_secs_f64() / took.as_secs_f64()),
        });
        Report {
            name: self.name.clone(),
            seed: self.seed,
            took,
            packets: self.net.packets,
            flows: self.flows.iter().map(|f| f.report(&self.net, self.start)).collect(),
            links: links.collect(),
        }
    }

    /// Lets the flows act whose sockets have something to tell.
    fn events(&mut self) {
        for host in 0..self.net.hosts.len() {
            while let Some(e) = self.net.hosts[host].stack.poll_event() {
                let flow = match e {
                    SocketEvent::Tcp(id) => {
                        self.net.hosts[host].stack.tcp_events(id);
                        self.sockets.get(&(host, id))
                    }
                    SocketEvent::Listener(l) => self.listeners.get(&(host, l)),
                    SocketEvent::Udp(_) | SocketEvent::Echo(_) => None,
                };
                if let Some(i) = flow.copied() {
                    self.act(i);
                }
            }
        }
    }

    fn act(&mut self, i: usize) {
        let f = &mut self.flows[i];
        let (before, done) = (f.ends.map(|e| e.id), f.outcome.is_some());
        f.act(&mut self.net);
        self.unfinished -= usize::from(f.outcome.is_some() && !done);
        if let Some(wake) = f.wake.finite() {
            self.wakes.push(Reverse((wake, i)));
        }
        let hosts = f.hosts();
        for ((old, new), host) in before.into_iter().zip(f.ends.map(|e| e.id)).zip(hosts) {
            if old != new {
                old.map(|id| self.sockets.remove(&(host, id)));
                new.map(|id| self.sockets.insert((host, id), i));
            }
        }
    }
}

/// Samples of a scenario that takes its whole time.
const TICKS: u32 = 2_000;
