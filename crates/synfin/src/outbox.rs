//! Small frames on their way out, that are written when the lock of the host is free again.
//!
//! Behind a TUN a write is no copy into a queue: the kernel's whole receiving half runs within it. What would keep every other caller
//! waiting for that long is put aside under the lock, in order, and written by whoever finds nobody writing. Text is not put aside:
//! a device gathers it from where it is.

use crate::sync::{AtomicBool, Mutex, MutexGuard};
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use synfin_device::{Transmit, VirtioNetHdr, Writer};

/// Frames that are written later.
#[derive(Debug)]
pub(crate) struct Outbox {
    ring: Mutex<Ring>,
    /// Held by whoever writes.
    writer: Mutex<Writer>,
    /// The device did not take the first of them, or is gone: whoever has the host's lock tries again.
    trouble: AtomicBool,
}

/// The frames, oldest first.
#[derive(Debug)]
struct Ring {
    slots: Box<[Slot]>,
    first: usize,
    len: usize,
    /// Why the device is gone.
    error: Option<io::ErrorKind>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    bytes: [u8; SMALL],
    len: u16,
    offload: VirtioNetHdr,
}

/// What became of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing is left, or somebody else sees to what is.
    All,
    /// The device is full.
    Stuck,
    /// The device is gone.
    Gone(io::ErrorKind),
}

/// Octets of a small frame: all headers of a segment with options, and a little text.
const SMALL: usize = 256;
/// Frames that are put aside at most.
const DEPTH: usize = 64;

impl Outbox {
    pub(crate) fn new(writer: Writer) -> Outbox {
        let empty = Slot { bytes: [0; SMALL], len: 0, offload: VirtioNetHdr::default() };
        let ring = Ring { slots: vec![empty; DEPTH].into_boxed_slice(), first: 0, len: 0, error: None };
        Outbox { ring: Mutex::new(ring), writer: Mutex::new(writer), trouble: AtomicBool::new(false) }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring().len == 0
    }

    /// Sends a frame behind those that wait: puts it aside if it is small and there is room, else writes all. False if the device
    /// is full, and the frame was not taken.
    pub(crate) fn send(&self, pieces: &[IoSlice<'_>], offload: VirtioNetHdr) -> io::Result<bool> {
        if self.ring().push(pieces, offload) {
            return Ok(true);
        }
        let w = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write_with(&w) {
            Written::All => w.send(&Transmit { pieces, offload }),
            Written::Stuck => Ok(false),
            Written::Gone(kind) => Err(kind.into()),
        }
    }

    /// Writes what waits, if nobody does already: that one sees to it. Trouble is told once, to one.
    pub(crate) fn write(&self) -> Written {
        loop {
            if self.trouble.load(Ordering::Relaxed) || self.is_empty() {
                return Written::All;
            }
            let w = match self.writer.try_lock() {
                Ok(w) => w,
                Err(TryLockError::Poisoned(w)) => w.into_inner(),
                Err(TryLockError::WouldBlock) => return Written::All,
            };
            let done = self.write_with(&w);
            drop(w);
            if done != Written::All {
                return done;
            }
            // Who has put something aside since, and found this thread writing, has left it to it.
        }
    }

    /// Tries again after trouble.
    pub(crate) fn write_again(&self) -> Written {
        if !self.trouble.load(Ordering::Relaxed) {
            return Written::All;
        }
        let w = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_with(&w)
    }

    fn write_with(&self, w: &Writer) -> Written {
        loop {
            let slot = {
                let ring = self.ring();
                if let Some(kind) = ring.error {
                    return Written::Gone(kind);
                }
                if ring.len == 0 {
                    return Written::All;
                }
                ring.slots[ring.first]
            };
            let pieces = [IoSlice::new(&slot.bytes[..usize::from(slot.len)])];
            let sent = w.send(&Transmit { pieces: &pieces, offload: slot.offload });
            let mut ring = self.ring();
            self.trouble.store(!matches!(sent, Ok(true)), Ordering::Relaxed);
            match sent {
                Ok(true) => ring.pop(),
                Ok(false) => return Written::Stuck,
                Err(e) => {
                    ring.error = Some(e.kind());
                    ring.len = 0;
                }
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, pieces: &[IoSlice<'_>], offload: VirtioNetHdr) -> bool {
        let total: usize = pieces.iter().map(|p| p.len()).sum();
        if total > SMALL || self.len == DEPTH || self.error.is_some() {
            return false;
        }
        let slot = &mut self.slots[(self.first + self.len) % DEPTH];
        let mut at = 0;
        for p in pieces {
            slot.bytes[at..at + p.len()].copy_from_slice(p);
            at += p.len();
        }
        (slot.len, slot.offload) = (total as u16, offload);
        self.len += 1;
        true
    }

    fn pop(&mut self) {
        self.first = (self.first + 1) % DEPTH;
        self.len -= 1;
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use synfin_device::{Device, memory_pair};

    fn frames(d: &mut Device) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut buf = [0; 2_000];
        while let Ok(Some(r)) = d.recv(&mut buf) {
            all.push(buf[r.offset..r.offset + r.len].to_vec());
        }
        all
    }

    #[test]
    fn small_frames_wait_and_nothing_overtakes_them() -> io::Result<()> {
        let (ours, theirs) = memory_pair(1_500, true)?;
        let (ours, mut theirs) = (Device::Memory(ours), Device::Memory(theirs));
        let Some(writer) = ours.writer()? else { panic!("memory has one") };
        let outbox = Outbox::new(writer);
        let send = |bytes: &[u8]| {
            outbox.send(&[IoSlice::new(&bytes[..1]), IoSlice::new(&bytes[1..])], VirtioNetHdr::default())
        };
        assert!(send(b"one")? && send(b"two")?);
        assert!(frames(&mut theirs).is_empty() && !outbox.is_empty(), "put aside");
        assert_eq!(outbox.write(), Written::All);
        assert_eq!(frames(&mut theirs), [b"one", b"two"]);
        let large = [7; SMALL + 1];
        assert!(send(b"three")? && send(&large)?);
        assert_eq!(frames(&mut theirs), [&b"three"[..], &large], "a large one is written behind what waits");
        for n in 0..=DEPTH {
            assert!(send(&[n as u8; 9])?);
        }
        let all = frames(&mut theirs);
        assert!(all.len() == DEPTH + 1 && all.iter().enumerate().all(|(n, f)| f[0] == n as u8), "one too many to wait");
        assert!(outbox.is_empty());
        Ok(())
    }
}
