//! What std's and tokio's sockets have and ours have too, method by method: each function here is compiled twice, for theirs
//! and for ours, so that arguments and results are the same. Whether that is all of them is seen in `methods`. What they have and
//! ours have not stands in the docs of `synfin::blocking` and `synfin::tokio`.

#![allow(dead_code, unused_mut)] // compiled and never called; some of theirs take `&mut self`

mod methods;

use bytes::BytesMut;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};

/// The same text, for a type of theirs and one of ours.
macro_rules! both {
    ($name:ident, $theirs:ty, $ours:ty, |$s:ident| $body:block) => {
        mod $name {
            use super::*;
            fn theirs($s: $theirs) -> io::Result<()> $body
            fn ours($s: $ours) -> io::Result<()> $body
        }
    };
    ($name:ident, $theirs:ty, $ours:ty, async |$s:ident| $body:block) => {
        mod $name {
            use super::*;
            async fn theirs($s: $theirs) -> io::Result<()> $body
            async fn ours($s: $ours) -> io::Result<()> $body
        }
    };
}

const SECOND: Option<Duration> = Some(Duration::from_secs(1));

fn is_an_address(_: SocketAddr) {}

fn blocks<T: Read + Write + Send + Sync + std::fmt::Debug + 'static>(_: &T)
where
    for<'a> &'a T: Read + Write,
{
}

both!(blocking_stream, std::net::TcpStream, synfin::blocking::TcpStream, |s| {
    blocks(&s);
    is_an_address(s.peer_addr()?);
    is_an_address(s.local_addr()?);
    s.shutdown(Shutdown::Both)?;
    let mut t = s.try_clone()?;
    t.set_read_timeout(SECOND)?;
    t.set_write_timeout(SECOND)?;
    let _: (Option<Duration>, Option<Duration>) = (t.read_timeout()?, t.write_timeout()?);
    let _: usize = t.peek(&mut [0])?;
    t.set_nodelay(true)?;
    let _: bool = t.nodelay()?;
    t.set_ttl(64)?;
    let _: u32 = t.ttl()?;
    let _: Option<io::Error> = t.take_error()?;
    t.set_nonblocking(true)?;
    let _: usize = t.read(&mut [0])? + t.write(b"x")?;
    let _: usize = t.read_vectored(&mut [IoSliceMut::new(&mut [0])])? + t.write_vectored(&[IoSlice::new(b"x")])?;
    t.flush()
});

both!(blocking_listener, std::net::TcpListener, synfin::blocking::TcpListener, |l| {
    is_an_address(l.local_addr()?);
    let m = l.try_clone()?;
    let (_, from) = m.accept()?;
    is_an_address(from);
    m.set_ttl(64)?;
    let _: u32 = m.ttl()?;
    let _: Option<io::Error> = m.take_error()?;
    m.set_nonblocking(true)?;
    for s in m.incoming() {
        blocks(&s?);
    }
    Ok(())
});

both!(blocking_udp, std::net::UdpSocket, synfin::blocking::UdpSocket, |u| {
    let mut b = [0; 9];
    let (_, from) = u.recv_from(&mut b)?;
    is_an_address(from);
    let _: (usize, SocketAddr) = u.peek_from(&mut b)?;
    let _: usize = u.send_to(b"x", from)?;
    is_an_address(u.peer_addr()?);
    is_an_address(u.local_addr()?);
    let u = u.try_clone()?;
    u.set_read_timeout(SECOND)?;
    u.set_write_timeout(SECOND)?;
    let _: (Option<Duration>, Option<Duration>) = (u.read_timeout()?, u.write_timeout()?);
    u.set_ttl(64)?;
    let _: u32 = u.ttl()?;
    let _: Option<io::Error> = u.take_error()?;
    u.connect(from)?;
    let _: usize = u.send(b"x")? + u.recv(&mut b)? + u.peek(&mut b)?;
    u.set_nonblocking(true)
});

/// How they are opened: ours on a host, else alike. `connect_timeout` takes an address, and no name, with both.
fn opened(host: &synfin::Stack, a: SocketAddr) -> io::Result<()> {
    use synfin::blocking;
    blocks(&std::net::TcpStream::connect(a)?);
    blocks(&blocking::TcpStream::connect(host, a)?);
    blocks(&std::net::TcpStream::connect_timeout(&a, Duration::from_secs(1))?);
    blocks(&blocking::TcpStream::connect_timeout(host, &a, Duration::from_secs(1))?);
    let (_, _) = (std::net::TcpListener::bind(a)?, blocking::TcpListener::bind(host, a)?);
    let (_, _) = (std::net::UdpSocket::bind(a)?, blocking::UdpSocket::bind(host, a)?);
    // std's `into_incoming` and `set_linger` are not stable yet.
    let s = blocking::TcpStream::connect(host, a)?;
    s.set_linger(SECOND)?;
    let _: Option<Duration> = s.linger()?;
    blocks(&blocking::TcpListener::bind(host, a)?.into_incoming().next().expect("endless")?);
    Ok(())
}

