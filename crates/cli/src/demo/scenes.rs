//! The scenes. In each, the client is the left column.

use super::child::Program;
use super::dns;
use super::rig::{OURS, Rig, THEIRS};
use super::side::{Listener, Side, Stream};
use super::{PATIENCE, now, pause};
use crate::recorder::Recorder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use synfin::stack::ListenerStatus;
use synfin::{Stack, TcpConfig};
use synfin_sim::Network;
use synfin_tcp::CloseReason;
use synfin_tcp::config::SynCookies;
use synfin_wire::tcp::Flags;

/// A scene.
pub(crate) struct Scene {
    pub name: &'static str,
    pub about: &'static str,
    /// Played when no scene is named.
    pub default: bool,
    pub play: fn(&mut Rig) -> io::Result<()>,
}

/// All scenes, in order.
pub(crate) const ALL: &[Scene] = &[
    Scene {
        name: "curl",
        about: "a page is fetched by name, by our client from theirs, and by the machine's curl from ours",
        default: true,
        play: curl,
    },
    Scene {
        name: "telnet-quit",
        about: "connect and quit: six segments, closed in three because the server is prompt",
        default: true,
        play: telnet_quit,
    },
    Scene {
        name: "four-way",
        about: "the server closes late, so the close takes four segments",
        default: true,
        play: four_way,
    },
    Scene {
        name: "half-close",
        about: "the client shuts down writing; the server goes on sending, nothing is lost",
        default: false,
        play: half_close,
    },
    Scene {
        name: "time-wait",
        about: "the last ACK is lost: the FIN comes again, is answered again, the wait starts afresh",
        default: true,
        play: time_wait,
    },
    Scene { name: "queues", about: "a backlog of 2 and a server that does not accept", default: false, play: queues },
    Scene {
        name: "no-answer",
        about: "nobody answers: the SYN again after 1, 2, 4 and 8 s, given up 16 s after the last",
        default: true,
        play: no_answer,
    },
    Scene { name: "refused", about: "a SYN to a closed port", default: false, play: refused },
    Scene { name: "reset", about: "one side aborts: both release everything at once", default: false, play: reset },
    Scene { name: "dead-peer", about: "the cable is cut: keepalive finds out", default: false, play: dead_peer },
];

fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

/// A scene must show what it says: else it fails, with these words.
fn ensure(holds: bool, otherwise: impl Into<String>) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.into())) }
}

/// Tells the error that a call ended with, which must be of the kind that is due.
fn fails<T>(rec: &Recorder, call: &str, r: io::Result<T>, due: ErrorKind) -> io::Result<()> {
    match r {
        Ok(_) => Err(io::Error::other(format!("{call} succeeded, where it had to fail: {due}"))),
        Err(e) if e.kind() != due => Err(io::Error::other(format!("{call} failed: {e}; it had to be: {due}"))),
        Err(e) => {
            rec.program(true, &format!("{call}: {e}"));
            Ok(())
        }
    }
}

/// Waits until `holds`, with patience; whether it does.
fn comes(holds: impl Fn() -> bool) -> bool {
    let until = now() + PATIENCE;
    while !holds() {
        if now() >= until {
            return false;
        }
        pause(10);
    }
    true
}

fn join<T>(t: JoinHandle<io::Result<T>>) -> io::Result<T> {
    t.join().map_err(|_| io::Error::other("a program of the scene panicked"))?
}

/// A server that accepts one connection and hands it to `f`.
fn serve<T: Send + 'static>(
    rec: &Recorder,
    side: &Side,
    on: SocketAddr,
    f: impl FnOnce(Stream, &Recorder) -> io::Result<T> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<T>>> {
    let listener: Listener = side.listen(on)?;
    rec.listening(on.port());
    let rec = rec.clone();
    Ok(thread::spawn(move || {
        let s = listener.accept()?;
        rec.program(false, "accept");
        rec.check_socket(|| s.kernel_says());
        f(s, &rec)
    }))
}

fn connect(rec: &Recorder, side: &Side, to: SocketAddr) -> io::Result<Stream> {
    rec.program(true, &format!("connect {to}"));
    side.connect(to)
}

