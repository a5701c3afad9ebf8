//! SEND (RFC 9293 3.10.2).

use crate::buf::{Chunk, Memory};
use crate::config::{IdleRestart, TcpConfig};
use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::snd::congestion::initial_window;
use crate::state::State;
use crate::tcb::Tcb;

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// No room, or the handshake is not complete: try again when writable.
    WouldBlock,
    /// This direction was closed by the user.
    Closing,
    /// The connection is gone.
    Closed(CloseReason),
}

impl Connection {
    /// Queues as much of `data` as there is room for and returns how much. The text is copied.
    pub fn send<P: Probe>(&mut self, cx: &mut Cx<'_, P>, data: &[u8]) -> Result<usize, SendError> {
        let room = self.room(cx)?.min(data.len());
        if let Some(t) = self.tcb_mut() {
            t.restart_after_idle(cx);
            t.snd.queue.push_copy(&data[..room], cx.pool);
            t.write_blocked |= room < data.len();
        }
        self.settle(cx);
        Ok(room)
    }

    /// Queues `data` without a copy. All of it or nothing: it may exceed the room if there is any.
    pub fn send_chunk<P: Probe>(&mut self, cx: &mut Cx<'_, P>, data: Chunk) -> Result<usize, SendError> {
        self.room(cx)?;
        let n = data.len();
        if let Some(t) = self.tcb_mut() {
            t.restart_after_idle(cx);
            t.snd.queue.push(data, cx.pool);
        }
        self.settle(cx);
        Ok(n)
    }

    /// Like [`Connection::send`], and the last octet taken ends urgent data.
    //= RFC 9293 3.8.5 MUST-30 MUST-31 MUST-62 (RFC 6093 advises new applications against it)
    pub fn send_urgent<P: Probe>(&mut self, cx: &mut Cx<'_, P>, data: &[u8]) -> Result<usize, SendError> {
        let n = self.send(cx, data)?;
        if let Some(t) = self.tcb_mut() {
            t.snd.up = t.snd.queue.end();
        }
        Ok(n)
    }

    /// The free room of the send buffer; none outside of the states in which text is taken.
    pub fn send_room(&self, cfg: &TcpConfig, memory: Memory) -> usize {
        match &self.phase {
            Phase::Synchronized(t) if matches!(t.state, State::Established | State::CloseWait) => {
                t.snd.room(cfg, memory) as usize
            }
            _ => 0,
        }
    }

    /// Whether a send would give something, if only an error. If not, [`crate::Events::WRITABLE`] tells when it would.
    pub fn is_writable<P: Probe>(&mut self, cx: &Cx<'_, P>) -> bool {
        self.room(cx) != Err(SendError::WouldBlock)
    }

    fn room<P: Probe>(&mut self, cx: &Cx<'_, P>) -> Result<usize, SendError> {
        match &mut self.phase {
            // 3.10.2 SYN-SENT, SYN-RECEIVED: "if no space to queue, respond with insufficient resources".
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(SendError::WouldBlock),
            Phase::Synchronized(t) => match t.state {
                State::Established | State::CloseWait => match t.snd.room(cx.cfg, cx.pool.memory()) as usize {
                    0 => {
                        t.write_blocked = true;
                        Err(SendError::WouldBlock)
                    }
                    n => Ok(n),
                },
                _ => Err(SendError::Closing),
            },
            Phase::Closed => Err(SendError::Closed(self.reason.unwrap_or(CloseReason::Finished))),
        }
    }
}

impl Tcb {
    /// Before something is sent again: after an idle time of more than one RTO the congestion window tells nothing of
    /// the path any more. Not if it is validated in another way (RFC 7661) or trusted for ever, by setting, nor if the
    /// algorithm has a model of the path and not only a window.
    //= RFC 5681 4.1
    pub(crate) fn restart_after_idle<P: Probe>(&mut self, cx: &Cx<'_, P>) {
        let s = &mut self.snd;
        if cx.cfg.idle_restart != IdleRestart::Restart || s.congestion.view().governs_recovery() {
            return;
        }
        if s.flight() == 0 && (!s.has_pending() || s.wnd == 0) && cx.now.since(s.last_sent) > s.rtt.rto(cx.cfg) {
            s.window.cwnd = s.window.cwnd.min(initial_window(cx.cfg.initial_window, u32::from(s.mss)));
        }
    }
}
