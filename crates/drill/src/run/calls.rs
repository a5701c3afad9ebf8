//! The system calls of a script, made on the machine: a method for each, and how they wait.

use super::arguments::{
    address, address_for, bad, count, epoll_event, fd, field, flags, int, int32, iov_len, named, octets, short, size,
};
use super::judge::{Value, judge};
use super::settings::IpVersion;
use super::{PATIENCE, Runner, Step, story};
use crate::script::symbols::number;
use crate::script::{Action, Call, Expr, Field, Time};
use crate::sockets::Refusal;
use std::net::SocketAddr;
use std::time::Duration;
use synfin_stack::engine::Instant;

/// A call that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    event: usize,
    /// From when its times count.
    origin: Instant,
    /// When it gives up waiting of itself.
    pub until: Instant,
    /// Octets taken so far.
    taken: usize,
    /// It has begun (a connect call, or one with a timeout).
    begun: bool,
    /// Its place in the story.
    told: usize,
}

/// What an attempt gives. `EAGAIN` of a call that blocks means that it waits.
type Attempt<T = Value> = Result<T, Refusal>;

const ZERO: Value = Value::Number(0);

/// How scripts write octets that do not matter; more of them than this are as many.
const LONGEST_TEXT: usize = 1 << 26;

impl Runner<'_> {
    /// Makes the call of event `i`, whose times count from `origin`.
    pub(super) fn call(&mut self, i: usize, call: &Call, origin: Instant) -> Step {
        let at = self.script.events[i].at;
        let told = self.calls.begin(self.machine.now(), self.machine.crossed_so_far(), call);
        let mut w = Waiting { event: i, origin, until: Instant::NEVER, taken: 0, begun: false, told };
        match self.attempt(call, &mut w) {
            Err(Refusal::Errno(libc::EAGAIN)) if self.may_wait(call) => {
                if call.end.is_none() && w.until == Instant::NEVER {
                    let what = format!("{} would wait, and the script does not say until when", call.name);
                    return Err(self.failure(at, what));
                }
                self.waiting = Some(w);
                Ok(())
            }
            got => self.returned(i, call, got, &w, true),
        }
    }

    /// A call has returned: its result, and the time if the script says when.
    fn returned(&mut self, i: usize, call: &Call, got: Attempt, w: &Waiting, at_once: bool) -> Step {
        let origin = w.origin;
        let e = &self.script.events[i];
        let got = match got {
            Ok(v) => Ok(v),
            Err(Refusal::Errno(n)) => Err(n),
            Err(Refusal::Unsupported(what)) => return self.skip(e.at, what),
            Err(Refusal::Wrong(what)) => return Err(self.mistake(e.at, format!("{}: {what}", call.name))),
        };
        let (now, crossed, short) = (self.machine.now(), self.machine.crossed_so_far(), story::result(&got, call));
        self.calls.end(w.told, now, crossed, call, &short, at_once);
        let v6 = fd(call).is_ok_and(|f| self.ipv6_files.contains(&f));
        if let Err(what) = judge(call, got, v6) {
            return Err(self.failure(e.at, format!("{}: {what}", call.name)));
        }
        if let Some(end) = call.end {
            let want = self.end_of(i, origin, end);
            let tolerance = self.tolerance(want.since(self.before));
            let now = self.machine.returned_at();
            if now + tolerance < want || now > want + tolerance {
                let (want, now) = (self.time_text(want), self.time_text(now));
                return Err(self.failure(e.at, format!("{} returned at {now}, expected {want}", call.name)));
            }
        }
        Ok(())
    }

    /// When a call is to return: an absolute time, or one with the origin of the event's own.
    fn end_of(&self, event: usize, origin: Instant, end: i64) -> Instant {
        let absolute = matches!(self.script.events[event].time, Time::Absolute(_));
        (if absolute { self.zero } else { origin }) + Duration::from_micros(end.max(0) as u64)
    }

    /// Something happened: the call that waits is made again.
    pub(super) fn look_at_waiting(&mut self) -> Step {
        let Some(mut w) = self.waiting.take() else { return Ok(()) };
        let Action::Call(call) = &self.script.events[w.event].action else { return Ok(()) };
        match self.attempt(call, &mut w) {
            Err(Refusal::Errno(libc::EAGAIN)) => {
                self.waiting = Some(w);
                Ok(())
            }
            got => self.returned(w.event, call, got, &w, false),
        }
    }

    /// Nothing goes on before the call that waits has returned.
    pub(super) fn finish_waiting(&mut self) -> Step {
        let Some(w) = &self.waiting else { return Ok(()) };
        let (event, origin) = (w.event, w.origin);
        let at = self.script.events[event].at;
        let Action::Call(call) = &self.script.events[event].action else { return Ok(()) };
        let end = call.end.map_or(w.until, |e| self.end_of(event, origin, e));
        let limit = (end + PATIENCE).max(self.machine.now());
        while let Some(w) = &self.waiting
            && self.machine.now() < limit
        {
            self.machine.step(w.until.min(limit));
            self.look_at_waiting()?;
        }
        if self.waiting.is_some() {
            let what = format!("{} still waits, expected it to return at {}", call.name, self.time_text(end));
            return Err(self.failure(at, what));
        }
        Ok(())
    }

    /// Whether the call may wait, by its file.
    fn may_wait(&self, call: &Call) -> bool {
        match call.name.as_str() {
            "poll" | "epoll_wait" => true,
            "recv" | "recvfrom" | "send" | "sendto" => {
                let dontwait = flags(call.args.get(3)).is_ok_and(|f| f & libc::MSG_DONTWAIT != 0);
                !dontwait && fd(call).is_ok_and(|f| self.machine.is_blocking(f))
            }
            _ => fd(call).is_ok_and(|f| self.machine.is_blocking(f)),
        }
    }

    /// Makes the call once.
    fn attempt(&mut self, call: &Call, w: &mut Waiting) -> Attempt {
        match call.name.as_str() {
            "socket" => self.socket(call),
            "bind" => self.bind(call),
            "listen" => self.listen(call),
            "accept" | "accept4" => self.accept(call),
            "connect" => self.connect(call, w),
            "read" | "recv" | "recvfrom" | "readv" => self.read(call),
            "recvmsg" => self.recvmsg(call),
            "write" | "send" | "sendto" | "writev" | "sendmsg" => self.write(call, w),
            "shutdown" => self.machine.shutdown(fd(call)?, int32(call.args.get(1))?).map(|()| ZERO),
            "close" => self.machine.close(fd(call)?).map(|()| ZERO),
            "fcntl" => self.fcntl(call),
            "ioctl" => {
                let n = self.machine.ioctl(fd(call)?, int(call.args.get(1))? as u64)?;
                Ok(Value::Octets(n.to_ne_bytes().to_vec()))
            }
            "setsockopt" => self.setsockopt(call),
            "getsockopt" => self.getsockopt(call),
            "poll" => self.poll(call, w),
            "epoll_create" if int(call.args.first())? <= 0 => Err(libc::EINVAL.into()),
            "epoll_create" | "epoll_create1" => {
                let new = self.new_file(call)?;
                self.machine.epoll_create(new).map(|()| Value::File)
            }
            "epoll_ctl" => self.epoll_ctl(call),
            "epoll_wait" => self.epoll_wait(call, w),
            other => Err(bad(format!("the system call {other}"))),
        }
    }

    /// The number that the script gives the new file.
    fn new_file(&self, call: &Call) -> Attempt<i32> {
        let n = match call.result.as_ref().and_then(|r| number(r).ok()).filter(|n| *n >= 0) {
            Some(n) => i32::try_from(n).map_err(|_| Refusal::Wrong(format!("{n} is no int")))?,
            // A call that is to fail makes no file that the script could name.
            None => i32::MAX,
        };
        if n != i32::MAX && self.machine.has_file(n) {
            return Err(bad(format!("the file {n} for two things at once")));
        }
        Ok(n)
    }

    fn socket(&mut self, call: &Call) -> Attempt {
        let domain = match call.args.first() {
            Some(Expr::Ellipsis) if self.set.ip_version == IpVersion::V4 => libc::AF_INET,
            Some(Expr::Ellipsis) => libc::AF_INET6,
            other => int32(other)?,
        };
        let (kind, protocol) = (int32(call.args.get(1))?, int32(call.args.get(2))?);
        let new = self.new_file(call)?;
        self.machine.socket(new, domain, kind, protocol)?;
        self.flows.began(new, kind & 0xf == libc::SOCK_DGRAM);
        self.is_ipv6(new, domain == libc::AF_INET6);
        Ok(Value::File)
    }

    /// Notes whether addresses of a file are IPv6's.
    fn is_ipv6(&mut self, f: i32, v6: bool) {
        if v6 {
            self.ipv6_files.insert(f);
        } else {
            self.ipv6_files.remove(&f);
        }
    }

    /// An address and its length, which are the arguments `at` and `at + 1`.
    fn address(&self, call: &Call, at: usize, default: SocketAddr) -> Attempt<Option<SocketAddr>> {
        let f = fd(call)?;
        let mixed = call.name != "bind" && self.flows.is_of_datagrams(f);
        let written = (call.args.get(at), call.args.get(at + 1));
        // What is no file of the script is for the call to refuse.
        let v6 = if self.machine.has_file(f) { self.ipv6_files.contains(&f) } else { default.is_ipv6() };
        address_for(written, default, v6, mixed)
    }

    fn bind(&mut self, call: &Call) -> Attempt {
        let f = fd(call)?;
        let default = SocketAddr::new(self.set.local(), self.set.bind_port);
        let addr = self.address(call, 1, default)?.ok_or(Refusal::Errno(libc::EAFNOSUPPORT))?;
        self.machine.bind(f, addr)?;
        self.flows.bound(f, addr.port());
        Ok(ZERO)
    }

    fn listen(&mut self, call: &Call) -> Attempt {
        let f = fd(call)?;
        self.machine.listen(f, int32(call.args.get(1))?)?;
        self.flows.listening(f);
        Ok(ZERO)
    }

    fn accept(&mut self, call: &Call) -> Attempt {
        let flags = if call.name == "accept4" { int32(call.args.get(3))? } else { 0 };
        let new = self.new_file(call)?;
        let listener = fd(call)?;
        let peer = self.machine.accept(listener, new, flags)?;
        self.is_ipv6(new, self.ipv6_files.contains(&listener));
        Ok(Value::Accepted { peer, known: self.flows.accepted(new, peer) })
    }

    fn connect(&mut self, call: &Call, w: &mut Waiting) -> Attempt {
        let f = fd(call)?;
        if !w.begun {
            w.begun = true;
            let to = self.address(call, 1, self.peer())?;
            if let Some(to) = to {
                self.flows.connecting(f, to);
            }
            match self.machine.connect(f, to) {
                Err(Refusal::Errno(libc::EINPROGRESS)) if self.machine.is_blocking(f) => {}
                other => return other.map(|()| ZERO),
            }
        }
        self.machine.connected(f).map(|()| ZERO)
    }

    /// Where packets go by default.
    fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.set.remote(), self.set.connect_port)
    }

    fn read(&mut self, call: &Call) -> Attempt {
        let (len, flags) = match call.name.as_str() {
            "readv" => (iov_len(call.args.get(1), call.args.get(2))?, None),
            "read" => (size(call.args.get(2))?, None),
            _ => (size(call.args.get(2))?, Some(flags(call.args.get(3))?)),
        };
        let r = self.machine.receive(fd(call)?, len, flags)?;
        Ok(Value::Received { data: r.data, flags: r.flags, from: r.from })
    }

    fn recvmsg(&mut self, call: &Call) -> Attempt {
        let Some(Expr::Struct(m)) = call.args.get(1) else { return Err(bad("a message of another form")) };
        if m.iter().any(|f| f.name.as_deref() == Some("msg_control")) {
            return Err(bad("control messages"));
        }
        let (len, flags) = (message_len(m)?, flags(call.args.get(2))?);
        let r = self.machine.receive(fd(call)?, len, Some(flags))?;
        Ok(Value::Received { data: r.data, flags: r.flags, from: r.from })
    }

    /// Whether what is sent goes where the call says: a stream that is connected has but one peer, and Linux does not look.
    fn goes_by_name(&self, call: &Call, flags: i32) -> Attempt<bool> {
        Ok(flags & libc::MSG_FASTOPEN != 0 || self.flows.is_of_datagrams(fd(call)?))
    }

    /// What a call writes: octets, flags, and to whom.
    fn written(&self, call: &Call) -> Attempt<(Vec<u8>, i32, Option<SocketAddr>)> {
        let a = &call.args;
        let mut to = None;
        let (len, flags) = match call.name.as_str() {
            "writev" => (iov_len(a.get(1), a.get(2))?, 0),
            "sendmsg" => {
                let Some(Expr::Struct(m)) = a.get(1) else { return Err(bad("a message of another form")) };
                let control = named(m, "msg_controllen").map_or(Ok(0), |n| int(Some(n)))?;
                if control != 0 || named(m, "msg_control").is_some() {
                    return Err(bad("control messages"));
                }
                let flags = flags(a.get(2))?;
                if let Some(name) = field(m, "msg_name")
                    && self.goes_by_name(call, flags)?
                {
                    to = address(Some(&name.value), self.peer())?;
                }
                (message_len(m)?, flags)
            }
            "write" => (size(a.get(2))?, 0),
            name => {
                let flags = flags(a.get(3))?;
                if name == "sendto" && self.goes_by_name(call, flags)? {
                    to = self.address(call, 4, self.peer())?;
                }
                (size(a.get(2))?, flags)
            }
        };
        let text = match a.get(1) {
            Some(Expr::Str(s)) => s[..len.min(s.len())].to_vec(),
            _ => vec![0; len.min(LONGEST_TEXT)],
        };
        Ok((text, flags, to))
    }

    /// A blocking write takes all there is before it returns.
    fn write(&mut self, call: &Call, w: &mut Waiting) -> Attempt {
        let f = fd(call)?;
        let (text, flags, to) = self.written(call)?;
        if let Some(to) = to {
            self.flows.connecting(f, to);
        }
        let taken = |w: &Waiting| Ok(Value::Number(w.taken as i64));
        loop {
            let sent = self.machine.send(f, &text[w.taken..], flags, to);
            let waits = flags & libc::MSG_DONTWAIT == 0 && self.machine.is_blocking(f);
            match sent {
                Ok(0) => return taken(w),
                Ok(n) => w.taken += n,
                Err(Refusal::Errno(libc::EAGAIN)) if waits => return Err(libc::EAGAIN.into()),
                Err(_) if w.taken > 0 => return taken(w),
                Err(e) => return Err(e),
            }
            if w.taken >= text.len() || !waits {
                return taken(w);
            }
        }
    }

    fn fcntl(&mut self, call: &Call) -> Attempt {
        let arg = if call.args.len() > 2 { int32(call.args.get(2))? } else { 0 };
        let n = self.machine.fcntl(fd(call)?, int32(call.args.get(1))?, arg)?;
        Ok(Value::Number(i64::from(n)))
    }

    fn setsockopt(&mut self, call: &Call) -> Attempt {
        let a = &call.args;
        let value = octets(a.get(3).ok_or_else(|| bad("setsockopt without a value"))?)?;
        let len = a.get(4).map_or(Ok(value.len() as i64), |l| int(Some(l)))?;
        let len = usize::try_from(len).map_err(|_| libc::EINVAL)?;
        let (level, name) = (int32(a.get(1))?, int32(a.get(2))?);
        self.machine.setsockopt(fd(call)?, level, name, &value[..len.min(value.len())]).map(|()| ZERO)
    }

    fn getsockopt(&mut self, call: &Call) -> Attempt {
        let a = &call.args;
        let len = match a.get(4) {
            Some(Expr::List(l)) => size(l.first())?,
            Some(Expr::Int(n)) => return Err(Refusal::Wrong(format!("expected the length as [{n}], found {n}"))),
            other => size(other)?,
        };
        let (level, name) = (int32(a.get(1))?, int32(a.get(2))?);
        self.machine.getsockopt(fd(call)?, level, name, len).map(Value::Octets)
    }

    /// A timeout in milliseconds begins at the first attempt; a negative one is none. True if it is over.
    fn timed_out(&self, w: &mut Waiting, ms: i32) -> bool {
        let now = self.machine.now();
        if !w.begun {
            w.begun = true;
            w.until = u64::try_from(ms).map_or(Instant::NEVER, |ms| now + Duration::from_millis(ms));
        }
        now >= w.until
    }

    fn poll(&mut self, call: &Call, w: &mut Waiting) -> Attempt {
        let Some(Expr::List(items)) = call.args.first() else { return Err(bad("poll of another form")) };
        let mut fds = Vec::new();
        for i in items {
            let Expr::Struct(f) = i else { return Err(bad("poll of another form")) };
            fds.push((int32(named(f, "fd"))?, short(named(f, "events"))?));
        }
        count(call.args.get(1), fds.len())?;
        let ms = int32(call.args.get(2))?;
        let over = self.timed_out(w, ms);
        match self.machine.poll(&fds, ms) {
            Err(Refusal::Errno(libc::EAGAIN)) if over => Ok(Value::Poll(vec![0; fds.len()])),
            other => other.map(Value::Poll),
        }
    }

    fn epoll_ctl(&mut self, call: &Call) -> Attempt {
        let (op, target) = (int32(call.args.get(1))?, int32(call.args.get(2))?);
        let (events, data) = match call.args.get(3) {
            Some(Expr::Struct(f)) => epoll_event(f)?,
            _ if op != libc::EPOLL_CTL_DEL => return Err(libc::EFAULT.into()),
            _ => (0, 0),
        };
        self.machine.epoll_ctl(fd(call)?, op, target, events, data).map(|()| ZERO)
    }

    fn epoll_wait(&mut self, call: &Call, w: &mut Waiting) -> Attempt {
        let (most, ms) = (int32(call.args.get(2))?, int32(call.args.get(3))?);
        let most = usize::try_from(most).ok().filter(|n| *n > 0).ok_or(Refusal::Errno(libc::EINVAL))?;
        let over = self.timed_out(w, ms);
        match self.machine.epoll_wait(fd(call)?, most, ms) {
            Err(Refusal::Errno(libc::EAGAIN)) if over => Ok(Value::Epoll(Vec::new())),
            other => other.map(Value::Epoll),
        }
    }
}

/// Octets that the buffers of a message have.
fn message_len(m: &[Field]) -> Attempt<usize> {
    let iov = field(m, "msg_iov");
    iov_len(iov.map(|f| &f.value), iov.and_then(|f| f.length.as_ref()).or_else(|| named(m, "msg_iovlen")))
}
