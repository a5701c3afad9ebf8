//! A stack behind packetdrill's C interface as the machine of a script.
//!
//! A call that may wait is made on a thread of its own, as packetdrill makes it: it sleeps in the library while this
//! thread moves the clock, and when it returns reads the clock before anything else.

use super::commands::Refused;
use super::flow::Flow;
use super::machine::{Info, Machine};
use super::pending::{Look, Pending};
use super::settings::Settings;
use super::sysctls::{HOST_SYSCTLS, is_setting, sysctl};
use crate::host::{Crossed, START, Sent};
use crate::library::{Library, Session};
use crate::sockets::{Received, Refusal, Result, info_of, state_of_number};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use synfin_stack::engine::{Instant, TcpConfig};

/// What a fresh network namespace says other than our settings do.
const OURS: &[(&str, &str)] = &[
    ("net.ipv4.tcp_rfc1337", "1"),
    ("net.ipv4.tcp_congestion_control", "reno"),
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.tcp_syn_linear_timeouts", "0"),
    ("net.ipv4.tcp_mtu_probing", "1"),
];

/// Makes the network namespace of this thread, which must be one of its own, say what our settings do by default: a script
/// must end on a library of ours as it does without.
pub fn settle_namespace() -> std::io::Result<()> {
    OURS.iter().try_for_each(|(key, value)| match fs::write(format!("/proc/sys/{}", key.replace('.', "/")), value) {
        // An older kernel does not have it, nor then the difference.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    })
}

/// A file of the script.
#[derive(Debug, Clone, Copy)]
struct File {
    /// Its number in the library.
    live: i32,
    /// Its addresses are IPv6's.
    v6: bool,
}

pub(super) struct Loaded {
    session: Arc<Session>,
    files: BTreeMap<i32, File>,
    pending: Option<Pending>,
    /// What the library's clock showed when ours began, in microseconds.
    epoch: i64,
    /// When the call that was made last returned, if that was on another thread.
    returned_at: Option<Instant>,
    /// Packets that the library gave and that were not taken.
    queue: VecDeque<Sent>,
    /// When [`Machine::mark`] was called.
    mark: Instant,
    crossed: Vec<Crossed>,
    library: Library,
    /// What it was started with.
    flags: String,
    /// What its namespace could not be told, among the defaults.
    untold: TcpConfig,
}

impl Loaded {
    pub(super) fn new(library: &Library, set: &Settings) -> std::result::Result<Loaded, String> {
        let session = Arc::new(library.start(&set.as_flags())?);
        let epoch = session.gettimeofday();
        Ok(Loaded {
            session,
            files: BTreeMap::new(),
            pending: None,
            epoch,
            returned_at: None,
            queue: VecDeque::new(),
            mark: START,
            crossed: Vec::new(),
            library: *library,
            flags: set.as_flags(),
            untold: TcpConfig::default(),
        })
    }

    /// Starts the library anew, with a flag for what a sysctl asks for. Only before the first socket.
    fn tell_by_flags(&mut self, key: &str, value: &str) -> std::result::Result<(), String> {
        if !self.files.is_empty() || self.pending.is_some() {
            return Err(", and a library is told before the first socket".into());
        }
        let mut untold = self.untold.clone();
        sysctl(&mut untold, key, value).map_err(|_| "")?;
        let ours = TcpConfig::default();
        let flags: Vec<String> = TcpConfig::settings()
            .iter()
            .filter(|s| untold.get(s.key) != ours.get(s.key))
            .map(|s| format!(",{}={}", s.key, untold.get(s.key).unwrap_or_default()))
            .collect();
        let passed = self.now().since(START);
        self.session = Arc::new(self.library.start(&(self.flags.clone() + &flags.concat()))?);
        self.epoch = self.session.gettimeofday() - passed.as_micros() as i64;
        self.untold = untold;
        Ok(())
    }

    fn instant(&self, us: i64) -> Instant {
        START + Duration::from_micros(u64::try_from(us - self.epoch).unwrap_or(0))
    }

    fn file(&self, fd: i32) -> Result<File> {
        self.files.get(&fd).copied().ok_or(Refusal::Errno(libc::EBADF))
    }

    fn live(&self, fd: i32) -> Result<i32> {
        self.file(fd).map(|f| f.live)
    }

    /// A file that is not the script's has no number in the library either.
    fn live_or_none(&self, fd: i32) -> i32 {
        self.files.get(&fd).map_or(-1, |f| f.live)
    }

    /// Moves the library's clock.
    fn sleep(&self, d: Duration) {
        let mut left = d.as_micros();
        while left > 0 {
            let us = u32::try_from(left).unwrap_or(u32::MAX);
            // The interface has no way for it to fail.
            let _ = self.session.usleep(us);
            left -= u128::from(us);
        }
    }

    /// Makes a call that may wait: `EAGAIN` while it does.
    fn may_wait<T: Send + 'static>(&mut self, call: impl FnOnce(&Session) -> Result<T> + Send + 'static) -> Result<T> {
        let pending = match self.pending.take() {
            Some(p) => p,
            None => Pending::start(self.session.clone(), call),
        };
        match pending.look() {
            Look::Waits => {
                self.pending = Some(pending);
                Err(libc::EAGAIN.into())
            }
            Look::Returned(value, us) => {
                self.returned_at = Some(self.instant(us));
                match value.downcast::<Result<T>>() {
                    Ok(r) => *r,
                    Err(_) => Err(Refusal::Unsupported("two calls that wait at once".into())),
                }
            }
            Look::Gone => Err(Refusal::Unsupported("a call whose thread ended".into())),
        }
    }

    /// Makes a call on `fd` that may wait if the file is blocking.
    fn on_file<T: Send + 'static>(
        &mut self,
        fd: i32,
        waits: bool,
        call: impl FnOnce(&Session, File) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let file = self.file(fd)?;
        if waits && self.is_blocking(fd) {
            return self.may_wait(move |s| call(s, file));
        }
        self.returned_at = None;
        call(&self.session, file)
    }

    /// Lets the call that waits come to its end, by its own patience if need be.
    fn give_up_waiting(&mut self) {
        let Some(p) = self.pending.take() else { return };
        for _ in 0..PATIENCE_MINUTES {
            if !matches!(p.look(), Look::Waits) {
                return;
            }
            self.sleep(Duration::from_secs(60));
        }
    }

    fn take(&mut self) {
        if let Ok(Some((bytes, us))) = self.session.netdev_receive() {
            let at = self.instant(us);
            self.crossed.push(Crossed { at, inbound: false, bytes: bytes.clone(), state: None });
            let number = self.crossed.iter().filter(|c| !c.inbound).count() - 1;
            self.queue.push_back(Sent { at, bytes, number });
        }
    }
}

