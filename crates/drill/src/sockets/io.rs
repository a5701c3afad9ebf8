//! Reading and writing.

use super::{File, Phase, Result, Sockets, connect_errno, errno_of, udp_errno, unsupported};
use crate::host::Host;
use std::net::SocketAddr;
use synfin_stack::UdpError;
use synfin_stack::engine::call::{ReceiveError, SendError};
use synfin_stack::engine::{State, Status};

/// What a read gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The octets.
    pub data: Vec<u8>,
    /// Who sent them, if each message has a sender.
    pub from: Option<SocketAddr>,
    /// `MSG_TRUNC`, if the datagram was longer.
    pub flags: i32,
}

const RECEIVE_FLAGS: i32 =
    libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_TRUNC | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
const SEND_FLAGS: i32 = libc::MSG_FASTOPEN
    | libc::MSG_DONTWAIT
    | libc::MSG_NOSIGNAL
    | libc::MSG_EOR
    | libc::MSG_OOB
    | libc::MSG_ZEROCOPY
    | libc::MSG_DONTROUTE;

impl Sockets {
    /// `recv` and its kin: at most `len` octets.
    pub fn receive(&mut self, h: &mut Host, fd: i32, len: usize, flags: i32) -> Result<Received> {
        if flags & !RECEIVE_FLAGS != 0 {
            return unsupported(format!("receive flags {:#x}", flags & !RECEIVE_FLAGS));
        }
        if let Some(File::Udp(_)) = self.files.get(&fd) {
            return self.receive_datagram(h, fd, len, flags);
        }
        let t = self.tcp(fd)?;
        let id = match t.phase {
            Phase::Open(id) => id,
            Phase::Gone => return Ok(Received::default()),
            Phase::Idle | Phase::Listening(_) => return Err(libc::ENOTCONN.into()),
        };
        let mut data = vec![0; len.min(1 << 24)];
        if flags & libc::MSG_WAITALL != 0 && !t.nonblocking && flags & (libc::MSG_PEEK | libc::MSG_DONTWAIT) == 0 {
            // It waits until all of it is there, or no more can come.
            let s = h.stack.tcp_status(id).unwrap_or_default();
            let more = matches!(h.stack.tcp_state(id), State::Established | State::FinWait1 | State::FinWait2);
            if more && !t.read_shut && (s.rcv_queued as usize) < data.len() {
                return Err(libc::EAGAIN.into());
            }
        }
        let got = if flags & libc::MSG_PEEK != 0 {
            h.stack.tcp_peek(id, &mut data)
        } else {
            h.with(|s, now, w| s.tcp_receive(now, w, id, &mut data))
        };
        match got {
            Ok(n) => {
                data.truncate(n);
                if n == 0
                    && let Some(errno) = t.take_error(h)
                {
                    return Err(errno.into());
                }
                Ok(Received { data, ..Received::default() })
            }
            Err(ReceiveError::WouldBlock) if t.read_shut => Ok(Received::default()),
            Err(ReceiveError::WouldBlock) => Err(libc::EAGAIN.into()),
            Err(ReceiveError::Closed(reason)) => {
                let told = std::mem::replace(&mut t.error_told, true);
                match errno_of(reason) {
                    Some(errno) if !told => Err(errno.into()),
                    _ => Ok(Received::default()),
                }
            }
        }
    }

    fn receive_datagram(&mut self, h: &mut Host, fd: i32, len: usize, flags: i32) -> Result<Received> {
        if flags & (libc::MSG_PEEK | libc::MSG_TRUNC) != 0 {
            return unsupported("MSG_PEEK and MSG_TRUNC of a datagram");
        }
        let id = self.udp(h, fd)?;
        let shut = matches!(self.files.get(&fd), Some(File::Udp(u)) if u.read_shut);
        let mut d = match h.stack.udp_receive(id) {
            Err(UdpError::WouldBlock) if shut => return Ok(Received::default()),
            other => other.map_err(udp_errno)?,
        };
        let truncated = d.data.len() > len;
        d.data.truncate(len);
        let flags = if truncated { libc::MSG_TRUNC } else { 0 };
        Ok(Received { data: d.data, from: Some(d.from), flags })
    }

