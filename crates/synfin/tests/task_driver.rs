//! A host that a task of tokio's drives: in the runtime's own thread, beside blocked threads, and when the runtime ends.
//! Alone in its process, for threads are looked at by name.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on it

mod pair;

use pair::b;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;
use synfin::device::{Device, memory_pair};
use synfin::tokio::{TcpListener, TcpStream};
use synfin::{Stack, blocking};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn hosts() -> io::Result<(Stack, Stack)> {
    let (a, b) = memory_pair(1500, true)?;
    let host = |last: u8, device| {
        Stack::builder().address(&format!("192.0.2.{last}/24"))?.start_on_tokio(Device::Memory(device))
    };
    Ok((host(1, a)?, host(2, b)?))
}

fn threads_of_drivers() -> io::Result<usize> {
    let mut n = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let name = std::fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        n += usize::from(name.trim() == "synfin");
    }
    Ok(n)
}

async fn echo(mut s: TcpStream) -> io::Result<u64> {
    let (mut r, mut w) = s.split();
    let n = tokio::io::copy(&mut r, &mut w).await?;
    w.shutdown().await?;
    Ok(n)
}

/// Octets that differ from place to place.
fn text(n: u32) -> Vec<u8> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn one_thread_is_enough_for_both_hosts_and_their_programs() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = TcpListener::bind(&y, b(7)).await?;
    let server = tokio::spawn(async move { echo(l.accept().await?.0).await });
    let (mut r, mut w) = TcpStream::connect(&x, b(7)).await?.into_split();
    let data = text(3_000_000);
    let sent = data.clone();
    let writer = tokio::spawn(async move { w.write_all(&sent).await });
    let mut back = Vec::new();
    r.read_to_end(&mut back).await?;
    assert!(back == data, "{} octets came back", back.len());
    writer.await??;
    assert_eq!(server.await??, 3_000_000);
    assert_eq!(threads_of_drivers()?, 0);
    drop(r);
    while x.occupancy().connections > 1 {
        tokio::task::yield_now().await;
    }
    assert!(x.shutdown(Duration::from_secs(60)), "in order, though this is the thread that drives");
    let e = TcpStream::connect(&x, b(7)).await.expect_err("it is over");
    assert_eq!(e.kind(), ErrorKind::NotConnected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_blocks_leads_meanwhile_and_the_task_goes_on_after_it() -> io::Result<()> {
    let (x, y) = hosts()?;
    let l = TcpListener::bind(&y, b(7)).await?;
    let server = tokio::spawn(async move {
        let first = echo(l.accept().await?.0).await?;
        Ok::<_, io::Error>(first + echo(l.accept().await?.0).await?)
    });
    let at = x.clone();
    let blocked = tokio::task::spawn_blocking(move || {
        let mut s = blocking::TcpStream::connect(&at, b(7))?;
        let mut all = Vec::new();
        for piece in text(1_000_000).chunks(1_000) {
            s.write_all(piece)?;
            let mut back = vec![0; piece.len()];
            s.read_exact(&mut back)?;
            all.extend(back);
        }
        s.shutdown(std::net::Shutdown::Write)?;
        s.read_to_end(&mut all)?;
        Ok::<_, io::Error>(all)
    });
    assert!(blocked.await?? == text(1_000_000));
    let mut s = TcpStream::connect(&x, b(7)).await?;
    s.write_all(b"again").await?;
    s.shutdown().await?;
    let mut back = String::new();
    s.read_to_string(&mut back).await?;
    assert_eq!((back.as_str(), server.await??), ("again", 1_000_005));
    Ok(())
}

#[test]
fn a_runtime_that_ends_takes_the_host_with_it() -> io::Result<()> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outside = Stack::builder().start_on_tokio(Device::Memory(memory_pair(1500, true)?.0));
    assert_eq!(outside.map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::Other));
    let rt = runtime()?;
    let (x, y) = rt.block_on(async { hosts() })?;
    let (mut s, _peer) = rt.block_on(async {
        let l = TcpListener::bind(&y, b(7)).await?;
        let s = TcpStream::connect(&x, b(7)).await?;
        Ok::<_, io::Error>((s, l.accept().await?.0))
    })?;
    drop(rt);
    let e = runtime()?.block_on(s.read(&mut [0])).expect_err("nothing comes any more");
    assert_eq!(e.kind(), ErrorKind::NotConnected);
    let e = blocking::TcpStream::connect(&x, b(7)).map(|_| ()).expect_err("nor can anything be opened");
    assert_eq!(e.kind(), ErrorKind::NotConnected);
    Ok(())
}
