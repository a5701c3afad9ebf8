//! A stream that leaves behind what TCP made of it, for those who hand it away.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use synfin::tokio::TcpStream;
use synfin_tcp::Status;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What TCP made of a stream, once that is over.
pub(super) type Last = Arc<OnceLock<Status>>;

/// The stream.
pub(super) struct Watched {
    stream: TcpStream,
    last: Last,
}

impl Watched {
    pub fn new(stream: TcpStream, last: &Last) -> Watched {
        Watched { stream, last: last.clone() }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(s) = self.stream.status() {
            let _ = self.last.set(s);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
