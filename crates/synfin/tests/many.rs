//! Ten thousand connections open at once on one host, by tasks: while nothing happens the host sleeps, then all echo. Alone in
//! its process, for threads are looked at by name.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on how fast the machine is

mod pair;

use pair::{b, pair_with};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synfin::TcpConfig;
use synfin::tokio::{TcpListener, TcpSocket, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};

const ALL: usize = 10_000;
/// Handshakes at a time: no more than the link between the hosts holds.
const AT_ONCE: usize = 200;

fn driver_switches() -> io::Result<u64> {
    let mut n = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        if field("Name:") == Some("synfin") {
            n += field("voluntary_ctxt_switches:").and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    }
    Ok(n)
}

async fn echo(mut s: TcpStream) -> io::Result<()> {
    let mut buf = [0; 256];
    loop {
        match s.read(&mut buf).await? {
            0 => return Ok(()),
            n => s.write_all(&buf[..n]).await?,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_are_open_at_once_idle_for_nothing_and_echo() -> io::Result<()> {
    let began = Instant::now();
    let (x, y) = pair_with(TcpConfig::default())?;
    let socket = TcpSocket::new_v4(&y)?;
    socket.bind(b(7))?;
    let l: TcpListener = socket.listen(1_024)?;
    let server = tokio::spawn(async move {
        for _ in 0..ALL {
            tokio::spawn(echo(l.accept().await?.0));
        }
        Ok::<_, io::Error>(l)
    });
    let (turns, (go, gone)) = (Arc::new(Semaphore::new(AT_ONCE)), watch::channel(false));
    let (opened, mut all_open) = tokio::sync::mpsc::channel(1);
    let clients: Vec<_> = (0..ALL)
        .map(|i| {
            let (x, turns, mut gone, opened) = (x.clone(), turns.clone(), gone.clone(), opened.clone());
            tokio::spawn(async move {
                let turn = turns.acquire().await.map_err(io::Error::other)?;
                let mut s = TcpStream::connect(&x, b(7)).await?;
                drop((turn, opened));
                gone.wait_for(|go| *go).await.map_err(io::Error::other)?;
                let turn = turns.acquire().await.map_err(io::Error::other)?;
                let data: [u8; 100] = std::array::from_fn(|n| (i + n) as u8);
                s.write_all(&data).await?;
                let mut back = [0; 100];
                s.read_exact(&mut back).await?;
                assert_eq!(back, data, "connection {i}");
                drop(turn);
                Ok::<_, io::Error>(())
            })
        })
        .collect();
    drop(opened);
    let _: Option<()> = all_open.recv().await; // until the last sender is gone
    let _l = server.await??;
    assert_eq!((x.occupancy().connections, y.occupancy().connections), (ALL, ALL));
    println!("{ALL} connections open after {:?}", began.elapsed());
    // Timers of the handshakes are left where they were, and find out when they fire that they are not needed. How long that
    // takes is as long as the slowest handshake's timeout: it is not the time that is judged, but that the drivers come to rest.
    let rest = async {
        loop {
            let before = driver_switches()?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            match driver_switches()? - before {
                n @ 0..=2 => break Ok::<_, io::Error>(n),
                n => println!("the drivers still run: {n} times in half a second"),
            }
        }
    };
    let n = tokio::time::timeout(Duration::from_secs(60), rest).await.expect("the drivers come to rest")?;
    println!("while all are idle the drivers run {n} times in half a second");
    let began = Instant::now();
    go.send(true).map_err(io::Error::other)?;
    for c in clients {
        c.await??;
    }
    println!("all have echoed after {:?}", began.elapsed());
    while x.occupancy().connections + y.occupancy().connections > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((x.occupancy().memory, y.occupancy().memory), (0, 0), "all is returned");
    Ok(())
}