/// Waits for our host to be done with its connections.
fn settle(host: &Stack) -> io::Result<()> {
    ensure(host.wait_closed(PATIENCE), format!("connections are open {} s after the last close", PATIENCE.as_secs()))?;
    pause(60);
    Ok(())
}

const PAGE: &str = "<!doctype html><title>synfin</title><p>fetched over a TCP of our own</p>\n";

/// Answers one request for a page.
fn http_server(s: Stream, rec: &Recorder) -> io::Result<()> {
    let mut r = BufReader::new(s);
    let mut line = String::new();
    r.read_line(&mut line)?;
    rec.program(false, &format!("read {:?}", line.trim_end()));
    while r.read_line(&mut line)? > 2 {}
    let body = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
    rec.program(false, &format!("write {} octets, close", body.len()));
    r.get_mut().write_all(body.as_bytes())?;
    Ok(())
}

fn curl(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    let ours = Side::Ours(host.clone());
    // The name, over UDP.
    let name = "www.example.test";
    let answers = name_server(&other)?;
    let q = synfin::blocking::UdpSocket::bind(&host, at(OURS, 0))?;
    q.set_read_timeout(Some(Duration::from_secs(2)))?;
    q.send_to(&dns::question(0x5359, name), at(THEIRS, 53))?;
    let mut buf = [0; 512];
    let n = q.recv(&mut buf)?;
    let found = dns::address(0x5359, &buf[..n]).ok_or_else(|| io::Error::other("no address in the answer"))?;
    join(answers)?;
    rec.remark(format!("{name} is {found}, says the name server over UDP"));
    // Our client, their server.
    let server = serve(&rec, &other, at(THEIRS, 80), http_server)?;
    let mut s = connect(&rec, &ours, at(found.into(), 80))?;
    let request = format!("GET / HTTP/1.0\r\nHost: {name}\r\n\r\n");
    rec.program(true, &format!("write {} octets", request.len()));
    s.write_all(request.as_bytes())?;
    let mut page = String::new();
    s.read_to_string(&mut page)?;
    rec.program(true, &format!("read {} octets, then 0: the end", page.len()));
    drop(s);
    join(server)?;
    settle(&host)?;
    ensure(page.ends_with(PAGE), "the page is not the one that was served")?;
    rig.check_kernel();
    // The machine's curl, our server.
    if !rig.has_kernel() || !installed("curl") {
        rec.remark("this machine has no curl, or no kernel is at the other end: the second half is left out");
        return Ok(());
    }
    let server = serve(&rec, &ours, at(OURS, 80), http_server)?;
    rec.program(true, "start curl http://www.example.test/");
    let got = fetch("http://www.example.test/", "www.example.test:80:192.0.2.2")?;
    join(server)?;
    settle(&host)?;
    ensure(got == PAGE, "the page that curl got is not the one that was served")?;
    rec.remark(format!("curl got {} octets, the page", got.len()));
    rig.check_kernel();
    Ok(())
}

/// Fetches a page with curl, as it is without its user's settings: no proxy, no `.curlrc`.
fn fetch(url: &str, resolve: &str) -> io::Result<String> {
    let mut curl = Command::new("curl");
    curl.args(["-q", "--noproxy", "*", "--silent", "--show-error", "--max-time", "5", "--resolve", resolve, url]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy") {
            curl.env_remove(name);
        }
    }
    Program::start(&mut curl, PATIENCE)?.finish()
}

