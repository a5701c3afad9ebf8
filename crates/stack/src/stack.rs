//! The host: its tables, its verbs.

use crate::config::StackConfig;
use crate::cx::tcp_cx;
use crate::icmp::echo::{EchoId, EchoSockets};
use crate::ip::fragments::Fragments;
use crate::ip::paths::Paths;
use crate::ip::{Cidr, Route, is_link_local};
use crate::link::{Address, Link, LinkConfig, LinkId, Medium, link_local_of};
use crate::mib::StackMib;
use crate::rate::{Bucket, Buckets};
use crate::slab::Slab;
use crate::tcp::{Configs, ConnId, Entry, HalfOpen, ListenerId, Occupancy, Slot, Stage, Tables, TimeWaitTable, Wait};
use crate::timer_wheel::TimerWheel;
use crate::udp::{UdpId, UdpSockets};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use synfin_tcp::{Chunk, Instant, Pool, Probe, Rng, TcpConfig, TcpMib, Trigger};

/// What the device says of a frame's transport checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: it is verified here.
    Unverified,
    /// It is right, or still partial because the frame never crossed a wire: it is trusted.
    Trusted,
}

/// What the device says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RxMeta {
    /// Of its checksum.
    pub checksum: RxChecksum,
    /// The size of the segments that a super-segment was put together from; 0 for a plain frame.
    pub gso_size: u16,
    /// It was for many of its link: a broadcast or multicast of the link layer (RFC 1122 2.4).
    pub many: bool,
}

/// A frame that has arrived.
#[derive(Debug)]
pub struct RxFrame {
    /// Its octets, from the link header on.
    pub bytes: Chunk,
    /// Of its checksum.
    pub checksum: RxChecksum,
    /// The size of the segments that a super-segment was put together from; 0 for a plain frame.
    pub gso_size: u16,
}

/// A socket about which there is something to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SocketEvent {
    /// See [`Stack::tcp_events`].
    Tcp(ConnId),
    /// A connection can be accepted.
    Listener(ListenerId),
    /// A datagram, or an error, has come.
    Udp(UdpId),
    /// A reply to an echo request, or an error about one, has come.
    Echo(EchoId),
}

/// One host, one shard.
#[derive(Debug)]
pub struct Stack {
    pub(crate) cfg: StackConfig,
    pub(crate) rng: Rng,
    pub(crate) secret: [u8; 16],
    pub(crate) pool: Pool,
    pub(crate) mib: StackMib,
    pub(crate) tcp_mib: TcpMib,
    pub(crate) configs: Configs,
    pub(crate) links: Vec<Link>,
    /// Each with its end: that of a default route learned from a router, else never.
    pub(crate) routes: Vec<(Route, Instant)>,
    /// Path MTUs below the link's.
    pub(crate) paths: Paths,
    /// Whether packets to any address are ours.
    pub(crate) any_address: bool,
    pub(crate) fragments: Fragments,
    pub(crate) fragment_ident: u32,
    pub(crate) tcp: Tables,
    pub(crate) udp: UdpSockets,
    pub(crate) wheel: TimerWheel,
    pub(crate) port_counter: u32,
    pub(crate) reset_buckets: Buckets,
    pub(crate) icmp_bucket: Bucket,
    pub(crate) echo: EchoSockets,
    pub(crate) events: VecDeque<SocketEvent>,
    /// Room for the headers of a frame on its way out.
    pub(crate) header: Vec<u8>,
}

