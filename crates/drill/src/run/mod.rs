//! Plays a script in virtual time, and compares.

mod arguments;
mod calls;
mod code;
mod commands;
mod compare;
mod flow;
mod judge;
mod loaded;
mod machine;
mod report;
mod settings;
mod wire;

pub use commands::{Refused, sysctl};
pub use compare::Compared;
pub use report::{Failure, Played, Verdict};
pub use settings::{IpVersion, Settings};

use crate::host::Sent;
use crate::library::Library;
use crate::script::{Action, Packet, Place, Script, TcpSpec, Time, Transport};
use calls::Waiting;
use code::{Names, Trouble};
use commands::{Effect, effects};
use flow::Flows;
use loaded::Loaded;
use machine::{Direct, Machine};
use std::fmt;
use std::time::Duration;
use synfin_stack::engine::Instant;
use synfin_stack::wire::tcp::Flags;
use wire::{Body, Seen};

/// How long after its time a packet is waited for: 2 s, as packetdrill does.
const PATIENCE: Duration = Duration::from_secs(2);
/// Options of packetdrill's that mean nothing without a second machine: a script that has one cannot be judged.
const REFUSED: &[&str] =
    &["wire_client", "wire_server", "wire_server_ip", "wire_server_port", "wire_client_dev", "wire_server_dev"];
/// How long a packet is waited for that may come at any time.
const ANY_TIME: Duration = Duration::from_secs(7_200);
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

/// Plays `script` on the engine with `settings`, which its own options and commands change.
pub fn play(script: &Script, settings: &Settings) -> Played {
    play_on(script, settings, |set| Ok(Box::new(Direct::new(set))))
}

/// Plays `script` on the stack of `library`, which reads what sysctls say from its network namespace: that of this
/// thread, which should be one of its own.
pub fn play_loaded(script: &Script, settings: &Settings, library: &Library) -> Played {
    play_on(script, settings, |set| Ok(Box::new(Loaded::new(library, set)?)))
}

fn play_on(
    script: &Script,
    settings: &Settings,
    machine: impl FnOnce(&Settings) -> Result<Box<dyn Machine>, String>,
) -> Played {
    let skip = |why: String| Played { verdict: Verdict::Skip(why), notes: Vec::new(), packets: Vec::new() };
    let mut set = settings.clone();
    let mut wrong = None;
    for o in script.options.iter().filter(|o| !settings.fixed.contains(&o.name)) {
        match set.option(&o.name, o.value.as_deref()) {
            Ok(()) => {}
            Err(why) if REFUSED.contains(&o.name.as_str()) => return skip(format!("line {}: {why}", o.at.line)),
            Err(why) => wrong = wrong.or(Some((o.at, why))),
        }
    }
    let machine = match machine(&set) {
        Ok(m) => m,
        Err(why) => return skip(why),
    };
    let mut run = Runner::new(script, set, machine);
    let outcome = match wrong {
        Some((at, why)) => Err(run.failure(at, why)),
        None => run.run(),
    };
    let verdict = match outcome {
        Ok(()) => Verdict::Pass,
        Err(Stop::Fail(f)) => Verdict::Fail(f),
        Err(Stop::Skip(why)) => Verdict::Skip(why),
    };
    Played { verdict, packets: run.machine.crossed(), notes: run.notes }
}

struct Runner<'a> {
    script: &'a Script,
    set: Settings,
    machine: Box<dyn Machine>,
    flows: Flows,
    waiting: Option<Waiting>,
    /// The time of the first event.
    zero: Instant,
    /// The time that the script gave the event before.
    before: Instant,
    names: Names,
    notes: Vec<String>,
}

