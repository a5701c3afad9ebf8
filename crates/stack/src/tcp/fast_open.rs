//! TCP Fast Open, the host's part (RFC 7413): as a server it makes and knows cookies, and counts who is let in before the
//! handshake is over; as a client it remembers cookies, and on which ways they do not help. What text in a SYN means for a
//! connection is the engine's part ([`synfin_tcp::fast_open`]).
//!
//! A cookie is 8 octets: SipHash of both addresses under a key of this host, as Linux makes it, so that machines with one key
//! serve one address. Nothing is kept of a client. Unless keys are set, they are made of the host's secret and the date: each
//! is given out for [`StackConfig::fast_open_key_life`](crate::StackConfig) and still taken for as long again.
//!
//! Who comes with a valid cookie gets a connection in SYN-RECEIVED, which waits in the accept queue: more than a half-open
//! record. So a listener has at most `fastopen-queue` of them (PendingFastOpenRequests), and who has just been reset, or never
//! answered, counts for a while longer. While SYNs are answered by SYN cookies nobody is let in early.
//!
//! Not here: the option in its experimental form (kind 254, RFC 6994), and cookies for each TCP timestamp (5.1.1).

use super::passive::{Early, Finished, InListen};
use super::{ConnId, Slot, Tuple};
use crate::cx::tcp_cx;
use crate::stack::Stack;
use alloc::collections::{BTreeMap, VecDeque};
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use siphasher::sip::SipHasher24;
use synfin_tcp::arrives::syn_received::SynReceived;
use synfin_tcp::call::Open;
use synfin_tcp::fast_open::{FastOpen, Learned, Outcome};
use synfin_tcp::{CloseReason, Event, Instant, Probe, Rule, State, TcpConfig, Trigger, Verdict};
use synfin_wire::tcp::{Cookie, MAX_OPTIONS_LEN};

/// Bits of the setting `fastopen`.
const CLIENT: u16 = 1;
const SERVER: u16 = 2;
const CLIENT_NO_COOKIE: u16 = 4;
const SERVER_NO_COOKIE: u16 = 0x200;
const ALL_LISTENERS: u16 = 0x400;

/// How long a connection that was reset, or not answered, counts as pending. Linux's figure.
//= RFC 7413 5.1 (b)
const COUNTED: Duration = Duration::from_secs(60);

/// How long a way that has failed is not tried again, before it doubles. Linux's figure.
const FIRST_REST: Duration = Duration::from_secs(60);

/// What the host knows of Fast Open.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// The key that was set, and the one before it.
    keys: Option<([u8; 16], Option<[u8; 16]>)>,
    /// By our address and the server's.
    //= RFC 7413 4.1.3 (a) (b)
    servers: BTreeMap<(IpAddr, IpAddr), Server>,
    /// By our address, and the server's with its port.
    //= RFC 7413 4.1.3.1 (a) (b)
    failed: BTreeMap<(IpAddr, SocketAddr), Failed>,
    /// Connections in SYN-RECEIVED by their number, and whose listener they count for.
    pending: BTreeMap<u32, u32>,
}

/// What a server has told.
#[derive(Debug, Clone, Copy)]
struct Server {
    cookie: Cookie,
    /// As it announced it, if it did.
    mss: Option<u16>,
    at: Instant,
}

/// A way on which Fast Open failed.
#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u8,
    until: Instant,
}

/// PendingFastOpenRequests of a listener.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// In SYN-RECEIVED.
    now: usize,
    /// Until when those count that are gone.
    gone: VecDeque<Instant>,
}

/// What a SYN gets.
enum Offer {
    /// What any SYN gets.
    Nothing,
    /// A cookie with the SYN+ACK.
    Cookie,
    /// Its text is taken, and a new cookie given if the one it has grows old.
    Taken(Option<Cookie>),
}

impl Hosts {
    fn server(&self, local: IpAddr, remote: IpAddr) -> Option<Server> {
        self.servers.get(&(local, remote)).copied()
    }

    /// Whether the way may be tried.
    fn may_try(&self, local: IpAddr, remote: SocketAddr, now: Instant) -> bool {
        self.failed.get(&(local, remote)).is_none_or(|f| f.until <= now)
    }

