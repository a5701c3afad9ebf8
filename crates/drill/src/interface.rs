//! The table of calls between packetdrill and a stack that is not the kernel's. Each call begins with the stack's own
//! pointer; results and `errno` are those of the libc call of the same name. The [`adapter`](crate::adapter) fills it in;
//! a [`library`](crate::library) was asked to.

use libc::{
    c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_void, epoll_event, iovec, loff_t, msghdr, nfds_t, pollfd,
    size_t, sockaddr, socklen_t, ssize_t, timeval,
};

/// The stack's own pointer.
pub(crate) type U = *mut c_void;

/// The one symbol of a library: it fills in the table. The text is `key=value,..`, or null.
pub(crate) type Init = unsafe extern "C" fn(so_flags: *const c_char, out: *mut Interface);

/// The table, in packetdrill's order.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interface {
    pub(crate) userdata: U,
    pub(crate) free: unsafe extern "C" fn(U),
    pub(crate) socket: unsafe extern "C" fn(U, c_int, c_int, c_int) -> c_int,
    pub(crate) bind: unsafe extern "C" fn(U, c_int, *const sockaddr, socklen_t) -> c_int,
    pub(crate) listen: unsafe extern "C" fn(U, c_int, c_int) -> c_int,
    pub(crate) accept: unsafe extern "C" fn(U, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    pub(crate) connect: unsafe extern "C" fn(U, c_int, *const sockaddr, socklen_t) -> c_int,
    pub(crate) read: unsafe extern "C" fn(U, c_int, *mut c_void, size_t) -> ssize_t,
    pub(crate) readv: unsafe extern "C" fn(U, c_int, *const iovec, c_int) -> ssize_t,
    pub(crate) recv: unsafe extern "C" fn(U, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    pub(crate) recvfrom:
        unsafe extern "C" fn(U, c_int, *mut c_void, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t,
    pub(crate) recvmsg: unsafe extern "C" fn(U, c_int, *mut msghdr, c_int) -> ssize_t,
    pub(crate) write: unsafe extern "C" fn(U, c_int, *const c_void, size_t) -> ssize_t,
    pub(crate) writev: unsafe extern "C" fn(U, c_int, *const iovec, c_int) -> ssize_t,
    pub(crate) send: unsafe extern "C" fn(U, c_int, *const c_void, size_t, c_int) -> ssize_t,
    pub(crate) sendto:
        unsafe extern "C" fn(U, c_int, *const c_void, size_t, c_int, *const sockaddr, socklen_t) -> ssize_t,
    pub(crate) sendmsg: unsafe extern "C" fn(U, c_int, *const msghdr, c_int) -> ssize_t,
    // packetdrill declares these two as variadic. Stable Rust cannot define such a function; on the ABIs of Linux (x86-64
    // and AArch64) an integer or a pointer is passed the same way whether it is named or not.
    pub(crate) fcntl: unsafe extern "C" fn(U, c_int, c_int, c_long) -> c_int,
    pub(crate) ioctl: unsafe extern "C" fn(U, c_int, c_ulong, *mut c_void) -> c_int,
    pub(crate) close: unsafe extern "C" fn(U, c_int) -> c_int,
    pub(crate) shutdown: unsafe extern "C" fn(U, c_int, c_int) -> c_int,
    pub(crate) getsockopt: unsafe extern "C" fn(U, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    pub(crate) setsockopt: unsafe extern "C" fn(U, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    pub(crate) poll: unsafe extern "C" fn(U, *mut pollfd, nfds_t, c_int) -> c_int,
    pub(crate) netdev_send: unsafe extern "C" fn(U, *const c_void, size_t) -> c_int,
    pub(crate) netdev_receive: unsafe extern "C" fn(U, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    pub(crate) usleep: unsafe extern "C" fn(U, c_uint) -> c_int,
    pub(crate) gettimeofday: unsafe extern "C" fn(U, *mut timeval, *mut c_void) -> c_int,
    pub(crate) epoll_create: unsafe extern "C" fn(U, c_int) -> c_int,
    pub(crate) epoll_ctl: unsafe extern "C" fn(U, c_int, c_int, c_int, *mut epoll_event) -> c_int,
    pub(crate) epoll_wait: unsafe extern "C" fn(U, c_int, *mut epoll_event, c_int, c_int) -> c_int,
    pub(crate) pipe: unsafe extern "C" fn(U, *mut c_int) -> c_int,
    pub(crate) splice: unsafe extern "C" fn(U, c_int, *mut loff_t, c_int, *mut loff_t, size_t, c_uint) -> c_int,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_size_of_packetdrills() {
        assert_eq!(size_of::<Interface>(), 264);
    }
}
