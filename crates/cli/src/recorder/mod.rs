//! Sees every packet and every event of our stack, and makes a report of them: lines, states of both ends, words.

mod kernel;

use crate::clock::now;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
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

impl Conversation {
    /// Whether nothing more is to be expected of it.
    fn is_over(&self) -> bool {
        let quiet = |client| matches!(self.ends.arrived(client), State::Closed | State::Listen | State::TimeWait);
        quiet(true) && quiet(false)
    }
}

/// What [`Recorder::take`] gives: entries, the objects of those that are segments, and packets with comments.
pub(crate) struct Taken {
    pub entries: Vec<Entry>,
    pub objects: Vec<Value>,
    pub packets: Vec<(Duration, Vec<u8>, Option<String>)>,
    /// Entries that nobody took in time.
    pub lost: u64,
}

struct Recording {
    lines: Lines,
    absolute: bool,
    /// What has happened, but for the first `forgotten` entries, which were taken.
    entries: VecDeque<Entry>,
    forgotten: usize,
    /// What may be kept until it is taken; without it all is kept.
    limit: Option<usize>,
    /// Octets of the packets that are kept.
    octets: usize,
    /// Entries that were forgotten before anybody took them.
    lost: u64,
    /// When the first thing happened, on the host's clock.
    start: Option<Instant>,
    clock: std::time::Instant,
    conversations: HashMap<[SocketAddr; 2], Conversation>,
    /// Our addresses; everything else is the other end's.
    ours: Vec<IpAddr>,
    listening: Vec<u16>,
    lose: Option<Lose>,
    /// With the entry of each that is a segment.
    packets: VecDeque<(Duration, Vec<u8>, Option<usize>)>,
    /// What the entry of each segment does not say.
    json: VecDeque<(usize, Value)>,
    /// The entry whose state on our side the next event of the stack tells, and whether that is the left column.
    pending: Option<(usize, bool, [SocketAddr; 2])>,
    disagreements: usize,
    ethernet: bool,
    /// Packets are kept with their Ethernet headers.
    whole_frames: bool,
}

