//! Heartbeats over streams that block. Here time is real, and nothing depends on how fast the machine is: who is to be taken for
//! gone says nothing for ever, and who is not has settings that bear half a minute.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use synfin::Stack;
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::heartbeat::{Backoff, FrameError, HeartbeatStream, Settings, Verdict, keep_connected};
use synfin::stack::engine::Rng;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Asks after 50 ms, waits 50 ms.
fn impatient() -> Settings {
    Settings::new(MS(50), MS(50)).unwrap()
}

fn hosts() -> (Stack, TcpListener) {
    let (a, b) = memory_pair(1500, true).unwrap();
    let host = |addr, device| Stack::builder().address(addr).unwrap().start(Device::Memory(device)).unwrap();
    let (client, server) = (host("192.0.2.1/24", a), host("192.0.2.2/24", b));
    (client, TcpListener::bind(&server, "192.0.2.2:7").unwrap())
}

/// Two ends, plain.
fn plain() -> (TcpStream, TcpStream) {
    let (client, listener) = hosts();
    let s = TcpStream::connect(&client, "192.0.2.2:7").unwrap();
    (s, listener.accept().unwrap().0)
}

fn verdict(e: &io::Error) -> Verdict {
    *e.get_ref().and_then(|e| e.downcast_ref()).unwrap()
}

fn pattern(n: usize, seed: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251 + seed) as u8).collect()
}

