//! UDP.

use super::ToAddress;
use crate::handle::Stack;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;
use synfin_stack::{SocketEvent, UdpError, UdpId};

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    host: Stack,
    id: UdpId,
    local: SocketAddr,
    read_timeout: Mutex<Option<Duration>>,
}

fn error(e: UdpError) -> io::Error {
    io::Error::from(match e {
        UdpError::NotOpen | UdpError::NotConnected => io::ErrorKind::NotConnected,
        UdpError::AddressInUse => io::ErrorKind::AddrInUse,
        UdpError::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
        UdpError::WouldBlock => io::ErrorKind::WouldBlock,
        UdpError::TooLong => io::ErrorKind::InvalidInput,
        UdpError::Unreachable => io::ErrorKind::NetworkUnreachable,
        UdpError::Refused => io::ErrorKind::ConnectionRefused,
    })
}

impl UdpSocket {
    /// Opens a socket; port 0 takes a free one.
    pub fn bind(host: &Stack, on: impl ToAddress) -> io::Result<UdpSocket> {
        let on = on.to_address()?;
        let mut s = host.shared().lock();
        let id = s.stack.udp_bind(on).map_err(error)?;
        let local = s.stack.udp_local(id).unwrap_or(on);
        drop(s);
        Ok(UdpSocket { host: host.clone(), id, local, read_timeout: Mutex::default() })
    }

    /// Where it is.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Remembers a destination; only from there is received.
    pub fn connect(&self, to: impl ToAddress) -> io::Result<()> {
        let to = to.to_address()?;
        self.host.shared().lock().stack.udp_connect(self.id, Some(to)).map_err(error)
    }

    /// Forgets the destination.
    pub fn disconnect(&self) -> io::Result<()> {
        self.host.shared().lock().stack.udp_connect(self.id, None).map_err(error)
    }

    /// Sends a datagram to `to`.
    pub fn send_to(&self, data: &[u8], to: impl ToAddress) -> io::Result<usize> {
        self.transmit(Some(to.to_address()?), data)
    }

    /// Sends a datagram to the remembered destination.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.transmit(None, data)
    }

    fn transmit(&self, to: Option<SocketAddr>, data: &[u8]) -> io::Result<usize> {
        let mut s = self.host.shared().lock();
        let now = s.now();
        s.stack.udp_send(now, self.id, to, data).map_err(error)?;
        s.flush();
        self.host.shared().nudge(&s);
        Ok(data.len())
    }

    /// How long a receive may wait.
    pub fn set_read_timeout(&self, t: Option<Duration>) -> io::Result<()> {
        *self.read_timeout.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = t;
        Ok(())
    }

    /// Receives a datagram; what does not fit into `buf` is cut off.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let patience = *self.read_timeout.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let id = self.id;
        let got = self.host.shared().block_on(SocketEvent::Udp(id), patience, |s| match s.stack.udp_receive(id) {
            Err(UdpError::WouldBlock) => None,
            r => Some(r.map_err(error)),
        });
        let d = got.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
        let n = d.data.len().min(buf.len());
        buf[..n].copy_from_slice(&d.data[..n]);
        Ok((n, d.from))
    }

    /// Receives a datagram.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buf).map(|(n, _)| n)
    }

    /// Datagrams dropped because the buffer was full.
    pub fn drops(&self) -> u64 {
        self.host.shared().lock().stack.udp_drops(self.id)
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.host.shared().lock().stack.udp_close(self.id);
    }
}