/// A name server for one question, on the other end's sockets.
fn name_server(other: &Side) -> io::Result<JoinHandle<io::Result<()>>> {
    let IpAddr::V4(a) = THEIRS else { return Err(io::Error::other("an IPv4 address")) };
    let mut buf = [0; 512];
    Ok(match other {
        Side::Kernel => {
            let s = std::net::UdpSocket::bind(at(THEIRS, 53))?;
            s.set_read_timeout(Some(Duration::from_secs(2)))?;
            thread::spawn(move || {
                let (n, from) = s.recv_from(&mut buf)?;
                s.send_to(&dns::answer(&buf[..n], a).unwrap_or_default(), from).map(|_| ())
            })
        }
        Side::Ours(h) => {
            let s = synfin::blocking::UdpSocket::bind(h, at(THEIRS, 53))?;
            s.set_read_timeout(Some(Duration::from_secs(2)))?;
            thread::spawn(move || {
                let (n, from) = s.recv_from(&mut buf)?;
                s.send_to(&dns::answer(&buf[..n], a).unwrap_or_default(), from).map(|_| ())
            })
        }
    })
}

fn installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|d| d.join(program).is_file()))
}

/// Reads to the end and closes at once.
fn prompt_server(mut s: Stream, rec: &Recorder) -> io::Result<()> {
    let mut buf = [0; 256];
    while s.read(&mut buf)? > 0 {}
    rec.program(false, "read 0: the client has closed; close");
    Ok(())
}

fn telnet_quit(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    let ours = Side::Ours(host.clone());
    let server = serve(&rec, &ours, at(OURS, 6379), prompt_server)?;
    if rig.has_kernel() && installed("telnet") {
        rec.program(true, "start telnet 192.0.2.2 6379");
        // Without its user's settings, and in the words that are waited for.
        let mut telnet = Command::new("telnet");
        let mut t = Program::start(telnet.args(["-c", "192.0.2.2", "6379"]).env("LC_ALL", "C"), PATIENCE)?;
        t.wait_until("it was connected", |said| said.contains("Escape character"))?;
        rec.program(true, "telnet is connected; type ^] and quit");
        t.say(b"\x1dquit\n")?;
        t.finish()?;
    } else {
        let s = connect(&rec, &other, at(OURS, 6379))?;
        pause(20);
        rec.program(true, "quit: close");
        drop(s);
    }
    join(server)?;
    settle(&host)?;
    if !rec.tells("close 3/3") {
        ensure(rec.tells("close 4/4"), "the connection was not closed by both ends")?;
        rec.remark("four segments: the server closed later than its TCP could wait with the ACK");
    }
    rig.check_kernel();
    if rig.has_kernel() && installed("redis-server") {
        redis(rig, &host, &ours)?;
    }
    Ok(())
}

/// The same with a real Redis at the other end.
fn redis(rig: &Rig, host: &Stack, ours: &Side) -> io::Result<()> {
    let rec = &rig.rec;
    let mut redis = Command::new("redis-server");
    redis.args("--bind 192.0.2.1 --port 6380 --appendonly no --protected-mode no --daemonize no --save".split(' '));
    let mut server = Program::start(redis.arg(""), PATIENCE)?;
    let address = at(THEIRS, 6380);
    if let Err(e) = server.wait_until("it listened", |_| std::net::TcpStream::connect(address).is_ok()) {
        rec.remark(format!("this part is left out: {e}"));
        return Ok(());
    }
    rec.listening(address.port());
    let mut s = connect(rec, ours, address)?;
    rec.program(true, "write PING");
    s.write_all(b"PING\r\n")?;
    let mut b = [0; 7];
    s.read_exact(&mut b)?;
    let said = String::from_utf8_lossy(&b);
    ensure(said == "+PONG\r\n", format!("redis-server answers {said:?} to PING"))?;
    rec.program(true, &format!("read {said:?}, the answer of redis-server; quit: close"));
    drop(s);
    settle(host)?;
    drop(server);
    rig.check_kernel();
    Ok(())
}

/// TIME-WAIT cut to one second, and said so.
fn short_wait(rec: &Recorder) -> TcpConfig {
    rec.remark("setting time-wait=1s (default 60 s), so that the end of the wait is seen");
    TcpConfig { time_wait: Duration::from_secs(1), ..TcpConfig::default() }
}

