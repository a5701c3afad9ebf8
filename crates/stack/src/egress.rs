//! Frames out: control packets first, then handshakes, then the connections that have something to send, in turn.
//!
//! Headers are written into a buffer of the stack's, the text is borrowed from the connection's queue; the device
//! gathers both. Only when it has taken the frame does the connection move on.

use crate::cx::tcp_cx;
use crate::ip::output::{Mark, ip_header_len, multicast_mac, pseudo, put_ethernet_header, put_marked_ip_header};
use crate::link::neighbor::Resolution;
use crate::link::{LinkId, Medium};
use crate::stack::Stack;
use crate::tcp::{Slot, Tuple};
use alloc::vec::Vec;
use core::net::IpAddr;
use synfin_tcp::{Event, Frame, Instant, Limits, Probe, Slices, State};
use synfin_wire::checksum::Sum;
use synfin_wire::ethernet::{self, Mac};
use synfin_wire::gso::flags_of_piece;
use synfin_wire::tcp::{Flags, Header};
use synfin_wire::{Protocol, ipv4};

/// How the device is to cut a super-segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// Octets of text per segment.
    pub size: u16,
    /// Octets of all headers.
    pub header_len: u16,
}

/// What the device is to do about the transport checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it is complete.
    Complete,
    /// Sum from `start` to the end of the frame and put the result at `start + offset`.
    Partial {
        /// Where the transport header begins.
        start: u16,
        /// Where in it the checksum stands.
        offset: u16,
    },
}

/// A frame on its way out.
#[derive(Debug)]
pub struct TxFrame<'a> {
    /// All headers, or for control packets the whole frame.
    pub header: &'a [u8],
    /// The text, in pieces.
    pub payload: Slices<'a>,
    /// Whether IPv4 or IPv6, for the device's offload.
    pub ipv4: bool,
    /// How to cut it, if it is a super-segment.
    pub gso: Option<Gso>,
    /// What to do about the checksum.
    pub checksum: Checksum,
}

impl TxFrame<'_> {
    /// The frame in one piece, its checksum as it stands.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut b = Vec::with_capacity(self.header.len() + self.payload.len());
        b.extend_from_slice(self.header);
        self.payload.clone().for_each(|p| b.extend_from_slice(p));
        b
    }

    /// Writes the frame to the front of `out`, its checksum as it stands; returns its length.
    ///
    /// # Panics
    /// If `out` is shorter than the frame.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        out[..self.header.len()].copy_from_slice(self.header);
        let mut len = self.header.len();
        for p in self.payload.clone() {
            out[len..len + p.len()].copy_from_slice(p);
            len += p.len();
        }
        len
    }
}

/// What became of an attempt to send.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// A frame was taken.
    Taken,
    /// There was nothing to send.
    Nothing,
    /// It waits for a neighbor.
    Blocked,
    /// The device is full.
    Full,
}

impl Stack {
    /// Offers a frame for `link` to `sink`, or the pieces of a super-segment one after another; it says of each whether
    /// the device took it. False if there was none, or if one was not taken: then try again when the device has room.
    pub fn poll_frame<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        link: LinkId,
        sink: &mut dyn FnMut(&TxFrame<'_>) -> bool,
    ) -> bool {
        let sent = self.poll_once(now, probe, link, sink);
        // Asking for a neighbor makes a packet of its own, or wakes who waited: neither must wait for the next input.
        let asks = |s: &Stack| {
            !s.tcp.ready.is_empty() || s.links.get(usize::from(link.0)).is_some_and(|l| !l.control.is_empty())
        };
        match sent {
            Sent::Taken => true,
            Sent::Nothing | Sent::Blocked => asks(self) && self.poll_once(now, probe, link, sink) == Sent::Taken,
            Sent::Full => false,
        }
    }

