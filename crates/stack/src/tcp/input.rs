//! Segments in: checksum, four-tuple, and the phase that the connection is in. What listeners and half-open connections
//! make of theirs is in `passive.rs`.

use super::passive::InListen;
use super::{ConnId, EndedBy, Entry, Key, Slot, Tuple};
use crate::cx::tcp_cx;
use crate::ip::input::Arrival;
use crate::ip::is_plausible_source;
use crate::ip::output::{ip_header_len, pseudo};
use crate::stack::{RxChecksum, SocketEvent, Stack};
use core::net::{IpAddr, SocketAddr};
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::arrives::time_wait::TimeWait;
use synfin_tcp::call::Open;
use synfin_tcp::negotiate::Offer;
use synfin_tcp::{Chunk, CloseReason, Event, Events, Instant, Probe, Rule, Segment, State, Trigger, Verdict, isn};
use synfin_wire::tcp::{Flags, Header, Options};
use synfin_wire::{Protocol, SeqNum};

/// The settings that hold in TIME-WAIT: the host's. A record has no room for its own, and the queue no use.
const TIME_WAIT: u16 = 0;

impl Stack {
    pub(crate) fn tcp_in<P: Probe>(&mut self, now: Instant, probe: &mut P, at: Arrival, mut payload: Chunk) {
        let b = payload.as_slice();
        //= RFC 9293 3.1 MUST-5
        let parsed = Header::parse(b).map(|h| (h, Options::parse(&b[20..usize::from(h.header_len)])));
        let Ok((hdr, opts)) = parsed else {
            self.tcp_mib.in_errs += 1;
            self.pool.give(payload);
            return;
        };
        if at.meta.checksum == RxChecksum::Unverified
            && !Header::checksum_ok(b, pseudo(at.src, at.dst, Protocol::TCP, b.len() as u32))
        {
            //= RFC 9293 3.1 MUST-3
            self.tcp_mib.in_errs += 1;
            self.tcp_mib.in_csum_errors += 1;
            refused_at_the_door(now, probe, &hdr, &opts, &payload, Rule::BadChecksum);
            self.pool.give(payload);
            return;
        }
        // It is used as far as it can be read, whoever it is for.
        self.tcp_mib.bad_options += u64::from(opts.malformed.is_some());
        // Nobody can be at such an address or port (RFC 9293 3.9.2.3, MUST-63; LAND).
        let (local, remote) = (SocketAddr::new(at.dst, hdr.dst_port), SocketAddr::new(at.src, hdr.src_port));
        //= RFC 9293 3.9.2.3 MUST-63
        if !is_plausible_source(at.src)
            || at.src.is_unspecified()
            || remote.port() == 0
            || local.port() == 0
            || local == remote
        {
            self.mib.tcp_martian += 1;
            refused_at_the_door(now, probe, &hdr, &opts, &payload, Rule::ImpossibleAddress);
            self.pool.give(payload);
            return;
        }
        payload.advance(usize::from(hdr.header_len));
        let mut seg = Segment { hdr, opts, payload, gro: at.meta.gso_size, ecn: at.ecn };
        let tuple = Tuple { local, remote };
        let key = Key::new(local, remote);
        match self.tcp.find(&key) {
            Some(Slot::Conn(i)) => self.segment_for_connection(now, probe, i, &mut seg),
            Some(Slot::Half(i)) => self.segment_for_half_open(now, probe, i, &at, &mut seg),
            Some(Slot::Wait(i)) => self.segment_for_time_wait(now, probe, i, &at, &mut seg),
            None => self.segment_for_listener(now, probe, &at, tuple, &mut seg),
        }
        self.pool.give(core::mem::take(&mut seg.payload));
    }