impl<'a> Runner<'a> {
    fn new(script: &'a Script, set: Settings, machine: Box<dyn Machine>) -> Runner<'a> {
        let now = machine.now();
        Runner {
            script,
            flows: Flows::new(&set),
            set,
            machine,
            waiting: None,
            zero: now,
            before: now,
            names: Names::new(),
            notes: Vec::new(),
        }
    }

    fn run(&mut self) -> Step {
        if let Some((at, text)) = &self.script.init {
            self.command(*at, text)?;
        }
        for i in 0..self.script.events.len() {
            self.event(i)?;
        }
        self.finish_waiting()?;
        let last = self.before;
        for s in self.machine.left_over() {
            let Ok(seen) = Seen::parse(&s.bytes) else { continue };
            let Some(flow) = self.flows.of_departure(&seen) else { continue };
            let line = compare::as_script(Some(self.flows.get(flow)), &seen);
            // What the last event itself made leave, the script did not wait for; the rest was nobody's.
            if self.set.strict || s.at + self.machine.grain() < last {
                let at = self.script.events.last().map_or(Place::default(), |e| e.at);
                let when = self.time_text(s.at);
                return Err(self.failure(at, format!("a packet was left over: {when} > {line}")));
            }
            self.notes.push(format!("left over: {} > {line}", self.time_text(s.at)));
        }
        match &self.script.cleanup {
            Some((at, text)) => self.command(*at, text),
            None => Ok(()),
        }
    }

    /// Seconds since the first event.
    fn time_text(&self, at: Instant) -> String {
        let us = (at.as_nanos() as i128 - self.zero.as_nanos() as i128) / 1_000;
        format!("{}.{:06}", us / 1_000_000, us.rem_euclid(1_000_000))
    }

    fn failure(&mut self, at: Place, what: impl Into<String>) -> Stop {
        let state = self.flows.current().and_then(|f| self.machine.describe(f.fd?, f));
        let journal = self.machine.journal();
        Stop::Fail(Box::new(Failure {
            at,
            headline: format!("{}:{}: {}", self.script.file, at.line, what.into()),
            expected: self.script.line(at).to_string(),
            came: None,
            fields: Vec::new(),
            state,
            journal: journal[journal.len().saturating_sub(8)..].to_vec(),
        }))
    }

    fn skip<T>(&self, at: Place, why: impl fmt::Display) -> Step<T> {
        Err(Stop::Skip(format!("line {}: {why}", at.line)))
    }

    /// The earliest and the latest time of event `i`.
    fn due(&self, i: usize) -> (Instant, Instant) {
        let inbound = |i: usize| matches!(&self.script.events[i].action, Action::Packet(p) if p.inbound);
        let origin = if i > 0 && inbound(i) && inbound(i - 1) { self.before } else { self.machine.now() };
        let after = |from: Instant, us: i64| from + Duration::from_micros(us.max(0) as u64);
        match self.script.events[i].time {
            Time::Absolute(t) => (after(self.zero, t), after(self.zero, t)),
            Time::Relative(t) => (after(origin, t), after(origin, t)),
            Time::AbsoluteRange(a, b) => (after(self.zero, a), after(self.zero, b)),
            Time::RelativeRange(a, b) => (after(origin, a), after(origin, b)),
            Time::Any => (self.machine.now(), self.machine.now() + ANY_TIME),
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
        let origin = self.machine.now();
        if i == 0 {
            self.zero = from;
        }
        if from == Instant::NEVER {
            return Err(self.failure(e.at, "the time of this event is too far away"));
        }
        if from < self.before && matches!(e.time, Time::Absolute(_)) && i > 0 {
            return Err(self.failure(e.at, "the time of this event is before that of the last"));
        }
        if let Action::Packet(p) = &e.action
            && !p.inbound
        {
            let r = self.expect(i, p, from, to);
            // What comes later counts from when the packet was seen, with its own time as the script has it.
            self.before = if e.time == Time::Any { self.machine.now() } else { from };
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
                    // What was left waiting would answer the next call.
                    Err(Stop::Fail(f)) if self.set.non_fatal.1 && !self.machine.is_stuck() => {
                        self.notes.push(f.headline);
                        Ok(())
                    }
                    other => other,
                }
            }
            Action::Command(text) => self.command(e.at, text),
            Action::Code(code) => self.code(e.at, code),
        }
    }

    /// A shell command, as far as it concerns the stack.
    fn command(&mut self, at: Place, text: &str) -> Step {
        let all = match effects(text) {
            Ok(all) => all,
            Err(refused) => return self.refused(at, refused),
        };
        for e in all {
            let obeyed = match e {
                Effect::Sysctl(key, value) => self.machine.sysctl(&key, &value),
                Effect::LikeLinux => {
                    self.machine.like_linux();
                    Ok(())
                }
                Effect::Sleep(d) => {
                    self.advance(self.machine.now() + d)?;
                    Ok(())
                }
            };
            if let Err(refused) = obeyed {
                return self.refused(at, refused);
            }
        }
        Ok(())
    }

