//! The numbers of a script and those on the wire: each side counts from its initial sequence number in the script.

use std::collections::HashMap;
use std::net::SocketAddr;

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
