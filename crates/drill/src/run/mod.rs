//! Plays a script on a host of ours in virtual time, and compares.

mod calls;
mod code;
mod compare;
mod flow;
mod settings;
mod symbols;
mod wire;

pub use compare::Compared;
pub use settings::{IpVersion, Refused, Settings, sysctl};

use crate::host::{Crossed, Host, Sent};
use crate::script::{Action, Call, Packet, Place, Script, TcpSpec, Time, Transport};
use crate::sockets::{Refusal, Sockets, info_fields};
use calls::{Value, Waiting, judge, makes_file};
use code::{Names, Trouble};
use flow::{Flow, Role};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use synfin_stack::Cidr;
use synfin_stack::engine::Instant;
use synfin_stack::wire::tcp::Flags;
use wire::{Body, Seen};

/// How long after its time a packet is waited for: 2 s, as packetdrill does.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a packet is waited for that may come at any time.
const ANY_TIME: Duration = Duration::from_secs(7_200);
/// Ports of the peer, for connections that it opens.
const PEER_PORTS: u16 = 49_152;

/// What went wrong, and all that helps to see why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where in the script.
    pub at: Place,
    /// `FILE:LINE: what`.
    pub headline: String,
    /// The line of the script.
    pub expected: String,
    /// What left instead, as a script would write it.
    pub came: Option<String>,
    /// Field by field, if a packet was compared.
    pub fields: Vec<Compared>,
    /// The state of the connection at that instant.
    pub state: Option<String>,
    /// What the engine did last.
    pub journal: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline)?;
        writeln!(f, "    expected: {}", self.expected)?;
        if let Some(came) = &self.came {
            writeln!(f, "    came:     {came}")?;
        }
        if !self.fields.is_empty() {
            let wide = |g: fn(&Compared) -> &str| self.fields.iter().map(|c| g(c).chars().count()).max().unwrap_or(0);
            let (n, e) = (wide(|c| c.name).max(5), wide(|c| &c.expected).max(8));
            writeln!(f, "      {:n$}  {:e$}  came", "field", "expected")?;
            for c in &self.fields {
                let mark = if c.same { ' ' } else { '*' };
                writeln!(f, "    {mark} {:n$}  {:e$}  {}", c.name, c.expected, c.came)?;
            }
        }
        if let Some(state) = &self.state {
            writeln!(f, "    engine:   {state}")?;
        }
        if !self.journal.is_empty() {
            writeln!(f, "    lately:")?;
            for j in &self.journal {
                writeln!(f, "      {j}")?;
            }
        }
        Ok(())
    }
}

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as it says.
    Pass,
    /// Something was not.
    Fail(Box<Failure>),
    /// It needs what is not there.
    Skip(String),
}

/// A script that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// What became of it.
    pub verdict: Verdict,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
    /// Every packet that crossed the link.
    pub packets: Vec<Crossed>,
}

/// Which checksum of a packet is wrong, if one is.
pub fn bad_checksum(packet: &[u8]) -> Option<&'static str> {
    Seen::parse(packet).ok().and_then(|s| s.bad_checksum)
}

/// Why a run ends early.
enum Stop {
    Fail(Box<Failure>),
    Skip(String),
}

type Step<T = ()> = Result<T, Stop>;

/// Plays `script` with `settings`, which its own options and commands change.
pub fn play(script: &Script, settings: &Settings) -> Played {
    let skip = |why: String| Played { verdict: Verdict::Skip(why), notes: Vec::new(), packets: Vec::new() };
    let mut set = settings.clone();
    for o in &script.options {
        if let Err(why) = set.option(&o.name, o.value.as_deref()) {
            return skip(format!("line {}: {why}", o.at.line));
        }
    }
    let mut failed = None;
    if let Some((at, text)) = &script.init {
        match settings::command(&mut set.tcp, text) {
            Ok(_) => {}
            Err(Refused::Unsupported(what)) => return skip(format!("line {}: {what}", at.line)),
            Err(Refused::Failed(what)) => failed = Some((*at, what)),
        }
    }
    let mut run = Runner::new(script, set);
    let outcome = match failed {
        Some((at, what)) => Err(run.failure(at, what)),
        None => run.run(),
    };
    let verdict = match outcome {
        Ok(()) => Verdict::Pass,
        Err(Stop::Fail(f)) => Verdict::Fail(f),
        Err(Stop::Skip(why)) => Verdict::Skip(why),
    };
    Played { verdict, notes: run.notes, packets: run.host.crossed }
}