impl Drop for Loaded {
    /// As packetdrill does: what the script left open is closed.
    fn drop(&mut self) {
        self.give_up_waiting();
        for f in self.files.values() {
            // It may be gone already, in the library's own way.
            let _ = self.session.close(f.live);
        }
    }
}

/// The clock moves by no more while a call waits.
const SLICE: Duration = Duration::from_millis(1);
/// How long a library is given to end a call that waits, in minutes of its time.
const PATIENCE_MINUTES: u32 = 30;

impl Machine for Loaded {
    fn now(&self) -> Instant {
        self.instant(self.session.gettimeofday())
    }

    fn returned_at(&self) -> Instant {
        self.returned_at.unwrap_or_else(|| self.now())
    }

    fn step(&mut self, to: Instant) -> bool {
        // A call that returns on the way is looked at when it has.
        while let Some(p) = &self.pending {
            let left = to.since(self.now());
            if left.is_zero() || p.has_returned() {
                return left.is_zero();
            }
            self.sleep(left.min(SLICE));
        }
        self.sleep(to.since(self.now()));
        true
    }

    fn is_stuck(&self) -> bool {
        self.pending.is_some()
    }

    fn deliver(&mut self, packet: &[u8]) {
        self.crossed.push(Crossed { at: self.now(), inbound: true, bytes: packet.to_vec(), state: None });
        // packetdrill ends if this fails; the script then misses what should have followed.
        let _ = self.session.netdev_send(packet);
    }

