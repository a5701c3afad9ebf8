//! What a link is like: plain settings, and how they change as time goes by.

use std::time::Duration;
use synfin_stack::engine::Instant;

/// One direction of a link. Probabilities are in millionths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkModel {
    /// Propagation delay.
    pub delay: Duration,
    /// What each packet takes longer than `delay`, at most; uniform.
    pub jitter: Duration,
    /// Whether packets overtake one another by jitter. If not, one that would waits for those before it.
    pub jitter_reorders: bool,
    /// Bits per second; 0 is without limit, and then nothing waits.
    pub rate: u64,
    /// How much waits for the rate before the tail is dropped.
    pub queue: Limit,
    /// What is done to the queue before it is full.
    pub aqm: Aqm,
    /// Probability of loss on the way. What is lost has used the rate.
    pub loss: u32,
    /// How many packets are lost in a row, in the mean; up to 1 each loss is on its own.
    pub burst: u32,
    /// Probability that a packet is held back and overtaken.
    pub reorder: u32,
    /// How long it is held back at most.
    pub reorder_by: Duration,
    /// Probability of duplication.
    pub duplicate: u32,
    /// Probability that one bit is flipped.
    pub corrupt: u32,
    /// Octets of the greatest IP packet; 0 is without limit.
    pub mtu: u32,
    /// What becomes of a greater one.
    pub oversize: Oversize,
    /// Nothing passes.
    pub cut: bool,
    /// What changes, and when.
    pub changes: Vec<Change>,
}

impl Default for LinkModel {
    fn default() -> Self {
        LinkModel {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            jitter_reorders: false,
            rate: 0,
            queue: Limit::Bytes(1 << 20),
            aqm: Aqm::Tail,
            loss: 0,
            burst: 1,
            reorder: 0,
            reorder_by: Duration::from_millis(20),
            duplicate: 0,
            corrupt: 0,
            mtu: 0,
            oversize: Oversize::Tell,
            cut: false,
            changes: Vec::new(),
        }
    }
}

/// The room of a queue. A packet always finds room in an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Octets of IP packets.
    Bytes(u64),
    /// Packets.
    Packets(u32),
}

/// Active queue management.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aqm {
    /// None: the tail is dropped when the queue is full.
    Tail,
    /// CoDel (RFC 8289).
    CoDel {
        /// The standing delay that is borne.
        target: Duration,
        /// For how long more than that is borne.
        interval: Duration,
        /// Whether packets that can carry the mark get it instead of being dropped.
        ecn: bool,
    },
    /// A step: what finds more than so many octets waiting is marked (as RFC 8257 3.1 has it), or dropped if it cannot be.
    Mark {
        /// The octets.
        above: u64,
    },
}

impl Aqm {
    /// CoDel with the constants of RFC 8289 4.2 and 4.3.
    pub const fn codel(ecn: bool) -> Aqm {
        Aqm::CoDel { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn }
    }
}

/// What becomes of a packet that is greater than the MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// Its sender is told (RFC 1191 4, RFC 4443 3.2); the model says [`crate::Lost::TooBig`], the network tells.
    Tell,
    /// It is lost without a word: a black hole.
    Silent,
}

/// A change of the model at a time; `None` leaves a setting alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// When.
    pub at: Instant,
    /// Whether the link is cut from then on.
    pub cut: Option<bool>,
    /// The rate from then on. The packet that is just being sent is not concerned.
    pub rate: Option<u64>,
    /// The delay from then on.
    pub delay: Option<Duration>,
    /// The probability of loss from then on.
    pub loss: Option<u32>,
}

impl Change {
    pub(super) fn apply(&self, m: &mut LinkModel) {
        m.cut = self.cut.unwrap_or(m.cut);
        m.rate = self.rate.unwrap_or(m.rate);
        m.delay = self.delay.unwrap_or(m.delay);
        m.loss = self.loss.unwrap_or(m.loss);
    }
}
