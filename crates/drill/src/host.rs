//! A host of synfin in virtual time: its packets, its clock, and what its engine says of itself.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use synfin_stack::engine::probe::Watch;
use synfin_stack::engine::{Chunk, Event, Instant, Observer, Rng, State, Status, TcpConfig};
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{Cidr, LinkConfig, LinkId, Route, RxChecksum, RxFrame, Stack, StackConfig, Tuple, TxFrame};

/// How many of the engine's latest words are kept.
const WORDS: usize = 64;

/// A packet that left.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Which packet of the host's it is, from 0.
    pub number: usize,
}

/// A packet that crossed the link, in either direction: for the diagram and the capture file.
#[derive(Debug, Clone)]
pub struct Crossed {
    /// When.
    pub at: Instant,
    /// Whether it arrived.
    pub inbound: bool,
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// The state of our end after it, if it can be known; CLOSED if it belongs to no connection.
    pub state: Option<State>,
}

/// Writes down what the engine does, the latest of it.
#[derive(Debug, Default)]
struct Journal(VecDeque<String>);

impl Observer for Journal {
    fn event(&mut self, now: Instant, _: u64, e: &Event) {
        let what = match *e {
            Event::Arrived { verdict, .. } => format!("arrived: {verdict}"),
            Event::Sent { why, .. } => format!("sent: {why}"),
            Event::Moved { from, trigger, to } => format!("{from} -> {to}: {trigger}"),
        };
        if self.0.len() == WORDS {
            self.0.pop_front();
        }
        self.0.push_back(format!("{} {what}", stamp(now)));
    }
}