    fn next_sent(&mut self, until: Instant) -> Option<Sent> {
        if self.queue.is_empty() {
            self.take();
        }
        if self.queue.front().is_some_and(|s| s.at <= until.max(self.now())) {
            return self.queue.pop_front();
        }
        self.step(until);
        None
    }

    fn put_back(&mut self, sent: Sent) {
        self.queue.push_front(sent);
    }

    fn mark(&mut self) {
        // A look at the clock moves it, so what leaves from now on leaves later. Where a library's clock stands still,
        // what left at this instant is not told apart, and is taken for what the last event did.
        self.mark = self.now();
    }

    fn left_over(&mut self) -> Vec<(Sent, bool)> {
        let now = self.now();
        // The library moves the clock to find the next one: the first that left later is the end.
        while self.queue.back().is_none_or(|s| s.at <= now) {
            let before = self.queue.len();
            self.take();
            if self.queue.len() == before {
                break;
            }
        }
        self.queue.iter().filter(|s| s.at <= now).map(|s| (s.clone(), s.at < self.mark)).collect()
    }

    fn sysctl(&mut self, key: &str, value: &str) -> std::result::Result<(), Refused> {
        // What means nothing to us cannot be judged; the library reads the rest from its namespace.
        sysctl(&mut TcpConfig::default(), key, value)?;
        if HOST_SYSCTLS.contains(&key) && !self.files.is_empty() {
            return Err(Refused::too_late(key, value));
        }
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        match fs::write(&path, value) {
            Ok(()) => Ok(()),
            // This kernel does not have it: the library cannot be told. What changes nothing here need not be told.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !is_setting(key) => Ok(()),
            // This kernel does not know the value, or a namespace may not choose it: what is a setting of ours is one of the
            // library's flags as well.
            Err(e) => self.tell_by_flags(key, value).map_err(|why| Refused::Unsupported(format!("{path}: {e}{why}"))),
        }
    }

