//! Every method of the sockets of std and of tokio by name: ours has it, or has it not for a reason.
//!
//! The lists are those of std 1.95 (with what is of Linux only) and of tokio 1.54, deprecated ones and those of nightly compilers
//! included. What is in a list is held by the compiler: what we have is there for both, what we have not is there for theirs and is
//! not for ours; and what we have not must stand in the table of the docs. What is new with them is for whoever raises their version.

#![allow(deprecated, trivial_bounds)]

use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd};
use std::os::linux::net::TcpStreamExt;
use synfin::{Stack, blocking, tokio as tasks};
use tokio::io::Interest;

/// What a method is to a type that has it not.
#[derive(Debug)]
struct Absent;

/// A type of theirs and one of ours: methods that both have (after `=`, how ours is called where its name alone says too little);
/// those that ours has and only nightly compilers have of theirs; those that ours has not, and why; and those of nightly
/// compilers that ours has not.
macro_rules! table {
    (
        $name:ident: $theirs:ty, $ours:ty, $docs:literal;
        have { $($have:ident $(= $how:expr)?,)* }
        nightly { $($nightly:ident,)* }
        lack { $($lack:ident: $why:literal,)* }
        nightly_lack { $($soon:ident: $soon_why:literal,)* }
    ) => {
        mod $name {
            use super::*;

            #[allow(dead_code)]
            trait Lacks {
                $(fn $lack() -> Absent { Absent })*
                $(fn $soon() -> Absent { Absent })*
            }
            impl Lacks for $ours {}

            #[test]
            fn is_told() {
                $(both!($theirs, $ours, $have $(= $how)?);)*
                $(_ = <$ours>::$nightly;)*
                $(_ = <$theirs>::$lack;)*
                $(let _: fn() -> Absent = <$ours>::$lack;)*
                $(let _: fn() -> Absent = <$ours>::$soon;)*
                let lacks: &[(&str, &str)] = &[
                    $((stringify!($lack), $why),)*
                    $((stringify!($soon), $soon_why),)*
                ];
                in_the_docs(include_str!($docs), lacks);
                let has: &[&str] = &[$(stringify!($have),)* $(stringify!($nightly),)*];
                let mut all: Vec<&str> = lacks.iter().map(|(name, _)| *name).chain(has.iter().copied()).collect();
                let listed = all.len();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), listed, "nothing twice");
            }
        }
    };
}

macro_rules! both {
    ($theirs:ty, $ours:ty, $have:ident) => {
        _ = <$theirs>::$have;
        _ = <$ours>::$have;
    };
    ($theirs:ty, $ours:ty, $have:ident = $how:expr) => {
        _ = $how;
    };
}

/// What is missing stands in the table of the docs, by name, with why.
#[track_caller]
fn in_the_docs(docs: &str, lacks: &[(&str, &str)]) {
    let rows: Vec<&str> = docs.lines().filter(|l| l.starts_with("//! |")).collect();
    for (name, why) in lacks {
        // A whole word of code: `name`, `Type::name` or `set_.. and its like` spelt out.
        let named = |row: &&&str| {
            let code = row.split('`').skip(1).step_by(2);
            code.map(|c| c.rsplit("::").next().unwrap_or(c)).any(|c| c == *name)
        };
        let row = rows.iter().find(named);
        assert!(row.is_some_and(|r| r.contains(why)), "{name} is missing for {why:?}: {row:?}");
    }
}

type Io<T> = io::Result<T>;

table! {
    std_stream: std::net::TcpStream, blocking::TcpStream, "../../src/blocking/mod.rs";
    have {
        connect = |h: &Stack, a: SocketAddr| (std::net::TcpStream::connect(a), blocking::TcpStream::connect(h, a)),
        connect_timeout, peer_addr, local_addr, shutdown, try_clone, set_read_timeout, set_write_timeout, read_timeout,
        write_timeout, peek, set_nodelay, nodelay, set_ttl, ttl, take_error, set_nonblocking, set_quickack,
    }
    nightly { set_linger, linger, }
    lack {
        quickack: "what is left of it is not told",
        as_fd: "no descriptor", as_raw_fd: "no descriptor", into_raw_fd: "no descriptor", from_raw_fd: "no descriptor",
    }
    nightly_lack { set_deferaccept: "the listener's", deferaccept: "the listener's", }
}

