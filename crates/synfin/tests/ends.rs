//! How links and hosts end: who waits learns of it, and what was written gets its time and no more.

#![allow(clippy::disallowed_methods)] // real time; bounds are there so that what hangs fails

mod pair;

use pair::{b, connected, pair};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{future::Future, sync::mpsc};
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, Packets, channel};
use synfin::{Builder, Cause, Keepalive, Stack, TcpConfig};
use tokio::io::AsyncReadExt;

/// Longer than anything takes here on any machine, and shorter than the retries of TCP, which are a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(60);

const CARRIES: u8 = 0;
const LOSES: u8 = 1;
const STOPS: u8 = 2;

/// What carries packets between two hosts; both links are gone when both its ends are.
struct Path {
    does: Arc<AtomicU8>,
    thread: JoinHandle<(Packets, Packets)>,
}

impl Path {
    fn new(x: Packets, y: Packets) -> Path {
        let does = Arc::new(AtomicU8::new(CARRIES));
        let what = does.clone();
        let thread = thread::spawn(move || {
            while what.load(Ordering::SeqCst) != STOPS {
                let mut idle = true;
                for (from, to) in [(&x, &y), (&y, &x)] {
                    while let Some(p) = from.try_recv() {
                        idle = false;
                        if what.load(Ordering::SeqCst) == CARRIES {
                            to.send(&p);
                        }
                    }
                }
                if idle {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            (x, y)
        });
        Path { does, thread }
    }

    fn mute(&self) {
        self.does.store(LOSES, Ordering::SeqCst);
    }

    /// It carries nothing any more; its ends are left.
    fn stop(self) -> (Packets, Packets) {
        self.does.store(STOPS, Ordering::SeqCst);
        self.thread.join().expect("no panic")
    }
}

/// The first host as `start` starts it, and the second with a thread.
fn hosts(start: impl FnOnce(Builder, Device) -> io::Result<Stack>) -> io::Result<(Stack, Stack, Path)> {
    let ((a, x), (b, y)) = (channel(1500)?, channel(1500)?);
    // An acknowledgment may be delayed for long, so that its timer runs when the link goes.
    let tcp = TcpConfig { delayed_ack: Duration::from_millis(499), ..TcpConfig::default() };
    let host = |last: u8| Ok::<_, io::Error>(Stack::builder().address(&format!("192.0.2.{last}/24"))?.tcp(tcp.clone()));
    Ok((start(host(1)?, Device::Channel(a))?, host(2)?.start(Device::Channel(b))?, Path::new(x, y)))
}

fn cause(e: &io::Error) -> Option<Cause> {
    e.get_ref()?.downcast_ref::<Cause>().copied()
}

/// What `f` gives, on a thread of its own.
fn within<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(f()));
    told.recv_timeout(PATIENCE).expect("the call ends")
}

const GONE: Cause = Cause::LinkGone(ErrorKind::UnexpectedEof);

#[test]
fn a_reader_learns_that_the_link_is_gone_whatever_else_retransmits() -> io::Result<()> {
    let (x, y, path) = hosts(Builder::start)?;
    let l = TcpListener::bind(&y, b(7))?;
    let (idle, mut busy) = (TcpStream::connect(&x, b(7))?, TcpStream::connect(&x, b(7))?);
    let _theirs = (l.accept()?, l.accept()?);
    path.mute();
    busy.write_all(b"never acknowledged")?;
    // Two wait for it: one leads, one follows, or both look when it is over already.
    let readers = [idle.try_clone()?, idle].map(|mut c| thread::spawn(move || within(move || c.read(&mut [0; 1]))));
    drop(path.stop());
    for r in readers {
        let e = r.join().expect("told in time").expect_err("nothing comes");
        assert_eq!((e.kind(), cause(&e)), (ErrorKind::UnexpectedEof, Some(GONE)));
    }
    assert_eq!(x.link_error(), Some(ErrorKind::UnexpectedEof));
    let e = TcpStream::connect(&x, b(7)).expect_err("there is no way");
    assert_eq!(cause(&e), Some(GONE));
    // One that has a timer is ended by it, as if the cable were out.
    busy.set_user_timeout(Some(Duration::from_millis(300)))?;
    let e = within(move || busy.read(&mut [0; 1])).expect_err("nobody acknowledges");
    assert!(e.kind() == ErrorKind::TimedOut && matches!(cause(&e), Some(Cause::Ended { .. })), "{e:?}");
    Ok(())
}

/// The last timer of a connection may run out without anything to tell, as that of a delayed acknowledgment does.
#[test]
fn a_reader_whose_last_timer_says_nothing_learns_that_the_link_is_gone() -> io::Result<()> {
    let (x, y, path) = hosts(Builder::start)?;
    let l = TcpListener::bind(&y, b(7))?;
    let mut c = TcpStream::connect(&x, b(7))?;
    let mut s = l.accept()?.0;
    c.set_quickack(false)?;
    s.write_all(b"!")?;
    c.read_exact(&mut [0; 1])?;
    drop(path.stop());
    let e = within(move || c.read(&mut [0; 1])).expect_err("nothing comes");
    assert_eq!(cause(&e), Some(GONE));
    Ok(())
}

async fn soon<R>(f: impl Future<Output = R>) -> R {
    tokio::time::timeout(PATIENCE, f).await.expect("it ends")
}

