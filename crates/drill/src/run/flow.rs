//! The conversations of a script: which packets and files belong together, and how the numbers of the script become those
//! on the wire. Each side counts from its initial sequence number in the script.

use super::settings::Settings;
use super::wire::{Body, Seen};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A conversation that the script takes part in.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// Ours; the port is 0 until it is known.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// The file that it began with.
    pub fd: Option<i32>,
    pub role: Role,
    /// Initial sequence numbers: in the script, and on the wire.
    pub local_isn: (u32, u32),
    pub remote_isn: (u32, u32),
    pub remote_isn_known: bool,
    pub local_isn_known: bool,
    /// TSval of ours: on the wire, by what the script calls it.
    pub vals: HashMap<u32, u32>,
    pub first_val: Option<(u32, u32)>,
}

/// What a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A socket that has done nothing.
    Idle,
    /// It listens: the next packet makes a child.
    Listening,
    /// It connects, was accepted, or belongs to nobody.
    Pair,
    /// Datagrams.
    Datagrams,
}

impl Flow {
    pub(super) fn new(local: SocketAddr, remote: SocketAddr, role: Role, fd: Option<i32>) -> Flow {
        Flow {
            local,
            remote,
            fd,
            role,
            local_isn: (0, 0),
            remote_isn: (0, 0),
            remote_isn_known: false,
            local_isn_known: false,
            vals: HashMap::new(),
            first_val: None,
        }
    }

    /// What to add to a number of ours in the script to have it on the wire. A SYN counts from the number itself.
    pub(super) fn local_offset(&self, syn: bool) -> u32 {
        self.local_isn.1.wrapping_sub(if syn { self.local_isn.0 } else { 0 })
    }

    /// Likewise for a number of the peer's.
    pub(super) fn remote_offset(&self, syn: bool) -> u32 {
        self.remote_isn.1.wrapping_sub(if syn { self.remote_isn.0 } else { 0 })
    }

    /// Whether both ends are known.
    pub(super) fn is_pair(&self) -> bool {
        self.role == Role::Pair && self.local.port() != 0 && self.remote.port() != 0
    }

    /// A packet of the peer's shows its initial number.
    pub(super) fn learn_remote(&mut self, script_seq: u32) {
        if !self.remote_isn_known {
            self.remote_isn = (script_seq, script_seq);
            self.remote_isn_known = true;
        }
    }

    /// A SYN of ours shows the initial number.
    pub(super) fn learn_local(&mut self, script_seq: u32, live_seq: u32) {
        if !self.local_isn_known {
            self.local_isn = (script_seq, live_seq);
            self.local_isn_known = true;
        }
    }
}

/// Ports of the peer, for connections that it opens.
const PEER_PORTS: u16 = 49_152;

/// The conversations of a script, and which of them is meant.
#[derive(Debug)]
pub(super) struct Flows {
    all: Vec<Flow>,
    /// The one that packets are about.
    under: Option<usize>,
    /// Addresses of the host, with the port that is bound, and of its peer.
    local: SocketAddr,
    remote: IpAddr,
    last_port: u16,
}

impl Flows {
    pub(super) fn new(set: &Settings) -> Flows {
        Flows {
            all: Vec::new(),
            under: None,
            local: SocketAddr::new(set.local(), set.bind_port),
            remote: set.remote(),
            last_port: PEER_PORTS,
        }
    }

    /// The one that is meant.
    pub(super) fn current(&self) -> Option<&Flow> {
        self.under.map(|u| &self.all[u])
    }

    /// From now on `i` is meant.
    pub(super) fn mean(&mut self, i: usize) -> &mut Flow {
        self.under = Some(i);
        &mut self.all[i]
    }

