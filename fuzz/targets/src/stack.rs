//! A host under fire: the input is a list of operations, among them segments with correct checksums and numbers near the
//! windows of connections that exist, so that they get past the first checks.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::config::SynCookies;
use synfin_stack::engine::probe::Watch;
use synfin_stack::engine::{Chunk, Event, Events, Instant, Observer, Rng, State, TcpConfig};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::tcp::{Flags, Header};
use synfin_stack::wire::{Protocol, SeqNum, checksum, icmp, ipv4};
use synfin_stack::{
    Cidr, ConnId, ConnectError, LinkConfig, LinkId, ListenerId, Occupancy, RxChecksum, RxFrame, SocketEvent, Stack,
    StackConfig, TxFrame, UdpId,
};

pub(crate) const OURS: [u8; 4] = [192, 0, 2, 2];
pub(crate) const PEER: [u8; 4] = [192, 0, 2, 1];
pub(crate) const OURS_V6: [u16; 8] = [0xfd00, 2, 0, 0, 0, 0, 0, 2];
/// A listener, and a UDP socket that nobody reads.
pub(crate) const PORT: u16 = 80;
/// The peer's first port: its segments say which one after that.
pub(crate) const PEER_PORTS: u16 = 1024;
/// The peer's initial sequence number.
pub(crate) const PEER_ISS: u32 = 1000;

/// Reads the input piece by piece; what is beyond the end is zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((b, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *b
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (b, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        b
    }
}

/// What happened: rules, reasons, states and counters, by their names.
#[derive(Default)]
pub(crate) struct Words(BTreeSet<&'static str>);

impl Words {
    #[cfg(test)]
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }
}

impl Observer for Words {
    fn event(&mut self, _: Instant, _: u64, e: &Event) {
        self.0.insert(match *e {
            Event::Arrived { verdict, .. } => verdict.rule().name(),
            Event::Sent { why, .. } => why.name(),
            Event::Moved { to, .. } => to.name(),
        });
    }
}

struct World {
    stack: Stack,
    link: LinkId,
    now: Instant,
    listener: ListenerId,
    datagrams: UdpId,
    conns: Vec<ConnId>,
    /// The last SYN that our host sent: its source port and number.
    syn: (u16, SeqNum),
    /// The last SYN+ACK that it sent: to which port, and its number.
    syn_ack: (u16, SeqNum),
    words: Words,
}

/// Runs the operations in `data`.
pub fn stack(data: &[u8]) {
    run(data);
}

/// Runs the operations in `data`, and says what happened.
pub(crate) fn run(data: &[u8]) -> Words {
    let mut input = Input(data);
    let kind = input.byte();
    let tcp = TcpConfig {
        timestamps: kind & 1 == 0,
        sack: kind & 2 == 0,
        keepalive: kind & 4 != 0,
        rcv_buf_initial: if kind & 8 == 0 { 131_072 } else { 2_048 },
        rcv_buf_max: 131_072,
        snd_buf_initial: 4_096,
        snd_buf_max: 16_384,
        reassembly_pieces: 64,
        syn_cookies: if kind & 32 == 0 { SynCookies::Overflow } else { SynCookies::Always },
        ..TcpConfig::default()
    };
    let cfg = StackConfig { max_connections: 16, max_time_wait: 8, fragment_memory: 8_192, ..StackConfig::default() };
    let mut stack = Stack::new(cfg, tcp.clone(), Rng::from_number(7));
    let now = Instant::from_nanos(1_000_000_000);
    let link_cfg = LinkConfig { max_gso: if kind & 16 == 0 { 0 } else { 60_000 }, ..LinkConfig::ip(1500) };
    let link = stack.add_link(now, link_cfg);
    stack.add_address(now, link, Cidr { addr: IpAddr::from(OURS), prefix: 24 });
    stack.add_address(now, link, Cidr { addr: IpAddr::from(OURS_V6), prefix: 64 });
    let any = SocketAddr::from(([0, 0, 0, 0], PORT));
    let listener = stack.tcp_listen(now, &mut (), any, 4, &tcp).expect("the port is free");
    let datagrams = stack.udp_bind(any).expect("the port is free");
    let nothing = (0, SeqNum(0));
    let conns = Vec::new();
    let words = Words::default();
    let mut w = World { stack, link, now, listener, datagrams, conns, syn: nothing, syn_ack: nothing, words };
    while !input.0.is_empty() {
        w.operate(&mut input, &tcp);
        w.drain();
        w.stack.check_invariants();
    }
    w.finish();
    w.words
}

