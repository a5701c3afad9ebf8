//! A heartbeat over a stream that blocks: ours, or one of `std::net`.
//!
//! There is no thread of its own: whoever reads keeps the heart beating while it waits, and whoever writes looks after it when
//! it has to wait, and when a deadline is over. So a program that does neither for too long is what a heartbeat finds, a program
//! that hangs; one that is to compute for longer calls [`HeartbeatStream::tend`] now and then, or from a thread beside it.
//!
//! Three locks: the machine's, which is held for moments only; and the turns to read and to write, which are held while that
//! waits. Who has the turn to read hears and judges, for others that would read as well; who has none to write leaves its probe or answer to the one that has.

use super::{Counters, FrameError, Heartbeat, SendError, Settings, Verdict};
use crate::blocking::TcpStream;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use synfin_stack::engine::Instant;

/// What a stream must have. Its read and write timeouts belong to the heartbeat from then on.
pub trait Stream {
    /// Reads what has come, waiting not longer than `patience`: then [`io::ErrorKind::WouldBlock`].
    fn read_within(&self, patience: Duration, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes what there is room for, waiting not longer than `patience`: then [`io::ErrorKind::WouldBlock`]. Nothing at all is
    /// taken for [`io::ErrorKind::WriteZero`].
    fn write_within(&self, patience: Duration, data: &[u8]) -> io::Result<usize>;
    /// Small pieces are not to be held back (`TCP_NODELAY`).
    fn set_nodelay(&self) -> io::Result<()>;
    /// Its peer is gone: nothing more is to be delivered to it.
    fn give_up(&self);
}

macro_rules! stream {
    ($t:ty, $give_up:expr) => {
        impl Stream for $t {
            fn read_within(&self, patience: Duration, buf: &mut [u8]) -> io::Result<usize> {
                self.set_read_timeout(Some(patience.max(GLANCE)))?;
                (&mut &*self).read(buf)
            }

            fn write_within(&self, patience: Duration, data: &[u8]) -> io::Result<usize> {
                self.set_write_timeout(Some(patience.max(GLANCE)))?;
                (&mut &*self).write(data)
            }

            fn set_nodelay(&self) -> io::Result<()> {
                <$t>::set_nodelay(self, true)
            }

            fn give_up(&self) {
                let _: io::Result<()> = $give_up(self);
            }
        }
    };
}
stream!(TcpStream, |s: &TcpStream| {
    s.reset();
    Ok(())
});
stream!(std::net::TcpStream, |s: &std::net::TcpStream| s.shutdown(Shutdown::Both));

/// A stream with a heartbeat. Both ends must have one. It reads and writes as a stream does, and through `&` as well, so that
/// one thread can read while another writes.
///
/// Beside the errors of the stream, reads and writes fail with [`io::ErrorKind::TimedOut`] when the peer is gone, with
/// [`io::ErrorKind::UnexpectedEof`] when its program died before it had said its end, and with [`io::ErrorKind::InvalidData`]
/// when it does not speak this; the [`Verdict`] is inside. Dropped, it says its end and closes; after a verdict it resets.
#[derive(Debug)]
pub struct HeartbeatStream<S: Stream = TcpStream> {
    stream: S,
    beat: Mutex<Heartbeat>,
    /// Something was heard.
    news: Condvar,
    reading: Mutex<()>,
    writing: Mutex<()>,
    read_timeout: Mutex<Option<Duration>>,
    start: std::time::Instant,
}

impl<S: Stream> HeartbeatStream<S> {
    /// On a stream that was connected just now: this end asks first.
    pub fn new(stream: S, settings: Settings) -> io::Result<Self> {
        Self::of(stream, Heartbeat::new(EPOCH, settings))
    }

    /// On a stream that was accepted just now: the other end asks first.
    pub fn accepted(stream: S, settings: Settings) -> io::Result<Self> {
        Self::of(stream, Heartbeat::accepted(EPOCH, settings))
    }

    fn of(stream: S, beat: Heartbeat) -> io::Result<Self> {
        stream.set_nodelay()?;
        let s = HeartbeatStream {
            stream,
            beat: Mutex::new(beat),
            news: Condvar::new(),
            reading: Mutex::default(),
            writing: Mutex::default(),
            read_timeout: Mutex::default(),
            start: now_of_the_machine(),
        };
        s.flush_now()?; // the greeting
        Ok(s)
    }

