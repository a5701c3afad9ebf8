//! `setsockopt` and `getsockopt`.

use super::{File, Phase, Result, Sockets, TcpSocket, info_bytes, unsupported};
use crate::host::Host;
use std::time::Duration;
use synfin_stack::engine::snd::congestion::Algorithm;

/// Options that are kept and change nothing: what they ask for is so anyway, or concerns the machine and not the wire.
const REMEMBERED: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_ZEROCOPY),
    (libc::SOL_SOCKET, libc::SO_PRIORITY),
    (libc::SOL_SOCKET, libc::SO_BUSY_POLL),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
];

fn int(value: &[u8]) -> Result<i32> {
    match value.first_chunk() {
        Some(b) => Ok(i32::from_ne_bytes(*b)),
        None => Err(libc::EINVAL.into()),
    }
}

fn seconds(n: i32) -> Result<Duration> {
    match u64::try_from(n) {
        Ok(s) if s > 0 && s <= 32_767 => Ok(Duration::from_secs(s)),
        _ => Err(libc::EINVAL.into()),
    }
}

/// Nothing but 0 and 1.
fn flag(n: i32) -> Result<bool> {
    if (0..=1).contains(&n) { Ok(n == 1) } else { Err(libc::EINVAL.into()) }
}

impl Sockets {
    /// `setsockopt`; the value as it lies in memory.
    pub fn setsockopt(&mut self, h: &mut Host, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if let Some(File::Udp(_)) = self.files.get(&fd) {
            if REMEMBERED.contains(&(level, name)) {
                return int(value).map(drop);
            }
            return unsupported("options of a UDP socket");
        }
        let t = self.tcp(fd)?;
        if REMEMBERED.contains(&(level, name)) {
            int(value)?;
            t.remembered.insert((level, name), value.to_vec());
            return Ok(());
        }
        if (level, name) == (libc::SOL_SOCKET, libc::SO_LINGER) {
            let (on, time) = (int(value)? != 0, int(value.get(4..).unwrap_or(&[]))?);
            if on && time != 0 {
                return unsupported("SO_LINGER with a time");
            }
            if let Phase::Open(id) = t.phase {
                h.stack.tcp_set_linger_zero(id, on);
            }
            t.remembered.insert((level, name), value.to_vec());
            return Ok(());
        }
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_CONGESTION) {
            let name = String::from_utf8_lossy(value.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
            let Some(algorithm) = Algorithm::named(&name) else {
                return unsupported(format!("congestion control {name}"));
            };
            t.cfg.congestion = algorithm;
            match t.phase {
                Phase::Open(id) => h.with(|s, now, w| {
                    s.tcp_configure(now, w, id, |c| c.congestion = algorithm);
                    s.tcp_set_algorithm(now, w, id, algorithm);
                }),
                Phase::Listening(id) => {
                    h.stack.tcp_configure_listener(id, |c| c.congestion = algorithm);
                }
                _ => {}
            }
            return Ok(());
        }
        let n = int(value)?;
        let open = match t.phase {
            Phase::Open(id) => Some(id),
            _ => None,
        };
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_QUICKACK) {
            t.cfg.quick_acks = if n == 0 { 0 } else { h.tcp.quick_acks.max(16) };
            let count = t.cfg.quick_acks;
            if let Some(id) = open {
                h.with(|s, now, w| s.tcp_quick_ack(now, w, id, count));
            }
            return Ok(());
        }
        let change = t.setting(level, name, n)?;
        if let Phase::Listening(id) = t.phase {
            let cfg = t.cfg.clone();
            h.stack.tcp_configure_listener(id, |c| *c = cfg);
        }
        if let Some(id) = open {
            let cfg = t.cfg.clone();
            h.with(|s, now, w| s.tcp_configure(now, w, id, |c| *c = cfg));
        }
        change.map_or(Ok(()), unsupported)
    }

    /// `getsockopt`: the value as it lies in memory, at most `len` octets.
    pub fn getsockopt(&mut self, h: &mut Host, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>> {
        let status = self.status(h, fd);
        if let Some(File::Udp(u)) = self.files.get(&fd) {
            return match (level, name) {
                (libc::SOL_SOCKET, libc::SO_ERROR) => {
                    let refused = u.id.is_some_and(|id| h.stack.udp_take_refusal(id));
                    let errno = if refused { libc::ECONNREFUSED } else { 0 };
                    Ok(errno.to_ne_bytes()[..len.min(4)].to_vec())
                }
                _ => unsupported("options of a UDP socket"),
            };
        }
        let (t, now) = (self.tcp(fd)?, h.now());
        if let Some(v) = t.remembered.get(&(level, name)) {
            return Ok(v[..len.min(v.len())].to_vec());
        }
        let secs = |d: Duration| d.as_secs() as i32;
        let n = match (level, name) {
            (libc::SOL_SOCKET, libc::SO_ERROR) => t.take_error(h).unwrap_or(0),
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => i32::from(t.cfg.keepalive),
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => t.cfg.snd_buf_initial as i32,
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => t.cfg.rcv_buf_initial.saturating_mul(2) as i32,
            (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
            (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => i32::from(matches!(t.phase, Phase::Listening(_))),
            (libc::SOL_SOCKET, _) if REMEMBERED.contains(&(level, name)) => 0,
            (libc::IPPROTO_TCP, libc::TCP_NODELAY) => i32::from(t.cfg.nodelay),
            (libc::IPPROTO_TCP, libc::TCP_CORK) => i32::from(t.cfg.cork),
            (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT) => secs(t.cfg.defer_accept),
            (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => t.cfg.rcv_lowat as i32,
            (libc::IPPROTO_TCP, libc::TCP_MAXSEG) => match (&t.phase, &status) {
                (Phase::Open(_), Some(s)) if s.mss > 0 => i32::from(s.mss),
                _ if t.cfg.mss > 0 => i32::from(t.cfg.mss),
                _ => 536,
            },
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => t.cfg.user_timeout.as_millis() as i32,
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE) => secs(t.cfg.keepalive_idle),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL) => secs(t.cfg.keepalive_interval),
            (libc::IPPROTO_TCP, libc::TCP_KEEPCNT) => i32::from(t.cfg.keepalive_count),
            (libc::IPPROTO_TCP, libc::TCP_SYNCNT) => i32::from(t.cfg.syn_retries),
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN) => i32::from(t.cfg.fastopen_queue),
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT) => i32::from(t.cfg.fastopen_connect),
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_NO_COOKIE) => i32::from(t.cfg.fastopen_no_cookie),
            (libc::IPPROTO_TCP, libc::TCP_QUICKACK) => i32::from(t.cfg.quick_acks > 0),
            // As Linux does: a field of sixteen octets, filled with zeros.
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) => {
                let name = match t.phase {
                    Phase::Open(id) => h.stack.tcp_congestion(id),
                    _ => None,
                };
                let mut b = name.unwrap_or(t.cfg.congestion.name()).as_bytes().to_vec();
                b.resize(len.min(16), 0);
                return Ok(b);
            }
            (libc::IPPROTO_TCP, libc::TCP_INFO) => {
                let mut b = info_bytes(&status.unwrap_or_default(), &t.cfg, now);
                // More than a newer kernel would tell is not asked for.
                b.resize(len.min(1_024), 0);
                return Ok(b);
            }
            _ => return unsupported(format!("option {name} of level {level}")),
        };
        Ok(n.to_ne_bytes()[..len.min(4)].to_vec())
    }
}

