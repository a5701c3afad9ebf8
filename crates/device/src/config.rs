//! Interfaces of the kernel: up, MTU, queue length, addresses.

use crate::sys::{ioctl, socket, wait_any, zeroed};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// What an interface is set to.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// Octets of the greatest packet.
    pub mtu: Option<u32>,
    /// Packets in the kernel's transmit queue.
    pub tx_queue: Option<u32>,
}

/// A request about the interface `name`.
pub(crate) fn request(name: &str) -> io::Result<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no interface name")));
    }
    let mut r: libc::ifreq = zeroed();
    for (to, from) in r.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(r)
}

/// Configures an interface and sets it up.
pub fn set_up(name: &str, to: &Interface) -> io::Result<()> {
    let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let fd = s.as_raw_fd();
    if let Some(mtu) = to.mtu {
        let mut r = request(name)?;
        r.ifr_ifru.ifru_mtu = mtu as libc::c_int;
        ioctl(fd, libc::SIOCSIFMTU as _, &mut r)?;
    }
    if let Some(n) = to.tx_queue {
        crate::netlink::set_tx_queue(interface_index(name)?, n)?;
    }
    set_link(name, true)
}

/// Sets an interface up or down.
pub fn set_link(name: &str, up: bool) -> io::Result<()> {
    let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut r = request(name)?;
    ioctl(s.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut r)?;
    // SAFETY: after SIOCGIFFLAGS the union holds flags.
    let flags = unsafe { r.ifr_ifru.ifru_flags };
    let bit = libc::IFF_UP as libc::c_short;
    r.ifr_ifru.ifru_flags = if up { flags | bit } else { flags & !bit };
    ioctl(s.as_raw_fd(), libc::SIOCSIFFLAGS as _, &mut r)
}

/// The MTU of an interface.
pub(crate) fn mtu(name: &str) -> io::Result<u32> {
    let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut r = request(name)?;
    ioctl(s.as_raw_fd(), libc::SIOCGIFMTU as _, &mut r)?;
    // SAFETY: after SIOCGIFMTU the union holds the MTU.
    Ok(unsafe { r.ifr_ifru.ifru_mtu } as u32)
}

/// The Ethernet address of an interface.
pub(crate) fn mac(name: &str) -> io::Result<[u8; 6]> {
    let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut r = request(name)?;
    ioctl(s.as_raw_fd(), libc::SIOCGIFHWADDR as _, &mut r)?;
    // SAFETY: after SIOCGIFHWADDR the union holds a hardware address.
    let a = unsafe { r.ifr_ifru.ifru_hwaddr };
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(a.sa_data) {
        *to = from as u8;
    }
    Ok(mac)
}

/// The number of an interface.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut r = request(name)?;
    ioctl(s.as_raw_fd(), libc::SIOCGIFINDEX as _, &mut r)?;
    // SAFETY: after SIOCGIFINDEX the union holds the index.
    Ok(unsafe { r.ifr_ifru.ifru_ifindex } as u32)
}

#[repr(C)]
#[derive(Clone, Copy)]
struct In6Ifreq {
    addr: [u8; 16],
    prefix: u32,
    index: libc::c_int,
}

/// Gives the kernel's side of an interface an address.
pub fn add_address(name: &str, addr: IpAddr, prefix: u8) -> io::Result<()> {
    match addr {
        IpAddr::V4(a) => {
            let s = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
            let set = |request_code: libc::c_ulong, a: u32| {
                let mut r = request(name)?;
                let sin = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: 0,
                    sin_addr: libc::in_addr { s_addr: a.to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_in and sockaddr have the same size, and the kernel reads the former by its family.
                r.ifr_ifru.ifru_addr = unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(sin) };
                ioctl(s.as_raw_fd(), request_code, &mut r)
            };
            set(libc::SIOCSIFADDR as _, u32::from(a))?;
            set(libc::SIOCSIFNETMASK as _, u32::MAX.checked_shl(32u32.saturating_sub(u32::from(prefix))).unwrap_or(0))
        }
        IpAddr::V6(a) => {
            let s = socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?;
            let index = interface_index(name)? as libc::c_int;
            let mut r = In6Ifreq { addr: a.octets(), prefix: u32::from(prefix), index };
            ioctl(s.as_raw_fd(), libc::SIOCSIFADDR as _, &mut r)
        }
    }
}

/// Waits until the kernel uses an address of its own, at most for `patience`: one of IPv6 is tentative for a moment, even where
/// nobody is asked whether he has it already, and what comes for it meanwhile is lost. Whether it does.
pub fn wait_for_address(addr: IpAddr, patience: Duration) -> io::Result<bool> {
    const TURN: Duration = Duration::from_millis(2);
    let mut left = patience;
    loop {
        match UdpSocket::bind((addr, 0)) {
            Ok(_) => return Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && !left.is_zero() => {
                wait_any(&mut [], Some(TURN))?;
                left = left.saturating_sub(TURN);
            }
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}