    fn poll_once<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        link: LinkId,
        sink: &mut dyn FnMut(&TxFrame<'_>) -> bool,
    ) -> Sent {
        if let Some(l) = self.links.get_mut(usize::from(link.0))
            && let Some(frame) = l.control.front()
        {
            let at = l.cfg.medium;
            let v4 = frame.get(if at == Medium::Ip { 0 } else { 14 }).is_none_or(|b| b >> 4 == 4);
            let tx = TxFrame {
                header: frame,
                payload: Slices::default(),
                ipv4: v4,
                gso: None,
                checksum: Checksum::Complete,
            };
            if !sink(&tx) {
                return Sent::Full;
            }
            l.control.pop_front();
            return Sent::Taken;
        }
        for _ in 0..self.tcp.half_due.len() {
            let Some(i) = self.tcp.half_due.pop_front() else { break };
            if self.tcp.half.at(i).is_some_and(|h| h.link != link) {
                self.tcp.half_due.push_back(i);
                continue;
            }
            match self.send_half_open(now, probe, i, sink) {
                Sent::Taken => return Sent::Taken,
                Sent::Nothing | Sent::Blocked => {}
                Sent::Full => {
                    self.tcp.half_due.push_front(i);
                    return Sent::Full;
                }
            }
        }
        for _ in 0..self.tcp.ready.len() {
            let Some(i) = self.tcp.ready.pop_front() else { break };
            if self.tcp.conns.at(i).is_some_and(|e| e.link != link) {
                self.tcp.ready.push_back(i);
                continue;
            }
            match self.send_connection(now, probe, i, sink) {
                Sent::Taken => {
                    // One frame each, in turn: a super-segment at most, so that no flow starves another.
                    self.tcp.ready.push_back(i);
                    return Sent::Taken;
                }
                Sent::Blocked => {}
                Sent::Nothing => {
                    if let Some(e) = self.tcp.conns.at_mut(i) {
                        e.ready = false;
                    }
                    self.reap(i);
                }
                Sent::Full => {
                    self.tcp.ready.push_front(i);
                    return Sent::Full;
                }
            }
        }
        Sent::Nothing
    }

    /// Whether something may wait to be sent.
    pub fn wants_to_send(&self) -> bool {
        !self.tcp.ready.is_empty() || !self.tcp.half_due.is_empty() || self.links.iter().any(|l| !l.control.is_empty())
    }

    fn send_half_open<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        i: u32,
        sink: &mut dyn FnMut(&TxFrame<'_>) -> bool,
    ) -> Sent {
        // An entry whose connection is gone, or whose place is another's that has nothing to send, is passed over.
        let Some(h) = self.tcp.half.at_mut(i).filter(|h| h.is_ready()) else { return Sent::Nothing };
        h.set_ready(false);
        let (key, cfg) = (h.key, h.cfg);
        let mark = Mark::of(&self.configs[cfg], self.cfg.hop_limit);
        probe.focus(u64::from(Slot::Half(i).token()));
        let gives = h.syn.negotiated.fast_open;
        let cookie = gives.then(|| self.fast_open_cookie(now, &key.tuple()));
        let Some(h) = self.tcp.half.at(i) else { return Sent::Nothing };
        let cx = tcp_cx!(self, cfg, now, probe);
        let Some((mut hdr, opts, why)) = h.syn.frame_with(&cx, cookie) else { return Sent::Nothing };
        let Tuple { local, remote } = key.tuple();
        (hdr.src_port, hdr.dst_port) = (local.port(), remote.port());
        let (dst, link) = (remote.ip(), h.link);
        let mac = match self.next_hop(now, link, dst) {
            Hop::Ready(mac) => mac,
            Hop::Waits => {
                // It stays due, and goes when the neighbor has answered, or has not.
                if let Some(h) = self.tcp.half.at_mut(i) {
                    h.set_ready(true);
                }
                self.tcp.half_blocked.push(i);
                return Sent::Nothing;
            }
            // The SYN+ACK is sent again by its timer; the client's SYN, too, comes again.
            Hop::Failed => None,
        };
        let Some(l) = self.links.get(usize::from(link.0)) else { return Sent::Nothing };
        if matches!(l.cfg.medium, Medium::Ip) || mac.is_some() {
            let n = put_headers(&mut self.header, l.mac().zip(mac), (local.ip(), dst), hdr, opts.as_slice(), 0, mark);
            let start = n - 20 - opts.len();
            //= RFC 9293 3.1 MUST-2
            let sum = pseudo(local.ip(), dst, Protocol::TCP, (n - start) as u32).add(&self.header[start..n]);
            Header::put_checksum(&mut self.header[start..n], sum.finish());
            let tx = TxFrame {
                header: &self.header[..n],
                payload: Slices::default(),
                ipv4: dst.is_ipv4(),
                gso: None,
                checksum: Checksum::Complete,
            };
            if !sink(&tx) {
                if let Some(h) = self.tcp.half.at_mut(i) {
                    h.set_ready(true);
                }
                return Sent::Full;
            }
            self.mib.ip_out += 1;
            self.tcp_mib.out_segs += 1;
            probe.event(now, || Event::Sent { hdr, len: 0, why, state: State::SynReceived });
        }
        let Some(h) = self.tcp.half.at_mut(i) else { return Sent::Nothing };
        if let Some(deadline) = h.syn.sent(&tcp_cx!(self, cfg, now, probe)) {
            h.timer = self.wheel.insert(deadline, Slot::Half(i).token());
        }
        if h.syn.due || h.syn.challenge {
            h.set_ready(true);
            self.tcp.half_due.push_back(i);
        }
        Sent::Taken
    }