struct Runner<'a> {
    script: &'a Script,
    set: Settings,
    host: Host,
    sockets: Sockets,
    flows: Vec<Flow>,
    /// The flow that packets are about.
    under: Option<usize>,
    waiting: Option<Waiting>,
    next_port: u16,
    /// The time of the first event.
    zero: Instant,
    /// The time that the script gave the event before.
    before: Instant,
    names: Names,
    notes: Vec<String>,
}

impl<'a> Runner<'a> {
    fn new(script: &'a Script, set: Settings) -> Runner<'a> {
        let local = set.local();
        let prefix = if local.is_ipv4() { 16 } else { 64 };
        let host = Host::new(&[Cidr { addr: local, prefix }], set.mtu, set.tcp.clone());
        let now = host.now();
        Runner {
            script,
            set,
            host,
            sockets: Sockets::default(),
            flows: Vec::new(),
            under: None,
            waiting: None,
            next_port: PEER_PORTS,
            zero: now,
            before: now,
            names: Names::new(),
            notes: Vec::new(),
        }
    }

    fn run(&mut self) -> Step {
        for i in 0..self.script.events.len() {
            self.event(i)?;
        }
        self.finish_waiting()?;
        let last = self.before;
        let left: Vec<Sent> = self.host.sent().cloned().collect();
        for s in left {
            let Ok(seen) = Seen::parse(&s.bytes) else { continue };
            let Some(flow) = self.flow_of(&seen) else { continue };
            let line = compare::as_script(Some(&self.flows[flow]), &seen);
            // What the last event itself made leave, the script did not wait for; the rest was nobody's.
            if self.set.strict || s.at < last {
                let at = self.script.events.last().map_or(Place::default(), |e| e.at);
                let when = self.time_text(s.at);
                return Err(self.failure(at, format!("a packet was left over: {when} > {line}")));
            }
            self.notes.push(format!("left over: {} > {line}", self.time_text(s.at)));
        }
        Ok(())
    }

    /// Seconds since the first event.
    fn time_text(&self, at: Instant) -> String {
        let us = (at.as_nanos() as i128 - self.zero.as_nanos() as i128) / 1_000;
        format!("{}.{:06}", us / 1_000_000, us.rem_euclid(1_000_000))
    }

    fn failure(&self, at: Place, what: impl Into<String>) -> Stop {
        let status = self.under.and_then(|u| self.flows[u].fd).and_then(|fd| self.sockets.status(&self.host, fd));
        let state = status.map(|s| {
            let f = self.under.map(|u| &self.flows[u]);
            let (local, remote) = f.map_or((0, 0), |f| (f.local_offset(false), f.remote_offset(false)));
            let since = |n: synfin_stack::wire::SeqNum, by: u32| n.0.wrapping_sub(by);
            let (una, nxt, rcv) = s.seq;
            let ssthresh = if s.ssthresh >= 1 << 30 { "none".to_string() } else { s.ssthresh.to_string() };
            format!(
                "{} SND.UNA {} SND.NXT {} SND.WND {} RCV.NXT {} RCV.WND {} cwnd {} ssthresh {ssthresh} rto {} ms back-off {} unsent {} unread {}",
                s.state,
                since(una, local),
                since(nxt, local),
                s.snd_wnd,
                since(rcv, remote),
                s.rcv_wnd,
                s.cwnd,
                s.rto_us / 1_000,
                s.backoff,
                s.notsent,
                s.rcv_queued
            )
        });
        let journal: Vec<String> = self.host.journal().map(str::to_string).collect();
        let journal = journal[journal.len().saturating_sub(8)..].to_vec();
        Stop::Fail(Box::new(Failure {
            at,
            headline: format!("{}:{}: {}", self.script.file, at.line, what.into()),
            expected: self.script.line(at).to_string(),
            came: None,
            fields: Vec::new(),
            state,
            journal,
        }))
    }

    fn skip<T>(&self, at: Place, why: impl fmt::Display) -> Step<T> {
        Err(Stop::Skip(format!("line {}: {why}", at.line)))
    }

    /// The earliest and the latest time of event `i`.
    fn due(&self, i: usize) -> (Instant, Instant) {
        let inbound = |i: usize| matches!(&self.script.events[i].action, Action::Packet(p) if p.inbound);
        let origin = if i > 0 && inbound(i) && inbound(i - 1) { self.before } else { self.host.now() };
        let after = |from: Instant, us: i64| from + Duration::from_micros(us.max(0) as u64);
        match self.script.events[i].time {
            Time::Absolute(t) => (after(self.zero, t), after(self.zero, t)),
            Time::Relative(t) => (after(origin, t), after(origin, t)),
            Time::AbsoluteRange(a, b) => (after(self.zero, a), after(self.zero, b)),
            Time::RelativeRange(a, b) => (after(origin, a), after(origin, b)),
            Time::Any => (self.host.now(), self.host.now() + ANY_TIME),
        }
    }

    /// By how much a time that was expected `gap` after the event before may differ.
    fn tolerance(&self, gap: Duration) -> Duration {
        let percent = gap.as_micros() as f64 * self.set.tolerance_percent / 100.0;
        Duration::from_micros((self.set.tolerance_usecs.max(0) as u64).max(percent as u64))
    }

    fn event(&mut self, i: usize) -> Step {
        let e = &self.script.events[i];
        let (from, to) = self.due(i);
        let origin = self.host.now();
        if i == 0 {
            self.zero = from;
        }
        if from < self.before && matches!(e.time, Time::Absolute(_)) && i > 0 {
            return Err(self.failure(e.at, "the time of this event is before that of the last"));
        }
        if let Action::Packet(p) = &e.action
            && !p.inbound
        {
            let r = self.expect(i, p, from, to);
            // What comes later counts from when the packet was seen, with its own time as the script has it.
            self.before = if e.time == Time::Any { self.host.now() } else { from };
            return match r {
                Err(Stop::Fail(f)) if self.set.non_fatal.0 => {
                    self.notes.push(f.headline);
                    Ok(())
                }
                other => other,
            };
        }
        if matches!(e.action, Action::Call(_)) {
            self.finish_waiting()?;
        }
        self.advance(from)?;
        self.before = from;
        match &e.action {
            Action::Packet(p) => self.inbound(e.at, p),
            Action::Call(call) => {
                let r = self.call(i, call, origin);
                match r {
                    Err(Stop::Fail(f)) if self.set.non_fatal.1 => {
                        self.notes.push(f.headline);
                        Ok(())
                    }
                    other => other,
                }
            }
            Action::Command(text) => match settings::command(&mut self.host.tcp, text) {
                Ok(d) => self.advance(self.host.now() + d),
                Err(Refused::Unsupported(what)) => self.skip(e.at, what),
                Err(Refused::Failed(what)) => Err(self.failure(e.at, what)),
            },
            Action::Code(code) => {
                if let Some(fd) = self.under.and_then(|u| self.flows[u].fd)
                    && let Some(s) = self.sockets.status(&self.host, fd)
                {
                    self.names.set(&info_fields(&s, &self.host.tcp));
                }
                match self.names.run(code) {
                    Ok(()) => Ok(()),
                    Err(Trouble::Unsupported(what)) => self.skip(e.at, what),
                    Err(Trouble::Failed(what)) => Err(self.failure(e.at, format!("this does not hold: {what}"))),
                }
            }
        }
    }

    /// The clock moves to `to`; timers run in order, and the call that waits is looked at after each.
    fn advance(&mut self, to: Instant) -> Step {
        loop {
            let next = self.waiting.as_ref().map_or(Instant::NEVER, |w| w.until).min(to);
            let there = self.host.step(next.max(self.host.now()));
            self.look_at_waiting()?;
            if there && next >= to {
                return Ok(());
            }
        }
    }

    // Calls.

    fn call(&mut self, i: usize, call: &Call, origin: Instant) -> Step {
        let at = self.script.events[i].at;
        let mut w = Waiting { event: i, origin, until: Instant::NEVER, taken: 0, begun: false };
        let got = self.attempt(call, &mut w);
        match got {
            Err(Refusal::Errno(libc::EAGAIN)) if self.may_wait(call) => {
                if call.end.is_none() && w.until == Instant::NEVER {
                    return Err(
                        self.failure(at, format!("{} would wait, and the script does not say until when", call.name))
                    );
                }
                self.waiting = Some(w);
                Ok(())
            }
            got => self.returned(i, call, got, origin),
        }
    }

    /// A call has returned: its result, and the time if the script says when.
    fn returned(&mut self, i: usize, call: &Call, got: Result<Value, Refusal>, origin: Instant) -> Step {
        let e = &self.script.events[i];
        let got = match got {
            Ok(v) => Ok(v),
            Err(Refusal::Errno(n)) => Err(n),
            Err(Refusal::Unsupported(what)) => return self.skip(e.at, what),
        };
        if let (Ok(Value::File), true) = (&got, makes_file(&call.name)) {
            self.accepted(call);
        }
        if let Err(what) = judge(call, got) {
            return Err(self.failure(e.at, format!("{}: {what}", call.name)));
        }
        if let Some(end) = call.end {
            let want = self.end_of(i, origin, end);
            let tolerance = self.tolerance(want.since(self.before));
            let now = self.host.now();
            if now + tolerance < want || now > want + tolerance {
                let (want, now) = (self.time_text(want), self.time_text(now));
                return Err(self.failure(e.at, format!("{} returned at {now}, expected {want}", call.name)));
            }
        }
        Ok(())
    }

    /// When a call is to return: an absolute time, or one with the origin of the event's own.
    fn end_of(&self, event: usize, origin: Instant, end: i64) -> Instant {
        let absolute = matches!(self.script.events[event].time, Time::Absolute(_));
        (if absolute { self.zero } else { origin }) + Duration::from_micros(end.max(0) as u64)
    }

    fn look_at_waiting(&mut self) -> Step {
        let Some(mut w) = self.waiting.take() else { return Ok(()) };
        let Action::Call(call) = &self.script.events[w.event].action else { return Ok(()) };
        match self.attempt(call, &mut w) {
            Err(Refusal::Errno(libc::EAGAIN)) => {
                self.waiting = Some(w);
                Ok(())
            }
            got => self.returned(w.event, call, got, w.origin),
        }
    }

    fn finish_waiting(&mut self) -> Step {
        let Some(w) = &self.waiting else { return Ok(()) };
        let (event, origin) = (w.event, w.origin);
        let at = self.script.events[event].at;
        let Action::Call(call) = &self.script.events[event].action else { return Ok(()) };
        let end = call.end.map_or(w.until, |e| self.end_of(event, origin, e));
        self.advance((end + PATIENCE).max(self.host.now()))?;
        if self.waiting.is_some() {
            return Err(self
                .failure(at, format!("{} still waits, expected it to return at {}", call.name, self.time_text(end))));
        }
        Ok(())
    }

    // Which flow.

    fn began(&mut self, fd: i32, datagrams: bool) {
        let (local, remote) = (SocketAddr::new(self.set.local(), 0), SocketAddr::new(self.set.remote(), 0));
        let role = if datagrams { Role::Datagrams } else { Role::Idle };
        self.flows.push(Flow::new(local, remote, role, Some(fd)));
        self.under = Some(self.flows.len() - 1);
    }

    fn flow_with(&mut self, fd: i32) -> Option<&mut Flow> {
        self.flows.iter_mut().rev().find(|f| f.fd == Some(fd))
    }

    fn bound(&mut self, fd: i32, port: u16) {
        if let Some(f) = self.flow_with(fd) {
            f.local.set_port(port);
        }
    }

    fn listening(&mut self, fd: i32) {
        let (local, _) = self.sockets.names(&self.host, fd);
        if let Some(f) = self.flow_with(fd) {
            f.role = Role::Listening;
            if let Some(l) = local {
                f.local.set_port(l.port());
            }
        }
    }

    fn connecting(&mut self, fd: i32, to: SocketAddr) {
        let (local, _) = self.sockets.names(&self.host, fd);
        let i = self.flows.iter().rposition(|f| f.fd == Some(fd));
        if let Some(f) = i.map(|i| &mut self.flows[i]) {
            f.remote = SocketAddr::new(to.ip().to_canonical(), to.port());
            if let Some(l) = local {
                f.local.set_port(l.port());
            }
            if f.role != Role::Datagrams {
                f.role = Role::Pair;
            }
            self.under = i;
        }
    }

    /// An accepted connection is known by its file from now on.
    fn accepted(&mut self, call: &Call) {
        let Some(new) = call.result.as_ref().and_then(|r| symbols::number(r).ok()) else { return };
        let (_, peer) = self.sockets.names(&self.host, new as i32);
        if let Some(peer) = peer
            && let Some(f) = self.flows.iter_mut().find(|f| f.remote == peer && f.role == Role::Pair)
        {
            f.fd = Some(new as i32);
        }
    }

    fn peer_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(PEER_PORTS);
        self.next_port
    }

