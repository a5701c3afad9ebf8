//! The C interface through which packetdrill drives a stack that is not the kernel's (its "so mode"): one exported symbol
//! fills a table of calls. Time is virtual: it moves when packetdrill sleeps, waits for a packet, or looks at the clock.
//!
//! This is one of the two places besides `device` where unsafe code may be: the interface is made of pointers.
#![allow(unsafe_code)]

use crate::host::{Host, START};
use crate::run::{Settings, sysctl};
use crate::script::OptionLine;
use crate::sockets::{Refusal, Result, Sockets};
use libc::{c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_void, size_t, sockaddr, socklen_t, ssize_t};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synfin_stack::Cidr;
use synfin_stack::engine::config::{ReceiveWindow, WindowProbe};
use synfin_stack::engine::{Instant, TcpConfig};

/// What packetdrill's clock shows when ours begins.
const EPOCH_US: i64 = 1_000_000_000_000_000;
/// How long something is waited for that may never come.
const PATIENCE: Duration = Duration::from_secs(600);

/// Everything behind the interface.
struct World {
    host: Host,
    sockets: Sockets,
    /// What `so_flags` say beside the settings of the namespace.
    flags: String,
    /// A call is asleep, and wakes by itself then.
    asleep: Option<Instant>,
    /// A call was woken and has not looked at the clock, or gone back to sleep, yet.
    woken: bool,
}

/// The world, and the bell for who waits on it.
struct Shared {
    world: Mutex<World>,
    bell: Condvar,
}

thread_local! {
    /// This thread has just come back from a call that slept: packetdrill reads the clock next, and time stands still
    /// until it has.
    static JUST_WOKEN: Cell<bool> = const { Cell::new(false) };
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        self.bell.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the call that sleeps look again.
    fn wake(&self, w: &mut World) {
        if w.asleep.is_some() && !w.woken {
            w.woken = true;
            self.bell.notify_all();
        }
    }

    /// Nobody is between waking up and looking at the clock.
    fn settled<'a>(&self, mut w: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        while w.woken {
            w = self.wait(w);
        }
        w
    }

    /// The clock moves to `to`; after each thing that happens, whoever waits for it goes first.
    fn advance<'a>(&self, w: MutexGuard<'a, World>, to: Instant) -> MutexGuard<'a, World> {
        let mut w = self.settled(w);
        loop {
            let next = w.asleep.unwrap_or(Instant::NEVER).max(w.host.now()).min(to);
            let there = w.host.step(next);
            self.wake(&mut w);
            w = self.settled(w);
            if there && next >= to {
                return w;
            }
        }
    }

    /// Makes a call; if it would wait and may (`blocks`), the thread sleeps until it need not, or until `limit`.
    fn call<T>(
        &self,
        blocks: impl FnOnce(&World) -> Option<Instant>,
        mut attempt: impl FnMut(&mut World) -> Result<T>,
    ) -> Result<T> {
        let mut w = self.lock();
        let mut slept = false;
        let limit = blocks(&w);
        loop {
            let r = attempt(&mut w);
            let over = limit.is_none_or(|l| w.host.now() >= l);
            match r {
                Err(Refusal::Errno(libc::EAGAIN)) if !over => {}
                r => {
                    if slept {
                        JUST_WOKEN.with(|j| j.set(true));
                        w.asleep = None;
                    }
                    return r;
                }
            }
            slept = true;
            w.asleep = limit;
            w.woken = false;
            self.bell.notify_all();
            while !w.woken {
                w = self.wait(w);
            }
        }
    }
}

fn blocking(fd: c_int) -> impl FnOnce(&World) -> Option<Instant> {
    move |w| w.sockets.is_blocking(fd).then(|| w.host.now() + PATIENCE)
}

fn fail(errno: i32) {
    // SAFETY: the location of the calling thread's errno is always valid.
    unsafe { *libc::__errno_location() = errno };
}

/// The result as libc gives it.
fn give(r: Result<i64>) -> i64 {
    match r {
        Ok(n) => n,
        Err(Refusal::Errno(e)) => {
            fail(e);
            -1
        }
        Err(Refusal::Unsupported(what)) => {
            eprintln!("synfin: {what} is not there");
            fail(libc::ENOSYS);
            -1
        }
    }
}

/// # Safety
/// `u` is what [`packetdrill_interface_init`] put into the table, and was not freed.
unsafe fn shared<'a>(u: *mut c_void) -> &'a Shared {
    // SAFETY: by the caller's promise it points to a `Shared` that lives until `free`.
    unsafe { &*u.cast::<Shared>() }
}

