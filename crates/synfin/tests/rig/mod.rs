//! A host of ours and the kernel at the two ends of an interface, and sockets of either that are used alike.

#![allow(unreachable_pub, missing_docs)] // a part of the test beside it

use libtest_mimic::Failed;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{self, Device, Layer, PacketSocket, Tun, TunOptions, add_address};
use synfin::{Builder, Stack};

/// How a situation is varied: the axes of a case, as bits of its number.
pub const IP: u8 = 1;
pub const OFFLOAD: u8 = 2;
pub const OPENER: u8 = 4;
pub const ACTOR: u8 = 8;

/// One variation of a situation.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub v6: bool,
    pub offload: bool,
    /// We open the connection; else the kernel does.
    pub we_connect: bool,
    /// We do what the situation is about; else the kernel does.
    pub we_act: bool,
}

impl Case {
    /// All cases along `axes`, each with what tells it from the others.
    pub fn all(axes: u8) -> impl Iterator<Item = (Case, String)> {
        (0..16u8).filter(move |n| n & !axes == 0).map(move |n| {
            let first = |axis| n & axis == 0;
            let words = [
                (IP, "v4", "v6"),
                (OFFLOAD, "offload", "plain"),
                (OPENER, "we_connect", "kernel_connects"),
                (ACTOR, "by_us", "by_kernel"),
            ];
            let name =
                words.iter().filter(|w| axes & w.0 != 0).map(|w| format!("_{}", if first(w.0) { w.1 } else { w.2 }));
            let name = name.collect();
            (Case { v6: !first(IP), offload: first(OFFLOAD), we_connect: first(OPENER), we_act: first(ACTOR) }, name)
        })
    }
}

/// An interface of its own for each test: the kernel at 1, synfin at 2, nobody at 77.
pub struct Rig {
    pub host: Stack,
    pub kernel: IpAddr,
    pub ours: IpAddr,
    pub nobody: IpAddr,
    /// The kernel's interface.
    pub name: String,
}

static NEXT: AtomicU16 = AtomicU16::new(1);

impl Rig {
    /// A TUN.
    pub fn tun(c: Case) -> io::Result<Rig> {
        Rig::tun_with(c, |b| b)
    }

    /// A TUN, and a host with settings.
    pub fn tun_with(c: Case, set: impl FnOnce(Builder) -> Builder) -> io::Result<Rig> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("syn{n}");
        let tun = Tun::open(&TunOptions { name: name.clone(), layer: Layer::Ip, offload: c.offload, mtu: 1500 })?;
        let [kernel, ours, nobody] = [1, 2, 77].map(|last| address(c.v6, n, last));
        add_address(&name, kernel, prefix(c.v6))?;
        usable(kernel)?;
        let host = set(Stack::builder().address(&format!("{ours}/{}", prefix(c.v6)))?).start(Device::Tun(tun))?;
        Ok(Rig { host, kernel, ours, nobody, name })
    }

    /// A TAP.
    pub fn tap(offload: bool) -> io::Result<(Rig, Rig)> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tap{n}");
        let tun = Tun::open(&TunOptions { name: name.clone(), layer: Layer::Ethernet, offload, mtu: 1500 })?;
        Rig::ethernet(n, &name, Device::Tun(tun))
    }

    /// A packet socket on one end of a veth, the kernel on the other. It needs no /dev/net/tun.
    pub fn veth(offload: bool) -> io::Result<(Rig, Rig)> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let (inside, outside) = (format!("vi{n}"), format!("vo{n}"));
        device::add_veth(&inside, &outside)?;
        Rig::ethernet(n, &outside, Device::Packet(PacketSocket::open(&inside, offload)?))
    }

    /// One host with an address of each version of IP, as two rigs. The kernel is ready when this returns; our own IPv6
    /// address may still be tentative.
    fn ethernet(n: u16, name: &str, device: Device) -> io::Result<(Rig, Rig)> {
        let mut builder = Stack::builder();
        for v6 in [false, true] {
            add_address(name, address(v6, n, 1), prefix(v6))?;
            builder = builder.address(&format!("{}/{}", address(v6, n, 2), prefix(v6)))?;
        }
        let host = builder.start(device)?;
        let rig = |v6| {
            let [kernel, ours, nobody] = [1, 2, 77].map(|last| address(v6, n, last));
            usable(kernel)?;
            Ok::<_, io::Error>(Rig { host: host.clone(), kernel, ours, nobody, name: name.into() })
        };
        Ok((rig(false)?, rig(true)?))
    }

    /// Sets the interface up or down. An IPv6 address does not outlive that.
    pub fn set_link(&self, up: bool) -> io::Result<()> {
        device::set_link(&self.name, up)?;
        if up && self.kernel.is_ipv6() {
            add_address(&self.name, self.kernel, prefix(true))?;
            usable(self.kernel)?;
        }
        Ok(())
    }

    /// Listens at our end or at the kernel's.
    pub fn listen(&self, we: bool) -> io::Result<Listener> {
        Ok(if we {
            // As many as come at once in any test.
            Listener::Ours(TcpListener::bind_with(&self.host, (self.ours, 0).into(), 256, &self.host.tcp_defaults())?)
        } else {
            Listener::Kernel(std::net::TcpListener::bind((self.kernel, 0))?)
        })
    }

    /// A connection: our end, and the kernel's.
    pub fn connected(&self, we_connect: bool) -> Result<(TcpStream, std::net::TcpStream), Failed> {
        if we_connect {
            let l = std::net::TcpListener::bind((self.kernel, 0))?;
            let ours = TcpStream::connect(&self.host, l.local_addr()?)?;
            let (kernel, from) = l.accept()?;
            assert_eq!(from, ours.local_addr()?);
            Ok((ours, kernel))
        } else {
            let l = TcpListener::bind(&self.host, (self.ours, 0))?;
            let kernel = std::net::TcpStream::connect(l.local_addr()?)?;
            let (ours, from) = l.accept()?;
            assert_eq!(from, kernel.local_addr()?);
            Ok((ours, kernel))
        }
    }

    /// A connection: the end that acts, and the other.
    pub fn ends(&self, c: Case) -> Result<(Socket, Socket), Failed> {
        let (ours, kernel) = self.connected(c.we_connect)?;
        Ok(if c.we_act { (Box::new(ours), Box::new(kernel)) } else { (Box::new(kernel), Box::new(ours)) })
    }
}

