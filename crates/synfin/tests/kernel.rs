//! Against the Linux kernel: a TUN in a user and network namespace, the kernel's sockets on one side, ours on the other.
//!
//! The test's own main enters the namespace before the first thread starts (the kernel refuses it later). Where namespaces
//! are not to be had, every test is listed as ignored, with the reason; where only `/dev/net/tun` is not, those over a veth
//! still run.

#![allow(clippy::disallowed_methods)] // programs of the test live in real time; no verdict depends on it

use libtest_mimic::{Arguments, Failed, Trial};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, Layer, PacketSocket, Tun, TunOptions, add_address, netns};
use synfin::{Host, TcpConfig};

/// A TUN of its own for each test: the kernel at .1, synfin at .2.
struct Rig {
    host: Host,
    kernel: IpAddr,
    ours: IpAddr,
    name: String,
}

static NEXT: AtomicU16 = AtomicU16::new(1);

fn rig(offload: bool, v6: bool, tcp: TcpConfig) -> io::Result<Rig> {
    let n = NEXT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 50) as u16;
    let name = format!("syn{n}");
    let tun = Tun::open(&TunOptions { name: name.clone(), layer: Layer::Ip, offload, mtu: 1500 })?;
    let (kernel, ours): (IpAddr, IpAddr) = if v6 {
        (IpAddr::from([0xfd00, n, 0, 0, 0, 0, 0, 1]), IpAddr::from([0xfd00, n, 0, 0, 0, 0, 0, 2]))
    } else {
        let [hi, lo] = n.to_be_bytes();
        (IpAddr::from([10, hi, lo, 1]), IpAddr::from([10, hi, lo, 2]))
    };
    let prefix = if v6 { 64 } else { 24 };
    add_address(&name, kernel, prefix)?;
    wait_for(kernel)?;
    let host = Host::builder().address(&format!("{ours}/{prefix}"))?.tcp(tcp).start(Device::Tun(tun))?;
    Ok(Rig { host, kernel, ours, name })
}

/// Waits until the kernel lets its own new address be used: an IPv6 one is tentative for a moment.
fn wait_for(address: IpAddr) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..200 {
        last = std::net::UdpSocket::bind((address, 0)).map(drop);
        if last.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    last
}

/// `n` octets that differ everywhere, and their digest.
fn stream_digest(mut read: impl Read, expect: usize) -> io::Result<u64> {
    let mut buf = vec![0; 256 * 1024];
    let (mut digest, mut total) = (0xcbf2_9ce4_8422_2325u64, 0);
    loop {
        let n = read.read(&mut buf)?;
        if n == 0 {
            break;
        }
        for w in buf[..n].iter() {
            digest = (digest ^ u64::from(*w)).wrapping_mul(0x100_0000_01b3);
        }
        total += n;
    }
    if total == expect { Ok(digest) } else { Err(io::Error::other(format!("{total} octets instead of {expect}"))) }
}

fn pattern(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ seed).collect()
}

/// Sends `data` both ways at once and compares what arrives, by digest.
fn both_ways(ours: &TcpStream, kernel: &std::net::TcpStream, n: usize) -> Result<(), Failed> {
    let (a, b) = (pattern(n, 1), pattern(n, 2));
    std::thread::scope(|s| {
        let sent = [
            s.spawn(|| {
                let mut w = ours;
                w.write_all(&a)?;
                w.shutdown(Shutdown::Write)
            }),
            s.spawn(|| {
                let mut w = kernel;
                w.write_all(&b)?;
                w.shutdown(Shutdown::Write)
            }),
        ];
        let got = [s.spawn(|| stream_digest(kernel, n)), s.spawn(|| stream_digest(ours, n))];
        for h in sent {
            h.join().expect("no panic")?;
        }
        let [at_kernel, at_ours] = got.map(|h| h.join().expect("no panic"));
        assert_eq!(at_kernel?, stream_digest(&a[..], n)?, "ours to the kernel");
        assert_eq!(at_ours?, stream_digest(&b[..], n)?, "the kernel to ours");
        Ok(())
    })
}

fn bulk(offload: bool, v6: bool, we_connect: bool) -> Result<(), Failed> {
    let r = rig(offload, v6, TcpConfig::default())?;
    let (ours, kernel) = connected(&r, we_connect)?;
    both_ways(&ours, &kernel, 64 << 20)
}