    /// The flow that a packet which arrives is for.
    fn flow_for(&mut self, ports: Option<(u16, u16)>) -> usize {
        let (local, remote): (IpAddr, IpAddr) = (self.set.local(), self.set.remote());
        if let Some((src, dst)) = ports {
            let pair = (SocketAddr::new(local, dst), SocketAddr::new(remote, src));
            let found = self.flows.iter().position(|f| (f.local, f.remote) == pair);
            return found.unwrap_or_else(|| {
                self.flows.push(Flow::new(pair.0, pair.1, Role::Pair, None));
                self.flows.len() - 1
            });
        }
        let i = match self.under {
            Some(i) if self.flows[i].role == Role::Listening => {
                let (l, port) = (self.flows[i].local, self.peer_port());
                self.flows.push(Flow::new(l, SocketAddr::new(remote, port), Role::Pair, None));
                self.flows.len() - 1
            }
            Some(i) => i,
            None => {
                let l = SocketAddr::new(local, self.set.bind_port);
                self.flows.push(Flow::new(l, SocketAddr::new(remote, 0), Role::Pair, None));
                self.flows.len() - 1
            }
        };
        if self.flows[i].local.port() == 0 {
            self.flows[i].local.set_port(self.set.bind_port);
        }
        if self.flows[i].remote.port() == 0 {
            let port = self.peer_port();
            self.flows[i].remote.set_port(port);
            if self.flows[i].role == Role::Idle {
                self.flows[i].role = Role::Pair;
            }
        }
        i
    }

