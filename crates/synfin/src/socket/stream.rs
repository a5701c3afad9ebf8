//! A connection.

use super::options::{changed, check};
use super::{Cause, Ready, Timeout};
use crate::bytes::Bytes;
use crate::driver::{Shard, probed};
use crate::handle::Stack;
use crate::waiting::Key;
#[cfg(feature = "tokio")]
use crate::waiting::Ticket;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};
use std::time::Duration;
use synfin_stack::engine::call::{ReceiveError, SendError};
use synfin_stack::engine::{CloseReason, State, TcpConfig};
use synfin_stack::{ConnId, SocketEvent};

/// A connection, held by one user; it is closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    pub host: Stack,
    pub id: ConnId,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub read_timeout: Timeout,
    pub write_timeout: Timeout,
    pub nonblocking: AtomicBool,
    /// Reads are over, by the user's wish.
    read_shut: AtomicBool,
    /// The user has been told why the connection ended, so that `take_error` does not tell it again.
    told: AtomicBool,
    /// How long dropping it waits for what was written to be acknowledged.
    linger: Timeout,
}

impl Stream {
    /// Begins to connect.
    pub(crate) fn begin(
        host: &Stack,
        local: Option<SocketAddr>,
        to: SocketAddr,
        cfg: &TcpConfig,
    ) -> io::Result<Stream> {
        check(cfg)?;
        let id = host.shared().act(|s| {
            s.opens()?;
            let now = s.now();
            probed!(s, stack, probe, stack.tcp_connect(now, probe, local, to, cfg))
                .map_err(|e| io::Error::from(Cause::Connect(e)))
        })?;
        Stream::adopt(host.clone(), id)
    }

    /// Takes a connection that the host has made.
    pub(crate) fn adopt(host: Stack, id: ConnId) -> io::Result<Stream> {
        let t = host.shared().lock().stack.tcp_tuple(id).ok_or(Cause::Stopped)?;
        let (local, peer) = (t.local, t.remote);
        Ok(Stream {
            host,
            id,
            local,
            peer,
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            nonblocking: AtomicBool::new(false),
            read_shut: AtomicBool::new(false),
            told: AtomicBool::new(false),
            linger: Timeout::default(),
        })
    }

    pub(crate) fn key(&self) -> Key {
        SocketEvent::Tcp(self.id)
    }

    /// Tries once.
    pub(crate) fn now<R>(&self, f: impl FnMut(&mut Shard) -> Option<io::Result<R>>) -> io::Result<R> {
        self.host.shared().attempt(self.key(), f)
    }

