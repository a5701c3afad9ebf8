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
mod packets;
mod pending;
mod quote;
mod report;
mod settings;
mod story;
mod sysctls;
mod wire;

pub use commands::Refused;
pub use compare::Compared;
pub use loaded::settle_namespace;
pub use report::{Failure, Played, Verdict};
pub use settings::{IpVersion, MEANINGLESS, Settings};
pub use story::{Told, What};
pub(crate) use sysctls::{fast_open_keys, settings_by_sysctl, sysctl};

use crate::library::Library;
use crate::script::{Action, Place, Script, Time};
use calls::Waiting;
use code::{Names, Trouble};
use commands::{Effect, effects};
use flow::Flows;
use loaded::Loaded;
use machine::{Direct, Machine};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use story::Calls;
use synfin_stack::engine::Instant;
use wire::Seen;

/// How long after its time a packet is waited for: 2 s, as packetdrill does.
const PATIENCE: Duration = Duration::from_secs(2);
/// Options of packetdrill's that mean nothing without a second machine, and what only FreeBSD's has: a script that has one
/// cannot be judged.
const REFUSED: &[&str] = &[
    "wire_client",
    "wire_server",
    "wire_server_ip",
    "wire_server_port",
    "wire_client_dev",
    "wire_server_dev",
    "udp_encapsulation",
    "tcp_md5_secret",
];
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
    let skip = |why: String| Played::without_a_run(Verdict::Skip(why));
    if let Some((at, why)) = &script.unsupported {
        return skip(format!("line {}: {why}", at.line));
    }
    let mut set = settings.clone();
    let mut wrong = None;
    for o in script.options.iter().filter(|o| !settings.fixed.contains(&o.name)) {
        match set.option(&o.name, o.value.as_deref()) {
            Ok(()) => {}
            Err(why) if REFUSED.contains(&o.name.as_str()) => return skip(format!("line {}: {why}", o.at.line)),
            Err(why) => wrong = wrong.or(Some((o.value_at(), why))),
        }
    }
    if let (None, Err((name, why))) = (&wrong, set.check()) {
        // The option of the script that does not fit the others; if none does not, the command line's were checked.
        let blamed = |n: &str| script.options.iter().rfind(|o| o.name == n && !settings.fixed.contains(&o.name));
        let at = blamed(name).or_else(|| blamed("ip_version")).map_or(Place { line: 1, column: 1 }, |o| o.value_at());
        wrong = Some((at, why));
    }
    // What is wrong here would be wrong in the machine too, and one in a library may end the whole program for it.
    if let Some((at, why)) = wrong {
        return Played::without_a_run(Verdict::Fail(Box::new(Failure::mistake(script.mistake(at, why)))));
    }
    if script.options.iter().any(|o| o.name == "dry_run") {
        return skip("dry run: read, not played".into());
    }
    let machine = match machine(&set) {
        Ok(m) => m,
        Err(why) => return skip(why),
    };
    let mut run = Runner::new(script, set, machine);
    let verdict = match run.run() {
        Ok(()) => Verdict::Pass,
        Err(Stop::Fail(f)) => Verdict::Fail(f),
        Err(Stop::Skip(why)) => Verdict::Skip(why),
    };
    let packets = run.machine.crossed();
    let story = run.calls.with_packets(&packets, &run.flows);
    Played { verdict, packets, story, notes: run.notes }
}

struct Runner<'a> {
    script: &'a Script,
    set: Settings,
    machine: Box<dyn Machine>,
    flows: Flows,
    waiting: Option<Waiting>,
    /// The files whose addresses are IPv6's.
    ipv6_files: BTreeSet<i32>,
    /// The time of the first event.
    zero: Instant,
    /// The time that the script gave the event before.
    before: Instant,
    names: Names,
    notes: Vec<String>,
    calls: Calls,
    /// When the packet left that was taken last.
    last_taken: Option<Instant>,
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
            ipv6_files: BTreeSet::new(),
            zero: now,
            before: now,
            names: Names::new(),
            notes: Vec::new(),
            calls: Calls::default(),
            last_taken: None,
        }
    }

    fn run(&mut self) -> Step {
        for text in self.set.init_scripts.clone() {
            self.command(Place { line: 1, column: 1 }, &text)?;
        }
        if let Some((at, text)) = &self.script.init {
            self.command(*at, text)?;
        }
        for i in 0..self.script.events.len() {
            self.event(i)?;
        }
        self.finish_waiting()?;
        for (s, before) in self.machine.left_over() {
            let line = match Seen::parse(&s.bytes) {
                Ok(seen) => match self.flows.of_departure(&seen) {
                    Some(flow) => compare::as_script(Some(self.flows.get(flow)), &seen),
                    None => continue,
                },
                // Whose it is cannot be known, and no event could have taken it.
                Err(what) => what,
            };
            // The script could still have waited for what left before its last event began. What that event itself made
            // leave it may leave to others, as packetdrill does, which ends there; so it may the rest of a
            // burst of which that event took the beginning.
            let of_burst = self.last_taken == Some(s.at);
            if self.set.strict || before && !of_burst {
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
        let state = self.flows.current().and_then(|f| self.machine.describe(f));
        let journal = self.machine.journal();
        Stop::Fail(Box::new(Failure {
            at,
            headline: format!("{}:{}: {}", self.script.file, at.line, what.into()),
            mistake: None,
            expected: self.script.line(at).to_string(),
            came: None,
            fields: Vec::new(),
            state,
            journal: journal[journal.len().saturating_sub(8)..].to_vec(),
        }))
    }

    /// The script itself is wrong.
    fn mistake(&self, at: Place, what: impl Into<String>) -> Stop {
        Stop::Fail(Box::new(Failure::mistake(self.script.mistake(at, what))))
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

    /// The last event that does something to the stack, or waits for what it does: code and commands only look.
    fn last_that_acts(&self) -> usize {
        let acts = |a: &Action| matches!(a, Action::Packet(_) | Action::Call(_));
        self.script.events.iter().rposition(|e| acts(&e.action)).unwrap_or(0)
    }

    fn event(&mut self, i: usize) -> Step {
        let e = &self.script.events[i];
        let (from, to) = self.due(i);
        let origin = self.machine.now();
        if i == 0 {
            self.zero = from;
        }
        if from == Instant::NEVER {
            return Err(self.mistake(e.at, "the time of this event is too far away"));
        }
        if from < self.before && matches!(e.time, Time::Absolute(_)) && i > 0 {
            return Err(self.mistake(e.at, "the time of this event is before that of the last"));
        }
        let is_last = i == self.last_that_acts();
        if let Action::Packet(p) = &e.action
            && !p.inbound
        {
            if is_last {
                self.machine.mark();
            }
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
        if is_last {
            self.machine.mark();
            self.last_taken = None;
        }
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
}