    fn send_connection<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        i: u32,
        sink: &mut dyn FnMut(&TxFrame<'_>) -> bool,
    ) -> Sent {
        let Some(e) = self.tcp.conns.at(i) else { return Sent::Nothing };
        let Some(l) = self.links.get(usize::from(e.link.0)) else { return Sent::Nothing };
        // Where the link cuts no super-segments they are cut here: planning once for many segments is what is dear.
        let cuts = l.cfg.max_gso == 0;
        let max_text = if cuts { SOFTWARE_GSO } else { l.cfg.max_gso.min(MAX_TEXT) };
        let (cfg, link, header_len) = (e.cfg, e.link, l.header_len());
        let mark = Mark::of(&self.configs[cfg], self.cfg.hop_limit);
        //= RFC 9293 3.9.1.1 MUST-45
        let Tuple { local, remote } = e.tuple;
        let max_segment = l.cfg.mtu.saturating_sub(ip_header_len(remote.ip()) as u32 + 20).min(65_535) as u16;
        let limits = Limits { max_text, max_segment, repeats_flags: cuts };
        let cx = tcp_cx!(self, cfg, now, probe);
        let Some(plan) = e.conn.plan_transmit(&cx, &limits) else { return Sent::Nothing };
        let hop = self.next_hop(now, link, remote.ip());
        if matches!(hop, Hop::Waits) {
            self.tcp.blocked.push(i); // once: it is not ready again until it is woken
            return Sent::Blocked;
        }
        let Some(e) = self.tcp.conns.at_mut(i) else { return Sent::Nothing };
        let Some(l) = self.links.get(usize::from(link.0)) else { return Sent::Nothing };
        probe.focus(u64::from(Slot::Conn(i).token()));
        let mut cx = tcp_cx!(self, cfg, now, probe);
        let mut frame = e.conn.frame(&cx, plan);
        let mark = Mark { ecn: frame.ecn, ..mark };
        frame.hdr.src_port = local.port();
        frame.hdr.dst_port = remote.port();
        // A neighbor that does not answer is a path that loses everything: timers take it from here.
        let taken = if let (Hop::Ready(mac), true) = (&hop, cuts && frame.gso() > 0) {
            let way = Way { macs: l.mac().zip(*mac), ends: (local.ip(), remote.ip()), mark, header_len };
            let sent = cut(&mut self.header, &way, &frame, l.cfg.tx_checksum, sink);
            let whole = sent == frame.len();
            if sent == 0 {
                return Sent::Full;
            }
            frame.cut_to(sent);
            self.mib.ip_out += u64::from(sent.div_ceil(u32::from(frame.gso()))) - 1;
            if !whole {
                self.mib.ip_out += 1;
                frame.commit(&mut cx);
                self.set_timer(i);
                return Sent::Full;
            }
            true
        } else if let Hop::Ready(mac) = hop {
            let opts = frame.opts;
            let macs = l.mac().zip(mac);
            let n = put_headers(
                &mut self.header,
                macs,
                (local.ip(), remote.ip()),
                frame.hdr,
                opts.as_slice(),
                frame.len() as usize,
                mark,
            );
            let start = header_len + ip_header_len(remote.ip());
            let segment_len = (n - start) as u32 + frame.len();
            //= RFC 9293 3.1 MUST-2
            let sum = pseudo(local.ip(), remote.ip(), Protocol::TCP, segment_len);
            let gso = (frame.gso() > 0).then(|| Gso { size: frame.gso(), header_len: n as u16 });
            let checksum = if l.cfg.tx_checksum {
                Header::put_checksum(&mut self.header[start..n], sum.fold());
                Checksum::Partial { start: start as u16, offset: 16 }
            } else {
                let whole = sum_of(sum.add(&self.header[start..n]), frame.payload());
                Header::put_checksum(&mut self.header[start..n], whole.finish());
                Checksum::Complete
            };
            let ipv4 = remote.is_ipv4();
            sink(&TxFrame { header: &self.header[..n], payload: frame.payload(), ipv4, gso, checksum })
        } else {
            true
        };
        if !taken {
            return Sent::Full;
        }
        self.mib.ip_out += 1;
        frame.commit(&mut cx);
        self.set_timer(i);
        Sent::Taken
    }