impl Recorder {
    pub fn new(absolute: bool) -> Recorder {
        Recorder(Arc::new(Mutex::new(Recording {
            lines: Lines::new(absolute),
            absolute,
            entries: VecDeque::new(),
            forgotten: 0,
            limit: None,
            octets: 0,
            lost: 0,
            start: None,
            clock: now(),
            conversations: HashMap::new(),
            ours: Vec::new(),
            listening: Vec::new(),
            lose: None,
            packets: VecDeque::new(),
            json: VecDeque::new(),
            pending: None,
            disagreements: 0,
            ethernet: false,
            whole_frames: false,
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

    /// Keeps packets with their Ethernet headers, if there are any.
    pub fn keep_whole_frames(&self) {
        self.lock().whole_frames = true;
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
        r.entries.push_back(Entry { at, step: Step::Program { left: client, what: what.into() } });
    }

    /// A remark.
    pub fn remark(&self, words: impl Into<String>) {
        let mut r = self.lock();
        let at = r.elapsed();
        r.entries.push_back(Entry { at, step: Step::Remark(words.into()) });
    }

    /// A packet crosses the link now. `lost`: whether it is lost, where that is not for [`Recorder::lose`] to say.
    pub fn crosses(&self, p: Sniffed<'_>, lost: Option<bool>) -> bool {
        let mut r = self.lock();
        let at = r.elapsed();
        r.start.get_or_insert(p.at);
        r.packet(at, p.out, p.bytes, lost)
    }

    /// A packet in virtual time: since the beginning, whether it goes out, whether it is lost.
    pub fn feed(&self, at: Duration, out: bool, bytes: &[u8], lost: bool) {
        self.lock().packet(at, out, bytes, Some(lost));
    }

    /// A remark in virtual time.
    pub fn remark_at(&self, at: Duration, words: impl Into<String>) {
        self.lock().entries.push_back(Entry { at, step: Step::Remark(words.into()) });
    }

    /// How many segments have been seen of which this holds: what they mean, and whether they were lost.
    pub fn count(&self, holds: impl Fn(&str, bool) -> bool) -> usize {
        let segment = |e: &&Entry| matches!(&e.step, Step::Segment { words, lost, .. } if holds(words, *lost));
        self.lock().entries.iter().filter(segment).count()
    }

    /// Whether a segment that was not lost means this.
    pub fn tells(&self, meaning: &str) -> bool {
        self.count(|words, lost| !lost && words.contains(meaning)) > 0
    }

    /// The entries from number `from` on that will not change any more; `over`: none will. The last segment's state on our
    /// side is still to be told, unless that has not been done for long.
    pub fn settled(&self, from: usize, over: bool) -> Vec<Entry> {
        let r = self.lock();
        let end = r.settled(over).max(from);
        r.entries.range(from - r.forgotten..end - r.forgotten).cloned().collect()
    }

    /// Takes what will not change any more, and forgets it: for those who watch without end.
    pub fn take(&self, over: bool) -> Taken {
        let mut r = self.lock();
        let end = r.settled(over);
        let packets = r.packets.iter().take_while(|p| p.2.is_none_or(|entry| entry < end)).count();
        let packets: Vec<_> = r.packets.drain(..packets).collect();
        r.octets -= packets.iter().map(|p| p.1.len()).sum::<usize>();
        let packets = packets.into_iter().map(|(at, bytes, entry)| {
            let comment = entry.and_then(|i| r.comment(i));
            (at, bytes, comment)
        });
        let packets = packets.collect();
        let objects = r.json.iter().take_while(|o| o.0 < end).count();
        let objects: Vec<_> = r.json.drain(..objects).collect();
        let objects = objects.into_iter().map(|(entry, o)| r.object(entry, o)).collect();
        let entries = end - r.forgotten;
        let entries = r.entries.drain(..entries).collect();
        r.forgotten = end;
        Taken { entries, objects, packets, lost: std::mem::take(&mut r.lost) }
    }

    /// Keeps at most this many octets of packets and [`MOST_KEPT`] entries that nobody has taken; the oldest go.
    pub fn keep_at_most(&self, octets: usize) {
        self.lock().limit = Some(octets);
    }

    pub fn report(&self) -> Report {
        let entries = self.lock().entries.iter().cloned().collect();
        Report { left: "client".into(), right: "server".into(), entries }
    }

    pub fn packets(&self) -> Vec<(Duration, Vec<u8>, Option<String>)> {
        let r = self.lock();
        r.packets.iter().map(|(at, bytes, entry)| (*at, bytes.clone(), entry.and_then(|i| r.comment(i)))).collect()
    }

    pub fn disagreements(&self) -> usize {
        self.lock().disagreements
    }

    /// One object per segment.
    pub fn json(&self, scene: &str) -> Vec<Value> {
        let r = self.lock();
        let said = |(entry, o): &(usize, Value)| {
            let mut o = r.object(*entry, o.clone());
            o["scene"] = json!(scene);
            o
        };
        r.json.iter().map(said).collect()
    }
}

/// Entries, and packets, that are kept at most until they are taken, and conversations that are followed at most, where
/// there is a limit at all.
const MOST_KEPT: usize = 16_384;
const MOST_CONVERSATIONS: usize = 4_096;
/// How long the stack may take to tell the state after a segment: it does so under the same lock.
const TELLS_WITHIN: Duration = Duration::from_millis(500);

impl Recording {
    fn elapsed(&self) -> Duration {
        now().duration_since(self.clock)
    }

    fn end(&self) -> usize {
        self.forgotten + self.entries.len()
    }

    fn entry(&self, i: usize) -> Option<&Entry> {
        self.entries.get(i.checked_sub(self.forgotten)?)
    }

    fn entry_mut(&mut self, i: usize) -> Option<&mut Entry> {
        self.entries.get_mut(i.checked_sub(self.forgotten)?)
    }

    /// The first entry that may still change, or the end.
    fn settled(&self, over: bool) -> usize {
        let is_fresh = |e: &Entry| self.elapsed().saturating_sub(e.at) < TELLS_WITHIN;
        let open = self.pending.filter(|p| !over && self.entry(p.0).is_some_and(is_fresh));
        open.map_or(self.end(), |p| p.0)
    }

    fn comment(&self, entry: usize) -> Option<String> {
        match &self.entry(entry)?.step {
            Step::Segment { states, words, lost, .. } => Some(comment(*states, words, *lost)),
            _ => None,
        }
    }

    /// The object of a segment, with what its entry says.
    fn object(&self, entry: usize, mut o: Value) -> Value {
        let step = self.entry(entry).map(|e| &e.step);
        if let Some(Step::Segment { rightwards, states: (client, server), words, .. }) = step {
            let (src, dst) = if *rightwards { (client, server) } else { (server, client) };
            (o["src_state"], o["dst_state"], o["note"]) = (json!(src.name()), json!(dst.name()), json!(words));
        }
        o
    }

    /// Keeps to the limit.
    fn forget(&mut self) {
        let Some(limit) = self.limit else { return };
        while self.octets > limit || self.entries.len() > MOST_KEPT || self.packets.len() > MOST_KEPT {
            let before = self.forgotten + self.entries.pop_front().map_or(0, |_| 1);
            self.lost += 1;
            self.forgotten = before;
            while self.json.front().is_some_and(|o| o.0 < before) {
                self.json.pop_front();
            }
            // Packets that are no segments lie between; at least one goes, so that this comes to an end.
            let mut gone = self.packets.pop_front();
            while let Some(p) = gone {
                self.octets -= p.1.len();
                gone = self.packets.pop_front_if(|p| p.2.is_some_and(|entry| entry < before));
            }
        }
    }

    /// Makes room for one more conversation: those that are over go first.
    fn make_room(&mut self) {
        if self.limit.is_none() || self.conversations.len() < MOST_CONVERSATIONS {
            return;
        }
        let all = self.conversations.len();
        self.conversations.retain(|_, c| !c.is_over());
        if self.conversations.len() == all {
            self.conversations.clear();
        }
        // The numbers that lines are relative to go with them: as in tcpdump, which comes upon a conversation midway.
        self.lines = Lines::new(self.absolute);
    }

    /// Takes a packet in; true if it may pass.
    fn packet(&mut self, at: Duration, out: bool, bytes: &[u8], fate: Option<bool>) -> bool {
        self.pending = None;
        let ip = if self.ethernet { bytes.get(ethernet::HEADER_LEN..).unwrap_or_default() } else { bytes };
        let keep = if self.whole_frames { bytes } else { ip };
        let Ok(Some(p)) = TcpPacket::parse(ip) else {
            self.octets += keep.len();
            self.packets.push_back((at, keep.to_vec(), None));
            self.forget();
            return true;
        };
        let lost = fate.unwrap_or_else(|| self.lose.as_mut().is_some_and(|l| l(out, &p)));
        let (src, dst) = (p.src(), p.dst());
        let mut key = [src, dst];
        key.sort();
        let (h, len) = (&p.header, p.payload.len() as u32);
        let opens = h.flags.has(Flags::SYN) && !h.flags.has(Flags::ACK);
        if self.conversations.get(&key).is_none_or(|c| opens && c.is_over()) {
            self.make_room();
            let server = if self.listening.contains(&dst.port()) { State::Listen } else { State::Closed };
            let (narrator, ends) = (Narrator::default(), Ends::new(server));
            self.conversations.insert(key, Conversation { narrator, ends, client: src });
        }
        let Some(c) = self.conversations.get_mut(&key) else { return !lost };
        let from_client = src == c.client;
        let entry = self.forgotten + self.entries.len();
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
        self.entries.push_back(Entry { at, step });
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
        self.json.push_back((entry, o));
        self.octets += keep.len();
        self.packets.push_back((at, keep.to_vec(), Some(entry)));
        // Our own end's state is what the stack says it is, as soon as it does.
        if out || !lost {
            self.pending = Some((entry, ours_is_client, key));
        }
        self.forget();
        !lost
    }

    /// The stack says what state our end is in after the last segment.
    fn observed(&mut self, state: State, said: Option<String>) {
        let Some((i, left, key)) = self.pending.take() else { return };
        let Some(Entry { step: Step::Segment { states, words, .. }, .. }) = self.entry_mut(i) else { return };
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
        let last = self.entries.len() - 1;
        for e in self.entries.range_mut(c.since.saturating_sub(self.forgotten).min(last)..last) {
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
        self.crosses(p, None)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use synfin_wire::SeqNum;
    use synfin_wire::frame::emit_tcp_v4;
    use synfin_wire::tcp::Header;

    /// A segment from port `port` of 192.0.2.1 to us.
    fn segment(port: u16, flags: Flags, text: &[u8]) -> Vec<u8> {
        let (seq, ack) = (SeqNum(9), SeqNum(0));
        let hdr = Header { src_port: port, dst_port: 7, seq, ack, header_len: 0, flags, window: 100, urgent: 0 };
        let mut b = vec![0; 2_000];
        let ends = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let n = emit_tcp_v4(ends, &hdr, &[], text, &mut b).unwrap();
        b.truncate(n);
        b
    }

    fn recorder() -> Recorder {
        let r = Recorder::new(false);
        r.set_ours(&["192.0.2.2".parse().unwrap()], false);
        r
    }

    #[test]
    fn what_is_taken_is_forgotten_and_what_follows_goes_on() {
        let r = recorder();
        r.keep_at_most(1 << 20);
        r.feed(Duration::ZERO, false, &segment(1, Flags::SYN, b""), false);
        r.feed(Duration::ZERO, true, &[0x60, 1, 2], false); // no segment: in the capture only
        let taken = r.take(true);
        assert_eq!((taken.entries.len(), taken.objects.len(), taken.packets.len(), taken.lost), (1, 1, 2, 0));
        assert_eq!(taken.objects[0]["src"], "192.0.2.1:1");
        assert!(taken.packets[0].2.as_ref().unwrap().starts_with("client SYN-SENT, server "));
        assert!(r.take(true).entries.is_empty());
        r.feed(Duration::ZERO, false, &segment(1, Flags::RST, b""), false);
        let taken = r.take(true);
        assert!(
            matches!(&taken.entries[0].step, Step::Segment { words, .. } if words.starts_with("reset")),
            "it is known still"
        );
        assert_eq!(r.lock().octets, 0);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let r = recorder();
        r.keep_at_most(10_000);
        for n in 0..100 {
            r.feed(Duration::ZERO, false, &segment(n + 1, Flags::SYN, &[0; 960]), false);
        }
        let taken = r.take(true);
        assert_eq!((taken.entries.len(), taken.objects.len(), taken.packets.len(), taken.lost), (10, 10, 10, 90));
        assert!(taken.packets.iter().map(|p| p.1.len()).sum::<usize>() <= 10_000);
        for n in 0..2 * MOST_CONVERSATIONS {
            r.feed(Duration::ZERO, false, &segment(n as u16, Flags::SYN, b""), false);
        }
        assert!(r.lock().conversations.len() <= MOST_CONVERSATIONS);
        let without = recorder();
        (0..100).for_each(|n| without.feed(Duration::ZERO, false, &segment(n + 1, Flags::SYN, &[0; 960]), false));
        assert_eq!(without.packets().len(), 100, "a scene keeps all");
    }
}
