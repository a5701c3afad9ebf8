//! All states of two peers: every interleaving of user calls, deliveries, losses, duplicates and timeouts within small
//! bounds (RFC 9293 figure 5 from both ends at once).
//!
//! Each host has a clock of its own, and a timeout may come at any moment, so nothing is assumed of how long anything takes.
//! A state is reached again by making its choices again from the beginning, and known again by a digest. In each state the
//! invariants of both hosts hold and the pair of connection states is possible; and from each state a fair network (nothing
//! is lost any more, everything arrives in order) leads to the end: all octets delivered exactly, both ends closed, nothing
//! left. That excludes deadlocks and livelocks.
//!
//! By default users read at once and close when they have heard all. With a small window, reading is a choice too, so
//! that windows shut and updates get lost; with abrupt endings so are closing at any time, with text unread or unsent, and
//! aborting: then what arrived must still be exact, and everything be given back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::call::ReceiveError;
use synfin_stack::engine::{Chunk, Instant, Rng, State, TcpConfig};
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{
    Cidr, ConnId, LinkConfig, LinkId, ListenerId, RxChecksum, RxFrame, Stack, StackConfig, Tuple, TxFrame,
};

const PORT: u16 = 7;
const CLIENT_PORT: u16 = 50_000;
const START: Instant = Instant::from_nanos(1_000_000_000);
/// What each choice takes.
const INSTANT: Duration = Duration::from_millis(1);
/// Steps of the fair run after which it is taken for endless.
const FAIR_STEPS: usize = 400;

/// How much may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Octets that each end writes, one by one.
    pub octets: [u8; 2],
    /// Packets that are lost.
    pub losses: u8,
    /// Packets that arrive once more.
    pub duplicates: u8,
    /// Timeouts of each end, delayed acknowledgments among them.
    pub timeouts: [u8; 2],
    /// Both open actively.
    pub simultaneous: bool,
    /// Packets may overtake one another.
    pub reordering: bool,
    /// Octets of the receive buffers; then users read when they choose to. 0 leaves them large, and users read at once.
    pub window: u8,
    /// How many users may close whenever they like, or abort.
    pub abrupt: u8,
    /// States after which it is given up.
    pub states: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            octets: [1, 1],
            losses: 1,
            duplicates: 0,
            timeouts: [1, 1],
            simultaneous: false,
            reordering: true,
            window: 0,
            abrupt: 0,
            states: 20_000_000,
        }
    }
}

/// A choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The end writes its next octet.
    Write(u8),
    /// The end closes its direction.
    Shutdown(u8),
    /// The end reads what there is.
    Read(u8),
    /// The end closes, whatever is unread or unsent.
    Close(u8),
    /// The end aborts.
    Abort(u8),
    /// The packet with this place on the wire arrives.
    Deliver(u8),
    /// It is lost.
    Lose(u8),
    /// It arrives, and stays on the wire.
    Duplicate(u8),
    /// The end's next timer runs out.
    Timeout(u8),
}

/// A packet on the wire, in short.
fn brief((to_b, bytes): &(bool, Vec<u8>)) -> String {
    let way = if *to_b { "a > b" } else { "b > a" };
    match TcpPacket::parse(bytes) {
        Ok(Some(p)) => {
            let h = p.header;
            format!("{way} [{}] seq {} ack {} length {}", h.flags, h.seq.0, h.ack.0, p.payload.len())
        }
        _ => format!("{way}, no segment"),
    }
}

