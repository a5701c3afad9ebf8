//! Sees every packet and every event of our stack, and makes a report of them: lines, states of both ends, words.

use super::{now, pause};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synfin::{PacketLog, Sniffed};
use synfin_tcp::{Event, Instant, Observer, Rule, State, Verdict};
use synfin_trace::infer::{Endpoint, Narrator};
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
    /// Client and server.
    ends: [Endpoint; 2],
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
    packets: Vec<(Duration, Vec<u8>, Option<String>)>,
    json: Vec<Value>,
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
        self.lock().packets.clone()
    }

    pub fn disagreements(&self) -> usize {
        self.lock().disagreements
    }

    /// One object per segment.
    pub fn json(&self, scene: &str) -> Vec<Value> {
        let mut all = self.lock().json.clone();
        for o in &mut all {
            o["scene"] = json!(scene);
        }
        all
    }

    /// The kernel's end of every conversation: where it is, what is shown, what the kernel says.
    fn compare(&self) -> Vec<(SocketAddr, State, State)> {
        let table = kernel_table();
        let r = self.lock();
        let mut said: Vec<_> = r
            .conversations
            .iter()
            .map(|(key, c)| {
                let (i, theirs) =
                    if r.ours.contains(&c.client.ip()) { (1, other(key, c.client)) } else { (0, c.client) };
                let kernel = table.get(&(theirs, other(key, theirs))).copied().unwrap_or(State::Closed);
                (theirs, c.ends[i].state, kernel)
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
            let Some(shown) = r.conversations.get(&key).map(|c| c.ends[usize::from(end != c.client)].state) else {
                return;
            };
            if agrees(shown, kernel) || attempt == 40 {
                let at = r.elapsed();
                let verdict =
                    if agrees(shown, kernel) { "as shown".to_string() } else { format!("but {shown} is shown") };
                r.disagreements += usize::from(!agrees(shown, kernel));
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
            c.ends.iter().all(|e| matches!(e.state, State::Closed | State::Listen | State::TimeWait))
        };
        if self.conversations.get(&key).is_none_or(|c| opens && over(c)) {
            let server = if self.listening.contains(&dst.port()) { State::Listen } else { State::Closed };
            let ends = [Endpoint::new(State::Closed), Endpoint::new(server)];
            self.conversations.insert(key, Conversation { narrator: Narrator::default(), ends, client: src });
        }
        let Some(c) = self.conversations.get_mut(&key) else { return !lost };
        let from_client = src == c.client;
        let (me, peer) = if from_client { (0, 1) } else { (1, 0) };
        c.ends[me].sends(h, len);
        if !lost {
            c.ends[peer].gets(h, len);
        }
        let words = c.narrator.tell(from_client, h, len);
        let states = (c.ends[0].state, c.ends[1].state);
        let line = self.lines.line(&p);
        let step = Step::Segment {
            rightwards: from_client,
            label: label(&p, &line),
            line,
            states,
            words: words.clone(),
            lost,
            ends: (src, dst),
        };
        self.report.entries.push(Entry { at, step });
        let options = Lines::new(true).line(&p);
        let options = options.split("options [").nth(1).and_then(|o| o.split(']').next()).unwrap_or_default();
        self.json.push(json!({
            "time_ns": at.as_nanos() as u64, "src": src.to_string(), "dst": dst.to_string(), "flags": h.flags.to_string(),
            "seq": h.seq.0, "ack": h.ack.0, "win": h.window, "options": options, "len": len,
            "src_state": c.ends[me].state.name(), "dst_state": c.ends[peer].state.name(), "lost": lost, "note": words,
        }));
        self.packets.push((at, ip.to_vec(), Some(comment(states, &words, lost))));
        // Our own end's state is what the stack says it is, as soon as it does.
        let ours_is_client = self.ours.contains(&c.client.ip());
        if out || !lost {
            self.pending = Some((self.report.entries.len() - 1, ours_is_client, key));
        }
        !lost
    }

    /// The stack says what state our end is in after the last segment.
    fn observed(&mut self, state: State, said: Option<String>) {
        let Some((i, left, key)) = self.pending.take() else { return };
        let (number, both) = match &mut self.report.entries[i].step {
            Step::Segment { states, rightwards, words, .. } => {
                if let Some(said) = &said {
                    words.clone_from(said);
                }
                *(if left { &mut states.0 } else { &mut states.1 }) = state;
                (*rightwards == left, *states)
            }
            _ => return,
        };
        if let Some(o) = self.json.last_mut() {
            o[if number { "src_state" } else { "dst_state" }] = json!(state.name());
            if let Some(said) = &said {
                o["note"] = json!(said);
            }
        }
        if let Some((_, _, Some(c))) = self.packets.last_mut() {
            let rest = c.split_once("; ").map(|(_, r)| r.to_string()).unwrap_or_default();
            *c = format!("client {}, server {}; {rest}", both.0, both.1);
        }
        if let Some(c) = self.conversations.get_mut(&key) {
            c.ends[usize::from(!left)].state = state;
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
