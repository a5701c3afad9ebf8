//! Listeners: a SYN queue and an accept queue, both bounded by the backlog (MISSION O4).

use alloc::collections::VecDeque;
use core::net::SocketAddr;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub local: SocketAddr,
    pub backlog: usize,
    pub cfg: u16,
    /// Half-open connections of it.
    pub half_open: usize,
    /// Finished ones that nobody has accepted: their numbers.
    pub queue: VecDeque<u32>,
    /// SYNs dropped because a queue was full.
    pub dropped: u64,
    /// Handshakes that could not complete because the accept queue was full.
    pub overflowed: u64,
}

/// What a listener tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Where it listens.
    pub local: SocketAddr,
    /// The limit of each queue.
    pub backlog: usize,
    /// The SYN queue.
    pub half_open: usize,
    /// The accept queue.
    pub accept_queue: usize,
    /// SYNs dropped because a queue was full.
    pub dropped: u64,
    /// Handshakes that could not complete because the accept queue was full.
    pub overflowed: u64,
}

impl Listener {
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.backlog
    }

    pub(crate) fn status(&self) -> ListenerStatus {
        ListenerStatus {
            local: self.local,
            backlog: self.backlog,
            half_open: self.half_open,
            accept_queue: self.queue.len(),
            dropped: self.dropped,
            overflowed: self.overflowed,
        }
    }
}
