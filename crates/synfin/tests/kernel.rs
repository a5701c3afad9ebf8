//! Against the Linux kernel, in a user and network namespace: the kernel's sockets at one end, ours at the other.
//!
//! One table says which situation is played in which variations. The test's own main enters the namespace before the first
//! thread starts (the kernel refuses it later). Where namespaces are not to be had, every test is listed as ignored, with
//! the reason; where only `/dev/net/tun` is not, those over a veth still run.

#![allow(clippy::disallowed_methods)] // programs of the test live in real time; no verdict depends on it

mod rig;

use libtest_mimic::{Arguments, Failed, Trial};
use rig::{ACTOR, Case, End, IP, OFFLOAD, OPENER, Rig, Socket, both_ways, connect, eventually, pattern, stream_digest};
use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;
use synfin::blocking::{TcpListener, TcpStream, UdpSocket};
use synfin::device::{Layer, Tun, TunOptions, netns};
use synfin::{PacketLog, Sniffed, TcpConfig};

type Verdict = Result<(), Failed>;
type Play = fn(Case) -> Verdict;

/// What a situation cannot be played without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Namespace,
    Tun,
}

/// Situation, its axes, its needs.
const SITUATIONS: &[(&str, u8, Needs, Play)] = &[
    ("half_close", IP | OFFLOAD | OPENER | ACTOR, Needs::Tun, |c| half_close(&Rig::tun(c)?, c)),
    ("five_thousand_in_a_row", IP | OFFLOAD | OPENER, Needs::Tun, |c| five_thousand_in_a_row(&Rig::tun(c)?, c)),
    ("two_hundred_at_once", IP | OFFLOAD | OPENER, Needs::Tun, |c| two_hundred_at_once(&Rig::tun(c)?, c)),
    ("refused", IP | OFFLOAD | ACTOR, Needs::Tun, |c| refused(&Rig::tun(c)?, c)),
    ("reset", IP | OFFLOAD | OPENER | ACTOR, Needs::Tun, |c| reset(&Rig::tun(c)?, c)),
    ("closed_with_text_unread", IP | OFFLOAD | OPENER | ACTOR, Needs::Tun, |c| {
        closed_with_text_unread(&Rig::tun(c)?, c)
    }),
    ("unanswered", IP | ACTOR, Needs::Tun, unanswered),
    ("killed_in_mid_transfer", IP | OFFLOAD | ACTOR, Needs::Tun, killed_in_mid_transfer),
    ("link_lost_and_back", IP | OFFLOAD | OPENER, Needs::Tun, |c| link_lost_and_back(&Rig::tun(c)?, c)),
    ("ethernet_by_tap", OFFLOAD, Needs::Tun, ethernet_by_tap),
    ("ethernet_by_packet_socket", OFFLOAD, Needs::Namespace, ethernet_by_packet_socket),
    ("udp_with_fragments_and_icmp", 0, Needs::Tun, |c| udp_with_fragments_and_icmp(&Rig::tun(c)?, c)),
    ("64_MiB_each_way", IP | OFFLOAD | OPENER, Needs::Tun, |c| bulk(&Rig::tun(c)?, c)),
];

fn bulk(r: &Rig, c: Case) -> Verdict {
    let (ours, kernel) = r.connected(c.we_connect)?;
    both_ways(&ours, &kernel, 64 << 20, |_, _| {})
}

/// One end closes its direction; the other reads the end, and its own direction goes on.
fn half_close(r: &Rig, c: Case) -> Verdict {
    let (mut closes, mut goes_on) = r.ends(c)?;
    let data = pattern(1 << 20, 7);
    closes.write_all(b"the last")?;
    closes.shut_write()?;
    let mut last = String::new();
    goes_on.read_to_string(&mut last)?;
    assert_eq!(last, "the last");
    let want = stream_digest(&data[..], data.len(), |_| {})?;
    let writer = std::thread::spawn(move || goes_on.write_all(&data));
    assert_eq!(stream_digest(closes, 1 << 20, |_| {})?, want);
    writer.join().expect("no panic")?;
    all_closed(r)
}

fn five_thousand_in_a_row(r: &Rig, c: Case) -> Verdict {
    let l = r.listen(!c.we_connect)?;
    let to = l.local_addr()?;
    let server = std::thread::spawn(move || (0..5_000).try_for_each(|_| echo(l.accept()?, 4)));
    for i in 0..5_000u32 {
        let mut s = connect(&r.host, c.we_connect, to)?;
        s.write_all(&i.to_be_bytes())?;
        let mut b = [0; 4];
        s.read_exact(&mut b)?;
        assert_eq!(b, i.to_be_bytes());
    }
    server.join().expect("no panic")?;
    all_closed(r)
}