/// Both ends send at once, each with a thread for either direction.
fn both_ways<S: synfin::heartbeat::Stream + Sync>(a: &HeartbeatStream<S>, b: &HeartbeatStream<S>) {
    thread::scope(|s| {
        for (n, (from, to)) in [(a, b), (b, a)].into_iter().enumerate() {
            s.spawn(move || {
                (&*from).write_all(&pattern(3_000_000, n)).unwrap();
                from.end().unwrap();
                assert_eq!((&*from).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            });
            s.spawn(move || {
                let mut got = Vec::new();
                (&*to).read_to_end(&mut got).unwrap();
                assert!(got == pattern(3_000_000, n));
            });
        }
    });
}

#[test]
fn text_goes_both_ways_at_once_and_ends() {
    let (a, b) = plain();
    let a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
    let b = HeartbeatStream::accepted(b, Settings::USUAL).unwrap();
    both_ways(&a, &b);
    assert_eq!((a.verdict(), b.verdict()), (None, None));
}

/// A thread tends beside the one that reads: neither keeps the other from what it came for.
#[test]
#[allow(clippy::disallowed_methods)] // real time; the bound is there so that what hangs fails
fn who_reads_beside_one_that_tends_gets_its_text_and_its_timeout() {
    let (a, b) = plain();
    let a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
    let b = HeartbeatStream::accepted(b, Settings::USUAL).unwrap();
    thread::scope(|s| {
        let tends = s.spawn(|| a.tend(Duration::from_secs(3_600)));
        a.set_read_timeout(Some(MS(20))).unwrap();
        let mut got = [0; 4];
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!((&a).read(&mut got).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert!(start.elapsed() < Duration::from_secs(15), "not as long as there is nothing to do for who tends");
        a.set_read_timeout(None).unwrap();
        (&b).write_all(b"text").unwrap();
        (&a).read_exact(&mut got).unwrap();
        assert_eq!(&got, b"text");
        synfin::heartbeat::Stream::give_up(b.get_ref());
        assert!(tends.join().unwrap().is_err(), "the stream is gone");
    });
}

#[test]
fn streams_of_std_have_hearts_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let a = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
    let b = HeartbeatStream::accepted(listener.accept().unwrap().0, Settings::USUAL).unwrap();
    assert!(a.get_ref().nodelay().unwrap() && b.get_ref().nodelay().unwrap());
    both_ways(&a, &b);
}

#[test]
fn a_peer_without_a_heart_is_gone_and_no_sooner_than_it_may_be() {
    let (a, _silent) = plain();
    let a = HeartbeatStream::new(a, impatient()).unwrap();
    let e = (&a).read(&mut [0; 10]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert!(matches!(verdict(&e), Verdict::Gone { heard, at } if at.since(heard) >= MS(100)));
    assert_eq!((&a).write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(a.tend(MS(1)).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_write_to_a_peer_that_hangs_ends() {
    let (a, _hangs) = plain();
    let a = HeartbeatStream::new(a, impatient()).unwrap();
    let e = loop {
        if let Err(e) = (&a).write(&[7; 100_000]) {
            break e;
        }
    };
    assert!(e.kind() == ErrorKind::TimedOut && matches!(verdict(&e), Verdict::Gone { .. }), "{e}");
}

/// It never reads, and its peer takes all that it writes.
#[test]
fn a_program_that_only_writes_learns_of_a_peer_without_a_heart() {
    let (a, mut b) = plain();
    let a = HeartbeatStream::new(a, impatient()).unwrap();
    let sink = thread::spawn(move || io::copy(&mut b, &mut io::sink()));
    let e = (0..20_000).find_map(|_| {
        thread::park_timeout(MS(1));
        (&a).write(b"x").err()
    });
    assert_eq!(e.map(|e| e.kind()), Some(ErrorKind::TimedOut));
    drop(a);
    let _ = sink.join().unwrap(); // reset
}

#[test]
fn what_a_peer_does_wrong_has_its_kind_after_the_text_before_it() {
    for (says, text, kind, error) in [
        (b"HTTP/1.1 400 Bad Request\r\n".as_slice(), "", ErrorKind::InvalidData, FrameError::UnknownKind(b'H')),
        (b"\x01\0\x04\0\0\0\x01\x02\0\x02hi\x02\0\0", "hi", ErrorKind::InvalidData, FrameError::TextLength(0)),
        (b"\x01\0\x04\0\0\0\x01\x02\0\x03hi", "hi", ErrorKind::UnexpectedEof, FrameError::CutShort),
        (b"\x01\0\x04\0\0\0\x01\x02\0\x02hi", "hi", ErrorKind::UnexpectedEof, FrameError::CutShort),
    ] {
        let (a, mut b) = plain();
        let mut a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
        b.write_all(says).unwrap();
        b.shutdown(std::net::Shutdown::Write).unwrap();
        let mut got = String::new();
        let e = a.read_to_string(&mut got).unwrap_err();
        assert_eq!((got.as_str(), e.kind(), verdict(&e)), (text, kind, Verdict::Broken(error)));
    }
}

#[test]
fn a_stream_that_is_dropped_has_said_its_end() {
    let (a, b) = plain();
    let mut a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
    a.write_all(b"bye").unwrap();
    drop(a);
    let mut got = Vec::new();
    HeartbeatStream::accepted(b, Settings::USUAL).unwrap().read_to_end(&mut got).unwrap();
    assert_eq!(got, b"bye");
}

#[test]
fn a_read_waits_as_long_as_it_may() {
    let (a, b) = plain();
    let mut a = HeartbeatStream::new(a, Settings::USUAL).unwrap();
    let mut b = HeartbeatStream::accepted(b, Settings::USUAL).unwrap();
    a.set_read_timeout(Some(MS(20))).unwrap();
    assert_eq!(a.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(a.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    b.write_all(b"x").unwrap();
    a.set_read_timeout(None).unwrap();
    assert_eq!(a.read(&mut [0; 10]).unwrap(), 1);
}

/// The one asks every 50 ms and the other takes no text, but is tended.
#[test]
fn a_program_that_only_tends_lives() {
    let (a, b) = plain();
    let asks = Settings::new(MS(50), Duration::from_secs(30)).unwrap();
    let mut a = HeartbeatStream::new(a, asks).unwrap();
    let mut b = HeartbeatStream::accepted(b, Settings::USUAL).unwrap();
    a.write_all(b"later").unwrap();
    thread::scope(|s| {
        s.spawn(|| {
            while a.counters().answers < 3 {
                a.tend(MS(100)).unwrap();
            }
            a.end().unwrap();
        });
        while b.counters().peer_probes < 3 {
            b.tend(MS(100)).unwrap();
        }
    });
    assert!(a.counters().rtt.is_some());
    let mut got = String::new();
    b.read_to_string(&mut got).unwrap();
    assert_eq!(got, "later");
}

#[test]
fn a_lost_connection_is_cleaned_up_after_and_made_again() {
    let (client, listener) = hosts();
    let (mut connected, mut cleaned) = (0, 0);
    let mut silent = Vec::new();
    let server = thread::spawn(move || {
        for n in 0.. {
            let (s, _) = listener.accept().unwrap();
            if n < 2 {
                silent.push(s); // its program hangs
                continue;
            }
            let mut s = HeartbeatStream::accepted(s, Settings::USUAL).unwrap();
            let mut b = [0; 5];
            if s.read_exact(&mut b).is_ok() && s.write_all(&b).is_ok() && s.read_to_end(&mut Vec::new()).is_ok() {
                return;
            }
        }
    });
    let answer = keep_connected(
        Settings::new(MS(50), Duration::from_secs(1)).unwrap(),
        Backoff::new(MS(1), MS(20)),
        &mut Rng::from_number(1),
        || {
            connected += 1;
            TcpStream::connect(&client, "192.0.2.2:7")
        },
        |e| {
            cleaned += 1;
            assert_eq!(e.kind(), ErrorKind::TimedOut);
            Ok(())
        },
        |mut s| {
            s.write_all(b"hello")?;
            let mut b = [0; 5];
            s.read_exact(&mut b)?;
            s.end()?;
            Ok(b)
        },
    );
    assert_eq!(answer.unwrap(), *b"hello");
    assert!(connected >= 3 && cleaned == connected - 1, "{connected} {cleaned}");
    server.join().unwrap();
}

#[test]
fn attempts_end_when_the_back_off_says_so_and_errors_of_the_work_are_its_own() {
    let (client, listener) = hosts();
    let _refuses = listener;
    let mut rng = Rng::from_number(1);
    let mut attempts = 0;
    let r: io::Result<()> = keep_connected(
        Settings::USUAL,
        Backoff::new(MS(1), MS(1)).give_up_after(3),
        &mut rng,
        || {
            attempts += 1;
            TcpStream::connect(&client, "192.0.2.2:8")
        },
        |_| unreachable!("nothing was connected"),
        |_| unreachable!("nothing was connected"),
    );
    assert_eq!((r.unwrap_err().kind(), attempts), (ErrorKind::ConnectionRefused, 3));
    let r: io::Result<()> = keep_connected(
        Settings::USUAL,
        Backoff::default(),
        &mut rng,
        || TcpStream::connect(&client, "192.0.2.2:7"),
        |_| unreachable!("nothing was lost"),
        |_| Err(io::Error::other("mine")),
    );
    assert_eq!(r.unwrap_err().to_string(), "mine");
}

/// A stream that takes nothing and does not say so is an error, and no endless loop.
#[test]
fn a_stream_that_takes_nothing_fails() {
    struct Full;
    impl synfin::heartbeat::Stream for Full {
        fn read_within(&self, _: Duration, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
        fn write_within(&self, _: Duration, _: &[u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn set_nodelay(&self) -> io::Result<()> {
            Ok(())
        }
        fn give_up(&self) {}
    }
    assert_eq!(HeartbeatStream::new(Full, Settings::USUAL).err().map(|e| e.kind()), Some(ErrorKind::WriteZero));
}
