//! `synfin::blocking`: what `std::net` promises, over two hosts in memory.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on how fast the machine is

mod pair;

use pair::{b, connected, kind, pair, pair_with};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use synfin::blocking::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use synfin::stack::engine::State;
use synfin::{Bytes, Cause, Stack, TcpConfig};

#[test]
fn what_would_wait_says_so_after_its_time_or_at_once() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, mut s) = connected(&x, &y)?;
    assert_eq!(kind(s.set_read_timeout(Some(Duration::ZERO))), ErrorKind::InvalidInput);
    let t = Duration::from_millis(30);
    s.set_read_timeout(Some(t))?;
    assert_eq!((s.read_timeout()?, s.write_timeout()?), (Some(t), None));
    let began = Instant::now();
    assert_eq!(kind(s.read(&mut [0; 1])), ErrorKind::WouldBlock);
    assert!(began.elapsed() >= t);
    let other = s.try_clone()?;
    other.set_nonblocking(true)?;
    s.set_read_timeout(None)?;
    assert_eq!(kind(s.read(&mut [0; 1])), ErrorKind::WouldBlock, "clones share the mode");
    assert_eq!(kind(s.peek(&mut [0; 1])), ErrorKind::WouldBlock);
    // A write waits for room, for its time.
    c.set_write_timeout(Some(t))?;
    let full = loop {
        if let Err(e) = c.write_all(&[1; 100_000]) {
            break e;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let l = TcpListener::bind(&y, b(7))?;
    l.set_nonblocking(true)?;
    assert_eq!(kind(l.accept()), ErrorKind::WouldBlock);
    let u = UdpSocket::bind(&y, b(7))?;
    u.set_read_timeout(Some(t))?;
    assert_eq!(kind(u.recv(&mut [0; 1])), ErrorKind::WouldBlock);
    u.set_nonblocking(true)?;
    assert_eq!(kind(u.peek_from(&mut [0; 1])), ErrorKind::WouldBlock);
    Ok(())
}

#[test]
fn vectored_calls_use_all_buffers() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, mut s) = connected(&x, &y)?;
    assert_eq!(c.write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"segment")])?, 11);
    while s.peek(&mut [0; 64])? < 11 {}
    let (mut head, mut tail) = ([0; 4], [0; 64]);
    let n = s.read_vectored(&mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)])?;
    assert_eq!((n, &head, &tail[..7]), (11, b"one ", &b"segment"[..]));
    assert_eq!((s.read(&mut [])?, s.read_vectored(&mut [])?, c.write(b"")?), (0, 0, 0), "nothing is asked for");
    Ok(())
}

#[test]
fn handles_share_a_connection_and_the_last_closes_it() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, s) = connected(&x, &y)?;
    let twin = s.try_clone()?;
    let waits = thread::spawn(move || (&twin).read(&mut [0; 8]).map(|n| (n, twin)));
    drop(s);
    c.write_all(b"still here")?;
    let (n, twin) = waits.join().expect("no panic")?;
    assert_eq!(n, 8);
    (&twin).read_exact(&mut [0; 2])?;
    drop(twin);
    assert_eq!(c.read(&mut [0; 1])?, 0);
    Ok(())
}

#[test]
fn shutting_down_wakes_another_thread_that_reads() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, s) = connected(&x, &y)?;
    let mut twin = s.try_clone()?;
    let reads = thread::spawn(move || twin.read(&mut [0; 8]));
    thread::sleep(Duration::from_millis(20));
    s.shutdown(Shutdown::Read)?;
    assert_eq!(reads.join().expect("no panic")?, 0);
    // As on Linux: what still comes can be read, and then it is the end.
    c.write_all(b"late")?;
    while s.peek(&mut [0; 4])? == 0 {}
    assert_eq!((&s).read(&mut [0; 8])?, 4);
    assert_eq!((&s).read(&mut [0; 8])?, 0);
    c.shutdown(Shutdown::Both)?;
    assert_eq!(kind(c.write(b"x")), ErrorKind::BrokenPipe);
    assert_eq!(c.read(&mut [0; 1])?, 0);
    Ok(())
}

#[test]
fn an_error_is_told_by_every_call_and_once_by_take_error() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, s) = connected(&x, &y)?;
    assert!(c.take_error()?.is_none());
    s.abort();
    while c.state() != State::Closed {
        thread::yield_now();
    }
    let e = c.take_error()?.expect("it was reset");
    let cause = e.get_ref().and_then(|e| e.downcast_ref::<Cause>()).copied();
    assert!(cause.and_then(|c| c.rule()).is_some(), "{cause:?}");
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    assert!(c.take_error()?.is_none());
    for _ in 0..2 {
        assert_eq!((kind(c.read(&mut [0; 1])), kind(c.write(b"x"))), (e.kind(), e.kind()), "never mistaken for an end");
    }
    assert_eq!(kind(c.shutdown(Shutdown::Write)), ErrorKind::NotConnected);
    Ok(())
}

