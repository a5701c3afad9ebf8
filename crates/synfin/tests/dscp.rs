//! Codepoints of differentiated services as they cross the link: of every packet of a connection, from the SYN to the RST, and of
//! datagrams. ECN's two bits of that octet stay TCP's own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use synfin::blocking::{AnyListener, TcpListener, TcpSocket, TcpStream, UdpSocket};
use synfin::device::{Device, memory_pair};
use synfin::stack::wire::{Protocol, ipv4, ipv6};
use synfin::{PacketLog, Sniffed, Stack, TcpConfig};

/// What is seen of a packet: protocol, codepoint, ECN's bits, TCP's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    protocol: u8,
    dscp: u8,
    ecn: u8,
    flags: u8,
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

struct Log(mpsc::Sender<Seen>);

impl PacketLog for Log {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        if p.out {
            let v4 = p.bytes[0] >> 4 == 4;
            let class = if v4 { p.bytes[1] } else { p.bytes[0] << 4 | p.bytes[1] >> 4 };
            let (protocol, at) = if v4 { (p.bytes[9], ipv4::HEADER_LEN) } else { (p.bytes[6], ipv6::HEADER_LEN) };
            let flags = if protocol == Protocol::TCP.0 { p.bytes[at + 13] } else { 0 };
            let _ = self.0.send(Seen { protocol, dscp: class >> 2, ecn: class & 3, flags });
        }
        true
    }
}

struct Host {
    stack: Stack,
    out: Mutex<Receiver<Seen>>,
}

impl Host {
    /// What it has sent of a protocol since the last look.
    fn sent(&self, protocol: Protocol) -> Vec<Seen> {
        let out = self.out.lock().expect("not poisoned");
        out.try_iter().filter(|s| s.protocol == protocol.0).collect()
    }
}

/// Two hosts at 1 and 2 of two networks; the second one sends what is for others by way of the first.
fn hosts(tcp: &TcpConfig) -> io::Result<(Host, Host)> {
    let (a, b) = memory_pair(1500, true)?;
    let host = |last: u8, device| {
        let (tell, out) = channel();
        let mut b = Stack::builder()
            .address(&format!("192.0.2.{last}/24"))?
            .address(&format!("fd00:2::{last}/64"))?
            .tcp(tcp.clone())
            .packet_log(Box::new(Log(tell)));
        if last == 2 {
            b = b.gateway([192, 0, 2, 1].into());
        }
        Ok::<_, io::Error>(Host { stack: b.start(Device::Memory(device))?, out: Mutex::new(out) })
    };
    Ok((host(1, a)?, host(2, b)?))
}

fn at(s: &str) -> SocketAddr {
    s.parse().expect("an address and a port")
}

#[test]
fn every_packet_of_a_connection_has_it_from_the_syn_to_the_last() -> io::Result<()> {
    // The client asks for ECN: its text is marked as capable of it, beside the codepoint.
    let mut cfg = TcpConfig::default();
    cfg.set("ecn", "rfc3168").map_err(io::Error::other)?;
    for (server, new) in [("192.0.2.1:7", TcpSocket::new_v4 as fn(&Stack) -> _), ("[fd00:2::1]:7", TcpSocket::new_v6)] {
        let (x, y) = hosts(&cfg)?;
        let l = TcpListener::bind(&x.stack, server)?;
        l.set_dscp(10)?;
        assert_eq!(l.dscp()?, 10);
        let s = new(&y.stack)?;
        s.set_dscp(46)?;
        let c = s.connect(server)?;
        let (mut ours, _) = l.accept()?;
        assert_eq!((c.dscp()?, ours.dscp()?), (46, 10));
        (&c).write_all(&[7; 100_000])?;
        ours.read_exact(&mut vec![0; 100_000])?;
        ours.write_all(b"x")?;
        (&c).read_exact(&mut [0])?;
        let (of_client, of_server) = (y.sent(Protocol::TCP), x.sent(Protocol::TCP));
        assert!(of_client.iter().all(|p| p.dscp == 46) && of_server.iter().all(|p| p.dscp == 10), "{of_client:?}");
        assert_eq!((of_client[0].flags & (SYN | ACK), of_client[0].ecn), (SYN, 0));
        assert_eq!((of_server[0].flags & (SYN | ACK), of_server[0].ecn), (SYN | ACK, 0));
        assert!(of_client.iter().any(|p| p.ecn == 2), "ECT(0) on what carries text: {of_client:?}");
        // It may change while the connection is open, and a reset has it, too.
        c.set_dscp(8)?;
        c.abort();
        assert_eq!(ours.read(&mut [0]).expect_err("reset").kind(), ErrorKind::ConnectionReset);
        let last = y.sent(Protocol::TCP);
        assert!(last.iter().any(|p| p.flags & RST != 0 && p.dscp == 8), "{last:?}");
    }
    Ok(())
}