/// # Safety
/// `a` is null or points to `len` octets.
unsafe fn address(a: *const sockaddr, len: socklen_t) -> Option<SocketAddr> {
    if a.is_null() || (len as usize) < size_of::<libc::sa_family_t>() {
        return None;
    }
    // SAFETY: there are at least the octets of the family.
    let family = c_int::from(unsafe { (*a).sa_family });
    if family == libc::AF_INET && len as usize >= size_of::<libc::sockaddr_in>() {
        // SAFETY: the family and the length say that it is one; it may lie anywhere.
        let v4 = unsafe { a.cast::<libc::sockaddr_in>().read_unaligned() };
        let ip = u32::from_be(v4.sin_addr.s_addr);
        return Some(SocketAddr::new(IpAddr::from(ip.to_be_bytes()), u16::from_be(v4.sin_port)));
    }
    if family == libc::AF_INET6 && len as usize >= size_of::<libc::sockaddr_in6>() {
        // SAFETY: as above.
        let v6 = unsafe { a.cast::<libc::sockaddr_in6>().read_unaligned() };
        return Some(SocketAddr::new(IpAddr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port)));
    }
    None
}

/// Writes an address as accept(2) does: as much as there is room for, and how long it is.
///
/// # Safety
/// `a` is null or points to `*len` octets.
unsafe fn put_address(from: SocketAddr, v6: bool, a: *mut sockaddr, len: *mut socklen_t) {
    if a.is_null() || len.is_null() {
        return;
    }
    let mut bytes = Vec::new();
    match (from.ip(), v6) {
        (IpAddr::V4(ip), false) => {
            bytes.extend((libc::AF_INET as u16).to_ne_bytes());
            bytes.extend(from.port().to_be_bytes());
            bytes.extend(ip.octets());
            bytes.extend([0; 8]);
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            bytes.extend((libc::AF_INET6 as u16).to_ne_bytes());
            bytes.extend(from.port().to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(ip.octets());
            bytes.extend([0; 4]);
        }
    }
    // SAFETY: at most `*len` octets are written, which are there by the caller's promise.
    unsafe {
        let n = bytes.len().min(*len as usize);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), a.cast::<u8>(), n);
        *len = bytes.len() as socklen_t;
    }
}

/// # Safety
/// `buf` points to `n` octets, or is null.
unsafe fn bytes<'a>(buf: *const c_void, n: size_t) -> &'a [u8] {
    if buf.is_null() || n == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(buf.cast(), n) }
}

/// Copies `data` to `buf`, which has room for `n` octets.
///
/// # Safety
/// `buf` points to `n` octets that nobody else uses, or is null.
unsafe fn put(data: &[u8], buf: *mut c_void, n: size_t) {
    if !buf.is_null() {
        // SAFETY: by the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buf.cast::<u8>(), data.len().min(n)) };
    }
}

/// # Safety
/// `iov` points to `n` entries, or is null.
unsafe fn iovecs<'a>(iov: *const libc::iovec, n: usize) -> &'a [libc::iovec] {
    if iov.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(iov, n) }
}

/// # Safety
/// Each entry points to as many octets as it says.
unsafe fn gather(iov: &[libc::iovec]) -> Vec<u8> {
    // SAFETY: by the caller's promise.
    iov.iter().flat_map(|v| unsafe { bytes(v.iov_base, v.iov_len) }.to_vec()).collect()
}

/// # Safety
/// As of [`gather`], and nobody else uses the octets.
unsafe fn scatter(mut data: &[u8], iov: &[libc::iovec]) {
    for v in iov {
        let n = v.iov_len.min(data.len());
        // SAFETY: by the caller's promise.
        unsafe { put(&data[..n], v.iov_base, v.iov_len) };
        data = &data[n..];
    }
}

// A real file stands for each of ours: packetdrill itself closes what a script leaves open.
fn placeholder() -> Result<c_int> {
    // SAFETY: no pointer is involved.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd >= 0 { Ok(fd) } else { Err(Refusal::Errno(libc::EMFILE)) }
}

fn close_placeholder(fd: c_int) {
    // SAFETY: it is one of ours, which nobody else closes.
    unsafe { libc::close(fd) };
}

