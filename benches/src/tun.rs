//! One flow between the kernel and synfin over a TUN with offload, both directions, beside kernel to kernel over veth.

use crate::spread;
use crate::veth::Peer;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;
use synfin::device::{Device, Layer, Tun, TunOptions, add_address, netns};
use synfin::{Stack, blocking};

const TOTAL: usize = 2 << 30;
const PIECE: usize = 128 * 1024;
const ROUNDS: usize = 5;

pub fn run() -> io::Result<()> {
    netns::enter_new()?;
    reno()?;
    let tun = Tun::open(&TunOptions { name: "bench0".into(), layer: Layer::Ip, offload: true, mtu: 1500 })?;
    let (kernel, ours) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    add_address("bench0", kernel, 24)?;
    let host = Stack::builder().address("192.0.2.2/24")?.start(Device::Tun(tun))?;
    let mut peer = Peer::start("veth-sink")?;
    println!("one flow, MTU 1500, offload on, {} MiB each; up: the kernel sends, down: synfin sends", TOTAL >> 20);
    let (mut up, mut down, mut veth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        veth.push(measure_veth(&mut peer)?);
        up.push(measure_up(&host, ours)?);
        down.push(measure_down(&host, kernel)?);
    }
    let ratio = |v: &[f64]| v.iter().zip(&veth).map(|(a, b)| a / b).collect::<Vec<_>>();
    for (name, v) in [("kernel-kernel, veth", &veth), ("up", &up), ("down", &down)] {
        let (m, lo, hi) = spread(v.clone());
        println!("{name:<20} {m:6.2} Gbit/s (of {ROUNDS}: {lo:.2} to {hi:.2})");
    }
    for (name, v) in [("ratio up", ratio(&up)), ("ratio down", ratio(&down))] {
        let (m, lo, hi) = spread(v);
        println!("{name:<20} {m:6.2} ({lo:.2} to {hi:.2})");
    }
    Ok(())
}

/// The kernel's congestion control in this namespace: the one that synfin uses, for a fair comparison.
fn reno() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/tcp_congestion_control", "reno")
}

fn gbit(start: Instant) -> f64 {
    TOTAL as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9
}

fn send_all(mut w: impl Write) -> io::Result<()> {
    let data = vec![7; PIECE];
    for _ in 0..TOTAL / PIECE {
        w.write_all(&data)?;
    }
    Ok(())
}

fn read_all(mut r: impl Read) -> io::Result<()> {
    let mut buf = vec![0; 4 * PIECE];
    let mut got = 0;
    while got < TOTAL {
        match r.read(&mut buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    Ok(())
}

fn measure_up(host: &Stack, ours: IpAddr) -> io::Result<f64> {
    let l = blocking::TcpListener::bind(host, (ours, 0))?;
    let to = l.local_addr()?;
    let sender = std::thread::spawn(move || send_all(TcpStream::connect(to)?));
    let (s, _) = l.accept()?;
    let start = Instant::now();
    read_all(&s)?;
    let g = gbit(start);
    sender.join().map_err(|_| io::Error::other("the sender panicked"))??;
    Ok(g)
}

fn measure_down(host: &Stack, kernel: IpAddr) -> io::Result<f64> {
    let l = TcpListener::bind((kernel, 0))?;
    let to = l.local_addr()?;
    let reader = std::thread::spawn(move || read_all(l.accept()?.0));
    let s = blocking::TcpStream::connect(host, to)?;
    let start = Instant::now();
    send_all(&s)?;
    reader.join().map_err(|_| io::Error::other("the reader panicked"))??;
    Ok(gbit(start))
}

fn measure_veth(peer: &mut Peer) -> io::Result<f64> {
    let s = TcpStream::connect(SocketAddr::new(peer.address(), 5001))?;
    let start = Instant::now();
    send_all(&s)?;
    s.shutdown(std::net::Shutdown::Write)?;
    peer.expect("done")?;
    Ok(gbit(start))
}

/// The far end over veth.
pub fn far() -> io::Result<()> {
    crate::veth::there(|on| {
        reno()?;
        let l = TcpListener::bind((on, 5001))?;
        println!("listening");
        for s in l.incoming() {
            read_all(s?)?;
            println!("done");
        }
        Ok(())
    })
}