/// All are open before the first one speaks.
fn two_hundred_at_once(r: &Rig, c: Case) -> Verdict {
    const ALL: usize = 200;
    let l = r.listen(!c.we_connect)?;
    let to = l.local_addr()?;
    let server = std::thread::spawn(move || {
        let served: Vec<_> =
            (0..ALL).map(|_| l.accept().map(|s| std::thread::spawn(|| echo(s, 10_000)))).collect::<io::Result<_>>()?;
        served.into_iter().try_for_each(|t| t.join().expect("no panic"))
    });
    let open = Arc::new(Barrier::new(ALL));
    let client = |i| {
        let (host, open) = (r.host.clone(), open.clone());
        std::thread::spawn(move || -> io::Result<()> {
            let s = connect(&host, c.we_connect, to);
            open.wait();
            let (mut s, data, mut back) = (s?, pattern(10_000, i as u8), Vec::new());
            s.write_all(&data)?;
            s.shut_write()?;
            s.read_to_end(&mut back)?;
            assert!(back == data, "client {i}");
            Ok(())
        })
    };
    let clients: Vec<_> = (0..ALL).map(client).collect();
    for t in clients {
        t.join().expect("no panic")?;
    }
    server.join().expect("no panic")?;
    all_closed(r)
}

/// Sends `n` octets back.
fn echo(mut s: Socket, n: usize) -> io::Result<()> {
    let mut b = vec![0; n];
    s.read_exact(&mut b)?;
    s.write_all(&b)
}

/// Nothing is left of any connection but TIME-WAIT.
fn all_closed(r: &Rig) -> Verdict {
    let closed = r.host.wait_closed(Duration::from_secs(60));
    assert!(closed, "{:?}", r.host.occupancy());
    Ok(())
}

/// Who acts has nobody listening.
fn refused(r: &Rig, c: Case) -> Verdict {
    let at = if c.we_act { r.ours } else { r.kernel };
    assert_eq!(error(connect(&r.host, !c.we_act, (at, 9).into())), ErrorKind::ConnectionRefused);
    all_closed(r)
}

fn reset(r: &Rig, c: Case) -> Verdict {
    let (resets, mut reads) = r.ends(c)?;
    resets.reset()?;
    assert_eq!(error(reads.read(&mut [0; 8])), ErrorKind::ConnectionReset);
    drop(reads);
    all_closed(r)
}

/// The peer must not believe that it was taken.
//= RFC 9293 3.6.1 SHLD-3 (RFC 2525 2.17)
fn closed_with_text_unread(r: &Rig, c: Case) -> Verdict {
    let (closes, mut writes) = r.ends(c)?;
    writes.write_all(b"unread")?;
    closes.await_text()?;
    drop(closes);
    assert_eq!(error(writes.read(&mut [0; 8])), ErrorKind::ConnectionReset);
    drop(writes);
    all_closed(r)
}

fn error<T>(r: io::Result<T>) -> ErrorKind {
    r.err().expect("it fails").kind()
}

/// Who acts asks for an address that nobody has, then for an end that hears nothing.
fn unanswered(c: Case) -> Verdict {
    let tcp = TcpConfig { rto_initial: Duration::from_millis(50), syn_retries: 2, ..TcpConfig::default() };
    let deaf = Deaf::default();
    let heard = deaf.0.clone();
    let r = Rig::tun_with(c, |b| b.tcp(tcp).packet_log(Box::new(deaf)))?;
    if c.we_act {
        for at in [r.nobody, r.kernel] {
            assert_eq!(error(TcpStream::connect(&r.host, (at, 80))), ErrorKind::TimedOut);
        }
    } else {
        let l = TcpListener::bind(&r.host, (r.ours, 80))?;
        for at in [r.nobody, r.ours] {
            let (to, before) = ((at, 80).into(), heard.load(Ordering::Relaxed));
            let asked = std::net::TcpStream::connect_timeout(&to, Duration::from_millis(1_500));
            assert_eq!(error(asked), ErrorKind::TimedOut);
            eventually("the kernel has asked", || heard.load(Ordering::Relaxed) > before)?;
        }
        drop(l);
    }
    all_closed(&r)
}

