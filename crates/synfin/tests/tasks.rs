//! `synfin::tokio`: what `tokio::net` promises, over two hosts in memory.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on it

mod pair;

use bytes::BytesMut;
use pair::{b, pair};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use synfin::tokio::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use synfin::{Bytes, Stack};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

async fn connected(a: &Stack, at: &Stack) -> io::Result<(TcpStream, TcpStream)> {
    let l = TcpListener::bind(at, b(0)).await?;
    let c = TcpStream::connect(a, l.local_addr()?).await?;
    Ok((c, l.accept().await?.0))
}

/// How often a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_megabyte_each_way_at_once_arrives_whole() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y).await?;
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let echo = tokio::spawn(async move {
        let (mut r, mut w) = s.split();
        tokio::io::copy(&mut r, &mut w).await?;
        w.shutdown().await
    });
    let (mut r, mut w) = c.into_split();
    let sent = data.clone();
    let writer = tokio::spawn(async move { w.write_all(&sent).await }); // and drops it: a FIN
    let mut back = Vec::new();
    r.read_to_end(&mut back).await?;
    assert!(back == data, "{} octets came back", back.len());
    writer.await??;
    echo.await?
}

#[tokio::test]
async fn a_dropped_half_closes_its_direction_unless_it_is_forgotten_or_reunited() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y).await?;
    let (other, _) = connected(&x, &y).await?;
    let (r, w) = c.into_split();
    let (r2, w2) = other.into_split();
    let e = r.reunite(w2).expect_err("of another stream");
    let c = e.0.reunite(w).map_err(io::Error::other)?;
    drop(e.1.reunite(r2).map_err(io::Error::other)?);
    let (mut r, mut w) = c.into_split();
    w.write_all(b"still open").await?;
    w.forget();
    let mut got = [0; 10];
    s.read_exact(&mut got).await?;
    assert_eq!(&got, b"still open");
    s.write_all(b"yes").await?;
    r.read_exact(&mut got[..3]).await?;
    // It was forgotten: no FIN has come.
    assert_eq!(s.try_read(&mut got).expect_err("open").kind(), ErrorKind::WouldBlock);
    drop(r);
    assert_eq!(s.read(&mut got).await?, 0, "now it has");
    Ok(())
}

#[tokio::test]
async fn what_would_wait_says_so_and_readiness_tells_when() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, s) = connected(&x, &y).await?;
    let mut buf = BytesMut::with_capacity(100);
    assert_eq!(s.try_read_buf(&mut buf).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    let no = s.try_io(Interest::READABLE, || -> io::Result<()> { panic!("it is not readable") });
    assert_eq!(no.expect_err("not ready").kind(), ErrorKind::WouldBlock);
    assert!(s.ready(Interest::READABLE | Interest::WRITABLE).await?.is_writable());
    // Until there is no room; and the reader makes some.
    let mut sent = 0;
    loop {
        match c.try_write(&[7; 10_000]) {
            Ok(n) => sent += n,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                // What is on its way makes room too, once it is acknowledged; whether it is full for good is seen by waiting.
                if tokio::time::timeout(Duration::from_millis(200), c.writable()).await.is_err() {
                    break;
                }
            }
        }
    }
    let reader = async {
        let mut got = 0;
        while got < sent {
            s.readable().await?;
            match s.try_read_buf(&mut buf) {
                Ok(n) => got += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(e) => return Err(e),
            }
            buf.clear();
        }
        Ok(got)
    };
    let (got, room) = tokio::join!(reader, c.writable());
    room?;
    assert_eq!(got?, sent);
    drop(c);
    s.readable().await?;
    let ready = s.ready(Interest::READABLE).await?;
    assert!(ready.is_read_closed() && ready.is_readable());
    assert_eq!(s.try_read(&mut [0; 1])?, 0);
    Ok(())
}

