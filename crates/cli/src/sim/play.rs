//! `synfin sim SCENARIO.toml`: a scenario played, told as tables, objects, packets or lines over time.

use super::{create, named};
use crate::files;
use crate::output::{Output, usage};
use crate::table::{Column, table};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use synfin_sim::scenario::{FlowReport, LinkReport};
use synfin_sim::{Histogram, Lost, Report, Run, Scenario};
use synfin_trace::render::plot::{Line, Plot, svg};

/// Which scenario, and what of it is told.
#[derive(Debug, clap::Args)]
pub(super) struct Play {
    /// A scenario file; docs/sim.md tells every key, scenarios/ has examples
    #[arg(value_name = "SCENARIO.toml", required = true)]
    file: Option<PathBuf>,
    /// Another seed than the file's
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// One object per line: the run, each flow, each direction of each link
    #[arg(long)]
    json: bool,
    /// Write what crossed the links to this file (pcapng): of a dumbbell the bottleneck, else all
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Draw cwnd, round-trip time and sequence over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Play {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Plays it.
pub(super) fn run(p: &Play, out: &mut Output) -> io::Result<()> {
    let Some(file) = &p.file else { return Ok(()) };
    let bad = |e: &dyn std::error::Error| named(file, &io::Error::new(io::ErrorKind::InvalidData, e.to_string()));
    let text = String::from_utf8(files::read(file, "a scenario").map_err(|e| named(file, &e))?).map_err(|e| bad(&e))?;
    for path in p.pcap.iter().chain(&p.svg) {
        files::another(path, [file.as_path()]).map_err(|e| named(path, &e))?;
    }
    if let (Some(pcap), true) = (&p.pcap, p.pcap == p.svg) {
        return Err(usage(format!("--pcap and --svg: both are {}", pcap.display())));
    }
    let mut scenario = Scenario::parse(&text).map_err(|e| bad(&e))?;
    scenario.seed = p.seed.unwrap_or(scenario.seed);
    // Told before hours of virtual time have passed in vain.
    let drawing = p.svg.as_deref().map(|path| fs::File::create(path).map_err(|e| named(path, &e)).map(|f| (path, f)));
    let drawing = drawing.transpose()?;
    let mut run = Run::new(&scenario);
    match &p.pcap {
        Some(path) => record(&mut run, path).map_err(|e| named(path, &e))?,
        None => while run.step() {},
    }
    let report = run.report();
    if let Some((path, mut f)) = drawing {
        f.write_all(draw(&report).as_bytes()).map_err(|e| named(path, &e))?;
    }
    if p.json { objects(&report, out) } else { tables(&report, out) }
}

fn record(run: &mut Run, path: &Path) -> io::Result<()> {
    let mut file = create(path)?;
    let net = run.network();
    let words: Vec<String> = net.topology().links.iter().map(|e| e.name.clone()).collect();
    let bottleneck: Vec<bool> = words.iter().map(|name| name == "bottleneck").collect();
    if bottleneck.contains(&true) {
        net.watch(|l| bottleneck[l]);
    }
    net.records = Some(Vec::new());
    loop {
        let more = run.step();
        for r in run.network().records.iter_mut().flat_map(|r| r.drain(..)) {
            let way = if r.link % 2 == 0 { "forth" } else { "back" };
            let comment = match r.lost {
                Some(why) => format!("{} {way}, lost: {why}", words[r.link]),
                None => format!("{} {way}", words[r.link]),
            };
            file.packet(Duration::from_nanos(r.at.as_nanos()), &r.bytes, Some(&comment))?;
        }
        if !more {
            break;
        }
    }
    file.finish()?;
    Ok(())
}

fn tables(r: &Report, out: &mut Output) -> io::Result<()> {
    let name = if r.name.is_empty() { String::new() } else { format!("{}: ", r.name) };
    writeln!(out, "{name}seed {}, {:.3} s of virtual time, {} packets sent", r.seed, r.took.as_secs_f64(), r.packets)?;
    writeln!(out)?;
    let columns = "<flow <path >begins >took >octets >Mbit/s >retrans >rtt >p95 >queueing >cwnd <outcome";
    let rows = r.flows.iter().map(flow_row).collect::<Vec<_>>();
    table(out, &Column::parse(columns), &rows)?;
    if r.flows.iter().any(|f| f.requests.count() > 0) {
        writeln!(out)?;
        let rows: Vec<Vec<String>> = r.flows.iter().filter(|f| f.requests.count() > 0).map(request_row).collect();
        table(out, &Column::parse("<flow >requests >mean >p95 >p99 >longest"), &rows)?;
    }
    if r.flows.len() > 1 {
        writeln!(out, "\nfairness of the flows' goodputs (Jain): {:.3}", r.fairness())?;
    }
    writeln!(out)?;
    let columns = "<link <from <to >passed >used >lost >chance >queue >aqm >marked >wait >p95 >p99 >longest";
    // Those that have something to tell: a link without a rate on which nothing was lost is a cable.
    let telling = |l: &&LinkReport| l.used.is_some() || l.counters.lost_in_all() > 0;
    let rows = r.links.iter().filter(telling).map(link_row).collect::<Vec<_>>();
    table(out, &Column::parse(columns), &rows)?;
    let others: Vec<String> = r.links.iter().filter_map(others).collect();
    if !others.is_empty() {
        writeln!(out)?;
    }
    others.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn flow_row(f: &FlowReport) -> Vec<String> {
    vec![
        f.name.clone(),
        format!("{} > {}", f.ends[0], f.ends[1]),
        seconds(f.start),
        seconds(f.took),
        f.bytes.to_string(),
        format!("{:.3}", f.goodput / 1e6),
        f.status.counters.retrans.to_string(),
        of_some(&f.rtt, f.rtt.mean()),
        of_some(&f.rtt, f.rtt.percentile(95)),
        of_some(&f.rtt, f.queueing()),
        f.status.cwnd.to_string(),
        f.outcome.words(),
    ]
}

fn request_row(f: &FlowReport) -> Vec<String> {
    let h = &f.requests;
    let mut row = vec![f.name.clone(), h.count().to_string()];
    row.extend([h.mean(), h.percentile(95), h.percentile(99), h.max()].map(millis));
    row
}

fn link_row(l: &LinkReport) -> Vec<String> {
    let c = &l.counters;
    vec![
        l.name.clone(),
        l.ends[0].clone(),
        l.ends[1].clone(),
        c.passed.to_string(),
        l.used.map_or("-".into(), |u| format!("{:.1}%", u * 100.0)),
        c.lost_in_all().to_string(),
        c.lost(Lost::Loss).to_string(),
        c.lost(Lost::QueueFull).to_string(),
        c.lost(Lost::Aqm).to_string(),
        c.marked.to_string(),
        millis(c.waited.mean()),
        millis(c.waited.percentile(95)),
        millis(c.waited.percentile(99)),
        format!("{} ({})", c.longest_bytes, c.longest_packets),
    ]
}

/// What happens on few links, in a line.
fn others(l: &LinkReport) -> Option<String> {
    let c = &l.counters;
    let lost = [Lost::TooBig, Lost::Cut, Lost::Forgotten].map(|why| (why.name(), c.lost(why)));
    let did = [("duplicated", c.duplicated), ("reordered", c.reordered), ("corrupted", c.corrupted)];
    let words: Vec<String> =
        lost.iter().chain(&did).filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    (!words.is_empty()).then(|| format!("{}, {} > {}: {}", l.name, l.ends[0], l.ends[1], words.join(", ")))
}

fn objects(r: &Report, out: &mut Output) -> io::Result<()> {
    let run = json!({
        "kind": "run", "name": r.name, "seed": r.seed, "took_s": r.took.as_secs_f64(), "packets": r.packets,
        "fairness": r.fairness(),
    });
    writeln!(out, "{run}")?;
    r.flows.iter().map(flow_object).try_for_each(|o| writeln!(out, "{o}"))?;
    r.links.iter().map(link_object).try_for_each(|o| writeln!(out, "{o}"))
}

fn flow_object(f: &FlowReport) -> Value {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let of = |h: &Histogram, d: Duration| (h.count() > 0).then(|| ms(d));
    let (sampled, asked) = (|d| of(&f.rtt, d), |d| of(&f.requests, d));
    let (s, c) = (&f.status, &f.status.counters);
    json!({
        "kind": "flow", "name": f.name, "from": f.ends[0], "to": f.ends[1], "start_s": f.start.as_secs_f64(),
        "took_s": f.took.as_secs_f64(), "outcome": f.outcome.words(), "bytes": f.bytes, "goodput_bps": f.goodput,
        "retrans": c.retrans, "bytes_retrans": c.bytes_retrans, "segs_out": c.segs_out, "segs_in": c.segs_in,
        "rtt_mean_ms": sampled(f.rtt.mean()), "rtt_p95_ms": sampled(f.rtt.percentile(95)), "minrtt_ms": f64::from(s.minrtt_us) / 1e3,
        "queueing_ms": sampled(f.queueing()), "cwnd": s.cwnd, "ssthresh": s.ssthresh, "mss": s.mss,
        "requests": f.requests.count(), "request_mean_ms": asked(f.requests.mean()),
        "request_p95_ms": asked(f.requests.percentile(95)), "request_p99_ms": asked(f.requests.percentile(99)),
    })
}

fn link_object(l: &LinkReport) -> Value {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let c = &l.counters;
    let lost: serde_json::Map<String, Value> =
        Lost::ALL.iter().map(|why| (why.name().replace(' ', "_"), c.lost(*why).into())).collect();
    json!({
        "kind": "link", "name": l.name, "from": l.ends[0], "to": l.ends[1], "passed": c.passed, "bytes": c.bytes,
        "used": l.used, "lost": lost, "marked": c.marked, "duplicated": c.duplicated, "reordered": c.reordered,
        "corrupted": c.corrupted, "longest_bytes": c.longest_bytes, "longest_packets": c.longest_packets,
        "wait_mean_ms": ms(c.waited.mean()), "wait_p95_ms": ms(c.waited.percentile(95)),
        "wait_p99_ms": ms(c.waited.percentile(99)),
    })
}

/// Three plots: cwnd with ssthresh, SRTT, octets acknowledged.
fn draw(r: &Report) -> String {
    let names: Vec<String> = r.flows.iter().map(|f| format!("{}: {} > {}", f.name, f.ends[0], f.ends[1])).collect();
    let lines = |dashed: bool, value: fn(&synfin_sim::scenario::Sample) -> f64| {
        r.flows.iter().enumerate().map(move |(colour, f)| Line {
            colour,
            dashed,
            points: f.samples.iter().map(|s| (s.at.as_secs_f64(), value(s))).collect(),
        })
    };
    // Before the first loss there is no ssthresh to be drawn.
    let ssthresh = |s: &synfin_sim::scenario::Sample| match s.ssthresh {
        t if t > 1 << 30 => f64::NAN,
        t => f64::from(t) / 1e3,
    };
    let plots = [
        Plot {
            title: "cwnd, and ssthresh dashed (kB)".into(),
            lines: lines(true, ssthresh).chain(lines(false, |s| f64::from(s.cwnd) / 1e3)).collect(),
        },
        Plot { title: "srtt (ms)".into(), lines: lines(false, |s| f64::from(s.rtt_us) / 1e3).collect() },
        Plot { title: "acknowledged (MB)".into(), lines: lines(false, |s| s.acked as f64 / 1e6).collect() },
    ];
    let title = if r.name.is_empty() { format!("seed {}", r.seed) } else { format!("{}, seed {}", r.name, r.seed) };
    svg(&title, &names, &plots)
}

/// A figure made of samples, if there are any.
fn of_some(samples: &Histogram, d: Duration) -> String {
    if samples.count() == 0 { "-".into() } else { millis(d) }
}

fn seconds(d: Duration) -> String {
    format!("{:.3} s", d.as_secs_f64())
}

fn millis(d: Duration) -> String {
    format!("{:.1} ms", d.as_secs_f64() * 1e3)
}
