//! Settings of a host: sizes of its tables, and what it answers.

use crate::tcp::{Slot, TimeWaitTable};
use core::time::Duration;

/// The limits of a host. Everything that a stranger can make grow has one.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Hop limit of what we send (RFC 9293 3.9.2, MUST-49: configurable; 64 is the recommended default).
    //= RFC 9293 3.9.2 MUST-49
    pub hop_limit: u8,
    /// First and last ephemeral port (RFC 6056 3.2 recommends the whole range; this is Linux's, so that users' servers keep theirs).
    pub ephemeral_ports: (u16, u16),
    /// Connections in all, half-open and TIME-WAIT not counted. Records are numbered by 26 bits, so there are never more than
    /// 2^26 of any kind, and of TIME-WAIT half as many.
    pub max_connections: usize,
    /// Half-open connections of one listener beyond its backlog's own limit, in all.
    pub max_half_open: usize,
    /// How long a SYN for any destination waits for a decision, and how long one that is met by silence is known.
    pub decision_timeout: Duration,
    /// TIME-WAIT records; beyond it the oldest go first.
    pub max_time_wait: usize,
    /// Connections that their user has closed and their peer has not.
    pub max_orphans: usize,
    /// Answers to segments that belong to no connection, or to one in TIME-WAIT, per second and group of hosts: there are
    /// 256, by a keyed hash (RFC 5961 10 leaves the figure to us).
    pub resets_per_second: u32,
    /// ICMP errors per second (RFC 1812 4.3.2.8, RFC 4443 2.4 (f)).
    pub icmp_errors_per_second: u32,
    /// Kinds of settings of connections and listeners in use at a time, at most 65,535 (records hold a number of 16 bits).
    pub max_settings: usize,
    /// Octets of buffers that the text of all connections may hold (`tcp_mem` of Linux), beside a segment in each direction for
    /// each connection that holds nothing else. From three quarters of it on buffers do not grow any more.
    pub tcp_memory: usize,
    /// Fragments kept, in octets.
    pub fragment_memory: usize,
    /// How long fragments wait for the others (RFC 1122 3.3.2: 60 to 120 s; RFC 8200 4.5: 60 s; Linux: 30 s).
    pub fragment_timeout: Duration,
    /// Packets that wait for a link-layer address, per neighbor.
    pub neighbor_queue: usize,
    /// Neighbors remembered.
    pub max_neighbors: usize,
    /// Path MTUs remembered.
    pub max_paths: usize,
    /// Servers whose Fast Open cookies are remembered, and ways on which Fast Open failed, each.
    pub max_fast_open: usize,
    /// How long a Fast Open key makes cookies, unless keys are set; they are good as long again (RFC 7413 4.1.2).
    pub fast_open_key_life: Duration,
    /// Control packets (resets, ICMP, ARP, datagrams) waiting for the device.
    pub max_control: usize,
    /// Octets that a UDP socket holds for its user (each datagram is charged 64 octets beside its text).
    pub udp_receive_buffer: usize,
    /// Whether echo requests are answered.
    pub answer_echo: bool,
}

impl StackConfig {
    /// Tables whose records are numbered are not larger than their numbers allow.
    pub(crate) fn within_numbers(mut self) -> StackConfig {
        let numbers = Slot::NUMBERS as usize;
        self.max_connections = self.max_connections.min(numbers);
        self.max_half_open = self.max_half_open.min(numbers);
        self.max_time_wait = self.max_time_wait.min(TimeWaitTable::MOST);
        self
    }
}

impl Default for StackConfig {
    fn default() -> Self {
        StackConfig {
            hop_limit: 64,
            ephemeral_ports: (32_768, 60_999),
            max_connections: 1 << 20,
            max_half_open: 1 << 16,
            decision_timeout: Duration::from_secs(60),
            max_time_wait: 1 << 17,
            max_orphans: 1 << 14,
            resets_per_second: 1_000,
            icmp_errors_per_second: 1_000,
            max_settings: usize::from(u16::MAX),
            tcp_memory: 1 << 30,
            fragment_memory: 1 << 20,
            fragment_timeout: Duration::from_secs(30),
            neighbor_queue: 8,
            max_neighbors: 1_024,
            max_paths: 1_024,
            max_fast_open: 1_024,
            fast_open_key_life: Duration::from_secs(24 * 3600),
            max_control: 1_024,
            udp_receive_buffer: 212_992,
            answer_echo: true,
        }
    }
}
