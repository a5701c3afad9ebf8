//! The calls of the table, in its order: each takes what C gave, makes the call, and gives what C expects.

use super::World;
use super::clock::{Shared, blocking, limit};
use super::memory::{
    address, bytes, close_placeholder, destination, gather, give, iovecs, put, put_address, scatter, shared,
    with_new_file,
};
use crate::host::START;
use crate::interface::{Interface, U};
use crate::sockets::Refusal;
use libc::{c_int, c_long, c_longlong, c_uint, c_ulong, c_void, size_t, sockaddr, socklen_t, ssize_t};
use std::time::Duration;
use synfin_stack::engine::Instant;

/// What packetdrill's clock shows when ours begins.
const EPOCH_US: i64 = 1_000_000_000_000_000;

/// Everything that packetdrill may call, on the stack that `userdata` points to.
pub(super) fn table(userdata: U) -> Interface {
    Interface {
        userdata,
        free,
        socket,
        bind,
        listen,
        accept,
        connect,
        recvfrom,
        read,
        recv,
        readv,
        recvmsg,
        sendto,
        write,
        send,
        writev,
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
    let bound = a.and_then(|a| sockets.bind(host, fd, a.ok_or(Refusal::Errno(libc::EAFNOSUPPORT))?));
    give(bound.map(|()| 0)) as c_int
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
    let to = match to {
        Ok(to) => to,
        Err(e) => return give(Err(e)) as c_int,
    };
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
    let v6 = s.lock().sockets.is_ipv6(fd);
    give(s.receive(fd, n, flags).map(|r| {
        // SAFETY: packetdrill gives `n` octets, and room for an address.
        unsafe {
            put(&r.data, buf, n);
            if let Some(from) = r.from {
                put_address(from, v6, a, len);
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
    let v6 = s.lock().sockets.is_ipv6(fd);
    give(s.receive(fd, room, flags).map(|r| {
        // SAFETY: packetdrill's buffers are as long as it says.
        unsafe {
            scatter(&r.data, iov);
            match r.from {
                Some(from) => put_address(from, v6, m.msg_name.cast(), &mut m.msg_namelen),
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
    let (s, data, to) = unsafe { (shared(u), bytes(buf, n), destination(a, len)) };
    give(to.and_then(|to| s.send(fd, data, flags, to))) as ssize_t
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
    let (data, to) = unsafe {
        (gather(iovecs(m.msg_iov, m.msg_iovlen)), destination(m.msg_name.cast_const().cast(), m.msg_namelen))
    };
    give(to.and_then(|to| s.send(fd, &data, flags, to))) as ssize_t
}

// With two arguments only, the third is whatever the register held: it is not looked at.
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

unsafe extern "C" fn poll(u: *mut c_void, fds: *mut libc::pollfd, n: libc::nfds_t, ms: c_int) -> c_int {
    // SAFETY: `u` is ours, the array is packetdrill's.
    let (s, fds) = unsafe {
        let fds = if fds.is_null() { &mut [][..] } else { std::slice::from_raw_parts_mut(fds, n as usize) };
        (shared(u), fds)
    };
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
    let (now, sent) = unsafe { shared(u) }.next_sent();
    if let Some(which) = sent.as_ref().and_then(|s| crate::run::bad_checksum(&s.bytes)) {
        eprintln!("synfin: the {which} checksum of a packet that leaves is wrong");
        std::process::abort();
    }
    // SAFETY: packetdrill gives a buffer with its length, and a place for the time.
    unsafe {
        match sent {
            Some(sent) => {
                let len = sent.bytes.len().min(*n);
                put(&sent.bytes, buf, *n);
                (*n, *at) = (len, wall_us(sent.at));
            }
            // A packet of no octets: packetdrill says where in the script that is.
            None => (*n, *at) = (0, wall_us(now)),
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
    let us = wall_us(unsafe { shared(u) }.look_at_clock());
    // SAFETY: packetdrill gives a place for the time.
    unsafe { *tv = libc::timeval { tv_sec: us / 1_000_000, tv_usec: us % 1_000_000 } };
    0
}

unsafe extern "C" fn epoll_create(u: *mut c_void, size: c_int) -> c_int {
    if size <= 0 {
        return give(Err(libc::EINVAL.into())) as c_int;
    }
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
    if e.is_none() && op != libc::EPOLL_CTL_DEL {
        return give(Err(libc::EFAULT.into())) as c_int;
    }
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
    let Some(most) = usize::try_from(most).ok().filter(|n| *n > 0) else {
        return give(Err(libc::EINVAL.into())) as c_int;
    };
    match s.call(limit(ms), |w| w.sockets.epoll_wait(&w.host, ep, most)) {
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
