//! The system calls of a script: their arguments filled in, their results compared.

use super::Runner;
use super::settings::IpVersion;
use super::symbols::{constant, errno_name, number};
use crate::script::{Call, Expr, Field};
use crate::sockets::Refusal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::Instant;

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    /// A new file.
    File,
    /// A value of an option, as it lies in memory, beside the result 0.
    Octets(Vec<u8>),
    /// Events of poll, beside their number.
    Poll(Vec<i16>),
    /// Events and data of `epoll_wait`.
    Epoll(Vec<(u32, u64)>),
}

/// A call that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub event: usize,
    /// From when its times count.
    pub origin: Instant,
    /// When it gives up waiting of itself.
    pub until: Instant,
    /// Octets taken so far.
    pub taken: usize,
    /// It has begun (a connect call).
    pub begun: bool,
}

fn bad(what: impl Into<String>) -> Refusal {
    Refusal::Unsupported(what.into())
}

fn int(e: Option<&Expr>) -> Result<i64, Refusal> {
    let e = e.ok_or_else(|| bad("a call with an argument missing"))?;
    number(e).map_err(bad)
}

fn fd(call: &Call) -> Result<i32, Refusal> {
    int(call.args.first()).map(|n| n as i32)
}

fn named<'a>(fields: &'a [Field], name: &str) -> Option<&'a Expr> {
    fields.iter().find(|f| f.name.as_deref() == Some(name)).map(|f| &f.value)
}

/// Whether a call makes a file, whose number is the result.
pub(super) fn makes_file(name: &str) -> bool {
    matches!(name, "socket" | "accept" | "accept4" | "epoll_create" | "epoll_create1")
}

/// Octets as one of several numbers, or a text, as scripts write values of options.
fn octets(e: &Expr) -> Result<Vec<u8>, Refusal> {
    match e {
        Expr::List(items) => Ok(items.iter().map(octets).collect::<Result<Vec<_>, _>>()?.concat()),
        Expr::Str(s) => Ok(s.clone()),
        Expr::Struct(f) if named(f, "onoff").is_some() => {
            let (on, time) = (int(named(f, "onoff"))?, int(named(f, "linger"))?);
            Ok([(on as i32).to_ne_bytes(), (time as i32).to_ne_bytes()].concat())
        }
        other => Ok((number(other).map_err(bad)? as i32).to_ne_bytes().to_vec()),
    }
}

/// Octets in all of a list of `{..., N}`.
fn iov_len(e: Option<&Expr>) -> Result<usize, Refusal> {
    let Some(Expr::List(items)) = e else { return Err(bad("an iovec that is no list")) };
    let mut total = 0;
    for i in items {
        match i {
            Expr::Struct(f) => total += int(f.last().map(|f| &f.value))? as usize,
            _ => return Err(bad("an iovec of another form")),
        }
    }
    Ok(total)
}

