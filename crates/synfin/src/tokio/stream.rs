//! A connection.

use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{ToAddress, async_io, attempt, found, wanted};
use crate::Bytes;
use crate::blocking;
use crate::driver::probed;
use crate::handle::Stack;
use crate::socket::options::stream_options;
use crate::socket::{Keepalive, Ready, Stream};
use crate::waiting::Ticket;
use ::bytes::BufMut;
use ::tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready as TokioReady};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use synfin_stack::engine::{State, Status, TcpConfig};

/// A connection. Dropping it closes it: what was written is still delivered; text that was not read resets the connection
/// instead (RFC 2525 2.17).
#[derive(Debug)]
pub struct TcpStream(pub(super) Arc<Stream>);

stream_options!(TcpStream);

impl TcpStream {
    /// Connects. How long it may take is a setting: see `connect-timeout` and `syn-retries` of [`TcpConfig`]. Of several addresses
    /// the first that answers is taken, one after another; if none does, the error is the last one's. Dropping the future gives up.
    pub async fn connect(host: &Stack, to: impl ToAddress) -> io::Result<TcpStream> {
        let (all, cfg) = (to.to_addresses()?, host.tcp_defaults());
        let mut last = None;
        for to in all {
            match TcpStream::connect_with(host, None, to, &cfg).await {
                Err(e) => last = Some(e),
                open => return open,
            }
        }
        Err(last.unwrap_or_else(blocking::no_address))
    }

    /// Connects with settings of its own, from `local` if given. [`io::ErrorKind::InvalidInput`] if they are out of their ranges or
    /// contradict each other ([`TcpConfig::check`]).
    pub async fn connect_with(
        host: &Stack,
        local: Option<SocketAddr>,
        to: SocketAddr,
        cfg: &TcpConfig,
    ) -> io::Result<TcpStream> {
        TcpStream::finish(Stream::begin(host, local, to, cfg)?).await
    }

    /// Waits until it is open.
    pub(super) async fn finish(stream: Stream) -> io::Result<TcpStream> {
        attempt(&stream.host, stream.key(), Ready::WRITE, |s| stream.try_connected(s)).await?;
        Ok(TcpStream(Arc::new(stream)))
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.0
    }

    /// Takes a stream over from the blocking face; it fails if there are other handles of it (`try_clone`).
    pub fn from_blocking(stream: blocking::TcpStream) -> io::Result<TcpStream> {
        let stream = stream
            .into_stream()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "there are other handles of the stream"))?;
        Ok(TcpStream(Arc::new(stream)))
    }

    /// Hands the stream over to the blocking face.
    pub fn into_blocking(self) -> io::Result<blocking::TcpStream> {
        Ok(blocking::TcpStream::share(self.0))
    }

    /// Resets the connection at once (ABORT, RFC 9293 3.10.5).
    pub fn abort(self) {
        self.reset();
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }

    /// Borrows it as two halves.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Makes two halves of it that can go to two tasks; dropping the one that writes closes that direction.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (OwnedReadHalf(TcpStream(self.0.clone())), OwnedWriteHalf { stream: self, closes: true })
    }
}

/// What reads, for a type that has `stream()`.
macro_rules! reads {
    ($t:ty) => {
        impl $t {
            /// Waits until there is something to be read, or the end of it, or an error.
            pub async fn readable(&self) -> io::Result<()> {
                self.ready(Interest::READABLE).await.map(drop)
            }

            /// Reads what is there; [`io::ErrorKind::WouldBlock`] if nothing is, 0 at the peer's FIN.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.try_read_vectored(&mut [IoSliceMut::new(buf)])
            }

            /// Likewise, into several buffers.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                let s = self.stream();
                s.now(|shard| s.try_read(shard, bufs))
            }

            /// Likewise, into a buffer that grows or that is not initialised.
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                let s = self.stream();
                // What a buffer that grows without limit is given at once.
                let most = buf.remaining_mut().min(buf.chunk_mut().len().max(4_096));
                s.now(|shard| s.try_read_with(shard, most, &mut |piece| buf.put_slice(piece)))
            }

            /// Reads without taking; waits until there is something.
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                let s = self.stream();
                attempt(&s.host, s.key(), Ready::READ, |shard| s.try_peek(shard, buf)).await
            }

            /// Likewise.
            pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
                let s = self.stream();
                let n =
                    ready!(s.poll(cx, Ticket::READ, Ready::READ, |shard| {
                        s.try_peek(shard, buf.initialize_unfilled())
                    }))?;
                buf.advance(n);
                Poll::Ready(Ok(n))
            }

            /// Reads what has come in one piece, without a copy; `None` at the peer's FIN.
            pub async fn read_bytes(&self) -> io::Result<Option<Bytes>> {
                let s = self.stream();
                attempt(&s.host, s.key(), Ready::READ, |shard| s.try_read_bytes(shard)).await
            }

            /// Likewise, of what is there; [`io::ErrorKind::WouldBlock`] if nothing is.
            pub fn try_read_bytes(&self) -> io::Result<Option<Bytes>> {
                let s = self.stream();
                s.now(|shard| s.try_read_bytes(shard))
            }
        }
    };
}
pub(super) use reads;

