//! One direction of a link: what it does to packets, in virtual time or in real time.
//!
//! A packet goes [in](Link::enqueue), waits, and comes [out](Link::poll) when the rate has room for it, with its fate: lost, or
//! the time at which it arrives at the other end. The link holds no octets, only the packet's number, length and ECN field;
//! whoever asks keeps the packet, and does to it what the fate says. Between the two [`Link::next_deadline`] says when to
//! ask again. A caller that is late changes nothing of the times of departure: they follow from the rate, not from the call.
//!
//! In the order of a real interface: cut, MTU and queue at the way in; CoDel, the rate and then what the wire does (loss,
//! jitter, reordering, duplication, corruption) at the way out. So what the wire loses has used the rate, and a link with loss
//! carries its rate times what is not lost. Super-segments are to be cut before they are handed in.

mod codel;
mod counters;
mod middlebox;
mod model;
mod packet;

pub use counters::{Counters, Histogram};
pub use middlebox::{Middlebox, Passage};
pub use model::{Aqm, Change, Limit, LinkModel, Oversize};
pub use packet::{ecn_of, mark_ce};

use codel::Codel;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use synfin_stack::engine::{Instant, Rng};
use synfin_stack::wire::ip::Ecn;

/// What a link knows of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The caller's number for it.
    pub id: u32,
    /// Octets of the IP packet.
    pub len: u32,
    /// Its ECN field ([`ecn_of`]).
    pub ecn: Ecn,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost(Lost),
    /// It arrives.
    Arrives(Arrival),
}

/// How a packet arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// When a copy of it does.
    pub again: Option<Instant>,
    /// It is to be marked ([`mark_ce`]).
    pub marked: bool,
    /// A bit of it (not of the copy) is to be flipped.
    pub corrupt: bool,
}

/// Why a packet was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// By chance.
    Loss,
    /// No room in the queue.
    QueueFull,
    /// By CoDel, or above the step of marking and not to be marked.
    Aqm,
    /// Greater than the MTU.
    TooBig,
    /// The link was cut.
    Cut,
    /// A middlebox had forgotten its flow.
    Forgotten,
    /// By name, in a test.
    Named,
}

impl Lost {
    /// All of them, in their order.
    pub const ALL: [Lost; 7] =
        [Lost::Loss, Lost::QueueFull, Lost::Aqm, Lost::TooBig, Lost::Cut, Lost::Forgotten, Lost::Named];

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Lost::Loss => "loss",
            Lost::QueueFull => "queue full",
            Lost::Aqm => "aqm",
            Lost::TooBig => "too big",
            Lost::Cut => "cut",
            Lost::Forgotten => "flow forgotten",
            Lost::Named => "named",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A packet that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    packet: Packet,
    since: Instant,
    marked: bool,
}

/// One direction of a link at work.
#[derive(Debug, Clone)]
pub struct Link {
    /// What it is like, now. It may be changed at any time.
    pub model: LinkModel,
    /// What it has done.
    pub counters: Counters,
    queue: VecDeque<Waiting>,
    queued: u64,
    /// When the last bit of what was last taken out of the queue leaves.
    busy_until: Instant,
    /// How long all of that takes that was taken out of the queue.
    sending: Duration,
    /// The last arrival, which jitter does not overtake.
    last_arrival: Instant,
    codel: Codel,
    /// Within a burst of losses.
    bad: bool,
    changes_done: usize,
}

impl Link {
    /// A link that has nothing to do.
    pub fn new(mut model: LinkModel) -> Link {
        model.changes.sort_by_key(|c| c.at);
        Link {
            model,
            counters: Counters::default(),
            queue: VecDeque::new(),
            queued: 0,
            busy_until: Instant::ZERO,
            sending: Duration::ZERO,
            last_arrival: Instant::ZERO,
            codel: Codel::default(),
            bad: false,
            changes_done: 0,
        }
    }

    /// Hands a packet in. Ask [`Link::poll`] after it: where nothing waits, it goes at once.
    pub fn enqueue(&mut self, now: Instant, packet: Packet) -> Result<(), Lost> {
        self.change(now);
        let r = self.admit(packet);
        match r {
            Ok(marked) => {
                self.queue.push_back(Waiting { packet, since: now, marked });
                self.queued += u64::from(packet.len);
                // What goes at once has not waited.
                if self.queue.len() > 1 || self.busy_until > now {
                    self.counters.longest_bytes = self.counters.longest_bytes.max(self.queued);
                    self.counters.longest_packets = self.counters.longest_packets.max(self.queue.len());
                }
            }
            Err(why) => self.counters.lose(why),
        }
        r.map(|_| ())
    }

    /// Takes out the next packet whose turn has come by `now`, with its fate; `None` if there is none yet.
    pub fn poll(&mut self, now: Instant, rng: &mut Rng) -> Option<(u32, Fate)> {
        self.change(now);
        if self.busy_until > now {
            return None;
        }
        let w = self.queue.pop_front()?;
        self.queued -= u64::from(w.packet.len);
        let start = self.busy_until.max(w.since);
        let sojourn = start.since(w.since);
        let mut marked = w.marked;
        if let Aqm::CoDel { target, interval, ecn } = self.model.aqm
            && self.codel.hits(start, sojourn, self.queued, target, interval)
        {
            if !(ecn && w.packet.ecn != Ecn::NotEct) {
                return Some((w.packet.id, self.lose(Lost::Aqm)));
            }
            marked = true;
        }
        let takes = serialization(w.packet.len, self.model.rate);
        self.sending += takes;
        self.busy_until = start + takes;
        self.counters.waited.add(sojourn);
        let fate = self.wire(w.packet, marked, rng);
        Some((w.packet.id, fate))
    }

