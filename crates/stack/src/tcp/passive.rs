//! Passive opens: who listens, what becomes of a SYN, and of a half-open connection until it waits in the accept queue.

use super::input::report;
use super::{Entry, HalfOpen, Key, Listener, ListenerId, Slot, Stage, Tuple};
use crate::cx::tcp_cx;
use crate::ip::input::Arrival;
use crate::link::LinkId;
use crate::stack::{SocketEvent, Stack};
use alloc::boxed::Box;
use core::net::SocketAddr;
use synfin_tcp::arrives::listen;
use synfin_tcp::arrives::syn_received::{Outcome, SynReceived};
use synfin_tcp::call::Open;
use synfin_tcp::config::SynCookies;
use synfin_tcp::tcb::Tcb;
use synfin_tcp::{Connection, Event, Events, Instant, Probe, Rule, Segment, State, Trigger, Verdict};
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

impl Stack {
    pub(super) fn listener_for(&self, local: SocketAddr) -> Option<u32> {
        self.listener_on(local).or(self.tcp.any)
    }

    fn listener_on(&self, local: SocketAddr) -> Option<u32> {
        let list = self.tcp.ports.get(&local.port())?;
        let rank = |i: &u32| {
            let l = self.tcp.listeners.at(*i)?;
            let any = l.local.ip().is_unspecified() && (l.local.is_ipv6() || local.is_ipv4());
            let exact = !l.local.ip().is_unspecified();
            (l.local.ip() == local.ip() || any).then_some((exact, l.local.is_ipv4() == local.is_ipv4()))
        };
        list.iter().filter_map(|i| rank(i).map(|r| (r, *i))).max_by_key(|(r, _)| *r).map(|(_, i)| i)
    }