table! {
    std_listener: std::net::TcpListener, blocking::TcpListener, "../../src/blocking/mod.rs";
    have {
        bind = |h: &Stack, a: SocketAddr| (std::net::TcpListener::bind(a), blocking::TcpListener::bind(h, a)),
        local_addr, try_clone, accept, incoming, set_ttl, ttl, take_error, set_nonblocking,
    }
    nightly { into_incoming, }
    lack {
        set_only_v6: "deprecated there", only_v6: "deprecated there",
        as_fd: "no descriptor", as_raw_fd: "no descriptor", into_raw_fd: "no descriptor", from_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    std_udp: std::net::UdpSocket, blocking::UdpSocket, "../../src/blocking/mod.rs";
    have {
        bind = |h: &Stack, a: SocketAddr| (std::net::UdpSocket::bind(a), blocking::UdpSocket::bind(h, a)),
        send_to = |t: &std::net::UdpSocket, o: &blocking::UdpSocket, a: SocketAddr| (t.send_to(b"", a), o.send_to(b"", a)),
        connect = |t: &std::net::UdpSocket, o: &blocking::UdpSocket, a: SocketAddr| (t.connect(a), o.connect(a)),
        recv_from, peek_from, peer_addr, local_addr, try_clone, set_read_timeout, set_write_timeout, read_timeout,
        write_timeout, set_ttl, ttl, take_error, send, recv, peek, set_nonblocking,
    }
    nightly {}
    lack {
        set_broadcast: "no broadcasts", broadcast: "no broadcasts",
        set_multicast_loop_v4: "in no groups", multicast_loop_v4: "in no groups",
        set_multicast_ttl_v4: "in no groups", multicast_ttl_v4: "in no groups",
        set_multicast_loop_v6: "in no groups", multicast_loop_v6: "in no groups",
        join_multicast_v4: "in no groups", join_multicast_v6: "in no groups",
        leave_multicast_v4: "in no groups", leave_multicast_v6: "in no groups",
        as_fd: "no descriptor", as_raw_fd: "no descriptor", into_raw_fd: "no descriptor", from_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    tokio_stream: tokio::net::TcpStream, tasks::TcpStream, "../../src/tokio/mod.rs";
    have {
        connect = async |h: &Stack, a: SocketAddr| {
            (tokio::net::TcpStream::connect(a).await, tasks::TcpStream::connect(h, a).await)
        },
        try_read_buf = |t: &tokio::net::TcpStream, o: &tasks::TcpStream, b: &mut BytesMut| {
            (t.try_read_buf(b), o.try_read_buf(b))
        },
        try_io = |t: &tokio::net::TcpStream, o: &tasks::TcpStream, i: Interest, f: fn() -> Io<()>| (t.try_io(i, f), o.try_io(i, f)),
        async_io = async |t: &tokio::net::TcpStream, o: &tasks::TcpStream, i: Interest, f: fn() -> Io<()>| {
            (t.async_io(i, f).await, o.async_io(i, f).await)
        },
        local_addr, take_error, peer_addr, poll_peek, ready, readable, poll_read_ready, try_read, try_read_vectored,
        writable, poll_write_ready, try_write, try_write_vectored, peek, nodelay, set_nodelay, set_quickack, linger,
        set_linger, set_zero_linger, ttl, set_ttl, split, into_split,
    }
    nightly {}
    lack {
        from_std: "the kernel's", into_std: "the kernel's", quickack: "what is left of it is not told",
        as_fd: "no descriptor", as_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    tokio_listener: tokio::net::TcpListener, tasks::TcpListener, "../../src/tokio/mod.rs";
    have {
        bind = async |h: &Stack, a: SocketAddr| {
            (tokio::net::TcpListener::bind(a).await, tasks::TcpListener::bind(h, a).await)
        },
        accept, poll_accept, local_addr, ttl, set_ttl,
    }
    nightly {}
    lack {
        from_std: "the kernel's", into_std: "the kernel's", as_fd: "no descriptor", as_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    tokio_socket: tokio::net::TcpSocket, tasks::TcpSocket, "../../src/tokio/mod.rs";
    have {
        bind = |t: &tokio::net::TcpSocket, o: &tasks::TcpSocket, a: SocketAddr| (t.bind(a), o.bind(a)),
        new_v4, new_v6, set_keepalive, keepalive, set_reuseaddr, reuseaddr, set_send_buffer_size, send_buffer_size,
        set_recv_buffer_size, recv_buffer_size, set_linger, set_zero_linger, linger, set_nodelay, nodelay, tclass_v6,
        set_tclass_v6, tos_v4, set_tos_v4, local_addr, take_error, connect, listen,
    }
    nightly {}
    lack {
        set_reuseport: "one listener for each port", reuseport: "one listener for each port",
        tos: "deprecated there", set_tos: "deprecated there", device: "one link", bind_device: "one link",
        from_std_stream: "the kernel's",
        as_fd: "no descriptor", as_raw_fd: "no descriptor", into_raw_fd: "no descriptor", from_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    tokio_udp: tokio::net::UdpSocket, tasks::UdpSocket, "../../src/tokio/mod.rs";
    have {
        bind = async |h: &Stack, a: SocketAddr| {
            (tokio::net::UdpSocket::bind(a).await, tasks::UdpSocket::bind(h, a).await)
        },
        connect = async |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, a: SocketAddr| (t.connect(a).await, o.connect(a).await),
        send_to = async |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, a: SocketAddr| {
            (t.send_to(b"", a).await, o.send_to(b"", a).await)
        },
        try_recv_buf = |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, b: &mut BytesMut| {
            (t.try_recv_buf(b), o.try_recv_buf(b))
        },
        recv_buf = async |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, b: &mut BytesMut| {
            (t.recv_buf(b).await, o.recv_buf(b).await)
        },
        try_recv_buf_from = |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, b: &mut BytesMut| {
            (t.try_recv_buf_from(b), o.try_recv_buf_from(b))
        },
        recv_buf_from = async |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, b: &mut BytesMut| {
            (t.recv_buf_from(b).await, o.recv_buf_from(b).await)
        },
        try_io = |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, i: Interest, f: fn() -> Io<()>| (t.try_io(i, f), o.try_io(i, f)),
        async_io = async |t: &tokio::net::UdpSocket, o: &tasks::UdpSocket, i: Interest, f: fn() -> Io<()>| {
            (t.async_io(i, f).await, o.async_io(i, f).await)
        },
        local_addr, peer_addr, ready, writable, poll_send_ready, send, poll_send, try_send, readable, poll_recv_ready, recv,
        poll_recv, try_recv, poll_send_to, try_send_to, recv_from, poll_recv_from, try_recv_from, peek, poll_peek, try_peek,
        peek_from, poll_peek_from, try_peek_from, peek_sender, poll_peek_sender, try_peek_sender, tclass_v6, set_tclass_v6,
        ttl, set_ttl, tos_v4, set_tos_v4, take_error,
    }
    nightly {}
    lack {
        from_std: "the kernel's", into_std: "the kernel's", broadcast: "no broadcasts", set_broadcast: "no broadcasts",
        multicast_loop_v4: "in no groups", set_multicast_loop_v4: "in no groups",
        multicast_ttl_v4: "in no groups", set_multicast_ttl_v4: "in no groups",
        multicast_loop_v6: "in no groups", set_multicast_loop_v6: "in no groups",
        join_multicast_v4: "in no groups", join_multicast_v6: "in no groups",
        leave_multicast_v4: "in no groups", leave_multicast_v6: "in no groups",
        tos: "deprecated there", set_tos: "deprecated there", device: "one link", bind_device: "one link",
        as_fd: "no descriptor", as_raw_fd: "no descriptor",
    }
    nightly_lack {}
}

table! {
    tokio_read_half: tokio::net::tcp::ReadHalf<'_>, tasks::tcp::ReadHalf<'_>, "../../src/tokio/mod.rs";
    have {
        try_read_buf = |t: &tokio::net::tcp::ReadHalf<'_>, o: &tasks::tcp::ReadHalf<'_>, b: &mut BytesMut| {
            (t.try_read_buf(b), o.try_read_buf(b))
        },
        as_ref = |t: &tokio::net::tcp::ReadHalf<'_>, o: &tasks::tcp::ReadHalf<'_>| (t.as_ref().nodelay(), o.as_ref().nodelay()),
        poll_peek, peek, ready, readable, try_read, try_read_vectored, peer_addr, local_addr,
    }
    nightly {}
    lack {}
    nightly_lack {}
}

table! {
    tokio_write_half: tokio::net::tcp::WriteHalf<'_>, tasks::tcp::WriteHalf<'_>, "../../src/tokio/mod.rs";
    have {
        as_ref = |t: &tokio::net::tcp::WriteHalf<'_>, o: &tasks::tcp::WriteHalf<'_>| (t.as_ref().nodelay(), o.as_ref().nodelay()),
        ready, writable, try_write, try_write_vectored, peer_addr, local_addr,
    }
    nightly {}
    lack {}
    nightly_lack {}
}

table! {
    tokio_owned_read_half: tokio::net::tcp::OwnedReadHalf, tasks::tcp::OwnedReadHalf, "../../src/tokio/mod.rs";
    have {
        try_read_buf = |t: &tokio::net::tcp::OwnedReadHalf, o: &tasks::tcp::OwnedReadHalf, b: &mut BytesMut| {
            (t.try_read_buf(b), o.try_read_buf(b))
        },
        as_ref = |t: &tokio::net::tcp::OwnedReadHalf, o: &tasks::tcp::OwnedReadHalf| (t.as_ref().nodelay(), o.as_ref().nodelay()),
        reunite, poll_peek, peek, ready, readable, try_read, try_read_vectored, peer_addr, local_addr,
    }
    nightly {}
    lack {}
    nightly_lack {}
}

table! {
    tokio_owned_write_half: tokio::net::tcp::OwnedWriteHalf, tasks::tcp::OwnedWriteHalf, "../../src/tokio/mod.rs";
    have {
        as_ref = |t: &tokio::net::tcp::OwnedWriteHalf, o: &tasks::tcp::OwnedWriteHalf| (t.as_ref().nodelay(), o.as_ref().nodelay()),
        reunite, forget, ready, writable, try_write, try_write_vectored, peer_addr, local_addr,
    }
    nightly {}
    lack {}
    nightly_lack {}
}
