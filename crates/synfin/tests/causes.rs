//! ICMP errors as users see them: the kind that `std::net` has, and the error itself inside. The path is the test's own.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;
use synfin::blocking::TcpStream;
use synfin::device::{Device, Packets, channel};
use synfin::stack::engine::arrives::icmp::IcmpError;
use synfin::stack::wire::icmp::Unreachable;
use synfin::{Cause, Stack, TcpConfig};

/// The checksum of RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// Answers each packet with "destination unreachable" of this code (RFC 792), until the host is gone.
fn answer(packets: &Packets, code: u8) {
    while let Some(p) = packets.recv() {
        if p[0] >> 4 != 4 {
            continue;
        }
        let mut icmp = vec![3, code, 0, 0, 0, 0, 0, 0];
        icmp.extend_from_slice(&p[..28]);
        let sum = checksum(&icmp);
        icmp[2..4].copy_from_slice(&sum);
        let mut ip = vec![0x45, 0, 0, 20 + icmp.len() as u8, 0, 0, 0, 0, 64, 1, 0, 0];
        ip.extend_from_slice(&[192, 0, 2, 254]);
        ip.extend_from_slice(&p[12..16]);
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum);
        ip.extend_from_slice(&icmp);
        packets.send(&ip);
    }
}

/// What a call fails with that waits so long, when all it hears is an ICMP error.
fn connect(code: u8, patience: Duration) -> io::Result<io::Error> {
    let (device, packets) = channel(1500)?;
    let tcp = TcpConfig { connect_timeout: patience, ..TcpConfig::default() };
    let host = Stack::builder().address("192.0.2.1/24")?.tcp(tcp).start(Device::Channel(device))?;
    let path = thread::spawn(move || answer(&packets, code));
    let e = TcpStream::connect(&host, "192.0.2.9:80").expect_err("nobody is there");
    drop(host);
    path.join().expect("no panic");
    Ok(e)
}

#[test]
//= RFC 9293 3.9.2.2 MUST-54
fn an_icmp_error_is_inside_the_error_of_the_call() -> io::Result<()> {
    for (code, kind, unreachable) in [
        // A hard error ends the attempt at once; a soft one is remembered, and is the reason when the time is up.
        (3, ErrorKind::ConnectionRefused, Unreachable::Port),
        (1, ErrorKind::HostUnreachable, Unreachable::Host),
        (0, ErrorKind::NetworkUnreachable, Unreachable::Net),
    ] {
        // The answer may be late on a machine that is; the call is patient enough in the end.
        let mut patience = Duration::from_millis(200);
        let mut e = connect(code, patience)?;
        while e.kind() == ErrorKind::TimedOut && patience < Duration::from_secs(20) {
            patience *= 10;
            e = connect(code, patience)?;
        }
        let cause = e.get_ref().and_then(|c| c.downcast_ref::<Cause>()).copied();
        assert_eq!(e.kind(), kind, "code {code}: {e}");
        assert_eq!(cause.and_then(|c| c.icmp()), Some(IcmpError::Unreachable(unreachable)), "code {code}: {cause:?}");
    }
    Ok(())
}
