//! The seeds: for each thing in docs/hostile-input.md one, or some, made here and kept as files in `fuzz/seeds`, and what
//! must have happened when it was run. `SYNFIN_WRITE_SEEDS=1 cargo test -p synfin-fuzz-targets` writes the files anew.

use crate::stack::{OURS, OURS_V6, PEER, PEER_ISS, PEER_PORTS, PORT, ip};
use synfin_device::VirtioNetHdr;
use synfin_wire::tcp::{Flags, Header};
use synfin_wire::{Protocol, SeqNum, checksum, icmp, ipv4, ipv6};

/// A seed of the target `stack`, and the words that running it must give; those with `!` it must not.
pub(crate) struct Seed {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub words: &'static [&'static str],
}

/// Settings of the host: all off, as [`crate::stack`] reads them.
const PLAIN: u8 = 3;
/// With SACK.
const SACK: u8 = 1;
/// With timestamps.
const TIMESTAMPS: u8 = 2;
/// Every SYN is answered by a cookie.
const COOKIES: u8 = 32 | PLAIN;
/// With a small receive buffer.
const SMALL: u8 = 8 | PLAIN;

/// Operations, as [`crate::stack`] reads them.
struct Ops(Vec<u8>);

/// A segment: numbers are distances from what is expected.
#[derive(Clone, Copy, Default)]
struct Seg {
    /// Which connection: 0 is the first; an odd number none, if there is one connection. Its text is this, too.
    who: u8,
    flags: u8,
    window: u16,
    seq: i16,
    ack: i16,
    options: &'static [u8],
    text: u8,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;
const ECE: u8 = 64;
const CWR: u8 = 128;

/// What a user does to a connection.
#[derive(Clone, Copy)]
enum Call {
    Send = 0,
    Receive = 1,
    Shutdown = 2,
    Close = 3,
}

impl Ops {
    fn new(kind: u8) -> Ops {
        Ops(vec![kind])
    }

    /// A connection that we opened; the peer's SYN+ACK has `options`.
    fn open(kind: u8, options: &'static [u8]) -> Ops {
        Ops::new(kind).connect(79).seg(Seg { flags: SYN | ACK, window: 8_000, options, ..Seg::default() })
    }

    fn seg(mut self, s: Seg) -> Ops {
        assert!(s.options.len().is_multiple_of(4) && s.options.len() <= 40);
        self.0.extend([1, s.who, s.flags]);
        self.0.extend(s.window.to_be_bytes());
        self.0.extend((s.seq * 8).to_be_bytes());
        self.0.extend((s.ack * 8).to_be_bytes());
        self.0.extend([(s.options.len() / 4) as u8, s.text]);
        self.0.extend(s.options);
        self
    }

    fn raw(mut self, packet: &[u8]) -> Ops {
        self.0.extend([0, packet.len() as u8]);
        assert!(packet.len() < 256);
        self.0.extend(packet);
        self
    }

    /// At least `ms` go by.
    fn wait(mut self, ms: u32) -> Ops {
        let n = f64::from(ms).sqrt().ceil() as u16;
        self.0.push(7);
        self.0.extend(n.to_be_bytes());
        self
    }

    fn connect(mut self, port: u8) -> Ops {
        self.0.extend([8, 0, port]);
        self
    }

    /// From a port of our own to the same.
    fn connect_to_ourselves(mut self, port: u8) -> Ops {
        self.0.extend([8, 3, port]);
        self
    }

    fn call(mut self, what: Call, who: u8, n: u16) -> Ops {
        self.0.extend([9, what as u8, who]);
        self.0.extend(n.to_be_bytes());
        self
    }

    fn icmp(mut self, kind: u8, seq: u16, mtu: u16) -> Ops {
        self.0.extend([12, kind]);
        self.0.extend(seq.to_be_bytes());
        self.0.extend(mtu.to_be_bytes());
        self
    }

    fn fragment(mut self, at: u8, more: bool, payload: &[u8]) -> Ops {
        self.0.extend([13, at, u8::from(more), payload.len() as u8]);
        self.0.extend(payload);
        self
    }

    fn clock_back(mut self, ms: u16) -> Ops {
        self.0.push(14);
        self.0.extend(ms.to_be_bytes());
        self
    }

    /// All of `f`, for each number.
    fn each<T>(self, of: impl IntoIterator<Item = T>, f: impl Fn(Ops, T) -> Ops) -> Ops {
        of.into_iter().fold(self, f)
    }