impl Runner<'_> {
    /// An address of a call: `...` is filled in with `default`.
    fn address(&self, e: Option<&Expr>, default: SocketAddr) -> Result<Option<SocketAddr>, Refusal> {
        let fields = match e {
            None | Some(Expr::Ellipsis) => return Ok(Some(default)),
            Some(Expr::Struct(f)) => f,
            Some(other) => return Err(bad(format!("the address {other:?}"))),
        };
        let family = named(fields, "sa_family").or_else(|| named(fields, "sin6_family"));
        if let Some(Expr::Word(w)) = family
            && w == "AF_UNSPEC"
        {
            return Ok(None);
        }
        let port = named(fields, "sin_port").or_else(|| named(fields, "sin6_port")).map_or(Ok(0), |p| int(Some(p)))?;
        let ip = match named(fields, "sin_addr").or_else(|| named(fields, "sin6_addr")) {
            Some(Expr::Call(_, args)) => match args.first() {
                Some(Expr::Str(s)) => String::from_utf8_lossy(s).parse::<IpAddr>().map_err(|e| bad(e.to_string()))?,
                Some(Expr::Word(w)) if w == "INADDR_ANY" => Ipv4Addr::UNSPECIFIED.into(),
                _ => return Err(bad("an address of another form")),
            },
            Some(Expr::Word(w)) if w == "INADDR_ANY" => Ipv4Addr::UNSPECIFIED.into(),
            _ => default.ip(),
        };
        Ok(Some(SocketAddr::new(ip, port as u16)))
    }

    /// Makes the call once. `EAGAIN` of a call that blocks means that it waits.
    pub(super) fn attempt(&mut self, call: &Call, w: &mut Waiting) -> Result<Value, Refusal> {
        let a = &call.args;
        let (set, now) = (self.set.clone(), self.host.now());
        let count = |n: usize| Ok(Value::Number(n as i64));
        let zero = |(): ()| Value::Number(0);
        match call.name.as_str() {
            "socket" => {
                let domain = match a.first() {
                    Some(Expr::Ellipsis) if set.ip_version == IpVersion::V4 => libc::AF_INET,
                    Some(Expr::Ellipsis) => libc::AF_INET6,
                    other => int(other)? as i32,
                };
                let (kind, protocol) = (int(a.get(1))? as i32, int(a.get(2))? as i32);
                let new = self.new_file(call)?;
                self.sockets.socket(&self.host, new, domain, kind, protocol)?;
                self.began(new, kind & 0xf == libc::SOCK_DGRAM);
                Ok(Value::File)
            }
            "bind" => {
                let default = SocketAddr::new(set.local(), set.bind_port);
                let addr = self.address(a.get(1), default)?.ok_or(Refusal::Errno(libc::EAFNOSUPPORT))?;
                self.sockets.bind(&mut self.host, fd(call)?, addr)?;
                self.bound(fd(call)?, addr.port());
                Ok(Value::Number(0))
            }
            "listen" => {
                let backlog = int(a.get(1))? as i32;
                self.sockets.listen(&mut self.host, fd(call)?, backlog)?;
                self.listening(fd(call)?);
                Ok(Value::Number(0))
            }
            "accept" | "accept4" => {
                let flags = if call.name == "accept4" { int(a.get(3))? as i32 } else { 0 };
                let new = self.new_file(call)?;
                self.sockets.accept(&mut self.host, fd(call)?, new, flags)?;
                Ok(Value::File)
            }
            "connect" => {
                let f = fd(call)?;
                let to = self.address(a.get(1), SocketAddr::new(set.remote(), set.connect_port))?;
                if !w.begun {
                    w.begun = true;
                    let r = self.sockets.connect(&mut self.host, f, to);
                    if let Some(to) = to {
                        self.connecting(f, to);
                    }
                    match r {
                        Err(Refusal::Errno(libc::EINPROGRESS)) if self.sockets.is_blocking(f) => {}
                        other => return other.map(zero),
                    }
                }
                self.sockets.connected(&mut self.host, f).map(zero)
            }
            "read" | "recv" | "recvfrom" => {
                let len = int(a.get(2))? as usize;
                let flags = if call.name == "read" { 0 } else { int(a.get(3))? as i32 };
                let r = self.sockets.receive(&mut self.host, fd(call)?, len, flags)?;
                count(r.data.len())
            }
            "readv" => {
                let len = iov_len(a.get(1))?;
                count(self.sockets.receive(&mut self.host, fd(call)?, len, 0)?.data.len())
            }
            "recvmsg" => {
                let Some(Expr::Struct(m)) = a.get(1) else { return Err(bad("a message of another form")) };
                if m.iter().any(|f| f.name.as_deref() == Some("msg_control")) {
                    return Err(bad("control messages"));
                }
                let len = iov_len(named(m, "msg_iov"))?;
                let r = self.sockets.receive(&mut self.host, fd(call)?, len, int(a.get(2))? as i32)?;
                if let Some(want) = named(m, "msg_flags")
                    && int(Some(want))? != i64::from(r.flags)
                {
                    return Err(bad(format!("msg_flags {}", r.flags)));
                }
                count(r.data.len())
            }
            "write" | "send" | "sendto" | "writev" | "sendmsg" => self.write(call, w),
            "shutdown" => {
                let how = int(a.get(1))? as i32;
                self.sockets.shutdown(&mut self.host, fd(call)?, how).map(zero)
            }
            "close" => {
                let f = fd(call)?;
                self.sockets.close(&mut self.host, f).map(zero)
            }
            "fcntl" => {
                let arg = if a.len() > 2 { int(a.get(2))? as i32 } else { 0 };
                let n = self.sockets.fcntl(fd(call)?, int(a.get(1))? as i32, arg)?;
                Ok(Value::Number(i64::from(n)))
            }
            "ioctl" => {
                let n = self.sockets.ioctl(&self.host, fd(call)?, int(a.get(1))? as u64)?;
                Ok(Value::Octets(n.to_ne_bytes().to_vec()))
            }
            "setsockopt" => {
                let value = octets(a.get(3).ok_or_else(|| bad("setsockopt without a value"))?)?;
                let len = a.get(4).map_or(Ok(value.len() as i64), |l| int(Some(l)))? as usize;
                let (level, name) = (int(a.get(1))? as i32, int(a.get(2))? as i32);
                let value = &value[..len.min(value.len())];
                self.sockets.setsockopt(&mut self.host, fd(call)?, level, name, value).map(zero)
            }
            "getsockopt" => {
                let len = match a.get(4) {
                    Some(Expr::List(l)) => int(l.first())? as usize,
                    other => int(other)? as usize,
                };
                let (level, name) = (int(a.get(1))? as i32, int(a.get(2))? as i32);
                self.sockets.getsockopt(&mut self.host, fd(call)?, level, name, len).map(Value::Octets)
            }
            "poll" => {
                let Some(Expr::List(items)) = a.first() else { return Err(bad("poll of another form")) };
                let mut fds = Vec::new();
                for i in items {
                    let Expr::Struct(f) = i else { return Err(bad("poll of another form")) };
                    fds.push((int(named(f, "fd"))? as i32, int(named(f, "events"))? as i16));
                }
                self.limit(w, now, int(a.get(2))?);
                match self.sockets.poll(&self.host, &fds) {
                    Err(Refusal::Errno(libc::EAGAIN)) if now >= w.until => Ok(Value::Poll(vec![0; fds.len()])),
                    other => other.map(Value::Poll),
                }
            }
            "epoll_create" | "epoll_create1" => {
                let new = self.new_file(call)?;
                self.sockets.epoll_create(new);
                Ok(Value::File)
            }
            "epoll_ctl" => {
                let (op, target) = (int(a.get(1))? as i32, int(a.get(2))? as i32);
                let (events, data) = match a.get(3) {
                    Some(Expr::Struct(f)) => epoll_event(f)?,
                    _ => (0, 0),
                };
                self.sockets.epoll_ctl(fd(call)?, op, target, events, data).map(zero)
            }
            "epoll_wait" => {
                self.limit(w, now, int(a.get(3))?);
                let most = int(a.get(2))?.max(0) as usize;
                match self.sockets.epoll_wait(&self.host, fd(call)?, most) {
                    Err(Refusal::Errno(libc::EAGAIN)) if now >= w.until => Ok(Value::Epoll(Vec::new())),
                    other => other.map(Value::Epoll),
                }
            }
            other => Err(bad(format!("the system call {other}"))),
        }
    }

    /// A timeout in milliseconds begins at the first attempt; a negative one is none.
    fn limit(&self, w: &mut Waiting, now: Instant, ms: i64) {
        if !w.begun {
            w.begun = true;
            w.until = u64::try_from(ms).map_or(Instant::NEVER, |ms| now + Duration::from_millis(ms));
        }
    }

    /// A blocking write takes all there is before it returns.
    fn write(&mut self, call: &Call, w: &mut Waiting) -> Result<Value, Refusal> {
        let (a, f) = (&call.args, fd(call)?);
        let mut to = None;
        let (len, flags) = match call.name.as_str() {
            "writev" => (iov_len(a.get(1))?, 0),
            "sendmsg" => {
                let Some(Expr::Struct(m)) = a.get(1) else { return Err(bad("a message of another form")) };
                (iov_len(named(m, "msg_iov"))?, int(a.get(2))?)
            }
            "write" => (int(a.get(2))? as usize, 0),
            "sendto" => {
                let default = SocketAddr::new(self.set.remote(), self.set.connect_port);
                to = self.address(a.get(4), default)?;
                (int(a.get(2))? as usize, int(a.get(3))?)
            }
            _ => (int(a.get(2))? as usize, int(a.get(3))?),
        };
        let text = match a.get(1) {
            Some(Expr::Str(s)) => s.clone(),
            _ => vec![0; len.min(1 << 26)],
        };
        let text = text.get(..len.min(text.len())).unwrap_or(&[]);
        let flags = flags as i32;
        if let Some(to) = to {
            self.connecting(f, to);
        }
        loop {
            match self.sockets.send(&mut self.host, f, &text[w.taken..], flags, to) {
                Ok(n) => w.taken += n,
                Err(e @ Refusal::Errno(libc::EAGAIN)) => {
                    let waits = self.sockets.is_blocking(f) && flags & libc::MSG_DONTWAIT == 0;
                    return if w.taken > 0 && !waits { Ok(Value::Number(w.taken as i64)) } else { Err(e) };
                }
                Err(_) if w.taken > 0 => return Ok(Value::Number(w.taken as i64)),
                Err(e) => return Err(e),
            }
            let waits = self.sockets.is_blocking(f) && flags & libc::MSG_DONTWAIT == 0;
            if w.taken >= text.len() || !waits {
                return Ok(Value::Number(w.taken as i64));
            }
        }
    }

    /// The number that the script gives the new file.
    fn new_file(&self, call: &Call) -> Result<i32, Refusal> {
        let n = call.result.as_ref().and_then(|r| number(r).ok()).filter(|n| *n >= 0);
        // A call that is to fail makes no file that the script could name.
        let n = n.map_or(i32::MAX, |n| n as i32);
        if n != i32::MAX && self.sockets.contains(n) {
            return Err(bad(format!("the file {n} for two things at once")));
        }
        Ok(n)
    }

    /// Whether the call may wait, by its file.
    pub(super) fn may_wait(&self, call: &Call) -> bool {
        match call.name.as_str() {
            "poll" | "epoll_wait" => true,
            "recv" | "recvfrom" | "send" | "sendto" => {
                let dontwait = int(call.args.get(3)).is_ok_and(|f| f as i32 & libc::MSG_DONTWAIT != 0);
                !dontwait && fd(call).is_ok_and(|f| self.sockets.is_blocking(f))
            }
            _ => fd(call).is_ok_and(|f| self.sockets.is_blocking(f)),
        }
    }
}

