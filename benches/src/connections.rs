//! Connections per second: connect, one octet each way, close; through a TUN to the kernel, both roles, beside kernel to kernel
//! over veth.

use crate::spread;
use crate::veth::Peer;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use synfin::device::{Device, Layer, Tun, TunOptions, add_address, netns};
use synfin::{Stack, blocking};

/// Of one measurement. Whoever closes first keeps the port in TIME-WAIT, so each measurement has a port of its own.
const CONNECTIONS: usize = 8_000;
/// Who connect at a time, and who answer.
const THREADS: usize = 4;
const ROUNDS: usize = 5;

/// What can be measured, and named to be measured alone.
const KINDS: [&str; 3] = ["veth", "serves", "connects"];

pub fn run(only: &[String]) -> io::Result<()> {
    if let Some(other) = only.iter().find(|o| !KINDS.contains(&o.as_str())) {
        let all = KINDS.join(", ");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{other}: {all} or nothing is expected")));
    }
    let asked = |kind: &str| only.is_empty() || only.iter().any(|o| o == kind);
    netns::enter_new()?;
    let tun = Tun::open(&TunOptions { name: "bench0".into(), layer: Layer::Ip, offload: true, mtu: 1500 })?;
    let (kernel, ours) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    add_address("bench0", kernel, 24)?;
    let stack = Stack::builder().address("192.0.2.2/24")?.start(Device::Tun(tun))?;
    let peer = Peer::start("veth-echo")?;
    println!("{CONNECTIONS} connections by {THREADS} clients at a time: connect, an octet each way, close");
    let (mut veth, mut serves, mut connects) = (Vec::new(), Vec::new(), Vec::new());
    for port in (5_001..).take(ROUNDS) {
        if asked("veth") {
            veth.push(rate(|| TcpStream::connect(SocketAddr::new(peer.address(), port)))?);
        }
        if asked("serves") {
            serves.push(synfin_serves(&stack, SocketAddr::new(ours, port))?);
        }
        if asked("connects") {
            connects.push(synfin_connects(&stack, SocketAddr::new(kernel, port))?);
        }
    }
    for (name, v) in [("kernel-kernel, veth", &veth), ("synfin serves", &serves), ("synfin connects", &connects)] {
        if v.is_empty() {
            continue;
        }
        let (m, lo, hi) = spread(v.clone());
        println!("{name:<20} {m:7.0} connections/s (of {ROUNDS}: {lo:.0} to {hi:.0})");
    }
    for (name, v) in [("ratio serves", &serves), ("ratio connects", &connects)] {
        if v.is_empty() || veth.is_empty() {
            continue;
        }
        let (m, lo, hi) = spread(v.iter().zip(&veth).map(|(a, b)| a / b).collect());
        println!("{name:<20} {m:7.2} ({lo:.2} to {hi:.2}), wanted: at least 0.5");
    }
    Ok(())
}

fn synfin_serves(stack: &Stack, on: SocketAddr) -> io::Result<f64> {
    let listener = blocking::TcpListener::bind(stack, on)?;
    thread::scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| (0..CONNECTIONS / THREADS).try_for_each(|_| answer(listener.accept()?.0)));
        }
        rate(|| TcpStream::connect(on))
    })
}

fn synfin_connects(stack: &Stack, to: SocketAddr) -> io::Result<f64> {
    let listener = TcpListener::bind(to)?;
    thread::scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| (0..CONNECTIONS / THREADS).try_for_each(|_| answer(listener.accept()?.0)));
        }
        rate(|| blocking::TcpStream::connect(stack, to))
    })
}

/// Connections per second.
fn rate<S: Read + Write>(connect: impl Fn() -> io::Result<S> + Sync) -> io::Result<f64> {
    let left = AtomicUsize::new(CONNECTIONS);
    let one = || -> io::Result<()> {
        let mut s = connect()?;
        s.write_all(b"x")?;
        s.read_exact(&mut [0])
    };
    let client = || -> io::Result<()> {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            one()?;
        }
        Ok(())
    };
    let start = Instant::now();
    thread::scope(|s| {
        let clients: Vec<_> = (0..THREADS).map(|_| s.spawn(client)).collect();
        clients.into_iter().try_for_each(|c| c.join().map_err(|_| io::Error::other("a client panicked"))?)
    })?;
    Ok(CONNECTIONS as f64 / start.elapsed().as_secs_f64())
}

/// Gives an octet back, and closes when the client has.
fn answer(mut s: impl Read + Write) -> io::Result<()> {
    let mut octet = [0];
    s.read_exact(&mut octet)?;
    s.write_all(&octet)?;
    s.read(&mut octet).map(|_| ())
}

/// The far end over veth: one listener for each round.
pub fn far() -> io::Result<()> {
    crate::veth::there(|on| {
        let listeners: Vec<_> =
            (5_001..).take(ROUNDS).map(|port| TcpListener::bind((on, port))).collect::<io::Result<_>>()?;
        println!("listening");
        thread::scope(|s| {
            for l in &listeners {
                for _ in 0..THREADS {
                    s.spawn(move || (0..CONNECTIONS / THREADS).try_for_each(|_| answer(l.accept()?.0)));
                }
            }
        });
        Ok(())
    })
}
