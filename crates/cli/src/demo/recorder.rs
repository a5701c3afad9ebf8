//! Sees every packet and every event of our stack, and makes a report of them: lines, states of both ends, words.

use super::{now, pause};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synfin::{PacketLog, Sniffed};
use synfin_tcp::{Event, Instant, Observer, Rule, State, Verdict};
use synfin_trace::infer::{Correction, Ends, Narrator};
use synfin_trace::render::line::{Lines, label};
use synfin_trace::{Entry, Report, Step};
use synfin_wire::ethernet;
use synfin_wire::frame::TcpPacket;
use synfin_wire::tcp::Flags;

/// Whether a segment is to be lost: whether it goes out of our host, and the segment.
pub(crate) type Lose = Box<dyn FnMut(bool, &TcpPacket<'_>) -> bool + Send>;

/// A shared recording.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Recording>>);

struct Conversation {
    narrator: Narrator,
    ends: Ends,
    client: SocketAddr,
}

struct Recording {
    lines: Lines,
    report: Report,
    /// When the first thing happened, on the host's clock.
    start: Option<Instant>,
    clock: std::time::Instant,
    conversations: HashMap<[SocketAddr; 2], Conversation>,
    /// Our addresses; everything else is the other end's.
    ours: Vec<IpAddr>,
    listening: Vec<u16>,
    lose: Option<Lose>,
    /// With the entry of each that is a segment.
    packets: Vec<(Duration, Vec<u8>, Option<usize>)>,
    /// What the entry of each segment does not say.
    json: Vec<(usize, Value)>,
    /// The entry whose state on our side the next event of the stack tells, and whether that is the left column.
    pending: Option<(usize, bool, [SocketAddr; 2])>,
    disagreements: usize,
    ethernet: bool,
}

impl Recorder {
    pub fn new(absolute: bool) -> Recorder {
        Recorder(Arc::new(Mutex::new(Recording {
            lines: Lines::new(absolute),
            report: Report { left: "client".into(), right: "server".into(), entries: Vec::new() },
            start: None,
            clock: now(),
            conversations: HashMap::new(),
            ours: Vec::new(),
            listening: Vec::new(),
            lose: None,
            packets: Vec::new(),
            json: Vec::new(),
            pending: None,
            disagreements: 0,
            ethernet: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which addresses are ours, and whether packets come with Ethernet headers.
    pub fn set_ours(&self, ours: &[IpAddr], ethernet: bool) {
        let mut r = self.lock();
        r.ours = ours.to_vec();
        r.ethernet = ethernet;
    }

    /// A server listens on this port (else it is taken for closed).
    pub fn listening(&self, port: u16) {
        self.lock().listening.push(port);
    }

    /// Loses what `lose` names from now on.
    pub fn lose(&self, lose: Option<Lose>) {
        self.lock().lose = lose;
    }

    /// A program did something.
    pub fn program(&self, client: bool, what: &str) {
        let mut r = self.lock();
        let at = r.elapsed();
        r.report.entries.push(Entry { at, step: Step::Program { left: client, what: what.into() } });
    }

    /// A remark.
    pub fn remark(&self, words: impl Into<String>) {
        let mut r = self.lock();
        let at = r.elapsed();
        r.report.entries.push(Entry { at, step: Step::Remark(words.into()) });
    }

    /// A packet in virtual time: since the beginning, whether it goes out, whether it is lost.
    pub fn feed(&self, at: Duration, out: bool, bytes: &[u8], lost: bool) {
        self.lock().packet(at, out, bytes, Some(lost));
    }

    /// A remark in virtual time.
    pub fn remark_at(&self, at: Duration, words: impl Into<String>) {
        self.lock().report.entries.push(Entry { at, step: Step::Remark(words.into()) });
    }

    /// How many segments have been seen of which this holds: what they mean, and whether they were lost.
    pub fn count(&self, holds: impl Fn(&str, bool) -> bool) -> usize {
        let segment = |e: &&Entry| matches!(&e.step, Step::Segment { words, lost, .. } if holds(words, *lost));
        self.lock().report.entries.iter().filter(segment).count()
    }

    /// Whether a segment that was not lost means this.
    pub fn tells(&self, meaning: &str) -> bool {
        self.count(|words, lost| !lost && words.contains(meaning)) > 0
    }

    /// The entries from number `from` on that will not change any more; `over`: none will. The last segment's state on our
    /// side is still to be told, unless that has not been done for long.
    pub fn settled(&self, from: usize, over: bool) -> Vec<Entry> {
        let r = self.lock();
        let open = r.pending.filter(|p| !over && r.elapsed().saturating_sub(r.report.entries[p.0].at) < TELLS_WITHIN);
        r.report.entries[from..open.map_or(r.report.entries.len(), |p| p.0.max(from))].to_vec()
    }

    pub fn report(&self) -> Report {
        self.lock().report.clone()
    }

    pub fn packets(&self) -> Vec<(Duration, Vec<u8>, Option<String>)> {
        let r = self.lock();
        let comment = |entry: &usize| match &r.report.entries[*entry].step {
            Step::Segment { states, words, lost, .. } => Some(comment(*states, words, *lost)),
            _ => None,
        };
        r.packets.iter().map(|(at, bytes, entry)| (*at, bytes.clone(), entry.as_ref().and_then(comment))).collect()
    }

    pub fn disagreements(&self) -> usize {
        self.lock().disagreements
    }

    /// One object per segment.
    pub fn json(&self, scene: &str) -> Vec<Value> {
        let r = self.lock();
        let said = |(entry, o): &(usize, Value)| {
            let mut o = o.clone();
            o["scene"] = json!(scene);
            if let Step::Segment { rightwards, states: (client, server), words, .. } = &r.report.entries[*entry].step {
                let (src, dst) = if *rightwards { (client, server) } else { (server, client) };
                (o["src_state"], o["dst_state"], o["note"]) = (json!(src.name()), json!(dst.name()), json!(words));
            }
            o
        };
        r.json.iter().map(said).collect()
    }

    /// The kernel's end of every conversation: where it is, what is shown, what the kernel says.
    fn compare(&self) -> Vec<(SocketAddr, State, State)> {
        let table = kernel_table();
        let mut r = self.lock();
        let Recording { conversations, ours, .. } = &mut *r;
        let mut said: Vec<_> = conversations
            .iter_mut()
            .map(|(key, c)| {
                let client = !ours.contains(&c.client.ip());
                let theirs = if client { c.client } else { other(key, c.client) };
                let kernel = table.get(&(theirs, other(key, theirs))).copied().unwrap_or(State::Closed);
                (theirs, c.ends.confirm(client, kernel), kernel)
            })
            .collect();
        said.sort_by_key(|s| s.0);
        said
    }

    /// Holds what the kernel says of a socket (`TCP_INFO`) against what is shown, and remarks it.
    pub fn check_socket(&self, says: impl Fn() -> Option<(SocketAddr, SocketAddr, u8)>) {
        for attempt in 0..=40 {
            let Some((end, peer, number)) = says() else { return };
            let Some(kernel) = state_of_number(number) else { return };
            let mut r = self.lock();
            let mut key = [end, peer];
            key.sort();
            let Some(c) = r.conversations.get_mut(&key) else { return };
            let on_line = c.ends.shown(end == c.client);
            let shown = c.ends.confirm(end == c.client, kernel);
            if agrees(shown, kernel) || attempt == 40 {
                let at = r.elapsed();
                let verdict = match (agrees(on_line, kernel), agrees(shown, kernel)) {
                    (true, _) => "as shown".to_string(),
                    (false, true) => "what was under way has arrived".to_string(),
                    (false, false) => format!("but {shown} is shown"),
                };
                r.disagreements += usize::from(!agrees(on_line, kernel) && !agrees(shown, kernel));
                let step = Step::Remark(format!("TCP_INFO of {end}: {kernel}, {verdict}"));
                r.report.entries.push(Entry { at, step });
                return;
            }
            drop(r);
            pause(25);
        }
    }

    /// Holds what the kernel says of its end (`/proc/net/tcp`) against what is shown, for every conversation, and remarks it.
    /// Segments may still be on their way: only what does not come to agree within a second is a disagreement.
    pub fn check_kernel(&self) {
        let mut said = self.compare();
        for _ in 0..40 {
            if said.iter().all(|(_, shown, kernel)| agrees(*shown, *kernel)) {
                break;
            }
            pause(25);
            said = self.compare();
        }
        let mut r = self.lock();
        for (end, shown, kernel) in said {
            let at = r.elapsed();
            let words = if agrees(shown, kernel) {
                format!("the kernel says of its end {end}: {kernel}, as shown")
            } else {
                r.disagreements += 1;
                format!("the kernel says of its end {end}: {kernel}, but {shown} is shown")
            };
            r.report.entries.push(Entry { at, step: Step::Remark(words) });
        }
    }
}

/// How long the stack may take to tell the state after a segment: it does so under the same lock.
const TELLS_WITHIN: Duration = Duration::from_millis(500);

/// Whether the kernel's state is the one that is shown. A listener is no connection: the kernel has no row for it under the
/// four-tuple.
fn agrees(shown: State, kernel: State) -> bool {
    shown == kernel || (shown == State::Listen && kernel == State::Closed)
}

fn other(key: &[SocketAddr; 2], a: SocketAddr) -> SocketAddr {
    if key[0] == a { key[1] } else { key[0] }
}

impl Recording {
    fn elapsed(&self) -> Duration {
        now().duration_since(self.clock)
    }

    /// Takes a packet in; true if it may pass.
    fn packet(&mut self, at: Duration, out: bool, bytes: &[u8], fate: Option<bool>) -> bool {
        self.pending = None;
        let ip = if self.ethernet { bytes.get(ethernet::HEADER_LEN..).unwrap_or_default() } else { bytes };
        let Ok(Some(p)) = TcpPacket::parse(ip) else {
            self.packets.push((at, ip.to_vec(), None));
            return true;
        };
        let lost = fate.unwrap_or_else(|| self.lose.as_mut().is_some_and(|l| l(out, &p)));
        let (src, dst) = (p.src(), p.dst());
        let mut key = [src, dst];
        key.sort();
        let (h, len) = (&p.header, p.payload.len() as u32);
        let opens = h.flags.has(Flags::SYN) && !h.flags.has(Flags::ACK);
        let over = |c: &Conversation| {
            let quiet = |client| matches!(c.ends.arrived(client), State::Closed | State::Listen | State::TimeWait);
            quiet(true) && quiet(false)
        };
        if self.conversations.get(&key).is_none_or(|c| opens && over(c)) {
            let server = if self.listening.contains(&dst.port()) { State::Listen } else { State::Closed };
            let (narrator, ends) = (Narrator::default(), Ends::new(server));
            self.conversations.insert(key, Conversation { narrator, ends, client: src });
        }
        let Some(c) = self.conversations.get_mut(&key) else { return !lost };
        let from_client = src == c.client;
        let entry = self.report.entries.len();
        let shown = c.ends.segment(entry, from_client, h, len, lost);
        let mut words = c.narrator.tell(from_client, h, len, lost);
        if let Some(by) = shown.passed {
            words = format!("{words}; this end went by {by}");
        }
        let line = self.lines.line(&p);
        let step = Step::Segment {
            rightwards: from_client,
            label: label(&p, &line),
            line,
            states: shown.states,
            words,
            lost,
            ends: (src, dst),
        };
        self.report.entries.push(Entry { at, step });
        let ours_is_client = self.ours.contains(&c.client.ip());
        if let Some(c) = shown.earlier {
            self.correct(key, c);
        }
        let options = Lines::new(true).line(&p);
        let options = options.split("options [").nth(1).and_then(|o| o.split(']').next()).unwrap_or_default();
        let o = json!({
            "time_ns": at.as_nanos() as u64, "src": src.to_string(), "dst": dst.to_string(), "flags": h.flags.to_string(),
            "seq": h.seq.0, "ack": h.ack.0, "win": h.window, "options": options, "len": len, "lost": lost,
        });
        self.json.push((entry, o));
        self.packets.push((at, ip.to_vec(), Some(entry)));
        // Our own end's state is what the stack says it is, as soon as it does.
        if out || !lost {
            self.pending = Some((entry, ours_is_client, key));
        }
        !lost
    }

    /// The stack says what state our end is in after the last segment.
    fn observed(&mut self, state: State, said: Option<String>) {
        let Some((i, left, key)) = self.pending.take() else { return };
        let Step::Segment { states, words, .. } = &mut self.report.entries[i].step else { return };
        if let Some(said) = said {
            *words = said;
        }
        *(if left { &mut states.0 } else { &mut states.1 }) = state;
        if let Some(c) = self.conversations.get_mut(&key) {
            c.ends.observed(left, state);
        }
    }

    /// What earlier lines of a connection show turns out to be too early.
    fn correct(&mut self, key: [SocketAddr; 2], c: Correction) {
        let last = self.report.entries.len() - 1;
        for e in &mut self.report.entries[c.since..last] {
            if let Step::Segment { states, ends: (a, b), .. } = &mut e.step
                && (key == [*a, *b] || key == [*b, *a])
            {
                *(if c.client { &mut states.0 } else { &mut states.1 }) = c.state;
            }
        }
    }
}

fn comment(states: (State, State), words: &str, lost: bool) -> String {
    format!("client {}, server {}; {words}{}", states.0, states.1, if lost { " (lost)" } else { "" })
}

impl PacketLog for Recorder {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let mut r = self.lock();
        let at = r.elapsed();
        r.start.get_or_insert(p.at);
        r.packet(at, p.out, p.bytes, None)
    }
}

impl Observer for Recorder {
    fn event(&mut self, _: Instant, _: u64, e: &Event) {
        match e {
            Event::Arrived { state, verdict: Verdict::Dropped(rule @ Rule::QueueFull), .. } => {
                self.lock().observed(
                    *state,
                    Some(format!("dropped without a word: {rule}; to the client the server is busy")),
                );
            }
            Event::Sent { state, .. } | Event::Arrived { state, .. } => self.lock().observed(*state, None),
            Event::Moved { .. } => {}
        }
    }
}

/// The kernel's table of connections in this namespace: (local, remote) to state.
fn kernel_table() -> HashMap<(SocketAddr, SocketAddr), State> {
    let mut all = HashMap::new();
    for (file, v6) in [("/proc/net/tcp", false), ("/proc/net/tcp6", true)] {
        for l in std::fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let f: Vec<&str> = l.split_whitespace().collect();
            if let (Some(a), Some(b), Some(s)) = (
                f.get(1).and_then(|a| proc_address(a, v6)),
                f.get(2).and_then(|a| proc_address(a, v6)),
                f.get(3).and_then(|s| proc_state(s)),
            ) {
                all.insert((a, b), s);
            }
        }
    }
    all
}

fn proc_address(s: &str, v6: bool) -> Option<SocketAddr> {
    let (addr, port) = s.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip: IpAddr = if v6 {
        let mut b = [0; 16];
        for (i, w) in b.chunks_mut(4).enumerate() {
            w.copy_from_slice(&u32::from_str_radix(addr.get(i * 8..i * 8 + 8)?, 16).ok()?.to_ne_bytes());
        }
        std::net::Ipv6Addr::from(b).to_canonical()
    } else {
        IpAddr::from(u32::from_str_radix(addr, 16).ok()?.to_ne_bytes())
    };
    Some(SocketAddr::new(ip, port))
}

fn proc_state(s: &str) -> Option<State> {
    state_of_number(u8::from_str_radix(s, 16).ok()?)
}

/// The kernel's numbers of the states (`include/net/tcp_states.h`).
fn state_of_number(n: u8) -> Option<State> {
    Some(match n {
        1 => State::Established,
        2 => State::SynSent,
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        7 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    })
}