    fn remember(&mut self, ends: (IpAddr, IpAddr), server: Server, limit: usize) {
        make_room(&mut self.servers, &ends, limit, |s| s.at);
        if self.servers.len() < limit || self.servers.contains_key(&ends) {
            self.servers.insert(ends, server);
        }
    }

    /// It has failed once more: each time it rests twice as long, `most` at most.
    fn rest(&mut self, way: (IpAddr, SocketAddr), now: Instant, most: Duration, limit: usize) {
        let times = self.failed.get(&way).map_or(0, |f| f.times).saturating_add(1);
        let rest = FIRST_REST.saturating_mul(1 << times.min(16)).min(most);
        make_room(&mut self.failed, &way, limit, |f| f.until);
        if self.failed.len() < limit || self.failed.contains_key(&way) {
            self.failed.insert(way, Failed { times, until: now + rest });
        }
    }
}

/// If there is no place for one more, the oldest goes.
fn make_room<K: Ord + Copy, V>(map: &mut BTreeMap<K, V>, new: &K, limit: usize, at: impl Fn(&V) -> Instant) {
    if map.len() >= limit
        && !map.contains_key(new)
        && let Some(oldest) = map.iter().min_by_key(|(_, v)| at(v)).map(|(k, _)| *k)
    {
        map.remove(&oldest);
    }
}

impl Pending {
    /// Whether one more is let in.
    //= RFC 7413 4.2 (b)
    //= RFC 7413 5.1 (a)
    fn admits(&mut self, now: Instant, limit: usize) -> bool {
        while self.gone.front().is_some_and(|until| *until <= now) {
            self.gone.pop_front();
        }
        self.now + self.gone.len() < limit
    }

    /// How many count.
    pub(crate) fn len(&self) -> usize {
        self.now + self.gone.len()
    }
}

/// The cookie of two addresses: of the client, and of the server.
//= RFC 7413 4.1.2 (a)
fn cookie_of(key: &[u8; 16], client: IpAddr, server: IpAddr) -> Cookie {
    let mut h = SipHasher24::new_with_key(key);
    for a in [client, server] {
        match a {
            IpAddr::V4(a) => h.write(&a.octets()),
            IpAddr::V6(a) => h.write(&a.octets()),
        }
    }
    Cookie::new(&h.finish().to_le_bytes()).unwrap_or_default()
}

/// How many of a listener may be pending: none if it is no Fast Open server.
//= RFC 7413 4.2 (a)
fn limit_of(cfg: &TcpConfig, backlog: usize) -> usize {
    match (cfg.fastopen & SERVER != 0, cfg.fastopen_queue) {
        (false, _) => 0,
        (true, 0) if cfg.fastopen & ALL_LISTENERS != 0 => backlog,
        (true, n) => usize::from(n),
    }
}

impl Stack {
    /// The key under which cookies are made from now on, and one whose cookies are still taken; who comes with such a one is
    /// given a new one. Machines that serve one address have the same keys.
    //= RFC 7413 4.1.2 (a)
    pub fn set_fast_open_keys(&mut self, key: [u8; 16], previous: Option<[u8; 16]>) {
        self.tcp.fast_open.keys = Some((key, previous));
    }

    /// As [`Stack::set_fast_open_keys`]; the key until now is the previous one.
    pub fn rotate_fast_open_key(&mut self, now: Instant, key: [u8; 16]) {
        let (old, _) = self.fast_open_keys(now);
        self.set_fast_open_keys(key, Some(old));
    }

    fn fast_open_keys(&self, now: Instant) -> ([u8; 16], Option<[u8; 16]>) {
        if let Some(keys) = self.tcp.fast_open.keys {
            return keys;
        }
        let life = self.cfg.fast_open_key_life.as_nanos().max(1) as u64;
        let round = now.as_nanos() / life;
        let key = |round: u64| {
            let mut key = [0; 16];
            for (half, out) in (0u8..).zip(key.chunks_exact_mut(8)) {
                let mut h = SipHasher24::new_with_key(&self.secret);
                h.write(&[b'f', half]);
                h.write_u64(round);
                out.copy_from_slice(&h.finish().to_le_bytes());
            }
            key
        };
        (key(round), round.checked_sub(1).map(key))
    }

