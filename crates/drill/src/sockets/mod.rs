//! The system calls of sockets on a [`Host`], with the results and errors that Linux gives. Numbers of files are the
//! caller's: the runner takes those of the script, the adapter those of real files.

mod info;
mod io;
mod options;
mod poll;

pub use info::{info_bytes, info_fields, info_of, state_of_number};
pub use io::Received;

use crate::host::Host;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use synfin_stack::engine::{CloseReason, State, TcpConfig};
use synfin_stack::{ConnId, ConnectError, ListenError, ListenerId, UdpError, UdpId};

/// Why a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// With this `errno`. `EAGAIN` also means that a blocking call would wait.
    Errno(i32),
    /// It is not there: the script cannot be judged.
    Unsupported(String),
    /// No program can make such a call: the script is wrong.
    Wrong(String),
}

impl From<i32> for Refusal {
    fn from(errno: i32) -> Refusal {
        Refusal::Errno(errno)
    }
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Refusal>;

fn unsupported<T>(what: impl Into<String>) -> Result<T> {
    Err(Refusal::Unsupported(what.into()))
}

#[derive(Debug)]
enum Phase {
    Idle,
    Listening(ListenerId),
    Open(ConnId),
    /// It failed to open, or was disconnected.
    Gone,
}

#[derive(Debug)]
struct TcpSocket {
    ipv6: bool,
    nonblocking: bool,
    cfg: TcpConfig,
    local: Option<SocketAddr>,
    phase: Phase,
    /// The error that a connection ended with was told.
    error_told: bool,
    /// A connect call was made and its success not yet told.
    connecting: bool,
    read_shut: bool,
    write_shut: bool,
    /// Text went without a copy, and Linux would say on the error queue when that is done: who looks there, or polls, would
    /// see it.
    completions: bool,
    /// Values of options that change nothing here, as they were set.
    remembered: BTreeMap<(i32, i32), Vec<u8>>,
}

#[derive(Debug)]
struct UdpSocket {
    ipv6: bool,
    nonblocking: bool,
    id: Option<UdpId>,
    read_shut: bool,
}

#[derive(Debug)]
enum File {
    Tcp(Box<TcpSocket>),
    Udp(UdpSocket),
    Epoll(poll::Epoll),
}

/// The files of a program.
#[derive(Debug, Default)]
pub struct Sockets {
    files: BTreeMap<i32, File>,
}

/// The errno of a connection that ended, if that is an error.
fn errno_of(reason: CloseReason) -> Option<i32> {
    match reason {
        CloseReason::Refused => Some(libc::ECONNREFUSED),
        CloseReason::Reset => Some(libc::ECONNRESET),
        CloseReason::TimedOut => Some(libc::ETIMEDOUT),
        CloseReason::HostUnreachable => Some(libc::EHOSTUNREACH),
        CloseReason::NetUnreachable => Some(libc::ENETUNREACH),
        CloseReason::Finished | CloseReason::Aborted | CloseReason::DataAfterClose => None,
    }
}

fn connect_errno(e: ConnectError) -> i32 {
    match e {
        ConnectError::NoRoute => libc::ENETUNREACH,
        ConnectError::AddressNotAvailable | ConnectError::NoPort => libc::EADDRNOTAVAIL,
        ConnectError::AddressInUse => libc::EADDRINUSE,
        ConnectError::TableFull => libc::ENOMEM,
        ConnectError::InvalidDestination => libc::EINVAL,
    }
}

impl TcpSocket {
    /// A connection is being opened for it.
    fn opened(&mut self, h: &Host, id: ConnId) {
        self.phase = Phase::Open(id);
        self.local = h.stack.tcp_tuple(id).map(|t| t.local);
        (self.connecting, self.error_told) = (true, false);
    }
}

impl Sockets {
    fn tcp(&mut self, fd: i32) -> Result<&mut TcpSocket> {
        match self.files.get_mut(&fd) {
            Some(File::Tcp(t)) => Ok(t),
            Some(_) => Err(libc::EOPNOTSUPP.into()),
            None => Err(libc::EBADF.into()),
        }
    }

