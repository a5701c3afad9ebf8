//! `poll` and `epoll`.

use super::{File, Phase, Result, Sockets, errno_of, unsupported};
use crate::host::Host;
use std::collections::BTreeMap;
use synfin_stack::engine::State;

/// What an epoll instance watches.
#[derive(Debug, Default)]
pub(super) struct Epoll {
    watched: BTreeMap<i32, Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    events: u32,
    data: u64,
    /// What was told last (edge-triggered), and whether anything was (one-shot).
    told: u32,
    armed: bool,
    /// Octets that had come and been acknowledged when it was told: more of them are news.
    counted: (u64, u64),
}

impl Epoll {
    pub(super) fn forget(&mut self, fd: i32) {
        self.watched.remove(&fd);
    }
}

impl Sockets {
    /// What poll(2) would say of `fd` if asked for everything.
    pub fn readiness(&self, h: &Host, fd: i32) -> i16 {
        let (pollin, pollout) = (libc::POLLIN | libc::POLLRDNORM, libc::POLLOUT | libc::POLLWRNORM);
        let t = match self.files.get(&fd) {
            Some(File::Tcp(t)) => t,
            Some(File::Udp(u)) => {
                let readable = u.id.is_some_and(|id| h.stack.udp_is_readable(id));
                return pollout | if readable { pollin } else { 0 };
            }
            Some(File::Epoll(_)) => return 0,
            None => return libc::POLLNVAL,
        };
        let id = match t.phase {
            Phase::Listening(l) => {
                let waiting = h.stack.tcp_listener_status(l).is_some_and(|s| s.accept_queue > 0);
                return if waiting { pollin } else { 0 };
            }
            Phase::Idle | Phase::Gone => return libc::POLLOUT | libc::POLLHUP,
            Phase::Open(id) => id,
        };
        let state = h.stack.tcp_state(id);
        let peer_closed =
            matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed);
        let error = !t.error_told && h.stack.tcp_reason(id).and_then(errno_of).is_some();
        let opening = self.is_opening(h, fd) && !h.stack.tcp_waits_for_text(id);
        let mut mask = 0;
        if h.stack.tcp_is_readable(id) || peer_closed || t.read_shut {
            mask |= pollin;
        }
        if peer_closed || t.read_shut {
            mask |= libc::POLLRDHUP;
        }
        if !opening && (t.write_shut || state == State::Closed || h.stack.tcp_send_room(id) > 0) {
            mask |= pollout;
        }
        if state == State::Closed || (peer_closed && t.write_shut) {
            mask |= libc::POLLHUP;
        }
        if error {
            mask |= libc::POLLERR;
        }
        if h.stack.tcp_status(id).is_some_and(|s| s.urgent > 0) {
            mask |= libc::POLLPRI;
        }
        mask
    }

    /// What these files are to be told of is all here.
    fn is_told(&self, mut fds: impl Iterator<Item = i32>) -> Result<()> {
        let waits = |fd| matches!(self.files.get(&fd), Some(File::Tcp(t)) if t.completions);
        if fds.any(waits) { unsupported("what MSG_ZEROCOPY has to tell") } else { Ok(()) }
    }

    /// `poll`: the events of each file; `EAGAIN` if there are none.
    pub fn poll(&self, h: &Host, fds: &[(i32, i16)]) -> Result<Vec<i16>> {
        self.is_told(fds.iter().map(|(fd, _)| *fd))?;
        const ALWAYS: i16 = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        let all: Vec<i16> = fds
            .iter()
            .map(|(fd, events)| if *fd < 0 { 0 } else { self.readiness(h, *fd) & (events | ALWAYS) })
            .collect();
        if all.iter().all(|r| *r == 0) { Err(libc::EAGAIN.into()) } else { Ok(all) }
    }

    /// `epoll_create`.
    pub fn epoll_create(&mut self, fd: i32) {
        self.files.insert(fd, File::Epoll(Epoll::default()));
    }

    /// `epoll_ctl`.
    pub fn epoll_ctl(&mut self, ep: i32, op: i32, fd: i32, events: u32, data: u64) -> Result<()> {
        let e = match self.files.get_mut(&ep) {
            Some(File::Epoll(e)) => e,
            Some(_) => return Err(libc::EINVAL.into()),
            None => return Err(libc::EBADF.into()),
        };
        if ep == fd {
            return Err(libc::EINVAL.into());
        }
        let mut e = std::mem::take(e);
        let r = self.change(&mut e, op, fd, Watched { events, data, told: 0, armed: true, counted: (0, 0) });
        self.files.insert(ep, File::Epoll(e));
        r
    }

    fn change(&self, e: &mut Epoll, op: i32, fd: i32, entry: Watched) -> Result<()> {
        if !self.files.contains_key(&fd) {
            return Err(libc::EBADF.into());
        }
        match (op, e.watched.contains_key(&fd)) {
            (libc::EPOLL_CTL_ADD, true) => Err(libc::EEXIST.into()),
            (libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL, false) => Err(libc::ENOENT.into()),
            (libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD, _) => {
                e.watched.insert(fd, entry);
                Ok(())
            }
            (libc::EPOLL_CTL_DEL, _) => {
                e.watched.remove(&fd);
                Ok(())
            }
            _ => Err(libc::EINVAL.into()),
        }
    }

    /// `epoll_wait`: events and data, at most `most`; `EAGAIN` if there are none.
    pub fn epoll_wait(&mut self, h: &Host, ep: i32, most: usize) -> Result<Vec<(u32, u64)>> {
        let e = match self.files.get(&ep) {
            Some(File::Epoll(e)) => e,
            Some(_) => return Err(libc::EINVAL.into()),
            None => return Err(libc::EBADF.into()),
        };
        self.is_told(e.watched.keys().copied())?;
        let always = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        let (edge, once) = (libc::EPOLLET as u32, libc::EPOLLONESHOT as u32);
        let ready: Vec<(i32, u32, (u64, u64))> = e
            .watched
            .iter()
            .filter(|(_, w)| w.armed)
            .map(|(fd, w)| {
                let counters =
                    self.status(h, *fd).map_or((0, 0), |s| (s.counters.bytes_received, s.counters.bytes_acked));
                (*fd, u32::from(self.readiness(h, *fd) as u16) & (w.events | always), counters)
            })
            .collect();
        let Some(File::Epoll(e)) = self.files.get_mut(&ep) else { return Err(libc::EINVAL.into()) };
        let mut out = Vec::new();
        for (fd, mask, counted) in ready {
            let Some(w) = e.watched.get_mut(&fd) else { continue };
            // An edge is what was not there before, and what came since though something was.
            if counted.0 > w.counted.0 {
                w.told &= !(libc::EPOLLIN | libc::EPOLLRDNORM) as u32;
            }
            if counted.1 > w.counted.1 {
                w.told &= !(libc::EPOLLOUT | libc::EPOLLWRNORM) as u32;
            }
            let news = if w.events & edge != 0 { mask & !w.told } else { mask };
            w.told &= mask;
            if news != 0 && out.len() < most {
                (w.told, w.counted) = (mask, counted);
                w.armed = w.events & once == 0;
                out.push((mask, w.data));
            }
        }
        if out.is_empty() { Err(libc::EAGAIN.into()) } else { Ok(out) }
    }
}