impl World {
    fn operate(&mut self, input: &mut Input<'_>, tcp: &TcpConfig) {
        match input.byte() % 16 {
            0 => {
                let n = usize::from(input.byte());
                let raw = input.bytes(n).to_vec();
                self.arrive(&raw, RxChecksum::Unverified, 0);
            }
            1..=6 => self.segment(input),
            7 => {
                let ms = u64::from(input.word());
                // Up to 2^32 milliseconds at once, so that a deadline may lie any distance behind.
                self.now += Duration::from_millis(ms * ms);
                self.deadline();
            }
            8 => {
                let (host, port) = (input.byte(), u16::from(input.byte()) + 1);
                let to = SocketAddr::from((if host & 1 == 0 { PEER } else { OURS }, port));
                let from = (host & 2 != 0).then(|| SocketAddr::from((OURS, port)));
                let probe = &mut Watch::new(&mut self.words);
                match self.stack.tcp_connect(self.now, probe, from, to, tcp) {
                    Ok(c) => self.conns.push(c),
                    Err(e) => drop(self.words.0.insert(refusal(e))),
                }
            }
            9..=11 => self.call(input),
            12 => self.icmp(input),
            13 => {
                let (offset, more) = (u16::from(input.byte()) * 8, input.byte() & 1 == 1);
                let n = usize::from(input.byte()) & !7;
                let payload = input.bytes(n).to_vec();
                let packet = ip(Protocol::UDP, &payload, offset, more && payload.len().is_multiple_of(8));
                self.arrive(&packet, RxChecksum::Unverified, 0);
            }
            14 => {
                // The clock goes back.
                let ms = u64::from(input.word());
                self.now = Instant::from_nanos(self.now.as_nanos().saturating_sub(ms * 1_000_000).max(1));
                self.deadline();
            }
            _ => {
                let _ = self.stack.udp_receive(self.datagrams);
            }
        }
    }

    fn deadline(&mut self) {
        self.stack.on_deadline(self.now, &mut Watch::new(&mut self.words));
    }

    /// A segment with a correct checksum, its numbers near those of a connection if there is one.
    fn segment(&mut self, input: &mut Input<'_>) {
        let (who, flags, window) = (input.byte(), input.byte(), input.word());
        let (dseq, dack) = (input.word() as i16, input.word() as i16);
        let (opt_len, len) = (usize::from(input.byte() % 11) * 4, usize::from(input.byte()));
        // Up to 127 octets by the octet, then by sixteen.
        let len = if len < 128 { len } else { (len - 127) * 16 };
        let options = {
            let mut o = input.bytes(opt_len).to_vec();
            o.resize(opt_len, 1);
            o
        };
        let known = self.conns.get(usize::from(who) % (self.conns.len() + 1)).copied();
        let status = known.and_then(|c| self.stack.tcp_status(c).zip(self.stack.tcp_tuple(c)));
        let (src_port, dst_port, seq, ack) = match status {
            Some((s, t)) if s.state.is_synchronized() => (t.remote.port(), t.local.port(), s.seq.2, s.seq.1),
            Some((_, t)) => (t.remote.port(), t.local.port(), SeqNum(PEER_ISS), self.syn.1 + 1),
            // The answer to a SYN+ACK, if it went to this port; else one of nothing.
            None => match (PEER_PORTS + u16::from(who), self.syn_ack) {
                (port, (to, iss)) if port == to => (port, PORT, SeqNum(PEER_ISS + 1), iss + 1),
                (port, _) => (port, PORT, SeqNum(PEER_ISS), SeqNum(0)),
            },
        };
        let near = |n: SeqNum, d: i16| SeqNum(n.0.wrapping_add((i32::from(d) / 8) as u32));
        let hdr = Header {
            src_port,
            dst_port,
            seq: near(seq, dseq),
            ack: near(ack, dack),
            header_len: 20,
            flags: Flags(u16::from(flags) | u16::from(who & 0x80) << 1),
            window,
            urgent: window,
        };
        let mut segment = vec![who; 20 + options.len() + len.min(1400)];
        hdr.emit(&options, &mut segment).expect("there is room");
        let sum = checksum::pseudo_v4(PEER.into(), OURS.into(), 6, segment.len() as u32).add(&segment).finish();
        Header::put_checksum(&mut segment, sum);
        let packet = ip(Protocol::TCP, &segment, 0, false);
        let gro = if flags & 0x40 != 0 { 100 } else { 0 };
        self.arrive(&packet, RxChecksum::Unverified, gro);
    }

