//! The adapter library, loaded and driven as packetdrill loads and drives it: handshake, data, blocking accept and read,
//! close, and the clock.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use synfin_packetdrill::library::{Library, Session};
use synfin_packetdrill::run::{Settings, Verdict, play_loaded};
use synfin_packetdrill::script::Script;
use synfin_packetdrill::sockets::Refusal;
use synfin_stack::wire::SeqNum;
use synfin_stack::wire::frame::{TcpPacket, emit_tcp_v4};
use synfin_stack::wire::tcp::{Flags, Header};

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The library beside this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let names = [deps.join("libsynfin_packetdrill.so"), deps.join("../libsynfin_packetdrill.so")];
    let found = names.iter().find(|p| p.exists());
    found.unwrap_or_else(|| panic!("no library in {} or above", deps.display())).clone()
}

fn load(flags: &str) -> Arc<Session> {
    Arc::new(Library::load(&library()).unwrap().start(flags).unwrap())
}

/// An end of a conversation: a segment arrives from a peer's port at one of ours, another leaves.
struct Link(Arc<Session>);

impl Link {
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
        let mut p = vec![0; 40 + text];
        emit_tcp_v4((REMOTE, LOCAL), &hdr, &[], &vec![0; text], &mut p).unwrap();
        self.0.netdev_send(&p).unwrap();
    }

    /// The next segment that leaves: its header, octets of text, and when.
    fn leaves(&self) -> Option<(Header, usize, i64)> {
        let (bytes, at) = self.0.netdev_receive().unwrap()?;
        let p = TcpPacket::parse(&bytes).unwrap().expect("a segment");
        Some((p.header, p.payload.len(), at))
    }
}

/// A thread that is asleep in a call: packetdrill, too, goes on only when it sees that.
struct Sleeping<T>(std::thread::JoinHandle<T>);

impl<T: Send + 'static> Sleeping<T> {
    fn new(call: impl FnOnce() -> T + Send + 'static) -> Sleeping<T> {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
            call()
        });
        let stat = format!("/proc/{}/stat", told.recv().unwrap().display());
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
    let link = Link(t.clone());
    let fd = t.socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP).unwrap();
    t.bind(fd, SocketAddr::new(LOCAL.into(), 8080), false).unwrap();
    t.listen(fd, 1).unwrap();

    // Calls that sleep are made by a second thread; this one is packetdrill's main thread.
    let began = t.gettimeofday();
    let other = t.clone();
    let accepting = Sleeping::new(move || (other.accept(fd).unwrap(), other.gettimeofday()));
    t.usleep(50_000_000).unwrap();
    link.arrives((40_000, 8080), Flags::SYN, 0, 0, 0);
    let (syn_ack, _, at) = link.leaves().expect("SYN+ACK");
    assert_eq!(syn_ack.flags, Flags::SYN | Flags::ACK);
    assert!((50_000_000..50_001_000).contains(&(at - began)), "{}", at - began);
    let our = |n: u32| syn_ack.seq.0.wrapping_add(n);
    link.arrives((40_000, 8080), Flags::ACK, 1, our(1), 0);
    let ((c, peer), accepted_at) = accepting.done();
    assert_eq!(peer, Some(SocketAddr::new(REMOTE.into(), 40_000)));
    assert!((50_000_000..50_001_000).contains(&(accepted_at - began)), "{}", accepted_at - began);
    let other = t.clone();
    let reading = Sleeping::new(move || (other.read(c, 100).unwrap().data.len(), other.gettimeofday()));
    t.usleep(100_000_000).unwrap();
    link.arrives((40_000, 8080), Flags::ACK | Flags::PSH, 1, our(1), 10);
    let (n, read_at) = reading.done();
    assert_eq!(n, 10);
    assert!((150_000_000..150_001_000).contains(&(read_at - began)), "{}", read_at - began);
    let (ack, _, _) = link.leaves().expect("an acknowledgment");
    assert_eq!(ack.ack.0, 11);

    // What is written leaves in segments of the MTU; TCP_INFO says what state there is.
    assert_eq!(t.send(c, &[0; 2000], 0, None, false), Ok(2000));
    // No MSS was announced: 536 octets each (RFC 9293 3.7.1).
    let lens: Vec<usize> = (0..4).map(|_| link.leaves().unwrap().1).collect();
    assert_eq!(lens, [536, 536, 536, 392]);
    let info = t.getsockopt(c, libc::IPPROTO_TCP, libc::TCP_INFO, 280).unwrap();
    assert_eq!((info[0], info.len()), (1, 280), "ESTABLISHED");
    link.arrives((40_000, 8080), Flags::ACK, 11, our(2001), 0);

    // Close: FIN, its answer, TIME-WAIT, and then nothing can come any more.
    t.close(c).unwrap();
    let (fin, _, _) = link.leaves().expect("a FIN");
    assert_eq!(fin.flags, Flags::FIN | Flags::ACK);
    link.arrives((40_000, 8080), Flags::FIN | Flags::ACK, 11, fin.seq.0.wrapping_add(1), 0);
    assert_eq!(link.leaves().map(|l| l.0.ack.0), Some(12));
    assert!(link.leaves().is_none(), "a packet of no octets says so");
    assert_eq!(t.close(c), Err(Refusal::Errno(libc::EBADF)));
    t.close(fd).unwrap();
}

