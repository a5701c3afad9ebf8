//! Links to the outside. All unsafe code of the library is here: thin wrappers around system calls, each with its reason.
//!
//! A [`Device`] hands over one frame at a time: [`Device::recv`] into a buffer of the caller's, [`Device::send`] gathered
//! from pieces of the caller's. Nothing here blocks; [`wait`] does.

#[cfg(not(target_os = "linux"))]
compile_error!("synfin-device speaks to Linux; the core crates do not need it");

mod channel;
mod config;
mod link;
mod memory;
mod netlink;
pub mod netns;
mod packet;
mod signal;
mod sys;
mod terminal;
mod tun;
mod unix;
mod virtio;
mod writer;

pub use channel::{CHANNEL_DEPTH, ChannelDevice, Packets, channel};
pub use config::{Interface, add_address, interface_index, set_link, set_up, wait_for_address};
pub use link::LinkSpec;
pub use memory::{MemoryDevice, memory_pair};
pub use netlink::{add_veth, move_to_namespace};
pub use packet::PacketSocket;
pub use signal::{Signal, Signals};
pub use sys::{
    EventFd, Interest, MOST_INTERESTS, Wait, set_congestion_control, set_linger_zero, set_real_time, set_timer_slack,
    tcp_info_state, wait, wait_any,
};
pub use terminal::LineEnd;
pub use tun::{Layer, Tun, TunOptions};
pub use unix::DatagramDevice;
pub use virtio::VirtioNetHdr;
pub use writer::Writer;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// What the frames of a device begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An IP header.
    Ip,
    /// An Ethernet header; our address is given.
    Ethernet([u8; 6]),
}

/// What a device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What frames begin with.
    pub medium: Medium,
    /// Octets of the greatest IP packet.
    pub mtu: u32,
    /// It completes transport checksums, and cuts super-segments with this much text; `None` if neither.
    pub offload: Option<u32>,
}

/// What came with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Where in the buffer the frame begins.
    pub offset: usize,
    /// Its octets.
    pub len: usize,
    /// Its transport checksum is known to be right, or is partial because the frame crossed no wire.
    pub checksum_trusted: bool,
    /// Its transport checksum is partial: where the sum begins, from the beginning of the frame, and where behind that its
    /// field is.
    pub partial: Option<(u16, u16)>,
    /// The size of the pieces of a super-segment; 0 for a plain frame.
    pub gso_size: u16,
}

/// A frame to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Transmit<'a> {
    /// Headers and text, in pieces.
    pub pieces: &'a [io::IoSlice<'a>],
    /// What the device is to do about it; only for devices that offload.
    pub offload: VirtioNetHdr,
}

/// Any device.
#[derive(Debug)]
#[non_exhaustive]
pub enum Device {
    /// A TUN or TAP interface.
    Tun(Tun),
    /// A packet socket on an interface.
    Packet(PacketSocket),
    /// One IP packet per datagram.
    Datagram(DatagramDevice),
    /// Memory.
    Memory(MemoryDevice),
    /// Packets that a program carries.
    Channel(ChannelDevice),
}

impl Device {
    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Device::Tun(d) => d.capabilities(),
            Device::Packet(d) => d.capabilities(),
            Device::Datagram(d) => d.capabilities(),
            Device::Memory(d) => d.capabilities(),
            Device::Channel(d) => d.capabilities(),
        }
    }

    /// Receives a frame into `buf` (65,600 octets are enough for any); `None` if none waits. A frame that the device
    /// mangled is skipped like one that was lost.
    pub fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        match self {
            Device::Tun(d) => d.recv(buf),
            Device::Packet(d) => d.recv(buf),
            Device::Datagram(d) => d.recv(buf),
            Device::Memory(d) => d.recv(buf),
            Device::Channel(d) => d.recv(buf),
        }
    }

    /// Sends a frame; false if the device is full: [`wait`] tells when it is not.
    pub fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        match self {
            Device::Tun(d) => d.send(t),
            Device::Packet(d) => d.send(t),
            Device::Datagram(d) => d.send(t),
            Device::Memory(d) => d.send(t),
            Device::Channel(d) => d.send(t),
        }
    }

    /// A descriptor of its own for the same device, for a reactor that is to watch it.
    pub fn watched(&self) -> io::Result<OwnedFd> {
        // SAFETY: the descriptor is open as long as the device, which is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }.try_clone_to_owned()
    }

    /// The descriptor to wait on.
    pub fn fd(&self) -> RawFd {
        match self {
            Device::Tun(d) => d.as_raw_fd(),
            Device::Packet(d) => d.as_raw_fd(),
            Device::Datagram(d) => d.as_raw_fd(),
            Device::Memory(d) => d.as_raw_fd(),
            Device::Channel(d) => d.as_raw_fd(),
        }
    }
}
