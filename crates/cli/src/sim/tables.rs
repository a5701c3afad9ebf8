//! `synfin sim table`: how congestion control does, beside what theory expects of it.

use crate::output::{Output, usage};
use crate::table::{Column, table};
use std::io::{self, Write};
use std::time::Duration;
use synfin_sim::table::{Goodput, RATE, algorithms, fairness, goodput, queueing, verdict};

/// Which tables. All of them take a minute or two.
#[derive(Debug, clap::Args)]
pub(super) struct Tables {
    /// Only this algorithm
    #[arg(long)]
    algorithm: Option<String>,
    /// Only these tables
    #[arg(long, value_delimiter = ',', default_value = "goodput,fairness,queueing")]
    only: Vec<Which>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    Goodput,
    Fairness,
    Queueing,
}

/// Prints them.
pub(super) fn run(t: &Tables, out: &mut Output) -> io::Result<()> {
    let known = algorithms();
    let chosen: Vec<_> =
        known.iter().copied().filter(|a| t.algorithm.as_deref().is_none_or(|only| only == *a)).collect();
    if chosen.is_empty() {
        return Err(usage(format!("--algorithm: there are tables of {}", known.join(", "))));
    }
    writeln!(out, "bottleneck {} Mbit/s, segments of 1448 octets, queue of one BDP", RATE / 1_000_000)?;
    writeln!(out, "as expected: within the range, or out of it by a quarter at most")?;
    // What follows takes a while.
    out.flush()?;
    if t.only.contains(&Which::Goodput) {
        let rows: Vec<_> = chosen.iter().copied().flat_map(goodput).map(|g| goodput_row(&g)).collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm >loss >rtt >reordered >Mbit/s >expected <"), &rows)?;
    }
    if t.only.contains(&Which::Fairness) {
        let rows: Vec<_> = fairness(&chosen)
            .into_iter()
            .map(|f| {
                let (expected, verdict) = (range(f.expected, 2), verdict(f.jain, f.expected));
                let jain = format!("{:.3}", f.jain);
                vec![f.algorithms.join("+"), f.flows.to_string(), jain, expected, verdict.into(), percent(f.used)]
            })
            .collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm >flows >Jain >expected < >used"), &rows)?;
    }
    if t.only.contains(&Which::Queueing) {
        let ms = |d: Duration| format!("{:.1} ms", d.as_secs_f64() * 1e3);
        let rows: Vec<_> = chosen
            .iter()
            .copied()
            .flat_map(queueing)
            .map(|q| {
                let expected = (q.expected.0.as_secs_f64() * 1e3, q.expected.1.as_secs_f64() * 1e3);
                let verdict = verdict(q.mean.as_secs_f64() * 1e3, expected);
                let (mean, p95, expected) = (ms(q.mean), ms(q.p95), range(expected, 1));
                vec![q.algorithm.into(), q.queue.into(), mean, expected, verdict.into(), p95, percent(q.used)]
            })
            .collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm <queue >wait >expected < >p95 >used"), &rows)?;
    }
    Ok(())
}

fn goodput_row(g: &Goodput) -> Vec<String> {
    let expected = range((g.expected.0 / 1e6, g.expected.1 / 1e6), 2);
    vec![
        g.algorithm.into(),
        percent(f64::from(g.loss) / 1e6),
        format!("{} ms", g.rtt.as_millis()),
        percent(f64::from(g.reorder) / 1e6),
        format!("{:.2}", g.bps / 1e6),
        expected,
        verdict(g.bps, g.expected).into(),
    ]
}

fn range((low, high): (f64, f64), digits: usize) -> String {
    if low == high { format!("{low:.digits$}") } else { format!("{low:.digits$} to {high:.digits$}") }
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}