    /// Tries, and leaves a waker.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll<R>(
        &self,
        cx: &Context<'_>,
        ticket: Ticket,
        interest: Ready,
        f: impl FnMut(&mut Shard) -> Option<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.host.shared().poll(cx, self.key(), &mut Some(ticket), interest, f)
    }

    /// Waits, unless the socket does not.
    pub(crate) fn wait<R>(
        &self,
        interest: Ready,
        patience: &Timeout,
        f: impl FnMut(&mut Shard) -> Option<io::Result<R>>,
    ) -> io::Result<R> {
        if self.nonblocking.load(Ordering::Relaxed) {
            return self.now(f);
        }
        self.host
            .shared()
            .block_on(self.key(), interest, patience.get(), f)
            .unwrap_or_else(|| Err(super::timed_out("timed out")))
    }

    /// Whether it is open, once that is decided.
    pub(crate) fn try_connected(&self, s: &mut Shard) -> Option<io::Result<()>> {
        match s.stack.tcp_state(self.id) {
            // Fast Open: the SYN goes with what is written first.
            State::SynSent if s.stack.tcp_waits_for_text(self.id) => Some(Ok(())),
            State::SynSent | State::SynReceived => None,
            State::Closed => Some(Err(self.ended(s, CloseReason::Refused))),
            _ => Some(Ok(())),
        }
    }

    /// The error that tells why the connection has ended.
    fn ended(&self, s: &Shard, else_: CloseReason) -> io::Error {
        self.told.store(true, Ordering::Relaxed);
        let reason = s.stack.tcp_reason(self.id).unwrap_or(else_);
        Cause::Ended { reason, by: s.stack.tcp_ended_by(self.id) }.into()
    }

    fn received<R>(&self, s: &mut Shard, r: Result<R, ReceiveError>, end: R) -> Option<io::Result<R>> {
        match r {
            Ok(n) => {
                s.flush(); // the window may have opened
                Some(Ok(n))
            }
            Err(ReceiveError::WouldBlock) if self.read_shut.load(Ordering::Relaxed) => Some(Ok(end)),
            Err(ReceiveError::WouldBlock) => None,
            Err(ReceiveError::Closed(r)) => Some(Err(self.ended(s, r))),
        }
    }

    /// Reads into the buffers, one after another.
    pub(crate) fn try_read(&self, s: &mut Shard, bufs: &mut [IoSliceMut<'_>]) -> Option<io::Result<usize>> {
        let mut done = 0;
        for b in bufs.iter_mut().filter(|b| !b.is_empty()) {
            let now = s.now();
            match probed!(s, stack, probe, stack.tcp_receive(now, probe, self.id, b)) {
                Ok(n) => {
                    done += n;
                    if n < b.len() {
                        return self.received(s, Ok(done), 0);
                    }
                }
                Err(_) if done > 0 => break,
                Err(e) => return self.received(s, Err(e), 0),
            }
        }
        self.received(s, Ok(done), 0)
    }

    /// Reads up to `most` octets, in pieces that `sink` takes; for buffers that are not initialised.
    #[cfg(feature = "tokio")]
    pub(crate) fn try_read_with(
        &self,
        s: &mut Shard,
        most: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Option<io::Result<usize>> {
        if most == 0 {
            return Some(Ok(0));
        }
        let now = s.now();
        let r = probed!(s, stack, probe, stack.tcp_receive_with(now, probe, self.id, most, sink));
        self.received(s, r, 0)
    }

    /// Reads what is there in one piece, without a copy; nothing at the end.
    pub(crate) fn try_read_bytes(&self, s: &mut Shard) -> Option<io::Result<Option<Bytes>>> {
        let now = s.now();
        let r = probed!(s, stack, probe, stack.tcp_receive_chunk(now, probe, self.id));
        let chunk = self.received(s, r, None)?;
        Some(chunk.map(|c| c.map(|c| Bytes::of(c, &self.host))))
    }

    /// Reads without taking.
    pub(crate) fn try_peek(&self, s: &mut Shard, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if buf.is_empty() {
            return Some(Ok(0));
        }
        let r = s.stack.tcp_peek(self.id, buf);
        self.received(s, r, 0)
    }

    fn sent<R>(&self, s: &mut Shard, r: Result<R, SendError>) -> Option<io::Result<R>> {
        match r {
            Ok(n) => {
                s.flush();
                Some(Ok(n))
            }
            Err(SendError::WouldBlock) => None,
            Err(SendError::Closing | SendError::Closed(CloseReason::Finished)) => Some(Err(Cause::Closed.into())),
            Err(SendError::Closed(r)) => Some(Err(self.ended(s, r))),
        }
    }

    /// Writes from the buffers, one after another, as much as there is room for.
    pub(crate) fn try_write(&self, s: &mut Shard, bufs: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let mut done = 0;
        for b in bufs.iter().filter(|b| !b.is_empty()) {
            let now = s.now();
            match probed!(s, stack, probe, stack.tcp_send(now, probe, self.id, b)) {
                Ok(n) => {
                    done += n;
                    if n < b.len() {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(e) => return self.sent(s, Err(e)),
            }
        }
        self.sent(s, Ok(done))
    }

    /// Queues as much of `data` as there is room for without a copy, and cuts it off.
    pub(crate) fn try_write_bytes(&self, s: &mut Shard, data: &mut Bytes) -> Option<io::Result<usize>> {
        if data.is_empty() {
            return Some(Ok(0));
        }
        let mut piece = data.chunk();
        // Where there is none at all, the call says why.
        piece.truncate(s.stack.tcp_send_room(self.id).max(1));
        let now = s.now();
        let r = probed!(s, stack, probe, stack.tcp_send_chunk(now, probe, self.id, piece));
        if let Ok(n) = r {
            data.advance(n);
        }
        self.sent(s, r)
    }

    /// Whether a read would give something, if only an end or an error.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_readable(&self, s: &Shard) -> bool {
        s.stack.tcp_is_readable(self.id) || self.read_shut.load(Ordering::Relaxed)
    }

    /// Whether a write would give something, if only an error. If not, it is told when it would.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_writable(&self, s: &mut Shard) -> bool {
        s.stack.tcp_is_writable(self.id)
    }

    /// Whether it is at its end for reading, and for writing.
    #[cfg(feature = "tokio")]
    pub(crate) fn ends(&self, s: &Shard) -> (bool, bool) {
        let state = s.stack.tcp_state(self.id);
        let read = state.peer_closed() || state == State::Closed || self.read_shut.load(Ordering::Relaxed);
        (read, !matches!(state, State::Established | State::CloseWait | State::SynSent | State::SynReceived))
    }

    /// Closes one direction or both.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.host.shared().act(|s| {
            if s.stack.tcp_state(self.id) == State::Closed && s.stack.tcp_reason(self.id) != Some(CloseReason::Finished)
            {
                return Err(io::ErrorKind::NotConnected.into());
            }
            if how != Shutdown::Write {
                self.read_shut.store(true, Ordering::Relaxed);
                s.waiters.wake(self.key(), Ready::READ);
            }
            if how != Shutdown::Read {
                let now = s.now();
                probed!(s, stack, probe, stack.tcp_shutdown_write(now, probe, self.id));
                s.waiters.wake(self.key(), Ready::WRITE);
            }
            Ok(())
        })
    }

    /// The error that the connection ended with, once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let s = self.host.shared().lock();
        let reason = s.stack.tcp_reason(self.id).filter(|r| *r != CloseReason::Finished)?;
        let told = self.told.load(Ordering::Relaxed);
        (!told).then(|| self.ended(&s, reason))
    }

    /// Changes its settings.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
        self.host.shared().act(|s| {
            let new = changed(s.stack.tcp_config(self.id).ok_or(Cause::Stopped)?, change)?;
            let now = s.now();
            if !probed!(s, stack, probe, stack.tcp_configure(now, probe, self.id, |c| *c = new)) {
                return Err(Cause::SettingsFull.into());
            }
            // What somebody waits for may be there by the new measure: low-water marks.
            s.waiters.wake(self.key(), Ready::READ);
            s.waiters.wake(self.key(), Ready::WRITE);
            Ok(())
        })
    }

    /// Sets the size of a buffer, by one of `options`.
    pub(crate) fn buffers(
        &self,
        set: fn(&mut TcpConfig, Option<usize>, &TcpConfig),
        octets: Option<usize>,
    ) -> io::Result<()> {
        let host = self.host.tcp_defaults();
        self.configure(|c| set(c, octets, &host))
    }

    /// Resets the connection at once; its holders still hold it, and are told.
    pub(crate) fn reset(&self) {
        self.host.shared().act(|s| {
            let now = s.now();
            probed!(s, stack, probe, stack.tcp_end(now, probe, self.id));
        });
    }

    /// Its settings; those of the host if it is no more.
    pub(crate) fn config<R>(&self, f: impl FnOnce(&TcpConfig) -> R) -> R {
        let s = self.host.shared().lock();
        f(s.stack.tcp_config(self.id).unwrap_or(s.stack.tcp_defaults()))
    }

    /// What dropping does: nothing special, reset, or wait.
    pub(crate) fn set_linger(&self, linger: Option<Duration>) {
        self.linger.set(linger.filter(|l| !l.is_zero())).unwrap_or_default();
        self.host.shared().lock().stack.tcp_set_linger_zero(self.id, linger.is_some_and(|l| l.is_zero()));
    }

    pub(crate) fn linger(&self) -> Option<Duration> {
        let zero = self.host.shared().lock().stack.tcp_linger_zero(self.id);
        if zero { Some(Duration::ZERO) } else { self.linger.get() }
    }
}

/// Closes: what was written is still delivered; what was not read resets the connection instead (RFC 2525 2.17).
impl Drop for Stream {
    fn drop(&mut self) {
        let shared = self.host.shared();
        shared.act(|s| {
            let now = s.now();
            s.waiters.close(self.key());
            probed!(s, stack, probe, stack.tcp_close(now, probe, self.id));
        });
        if let Some(patience) = self.linger.get() {
            shared.wait_until(patience, |s| {
                s.down || matches!(s.stack.tcp_state(self.id), State::FinWait2 | State::TimeWait | State::Closed)
            });
        }
    }
}
