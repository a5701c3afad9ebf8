//! The other side of packetdrill's C interface: a stack in a shared library, loaded and called as packetdrill does.
//!
//! With it the runner plays its scripts on any stack that packetdrill can drive: `synfin drill --so_filename FILE`.
//! Here are the calls with Rust's types; which file of a script is which file of the stack, and who waits, is the
//! runner's business.
#![allow(unsafe_code)]

use crate::interface::{Init, Interface};
use crate::sockaddr;
use crate::sockets::{Received, Refusal, Result};
use libc::{c_int, c_void, socklen_t, ssize_t};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Octets of the longest packet that is taken.
const LONGEST_PACKET: usize = 1 << 17;

/// A library that has packetdrill's symbol. It stays loaded until the program ends.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    init: Init,
}

impl Library {
    /// Loads the library `path`. The error is one line.
    pub fn load(path: &Path) -> std::result::Result<Library, String> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
        let mode = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE | libc::RTLD_DEEPBIND;
        // SAFETY: a text; what the library runs when it is loaded is for who named it to answer for.
        let handle = unsafe { libc::dlopen(name.as_ptr(), mode) };
        if handle.is_null() {
            return Err(last_error());
        }
        // SAFETY: the library was loaded; the name is a text.
        let init = unsafe { libc::dlsym(handle, c"packetdrill_interface_init".as_ptr()) };
        if init.is_null() {
            return Err(last_error());
        }
        // SAFETY: packetdrill's interface says that the symbol of this name is a function of this type.
        Ok(Library { init: unsafe { std::mem::transmute::<*mut c_void, Init>(init) } })
    }

    /// A new stack, with settings as `key=value,..`.
    pub fn start(&self, flags: &str) -> std::result::Result<Session, String> {
        let flags = CString::new(flags).map_err(|e| format!("the flags: {e}"))?;
        let mut table = MaybeUninit::<Interface>::zeroed();
        // SAFETY: a text, and room for the table, zeroed as packetdrill gives it.
        unsafe { (self.init)(flags.as_ptr(), table.as_mut_ptr()) };
        // SAFETY: the table is pointers and nothing else, and was zeroed.
        let members = unsafe {
            std::slice::from_raw_parts(table.as_ptr().cast::<usize>(), size_of::<Interface>() / size_of::<usize>())
        };
        if let Some(empty) = members.iter().skip(1).position(|m| *m == 0) {
            return Err(format!("the library leaves call {} of the interface empty", empty + 1));
        }
        // SAFETY: every function pointer is there; the first member may be anything.
        Ok(Session { table: unsafe { table.assume_init() } })
    }
}

fn last_error() -> String {
    // SAFETY: dlerror gives null or a text that is valid until the next call of its kind in this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the library cannot be loaded".into();
    }
    // SAFETY: see above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A stack behind the interface. Numbers of files are the stack's own. It is freed when it is dropped.
#[derive(Debug)]
pub struct Session {
    table: Interface,
}

// SAFETY: packetdrill calls from two threads, one at a time but for a call that sleeps; who fills in the table must stand
// that, and the runner does no more.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the last that happens to it.
        unsafe { (self.table.free)(self.table.userdata) }
    }
}

/// What C returns; `ENOSYS` says that it is not there.
fn result(n: impl Into<i64>) -> Result<i64> {
    let n = n.into();
    if n >= 0 {
        return Ok(n);
    }
    match std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
        libc::ENOSYS => Err(Refusal::Unsupported("a call that the library does not have".into())),
        errno => Err(errno.into()),
    }
}

/// An address as C takes it; none is of the family `AF_UNSPEC`.
fn address(addr: Option<SocketAddr>, v6: bool) -> Vec<u8> {
    addr.map_or_else(|| vec![0; size_of::<libc::sockaddr>()], |a| sockaddr::encode(a, v6))
}

