//! User calls of TCP, by the number of the connection. Active opens are in `active.rs`, calls of listeners in `listener.rs`.

use super::{ConnId, Entry, HalfOpen, Key, Slot, Tuple};
use crate::cx::tcp_cx;
use crate::ip::output::ip_header_len;
use crate::stack::Stack;
use synfin_tcp::call::{ReceiveError, SendError};
use synfin_tcp::snd::congestion::{Algorithm, Congestion};
use synfin_tcp::{Chunk, CloseReason, Connection, Cx, Events, Instant, Probe, SendReason, State, Status, TcpConfig};

impl Stack {
    /// Runs `f` on the connection with its context, and draws the consequences.
    pub(super) fn with<P: Probe, R>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        f: impl FnOnce(&mut Connection, &mut Cx<'_, P>) -> R,
    ) -> Option<R> {
        let e = self.tcp.conns.get_mut((id.0, id.1)).filter(|e| e.owned)?;
        probe.focus(u64::from(Slot::Conn(id.0).token()));
        let r = f(&mut e.conn, &mut tcp_cx!(self, e.cfg, now, probe));
        self.after_input(now, id.0);
        Some(r)
    }

    /// Queues as much of `data` as there is room for.
    pub fn tcp_send<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        self.with(now, probe, id, |c, cx| c.send(cx, data)).unwrap_or(Err(SendError::Closed(CloseReason::Finished)))
    }

    /// Queues `data` without a copy.
    pub fn tcp_send_chunk<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        data: Chunk,
    ) -> Result<usize, SendError> {
        self.with(now, probe, id, |c, cx| c.send_chunk(cx, data))
            .unwrap_or(Err(SendError::Closed(CloseReason::Finished)))
    }

    /// Queues as much of `data` as there is room for; its last octet ends urgent data.
    pub fn tcp_send_urgent<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        self.with(now, probe, id, |c, cx| c.send_urgent(cx, data))
            .unwrap_or(Err(SendError::Closed(CloseReason::Finished)))
    }

    /// Copies out what has come; `Ok(0)` at the peer's FIN.
    pub fn tcp_receive<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        out: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        self.with(now, probe, id, |c, cx| c.receive(cx, out))
            .unwrap_or(Err(ReceiveError::Closed(CloseReason::Finished)))
    }

    /// Takes what has come without a copy; `Ok(None)` at the peer's FIN.
    pub fn tcp_receive_chunk<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
    ) -> Result<Option<Chunk>, ReceiveError> {
        self.with(now, probe, id, |c, cx| c.receive_chunk(cx))
            .unwrap_or(Err(ReceiveError::Closed(CloseReason::Finished)))
    }

    /// Copies without taking.
    pub fn tcp_peek(&mut self, id: ConnId, out: &mut [u8]) -> Result<usize, ReceiveError> {
        match self.tcp.conns.get_mut((id.0, id.1)) {
            Some(e) => e.conn.peek(out),
            None => Err(ReceiveError::Closed(CloseReason::Finished)),
        }
    }

    /// Closes the sending direction.
    pub fn tcp_shutdown_write<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ConnId) {
        if self.with(now, probe, id, |c, cx| c.shutdown_write(cx)).is_some() {
            self.remember_path(now, id.0);
        }
    }

    /// Closes both directions; the number is not valid any more. What was written is still delivered.
    pub fn tcp_close<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ConnId) {
        if self.tcp.conns.get((id.0, id.1)).is_some_and(|e| e.owned) {
            self.remember_path(now, id.0);
        }
        let crowded = self.tcp.orphans >= self.cfg.max_orphans;
        self.mib.abort_on_memory += u64::from(crowded);
        let close = |c: &mut Connection, cx: &mut Cx<'_, P>| {
            if crowded {
                c.abort(cx, SendReason::Abort);
            } else {
                c.close(cx);
            }
        };
        if self.with(now, probe, id, close).is_some() {
            self.disown(id);
        }
    }

    /// Resets the connection; the number is not valid any more.
    pub fn tcp_abort<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ConnId) {
        if self.with(now, probe, id, |c, cx| c.abort(cx, SendReason::Abort)).is_some() {
            self.disown(id);
        }
    }

    fn disown(&mut self, id: ConnId) {
        if let Some(e) = self.tcp.conns.get_mut((id.0, id.1)) {
            e.owned = false;
            self.tcp.orphans += 1;
            self.reap(id.0);
        }
    }

    /// Closing with linger time zero resets.
    pub fn tcp_set_linger_zero(&mut self, id: ConnId, on: bool) {
        if let Some(e) = self.tcp.conns.get_mut((id.0, id.1)) {
            e.conn.set_abort_on_close(on);
        }
    }

    /// Changes the settings of a connection. False if it is none, or the table of settings is full: nothing is changed.
    //= RFC 9293 3.8.3 MUST-21
    //= RFC 9293 3.7.4 MUST-17
    //= RFC 9293 3.8.4 MUST-24 MUST-27
    pub fn tcp_configure<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        change: impl FnOnce(&mut TcpConfig),
    ) -> bool {
        let Some(e) = self.tcp.conns.get((id.0, id.1)) else { return false };
        let mut cfg = self.configs[e.cfg].clone();
        change(&mut cfg);
        let Some(n) = self.configs.exchange(e.cfg, &cfg) else { return false };
        if let Some(e) = self.tcp.conns.get_mut((id.0, id.1)) {
            e.cfg = n;
        }
        // Timers follow the settings.
        self.with(now, probe, id, |c, cx| c.on_deadline(cx));
        true
    }

    /// The settings of a connection.
    pub fn tcp_config(&self, id: ConnId) -> Option<&TcpConfig> {
        self.tcp.conns.get((id.0, id.1)).map(|e| &self.configs[e.cfg])
    }

    /// The next `count` segments of text are acknowledged at once, and from then on the setting `quick-acks` holds; with 0,
    /// acknowledgments wait from now on as RFC 9293 3.8.6.3 allows.
    pub fn tcp_quick_ack<P: Probe>(&mut self, now: Instant, probe: &mut P, id: ConnId, count: u8) {
        self.with(now, probe, id, |c, _| c.set_quick_ack(count));
    }

    /// Another congestion control governs the connection from now on; it may be one of the user's own. False before its
    /// handshake is complete: until then the setting `congestion` decides.
    pub fn tcp_set_congestion<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        congestion: Congestion,
    ) -> bool {
        self.with(now, probe, id, |c, _| c.set_congestion(congestion)).unwrap_or(false)
    }

    /// Likewise, one of the algorithms that there are.
    pub fn tcp_set_algorithm<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ConnId,
        algorithm: Algorithm,
    ) -> bool {
        self.with(now, probe, id, |c, cx| c.set_algorithm(cx, algorithm)).unwrap_or(false)
    }

    /// The name of the congestion control that governs the connection, or will when its handshake is complete.
    pub fn tcp_congestion(&self, id: ConnId) -> Option<&'static str> {
        let e = self.tcp.conns.get((id.0, id.1))?;
        Some(e.conn.congestion().unwrap_or(self.configs[e.cfg].congestion.name()))
    }

    /// Free room in the send buffer, in octets.
    pub fn tcp_send_room(&self, id: ConnId) -> usize {
        let Some(e) = self.tcp.conns.get((id.0, id.1)) else { return 0 };
        e.conn.send_room(&self.configs[e.cfg], self.pool.memory())
    }

    /// What has happened to the connection since the last call.
    pub fn tcp_events(&mut self, id: ConnId) -> Events {
        match self.tcp.conns.get_mut((id.0, id.1)) {
            Some(e) => {
                e.notified = false;
                core::mem::take(&mut e.events)
            }
            None => Events::CLOSED,
        }
    }

    /// The state of the connection. After TIME-WAIT is over it is CLOSED.
    pub fn tcp_state(&self, id: ConnId) -> State {
        match self.tcp.conns.get((id.0, id.1)) {
            Some(e) if e.conn.state() == State::TimeWait => match self.tcp.find(&e.key) {
                Some(Slot::Wait(_)) => State::TimeWait,
                _ => State::Closed,
            },
            Some(e) => e.conn.state(),
            None => State::Closed,
        }
    }

    /// The state of whatever there is for a four-tuple.
    pub fn tcp_state_of(&self, tuple: Tuple) -> State {
        match self.tcp.find(&Key::new(tuple.local, tuple.remote)) {
            Some(Slot::Conn(i)) => self.tcp.conns.at(i).map_or(State::Closed, |e| e.conn.state()),
            // Of a SYN that awaits a decision nothing was said.
            Some(Slot::Half(i)) if self.tcp.half.at(i).is_some_and(HalfOpen::is_unanswered) => State::Listen,
            Some(Slot::Half(_)) => State::SynReceived,
            Some(Slot::Wait(_)) => State::TimeWait,
            None => State::Closed,
        }
    }

    /// What is known of whatever there is for a four-tuple: of a half-open connection and of one in TIME-WAIT that is
    /// little more than its numbers, and their counters are zero. None if there is nothing.
    pub fn tcp_status_of(&self, tuple: Tuple) -> Option<Status> {
        match self.tcp.find(&Key::new(tuple.local, tuple.remote))? {
            Slot::Conn(i) => {
                let e = self.tcp.conns.at(i)?;
                Some(Status { state: e.conn.state(), ..self.status_of(e) })
            }
            Slot::Half(i) => Some(Status::of_syn_received(&self.tcp.half.at(i)?.syn)),
            Slot::Wait(i) => {
                let w = &self.tcp.waits.at(i)?.tw;
                Some(Status {
                    state: State::TimeWait,
                    seq: (w.snd_nxt, w.snd_nxt, w.rcv_nxt),
                    rcv_wnd: u32::from(w.window),
                    options: (w.timestamps, false),
                    ..Status::default()
                })
            }
        }
    }

    /// Why the connection ended, once it has.
    pub fn tcp_reason(&self, id: ConnId) -> Option<CloseReason> {
        self.tcp.conns.get((id.0, id.1)).and_then(|e| e.conn.reason())
    }

    /// Whether a receive would return at once, with as much as `rcv-lowat` asks for.
    pub fn tcp_is_readable(&self, id: ConnId) -> bool {
        self.tcp.conns.get((id.0, id.1)).is_none_or(|e| e.conn.is_readable(&self.configs[e.cfg]))
    }

    /// Whether a send would be taken, by as much as `snd-lowat` asks for, or fail at once. If not, `WRITABLE` is told later.
    pub fn tcp_is_writable(&mut self, id: ConnId) -> bool {
        let memory = self.pool.memory();
        let Some(e) = self.tcp.conns.get_mut((id.0, id.1)) else { return true };
        e.conn.is_writable(&self.configs[e.cfg], memory)
    }

    /// Its four-tuple.
    pub fn tcp_tuple(&self, id: ConnId) -> Option<Tuple> {
        self.tcp.conns.get((id.0, id.1)).map(|e| e.key.tuple())
    }

    /// The four-tuple behind the number that an observer is told, while the record exists.
    pub fn observed_tuple(&self, connection: u64) -> Option<Tuple> {
        let token = u32::try_from(connection).ok()?;
        self.tcp.key_of(Slot::from_token(token)).map(Key::tuple)
    }

    /// A snapshot of it.
    pub fn tcp_status(&self, id: ConnId) -> Option<Status> {
        self.tcp.conns.get((id.0, id.1)).map(|e| self.status_of(e))
    }

    /// What the engine tells, and what only the host knows.
    fn status_of(&self, e: &Entry) -> Status {
        let (s, remote) = (e.conn.status(), e.key.remote().ip());
        let Some(t) = e.conn.tcb() else { return s };
        let options = if t.negotiated.timestamps { 12 } else { 0 };
        let packet = u32::from(s.mss + options) + 20 + ip_header_len(remote) as u32;
        // SMSS is below what the handshake allowed only where the path is known, or believed, not to carry more.
        let path_is_less = s.mss + options < t.negotiated.snd_mss;
        let pmtu = if path_is_less { packet } else { self.path_mtu(remote, e.link) };
        Status { pmtu, ato_us: self.configs[e.cfg].delayed_ack.as_micros() as u32, ..s }
    }
}
