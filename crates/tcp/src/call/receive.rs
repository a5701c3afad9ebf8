//! RECEIVE (RFC 9293 3.10.3).

use crate::buf::{Chunk, Memory};
use crate::config::TcpConfig;
use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rcv::Owed;
use crate::rule::SendReason;
use crate::tcb::Tcb;

/// Why nothing was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveError {
    /// Nothing has come yet: try again when readable.
    WouldBlock,
    /// The connection is gone, and not in order.
    Closed(CloseReason),
}

impl Connection {
    /// Copies out what has come in order. `Ok(0)` (for a buffer that is not empty) means that the peer's FIN was
    /// reached: only that, not a path that is cut.
    pub fn receive<P: Probe>(&mut self, cx: &mut Cx<'_, P>, out: &mut [u8]) -> Result<usize, ReceiveError> {
        let mut rest = out;
        self.receive_with(cx, rest.len(), |piece| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        })
    }

    /// Likewise, up to `most` octets, which `sink` takes in pieces: for buffers that are not initialised.
    pub fn receive_with<P: Probe>(
        &mut self,
        cx: &mut Cx<'_, P>,
        most: usize,
        sink: impl FnMut(&[u8]),
    ) -> Result<usize, ReceiveError> {
        let n = match self.readable()? {
            Some(t) => {
                let n = t.rcv.queue.read_with(most, cx.pool, sink);
                if n > 0 {
                    t.taken(cx, n as u32);
                }
                n
            }
            None => return Ok(self.unread.read_with(most, cx.pool, sink)),
        };
        if n == 0 && most > 0 {
            return self.nothing();
        }
        self.settle(cx);
        Ok(n)
    }

    /// Takes the first piece without a copy; `Ok(None)` at the peer's FIN.
    pub fn receive_chunk<P: Probe>(&mut self, cx: &mut Cx<'_, P>) -> Result<Option<Chunk>, ReceiveError> {
        if self.readable()?.is_none() {
            return Ok(self.unread.pop(cx.pool));
        }
        let Some(t) = self.tcb_mut() else { return Ok(None) };
        let Some(c) = t.rcv.queue.pop(cx.pool) else { return self.nothing().map(|_| None) };
        t.taken(cx, c.len() as u32);
        self.settle(cx);
        Ok(Some(c))
    }

    /// Copies without taking.
    pub fn peek(&mut self, out: &mut [u8]) -> Result<usize, ReceiveError> {
        match self.readable()? {
            Some(t) => match t.rcv.queue.peek(out) {
                0 if !out.is_empty() => self.nothing(),
                n => Ok(n),
            },
            None => Ok(self.unread.peek(out)),
        }
    }

    /// Whether [`Connection::receive`] would return at once, with as much as `rcv-lowat` asks for.
    pub fn is_readable(&self, cfg: &TcpConfig) -> bool {
        match &self.phase {
            Phase::Synchronized(t) => t.is_readable(cfg) || t.state.peer_closed(),
            Phase::Closed => true,
            _ => false,
        }
    }

    //= RFC 9293 3.6 MUST-12: an orderly end gives 0, any other its reason
    fn readable(&mut self) -> Result<Option<&mut Tcb>, ReceiveError> {
        // Who reads first has no text for the SYN (RFC 7413).
        if let Phase::SynSent(_) = self.phase {
            self.wait_no_longer();
        }
        match &mut self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(ReceiveError::WouldBlock),
            Phase::Synchronized(t) => Ok(Some(t)),
            Phase::Closed => match self.reason {
                None | Some(CloseReason::Finished) => Ok(None),
                Some(r) => Err(ReceiveError::Closed(r)),
            },
        }
    }

    fn nothing(&self) -> Result<usize, ReceiveError> {
        match &self.phase {
            Phase::Synchronized(t) if t.state.peer_closed() => Ok(0),
            _ => Err(ReceiveError::WouldBlock),
        }
    }
}

impl Tcb {
    /// Whether the text on hand is enough to be told of. No more comes once the window is shut.
    pub(crate) fn is_readable(&self, cfg: &TcpConfig) -> bool {
        let (r, have) = (&self.rcv, self.rcv.queue.len());
        have > 0 && (have >= cfg.rcv_lowat || r.wnd() < u32::from(r.mss))
    }

    /// The user took `n` octets: the buffer may grow, and the peer is told of a window that has opened.
    fn taken<P: Probe>(&mut self, cx: &Cx<'_, P>, n: u32) {
        let memory = cx.pool.memory();
        self.rcv.drained(n, cx.cfg, cx.now, memory != Memory::Plenty);
        if self.urgent_left() == 0 {
            self.rcv.up = None;
        }
        if !self.state.peer_closed() && self.rcv.update_is_due(memory) && !matches!(self.rcv.ack.owed, Owed::Now(_)) {
            self.rcv.ack.owed = Owed::Now(SendReason::WindowUpdate);
        }
        // What is owed for a FIN waits for ours.
        if self.rcv.queue.is_empty() && !self.state.peer_closed() {
            self.rcv.ack.read();
        }
    }
}