/// A connection, opened by either side.
fn connected(r: &Rig, we_connect: bool) -> Result<(TcpStream, std::net::TcpStream), Failed> {
    if we_connect {
        let l = std::net::TcpListener::bind((r.kernel, 0))?;
        let ours = TcpStream::connect(&r.host, l.local_addr()?)?;
        let (kernel, from) = l.accept()?;
        assert_eq!(from, ours.local_addr()?);
        Ok((ours, kernel))
    } else {
        let l = TcpListener::bind(&r.host, (r.ours, 0))?;
        let kernel = std::net::TcpStream::connect(l.local_addr()?)?;
        let (ours, _) = l.accept()?;
        Ok((ours, kernel))
    }
}

fn half_close() -> Result<(), Failed> {
    for we_shut in [true, false] {
        let r = rig(true, false, TcpConfig::default())?;
        let (mut ours, mut kernel) = connected(&r, true)?;
        let data = pattern(1 << 20, 7);
        if we_shut {
            ours.shutdown(Shutdown::Write)?;
            assert_eq!(kernel.read(&mut [0; 8])?, 0, "the kernel reads the end");
            let d = data.clone();
            let t = std::thread::spawn(move || kernel.write_all(&d));
            assert_eq!(stream_digest(&ours, data.len())?, stream_digest(&data[..], data.len())?);
            t.join().expect("no panic")?;
        } else {
            kernel.shutdown(Shutdown::Write)?;
            assert_eq!(ours.read(&mut [0; 8])?, 0, "we read the end");
            let d = data.clone();
            let t = std::thread::spawn(move || ours.write_all(&d));
            assert_eq!(stream_digest(&kernel, data.len())?, stream_digest(&data[..], data.len())?);
            t.join().expect("no panic")?;
        }
    }
    Ok(())
}

fn five_thousand_in_a_row() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let l = TcpListener::bind(&r.host, (r.ours, 0))?;
    let addr = l.local_addr()?;
    let server = std::thread::spawn(move || -> io::Result<()> {
        for _ in 0..5_000 {
            let (mut s, _) = l.accept()?;
            let mut b = [0; 4];
            s.read_exact(&mut b)?;
            s.write_all(&b)?;
        }
        Ok(())
    });
    for i in 0..5_000u32 {
        let mut s = std::net::TcpStream::connect(addr)?;
        s.write_all(&i.to_be_bytes())?;
        let mut b = [0; 4];
        s.read_exact(&mut b)?;
        assert_eq!(b, i.to_be_bytes());
    }
    server.join().expect("no panic")?;
    assert!(r.host.wait_closed(Duration::from_secs(10)), "{:?}", r.host.occupancy());
    Ok(())
}

fn two_hundred_at_once() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let l = std::net::TcpListener::bind((r.kernel, 0))?;
    let addr = l.local_addr()?;
    let server = std::thread::spawn(move || -> io::Result<()> {
        let mut all = Vec::new();
        for _ in 0..200 {
            let (mut s, _) = l.accept()?;
            all.push(std::thread::spawn(move || -> io::Result<()> {
                let mut b = vec![0; 10_000];
                s.read_exact(&mut b)?;
                s.write_all(&b)
            }));
        }
        for t in all {
            t.join().expect("no panic")?;
        }
        Ok(())
    });
    let clients: Vec<_> = (0..200u32)
        .map(|i| {
            let host = r.host.clone();
            std::thread::spawn(move || -> io::Result<()> {
                let mut s = TcpStream::connect(&host, addr)?;
                let data = pattern(10_000, i as u8);
                s.write_all(&data)?;
                let mut back = vec![0; data.len()];
                s.read_exact(&mut back)?;
                assert!(back == data);
                Ok(())
            })
        })
        .collect();
    for c in clients {
        c.join().expect("no panic")?;
    }
    server.join().expect("no panic")?;
    Ok(())
}

fn refused_both_ways() -> Result<(), Failed> {
    for v6 in [false, true] {
        let r = rig(true, v6, TcpConfig::default())?;
        let e = TcpStream::connect(&r.host, (r.kernel, 9)).expect_err("nobody listens");
        assert_eq!(e.kind(), io::ErrorKind::ConnectionRefused);
        let e = std::net::TcpStream::connect((r.ours, 9)).expect_err("nobody listens");
        assert_eq!(e.kind(), io::ErrorKind::ConnectionRefused);
    }
    Ok(())
}