    /// The link-layer address that packets to `dst` go to; none on links without any.
    fn next_hop(&mut self, now: Instant, link: LinkId, dst: core::net::IpAddr) -> Hop {
        let Some(l) = self.links.get(usize::from(link.0)) else { return Hop::Failed };
        if matches!(l.cfg.medium, Medium::Ip) {
            return Hop::Ready(None);
        }
        let Some(route) = self.route(dst) else { return Hop::Failed };
        let hop = route.gateway.unwrap_or(dst);
        if let Some(mac) = multicast_mac(hop) {
            return Hop::Ready(Some(mac));
        }
        let limit = self.cfg.max_neighbors;
        let resolve = |s: &mut Stack| match s.links.get_mut(usize::from(link.0)) {
            Some(l) => l.neighbors.resolve(hop, now, limit),
            None => Resolution::Failed,
        };
        let mut r = resolve(self);
        if r == Resolution::Waits {
            // Asking may be what finds out that it does not answer; then nobody would wake who waits from now on.
            self.solicit_neighbors(now);
            r = resolve(self);
        }
        match r {
            Resolution::Known(mac) => Hop::Ready(Some(mac)),
            Resolution::Failed => Hop::Failed,
            Resolution::Waits => Hop::Waits,
        }
    }
}

#[derive(Debug)]
enum Hop {
    Ready(Option<Mac>),
    Waits,
    Failed,
}

/// The most text in one frame: with headers it must fit the 16 bits of IPv4's total length.
const MAX_TEXT: u32 = 65_535 - 60 - ipv4::HEADER_LEN as u32;

/// The most text that is planned at once where super-segments are cut here.
const SOFTWARE_GSO: u32 = 45_000;

/// Writes all headers; returns their length.
fn put_headers(
    out: &mut [u8],
    macs: Option<(Mac, Mac)>,
    (src, dst): (IpAddr, IpAddr),
    hdr: Header,
    opts: &[u8],
    text: usize,
    mark: Mark,
) -> usize {
    let mut at = 0;
    if let Some((from, to)) = macs {
        put_ethernet_header(out, to, from, dst.is_ipv4());
        at = ethernet::HEADER_LEN;
    }
    let ip = ip_header_len(dst);
    let tcp = 20 + opts.len();
    put_marked_ip_header(&mut out[at..], (src, dst), Protocol::TCP, tcp + text, mark);
    at += ip;
    let _ = hdr.emit(opts, &mut out[at..]);
    at + tcp
}

/// Where frames of one connection go.
struct Way {
    macs: Option<(Mac, Mac)>,
    ends: (IpAddr, IpAddr),
    mark: Mark,
    /// Octets of the link's header.
    header_len: usize,
}

/// Offers a super-segment to `sink` piece by piece; returns how many octets of text were taken. Headers are made once:
/// between two pieces only the sequence number and the flags differ, and for the last the length.
fn cut(out: &mut [u8], way: &Way, frame: &Frame<'_>, partial: bool, sink: &mut dyn FnMut(&TxFrame<'_>) -> bool) -> u32 {
    let (size, total) = (u32::from(frame.gso()), frame.len());
    let (src, dst) = way.ends;
    let start = way.header_len + ip_header_len(dst);
    let mut made_for = 0;
    let mut n = 0;
    let mut sent = 0;
    while sent < total {
        let len = size.min(total - sent);
        let last = sent + len == total;
        // A device clears CWR behind the first piece (RFC 3168), where it is a bit of AccECN's count as well; that one stays.
        //= RFC 9768 3.3.4
        let count = if frame.hdr.flags.has(Flags::CWR) { Flags::CWR } else { Flags::NONE };
        let flags = flags_of_piece(frame.hdr.flags, sent == 0, last) | count;
        if len != made_for {
            let hdr = Header { flags, ..frame.hdr };
            n = put_headers(out, way.macs, way.ends, hdr, frame.opts.as_slice(), len as usize, way.mark);
            made_for = len;
        }
        let seq = frame.hdr.seq + sent;
        out[start + 4..start + 8].copy_from_slice(&seq.0.to_be_bytes());
        out[start + 13] = flags.0 as u8;
        Header::put_checksum(&mut out[start..n], 0);
        let text = frame.piece(sent, len);
        //= RFC 9293 3.1 MUST-2
        let sum = pseudo(src, dst, Protocol::TCP, (n - start) as u32 + len);
        let checksum = if partial {
            Header::put_checksum(&mut out[start..n], sum.fold());
            Checksum::Partial { start: start as u16, offset: 16 }
        } else {
            let whole = sum_of(sum.add(&out[start..n]), text.clone());
            Header::put_checksum(&mut out[start..n], whole.finish());
            Checksum::Complete
        };
        if !sink(&TxFrame { header: &out[..n], payload: text, ipv4: dst.is_ipv4(), gso: None, checksum }) {
            break;
        }
        sent += len;
    }
    sent
}

fn sum_of(mut sum: Sum, pieces: Slices<'_>) -> Sum {
    let mut odd = false;
    for p in pieces {
        (sum, odd) = sum.add_piece(odd, p);
    }
    sum
}
