//! What a script is played on: a host with a clock, a link, and the system calls of its programs.
//!
//! There are two: [`Direct`] is the engine in this program, [`Loaded`](super::loaded::Loaded) a stack behind packetdrill's
//! C interface. Files have the numbers of the script.

use super::commands::Refused;
use super::flow::Flow;
use super::settings::Settings;
use super::sysctls::{fast_open_keys, sysctl};
use crate::host::{Crossed, Host, Sent};
use crate::sockets::{Received, Result, Sockets, info_fields};
use std::net::SocketAddr;
use synfin_stack::Cidr;
use synfin_stack::engine::config::WindowProbe;
use synfin_stack::engine::{Instant, State, Status};
use synfin_stack::wire::SeqNum;

/// The fields of `tcp_info`, by their names.
pub(super) type Info = Vec<(&'static str, u64)>;

/// A stack to play scripts on. A call that would wait, and may, fails with `EAGAIN` and is made again with the same
/// arguments when something has happened, until it fails no more.
pub(super) trait Machine {
    // The clock, the link, the settings.

    /// The time.
    fn now(&self) -> Instant;
    /// When the call that was made last returned.
    fn returned_at(&self) -> Instant {
        self.now()
    }
    /// The clock moves to `to`, or to something that happens before. True if it is `to` now.
    fn step(&mut self, to: Instant) -> bool;
    /// A packet arrives.
    fn deliver(&mut self, packet: &[u8]);
    /// The next packet that left; if there is none, the clock moves as in [`Machine::step`].
    fn next_sent(&mut self, until: Instant) -> Option<Sent>;
    /// Puts back what [`Machine::next_sent`] gave.
    fn put_back(&mut self, sent: Sent);
    /// From here on what leaves is told apart from what left before.
    fn mark(&mut self);
    /// What left until now and was not taken, each with whether it left before the mark.
    fn left_over(&mut self) -> Vec<(Sent, bool)>;
    /// Sets a sysctl, for sockets that are made from now on.
    fn sysctl(&mut self, key: &str, value: &str) -> std::result::Result<(), Refused>;
    /// What no sysctl says is to be as Linux has it.
    fn like_linux(&mut self) {}

    /// A call waits and can be made to return by nothing that is here.
    fn is_stuck(&self) -> bool {
        false
    }

    // What is seen of it.

    /// `TCP_INFO` of a file.
    fn info(&mut self, fd: i32) -> Option<Info>;
    /// The state of a conversation in a line, with the numbers of the script: also before there is a file for it, and
    /// when there is none any more.
    fn describe(&mut self, flow: &Flow) -> Option<String>;
    /// What it did last.
    fn journal(&self) -> Vec<String> {
        Vec::new()
    }
    /// How many packets have crossed the link, where that is known before they are taken.
    fn crossed_so_far(&self) -> Option<usize> {
        None
    }
    /// Every packet that crossed the link.
    fn crossed(&mut self) -> Vec<Crossed>;

    // The calls.

    /// Whether there is such a file.
    fn has_file(&self, fd: i32) -> bool;
    /// Whether calls on it wait.
    fn is_blocking(&self, fd: i32) -> bool;
    fn socket(&mut self, new: i32, domain: i32, kind: i32, protocol: i32) -> Result<()>;
    fn bind(&mut self, fd: i32, addr: SocketAddr) -> Result<()>;
    fn listen(&mut self, fd: i32, backlog: i32) -> Result<()>;
    fn accept(&mut self, fd: i32, new: i32, flags: i32) -> Result<SocketAddr>;
    /// Begins to connect, and fails with `EINPROGRESS` if that takes time.
    fn connect(&mut self, fd: i32, to: Option<SocketAddr>) -> Result<()>;
    /// What became of that; `EAGAIN` while it goes on.
    fn connected(&mut self, fd: i32) -> Result<()>;
    /// `read`, or `recv` and its kin if there are flags.
    fn receive(&mut self, fd: i32, len: usize, flags: Option<i32>) -> Result<Received>;
    /// How many octets were taken; of a call that waits perhaps not all.
    fn send(&mut self, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>) -> Result<usize>;
    fn shutdown(&mut self, fd: i32, how: i32) -> Result<()>;
    fn close(&mut self, fd: i32) -> Result<()>;
    fn fcntl(&mut self, fd: i32, cmd: i32, arg: i32) -> Result<i32>;
    fn ioctl(&mut self, fd: i32, request: u64) -> Result<i32>;
    fn getsockopt(&mut self, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>>;
    fn setsockopt(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()>;
    /// `poll` with a timeout in milliseconds: `EAGAIN` if nothing is ready; all zeros if nothing became so in time.
    fn poll(&mut self, fds: &[(i32, i16)], ms: i32) -> Result<Vec<i16>>;
    fn epoll_create(&mut self, new: i32) -> Result<()>;
    fn epoll_ctl(&mut self, ep: i32, op: i32, fd: i32, events: u32, data: u64) -> Result<()>;
    /// Like [`Machine::poll`].
    fn epoll_wait(&mut self, ep: i32, most: usize, ms: i32) -> Result<Vec<(u32, u64)>>;
}

/// A host of ours in this program.
pub(super) struct Direct {
    host: Host,
    sockets: Sockets,
    /// How many packets had left at the mark.
    mark: usize,
}

impl Direct {
    pub(super) fn new(set: &Settings) -> Direct {
        let local = set.local();
        let prefix = if local.is_ipv4() { 16 } else { 64 };
        let host = Host::new(&[Cidr { addr: local, prefix }], set.mtu, set.tcp.clone());
        Direct { host, sockets: Sockets::default(), mark: 0 }
    }
}

impl Machine for Direct {
    fn now(&self) -> Instant {
        self.host.now()
    }

    fn step(&mut self, to: Instant) -> bool {
        self.host.step(to.max(self.host.now()))
    }

    fn deliver(&mut self, packet: &[u8]) {
        self.host.deliver(packet);
    }

    fn next_sent(&mut self, until: Instant) -> Option<Sent> {
        let sent = self.host.take_sent();
        if sent.is_none() && self.now() < until {
            self.step(until);
        }
        sent
    }

    fn put_back(&mut self, sent: Sent) {
        self.host.put_back(sent);
    }

    fn mark(&mut self) {
        self.mark = self.host.sent_in_all();
    }

    fn left_over(&mut self) -> Vec<(Sent, bool)> {
        self.host.sent().map(|s| (s.clone(), s.number < self.mark)).collect()
    }

    fn sysctl(&mut self, key: &str, value: &str) -> std::result::Result<(), Refused> {
        if key == "net.ipv4.tcp_fastopen_key" {
            let malformed = || Refused::Failed(format!("{key}={value}: expected four words of hexadecimal digits"));
            self.host.set_fast_open_keys(fast_open_keys(value).ok_or_else(malformed)?);
            return Ok(());
        }
        sysctl(&mut self.host.tcp, key, value)?;
        match self.host.obey_host_settings(self.sockets.is_empty()) {
            true => Ok(()),
            false => Err(Refused::too_late(key, value)),
        }
    }

    fn like_linux(&mut self) {
        // Linux counts all that is acknowledged in slow start, probes windows with segments that have no text, with AccECN
        // marks acknowledgments as well, and lets the first SYNs follow each other without backing off.
        (self.host.tcp.slow_start_limit, self.host.tcp.window_probe) = (u8::MAX, WindowProbe::Empty);
        (self.host.tcp.ecn_control, self.host.tcp.syn_linear) = (true, 4);
    }

    fn info(&mut self, fd: i32) -> Option<Info> {
        self.sockets.status(&self.host, fd).map(|s| info_fields(&s, &self.host.tcp, self.host.now()))
    }

    fn describe(&mut self, flow: &Flow) -> Option<String> {
        let of_file = flow.fd.and_then(|fd| self.sockets.status(&self.host, fd));
        // A file that has nothing any more may stand for a connection that goes on, or for nothing at all.
        let of_pair = || self.host.status_of(flow.local, flow.remote);
        let known = of_file.filter(|s| s.state != State::Closed).or_else(of_pair).or(of_file);
        known.map_or_else(
            || flow.is_pair().then(|| "CLOSED (there is no connection)".into()),
            |s| Some(describe(&s, flow)),
        )
    }

    fn journal(&self) -> Vec<String> {
        self.host.journal().map(str::to_string).collect()
    }

    fn crossed_so_far(&self) -> Option<usize> {
        Some(self.host.crossed.len())
    }

    fn crossed(&mut self) -> Vec<Crossed> {
        std::mem::take(&mut self.host.crossed)
    }

    fn has_file(&self, fd: i32) -> bool {
        self.sockets.contains(fd)
    }

    fn is_blocking(&self, fd: i32) -> bool {
        self.sockets.is_blocking(fd)
    }

    fn socket(&mut self, new: i32, domain: i32, kind: i32, protocol: i32) -> Result<()> {
        self.sockets.socket(&self.host, new, domain, kind, protocol)
    }

    fn bind(&mut self, fd: i32, addr: SocketAddr) -> Result<()> {
        self.sockets.bind(&mut self.host, fd, addr)
    }

    fn listen(&mut self, fd: i32, backlog: i32) -> Result<()> {
        self.sockets.listen(&mut self.host, fd, backlog)
    }

    fn accept(&mut self, fd: i32, new: i32, flags: i32) -> Result<SocketAddr> {
        self.sockets.accept(&mut self.host, fd, new, flags)
    }

    fn connect(&mut self, fd: i32, to: Option<SocketAddr>) -> Result<()> {
        self.sockets.connect(&mut self.host, fd, to)
    }

    fn connected(&mut self, fd: i32) -> Result<()> {
        self.sockets.connected(&mut self.host, fd)
    }

    fn receive(&mut self, fd: i32, len: usize, flags: Option<i32>) -> Result<Received> {
        self.sockets.receive(&mut self.host, fd, len, flags.unwrap_or(0))
    }

    fn send(&mut self, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>) -> Result<usize> {
        self.sockets.send(&mut self.host, fd, data, flags, to)
    }

    fn shutdown(&mut self, fd: i32, how: i32) -> Result<()> {
        self.sockets.shutdown(&mut self.host, fd, how)
    }

    fn close(&mut self, fd: i32) -> Result<()> {
        self.sockets.close(&mut self.host, fd)
    }

    fn fcntl(&mut self, fd: i32, cmd: i32, arg: i32) -> Result<i32> {
        self.sockets.fcntl(fd, cmd, arg)
    }

    fn ioctl(&mut self, fd: i32, request: u64) -> Result<i32> {
        self.sockets.ioctl(&self.host, fd, request)
    }

    fn getsockopt(&mut self, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>> {
        self.sockets.getsockopt(&mut self.host, fd, level, name, len)
    }

    fn setsockopt(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()> {
        self.sockets.setsockopt(&mut self.host, fd, level, name, value)
    }

    fn poll(&mut self, fds: &[(i32, i16)], _: i32) -> Result<Vec<i16>> {
        self.sockets.poll(&self.host, fds)
    }

    fn epoll_create(&mut self, new: i32) -> Result<()> {
        self.sockets.epoll_create(new);
        Ok(())
    }

    fn epoll_ctl(&mut self, ep: i32, op: i32, fd: i32, events: u32, data: u64) -> Result<()> {
        self.sockets.epoll_ctl(ep, op, fd, events, data)
    }

    fn epoll_wait(&mut self, ep: i32, most: usize, _: i32) -> Result<Vec<(u32, u64)>> {
        self.sockets.epoll_wait(&self.host, ep, most)
    }
}

fn describe(s: &Status, flow: &Flow) -> String {
    let since = |n: SeqNum, by: u32| n.0.wrapping_sub(by);
    // A SYN counts from the number that the script gives it, what follows from there.
    let (local, remote) = (flow.local_offset(false), flow.remote_offset(false));
    let (una, nxt, rcv) = s.seq;
    let mut line = s.state.to_string();
    // The record of TIME-WAIT has no more than this.
    if s.state == State::TimeWait {
        return format!("{line} SND.NXT {} RCV.NXT {}", since(nxt, local), since(rcv, remote));
    }
    // Numbers that are not known yet are no numbers.
    let known = flow.local_isn_known && !matches!(s.state, State::Closed | State::Listen | State::SynSent);
    if known {
        line += &format!(
            " SND.UNA {} SND.NXT {} SND.WND {} RCV.NXT {} RCV.WND {}",
            since(una, local),
            since(nxt, local),
            s.snd_wnd,
            since(rcv, remote),
            s.rcv_wnd
        );
    }
    // Nor has one that is half-open more than that.
    if known && s.cwnd > 0 {
        let ssthresh = if s.ssthresh >= 1 << 30 { "none".to_string() } else { s.ssthresh.to_string() };
        line += &format!(
            " cwnd {} ssthresh {ssthresh} rto {} ms back-off {} unsent {} unread {}",
            s.cwnd,
            s.rto_us / 1_000,
            s.backoff,
            s.notsent,
            s.rcv_queued
        );
    }
    line
}