/// A socket of either.
pub type Socket = Box<dyn End>;

/// What sockets of both do.
pub trait End: Read + Write + Send {
    fn shut_write(&self) -> io::Result<()>;
    fn reset(self: Box<Self>) -> io::Result<()>;
    /// Waits until there is something to be read.
    fn await_text(&self) -> io::Result<()>;
}

impl End for TcpStream {
    fn shut_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
    fn reset(self: Box<Self>) -> io::Result<()> {
        self.abort();
        Ok(())
    }
    fn await_text(&self) -> io::Result<()> {
        self.peek(&mut [0]).map(drop)
    }
}

impl End for std::net::TcpStream {
    fn shut_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
    fn reset(self: Box<Self>) -> io::Result<()> {
        device::set_linger_zero(self.as_raw_fd()) // and it is dropped
    }
    fn await_text(&self) -> io::Result<()> {
        self.peek(&mut [0]).map(drop)
    }
}

/// A listening socket of either.
pub enum Listener {
    Ours(TcpListener),
    Kernel(std::net::TcpListener),
}

impl Listener {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Listener::Ours(l) => l.local_addr(),
            Listener::Kernel(l) => l.local_addr(),
        }
    }

    pub fn accept(&self) -> io::Result<Socket> {
        Ok(match self {
            Listener::Ours(l) => Box::new(l.accept()?.0),
            Listener::Kernel(l) => Box::new(l.accept()?.0),
        })
    }
}

/// Connects from our end, or from the kernel's.
pub fn connect(host: &Stack, we: bool, to: SocketAddr) -> io::Result<Socket> {
    Ok(if we { Box::new(TcpStream::connect(host, to)?) } else { Box::new(std::net::TcpStream::connect(to)?) })
}

/// Waits until `holds`; a minute is for ever.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let t = Instant::now();
    while !holds() {
        if t.elapsed() > Duration::from_secs(60) {
            return Err(format!("not within a minute: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// `n` octets that differ everywhere.
pub fn pattern(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ seed).collect()
}

/// The digest of all that comes, which must be `expect` octets. `seen` is told how many there are so far.
pub fn stream_digest(mut read: impl Read, expect: usize, seen: impl Fn(usize)) -> io::Result<u64> {
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
        seen(total);
    }
    if total == expect { Ok(digest) } else { Err(io::Error::other(format!("{total} octets instead of {expect}"))) }
}

/// Sends `n` octets both ways at once and compares what arrives, by digest. `seen` is told by which end (0: the kernel's,
/// 1: ours) how many octets have been read.
pub fn both_ways(
    ours: &TcpStream,
    kernel: &std::net::TcpStream,
    n: usize,
    seen: impl Fn(usize, usize) + Sync,
) -> Result<(), Failed> {
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
        let got = [
            s.spawn(|| stream_digest(kernel, n, |total| seen(0, total))),
            s.spawn(|| stream_digest(ours, n, |total| seen(1, total))),
        ];
        for h in sent {
            h.join().expect("no panic")?;
        }
        let [at_kernel, at_ours] = got.map(|h| h.join().expect("no panic"));
        assert_eq!(at_kernel?, stream_digest(&a[..], n, |_| {})?, "ours to the kernel");
        assert_eq!(at_ours?, stream_digest(&b[..], n, |_| {})?, "the kernel to ours");
        Ok(())
    })
}

fn address(v6: bool, n: u16, last: u8) -> IpAddr {
    let [hi, lo] = n.to_be_bytes();
    if v6 { [0xfd00, n, 0, 0, 0, 0, 0, last.into()].into() } else { [10, hi, lo, last].into() }
}

fn prefix(v6: bool) -> u8 {
    if v6 { 64 } else { 24 }
}

/// Waits until the kernel lets its own new address be used: an IPv6 one is tentative for a moment.
fn usable(address: IpAddr) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..2_400 {
        last = std::net::UdpSocket::bind((address, 0)).map(drop);
        if last.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    last
}