/// Loses and counts TCP segments that come for address 2; what comes for others may pass, and must not be answered.
#[derive(Default)]
struct Deaf(Arc<AtomicUsize>);

impl PacketLog for Deaf {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let (protocol, to) = match p.bytes[0] >> 4 {
            4 => (p.bytes[9], p.bytes[19]),
            _ => (p.bytes[6], p.bytes[39]),
        };
        let segment = !p.out && protocol == 6;
        self.0.fetch_add(segment.into(), Ordering::Relaxed);
        !(segment && to == 2)
    }
}

/// Text goes both ways, and waits to be read by the end that dies; the other gets to know.
fn killed_in_mid_transfer(c: Case) -> Verdict {
    let r = Rig::tun(c)?;
    if c.we_act {
        let (mut ours, mut kernel) = r.connected(true)?;
        let kernel_writes = kernel.try_clone()?;
        let writes = std::thread::spawn(move || without_end(kernel_writes));
        // No more than the buffers hold: the kernel's program reads only half of it.
        ours.write_all(&pattern(1 << 17, 1))?;
        kernel.read_exact(&mut vec![0; 1 << 16])?;
        ours.read_exact(&mut vec![0; 1 << 20])?;
        ours.await_text()?;
        drop(ours);
        drop(r); // the host, and its interface
        assert_eq!(error(writes.join().expect("no panic")), ErrorKind::ConnectionReset);
        return Ok(());
    }
    let l = TcpListener::bind(&r.host, (r.ours, 0))?;
    let mut program = Command::new(std::env::current_exe()?).env(VICTIM, l.local_addr()?.to_string()).spawn()?;
    let (mut ours, _) = l.accept()?;
    ours.write_all(&pattern(1 << 17, 1))?;
    ours.read_exact(&mut vec![0; 1 << 20])?;
    // More has reached the kernel than its program ever reads.
    let reached = || ours.status().is_some_and(|s| s.counters.bytes_acked > VICTIM_READS as u64);
    eventually("text waits for the program", reached)?;
    program.kill()?; // SIGKILL
    program.wait()?;
    assert_eq!(error(without_end(&ours)), ErrorKind::ConnectionReset);
    assert_eq!(error(ours.read(&mut [0; 8])), ErrorKind::ConnectionReset);
    drop(ours);
    all_closed(&r)
}

/// Set for the program that is to be killed: where it connects to.
const VICTIM: &str = "SYNFIN_TEST_VICTIM";
const VICTIM_READS: usize = 1 << 14;

/// That program: it reads a little, and writes until it is killed.
fn victim(to: &str) -> io::Result<()> {
    let mut s = std::net::TcpStream::connect(to)?;
    s.read_exact(&mut [0; VICTIM_READS])?;
    without_end(s)
}

fn without_end(mut to: impl Write) -> io::Result<()> {
    let data = pattern(1 << 16, 1);
    loop {
        to.write_all(&data)?;
    }
}