/// Waits for TIME-WAIT to end, and says what is left.
fn end_of_wait(rec: &Recorder, host: &Stack) -> io::Result<()> {
    let over = comes(|| host.occupancy().time_wait == 0);
    let o = host.occupancy();
    let left = format!("on our side {} connections, {} in TIME-WAIT, {} timers", o.connections, o.time_wait, o.timers);
    ensure(over && o.connections == 0, format!("2 MSL are over, and yet {left}"))?;
    rec.remark(format!("2 MSL are over: CLOSED; {left}: port and memory are free"));
    Ok(())
}

fn late_server(mut s: Stream, rec: &Recorder) -> io::Result<()> {
    let mut buf = [0; 256];
    while s.read(&mut buf)? > 0 {}
    rec.program(false, "read 0: the client has closed; still busy");
    rec.check_socket(|| s.kernel_says());
    pause(200);
    ensure(comes(|| rec.tells("close 2/4")), "the FIN is not acknowledged before the server closes")?;
    rec.program(false, "close");
    Ok(())
}

fn four_way(rig: &mut Rig) -> io::Result<()> {
    let tcp = short_wait(&rig.rec);
    let (host, other) = rig.set(tcp)?;
    let rec = rig.rec.clone();
    let server = serve(&rec, &other, at(THEIRS, 7000), late_server)?;
    let s = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 7000))?;
    pause(20);
    rec.program(true, "close");
    drop(s);
    pause(100);
    rig.check_kernel();
    join(server)?;
    settle(&host)?;
    ensure(rec.tells("close 4/4"), "the close did not take four segments")?;
    rig.check_kernel();
    end_of_wait(&rec, &host)
}

fn half_close(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    let server = serve(&rec, &other, at(THEIRS, 7000), |mut s, rec| {
        let mut question = String::new();
        s.read_to_string(&mut question)?;
        rec.program(false, &format!("read {question:?}, then 0"));
        for i in 1..=3 {
            rec.program(false, &format!("write answer {i}"));
            s.write_all(format!("answer {i}\n").as_bytes())?;
            pause(30);
        }
        rec.program(false, "close");
        Ok(())
    })?;
    let mut s = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 7000))?;
    rec.program(true, "write question");
    s.write_all(b"question")?;
    rec.program(true, "shutdown(Write)");
    s.shutdown_write()?;
    let mut answers = String::new();
    s.read_to_string(&mut answers)?;
    rec.program(true, &format!("read {} octets after our own FIN, then 0; close", answers.len()));
    drop(s);
    join(server)?;
    settle(&host)?;
    ensure(answers == "answer 1\nanswer 2\nanswer 3\n", format!("answers were lost: {answers:?}"))?;
    rig.check_kernel();
    Ok(())
}

fn time_wait(rig: &mut Rig) -> io::Result<()> {
    let tcp = short_wait(&rig.rec);
    let time_wait = tcp.time_wait;
    let (host, other) = rig.set(tcp)?;
    let rec = rig.rec.clone();
    // The last ACK: the first pure ACK of ours after their FIN.
    let fins = Arc::new(Mutex::new(Vec::new()));
    rec.lose(Some(Box::new({
        let (fins, mut lost) = (fins.clone(), false);
        move |out, p| {
            let mut fins = fins.lock().unwrap_or_else(PoisonError::into_inner);
            let h = &p.header;
            if !out {
                if h.flags.has(Flags::FIN) {
                    fins.push(now());
                }
                return false;
            }
            let last = !fins.is_empty() && !lost && h.flags == Flags::ACK && p.payload.is_empty();
            lost |= last;
            last
        }
    })));
    let server = serve(&rec, &other, at(THEIRS, 7000), late_server)?;
    let s = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 7000))?;
    pause(20);
    rec.program(true, "close");
    drop(s);
    join(server)?;
    // Their retransmission timeout is 200 ms at least.
    ensure(comes(|| rec.tells("the wait starts afresh")), "the FIN did not come again, or was not answered again")?;
    pause(60);
    rig.check_kernel();
    end_of_wait(&rec, &host)?;
    let again = fins.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
    let waited = again.map(|t| now().duration_since(t)).unwrap_or_default();
    ensure(waited >= time_wait, format!("the wait ended {} ms after the last FIN", waited.as_millis()))
}