impl World {
    fn describe(&self, c: Choice) -> String {
        let end = |e: u8| if e == 0 { 'a' } else { 'b' };
        let packet = |n: u8| self.wire.get(usize::from(n)).map(brief).unwrap_or_default();
        match c {
            Choice::Write(e) => format!("{} writes", end(e)),
            Choice::Shutdown(e) => format!("{} closes its direction", end(e)),
            Choice::Read(e) => format!("{} reads", end(e)),
            Choice::Close(e) => format!("{} closes", end(e)),
            Choice::Abort(e) => format!("{} aborts", end(e)),
            Choice::Deliver(n) => format!("{} arrives", packet(n)),
            Choice::Lose(n) => format!("{} is lost", packet(n)),
            Choice::Duplicate(n) => format!("{} arrives, and stays", packet(n)),
            Choice::Timeout(e) => format!("a timer of {} runs out", end(e)),
        }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Choices made.
    pub choices: usize,
    /// The longest way to a state.
    pub depth: usize,
    /// Different pairs of connection states.
    pub pairs: usize,
    /// All states within the bounds were visited.
    pub complete: bool,
}

/// A state that must not be, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub what: String,
    /// The choices that lead there, and the states of both ends after each.
    pub path: Vec<(String, State, State)>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        let wide = self.path.iter().map(|p| p.0.chars().count()).max().unwrap_or(0);
        self.path
            .iter()
            .enumerate()
            .try_for_each(|(i, (c, a, b))| writeln!(f, "  {:2}. {c:wide$}  {:12} {b}", i + 1, a.to_string()))
    }
}

impl std::error::Error for Violation {}

struct End {
    stack: Stack,
    link: LinkId,
    now: Instant,
    listener: Option<ListenerId>,
    conn: Option<ConnId>,
    /// It has had a connection, and has given it back.
    done: bool,
    wrote: u8,
    shut: bool,
    read: Vec<u8>,
    eof: bool,
    /// The connection ended otherwise than by both having closed.
    broken: bool,
    timeouts: u8,
}

struct World {
    bounds: Bounds,
    ends: [End; 2],
    /// Whether towards b, and the packet.
    wire: VecDeque<(bool, Vec<u8>)>,
    losses: u8,
    duplicates: u8,
    /// Users who closed before they had heard all, or aborted.
    abrupt: u8,
    /// One end waited for 2 MSL.
    waited: bool,
    /// Users read at once.
    greedy: bool,
}

fn address(end: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, end as u8 + 1)
}

/// The octets that an end writes.
fn octet(end: usize, n: u8) -> u8 {
    (end as u8) << 7 | n
}

impl World {
    fn new(bounds: Bounds) -> World {
        // Timestamps would make every moment another state, and so would a window that grows with time.
        let congestion = synfin_stack::engine::snd::congestion::Algorithm::Reno;
        let mut cfg = TcpConfig { timestamps: false, congestion, ..TcpConfig::default() };
        if bounds.window > 0 {
            (cfg.rcv_buf_initial, cfg.rcv_buf_max) = (bounds.window.into(), bounds.window.into());
        }
        let end = |e: usize| {
            let mut stack = Stack::new(StackConfig::default(), cfg.clone(), Rng::from_number(e as u64 + 1));
            let link = stack.add_link(START, LinkConfig::ip(1500));
            stack.add_address(START, link, Cidr { addr: address(e).into(), prefix: 24 });
            End {
                stack,
                link,
                now: START,
                listener: None,
                conn: None,
                done: false,
                wrote: 0,
                shut: false,
                read: Vec::new(),
                eof: false,
                broken: false,
                timeouts: 0,
            }
        };
        let mut w = World {
            bounds,
            ends: [end(0), end(1)],
            wire: VecDeque::new(),
            losses: 0,
            duplicates: 0,
            abrupt: 0,
            waited: false,
            greedy: bounds.window == 0,
        };
        let at = |e: usize, port| SocketAddr::new(IpAddr::V4(address(e)), port);
        let opens = |w: &mut World, e: usize, from, to| {
            let end = &mut w.ends[e];
            end.conn = end.stack.tcp_connect(START, &mut (), Some(from), to, &cfg).ok();
        };
        if bounds.simultaneous {
            opens(&mut w, 0, at(0, CLIENT_PORT), at(1, PORT));
            opens(&mut w, 1, at(1, PORT), at(0, CLIENT_PORT));
        } else {
            w.ends[1].listener = w.ends[1].stack.tcp_listen(START, &mut (), at(1, PORT), 4, &cfg).ok();
            opens(&mut w, 0, at(0, CLIENT_PORT), at(1, PORT));
        }
        w.settle();
        w
    }