    /// All of them, in the order in which they began.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Flow> {
        self.all.iter()
    }

    pub(super) fn get(&self, i: usize) -> &Flow {
        &self.all[i]
    }

    fn add(&mut self, local_port: u16, remote: SocketAddr, role: Role, fd: Option<i32>) -> usize {
        self.all.push(Flow::new(SocketAddr::new(self.local.ip(), local_port), remote, role, fd));
        self.all.len() - 1
    }

    fn of_file(&mut self, fd: i32) -> Option<usize> {
        self.all.iter().rposition(|f| f.fd == Some(fd))
    }

    /// A socket was made.
    pub(super) fn began(&mut self, fd: i32, datagrams: bool) {
        let role = if datagrams { Role::Datagrams } else { Role::Idle };
        let new = self.add(0, SocketAddr::new(self.remote, 0), role, Some(fd));
        self.under = Some(new);
    }

    /// It was bound.
    pub(super) fn bound(&mut self, fd: i32, port: u16) {
        if let Some(i) = self.of_file(fd) {
            self.all[i].local.set_port(port);
        }
    }

    /// It listens.
    pub(super) fn listening(&mut self, fd: i32) {
        if let Some(i) = self.of_file(fd) {
            self.all[i].role = Role::Listening;
        }
    }

    /// Whether a file is a socket of datagrams.
    pub(super) fn is_of_datagrams(&self, fd: i32) -> bool {
        self.all.iter().rfind(|f| f.fd == Some(fd)).is_some_and(|f| f.role == Role::Datagrams)
    }

    /// It goes to `to`. Which port it has is seen on what leaves, if it was not bound.
    pub(super) fn connecting(&mut self, fd: i32, to: SocketAddr) {
        let Some(i) = self.of_file(fd) else { return };
        let f = self.mean(i);
        f.remote = SocketAddr::new(to.ip().to_canonical(), to.port());
        if f.role != Role::Datagrams {
            f.role = Role::Pair;
        }
    }

    /// The connection with `peer` is known by its file from now on. False if there is none.
    pub(super) fn accepted(&mut self, fd: i32, peer: SocketAddr) -> bool {
        let found = self.all.iter_mut().find(|f| f.remote == peer && f.role == Role::Pair);
        found.map(|f| f.fd = Some(fd)).is_some()
    }

    fn peer_port(&mut self) -> u16 {
        self.last_port = self.last_port.checked_add(1).unwrap_or(PEER_PORTS);
        self.last_port
    }

    /// The flow that a packet which arrives is for: the one with these ports, if it names them.
    pub(super) fn for_arrival(&mut self, ports: Option<(u16, u16)>) -> usize {
        if let Some((src, dst)) = ports {
            let remote = SocketAddr::new(self.remote, src);
            let found = self.all.iter().position(|f| f.local.port() == dst && f.remote == remote);
            return found.unwrap_or_else(|| self.add(dst, remote, Role::Pair, None));
        }
        let i = match self.under {
            Some(i) if self.all[i].role == Role::Listening => {
                let (local, port) = (self.all[i].local.port(), self.peer_port());
                self.add(local, SocketAddr::new(self.remote, port), Role::Pair, None)
            }
            Some(i) => i,
            None => self.add(self.local.port(), SocketAddr::new(self.remote, 0), Role::Pair, None),
        };
        if self.all[i].local.port() == 0 {
            self.all[i].local.set_port(self.local.port());
        }
        if self.all[i].remote.port() == 0 {
            let port = self.peer_port();
            self.all[i].remote.set_port(port);
            if self.all[i].role == Role::Idle {
                self.all[i].role = Role::Pair;
            }
        }
        i
    }

    /// The flow that a packet which left belongs to.
    pub(super) fn of_departure(&mut self, seen: &Seen) -> Option<usize> {
        if matches!(seen.body, Body::Icmp { .. }) {
            return self.under.filter(|u| self.all[*u].remote.ip() == seen.dst.ip());
        }
        let of_port =
            |all: &[Flow], port: u16| all.iter().rposition(|f| f.local.port() == port && f.remote == seen.dst);
        of_port(&self.all, seen.src.port()).or_else(|| {
            let i = of_port(&self.all, 0)?;
            self.all[i].local.set_port(seen.src.port());
            Some(i)
        })
    }
}