    fn info(&mut self, fd: i32) -> Option<Info> {
        self.getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 280).ok().map(|b| info_of(&b))
    }

    fn describe(&mut self, flow: &Flow) -> Option<String> {
        // The interface tells of files only: not of what is half-open, nor of what its program has closed.
        let none = || flow.is_pair().then(|| "not known: a library tells of open files only, and this has none".into());
        let Some(info) = flow.fd.and_then(|fd| self.info(fd)) else { return none() };
        let value = |name: &str| info.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v);
        let state = value("tcpi_state");
        let state = state_of_number(state).map_or_else(|| format!("state {state}"), |s| s.to_string());
        Some(format!(
            "{state} unacknowledged {} segments cwnd {} segments SND.WND {} RCV.WND {} rto {} ms",
            value("tcpi_unacked"),
            value("tcpi_snd_cwnd"),
            value("tcpi_snd_wnd"),
            value("tcpi_rcv_wnd"),
            value("tcpi_rto") / 1_000
        ))
    }

    fn crossed(&mut self) -> Vec<Crossed> {
        std::mem::take(&mut self.crossed)
    }

    fn has_file(&self, fd: i32) -> bool {
        self.files.contains_key(&fd)
    }

    fn is_blocking(&self, fd: i32) -> bool {
        let flags = self.live(fd).and_then(|live| self.session.fcntl(live, libc::F_GETFL, 0));
        flags.is_ok_and(|f| f & libc::O_NONBLOCK == 0)
    }

    fn socket(&mut self, new: i32, domain: i32, kind: i32, protocol: i32) -> Result<()> {
        let live = self.session.socket(domain, kind, protocol)?;
        self.files.insert(new, File { live, v6: domain == libc::AF_INET6 });
        Ok(())
    }

    fn bind(&mut self, fd: i32, addr: SocketAddr) -> Result<()> {
        self.on_file(fd, false, move |s, f| s.bind(f.live, addr, f.v6))
    }

    fn listen(&mut self, fd: i32, backlog: i32) -> Result<()> {
        self.on_file(fd, false, move |s, f| s.listen(f.live, backlog))
    }

    fn accept(&mut self, fd: i32, new: i32, flags: i32) -> Result<SocketAddr> {
        let v6 = self.file(fd)?.v6;
        let (live, peer) = self.on_file(fd, true, |s, f| s.accept(f.live))?;
        self.files.insert(new, File { live, v6 });
        if flags & libc::SOCK_NONBLOCK != 0 {
            self.session.fcntl(live, libc::F_SETFL, libc::O_NONBLOCK)?;
        }
        let peer = peer.map(|p| SocketAddr::new(p.ip().to_canonical(), p.port()));
        peer.ok_or_else(|| Refusal::Unsupported("accept without the peer's address".into()))
    }

    fn connect(&mut self, fd: i32, to: Option<SocketAddr>) -> Result<()> {
        match self.on_file(fd, true, move |s, f| s.connect(f.live, to, f.v6)) {
            Err(Refusal::Errno(libc::EAGAIN)) if self.pending.is_some() => Err(libc::EINPROGRESS.into()),
            other => other,
        }
    }

    fn connected(&mut self, _: i32) -> Result<()> {
        // Asked only while the call waits.
        self.may_wait(|_| Ok(()))
    }

    fn receive(&mut self, fd: i32, len: usize, flags: Option<i32>) -> Result<Received> {
        let waits = flags.unwrap_or(0) & libc::MSG_DONTWAIT == 0;
        self.on_file(fd, waits, move |s, f| match flags {
            Some(flags) => s.receive(f.live, len, flags),
            None => s.read(f.live, len),
        })
    }

    fn send(&mut self, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>) -> Result<usize> {
        let data = data.to_vec();
        self.on_file(fd, flags & libc::MSG_DONTWAIT == 0, move |s, f| s.send(f.live, &data, flags, to, f.v6))
    }

    fn shutdown(&mut self, fd: i32, how: i32) -> Result<()> {
        self.on_file(fd, false, move |s, f| s.shutdown(f.live, how))
    }

    fn close(&mut self, fd: i32) -> Result<()> {
        let live = self.live(fd)?;
        self.files.remove(&fd);
        self.session.close(live)
    }

    fn fcntl(&mut self, fd: i32, cmd: i32, arg: i32) -> Result<i32> {
        self.on_file(fd, false, move |s, f| s.fcntl(f.live, cmd, arg))
    }

    fn ioctl(&mut self, fd: i32, request: u64) -> Result<i32> {
        self.on_file(fd, false, move |s, f| s.ioctl(f.live, request))
    }

    fn getsockopt(&mut self, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>> {
        self.on_file(fd, false, move |s, f| s.getsockopt(f.live, level, name, len))
    }

    fn setsockopt(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()> {
        self.session.setsockopt(self.live(fd)?, level, name, value)
    }

    fn poll(&mut self, fds: &[(i32, i16)], ms: i32) -> Result<Vec<i16>> {
        let fds: Vec<(i32, i16)> =
            fds.iter().map(|(fd, e)| (if *fd < 0 { *fd } else { self.live_or_none(*fd) }, *e)).collect();
        self.may_wait(move |s| s.poll(&fds, ms))
    }

    fn epoll_create(&mut self, new: i32) -> Result<()> {
        let live = self.session.epoll_create()?;
        self.files.insert(new, File { live, v6: false });
        Ok(())
    }

    fn epoll_ctl(&mut self, ep: i32, op: i32, fd: i32, events: u32, data: u64) -> Result<()> {
        let target = self.live_or_none(fd);
        self.on_file(ep, false, move |s, f| s.epoll_ctl(f.live, op, target, events, data))
    }

    fn epoll_wait(&mut self, ep: i32, most: usize, ms: i32) -> Result<Vec<(u32, u64)>> {
        let live = self.live(ep)?;
        self.may_wait(move |s| s.epoll_wait(live, most, ms))
    }
}
