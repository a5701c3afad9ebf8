//! Listeners: a SYN queue and an accept queue, both bounded by the backlog (MISSION O4).

use super::Stage;
use alloc::collections::VecDeque;
use core::net::SocketAddr;
use synfin_tcp::Instant;

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
    /// Who is let in before the handshake is over (RFC 7413).
    pub fast_open: super::fast_open::Pending,
    /// What became of cookies.
    pub cookies: CookieCounts,
    /// When the last one was sent.
    pub cookie_sent_at: Option<Instant>,
    /// It is for any destination.
    pub any: bool,
    /// Half-open connections about which nobody was asked yet, oldest first. They are in the SYN queue.
    pub asked: VecDeque<u32>,
    /// Those that are met by silence, oldest first. They are, too, and make room when it is full.
    pub silent: VecDeque<u32>,
}

/// SYN cookies of a listener (RFC 4987 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CookieCounts {
    /// SYNs answered by one.
    pub sent: u64,
    /// Connections made of one.
    pub accepted: u64,
    /// ACKs with none of ours, with an old or a used one, while we looked for them.
    pub refused: u64,
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
    /// What became of cookies.
    pub cookies: CookieCounts,
    /// PendingFastOpenRequests (RFC 7413 4.2), with those that have just failed (5.1).
    pub fast_open: usize,
}

impl Listener {
    pub(crate) fn new(local: SocketAddr, backlog: usize, cfg: u16) -> Listener {
        Listener {
            local,
            backlog: backlog.max(1),
            cfg,
            half_open: 0,
            queue: VecDeque::new(),
            dropped: 0,
            overflowed: 0,
            fast_open: super::fast_open::Pending::default(),
            cookies: CookieCounts::default(),
            cookie_sent_at: None,
            any: false,
            asked: VecDeque::new(),
            silent: VecDeque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.backlog
    }

    /// A half-open connection is not in this stage any more.
    pub(crate) fn leaves(&mut self, i: u32, stage: Stage) {
        let queue = match stage {
            Stage::Asked => &mut self.asked,
            Stage::Silent => &mut self.silent,
            Stage::Handshake | Stage::Due | Stage::Shown => return,
        };
        // The oldest goes first, nearly always.
        match queue.front() {
            Some(first) if *first == i => drop(queue.pop_front()),
            _ => queue.retain(|x| *x != i),
        }
    }

    pub(crate) fn status(&self) -> ListenerStatus {
        ListenerStatus {
            local: self.local,
            backlog: self.backlog,
            half_open: self.half_open,
            accept_queue: self.queue.len(),
            dropped: self.dropped,
            overflowed: self.overflowed,
            cookies: self.cookies,
            fast_open: self.fast_open.len(),
        }
    }
}