#[test]
fn non_blocking_calls_poll_and_errors() {
    let t = load("");
    let link = Link(t.clone());
    let fd = t.socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0).unwrap();
    assert_eq!(t.fcntl(fd, libc::F_GETFL, 77), Ok(libc::O_RDWR | libc::O_NONBLOCK));
    let to = SocketAddr::new(REMOTE.into(), 8080);
    assert_eq!(t.connect(fd, Some(to), false), Err(Refusal::Errno(libc::EINPROGRESS)));
    let (syn, _, at) = link.leaves().expect("a SYN");
    assert_eq!(syn.flags, Flags::SYN);
    // The same SYN again, a second of virtual time later.
    let (again, _, later) = link.leaves().expect("a SYN");
    assert_eq!((again.seq, later - at), (syn.seq, 1_000_000));
    assert_eq!(t.poll(&[(fd, libc::POLLOUT)], 0), Ok(vec![0]));
    link.arrives((8080, syn.src_port), Flags::RST | Flags::ACK, 0, syn.seq.0.wrapping_add(1), 0);
    let came = t.poll(&[(fd, libc::POLLOUT)], 0).unwrap();
    assert!(came[0] & libc::POLLERR != 0);
    let error = t.getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, 4).unwrap();
    assert_eq!(error, libc::ECONNREFUSED.to_ne_bytes());
    let before = t.gettimeofday();
    assert!(t.gettimeofday() > before, "the clock creeps");
    t.close(fd).unwrap();
}

#[test]
fn what_is_no_such_library_is_one_clear_line() {
    for (path, what) in [("/nowhere/at/all.so", "cannot open shared object file"), ("/proc/self/exe", "")] {
        let e = Library::load(Path::new(path)).unwrap_err();
        assert!(e.contains(what) && !e.is_empty() && e.lines().count() == 1, "{e}");
    }
}

#[test]
fn a_script_that_is_wrong_does_not_end_the_run_on_a_library() {
    let library = Library::load(&library()).unwrap();
    let good = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
                +0 < S 0:0(0) win 5000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n";
    let verdict = |text: &str| {
        let script = Script::parse("x.pkt", text, &[]).unwrap();
        play_loaded(&script, &Settings::default(), &library).verdict
    };
    for wrong in ["--mtu=0", "--mtu=67", "--local_ip=x", "--so_flags=nonsense=1", "--so_flags=mtu=0", "--mss=70000"] {
        let text = format!("{wrong}\n{good}");
        assert!(
            matches!(verdict(&text), Verdict::Fail(f) if f.headline.starts_with("x.pkt:1:") && f.headline.contains(": --")),
            "{wrong}"
        );
        assert_eq!(verdict(good), Verdict::Pass, "after {wrong}");
    }
    // What left before the last event is told apart here too.
    let more =
        format!("{good}+.01 < . 1:1(0) ack 1 win 5000\n+0 accept(3, ..., ...) = 4\n+0 write(4, ..., 100) = 100\n");
    assert_eq!(verdict(&more), Verdict::Pass);
    let left = format!("{more}+0 < . 1:1(0) ack 101 win 5000\n");
    assert!(matches!(verdict(&left), Verdict::Fail(f) if f.headline.contains("a packet was left over")), "left over");
    // An open file has a state with a name; without a file a library cannot tell.
    let state = |text: &str| match verdict(text) {
        Verdict::Fail(f) => f.state.unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    assert!(state(&format!("{more}+0 > R 9:9(0)\n")).starts_with("ESTABLISHED unacknowledged 1 segments "));
    assert!(state(&good.replace("S. 0:0(0) ack 1", "S. 0:0(0) ack 7")).starts_with("not known: "));
}
