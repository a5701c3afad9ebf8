//! A network of one's own, without root: a fresh user and network namespace with the kernel at one end of a link.

use crate::output::complain;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use synfin::device::{
    Device, Layer, PacketSocket, Tun, TunOptions, add_address, add_veth, interface_index, netns, wait_for_address,
};

/// The kernel's addresses in it, and ours, with the lengths of their prefixes.
pub(crate) const KERNEL: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 24), (IpAddr::V6(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1)), 64)];
pub(crate) const OURS: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 24), (IpAddr::V6(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 2)), 64)];

/// Those of the addresses that a link of this MTU carries: the kernel has no IPv6 where a packet of 1280 octets does not fit.
//= RFC 8200 5
pub(crate) fn fitting(all: &[(IpAddr, u8)], mtu: u32) -> Vec<(IpAddr, u8)> {
    all.iter().filter(|(a, _)| a.is_ipv4() || mtu >= LEAST_V6).copied().collect()
}

/// Octets that every link of IPv6 carries at once.
pub(crate) const LEAST_V6: u32 = 1_280;

/// Enters one, and opens our end of the link. Only before the first thread is started.
pub(crate) fn open(mtu: u32) -> io::Result<Device> {
    netns::enter_new()?;
    let kernel = fitting(&KERNEL, mtu);
    let device = open_here(mtu, &kernel)?;
    for (addr, _) in kernel {
        wait_for_address(addr, Duration::from_secs(2))?;
    }
    Ok(device)
}

fn open_here(mtu: u32, kernel: &[(IpAddr, u8)]) -> io::Result<Device> {
    match tun("synfin0", true, mtu) {
        Ok(t) => {
            for (addr, prefix) in kernel {
                add_address("synfin0", *addr, *prefix)?;
            }
            Ok(Device::Tun(t))
        }
        Err(e) => {
            complain(format_args!("{e}; a veth and a packet socket are used instead"));
            // Nobody else is there to have the kernel's address: it need not wait to find out. (Where this cannot be
            // written, it does.)
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
            veth(kernel).map(Device::Packet)
        }
    }
}

/// A TUN.
pub(crate) fn tun(name: &str, offload: bool, mtu: u32) -> io::Result<Tun> {
    Tun::open(&TunOptions { name: name.into(), layer: Layer::Ip, offload, mtu })
}

/// A packet socket on a veth, which is made once and left there: its addresses stay with the kernel's side.
pub(crate) fn veth(kernel: &[(IpAddr, u8)]) -> io::Result<PacketSocket> {
    if interface_index("synfin0").is_err() {
        add_veth("synfin0", "synfin1")
            .and_then(|()| kernel.iter().try_for_each(|(addr, prefix)| add_address("synfin0", *addr, *prefix)))
            .map_err(|e| io::Error::new(e.kind(), format!("no veth: {e}; as root: modprobe veth")))?;
    }
    // With offload: the kernel leaves the checksums of what crosses a veth to the one who reads it.
    PacketSocket::open("synfin1", true)
}

/// The command that leads a program into the namespace of this process.
pub(crate) fn way_in() -> String {
    format!("nsenter --preserve-credentials -U -n -t {}", std::process::id())
}