/// Runs `f` with a new file; the file goes again if that fails.
fn with_new_file<T>(f: impl FnOnce(c_int) -> Result<T>) -> Result<(c_int, T)> {
    let fd = placeholder()?;
    match f(fd) {
        Ok(t) => Ok((fd, t)),
        Err(e) => {
            close_placeholder(fd);
            Err(e)
        }
    }
}

unsafe extern "C" fn free(u: *mut c_void) {
    // SAFETY: packetdrill calls this once, last, with what we gave it.
    drop(unsafe { Box::from_raw(u.cast::<Shared>()) });
}

unsafe extern "C" fn socket(u: *mut c_void, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    let mut w = s.lock();
    w.read_settings();
    let World { host, sockets, .. } = &mut *w;
    give(with_new_file(|fd| sockets.socket(host, fd, domain, kind, protocol)).map(|(fd, ())| i64::from(fd))) as c_int
}

unsafe extern "C" fn bind(u: *mut c_void, fd: c_int, a: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: `u` is ours, the address is packetdrill's.
    let (s, a) = unsafe { (shared(u), address(a, len)) };
    let World { host, sockets, .. } = &mut *s.lock();
    give(a.ok_or(Refusal::Errno(libc::EINVAL)).and_then(|a| sockets.bind(host, fd, a)).map(|()| 0)) as c_int
}

unsafe extern "C" fn listen(u: *mut c_void, fd: c_int, backlog: c_int) -> c_int {
    // SAFETY: `u` is ours.
    let World { host, sockets, .. } = &mut *unsafe { shared(u) }.lock();
    give(sockets.listen(host, fd, backlog).map(|()| 0)) as c_int
}

unsafe extern "C" fn accept(u: *mut c_void, fd: c_int, a: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    let r = s.call(blocking(fd), |w| {
        let World { host, sockets, .. } = w;
        with_new_file(|new| {
            let peer = sockets.accept(host, fd, new, 0)?;
            Ok((peer, sockets.is_ipv6(fd)))
        })
    });
    give(r.map(|(new, (peer, v6))| {
        // SAFETY: packetdrill gives room for an address, and says how much.
        unsafe { put_address(peer, v6, a, len) };
        i64::from(new)
    })) as c_int
}

unsafe extern "C" fn connect(u: *mut c_void, fd: c_int, a: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: `u` is ours, the address is packetdrill's.
    let (s, to) = unsafe { (shared(u), address(a, len)) };
    let mut begun = false;
    let r = s.call(blocking(fd), |w| {
        let World { host, sockets, .. } = w;
        if !begun {
            begun = true;
            match sockets.connect(host, fd, to) {
                Err(Refusal::Errno(libc::EINPROGRESS)) if sockets.is_blocking(fd) => {}
                other => return other,
            }
        }
        sockets.connected(host, fd)
    });
    give(r.map(|()| 0)) as c_int
}

impl Shared {
    fn receive(&self, fd: c_int, n: size_t, flags: c_int) -> Result<crate::sockets::Received> {
        let wait = move |w: &World| {
            (flags & libc::MSG_DONTWAIT == 0 && w.sockets.is_blocking(fd)).then(|| w.host.now() + PATIENCE)
        };
        self.call(wait, |w| w.sockets.receive(&mut w.host, fd, n, flags))
    }

    fn send(&self, fd: c_int, data: &[u8], flags: c_int, to: Option<SocketAddr>) -> Result<i64> {
        let waits = move |w: &World| flags & libc::MSG_DONTWAIT == 0 && w.sockets.is_blocking(fd);
        let mut taken = 0;
        self.call(
            move |w| waits(w).then(|| w.host.now() + PATIENCE),
            |w| {
                loop {
                    match w.sockets.send(&mut w.host, fd, &data[taken..], flags, to) {
                        Ok(n) => taken += n,
                        Err(Refusal::Errno(libc::EAGAIN)) if waits(w) || taken == 0 => return Err(libc::EAGAIN.into()),
                        Err(e) if taken == 0 => return Err(e),
                        Err(_) => return Ok(taken as i64),
                    }
                    if taken >= data.len() || !waits(w) {
                        return Ok(taken as i64);
                    }
                }
            },
        )
    }
}

unsafe extern "C" fn recvfrom(
    u: *mut c_void,
    fd: c_int,
    buf: *mut c_void,
    n: size_t,
    flags: c_int,
    a: *mut sockaddr,
    len: *mut socklen_t,
) -> ssize_t {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    give(s.receive(fd, n, flags).map(|r| {
        // SAFETY: packetdrill gives `n` octets, and room for an address.
        unsafe {
            put(&r.data, buf, n);
            if let Some(from) = r.from {
                put_address(from, from.is_ipv6(), a, len);
            }
        }
        r.data.len() as i64
    })) as ssize_t
}