impl TcpSocket {
    /// Changes the setting that an option stands for; `Some` says why the option is not there.
    fn setting(&mut self, level: i32, name: i32, n: i32) -> Result<Option<String>> {
        let c = &mut self.cfg;
        let positive =
            |most: i32| if (1..=most).contains(&n) { Ok(n) } else { Err(super::Refusal::Errno(libc::EINVAL)) };
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => c.keepalive = n != 0,
            // As Linux does, twice the value is charged, half of it for the octets of the text.
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => {
                c.snd_buf_initial = (n.max(2_304) as u32).saturating_mul(2);
                c.snd_buf_max = c.snd_buf_initial;
            }
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => {
                c.rcv_buf_initial = (n as u32).clamp(2_304, 1 << 29);
                c.rcv_buf_max = c.rcv_buf_initial;
            }
            (libc::IPPROTO_TCP, libc::TCP_NODELAY) => c.nodelay = n != 0,
            (libc::IPPROTO_TCP, libc::TCP_CORK) => c.cork = n != 0,
            // Linux counts the time in retransmissions of the SYN,ACK; here it is what it says.
            (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT) => {
                c.defer_accept = Duration::from_secs(n.clamp(0, 3_600) as u64)
            }
            (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => c.rcv_lowat = n.clamp(1, 1 << 30) as u32,
            (libc::IPPROTO_TCP, libc::TCP_MAXSEG) => {
                if !(88..=32_767).contains(&n) {
                    return Err(libc::EINVAL.into());
                }
                c.mss = n as u16;
            }
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                c.user_timeout = Duration::from_millis(u64::try_from(n).map_err(|_| libc::EINVAL)?);
            }
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE) => c.keepalive_idle = seconds(n)?,
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL) => c.keepalive_interval = seconds(n)?,
            (libc::IPPROTO_TCP, libc::TCP_KEEPCNT) => c.keepalive_count = positive(127)? as u8,
            (libc::IPPROTO_TCP, libc::TCP_SYNCNT) => c.syn_retries = positive(127)? as u8,
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN) => {
                c.fastopen_queue = u16::try_from(n.min(65_535)).map_err(|_| libc::EINVAL)?;
            }
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT) => {
                let on = flag(n)?;
                if c.fastopen & 1 == 0 {
                    return Err(libc::EOPNOTSUPP.into());
                }
                if !matches!(self.phase, Phase::Idle | Phase::Gone) {
                    return Err(libc::EINVAL.into());
                }
                c.fastopen_connect = on;
            }
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_NO_COOKIE) => c.fastopen_no_cookie = flag(n)?,
            (libc::IPPROTO_TCP, libc::TCP_LINGER2) => c.fin_wait_2 = Duration::from_secs(n.max(0) as u64),
            _ => return Ok(Some(format!("option {name} of level {level}"))),
        }
        Ok(None)
    }
}