#[tokio::test]
async fn so_do_tasks() -> io::Result<()> {
    let (x, y, path) = hosts(Builder::start_on_tokio)?;
    let l = TcpListener::bind(&y, b(7))?;
    let mut idle = synfin::tokio::TcpStream::connect(&x, b(7)).await?;
    let busy = synfin::tokio::TcpStream::connect(&x, b(7)).await?;
    let _theirs = (l.accept()?, l.accept()?);
    path.mute();
    assert_eq!(busy.try_write(b"never acknowledged")?, 18);
    let reader = tokio::spawn(async move { idle.read(&mut [0; 1]).await });
    tokio::task::yield_now().await;
    drop(path.stop());
    let e = soon(reader).await.expect("no panic").expect_err("nothing comes");
    assert_eq!(cause(&e), Some(GONE));
    Ok(())
}

#[test]
fn a_host_that_closes_sends_those_home_who_wait_in_accept() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = TcpListener::bind(&x, "192.0.2.1:7")?;
    let waits = TcpListener::bind(&x, "192.0.2.1:9")?;
    let ours = TcpStream::connect(&y, "192.0.2.1:7")?;
    let theirs = l.accept()?.0;
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| tell.send(waits.accept().map(drop)));
        let rt = tokio::runtime::Builder::new_current_thread().build()?;
        let task = rt.block_on(synfin::tokio::TcpListener::bind(&x, "192.0.2.1:11"))?;
        let tell = tell.clone();
        scope.spawn(move || tell.send(rt.block_on(task.accept()).map(drop)));
        let shut = scope.spawn(|| x.shutdown(PATIENCE));
        // The connection lingers, for its peer has not closed.
        for _ in 0..2 {
            let e = told.recv_timeout(PATIENCE / 2).expect("nobody waits any more").expect_err("nobody will come");
            assert_eq!(cause(&e), Some(Cause::Stopped));
        }
        drop((ours, theirs));
        assert!(shut.join().expect("no panic"), "in order");
        Ok(())
    })
}

/// A host whose last handle is dropped gives its peer a second. This one has gone silent.
fn farewell(start: impl FnOnce(Builder, Device) -> io::Result<Stack>) -> io::Result<()> {
    let (x, y, path) = hosts(start)?;
    let l = TcpListener::bind(&y, b(7))?;
    let mut c = TcpStream::connect(&x, b(7))?;
    let _theirs = l.accept()?;
    let (at_x, _at_y) = path.stop();
    c.write_all(b"never acknowledged")?;
    let began = Instant::now();
    let dropped = thread::spawn(move || drop((c, x))); // it may take as long as the farewell
    let last = within(move || {
        let mut last = Vec::new();
        while let Some(p) = at_x.recv() {
            last = p;
        }
        last
    });
    let took = began.elapsed();
    dropped.join().expect("no panic");
    assert!(took >= Duration::from_secs(1), "gone after {took:?}, before its time");
    assert_eq!(last.get(33).map(|flags| flags & 4), Some(4), "the last word is a RST: {last:?}");
    Ok(())
}

#[test]
fn a_host_with_a_thread_does_not_wait_for_ever_for_a_silent_peer() -> io::Result<()> {
    farewell(Builder::start)
}

#[test]
fn nor_does_one_that_a_task_drives() -> io::Result<()> {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    farewell(|host, device| {
        let _inside = rt.enter();
        host.start_on_tokio(device)
    })
}

/// The last acknowledgment of a connection is put aside while the host is locked: it is written before anybody waits again.
#[test]
fn a_host_whose_peers_close_ends_at_once() -> io::Result<()> {
    let mut took = Vec::new();
    for _ in 0..5 {
        let (x, y) = pair()?;
        let (ours, theirs) = connected(&x, &y)?;
        ours.shutdown(Shutdown::Write)?;
        let mut theirs = theirs;
        assert_eq!(theirs.read(&mut [0; 1])?, 0);
        drop(ours);
        let start = Instant::now();
        let gone = thread::spawn(move || drop(x));
        thread::sleep(Duration::from_millis(20)); // it is likely to say farewell now
        drop(theirs);
        gone.join().expect("no panic");
        took.push(start.elapsed());
    }
    // What it would wait for in vain is a second, each time.
    assert!(took.iter().any(|t| *t < Duration::from_millis(900)), "{took:?}");
    Ok(())
}

/// A call that looks at the device and does not wait leaves the driver asleep: it is still woken for what is due.
#[test]
fn a_timer_that_is_set_after_a_glance_at_the_device_runs() -> io::Result<()> {
    let (x, y, path) = hosts(Builder::start)?;
    let (c, _theirs) = connected(&x, &y)?;
    let l = TcpListener::bind(&x, "192.0.2.1:9")?;
    thread::sleep(Duration::from_millis(1_500)); // by now nothing is due, and the driver is likely to sleep
    assert!(l.accept_within(Some(Duration::ZERO))?.is_none());
    let sent = c.status().map(|s| s.counters.segs_out);
    let times = Keepalive { idle: Some(Duration::from_millis(10)), ..Keepalive::default() };
    c.set_keepalive_times(times)?;
    let start = Instant::now();
    while c.status().map(|s| s.counters.segs_out) == sent {
        assert!(start.elapsed() < PATIENCE / 2, "no probe is sent");
        thread::sleep(Duration::from_millis(5));
    }
    drop(path.stop());
    Ok(())
}