unsafe extern "C" fn read(u: *mut c_void, fd: c_int, buf: *mut c_void, n: size_t) -> ssize_t {
    // SAFETY: as of `recvfrom`.
    unsafe { recvfrom(u, fd, buf, n, 0, std::ptr::null_mut(), std::ptr::null_mut()) }
}

unsafe extern "C" fn recv(u: *mut c_void, fd: c_int, buf: *mut c_void, n: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as of `recvfrom`.
    unsafe { recvfrom(u, fd, buf, n, flags, std::ptr::null_mut(), std::ptr::null_mut()) }
}

unsafe extern "C" fn readv(u: *mut c_void, fd: c_int, iov: *const libc::iovec, n: c_int) -> ssize_t {
    // SAFETY: `u` is ours, the entries are packetdrill's.
    let (s, iov) = unsafe { (shared(u), iovecs(iov, n.max(0) as usize)) };
    let room = iov.iter().map(|v| v.iov_len).sum();
    give(s.receive(fd, room, 0).map(|r| {
        // SAFETY: packetdrill's buffers are as long as it says.
        unsafe { scatter(&r.data, iov) };
        r.data.len() as i64
    })) as ssize_t
}

unsafe extern "C" fn recvmsg(u: *mut c_void, fd: c_int, m: *mut libc::msghdr, flags: c_int) -> ssize_t {
    // SAFETY: `u` is ours, the message is packetdrill's.
    let (s, m) = unsafe { (shared(u), &mut *m) };
    // SAFETY: the message says how many entries there are.
    let iov = unsafe { iovecs(m.msg_iov, m.msg_iovlen) };
    let room = iov.iter().map(|v| v.iov_len).sum();
    give(s.receive(fd, room, flags).map(|r| {
        // SAFETY: packetdrill's buffers are as long as it says.
        unsafe {
            scatter(&r.data, iov);
            match r.from {
                Some(from) => put_address(from, from.is_ipv6(), m.msg_name.cast(), &mut m.msg_namelen),
                None => m.msg_namelen = 0,
            }
        }
        m.msg_flags = r.flags;
        m.msg_controllen = 0;
        r.data.len() as i64
    })) as ssize_t
}

unsafe extern "C" fn sendto(
    u: *mut c_void,
    fd: c_int,
    buf: *const c_void,
    n: size_t,
    flags: c_int,
    a: *const sockaddr,
    len: socklen_t,
) -> ssize_t {
    // SAFETY: `u` is ours, buffer and address are packetdrill's.
    let (s, data, to) = unsafe { (shared(u), bytes(buf, n), address(a, len)) };
    give(s.send(fd, data, flags, to)) as ssize_t
}

unsafe extern "C" fn write(u: *mut c_void, fd: c_int, buf: *const c_void, n: size_t) -> ssize_t {
    // SAFETY: as of `sendto`.
    unsafe { sendto(u, fd, buf, n, 0, std::ptr::null(), 0) }
}

unsafe extern "C" fn send(u: *mut c_void, fd: c_int, buf: *const c_void, n: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as of `sendto`.
    unsafe { sendto(u, fd, buf, n, flags, std::ptr::null(), 0) }
}

unsafe extern "C" fn writev(u: *mut c_void, fd: c_int, iov: *const libc::iovec, n: c_int) -> ssize_t {
    // SAFETY: `u` is ours, the entries are packetdrill's.
    let (s, data) = unsafe { (shared(u), gather(iovecs(iov, n.max(0) as usize))) };
    give(s.send(fd, &data, 0, None)) as ssize_t
}

unsafe extern "C" fn sendmsg(u: *mut c_void, fd: c_int, m: *const libc::msghdr, flags: c_int) -> ssize_t {
    // SAFETY: `u` is ours, the message is packetdrill's.
    let (s, m) = unsafe { (shared(u), &*m) };
    // SAFETY: the message says how many entries there are, and how long the name is.
    let (data, to) =
        unsafe { (gather(iovecs(m.msg_iov, m.msg_iovlen)), address(m.msg_name.cast_const().cast(), m.msg_namelen)) };
    give(s.send(fd, &data, flags, to)) as ssize_t
}

