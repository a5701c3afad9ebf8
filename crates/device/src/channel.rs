//! Packets in and out by hand: a program carries them, over whatever it has. For tunnels, and for hosts inside of programs that
//! have packets already.

use crate::sys::EventFd;
use crate::{Capabilities, Medium, Received, Transmit};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The host's end.
#[derive(Debug)]
pub struct ChannelDevice {
    shared: Arc<Shared>,
    mtu: u32,
}

/// The program's end. Clones share it.
#[derive(Debug)]
pub struct Packets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    /// The program waits for what the host sends.
    sent: Condvar,
    /// The host waits for what the program has.
    arrived: EventFd,
}

#[derive(Debug, Default)]
struct Queues {
    /// From the host.
    out: VecDeque<Vec<u8>>,
    /// To the host.
    inward: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
    lost: u64,
    host_gone: bool,
    /// Handles of the program.
    holders: usize,
}

/// Packets that wait in each direction; what is beyond is lost, as in any network.
pub const CHANNEL_DEPTH: usize = 1_024;

/// Both ends. Frames are IP packets of at most `mtu` octets with complete checksums; there are no super-segments.
pub fn channel(mtu: u32) -> io::Result<(ChannelDevice, Packets)> {
    let queues = Mutex::new(Queues { holders: 1, ..Queues::default() });
    let shared = Arc::new(Shared { queues, sent: Condvar::new(), arrived: EventFd::new()? });
    Ok((ChannelDevice { shared: shared.clone(), mtu }, Packets(shared)))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packets {
    /// Gives a packet to the host. False if it was lost: the host has not taken those before it yet, or is gone.
    pub fn send(&self, packet: &[u8]) -> bool {
        let mut q = self.0.lock();
        let fits = q.inward.len() < CHANNEL_DEPTH && !q.host_gone;
        if fits {
            q.inward.push_back(packet.to_vec());
            self.0.arrived.wake();
        } else {
            q.lost += 1;
        }
        fits
    }

    /// A packet from the host; waits for one. `None` when the host is gone.
    pub fn recv(&self) -> Option<Vec<u8>> {
        let mut q = self.0.lock();
        loop {
            if let Some(p) = q.out.pop_front() {
                return Some(p);
            }
            if q.host_gone {
                return None;
            }
            q = self.0.sent.wait(q).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A packet that waits already.
    pub fn try_recv(&self) -> Option<Vec<u8>> {
        self.0.lock().out.pop_front()
    }

    /// A packet from the host, for one task; `None` when the host is gone. The waker is called while the host is at work: it must
    /// not call the host itself, as no runtime's does.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut q = self.0.lock();
        match q.out.pop_front() {
            None if !q.host_gone => {
                let old = q.waker.replace(cx.waker().clone());
                drop(q);
                drop(old); // it may own whatever it likes
                Poll::Pending
            }
            p => Poll::Ready(p),
        }
    }

    /// A packet from the host, for one task; `None` when the host is gone. Dropping the future takes none.
    pub async fn next(&self) -> Option<Vec<u8>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Packets lost because a queue was full or the host gone, both ways.
    pub fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

impl Clone for Packets {
    fn clone(&self) -> Packets {
        self.0.lock().holders += 1;
        Packets(self.0.clone())
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.0.lock().holders -= 1;
        self.0.arrived.wake();
    }
}

impl ChannelDevice {
    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities { medium: Medium::Ip, mtu: self.mtu, offload: None }
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        let mut q = self.shared.lock();
        let Some(p) = q.inward.pop_front() else {
            if q.holders == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.shared.arrived.clear();
            return Ok(None);
        };
        let len = p.len().min(buf.len());
        buf[..len].copy_from_slice(&p[..len]);
        Ok(Some(Received { offset: 0, len, checksum_trusted: false, partial: None, gso_size: 0 }))
    }

    pub(crate) fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        let mut q = self.shared.lock();
        if q.holders == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if q.out.len() < CHANNEL_DEPTH {
            q.out.push_back(t.pieces.iter().flat_map(|p| p.iter().copied()).collect());
        } else {
            q.lost += 1;
        }
        let waker = q.waker.take();
        drop(q);
        self.shared.sent.notify_one();
        waker.into_iter().for_each(Waker::wake);
        Ok(true)
    }
}

impl Drop for ChannelDevice {
    fn drop(&mut self) {
        let mut q = self.shared.lock();
        q.host_gone = true;
        let waker = q.waker.take();
        drop(q);
        self.shared.sent.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl AsRawFd for ChannelDevice {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.arrived.fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtioNetHdr;
    use std::io::IoSlice;

    #[test]
    fn packets_go_both_ways_a_full_queue_loses_and_an_end_that_is_gone_is_told() {
        let (mut d, p) = channel(1_500).unwrap();
        let mut buf = [0; 10];
        assert_eq!(d.recv(&mut buf).unwrap(), None);
        let taken = (0..2 * CHANNEL_DEPTH).filter(|_| p.send(b"packet")).count();
        assert_eq!((taken, p.lost()), (CHANNEL_DEPTH, CHANNEL_DEPTH as u64));
        assert_eq!(d.recv(&mut buf).unwrap().map(|r| r.len), Some(6));
        let send = |d: &mut ChannelDevice| {
            d.send(&Transmit { pieces: &[IoSlice::new(b"he"), IoSlice::new(b"re")], offload: VirtioNetHdr::default() })
        };
        assert!(send(&mut d).unwrap());
        assert_eq!((p.recv(), p.try_recv()), (Some(b"here".to_vec()), None));
        let other = p.clone();
        drop(p);
        while d.recv(&mut buf).unwrap().is_some() {}
        drop(other);
        assert_eq!(d.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(send(&mut d).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (d, p) = channel(1_500).unwrap();
        drop(d);
        assert_eq!((p.recv(), p.send(b"x")), (None, false));
    }
}
