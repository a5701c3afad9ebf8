//! The system calls that more than one device needs.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The result of a call that returns -1 on failure.
pub(crate) fn check(n: libc::c_int) -> io::Result<libc::c_int> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n) }
}

/// `None` where the call would have had to wait.
pub(crate) fn would_block<T>(r: io::Result<T>) -> io::Result<Option<T>> {
    match r {
        Ok(v) => Ok(Some(v)),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

/// `read(2)`.
pub(crate) fn read(fd: RawFd, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
    let n = unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// `writev(2)`: one frame.
pub(crate) fn writev(fd: RawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: `IoSlice` has the layout of `iovec` (its documentation guarantees it); the slices live through the call.
    let n = unsafe { libc::writev(fd, pieces.as_ptr().cast(), pieces.len() as libc::c_int) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// Makes a descriptor non-blocking.
pub(crate) fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with integer arguments touches no memory of ours.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

/// A socket.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) touches no memory; a non-negative result is a descriptor that nobody else owns.
    let fd = check(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An ioctl that takes a structure.
pub(crate) fn ioctl<T>(fd: RawFd, request: libc::c_ulong, arg: &mut T) -> io::Result<()> {
    // SAFETY: every caller passes the structure that the kernel documents for the request.
    check(unsafe { libc::ioctl(fd, request as _, std::ptr::from_mut(arg)) })?;
    Ok(())
}

/// An all-zero C structure.
pub(crate) fn zeroed<T: Copy>() -> T {
    // SAFETY: used for libc structures of integers and byte arrays only, for which all zeros is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Makes closing the socket `fd` reset its connection (linger time zero).
pub fn set_linger_zero(fd: RawFd) -> io::Result<()> {
    let l = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the value and its size belong together and live through the call.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            std::ptr::from_ref(&l).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Chooses the congestion control of the kernel's TCP socket `fd` (`TCP_CONGESTION`, tcp(7)). What not everybody may choose
/// needs CAP_NET_ADMIN, in a namespace of one's own too.
pub fn set_congestion_control(fd: RawFd, name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a string that is borrowed for the call.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Lets the timers of this thread, and of threads it starts, fire when they are due, and not up to 50 us later so that
/// several may fire at once.
pub fn set_timer_slack(nanoseconds: u32) -> io::Result<()> {
    // SAFETY: PR_SET_TIMERSLACK takes its argument by value and touches no memory.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, libc::c_ulong::from(nanoseconds), 0, 0, 0) })?;
    Ok(())
}

/// Lets this thread run before all that have no real-time priority (SCHED_RR, sched(7)). Needs CAP_SYS_NICE outside of any
/// user namespace, or a limit RLIMIT_RTPRIO.
pub fn set_real_time() -> io::Result<()> {
    let mut p: libc::sched_param = zeroed();
    p.sched_priority = 1;
    // SAFETY: the parameter lives through the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &p) })?;
    Ok(())
}

/// The state of the kernel's TCP socket `fd`, by its number (`TCP_INFO`, tcp(7)).
pub fn tcp_info_state(fd: RawFd) -> io::Result<u8> {
    let mut info = [0u8; 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the buffer and its length belong together and live through the call; the kernel writes at most that much.
    check(unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), std::ptr::from_mut(&mut len))
    })?;
    Ok(info[0]) // tcpi_state is its first field
}

/// A counter that wakes whoever waits on it.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A new one, at zero.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: eventfd(2) touches no memory; a non-negative result is a descriptor that nobody else owns.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: see above.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Wakes.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // A counter that is full wakes as well as one that was written to.
        let _ = writev(self.0.as_raw_fd(), &[IoSlice::new(&one)]);
    }

    /// Back to zero.
    pub fn clear(&self) {
        let _ = read(self.0.as_raw_fd(), &mut [0; 8]);
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// A descriptor of its own for the same counter, for a reactor that is to watch it.
    pub fn watched(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

/// What [`wait`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wait {
    /// The device has something, or room if that was asked for, or is gone.
    pub device: bool,
    /// Somebody woke us.
    pub woken: bool,
}

/// Waits until the device has a frame (or room, if `for_room`), `wake` is written to, or the time is up.
pub fn wait(device: RawFd, for_room: bool, wake: &EventFd, timeout: Option<Duration>) -> io::Result<Wait> {
    let events = libc::POLLIN | if for_room { libc::POLLOUT } else { 0 };
    let mut fds = [
        libc::pollfd { fd: device, events, revents: 0 },
        libc::pollfd { fd: wake.fd(), events: libc::POLLIN, revents: 0 },
    ];
    if !poll(&mut fds, timeout)? {
        return Ok(Wait::default());
    }
    Ok(Wait { device: fds[0].revents != 0, woken: fds[1].revents != 0 })
}

/// A descriptor, and what is waited for on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// The descriptor.
    pub fd: RawFd,
    /// Something to be read.
    pub readable: bool,
    /// Room to be written to.
    pub writable: bool,
    /// Found: one of them, or the other end is gone.
    pub ready: bool,
}

/// Waits until one of the descriptors (at most [`MOST_INTERESTS`]) is ready, or the time is up; to the nanosecond, as far as
/// the machine can.
pub fn wait_any(interests: &mut [Interest], timeout: Option<Duration>) -> io::Result<()> {
    let mut fds = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MOST_INTERESTS];
    if interests.len() > fds.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    for (p, i) in fds.iter_mut().zip(interests.iter()) {
        p.fd = i.fd;
        p.events = if i.readable { libc::POLLIN } else { 0 } | if i.writable { libc::POLLOUT } else { 0 };
    }
    poll(&mut fds[..interests.len()], timeout)?;
    for (p, i) in fds.iter().zip(interests) {
        i.ready = p.revents != 0;
    }
    Ok(())
}

/// Most descriptors of [`wait_any`].
pub const MOST_INTERESTS: usize = 8;

/// `ppoll(2)`; false if a signal came first.
fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<bool> {
    let ts = timeout.map(|t| libc::timespec { tv_sec: t.as_secs() as _, tv_nsec: t.subsec_nanos() as _ });
    let ts = ts.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the array and the optional timespec live through the call, and the count is the array's.
    let n = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, ts, std::ptr::null()) };
    if n < 0 {
        let e = io::Error::last_os_error();
        return if e.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(e) };
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_which_descriptor_is_ready() {
        let (one, other) = (EventFd::new().unwrap(), EventFd::new().unwrap());
        let mut all = [&one, &other].map(|e| Interest { fd: e.fd(), readable: true, writable: false, ready: true });
        wait_any(&mut all, Some(Duration::from_micros(10))).unwrap();
        assert_eq!(all.map(|i| i.ready), [false, false], "the time is up");
        other.wake();
        wait_any(&mut all, None).unwrap();
        assert_eq!(all.map(|i| i.ready), [false, true]);
        all[0].writable = true;
        wait_any(&mut all, None).unwrap();
        assert_eq!(all.map(|i| i.ready), [true, true], "there is room");
        assert!(wait_any(&mut [all[0]; MOST_INTERESTS + 1], None).is_err());
    }

    #[test]
    fn the_congestion_control_of_a_socket_is_chosen_by_name() {
        let s = socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        set_congestion_control(s.as_raw_fd(), "reno").unwrap();
        assert_eq!(set_congestion_control(s.as_raw_fd(), "no-such").unwrap_err().kind(), io::ErrorKind::NotFound);
        set_timer_slack(1).unwrap();
    }
}