// Stable Rust cannot define a variadic function; on the ABIs of Linux an integer or a pointer is passed the same way
// whether it is named or not. What is not there is not looked at.
unsafe extern "C" fn fcntl(u: *mut c_void, fd: c_int, cmd: c_int, arg: c_long) -> c_int {
    // SAFETY: `u` is ours.
    let mut w = unsafe { shared(u) }.lock();
    let arg = if cmd == libc::F_SETFL { arg as c_int } else { 0 };
    give(w.sockets.fcntl(fd, cmd, arg).map(i64::from)) as c_int
}

unsafe extern "C" fn ioctl(u: *mut c_void, fd: c_int, request: c_ulong, arg: *mut c_void) -> c_int {
    // SAFETY: `u` is ours.
    let World { host, sockets, .. } = &mut *unsafe { shared(u) }.lock();
    give(sockets.ioctl(host, fd, request).map(|n| {
        // SAFETY: the requests that are answered take a pointer to an int.
        unsafe { put(&n.to_ne_bytes(), arg, size_of::<c_int>()) };
        0
    })) as c_int
}

unsafe extern "C" fn close(u: *mut c_void, fd: c_int) -> c_int {
    // SAFETY: `u` is ours.
    let World { host, sockets, .. } = &mut *unsafe { shared(u) }.lock();
    let r = sockets.close(host, fd);
    if r.is_ok() {
        close_placeholder(fd);
    }
    give(r.map(|()| 0)) as c_int
}

unsafe extern "C" fn shutdown(u: *mut c_void, fd: c_int, how: c_int) -> c_int {
    // SAFETY: `u` is ours.
    let World { host, sockets, .. } = &mut *unsafe { shared(u) }.lock();
    give(sockets.shutdown(host, fd, how).map(|()| 0)) as c_int
}

unsafe extern "C" fn getsockopt(
    u: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    const SO_MEMINFO: c_int = 55;
    // SAFETY: `u` is ours; the length is packetdrill's.
    let (s, room) = unsafe { (shared(u), if len.is_null() { 0 } else { *len as usize }) };
    let World { host, sockets, .. } = &mut *s.lock();
    let got = match (level, name) {
        // What the kernel tells besides, for the assertions of scripts: nothing of it is here.
        (libc::SOL_SOCKET, SO_MEMINFO) if sockets.contains(fd) => Ok(vec![0; room.min(36)]),
        (libc::IPPROTO_TCP, libc::TCP_CC_INFO) if sockets.contains(fd) => Ok(Vec::new()),
        _ => sockets.getsockopt(host, fd, level, name, room),
    };
    give(got.map(|v| {
        // SAFETY: there is room for `room` octets, and `v` is no longer.
        unsafe {
            put(&v, value, room);
            if !len.is_null() {
                *len = v.len() as socklen_t;
            }
        }
        0
    })) as c_int
}

unsafe extern "C" fn setsockopt(
    u: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    // SAFETY: `u` is ours, the value is packetdrill's.
    let (s, value) = unsafe { (shared(u), bytes(value, len as usize)) };
    let World { host, sockets, .. } = &mut *s.lock();
    give(sockets.setsockopt(host, fd, level, name, value).map(|()| 0)) as c_int
}

/// From when on a call with a timeout in milliseconds waits no more: none with 0, for ever (nearly) if negative.
fn limit(ms: c_int) -> impl FnOnce(&World) -> Option<Instant> {
    move |w| match u64::try_from(ms) {
        Ok(0) => None,
        Ok(ms) => Some(w.host.now() + Duration::from_millis(ms)),
        Err(_) => Some(w.host.now() + PATIENCE),
    }
}

unsafe extern "C" fn poll(u: *mut c_void, fds: *mut libc::pollfd, n: libc::nfds_t, ms: c_int) -> c_int {
    // SAFETY: `u` is ours, the array is packetdrill's.
    let (s, fds) = unsafe { (shared(u), std::slice::from_raw_parts_mut(fds, n as usize)) };
    let asked: Vec<(i32, i16)> = fds.iter().map(|f| (f.fd, f.events)).collect();
    match s.call(limit(ms), |w| w.sockets.poll(&w.host, &asked)) {
        Ok(all) => {
            let ready = all.iter().filter(|r| **r != 0).count();
            fds.iter_mut().zip(all).for_each(|(f, r)| f.revents = r);
            ready as c_int
        }
        Err(Refusal::Errno(libc::EAGAIN)) => {
            fds.iter_mut().for_each(|f| f.revents = 0);
            0
        }
        Err(e) => give(Err(e)) as c_int,
    }
}

