//! UDP.

use super::address::{ToAddress, each};
use crate::handle::Stack;
use crate::socket::udp::copy;
use crate::socket::{Datagrams, Ready, timed_out};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket(Arc<Datagrams>);

impl UdpSocket {
    /// Opens a socket; port 0 takes a free one. Of several addresses it is the first that can be had.
    pub fn bind(host: &Stack, on: impl ToAddress) -> io::Result<UdpSocket> {
        each(on.to_addresses()?, |on| Ok(UdpSocket(Arc::new(Datagrams::open(host, on)?))))
    }

    /// Where it is; while a destination is remembered, with the source to it in the place of any address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local())
    }

    /// The remembered destination; [`io::ErrorKind::NotConnected`] if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer()
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        Ok(UdpSocket(self.0.clone()))
    }

    /// Remembers a destination; only from there is received. The source to it is chosen here, and kept. Fails if no route leads
    /// there ([`io::ErrorKind::NetworkUnreachable`]), or if it is of the other version of IP; of several addresses it is the first
    /// that can be one.
    pub fn connect(&self, to: impl ToAddress) -> io::Result<()> {
        each(to.to_addresses()?, |to| self.0.connect(Some(to)))
    }

    /// Forgets the destination.
    pub fn disconnect(&self) -> io::Result<()> {
        self.0.connect(None)
    }

    /// Sends a datagram to `to`; of several addresses to the first, as `std` does. It waits while the device is full; what waits for a
    /// neighbor's address and is too much is lost, as on Linux. [`io::ErrorKind::HostUnreachable`] if that neighbor does not answer.
    pub fn send_to(&self, data: &[u8], to: impl ToAddress) -> io::Result<usize> {
        self.transmit(data, Some(to.to_address()?))
    }

    /// Sends a datagram to the remembered destination, likewise.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.transmit(data, None)
    }

    fn transmit(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        let shared = self.0.host.shared();
        let mut f = |s: &mut _| self.0.try_send(s, to, data);
        if self.0.nonblocking.load(Ordering::Relaxed) {
            return shared.attempt(self.0.key(), f);
        }
        let sent = shared.block_on(self.0.key(), Ready::WRITE, self.0.write_timeout.get(), &mut f);
        sent.unwrap_or_else(|| Err(timed_out("timed out")))
    }

    /// How long a receive may wait; `None` waits for ever. Then it fails with [`io::ErrorKind::WouldBlock`].
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        self.0.read_timeout.set(t)
    }

    /// How long a receive may wait.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.read_timeout.get())
    }

    /// How long a send may wait while the device is full; `None` waits for ever. Then it fails with
    /// [`io::ErrorKind::WouldBlock`].
    pub fn set_write_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        self.0.write_timeout.set(t)
    }

    /// How long a send may wait.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.write_timeout.get())
    }

    /// With `on`, what would wait fails with [`io::ErrorKind::WouldBlock`] instead.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.0.nonblocking.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// The hop limit of its packets, 1 to 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }

    /// The hop limit of its packets.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.0.ttl())
    }

    /// The codepoint of differentiated services of its packets (RFC 2474 3), 0 to 63; 46 is Expedited Forwarding. The other two
    /// bits of that octet, ECN's, stay zero.
    pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        self.0.set_dscp(dscp)
    }

    /// The codepoint of differentiated services of its packets.
    pub fn dscp(&self) -> io::Result<u8> {
        Ok(self.0.dscp())
    }

    /// That nobody is at the remembered destination, as an ICMP error told; once.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.0.take_error())
    }

    fn receive(&self, buf: &mut [u8], peek: bool) -> io::Result<(usize, SocketAddr)> {
        let shared = self.0.host.shared();
        let mut f = |s: &mut _| self.0.try_recv(s, peek, |data, from| (copy(data, buf), from));
        if self.0.nonblocking.load(Ordering::Relaxed) {
            return shared.attempt(self.0.key(), f);
        }
        let got = shared.block_on(self.0.key(), Ready::READ, self.0.read_timeout.get(), &mut f);
        got.unwrap_or_else(|| Err(timed_out("timed out")))
    }

    /// Receives a datagram; what does not fit into `buf` is cut off.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, false)
    }

    /// Receives a datagram.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf, false).map(|(n, _)| n)
    }

    /// Looks at the next datagram without taking it.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, true)
    }

    /// Looks at the next datagram without taking it.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf, true).map(|(n, _)| n)
    }

    /// Datagrams dropped because the buffer was full.
    pub fn drops(&self) -> u64 {
        self.0.host.shared().lock().stack.udp_drops(self.0.id)
    }
}
