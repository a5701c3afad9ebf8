//! `synfin ping`: echo requests, with the output, the statistics and the exit status of iputils' ping.

mod neighbor;
mod statistics;

use crate::clock::now;
use crate::host::{Host, HostArgs, Stdout};
use crate::output::{Output, complain, exit, exit_code, named, usage};
use serde_json::json;
use statistics::Statistics;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use synfin::blocking::EchoSocket;
use synfin::stack::wire::icmp::Unreachable;
use synfin::stack::{EchoAnswer, EchoOutcome};

/// Whom to ask, and how often.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The address to ask, or a name that --dns is asked for
    #[arg(value_name = "HOST")]
    host: String,
    /// Stop after this many requests
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Seconds between two requests, at least 0.002
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Bytes of data in a request
    #[arg(short, long, value_name = "BYTES", default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=65_507))]
    size: u16,
    /// Seconds to wait for a reply, if none has come so far
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Stop after this many seconds, however many requests were sent
    #[arg(short = 'w', long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Print the statistics only
    #[arg(short, long)]
    quiet: bool,
    /// The time to live of requests
    #[arg(short, long, value_name = "HOPS", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,
    /// Print addresses, not names: always so
    #[arg(short, long)]
    numeric: bool,
    #[command(flatten)]
    at: HostArgs,
}

const EXAMPLES: &str = "\
Exit status 0 if a reply came, 1 if none did (or fewer than -c asked for before the -w time was over), 2 for anything else.

The kernel of this machine, over a link of a namespace of its own:

    synfin ping -c 3 192.0.2.1
    synfin ping -c 3 fd00:2::1 --json";

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.at.is_json()
    }
}

/// How often signals are looked for while nothing comes.
const TURN: Duration = Duration::from_millis(100);

/// Runs it.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    ping(args, out).map_err(|e| match exit_code(&e) {
        Some(_) => e,
        None if out.is_closed() => e,
        // Whatever else it is: not that nobody has answered.
        None => usage(e.to_string()),
    })
}

fn ping(args: &Args, out: &mut Output) -> io::Result<()> {
    let target = args.at.target(&args.host)?;
    let host = args.at.open(Stdout::Words, &[])?;
    args.at.settle(&host, &target)?;
    let done = args.at.address_of(&host, &target).and_then(|a| ask(args, &host, a, out));
    let done = match done {
        Ok(true) => Ok(()),
        Ok(false) => Err(exit(1)),
        Err(e) if out.is_closed() => Err(e),
        Err(e) => Err(named("ping", &args.host, &e)),
    };
    host.finish(done)
}

/// Asks, and tells; whether it counts as answered.
fn ask(args: &Args, host: &Host, to: IpAddr, out: &mut Output) -> io::Result<bool> {
    let socket = EchoSocket::open(&host.stack)?;
    let mut ping = Ping::new(args, host, to, &socket);
    let asked = ping.run(out);
    if ping.statistics.sent == 0 {
        let what = if host.stop.asked() > 0 { "ended by a signal" } else { "the time of -w was over" };
        return asked.and_then(|()| Err(io::Error::other(format!("{what} before a request was sent"))));
    }
    ping.statistics.total(&args.host, out, args.at.is_json())?;
    out.flush()?;
    asked?;
    let s = &ping.statistics;
    Ok(s.received > 0 && (args.deadline.is_none() || args.count.is_none_or(|c| s.received >= c)))
}

struct Ping<'a> {
    args: &'a Args,
    host: &'a Host,
    to: IpAddr,
    socket: &'a EchoSocket,
    statistics: Statistics,
    data: Vec<u8>,
    /// When each request left, on the stack's clock, and whether its reply has come. No more than there are numbers.
    sent: HashMap<u16, (synfin_tcp::Instant, bool)>,
    /// When the last reply came, on the same clock.
    heard: Option<synfin_tcp::Instant>,
    /// How often a neighbor has failed to answer, and whether it was ours.
    failures: u64,
    silent: bool,
}