fn queues(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    // SYN cookies would let in whom the queue has no room for.
    let cfg = TcpConfig { syn_cookies: SynCookies::Off, ..TcpConfig::default() };
    let listener = synfin::blocking::TcpListener::bind_with(&host, at(OURS, 7000), 2, &cfg)?;
    rec.listening(7000);
    rec.program(false, "listen with a backlog of 2, without SYN cookies, and do not accept");
    let client = |n: usize| {
        let (rec, side) = (rec.clone(), other.clone());
        thread::spawn(move || {
            rec.program(true, &format!("connect ({n})"));
            side.connect(at(OURS, 7000))
        })
    };
    let reach = |holds: fn(&ListenerStatus) -> bool| -> io::Result<()> {
        let full = comes(|| listener.status().is_some_and(|s| holds(&s)));
        let s = listener.status().ok_or_else(|| io::Error::other("the listener is gone"))?;
        let (mib, _) = host.counters();
        let words = format!(
            "SYN queue {}/{}, accept queue {}/{}; SYNs dropped {}, handshakes held up {} (ListenDrops {}, ListenOverflows {})",
            s.half_open,
            s.backlog,
            s.accept_queue,
            s.backlog,
            s.dropped,
            s.overflowed,
            mib.listen_drops,
            mib.listen_overflows
        );
        ensure(full, format!("the queues do not come to where they should be: {words}"))?;
        rec.remark(words);
        Ok(())
    };
    let mut clients = vec![client(1)];
    reach(|s| s.accept_queue == 1)?;
    rec.remark("from now on the third segment of a handshake is lost");
    rec.lose(Some(Box::new(|out, p| !out && p.header.flags == Flags::ACK && p.payload.is_empty())));
    clients.extend([client(2), client(3)]);
    reach(|s| s.half_open == 2)?;
    clients.push(client(4));
    reach(|s| s.half_open == 2 && s.dropped >= 1)?;
    rec.remark("nothing is lost any more: SYN+ACKs sent again are answered, and one client more fits");
    rec.lose(None);
    reach(|s| s.accept_queue == 2 && s.half_open == 1 && s.overflowed >= 1)?;
    rig.check_kernel();
    let mut accepted = Vec::new();
    for n in 1..=clients.len() {
        let nobody = || io::Error::other(format!("nobody to accept ({n})"));
        let (s, _) = listener.accept_within(Some(PATIENCE))?.ok_or_else(nobody)?;
        rec.program(false, &format!("accept ({n})"));
        accepted.push(s);
    }
    reach(|s| s.half_open == 0 && s.accept_queue == 0)?;
    let connected = clients.into_iter().map(join).collect::<io::Result<Vec<_>>>()?;
    rec.remark(format!("{} clients are connected: to them the server was only busy", connected.len()));
    rig.check_kernel();
    drop(accepted);
    drop(connected);
    settle(&host)
}