// In each call below the pointers are to what lives longer than the call, with its length.
impl Session {
    /// `socket`: the new file.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<i32> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.socket)(self.table.userdata, domain, kind, protocol) }).map(|n| n as i32)
    }

    /// `bind`. A socket of IPv6 (`v6`) is given IPv4 addresses mapped.
    pub fn bind(&self, fd: i32, addr: SocketAddr, v6: bool) -> Result<()> {
        let a = address(Some(addr), v6);
        // SAFETY: see above.
        result(unsafe { (self.table.bind)(self.table.userdata, fd, a.as_ptr().cast(), a.len() as socklen_t) }).map(drop)
    }

    /// `listen`.
    pub fn listen(&self, fd: i32, backlog: i32) -> Result<()> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.listen)(self.table.userdata, fd, backlog) }).map(drop)
    }

    /// `accept`: the new file, and its peer.
    pub fn accept(&self, fd: i32) -> Result<(i32, Option<SocketAddr>)> {
        let mut a = [0u8; size_of::<libc::sockaddr_storage>()];
        let mut len = a.len() as socklen_t;
        // SAFETY: see above.
        let new = unsafe { (self.table.accept)(self.table.userdata, fd, a.as_mut_ptr().cast(), &mut len) };
        let new = result(new)? as i32;
        Ok((new, sockaddr::decode(&a[..a.len().min(len as usize)])))
    }

    /// `connect`; without an address it disconnects.
    pub fn connect(&self, fd: i32, to: Option<SocketAddr>, v6: bool) -> Result<()> {
        let a = address(to, v6);
        // SAFETY: see above.
        result(unsafe { (self.table.connect)(self.table.userdata, fd, a.as_ptr().cast(), a.len() as socklen_t) })
            .map(drop)
    }

    /// `recvmsg`, into one buffer of `len` octets.
    pub fn receive(&self, fd: i32, len: usize, flags: i32) -> Result<Received> {
        let mut data = vec![0; len.min(1 << 24)];
        let mut name = [0u8; size_of::<libc::sockaddr_storage>()];
        let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
        // SAFETY: a message of zeros is one without anything.
        let mut m: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        (m.msg_name, m.msg_namelen) = (name.as_mut_ptr().cast(), name.len() as socklen_t);
        (m.msg_iov, m.msg_iovlen) = (&mut iov, 1);
        // SAFETY: see above.
        let n = result(unsafe { (self.table.recvmsg)(self.table.userdata, fd, &mut m, flags) } as i64)?;
        data.truncate(n as usize);
        let from = sockaddr::decode(&name[..name.len().min(m.msg_namelen as usize)]);
        Ok(Received { data, from, flags: m.msg_flags })
    }

    /// `read`: how many octets came.
    pub fn read(&self, fd: i32, len: usize) -> Result<Received> {
        let mut data = vec![0; len.min(1 << 24)];
        // SAFETY: see above.
        let n: ssize_t = unsafe { (self.table.read)(self.table.userdata, fd, data.as_mut_ptr().cast(), data.len()) };
        data.truncate(result(n as i64)? as usize);
        Ok(Received { data, ..Received::default() })
    }

    /// `write`, `send` if there are flags, `sendto` if there is an address.
    pub fn send(&self, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>, v6: bool) -> Result<usize> {
        let (t, buf) = (&self.table, data.as_ptr().cast());
        // SAFETY: see above.
        let n = unsafe {
            match to {
                Some(to) => {
                    let a = address(Some(to), v6);
                    (t.sendto)(t.userdata, fd, buf, data.len(), flags, a.as_ptr().cast(), a.len() as socklen_t)
                }
                None if flags != 0 => (t.send)(t.userdata, fd, buf, data.len(), flags),
                None => (t.write)(t.userdata, fd, buf, data.len()),
            }
        };
        result(n as i64).map(|n| n as usize)
    }

    /// `fcntl` with a number.
    pub fn fcntl(&self, fd: i32, cmd: i32, arg: i32) -> Result<i32> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.fcntl)(self.table.userdata, fd, cmd, arg.into()) }).map(|n| n as i32)
    }

    /// `ioctl` that fills in an int.
    pub fn ioctl(&self, fd: i32, request: u64) -> Result<i32> {
        let mut n: c_int = 0;
        // SAFETY: see above.
        result(unsafe { (self.table.ioctl)(self.table.userdata, fd, request, (&raw mut n).cast()) })?;
        Ok(n)
    }

    /// `close`.
    pub fn close(&self, fd: i32) -> Result<()> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.close)(self.table.userdata, fd) }).map(drop)
    }

    /// `shutdown`.
    pub fn shutdown(&self, fd: i32, how: i32) -> Result<()> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.shutdown)(self.table.userdata, fd, how) }).map(drop)
    }

    /// `getsockopt` of at most `len` octets.
    pub fn getsockopt(&self, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>> {
        let mut v = vec![0u8; len.min(1 << 16)];
        let mut n = v.len() as socklen_t;
        // SAFETY: see above.
        result(unsafe {
            (self.table.getsockopt)(self.table.userdata, fd, level, name, v.as_mut_ptr().cast(), &mut n)
        })?;
        v.truncate(n as usize);
        Ok(v)
    }

    /// `setsockopt`.
    pub fn setsockopt(&self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()> {
        let (v, len) = (value.as_ptr().cast(), value.len() as socklen_t);
        // SAFETY: see above.
        result(unsafe { (self.table.setsockopt)(self.table.userdata, fd, level, name, v, len) }).map(drop)
    }

    /// `poll`: what came for each file.
    pub fn poll(&self, fds: &[(i32, i16)], ms: i32) -> Result<Vec<i16>> {
        let mut all: Vec<libc::pollfd> =
            fds.iter().map(|(fd, events)| libc::pollfd { fd: *fd, events: *events, revents: 0 }).collect();
        // SAFETY: see above.
        result(unsafe { (self.table.poll)(self.table.userdata, all.as_mut_ptr(), all.len() as libc::nfds_t, ms) })?;
        Ok(all.iter().map(|f| f.revents).collect())
    }

    /// `epoll_create`.
    pub fn epoll_create(&self) -> Result<i32> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.epoll_create)(self.table.userdata, 1) }).map(|n| n as i32)
    }

    /// `epoll_ctl`.
    pub fn epoll_ctl(&self, ep: i32, op: i32, fd: i32, events: u32, data: u64) -> Result<()> {
        let mut e = libc::epoll_event { events, u64: data };
        // SAFETY: see above.
        result(unsafe { (self.table.epoll_ctl)(self.table.userdata, ep, op, fd, &mut e) }).map(drop)
    }

    /// `epoll_wait`: events and data, at most `most`.
    pub fn epoll_wait(&self, ep: i32, most: usize, ms: i32) -> Result<Vec<(u32, u64)>> {
        let mut all = vec![libc::epoll_event { events: 0, u64: 0 }; most.min(1_024)];
        let room = all.len() as c_int;
        // SAFETY: see above.
        let n = result(unsafe { (self.table.epoll_wait)(self.table.userdata, ep, all.as_mut_ptr(), room, ms) })?;
        Ok(all.iter().take(n as usize).map(|e| (e.events, e.u64)).collect())
    }

    /// A packet arrives.
    pub fn netdev_send(&self, packet: &[u8]) -> Result<()> {
        // SAFETY: see above.
        result(unsafe { (self.table.netdev_send)(self.table.userdata, packet.as_ptr().cast(), packet.len()) }).map(drop)
    }

    /// The next packet that leaves, and when in microseconds of the stack's clock; the clock moves until there is one.
    /// `None` if none can come.
    pub fn netdev_receive(&self) -> Result<Option<(Vec<u8>, i64)>> {
        let (mut b, mut n, mut at) = (vec![0u8; LONGEST_PACKET], LONGEST_PACKET, 0);
        // SAFETY: see above.
        result(unsafe { (self.table.netdev_receive)(self.table.userdata, b.as_mut_ptr().cast(), &mut n, &mut at) })?;
        b.truncate(n);
        Ok(if b.is_empty() { None } else { Some((b, at)) })
    }

    /// The clock moves by `us`.
    pub fn usleep(&self, us: u32) -> Result<()> {
        // SAFETY: no pointer but the stack's own.
        result(unsafe { (self.table.usleep)(self.table.userdata, us) }).map(drop)
    }

    /// The clock, in microseconds.
    pub fn gettimeofday(&self) -> i64 {
        let mut tv = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: see above.
        unsafe { (self.table.gettimeofday)(self.table.userdata, &mut tv, std::ptr::null_mut()) };
        tv.tv_sec * 1_000_000 + tv.tv_usec
    }
}