async fn opened_by_tasks(host: &synfin::Stack, a: SocketAddr) -> io::Result<()> {
    polls(&tokio::net::TcpStream::connect(a).await?);
    polls(&synfin::tokio::TcpStream::connect(host, a).await?);
    let (_, _) = (tokio::net::TcpListener::bind(a).await?, synfin::tokio::TcpListener::bind(host, a).await?);
    let (_, _) = (tokio::net::UdpSocket::bind(a).await?, synfin::tokio::UdpSocket::bind(host, a).await?);
    let (_, _) = (tokio::net::TcpSocket::new_v4()?, synfin::tokio::TcpSocket::new_v4(host)?);
    let (_, _) = (tokio::net::TcpSocket::new_v6()?, synfin::tokio::TcpSocket::new_v6(host)?);
    Ok(())
}

fn polls<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

fn sent<T: Send>(t: T) -> T {
    t
}

both!(stream_of_tasks, tokio::net::TcpStream, synfin::tokio::TcpStream, async |s| {
    polls(&s);
    let mut s = s;
    let (mut b, mut grows) = ([0; 9], BytesMut::new());
    is_an_address(s.local_addr()?);
    is_an_address(s.peer_addr()?);
    let _: Option<io::Error> = s.take_error()?;
    let ready = sent(s.ready(Interest::READABLE.add(Interest::WRITABLE))).await?;
    let _: bool = ready.is_readable() || ready.is_writable() || ready.is_read_closed() || ready.is_write_closed();
    sent(s.readable()).await?;
    sent(s.writable()).await?;
    let _: usize = s.try_read(&mut b)? + s.try_read_vectored(&mut [IoSliceMut::new(&mut b)])?;
    let _: usize = s.try_read_buf(&mut grows)? + s.try_write(b"x")? + s.try_write_vectored(&[IoSlice::new(b"x")])?;
    let _: usize = s.try_io(Interest::READABLE, || s.try_read(&mut [0]))?;
    let _: usize = s.async_io(Interest::READABLE, || s.try_read(&mut [0])).await?;
    let _: usize = sent(s.peek(&mut b)).await?;
    s.set_nodelay(true)?;
    s.set_quickack(true)?;
    let _: bool = s.nodelay()?;
    s.set_zero_linger()?;
    let _: Option<Duration> = s.linger()?;
    s.set_ttl(64)?;
    let _: u32 = s.ttl()?;
    let mut read = ReadBuf::new(&mut b);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let _: Poll<io::Result<usize>> = s.poll_peek(&mut cx, &mut read);
    let _: (Poll<io::Result<()>>, Poll<io::Result<()>>) = (s.poll_read_ready(&mut cx), s.poll_write_ready(&mut cx));
    {
        let (mut r, mut w) = s.split();
        let _: (usize, usize) = (r.peek(&mut b).await?, r.try_read(&mut b)?);
        let _: usize = r.try_read_vectored(&mut [IoSliceMut::new(&mut b)])? + r.try_read_buf(&mut grows)?;
        r.readable().await?;
        r.ready(Interest::READABLE).await?;
        w.writable().await?;
        w.ready(Interest::WRITABLE).await?;
        let _: usize = w.try_write(b"x")? + w.try_write_vectored(&[IoSlice::new(b"x")])?;
        for a in [r.peer_addr()?, r.local_addr()?, w.peer_addr()?, w.local_addr()?, r.as_ref().local_addr()?] {
            is_an_address(a);
        }
        let _: Poll<io::Result<usize>> = r.poll_peek(&mut cx, &mut ReadBuf::new(&mut b));
        w.shutdown().await?;
    }
    let (mut r, mut w) = s.into_split();
    let _: (usize, usize) = (r.peek(&mut b).await?, r.try_read(&mut b)?);
    let _: usize = r.try_read_vectored(&mut [IoSliceMut::new(&mut b)])? + r.try_read_buf(&mut grows)?;
    r.readable().await?;
    r.ready(Interest::READABLE).await?;
    w.writable().await?;
    w.ready(Interest::WRITABLE).await?;
    let _: usize = w.try_write(b"x")? + w.try_write_vectored(&[IoSlice::new(b"x")])?;
    for a in [r.peer_addr()?, r.local_addr()?, w.peer_addr()?, w.local_addr()?] {
        is_an_address(a);
    }
    let _: Poll<io::Result<usize>> = r.poll_peek(&mut cx, &mut ReadBuf::new(&mut b));
    w.shutdown().await?;
    let (r, w) = r.reunite(w).map_err(io::Error::other)?.into_split();
    let (_, w) = w.reunite(r).map_err(io::Error::other)?.into_split();
    w.forget();
    Ok(())
});