/// What writes, likewise.
macro_rules! writes {
    ($t:ty) => {
        impl $t {
            /// Waits until there is room to write, or an error.
            pub async fn writable(&self) -> io::Result<()> {
                self.ready(Interest::WRITABLE).await.map(drop)
            }

            /// Writes as much as there is room for; [`io::ErrorKind::WouldBlock`] if there is none.
            pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
                self.try_write_vectored(&[IoSlice::new(data)])
            }

            /// Likewise, from several buffers.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                let s = self.stream();
                s.now(|shard| s.try_write(shard, bufs))
            }

            /// Writes all of `data` without a copy. After an error, or when the future is dropped, what was not taken is lost to the
            /// caller: see [`write_all_bytes`](Self::write_all_bytes).
            pub async fn write_bytes(&self, mut data: Bytes) -> io::Result<()> {
                self.write_all_bytes(&mut data).await
            }

            /// Likewise, and cuts off from `data` what was taken: after an error, or when the future is dropped, the rest is there to
            /// go on with.
            pub async fn write_all_bytes(&self, data: &mut Bytes) -> io::Result<()> {
                let s = self.stream();
                while !data.is_empty() {
                    attempt(&s.host, s.key(), Ready::WRITE, |shard| s.try_write_bytes(shard, data)).await?;
                }
                Ok(())
            }

            /// Writes as much of `data` as there is room for without a copy, cuts it off and says how much it was;
            /// [`io::ErrorKind::WouldBlock`] if there is no room.
            pub fn try_write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
                let s = self.stream();
                s.now(|shard| s.try_write_bytes(shard, data))
            }
        }
    };
}
pub(super) use writes;

/// What either does, likewise.
macro_rules! either {
    ($t:ty) => {
        impl $t {
            /// Waits until it is ready for any of `interest`.
            pub async fn ready(&self, interest: Interest) -> io::Result<TokioReady> {
                let s = self.stream();
                attempt(&s.host, s.key(), wanted(interest), |shard| {
                    // In this order: what is not writable is to be told when it is.
                    let (r, w) = (s.is_readable(shard), !interest.is_writable() || s.is_writable(shard));
                    let (r_end, w_end) = s.ends(shard);
                    found(interest, (r, w, r_end, w_end)).map(Ok)
                })
                .await
            }
        }
    };
}
pub(super) use either;

/// The traits of reading, likewise.
macro_rules! async_read {
    ($t:ty) => {
        impl AsyncRead for $t {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                let s = self.stream();
                s.poll(cx, Ticket::READ, Ready::READ, |shard| {
                    s.try_read_with(shard, buf.remaining(), &mut |piece| buf.put_slice(piece))
                })
                .map_ok(drop)
            }
        }
    };
}
pub(super) use async_read;

/// The traits of writing, likewise.
macro_rules! async_write {
    ($t:ty, $shutdown:expr) => {
        impl AsyncWrite for $t {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                self.poll_write_vectored(cx, &[IoSlice::new(data)])
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let s = self.stream();
                s.poll(cx, Ticket::WRITE, Ready::WRITE, |shard| s.try_write(shard, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let close: fn(Pin<&mut $t>) -> io::Result<()> = $shutdown;
                Poll::Ready(close(self))
            }
        }
    };
}
pub(super) use async_write;

reads!(TcpStream);
writes!(TcpStream);
either!(TcpStream);
async_read!(TcpStream);
async_write!(TcpStream, |s| close(&s.0));

/// Closes the direction that writes. A connection that is over is closed.
pub(super) fn close(s: &Stream) -> io::Result<()> {
    match s.shutdown(Shutdown::Write) {
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
        r => r,
    }
}

impl TcpStream {
    /// Waits until there is something to be read, for one task.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll(cx, Ticket::READ, Ready::READ, |s| self.0.is_readable(s).then_some(Ok(())))
    }

    /// Waits until there is room to write, for one task.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll(cx, Ticket::WRITE, Ready::WRITE, |s| self.0.is_writable(s).then_some(Ok(())))
    }

    /// Runs `f` if the stream is ready for `interest`, else says [`io::ErrorKind::WouldBlock`].
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.now(|s| {
            let ready = interest.is_readable() && self.0.is_readable(s);
            (ready || interest.is_writable() && self.0.is_writable(s)).then_some(Ok(()))
        })?;
        f()
    }

    /// Runs `f`, whenever the stream is ready for `interest`, until it does not say [`io::ErrorKind::WouldBlock`] any more.
    pub async fn async_io<R>(&self, interest: Interest, f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        async_io(|| self.ready(interest), f).await
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}