impl<'a> Ping<'a> {
    fn new(args: &'a Args, host: &'a Host, to: IpAddr, socket: &'a EchoSocket) -> Ping<'a> {
        let data = (0..args.size).map(|i| i as u8).collect();
        let (statistics, sent, failures) = (Statistics::new(), HashMap::new(), neighbor::failures(host));
        Ping { args, host, to, socket, statistics, data, sent, heard: None, failures, silent: false }
    }

    fn head(&self, out: &mut Output) -> io::Result<()> {
        if self.args.at.is_json() {
            return Ok(());
        }
        let (name, to, n) = (&self.args.host, self.to, self.data.len());
        match to {
            IpAddr::V4(_) => writeln!(out, "PING {name} ({to}) {n}({}) bytes of data.", n + 28),
            IpAddr::V6(_) => writeln!(out, "PING {name}({to}) {n} data bytes"),
        }
    }

    /// Sends and receives until there is nothing more to wait for.
    fn run(&mut self, out: &mut Output) -> io::Result<()> {
        let start = now();
        let end = self.args.deadline.map(|d| start + d);
        let (mut next, mut last) = (start, start);
        loop {
            if self.host.stop.asked() > 0 || end.is_some_and(|e| now() >= e) {
                return Ok(());
            }
            self.look_for_neighbor(out)?;
            let s = &self.statistics;
            let enough =
                self.args.count.is_some_and(|c| s.received >= c || (end.is_none() && s.received + s.errors >= c));
            if enough || (end.is_some() && s.errors > 0) {
                return Ok(());
            }
            // With a deadline, -c counts replies, and requests go on.
            let all_sent = end.is_none() && self.args.count.is_some_and(|c| s.sent >= c);
            if !all_sent && now() >= next {
                last = now();
                let lost = self.send(start)?;
                if self.statistics.sent == 1 {
                    self.head(out)?;
                }
                lost.map_or(Ok(()), |seq| self.no_neighbor(seq, out))?;
                // What was late does not make the next come sooner, as a burst.
                next = (next + self.args.interval).max(last);
                continue;
            }
            let until = if all_sent { self.give_up_at(last) } else { next };
            let until = end.map_or(until, |e| e.min(until));
            let left = until.saturating_duration_since(now());
            // What has come is looked at in any case, however late it is.
            self.socket.set_read_timeout(Some(left.min(TURN).max(Duration::from_micros(1))))?;
            match self.socket.recv() {
                Ok(a) => self.answer(&a, out)?,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && all_sent && left.is_zero() => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// When the last request, which was sent at `last`, counts as lost: if others were answered, after twice the longest time,
    /// but not before another would have been sent.
    fn give_up_at(&self, last: Instant) -> Instant {
        match self.statistics.longest() {
            Some(longest) => last + (longest * 2).max(self.args.interval),
            None => last + self.args.timeout,
        }
    }

    /// Sends the next; its number, if it could not leave because the neighbor does not answer.
    fn send(&mut self, start: Instant) -> io::Result<Option<u16>> {
        let seq = (self.statistics.sent + 1) as u16;
        let sent = self.socket.send_to(&self.data, self.to, seq, self.args.ttl);
        let lost = match sent {
            Ok(at) => {
                self.sent.insert(seq, (at, false));
                None
            }
            Err(e) if self.statistics.sent == 0 => return Err(e),
            // The way was there for the first.
            Err(_) if self.silent => Some(seq),
            Err(e) => {
                self.sent.remove(&seq);
                complain(named("ping", self.to, &e));
                None
            }
        };
        self.statistics.on_sent(start.elapsed());
        Ok(lost)
    }

    fn answer(&mut self, a: &EchoAnswer, out: &mut Output) -> io::Result<()> {
        let Some((at, answered)) = self.sent.get_mut(&a.seq) else { return Ok(()) };
        let rtt = a.at.since(*at);
        let again = *answered;
        match &a.what {
            EchoOutcome::Reply { hop_limit, data } => {
                *answered = true;
                self.heard = Some(a.at);
                let wrong = data.iter().zip(&self.data).position(|(got, want)| got != want);
                self.statistics.on_reply(a.seq, rtt, again, wrong.is_some());
                self.reply(a, *hop_limit, data, (rtt, again, wrong), out)
            }
            what => {
                self.statistics.on_error(a.seq);
                self.error(a, what, out)
            }
        }
    }

    fn reply(
        &self,
        a: &EchoAnswer,
        ttl: u8,
        data: &[u8],
        (rtt, again, wrong): (Duration, bool, Option<usize>),
        out: &mut Output,
    ) -> io::Result<()> {
        if self.args.quiet {
            return Ok(());
        }
        let (from, seq, bytes) = (a.from, a.seq, data.len() + 8);
        if self.args.at.is_json() {
            let o = json!({"event": "reply", "from": from.to_string(), "seq": seq, "ttl": ttl, "bytes": bytes,
                "rtt_us": rtt.as_nanos() as f64 / 1e3, "duplicate": again, "corrupted": wrong.is_some()});
            return writeln!(out, "{o}").and_then(|()| out.flush());
        }
        write!(out, "{bytes} bytes from {from}: icmp_seq={seq} ttl={ttl} time={} ms", statistics::time(rtt))?;
        if again {
            write!(out, " (DUP!)")?;
        }
        if data.len() < self.data.len() {
            write!(out, " (truncated)")?;
        }
        if let Some(i) = wrong {
            write!(out, "\nwrong data byte #{i} should be 0x{:x} but was 0x{:x}", self.data[i], data[i])?;
        }
        writeln!(out)?;
        out.flush()
    }

    fn error(&self, a: &EchoAnswer, what: &EchoOutcome, out: &mut Output) -> io::Result<()> {
        if self.args.quiet {
            return Ok(());
        }
        let (from, seq, words) = (a.from, a.seq, words(what, a.from.is_ipv6()));
        if self.args.at.is_json() {
            let o = json!({"event": "error", "from": from.to_string(), "seq": seq, "error": words});
            writeln!(out, "{o}")?;
        } else {
            writeln!(out, "From {from} icmp_seq={seq} {words}")?;
        }
        out.flush()
    }
}

/// An error as iputils has it.
fn words(what: &EchoOutcome, v6: bool) -> String {
    match what {
        EchoOutcome::Reply { .. } => String::new(),
        EchoOutcome::Unreachable(why) => match (why, v6) {
            (Unreachable::Net, false) => "Destination Net Unreachable".into(),
            (Unreachable::Host, false) => "Destination Host Unreachable".into(),
            (Unreachable::Protocol, _) => "Destination Protocol Unreachable".into(),
            (Unreachable::Port, false) => "Destination Port Unreachable".into(),
            (Unreachable::Prohibited, false) => "Packet filtered".into(),
            (Unreachable::Other(code), false) => format!("Dest Unreachable, Bad Code: {code}"),
            (Unreachable::Net, true) => "Destination unreachable: No route".into(),
            (Unreachable::Host, true) => "Destination unreachable: Address unreachable".into(),
            (Unreachable::Port, true) => "Destination unreachable: Port unreachable".into(),
            (Unreachable::Prohibited, true) => "Destination unreachable: Administratively prohibited".into(),
            (Unreachable::Other(code), true) => format!("Destination unreachable: Unknown code {code}"),
        },
        EchoOutcome::TooBig(mtu) if v6 => format!("Packet too big: mtu={mtu}"),
        EchoOutcome::TooBig(mtu) => format!("Frag needed and DF set (mtu = {mtu})"),
        EchoOutcome::TimeExceeded(0) if v6 => "Time exceeded: Hop limit".into(),
        EchoOutcome::TimeExceeded(0) => "Time to live exceeded".into(),
        EchoOutcome::TimeExceeded(_) if v6 => "Time exceeded: Defragmentation failure".into(),
        EchoOutcome::TimeExceeded(_) => "Frag reassembly time exceeded".into(),
        EchoOutcome::ParameterProblem => "Parameter problem".into(),
    }
}

fn seconds(s: &str) -> Result<Duration, String> {
    let n = s.parse().ok().filter(|n: &f64| *n > 0.0 && *n <= 1e9);
    n.and_then(|n| Duration::try_from_secs_f64(n).ok()).ok_or_else(|| format!("{s:?} is no number of seconds above 0"))
}

fn interval(s: &str) -> Result<Duration, String> {
    seconds(s).ok().filter(|d| *d >= Duration::from_millis(2)).ok_or_else(|| format!("{s:?} is not at least 0.002"))
}
