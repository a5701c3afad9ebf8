//! The adapter library, loaded and driven as packetdrill loads and drives it: handshake, data, blocking accept and read,
//! close, and the clock.

#![allow(unsafe_code, clippy::unwrap_used)] // a C interface is called here; a test that fails may well panic

use libc::{c_char, c_int, c_longlong, c_uint, c_void, size_t, socklen_t, ssize_t};
use std::ffi::CString;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::tcp::{Flags, Header};
use synfin_stack::wire::{Protocol, SeqNum, checksum, ipv4};

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The table: where each call stands in it is packetdrill's.
#[derive(Clone, Copy)]
struct Table([usize; 33]);

macro_rules! calls {
    ($($slot:literal $name:ident($($arg:ident: $t:ty),*) -> $r:ty;)*) => {
        impl Table {
            $(fn $name(&self, $($arg: $t),*) -> $r {
                let f = self.0[$slot] as *const ();
                assert!(!f.is_null(), concat!(stringify!($name), " is filled in"));
                // SAFETY: this slot holds a function of this type.
                let f: unsafe extern "C" fn(usize, $($t),*) -> $r = unsafe { std::mem::transmute(f) };
                // SAFETY: the arguments are valid; the first is what the library gave.
                unsafe { f(self.0[0], $($arg),*) }
            })*
        }
    };
}

calls! {
    1 free() -> ();
    2 socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    3 bind(fd: c_int, a: *const libc::sockaddr_in, len: socklen_t) -> c_int;
    4 listen(fd: c_int, backlog: c_int) -> c_int;
    5 accept(fd: c_int, a: *mut libc::sockaddr_in, len: *mut socklen_t) -> c_int;
    6 connect(fd: c_int, a: *const libc::sockaddr_in, len: socklen_t) -> c_int;
    7 read(fd: c_int, buf: *mut u8, n: size_t) -> ssize_t;
    12 write(fd: c_int, buf: *const u8, n: size_t) -> ssize_t;
    17 fcntl(fd: c_int, cmd: c_int, arg: c_int) -> c_int;
    19 close(fd: c_int) -> c_int;
    21 getsockopt(fd: c_int, level: c_int, name: c_int, v: *mut u8, len: *mut socklen_t) -> c_int;
    23 poll(fds: *mut libc::pollfd, n: libc::nfds_t, ms: c_int) -> c_int;
    24 netdev_send(packet: *const u8, n: size_t) -> c_int;
    25 netdev_receive(buf: *mut u8, n: *mut size_t, at: *mut c_longlong) -> c_int;
    26 usleep(us: c_uint) -> c_int;
    27 gettimeofday(tv: *mut libc::timeval, zone: usize) -> c_int;
}

/// The library beside this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let names = [deps.join("libsynfin_packetdrill.so"), deps.join("../libsynfin_packetdrill.so")];
    let found = names.iter().find(|p| p.exists());
    found.unwrap_or_else(|| panic!("no library in {} or above", deps.display())).clone()
}

fn load(flags: &str) -> Table {
    let path = CString::new(library().to_str().unwrap()).unwrap();
    let mode = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE | libc::RTLD_DEEPBIND;
    // SAFETY: a path, and flags that packetdrill uses too.
    let lib = unsafe { libc::dlopen(path.as_ptr(), mode) };
    assert!(!lib.is_null(), "{} can be loaded", library().display());
    // SAFETY: the library was loaded; the name is a text.
    let init = unsafe { libc::dlsym(lib, c"packetdrill_interface_init".as_ptr()) };
    assert!(!init.is_null(), "the one symbol is there");
    // SAFETY: it has this type.
    let init: unsafe extern "C" fn(*const c_char, *mut c_void) = unsafe { std::mem::transmute(init) };
    let mut table = Table([0; 33]);
    let flags = CString::new(flags).unwrap();
    // SAFETY: a text, and room for the table.
    unsafe { init(flags.as_ptr(), table.0.as_mut_ptr().cast()) };
    assert!(table.0.iter().all(|f| *f != 0), "every member is filled in");
    table
}