    fn segment_for_connection<P: Probe>(&mut self, now: Instant, probe: &mut P, i: u32, seg: &mut Segment) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        probe.focus(u64::from(Slot::Conn(i).token()));
        let opening = e.conn.tcb().is_none();
        let mut cx = tcp_cx!(self, e.cfg, now, probe);
        let ended = e.conn.reason().is_some();
        let verdict = e.conn.on_segment(&mut cx, seg);
        if !ended && e.conn.reason().is_some_and(|r| !matches!(r, CloseReason::Finished | CloseReason::Aborted)) {
            self.tcp.ended_by.insert(i, EndedBy::Segment(verdict.rule()));
        }
        if opening {
            self.begin_with_path(now, i);
        }
        self.after_input(now, i);
    }

    fn segment_for_time_wait<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        i: u32,
        at: &Arrival,
        seg: &mut Segment,
    ) {
        let local = SocketAddr::new(at.dst, seg.hdr.dst_port);
        let listener = self.listener_for(local);
        let of_listener = listener.and_then(|l| self.tcp.listeners.at(l)).map(|l| l.cfg);
        let timestamps = of_listener.map(|cfg| self.configs[cfg].timestamps);
        let Some(w) = self.tcp.waits.at_mut(i) else { return };
        probe.focus(u64::from(Slot::Wait(i).token()));
        let key = w.key;
        self.tcp_mib.in_segs += 1;
        let mut cx = tcp_cx!(self, TIME_WAIT, now, probe);
        let o = w.tw.on_segment(&mut cx, seg, timestamps);
        let tw = w.tw;
        let length = cx.cfg.time_wait;
        report(now, probe, seg, o.verdict, State::TimeWait);
        if o.restart {
            self.tcp.restart_wait(&key, i, now + length);
        }
        if matches!(o.verdict, Verdict::Acked(_)) && (o.restart || self.reset_buckets.take(now, &self.secret, at.src)) {
            let offset = isn::timestamp_offset(&self.secret, key.hosts());
            let (hdr, opts) = tw.ack(now, offset);
            self.send_bare(now, key.tuple(), hdr, &opts, TIME_WAIT);
            probe.event(now, || Event::Sent {
                hdr,
                len: 0,
                why: synfin_tcp::SendReason::TimeWaitAck,
                state: State::TimeWait,
            });
        }
        if o.over {
            self.end_time_wait(now, probe, i, if seg.has(Flags::RST) { Trigger::RcvRst } else { Trigger::Timeout2Msl });
            if matches!(o.verdict, Verdict::Accepted(_)) {
                self.mib.time_wait_recycled += 1;
                let (tuple, link, after) = (key.tuple(), at.link, Some(tw.snd_nxt));
                self.accept_syn(now, probe, InListen { seg, tuple, link, listener: listener.unwrap_or(0), after });
            }
        }
    }

    /// What an OPEN needs to know of the path.
    pub(crate) fn open_params(&mut self, now: Instant, key: &Key, cfg: u16, link: crate::link::LinkId) -> Open {
        let c = &self.configs[cfg];
        let remote = key.remote().ip();
        let headers = ip_header_len(remote) as u32 + 20;
        let mtu = self.links.get(usize::from(link.0)).map_or(1280, |l| l.cfg.mtu);
        let most = mtu.saturating_sub(headers).clamp(1, 65_495) as u16;
        let limit = self.path_mtu(remote, link).saturating_sub(headers).clamp(1, 65_495) as u16;
        //= RFC 9293 3.7.1 MUST-67
        let announced = if c.mss == 0 { most } else { c.mss.min(most) };
        Open {
            iss: isn::initial_sequence_number(&self.secret, key.bytes(), now),
            offer: Offer {
                mss: announced,
                window_shift: c.window_shift(),
                ts_offset: isn::timestamp_offset(&self.secret, key.hosts()),
            },
            //= RFC 9293 3.7.1 MUST-15
            default_mss: if matches!(remote, IpAddr::V4(_)) { 536 } else { 1220 },
            mss_limit: limit,
        }
    }

    /// After any input to connection `i`: its user is told, tables and timers follow, and it may want to send.
    pub(crate) fn after_input(&mut self, now: Instant, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        let news = e.conn.poll_event();
        e.events |= news;
        if news.has(Events::TIME_WAIT) {
            self.enter_time_wait(now, i);
        }
        if news.has(Events::SLUGGISH) {
            self.doubt_next_hop(now, i);
        }
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        if !news.is_empty() && e.owned && !e.notified && e.accepting.is_none() {
            e.notified = true;
            let generation = self.tcp.conns.generation(i);
            self.events.push_back(SocketEvent::Tcp(ConnId(i, generation)));
        }
        self.after_fast_open(now, i);
        self.tcp.mark_ready(i);
        self.set_timer(i);
        self.reap(i);
    }

    /// R1 retransmissions were not answered: "negative advice" to the IP layer. The neighbor may have moved or gone.
    //= RFC 9293 3.8.3 MUST-20 (b)
    //= RFC 1122 3.3.1.4
    fn doubt_next_hop(&mut self, now: Instant, i: u32) {
        let Some((link, dst)) = self.tcp.conns.at(i).map(|e| (e.link, e.tuple.remote.ip())) else { return };
        let Some(route) = self.route(dst) else { return };
        if let Some(l) = self.links.get_mut(usize::from(link.0)) {
            l.neighbors.doubt(route.gateway.unwrap_or(dst), now);
        }
    }

    /// Lets the wheel follow the connection's deadline; moved only when it gets earlier.
    pub(crate) fn set_timer(&mut self, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        let deadline = e.conn.next_deadline();
        match (e.timer, deadline.finite()) {
            (Some(t), Some(d)) if d < self.wheel.deadline(t) => self.wheel.update(t, d),
            (None, Some(d)) => e.timer = Some(self.wheel.insert(d, Slot::Conn(i).token())),
            _ => {}
        }
    }

    fn enter_time_wait(&mut self, now: Instant, i: u32) {
        if self.tcp.waits.len() >= self.cfg.max_time_wait
            && let Some(old) = self.tcp.waits.oldest()
        {
            self.mib.time_wait_overflow += 1;
            self.end_time_wait(now, &mut (), old, Trigger::Timeout2Msl);
        }
        //= RFC 9293 3.6.1 MUST-13
        let length = self.configs[TIME_WAIT].time_wait;
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        let Some(t) = e.conn.tcb() else { return };
        let (key, tw) = (e.key, TimeWait::new(t, self.pool.memory()));
        e.indexed = false;
        self.mib.time_wait += 1;
        self.tcp.link_out(&key, Slot::Conn(i));
        let w = self.tcp.waits.insert(key, tw, now + length);
        self.tcp.link_in(&key, Slot::Wait(w));
    }

    /// A TIME-WAIT record goes.
    pub(crate) fn end_time_wait<P: Probe>(&mut self, now: Instant, probe: &mut P, i: u32, trigger: Trigger) {
        if self.tcp.remove_wait(i).is_none() {
            return;
        }
        probe.focus(u64::from(Slot::Wait(i).token()));
        let mut state = State::TimeWait;
        tcp_cx!(self, TIME_WAIT, now, probe).transition(&mut state, trigger);
    }

    /// Forgets a connection that nobody needs any more: not its peer, not its user.
    pub(crate) fn reap(&mut self, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        let finished = e.conn.is_finished();
        let waiting = e.conn.state() == State::TimeWait;
        if finished && e.indexed {
            e.indexed = false;
            let key = e.key;
            self.tcp.link_out(&key, Slot::Conn(i));
        }
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        // In TIME-WAIT the last acknowledgment may still wait for the device.
        if e.owned || e.ready || !(finished || waiting) {
            return;
        }
        if let Some(e) = self.tcp.conns.remove(i) {
            self.tcp.ended_by.remove(&i);
            if let Some(t) = e.timer {
                self.wheel.remove(t);
            }
            self.tcp.orphans -= 1;
            self.release(e);
        }
    }

    fn release(&mut self, mut e: Entry) {
        e.conn.release(&mut self.pool);
        let cfg = e.cfg;
        if e.conn.state() == State::TimeWait {
            let mut cx = tcp_cx!(self, cfg, Instant::ZERO, &mut ());
            e.conn.abort(&mut cx, synfin_tcp::SendReason::Abort);
        }
        self.configs.release(cfg);
    }

    pub(crate) fn tcp_on_icmp<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        error: IcmpError,
        local: SocketAddr,
        remote: SocketAddr,
        seq: SeqNum,
    ) -> bool {
        //= RFC 9293 3.9.2.2 MUST-54
        let Some(Slot::Conn(i)) = self.tcp.find(&Key::new(local, remote)) else { return false };
        let Some(e) = self.tcp.conns.at_mut(i) else { return false };
        probe.focus(u64::from(Slot::Conn(i).token()));
        let mut cx = tcp_cx!(self, e.cfg, now, probe);
        let over = e.conn.reason().is_some();
        let used = e.conn.on_icmp(&mut cx, error, seq);
        if used && !over && !matches!(error, IcmpError::TooBig(_)) {
            self.tcp.ended_by.insert(i, EndedBy::Icmp(error));
        }
        self.after_input(now, i);
        used
    }
}

/// A segment that no connection and no listener gets to see.
fn refused_at_the_door<P: Probe>(
    now: Instant,
    probe: &mut P,
    hdr: &Header,
    opts: &Options,
    payload: &Chunk,
    rule: Rule,
) {
    probe.focus(u64::MAX);
    let (hdr, opts, len) = (*hdr, *opts, payload.len() as u32 - u32::from(hdr.header_len));
    probe.event(now, || Event::Arrived { hdr, opts, len, verdict: Verdict::Dropped(rule), state: State::Closed });
}

pub(super) fn report<P: Probe>(now: Instant, probe: &mut P, seg: &Segment, verdict: Verdict, state: State) {
    let (hdr, opts, len) = (seg.hdr, seg.opts, seg.payload.len() as u32);
    probe.event(now, || Event::Arrived { hdr, opts, len, verdict, state });
}
