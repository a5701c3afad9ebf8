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
    pub ready: bool,
}

impl HalfOpen {
    /// No timer is set: the SYN+ACK was not sent yet.
    pub(crate) const NO_TIMER: TimerId = TimerId::MAX;
}