unsafe extern "C" fn netdev_send(u: *mut c_void, packet: *const c_void, n: size_t) -> c_int {
    // SAFETY: `u` is ours, the packet is packetdrill's.
    let (s, b) = unsafe { (shared(u), bytes(packet, n)) };
    let mut w = s.lock();
    w.host.deliver(b);
    s.wake(&mut w);
    0
}

unsafe extern "C" fn netdev_receive(u: *mut c_void, buf: *mut c_void, n: *mut size_t, at: *mut c_longlong) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    let mut w = s.settled(s.lock());
    let limit = w.host.now() + PATIENCE;
    let sent = loop {
        if let Some(sent) = w.host.take_sent() {
            break Some(sent);
        }
        let next = w.host.next_deadline().min(w.asleep.unwrap_or(Instant::NEVER));
        if next > limit {
            break None;
        }
        w = s.advance(w, next);
    };
    // SAFETY: packetdrill gives a buffer with its length, and a place for the time.
    unsafe {
        match sent {
            Some(sent) => {
                if let Some(which) = crate::run::bad_checksum(&sent.bytes) {
                    eprintln!("synfin: the {which} checksum of a packet that leaves is wrong");
                    std::process::abort();
                }
                let len = sent.bytes.len().min(*n);
                put(&sent.bytes, buf, *n);
                (*n, *at) = (len, wall_us(sent.at));
            }
            // A packet of no octets: packetdrill says where in the script that is.
            None => (*n, *at) = (0, wall_us(w.host.now())),
        }
    }
    0
}

/// What packetdrill's clock shows at `at`, in microseconds.
fn wall_us(at: Instant) -> i64 {
    EPOCH_US + ((at.as_nanos() - START.as_nanos()) / 1_000) as i64
}

unsafe extern "C" fn usleep(u: *mut c_void, us: c_uint) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    let w = s.settled(s.lock());
    let to = w.host.now() + Duration::from_micros(u64::from(us));
    drop(s.advance(w, to));
    0
}

unsafe extern "C" fn gettimeofday(u: *mut c_void, tv: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    let mut w = s.lock();
    if JUST_WOKEN.with(|j| j.replace(false)) {
        w.woken = false;
        s.bell.notify_all();
    } else {
        // packetdrill looks at the clock until it has moved: it creeps.
        w = s.settled(w);
        let to = w.host.now() + Duration::from_micros(1);
        w = s.advance(w, to);
    }
    let us = wall_us(w.host.now());
    // SAFETY: packetdrill gives a place for the time.
    unsafe { *tv = libc::timeval { tv_sec: us / 1_000_000, tv_usec: us % 1_000_000 } };
    0
}

unsafe extern "C" fn epoll_create(u: *mut c_void, _size: c_int) -> c_int {
    // SAFETY: `u` is ours.
    let mut w = unsafe { shared(u) }.lock();
    let made = with_new_file(|fd| {
        w.sockets.epoll_create(fd);
        Ok(())
    });
    give(made.map(|(fd, ())| i64::from(fd))) as c_int
}

unsafe extern "C" fn epoll_ctl(
    u: *mut c_void,
    ep: c_int,
    op: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    // SAFETY: `u` is ours; the event may be null, and may lie anywhere.
    let (s, e) = unsafe { (shared(u), if event.is_null() { None } else { Some(event.read_unaligned()) }) };
    let (events, data) = e.map_or((0, 0), |e| (e.events, e.u64));
    give(s.lock().sockets.epoll_ctl(ep, op, fd, events, data).map(|()| 0)) as c_int
}

unsafe extern "C" fn epoll_wait(
    u: *mut c_void,
    ep: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    ms: c_int,
) -> c_int {
    // SAFETY: `u` is ours.
    let s = unsafe { shared(u) };
    match s.call(limit(ms), |w| w.sockets.epoll_wait(&w.host, ep, most.max(0) as usize)) {
        Ok(all) => {
            for (i, (mask, data)) in all.iter().enumerate() {
                // SAFETY: packetdrill gives room for `most` events, and there are no more.
                unsafe { events.add(i).write_unaligned(libc::epoll_event { events: *mask, u64: *data }) };
            }
            all.len() as c_int
        }
        Err(Refusal::Errno(libc::EAGAIN)) => 0,
        Err(e) => give(Err(e)) as c_int,
    }
}

unsafe extern "C" fn pipe(_: *mut c_void, _: *mut c_int) -> c_int {
    give(Err(Refusal::Unsupported("pipe".into()))) as c_int
}