    fn refused(&mut self, at: Place, why: Refused) -> Step {
        match why {
            Refused::Unsupported(what) => self.skip(at, what),
            Refused::Failed(what) => Err(self.failure(at, what)),
        }
    }

    /// Assertions on the connection that is meant.
    fn code(&mut self, at: Place, code: &str) -> Step {
        let fd = self.flows.current().and_then(|f| f.fd);
        let info = fd.and_then(|fd| self.machine.info(fd)).unwrap_or_default();
        self.names.set(&info);
        match self.names.run(code) {
            Ok(()) => Ok(()),
            Err(Trouble::Unsupported(what)) => self.skip(at, what),
            Err(Trouble::Failed(what)) => Err(self.failure(at, format!("this does not hold: {what}"))),
        }
    }

    /// The clock moves to `to`; timers run in order, and the call that waits is looked at after each.
    fn advance(&mut self, to: Instant) -> Step {
        loop {
            let next = self.waiting.as_ref().map_or(Instant::NEVER, |w| w.until).min(to);
            let there = self.machine.step(next);
            self.look_at_waiting()?;
            if there && next >= to {
                return Ok(());
            }
        }
    }

    // Packets.

    fn inbound(&mut self, at: Place, p: &Packet) -> Step {
        let ports = match &p.transport {
            Transport::Tcp(t) => t.ports,
            Transport::Udp(ports, _) => *ports,
            Transport::Icmp(_) => None,
            Transport::Unsupported(what) => return self.skip(at, what),
        };
        let i = self.flows.for_arrival(ports);
        let flow = self.flows.mean(i);
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
                self.machine.deliver(&b);
                self.look_at_waiting()
            }
            Err(why) => Err(self.failure(at, why)),
        }
    }

    /// The next packet of a flow of ours that leaves before `limit`. Others are passed over, as packetdrill does.
    fn next_packet(&mut self, at: Place, limit: Instant) -> Step<Option<(Sent, Seen, usize)>> {
        loop {
            let late = self.machine.now() >= limit;
            let until = self.waiting.as_ref().map_or(limit, |w| w.until.min(limit));
            match self.machine.next_sent(until) {
                Some(s) => match Seen::parse(&s.bytes) {
                    Ok(seen) => {
                        if let Some(i) = self.flows.of_departure(&seen) {
                            return Ok(Some((s, seen, i)));
                        }
                    }
                    Err(what) => return Err(self.failure(at, format!("what left is {what}"))),
                },
                None if late => return Ok(None),
                None => self.look_at_waiting()?,
            }
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
        self.flows.mean(flow);
        if let Transport::Tcp(t) = &p.transport {
            self.glue(at, t, &sent, &mut seen, flow, limit)?;
        }
        let fields = compare::compare(p, &seen, self.flows.mean(flow), &self.set);
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
        f.came = Some(format!("{when} > {}", compare::as_script(Some(self.flows.get(flow)), &seen)));
        f.fields = fields;
        Err(Stop::Fail(f))
    }

    /// Segments that follow one another are taken as the one that the script has: a super-segment, cut on the way.
    /// What differs in more than text and its number, or leaves later, is a packet of its own.
    fn glue(&mut self, at: Place, want: &TcpSpec, first: &Sent, seen: &mut Seen, flow: usize, limit: Instant) -> Step {
        if self.set.strict_segments {
            return Ok(());
        }
        let piece = match &seen.body {
            Body::Tcp { len, .. } if *len > 0 && *len < want.len => *len,
            _ => return Ok(()),
        };
        loop {
            let Body::Tcp { len, .. } = &seen.body else { return Ok(()) };
            if *len >= want.len {
                return Ok(());
            }
            let loose = Flags::PSH | Flags::FIN | Flags::CWR;
            let Some((sent, next, i)) = self.next_packet(at, limit)? else { return Ok(()) };
            let same_ip = (next.tos, next.ttl, next.flow_label, next.dont_fragment)
                == (seen.tos, seen.ttl, seen.flow_label, seen.dont_fragment);
            let at_once = sent.at <= first.at + self.tolerance(Duration::ZERO);
            let Body::Tcp { header, len, options, rest, .. } = &seen.body else { return Ok(()) };
            let fits = match &next.body {
                Body::Tcp { header: h, len: l, options: o, rest: r, .. } => {
                    i == flow
                        && same_ip
                        && at_once
                        && (o, r) == (options, rest)
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
                self.machine.put_back(sent);
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
