//! Links as they are named on the command line: what a path lies between, and what a host of ours is on.

use crate::{
    DatagramDevice, Device, Interface, Layer, PacketSocket, Tun, TunOptions, add_address, netns, set_up,
    wait_for_address,
};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A link that is to be opened: `tun:NAME`, `tap:NAME`, `packet:IFACE`, `fd:N` or `unix:PATH`, with options behind commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    words: String,
    kind: Kind,
    offload: bool,
    mtu: u32,
    /// Addresses of the kernel's side.
    host: Vec<(IpAddr, u8)>,
    /// The network namespace that the interface is in.
    netns: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Tun(String),
    Tap(String),
    Packet(String),
    Fd(i32),
    Unix(PathBuf),
}

impl LinkSpec {
    /// Reads one. The error says what is wrong, and what would be right.
    pub fn parse(s: &str) -> Result<LinkSpec, String> {
        let mut parts = s.split(',');
        let words = parts.next().unwrap_or_default();
        let (kind, target) = words.split_once(':').filter(|(_, t)| !t.is_empty()).ok_or_else(|| unknown(words))?;
        let kind = match kind {
            "tun" => Kind::Tun(target.into()),
            "tap" => Kind::Tap(target.into()),
            "packet" => Kind::Packet(target.into()),
            "fd" => Kind::Fd(target.parse().map_err(|_| format!("fd:{target}: not the number of a descriptor"))?),
            "unix" => Kind::Unix(target.into()),
            _ => return Err(unknown(words)),
        };
        let mut spec = LinkSpec { words: words.into(), kind, offload: true, mtu: 1_500, host: Vec::new(), netns: None };
        for option in parts {
            spec.option(option).map_err(|e| format!("{words}: {e}"))?;
        }
        Ok(spec)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (key, value) = option.split_once('=').ok_or_else(|| format!("{option:?} is not KEY=VALUE"))?;
        let interface = matches!(self.kind, Kind::Tun(_) | Kind::Tap(_));
        match key {
            "offload" => {
                self.offload = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err("offload is on or off".into()),
                }
            }
            "mtu" => {
                self.mtu = value
                    .parse()
                    .ok()
                    .filter(|n| (68..=65_535).contains(n))
                    .ok_or_else(|| format!("mtu: {value:?} is not within 68..=65535"))?;
            }
            "host" if interface => {
                let bad = || format!("host: {value:?} is no address with a prefix, like 192.0.2.1/24");
                let (addr, prefix) = value.split_once('/').ok_or_else(bad)?;
                let addr: IpAddr = addr.parse().map_err(|_| bad())?;
                let most = if addr.is_ipv4() { 32 } else { 128 };
                let prefix = prefix.parse().ok().filter(|p| *p <= most).ok_or_else(bad)?;
                self.host.push((addr, prefix));
            }
            "netns" if interface || matches!(self.kind, Kind::Packet(_)) => {
                let is_pid = value.bytes().all(|b| b.is_ascii_digit());
                self.netns = Some(if is_pid { format!("/proc/{value}/ns/net") } else { value.to_string() }.into());
            }
            "host" | "netns" => return Err(format!("{key} is for interfaces")),
            _ => return Err(format!("unknown option {key:?}; there are host, mtu, netns and offload")),
        }
        Ok(())
    }

    /// With this MTU, if the interface is created or the link has none of its own.
    pub fn with_mtu(mut self, mtu: u32) -> LinkSpec {
        self.mtu = mtu;
        self
    }

    /// How it was named, without options.
    pub fn name(&self) -> &str {
        &self.words
    }

    /// Opens it.
    pub fn open(&self) -> io::Result<Device> {
        let opened = match &self.netns {
            Some(ns) => netns::within(ns, || self.open_here())?,
            None => self.open_here(),
        };
        opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.words)))
    }

    fn open_here(&self) -> io::Result<Device> {
        let tun = |name: &str, layer| {
            let o = TunOptions { name: name.into(), layer, offload: self.offload, mtu: self.mtu };
            let tun = Tun::open(&o)?;
            for (addr, prefix) in &self.host {
                add_address(name, *addr, *prefix)?;
            }
            if !self.host.is_empty() {
                // An interface that was there already may be down.
                set_up(name, &Interface::default())?;
            }
            // On a TAP it may take seconds to find out whether somebody has an address: that is not waited for.
            for (addr, _) in self.host.iter().filter(|_| layer == Layer::Ip) {
                wait_for_address(*addr, Duration::from_millis(200))?;
            }
            Ok(Device::Tun(tun))
        };
        match &self.kind {
            Kind::Tun(name) => tun(name, Layer::Ip),
            Kind::Tap(name) => tun(name, Layer::Ethernet),
            Kind::Packet(name) => PacketSocket::open(name, self.offload).map(Device::Packet),
            Kind::Fd(fd) => DatagramDevice::inherited(*fd, self.mtu).map(Device::Datagram),
            Kind::Unix(path) => DatagramDevice::connect(path, self.mtu).map(Device::Datagram),
        }
    }
}

fn unknown(words: &str) -> String {
    format!("{words:?} is no link: tun:NAME, tap:NAME, packet:IFACE, fd:N and unix:PATH are")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_with_their_options() {
        let l = LinkSpec::parse("tun:a,host=192.0.2.1/24,host=fd00::1/64,offload=off,mtu=9000,netns=17").unwrap();
        assert_eq!((l.name(), l.offload, l.mtu, l.host.len()), ("tun:a", false, 9_000, 2));
        assert_eq!(l.netns, Some("/proc/17/ns/net".into()));
        assert_eq!(LinkSpec::parse("unix:/a/b").unwrap().kind, Kind::Unix("/a/b".into()));
        assert_eq!(LinkSpec::parse("fd:3").unwrap().kind, Kind::Fd(3));
    }

    #[test]
    fn a_mistake_is_named() {
        for (s, words) in [
            ("tun", "\"tun\" is no link"),
            ("tun:", "\"tun:\" is no link"),
            ("wifi:a", "\"wifi:a\" is no link"),
            ("fd:x", "fd:x: not the number of a descriptor"),
            ("tun:a,host=1.2.3.4", "tun:a: host: \"1.2.3.4\" is no address with a prefix"),
            ("tun:a,host=1.2.3.4/33", "tun:a: host: \"1.2.3.4/33\" is no address"),
            ("fd:3,host=1.2.3.4/8", "fd:3: host is for interfaces"),
            ("tun:a,mtu=9", "tun:a: mtu: \"9\" is not within"),
            ("tun:a,offload=maybe", "tun:a: offload is on or off"),
            ("tun:a,x=1", "tun:a: unknown option \"x\"; there are host, mtu, netns and offload"),
            ("tun:a,x", "tun:a: \"x\" is not KEY=VALUE"),
        ] {
            let e = LinkSpec::parse(s).unwrap_err();
            assert!(e.starts_with(words), "{e}");
        }
    }
}