    pub(super) fn segment_for_listener<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        at: &Arrival,
        tuple: Tuple,
        seg: &mut Segment,
    ) {
        self.tcp_mib.in_segs += 1;
        let Some(listener) = self.listener_for(tuple.local) else {
            probe.focus(u64::MAX);
            let v = if seg.has(Flags::RST) {
                Verdict::Dropped(Rule::NoConnection)
            } else {
                Verdict::Reset(Rule::NoConnection)
            };
            report(now, probe, seg, v, State::Closed);
            self.refuse(now, tuple, seg);
            return;
        };
        probe.focus(u64::MAX);
        let verdict = listen::judge(seg);
        let arrives = InListen { seg, tuple, link: at.link, listener, after: None };
        match verdict {
            Verdict::Accepted(_) => self.accept_syn(now, probe, arrives),
            Verdict::Reset(_) => {
                if let Some(v) = self.ack_of_cookie(now, probe, arrives) {
                    probe.focus(u64::MAX);
                    report(now, probe, seg, v, State::Listen);
                    self.refuse(now, tuple, seg);
                }
            }
            v => report(now, probe, seg, v, State::Listen),
        }
    }

    /// A SYN for a listener: a half-open connection, unless a queue is full. A full SYN queue is answered by a cookie, or as
    /// a full accept queue: the SYN is dropped without a word, to the client the server is busy, and it asks again.
    pub(super) fn accept_syn<P: Probe>(&mut self, now: Instant, probe: &mut P, mut syn: InListen<'_>) {
        let listener = syn.listener;
        let Some(mut full) = self.tcp.listeners.at(listener).map(|l| self.is_syn_queue_full(l)) else { return };
        if full {
            self.make_room_of_silence(listener);
        }
        let Some(l) = self.tcp.listeners.at(listener) else { return };
        full = self.is_syn_queue_full(l);
        // Who wants to be asked first wants no SYN,ACK before that.
        let (any, cookies) = (l.any, if l.any { SynCookies::Off } else { self.configs[l.cfg].syn_cookies });
        if l.is_full() {
            self.mib.listen_overflows += 1;
            self.drop_syn(now, probe, &syn);
            return;
        }
        // After TIME-WAIT the number must be above what was: no cookie can promise that.
        let cookie = match cookies {
            SynCookies::Off => false,
            SynCookies::Overflow => full,
            SynCookies::Always => true,
        };
        if cookie && syn.after.is_none() && self.send_cookie(now, probe, &syn) {
            self.mib.req_q_full_do_cookies += 1;
            return;
        }
        if full {
            self.mib.req_q_full_drop += 1;
            self.drop_syn(now, probe, &syn);
            return;
        }
        let early = self.accept_early(now, probe, &mut syn);
        if early == Early::Accepted {
            return;
        }
        let Some(l) = self.tcp.listeners.at_mut(listener) else { return };
        l.half_open += 1;
        let cfg = l.cfg;
        let (key, open) = self.passive_open(now, &syn, cfg);
        let InListen { seg, link, .. } = syn;
        // The number first, so that the observer knows whose events follow.
        let mut cx = tcp_cx!(self, cfg, now, &mut ());
        let mut syn = SynReceived::passive(&mut cx, seg, &open);
        syn.negotiated.fast_open = early == Early::GivesCookie;
        self.configs.hold(cfg);
        let half = HalfOpen { syn, key, listener, timer: HalfOpen::NO_TIMER, cfg, link, stage: Stage::Handshake };
        let i = self.tcp.half.insert(half);
        self.tcp.link_in(&key, Slot::Half(i));
        probe.focus(u64::from(Slot::Half(i).token()));
        if any {
            self.ask(now, listener, i);
            report(now, probe, seg, Verdict::Accepted(Rule::SynAsked), State::Listen);
            return;
        }
        probe.event(now, || Event::Moved { from: State::Listen, trigger: Trigger::RcvSyn, to: State::SynReceived });
        report(now, probe, seg, Verdict::Accepted(Rule::SynToListen), State::SynReceived);
        self.half_open_ready(i);
    }

    /// The key of the connection that a SYN leads to, and what its OPEN needs to know of the path.
    pub(super) fn passive_open(&mut self, now: Instant, syn: &InListen<'_>, cfg: u16) -> (Key, Open) {
        let key = Key::new(syn.tuple.local, syn.tuple.remote);
        let mut open = self.open_params(now, &key, cfg, syn.link);
        if let Some(old) = syn.after {
            // Above everything the old incarnation sent (RFC 6191 2, RFC 9293 3.6.1).
            open.iss = open.iss.max(old + 65_537);
        }
        (key, open)
    }

    fn is_syn_queue_full(&self, l: &Listener) -> bool {
        l.half_open >= l.backlog || self.tcp.half.len() >= self.cfg.max_half_open
    }

    fn drop_syn<P: Probe>(&mut self, now: Instant, probe: &mut P, syn: &InListen<'_>) {
        self.mib.listen_drops += 1;
        if let Some(l) = self.tcp.listeners.at_mut(syn.listener) {
            l.dropped += 1;
        }
        report(now, probe, syn.seg, Verdict::Dropped(Rule::QueueFull), State::Listen);
    }

    /// A handshake could not complete, for there is no place for what it leads to.
    pub(super) fn overflowed(&mut self, listener: u32) {
        self.mib.abort_on_memory += u64::from(self.tcp.conns.len() >= self.cfg.max_connections);
        self.mib.listen_overflows += 1;
        self.mib.listen_drops += 1;
        if let Some(l) = self.tcp.listeners.at_mut(listener) {
            l.overflowed += 1;
        }
    }

    pub(crate) fn half_open_ready(&mut self, i: u32) {
        if let Some(h) = self.tcp.half.at_mut(i)
            && h.stage == Stage::Handshake
            && (h.syn.due || h.syn.challenge)
        {
            h.set_ready(true);
            self.tcp.half_due.push_back(i);
        }
    }

    /// Removes a half-open connection and what belongs to it.
    pub(crate) fn drop_half_open(&mut self, i: u32) {
        let Some(h) = self.tcp.half.remove(i) else { return };
        self.tcp.link_out(&h.key, Slot::Half(i));
        self.configs.release(h.cfg);
        if h.is_ready() {
            // Its place may be used again: no entry of a queue may outlive it.
            self.tcp.half_due.retain(|d| *d != i);
            self.tcp.half_blocked.retain(|d| *d != i);
        }
        if h.timer != HalfOpen::NO_TIMER {
            self.wheel.remove(h.timer);
        }
        if let Some(l) = self.tcp.listeners.at_mut(h.listener) {
            l.half_open -= 1;
            l.leaves(i, h.stage);
        }
    }

    pub(super) fn segment_for_half_open<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        i: u32,
        at: &Arrival,
        seg: &mut Segment,
    ) {
        let Some(h) = self.tcp.half.at_mut(i) else { return };
        probe.focus(u64::from(Slot::Half(i).token()));
        let (listener, key) = (h.listener, h.key);
        if h.is_unanswered() {
            self.segment_while_undecided(now, probe, i, at, seg);
            return;
        }
        let completes = seg.has(Flags::ACK) && !seg.has(Flags::SYN) && !seg.has(Flags::RST);
        if completes && h.syn.defers(&self.configs[h.cfg], now, seg) {
            self.tcp_mib.in_segs += 1;
            self.mib.defer_accept_drop += 1;
            report(now, probe, seg, Verdict::Dropped(Rule::Deferred), State::SynReceived);
            return;
        }
        if completes && seg.hdr.ack == h.syn.iss + 1 && self.tcp.is_full(listener, self.cfg.max_connections) {
            // The client believes it is connected; our SYN+ACK, sent again, asks it again.
            self.overflowed(listener);
            report(now, probe, seg, Verdict::Dropped(Rule::QueueFull), State::SynReceived);
            return;
        }
        let Some(h) = self.tcp.half.at_mut(i) else { return };
        let cfg = h.cfg;
        let (hdr, opts, len) = (seg.hdr, seg.opts, seg.payload.len() as u32);
        self.tcp_mib.in_segs += 1;
        let outcome = h.syn.on_segment(&mut tcp_cx!(self, h.cfg, now, probe), seg);
        let arrived = |probe: &mut P, verdict, state| {
            probe.event(now, || Event::Arrived { hdr, opts, len, verdict, state });
        };
        match outcome {
            Outcome::Stays(v) => {
                arrived(probe, v, State::SynReceived);
                self.half_open_ready(i);
            }
            Outcome::Answer(v, r) => {
                arrived(probe, v, State::SynReceived);
                self.send_reset(now, key.tuple(), r, cfg);
            }
            Outcome::Gone(v) => {
                arrived(probe, v, State::Listen);
                self.drop_half_open(i);
            }
            Outcome::Refused(v, r) => {
                arrived(probe, v, State::Listen);
                self.send_reset(now, key.tuple(), r, cfg);
                self.drop_half_open(i);
            }
            Outcome::Done(tcb, v) => {
                arrived(probe, v, tcb.state);
                let (cfg, link) = (h.cfg, h.link);
                self.configs.hold(cfg);
                self.drop_half_open(i);
                self.finished(now, Finished { tcb, key, cfg, link, listener });
            }
        }
    }

    /// A handshake is complete: its connection, which waits in the accept queue. Its number.
    pub(super) fn finished(&mut self, now: Instant, f: Finished) -> u32 {
        let Finished { tcb, key, cfg, link, listener } = f;
        self.tcp_mib.passive_opens += 1;
        let entry = Entry {
            conn: Connection::accepted(*tcb),
            key,
            tuple: key.tuple(),
            cfg,
            link,
            timer: None,
            ready: false,
            owned: true,
            accepting: Some(listener),
            indexed: true,
            events: Events::default(),
            notified: false,
        };
        let (c, _) = self.tcp.conns.insert(entry);
        self.tcp.link_in(&key, Slot::Conn(c));
        if let Some(l) = self.tcp.listeners.at_mut(listener) {
            l.queue.push_back(c);
        }
        let generation = self.tcp.listeners.generation(listener);
        self.events.push_back(SocketEvent::Listener(ListenerId(listener, generation)));
        self.begin_with_path(now, c);
        self.after_input(now, c);
        c
    }
}

/// SEGMENT ARRIVES in LISTEN (RFC 9293 3.10.7.2): a SYN, or an ACK that may bring back a cookie.
pub(super) struct InListen<'a> {
    pub seg: &'a mut Segment,
    pub tuple: Tuple,
    /// The one that it came by.
    pub link: LinkId,
    pub listener: u32,
    /// SND.NXT of the connection in TIME-WAIT whose place a SYN takes.
    pub after: Option<SeqNum>,
}

/// What Fast Open makes of a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    /// Nothing: it is treated as any SYN.
    No,
    /// Likewise, and its SYN+ACK gives a cookie.
    GivesCookie,
    /// Its text was taken: there is a connection already.
    Accepted,
}

/// What a handshake leads to.
pub(super) struct Finished {
    pub tcb: Box<Tcb>,
    pub key: Key,
    /// Its settings, which it holds.
    pub cfg: u16,
    pub link: LinkId,
    pub listener: u32,
}