fn no_answer(rig: &mut Rig) -> io::Result<()> {
    let rec = rig.rec.clone();
    let tcp = TcpConfig { syn_retries: 4, ..TcpConfig::default() };
    rec.remark_at(Duration::ZERO, "setting syn-retries=4 (default 6, as Linux)");
    if rig.real_time {
        let (host, _) = rig.set(tcp)?;
        rec.remark("the cable is cut");
        rec.lose(Some(Box::new(|_, _| true)));
        let begin = now();
        let r = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 80));
        fails(&rec, "connect", r, ErrorKind::TimedOut)?;
        let (took, syns) = (now().duration_since(begin).as_secs(), rec.count(|_, _| true));
        return ensure(syns == 5 && took >= 31, format!("given up after {syns} SYNs and {took} s"));
    }
    rec.remark_at(Duration::ZERO, "played in virtual time: --real-time takes the 31 s");
    let mut net = Network::new(1, &tcp, 1500, false);
    rec.set_ours(&net.hosts[0].addrs, false);
    net.records = Some(Vec::new());
    net.links[0].model.cut = true;
    let start = net.now;
    let to = at(net.hosts[1].addrs[0], 80);
    let id = net.hosts[0]
        .stack
        .tcp_connect(start, &mut (), None, to, &tcp)
        .map_err(|e| io::Error::other(format!("{e:?}")))?;
    let mut ended = None;
    while net.step(&mut (), start + Duration::from_secs(300)) {
        if ended.is_none() && net.hosts[0].stack.tcp_reason(id).is_some() {
            ended = Some(net.now.since(start));
        }
    }
    for r in net.records.iter().flatten() {
        rec.feed(r.at.since(start), r.link == 0, &r.bytes, r.lost.is_some());
    }
    let reason = net.hosts[0].stack.tcp_reason(id);
    let now = net.now;
    net.hosts[0].stack.tcp_close(now, &mut (), id);
    net.drain(&mut ());
    let o = net.hosts[0].stack.occupancy();
    let took = ended.ok_or_else(|| io::Error::other("the connection was never given up"))?;
    let told = format!(
        "given up {} s after the first SYN: {}; left behind: {} connections, {} timers",
        took.as_secs(),
        reason.map_or("?", CloseReason::name),
        o.connections,
        o.timers
    );
    let due = took.as_secs() == 31 && reason == Some(CloseReason::TimedOut) && o.connections == 0 && o.timers == 0;
    ensure(due && rec.count(|_, _| true) == 5, format!("not as it should be: {told}"))?;
    rec.remark_at(took, told);
    Ok(())
}

fn refused(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    for (side, to) in [(Side::Ours(host.clone()), at(THEIRS, 81)), (other, at(OURS, 81))] {
        fails(&rec, "connect", connect(&rec, &side, to), ErrorKind::ConnectionRefused)?;
    }
    rig.check_kernel();
    Ok(())
}

fn reset(rig: &mut Rig) -> io::Result<()> {
    let (host, other) = rig.set(TcpConfig::default())?;
    let rec = rig.rec.clone();
    let server = serve(&rec, &other, at(THEIRS, 7000), |s, rec| {
        pause(50);
        rec.program(false, "abort: close with linger time zero");
        s.abort()
    })?;
    let mut s = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 7000))?;
    fails(&rec, "read", s.read(&mut [0; 16]), ErrorKind::ConnectionReset)?;
    drop(s);
    join(server)?;
    settle(&host)?;
    let o = host.occupancy();
    let left = format!("our side: {} connections, {} in TIME-WAIT", o.connections, o.time_wait);
    ensure(o.connections == 0 && o.time_wait == 0, left.clone())?;
    rec.remark(format!("{left}: nothing is left"));
    rig.check_kernel();
    Ok(())
}

fn dead_peer(rig: &mut Rig) -> io::Result<()> {
    let rec = rig.rec.clone();
    rec.remark("settings keepalive=on keepalive-idle=1s keepalive-interval=500ms keepalive-count=3 (defaults: off, 7200 s, 75 s, 9)");
    let tcp = TcpConfig {
        keepalive: true,
        keepalive_idle: Duration::from_secs(1),
        keepalive_interval: Duration::from_millis(500),
        keepalive_count: 3,
        ..TcpConfig::default()
    };
    let (host, other) = rig.set(tcp)?;
    let (cut, wait) = std::sync::mpsc::channel::<()>();
    let server = serve(&rec, &other, at(THEIRS, 7000), move |s, _| {
        let _ = wait.recv();
        s.abort() // nothing of this scene is to be sent again in the next
    })?;
    let mut s = connect(&rec, &Side::Ours(host.clone()), at(THEIRS, 7000))?;
    s.set_read_timeout(Duration::from_secs(10))?;
    pause(1_300); // one probe is answered first
    rec.remark("the cable is cut");
    rec.lose(Some(Box::new(|_, _| true)));
    fails(&rec, "read", s.read(&mut [0; 16]), ErrorKind::TimedOut)?;
    let probes = rec.count(|words, lost| lost && words.contains("keepalive"));
    ensure(probes == 3, format!("the peer was given up after {probes} probes, not 3"))?;
    drop(s);
    let _ = cut.send(());
    join(server)?;
    Ok(())
}