    /// The cookie that the SYN+ACK to `tuple` gives.
    pub(crate) fn fast_open_cookie(&self, now: Instant, tuple: &Tuple) -> Cookie {
        cookie_of(&self.fast_open_keys(now).0, tuple.remote.ip(), tuple.local.ip())
    }

    /// What an active open is to try, with `open` of the path. `at_once`: the user calls with text in hand.
    //= RFC 7413 2 (a)
    pub(super) fn try_fast_open(&mut self, now: Instant, i: u32, open: &Open, at_once: bool) {
        let Some(e) = self.tcp.conns.at(i) else { return };
        let (cfg, known) = (&self.configs[e.cfg], &self.tcp.fast_open);
        let Tuple { local, remote } = e.tuple;
        let asked = cfg.fastopen & CLIENT != 0 && (at_once || cfg.fastopen_connect);
        if !asked || !known.may_try(local.ip(), remote, now) {
            return;
        }
        let server = known.server(local.ip(), remote.ip());
        let free = cfg.fastopen & CLIENT_NO_COOKIE != 0 || cfg.fastopen_no_cookie;
        //= RFC 7413 4.2.2 (a): text goes only with a cookie
        let option = if free { None } else { Some(server.map_or(Cookie::REQUEST, |s| s.cookie)) };
        let text = if free || server.is_some() {
            //= RFC 7413 4.1.3 (c) (d)
            let mss = server.and_then(|s| s.mss).unwrap_or(open.default_mss);
            let usual = if remote.is_ipv4() { 1_460 } else { 1_440 };
            mss.min(usual).min(open.mss_limit).saturating_sub(MAX_OPTIONS_LEN as u16)
        } else {
            0
        };
        let waits = text > 0 && !at_once;
        if let Some(e) = self.tcp.conns.at_mut(i) {
            e.conn.fast_open(FastOpen { option, text, waits });
        }
    }

    /// Whether the SYN of a connection waits for its first text, as the setting `fastopen-connect` has it.
    pub fn tcp_waits_for_text(&self, id: ConnId) -> bool {
        self.tcp.conns.get((id.0, id.1)).is_some_and(|e| e.conn.waits_for_text())
    }

    /// After any input to connection `i`, as far as Fast Open has a part in it.
    pub(super) fn after_fast_open(&mut self, now: Instant, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        if let Some(learned) = e.conn.fast_open_learned() {
            let (tuple, cfg) = (e.tuple, e.cfg);
            self.learn_fast_open(now, tuple, cfg, learned);
        }
        if !self.tcp.fast_open.pending.is_empty() {
            self.no_longer_pending(now, i);
        }
    }

    fn learn_fast_open(&mut self, now: Instant, tuple: Tuple, cfg: u16, learned: Learned) {
        let (limit, most) = (self.cfg.max_fast_open, self.configs[cfg].fastopen_blackhole);
        let known = &mut self.tcp.fast_open;
        let (ends, way) = ((tuple.local.ip(), tuple.remote.ip()), (tuple.local.ip(), tuple.remote));
        let Learned { cookie, mss, outcome } = learned;
        //= RFC 7413 4.1.3 (a)
        //= RFC 7413 4.2.2 (f)
        if let Some(cookie) = cookie {
            known.remember(ends, Server { cookie, mss, at: now }, limit);
        } else if let (Some(s), Some(_)) = (known.servers.get_mut(&ends), mss) {
            (s.mss, s.at) = (mss, now);
        }
        match outcome {
            Outcome::Taken => {
                known.failed.remove(&way);
            }
            // With a new cookie it is the old one that was refused, not Fast Open.
            Outcome::Refused if cookie.is_none() => {
                known.servers.remove(&ends);
                known.rest(way, now, most, limit);
            }
            Outcome::Lost => {
                known.rest(way, now, most, limit);
                self.tcp_mib.fast_open_blackhole += u64::from(!most.is_zero());
            }
            Outcome::Answered | Outcome::Refused | Outcome::Nothing => {}
        }
    }

