//! One IP packet per datagram: a Unix datagram socket, or any descriptor that was inherited.

use crate::sys::{read, set_nonblocking, would_block};
use crate::tun::send_with_header;
use crate::{Capabilities, Medium, Received, Transmit};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A descriptor that carries IP packets.
#[derive(Debug)]
pub struct DatagramDevice {
    fd: OwnedFd,
    mtu: u32,
    /// Whether a read of nothing is an empty datagram, and not the end.
    datagrams: bool,
}

impl DatagramDevice {
    /// Connects to the datagram socket at `path`.
    pub fn connect(path: &Path, mtu: u32) -> io::Result<DatagramDevice> {
        let s = UnixDatagram::unbound()?;
        s.connect(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        DatagramDevice::from_socket(s, mtu)
    }

    /// Takes a socket that is connected already.
    pub fn from_socket(s: UnixDatagram, mtu: u32) -> io::Result<DatagramDevice> {
        s.set_nonblocking(true)?;
        Ok(DatagramDevice { fd: s.into(), mtu, datagrams: true })
    }

    /// Takes over the descriptor number `fd` that this process inherited.
    pub fn inherited(fd: RawFd, mtu: u32) -> io::Result<DatagramDevice> {
        // SAFETY: only asks whether the number is an open descriptor.
        crate::sys::check(unsafe { libc::fcntl(fd, libc::F_GETFD) })
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {fd} is not open")))?;
        // SAFETY: it is open, as was just seen, and the caller hands it over by naming it. It is duplicated, so that
        // whatever else in the process believes to own the number keeps its own.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
        set_nonblocking(fd.as_raw_fd())?;
        Ok(DatagramDevice { fd, mtu, datagrams: false })
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities { medium: Medium::Ip, mtu: self.mtu, offload: None }
    }

    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<Received>> {
        match would_block(read(self.fd.as_raw_fd(), buf)) {
            // A stream or a sequence of packets that has ended: nothing will come any more.
            Ok(Some(0)) if !self.datagrams => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => Ok(n.map(|len| Received { offset: 0, len, checksum_trusted: false, partial: None, gso_size: 0 })),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn send(&mut self, t: &Transmit<'_>) -> io::Result<bool> {
        match send_with_header(self.fd.as_raw_fd(), t, false) {
            // Nobody at the other end: lost, as on a cable that is out.
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => Ok(true),
            r => r,
        }
    }
}

impl AsRawFd for DatagramDevice {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtioNetHdr;
    use std::io::IoSlice;

    #[test]
    fn a_full_socket_takes_nothing_and_a_frame_that_is_too_long_is_cut() {
        let (one, other) = UnixDatagram::pair().unwrap();
        let mut d = DatagramDevice::from_socket(one, 1_500).unwrap();
        let frame = [0x45; 1_500];
        let send = |d: &mut DatagramDevice| {
            d.send(&Transmit { pieces: &[IoSlice::new(&frame)], offload: VirtioNetHdr::default() }).unwrap()
        };
        let taken = (0..100_000).take_while(|_| send(&mut d)).count();
        assert!((1..100_000).contains(&taken), "{taken} frames, and then it was full");
        let mut buf = [0; 2_000];
        other.recv(&mut buf).unwrap();
        assert!(send(&mut d), "there is room again");
        other.send(&[0x45; 60_000]).unwrap();
        assert_eq!(d.recv(&mut buf).unwrap().map(|r| r.len), Some(buf.len()));
        assert_eq!(d.recv(&mut buf).unwrap(), None, "nothing is left of it");
    }
}