    fn tuple(&self, e: usize) -> Tuple {
        let at = |e: usize| SocketAddr::new(IpAddr::V4(address(e)), if e == 0 { CLIENT_PORT } else { PORT });
        Tuple { local: at(e), remote: at(1 - e) }
    }

    fn state(&self, e: usize) -> State {
        let end = &self.ends[e];
        match end.stack.tcp_state_of(self.tuple(e)) {
            // An old duplicate of the SYN found the listener again (RFC 9293 3.5, figure 8): another connection, and the
            // last it will be.
            State::SynReceived if end.done => State::Closed,
            State::Closed if end.listener.is_some() && end.conn.is_none() && !end.done => State::Listen,
            s => s,
        }
    }

    /// The user reads what there is, and hears how the connection ended.
    fn read(&mut self, e: usize) {
        let end = &mut self.ends[e];
        let Some(c) = end.conn else { return };
        let mut buf = [0; 64];
        loop {
            match end.stack.tcp_receive(end.now, &mut (), c, &mut buf) {
                Ok(0) => {
                    end.eof = true;
                    return;
                }
                Ok(n) => end.read.extend_from_slice(&buf[..n]),
                Err(ReceiveError::WouldBlock) => return,
                Err(ReceiveError::Closed(_)) => {
                    end.broken = true;
                    end.stack.tcp_close(end.now, &mut (), c);
                    (end.conn, end.done) = (None, true);
                    return;
                }
            }
        }
    }

