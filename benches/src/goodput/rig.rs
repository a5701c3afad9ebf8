//! Two network namespaces, and a path between them that is made anew for each transfer.
//!
//! In the first, where this process is, are the kernel (10.77.1.1 on the path's link `a`) and our host (10.77.2.2 on a TUN of
//! its own, `h`); the kernel forwards between the two, so that both take the same way through the same link. In the other is
//! the kernel alone (10.77.0.1 on the path's link `b`), in a process that answers and sends.

use super::flow::{Job, PATIENCE, receive, send};
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use synfin::device::{
    Device, Layer, Tun, TunOptions, add_address, netns, set_congestion_control, set_real_time, set_timer_slack,
};
use synfin::{Stack, TcpConfig, blocking};
use synfin_path::{LinkSpec, Path, Settings};

const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);
const PORT: u16 = 5001;

/// Whose stack it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Linux,
    Synfin,
}

/// What the path is like: the settings of each direction, and the seed.
#[derive(Debug, Clone)]
pub struct Conditions {
    pub forth: Vec<String>,
    pub back: Vec<String>,
    pub seed: u64,
}

/// What a transfer was.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub octets: u64,
    pub took: Duration,
    /// What the path added to its delay, at the 99th of 100 packets.
    pub late: Duration,
    pub real_time: bool,
    /// Packets that the path lost through no wish of ours.
    pub faults: u64,
}

/// The stage.
pub struct Rig {
    host: Stack,
    far: Talker,
}

impl Rig {
    /// Enters a network of its own, as root without a user namespace: only so may a path have real-time priority.
    pub fn new() -> io::Result<Rig> {
        netns::enter_network().or_else(|_| netns::enter_new())?;
        sysctl("ip_forward", "1")?;
        sysctl("tcp_no_metrics_save", "1")?;
        // The kernel's TCP runs in interrupts, before all processes. Ours is one, and on a machine that does something else
        // the rig would compare schedulers. Without the right to it, it does.
        if set_real_time().is_ok() {
            set_timer_slack(1)?;
        }
        let far = Talker::start(&["goodput-far"])?;
        let tun = Tun::open(&TunOptions { name: "h".into(), layer: Layer::Ip, offload: true, mtu: 1500 })?;
        let gateway = IpAddr::from([10, 77, 2, 1]);
        add_address("h", gateway, 24)?;
        let host = Stack::builder().address(&format!("{OURS}/24"))?.gateway(gateway).start(Device::Tun(tun))?;
        Ok(Rig { host, far })
    }

    /// Which settings our host uses for the algorithm `name`; `None` if it does not have it yet.
    pub fn config(&self, name: &str) -> Option<TcpConfig> {
        let mut cfg = self.host.tcp_defaults();
        match cfg.set("congestion", name) {
            Ok(()) => Some(cfg),
            // Before there was a choice it was this one.
            Err(e) => (name == "reno" && e.starts_with("unknown setting")).then_some(cfg),
        }
    }

    /// Whether sockets of the kernel may use the algorithm `name` here.
    pub fn kernel_has(&self, name: &str) -> bool {
        TcpListener::bind((NEAR, 0))
            .or_else(|_| TcpListener::bind("127.0.0.1:0"))
            .and_then(|l| set_congestion_control(l.as_raw_fd(), name))
            .is_ok()
    }

    /// One transfer from here to the far kernel.
    pub fn outward(&mut self, who: Who, algorithm: &str, job: Job, c: &Conditions) -> io::Result<Outcome> {
        let path = PathChild::start(&self.far, c)?;
        let to = SocketAddr::from((FAR, PORT));
        let began = Instant::now();
        let took = match who {
            Who::Linux => {
                let s = TcpStream::connect_timeout(&to, PATIENCE)?;
                set_congestion_control(s.as_raw_fd(), algorithm)?;
                send(s, job, began)
            }
            Who::Synfin => {
                let cfg = self.config(algorithm).ok_or_else(|| io::Error::other("not there yet"))?;
                send(blocking::TcpStream::connect_with(&self.host, None, to, &cfg)?, job, began)
            }
        }?;
        let (octets, there) = self.far.result()?;
        // A short flow is timed by its sender, who has waited for the answer.
        path.end(octets, if matches!(job, Job::Short(_)) { took } else { there })
    }

    /// One transfer from the far kernel to here.
    pub fn inward(&mut self, who: Who, algorithm: &str, job: Job, c: &Conditions) -> io::Result<Outcome> {
        let path = PathChild::start(&self.far, c)?;
        let asks = |rig: &mut Rig, to: SocketAddr| {
            rig.far.say(&format!("send {to} {algorithm} {}", u64::from_be_bytes(job.to_bytes())))
        };
        let (octets, took) = match who {
            Who::Linux => {
                let l = TcpListener::bind((NEAR, 0))?;
                asks(self, l.local_addr()?)?;
                receive(accept_within(&l)?)?
            }
            Who::Synfin => {
                let l = blocking::TcpListener::bind(&self.host, (IpAddr::from(OURS), PORT))?;
                asks(self, l.local_addr()?)?;
                let s = l.accept_within(Some(PATIENCE))?.ok_or(io::ErrorKind::TimedOut)?.0;
                receive(s)?
            }
        };
        let (_, sent) = self.far.result()?;
        path.end(octets, if matches!(job, Job::Short(_)) { sent } else { took })
    }
}

