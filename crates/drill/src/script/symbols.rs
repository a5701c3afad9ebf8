//! The constants of Linux's interface that scripts name.

use super::Expr;

macro_rules! table {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name as i64)),*] };
}

#[rustfmt::skip]
const LIBC: &[(&str, i64)] = table![
    AF_UNSPEC, AF_INET, AF_INET6, PF_INET, PF_INET6, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_NONBLOCK, SOCK_CLOEXEC,
    IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_IPV6, IPPROTO_ICMPV6, SOL_SOCKET, SOL_IP, SOL_IPV6, SOL_TCP, SOL_UDP,
    SO_ACCEPTCONN, SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, SO_LINGER, SO_OOBINLINE, SO_SNDBUF, SO_RCVBUF, SO_RCVLOWAT,
    SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_ERROR, SO_TYPE, SO_PRIORITY, SO_MARK, SO_TIMESTAMP, SO_TIMESTAMPING, SO_ZEROCOPY,
    SO_BUSY_POLL, SO_INCOMING_CPU, SO_MAX_PACING_RATE, SO_BROADCAST, SO_DONTROUTE,
    TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT,
    TCP_WINDOW_CLAMP, TCP_INFO, TCP_QUICKACK, TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_TIMESTAMP, TCP_MD5SIG,
    TCP_NOTSENT_LOWAT, TCP_CC_INFO, TCP_SAVE_SYN, TCP_SAVED_SYN, TCP_REPAIR, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE, TCP_ULP, TCP_FASTOPEN_KEY,
    TCP_ZEROCOPY_RECEIVE, TCP_INQ,
    IP_TOS, IP_TTL, IP_MTU_DISCOVER, IP_MTU, IP_RECVERR, IP_FREEBIND, IP_BIND_ADDRESS_NO_PORT, IPV6_V6ONLY, IPV6_TCLASS, IPV6_RECVERR,
    IPV6_UNICAST_HOPS, IPV6_MTU, IPV6_MTU_DISCOVER,
    F_GETFL, F_SETFL, F_GETFD, F_SETFD, O_RDWR, O_RDONLY, O_WRONLY, O_NONBLOCK, O_NDELAY, FD_CLOEXEC, FIONREAD, FIONBIO,
    SHUT_RD, SHUT_WR, SHUT_RDWR,
    MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_OOB, MSG_EOR, MSG_NOSIGNAL, MSG_TRUNC, MSG_CTRUNC, MSG_ERRQUEUE, MSG_FASTOPEN, MSG_MORE,
    MSG_CONFIRM, MSG_DONTROUTE,
    POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP,
    EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLRDHUP,
    EPOLLONESHOT, EPOLLET, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL,
    EPERM, ENOENT, EINTR, EIO, EBADF, EAGAIN, EWOULDBLOCK, ENOMEM, EACCES, EFAULT, EEXIST, EINVAL, EMFILE, EPIPE, ENOTSOCK,
    EDESTADDRREQ, EMSGSIZE, EPROTOTYPE, ENOPROTOOPT, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL,
    ENETDOWN, ENETUNREACH, ENETRESET, ECONNABORTED, ECONNRESET, ENOBUFS, EISCONN, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN,
    EHOSTUNREACH, EALREADY, EINPROGRESS, EPROTO, ESHUTDOWN,
];

const OTHERS: &[(&str, i64)] = &[
    ("SIOCINQ", 0x541b),
    ("SIOCOUTQ", 0x5411),
    ("SIOCOUTQNSD", 0x894b),
    ("MSG_ZEROCOPY", 0x400_0000),
    ("NULL", 0),
    ("SOL_UDPLITE", 136),
    ("SOL_MPTCP", 284),
];

/// The value of a constant.
pub(crate) fn constant(name: &str) -> Option<i64> {
    LIBC.iter().chain(OTHERS).find(|(n, _)| *n == name).map(|(_, v)| *v)
}

/// The name of an error.
pub(crate) fn errno_name(errno: i32) -> String {
    let name = LIBC.iter().find(|(n, v)| n.starts_with('E') && !n.starts_with("EPOLL") && *v == i64::from(errno));
    name.map_or_else(|| format!("errno {errno}"), |(n, _)| (*n).to_string())
}

/// The number of an error, by its name.
pub(crate) fn errno(name: &str) -> Option<i64> {
    constant(name).filter(|_| name.starts_with('E') && !name.starts_with("EPOLL"))
}

/// The value of an expression that is a number; the error names what is not known.
pub(crate) fn number(e: &Expr) -> Result<i64, String> {
    match e {
        Expr::Int(n) => Ok(*n),
        Expr::Word(w) => constant(w).ok_or_else(|| format!("the constant {w}")),
        Expr::Or(all) => all.iter().try_fold(0, |n, e| number(e).map(|m| n | m)),
        Expr::Call(name, args) if name == "htons" && args.len() == 1 => number(&args[0]),
        _ => Err(format!("{e:?} as a number")),
    }
}
