//! A listener for any destination, blocking and for tasks: who asks is answered as its user decides, and not before.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on it

mod pair;

use pair::{A, B};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use synfin::blocking::{AnyListener, TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::{Stack, TcpConfig};

/// A gateway at 192.0.2.1 and fd00:2::1, and a client that sends everything by way of it.
fn hosts() -> io::Result<(Stack, Stack)> {
    let (a, b) = memory_pair(1500, true)?;
    let gateway = Stack::builder().address("192.0.2.1/24")?.address("fd00:2::1/64")?;
    let client = Stack::builder().address("192.0.2.2/24")?.address("fd00:2::2/64")?;
    let by = |s: &str| s.parse().expect("an address");
    let client = client.gateway(by(A)).gateway(by("fd00:2::1"));
    Ok((gateway.start(Device::Memory(a))?, client.start(Device::Memory(b))?))
}

fn at(s: &str) -> SocketAddr {
    s.parse().expect("an address and a port")
}

/// Begins to connect, on a thread.
fn connects(host: &Stack, to: &'static str) -> thread::JoinHandle<io::Result<TcpStream>> {
    let host = host.clone();
    thread::spawn(move || TcpStream::connect(&host, to))
}

/// Waits until `holds`; a minute is for ever.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("not within a minute: {what}");
}

fn is_silent(host: &Stack) {
    let (_, tcp) = host.counters();
    let sent: u64 = tcp.iter().filter(|(name, _)| *name == "TcpOutSegs").map(|(_, n)| n).sum();
    assert_eq!(sent, 0, "nothing was said before the decision");
}

#[test]
fn what_is_accepted_is_connected_as_the_destination_that_was_asked_for() -> io::Result<()> {
    for to in ["203.0.113.7:80", "[2001:db8::7]:80"] {
        let (x, y) = hosts()?;
        let l = AnyListener::bind(&x)?;
        let client = connects(&y, to);
        let request = l.request()?;
        assert_eq!((request.destination(), request.peer_addr().port() > 0), (at(to), true));
        assert_eq!(l.status().map(|s| (s.half_open, s.accept_queue)), Some((1, 0)));
        is_silent(&x);
        let peer = request.peer_addr();
        assert!(request.accept());
        let (mut ours, from) = l.accept()?;
        let mut theirs = client.join().expect("no panic")?;
        assert_eq!((ours.local_addr()?, from, theirs.local_addr()?), (at(to), peer, peer));
        ours.write_all(b"hello")?;
        drop(ours);
        drop(l);
        let mut text = String::new();
        theirs.read_to_string(&mut text)?;
        assert_eq!(text, "hello", "what was taken outlives the listener");
    }
    Ok(())
}

#[test]
fn what_is_refused_is_told_so_and_what_is_dropped_undecided_too() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = AnyListener::bind(&x)?;
    for explicit in [true, false] {
        let client = connects(&y, "203.0.113.7:81");
        let request = l.request()?;
        if explicit {
            assert!(request.refuse());
        } else {
            drop(request);
        }
        let e = client.join().expect("no panic").expect_err("refused");
        assert_eq!(e.kind(), io::ErrorKind::ConnectionRefused);
    }
    assert!(matches!(l.accept_within(Duration::ZERO), Ok(None)));
    Ok(())
}

#[test]
fn what_is_ignored_hears_nothing() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = AnyListener::bind(&x)?;
    let cfg = TcpConfig { connect_timeout: Duration::from_millis(1_500), ..TcpConfig::default() };
    let client = thread::spawn(move || TcpStream::connect_with(&y, None, at("203.0.113.7:82"), &cfg));
    assert!(l.request()?.ignore());
    let e = client.join().expect("no panic").expect_err("silence");
    assert_eq!(e.kind(), io::ErrorKind::TimedOut);
    is_silent(&x);
    assert!(l.request_within(Duration::ZERO)?.is_none(), "the same SYN again asks nothing");
    Ok(())
}

