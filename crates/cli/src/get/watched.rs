//! A stream that leaves behind what TCP made of it, for those who hand it away.

use crate::clock::now;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use synfin::tokio::TcpStream;
use synfin_tcp::{State, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What TCP made of a stream, as it was seen last.
#[derive(Clone, Default)]
pub(super) struct Last(Arc<Mutex<Option<Status>>>);

impl Last {
    pub fn get(&self) -> Option<Status> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream.
pub(super) struct Watched {
    stream: TcpStream,
    last: Last,
    /// When the time for all of it is over.
    until: Option<Instant>,
}

impl Watched {
    pub fn new(stream: TcpStream, last: &Last, until: Option<Instant>) -> Watched {
        let w = Watched { stream, last: last.clone(), until };
        w.look();
        w
    }

    /// Keeps what there is to be known. When both ends have closed there is nothing more, and that may be so before the stream
    /// is dropped.
    fn look(&self) {
        if let Some(s) = self.stream.status().filter(|s| s.state != State::Closed) {
            *self.last.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(s);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.look();
        // There is no time left for a close in order: it is reset.
        if self.until.is_some_and(|u| now() >= u) {
            let _ = self.stream.set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.look();
        done
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
        self.look();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::pause;
    use synfin::Stack;
    use synfin::device::{Device, memory_pair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn what_tcp_made_of_it_is_kept_when_the_connection_is_gone_before_the_stream() {
        let (a, b) = memory_pair(1500, false).unwrap();
        let host = |addr: &str, d| Stack::builder().address(addr).unwrap().start(Device::Memory(d)).unwrap();
        let (client, server) = (host("192.0.2.2/24", a), host("192.0.2.1/24", b));
        let listener = synfin::blocking::TcpListener::bind(&server, "192.0.2.1:80").unwrap();
        let serving = std::thread::spawn(move || {
            let (mut s, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut s, b"a page").unwrap();
        });
        let last = Last::default();
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let stream = TcpStream::connect(&client, "192.0.2.1:80").await.unwrap();
            let mut w = Watched::new(stream, &last, None);
            assert!(w.read_to_end(&mut Vec::new()).await.unwrap() == 6);
            w.shutdown().await.unwrap();
            // The server closed first: with the acknowledgment of our FIN all is over.
            while w.stream.state() != State::Closed {
                pause(1);
            }
            assert_eq!(w.stream.status().map_or(0, |s| s.cwnd), 0, "nothing can be known any more");
        });
        serving.join().unwrap();
        let s = last.get().unwrap();
        assert!(s.cwnd > 0 && s.mss > 0 && s.counters.segs_in > 0 && s.rtt_us > 0, "{s:?}");
    }
}
