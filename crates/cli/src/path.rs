//! `synfin path`: the simulator's links in real time between two real ones.

use crate::output::{Output, usage};
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;
use synfin::device::Signals;
use synfin_path::{KEYS, LinkSpec, Path, Settings};

/// Where, and what the path is like. A setting without a direction is for both.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// One of the two links: tun:NAME, tap:NAME, packet:IFACE, fd:N or unix:PATH
    ///
    /// Options follow behind commas. `host=A/P` gives the kernel's side of an interface an address, and may be repeated;
    /// `netns=PID` or `netns=FILE` is the network namespace the interface is in; `mtu=N` is for one that is created;
    /// `offload=off` asks the kernel for packets instead of super-segments.
    #[arg(long, value_name = "LINK", required = true, value_parser = LinkSpec::parse)]
    link: Vec<LinkSpec>,
    /// Bits per second, like 100M or 2.5G; without it, or with 0, nothing queues
    #[arg(long, allow_hyphen_values = true)]
    rate: Option<String>,
    /// How long each packet is on the way, like 20ms or 1.5s; a number alone is seconds
    #[arg(long, allow_hyphen_values = true)]
    delay: Option<String>,
    /// What a packet takes longer than that, at most; none overtakes another
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    jitter: Option<String>,
    /// Probability that a packet is lost, like 1%
    #[arg(long, allow_hyphen_values = true, value_name = "P", conflicts_with = "burst_loss")]
    loss: Option<String>,
    /// The same in bursts of N packets in the mean
    #[arg(long, allow_hyphen_values = true, value_name = "P:N")]
    burst_loss: Option<String>,
    /// What waits for the rate before the tail is dropped: bytes like 500k, or packets like 500p
    #[arg(long, allow_hyphen_values = true, value_name = "LENGTH")]
    queue: Option<String>,
    /// CoDel on that queue: on, ecn (it marks who can be marked), or TARGET:INTERVAL
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "on", conflicts_with = "mark")]
    codel: Option<String>,
    /// Mark what finds more bytes than this waiting, or drop it if it cannot be marked
    #[arg(long, allow_hyphen_values = true, value_name = "BYTES")]
    mark: Option<String>,
    /// Probability that a packet is held back and overtaken
    #[arg(long, allow_hyphen_values = true, value_name = "P")]
    reorder: Option<String>,
    /// How long it is held back, at most
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", requires = "reorder")]
    reorder_by: Option<String>,
    /// Probability that a packet comes twice
    #[arg(long, allow_hyphen_values = true, value_name = "P")]
    duplicate: Option<String>,
    /// Probability that one bit of a packet is flipped
    #[arg(long, allow_hyphen_values = true, value_name = "P")]
    corrupt: Option<String>,
    /// Bytes of the greatest IP packet; greater ones are lost without a word. Without it, or with 0, none is too great
    #[arg(long, allow_hyphen_values = true, value_name = "BYTES")]
    mtu: Option<String>,
    /// A setting from the first link to the second only: any of those above, without dashes; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    forth: Vec<String>,
    /// A setting from the second link to the first only; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    back: Vec<String>,
    /// From this time on, for both directions or one: cut=on|off, rate, delay or loss, like 5s:cut=on or 5s:forth:loss=10%; may be repeated
    #[arg(long, value_name = "TIME:[forth:|back:]KEY=VALUE")]
    at: Vec<String>,
    /// What decides about loss and all other chance
    #[arg(long, allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
    /// Stop after this time; else SIGINT or SIGTERM stops it
    #[arg(long = "for", allow_hyphen_values = true, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Print one JSON object per line on standard output: when it is up, and at the end each direction and the lateness
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
A network of two namespaces, without root, 100 Mbit/s and 40 ms there and back, 1 % lost on the way there:

    unshare -Urn sh -c '
      unshare -n sleep 60 & sleep 0.1
      synfin path --link tun:a,host=192.0.2.1/24 --link tun:b,netns=$!,host=192.0.2.2/24 \\
        --rate 100M --delay 20ms --queue 500k --forth loss=1% --for 50s &
      sleep 0.5; ping -c 5 192.0.2.2'

The same, cut after 10 s and healed after 20, and from 30 s on with 5 % loss on the way back: `--at 10s:cut=on --at 20s:cut=off
--at 30s:back:loss=5%`.

At the end it says for each direction what came, what went, what was lost and why, and how late packets were: what the
machine itself added to the delay. It asks for real-time priority, and goes on without it where that is refused (in a user
namespace it is, unless ulimit -r allows it).";

/// Runs it.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    let [a, b] = &args.link[..] else {
        let n = args.link.len();
        return Err(usage(format!("--link is needed twice, for the two ends; number given: {n}")));
    };
    let mut settings = [args.settings(&args.forth, "--forth")?, args.settings(&args.back, "--back")?];
    for text in &args.at {
        change(&mut settings, text).map_err(|e| usage(format!("--at {text}: {e}")))?;
    }
    let signals = Signals::take()?;
    let mut path = Path::open(&[a.clone(), b.clone()], &settings, args.seed)?;
    if args.json {
        writeln!(out, "{}", json!({"event": "up", "links": [a.name(), b.name()], "seed": args.seed}))?;
        out.flush()?;
    } else {
        let _ = writeln!(io::stderr(), "up: {} <-> {}, seed {}", a.name(), b.name(), args.seed);
    }
    let done = path.run(Some(signals.fd()), args.time);
    let report = path.report();
    if args.json {
        for object in report.to_json() {
            writeln!(out, "{object}")?;
        }
    } else {
        let _ = writeln!(io::stderr(), "{report}");
    }
    done
}

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    fn settings(&self, own: &[String], flag: &str) -> io::Result<Settings> {
        let mut s = Settings::default();
        for (key, value) in self.both() {
            if let Some(v) = value {
                s.set(key, v).map_err(|e| usage(format!("--{e}")))?;
            }
        }
        for pair in own {
            s.set_pair(pair).map_err(|e| usage(format!("{flag} {e}")))?;
        }
        Ok(s)
    }

    /// What is for both directions, under the names of its keys.
    fn both(&self) -> [(&'static str, &Option<String>); KEYS.len()] {
        [
            ("rate", &self.rate),
            ("delay", &self.delay),
            ("jitter", &self.jitter),
            ("loss", &self.loss),
            ("burst-loss", &self.burst_loss),
            ("queue", &self.queue),
            ("codel", &self.codel),
            ("mark", &self.mark),
            ("reorder", &self.reorder),
            ("reorder-by", &self.reorder_by),
            ("duplicate", &self.duplicate),
            ("corrupt", &self.corrupt),
            ("mtu", &self.mtu),
        ]
    }
}

/// `TIME:KEY=VALUE`, with `forth:` or `back:` between for one direction.
fn change(settings: &mut [Settings; 2], text: &str) -> Result<(), String> {
    let (time, rest) = text.split_once(':').ok_or("expected TIME:KEY=VALUE, like 5s:cut=on")?;
    let time = duration(time)?;
    let (ways, pair) = match rest.split_once(':') {
        Some(("forth", pair)) => (0..1, pair),
        Some(("back", pair)) => (1..2, pair),
        Some((way, _)) => return Err(format!("{way:?} is no direction: expected forth or back")),
        None => (0..2, rest),
    };
    settings[ways].iter_mut().try_for_each(|s| s.change(time, pair))
}

fn duration(s: &str) -> Result<Duration, String> {
    synfin_path::duration(s).ok_or_else(|| format!("{s:?} is no time, like 20s"))
}