    /// The flow that a packet which left belongs to.
    fn flow_of(&self, seen: &Seen) -> Option<usize> {
        if matches!(seen.body, Body::Icmp { .. }) {
            return self.under.filter(|u| self.flows[*u].remote.ip() == seen.dst.ip());
        }
        self.flows.iter().rposition(|f| f.local.port() == seen.src.port() && f.remote == seen.dst)
    }

    // Packets.

    fn inbound(&mut self, at: Place, p: &Packet) -> Step {
        let ports = match &p.transport {
            Transport::Tcp(t) => t.ports,
            Transport::Udp(ports, _) => *ports,
            Transport::Icmp(_) => None,
            Transport::Unsupported(what) => return self.skip(at, what),
        };
        let i = self.flow_for(ports);
        self.under = Some(i);
        let flow = &mut self.flows[i];
        let bytes = match &p.transport {
            Transport::Tcp(t) => {
                if t.flags.has(Flags::SYN) {
                    flow.learn_remote(t.seq);
                }
                wire::segment(p, t, flow, self.set.ecr_scaled)
            }
            Transport::Udp(ports, len) => wire::datagram(p, *ports, *len, flow),
            Transport::Icmp(i) => wire::icmp(p, i, flow),
            Transport::Unsupported(_) => Ok(Vec::new()),
        };
        match bytes {
            Ok(b) => {
                self.host.deliver(&b);
                self.look_at_waiting()
            }
            Err(why) => Err(self.failure(at, why)),
        }
    }