unsafe extern "C" fn splice(
    _: *mut c_void,
    _: c_int,
    _: *mut libc::loff_t,
    _: c_int,
    _: *mut libc::loff_t,
    _: size_t,
    _: c_uint,
) -> c_int {
    give(Err(Refusal::Unsupported("splice".into()))) as c_int
}

type U = *mut c_void;

/// The table that packetdrill gives to be filled in, in its order.
#[repr(C)]
struct Interface {
    userdata: U,
    free: unsafe extern "C" fn(U),
    socket: unsafe extern "C" fn(U, c_int, c_int, c_int) -> c_int,
    bind: unsafe extern "C" fn(U, c_int, *const sockaddr, socklen_t) -> c_int,
    listen: unsafe extern "C" fn(U, c_int, c_int) -> c_int,
    accept: unsafe extern "C" fn(U, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    connect: unsafe extern "C" fn(U, c_int, *const sockaddr, socklen_t) -> c_int,
    read: unsafe extern "C" fn(U, c_int, *mut c_void, size_t) -> ssize_t,
    readv: unsafe extern "C" fn(U, c_int, *const libc::iovec, c_int) -> ssize_t,
    recv: unsafe extern "C" fn(U, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    recvfrom: unsafe extern "C" fn(U, c_int, *mut c_void, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t,
    recvmsg: unsafe extern "C" fn(U, c_int, *mut libc::msghdr, c_int) -> ssize_t,
    write: unsafe extern "C" fn(U, c_int, *const c_void, size_t) -> ssize_t,
    writev: unsafe extern "C" fn(U, c_int, *const libc::iovec, c_int) -> ssize_t,
    send: unsafe extern "C" fn(U, c_int, *const c_void, size_t, c_int) -> ssize_t,
    sendto: unsafe extern "C" fn(U, c_int, *const c_void, size_t, c_int, *const sockaddr, socklen_t) -> ssize_t,
    sendmsg: unsafe extern "C" fn(U, c_int, *const libc::msghdr, c_int) -> ssize_t,
    fcntl: unsafe extern "C" fn(U, c_int, c_int, c_long) -> c_int,
    ioctl: unsafe extern "C" fn(U, c_int, c_ulong, *mut c_void) -> c_int,
    close: unsafe extern "C" fn(U, c_int) -> c_int,
    shutdown: unsafe extern "C" fn(U, c_int, c_int) -> c_int,
    getsockopt: unsafe extern "C" fn(U, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    setsockopt: unsafe extern "C" fn(U, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    poll: unsafe extern "C" fn(U, *mut libc::pollfd, libc::nfds_t, c_int) -> c_int,
    netdev_send: unsafe extern "C" fn(U, *const c_void, size_t) -> c_int,
    netdev_receive: unsafe extern "C" fn(U, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    usleep: unsafe extern "C" fn(U, c_uint) -> c_int,
    gettimeofday: unsafe extern "C" fn(U, *mut libc::timeval, *mut c_void) -> c_int,
    epoll_create: unsafe extern "C" fn(U, c_int) -> c_int,
    epoll_ctl: unsafe extern "C" fn(U, c_int, c_int, c_int, *mut libc::epoll_event) -> c_int,
    epoll_wait: unsafe extern "C" fn(U, c_int, *mut libc::epoll_event, c_int, c_int) -> c_int,
    pipe: unsafe extern "C" fn(U, *mut c_int) -> c_int,
    splice: unsafe extern "C" fn(U, c_int, *mut libc::loff_t, c_int, *mut libc::loff_t, size_t, c_uint) -> c_int,
}

/// What packetdrill was started with and does not tell: its addresses and its MTU, from its command line and from the
/// options of its script.
fn overheard() -> Settings {
    let mut s = Settings::default();
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let args: Vec<String> = line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    let options = args.iter().filter_map(|a| OptionLine::from_argument(a));
    let scripts = args.iter().filter(|a| a.ends_with(".pkt")).filter_map(|a| std::fs::read_to_string(a).ok());
    let mut heard: Vec<OptionLine> = scripts
        .flat_map(|text| text.lines().filter_map(|l| OptionLine::from_argument(l.trim())).collect::<Vec<_>>())
        .collect();
    heard.extend(options);
    for o in heard {
        if matches!(o.name.as_str(), "local_ip" | "ip_version" | "mtu") {
            // What cannot be read, packetdrill itself complains of.
            let _ = s.option(&o.name, o.value.as_deref());
        }
    }
    s
}

impl World {
    fn new(flags: &str) -> std::result::Result<World, String> {
        let mut set = overheard();
        set.tcp = linux_like();
        set.flags(flags)?;
        let local = set.local();
        let other = Settings { local_ip: None, ip_version: crate::run::IpVersion::V6, ..set.clone() }.local();
        let mut addresses = vec![Cidr { addr: local, prefix: if local.is_ipv4() { 16 } else { 64 } }];
        if local.is_ipv4() {
            addresses.push(Cidr { addr: other, prefix: 64 });
        }
        let mut host = Host::new(&addresses, set.mtu, set.tcp.clone());
        host.answer_for_any_address();
        let mut w = World { host, sockets: Sockets::default(), flags: flags.to_string(), asleep: None, woken: false };
        w.read_settings();
        Ok(w)
    }

    /// The settings of the namespace, as they are now, and what the flags say beside them.
    fn read_settings(&mut self) {
        let mut set = Settings { tcp: linux_like(), ..Settings::default() };
        for name in SYSCTLS {
            if let Ok(v) = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")) {
                // What is not there stays as it is.
                let _ = sysctl(&mut set.tcp, &format!("net.ipv4.{name}"), v.trim());
            }
        }
        let freebsd = |c: &TcpConfig| c.rcv_window == ReceiveWindow::FreeBsd;
        if set.flags(&self.flags).is_ok() {
            if freebsd(&set.tcp) {
                // FreeBSD's first window, whatever the namespace says, and the RFC's own probe.
                (set.tcp.rcv_buf_initial, set.tcp.window_probe) = (65_536, WindowProbe::Octet);
            }
            self.host.tcp = set.tcp;
        }
    }
}

/// Our defaults, but where scripts for Linux see Linux's.
fn linux_like() -> TcpConfig {
    TcpConfig { slow_start_limit: u8::MAX, window_probe: WindowProbe::Empty, ..TcpConfig::default() }
}

/// The settings of a namespace that mean something here.
const SYSCTLS: &[&str] = &[
    "tcp_sack",
    "tcp_dsack",
    "tcp_timestamps",
    "tcp_window_scaling",
    "tcp_syn_retries",
    "tcp_synack_retries",
    "tcp_retries1",
    "tcp_retries2",
    "tcp_orphan_retries",
    "tcp_keepalive_time",
    "tcp_keepalive_intvl",
    "tcp_keepalive_probes",
    "tcp_fin_timeout",
    "tcp_rto_min_us",
    "tcp_rto_max_ms",
    "tcp_min_snd_mss",
    "tcp_rmem",
    "tcp_wmem",
];

/// Fills in the table. `so_flags` is `key=value,..`: `mtu`, `quickack`, and every setting of TCP, or null.
///
/// # Safety
/// packetdrill calls this with a text or null, and with room for the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(so_flags: *const c_char, out: *mut c_void) {
    let flags = if so_flags.is_null() {
        String::new()
    } else {
        // SAFETY: by packetdrill's promise it is a text.
        unsafe { std::ffi::CStr::from_ptr(so_flags) }.to_string_lossy().into_owned()
    };
    let world = match World::new(&flags) {
        Ok(w) => w,
        Err(why) => {
            eprintln!("synfin: {why}");
            std::process::exit(2);
        }
    };
    let userdata = Box::into_raw(Box::new(Shared { world: Mutex::new(world), bell: Condvar::new() })).cast();
    let table = Interface {
        userdata,
        free,
        socket,
        bind,
        listen,
        accept,
        connect,
        read,
        readv,
        recv,
        recvfrom,
        recvmsg,
        write,
        writev,
        send,
        sendto,
        sendmsg,
        fcntl,
        ioctl,
        close,
        shutdown,
        getsockopt,
        setsockopt,
        poll,
        netdev_send,
        netdev_receive,
        usleep,
        gettimeofday,
        epoll_create,
        epoll_ctl,
        epoll_wait,
        pipe,
        splice,
    };
    // SAFETY: packetdrill gives room for the table.
    unsafe { out.cast::<Interface>().write(table) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_size_of_packetdrills() {
        assert_eq!(size_of::<Interface>(), 264);
    }

    #[test]
    fn flags_that_are_wrong_are_one_clear_line() {
        assert_eq!(World::new("nonsense=1").err().as_deref().map(|e| e.starts_with("unknown setting")), Some(true));
        assert!(World::new("mtu=1400,rcv-window=freebsd,layout=freebsd").is_ok());
    }
}
