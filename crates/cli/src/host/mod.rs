//! A host of ours, as every command with a stack has one: its link, its addresses, its settings, and what is told of it.

mod accept;
mod descriptor;
mod filter;
mod line;
mod names;
mod settle;
mod stop;
mod voice;
mod watch;

pub(crate) use accept::{Accepting, Arrival};
pub(crate) use line::Line;
pub(crate) use names::unconnected;
pub(crate) use stop::{Listening, Stop};
pub(crate) use voice::Voice;

use crate::clock::now;
use crate::namespace::{self, LEAST_V6, OURS};
use crate::output::{Output, exit, usage};
use crate::settings;
use filter::Filter;
use serde_json::{Map, Value, json};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use synfin::device::{LinkSpec, Medium, Signals};
use synfin::{Stack, TcpConfig};
use watch::Watch;

/// How long an orderly end may take after the first signal, before connections are reset: with what comes after it, less
/// than two seconds.
pub(crate) const GRACE: Duration = Duration::from_millis(1_500);

/// Where a host is, and what is told of it. Without `--link` it has the kernel of this machine as its only neighbor.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The host")]
pub(crate) struct HostArgs {
    /// Its link: tun:NAME, tap:NAME, packet:IFACE, fd:N or unix:PATH [default: a network namespace of its own]
    ///
    /// Options follow behind commas: `host=A/P` gives the kernel's side of an interface an address, and may be repeated;
    /// `netns=PID` or `netns=FILE` is the network namespace that the interface is in; `offload=off` asks the kernel for
    /// packets instead of super-segments. Without --link the program makes a user and network namespace, which takes no
    /// root, with the kernel at 192.0.2.1 and fd00:2::1 and itself at 192.0.2.2 and fd00:2::2.
    #[arg(long, value_name = "LINK", value_parser = LinkSpec::parse)]
    link: Option<LinkSpec>,
    /// Its address with the length of the prefix, like 192.0.2.2/24; may be repeated
    #[arg(long, value_name = "A/P", value_parser = address)]
    addr: Vec<(IpAddr, u8)>,
    /// The router to everything else; may be repeated for the other version of IP
    #[arg(long, value_name = "A")]
    gateway: Vec<IpAddr>,
    /// A server that is asked for names; may be repeated
    #[arg(long, value_name = "A")]
    dns: Vec<IpAddr>,
    /// A file with the addresses of names, which is asked before any server (hosts(5))
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// Bytes of the greatest IP packet; below 1280 there is no IPv6 in the program's own namespace
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(68..=65_535))]
    mtu: Option<u32>,
    /// A setting of TCP; may be repeated; `--tcp help` lists them
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    tcp: Vec<(String, String)>,
    /// Record the link in this file (pcapng, the states of both ends as comments)
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Print each segment on standard error, with the states of both ends and what it means
    #[arg(short = 'v', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print one JSON object per line for what happens
    ///
    /// On standard output, or on standard error where standard output carries data.
    #[arg(long)]
    json: bool,
    /// Print the counters under nstat's names at the end, and on SIGUSR1
    #[arg(long)]
    stats: bool,
    /// Ports at which it is silent.
    #[arg(skip)]
    silent: Vec<u16>,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// What comes over connections.
    Data,
    /// What the program tells.
    Words,
}

/// A host that runs.
pub(crate) struct Host {
    pub stack: Stack,
    pub stop: Arc<Stop>,
    pub voice: Voice,
    addresses: Vec<IpAddr>,
    ethernet: bool,
    watch: Option<Watch>,
    stats: bool,
    /// Packets that were lost at ports where it is silent.
    dropped: Arc<AtomicU64>,
    /// How it was named.
    link: String,
    namespace: bool,
}

impl HostArgs {
    /// How is told what happens, where standard output is for `stdout`.
    pub fn voice(&self, stdout: Stdout) -> Voice {
        Voice::new(self.json, stdout)
    }

    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Whether there is IPv6 for this address, if it needs that: the kernel's end of our namespace may have none.
    fn carries(&self, a: IpAddr) -> io::Result<()> {
        match self.mtu {
            Some(mtu) if self.link.is_none() && a.is_ipv6() && mtu < LEAST_V6 => {
                Err(usage(format!("{a} is IPv6, which no link with less than {LEAST_V6} bytes carries (--mtu {mtu})")))
            }
            _ => Ok(()),
        }
    }