#[test]
fn a_full_queue_drops_and_sends_no_cookies() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = AnyListener::bind_with(&x, 1, &TcpConfig::default())?;
    let clients = [connects(&y, "203.0.113.7:1"), connects(&y, "203.0.113.7:2")];
    let first = l.request()?;
    eventually("the other one has come, too", || l.status().is_some_and(|s| s.dropped > 0));
    is_silent(&x);
    assert_eq!(l.status().map(|s| s.cookies.sent), Some(0));
    // The other one asks again, when there is room.
    first.refuse();
    l.request()?.refuse();
    for c in clients {
        assert_eq!(c.join().expect("no panic").expect_err("refused").kind(), io::ErrorKind::ConnectionRefused);
    }
    Ok(())
}

#[test]
fn dropping_it_resets_what_waits() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = AnyListener::bind(&x)?;
    let undecided = connects(&y, "203.0.113.7:1");
    let request = l.request()?;
    let unseen = connects(&y, "203.0.113.7:2");
    let mut shown = Vec::new();
    let finished = {
        let c = connects(&y, "203.0.113.7:3");
        loop {
            let r = l.request()?;
            if r.destination().port() == 3 {
                assert!(r.accept());
                break;
            }
            shown.push(r); // and left undecided
        }
        c.join().expect("no panic")?
    };
    eventually("all wait", || l.status().is_some_and(|s| (s.half_open, s.accept_queue) == (2, 1)));
    drop(l);
    assert!(!request.accept(), "it is over");
    for c in [undecided, unseen] {
        assert_eq!(c.join().expect("no panic").expect_err("reset").kind(), io::ErrorKind::ConnectionRefused);
    }
    let e = (&finished).read(&mut [0]).expect_err("reset");
    assert_eq!(e.kind(), io::ErrorKind::ConnectionReset);
    assert!(AnyListener::bind(&x).is_ok(), "there may be another");
    Ok(())
}

#[test]
fn there_is_one_and_what_others_listen_for_is_theirs() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = AnyListener::bind(&x)?;
    assert_eq!(AnyListener::bind(&x).expect_err("a second one").kind(), io::ErrorKind::AddrInUse);
    let own = TcpListener::bind(&x, "192.0.2.1:7")?;
    let _theirs = TcpStream::connect(&y, "192.0.2.1:7")?;
    assert_eq!(own.accept()?.0.local_addr()?, at("192.0.2.1:7"));
    assert!(l.request_within(Duration::ZERO)?.is_none());
    l.set_nonblocking(true)?;
    for e in [l.request().map(drop), l.accept().map(drop)] {
        assert_eq!(e.expect_err("nobody").kind(), io::ErrorKind::WouldBlock);
    }
    assert_ne!(A, B);
    Ok(())
}

#[tokio::test]
async fn tasks_decide_as_threads_do() -> io::Result<()> {
    use synfin::tokio::{AnyListener, TcpStream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (x, y) = hosts()?;
    let l = AnyListener::bind(&x).await?;
    let wants = async |port: u16| TcpStream::connect(&y, ("203.0.113.7", port)).await;
    let serves = async {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let r = l.request().await?;
            match r.destination().port() {
                1 => assert!(r.accept()),
                _ => assert!(r.refuse()),
            }
        }
        streams.push(l.accept().await?.0);
        io::Result::Ok(streams)
    };
    let (accepted, refused, ours) = tokio::join!(wants(1), wants(2), serves);
    let (mut theirs, mut ours) = (accepted?, ours?.remove(0));
    assert_eq!(refused.expect_err("refused").kind(), io::ErrorKind::ConnectionRefused);
    ours.write_all(b"hello").await?;
    let mut text = [0; 5];
    theirs.read_exact(&mut text).await?;
    assert_eq!((&text, ours.local_addr()?), (b"hello", at("203.0.113.7:1")));
    // A future that is dropped has taken nobody.
    let asks = tokio::spawn({
        let y = y.clone();
        async move { TcpStream::connect(&y, "203.0.113.7:3").await }
    });
    {
        let mut waits = std::pin::pin!(l.request());
        let _ =
            std::future::Future::poll(waits.as_mut(), &mut std::task::Context::from_waker(std::task::Waker::noop()));
    }
    let r = l.request().await?;
    assert_eq!(r.destination(), at("203.0.113.7:3"));
    drop(l);
    assert!(!r.accept());
    assert_eq!(asks.await.expect("no panic").expect_err("reset").kind(), io::ErrorKind::ConnectionRefused);
    Ok(())
}