both!(listener_of_tasks, tokio::net::TcpListener, synfin::tokio::TcpListener, async |l| {
    let (s, from) = sent(l.accept()).await?;
    polls(&s);
    is_an_address(from);
    if let Poll::Ready(r) = l.poll_accept(&mut Context::from_waker(std::task::Waker::noop())) {
        polls(&r?.0);
    }
    is_an_address(l.local_addr()?);
    l.set_ttl(64)?;
    let _: u32 = l.ttl()?;
    Ok(())
});

both!(socket_of_tasks, tokio::net::TcpSocket, synfin::tokio::TcpSocket, async |s| {
    s.set_keepalive(true)?;
    s.set_reuseaddr(true)?;
    s.set_nodelay(true)?;
    let _: (bool, bool, bool) = (s.keepalive()?, s.reuseaddr()?, s.nodelay()?);
    s.set_send_buffer_size(65_536)?;
    s.set_recv_buffer_size(65_536)?;
    let _: u32 = s.send_buffer_size()? + s.recv_buffer_size()?;
    s.set_zero_linger()?;
    s.set_tos_v4(0xb8)?;
    s.set_tclass_v6(0xb8)?;
    let _: u32 = s.tos_v4()? + s.tclass_v6()?;
    let _: Option<Duration> = s.linger()?;
    let _: Option<io::Error> = s.take_error()?;
    let a = s.local_addr()?;
    s.bind(a)?;
    if a.port() == 0 {
        polls(&sent(s.connect(a)).await?);
    } else {
        is_an_address(s.listen(8)?.local_addr()?);
    }
    Ok(())
});

both!(udp_of_tasks, tokio::net::UdpSocket, synfin::tokio::UdpSocket, async |u| {
    let (mut b, mut grows) = ([0; 9], BytesMut::new());
    is_an_address(u.local_addr()?);
    is_an_address(u.peer_addr()?);
    let (_, from) = sent(u.recv_from(&mut b)).await?;
    u.connect(from).await?;
    u.ready(Interest::READABLE).await?;
    u.readable().await?;
    u.writable().await?;
    let _: usize =
        u.send(b"x").await? + u.try_send(b"x")? + u.send_to(b"x", from).await? + u.try_send_to(b"x", from)?;
    let _: usize = u.recv(&mut b).await? + u.try_recv(&mut b)? + u.try_recv_buf(&mut grows)?;
    let _: usize = u.recv_buf(&mut grows).await?;
    let _: (usize, SocketAddr) = u.try_recv_from(&mut b)?;
    let _: (usize, SocketAddr) = u.try_recv_buf_from(&mut grows)?;
    let _: (usize, SocketAddr) = u.recv_buf_from(&mut grows).await?;
    let _: usize = u.peek(&mut b).await? + u.try_peek(&mut b)?;
    let _: (usize, SocketAddr) = u.peek_from(&mut b).await?;
    let _: (usize, SocketAddr) = u.try_peek_from(&mut b)?;
    let _: (SocketAddr, SocketAddr) = (u.peek_sender().await?, u.try_peek_sender()?);
    let _: usize = u.try_io(Interest::READABLE, || u.try_recv(&mut [0]))?;
    let _: usize = u.async_io(Interest::READABLE, || u.try_recv(&mut [0])).await?;
    u.set_tos_v4(0xb8)?;
    u.set_tclass_v6(0xb8)?;
    let _: u32 = u.tos_v4()? + u.tclass_v6()?;
    u.set_ttl(64)?;
    let _: u32 = u.ttl()?;
    let _: Option<io::Error> = u.take_error()?;
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut read = ReadBuf::new(&mut b);
    let _: (Poll<io::Result<()>>, Poll<io::Result<()>>) = (u.poll_send_ready(&mut cx), u.poll_recv_ready(&mut cx));
    let _: Poll<io::Result<usize>> = u.poll_send(&mut cx, b"x");
    let _: Poll<io::Result<usize>> = u.poll_send_to(&mut cx, b"x", from);
    let _: Poll<io::Result<()>> = u.poll_recv(&mut cx, &mut read);
    let _: Poll<io::Result<SocketAddr>> = u.poll_recv_from(&mut cx, &mut read);
    let _: Poll<io::Result<()>> = u.poll_peek(&mut cx, &mut read);
    let _: Poll<io::Result<SocketAddr>> = u.poll_peek_from(&mut cx, &mut read);
    let _: Poll<io::Result<SocketAddr>> = u.poll_peek_sender(&mut cx);
    Ok(())
});
