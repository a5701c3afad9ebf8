//! What the resolver is handed: our sockets, and tokio's clock and tasks.

use crate::handle::Stack;
use crate::tokio::{TcpStream, UdpSocket};
use ::tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use synfin_stack::engine::TcpConfig;

/// The sockets of a host.
#[derive(Clone)]
pub(super) struct OurSockets {
    host: Stack,
    tasks: TokioHandle,
}

/// A socket for questions.
pub(super) struct Udp(UdpSocket);

/// A connection for questions whose answers fit no datagram.
pub(super) struct Tcp(TcpStream);

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl OurSockets {
    pub(super) fn of(host: &Stack) -> OurSockets {
        OurSockets { host: host.clone(), tasks: TokioHandle::default() }
    }
}

impl RuntimeProvider for OurSockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Udp;
    type Tcp = Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.tasks.clone()
    }

    fn connect_tcp(&self, server: SocketAddr, local: Option<SocketAddr>, patience: Option<Duration>) -> Opening<Tcp> {
        let host = self.host.clone();
        Box::pin(async move {
            let mut cfg = TcpConfig { nodelay: true, ..host.tcp_defaults() };
            cfg.connect_timeout = patience.unwrap_or(cfg.connect_timeout);
            Ok(Tcp(TcpStream::connect_with(&host, local, server, &cfg).await?))
        })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opening<Udp> {
        let host = self.host.clone();
        Box::pin(async move {
            let socket = UdpSocket::bind(&host, local).await?;
            // Sockets that are connected cannot name a destination on some systems; ours can. So it is told at once when
            // nobody is there (RFC 1122 4.1.3.3), and hears nobody else.
            socket.connect(server).await?;
            Ok(Udp(socket))
        })
    }
}

impl DnsUdpSocket for Udp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let from = ready!(self.0.poll_recv_from(cx, &mut buf))?;
        Poll::Ready(Ok((buf.filled().len(), from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, data: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        self.0.poll_send_to(cx, data, to)
    }
}

impl DnsTcpStream for Tcp {
    type Time = TokioTime;
}

impl futures_io::AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl futures_io::AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
