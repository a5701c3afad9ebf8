//! A packet socket on an interface (packet(7)), with the virtio-net header where the kernel has it.

use crate::config;
use crate::sys::{check, read, set_nonblocking, socket, would_block, zeroed};
use crate::tun::{MAX_GSO, neighbor_of, send_with_header, strip};
use crate::{Capabilities, Medium, Received, Transmit};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An open packet socket.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    caps: Capabilities,
    /// Frames have a virtio-net header in front.
    header: bool,
}

impl PacketSocket {
    /// Opens one on the interface `name`. Our own Ethernet address differs from the interface's, so the interface is set to
    /// hear all.
    pub fn open(name: &str, offload: bool) -> io::Result<PacketSocket> {
        // The protocol comes with the bind, so that nothing of other interfaces is queued before it.
        let index = config::interface_index(name)
            .map_err(|_| io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such interface")))?;
        let fd = socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(|e| {
            let help = "a packet socket needs CAP_NET_RAW: run inside `unshare -Urn`, or as root";
            io::Error::new(e.kind(), format!("{name}: {e} ({help})"))
        })?;
        let mut addr: libc::sockaddr_ll = zeroed();
        addr.sll_family = libc::AF_PACKET as u16;
        addr.sll_protocol = ETH_P_ALL.to_be();
        addr.sll_ifindex = index as i32;
        // SAFETY: the address and its size belong together and live through the call.
        check(unsafe {
            libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&addr).cast(), size_of::<libc::sockaddr_ll>() as u32)
        })?;
        let mut all: libc::packet_mreq = zeroed();
        all.mr_ifindex = index as i32;
        all.mr_type = libc::PACKET_MR_PROMISC as u16;
        set(&fd, libc::PACKET_ADD_MEMBERSHIP, &all)?;
        // Frames that the host itself sends out of the interface are not for us to receive again.
        let _ = set(&fd, PACKET_IGNORE_OUTGOING, &1i32);
        // Wanted in any case: a frame from a program of this machine has neither its checksum made nor its text cut, and only
        // the header says so.
        let header = set(&fd, PACKET_VNET_HDR, &1i32).is_ok();
        set_nonblocking(fd.as_raw_fd())?;
        let medium = Medium::Ethernet(neighbor_of(config::mac(name)?));
        let caps = Capabilities { medium, mtu: config::mtu(name)?, offload: (offload && header).then_some(MAX_GSO) };
        Ok(PacketSocket { fd, caps, header })
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.caps
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        match would_block(read(self.fd.as_raw_fd(), buf)) {
            Ok(Some(n)) => Ok(Some(strip(buf, n, self.header))),
            Ok(None) => Ok(None),
            // The interface is down: nothing comes.
            Err(e) if e.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        send_with_header(self.fd.as_raw_fd(), t, self.header)
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn set<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the value and its size belong together and live through the call; each option gets its documented type.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

const ETH_P_ALL: u16 = 3;
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