    /// `send` and its kin: how many octets were taken.
    pub fn send(&mut self, h: &mut Host, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>) -> Result<usize> {
        if flags & !SEND_FLAGS != 0 {
            return unsupported(format!("send flags {:#x}", flags & !SEND_FLAGS));
        }
        if let Some(File::Udp(_)) = self.files.get(&fd) {
            // What a socket of datagrams was set to is not kept: whether it would be told is not known.
            if flags & libc::MSG_ZEROCOPY != 0 {
                return unsupported("MSG_ZEROCOPY of a datagram");
            }
            let id = self.udp(h, fd)?;
            return h
                .with(|s, now, _| s.udp_send(now, id, to, data))
                .map(|()| data.len())
                .map_err(|e| udp_errno(e).into());
        }
        if flags & libc::MSG_FASTOPEN != 0 {
            return self.send_fast_open(h, fd, data, to);
        }
        let t = self.tcp(fd)?;
        let Phase::Open(id) = t.phase else { return Err(libc::EPIPE.into()) };
        if let Some(errno) = t.take_error(h) {
            return Err(errno.into());
        }
        if t.write_shut {
            return Err(libc::EPIPE.into());
        }
        if data.is_empty() {
            return Ok(0);
        }
        let urgent = flags & libc::MSG_OOB != 0;
        let taken = h.with(|s, now, w| match urgent {
            true => s.tcp_send_urgent(now, w, id, data),
            false => s.tcp_send(now, w, id, data),
        });
        match taken {
            Ok(n) => {
                // Without the option Linux copies, and tells nothing.
                let on =
                    t.remembered.get(&(libc::SOL_SOCKET, libc::SO_ZEROCOPY)).is_some_and(|v| v.iter().any(|o| *o != 0));
                t.completions |= flags & libc::MSG_ZEROCOPY != 0 && on;
                Ok(n)
            }
            Err(SendError::WouldBlock) => Err(libc::EAGAIN.into()),
            Err(SendError::Closing | SendError::Closed(_)) => Err(libc::EPIPE.into()),
        }
    }

    /// `MSG_FASTOPEN`: connects, and what the SYN carries is written. None of it goes with a SYN that asks for a cookie.
    fn send_fast_open(&mut self, h: &mut Host, fd: i32, data: &[u8], to: Option<SocketAddr>) -> Result<usize> {
        let opening = self.is_opening(h, fd);
        let t = self.tcp(fd)?;
        match t.phase {
            Phase::Open(_) if opening => return Err(libc::EALREADY.into()),
            Phase::Open(_) | Phase::Listening(_) => return Err(libc::EISCONN.into()),
            Phase::Idle | Phase::Gone => {}
        }
        if t.cfg.fastopen & 1 == 0 {
            return Err(libc::EOPNOTSUPP.into());
        }
        let to = to.ok_or(libc::EDESTADDRREQ)?;
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let opened = h.with(|s, now, w| s.tcp_connect_with(now, w, t.local, to, &t.cfg, data));
        let (id, taken) = opened.map_err(connect_errno)?;
        t.opened(h, id);
        if taken == 0 { Err(libc::EINPROGRESS.into()) } else { Ok(taken) }
    }

    /// Whether a connection is still being opened: a blocking write waits for it.
    pub fn is_opening(&self, h: &Host, fd: i32) -> bool {
        // With the text of its SYN taken it is as good as open.
        let opening = |s: &Status| matches!(s.state, State::SynSent) || (s.state == State::SynReceived && !s.fast_open);
        self.status(h, fd).is_some_and(|s| opening(&s))
    }
}
