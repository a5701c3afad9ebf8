//! Two hosts of ours over the links that need no privilege: memory, Unix datagrams, an inherited descriptor.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use synfin::blocking::{TcpListener, TcpStream, UdpSocket};
use synfin::device::{DatagramDevice, Device, memory_pair};
use synfin::{Stack, TcpConfig};

fn host(device: Device, last: u8, tcp: TcpConfig) -> io::Result<Stack> {
    Stack::builder()
        .address(&format!("192.0.2.{last}/24"))?
        .address(&format!("fd00:2::{last}/64"))?
        .tcp(tcp)
        .start(device)
}

fn pair(a: Device, b: Device) -> io::Result<(Stack, Stack)> {
    Ok((host(a, 1, TcpConfig::default())?, host(b, 2, TcpConfig::default())?))
}

/// Sends a megabyte and a half each way, over both versions of IP.
fn converse(a: &Stack, b: &Stack) -> io::Result<()> {
    let data: Vec<u8> = (0..1_500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for to in ["192.0.2.2:7", "[fd00:2::2]:7"] {
        let l = TcpListener::bind(b, to)?;
        std::thread::scope(|s| {
            let server = s.spawn(|| -> io::Result<()> {
                let (mut c, _) = l.accept()?;
                let mut got = Vec::new();
                c.read_to_end(&mut got)?;
                c.write_all(&got)
            });
            let mut c = TcpStream::connect(a, to)?;
            c.write_all(&data)?;
            c.shutdown(Shutdown::Write)?;
            let mut back = Vec::new();
            c.read_to_end(&mut back)?;
            assert!(back == data, "{to}: {} octets came back", back.len());
            server.join().expect("no panic")
        })?;
    }
    assert!(a.wait_closed(Duration::from_secs(60)) && b.wait_closed(Duration::from_secs(60)));
    Ok(())
}

#[test]
fn memory_with_and_without_super_segments() -> io::Result<()> {
    for offload in [true, false] {
        let (a, b) = memory_pair(1500, offload)?;
        let (a, b) = pair(Device::Memory(a), Device::Memory(b))?;
        converse(&a, &b)?;
    }
    Ok(())
}

#[test]
fn unix_datagrams_and_an_inherited_descriptor() -> io::Result<()> {
    let (x, y) = UnixDatagram::pair()?;
    let a = Device::Datagram(DatagramDevice::from_socket(x, 1500)?);
    let b = Device::Datagram(DatagramDevice::inherited(y.into_raw_fd(), 1500)?);
    let (a, b) = pair(a, b)?;
    converse(&a, &b)
}

#[test]
fn a_unix_socket_that_is_not_there_and_a_descriptor_that_is_not_open_are_one_clear_error() {
    let e = DatagramDevice::connect("/nowhere/socket".as_ref(), 1500).expect_err("nothing is there");
    assert!(e.to_string().contains("/nowhere/socket"), "{e}");
    let e = DatagramDevice::inherited(999_999, 1500).expect_err("it is not open");
    assert!(e.to_string().contains("999999"), "{e}");
}

#[test]
//= RFC 9293 3.6 MUST-12
fn the_errors_are_those_of_std() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let (a, b) = pair(Device::Memory(a), Device::Memory(b))?;
    let kind = |r: io::Result<TcpStream>| r.expect_err("it fails").kind();
    assert_eq!(kind(TcpStream::connect(&a, "192.0.2.2:9")), io::ErrorKind::ConnectionRefused);
    assert_eq!(kind(TcpStream::connect(&a, "203.0.113.1:9")), io::ErrorKind::NetworkUnreachable);
    assert_eq!(kind(TcpStream::connect(&a, "localhost:9")), io::ErrorKind::InvalidInput);
    let nobody = "192.0.2.77:9".parse().expect("an address");
    assert_eq!(kind(TcpStream::connect_timeout(&a, &nobody, Duration::from_millis(50))), io::ErrorKind::TimedOut);
    let l = TcpListener::bind(&b, "192.0.2.2:7")?;
    assert_eq!(TcpListener::bind(&b, "192.0.2.2:7").expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    assert_eq!(TcpListener::bind(&b, "192.0.2.3:7").expect_err("not ours").kind(), io::ErrorKind::AddrNotAvailable);
    let mut c = TcpStream::connect(&a, "192.0.2.2:7")?;
    let (s, _) = l.accept()?;
    c.set_read_timeout(Some(Duration::from_millis(20)))?;
    assert_eq!(c.read(&mut [0; 1]).expect_err("nothing comes").kind(), io::ErrorKind::WouldBlock);
    c.shutdown(Shutdown::Write)?;
    assert_eq!(c.write(b"x").expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    s.abort();
    c.set_read_timeout(None)?;
    assert_eq!(c.read(&mut [0; 1]).expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
    Ok(())
}

#[test]
fn udp_remembers_a_destination_and_forgets_it() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let (a, b) = pair(Device::Memory(a), Device::Memory(b))?;
    let (x, y) = (UdpSocket::bind(&a, "192.0.2.1:0")?, UdpSocket::bind(&b, "192.0.2.2:53")?);
    y.set_read_timeout(Some(Duration::from_secs(60)))?;
    assert_eq!(x.send(b"to whom?").expect_err("nobody is remembered").kind(), io::ErrorKind::NotConnected);
    x.connect("192.0.2.2:53")?;
    x.send(b"hello")?;
    let mut buf = [0; 16];
    let (n, from) = y.recv_from(&mut buf)?;
    assert_eq!((&buf[..n], from), (&b"hello"[..], x.local_addr()?));
    x.disconnect()?;
    assert_eq!(x.send(b"to whom?").expect_err("forgotten").kind(), io::ErrorKind::NotConnected);
    Ok(())
}

#[test]
fn udp_connect_chooses_the_source_and_keeps_it() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let (a, b) = pair(Device::Memory(a), Device::Memory(b))?;
    for (any, own, to) in
        [("0.0.0.0:0", "192.0.2.1", "192.0.2.2:53"), ("[::]:0", "fd00:2::1", "[fd00:2::2]:53")].map(|(any, own, to)| {
            (any, own.parse::<std::net::IpAddr>().expect("an address"), to.parse().expect("an address"))
        })
    {
        let (x, y) = (UdpSocket::bind(&a, any)?, UdpSocket::bind(&b, to)?);
        y.set_read_timeout(Some(Duration::from_secs(60)))?;
        let bound = x.local_addr()?;
        assert!(bound.ip().is_unspecified() && bound.port() != 0);
        x.connect(to)?;
        assert_eq!(x.local_addr()?, std::net::SocketAddr::new(own, bound.port()));
        x.send(b"hello")?;
        assert_eq!(y.recv_from(&mut [0; 8])?.1, x.local_addr()?);
        // What cannot be changes nothing.
        let e = x.connect(if own.is_ipv4() { "203.0.113.1:9" } else { "[fd00:3::1]:9" }).expect_err("no route");
        assert_eq!(e.kind(), io::ErrorKind::NetworkUnreachable);
        let other = if own.is_ipv4() { "[fd00:2::2]:9" } else { "192.0.2.2:9" };
        assert_eq!(x.connect(other).expect_err("another family").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(x.send_to(b"?", other).expect_err("another family").kind(), io::ErrorKind::InvalidInput);
        assert_eq!((x.peer_addr()?, x.local_addr()?.ip()), (to, own));
        x.disconnect()?;
        assert_eq!(x.local_addr()?, bound);
    }
    Ok(())
}

#[test]
fn a_host_that_is_dropped_stops_and_its_calls_end() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let (a, b) = pair(Device::Memory(a), Device::Memory(b))?;
    let l = TcpListener::bind(&b, "192.0.2.2:7")?;
    let c = TcpStream::connect(&a, "192.0.2.2:7")?;
    let (mut s, _) = l.accept()?;
    drop(c);
    drop(a);
    assert_eq!(s.read(&mut [0; 1])?, 0, "the FIN went out before the host stopped");
    Ok(())
}

#[test]
fn a_link_that_is_gone_ends_the_calls_that_wait_on_it() -> io::Result<()> {
    let (x, y) = std::os::unix::net::UnixStream::pair()?;
    let a = host(Device::Datagram(DatagramDevice::inherited(x.into_raw_fd(), 1500)?), 1, TcpConfig::default())?;
    let l = TcpListener::bind(&a, "192.0.2.1:7")?;
    let u = UdpSocket::bind(&a, "192.0.2.1:9")?;
    std::thread::scope(|s| {
        let accept = s.spawn(|| l.accept().map(|_| ()));
        let receive = s.spawn(|| u.recv(&mut [0; 8]).map(|_| ()));
        drop(y);
        for t in [accept, receive] {
            assert!(t.join().expect("no panic").is_err());
        }
    });
    Ok(())
}

#[test]
fn a_route_leads_to_a_network_beyond_a_neighbor_and_no_further() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let there = Stack::builder().address("192.0.2.1/24")?.address("198.51.100.7/32")?.start(Device::Memory(a))?;
    let here = Stack::builder().address("192.0.2.2/24")?.route("198.51.100.0/24", [192, 0, 2, 1].into())?;
    let here = here.start(Device::Memory(b))?;
    let _l = TcpListener::bind(&there, "198.51.100.7:9")?;
    assert_eq!(
        TcpStream::connect(&here, "198.51.100.7:9")?.peer_addr()?,
        "198.51.100.7:9".parse().expect("an address")
    );
    let e = TcpStream::connect(&here, "198.51.101.7:9").expect_err("no route leads there");
    assert_eq!(e.kind(), io::ErrorKind::NetworkUnreachable);
    for wrong in ["198.51.100.0", "fd00::/64", "198.51.100.0/33"] {
        let e = Stack::builder().route(wrong, [192, 0, 2, 1].into()).expect_err("no network, or of another family");
        assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
    }
    Ok(())
}