    /// The same host, but what comes for these ports is lost, as behind a firewall.
    pub fn silent_at(&self, ports: &[u16]) -> HostArgs {
        HostArgs { silent: ports.to_vec(), ..self.clone() }
    }

    /// Starts it. `listening`: the ports of its servers. To be called before the first thread is started.
    pub fn open(&self, stdout: Stdout, listening: &[u16]) -> io::Result<Host> {
        self.open_telling(stdout, listening, self.verbose > 0)
    }

    /// Likewise; `segments`: whether each is told, where `-v` alone does not ask for that.
    pub fn open_telling(&self, stdout: Stdout, listening: &[u16], segments: bool) -> io::Result<Host> {
        let mut cfg = TcpConfig::default();
        for (key, value) in &self.tcp {
            cfg.set(key, value).map_err(|e| usage(format!("--tcp {e}")))?;
        }
        cfg.check().map_err(|e| usage(format!("--tcp {e}")))?;
        let mtu = self.mtu.unwrap_or(1_500);
        self.addr.iter().try_for_each(|(a, _)| self.carries(*a))?;
        let addresses: Vec<(IpAddr, u8)> = match (&self.link, self.addr.is_empty()) {
            (_, false) => self.addr.clone(),
            (None, true) => namespace::fitting(&OURS, mtu),
            (Some(link), true) => {
                return Err(usage(format!("--link {} needs --addr A/P, the host's own address", link.name())));
            }
        };
        self.link.as_ref().map_or(Ok(()), descriptor::both_ways)?;
        let signals = Signals::take_with_tell()?;
        let pcap = self.pcap.as_deref().map(watch::Capture::create).transpose()?;
        let device = match &self.link {
            Some(link) => self.mtu.map_or(link.clone(), |n| link.clone().with_mtu(n)).open()?,
            None => namespace::open(mtu)?,
        };
        let ethernet = matches!(device.capabilities().medium, Medium::Ethernet(_));
        let voice = self.voice(stdout);
        let mut builder = Stack::builder().tcp(cfg);
        if let Some(mtu) = self.mtu {
            builder = builder.mtu(mtu);
        }
        for (addr, prefix) in &addresses {
            builder = builder.address(&format!("{addr}/{prefix}"))?;
        }
        for gateway in &self.gateway {
            builder = builder.gateway(*gateway);
        }
        let addresses: Vec<IpAddr> = addresses.into_iter().map(|a| a.0).collect();
        let (mut watch, mut recorder) = (None, None);
        if segments || pcap.is_some() {
            let r = recorder.insert(watch::recorder(&addresses, ethernet, listening));
            builder = builder.observer(Box::new(r.clone()));
            let lines = segments.then_some(voice);
            watch = Some(Watch::start(r.clone(), lines, pcap, ethernet)?);
        }
        let mut dropped = Arc::default();
        if !self.silent.is_empty() {
            let filter = Filter::new(&self.silent, ethernet, recorder);
            dropped = filter.dropped();
            builder = builder.packet_log(Box::new(filter));
        } else if let Some(r) = recorder {
            builder = builder.packet_log(Box::new(r));
        }
        let stack = builder.start(device)?;
        let stop = Stop::start(signals, {
            let (stack, voice, dropped) = (stack.clone(), voice, dropped.clone());
            move || tell_counters(&stack, &dropped, &voice)
        })?;
        let link = self.link.as_ref().map_or("namespace", LinkSpec::name).to_string();
        let (stats, namespace) = (self.stats, self.link.is_none());
        Ok(Host { stack, stop, voice, addresses, ethernet, watch, stats, dropped, link, namespace })
    }
}

