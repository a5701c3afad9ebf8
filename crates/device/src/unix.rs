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
    /// Connects to the datagram socket at `path`. It has an address of its own, without a name in the file system, so that the
    /// other end, in the same network namespace, can answer.
    pub fn connect(path: &Path, mtu: u32) -> io::Result<DatagramDevice> {
        let s = UnixDatagram::unbound()?;
        name_itself(s.as_raw_fd())?;
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
        let datagrams = is_datagram_socket(fd.as_raw_fd());
        Ok(DatagramDevice { fd, mtu, datagrams })
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

/// Binds a Unix socket to an address that the kernel finds for it (unix(7): autobind).
fn name_itself(fd: RawFd) -> io::Result<()> {
    // SAFETY: a structure of numbers, of which all zeros is a value.
    let mut any: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    any.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let len = size_of::<libc::sa_family_t>() as libc::socklen_t;
    // SAFETY: the address is valid for the length given, which is that of the family alone.
    crate::sys::check(unsafe { libc::bind(fd, (&raw const any).cast(), len) }).map(drop)
}

/// Whether it is a socket, and of datagrams: there a read of nothing is an empty one.
fn is_datagram_socket(fd: RawFd) -> bool {
    let mut kind: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: room for a number, and its length.
    let r = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut len) };
    r == 0 && kind == libc::SOCK_DGRAM
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

    #[test]
    fn whoever_listens_at_a_path_can_answer() {
        let dir = std::env::temp_dir().join(format!("synfin-unix-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let far = UnixDatagram::bind(dir.join("far")).unwrap();
        let mut d = DatagramDevice::connect(&dir.join("far"), 1_500).unwrap();
        d.send(&Transmit { pieces: &[IoSlice::new(&[0x45; 40])], offload: VirtioNetHdr::default() }).unwrap();
        let (n, from) = far.recv_from(&mut [0; 100]).unwrap();
        far.send_to_addr(&[0x46; 30], &from).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let mut buf = [0; 100];
        assert_eq!((n, d.recv(&mut buf).unwrap().map(|r| r.len)), (40, Some(30)));
    }

    #[test]
    fn an_empty_datagram_ends_nothing_and_a_stream_that_ends_does() {
        let (one, other) = UnixDatagram::pair().unwrap();
        let mut d = DatagramDevice::inherited(one.as_raw_fd(), 1_500).unwrap();
        other.send(&[]).unwrap();
        other.send(&[0x45; 20]).unwrap();
        let lens: Vec<_> = (0..3).map(|_| d.recv(&mut [0; 100]).unwrap().map(|r| r.len)).collect();
        assert_eq!(lens, [Some(0), Some(20), None]);
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut d = DatagramDevice::inherited(one.as_raw_fd(), 1_500).unwrap();
        drop(other);
        assert_eq!(d.recv(&mut [0; 100]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