fn sockaddr(a: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: a.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*a.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

const LEN: socklen_t = size_of::<libc::sockaddr_in>() as socklen_t;

impl Table {
    fn now(&self) -> i64 {
        let mut tv = libc::timeval { tv_sec: 0, tv_usec: 0 };
        self.gettimeofday(&mut tv, 0);
        tv.tv_sec * 1_000_000 + tv.tv_usec
    }

    /// A segment arrives.
    fn arrives(&self, ports: (u16, u16), flags: Flags, seq: u32, ack: u32, text: usize) {
        let hdr = Header {
            src_port: ports.0,
            dst_port: ports.1,
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            header_len: 20,
            flags,
            window: 60_000,
            urgent: 0,
        };
        let mut b = vec![0; 20 + text];
        hdr.emit(&[], &mut b).unwrap();
        let sum = checksum::pseudo_v4(REMOTE, LOCAL, 6, b.len() as u32).add(&b).finish();
        Header::put_checksum(&mut b, sum);
        let mut p = vec![0; 20 + b.len()];
        ipv4::Header {
            header_len: 20,
            dscp: 0,
            ecn: Ecn::NotEct,
            total_len: (20 + b.len()) as u16,
            ident: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 255,
            protocol: Protocol::TCP,
            src: REMOTE,
            dst: LOCAL,
            source_routed: false,
        }
        .emit(&mut p)
        .unwrap();
        p[20..].copy_from_slice(&b);
        assert_eq!(self.netdev_send(p.as_ptr(), p.len()), 0);
    }

    /// The next segment that leaves: its header, octets of text, and when.
    fn leaves(&self) -> Option<(Header, usize, i64)> {
        let (mut b, mut n, mut at) = (vec![0u8; 70_000], 70_000, 0);
        assert_eq!(self.netdev_receive(b.as_mut_ptr(), &mut n, &mut at), 0);
        let p = TcpPacket::parse(&b[..n]).ok().flatten()?;
        Some((p.header, p.payload.len(), at))
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// A thread that is asleep in a call: packetdrill, too, goes on only when it sees that.
struct Sleeping<T>(std::thread::JoinHandle<T>);

impl<T: Send + 'static> Sleeping<T> {
    fn new(call: impl FnOnce() -> T + Send + 'static) -> Sleeping<T> {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: no pointer is involved.
            tell.send(unsafe { libc::gettid() }).unwrap();
            call()
        });
        let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap());
        for _ in 0..10_000 {
            let line = std::fs::read_to_string(&stat).unwrap_or_default();
            if line.rsplit(") ").next().is_some_and(|s| s.starts_with('S')) {
                return Sleeping(thread);
            }
            std::thread::yield_now();
        }
        panic!("the call does not sleep");
    }

    fn done(self) -> T {
        self.0.join().unwrap()
    }
}