    /// Both users accept, read if they are to, and let go of what is over; what wants to leave is on the wire.
    fn settle(&mut self) {
        for e in 0..2 {
            // That nothing more can come is heard without asking.
            let over = self.ends[e].conn.is_some_and(|c| self.ends[e].stack.tcp_state(c) == State::Closed);
            if self.greedy || over {
                self.read(e);
            }
            let end = &mut self.ends[e];
            if let (Some(l), None) = (end.listener, end.conn) {
                end.conn = end.stack.tcp_accept(l);
            }
            if let Some(c) = end.conn
                && end.eof
                && end.shut
            {
                end.stack.tcp_close(end.now, &mut (), c);
                (end.conn, end.done) = (None, true);
            }
            let (now, link, wire) = (end.now, end.link, &mut self.wire);
            let mut sink = |f: &TxFrame<'_>| {
                wire.push_back((e == 0, f.to_vec()));
                true
            };
            while end.stack.poll_frame(now, &mut (), link, &mut sink) {}
            self.waited |= self.state(e) == State::TimeWait;
        }
    }

    /// What may happen now.
    fn choices(&self) -> Vec<Choice> {
        let mut all = Vec::new();
        for (e, end) in self.ends.iter().enumerate() {
            let open = matches!(self.state(e), State::Established | State::CloseWait);
            if end.conn.is_some() && open && !end.shut {
                if end.wrote < self.bounds.octets[e] {
                    all.push(Choice::Write(e as u8));
                } else {
                    all.push(Choice::Shutdown(e as u8));
                }
            }
            if !self.greedy && end.conn.is_some_and(|c| !end.eof && end.stack.tcp_is_readable(c)) {
                all.push(Choice::Read(e as u8));
            }
            if self.abrupt < self.bounds.abrupt && end.conn.is_some() {
                all.extend([Choice::Close(e as u8), Choice::Abort(e as u8)]);
            }
            if end.timeouts < self.bounds.timeouts[e] && end.stack.next_deadline(end.now) != Instant::NEVER {
                all.push(Choice::Timeout(e as u8));
            }
        }
        let mut first = [true, true];
        for (i, (to_b, _)) in self.wire.iter().enumerate() {
            let is_first = std::mem::take(&mut first[usize::from(*to_b)]);
            if self.bounds.reordering || is_first {
                all.push(Choice::Deliver(i as u8));
                if self.duplicates < self.bounds.duplicates {
                    all.push(Choice::Duplicate(i as u8));
                }
            }
            if self.losses < self.bounds.losses {
                all.push(Choice::Lose(i as u8));
            }
        }
        all
    }

    fn write(&mut self, e: usize) {
        let end = &mut self.ends[e];
        if let Some(c) = end.conn
            && end.stack.tcp_send(end.now, &mut (), c, &[octet(e, end.wrote)]).is_ok()
        {
            end.wrote += 1;
        }
    }

    fn shutdown(&mut self, e: usize) {
        let end = &mut self.ends[e];
        if let Some(c) = end.conn {
            end.stack.tcp_shutdown_write(end.now, &mut (), c);
            end.shut = true;
        }
    }

    /// The user goes before it has heard all.
    fn leave(&mut self, e: usize, leave: impl FnOnce(&mut Stack, Instant, ConnId)) {
        let end = &mut self.ends[e];
        if let Some(c) = end.conn.take() {
            leave(&mut end.stack, end.now, c);
            (end.done, end.shut) = (true, true);
            self.abrupt += 1;
        }
    }

    fn deliver(&mut self, to_b: bool, bytes: &[u8]) {
        let end = &mut self.ends[usize::from(to_b)];
        let frame = RxFrame { bytes: Chunk::copy_of(bytes), checksum: RxChecksum::Trusted, gso_size: 0 };
        end.stack.on_frame(end.now, &mut (), end.link, frame);
    }

    fn timeout(&mut self, e: usize) {
        let end = &mut self.ends[e];
        end.now = end.now.max(end.stack.next_deadline(end.now));
        end.stack.on_deadline(end.now, &mut ());
    }

    fn make(&mut self, c: Choice) {
        // A little time passes: initial sequence numbers follow the clock.
        self.ends.iter_mut().for_each(|e| e.now += INSTANT);
        match c {
            Choice::Write(e) => self.write(usize::from(e)),
            Choice::Shutdown(e) => self.shutdown(usize::from(e)),
            Choice::Read(e) => self.read(usize::from(e)),
            Choice::Close(e) => self.leave(usize::from(e), |s, now, c| s.tcp_close(now, &mut (), c)),
            Choice::Abort(e) => self.leave(usize::from(e), |s, now, c| s.tcp_abort(now, &mut (), c)),
            Choice::Deliver(i) => {
                if let Some((to_b, bytes)) = self.wire.remove(usize::from(i)) {
                    self.deliver(to_b, &bytes);
                }
            }
            Choice::Duplicate(i) => {
                if let Some((to_b, bytes)) = self.wire.get(usize::from(i)).cloned() {
                    self.duplicates += 1;
                    self.deliver(to_b, &bytes);
                }
            }
            Choice::Lose(i) => {
                self.wire.remove(usize::from(i));
                self.losses += 1;
            }
            Choice::Timeout(e) => {
                self.ends[usize::from(e)].timeouts += 1;
                self.timeout(usize::from(e));
            }
        }
        self.settle();
    }

    fn digest(&self) -> u64 {
        let mut h = DefaultHasher::new();
        for e in &self.ends {
            e.stack.digest(&mut h);
            (e.conn.is_some(), e.done, e.wrote, e.shut, &e.read, e.eof, e.broken, e.timeouts).hash(&mut h);
            (e.stack.next_deadline(e.now) != Instant::NEVER).hash(&mut h);
        }
        (self.losses, self.duplicates, self.abrupt, self.waited).hash(&mut h);
        if self.bounds.reordering {
            // Their order does not matter if they may overtake one another.
            let mut wire: Vec<_> = self.wire.iter().collect();
            wire.sort();
            wire.hash(&mut h);
        } else {
            for way in [false, true] {
                self.wire.iter().filter(|w| w.0 == way).for_each(|w| w.hash(&mut h));
            }
        }
        h.finish()
    }

    /// What must hold in every state.
    fn check(&self) -> Result<(), String> {
        for e in &self.ends {
            e.stack.check_invariants();
        }
        for e in 0..2 {
            let (reads, of) = (&self.ends[e].read, 1 - e);
            let exact = reads.iter().enumerate().all(|(i, b)| *b == octet(of, i as u8));
            if !exact || reads.len() > usize::from(self.ends[of].wrote) {
                return Err(format!("end {e} has read {reads:?}, the other wrote {}", self.ends[of].wrote));
            }
        }
        let (a, b) = (self.state(0), self.state(1));
        if possible(a, b) && possible(b, a) { Ok(()) } else { Err(format!("{a} beside {b} cannot be")) }
    }

    /// From here on nothing is lost, everything arrives in order, and users do what they have to: does it end well?
    fn ends_well(mut self) -> Result<(), String> {
        self.greedy = true;
        self.settle();
        for _ in 0..FAIR_STEPS {
            if let Some((to_b, bytes)) = self.wire.pop_front() {
                self.deliver(to_b, &bytes);
            } else if let Some(e) = (0..2).find(|e| self.willing(*e)) {
                if self.ends[e].wrote < self.bounds.octets[e] { self.write(e) } else { self.shutdown(e) }
            } else {
                let next = |e: &End| e.stack.next_deadline(e.now);
                let wait = |e: &End| next(e).finite().map_or(u64::MAX, |d| d.since(e.now).as_nanos() as u64);
                let e = usize::from(wait(&self.ends[1]) < wait(&self.ends[0]));
                if next(&self.ends[e]) != Instant::NEVER {
                    self.timeout(e);
                } else if let Some(e) = (0..2).find(|e| self.abrupt > 0 && self.ends[*e].conn.is_some()) {
                    // Its peer went, and the reset was lost: who only waits does not hear of that (RFC 9293 3.5.1), and
                    // goes in the end.
                    self.leave(e, |s, now, c| s.tcp_close(now, &mut (), c));
                } else {
                    return self.over();
                }
            }
            self.settle();
        }
        Err(format!("no end in sight: {} and {}, {} on the wire", self.state(0), self.state(1), self.wire.len()))
    }

    fn willing(&self, e: usize) -> bool {
        let open = matches!(self.state(e), State::Established | State::CloseWait);
        self.ends[e].conn.is_some() && open && !self.ends[e].shut
    }

    fn over(&self) -> Result<(), String> {
        for (e, end) in self.ends.iter().enumerate() {
            let o = end.stack.occupancy();
            // Whoever was left, or never found anyone, may end otherwise; but it ends.
            let all = end.done && end.eof && !end.broken && end.read.len() == usize::from(self.bounds.octets[1 - e]);
            let left = self.abrupt > 0 && end.conn.is_none();
            if !all && !left {
                return Err(format!("end {e} stops in {} after {} octets", self.state(e), end.read.len()));
            }
            if (o.connections, o.half_open, o.time_wait, o.timers, o.index) != (0, 0, 0, 0, 0) {
                return Err(format!("end {e} still holds {o:?}"));
            }
        }
        if self.abrupt == 0 && !self.waited {
            return Err("both have closed, and nobody waited for 2 MSL".into());
        }
        Ok(())
    }
}

