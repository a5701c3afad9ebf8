//! TUN and TAP, with or without the virtio-net header.

use crate::config::{self, Interface, request, set_up};
use crate::sys::{ioctl, read, would_block, writev};
use crate::virtio::VirtioNetHdr;
use crate::{Capabilities, Medium, Received, Transmit};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// TUN: IP packets.
    Ip,
    /// TAP: Ethernet frames.
    Ethernet,
}

/// How an interface is opened.
#[derive(Debug, Clone)]
pub struct TunOptions {
    /// Its name.
    pub name: String,
    /// TUN or TAP.
    pub layer: Layer,
    /// Super-segments and partial checksums, both ways.
    pub offload: bool,
    /// The MTU, if the interface is created.
    pub mtu: u32,
}

/// An open interface.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
    caps: Capabilities,
    created: bool,
}

impl Tun {
    /// Attaches to the interface if there is one of this name, and leaves its addresses, MTU and state alone; creates it
    /// otherwise: not persistent, up, with a transmit queue of 10,000 packets.
    pub fn open(o: &TunOptions) -> io::Result<Tun> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(NODE)
            .map_err(|e| no_node(&e))?;
        let exists = config::interface_index(&o.name).is_ok();
        let kind = match o.layer {
            Layer::Ip => libc::IFF_TUN,
            Layer::Ethernet => libc::IFF_TAP,
        };
        let vnet = if o.offload { libc::IFF_VNET_HDR } else { 0 };
        let attach = |extra: libc::c_int| {
            let mut r = request(&o.name)?;
            r.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI | vnet | extra) as libc::c_short;
            ioctl(file.as_raw_fd(), TUNSETIFF, &mut r)
        };
        match attach(0) {
            Err(e) if exists && e.raw_os_error() == Some(libc::EINVAL) => attach(libc::IFF_MULTI_QUEUE),
            r => r,
        }
        .map_err(|e| explain(&e, o))?;
        // A persistent interface keeps the offloads of its last user: they are set either way.
        let offloads: libc::c_ulong = if o.offload { TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 } else { 0 };
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        crate::sys::check(unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD as _, offloads) })?;
        if !exists {
            set_up(&o.name, &Interface { mtu: Some(o.mtu), tx_queue: Some(10_000) })
                .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", o.name)))?;
        }
        let medium = match o.layer {
            Layer::Ip => Medium::Ip,
            Layer::Ethernet => Medium::Ethernet(neighbor_of(config::mac(&o.name)?)),
        };
        let caps = Capabilities { medium, mtu: config::mtu(&o.name)?, offload: o.offload.then_some(MAX_GSO) };
        Ok(Tun { file, name: o.name.clone(), caps, created: !exists })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was created, and goes when this is dropped.
    pub fn is_created(&self) -> bool {
        self.created
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.caps
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        let Some(n) = would_block(read(self.file.as_raw_fd(), buf))? else { return Ok(None) };
        Ok(Some(strip(buf, n, self.caps.offload.is_some())))
    }

    pub(crate) fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        send_with_header(self.file.as_raw_fd(), t, self.caps.offload.is_some())
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Takes the virtio-net header off what was read. A header that contradicts the frame makes it an empty one, which the
/// stack counts as such.
pub(crate) fn strip(buf: &[u8], n: usize, header: bool) -> Received {
    if !header {
        return Received { offset: 0, len: n, checksum_trusted: false, partial: None, gso_size: 0 };
    }
    let parsed = buf[..n].split_first_chunk::<{ VirtioNetHdr::LEN }>();
    match parsed.and_then(|(h, frame)| VirtioNetHdr::parse(h, frame.len()).map(|h| (h, frame.len()))) {
        Some((h, len)) => Received {
            offset: VirtioNetHdr::LEN,
            len,
            checksum_trusted: h.csum.is_some() || h.data_valid,
            partial: h.csum,
            gso_size: h.gso.map_or(0, |g| g.1),
        },
        None => Received { offset: 0, len: 0, checksum_trusted: false, partial: None, gso_size: 0 },
    }
}

/// Writes a frame, with the virtio-net header before it if the device wants one. A device that is down drops the frame,
/// as a cable that is out does.
pub(crate) fn send_with_header(fd: RawFd, t: &Transmit<'_>, header: bool) -> io::Result<bool> {
    let h = t.offload.to_bytes();
    let mut all = [IoSlice::new(&[]); MAX_PIECES];
    let mut n = 0;
    if header {
        all[0] = IoSlice::new(&h);
        n = 1;
    }
    for p in t.pieces {
        let Some(slot) = all.get_mut(n) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many pieces"));
        };
        *slot = *p;
        n += 1;
    }
    match writev(fd, &all[..n]) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => Ok(false),
        Err(e) if is_loss(&e) => Ok(true),
        Err(e) => Err(e),
    }
}

/// What concerns one frame, or passes: the frame is lost, the device is not.
fn is_loss(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(libc::EIO | libc::ENETDOWN | libc::EINVAL | libc::ENOBUFS | libc::ENOMEM | libc::EMSGSIZE)
    )
}

/// Our own address on a TAP or packet socket: the interface's with another last octet and the local bit, for the kernel
/// keeps the interface's own for itself.
pub(crate) fn neighbor_of(mut mac: [u8; 6]) -> [u8; 6] {
    mac[0] = (mac[0] | 2) & !1;
    mac[5] ^= 0x5f;
    mac
}

fn no_node(e: &io::Error) -> io::Error {
    let remedy = match e.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => "; run as root, or add yourself to a group that may open it",
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
            "; as root: modprobe tun (a container must be given the device)"
        }
        _ => "",
    };
    io::Error::new(e.kind(), format!("{NODE}: {e}{remedy}"))
}

fn explain(e: &io::Error, o: &TunOptions) -> io::Error {
    let name = &o.name;
    let words = match e.raw_os_error() {
        Some(libc::EBUSY) => format!("{name}: another program has it open"),
        Some(libc::EINVAL) => {
            format!("{name}: it exists and is not a {}", if o.layer == Layer::Ip { "TUN" } else { "TAP" })
        }
        Some(libc::EPERM) => {
            format!("{name}: no permission to create it (needs CAP_NET_ADMIN: run inside `unshare -Urn`, or as root)")
        }
        _ => format!("{name}: {e}"),
    };
    io::Error::new(e.kind(), words)
}

const NODE: &str = "/dev/net/tun";
/// Most pieces of one frame.
pub(crate) const MAX_PIECES: usize = 66;
/// The most text of a super-segment: with all headers it must fit 65,535 octets.
pub(crate) const MAX_GSO: u32 = 65_535 - 120;
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const TUN_F_CSUM: libc::c_ulong = 1;
const TUN_F_TSO4: libc::c_ulong = 2;
const TUN_F_TSO6: libc::c_ulong = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_cannot_be_opened_comes_with_its_remedy() {
        for (errno, words) in [
            (libc::EACCES, "/dev/net/tun: Permission denied (os error 13); run as root, or add yourself to a group"),
            (libc::ENOENT, "/dev/net/tun: No such file or directory (os error 2); as root: modprobe tun"),
            (libc::ENODEV, "/dev/net/tun: No such device (os error 19); as root: modprobe tun"),
        ] {
            let said = no_node(&io::Error::from_raw_os_error(errno)).to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