#[test]
fn handshake_data_blocking_accept_and_read_close() {
    let t = load("mtu=1400,time-wait=1s");
    let fd = t.socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP);
    assert!(fd >= 0);
    let on = sockaddr(SocketAddrV4::new(LOCAL, 8080));
    assert_eq!((t.bind(fd, &on, LEN), t.listen(fd, 1)), (0, 0));

    // Calls that sleep are made by a second thread; this one is packetdrill's main thread.
    let began = t.now();
    let accepting = Sleeping::new(move || {
        let (mut peer, mut len) = (sockaddr(SocketAddrV4::new(LOCAL, 0)), LEN);
        let c = t.accept(fd, &mut peer, &mut len);
        (c, u32::from_be(peer.sin_addr.s_addr), u16::from_be(peer.sin_port), t.now())
    });
    t.usleep(50_000_000);
    t.arrives((40_000, 8080), Flags::SYN, 0, 0, 0);
    let (syn_ack, _, at) = t.leaves().expect("SYN+ACK");
    assert_eq!(syn_ack.flags, Flags::SYN | Flags::ACK);
    assert!((50_000_000..50_001_000).contains(&(at - began)), "{}", at - began);
    t.arrives((40_000, 8080), Flags::ACK, 1, syn_ack.seq.0.wrapping_add(1), 0);
    let (c, ip, port, accepted_at) = accepting.done();
    assert_eq!((Ipv4Addr::from(ip), port), (REMOTE, 40_000));
    assert!((50_000_000..50_001_000).contains(&(accepted_at - began)), "{}", accepted_at - began);
    let reading = Sleeping::new(move || {
        let mut buf = [1u8; 100];
        (t.read(c, buf.as_mut_ptr(), buf.len()), t.now())
    });
    t.usleep(100_000_000);
    t.arrives((40_000, 8080), Flags::ACK | Flags::PSH, 1, syn_ack.seq.0.wrapping_add(1), 10);
    let (n, read_at) = reading.done();
    assert_eq!(n, 10);
    assert!((150_000_000..150_001_000).contains(&(read_at - began)), "{}", read_at - began);
    let (ack, _, _) = t.leaves().expect("an acknowledgment");
    assert_eq!(ack.ack.0, 11);

    // What is written leaves in segments of the MTU; TCP_INFO says what state there is.
    let text = [0u8; 2000];
    assert_eq!(t.write(c, text.as_ptr(), text.len()), 2000);
    // No MSS was announced: 536 octets each (RFC 9293 3.7.1).
    let lens: Vec<usize> = (0..4).map(|_| t.leaves().unwrap().1).collect();
    assert_eq!(lens, [536, 536, 536, 392]);
    let (mut info, mut len) = ([0u8; 280], 280);
    assert_eq!(t.getsockopt(c, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr(), &mut len), 0);
    assert_eq!((info[0], len), (1, 280), "ESTABLISHED");
    t.arrives((40_000, 8080), Flags::ACK, 11, syn_ack.seq.0.wrapping_add(2001), 0);

    // Close: FIN, its answer, TIME-WAIT, and then nothing can come any more.
    assert_eq!(t.close(c), 0);
    let (fin, _, _) = t.leaves().expect("a FIN");
    assert_eq!(fin.flags, Flags::FIN | Flags::ACK);
    t.arrives((40_000, 8080), Flags::FIN | Flags::ACK, 11, fin.seq.0.wrapping_add(1), 0);
    assert_eq!(t.leaves().map(|l| l.0.ack.0), Some(12));
    assert!(t.leaves().is_none(), "a packet of no octets says so");
    assert_eq!((t.close(c), errno()), (-1, libc::EBADF));
    assert_eq!(t.close(fd), 0);
    t.free();
}

#[test]
fn non_blocking_calls_poll_and_errors() {
    let t = load("");
    let fd = t.socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0);
    assert_eq!(t.fcntl(fd, libc::F_GETFL, 77), libc::O_RDWR | libc::O_NONBLOCK);
    let to = sockaddr(SocketAddrV4::new(REMOTE, 8080));
    assert_eq!((t.connect(fd, &to, LEN), errno()), (-1, libc::EINPROGRESS));
    let (syn, _, at) = t.leaves().expect("a SYN");
    assert_eq!(syn.flags, Flags::SYN);
    // The same SYN again, a second of virtual time later.
    let (again, _, later) = t.leaves().expect("a SYN");
    assert_eq!((again.seq, later - at), (syn.seq, 1_000_000));
    let mut p = libc::pollfd { fd, events: libc::POLLOUT, revents: 7 };
    assert_eq!((t.poll(&mut p, 1, 0), p.revents), (0, 0));
    t.arrives((8080, syn.src_port), Flags::RST | Flags::ACK, 0, syn.seq.0.wrapping_add(1), 0);
    assert_eq!(t.poll(&mut p, 1, 0), 1);
    assert!(p.revents & libc::POLLERR != 0);
    let (mut e, mut len) = ([0u8; 4], 4);
    t.getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, e.as_mut_ptr(), &mut len);
    assert_eq!((i32::from_ne_bytes(e), len), (libc::ECONNREFUSED, 4));
    let before = t.now();
    assert!(t.now() > before, "the clock creeps");
    t.close(fd);
    t.free();
}
