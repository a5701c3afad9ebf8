//! What is the same in both faces and neither is std's nor tokio's alone: several addresses, octets that are handed over, the end
//! at once.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on it

mod pair;

use pair::{b, connected, kind, pair};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use synfin::blocking::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use synfin::stack::engine::State;
use synfin::{Bytes, tokio as tasks};

/// Nobody's here, and no way there.
fn elsewhere() -> SocketAddr {
    ([203, 0, 113, 1], 7).into()
}

#[test]
fn of_several_addresses_each_is_tried() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = TcpListener::bind(&y, &[elsewhere(), b(7)][..])?;
    assert_eq!(l.local_addr()?, b(7));
    let (refuses, takes) = (b(9), b(7));
    assert_eq!(TcpStream::connect(&x, &[elsewhere(), refuses, takes][..])?.peer_addr()?, takes);
    assert_eq!(TcpSocket::new_v4(&x)?.connect(&[refuses, takes][..])?.peer_addr()?, takes);
    assert_eq!(kind(TcpStream::connect(&x, &[refuses, elsewhere()][..])), ErrorKind::NetworkUnreachable, "the last");
    assert_eq!(kind(TcpStream::connect(&x, &[elsewhere(), refuses][..])), ErrorKind::ConnectionRefused, "the last");
    let none: &[SocketAddr] = &[];
    assert_eq!(kind(TcpStream::connect(&x, none)), ErrorKind::InvalidInput);
    let u = UdpSocket::bind(&y, &[elsewhere(), b(53)][..])?;
    assert_eq!(u.local_addr()?, b(53));
    assert_eq!(kind(UdpSocket::bind(&y, &[elsewhere(), b(53)][..])), ErrorKind::AddrInUse);
    Ok(())
}

#[tokio::test]
async fn of_several_addresses_each_is_tried_by_tasks() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = tasks::TcpListener::bind(&y, &[elsewhere(), b(7)][..]).await?;
    assert_eq!(l.local_addr()?, b(7));
    assert_eq!(tasks::TcpStream::connect(&x, &[elsewhere(), b(9), b(7)][..]).await?.peer_addr()?, b(7));
    let last = tasks::TcpStream::connect(&x, &[b(9), elsewhere()][..]).await;
    assert_eq!(kind(last), ErrorKind::NetworkUnreachable, "the last");
    let none: &[SocketAddr] = &[];
    assert_eq!(kind(tasks::TcpStream::connect(&x, none).await), ErrorKind::InvalidInput);
    assert_eq!(tasks::UdpSocket::bind(&y, &[elsewhere(), b(53)][..]).await?.local_addr()?, b(53));
    Ok(())
}

fn pattern(n: u32) -> Vec<u8> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn after_a_write_that_waited_too_long_the_rest_is_still_there() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y)?;
    c.set_write_timeout(Some(Duration::from_millis(20)))?;
    // More than both buffers hold: nobody reads.
    let all = pattern(30_000_000);
    let mut rest = Bytes::from(all.clone());
    assert_eq!(kind(c.write_all_bytes(&mut rest)), ErrorKind::WouldBlock);
    assert!(!rest.is_empty() && rest.len() < all.len(), "some of it went: {} are left", rest.len());
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        s.read_to_end(&mut got).map(|_| got)
    });
    c.set_write_timeout(None)?;
    c.write_all_bytes(&mut rest)?;
    assert!(rest.is_empty());
    drop(c);
    assert!(reader.join().expect("no panic")? == all, "nothing twice, nothing not at all");
    Ok(())
}

#[tokio::test]
async fn a_dropped_future_leaves_the_rest_with_its_caller() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = tasks::TcpListener::bind(&y, b(7)).await?;
    let c = tasks::TcpStream::connect(&x, b(7)).await?;
    let (s, _) = l.accept().await?;
    let all = pattern(30_000_000);
    let theirs = bytes::Bytes::from(all.clone());
    let mut rest = Bytes::from(theirs.slice(..));
    assert_eq!(rest.as_ptr(), theirs.as_ptr(), "no copy");
    let impatient = tokio::time::timeout(Duration::from_millis(20), c.write_all_bytes(&mut rest));
    assert!(impatient.await.is_err() && !rest.is_empty() && rest.len() < all.len());
    while c.try_write_bytes(&mut rest).is_ok() {}
    let reader = tokio::spawn(async move {
        let mut got = Vec::new();
        while let Some(piece) = s.read_bytes().await? {
            got.extend_from_slice(&piece);
        }
        assert!(s.try_read_bytes()?.is_none(), "still the end");
        io::Result::Ok(got)
    });
    c.write_all_bytes(&mut rest).await?;
    drop(c);
    assert!(reader.await?? == all);
    Ok(())
}

#[test]
fn an_abort_resets_at_once_whoever_else_holds_the_stream() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, mut s) = connected(&x, &y)?;
    let (other, mut waits) = (c.try_clone()?, c.try_clone()?);
    let waiting = thread::spawn(move || waits.read(&mut [0]).map_err(|e| e.kind()));
    c.abort();
    assert_eq!(other.state(), State::Closed);
    assert_eq!(kind(s.read(&mut [0])), ErrorKind::ConnectionReset);
    assert_eq!(waiting.join().expect("no panic"), Err(ErrorKind::NotConnected));
    assert_eq!(kind((&other).write(b"x")), ErrorKind::NotConnected);
    Ok(())
}

#[tokio::test]
async fn options_are_reached_from_owned_halves() -> io::Result<()> {
    let (x, y) = pair()?;
    let l = tasks::TcpListener::bind(&y, b(7)).await?;
    let c = tasks::TcpStream::connect(&x, b(7)).await?;
    let (s, _) = l.accept().await?;
    let (r, w) = c.into_split();
    w.as_ref().set_nodelay(true)?;
    assert!(r.as_ref().nodelay()?);
    let c = r.reunite(w).map_err(io::Error::other)?;
    assert!(c.nodelay()?);
    c.abort();
    s.readable().await?;
    assert_eq!(kind(s.try_read(&mut [0])), ErrorKind::ConnectionReset);
    Ok(())
}