/// Whether `a` can be in its state while `b` is in its own: what `a` has heard of `b` must have happened.
fn possible(a: State, b: State) -> bool {
    use State::*;
    let synchronized = !matches!(a, Closed | Listen | SynSent | SynReceived);
    // It has the peer's SYN and the acknowledgment of its own.
    let knows_syn = !synchronized || !matches!(b, Listen | SynSent);
    let has_fin = matches!(a, CloseWait | Closing | LastAck | TimeWait);
    let sent_fin = matches!(b, FinWait1 | FinWait2 | Closing | LastAck | TimeWait | Closed);
    let fin_acked = matches!(a, FinWait2 | TimeWait);
    let got_fin = matches!(b, CloseWait | Closing | LastAck | TimeWait | Closed);
    knows_syn && (!has_fin || sent_fin) && (!fin_acked || got_fin)
}

/// Visits every state within `bounds`; `seen` is told how many there are from time to time.
pub fn explore(bounds: Bounds, mut seen: impl FnMut(usize)) -> Result<Explored, Violation> {
    let reach = |path: &[Choice]| {
        let mut w = World::new(bounds);
        path.iter().for_each(|c| w.make(*c));
        w
    };
    let mut out = Explored { complete: true, ..Explored::default() };
    let (mut known, mut pairs) = (HashSet::new(), HashSet::new());
    let mut frontier: Vec<Vec<Choice>> = vec![Vec::new()];
    known.insert(reach(&[]).digest());
    while let Some(path) = frontier.pop() {
        let wrong = |what: String| {
            let mut w = World::new(bounds);
            let step = |c: &Choice| {
                let words = w.describe(*c);
                w.make(*c);
                (words, w.state(0), w.state(1))
            };
            Violation { what, path: path.iter().map(step).collect() }
        };
        let w = reach(&path);
        w.check().map_err(wrong)?;
        out.states += 1;
        out.depth = out.depth.max(path.len());
        pairs.insert((w.state(0) as u8, w.state(1) as u8));
        let choices = w.choices();
        w.ends_well().map_err(wrong)?;
        if out.states.is_multiple_of(10_000) {
            seen(out.states);
        }
        if out.states >= bounds.states {
            out.complete = false;
            break;
        }
        for c in choices {
            out.choices += 1;
            let mut next = path.clone();
            next.push(c);
            if known.insert(reach(&next).digest()) {
                frontier.push(next);
            }
        }
    }
    out.pairs = pairs.len();
    Ok(out)
}