impl Stack {
    /// A host without links. All its randomness comes from `rng`, so the same inputs give the same run. `tcp` is the
    /// default of its connections; TIME-WAIT obeys it alone (`time_wait`, `rfc1337`).
    pub fn new(cfg: StackConfig, tcp: TcpConfig, mut rng: Rng) -> Stack {
        let cfg = cfg.within_numbers();
        let secret = rng.secret();
        let mut tables = Tables::default();
        tables.index.set_secret(rng.secret());
        let mut pool = Pool::default();
        pool.set_limit(cfg.tcp_memory);
        Stack {
            reset_buckets: Buckets::new(cfg.resets_per_second),
            icmp_bucket: Bucket::new(cfg.icmp_errors_per_second),
            port_counter: rng.next_u32(),
            fragment_ident: rng.next_u32(),
            configs: Configs::new(tcp, cfg.max_settings),
            cfg,
            rng,
            secret,
            pool,
            mib: StackMib::default(),
            tcp_mib: TcpMib::default(),
            links: Vec::new(),
            routes: Vec::new(),
            paths: Paths::default(),
            any_address: false,
            fragments: Fragments::default(),
            tcp: tables,
            udp: UdpSockets::default(),
            wheel: TimerWheel::default(),
            echo: EchoSockets::default(),
            events: VecDeque::new(),
            header: alloc::vec![0; 160],
        }
    }

    /// Adds a link.
    pub fn add_link(&mut self, now: Instant, cfg: LinkConfig) -> LinkId {
        let mut link = Link::new(cfg);
        if matches!(cfg.medium, Medium::Ethernet(_)) {
            link.solicit = (3, now);
        }
        self.links.push(link);
        LinkId((self.links.len() - 1) as u8)
    }

    /// Gives a link an address, and a route to its network. An IPv6 address on an Ethernet link is used after
    /// duplicate address detection, one second later; with the first one comes the link-local address that its MAC makes.
    pub fn add_address(&mut self, now: Instant, link: LinkId, cidr: Cidr) {
        let Some(l) = self.links.get(usize::from(link.0)) else { return };
        let first = cidr.addr.is_ipv6() && !l.addrs.iter().any(|x| x.cidr.addr.is_ipv6());
        let mac = l.mac();
        self.put_address(now, link, cidr);
        if let (Some(mac), true, IpAddr::V6(a)) = (mac, first, cidr.addr)
            && !is_link_local(a)
        {
            self.put_address(now, link, Cidr { addr: link_local_of(mac).into(), prefix: 64 });
        }
    }

    fn put_address(&mut self, now: Instant, link: LinkId, cidr: Cidr) {
        let Some(l) = self.links.get(usize::from(link.0)) else { return };
        let tentative_until = match (l.cfg.medium, cidr.addr) {
            (Medium::Ethernet(_), IpAddr::V6(a)) => self.begin_dad(now, link, a),
            _ => Instant::ZERO,
        };
        if let Some(l) = self.links.get_mut(usize::from(link.0)) {
            l.addrs.push(Address { cidr, tentative_until });
        }
        self.routes.push((Route { network: cidr, link, gateway: None }, Instant::NEVER));
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: Route) {
        self.routes.push((route, Instant::NEVER));
    }

    /// Takes packets to any address for ours, as a gateway does.
    pub fn set_any_address(&mut self, on: bool) {
        self.any_address = on;
    }