#[test]
fn what_refuses_a_connection_is_inside_the_error() -> io::Result<()> {
    let (x, _y) = pair()?;
    let e = TcpStream::connect(&x, b(9)).expect_err("nobody listens");
    let cause = e.get_ref().and_then(|e| e.downcast_ref::<Cause>()).expect("a cause");
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    assert!(cause.rule().is_some() && cause.icmp().is_none(), "{cause:?}: a RST did it");
    assert_eq!(e.to_string(), "connection refused");
    let e = TcpStream::connect(&x, "203.0.113.1:9").expect_err("no route");
    let cause = e.get_ref().and_then(|e| e.downcast_ref::<Cause>());
    assert_eq!(cause, Some(&Cause::Connect(synfin::stack::ConnectError::NoRoute)));
    let nobody = "192.0.2.77:9".parse().expect("an address");
    assert_eq!(kind(TcpStream::connect_timeout(&x, &nobody, Duration::ZERO)), ErrorKind::InvalidInput);
    Ok(())
}

#[test]
fn lingering_waits_for_the_peer_but_not_longer_than_it_was_told() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, mut s) = connected(&x, &y)?;
    c.set_linger(Some(Duration::from_secs(60)))?;
    assert_eq!(c.linger()?, Some(Duration::from_secs(60)));
    // More than the peer has room for: it must read before all is acknowledged.
    let big = vec![3; 3_000_000];
    let (told, tell) = mpsc::channel();
    let closing = thread::spawn(move || -> io::Result<()> {
        c.write_all(&big)?;
        drop(c);
        let _ = told.send(());
        Ok(())
    });
    let mut got = Vec::new();
    s.read_to_end(&mut got)?;
    closing.join().expect("no panic")?;
    tell.recv().map_err(io::Error::other)?;
    assert_eq!(got.len(), 3_000_000);
    let (mut c, s) = connected(&x, &y)?;
    let t = Duration::from_millis(50);
    c.set_linger(Some(t))?;
    while c.status().is_some_and(|s| s.snd_wnd > 0) {
        let _ = c.write(&[3; 10_000])?;
    }
    let began = Instant::now();
    drop(c);
    assert!(began.elapsed() >= t, "nobody reads: it waits as long as it was told");
    drop(s);
    Ok(())
}

/// Hop limits as they cross the link, of segments and of datagrams.
#[test]
fn a_hop_limit_is_on_the_wire() -> io::Result<()> {
    struct Ttl(mpsc::Sender<(u8, u8)>);
    impl synfin::PacketLog for Ttl {
        fn packet(&mut self, p: synfin::Sniffed<'_>) -> bool {
            if p.out && p.bytes[0] >> 4 == 4 {
                let _ = self.0.send((p.bytes[9], p.bytes[8]));
            }
            true
        }
    }
    let (tell, seen) = mpsc::channel();
    let (d, e) = synfin::device::memory_pair(1500, true)?;
    let x = Stack::builder().address("192.0.2.1/24")?.packet_log(Box::new(Ttl(tell)));
    let x = x.start(synfin::device::Device::Memory(d))?;
    let y = Stack::builder().address("192.0.2.2/24")?.start(synfin::device::Device::Memory(e))?;
    let l = TcpListener::bind(&y, b(7))?;
    let s = TcpSocket::new_v4(&x)?;
    s.set_ttl(33)?;
    let c = s.connect(b(7))?;
    let _s = l.accept()?;
    while seen.try_recv().map(|p| assert_eq!(p, (6, 33))).is_ok() {}
    c.set_ttl(5)?;
    (&c).write_all(b"x")?;
    assert_eq!(seen.recv().ok(), Some((6, 5)));
    let u = UdpSocket::bind(&x, "192.0.2.1:0")?;
    assert_eq!(u.ttl()?, 64);
    u.set_ttl(3)?;
    u.send_to(b"x", b(9))?;
    assert!(seen.iter().take(50).any(|p| p == (17, 3)));
    Ok(())
}

#[test]
fn bytes_are_handed_over_and_their_buffers_come_back() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, s) = connected(&x, &y)?;
    let data = Bytes::from((0..2_000_000u32).map(|i| (i >> 7) as u8).collect::<Vec<u8>>());
    let sent = data.clone();
    let writer = thread::spawn(move || c.write_bytes(sent));
    let mut at = 0;
    while let Some(mut piece) = s.read_bytes()? {
        let head = piece.split_to(3);
        assert!(head[..] == data[at..at + head.len()] && piece[..] == data[at + head.len()..][..piece.len()]);
        at += head.len() + piece.len();
    }
    assert_eq!(at, data.len());
    writer.join().expect("no panic")
}

