//! The network: hosts, links, the clock.
//!
//! A packet is copied once, from its sender into a buffer; from then on only its number moves, from the queue of a link to the
//! heap of what is to come and on to the next link. What is to come are arrivals and turns: a link whose rate makes packets
//! wait is looked at again when the next one's turn has come.

mod answer;
mod carry;
mod topology;

pub use topology::{Edge, Topology};

use crate::link::{Link, LinkModel, Lost, Middlebox};
use carry::Carried;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::Duration;
use synfin_stack::engine::{Instant, Pool, Probe, Rng, TcpConfig};
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{Cidr, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig};

/// A host and its link.
#[derive(Debug)]
pub struct Host {
    /// Its stack.
    pub stack: Stack,
    /// Its only link.
    pub link: LinkId,
    /// Its addresses: IPv4, IPv6.
    pub addrs: [IpAddr; 2],
}

/// What a host is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostModel {
    /// Settings of its connections.
    pub tcp: TcpConfig,
    /// Octets of the greatest IP packet of its link.
    pub mtu: u32,
    /// Whether it hands super-segments to the network, with partial checksums. They cross links whole: the rates and queues of
    /// links take them for one packet.
    pub offload: bool,
}

/// A packet that was put on a link.
#[derive(Debug, Clone)]
pub struct Record {
    /// When its turn came, or it was lost before.
    pub at: Instant,
    /// On which link.
    pub link: usize,
    /// Its octets, from the IP header on.
    pub bytes: Vec<u8>,
    /// Why it was lost, if it was.
    pub lost: Option<Lost>,
}

/// Decides whether a segment is lost on a link, by name rather than by chance.
pub type Lose = Box<dyn FnMut(usize, &TcpPacket<'_>) -> bool + Send>;

/// What is to come: when, in which order (for ties), what.
type Coming = Reverse<(Instant, u64, Event)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The packet with this number arrives where it is going.
    Arrival(u32),
    /// A packet waits on this link, and its turn has come.
    Turn(usize),
}

