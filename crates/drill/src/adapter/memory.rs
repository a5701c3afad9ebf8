//! What crosses the interface: results and errno, pointers to octets, addresses, files.

use super::clock::Shared;
use crate::sockaddr;
use crate::sockets::{Refusal, Result};
use libc::{c_int, c_void, size_t, socklen_t};
use std::net::SocketAddr;

fn fail(errno: i32) {
    // SAFETY: the location of the calling thread's errno is always valid.
    unsafe { *libc::__errno_location() = errno };
}

/// The result as libc gives it.
pub(super) fn give(r: Result<i64>) -> i64 {
    match r {
        Ok(n) => n,
        Err(Refusal::Errno(e)) => {
            fail(e);
            -1
        }
        Err(Refusal::Unsupported(what) | Refusal::Wrong(what)) => {
            eprintln!("synfin: {what} is not there");
            fail(libc::ENOSYS);
            -1
        }
    }
}

/// # Safety
/// `u` is what [`packetdrill_interface_init`] put into the table, and was not freed.
pub(super) unsafe fn shared<'a>(u: *mut c_void) -> &'a Shared {
    // SAFETY: by the caller's promise it points to a `Shared` that lives until `free`.
    unsafe { &*u.cast::<Shared>() }
}

/// The address that a call names; `AF_UNSPEC` is none.
///
/// # Safety
/// `a` is null or points to `len` octets.
pub(super) unsafe fn address(a: *const libc::sockaddr, len: socklen_t) -> Result<Option<SocketAddr>> {
    if a.is_null() {
        return Err(libc::EFAULT.into());
    }
    // SAFETY: by the caller's promise.
    let b = unsafe { bytes(a.cast(), len as usize) };
    let family = b.first_chunk().map(|f| i32::from(u16::from_ne_bytes(*f)));
    match (family, sockaddr::decode(b)) {
        (Some(libc::AF_UNSPEC), _) => Ok(None),
        (_, Some(a)) => Ok(Some(a)),
        (None | Some(libc::AF_INET | libc::AF_INET6), None) => Err(libc::EINVAL.into()),
        (Some(_), None) => Err(libc::EAFNOSUPPORT.into()),
    }
}

/// The address of a message, which may have none.
///
/// # Safety
/// As of [`address`].
pub(super) unsafe fn destination(a: *const libc::sockaddr, len: socklen_t) -> Result<Option<SocketAddr>> {
    // SAFETY: by the caller's promise.
    if a.is_null() || len == 0 { Ok(None) } else { unsafe { address(a, len) } }
}

/// Writes an address as accept(2) does: as much as there is room for, and how long it is.
///
/// # Safety
/// `a` is null or points to `*len` octets.
pub(super) unsafe fn put_address(from: SocketAddr, v6: bool, a: *mut libc::sockaddr, len: *mut socklen_t) {
    if a.is_null() || len.is_null() {
        return;
    }
    let b = sockaddr::encode(from, v6);
    // SAFETY: at most `*len` octets are written, which are there by the caller's promise.
    unsafe {
        put(&b, a.cast(), *len as usize);
        *len = b.len() as socklen_t;
    }
}

/// # Safety
/// `buf` points to `n` octets, or is null.
pub(super) unsafe fn bytes<'a>(buf: *const c_void, n: size_t) -> &'a [u8] {
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
pub(super) unsafe fn put(data: &[u8], buf: *mut c_void, n: size_t) {
    if !buf.is_null() {
        // SAFETY: by the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buf.cast::<u8>(), data.len().min(n)) };
    }
}

/// # Safety
/// `iov` points to `n` entries, or is null.
pub(super) unsafe fn iovecs<'a>(iov: *const libc::iovec, n: usize) -> &'a [libc::iovec] {
    if iov.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(iov, n) }
}

/// # Safety
/// Each entry points to as many octets as it says.
pub(super) unsafe fn gather(iov: &[libc::iovec]) -> Vec<u8> {
    // SAFETY: by the caller's promise.
    iov.iter().flat_map(|v| unsafe { bytes(v.iov_base, v.iov_len) }.to_vec()).collect()
}

/// # Safety
/// As of [`gather`], and nobody else uses the octets.
pub(super) unsafe fn scatter(mut data: &[u8], iov: &[libc::iovec]) {
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

pub(super) fn close_placeholder(fd: c_int) {
    // SAFETY: it is one of ours, which nobody else closes.
    unsafe { libc::close(fd) };
}

/// Runs `f` with a new file; the file goes again if that fails.
pub(super) fn with_new_file<T>(f: impl FnOnce(c_int) -> Result<T>) -> Result<(c_int, T)> {
    let fd = placeholder()?;
    match f(fd) {
        Ok(t) => Ok((fd, t)),
        Err(e) => {
            close_placeholder(fd);
            Err(e)
        }
    }
}
