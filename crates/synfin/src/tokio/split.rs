//! Halves of a connection.

use super::stream::{TcpStream, async_read, async_write, close, either, reads, writes};
use super::{attempt, found, wanted};
use crate::Bytes;
use crate::socket::{Ready, Stream};
use crate::waiting::Ticket;
use ::bytes::BufMut;
use ::tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready as TokioReady};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The half of a borrowed stream that reads.
#[derive(Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

/// The half of a borrowed stream that writes.
#[derive(Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

/// The half of a stream that reads.
#[derive(Debug)]
pub struct OwnedReadHalf(pub(super) TcpStream);

/// The half of a stream that writes. Dropping it closes that direction: the peer reads to the end.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    pub(super) stream: TcpStream,
    pub(super) closes: bool,
}

/// Two halves that are not of one stream; they are given back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl std::fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl std::error::Error for ReuniteError {}

fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.0.0, &write.stream.0) {
        return Err(ReuniteError(read, write));
    }
    write.closes = false;
    Ok(read.0)
}

impl OwnedReadHalf {
    fn stream(&self) -> &Stream {
        self.0.stream()
    }

    /// Makes one of the halves again.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }
}

impl OwnedWriteHalf {
    fn stream(&self) -> &Stream {
        self.stream.stream()
    }

    /// Makes one of the halves again.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops it and leaves the direction open.
    pub fn forget(mut self) {
        self.closes = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.closes {
            let _ = close(self.stream());
        }
    }
}

impl ReadHalf<'_> {
    fn stream(&self) -> &Stream {
        self.0.stream()
    }
}

impl WriteHalf<'_> {
    fn stream(&self) -> &Stream {
        self.0.stream()
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

/// Options are reached through the stream, which is of both halves.
impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

/// Likewise.
impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

/// Its ends.
macro_rules! addresses {
    ($($t:ty),*) => {$(
        impl $t {
            /// The other end.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.stream().peer)
            }

            /// This end.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.stream().local)
            }
        }
    )*};
}
addresses!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);

reads!(ReadHalf<'_>);
reads!(OwnedReadHalf);
writes!(WriteHalf<'_>);
writes!(OwnedWriteHalf);
either!(ReadHalf<'_>);
either!(OwnedReadHalf);
either!(WriteHalf<'_>);
either!(OwnedWriteHalf);
async_read!(ReadHalf<'_>);
async_read!(OwnedReadHalf);
async_write!(WriteHalf<'_>, |s| close(s.stream()));
async_write!(OwnedWriteHalf, |s| {
    let this = s.get_mut();
    this.closes = false; // once
    close(this.stream())
});