fn reset_both_ways() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let (mut ours, kernel) = connected(&r, true)?;
    let linger = libc_linger(&kernel);
    assert!(linger, "SO_LINGER 0");
    drop(kernel);
    assert_eq!(ours.read(&mut [0; 8]).expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
    let (ours, mut kernel) = connected(&r, false)?;
    ours.abort();
    assert_eq!(kernel.read(&mut [0; 8]).expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
    // Closed with text unread: the peer must not believe that it was taken (RFC 2525 2.17).
    let (ours, mut kernel) = connected(&r, false)?;
    kernel.write_all(b"unread")?;
    let t = Instant::now();
    while ours.status().is_some_and(|s| s.rcv_queued == 0) && t.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    drop(ours);
    assert_eq!(kernel.read(&mut [0; 8]).expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
    Ok(())
}

fn libc_linger(s: &std::net::TcpStream) -> bool {
    // `set_linger` of std is not stable: the test asks the shell-less way, by the option itself.
    synfin::device::set_linger_zero(s.as_raw_fd()).is_ok()
}

fn unanswered() -> Result<(), Failed> {
    let tcp = TcpConfig { rto_initial: Duration::from_millis(50), syn_retries: 2, ..TcpConfig::default() };
    let r = rig(true, false, tcp)?;
    // An address of the network that nobody has.
    let nobody: SocketAddr = match r.kernel {
        IpAddr::V4(a) => SocketAddr::new(IpAddr::from([a.octets()[0], a.octets()[1], a.octets()[2], 77]), 80),
        IpAddr::V6(_) => unreachable!("an IPv4 rig"),
    };
    let e = TcpStream::connect(&r.host, nobody).expect_err("nobody is there");
    assert_eq!(e.kind(), io::ErrorKind::TimedOut);
    assert!(r.host.wait_closed(Duration::from_secs(5)), "nothing is left behind: {:?}", r.host.occupancy());
    Ok(())
}

fn peer_killed_in_mid_transfer() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let (mut ours, kernel) = connected(&r, true)?;
    let t = std::thread::spawn(move || {
        // Reads a little, then dies with the rest unread: the kernel answers with RST.
        let mut b = [0; 1000];
        let _ = (&kernel).read(&mut b);
        std::thread::sleep(Duration::from_millis(50));
    });
    let data = vec![1; 1 << 16];
    let e = (0..10_000).find_map(|_| ours.write_all(&data).err()).expect("the write fails");
    assert!(matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{e}");
    t.join().expect("no panic");
    Ok(())
}

fn link_lost_and_back() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let (ours, kernel) = connected(&r, true)?;
    let name = r.name.clone();
    let cut = std::thread::spawn(move || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(30));
            let _ = synfin::device::set_link(&name, false);
            std::thread::sleep(Duration::from_millis(100));
            let _ = synfin::device::set_link(&name, true);
        }
    });
    both_ways(&ours, &kernel, 32 << 20)?;
    cut.join().expect("no panic");
    Ok(())
}

fn ethernet_by_packet_socket() -> Result<(), Failed> {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let (inside, outside) = (format!("vi{n}"), format!("vo{n}"));
    synfin::device::add_veth(&inside, &outside)?;
    let kernel = IpAddr::from([10, 200, n as u8, 1]);
    add_address(&outside, kernel, 24)?;
    add_address(&outside, IpAddr::from([0xfd01, n, 0, 0, 0, 0, 0, 1]), 64)?;
    let device = PacketSocket::open(&inside, true)?;
    let host = Host::builder()
        .address(&format!("10.200.{}.2/24", n as u8))?
        .address(&format!("fd01:{n:x}::2/64"))?
        .start(Device::Packet(device))?;
    let r = Rig { host, kernel, ours: IpAddr::from([10, 200, n as u8, 2]), name: outside };
    let (ours, k) = connected(&r, true)?;
    both_ways(&ours, &k, 8 << 20)?;
    let (ours, k) = connected(&r, false)?;
    both_ways(&ours, &k, 8 << 20)?;
    // IPv6 too, once both sides have made sure that their addresses are theirs alone.
    let address = |last| IpAddr::from([0xfd01, n, 0, 0, 0, 0, 0, last]);
    let r = Rig { kernel: address(1), ours: address(2), ..r };
    let ready = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
        TcpStream::connect(&r.host, (r.kernel, 9)).err().is_some_and(refused)
    });
    assert!(ready, "duplicate address detection ends");
    for we_connect in [true, false] {
        let (ours, k) = connected(&r, we_connect)?;
        both_ways(&ours, &k, 8 << 20)?;
    }
    Ok(())
}

