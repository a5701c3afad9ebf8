//! Two hosts, connected in memory.

#![allow(unreachable_pub, missing_docs, dead_code)] // a part of the tests beside it

use std::io;
use std::net::SocketAddr;
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::{Stack, TcpConfig};

pub const A: &str = "192.0.2.1";
pub const B: &str = "192.0.2.2";

/// At 192.0.2.1 and fd00:2::1, and at 192.0.2.2 and fd00:2::2.
pub fn pair() -> io::Result<(Stack, Stack)> {
    pair_with(TcpConfig::default())
}

pub fn pair_with(tcp: TcpConfig) -> io::Result<(Stack, Stack)> {
    let (a, b) = memory_pair(1500, true)?;
    let host = |last: u8, device| {
        Stack::builder()
            .address(&format!("192.0.2.{last}/24"))?
            .address(&format!("fd00:2::{last}/64"))?
            .tcp(tcp.clone())
            .start(Device::Memory(device))
    };
    Ok((host(1, a)?, host(2, b)?))
}

/// A port of the second host.
pub fn b(port: u16) -> SocketAddr {
    SocketAddr::new(B.parse().expect("an address"), port)
}

/// A connection from `a` to `at`, both of its ends.
pub fn connected(a: &Stack, at: &Stack) -> io::Result<(TcpStream, TcpStream)> {
    let l = TcpListener::bind(at, b(0))?;
    let c = TcpStream::connect(a, l.local_addr()?)?;
    Ok((c, l.accept()?.0))
}

/// How a call failed.
pub fn kind<T: std::fmt::Debug>(r: io::Result<T>) -> io::ErrorKind {
    r.expect_err("it fails").kind()
}
