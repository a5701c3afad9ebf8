//! Two ends in memory: what one sends the other receives. For programs that talk to themselves, and for tests.

use crate::sys::EventFd;
use crate::{Capabilities, Medium, Received, Transmit};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

/// A frame, what is partial of its checksum, the size of its pieces.
type Held = (Vec<u8>, Option<(u16, u16)>, u16);

#[derive(Debug)]
struct Pipe {
    frames: Mutex<VecDeque<Held>>,
    arrived: EventFd,
}

/// One end.
#[derive(Debug, Clone)]
pub struct MemoryDevice {
    inbox: Arc<Pipe>,
    outbox: Arc<Pipe>,
    caps: Capabilities,
}

/// Both ends. With `offload`, super-segments pass whole.
pub fn memory_pair(mtu: u32, offload: bool) -> io::Result<(MemoryDevice, MemoryDevice)> {
    let pipe =
        || -> io::Result<Arc<Pipe>> { Ok(Arc::new(Pipe { frames: Mutex::default(), arrived: EventFd::new()? })) };
    let (a, b) = (pipe()?, pipe()?);
    let caps = Capabilities { medium: Medium::Ip, mtu, offload: offload.then_some(crate::tun::MAX_GSO) };
    Ok((MemoryDevice { inbox: a.clone(), outbox: b.clone(), caps }, MemoryDevice { inbox: b, outbox: a, caps }))
}

impl MemoryDevice {
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.caps
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        let mut q = self.inbox.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((frame, partial, gso_size)) = q.pop_front() else {
            self.inbox.arrived.clear();
            return Ok(None);
        };
        let len = frame.len().min(buf.len());
        buf[..len].copy_from_slice(&frame[..len]);
        // It crossed no wire: its checksum is as the sender left it.
        Ok(Some(Received { offset: 0, len, checksum_trusted: true, partial, gso_size }))
    }

    pub(crate) fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        self.put(t)
    }

    pub(crate) fn put(&self, t: &Transmit<'_>) -> io::Result<bool> {
        let mut q = self.outbox.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if q.len() < DEPTH {
            let frame: Vec<u8> = t.pieces.iter().flat_map(|p| p.iter().copied()).collect();
            q.push_back((frame, t.offload.csum, t.offload.gso.map_or(0, |g| g.1)));
            self.outbox.arrived.wake();
        }
        // A queue that is full loses what comes, as a network does.
        Ok(true)
    }
}

impl AsRawFd for MemoryDevice {
    fn as_raw_fd(&self) -> RawFd {
        self.inbox.arrived.fd()
    }
}

/// Frames that wait at most.
const DEPTH: usize = 1_024;