    /// How long a read may wait for text; then it fails with [`io::ErrorKind::WouldBlock`]. `None` waits as long as the peer
    /// lives.
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        if t == Some(Duration::ZERO) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timeout of zero"));
        }
        *lock(&self.read_timeout) = t;
        Ok(())
    }

    /// Keeps the heart beating for so long, or as long as another thread reads, without taking text.
    pub fn tend(&self, patience: Duration) -> io::Result<()> {
        let until = self.now() + patience;
        loop {
            if let Some(v) = self.verdict() {
                return Err(error(v));
            }
            let left = until.since(self.now());
            if left.is_zero() {
                return self.flush_now();
            }
            match try_lock(&self.reading) {
                Some(_turn) => self.turn(until)?,
                None => pause(left.min(LOOK)), // it may stop at any time
            }
        }
    }

    /// No more text comes from this end; the other may go on, and the hearts of both.
    pub fn end(&self) -> io::Result<()> {
        self.lock().end(self.now());
        self.flush_all()
    }

    /// What has been decided of the peer, if anything.
    pub fn verdict(&self) -> Option<Verdict> {
        self.lock().verdict()
    }

    /// Whether anything has come from the peer's program. That it was connected to is not.
    pub fn has_heard(&self) -> bool {
        self.lock().has_heard()
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.lock().counters()
    }

    /// The stream below. What is read from it or written to it past the heartbeat breaks the framing.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let until = lock(&self.read_timeout).map_or(Instant::NEVER, |t| self.now() + t);
        loop {
            let now = self.now();
            let mut b = self.lock();
            let n = b.receive(now, buf);
            if n > 0 || b.is_at_end() {
                return Ok(n);
            }
            if let Some(v) = b.verdict() {
                return Err(error(v));
            }
            if now >= until {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match try_lock(&self.reading) {
                Some(_turn) => {
                    drop(b);
                    self.turn(until)?;
                }
                // Another thread hears, and tells.
                None => drop(self.news.wait_timeout(b, until.since(now).min(LOOK))),
            }
        }
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        loop {
            let taken = self.lock().send(self.now(), data).map_err(|e| match e {
                SendError::Ended => io::ErrorKind::BrokenPipe.into(),
                SendError::Over(v) => error(v),
            })?;
            self.flush_all()?;
            if self.lock().next_deadline() <= self.now() {
                self.look()?;
            }
            if taken > 0 {
                return Ok(taken);
            }
        }
    }

    /// With the turn to read: lets out what is to go, waits for what comes, at most until the next deadline, and judges.
    fn turn(&self, until: Instant) -> io::Result<()> {
        if let Err(e) = self.flush_now() {
            // A stream that takes nothing may still have what came before: text, and why.
            return if self.hear(GLANCE)? { Ok(()) } else { Err(e) };
        }
        let now = self.now();
        let (room, next, blocked) = {
            let b = self.lock();
            (b.room(), b.next_deadline().min(until), b.wants_to_transmit())
        };
        let wait = next.since(now).min(if blocked { LOOK } else { LONGEST });
        if room == 0 {
            pause(wait.min(LOOK)); // its user takes nothing, or nothing comes any more
        } else if self.hear(wait)? {
            return Ok(());
        }
        self.judge()
    }

    /// With the turn to read: takes what comes within `patience`; false if nothing did.
    fn hear(&self, patience: Duration) -> io::Result<bool> {
        let mut buf = [0; PIECE];
        let room = self.lock().room().min(PIECE);
        if room == 0 {
            return Ok(false);
        }
        match self.stream.read_within(patience, &mut buf[..room]) {
            // An error is the verdict as well, and found as that, after the text that came before it.
            Ok(0) => _ = self.lock().on_end(),
            Ok(n) => _ = self.lock().on_received(self.now(), &buf[..n]),
            Err(e) if is_not_now(&e) => return Ok(false),
            Err(e) => return Err(e),
        }
        self.news.notify_all();
        Ok(true)
    }

    /// With the turn to read: a deadline that is over is one only if nothing has come meanwhile.
    fn judge(&self) -> io::Result<()> {
        if self.lock().next_deadline() <= self.now() && !self.hear(GLANCE)? {
            self.lock().on_deadline(self.now());
        }
        Ok(())
    }

    /// From a write: hears and judges, unless another thread reads, which does.
    fn look(&self) -> io::Result<()> {
        if let Some(_turn) = try_lock(&self.reading) {
            while self.verdict().is_none() && self.hear(GLANCE)? {}
            self.judge()?;
        }
        self.flush_now()?;
        self.verdict().map_or(Ok(()), |v| Err(error(v)))
    }

    /// Lets out what goes at once. What does not, or is another thread's turn, goes with the next call.
    fn flush_now(&self) -> io::Result<()> {
        // Who has the turn may just have found nothing, so it is looked at again after each turn.
        while self.lock().wants_to_transmit() {
            let Some(_turn) = try_lock(&self.writing) else { return Ok(()) };
            if !self.transmit(GLANCE)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lets everything out, however long it takes while the peer lives.
    fn flush_all(&self) -> io::Result<()> {
        while self.lock().wants_to_transmit() {
            let all = {
                let _turn = lock(&self.writing);
                self.transmit(LOOK)?
            };
            if !all {
                self.look()?;
            }
        }
        Ok(())
    }

    /// With the turn to write: writes until there is nothing; false if the stream did not take all.
    fn transmit(&self, patience: Duration) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        loop {
            let n = {
                let mut b = self.lock();
                let out = b.poll_transmit();
                let n = out.len().min(PIECE);
                piece[..n].copy_from_slice(&out[..n]);
                n
            };
            if n == 0 {
                return Ok(true);
            }
            match self.stream.write_within(patience, &piece[..n]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.lock().on_transmitted(n),
                Err(e) if is_not_now(&e) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    fn now(&self) -> Instant {
        EPOCH + now_of_the_machine().duration_since(self.start)
    }

    fn lock(&self) -> MutexGuard<'_, Heartbeat> {
        lock(&self.beat)
    }
}

impl<S: Stream> Drop for HeartbeatStream<S> {
    fn drop(&mut self) {
        if self.verdict().is_some() {
            self.stream.give_up();
            return;
        }
        self.lock().end(self.now());
        let _ = self.flush_now();
    }
}

impl<S: Stream> Read for HeartbeatStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf)
    }
}