fn tap() -> Result<(), Failed> {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tap{n}");
    let tun = Tun::open(&TunOptions { name: name.clone(), layer: Layer::Ethernet, offload: true, mtu: 1500 })?;
    let kernel = IpAddr::from([10, 201, n as u8, 1]);
    add_address(&name, kernel, 24)?;
    let host = Host::builder().address(&format!("10.201.{}.2/24", n as u8))?.start(Device::Tun(tun))?;
    let r = Rig { host, kernel, ours: IpAddr::from([10, 201, n as u8, 2]), name };
    let (ours, k) = connected(&r, true)?;
    both_ways(&ours, &k, 8 << 20)?;
    let (ours, k) = connected(&r, false)?;
    both_ways(&ours, &k, 8 << 20)
}

fn udp_and_ping() -> Result<(), Failed> {
    let r = rig(true, false, TcpConfig::default())?;
    let echo = synfin::blocking::UdpSocket::bind(&r.host, (r.ours, 7))?;
    let k = std::net::UdpSocket::bind((r.kernel, 0))?;
    k.connect((r.ours, 7))?;
    for size in [0, 1, 1400, 9000] {
        let data = pattern(size, 3); // 9,000 octets come, and go, in fragments
        k.send(&data)?;
        let mut buf = vec![0; 65_536];
        let (n, from) = echo.recv_from(&mut buf)?;
        assert_eq!(buf[..n], data[..]);
        echo.send_to(&buf[..n], from)?;
        k.set_read_timeout(Some(Duration::from_secs(5)))?;
        let n = k.recv(&mut buf)?;
        assert_eq!(buf[..n], data[..]);
    }
    // A closed port is answered by ICMP.
    k.connect((r.ours, 8))?;
    k.send(b"x")?;
    assert_eq!(k.recv(&mut [0; 8]).expect_err("refused").kind(), io::ErrorKind::ConnectionRefused);
    Ok(())
}

type Test = fn() -> Result<(), Failed>;

fn main() {
    let args = Arguments::from_args();
    let namespace = netns::enter_new();
    let tun = rig(true, false, TcpConfig::default()).map(drop);
    let mut tests: Vec<(String, Test)> = vec![
        ("half_close_each_way".into(), half_close),
        ("five_thousand_short_connections_in_a_row".into(), five_thousand_in_a_row),
        ("two_hundred_at_once".into(), two_hundred_at_once),
        ("refused_both_ways".into(), refused_both_ways),
        ("reset_both_ways".into(), reset_both_ways),
        ("unanswered_is_timed_out_and_leaves_nothing".into(), unanswered),
        ("peer_killed_in_mid_transfer".into(), peer_killed_in_mid_transfer),
        ("link_lost_and_back".into(), link_lost_and_back),
        ("ethernet_by_packet_socket".into(), ethernet_by_packet_socket),
        ("ethernet_by_tap".into(), tap),
        ("udp_with_fragments_and_icmp".into(), udp_and_ping),
    ];
    macro_rules! bulk_tests {
        ($($name:literal => $offload:literal, $v6:literal, $we:literal;)*) => {
            $(tests.push((concat!("64_MiB_each_way_", $name).into(), || bulk($offload, $v6, $we)));)*
        };
    }
    bulk_tests! {
        "v4_offload_client" => true, false, true;
        "v4_offload_server" => true, false, false;
        "v6_offload_client" => true, true, true;
        "v6_offload_server" => true, true, false;
        "v4_plain_client" => false, false, true;
        "v4_plain_server" => false, false, false;
        "v6_plain_client" => false, true, true;
        "v6_plain_server" => false, true, false;
    }
    if let Some(e) = namespace.as_ref().err().or(tun.as_ref().err()) {
        eprintln!("not all is run: {e}");
    }
    let trials = tests
        .into_iter()
        .map(|(name, f)| {
            let hindrance = match (&namespace, &tun) {
                (Err(_), _) => Some("no namespace"),
                (_, Err(_)) if name != "ethernet_by_packet_socket" => Some("no TUN"),
                _ => None,
            };
            let why = hindrance.map(|h| format!(" (not run: {h} here)")).unwrap_or_default();
            Trial::test(format!("{name}{why}"), f).with_ignored_flag(hindrance.is_some())
        })
        .collect();
    // One after another: each is a load of its own, and two cores are few.
    let args = Arguments { test_threads: Some(1), ..args };
    libtest_mimic::run(&args, trials).exit();
}
