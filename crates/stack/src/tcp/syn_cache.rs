//! Half-open connections: what a SYN flood makes many of, so a record is small (under 128 octets with its timer).

use super::Key;
use crate::link::LinkId;
use crate::timer_wheel::TimerId;
use synfin_tcp::arrives::syn_received::SynReceived;

/// A handshake that waits for its last acknowledgment.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    pub syn: SynReceived,
    pub key: Key,
    pub listener: u32,
    /// Its entry in the wheel, or [`HalfOpen::NO_TIMER`].
    pub timer: TimerId,
    pub cfg: u16,
    pub link: LinkId,
    pub stage: Stage,
}

/// How far a half-open connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its SYN is answered.
    Handshake,
    /// Likewise, and it is in the queue of those that have something to send.
    Due,
    /// Its SYN is for any destination, and nobody has looked at it.
    Asked,
    /// It was shown to the user, who has not decided.
    Shown,
    /// It is met by silence.
    Silent,
}

impl HalfOpen {
    /// No timer is set: the SYN+ACK was not sent yet.
    pub(crate) const NO_TIMER: TimerId = TimerId::MAX;

    /// Whether it is in the queue of those that have something to send.
    pub(crate) fn is_ready(&self) -> bool {
        self.stage == Stage::Due
    }

    /// Of one whose SYN is answered, or about to be.
    pub(crate) fn set_ready(&mut self, ready: bool) {
        self.stage = if ready { Stage::Due } else { Stage::Handshake };
    }

    /// Whether its SYN is not answered: there is no decision, or it is to be met by silence.
    pub(crate) fn is_unanswered(&self) -> bool {
        !matches!(self.stage, Stage::Handshake | Stage::Due)
    }
}
