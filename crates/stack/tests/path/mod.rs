//! Two hosts and a path between them in virtual time: a rate, a delay, a queue that drops what does not fit.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::{Instant, Rng, Status, TcpConfig};
use synfin_stack::{Cidr, ConnId, LinkConfig, LinkId, RxChecksum, RxFrame, Stack, StackConfig, TxFrame};

/// The hosts, host 0 sends to host 1.
pub(crate) struct Path {
    /// Now.
    pub now: Instant,
    /// The hosts.
    pub hosts: [(Stack, LinkId); 2],
    /// What is on its way to each, and when it arrives.
    flight: [VecDeque<(Instant, Vec<u8>)>; 2],
    /// When the last octet that is queued for each will have left.
    free: [Instant; 2],
}

/// 10 Mbit/s, 20 ms each way, a queue of 40 ms.
const NANOS_PER_OCTET: u64 = 800;
const DELAY: Duration = Duration::from_millis(20);
const QUEUE: Duration = Duration::from_millis(40);

/// A connection with both its ends.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// At host 0.
    pub client: ConnId,
    /// At host 1.
    pub server: ConnId,
}

impl Path {
    /// Two hosts with these settings.
    pub(crate) fn new(cfg: &TcpConfig) -> Path {
        let now = Instant::from_nanos(1_000_000_000);
        let host = |n: u8| {
            let mut stack = Stack::new(StackConfig::default(), cfg.clone(), Rng::from_number(u64::from(n)));
            let link = stack.add_link(now, LinkConfig::ip(1500));
            stack.add_address(now, link, Cidr { addr: address(n), prefix: 24 });
            (stack, link)
        };
        Path { now, hosts: [host(0), host(1)], flight: [VecDeque::new(), VecDeque::new()], free: [now, now] }
    }

    /// Opens a connection to `port`.
    pub(crate) fn connect(&mut self, cfg: &TcpConfig, port: u16) -> Pair {
        let server = SocketAddr::new(address(1), port);
        let listener = self.hosts[1].0.tcp_listen(self.now, &mut (), server, 1, cfg).expect("a free port");
        let client = self.hosts[0].0.tcp_connect(self.now, &mut (), None, server, cfg).expect("a route");
        self.run(Duration::from_secs(1));
        Pair { client, server: self.hosts[1].0.tcp_accept(listener).expect("a connection") }
    }

    /// Moves `octets` from host 0 to host 1; how long that takes.
    pub(crate) fn transfer(&mut self, c: Pair, octets: usize) -> Duration {
        let (start, data) = (self.now, vec![7; 64 << 10]);
        let (mut sent, mut received, mut buf) = (0, 0, vec![0; 64 << 10]);
        while received < octets {
            let n = data.len().min(octets - sent);
            sent += self.hosts[0].0.tcp_send(self.now, &mut (), c.client, &data[..n]).unwrap_or(0);
            assert!(self.step(start + Duration::from_secs(3600)), "{received} of {octets} after an hour");
            while let Ok(n @ 1..) = self.hosts[1].0.tcp_receive(self.now, &mut (), c.server, &mut buf) {
                received += n;
            }
        }
        self.now.since(start)
    }

    /// Closes both ends.
    #[allow(dead_code)] // not every program that has this module does
    pub(crate) fn close(&mut self, c: Pair) {
        self.hosts[0].0.tcp_close(self.now, &mut (), c.client);
        self.hosts[1].0.tcp_close(self.now, &mut (), c.server);
        self.run(Duration::from_secs(1));
    }

    /// What the sender tells.
    #[allow(dead_code)] // likewise
    pub(crate) fn status(&self, c: Pair) -> Status {
        self.hosts[0].0.tcp_status(c.client).expect("a status")
    }

    pub(crate) fn run(&mut self, d: Duration) {
        let until = self.now + d;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets the next thing happen, unless it is after `until`.
    fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let deadline = self.hosts.iter().map(|(s, _)| s.next_deadline(self.now)).min();
        let arrival = self.flight.iter().filter_map(|f| f.front()).map(|(at, _)| *at).min();
        let next = deadline.into_iter().chain(arrival).min().unwrap_or(Instant::NEVER);
        if next > until {
            return false;
        }
        self.now = self.now.max(next);
        for (to, (stack, link)) in self.hosts.iter_mut().enumerate() {
            while let Some((_, bytes)) = self.flight[to].pop_front_if(|(at, _)| *at <= self.now) {
                let mut buf = stack.take_buffer(bytes.len());
                buf.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
                let bytes = buf.freeze(0, bytes.len());
                stack.on_frame(
                    self.now,
                    &mut (),
                    *link,
                    RxFrame { bytes, checksum: RxChecksum::Unverified, gso_size: 0 },
                );
            }
            stack.on_deadline(self.now, &mut ());
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        for (from, (stack, link)) in self.hosts.iter_mut().enumerate() {
            let (flight, free, now) = (&mut self.flight[1 - from], &mut self.free[1 - from], self.now);
            let mut sink = |f: &TxFrame<'_>| {
                let bytes = f.to_vec();
                let leaves = now.max(*free) + Duration::from_nanos(NANOS_PER_OCTET * bytes.len() as u64);
                if leaves.since(now) <= QUEUE {
                    *free = leaves;
                    flight.push_back((leaves + DELAY, bytes));
                }
                true
            };
            while stack.poll_frame(now, &mut (), *link, &mut sink) {}
        }
    }
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, host + 1])
}