fn accept_within(l: &TcpListener) -> io::Result<TcpStream> {
    l.set_nonblocking(true)?;
    let began = Instant::now();
    loop {
        match l.accept() {
            Ok((s, _)) => {
                s.set_nonblocking(false)?;
                return Ok(s);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => return Err(e),
        }
    }
}

fn sysctl(name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    fs::write(&path, value).map_err(|e| io::Error::new(e.kind(), format!("{path}: {e}")))
}

/// This program again, in another role: it is told lines and answers with lines.
struct Talker(Child, BufReader<ChildStdout>);

impl Talker {
    fn start(args: &[&str]) -> io::Result<Talker> {
        let mut child =
            Command::new(std::env::current_exe()?).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut t = Talker(child, BufReader::new(out));
        match t.line()?.as_str() {
            "ready" => Ok(t),
            other => Err(io::Error::other(format!("{}: {other:?}", args[0]))),
        }
    }

    fn say(&mut self, words: &str) -> io::Result<()> {
        let stdin = self.0.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        writeln!(stdin, "{words}")
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.1.read_line(&mut line)?;
        Ok(line.trim().to_string())
    }

    /// `octets nanoseconds`, or what went wrong.
    fn result(&mut self) -> io::Result<(u64, Duration)> {
        let line = self.line()?;
        let numbers = line.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (octets, ns) = numbers.ok_or_else(|| io::Error::other(format!("the far end says {line:?}")))?;
        Ok((octets, Duration::from_nanos(ns)))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path, in a process of its own, as a user's is.
struct PathChild(Talker);

impl PathChild {
    fn start(far: &Talker, c: &Conditions) -> io::Result<PathChild> {
        let a = format!("tun:a,host={NEAR}/16");
        let b = format!("tun:b,host={FAR}/16,netns={}", far.0.id());
        let (seed, forth, back) = (c.seed.to_string(), c.forth.join(" "), c.back.join(" "));
        Ok(PathChild(Talker::start(&["goodput-path", &a, &b, &seed, &forth, &back])?))
    }

    /// Ends it and asks how it was.
    fn end(mut self, octets: u64, took: Duration) -> io::Result<Outcome> {
        // What still closes the connection is let through, so that nothing of it comes in the next transfer's way.
        std::thread::sleep(Duration::from_millis(100));
        drop(self.0.0.stdin.take()); // that is its sign
        let mut o = Outcome { octets, took, late: Duration::ZERO, real_time: false, faults: 0 };
        let mut lateness = false;
        for line in (&mut self.0.1).lines() {
            let v: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
            if v["event"] == "lateness" {
                o.late = Duration::from_secs_f64(v["p99_us"].as_f64().unwrap_or(0.0) / 1e6);
                o.real_time = v["real_time"] == true;
                lateness = true;
            }
            o.faults += ["malformed", "no_memory"].iter().filter_map(|why| v["lost"][*why].as_u64()).sum::<u64>();
        }
        self.0.0.wait()?;
        if lateness { Ok(o) } else { Err(io::Error::other("the path has ended without a report")) }
    }
}

/// The path's process.
pub fn path(args: &[String]) -> io::Result<()> {
    let bad = |e: String| io::Error::new(io::ErrorKind::InvalidInput, e);
    let [a, b, seed, forth, back] = args else { return Err(bad("five arguments are expected".into())) };
    let settings = |words: &str| {
        let mut s = Settings::default();
        words.split_whitespace().try_for_each(|w| s.set_pair(w)).map_err(bad)?;
        Ok::<_, io::Error>(s)
    };
    let links = [LinkSpec::parse(a).map_err(bad)?, LinkSpec::parse(b).map_err(bad)?];
    let seed = seed.parse().map_err(|_| bad(format!("{seed:?} is no seed")))?;
    let mut p = Path::open(&links, &[settings(forth)?, settings(back)?], seed)?;
    println!("ready");
    let done = p.run(Some(io::stdin().as_raw_fd()), None);
    p.report().to_json().iter().for_each(|v| println!("{v}"));
    done
}

/// The process at the far end: it takes what comes, and sends when it is told to.
pub fn far() -> io::Result<()> {
    netns::enter_network()?;
    sysctl("tcp_no_metrics_save", "1")?;
    let l = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    std::thread::spawn(move || {
        for s in l.incoming() {
            tell(s.and_then(receive));
        }
    });
    println!("ready");
    for line in io::stdin().lines() {
        let line = line?;
        tell(send_as_told(&line));
    }
    Ok(())
}

fn send_as_told(line: &str) -> io::Result<(u64, Duration)> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("{line:?} is not understood"));
    let words: Vec<&str> = line.split(' ').collect();
    let ["send", to, algorithm, job] = words[..] else { return Err(bad()) };
    let to: SocketAddr = to.parse().map_err(|_| bad())?;
    let job = Job::from_bytes(job.parse::<u64>().map_err(|_| bad())?.to_be_bytes());
    let began = Instant::now();
    let s = TcpStream::connect_timeout(&to, PATIENCE)?;
    set_congestion_control(s.as_raw_fd(), algorithm)?;
    Ok((0, send(s, job, began)?))
}

fn tell(r: io::Result<(u64, Duration)>) {
    match r {
        Ok((octets, took)) => println!("{octets} {}", took.as_nanos()),
        Err(e) => println!("failed: {e}"),
    }
}
