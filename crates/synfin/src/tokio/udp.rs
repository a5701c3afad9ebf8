//! UDP.

use super::{ToAddress, async_io, attempt, found, wanted};
use crate::blocking::each;
use crate::driver::Shard;
use crate::handle::Stack;
use crate::socket::options::of_octet;
use crate::socket::udp::copy;
use crate::socket::{Datagrams, Ready};
use crate::waiting::Ticket;
use ::bytes::BufMut;
use ::tokio::io::{Interest, ReadBuf, Ready as TokioReady};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A UDP socket. A send waits while the device is full; what happens to the datagram then UDP does not promise.
#[derive(Debug)]
pub struct UdpSocket(Datagrams);

/// Puts into a buffer what fits.
fn fill(data: &[u8], buf: &mut ReadBuf<'_>) {
    buf.put_slice(&data[..data.len().min(buf.remaining())]);
}

fn put<B: BufMut>(data: &[u8], buf: &mut B) -> usize {
    let n = data.len().min(buf.remaining_mut());
    buf.put_slice(&data[..n]);
    n
}

impl UdpSocket {
    /// Opens a socket; port 0 takes a free one. Of several addresses it is the first that can be had.
    pub async fn bind(host: &Stack, on: impl ToAddress) -> io::Result<UdpSocket> {
        each(on.to_addresses()?, |on| Ok(UdpSocket(Datagrams::open(host, on)?)))
    }

