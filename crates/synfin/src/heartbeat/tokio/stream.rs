//! A heartbeat over whatever reads and writes as tokio does.
//!
//! There is no task of its own: whoever polls keeps the heart beating, be it to read, to write or to [tend](HeartbeatStream::tend).
//! A program that polls nothing for too long is what a heartbeat finds, a program that hangs.
//!
//! Reader and writer may be different tasks (`tokio::io::split`), and each poll may have to read, to write and to wait for a
//! deadline. So what is below gets one waker that wakes both.

use crate::heartbeat::blocking::error;
use crate::heartbeat::{Counters, Heartbeat, SendError, Settings, Verdict};
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::time::Sleep;
use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use synfin_stack::engine::Instant;

/// A stream with a heartbeat. Both ends must have one. It fails as the
/// [blocking one](crate::heartbeat::HeartbeatStream) does, and after a verdict the stream below is given up: one of ours is reset at
/// once, one of tokio's when it is dropped, another as [`give_up_by`](Self::give_up_by) says, and else it is only dropped.
/// `poll_shutdown` says the end, and shuts the stream below when the other end has ended too, or the stream is dropped: until then
/// hearts beat. One that is dropped without it was cut short. After the last write before a pause, flush: what the stream below
/// did not take at once goes with the next poll.
///
/// What is below must not hold small pieces back while others are unacknowledged: `TcpStream::set_nodelay` before.
#[derive(Debug)]
pub struct HeartbeatStream<S> {
    stream: S,
    beat: Heartbeat,
    start: ::tokio::time::Instant,
    sleep: Pin<Box<Sleep>>,
    wakers: Arc<Wakers>,
    /// Something was written that the stream below may still hold.
    unflushed: bool,
    piece: Box<[u8]>,
    /// What is done to the stream below after a verdict, and whether it was.
    give_up: fn(&S),
    fate: Arc<Fate>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> HeartbeatStream<S> {
    /// On a stream that was connected just now: this end asks first. Needs a runtime with time.
    pub fn new(stream: S, settings: Settings) -> Self {
        Self::of(stream, Heartbeat::new(EPOCH, settings))
    }

    /// On a stream that was accepted just now: the other end asks first.
    pub fn accepted(stream: S, settings: Settings) -> Self {
        Self::of(stream, Heartbeat::accepted(EPOCH, settings))
    }

    fn of(stream: S, beat: Heartbeat) -> Self {
        let start = ::tokio::time::Instant::now();
        HeartbeatStream {
            stream,
            beat,
            start,
            sleep: Box::pin(::tokio::time::sleep_until(start)),
            wakers: Arc::default(),
            unflushed: false,
            piece: vec![0; PIECE].into(),
            give_up,
            fate: Arc::default(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HeartbeatStream<S> {
    /// What is to be done to the stream below when it has a verdict, for a type that this does not know: TLS over a stream, which
    /// says what is below it.
    pub fn give_up_by(mut self, give_up: fn(&S)) -> Self {
        self.give_up = give_up;
        self
    }

    /// Keeps the heart beating without taking text, until the peer is gone or the stream fails: the error. For a `select!` beside
    /// something that takes long.
    pub async fn tend(&mut self) -> io::Error {
        poll_fn(|cx| match self.drive(Side::Read, cx) {
            Ok(()) => self.beat.verdict().map_or(Poll::Pending, |v| Poll::Ready(error(v))),
            Err(e) => Poll::Ready(e),
        })
        .await
    }

    /// What has been decided of the peer, if anything.
    pub fn verdict(&self) -> Option<Verdict> {
        self.beat.verdict()
    }

    /// Whether anything has come from the peer's program. That it was connected to is not.
    pub fn has_heard(&self) -> bool {
        self.beat.has_heard()
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.beat.counters()
    }

    /// The stream below. What is read from it or written to it past the heartbeat breaks the framing.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream below, for good. After both ends have ended it is at its own.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// What becomes of it, for who gives it away.
    pub(super) fn fate(&self) -> Arc<Fate> {
        self.fate.clone()
    }

    /// Does all there is to do, and asks for whoever polls to be woken for the rest.
    fn drive(&mut self, side: Side, cx: &Context<'_>) -> io::Result<()> {
        let driven = self.exchange(side, cx);
        if self.beat.has_heard() {
            self.fate.heard.store(true, Ordering::Relaxed);
        }
        if self.beat.verdict().is_some() && !self.fate.decided.swap(true, Ordering::Relaxed) {
            (self.give_up)(&self.stream);
        }
        driven
    }

    fn exchange(&mut self, side: Side, cx: &Context<'_>) -> io::Result<()> {
        self.wakers.set(side, cx);
        let waker = Waker::from(self.wakers.clone());
        let cx = &mut Context::from_waker(&waker);
        for _ in 0..TURNS {
            // A stream that takes nothing may still have what came before: text, and why.
            let wrote = self.write_out(cx);
            if !self.read_in(cx)? && (wrote.is_err() || !self.judge(cx)) {
                return wrote;
            }
        }
        waker.wake_by_ref(); // there is more; others have their turn first
        Ok(())
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.beat.verdict().is_some() {
            return Ok(()); // to nobody
        }
        while self.beat.wants_to_transmit() {
            match Pin::new(&mut self.stream).poll_write(cx, self.beat.poll_transmit()) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.beat.on_transmitted(n);
                    self.unflushed = true;
                }
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => return Ok(()),
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// Takes what has come; whether something did.
    fn read_in(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let room = self.beat.room().min(PIECE);
        if room == 0 || self.beat.verdict().is_some() {
            return Ok(false);
        }
        let mut buf = ReadBuf::new(&mut self.piece[..room]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(e)) => return Err(e),
            Poll::Ready(Ok(())) => {}
        }
        let now = now_since(self.start);
        // An error is the verdict as well, and found as that, after the text that came before it.
        let _ = match buf.filled() {
            [] => self.beat.on_end(),
            octets => self.beat.on_received(now, octets).map(|_| ()),
        };
        Ok(true)
    }

    /// What is due; else to be woken when something is. Whether something was.
    fn judge(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(next) = self.beat.next_deadline().finite() else { return false };
        let now = now_since(self.start);
        if next <= now {
            self.beat.on_deadline(now);
            return true;
        }
        self.sleep.as_mut().reset(self.start + next.since(EPOCH));
        self.sleep.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HeartbeatStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let s = self.get_mut();
        let driven = s.drive(Side::Read, cx);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let n = s.beat.receive(now_since(s.start), buf.initialize_unfilled());
        buf.advance(n);
        if n > 0 || s.beat.is_at_end() {
            return Poll::Ready(Ok(()));
        }
        match s.beat.verdict() {
            Some(v) => Poll::Ready(Err(error(v))),
            None => driven.map_or_else(|e| Poll::Ready(Err(e)), |()| Poll::Pending),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeartbeatStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let s = self.get_mut();
        s.drive(Side::Write, cx)?;
        let n = s.beat.send(now_since(s.start), data).map_err(|e| match e {
            SendError::Ended => io::ErrorKind::BrokenPipe.into(),
            SendError::Over(v) => error(v),
        })?;
        if n == 0 && !data.is_empty() {
            return Poll::Pending; // for the stream below, which has our waker
        }
        s.drive(Side::Write, cx)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let s = self.get_mut();
        s.drive(Side::Write, cx)?;
        match s.beat.verdict() {
            Some(v) => Poll::Ready(Err(error(v))),
            None if s.beat.wants_to_transmit() || s.unflushed => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = now_since(self.start);
        self.beat.end(now);
        ready!(self.as_mut().poll_flush(cx))?;
        let s = self.get_mut();
        if s.beat.is_finished() { Pin::new(&mut s.stream).poll_shutdown(cx) } else { Poll::Ready(Ok(())) }
    }
}

/// Nothing more is to be delivered to the peer of a stream, if it is of a kind that can be told so.
fn give_up<S: 'static>(stream: &S) {
    let stream: &dyn Any = stream;
    if let Some(s) = stream.downcast_ref::<crate::tokio::TcpStream>() {
        s.reset();
    } else if let Some(s) = stream.downcast_ref::<::tokio::net::TcpStream>() {
        let _ = s.set_zero_linger();
    }
}

/// What has become of a stream.
#[derive(Debug, Default)]
pub(super) struct Fate {
    heard: AtomicBool,
    decided: AtomicBool,
}

impl Fate {
    /// Whether anything has come from the peer's program.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether there is a verdict.
    pub(super) fn is_decided(&self) -> bool {
        self.decided.load(Ordering::Relaxed)
    }
}

/// Whoever waits, to read and to write.
#[derive(Debug, Default)]
struct Wakers([Mutex<Option<Waker>>; 2]);

#[derive(Debug, Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl Wakers {
    fn set(&self, side: Side, cx: &Context<'_>) {
        let mut slot = self.0[side as usize].lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Some(w) => w.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for slot in &self.0 {
            let waker = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

fn now_since(start: ::tokio::time::Instant) -> Instant {
    EPOCH + start.elapsed()
}

/// When a stream begins, on its own clock: zero is for nothing to have happened yet.
const EPOCH: Instant = Instant::from_nanos(1);
/// What is read at once.
const PIECE: usize = 16_384;
/// How often one poll reads before others have their turn.
const TURNS: usize = 16;