    /// The next packet of a flow of ours that leaves before `limit`. Others are passed over, as packetdrill does.
    fn next_packet(&mut self, at: Place, limit: Instant) -> Step<Option<(Sent, Seen, usize)>> {
        loop {
            while let Some(s) = self.host.take_sent() {
                match Seen::parse(&s.bytes) {
                    Ok(seen) => {
                        if let Some(i) = self.flow_of(&seen) {
                            return Ok(Some((s, seen, i)));
                        }
                    }
                    Err(what) => return Err(self.failure(at, format!("what left is {what}"))),
                }
            }
            if self.host.now() >= limit {
                return Ok(None);
            }
            let next = self.waiting.as_ref().map_or(Instant::NEVER, |w| w.until).min(limit);
            self.host.step(next.max(self.host.now()));
            self.look_at_waiting()?;
        }
    }

    fn expect(&mut self, i: usize, p: &Packet, from: Instant, to: Instant) -> Step {
        let at = self.script.events[i].at;
        if let Transport::Unsupported(what) = &p.transport {
            return self.skip(at, what);
        }
        let limit = if to == Instant::NEVER { to } else { to + PATIENCE };
        let Some((sent, mut seen, flow)) = self.next_packet(at, limit)? else {
            let until = self.time_text(limit);
            return Err(self.failure(at, format!("no packet left until {until}")));
        };
        self.under = Some(flow);
        if let Transport::Tcp(t) = &p.transport {
            self.glue(at, t, &mut seen, flow, limit)?;
        }
        let fields = compare::compare(p, &seen, &mut self.flows[flow], &self.set);
        let any_time = self.script.events[i].time == Time::Any;
        let tolerance = self.tolerance(from.since(self.before));
        let timely = any_time || (sent.at + tolerance >= from && sent.at <= to + tolerance);
        let wrong: Vec<&str> = fields.iter().filter(|c| !c.same).map(|c| c.name).collect();
        if wrong.is_empty() && timely {
            return Ok(());
        }
        let (want, when) = (self.time_text(from), self.time_text(sent.at));
        let what = match (wrong.is_empty(), timely) {
            (true, _) => format!("the packet left at {when}, expected {want}"),
            (false, true) => format!("the packet differs: {}", wrong.join(", ")),
            (false, false) => format!("the packet differs: {}, time ({when}, expected {want})", wrong.join(", ")),
        };
        let Stop::Fail(mut f) = self.failure(at, what) else { return Ok(()) };
        f.came = Some(format!("{when} > {}", compare::as_script(Some(&self.flows[flow]), &seen)));
        f.fields = fields;
        Err(Stop::Fail(f))
    }