#[test]
fn what_is_refused_before_a_connection_is_made_has_it() -> io::Result<()> {
    let (x, y) = hosts(&TcpConfig::default())?;
    let cfg = TcpConfig { dscp: 34, ..TcpConfig::default() };
    let l = AnyListener::bind_with(&x.stack, 8, &cfg)?;
    let stack = y.stack.clone();
    let client = std::thread::spawn(move || TcpStream::connect(&stack, "203.0.113.7:80"));
    assert!(l.request()?.refuse());
    assert_eq!(client.join().expect("no panic").expect_err("refused").kind(), ErrorKind::ConnectionRefused);
    let sent = x.sent(Protocol::TCP);
    assert_eq!((sent.len(), sent[0].dscp, sent[0].flags & RST), (1, 34, RST));
    Ok(())
}

#[test]
fn settings_of_the_host_hold_for_all_and_strangers_get_the_same() -> io::Result<()> {
    let mut cfg = TcpConfig::default();
    cfg.set("dscp", "18").map_err(io::Error::other)?;
    assert!(cfg.set("dscp", "64").is_err());
    let (x, y) = hosts(&cfg)?;
    let e = TcpStream::connect(&y.stack, at("192.0.2.1:9")).expect_err("nobody listens");
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    assert!(x.sent(Protocol::TCP).iter().chain(&y.sent(Protocol::TCP)).all(|p| p.dscp == 18));
    Ok(())
}

#[test]
fn datagrams_have_it_and_their_fragments() -> io::Result<()> {
    let (x, y) = hosts(&TcpConfig::default())?;
    for (to, fragments) in [("192.0.2.1:9", 17), ("[fd00:2::1]:9", 44)] {
        let server = UdpSocket::bind(&x.stack, to)?;
        let u = UdpSocket::bind(&y.stack, if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" })?;
        assert_eq!(u.dscp()?, 0);
        u.set_dscp(26)?;
        assert_eq!(u.dscp()?, 26);
        u.send_to(b"x", to)?;
        assert_eq!(y.sent(Protocol::UDP).iter().map(|p| (p.dscp, p.ecn)).collect::<Vec<_>>(), [(26, 0)]);
        u.send_to(&[1; 3_000], to)?;
        let pieces = y.sent(Protocol(fragments));
        assert!(pieces.len() == 3 && pieces.iter().all(|p| p.dscp == 26), "{pieces:?}");
        server.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut buf = vec![0; 4_000];
        assert_eq!((server.recv(&mut buf)?, server.recv(&mut buf)?), (1, 3_000));
    }
    Ok(())
}

#[test]
fn what_is_no_codepoint_is_refused() -> io::Result<()> {
    let (x, _) = hosts(&TcpConfig::default())?;
    let (s, u) = (TcpSocket::new_v4(&x.stack)?, UdpSocket::bind(&x.stack, "192.0.2.1:0")?);
    for e in [s.set_dscp(64), u.set_dscp(64)] {
        let e = e.expect_err("too large");
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::InvalidInput, "a DSCP of 64; there are 0..=63"));
    }
    // As an octet: the two bits of ECN are not the user's.
    s.set_tos_v4(0xbb)?;
    assert_eq!((s.dscp()?, s.tos_v4()?, s.tclass_v6()?), (46, 0xb8, 0xb8));
    assert!(s.set_tclass_v6(256).is_err());
    Ok(())
}