#[test]
fn a_host_that_is_shut_down_closes_in_order_and_its_sockets_say_so() -> io::Result<()> {
    let (x, y) = pair()?;
    let (mut c, mut s) = connected(&x, &y)?;
    let l = TcpListener::bind(&x, "192.0.2.1:7")?;
    let u = UdpSocket::bind(&x, "192.0.2.1:9")?;
    let accepts = thread::spawn(move || l.accept().map(drop));
    c.write_all(b"the last words")?;
    let reads = thread::spawn(move || {
        let mut all = Vec::new();
        s.read_to_end(&mut all).map(|_| all) // and closes
    });
    assert!(x.shutdown(Duration::from_secs(60)), "in order");
    assert_eq!(reads.join().expect("no panic")?, b"the last words");
    assert_eq!(kind(accepts.join().expect("no panic")), ErrorKind::NotConnected);
    assert_eq!(kind(c.read(&mut [0; 1])), ErrorKind::NotConnected);
    assert_eq!(kind(c.write(b"x")), ErrorKind::NotConnected);
    assert_eq!(kind(u.send_to(b"x", b(9))), ErrorKind::NotConnected);
    assert_eq!(kind(TcpStream::connect(&x, b(7))), ErrorKind::NotConnected);
    assert_eq!(kind(TcpListener::bind(&x, "192.0.2.1:8")), ErrorKind::NotConnected);
    assert_eq!(kind(UdpSocket::bind(&x, "192.0.2.1:8")), ErrorKind::NotConnected);
    assert!(x.shutdown(Duration::ZERO), "once more changes nothing");
    Ok(())
}

#[test]
fn what_does_not_close_within_the_patience_is_reset_and_nobody_hangs() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y)?;
    let mut twin = c.try_clone()?;
    let reads = thread::spawn(move || twin.read(&mut [0; 1]));
    let t = Duration::from_millis(30);
    let began = Instant::now();
    assert!(!x.shutdown(t), "the peer does not close");
    assert!(began.elapsed() >= t);
    assert_eq!(kind(reads.join().expect("no panic")), ErrorKind::NotConnected);
    // The FIN was there before: until the reset has come, it is what a read tells.
    let told = (0..60_000).find_map(|_| match s.read(&mut [0; 1]) {
        Ok(_) => {
            thread::sleep(Duration::from_millis(1));
            None
        }
        Err(e) => Some(e.kind()),
    });
    assert_eq!(told, Some(ErrorKind::ConnectionReset));
    drop(c);
    Ok(())
}

/// How often the drivers were on a processor, and gave it up by waiting.
fn switches() -> io::Result<u64> {
    let mut n = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        if field("Name:").is_some_and(|n| n == "synfin" || n == "leader") {
            n += field("voluntary_ctxt_switches:").and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    }
    Ok(n)
}

#[test]
fn an_idle_host_sleeps_whether_a_caller_leads_or_not() -> io::Result<()> {
    // Alone in its process: other tests have drivers, too.
    if std::env::var_os("SYNFIN_IDLE").is_none() {
        let name = "an_idle_host_sleeps_whether_a_caller_leads_or_not";
        let me = std::env::current_exe()?;
        let o = std::process::Command::new(me).args([name, "--exact"]).env("SYNFIN_IDLE", "1").output()?;
        assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stdout));
        return Ok(());
    }
    let (x, y) = pair_with(TcpConfig::default())?;
    let (mut c, mut s) = connected(&x, &y)?;
    let leads = thread::Builder::new().name("leader".into()).spawn(move || s.read(&mut [0; 1]))?;
    // What was still going on comes to its end, be it late because the machine is; who looks again and again never rests.
    let mut counts = Vec::new();
    while counts.last().is_none_or(|n| *n > 2) {
        assert!(counts.len() < 100, "times in each half second, in three threads: {counts:?}");
        let before = switches()?;
        thread::sleep(Duration::from_millis(500));
        counts.push(switches()? - before);
    }
    c.write_all(b"x")?;
    assert_eq!(leads.join().expect("no panic")?, 1, "and it still wakes");
    Ok(())
}

/// Many threads on one host, each with a connection of its own and with all taking turns to lead.
#[test]
fn fifty_threads_that_wait_on_one_host_are_all_served() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = TcpListener::bind_with(&y, b(7), 64, &y.tcp_defaults())?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..50u8)
            .map(|i| {
                let x = &x;
                scope.spawn(move || -> io::Result<()> {
                    let mut c = TcpStream::connect(x, b(7))?;
                    for round in 0..40u8 {
                        c.write_all(&[i, round])?;
                        let mut back = [0; 2];
                        c.read_exact(&mut back)?;
                        assert_eq!(back, [i, round]);
                    }
                    Ok(())
                })
            })
            .collect();
        for _ in 0..50 {
            let (mut s, _) = l.accept()?;
            scope.spawn(move || -> io::Result<()> {
                let mut buf = [0; 2];
                while s.read_exact(&mut buf).is_ok() {
                    s.write_all(&buf)?;
                }
                Ok(())
            });
        }
        clients.into_iter().try_for_each(|c| c.join().expect("no panic"))
    })
}