    /// Where it is; while a destination is remembered, with the source to it in the place of any address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local())
    }

    /// The remembered destination; [`io::ErrorKind::NotConnected`] if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer()
    }

    /// Remembers a destination; only from there is received. The source to it is chosen here, and kept. Fails if no route leads
    /// there ([`io::ErrorKind::NetworkUnreachable`]), or if it is of the other version of IP.
    /// Of several addresses the first that can be is taken.
    pub async fn connect(&self, to: impl ToAddress) -> io::Result<()> {
        each(to.to_addresses()?, |to| self.0.connect(Some(to)))
    }

    /// Forgets the destination.
    pub fn disconnect(&self) -> io::Result<()> {
        self.0.connect(None)
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

    /// The same in an octet whose last two bits are ECN's, and not taken (`IP_TOS`).
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.0.set_dscp(of_octet(tos)?)
    }

    /// The codepoint in an octet.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(u32::from(self.0.dscp()) << 2)
    }

    /// The same under its name for IPv6 (`IPV6_TCLASS`).
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.set_tos_v4(tclass)
    }

    /// The codepoint in an octet.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// That nobody is at the remembered destination, as an ICMP error told; once.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.0.take_error())
    }

    /// Datagrams dropped because the buffer was full.
    pub fn drops(&self) -> u64 {
        self.0.host.shared().lock().stack.udp_drops(self.0.id)
    }

    /// Waits until it is ready for any of `interest`. It is writable while half of what may wait for the device is free.
    pub async fn ready(&self, interest: Interest) -> io::Result<TokioReady> {
        let f = |s: &mut Shard| found(interest, self.state(s, interest)).map(Ok);
        attempt(&self.0.host, self.0.key(), wanted(interest), f).await
    }

    /// Whether it is readable, writable, and at the end of either, which it never is.
    fn state(&self, s: &mut Shard, interest: Interest) -> (bool, bool, bool, bool) {
        let writable = interest.is_writable() && self.0.is_writable(s);
        (s.stack.udp_is_readable(self.0.id), writable, false, false)
    }

    /// Waits until there is a datagram, or an error.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a datagram finds room.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits until there is a datagram, or an error, for one task.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let id = self.0.id;
        self.poll(cx, |s| s.stack.udp_is_readable(id).then_some(Ok(())))
    }

    /// Waits until a datagram finds room, for one task.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx, |s| self.0.is_writable(s).then_some(Ok(())))
    }

    /// Runs `f` if the socket is ready for `interest`, else says [`io::ErrorKind::WouldBlock`].
    pub fn try_io<R>(&self, interest: Interest, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.now(|s| found(interest, self.state(s, interest)).map(|_| Ok(())))?;
        f()
    }

    /// Runs `f`, whenever the socket is ready for `interest`, until it does not say [`io::ErrorKind::WouldBlock`] any more.
    pub async fn async_io<R>(&self, interest: Interest, f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        async_io(|| self.ready(interest), f).await
    }

    /// Sends a datagram to the remembered destination.
    pub async fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.room(|s| self.0.try_send(s, None, data)).await
    }

    /// Likewise, for one task.
    pub fn poll_send(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, |s| self.0.try_send(s, None, data))
    }

    /// Sends one that finds room, else says [`io::ErrorKind::WouldBlock`].
    pub fn try_send(&self, data: &[u8]) -> io::Result<usize> {
        self.now(|s| self.0.try_send(s, None, data))
    }

    /// Sends a datagram to `to`.
    pub async fn send_to(&self, data: &[u8], to: impl ToAddress) -> io::Result<usize> {
        let to = to.to_address()?;
        self.room(|s| self.0.try_send(s, Some(to), data)).await
    }

    /// Likewise, for one task.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, data: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        self.poll_write(cx, |s| self.0.try_send(s, Some(to), data))
    }

    /// Sends one that finds room, else says [`io::ErrorKind::WouldBlock`].
    pub fn try_send_to(&self, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.now(|s| self.0.try_send(s, Some(to), data))
    }

    /// Receives a datagram; what does not fit into `buf` is cut off.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.until(|s| self.0.try_recv(s, false, |d, _| copy(d, buf))).await
    }

    /// Likewise, for one task.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |s| self.0.try_recv(s, false, |d, _| fill(d, buf)))
    }

    /// Receives a datagram that is there, else says [`io::ErrorKind::WouldBlock`].
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.now(|s| self.0.try_recv(s, false, |d, _| copy(d, buf)))
    }

    /// Likewise, into a buffer that grows or that is not initialised.
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.now(|s| self.0.try_recv(s, false, |d, _| put(d, buf)))
    }

    /// Receives a datagram into such a buffer.
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.until(|s| self.0.try_recv(s, false, |d, _| put(d, buf))).await
    }

    /// Receives a datagram, and says from where.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.until(|s| self.0.try_recv(s, false, |d, from| (copy(d, buf), from))).await
    }

    /// Likewise, for one task.
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll(cx, |s| {
            self.0.try_recv(s, false, |d, from| {
                fill(d, buf);
                from
            })
        })
    }

    /// Receives a datagram that is there, and says from where.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.now(|s| self.0.try_recv(s, false, |d, from| (copy(d, buf), from)))
    }

    /// Likewise, into a buffer that grows or that is not initialised.
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.now(|s| self.0.try_recv(s, false, |d, from| (put(d, buf), from)))
    }

    /// Receives a datagram into such a buffer, and says from where.
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.until(|s| self.0.try_recv(s, false, |d, from| (put(d, buf), from))).await
    }

    /// Looks at the next datagram without taking it.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.until(|s| self.0.try_recv(s, true, |d, _| copy(d, buf))).await
    }

    /// Likewise, for one task.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |s| self.0.try_recv(s, true, |d, _| fill(d, buf)))
    }

    /// Looks at a datagram that is there.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.now(|s| self.0.try_recv(s, true, |d, _| copy(d, buf)))
    }

    /// Looks at the next datagram without taking it, and says from where it is.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.until(|s| self.0.try_recv(s, true, |d, from| (copy(d, buf), from))).await
    }

    /// Likewise, for one task.
    pub fn poll_peek_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll(cx, |s| {
            self.0.try_recv(s, true, |d, from| {
                fill(d, buf);
                from
            })
        })
    }

    /// Looks at a datagram that is there, and says from where it is.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.now(|s| self.0.try_recv(s, true, |d, from| (copy(d, buf), from)))
    }

    /// Says from where the next datagram is.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.until(|s| self.0.try_recv(s, true, |_, from| from)).await
    }

    /// Likewise, for one task.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll(cx, |s| self.0.try_recv(s, true, |_, from| from))
    }

    /// Says from where a datagram is that is there.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.now(|s| self.0.try_recv(s, true, |_, from| from))
    }

    fn now<R>(&self, f: impl FnMut(&mut Shard) -> Option<io::Result<R>>) -> io::Result<R> {
        self.0.host.shared().attempt(self.0.key(), f)
    }

    fn poll<R>(&self, cx: &Context<'_>, f: impl FnMut(&mut Shard) -> Option<io::Result<R>>) -> Poll<io::Result<R>> {
        self.0.host.shared().poll(cx, self.0.key(), &mut Some(Ticket::READ), Ready::READ, f)
    }

    fn poll_write<R>(
        &self,
        cx: &Context<'_>,
        f: impl FnMut(&mut Shard) -> Option<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.0.host.shared().poll(cx, self.0.key(), &mut Some(Ticket::WRITE), Ready::WRITE, f)
    }

    async fn room<R>(&self, f: impl FnMut(&mut Shard) -> Option<io::Result<R>> + Unpin) -> io::Result<R> {
        attempt(&self.0.host, self.0.key(), Ready::WRITE, f).await
    }

    async fn until<R>(&self, f: impl FnMut(&mut Shard) -> Option<io::Result<R>> + Unpin) -> io::Result<R> {
        attempt(&self.0.host, self.0.key(), Ready::READ, f).await
    }
}