    fn seed(self, name: &'static str, words: &'static [&'static str]) -> Seed {
        Seed { name, bytes: self.0, words }
    }
}

/// The default segment: an acknowledgment of the first connection.
const AN_ACK: Seg = Seg { who: 0, flags: ACK, window: 8_000, seq: 0, ack: 0, options: &[], text: 0 };
/// With text.
const TEXT: Seg = Seg { flags: ACK | PSH, text: 100, ..AN_ACK };
/// A stranger's SYN.
const A_SYN: Seg = Seg { who: 1, flags: SYN, ..AN_ACK };

const SACK_OK: &[u8] = &[4, 2, 1, 1];
const MSS_8: &[u8] = &[2, 4, 0, 8];

/// A segment for the listener, changed by `f` before its checksum is made, from `src` to `dst`.
fn tcp(src: [u8; 4], dst: [u8; 4], f: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let hdr = Header {
        src_port: 4000,
        dst_port: PORT,
        seq: SeqNum(PEER_ISS),
        ack: SeqNum(0),
        header_len: 20,
        flags: Flags::SYN,
        window: 1000,
        urgent: 0,
    };
    let mut b = vec![0; 24];
    hdr.emit(&[1, 1, 1, 1], &mut b).expect("there is room");
    f(&mut b);
    let sum = checksum::pseudo_v4(src.into(), dst.into(), 6, 24).add(&b).finish();
    Header::put_checksum(&mut b, sum);
    v4(src, dst, Protocol::TCP, &b)
}

fn v4(src: [u8; 4], dst: [u8; 4], protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut b = ip(protocol, payload, 0, false);
    let h = ipv4::Header { src: src.into(), dst: dst.into(), ..ipv4::Header::parse(&b).expect("it was made") };
    h.emit(&mut b).expect("there is room");
    b
}

/// An IPv4 packet, changed by `f` before its header's checksum is made.
fn ip_that(f: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = ip(Protocol::UDP, &[0; 40], 0, false);
    f(&mut b);
    let len = b.first().map_or(0, |b| usize::from(b & 15) * 4).max(20).min(b.len());
    if let Some(header) = b.get_mut(..len).filter(|h| h.len() >= 20) {
        header[10..12].fill(0);
        let sum = checksum::Sum::ZERO.add(header).finish();
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    b
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut b = vec![0; 8];
    b[..2].copy_from_slice(&4000u16.to_be_bytes());
    b[2..4].copy_from_slice(&PORT.to_be_bytes());
    b[4..6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    b.extend(payload);
    b
}

/// An IPv6 packet for us whose first next header is `next`.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let h = ipv6::Header {
        dscp: 0,
        ecn: synfin_wire::ip::Ecn::NotEct,
        flow_label: 0,
        payload_len: payload.len() as u16,
        next_header: Protocol(next),
        hop_limit: 64,
        src: [0xfd00, 2, 0, 0, 0, 0, 0, 1].into(),
        dst: OURS_V6.into(),
    };
    let mut b = vec![0; 40];
    h.emit(&mut b).expect("there is room");
    b.extend(payload);
    b
}

/// An ICMP message with a right checksum.
fn icmp_of(kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let mut b = vec![kind, code, 0, 0];
    b.extend(rest);
    b.extend(quoted);
    let sum = checksum::Sum::ZERO.add(&b).finish();
    b[2..4].copy_from_slice(&sum.to_be_bytes());
    v4(PEER, OURS, Protocol::ICMP, &b)
}

/// The seeds of `stack`, in the order of docs/hostile-input.md.
pub(crate) fn stack() -> Vec<Seed> {
    [
        header(),
        options(),
        sequence(),
        urgent(),
        window_and_reassembly(),
        states(),
        floods(),
        messages(),
        internet(),
        clock(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn header() -> Vec<Seed> {
    vec![
        Ops::new(PLAIN)
            .raw(&tcp(PEER, OURS, |b| b[12] = 0x40))
            .raw(&tcp(PEER, OURS, |b| b[12] = 0xf0))
            .seed("data-offset", &["TcpInErrs"]),
        Ops::open(PLAIN, &[])
            .each(0..55, |o, f| o.seg(Seg { flags: f as u8 & 0x3f, text: 1, ..AN_ACK }))
            .seed("flags", &["no ACK bit", "SYN in a synchronized state", "challenge ACK"]),
        Ops::new(PLAIN).raw(&tcp(PEER, OURS, |b| b[12] |= 0x0e)).seed("reserved-bits", &["SYN to LISTEN"]),
        Ops::new(PLAIN).seg(Seg { flags: SYN | ECE | CWR, ..A_SYN }).seed("syn-ece-cwr", &["SYN to LISTEN"]),
        Ops::new(PLAIN)
            .raw(&{
                let mut b = tcp(PEER, OURS, |_| {});
                b[36] ^= 0x55;
                b
            })
            .raw(&{
                let mut b = tcp(PEER, OURS, |_| {});
                b[36..38].fill(0);
                b
            })
            .seed("checksum", &["bad checksum", "TcpInCsumErrors"]),
        Ops::new(PLAIN)
            .raw(&tcp(PEER, OURS, |b| b[..2].fill(0)))
            .raw(&tcp(OURS, OURS, |b| b[..2].copy_from_slice(&PORT.to_be_bytes())))
            .raw(&tcp([255; 4], OURS, |_| {}))
            .raw(&tcp([0; 4], OURS, |_| {}))
            .raw(&tcp([127, 0, 0, 1], OURS, |_| {}))
            .raw(&tcp([224, 0, 0, 1], OURS, |_| {}))
            .seed("addresses", &["SynfinTcpMartian"]),
    ]
}

fn options() -> Vec<Seed> {
    let syn = |name, options| Ops::new(PLAIN).seg(Seg { options, ..A_SYN }).seed(name, &["SYN to LISTEN"]);
    let bad = |name, options| {
        Ops::new(PLAIN).seg(Seg { options, ..A_SYN }).seed(name, &["SYN to LISTEN", "SynfinBadOptions"])
    };
    vec![
        bad("option-length-0", &[2, 0, 5, 5]),
        bad("option-length-1", &[3, 1, 7, 1]),
        bad("option-length-beyond", &[8, 40, 0, 0]),
        syn("options-after-their-end", &[0, 2, 4, 9, 8, 10, 1, 1]),
        syn("options-forty-nops", &[1; 40]),
        syn("options-twice", &[2, 4, 5, 0xb4, 2, 4, 0, 9, 3, 3, 7, 1, 3, 3, 14, 1]),
        Ops::open(PLAIN, MSS_8).call(Call::Send, 0, 19_000).wait(1_000).seed("mss-tiny", &["data"]),
        syn("wscale-255", &[3, 3, 255, 1]),
        Ops::open(SACK, SACK_OK)
            .call(Call::Send, 0, 3_000)
            .seg(Seg { options: &[2, 4, 0, 1, 3, 3, 14, 1, 4, 2, 1, 1], ..AN_ACK })
            // Reversed; of what was not sent; across the wrap.
            .seg(Seg { options: &[1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 1], ..AN_ACK })
            .seg(Seg { options: &[1, 1, 5, 10, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1], ..AN_ACK })
            .seed("options-where-they-do-not-belong", &["data"]),
        bad(
            "options-of-the-wrong-size",
            &[8, 8, 0, 0, 0, 1, 0, 0, 5, 9, 0, 0, 0, 1, 0, 0, 0, 5, 2, 1, 34, 3, 7, 29, 3, 1, 1, 1],
        ),
        bad(
            "fast-open-cookies-of-1-and-17",
            &[34, 3, 7, 34, 19, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 1],
        ),
        syn("options-rare", &[29, 4, 1, 1, 30, 4, 0x90, 0, 253, 4, 1, 1, 254, 2, 69, 2]),
    ]
}

fn sequence() -> Vec<Seed> {
    vec![
        Ops::open(SMALL, &[])
            .each([-1, 0, 1, 2_047, 2_048, 2_049], |o, seq| o.seg(Seg { seq, text: 1, ..TEXT }))
            .each([-1, 1, 2_046, 2_048, 2_049, 0], |o, seq| o.seg(Seg { flags: RST, seq, ..AN_ACK }))
            .seed(
                "edges-of-the-window",
                &[
                    "RST at RCV.NXT",
                    "RST elsewhere in the window",
                    "RST outside the window",
                    "outside the window",
                    "old duplicate",
                ],
            ),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 1_000)
            .seg(Seg { ack: 1, ..AN_ACK })
            .seg(Seg { ack: -4_000, window: 10, ..AN_ACK })
            .seed("acknowledgments-of-nothing", &["acknowledges unsent data", "challenge ACK"]),
        // The peer's ISN is 2^32 - 1.
        Ops::new(PLAIN)
            .connect(79)
            .seg(Seg { flags: SYN | ACK, seq: -(PEER_ISS as i16) - 1, ..AN_ACK })
            .seg(TEXT)
            .seg(Seg { flags: FIN | ACK, text: 3, ..TEXT })
            .seed("wrap", &["in order", "FIN in order"]),
        Ops::new(PLAIN)
            .connect(79)
            .seg(Seg { flags: SYN | ACK, seq: -(PEER_ISS as i16) - 2, ..AN_ACK })
            .seg(Seg { flags: FIN | ACK, ..AN_ACK })
            .seed("fin-at-the-wrap", &["FIN in order"]),
        Ops::open(PLAIN, &[])
            .seg(Seg { seq: 50, who: 2, ..TEXT })
            .seg(Seg { seq: 20, who: 4, ..TEXT })
            .seg(Seg { who: 0, ..TEXT })
            .seed("overlap-with-other-octets", &["fills a hole", "SynfinOverlapDiffers"]),
    ]
}

/// The pointer of a segment is its window, as [`crate::stack`] has it.
fn urgent() -> Vec<Seed> {
    const UP: Seg = Seg { flags: ACK | URG, ..AN_ACK };
    vec![
        // Behind RCV.NXT, at it, beyond the window; without text; backward.
        Ops::open(PLAIN, &[])
            .seg(Seg { seq: -400, window: 100, text: 100, ..UP })
            .seg(Seg { window: 0, ..UP })
            .seed("urgent-pointer-behind", &["!urgent data"]),
        Ops::open(PLAIN, &[])
            .each([65_535u16, 1, 40_000], |o, window| o.seg(Seg { window, ..UP }))
            .seg(Seg { window: 65_535, text: 100, ..UP })
            .call(Call::Receive, 0, 50)
            .call(Call::Receive, 0, 500)
            .seed("urgent-pointer-beyond", &["urgent data", "in order"]),
        Ops::new(PLAIN)
            .seg(Seg { flags: SYN | URG, window: 65_535, ..A_SYN })
            .connect(79)
            .seg(Seg { flags: SYN | ACK | URG, window: 65_535, ..AN_ACK })
            .seed("urgent-pointer-on-a-syn", &["SYN to LISTEN", "ESTABLISHED", "!urgent data"]),
        Ops::open(PLAIN, &[])
            .seg(Seg { flags: FIN | ACK | URG, window: 65_535, text: 10, ..AN_ACK })
            .seg(Seg { window: 65_535, ..UP })
            .call(Call::Receive, 0, 100)
            .seed("urgent-pointer-on-a-fin", &["CLOSE-WAIT"]),
        Ops::open(PLAIN, &[])
            .each(0..200, |o, n| o.seg(Seg { window: n * 300, seq: [0, -1_000, 4_000][usize::from(n) % 3], ..UP }))
            .seed("urgent-pointers-by-the-hundred", &["urgent data"]),
        // The peer begins 101 numbers before the wrap.
        Ops::new(PLAIN)
            .connect(79)
            .seg(Seg { flags: SYN | ACK, seq: -(PEER_ISS as i16) - 101, ..AN_ACK })
            .seg(Seg { window: 65_535, text: 127, ..UP })
            .call(Call::Receive, 0, 500)
            .seed("urgent-pointer-across-the-wrap", &["urgent data", "in order"]),
    ]
}

fn window_and_reassembly() -> Vec<Seed> {
    vec![
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 8_000)
            .seg(Seg { window: 100, ..AN_ACK })
            .seg(Seg { window: 0, ack: -4_000, ..AN_ACK })
            .wait(30_000)
            .seed("window-shrinks", &["retransmission after timeout"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 8_000)
            .seg(Seg { window: 0, ..AN_ACK })
            .call(Call::Send, 0, 8_000)
            .each(0..30, |o, _| o.wait(200_000).seg(Seg { window: 0, ..AN_ACK }))
            .seed("window-shut-for-ever", &["window probe"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 4_000)
            .each(0..20, |o, _| o.seg(Seg { window: 1, ..AN_ACK }).wait(500))
            .seed("window-of-one-octet", &["data"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 16_000)
            .each([-3_999, -3_000, -2_999, -2_998, -2_997, -1_000, 0, 1], |o, ack| o.seg(Seg { ack, ..AN_ACK }))
            .seed("acknowledgments-divided-and-optimistic", &["data", "acknowledges unsent data"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 16_000)
            .each(0..40, |o, _| o.seg(Seg { ack: -4_000, ..AN_ACK }))
            .seed("acknowledgments-forged-again-and-again", &["duplicate acknowledgment"]),
        Ops::open(SMALL, &[])
            .each(0..20, |o, _| o.seg(Seg { text: 127, ..TEXT }))
            .seg(Seg { flags: FIN | PSH | ACK, text: 100, ..TEXT })
            .call(Call::Receive, 0, 4_000)
            .seg(Seg { flags: FIN | PSH | ACK, text: 100, ..TEXT })
            .seed("text-without-room", &["in order", "window update"]),
        Ops::open(PLAIN, &[])
            .each(1..72, |o, n| o.seg(Seg { seq: 2 * n, text: 1, ..TEXT }))
            .seed("holes-of-one-octet", &["out of order", "TcpExtTCPOFODrop"]),
        Ops::open(SACK, &[4, 2, 1, 1, 2, 4, 0, 8])
            .call(Call::Send, 0, 2_000)
            .each(0..10, |o, _| o.seg(Seg { ack: -880, options: &[1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 10], ..AN_ACK }))
            .seed("sack-of-one-octet", &["acknowledgment", "data"]),
    ]
}

/// Segments of every kind, for whatever state the first connection is in.
fn everything(o: Ops) -> Ops {
    o.each([SYN, SYN | ACK, URG | ACK, 0, FIN, RST], |o, f| o.seg(Seg { flags: f, seq: 3, text: 1, ..AN_ACK }))
}

fn states() -> Vec<Seed> {
    let fin = Seg { flags: FIN | ACK, ..AN_ACK };
    vec![
        everything(Ops::new(PLAIN)).seed("state-listen", &["SYN to LISTEN"]),
        Ops::new(PLAIN)
            .connect(79)
            .each([0, FIN, ACK | URG], |o, flags| o.seg(Seg { flags, text: 1, ..AN_ACK }))
            .seg(Seg { ack: 1, ..AN_ACK })
            .seed("state-syn-sent", &["neither SYN nor RST", "does not acknowledge our SYN"]),
        everything(Ops::new(PLAIN).connect(79).seg(Seg { flags: SYN, ..AN_ACK }))
            .seed("state-syn-received", &["SYN crosses ours", "SYN-RECEIVED"]),
        everything(Ops::open(PLAIN, &[])).seed("state-established", &["SYN in a synchronized state"]),
        everything(Ops::open(PLAIN, &[]).seg(fin)).seed("state-close-wait", &["CLOSE-WAIT"]),
        everything(Ops::open(PLAIN, &[]).call(Call::Shutdown, 0, 0)).seed("state-fin-wait-1", &["FIN-WAIT-1"]),
        everything(Ops::open(PLAIN, &[]).call(Call::Shutdown, 0, 0).seg(AN_ACK))
            .seed("state-fin-wait-2", &["FIN-WAIT-2"]),
        everything(Ops::open(PLAIN, &[]).call(Call::Shutdown, 0, 0).seg(Seg { ack: -1, ..fin }))
            .seed("simultaneous-close", &["CLOSING"]),
        everything(Ops::open(PLAIN, &[]).seg(fin).call(Call::Shutdown, 0, 0)).seed("state-last-ack", &["LAST-ACK"]),
        Ops::new(PLAIN)
            .connect(79)
            .seg(Seg { flags: SYN, ..AN_ACK })
            .seg(Seg { flags: SYN | ACK, ..AN_ACK })
            .seg(TEXT)
            .seed("simultaneous-open", &["SYN crosses ours", "ESTABLISHED"]),
        Ops::new(PLAIN)
            .connect_to_ourselves(200)
            .wait(4_000)
            .seed("self-connect", &["connect: address in use", "!SYN"]),
        Ops::new(PLAIN)
            .connect(79)
            .seg(Seg { flags: RST, ack: -1, ..AN_ACK })
            .seg(Seg { flags: RST | ACK, ack: 1, ..AN_ACK })
            .seg(Seg { flags: RST | ACK, ..AN_ACK })
            .seed("rst-in-syn-sent", &["RST that answers nothing of ours", "our SYN is refused"]),
        time_wait(PLAIN)
            .each([-1, 0, 1, 500], |o, seq| o.seg(Seg { flags: SYN, seq: 10 + seq, ..TIME_WAIT }))
            .seed("syn-in-time-wait", &["TIME-WAIT", "SYN reuses a TIME-WAIT"]),
        time_wait(PLAIN)
            .seg(Seg { flags: RST, seq: 2, ..TIME_WAIT })
            .seg(Seg { flags: FIN | ACK, seq: 1, ..TIME_WAIT })
            .seed("rst-in-time-wait", &["RST in TIME-WAIT"]),
        // From the peer's first port, so that its segments find the connection when no user holds it any more.
        Ops::new(PLAIN)
            .seg(Seg { flags: SYN, ..TIME_WAIT })
            .seg(TIME_WAIT)
            .call(Call::Close, 0, 0)
            .seg(Seg { flags: ACK | PSH, text: 100, ..TIME_WAIT })
            .seed("text-after-close", &["FIN-WAIT-1", "text after close", "TcpExtTCPAbortOnData"]),
        Ops::open(PLAIN, &[])
            .seg(Seg { flags: SYN, ..AN_ACK })
            .seg(Seg { flags: RST, ..AN_ACK })
            .seed("peer-starts-anew", &["SYN in a synchronized state", "challenge ACK", "RST at RCV.NXT"]),
    ]
}

/// What a stranger at the port of [`time_wait`] sends.
const TIME_WAIT: Seg = Seg { who: 0, ..AN_ACK };

/// A connection that the peer opened from its first port, and that we closed first: it is in TIME-WAIT.
fn time_wait(kind: u8) -> Ops {
    let stranger = Seg { who: 0, ..AN_ACK };
    Ops::new(kind)
        .seg(Seg { flags: SYN, ..stranger })
        .seg(stranger)
        .call(Call::Shutdown, 0, 0)
        .seg(Seg { flags: FIN | ACK, ..stranger })
        .call(Call::Close, 0, 0)
}

fn floods() -> Vec<Seed> {
    vec![
        Ops::new(PLAIN)
            .each(0..40, |o, n| o.seg(Seg { who: n as u8, ..A_SYN }))
            .seed("syn-flood", &["SYN answered by a cookie", "TcpExtSyncookiesSent"]),
        Ops::new(COOKIES)
            .seg(Seg { who: 1, ..A_SYN })
            .seg(Seg { who: 1, ..AN_ACK })
            .call(Call::Close, 0, 0)
            .seg(Seg { who: 1, ..AN_ACK })
            .seg(Seg { who: 2, ..AN_ACK })
            .seed("syn-cookies", &["SYN+ACK with a cookie", "acknowledges our SYN", "no SYN cookie of ours"]),
        Ops::new(PLAIN)
            .each(0..8, |o, n| o.seg(Seg { who: n as u8, ..A_SYN }).seg(Seg { who: n as u8, ..AN_ACK }))
            .seed("accept-queue-full", &["acknowledges our SYN", "queue full"]),
        Ops::new(PLAIN).each(0..40, |o, n| o.connect(n as u8)).seed("connections-run-out", &["SYN"]),
        Ops::new(PLAIN)
            .each(0..12, |o, n| {
                let one = Seg { who: n as u8, ..AN_ACK };
                o.seg(Seg { flags: SYN, ..one })
                    .seg(one)
                    .call(Call::Shutdown, 0, 0)
                    .seg(Seg { who: 0, flags: FIN | ACK, ..AN_ACK })
                    .call(Call::Close, 0, 0)
            })
            .seed("time-wait-flood", &["TIME-WAIT", "TcpExtTCPTimeWaitOverflow"]),
        Ops::new(PLAIN)
            .each(0..58usize, |o, n| o.seg(Seg { who: 1, flags: [ACK, RST, FIN | ACK][n % 3], ..AN_ACK }))
            .seed("segments-of-strangers", &["TcpOutRsts"]),
        Ops::open(PLAIN, &[])
            .each(0..40, |o, _| o.wait(60_000).seg(Seg { text: 1, ..TEXT }))
            .seed("an-octet-a-minute", &["in order"]),
        Ops::open(4 | PLAIN, &[]).wait(60_000_000).wait(60_000_000).seed("nobody-there", &["keepalive probe"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 8_000)
            .call(Call::Close, 0, 0)
            .wait(60_000_000)
            .seed("orphan", &["retransmission after timeout"]),
        Ops::open(SMALL, &[]).each(0..58, |o, _| o.seg(Seg { text: 1, ..TEXT })).seed("tiny-segments", &["in order"]),
        Ops::new(PLAIN)
            .each(0..30, |o, _| o.raw(&v4(PEER, OURS, Protocol::UDP, &udp(&[7; 4]))))
            .seed("datagrams-nobody-reads", &["UdpInDatagrams"]),
    ]
}

fn messages() -> Vec<Seed> {
    let sent = || Ops::open(PLAIN, &[]).call(Call::Send, 0, 4_000);
    let quoted = ip(Protocol::TCP, &[0; 8], 0, false);
    let mut error = vec![0; 64];
    let n = icmp::emit_v4(&icmp::Message::Unreachable(icmp::Unreachable::Port, &quoted), &mut error);
    error.truncate(n.expect("there is room"));
    let about_an_error = v4(OURS, PEER, Protocol::ICMP, &error);
    vec![
        sent()
            .each([0, 67, 68, 576, 1_499, 9_000], |o, mtu| o.icmp(0, 0, mtu as u16))
            .seed("packet-too-big", &["smaller segments", "SynfinIcmpIgnored"]),
        // The second leaves one segment out; the third is about text that was rolled back and has not gone again.
        sent()
            .icmp(0, 0, 500)
            .icmp(0, 0, 460)
            .icmp(0, 3_000, 420)
            .seed("packet-too-big-of-what-was-rolled-back", &["smaller segments", "!SynfinIcmpIgnored"]),
        // Of what is not in flight, and too short.
        sent()
            .icmp(1, 60_000, 0)
            .each([27, 20, 1, 0], |o, n| o.raw(&icmp_of(3, 3, [0; 4], &quoted[..n])))
            .seed("quotations", &["SynfinIcmpIgnored", "IcmpInErrors"]),
        Ops::new(PLAIN)
            .connect(79)
            .icmp(2, 0, 0)
            .icmp(1, 0, 0)
            .seed("unreachable-in-syn-sent", &["TcpAttemptFails", "!ESTABLISHED"]),
        sent()
            .icmp(1, 0, 0)
            .icmp(2, 0, 0)
            .icmp(3, 0, 0)
            .seg(TEXT)
            .seed("unreachable-in-established", &["IcmpInMsgs", "in order", "!TcpAttemptFails", "!smaller segments"]),
        sent()
            .raw(&icmp_of(4, 0, [0; 4], &quoted))
            .raw(&icmp_of(5, 1, [192, 0, 2, 9], &quoted))
            .seed("quench-and-redirect", &["SynfinIcmpIgnored", "!smaller segments"]),
        Ops::new(PLAIN)
            .raw(&icmp_of(3, 3, [0; 4], &about_an_error))
            .raw(&v4([224, 0, 0, 1], OURS, Protocol::UDP, &udp(&[1])))
            .seed("errors-about-errors", &["IcmpInMsgs", "IpInAddrErrors", "!IcmpOutMsgs"]),
    ]
}

fn internet() -> Vec<Seed> {
    let fragment = |next: u8, at: u16, more: u16| {
        let at = (at << 3 | more).to_be_bytes();
        vec![next, 0, at[0], at[1], 0, 0, 0, 1]
    };
    let with = |mut head: Vec<u8>, rest: &[u8]| {
        head.extend(rest);
        head
    };
    vec![
        Ops::new(PLAIN)
            .raw(&[])
            .raw(&[0x45])
            .raw(&ip_that(|b| b[0] = 0x44))
            .raw(&ip_that(|b| b[0] = 0x4f))
            .raw(&ip_that(|b| b[0] = 0x95))
            .raw(&ip_that(|b| b[2..4].copy_from_slice(&[0, 19])))
            .raw(&ip_that(|b| b[2..4].copy_from_slice(&[9, 9])))
            .seed("ip-headers-that-lie", &["IpInHdrErrors"]),
        Ops::new(PLAIN)
            .raw(&ip_that(|b| {
                // A loose source route with a hop left, and an option that nobody knows.
                b.splice(20..20, [131, 7, 4, 192, 0, 2, 7, 1, 99, 4, 0, 0]);
                b[0] = 0x48;
                let len = b.len() as u16;
                b[2..4].copy_from_slice(&len.to_be_bytes());
            }))
            .raw(&ip_that(|b| {
                // A timestamp, a router alert and the option that nobody knows, and a datagram behind.
                b.truncate(20);
                b.extend([68, 8, 5, 0, 0, 0, 0, 0, 148, 4, 0, 0, 99, 4, 0, 0]);
                b.extend(udp(&[7; 4]));
                b[0] = 0x49;
                let len = b.len() as u16;
                b[2..4].copy_from_slice(&len.to_be_bytes());
            }))
            .seed("ip-options", &["IpInDiscards", "UdpInDatagrams", "!IpInHdrErrors"]),
        Ops::new(PLAIN)
            .fragment(0, true, &udp(&[1; 24]))
            .fragment(2, true, &[2; 16])
            .fragment(3, false, &[3; 8])
            .fragment(0, true, &[9; 8])
            .seed("fragments-that-overlap", &["IpReasmFails"]),
        Ops::new(PLAIN)
            .fragment(0, true, &udp(&[1; 8]))
            .fragment(2, false, &[2; 8])
            .fragment(0, true, &[1; 8])
            .fragment(255, false, &[4; 248])
            .seed("fragments-tiny-and-twice", &["IpReasmReqds", "IpReasmFails"]),
        // A whole datagram in the smallest fragments that there are, the last of which is smaller still.
        Ops::new(PLAIN)
            .each(1..5, |o, n| o.fragment(n, true, &[n; 8]))
            .raw(&ip(Protocol::UDP, &[5; 3], 40, false))
            .fragment(0, true, &{
                let mut first = udp(&[]);
                first[5] = 43;
                first
            })
            .seed("fragments-smallest", &["IpReasmOKs", "UdpInDatagrams"]),
        Ops::new(PLAIN)
            .each(0..30, |o, n| {
                o.raw(&{
                    let mut b = ip(Protocol::UDP, &[n as u8; 16], 0, true);
                    b[5] = n as u8;
                    ip_checksum(&mut b);
                    b
                })
            })
            .wait(100_000)
            .seed("fragments-that-never-complete", &["IpReasmFails"]),
        Ops::new(PLAIN)
            .raw(&v6(0, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(20)))
            .raw(&v6(60, &[253, 0, 0xc1, 4, 0, 0, 0, 0]))
            .raw(&v6(43, &[59, 2, 0, 1, 0, 0, 0, 0]))
            .seed("ipv6-headers", &["IpInHdrErrors", "IpInDiscards", "IcmpOutMsgs"]),
        Ops::new(PLAIN)
            .raw(&v6(0, &[59, 0, 0xc2, 4, 0, 1, 0, 0]))
            .seed("jumbogram", &["IpInDiscards", "IcmpOutMsgs", "!IpInDelivers"]),
        Ops::new(PLAIN)
            .raw(&v6(44, &with(fragment(17, 0, 0), &udp(&[1; 8]))))
            .raw(&v6(44, &with(fragment(17, 0, 1), &udp(&[1; 8]))))
            .raw(&v6(44, &with(fragment(17, 1, 0), &[2; 16])))
            .seed("ipv6-fragments", &["IpReasmReqds"]),
    ]
}

fn ip_checksum(b: &mut [u8]) {
    b[10..12].fill(0);
    let sum = checksum::Sum::ZERO.add(&b[..20]).finish();
    b[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn clock() -> Vec<Seed> {
    vec![
        Ops::open(TIMESTAMPS, &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1])
            .call(Call::Send, 0, 2_000)
            .clock_back(60_000)
            .wait(500)
            .clock_back(65_535)
            .seed("clock-goes-back", &["data"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 2_000)
            .each([1u32 << 31, (1 << 31) + 1, u32::MAX - 200_000], |o, ms| o.wait(ms))
            .each(0..40, |o, _| o.wait(1 << 31))
            .seed("clock-jumps", &["retransmission after timeout", "TcpExtTCPAbortOnTimeout"]),
        Ops::new(PLAIN)
            .each(0..10, |o, n| o.connect(n as u8))
            .wait(1_000)
            .wait(2_000)
            .seed("timers-at-once", &["SYN again"]),
        Ops::open(PLAIN, &[])
            .call(Call::Send, 0, 500)
            .seg(AN_ACK)
            .call(Call::Send, 0, 500)
            .wait(400_000)
            .seg(AN_ACK)
            .seed("round-trips-of-nothing-and-of-minutes", &["data"]),
        // Super-segments whose pieces do not add up: text of 101 octets, cut at 100; and none at all.
        Ops::open(PLAIN, &[])
            .seg(Seg { flags: ECE | ACK, text: 101, ..TEXT })
            .seg(Seg { flags: ECE | ACK, text: 0, ..TEXT })
            .seed("super-segments", &["in order"]),
    ]
}

/// The seeds of `parsers`: octets that begin with the header in question.
pub(crate) fn parsers() -> Vec<(&'static str, Vec<u8>)> {
    let ethernet = |dst: u8, kind: u16, rest: &[u8]| {
        let mut b = vec![dst; 6];
        b.extend([2, 0, 0, 0, 0, 1]);
        b.extend(kind.to_be_bytes());
        b.extend(rest);
        b
    };
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2];
    // A router advertisement: an option of no length, and a prefix of 129 bits.
    let mut advertisement = vec![134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut prefix = vec![3, 4, 129, 0xc0];
    prefix.extend([0; 28]);
    let empty = [&advertisement[..], &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    advertisement.extend(prefix);
    let virtio = |h: VirtioNetHdr, frame: &[u8]| [&h.to_bytes()[..], frame].concat();
    let segment = tcp(PEER, OURS, |_| {});
    vec![
        ("frame-for-many", ethernet(0xff, 0x0800, &segment)),
        ("frame-that-is-short", vec![2, 0, 0, 0, 0, 1, 2]),
        ("arp-for-us", arp.to_vec()),
        ("arp-that-is-short", arp[..27].to_vec()),
        ("ndp-option-of-no-length", empty),
        ("ndp-prefix-of-129-bits", advertisement),
        ("mld-query", vec![130, 0, 0, 0, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (
            "virtio-checksum-beyond",
            virtio(VirtioNetHdr { csum: Some((20, 60_000)), ..VirtioNetHdr::default() }, &segment),
        ),
        (
            "virtio-headers-beyond",
            virtio(VirtioNetHdr { gso: Some((true, 100, 60_000)), ..VirtioNetHdr::default() }, &segment),
        ),
        (
            "virtio-pieces-of-nothing",
            virtio(VirtioNetHdr { gso: Some((true, 0, 40)), ..VirtioNetHdr::default() }, &segment),
        ),
        ("tcp-options-that-end-early", segment[20..].iter().copied().chain([8, 10, 0]).collect()),
        ("tcp-first-port", PEER_PORTS.to_be_bytes().to_vec()),
        ("ipv6-chain", v6(0, &[0, 0, 1, 4, 0, 0, 0, 0].repeat(10))),
        ("ipv4-options", ip_that(|b| b[0] = 0x4f)),
    ]
}