    /// `socket`.
    pub fn socket(&mut self, h: &Host, fd: i32, domain: i32, kind: i32, protocol: i32) -> Result<()> {
        let ipv6 = match domain {
            libc::AF_INET => false,
            libc::AF_INET6 => true,
            _ => return Err(libc::EAFNOSUPPORT.into()),
        };
        let nonblocking = kind & libc::SOCK_NONBLOCK != 0;
        let file = match (kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC), protocol) {
            (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => File::Tcp(Box::new(TcpSocket {
                ipv6,
                nonblocking,
                cfg: h.tcp.clone(),
                local: None,
                phase: Phase::Idle,
                error_told: false,
                connecting: false,
                read_shut: false,
                write_shut: false,
                completions: false,
                remembered: BTreeMap::new(),
            })),
            (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => {
                File::Udp(UdpSocket { ipv6, nonblocking, id: None, read_shut: false })
            }
            (libc::SOCK_STREAM | libc::SOCK_DGRAM, p) => return unsupported(format!("protocol {p}")),
            _ => return Err(libc::ESOCKTNOSUPPORT.into()),
        };
        self.files.insert(fd, file);
        Ok(())
    }

    /// Whether calls on `fd` wait.
    pub fn is_blocking(&self, fd: i32) -> bool {
        match self.files.get(&fd) {
            Some(File::Tcp(t)) => !t.nonblocking,
            Some(File::Udp(u)) => !u.nonblocking,
            _ => false,
        }
    }

    /// Whether addresses of `fd` are IPv6's (those of IPv4 then are mapped).
    pub fn is_ipv6(&self, fd: i32) -> bool {
        match self.files.get(&fd) {
            Some(File::Tcp(t)) => t.ipv6,
            Some(File::Udp(u)) => u.ipv6,
            _ => false,
        }
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether there is such a file.
    pub fn contains(&self, fd: i32) -> bool {
        self.files.contains_key(&fd)
    }

    /// `bind`.
    pub fn bind(&mut self, h: &mut Host, fd: i32, addr: SocketAddr) -> Result<()> {
        let ip = addr.ip().to_canonical();
        if !ip.is_unspecified() && !h.stack.has_address(ip) {
            return Err(libc::EADDRNOTAVAIL.into());
        }
        match self.files.get_mut(&fd) {
            Some(File::Tcp(t)) if t.local.is_none() => {
                t.local = Some(SocketAddr::new(ip, addr.port()));
                Ok(())
            }
            Some(File::Udp(u)) if u.id.is_none() => {
                u.id = Some(h.stack.udp_bind(SocketAddr::new(ip, addr.port())).map_err(udp_errno)?);
                Ok(())
            }
            Some(File::Tcp(_) | File::Udp(_)) => Err(libc::EINVAL.into()),
            Some(File::Epoll(_)) => Err(libc::ENOTSOCK.into()),
            None => Err(libc::EBADF.into()),
        }
    }

    /// `listen`. Linux's accept queue holds one connection more than the backlog says.
    pub fn listen(&mut self, h: &mut Host, fd: i32, backlog: i32) -> Result<()> {
        let t = self.tcp(fd)?;
        match t.phase {
            Phase::Idle | Phase::Gone => {}
            Phase::Listening(_) => return Ok(()),
            Phase::Open(_) => return Err(libc::EINVAL.into()),
        }
        let any: IpAddr = if t.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let local = t.local.unwrap_or(SocketAddr::new(any, 0));
        let backlog = usize::try_from(backlog).unwrap_or(4_096).saturating_add(1);
        let id = h.with(|s, now, w| s.tcp_listen(now, w, local, backlog, &t.cfg)).map_err(|e| match e {
            ListenError::AddressInUse => libc::EADDRINUSE,
            ListenError::AddressNotAvailable => libc::EADDRNOTAVAIL,
            ListenError::TableFull => libc::ENOMEM,
        })?;
        t.phase = Phase::Listening(id);
        Ok(())
    }

    /// `accept`: the new connection becomes `new`.
    pub fn accept(&mut self, h: &mut Host, fd: i32, new: i32, flags: i32) -> Result<SocketAddr> {
        let t = self.tcp(fd)?;
        let Phase::Listening(l) = t.phase else { return Err(libc::EINVAL.into()) };
        let Some(id) = h.stack.tcp_accept(l) else { return Err(libc::EAGAIN.into()) };
        let (ipv6, cfg, remembered) = (t.ipv6, t.cfg.clone(), t.remembered.clone());
        let tuple = h.stack.tcp_tuple(id);
        let child = TcpSocket {
            ipv6,
            nonblocking: flags & libc::SOCK_NONBLOCK != 0,
            cfg,
            local: tuple.map(|t| t.local),
            phase: Phase::Open(id),
            error_told: false,
            connecting: false,
            read_shut: false,
            write_shut: false,
            completions: false,
            remembered,
        };
        self.files.insert(new, File::Tcp(Box::new(child)));
        tuple.map(|t| t.remote).ok_or(Refusal::Errno(libc::ECONNABORTED))
    }

    /// `connect`; without an address, as with `AF_UNSPEC`, it disconnects. The first call on a stream begins, and fails
    /// with `EINPROGRESS`; [`Sockets::connected`] says what became of it.
    pub fn connect(&mut self, h: &mut Host, fd: i32, to: Option<SocketAddr>) -> Result<()> {
        let to = to.map(|a| SocketAddr::new(a.ip().to_canonical(), a.port()));
        if let Some(File::Udp(_)) = self.files.get(&fd) {
            let u = self.udp(h, fd)?;
            return h.with(|s, now, _| s.udp_connect(now, u, to)).map_err(|e| udp_errno(e).into());
        }
        let t = self.tcp(fd)?;
        let Some(to) = to else {
            if let Phase::Open(id) = t.phase {
                h.with(|s, now, w| s.tcp_abort(now, w, id));
            }
            t.phase = Phase::Idle;
            return Ok(());
        };
        match t.phase {
            Phase::Listening(_) => return Err(libc::EISCONN.into()),
            Phase::Open(_) if t.connecting => {
                return match self.connected(h, fd) {
                    Err(Refusal::Errno(libc::EAGAIN)) => Err(libc::EALREADY.into()),
                    other => other,
                };
            }
            Phase::Open(_) => return Err(libc::EISCONN.into()),
            Phase::Idle | Phase::Gone => {}
        }
        let opened = h.with(|s, now, w| s.tcp_connect(now, w, t.local, to, &t.cfg));
        let id = opened.map_err(connect_errno)?;
        t.opened(h, id);
        // The first text goes with the SYN: until there is some nothing is in progress.
        if h.stack.tcp_waits_for_text(id) {
            t.connecting = false;
            return Ok(());
        }
        Err(libc::EINPROGRESS.into())
    }

    /// What became of a connect call: `EAGAIN` while it goes on.
    pub fn connected(&mut self, h: &mut Host, fd: i32) -> Result<()> {
        let t = self.tcp(fd)?;
        let Phase::Open(id) = t.phase else { return Err(libc::ENOTCONN.into()) };
        if let Some(errno) = t.take_error(h) {
            t.phase = Phase::Gone;
            t.connecting = false;
            return Err(errno.into());
        }
        match h.stack.tcp_state(id) {
            State::SynSent | State::SynReceived => Err(libc::EAGAIN.into()),
            _ => {
                t.connecting = false;
                Ok(())
            }
        }
    }

    /// `shutdown`.
    pub fn shutdown(&mut self, h: &mut Host, fd: i32, how: i32) -> Result<()> {
        if !(libc::SHUT_RD..=libc::SHUT_RDWR).contains(&how) {
            return Err(libc::EINVAL.into());
        }
        if let Some(File::Udp(u)) = self.files.get_mut(&fd) {
            u.read_shut |= how != libc::SHUT_WR;
            return if u.id.is_some() { Ok(()) } else { Err(libc::ENOTCONN.into()) };
        }
        let t = self.tcp(fd)?;
        let id = match t.phase {
            Phase::Open(id) => id,
            Phase::Listening(l) if how != libc::SHUT_WR => {
                h.with(|s, now, w| s.tcp_close_listener(now, w, l));
                t.phase = Phase::Gone;
                return Ok(());
            }
            _ => return Err(libc::ENOTCONN.into()),
        };
        if h.stack.tcp_state(id) == State::Closed {
            return Err(libc::ENOTCONN.into());
        }
        t.read_shut |= how != libc::SHUT_WR;
        if how != libc::SHUT_RD {
            t.write_shut = true;
            h.with(|s, now, w| s.tcp_shutdown_write(now, w, id));
        }
        Ok(())
    }

    /// `close`.
    pub fn close(&mut self, h: &mut Host, fd: i32) -> Result<()> {
        match self.files.remove(&fd) {
            Some(File::Tcp(t)) => match t.phase {
                Phase::Open(id) => h.with(|s, now, w| s.tcp_close(now, w, id)),
                Phase::Listening(id) => h.with(|s, now, w| s.tcp_close_listener(now, w, id)),
                Phase::Idle | Phase::Gone => {}
            },
            Some(File::Udp(u)) => {
                if let Some(id) = u.id {
                    h.stack.udp_close(id);
                }
            }
            Some(File::Epoll(_)) => {}
            None => return Err(libc::EBADF.into()),
        }
        for f in self.files.values_mut() {
            if let File::Epoll(e) = f {
                e.forget(fd);
            }
        }
        Ok(())
    }

    /// `fcntl` with `F_GETFL`, `F_SETFL`, `F_GETFD` or `F_SETFD`.
    pub fn fcntl(&mut self, fd: i32, cmd: i32, arg: i32) -> Result<i32> {
        let nonblocking = match self.files.get_mut(&fd) {
            Some(File::Tcp(t)) => &mut t.nonblocking,
            Some(File::Udp(u)) => &mut u.nonblocking,
            Some(File::Epoll(_)) => return Err(libc::EINVAL.into()),
            None => return Err(libc::EBADF.into()),
        };
        match cmd {
            libc::F_GETFL => Ok(libc::O_RDWR | if *nonblocking { libc::O_NONBLOCK } else { 0 }),
            libc::F_SETFL => {
                *nonblocking = arg & libc::O_NONBLOCK != 0;
                Ok(0)
            }
            libc::F_GETFD | libc::F_SETFD => Ok(0),
            _ => unsupported(format!("fcntl command {cmd}")),
        }
    }

    /// `ioctl` with `SIOCINQ`, `SIOCOUTQ` or `SIOCOUTQNSD`.
    pub fn ioctl(&mut self, h: &Host, fd: i32, request: u64) -> Result<i32> {
        const SIOCOUTQ: u64 = 0x5411;
        const SIOCOUTQNSD: u64 = 0x894b;
        let t = self.tcp(fd)?;
        let Phase::Open(id) = t.phase else { return Err(libc::EINVAL.into()) };
        let s = h.stack.tcp_status(id).unwrap_or_default();
        match request {
            r if r == libc::FIONREAD => Ok(s.rcv_queued as i32),
            SIOCOUTQ => Ok((s.unacked + s.notsent) as i32),
            SIOCOUTQNSD => Ok(s.notsent as i32),
            _ => unsupported(format!("ioctl {request:#x}")),
        }
    }

    /// The state of the connection of `fd`, and what it tells of itself.
    pub fn status(&self, h: &Host, fd: i32) -> Option<synfin_stack::engine::Status> {
        match self.files.get(&fd) {
            Some(File::Tcp(t)) => match t.phase {
                Phase::Open(id) => {
                    let state = h.stack.tcp_state(id);
                    Some(synfin_stack::engine::Status { state, ..h.stack.tcp_status(id).unwrap_or_default() })
                }
                Phase::Listening(_) => {
                    Some(synfin_stack::engine::Status { state: State::Listen, ..Default::default() })
                }
                Phase::Idle | Phase::Gone => Some(Default::default()),
            },
            _ => None,
        }
    }

    /// The UDP socket of `fd`, bound to a free port if it was not bound.
    fn udp(&mut self, h: &mut Host, fd: i32) -> Result<UdpId> {
        let Some(File::Udp(u)) = self.files.get_mut(&fd) else { return Err(libc::EBADF.into()) };
        if let Some(id) = u.id {
            return Ok(id);
        }
        let any: IpAddr = if u.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let id = h.stack.udp_bind(SocketAddr::new(any, 0)).map_err(udp_errno)?;
        u.id = Some(id);
        Ok(id)
    }
}

impl TcpSocket {
    /// The error that the connection ended with, once.
    fn take_error(&mut self, h: &Host) -> Option<i32> {
        let Phase::Open(id) = self.phase else { return None };
        if self.error_told {
            return None;
        }
        let errno = h.stack.tcp_reason(id).and_then(errno_of)?;
        self.error_told = true;
        Some(errno)
    }
}

fn udp_errno(e: UdpError) -> i32 {
    match e {
        UdpError::NotOpen => libc::EBADF,
        UdpError::AddressInUse => libc::EADDRINUSE,
        UdpError::AddressNotAvailable => libc::EADDRNOTAVAIL,
        UdpError::NotConnected => libc::EDESTADDRREQ,
        UdpError::WouldBlock => libc::EAGAIN,
        UdpError::TooLong => libc::EMSGSIZE,
        UdpError::OtherFamily => libc::EAFNOSUPPORT,
        UdpError::Unreachable => libc::ENETUNREACH,
        UdpError::NoNeighbor => libc::EHOSTUNREACH,
        UdpError::NoRoom => libc::EAGAIN,
        UdpError::Refused => libc::ECONNREFUSED,
    }
}