    fn call(&mut self, input: &mut Input<'_>) {
        if let Some(c) = self.stack.tcp_accept(self.listener) {
            self.conns.push(c);
        }
        let (what, who, n) = (input.byte(), input.byte(), usize::from(input.word()));
        if self.conns.is_empty() {
            return;
        }
        let i = usize::from(who) % self.conns.len();
        let (c, now, s) = (self.conns[i], self.now, &mut self.stack);
        let probe = &mut Watch::new(&mut self.words);
        match what % 8 {
            0 => {
                let _ = s.tcp_send(now, probe, c, &vec![1; n % 20_000]);
            }
            1 => {
                let _ = s.tcp_receive(now, probe, c, &mut vec![0; n % 20_000]);
            }
            2 => s.tcp_shutdown_write(now, probe, c),
            3 => {
                s.tcp_close(now, probe, c);
                self.conns.remove(i);
            }
            4 => {
                s.tcp_abort(now, probe, c);
                self.conns.remove(i);
            }
            5 => {
                let _ = s.tcp_receive_chunk(now, probe, c);
            }
            6 => {
                let _ = s.tcp_send_urgent(now, probe, c, &vec![2; n % 2_000]);
            }
            _ => {
                s.tcp_configure(now, probe, c, |t| t.nodelay = n % 2 == 0);
            }
        }
    }

    /// An ICMP error about a segment that may be ours.
    fn icmp(&mut self, input: &mut Input<'_>) {
        let (kind, dseq, mtu) = (input.byte(), input.word(), input.word());
        let Some(&c) = self.conns.first() else { return };
        let (Some(status), Some(t)) = (self.stack.tcp_status(c), self.stack.tcp_tuple(c)) else { return };
        let hdr = Header {
            src_port: t.local.port(),
            dst_port: t.remote.port(),
            seq: if status.state == State::SynSent { self.syn.1 } else { status.seq.0 + u32::from(dseq) },
            ack: SeqNum(0),
            header_len: 20,
            flags: Flags::ACK,
            window: 0,
            urgent: 0,
        };
        let mut quoted = vec![0; 40];
        let h = header(Protocol::TCP, 20, 0, false);
        let h = ipv4::Header { src: OURS.into(), dst: PEER.into(), ..h };
        h.emit(&mut quoted).expect("there is room");
        hdr.emit(&[], &mut quoted[20..]).expect("there is room");
        let m = match kind % 4 {
            0 => icmp::Message::PacketTooBig(u32::from(mtu), &quoted),
            1 => icmp::Message::Unreachable(icmp::Unreachable::Port, &quoted),
            2 => icmp::Message::Unreachable(icmp::Unreachable::Host, &quoted[..28]),
            _ => icmp::Message::TimeExceeded(0, &quoted),
        };
        let mut b = vec![0; 8 + quoted.len()];
        let n = icmp::emit_v4(&m, &mut b).expect("there is room");
        let packet = ip(Protocol::ICMP, &b[..n], 0, false);
        self.arrive(&packet, RxChecksum::Unverified, 0);
        if self.stack.tcp_status(c).is_some_and(|s| s.mss < status.mss) {
            self.words.0.insert("smaller segments");
        }
    }

