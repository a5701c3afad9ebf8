//! A host that listens, and whoever sends it segments: what the peers are is only what they say.
#![allow(dead_code)] // not every program that has this module uses all of it

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use synfin_stack::engine::{Instant, Rng, TcpConfig};
use synfin_stack::wire::SeqNum;
use synfin_stack::wire::frame::{self, TcpPacket};
use synfin_stack::wire::tcp::layout::Layout;
use synfin_stack::wire::tcp::{Flags, Header, Options, OptionsBuf, Timestamps};
use synfin_stack::{
    Cidr, LinkConfig, LinkId, ListenerId, ListenerStatus, RxChecksum, RxFrame, Stack, StackConfig, TxFrame,
};

/// Where it listens.
pub(crate) const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 80);

/// The host.
pub(crate) struct Server {
    /// It.
    pub(crate) stack: Stack,
    /// Its link.
    pub(crate) link: LinkId,
    /// Now.
    pub(crate) now: Instant,
    /// Its listener.
    pub(crate) listener: ListenerId,
    packet: Vec<u8>,
}

/// A segment that the host has sent.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// To whom.
    pub(crate) to: SocketAddr,
    /// From which of its addresses.
    pub(crate) from: SocketAddr,
    /// The header.
    pub(crate) hdr: Header,
    /// Its options.
    pub(crate) opts: Options,
    /// Its text.
    pub(crate) text: Vec<u8>,
}

impl Said {
    /// SYN and ACK are set.
    pub(crate) fn is_syn_ack(&self) -> bool {
        self.hdr.flags.has(Flags::SYN | Flags::ACK)
    }

    /// RST is set.
    pub(crate) fn is_reset(&self) -> bool {
        self.hdr.flags.has(Flags::RST)
    }
}

/// A segment for the host.
#[derive(Debug, Clone)]
pub(crate) struct Say<'a> {
    /// From whom.
    pub(crate) from: SocketAddrV4,
    /// For which address and port.
    pub(crate) to: SocketAddrV4,
    /// SEG.SEQ, SEG.ACK.
    pub(crate) seq: (u32, u32),
    /// Its flags.
    pub(crate) flags: Flags,
    /// Its options, as a SYN has them if it is one.
    pub(crate) opts: Options,
    /// Its text.
    pub(crate) text: &'a [u8],
}

impl Default for Say<'_> {
    fn default() -> Self {
        Say { from: peer(1024), to: AT, seq: (1000, 0), flags: Flags::SYN, opts: Options::default(), text: b"" }
    }
}

/// Somebody at a port.
pub(crate) fn peer(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port)
}

/// All the options that a client has.
pub(crate) fn all_options(ts: u32) -> Options {
    Options {
        mss: Some(1460),
        window_scale: Some(9),
        sack_permitted: true,
        timestamps: Some(Timestamps { val: ts, ecr: 0 }),
        ..Options::default()
    }
}

/// The timestamps that answer those of a segment.
pub(crate) fn echo(said: &Said, val: u32) -> Options {
    Options { timestamps: said.opts.timestamps.map(|t| Timestamps { val, ecr: t.val }), ..Options::default() }
}

impl Server {
    /// A host that listens with these settings.
    pub(crate) fn new(backlog: usize, host: StackConfig, cfg: &TcpConfig) -> Server {
        let mut stack = Stack::new(host, cfg.clone(), Rng::from_number(1));
        let now = Instant::from_nanos(1_000_000_000);
        let link = stack.add_link(now, LinkConfig::ip(1500));
        stack.add_address(now, link, Cidr { addr: (*AT.ip()).into(), prefix: 24 });
        stack.add_route(synfin_stack::Route {
            network: Cidr { addr: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 },
            link,
            gateway: None,
        });
        let listener = stack.tcp_listen(now, &mut (), AT.into(), backlog, cfg).expect("a free port");
        Server { stack, link, now, listener, packet: vec![0; 2048] }
    }

    /// Hands in a segment, and nothing else.
    pub(crate) fn hear(&mut self, say: &Say<'_>) {
        let hdr = Header {
            src_port: say.from.port(),
            dst_port: say.to.port(),
            seq: SeqNum(say.seq.0),
            ack: SeqNum(say.seq.1),
            header_len: 20,
            flags: say.flags,
            window: 1000,
            urgent: 0,
        };
        let opts = if say.flags.has(Flags::SYN) {
            OptionsBuf::syn(&say.opts, Layout::Linux)
        } else {
            OptionsBuf::data(say.opts.timestamps, &[])
        };
        let ends = (*say.from.ip(), *say.to.ip());
        let n = frame::emit_tcp_v4(ends, &hdr, opts.as_slice(), say.text, &mut self.packet).expect("it fits");
        let mut buf = self.stack.take_buffer(n);
        buf.as_mut_slice()[..n].copy_from_slice(&self.packet[..n]);
        let frame = RxFrame { bytes: buf.freeze(0, n), checksum: RxChecksum::Unverified, gso_size: 0 };
        self.stack.on_frame(self.now, &mut (), self.link, frame);
    }

    /// Hands in a segment; what the host says then.
    pub(crate) fn say(&mut self, say: &Say<'_>) -> Vec<Said> {
        self.hear(say);
        self.stack.check_invariants();
        self.out()
    }

    /// What the host has to say.
    pub(crate) fn out(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while self.stack.poll_frame(self.now, &mut (), self.link, &mut |f: &TxFrame<'_>| {
            let b = f.to_vec();
            let p = TcpPacket::parse(&b).expect("a packet").expect("a segment");
            all.push(Said { to: p.dst(), from: p.src(), hdr: p.header, opts: p.options, text: p.payload.to_vec() });
            true
        }) {}
        all
    }

    /// Lets the host say what it has to, to nobody.
    pub(crate) fn drain(&mut self) -> u64 {
        let mut n = 0;
        while self.stack.poll_frame(self.now, &mut (), self.link, &mut |_: &TxFrame<'_>| {
            n += 1;
            true
        }) {}
        n
    }

    /// Lets time pass; how many packets were sent.
    pub(crate) fn run(&mut self, d: Duration) -> u64 {
        let until = self.now + d;
        let mut sent = self.drain();
        loop {
            let next = self.stack.next_deadline(self.now);
            if next > until {
                self.now = until;
                return sent;
            }
            self.now = self.now.max(next);
            self.stack.on_deadline(self.now, &mut ());
            sent += self.drain();
        }
    }

    /// The only segment that the host answers `say` by.
    pub(crate) fn answer(&mut self, say: &Say<'_>) -> Said {
        let mut all = self.say(say);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// A host that listens for any destination.
    pub(crate) fn for_any(backlog: usize, host: StackConfig, cfg: &TcpConfig) -> Server {
        let mut s = Server::new(1, host, cfg);
        s.stack.tcp_close_listener(s.now, &mut (), s.listener);
        s.stack.set_any_address(true);
        s.listener = s.stack.tcp_listen_any(s.now, &mut (), backlog, cfg).expect("the first of them");
        s
    }

    /// What the listener tells.
    pub(crate) fn status(&self) -> ListenerStatus {
        self.stack.tcp_listener_status(self.listener).expect("it listens")
    }

    /// A counter by its name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let (s, t) = self.stack.counters();
        s.iter().chain(t.iter()).find(|(n, _)| *n == name).expect("a counter").1
    }
}