#[tokio::test]
async fn a_future_that_is_dropped_has_taken_nothing_and_others_still_wait() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = TcpListener::bind(&y, b(7)).await?;
    {
        let gives_up = l.accept();
        let waits = l.accept();
        tokio::pin!(gives_up, waits);
        let (w1, w2) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let poll = |f: std::pin::Pin<&mut _>, w: &Arc<Woken>| -> bool {
            Future::poll(
                f as std::pin::Pin<&mut dyn Future<Output = io::Result<_>>>,
                &mut Context::from_waker(&Waker::from(w.clone())),
            )
            .is_pending()
        };
        assert!(poll(gives_up.as_mut(), &w1) && poll(waits.as_mut(), &w2));
        let c = TcpStream::connect(&x, b(7)).await?;
        // The one that gives up was woken, too, and takes nothing.
        let (_, from) = waits.await?;
        assert_eq!(from, c.local_addr()?);
    }
    let (mut c, s) = (TcpStream::connect(&x, b(7)).await?, l.accept().await?.0);
    for _ in 0..3 {
        let gave_up = tokio::time::timeout(Duration::from_millis(5), s.readable()).await;
        assert!(gave_up.is_err());
    }
    c.write_all(b"x").await?;
    s.readable().await?;
    assert_eq!(s.try_read(&mut [0; 9])?, 1);
    Ok(())
}

#[tokio::test]
async fn a_task_is_woken_once_and_not_again_before_it_asks() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, s) = connected(&x, &y).await?;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let poll = || matches!(s.poll_read_ready(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())));
    assert!(!poll() && !poll(), "nothing has come");
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    for _ in 0..50 {
        c.write_all(b"x").await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Wakers are called with the lock released: whoever is faster sees the text before.
    while woken.0.load(Ordering::SeqCst) == 0 || !poll() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "fifty segments, one wake-up");
    assert_eq!(s.peek(&mut [0; 100]).await?, s.try_read(&mut [0; 100])?);
    Ok(())
}

#[tokio::test]
async fn the_last_task_that_polls_a_direction_is_woken_and_futures_each_their_own() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, s) = connected(&x, &y).await?;
    let all: Vec<Arc<Woken>> = (0..4).map(|_| Arc::default()).collect();
    let cx = |n: usize| Waker::from(all[n].clone());
    let (first, second) = (s.readable(), s.readable());
    tokio::pin!(first, second);
    assert!(first.as_mut().poll(&mut Context::from_waker(&cx(0))).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(&cx(1))).is_pending());
    assert!(s.poll_read_ready(&mut Context::from_waker(&cx(2))).is_pending());
    assert!(s.poll_read_ready(&mut Context::from_waker(&cx(3))).is_pending());
    c.write_all(b"x").await?;
    s.readable().await?;
    // Wakers are called with the lock released: whoever is faster sees the text before.
    let counts = || -> Vec<usize> { all.iter().map(|w| w.0.load(Ordering::SeqCst)).collect() };
    while counts().iter().sum::<usize>() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(counts(), [1, 1, 0, 1], "the third was replaced by the fourth");
    Ok(())
}

