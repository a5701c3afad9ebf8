//! The network: hosts, the link, the clock.

use crate::link::{Direction, Fate, LinkModel};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use synfin_stack::engine::{Chunk, Instant, Probe, Rng, TcpConfig};
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{Checksum, Cidr, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

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

/// A packet that was put on the link.
#[derive(Debug, Clone)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// Its octets, from the IP header on.
    pub bytes: Vec<u8>,
    /// Why it was lost, if it was.
    pub lost: Option<&'static str>,
}

/// Decides whether a segment is lost, by name rather than by chance.
pub type Lose = Box<dyn FnMut(Direction, &TcpPacket<'_>) -> bool + Send>;

/// In flight: time, order of departure (for ties), direction, octets, gso size.
type InFlight = Reverse<(Instant, u64, bool, Vec<u8>, u16)>;

/// Two hosts and a link.
pub struct Network {
    /// Now.
    pub now: Instant,
    /// The hosts.
    pub hosts: [Host; 2],
    /// The link from host 0 to host 1, and back.
    pub links: [LinkModel; 2],
    /// Loses named segments.
    pub lose: Option<Lose>,
    /// Everything that was put on the link, if it is to be kept.
    pub records: Option<Vec<Record>>,
    /// Whether invariants are checked after every verb.
    pub check: bool,
    /// Packets put on the link.
    pub packets: u64,
    flight: BinaryHeap<InFlight>,
    order: u64,
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
        let mut rng = Rng::from_number(seed);
        let mut host = |n: u8| {
            let mut stack = Stack::new(StackConfig::default(), cfg.clone(), Rng::from_number(rng.next_u64()));
            let link_cfg =
                LinkConfig { tx_checksum: offload, max_gso: if offload { 65_000 } else { 0 }, ..LinkConfig::ip(mtu) };
            let link = stack.add_link(START, link_cfg);
            let v4 = IpAddr::from([192, 0, 2, n]);
            let v6 = IpAddr::from([0xfd00, 2, 0, 0, 0, 0, 0, u16::from(n)]);
            stack.add_address(START, link, Cidr { addr: v4, prefix: 24 });
            stack.add_address(START, link, Cidr { addr: v6, prefix: 64 });
            Host { stack, link, addrs: [v4, v6] }
        };
        let hosts = [host(1), host(2)];
        Network {
            now: START,
            hosts,
            links: [LinkModel::default(), LinkModel::default()],
            lose: None,
            records: None,
            check: true,
            packets: 0,
            flight: BinaryHeap::new(),
            order: 0,
            rng,
        }
    }

    /// Lets everything out that wants to go.
    pub fn drain<P: Probe>(&mut self, probe: &mut P) {
        for from in 0..2 {
            loop {
                let mut out = Vec::new();
                let Host { stack, link, .. } = &mut self.hosts[from];
                let mut sink = |f: &TxFrame<'_>| {
                    out.push(materialize(f));
                    true
                };
                if !stack.poll_frame(self.now, probe, *link, &mut sink) {
                    break;
                }
                for (bytes, gso) in out {
                    self.launch(from, bytes, gso);
                }
                self.checked(from);
            }
        }
    }

    fn launch(&mut self, from: usize, bytes: Vec<u8>, gso: u16) {
        self.packets += 1;
        let direction = if from == 0 { Direction::Forth } else { Direction::Back };
        let named = match (&mut self.lose, TcpPacket::parse(&bytes)) {
            (Some(lose), Ok(Some(p))) => lose(direction, &p),
            _ => false,
        };
        let fate =
            if named { Fate::Lost("named") } else { self.links[from].pass(self.now, bytes.len(), &mut self.rng) };
        if let Some(r) = &mut self.records {
            let lost = if let Fate::Lost(why) = fate { Some(why) } else { None };
            r.push(Record { at: self.now, direction, bytes: bytes.clone(), lost });
        }
        let Fate::Arrives(times) = fate else { return };
        for (at, corrupt) in times {
            let mut b = bytes.clone();
            if corrupt {
                let bit = self.rng.below(b.len() as u32 * 8);
                b[bit as usize / 8] ^= 1 << (bit % 8);
            }
            self.order += 1;
            // A corrupted packet is one that crossed a wire: its checksum is complete, and is verified.
            self.flight.push(Reverse((at, self.order, from == 0, b, gso)));
        }
    }

    fn checked(&self, host: usize) {
        if self.check {
            self.hosts[host].stack.check_invariants();
        }
    }

    /// When the next thing happens, [`Instant::NEVER`] if nothing will.
    pub fn next(&self) -> Instant {
        let wire = self.flight.peek().map_or(Instant::NEVER, |f| f.0.0);
        self.hosts.iter().map(|h| h.stack.next_deadline(self.now)).min().unwrap_or(Instant::NEVER).min(wire)
    }

    /// Lets the next thing happen, unless it is after `until`; false if nothing did.
    pub fn step<P: Probe>(&mut self, probe: &mut P, until: Instant) -> bool {
        self.drain(probe);
        let next = self.next();
        if next > until || next == Instant::NEVER {
            return false;
        }
        self.now = self.now.max(next);
        if self.flight.peek().is_some_and(|f| f.0.0 <= self.now)
            && let Some(Reverse((_, _, forth, bytes, gso_size))) = self.flight.pop()
        {
            let to = usize::from(forth);
            let Host { stack, link, .. } = &mut self.hosts[to];
            let mut buf = stack.take_buffer(bytes.len());
            buf.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
            let bytes: Chunk = buf.freeze(0, bytes.len());
            let frame = RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size };
            stack.on_frame(self.now, probe, *link, frame);
            self.checked(to);
        } else {
            for i in 0..2 {
                self.hosts[i].stack.on_deadline(self.now, probe);
                self.checked(i);
            }
        }
        self.drain(probe);
        true
    }

    /// Runs for `d` at most, until nothing more happens within it.
    pub fn run<P: Probe>(&mut self, probe: &mut P, d: std::time::Duration) {
        let until = self.now + d;
        while self.step(probe, until) {}
        self.now = self.now.max(until);
    }

    /// The simulator's randomness, for the programs that run on it.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

/// A frame as it crosses the link: one piece, its checksum complete.
fn materialize(f: &TxFrame<'_>) -> (Vec<u8>, u16) {
    let mut b = f.to_vec();
    if let Checksum::Partial { start, offset } = f.checksum {
        let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
        let sum = synfin_stack::wire::checksum::Sum::ZERO.add(&b[start..]).finish();
        b[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    (b, f.gso.map_or(0, |g| g.size))
}

/// One second after the epoch: zero is for nothing to have happened yet.
const START: Instant = Instant::from_nanos(1_000_000_000);