impl Host {
    /// Its addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Tells how other programs get to it, if it is in a namespace of its own.
    pub fn tell_way_in(&self) {
        if self.namespace {
            let way = namespace::way_in();
            let words = format!("in a network namespace of its own; the way in: {way} COMMAND");
            self.voice.say(words, || json!({"event": "namespace", "pid": std::process::id(), "enter": way}));
        }
    }

    /// Tells that a service is ready at each of the host's addresses.
    pub fn tell_ready(&self, port: u16, service: &str) -> io::Result<()> {
        self.addresses.iter().try_for_each(|a| {
            let at = std::net::SocketAddr::new(*a, port);
            let service = Some(service).filter(|s| !s.is_empty());
            let object = || json!({"event": "listening", "address": at.to_string(), "service": service});
            self.voice.try_say(format!("listening on {at} {}", service.unwrap_or_default()).trim_end(), object)
        })
    }

    /// Ends it, when all connections are closed: what was written has arrived and both FINs are acknowledged. A first signal
    /// ends the wait within [`GRACE`], a second at once.
    pub fn finish(self, done: io::Result<()>) -> io::Result<()> {
        self.finish_until(done, None)
    }

    /// Likewise; after `until` nothing is waited for, and what is still open is reset.
    pub fn finish_until(self, done: io::Result<()>, until: Option<Instant>) -> io::Result<()> {
        let Host { stack, stop, voice, watch, stats, dropped, link, .. } = self;
        // After a failure nothing more is to arrive, and perhaps nothing can.
        let until = until.into_iter().chain(done.is_err().then(|| now() + GRACE)).min();
        let is_over = || stop.is_over() || stack.link_error().is_some() || until.is_some_and(|u| now() >= u);
        while !is_over() && !stack.wait_closed(Duration::from_millis(50)) {}
        let asked = stop.asked();
        stop.end();
        // Whatever else has failed has failed for that.
        let done = match stack.link_error() {
            Some(kind) => Err(io::Error::new(kind, format!("{link}: the link is gone{}", descriptor::why(kind)))),
            None => done,
        };
        if stats {
            tell_counters(&stack, &dropped, &voice);
        }
        // The last segments leave when the stack is gone, and are told then.
        drop(stack);
        let told = watch.map_or(Ok(()), Watch::finish);
        if asked > 1 {
            return Err(exit(130));
        }
        done.and(told)
    }
}

/// The counters that are not zero, as nstat prints them.
fn tell_counters(stack: &Stack, dropped: &AtomicU64, voice: &Voice) {
    let (host, engine) = stack.counters();
    let dropped = ("SynfinDroppedByPort", dropped.load(Ordering::Relaxed));
    let all: Vec<_> = host.iter().chain(engine.iter()).chain([dropped]).filter(|(_, n)| *n > 0).collect();
    let lines: Vec<String> = all.iter().map(|(name, n)| format!("{name:<32}{n}")).collect();
    voice.say(lines.join("\n"), || {
        let counters: Map<String, Value> = all.iter().map(|(name, n)| ((*name).to_string(), json!(n))).collect();
        json!({"event": "counters", "counters": counters})
    });
}

fn address(s: &str) -> Result<(IpAddr, u8), String> {
    let bad = || format!("{s:?} is no address with a prefix, like 192.0.2.2/24");
    let (addr, prefix) = s.split_once('/').ok_or_else(bad)?;
    let addr: IpAddr = addr.parse().map_err(|_| bad())?;
    let most = if addr.is_ipv4() { 32 } else { 128 };
    Ok((addr, prefix.parse().ok().filter(|p| *p <= most).ok_or_else(bad)?))
}

/// A setting. `help` prints them all, whatever else the command line needs, and that is all.
fn setting(s: &str) -> Result<(String, String), String> {
    if s == "help" {
        let printed = settings::run(&mut Output::new());
        std::process::exit(i32::from(printed.is_err_and(|e| e.kind() != io::ErrorKind::BrokenPipe)));
    }
    let (key, value) = s.split_once('=').ok_or_else(|| format!("{s:?} is not KEY=VALUE; `--tcp help` lists them"))?;
    TcpConfig::default().set(key, value)?;
    Ok((key.into(), value.into()))
}
