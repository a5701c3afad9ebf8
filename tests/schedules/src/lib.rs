//! Who waits is woken, whatever the interleaving: each situation is played in a thousand schedules chosen at random. A wake-up
//! that is lost shows as a deadlock, or as a schedule that does not end.

#![cfg(all(test, shuttle))]

use shuttle::future::block_on;
use shuttle::thread;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use synfin::Stack;
use synfin::blocking::{TcpListener, TcpStream, UdpSocket};
use synfin::device::{Device, memory_pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SCHEDULES: usize = 1_000;

fn play(f: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
    shuttle::check_random(move || f().expect("it plays"), SCHEDULES);
}

fn pair() -> io::Result<(Stack, Stack)> {
    let (a, b) = memory_pair(1500, true)?;
    let host = |last: u64, d| Stack::builder().address(&format!("192.0.2.{last}/24"))?.seed(last).start(Device::Memory(d));
    Ok((host(1, a)?, host(2, b)?))
}

/// Ends both without waiting: a peer that is gone would be waited for.
fn end(x: Stack, y: Stack) {
    x.shutdown(Duration::ZERO);
    y.shutdown(Duration::ZERO);
}

/// Two threads of one host wait, each for its own connection: one leads, the other is woken, and the lead goes from one to the
/// other.
#[test]
fn two_threads_take_turns_to_lead() {
    play(|| {
        let (x, y) = pair()?;
        let l = TcpListener::bind(&y, "192.0.2.2:7")?;
        let server = thread::spawn(move || -> io::Result<()> {
            for _ in 0..2 {
                let mut s = l.accept()?.0;
                let mut b = [0; 1];
                s.read_exact(&mut b)?;
                s.write_all(&b)?;
            }
            Ok(())
        });
        let clients: Vec<_> = (0..2u8)
            .map(|i| {
                let x = x.clone();
                thread::spawn(move || -> io::Result<()> {
                    let mut s = TcpStream::connect(&x, "192.0.2.2:7")?;
                    s.write_all(&[i])?;
                    let mut b = [0; 1];
                    s.read_exact(&mut b)?;
                    assert_eq!(b, [i]);
                    Ok(())
                })
            })
            .collect();
        for c in clients {
            c.join().expect("no panic")?;
        }
        server.join().expect("no panic")?;
        end(x, y);
        Ok(())
    });
}

/// What another thread does to a connection wakes the one that waits for it, whether it leads or follows.
#[test]
fn a_reader_is_woken_by_its_own_host() {
    play(|| {
        let (x, y) = pair()?;
        let l = TcpListener::bind(&y, "192.0.2.2:7")?;
        let c = TcpStream::connect(&x, "192.0.2.2:7")?;
        let s = l.accept()?.0;
        let (mut one, mut other) = (c.try_clone()?, s.try_clone()?);
        let reads = [thread::spawn(move || one.read(&mut [0; 1])), thread::spawn(move || other.read(&mut [0; 1]))];
        let accepts = thread::spawn(move || l.accept().map(drop));
        c.shutdown(Shutdown::Read)?;
        x.shutdown(Duration::ZERO);
        y.shutdown(Duration::ZERO);
        for r in reads {
            let _ = r.join().expect("no panic"); // 0, or that the host has stopped
        }
        assert!(accepts.join().expect("no panic").is_err());
        Ok(())
    });
}

/// A task on one thread and a blocked call on another share a host; the driver thread takes over when the caller is done.
#[test]
fn a_task_and_a_thread_share_a_host() {
    play(|| {
        let (x, y) = pair()?;
        let l = TcpListener::bind(&y, "192.0.2.2:7")?;
        let server = thread::spawn(move || -> io::Result<()> {
            let (mut first, mut second) = (l.accept()?.0, l.accept()?.0);
            let mut b = [0; 1];
            first.read_exact(&mut b)?;
            second.read_exact(&mut b)?;
            second.write_all(b"2")?;
            first.write_all(b"1")
        });
        let host = x.clone();
        let task = thread::spawn(move || {
            block_on(async {
                let mut s = synfin::tokio::TcpStream::connect(&host, "192.0.2.2:7").await?;
                s.write_all(b"a").await?;
                s.read_u8().await
            })
        });
        let mut s = TcpStream::connect(&x, "192.0.2.2:7")?;
        s.write_all(b"b")?;
        s.read_exact(&mut [0; 1])?;
        task.join().expect("no panic")?;
        server.join().expect("no panic")?;
        end(x, y);
        Ok(())
    });
}

/// A writer waits for room while a reader makes it, in many small steps.
#[test]
fn a_writer_that_waits_for_room_is_woken() {
    play(|| {
        let (x, y) = pair()?;
        let mut small = x.tcp_defaults();
        (small.snd_buf_initial, small.snd_buf_max) = (2_048, 2_048);
        let l = TcpListener::bind(&y, "192.0.2.2:7")?;
        let reads = thread::spawn(move || -> io::Result<usize> {
            let mut all = Vec::new();
            l.accept()?.0.read_to_end(&mut all)
        });
        let mut c = TcpStream::connect_with(&x, None, "192.0.2.2:7".parse().expect("an address"), &small)?;
        c.write_all(&[7; 10_000])?;
        c.shutdown(Shutdown::Write)?;
        assert_eq!(reads.join().expect("no panic")?, 10_000);
        end(x, y);
        Ok(())
    });
}

/// Two wait for datagrams at one socket, each takes one; the first datagram wakes both, and the one that comes late waits on.
#[test]
fn two_receivers_at_one_socket_get_a_datagram_each() {
    play(|| {
        let (x, y) = pair()?;
        let u = UdpSocket::bind(&y, "192.0.2.2:7")?;
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let u = u.try_clone()?;
                Ok(thread::spawn(move || -> io::Result<u8> {
                    let mut b = [0; 1];
                    u.recv(&mut b)?;
                    Ok(b[0])
                }))
            })
            .collect::<io::Result<_>>()?;
        let v = UdpSocket::bind(&x, "192.0.2.1:7")?;
        v.connect("192.0.2.2:7")?;
        v.send(&[1])?;
        v.send(&[2])?;
        let mut got = receivers.into_iter().map(|r| r.join().expect("no panic")).collect::<io::Result<Vec<_>>>()?;
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        end(x, y);
        Ok(())
    });
}