impl<S: Stream> Read for &HeartbeatStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf)
    }
}

impl<S: Stream> Write for HeartbeatStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.send(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_all()
    }
}

impl<S: Stream> Write for &HeartbeatStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.send(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_all()
    }
}

/// The verdict as the error of a call.
pub(super) fn error(v: Verdict) -> io::Error {
    let kind = match v {
        Verdict::Gone { .. } => io::ErrorKind::TimedOut,
        Verdict::Broken(FrameError::CutShort) => io::ErrorKind::UnexpectedEof,
        Verdict::Broken(_) => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, v)
}

/// Waits, and for nothing.
pub(super) fn pause(d: Duration) {
    let (nothing, never) = (Mutex::new(()), Condvar::new());
    drop(never.wait_timeout_while(lock(&nothing), d, |()| true));
}

fn is_not_now(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<T>(m: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match m.try_lock() {
        Ok(g) => Some(g),
        Err(TryLockError::Poisoned(p)) => Some(p.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[allow(clippy::disallowed_methods)] // this is a driver: it gives the machine its time
fn now_of_the_machine() -> std::time::Instant {
    std::time::Instant::now()
}

/// When a stream begins, on its own clock: zero is for nothing to have happened yet.
const EPOCH: Instant = Instant::from_nanos(1);
/// As short as a timeout of the kernel's can be.
const GLANCE: Duration = Duration::from_micros(1);
/// How often who cannot get rid of something looks at what else there is.
const LOOK: Duration = Duration::from_millis(50);
/// After both ends there are no deadlines.
const LONGEST: Duration = Duration::from_secs(3_600);
/// What is read or written at once.
const PIECE: usize = 16_384;
