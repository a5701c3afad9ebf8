//! The stage of a scene: the link, our host on it, and the other end.

use super::side::Side;
use crate::namespace::{self, KERNEL};
use crate::output::complain;
use crate::recorder::Recorder;
use std::io;
use std::net::IpAddr;
use synfin::device::{Device, PacketSocket, Tun, add_address, memory_pair, netns};
use synfin::{Stack, TcpConfig};

/// What stands at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    /// The best that this machine allows
    Auto,
    /// The kernel, over a TUN
    Tun,
    /// The kernel, over a veth and a packet socket
    Veth,
    /// Another host of ours, in memory
    Memory,
}

/// The other end's address (the kernel's), and ours.
pub(crate) const THEIRS: IpAddr = KERNEL[0].0;
pub(crate) const OURS: IpAddr = namespace::OURS[0].0;

/// Enters the namespace, if there is to be one, tries the link, and says what will be used.
pub(crate) fn enter(wanted: Backend) -> io::Result<Backend> {
    let in_memory = |e: io::Error| {
        complain(e);
        complain("the scenes are played between two hosts of synfin, in memory");
        Ok(Backend::Memory)
    };
    if wanted == Backend::Memory {
        return Ok(wanted);
    }
    match netns::enter_new() {
        Ok(()) => {}
        Err(e) if wanted == Backend::Auto => return in_memory(e),
        Err(e) => return Err(or_try(&e, "--backend memory")),
    }
    if wanted != Backend::Veth {
        match tun("synfin-try") {
            Ok(_) => return Ok(Backend::Tun),
            Err(e) if wanted == Backend::Tun => return Err(or_try(&e, "--backend veth or --backend memory")),
            Err(e) => complain(format_args!("{e}; a veth and a packet socket are used instead")),
        }
    }
    match veth() {
        Ok(_) => Ok(Backend::Veth),
        Err(e) if wanted == Backend::Auto => in_memory(e),
        Err(e) => Err(or_try(&e, "--backend memory")),
    }
}

fn or_try(e: &io::Error, instead: &str) -> io::Error {
    io::Error::new(e.kind(), format!("{e}; or try {instead}"))
}

fn tun(name: &str) -> io::Result<Tun> {
    namespace::tun(name, false, 1500)
}

fn veth() -> io::Result<PacketSocket> {
    namespace::veth(&KERNEL[..1])
}

/// A stage.
pub(crate) struct Rig {
    backend: Backend,
    pub rec: Recorder,
    pub real_time: bool,
    host: Option<Stack>,
    other: Option<Stack>,
}

impl Rig {
    pub fn new(backend: Backend, rec: Recorder, real_time: bool) -> Rig {
        Rig { backend, rec, real_time, host: None, other: None }
    }

    /// Whether the kernel is at the other end.
    pub fn has_kernel(&self) -> bool {
        self.backend != Backend::Memory
    }

    /// Sets the stage: our end, and the other.
    pub fn set(&mut self, tcp: TcpConfig) -> io::Result<(Stack, Side)> {
        self.stop();
        let device = match self.backend {
            Backend::Auto | Backend::Tun => {
                let t = tun("synfin0")?;
                add_address("synfin0", THEIRS, 24)?;
                Device::Tun(t)
            }
            Backend::Veth => Device::Packet(veth()?),
            Backend::Memory => {
                let (a, b) = memory_pair(1500, false)?;
                let other = Stack::builder().address(&format!("{THEIRS}/24"))?.start(Device::Memory(b))?;
                self.other = Some(other);
                Device::Memory(a)
            }
        };
        self.rec.set_ours(&[OURS], self.backend == Backend::Veth);
        let host = Stack::builder()
            .address(&format!("{OURS}/24"))?
            .tcp(tcp)
            .observer(Box::new(self.rec.clone()))
            .packet_log(Box::new(self.rec.clone()))
            .start(device)?;
        self.host = Some(host.clone());
        Ok((host, self.other.clone().map_or(Side::Kernel, Side::Ours)))
    }

    /// Takes the stage down.
    pub fn stop(&mut self) {
        self.host = None;
        self.other = None;
    }

    /// What the kernel says of its end.
    pub fn check_kernel(&self) {
        if self.has_kernel() {
            self.rec.check_kernel();
        }
    }
}