    /// A SYN for a listener with a place in its queues.
    pub(super) fn accept_early<P: Probe>(&mut self, now: Instant, probe: &mut P, syn: &mut InListen<'_>) -> Early {
        match self.fast_open_offer(now, syn) {
            Offer::Nothing => Early::No,
            Offer::Cookie => Early::GivesCookie,
            Offer::Taken(_) if self.tcp.conns.len() >= self.cfg.max_connections => Early::No,
            Offer::Taken(new) => {
                self.take_early(now, probe, syn, new);
                Early::Accepted
            }
        }
    }

    /// What a SYN gets: steps 1 to 3 of RFC 7413 4.2.2, "Server: Receiving SYN".
    //= RFC 7413 4.2.2 (d)
    fn fast_open_offer(&mut self, now: Instant, syn: &InListen<'_>) -> Offer {
        let InListen { seg, tuple, listener, .. } = syn;
        let keys = self.fast_open_keys(now);
        let Some(l) = self.tcp.listeners.at_mut(*listener) else { return Offer::Nothing };
        let cfg = &self.configs[l.cfg];
        let (limit, mib) = (limit_of(cfg, l.backlog), &mut self.tcp_mib);
        let free = cfg.fastopen & SERVER_NO_COOKIE != 0 || cfg.fastopen_no_cookie;
        let asks = seg.opts.fast_open.is_some() || (free && !seg.payload.is_empty());
        // Where the user is asked before the SYN is answered, nobody is let in before that.
        //= RFC 7413 4.2 (a): off, the option means nothing
        if limit == 0 || !asks || l.any {
            return Offer::Nothing;
        }
        let cookie = seg.opts.fast_open.unwrap_or_default();
        mib.fast_open_cookie_reqd += u64::from(seg.opts.fast_open.is_some() && cookie.is_empty());
        if !l.fast_open.admits(now, limit) {
            mib.fast_open_listen_overflow += 1;
            return Offer::Nothing;
        }
        let valid = |key: &[u8; 16]| cookie == cookie_of(key, tuple.remote.ip(), tuple.local.ip());
        if free || valid(&keys.0) {
            return Offer::Taken(None);
        }
        if keys.1.as_ref().is_some_and(valid) {
            mib.fast_open_passive_alt_key += 1;
            return Offer::Taken(Some(cookie_of(&keys.0, tuple.remote.ip(), tuple.local.ip())));
        }
        mib.fast_open_passive_fail += u64::from(!cookie.is_empty());
        Offer::Cookie
    }

    /// The text of a SYN is taken: a connection in SYN-RECEIVED, that can be accepted.
    //= RFC 7413 4.2.2 (d)
    fn take_early<P: Probe>(&mut self, now: Instant, probe: &mut P, syn: &mut InListen<'_>, new: Option<Cookie>) {
        let (listener, link) = (syn.listener, syn.link);
        let Some(l) = self.tcp.listeners.at_mut(listener) else { return };
        l.fast_open.now += 1;
        let cfg = l.cfg;
        let (key, open) = self.passive_open(now, syn, cfg);
        let seg = &mut *syn.seg;
        let (hdr, opts, len) = (seg.hdr, seg.opts, seg.payload.len() as u32);
        let mut nobody = ();
        let mut cx = tcp_cx!(self, cfg, now, &mut nobody);
        let tcb = SynReceived::passive(&mut cx, seg, &open).fast_open(&mut cx, seg);
        self.configs.hold(cfg);
        self.tcp_mib.fast_open_passive += 1;
        let c = self.finished(now, Finished { tcb, key, cfg, link, listener });
        self.tcp.fast_open.pending.insert(c, listener);
        if let (Some(cookie), Some(e)) = (new, self.tcp.conns.at_mut(c)) {
            e.conn.give_cookie(cookie);
        }
        probe.focus(u64::from(Slot::Conn(c).token()));
        probe.event(now, || Event::Moved { from: State::Listen, trigger: Trigger::RcvSyn, to: State::SynReceived });
        let verdict = Verdict::Accepted(Rule::FastOpen);
        probe.event(now, || Event::Arrived { hdr, opts, len, verdict, state: State::SynReceived });
    }