/// Seconds and microseconds since the host's clock began.
fn stamp(at: Instant) -> String {
    let us = at.as_nanos().saturating_sub(START.as_nanos()) / 1_000;
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// When the clock begins: zero is for nothing to have happened yet.
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// A host, its link, and its clock.
#[derive(Debug)]
pub struct Host {
    pub(crate) stack: Stack,
    /// The settings of sockets that are made from now on.
    pub tcp: TcpConfig,
    link: LinkId,
    /// What it was made of.
    made_of: (Vec<Cidr>, u32, bool),
    /// The keys of Fast Open that were set.
    keys: Option<([u8; 16], Option<[u8; 16]>)>,
    now: Instant,
    out: VecDeque<Sent>,
    /// How many packets have left.
    sent: usize,
    journal: Journal,
    /// Everything that crossed the link, in order.
    pub crossed: Vec<Crossed>,
    /// Of how many of them the state is known.
    out_before: usize,
}

/// The state of the connection that a packet belongs to.
fn state_of(stack: &Stack, c: &Crossed) -> State {
    let Ok(Some(p)) = TcpPacket::parse(&c.bytes) else { return State::Closed };
    let (local, remote) = if c.inbound { (p.dst(), p.src()) } else { (p.src(), p.dst()) };
    stack.tcp_state_of(Tuple { local, remote })
}

impl Host {
    /// A host with `addresses` on a link of `mtu` octets, which leads everywhere.
    pub fn new(addresses: &[Cidr], mtu: u32, tcp: TcpConfig) -> Host {
        let mut stack = Stack::new(StackConfig::default(), tcp.clone(), Rng::from_number(1));
        let link = stack.add_link(START, LinkConfig::ip(mtu));
        for a in addresses {
            stack.add_address(START, link, *a);
            let addr: IpAddr = if a.addr.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
            stack.add_route(Route { network: Cidr { addr, prefix: 0 }, link, gateway: None });
        }
        let mut h = Host {
            stack,
            tcp,
            link,
            made_of: (addresses.to_vec(), mtu, false),
            keys: None,
            now: START,
            out: VecDeque::new(),
            sent: 0,
            journal: Journal::default(),
            crossed: Vec::new(),
            out_before: 0,
        };
        h.drain();
        h.out.clear();
        h.sent = 0;
        h.crossed.clear();
        h.out_before = 0;
        h
    }

    /// Packets for any address are taken: whoever sends them decides which is ours.
    pub fn answer_for_any_address(&mut self) {
        self.made_of.2 = true;
        self.stack.set_any_address(true);
    }

    /// The keys of Fast Open cookies: the one that makes them, and the one before.
    pub fn set_fast_open_keys(&mut self, keys: ([u8; 16], Option<[u8; 16]>)) {
        self.keys = Some(keys);
        self.stack.set_fast_open_keys(keys.0, keys.1);
    }

    /// Two settings are the host's own, and TIME-WAIT obeys them: `time-wait` and `rfc1337`. What they are is said when
    /// the host is made, so it is made anew if they have changed; `unused` says that it has no sockets. False if it is
    /// too late for that.
    pub fn obey_host_settings(&mut self, unused: bool) -> bool {
        let own = |c: &TcpConfig| (c.time_wait, c.rfc1337);
        if own(self.stack.tcp_defaults()) == own(&self.tcp) {
            return true;
        }
        if !unused || !self.crossed.is_empty() {
            return false;
        }
        let (addresses, mtu, any) = std::mem::take(&mut self.made_of);
        let mut new = Host::new(&addresses, mtu, self.tcp.clone());
        new.advance(self.now);
        if any {
            new.answer_for_any_address();
        }
        if let Some(keys) = self.keys {
            new.set_fast_open_keys(keys);
        }
        *self = new;
        true
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Runs `f` on the stack, watched, and collects what leaves.
    pub(crate) fn with<R>(&mut self, f: impl FnOnce(&mut Stack, Instant, &mut Watch<'_>) -> R) -> R {
        let r = f(&mut self.stack, self.now, &mut Watch::new(&mut self.journal));
        self.drain();
        r
    }

    fn drain(&mut self) {
        let (now, link) = (self.now, self.link);
        let mut watch = Watch::new(&mut self.journal);
        loop {
            let (out, crossed, sent) = (&mut self.out, &mut self.crossed, &mut self.sent);
            let mut sink = |f: &TxFrame<'_>| {
                let bytes = f.to_vec();
                crossed.push(Crossed { at: now, inbound: false, bytes: bytes.clone(), state: None });
                out.push_back(Sent { at: now, bytes, number: *sent });
                *sent += 1;
                true
            };
            let more = self.stack.poll_frame(now, &mut watch, link, &mut sink);
            let new = self.crossed.len() - self.out_before;
            for c in self.crossed.iter_mut().rev().take(new) {
                c.state = Some(state_of(&self.stack, c));
            }
            self.out_before = self.crossed.len();
            if !more {
                return;
            }
        }
    }

    /// A packet arrives.
    pub fn deliver(&mut self, packet: &[u8]) {
        let mut c = Crossed { at: self.now, inbound: true, bytes: packet.to_vec(), state: None };
        let frame = RxFrame { bytes: Chunk::copy_of(packet), checksum: RxChecksum::Unverified, gso_size: 0 };
        let (link, now) = (self.link, self.now);
        self.stack.on_frame(now, &mut Watch::new(&mut self.journal), link, frame);
        c.state = Some(state_of(&self.stack, &c));
        self.crossed.push(c);
        self.out_before = self.crossed.len();
        self.drain();
    }

    /// The next packet that left and was not taken.
    pub fn take_sent(&mut self) -> Option<Sent> {
        self.out.pop_front()
    }

    /// How many packets have left in all.
    pub fn sent_in_all(&self) -> usize {
        self.sent
    }

    /// What left and was not taken.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.out.iter()
    }

    /// Puts back what [`Host::take_sent`] gave.
    pub fn put_back(&mut self, s: Sent) {
        self.out.push_front(s);
    }

    /// What is known of the connection, half-open or waiting at its end as it may be, between these two.
    pub fn status_of(&self, local: SocketAddr, remote: SocketAddr) -> Option<Status> {
        self.stack.tcp_status_of(Tuple { local, remote })
    }

    /// When the next timer is due.
    pub fn next_deadline(&self) -> Instant {
        self.stack.next_deadline(self.now)
    }

    /// The clock moves to `to`, or to the first timer before it, which then runs. True if it is `to` now.
    pub fn step(&mut self, to: Instant) -> bool {
        let next = self.next_deadline();
        if next > to || next == Instant::NEVER {
            self.now = self.now.max(to);
            return true;
        }
        self.now = self.now.max(next);
        self.with(|s, now, w| s.on_deadline(now, w));
        false
    }

    /// The clock moves to `to`; everything due before runs in order.
    pub fn advance(&mut self, to: Instant) {
        while !self.step(to) {}
    }

    /// The latest that the engine did, each in a line that begins with the time.
    pub fn journal(&self) -> impl Iterator<Item = &str> {
        self.journal.0.iter().map(String::as_str)
    }
}