/// Hosts and links.
pub struct Network {
    /// Now.
    pub now: Instant,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The links, in the order of the topology: of two hosts, the link from host 0 to host 1, and back.
    pub links: Vec<Link>,
    /// The middleboxes.
    pub middleboxes: Vec<Middlebox>,
    /// Loses named segments.
    pub lose: Option<Lose>,
    /// Everything that was put on the links that are watched, if it is to be kept.
    pub records: Option<Vec<Record>>,
    /// Whether invariants are checked after every verb.
    pub check: bool,
    /// Packets that hosts have sent.
    pub packets: u64,
    /// Who is connected with whom.
    topology: Topology,
    routes: Vec<Vec<Option<usize>>>,
    /// Which links are recorded.
    watched: Vec<bool>,
    /// The middlebox on each link, if there is one.
    boxed: Vec<Option<usize>>,
    coming: BinaryHeap<Coming>,
    order: u64,
    /// Whether a turn of each link is in the heap.
    turns: Vec<bool>,
    carried: Vec<Option<Carried>>,
    free: Vec<u32>,
    pool: Pool,
    rng: Rng,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("now", &self.now).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Network {
    /// Two hosts, 192.0.2.1 and .2 (fd00:2::1 and ::2), with everything random drawn from `seed`. `offload`: whether the
    /// hosts hand super-segments to the link, with partial checksums.
    pub fn new(seed: u64, cfg: &TcpConfig, mtu: u32, offload: bool) -> Network {
        let host = HostModel { tcp: cfg.clone(), mtu, offload };
        Network::of(seed, Topology::pair(), &[host.clone(), host], vec![LinkModel::default(); 2])
    }

    /// A network with a host and a link for each of the topology. The n-th host is 192.0.2.n and fd00:2::n.
    ///
    /// # Panics
    /// If there are not as many hosts and links, or more than 250 hosts.
    pub fn of(seed: u64, topology: Topology, hosts: &[HostModel], links: Vec<LinkModel>) -> Network {
        assert!(hosts.len() == topology.hosts.len() && links.len() == topology.links.len() && hosts.len() <= MAX_HOSTS);
        let mut rng = Rng::from_number(seed);
        let hosts = hosts.iter().zip(1..).map(|(h, n)| Host::new(h, n, Rng::from_number(rng.next_u64()))).collect();
        Network {
            now: START,
            hosts,
            middleboxes: Vec::new(),
            lose: None,
            records: None,
            check: true,
            packets: 0,
            routes: topology.routes(),
            watched: vec![true; links.len()],
            boxed: vec![None; links.len()],
            turns: vec![false; links.len()],
            links: links.into_iter().map(Link::new).collect(),
            topology,
            coming: BinaryHeap::new(),
            order: 0,
            carried: Vec::new(),
            free: Vec::new(),
            pool: Pool::default(),
            rng,
        }
    }

    /// Who is connected with whom.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Records only what `link` says of the number of a link.
    pub fn watch(&mut self, link: impl Fn(usize) -> bool) {
        self.watched.iter_mut().enumerate().for_each(|(i, w)| *w = link(i));
    }

    /// Puts a middlebox on both directions of the link with an even number.
    pub fn put_middlebox(&mut self, link: usize, middlebox: Middlebox) {
        for l in [link & !1, link | 1] {
            self.boxed[l] = Some(self.middleboxes.len());
        }
        self.middleboxes.push(middlebox);
    }

    /// Lets everything out that wants to go.
    pub fn drain<P: Probe>(&mut self, probe: &mut P) {
        for from in 0..self.hosts.len() {
            while self.hosts[from].stack.wants_to_send() && self.send_from(from, probe) {
                self.checked(from);
            }
        }
    }

    /// When the next thing happens, [`Instant::NEVER`] if nothing will.
    pub fn next(&self) -> Instant {
        let coming = self.coming.peek().map_or(Instant::NEVER, |c| c.0.0);
        self.hosts.iter().map(|h| h.stack.next_deadline(self.now)).min().unwrap_or(Instant::NEVER).min(coming)
    }

    /// Lets the next thing happen, unless it is after `until`; false if nothing did.
    pub fn step<P: Probe>(&mut self, probe: &mut P, until: Instant) -> bool {
        self.drain(probe);
        let next = self.next();
        if next > until || next == Instant::NEVER {
            return false;
        }
        self.now = self.now.max(next);
        if self.coming.peek().is_some_and(|c| c.0.0 <= self.now)
            && let Some(Reverse((_, _, event))) = self.coming.pop()
        {
            match event {
                Event::Arrival(id) => {
                    if let Some((to, frame)) = self.arrive(id) {
                        self.deliver(to, frame, probe);
                    }
                }
                Event::Turn(link) => {
                    self.turns[link] = false;
                    self.turn(link);
                }
            }
        } else {
            for i in 0..self.hosts.len() {
                if self.hosts[i].stack.next_deadline(self.now) <= self.now {
                    self.hosts[i].stack.on_deadline(self.now, probe);
                    self.checked(i);
                }
            }
        }
        self.drain(probe);
        true
    }

    /// Runs for `d` at most, until nothing more happens within it.
    pub fn run<P: Probe>(&mut self, probe: &mut P, d: Duration) {
        let until = self.now + d;
        while self.step(probe, until) {}
        self.now = self.now.max(until);
    }

    /// The simulator's randomness, for the programs that run on it.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn deliver<P: Probe>(&mut self, to: usize, frame: RxFrame, probe: &mut P) {
        let Host { stack, link, .. } = &mut self.hosts[to];
        let size = frame.bytes.len();
        stack.on_frame(self.now, probe, *link, frame);
        // A buffer for a buffer: the host keeps that one, and gives another for the next packet.
        let spare = stack.take_buffer(size);
        self.pool.give_buf(spare);
        self.checked(to);
    }

    fn checked(&self, host: usize) {
        if self.check {
            self.hosts[host].stack.check_invariants();
        }
    }
}

impl Host {
    fn new(model: &HostModel, n: u8, rng: Rng) -> Host {
        let HostModel { tcp, mtu, offload } = model;
        let mut stack = Stack::new(StackConfig::default(), tcp.clone(), rng);
        let max_gso = if *offload { 65_000 } else { 0 };
        let link = stack.add_link(START, LinkConfig { tx_checksum: *offload, max_gso, ..LinkConfig::ip(*mtu) });
        let v4 = IpAddr::from([192, 0, 2, n]);
        let v6 = IpAddr::from([0xfd00, 2, 0, 0, 0, 0, 0, u16::from(n)]);
        stack.add_address(START, link, Cidr { addr: v4, prefix: 24 });
        stack.add_address(START, link, Cidr { addr: v6, prefix: 64 });
        Host { stack, link, addrs: [v4, v6] }
    }
}

fn frame(bytes: synfin_stack::engine::Chunk, gso_size: u16) -> RxFrame {
    // A packet that crossed a wire: its checksum is complete, and is verified.
    RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size }
}

/// As many addresses as their network has, some left for others.
pub const MAX_HOSTS: usize = 250;
/// One second after the epoch: zero is for nothing to have happened yet.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000);

#[cfg(test)]
mod tests;