/// The link goes down in mid-transfer: octets have moved both ways before, none do while it is down, the rest after.
fn link_lost_and_back(r: &Rig, c: Case) -> Verdict {
    const ALL: usize = 64 << 20;
    // What is left is far more than all buffers hold, so the transfer cannot end while the link is down.
    const BEFORE: usize = ALL / 4;
    let (ours, kernel) = r.connected(c.we_connect)?;
    let (got, lost) = ([AtomicUsize::new(0), AtomicUsize::new(0)], AtomicBool::new(false));
    let moved = || got.each_ref().map(|g| g.load(Ordering::Relaxed));
    let seen = |end: usize, total: usize| {
        got[end].store(total, Ordering::Relaxed);
        while total >= BEFORE && !lost.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    std::thread::scope(|s| {
        let transfer = s.spawn(|| both_ways(&ours, &kernel, ALL, seen));
        let cut = || -> Verdict {
            eventually("a quarter has moved", || moved().iter().all(|m| *m >= BEFORE))?;
            let down = r.set_link(false);
            lost.store(true, Ordering::Relaxed);
            down?;
            // What had arrived is read; then there is silence, though neither end has all.
            let mut last = moved();
            eventually("silence", || {
                std::thread::sleep(Duration::from_millis(500));
                std::mem::replace(&mut last, moved()) == last
            })?;
            if !last.iter().all(|m| (BEFORE..ALL).contains(m)) {
                return Err(format!("not in mid-transfer: {last:?} of {ALL}").into());
            }
            Ok(r.set_link(true)?)
        };
        let was_cut = cut();
        if was_cut.is_err() {
            // So that the transfer comes to its end.
            lost.store(true, Ordering::Relaxed);
            r.set_link(true)?;
        }
        transfer.join().expect("no panic").and(was_cut)
    })
}

fn ethernet_by_tap(c: Case) -> Verdict {
    ethernet(Rig::tap(c.offload)?)
}

fn ethernet_by_packet_socket(c: Case) -> Verdict {
    ethernet(Rig::veth(c.offload)?)
}

/// What changes with the link is how packets are framed: each situation is played once per role and version of IP.
fn ethernet((v4, v6): (Rig, Rig)) -> Verdict {
    const PLAYS: [fn(&Rig, Case) -> Verdict; 5] =
        [half_close, two_hundred_at_once, refused, reset, closed_with_text_unread];
    for r in [v4, v6] {
        // IPv6 begins once we have made sure that our address is ours alone.
        let reached = || error(TcpStream::connect(&r.host, (r.kernel, 9))) == ErrorKind::ConnectionRefused;
        eventually("the kernel is reached", reached)?;
        for we in [true, false] {
            let c = Case { v6: r.kernel.is_ipv6(), offload: true, we_connect: we, we_act: !we };
            let (ours, kernel) = r.connected(we)?;
            both_ways(&ours, &kernel, 8 << 20, |_, _| {})?;
            drop((ours, kernel));
            PLAYS.iter().try_for_each(|play| play(&r, c))?;
        }
    }
    Ok(())
}

fn udp_with_fragments_and_icmp(r: &Rig, _: Case) -> Verdict {
    let echo = UdpSocket::bind(&r.host, (r.ours, 7))?;
    let k = std::net::UdpSocket::bind((r.kernel, 0))?;
    k.connect((r.ours, 7))?;
    for size in [0, 1, 1400, 9000] {
        let data = pattern(size, 3); // 9,000 octets come, and go, in fragments
        k.send(&data)?;
        let mut buf = vec![0; 65_536];
        let (n, from) = echo.recv_from(&mut buf)?;
        assert_eq!(buf[..n], data[..]);
        echo.send_to(&buf[..n], from)?;
        let n = k.recv(&mut buf)?;
        assert_eq!(buf[..n], data[..]);
    }
    // A closed port is answered by ICMP.
    k.connect((r.ours, 8))?;
    k.send(b"x")?;
    assert_eq!(error(k.recv(&mut [0; 8])), ErrorKind::ConnectionRefused);
    Ok(())
}

/// Runs a test, and gives it up when it hangs.
fn within_minutes(test: impl FnOnce() -> Verdict + Send + 'static) -> Verdict {
    let (done, wait) = mpsc::channel();
    let t = std::thread::spawn(move || {
        let verdict = test();
        let _ = done.send(());
        verdict
    });
    match wait.recv_timeout(Duration::from_secs(180)) {
        Err(mpsc::RecvTimeoutError::Timeout) => Err("it hangs: no end within three minutes".into()),
        _ => t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

fn main() -> io::Result<()> {
    if let Ok(to) = std::env::var(VICTIM) {
        return victim(&to);
    }
    let args = Arguments::from_args();
    let namespace = netns::enter_new();
    let probe = TunOptions { name: "probe".into(), layer: Layer::Ip, offload: true, mtu: 1500 };
    let tun = Tun::open(&probe).map(drop);
    let hindrance = |needs| match (&namespace, &tun) {
        (Err(_), _) => Some("no namespace"),
        (_, Err(_)) if needs == Needs::Tun => Some("no TUN"),
        _ => None,
    };
    if let Some(e) = namespace.as_ref().err().or(tun.as_ref().err()) {
        eprintln!("not all is run: {e}");
    }
    let trials = SITUATIONS.iter().flat_map(|&(situation, axes, needs, play)| {
        let hindrance = hindrance(needs);
        Case::all(axes).map(move |(c, variation)| {
            let why = hindrance.map(|h| format!(" (not run: {h} here)")).unwrap_or_default();
            Trial::test(format!("{situation}{variation}{why}"), move || within_minutes(move || play(c)))
                .with_ignored_flag(hindrance.is_some())
        })
    });
    // One after another: each is a load of its own, and two cores are few.
    let args = Arguments { test_threads: Some(1), ..args };
    libtest_mimic::run(&args, trials.collect()).exit()
}