    fn arrive(&mut self, packet: &[u8], checksum: RxChecksum, gso_size: u16) {
        let frame = RxFrame { bytes: Chunk::copy_of(packet), checksum, gso_size };
        self.stack.on_frame(self.now, &mut Watch::new(&mut self.words), self.link, frame);
    }

    /// Takes out what the host sends. An input of n octets never makes it send without end.
    fn drain(&mut self) {
        let (link, now) = (self.link, self.now);
        let probe = &mut Watch::new(&mut self.words);
        let (syn, syn_ack) = (&mut self.syn, &mut self.syn_ack);
        let mut sink = |f: &TxFrame<'_>| {
            let b = f.header;
            if b.len() >= 40 && b[0] == 0x45 && b[9] == 6 && b[33] & 0x02 != 0 {
                let seq = SeqNum(u32::from_be_bytes([b[24], b[25], b[26], b[27]]));
                match b[33] & 0x10 {
                    0 => *syn = (u16::from_be_bytes([b[20], b[21]]), seq),
                    _ => *syn_ack = (u16::from_be_bytes([b[22], b[23]]), seq),
                }
            }
            true
        };
        let mut count = 0;
        while self.stack.poll_frame(now, probe, link, &mut sink) {
            count += 1;
            assert!(count < 5_000, "one input makes thousands of frames");
        }
        while let Some(e) = self.stack.poll_event() {
            if let SocketEvent::Tcp(c) = e
                && self.stack.tcp_events(c).has(Events::URGENT)
            {
                self.words.0.insert("urgent data");
            }
        }
    }

    /// Everything is closed and left alone: nothing may remain.
    fn finish(&mut self) {
        while let Some(c) = self.stack.tcp_accept(self.listener) {
            self.conns.push(c);
        }
        for c in std::mem::take(&mut self.conns) {
            self.stack.tcp_close(self.now, &mut Watch::new(&mut self.words), c);
        }
        self.stack.tcp_close_listener(self.now, &mut (), self.listener);
        self.stack.udp_close(self.datagrams);
        for _ in 0..20_000 {
            self.drain();
            let next = self.stack.next_deadline(self.now);
            if next == Instant::NEVER {
                break;
            }
            self.now = self.now.max(next);
            self.deadline();
        }
        // Cookies that were taken are remembered for a while, connections or not.
        let cookies = self.stack.occupancy().cookies;
        assert_eq!(self.stack.occupancy(), Occupancy { cookies, ..Occupancy::default() });
        let (host, tcp) = self.stack.counters();
        self.words.0.extend(host.iter().chain(tcp.iter()).filter(|c| c.1 > 0).map(|c| c.0));
    }
}

/// Why a connection could not be opened, in a word.
fn refusal(e: ConnectError) -> &'static str {
    match e {
        ConnectError::NoRoute => "connect: no route",
        ConnectError::AddressNotAvailable => "connect: address not available",
        ConnectError::AddressInUse => "connect: address in use",
        ConnectError::NoPort => "connect: no port",
        ConnectError::TableFull => "connect: table full",
        ConnectError::InvalidDestination => "connect: invalid destination",
    }
}

fn header(protocol: Protocol, len: usize, offset: u16, more: bool) -> ipv4::Header {
    ipv4::Header {
        header_len: 20,
        dscp: 0,
        ecn: Ecn::NotEct,
        total_len: (20 + len) as u16,
        ident: 1,
        dont_fragment: false,
        more_fragments: more,
        fragment_offset: offset,
        ttl: 64,
        protocol,
        src: PEER.into(),
        dst: OURS.into(),
        source_routed: false,
    }
}

pub(crate) fn ip(protocol: Protocol, payload: &[u8], offset: u16, more: bool) -> Vec<u8> {
    let mut b = vec![0; 20 + payload.len()];
    header(protocol, payload.len(), offset, more).emit(&mut b).expect("there is room");
    b[20..].copy_from_slice(payload);
    b
}