#[tokio::test]
async fn errors_are_those_of_tokio_and_a_reset_wakes_who_waits() -> io::Result<()> {
    let (x, y) = pair()?;
    let kind = |r: io::Result<TcpStream>| r.expect_err("it fails").kind();
    assert_eq!(kind(TcpStream::connect(&x, b(9)).await), ErrorKind::ConnectionRefused);
    assert_eq!(kind(TcpStream::connect(&x, "203.0.113.1:9").await), ErrorKind::NetworkUnreachable);
    let (mut c, s) = connected(&x, &y).await?;
    let reader =
        tokio::spawn(async move { (c.read(&mut [0; 1]).await, c.write(b"x").await, c.read(&mut [0; 1]).await) });
    tokio::task::yield_now().await;
    s.set_zero_linger()?;
    assert_eq!(s.linger()?, Some(Duration::ZERO));
    drop(s);
    let (read, written, again) = reader.await?;
    let e = read.expect_err("reset");
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    let cause = e.get_ref().and_then(|c| c.downcast_ref::<synfin::Cause>()).expect("the cause is inside");
    assert!(cause.rule().is_some(), "{cause:?} names the rule");
    assert_eq!(written.expect_err("over").kind(), ErrorKind::ConnectionReset);
    assert_eq!(again.expect_err("never mistaken for an end").kind(), ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn a_socket_is_set_up_before_it_is_opened() -> io::Result<()> {
    let (x, y) = pair()?;
    let s = TcpSocket::new_v4(&y)?;
    s.bind(b(80))?;
    s.set_recv_buffer_size(10_000)?;
    let l = s.listen(4)?;
    assert_eq!(l.status().map(|l| (l.backlog, l.local)), Some((4, b(80))));
    let c = TcpSocket::new_v4(&x)?;
    assert_eq!(c.bind("192.0.2.9:0").expect_err("not ours").kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(c.bind("[fd00:2::1]:0").expect_err("IPv6").kind(), ErrorKind::InvalidInput);
    c.bind("192.0.2.1:4711")?;
    c.set_nodelay(true)?;
    let unknown = c.set_congestion("vegas").expect_err("there is none").to_string();
    assert_eq!(unknown, "congestion: \"vegas\" is none of reno, cubic, dctcp, bbr");
    c.set_congestion("reno")?;
    let c = c.connect(b(80)).await?;
    let (s, from) = l.accept().await?;
    assert_eq!(from.to_string(), "192.0.2.1:4711");
    assert!(c.nodelay()? && !s.nodelay()?);
    assert_eq!((c.congestion()?, s.congestion()?), ("reno", "cubic"));
    assert_eq!(c.status().map(|s| s.snd_wnd), Some(10_000), "the receive buffer of the listener's socket");
    c.set_congestion("bbr")?;
    assert_eq!(c.congestion()?, "bbr");
    Ok(())
}

#[tokio::test]
async fn bytes_go_and_come_without_a_copy() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, s) = connected(&x, &y).await?;
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = Bytes::from(data.clone());
    let at = sent.as_ptr();
    assert_eq!(at, sent.clone().as_ptr(), "clones share it");
    let writer = tokio::spawn(async move { c.write_bytes(sent).await });
    let mut got = Vec::new();
    while let Some(piece) = s.read_bytes().await? {
        assert!(!piece.is_empty());
        got.extend_from_slice(&bytes::Bytes::from(piece));
    }
    assert!(got == data, "{} octets", got.len());
    writer.await?
}

#[tokio::test]
async fn datagrams() -> io::Result<()> {
    let (x, y) = pair()?;
    let (u, v) = (UdpSocket::bind(&x, "192.0.2.1:0").await?, UdpSocket::bind(&y, b(53)).await?);
    assert_eq!(v.try_recv(&mut [0; 1]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    assert_eq!(u.send(b"to whom?").await.expect_err("nobody").kind(), ErrorKind::NotConnected);
    assert_eq!(u.peer_addr().expect_err("nobody").kind(), ErrorKind::NotConnected);
    u.connect(b(53)).await?;
    assert_eq!(u.peer_addr()?, b(53));
    u.send(b"hello").await?;
    assert_eq!(v.peek_sender().await?, u.local_addr()?);
    let mut buf = [0; 3];
    assert_eq!(v.peek(&mut buf).await?, 3, "cut off");
    let mut grows = BytesMut::new();
    assert_eq!(v.recv_buf_from(&mut grows).await?, (5, u.local_addr()?));
    assert_eq!(&grows[..], b"hello");
    // Nobody is at that port: an ICMP error tells, once.
    u.connect(b(54)).await?;
    u.send(b"x").await?;
    assert_eq!(u.recv(&mut buf).await.expect_err("nobody").kind(), ErrorKind::ConnectionRefused);
    assert!(u.take_error()?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_stream_changes_its_face() -> io::Result<()> {
    use std::io::{Read, Write};
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y).await?;
    let mut c = c.into_blocking()?;
    let sync = tokio::task::spawn_blocking(move || -> io::Result<_> {
        c.write_all(b"ping")?;
        c.read_exact(&mut [0; 4])?;
        Ok(c)
    });
    let mut buf = [0; 4];
    s.read_exact(&mut buf).await?;
    s.write_all(&buf).await?;
    let c = sync.await??;
    let twice = c.try_clone()?;
    assert_eq!(TcpStream::from_blocking(c).expect_err("two handles").kind(), ErrorKind::InvalidInput);
    let mut c = TcpStream::from_blocking(twice)?;
    drop(s);
    assert_eq!(c.read(&mut buf).await?, 0);
    Ok(())
}