    /// If connection `i` counts as pending and its handshake is over, it counts no more; but if it failed, for a while.
    //= RFC 7413 4.2.2 (g)
    //= RFC 7413 5.1 (b)
    fn no_longer_pending(&mut self, now: Instant, i: u32) {
        let Some(e) = self.tcp.conns.at(i).filter(|e| e.conn.state() != State::SynReceived) else { return };
        let failed = matches!(e.conn.reason(), Some(CloseReason::Reset | CloseReason::TimedOut));
        let Some(listener) = self.tcp.fast_open.pending.remove(&i) else { return };
        let Some(l) = self.tcp.listeners.at_mut(listener) else { return };
        l.fast_open.now -= 1;
        if failed {
            l.fast_open.gone.push_back(now + COUNTED);
        }
    }

    /// A listener is gone: nobody counts for it any more.
    pub(super) fn forget_pending(&mut self, listener: u32) {
        self.tcp.fast_open.pending.retain(|_, l| *l != listener);
    }

    /// Connections that are pending.
    pub(crate) fn fast_open_pending(&self) -> usize {
        self.tcp.fast_open.pending.len()
    }

    pub(crate) fn check_fast_open(&self) {
        for (i, l) in self.tcp.listeners.iter() {
            let here = self.tcp.fast_open.pending.values().filter(|of| **of == i).count();
            assert_eq!(here, l.fast_open.now, "PendingFastOpenRequests is exact");
        }
        for i in self.tcp.fast_open.pending.keys() {
            let state = self.tcp.conns.at(*i).map(|e| e.conn.state());
            assert_eq!(state, Some(State::SynReceived), "who is pending is in SYN-RECEIVED");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(a: &str) -> IpAddr {
        a.parse().unwrap()
    }

    #[test]
    //= RFC 7413 4.1.2 (a)
    fn cookies_are_linuxs_for_a_key_and_two_addresses() {
        // The key that scripts for the kernel set, and the cookies they expect of it.
        let key = [[0xa1; 4], [0xb2; 4], [0xc3; 4], [0xd4; 4]].concat().try_into().unwrap();
        let of = |key, c, s| u64::from_be_bytes(cookie_of(key, ip(c), ip(s)).as_slice().try_into().unwrap());
        assert_eq!(of(&key, "192.0.2.1", "192.168.0.1"), 0x3021_b9d8_8901_7eeb);
        assert_eq!(of(&[0; 16], "192.0.2.1", "192.168.0.1"), 0xb7c1_2350_a90d_c8f5);
        assert_eq!(of(&key, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1"), 0xc1d1_e974_2a47_a9bc);
        assert_ne!(of(&key, "192.0.2.2", "192.168.0.1"), of(&key, "192.0.2.1", "192.168.0.1"), "of one client only");
    }

    #[test]
    //= RFC 7413 4.1.3.1 (b)
    fn a_way_that_fails_rests_longer_each_time_and_both_tables_are_bounded() {
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        let way = |n: u16| (ip("192.0.2.1"), SocketAddr::new(ip("192.0.2.9"), n));
        let most = Duration::from_secs(300);
        let mut h = Hosts::default();
        let tried = |h: &Hosts, n: u16, s: u64| h.may_try(way(n).0, way(n).1, at(s));
        h.rest(way(80), at(0), most, 2);
        assert!(!tried(&h, 80, 119) && tried(&h, 80, 120) && tried(&h, 81, 0), "one port, two minutes");
        h.rest(way(80), at(120), most, 2);
        assert!(!tried(&h, 80, 359) && tried(&h, 80, 360));
        h.rest(way(80), at(360), most, 2);
        assert!(!tried(&h, 80, 659) && tried(&h, 80, 660), "the setting is the most");
        for n in 81..90 {
            h.rest(way(n), at(1_000 + u64::from(n)), most, 2);
            let s = Server { cookie: Cookie::REQUEST, mss: None, at: at(u64::from(n)) };
            h.remember((ip("192.0.2.1"), IpAddr::from([192, 0, 2, n as u8])), s, 2);
        }
        assert_eq!((h.failed.len(), h.servers.len()), (2, 2));
        assert!(tried(&h, 80, 400) && !tried(&h, 89, 1_100), "the oldest went");
        let mut none = Hosts::default();
        none.rest(way(80), at(0), most, 0);
        assert!(none.failed.is_empty(), "no room at all");
        none.rest(way(80), at(0), Duration::ZERO, 2);
        assert!(none.may_try(way(80).0, way(80).1, at(0)), "no rest at all");
    }
}