/// Goes one way through the states: each octet chooses among what may happen (for fuzzers).
pub fn walk(bounds: Bounds, choices: &[u8]) -> Result<(), Violation> {
    let mut w = World::new(bounds);
    let mut path = Vec::new();
    for c in choices {
        let all = w.choices();
        let Some(choice) = all.get(usize::from(*c) % all.len().max(1)) else { break };
        let words = w.describe(*choice);
        w.make(*choice);
        path.push((words, w.state(0), w.state(1)));
        if let Err(what) = w.check() {
            return Err(Violation { what, path });
        }
    }
    w.ends_well().map_err(|what| Violation { what, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(b: Bounds) -> Explored {
        let e = explore(b, |_| {}).unwrap_or_else(|v| panic!("{v}"));
        println!("{b:?}: {e:?}");
        assert!(e.complete);
        e
    }

    #[test]
    fn every_state_of_a_short_conversation_leads_to_its_end() {
        let e = visit(Bounds { octets: [1, 0], ..Bounds::default() });
        assert!(e.states > 500 && e.pairs > 15, "{e:?}");
    }

    #[test]
    fn every_state_with_windows_that_shut_leads_to_its_end() {
        let b = Bounds { octets: [3, 0], window: 1, reordering: false, ..Bounds::default() };
        assert!(visit(b).states > 5_000);
    }

    #[test]
    fn every_state_in_which_one_goes_before_the_end_is_given_back() {
        let b = Bounds { octets: [1, 1], abrupt: 1, reordering: false, ..Bounds::default() };
        let e = visit(b);
        assert!(e.states > 10_000 && e.pairs > 40, "{e:?}");
    }

    #[test]
    fn every_state_with_old_duplicates_leads_to_its_end() {
        let b = Bounds { octets: [1, 0], losses: 0, duplicates: 1, timeouts: [1, 0], ..Bounds::default() };
        assert!(visit(b).states > 5_000);
    }

    #[test]
    fn every_state_of_a_simultaneous_open_leads_to_its_end() {
        let e = visit(Bounds { octets: [0, 0], simultaneous: true, ..Bounds::default() });
        assert!(e.states > 500, "{e:?}");
    }
}
