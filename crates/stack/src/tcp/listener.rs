//! Listeners: a SYN queue and an accept queue, both bounded by the backlog (MISSION O4), and the calls of their users. What
//! arrives for them is in `passive.rs`.

use super::{ConnId, ListenerId, Stage};
use crate::cx::tcp_cx;
use crate::stack::Stack;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use synfin_tcp::arrives::closed::Reset;
use synfin_tcp::{Instant, Probe, State, TcpConfig, Trigger};
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

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

/// Why a port could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenError {
    /// The address is not ours.
    AddressNotAvailable,
    /// The port is taken.
    AddressInUse,
    /// The table of settings is full.
    TableFull,
}

impl Stack {
    /// Listens on `local`; port 0 takes a free one. `backlog` bounds the SYN queue and the accept queue each.
    pub fn tcp_listen<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        local: SocketAddr,
        backlog: usize,
        cfg: &TcpConfig,
    ) -> Result<ListenerId, ListenError> {
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        if !local.ip().is_unspecified() && !self.has_address(local.ip()) {
            return Err(ListenError::AddressNotAvailable);
        }
        let port = match local.port() {
            0 => {
                let (lo, hi) = self.cfg.ephemeral_ports;
                let free = |p: &u16| !self.tcp.ports.contains_key(p);
                (lo..=hi).find(free).ok_or(ListenError::AddressInUse)?
            }
            p => p,
        };
        let local = SocketAddr::new(local.ip(), port);
        let clash = |l: &Listener| {
            l.local.ip() == local.ip()
                || ((l.local.ip().is_unspecified() || local.ip().is_unspecified())
                    && l.local.is_ipv4() == local.is_ipv4())
        };
        //= RFC 9293 3.9.1.1 MUST-41 MUST-42: only other listeners are in the way
        if self.tcp.ports.get(&port).into_iter().flatten().any(|i| self.tcp.listeners.at(*i).is_some_and(clash)) {
            return Err(ListenError::AddressInUse);
        }
        let cfg = self.configs.intern(cfg).ok_or(ListenError::TableFull)?;
        let (i, g) = self.tcp.listeners.insert(Listener::new(local, backlog, cfg));
        self.tcp.ports.entry(port).or_default().push(i);
        probe.focus(u64::MAX);
        let mut state = State::Closed;
        tcp_cx!(self, cfg, now, probe).transition(&mut state, Trigger::PassiveOpen);
        Ok(ListenerId(i, g))
    }

    /// Takes a finished connection from the accept queue.
    pub fn tcp_accept(&mut self, id: ListenerId) -> Option<ConnId> {
        let l = self.tcp.listeners.get_mut((id.0, id.1))?;
        let Some(i) = l.queue.pop_front() else {
            if l.queue.capacity() > 1_024 {
                l.queue = VecDeque::new();
            }
            return None;
        };
        let e = self.tcp.conns.at_mut(i)?;
        e.accepting = None;
        Some(ConnId(i, self.tcp.conns.generation(i)))
    }

    /// What a listener tells of itself.
    pub fn tcp_listener_status(&self, id: ListenerId) -> Option<ListenerStatus> {
        self.tcp.listeners.get((id.0, id.1)).map(Listener::status)
    }

    /// Closes a listener. What waits in its queues is reset.
    pub fn tcp_close_listener<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ListenerId) {
        let Some(l) = self.tcp.listeners.get((id.0, id.1)) else { return };
        let (port, cfg) = (l.local.port(), l.cfg);
        let half: Vec<u32> = self.tcp.half.iter().filter(|(_, h)| h.listener == id.0).map(|(i, _)| i).collect();
        for i in half {
            let Some(h) = self.tcp.half.at(i) else { continue };
            // What was not answered is refused as a closed port does, but for what is met by silence.
            let seq = if h.is_unanswered() { SeqNum(0) } else { h.syn.iss + 1 };
            let silent = h.stage == Stage::Silent;
            let (tuple, reset) = (h.key.tuple(), Reset { seq, ack: h.syn.irs + 1, flags: Flags::RST | Flags::ACK });
            self.drop_half_open(i);
            if !silent {
                self.send_reset(now, tuple, reset, cfg);
            }
        }
        while let Some(c) = self.tcp_accept(id) {
            self.tcp_abort(now, probe, c);
        }
        self.forget_pending(id.0);
        self.tcp.listeners.remove(id.0);
        self.tcp.any = self.tcp.any.filter(|any| *any != id.0);
        self.configs.release(cfg);
        if let Some(list) = self.tcp.ports.get_mut(&port) {
            list.retain(|i| *i != id.0);
            if list.is_empty() {
                self.tcp.ports.remove(&port);
            }
        }
        probe.focus(u64::MAX);
        let mut state = State::Listen;
        tcp_cx!(self, cfg, now, probe).transition(&mut state, Trigger::Close);
    }

    /// Changes the settings of connections that a listener makes from now on. False as in [`Stack::tcp_configure`].
    pub fn tcp_configure_listener(&mut self, id: ListenerId, change: impl FnOnce(&mut TcpConfig)) -> bool {
        let Some(l) = self.tcp.listeners.get((id.0, id.1)) else { return false };
        let mut cfg = self.configs[l.cfg].clone();
        change(&mut cfg);
        let Some(n) = self.configs.exchange(l.cfg, &cfg) else { return false };
        if let Some(l) = self.tcp.listeners.get_mut((id.0, id.1)) {
            l.cfg = n;
        }
        true
    }
}