    /// Segments that follow one another are taken as the one that the script has: a super-segment, cut on the way.
    fn glue(&mut self, at: Place, want: &TcpSpec, seen: &mut Seen, flow: usize, limit: Instant) -> Step {
        if self.set.strict_segments {
            return Ok(());
        }
        let piece = match &seen.body {
            Body::Tcp { len, .. } if *len > 0 && *len < want.len => *len,
            _ => return Ok(()),
        };
        loop {
            let Body::Tcp { header, len, .. } = &mut seen.body else { return Ok(()) };
            if *len >= want.len {
                return Ok(());
            }
            let loose = Flags::PSH | Flags::FIN | Flags::CWR;
            let Some((sent, next, i)) = self.next_packet(at, limit)? else { return Ok(()) };
            let fits = match &next.body {
                Body::Tcp { header: h, len: l, .. } => {
                    i == flow
                        && h.seq == header.seq + *len
                        && (h.ack, h.window) == (header.ack, header.window)
                        && h.flags.without(loose) == header.flags.without(loose)
                        && *l > 0
                        && *l <= piece
                        && *len % piece == 0
                }
                _ => false,
            };
            if !fits {
                self.host.put_back(sent);
                return Ok(());
            }
            if let Body::Tcp { header: h, len: l, zeros: z, .. } = next.body
                && let Body::Tcp { zeros, .. } = &mut seen.body
            {
                *zeros &= z;
                let Body::Tcp { header, len, .. } = &mut seen.body else { return Ok(()) };
                *len += l;
                header.flags |= h.flags;
            }
            if seen.bad_checksum.is_none() {
                seen.bad_checksum = next.bad_checksum;
            }
        }
    }
}
