//! A way to a device's far side beside the device: for who sends without the lock of who receives.

use crate::memory::MemoryDevice;
use crate::tun::send_with_header;
use crate::{Device, Transmit};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Sends on the same device as a [`Device`]; [`Device::writer`] makes it. Two that send at once do not mix frames, but which is
/// first is left open.
#[derive(Debug)]
pub struct Writer(To);

#[derive(Debug)]
enum To {
    /// A TUN or TAP, with or without the virtio-net header.
    Descriptor(OwnedFd, bool),
    Memory(MemoryDevice),
}

impl Writer {
    /// Sends a frame, as [`Device::send`] does.
    pub fn send(&self, t: &Transmit<'_>) -> io::Result<bool> {
        match &self.0 {
            To::Descriptor(fd, header) => send_with_header(fd.as_raw_fd(), t, *header),
            To::Memory(d) => d.put(t),
        }
    }
}

impl Device {
    /// A second way to send, if it has one.
    pub fn writer(&self) -> io::Result<Option<Writer>> {
        Ok(Some(Writer(match self {
            Device::Tun(d) => To::Descriptor(self.watched()?, d.capabilities().offload.is_some()),
            Device::Memory(d) => To::Memory(d.clone()),
            Device::Packet(_) | Device::Datagram(_) | Device::Channel(_) => return Ok(None),
        })))
    }
}
