//! `synfin sim table`: how congestion control does, beside what theory expects of it.

use crate::output::Output;
use crate::table::{Column, table};
use std::io::{self, Write};
use std::time::Duration;
use synfin_sim::table::{Goodput, RATE, algorithms, fairness, goodput, queueing};

/// Which tables.
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
        return Err(io::Error::other(format!("--algorithm: the engine has {}", known.join(", "))));
    }
    writeln!(out, "bottleneck {} Mbit/s, segments of 1448 octets, queue of one BDP", RATE / 1_000_000)?;
    if t.only.contains(&Which::Goodput) {
        let rows: Vec<_> = chosen.iter().copied().flat_map(goodput).map(|g| goodput_row(&g)).collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm >loss >rtt >reordered >Mbit/s >expected <"), &rows)?;
    }
    if t.only.contains(&Which::Fairness) {
        let rows: Vec<_> = fairness(&chosen)
            .into_iter()
            .map(|f| vec![f.algorithms.join("+"), f.flows.to_string(), format!("{:.3}", f.jain), percent(f.used)])
            .collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm >flows >Jain >used"), &rows)?;
    }
    if t.only.contains(&Which::Queueing) {
        let ms = |d: Duration| format!("{:.1} ms", d.as_secs_f64() * 1e3);
        let rows: Vec<_> = chosen
            .iter()
            .copied()
            .flat_map(queueing)
            .map(|q| vec![q.algorithm.into(), q.queue.into(), ms(q.mean), ms(q.p95), percent(q.used)])
            .collect();
        writeln!(out)?;
        table(out, &Column::parse("<algorithm <queue >wait >p95 >used"), &rows)?;
    }
    Ok(())
}

fn goodput_row(g: &Goodput) -> Vec<String> {
    let (low, high) = (g.expected.0 / 1e6, g.expected.1 / 1e6);
    let expected = if low == high { format!("{low:.2}") } else { format!("{low:.2} to {high:.2}") };
    vec![
        g.algorithm.into(),
        percent(f64::from(g.loss) / 1e6),
        format!("{} ms", g.rtt.as_millis()),
        percent(f64::from(g.reorder) / 1e6),
        format!("{:.2}", g.bps / 1e6),
        expected,
        g.verdict().into(),
    ]
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}