    /// The addresses of the host, link by link; an IPv6 one may still be tentative.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.links.iter().flat_map(|l| &l.addrs).map(|x| x.cidr.addr)
    }

    /// Whether an address is ours.
    pub fn has_address(&self, a: IpAddr) -> bool {
        self.any_address || self.links.iter().flat_map(|l| &l.addrs).any(|x| x.cidr.addr == a)
    }

    /// The limits of the host.
    pub fn config(&self) -> &StackConfig {
        &self.cfg
    }

    /// The settings of the host: the default of its connections.
    pub fn tcp_defaults(&self) -> &TcpConfig {
        &self.configs[0]
    }

    /// A buffer for the next frame to be received.
    pub fn take_buffer(&mut self, size: usize) -> synfin_tcp::BufMut {
        self.pool.take(size)
    }

    /// The buffers, to give chunks back.
    pub fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Counters of the host and of the engine.
    pub fn counters(&self) -> (StackMib, TcpMib) {
        (self.mib, self.tcp_mib)
    }

    /// How full the tables are.
    pub fn occupancy(&self) -> Occupancy {
        Occupancy {
            connections: self.tcp.conns.len(),
            half_open: self.tcp.half.len(),
            time_wait: self.tcp.waits.len(),
            listeners: self.tcp.listeners.len(),
            timers: self.wheel.len(),
            memory: self.pool.held(),
            fragments: self.fragments.memory(),
            index: self.tcp.index.len(),
            settings: self.configs.len(),
            cookies: self.tcp.taken.len(),
            fast_open: self.fast_open_pending(),
        }
    }

    /// Octets of a half-open, an idle established and a TIME-WAIT connection: of the record alone, and with its place in
    /// its table, its entry in the demultiplexer (less than that at any number from 10,000 on) and, but in TIME-WAIT, its timer.
    pub fn footprint() -> [(usize, f64); 3] {
        const GENERATION: f64 = 4.5;
        const INDEX: f64 = 6.9;
        const TIMER: f64 = 24.25;
        let block = synfin_tcp::Connection::footprint() - size_of::<synfin_tcp::Connection>();
        let (half, idle, wait) = (size_of::<HalfOpen>(), size_of::<Entry>() + block, size_of::<Wait>());
        let idle_place = Slab::<Entry>::PLACE + block as f64 + GENERATION;
        [
            (half, Slab::<HalfOpen>::PLACE + INDEX + TIMER),
            (idle, idle_place + INDEX + TIMER),
            (wait, TimeWaitTable::PLACE + INDEX),
        ]
    }

    /// Adds all connections to `h`, those in TIME-WAIT and half-open ones too: hosts with the same digest behave alike,
    /// as far as TCP is concerned (for explorers of states).
    pub fn digest(&self, h: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        for (i, e) in self.tcp.conns.iter() {
            (i, e.owned, e.accepting, e.indexed).hash(h);
            e.conn.digest(h);
        }
        for (i, half) in self.tcp.half.iter() {
            i.hash(h);
            half.syn.digest(h);
        }
        for w in self.tcp.waits.iter() {
            w.tw.digest(h);
        }
    }

    /// What has happened to a socket.
    pub fn poll_event(&mut self) -> Option<SocketEvent> {
        let event = self.events.pop_front();
        if event.is_none() && self.events.capacity() > 1_024 + 4 * self.tcp.conns.len() {
            self.events = VecDeque::new();
        }
        event
    }

    /// Handles everything that is due at `now`.
    pub fn on_deadline<P: Probe>(&mut self, now: Instant, probe: &mut P) {
        while let Some(token) = self.wheel.pop(now) {
            match Slot::from_token(token) {
                Slot::Conn(i) => self.connection_deadline(now, probe, i),
                Slot::Half(i) => self.half_open_deadline(now, probe, i),
                Slot::Wait(_) => {}
            }
        }
        while let Some(i) = self.tcp.waits.expired(now) {
            self.end_time_wait(now, probe, i, Trigger::Timeout2Msl);
        }
        if self.fragments.next_deadline() <= now {
            self.mib.reasm_fails += self.fragments.expire(now) as u64;
        }
        self.tcp.tidy();
        self.forget_paths(now, probe);
        self.solicit_neighbors(now);
        self.solicit_routers(now);
        self.report_groups(now);
        //= RFC 4861 6.3.5
        self.routes.retain(|(_, until)| now < *until);
    }

    /// When [`Stack::on_deadline`] wants to be called. It may be earlier than anything is due, never later.
    pub fn next_deadline(&self, now: Instant) -> Instant {
        let links = self.links.iter().map(|l| l.neighbors.next_deadline().min(l.solicit.1).min(l.report_at)).min();
        let routes = self.routes.iter().map(|(_, until)| *until).min();
        self.wheel
            .next()
            .min(routes.unwrap_or(Instant::NEVER))
            .min(self.tcp.waits.next_deadline(now))
            .min(self.fragments.next_deadline())
            .min(self.paths.next_deadline())
            .min(links.unwrap_or(Instant::NEVER))
    }

    /// Forgets path MTUs that are too old. Connections that were talked down send segments again as large as their
    /// handshake allows; one that was opened while the smaller MTU was known keeps to it, the next one does not.
    fn forget_paths<P: Probe>(&mut self, now: Instant, probe: &mut P) {
        let forgotten = self.paths.expire(now);
        if forgotten.is_empty() {
            return;
        }
        let concerned = |e: &Entry| forgotten.binary_search(&e.tuple.remote.ip()).is_ok();
        let conns: Vec<u32> = self.tcp.conns.iter().filter(|(_, e)| concerned(e)).map(|(i, _)| i).collect();
        for i in conns {
            if let Some(e) = self.tcp.conns.at_mut(i) {
                e.conn.on_path_forgotten(&tcp_cx!(self, e.cfg, now, probe));
            }
            self.after_input(now, i);
        }
    }

    fn connection_deadline<P: Probe>(&mut self, now: Instant, probe: &mut P, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        e.timer = None;
        // The deadline may have moved to later without the wheel being told: then it is only set again.
        if e.conn.next_deadline() <= now {
            probe.focus(u64::from(Slot::Conn(i).token()));
            e.conn.on_deadline(&mut tcp_cx!(self, e.cfg, now, probe));
            self.after_input(now, i);
        } else {
            self.set_timer(i);
        }
    }

    fn half_open_deadline<P: Probe>(&mut self, now: Instant, probe: &mut P, i: u32) {
        let Some(h) = self.tcp.half.at_mut(i) else { return };
        h.timer = HalfOpen::NO_TIMER;
        if h.is_unanswered() {
            self.end_request(i);
            return;
        }
        probe.focus(u64::from(Slot::Half(i).token()));
        let Some(next) = h.syn.on_deadline(&mut tcp_cx!(self, h.cfg, now, probe)) else {
            self.drop_half_open(i);
            return;
        };
        h.timer = self.wheel.insert(next, Slot::Half(i).token());
        self.half_open_ready(i);
    }

    /// Connections that waited for a neighbor may try again.
    pub(crate) fn wake_blocked(&mut self) {
        for i in core::mem::take(&mut self.tcp.blocked) {
            if let Some(e) = self.tcp.conns.at_mut(i) {
                e.ready = false;
            }
            self.tcp.mark_ready(i);
        }
        for i in core::mem::take(&mut self.tcp.half_blocked) {
            if self.tcp.half.at(i).is_some_and(HalfOpen::is_ready) {
                self.tcp.half_due.push_back(i);
            }
        }
    }

    /// What must hold between any two verbs.
    pub fn check_invariants(&self) {
        let in_queues: usize = self.tcp.listeners.iter().map(|(_, l)| l.half_open).sum();
        assert_eq!(in_queues, self.tcp.half.len(), "every half-open connection is in a listener's SYN queue");
        let in_stage = |stage| self.tcp.half.iter().filter(|(_, h)| h.stage == stage).count();
        let queued: [usize; 2] = self
            .tcp
            .listeners
            .iter()
            .map(|(_, l)| [l.asked.len(), l.silent.len()])
            .fold([0; 2], |[a, s], [more_a, more_s]| [a + more_a, s + more_s]);
        assert_eq!(
            queued,
            [in_stage(Stage::Asked), in_stage(Stage::Silent)],
            "decisions are waited for in their queues"
        );
        let indexed = self.tcp.conns.iter().filter(|(_, e)| e.indexed).count();
        assert_eq!(indexed + self.tcp.half.len() + self.tcp.waits.len(), self.tcp.index.len(), "the index is exact");
        let orphans = self.tcp.conns.iter().filter(|(_, e)| !e.owned).count();
        assert_eq!(orphans, self.tcp.orphans);
        let holders = self.tcp.conns.len() + self.tcp.half.len() + self.tcp.listeners.len();
        assert_eq!(self.configs.users(), holders, "settings are held by what uses them");
        self.check_fast_open();
        for (_, e) in self.tcp.conns.iter() {
            if let Some(t) = e.conn.tcb() {
                t.check_invariants();
            }
        }
    }
}