/// A future that waits is dropped at any moment, also when it was woken and has not run; another one, and a blocked call, wait at
/// the same socket and are not forgotten for it.
#[test]
fn a_wait_that_is_given_up_takes_nobodys_wake_up() {
    play(|| {
        let (x, y) = pair()?;
        let u = Arc::new(block_on(synfin::tokio::UdpSocket::bind(&y, "192.0.2.2:7"))?);
        let (gives_up, stays) = (u.clone(), u.clone());
        let first = thread::spawn(move || {
            block_on(async {
                let mut b = [0; 1];
                let mut recv = pin!(gives_up.recv(&mut b));
                // Looked at twice, whatever happens in between.
                for _ in 0..2 {
                    if let Poll::Ready(r) = poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await {
                        return r;
                    }
                    thread::yield_now();
                }
                Ok(0)
            })
        });
        let second = thread::spawn(move || block_on(async { stays.recv(&mut [0; 1]).await }));
        let v = UdpSocket::bind(&x, "192.0.2.1:7")?;
        v.send_to(&[1], "192.0.2.2:7")?;
        if first.join().expect("no panic")? == 1 {
            v.send_to(&[2], "192.0.2.2:7")?; // it took the other's
        }
        assert_eq!(second.join().expect("no panic")?, 1);
        end(x, y);
        Ok(())
    });
}

/// The host's own handle goes while a call waits: the socket holds the host, and the last to go ends it, on whatever thread.
#[test]
fn a_host_that_is_dropped_while_a_call_waits_lives_until_the_call_is_over() {
    play(|| {
        let (x, y) = pair()?;
        let l = TcpListener::bind(&y, "192.0.2.2:7")?;
        let c = TcpStream::connect(&x, "192.0.2.2:7")?;
        let mut s = l.accept()?.0;
        let reads = thread::spawn(move || -> io::Result<()> {
            let mut c = c;
            let mut b = [0; 1];
            c.read_exact(&mut b)?;
            assert_eq!(b, [7]);
            Ok(())
        });
        drop(x);
        s.write_all(&[7])?;
        reads.join().expect("no panic")?;
        assert_eq!(s.read(&mut [0; 1])?, 0, "the host said its farewell");
        y.shutdown(Duration::ZERO);
        Ok(())
    });
}