fn epoll_event(f: &[Field]) -> Result<(u32, u64), Refusal> {
    let data = ["fd", "ptr", "u32", "u64"].iter().find_map(|n| named(f, n));
    Ok((int(named(f, "events"))? as u32, data.map_or(Ok(0), |d| int(Some(d)))? as u64))
}

/// Compares the result of a call with what the script says; the error says how they differ.
pub(super) fn judge(call: &Call, got: Result<Value, i32>) -> Result<(), String> {
    let Some(want) = &call.result else { return Ok(()) };
    let want = number(want).map_err(|e| format!("cannot read the result: {e}"))?;
    let show_want = match &call.errno {
        Some(e) => format!("{want} {e}"),
        None => want.to_string(),
    };
    let value = match got {
        Err(errno) => {
            let wanted = call.errno.as_deref().and_then(constant);
            if want == -1 && (wanted.is_none() || wanted == Some(i64::from(errno))) {
                return Ok(());
            }
            return Err(format!("expected {show_want}, came -1 {}", errno_name(errno)));
        }
        Ok(v) => v,
    };
    let differs = |came: String| Err(format!("expected {show_want}, came {came}"));
    match value {
        Value::File if want >= 0 => Ok(()),
        Value::File => differs("a new file".into()),
        Value::Number(n) if n == want => Ok(()),
        Value::Number(n) => differs(n.to_string()),
        Value::Octets(came) => {
            if want != 0 {
                return differs("0".into());
            }
            let at = if call.name == "ioctl" { 2 } else { 3 };
            let Some(e) = call.args.get(at).filter(|e| !matches!(e, Expr::Ellipsis)) else { return Ok(()) };
            let wanted = octets(e).map_err(|r| format!("cannot read the value: {r:?}"))?;
            let text = |b: &[u8]| match b.first_chunk::<4>() {
                Some(w) if b.len() == 4 => {
                    let n = i32::from_ne_bytes(*w);
                    let name = errno_name(n);
                    let is_error = call.args.get(2) == Some(&Expr::Word("SO_ERROR".into())) && n != 0;
                    if is_error { name } else { n.to_string() }
                }
                _ => format!("{b:02x?}"),
            };
            if came == wanted {
                Ok(())
            } else {
                Err(format!("expected the value {}, came {}", text(&wanted), text(&came)))
            }
        }
        Value::Poll(came) => {
            let n = came.iter().filter(|r| **r != 0).count() as i64;
            if n != want {
                return differs(n.to_string());
            }
            let Some(Expr::List(items)) = call.args.first() else { return Ok(()) };
            for (i, r) in items.iter().zip(came) {
                let Expr::Struct(f) = i else { continue };
                let wanted = named(f, "revents").map_or(Ok(0), number)?;
                if wanted != i64::from(r) {
                    return Err(format!("expected revents {wanted:#x}, came {r:#x}"));
                }
            }
            Ok(())
        }
        Value::Epoll(came) => {
            if came.len() as i64 != want {
                return differs(came.len().to_string());
            }
            let events: Vec<&Expr> = match call.args.get(1) {
                Some(Expr::List(l)) => l.iter().collect(),
                Some(e @ Expr::Struct(_)) => vec![e],
                _ => Vec::new(),
            };
            for (e, (mask, data)) in events.iter().zip(came) {
                let Expr::Struct(f) = e else { continue };
                let (m, d) = epoll_event(f).map_err(|r| format!("cannot read the events: {r:?}"))?;
                if (m, d) != (mask, data) {
                    return Err(format!("expected events {m:#x} of {d}, came {mask:#x} of {data}"));
                }
            }
            Ok(())
        }
    }
}
