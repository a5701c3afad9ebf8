//! A device that is full: what waits for it, who waits, and what is shown of it.

#![allow(clippy::disallowed_methods)] // real time; bounds are there so that what hangs fails

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use synfin::blocking::UdpSocket;
use synfin::device::{DatagramDevice, Device};
use synfin::stack::StackConfig;
use synfin::{PacketLog, Sniffed, Stack};

/// Nobody: what is sent there is read at the other end of the device.
const TO: &str = "192.0.2.9:7";

/// Longer than anything takes here on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where its IP and UDP headers end.
const HEADERS: usize = 28;

fn host(limits: StackConfig, log: Option<Watcher>) -> io::Result<(Stack, UnixDatagram)> {
    let (x, y) = UnixDatagram::pair()?;
    y.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut host = Stack::builder().address("192.0.2.1/24")?.limits(limits);
    if let Some(log) = log {
        host = host.packet_log(Box::new(log));
    }
    Ok((host.start(Device::Datagram(DatagramDevice::from_socket(x, 1500)?))?, y))
}

fn read(y: &UnixDatagram) -> io::Result<Vec<u8>> {
    let mut b = vec![0; 1500];
    let n = y.recv(&mut b)?;
    b.truncate(n);
    Ok(b)
}

/// Remembers what it was shown, and loses each third.
#[derive(Clone, Default)]
struct Watcher {
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
    loses: bool,
}

impl PacketLog for Watcher {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let mut shown = self.shown.lock().expect("no panic");
        shown.push(p.bytes.to_vec());
        !(self.loses && shown.len().is_multiple_of(3))
    }
}

/// A frame that the device refuses goes later: it is shown once, and once it is asked whether it is to be lost.
#[test]
fn what_waits_for_the_device_is_shown_once_in_its_order() -> io::Result<()> {
    for loses in [false, true] {
        let log = Watcher { loses, ..Watcher::default() };
        let (x, y) = host(StackConfig::default(), Some(log.clone()))?;
        let u = UdpSocket::bind(&x, "192.0.2.1:9")?;
        for i in 0..600u16 {
            u.send_to(&[&i.to_be_bytes()[..], &[7; 1_000]].concat(), TO)?;
        }
        let mut got = Vec::new();
        while got.len() < if loses { 400 } else { 600 } {
            got.push(read(&y)?);
        }
        let shown = log.shown.lock().expect("no panic").clone();
        assert_eq!(shown.len(), 600, "each once");
        let passed = shown.into_iter().enumerate().filter(|(i, _)| !loses || (i + 1) % 3 != 0).map(|(_, p)| p);
        assert!(passed.eq(got), "what was shown is what came");
    }
    Ok(())
}

fn small() -> StackConfig {
    StackConfig { max_control: 8, ..StackConfig::default() }
}

/// Sends until there is no room: how many went.
fn fill(mut send: impl FnMut() -> io::Result<usize>) -> usize {
    for n in 0..100_000 {
        match send() {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return n,
            Err(e) => panic!("a device that is full is no reason for {e:?}"),
        }
    }
    panic!("it is never full");
}

/// Reads until something says so.
fn read_until(y: &UnixDatagram, text: &[u8]) -> io::Result<usize> {
    let mut n = 0;
    while &read(y)?[HEADERS..] != text {
        n += 1;
    }
    Ok(n)
}

#[test]
fn a_send_waits_while_the_device_is_full() -> io::Result<()> {
    let (x, y) = host(small(), None)?;
    let u = UdpSocket::bind(&x, "192.0.2.1:9")?;
    u.connect(TO)?;
    u.set_nonblocking(true)?;
    let n = fill(|| u.send(&[7; 1_000]));
    u.set_nonblocking(false)?;
    u.set_write_timeout(Some(Duration::from_millis(20)))?;
    assert_eq!(u.send(b"in vain").expect_err("nobody reads").kind(), ErrorKind::WouldBlock);
    u.set_write_timeout(None)?;
    thread::scope(|scope| {
        let sent = scope.spawn(|| u.send(b"last"));
        assert_eq!(read_until(&y, b"last")?, n, "nothing is lost, and nothing came twice");
        assert_eq!(sent.join().expect("no panic")?, 4);
        Ok(())
    })
}

#[tokio::test]
async fn and_so_does_a_task() -> io::Result<()> {
    for as_task in [false, true] {
        let (x, y) = UnixDatagram::pair()?;
        y.set_read_timeout(Some(Duration::from_secs(60)))?;
        let (device, host) = (DatagramDevice::from_socket(x, 1500)?, Stack::builder().address("192.0.2.1/24")?);
        let (device, host) = (Device::Datagram(device), host.limits(small()));
        let x = if as_task { host.start_on_tokio(device)? } else { host.start(device)? };
        let u = synfin::tokio::UdpSocket::bind(&x, "192.0.2.1:9").await?;
        u.connect(TO).await?;
        u.writable().await?;
        let n = fill(|| u.try_send(&[7; 1_000]));
        let (mut send, mut writable) = (pin!(u.send(b"last")), pin!(u.writable()));
        poll_fn(|cx| {
            assert!(send.as_mut().poll(cx).is_pending() && writable.as_mut().poll(cx).is_pending());
            assert!(u.poll_send_ready(cx).is_pending() && u.poll_send(cx, b"no").is_pending());
            Poll::Ready(())
        })
        .await;
        let reader = tokio::task::spawn_blocking(move || read_until(&y, b"last"));
        writable.await?;
        assert_eq!(send.await?, 4);
        assert_eq!(reader.await??, n);
    }
    Ok(())
}

/// One that finds no room, and makes some by its own try, has not missed it.
#[tokio::test]
async fn a_task_that_makes_room_itself_does_not_wait_for_more() -> io::Result<()> {
    let (x, y) = UnixDatagram::pair()?;
    let host = Stack::builder().address("192.0.2.1/24")?.limits(small());
    let x = host.start_on_tokio(Device::Datagram(DatagramDevice::from_socket(x, 1500)?))?;
    let u = synfin::tokio::UdpSocket::bind(&x, "192.0.2.1:9").await?;
    u.connect(TO).await?;
    fill(|| u.try_send(&[7; 1_000]));
    // The far end takes all there is, before the driver, a task of the same thread, can look.
    y.set_nonblocking(true)?;
    while read(&y).is_ok() {}
    let start = Instant::now();
    let sent = tokio::time::timeout(PATIENCE, u.send(b"last")).await.expect("it is sent")?;
    assert!(sent == 4 && start.elapsed() < PATIENCE, "the last look, when the time is up, is too late");
    Ok(())
}