    /// How long until `now` it was sending, at whatever rates.
    pub fn busy(&self, now: Instant) -> Duration {
        self.sending.saturating_sub(self.busy_until.since(now))
    }

    /// When the model changes next, [`Instant::NEVER`] if it does not. Who asks [`Link::poll`] late asks for the time before that
    /// first, for what has left the queue by then is not concerned.
    pub fn next_change(&self) -> Instant {
        self.model.changes.get(self.changes_done).map_or(Instant::NEVER, |c| c.at)
    }

    /// When [`Link::poll`] next has something, [`Instant::NEVER`] if nothing waits.
    pub fn next_deadline(&self) -> Instant {
        self.queue.front().map_or(Instant::NEVER, |w| self.busy_until.max(w.since))
    }

    /// Octets and packets that wait.
    pub fn waiting(&self) -> (u64, usize) {
        (self.queued, self.queue.len())
    }

    /// Counts a packet that never came to the link's queue.
    pub fn lose(&mut self, why: Lost) -> Fate {
        self.counters.lose(why);
        Fate::Lost(why)
    }

    fn change(&mut self, now: Instant) {
        while let Some(c) = self.model.changes.get(self.changes_done).copied()
            && c.at <= now
        {
            c.apply(&mut self.model);
            self.changes_done += 1;
        }
    }

    /// Whether a packet may wait, and is marked.
    fn admit(&self, p: Packet) -> Result<bool, Lost> {
        let m = &self.model;
        if m.cut {
            return Err(Lost::Cut);
        }
        if m.mtu > 0 && p.len > m.mtu {
            return Err(Lost::TooBig);
        }
        let full = match m.queue {
            Limit::Bytes(n) => self.queued + u64::from(p.len) > n,
            Limit::Packets(n) => self.queue.len() as u64 >= u64::from(n),
        };
        if full && !self.queue.is_empty() {
            return Err(Lost::QueueFull);
        }
        match m.aqm {
            Aqm::Mark { above } if self.queued > above => {
                // RFC 3168 5: only what says that its ends understand is marked.
                if p.ecn == Ecn::NotEct { Err(Lost::Aqm) } else { Ok(true) }
            }
            _ => Ok(false),
        }
    }

    /// What happens to a packet once it has left the queue.
    fn wire(&mut self, p: Packet, marked: bool, rng: &mut Rng) -> Fate {
        if self.model.cut {
            return self.lose(Lost::Cut);
        }
        if self.loses(rng) {
            return self.lose(Lost::Loss);
        }
        let (m, c) = (&self.model, &mut self.counters);
        let mut at = self.busy_until + m.delay + up_to(m.jitter, rng);
        if !m.jitter_reorders {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        if hit(rng, m.reorder) {
            at += up_to(m.reorder_by, rng);
            c.reordered += 1;
        }
        let again = hit(rng, m.duplicate).then(|| at + up_to(DUPLICATE_WITHIN, rng));
        let corrupt = hit(rng, m.corrupt);
        c.passed += 1;
        c.bytes += u64::from(p.len);
        c.marked += u64::from(marked);
        c.duplicated += u64::from(again.is_some());
        c.corrupted += u64::from(corrupt);
        Fate::Arrives(Arrival { at, again, marked, corrupt })
    }

    /// Chance, alone or in bursts: two states, in one of which all is lost (Gilbert's model, Elliott's with 1 and 0). The bad
    /// one ends with probability 1/burst, and begins as often as makes the mean what it should be. Where bursts of that length
    /// are too short for it, though only one packet arrives between them, they are longer.
    fn loses(&mut self, rng: &mut Rng) -> bool {
        let (loss, burst) = (self.model.loss, self.model.burst.max(1));
        if burst == 1 || loss == 0 || loss >= MILLION {
            self.bad = false;
            return hit(rng, loss);
        }
        let odds = f64::from(loss) / f64::from(MILLION - loss);
        let burst = f64::from(burst).max(odds);
        let p = if self.bad { 1.0 / burst } else { odds / burst };
        // Finer than a millionth: rare long bursts begin more rarely than that.
        self.bad ^= f64::from(rng.next_u32()) < p * 2f64.powi(32);
        self.bad
    }
}

/// How long a packet takes at a rate.
fn serialization(len: u32, rate: u64) -> Duration {
    Duration::from_nanos((u64::from(len) * 8 * 1_000_000_000).checked_div(rate).unwrap_or(0))
}

fn hit(rng: &mut Rng, millionths: u32) -> bool {
    millionths > 0 && rng.below(MILLION) < millionths
}

fn up_to(d: Duration, rng: &mut Rng) -> Duration {
    if d.is_zero() { d } else { d.mul_f64(f64::from(rng.next_u32()) / 2f64.powi(32)) }
}

const MILLION: u32 = 1_000_000;
/// How long after a packet its copy arrives, at most.
const DUPLICATE_WITHIN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;
