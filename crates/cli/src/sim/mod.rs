//! `synfin sim`: networks in virtual time. A scenario from a file, bulk transfers by seed, the states of two peers, tables of
//! how congestion control does.

mod bulk;
mod drawn;
mod play;
mod tables;

use crate::output::Output;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use synfin_capture::{LinkType, PcapNg};

/// What to simulate.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    play: play::Play,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Bulk transfer both ways: loss up to 20 %, reordering, duplication, corruption; everything must arrive and close
    Bulk(bulk::Bulk),
    /// Visit every state of two peers, over every interleaving of calls, deliveries, losses and timeouts within bounds
    Explore(bulk::Explore),
    /// Tables of goodput, fairness and queueing delay by algorithm, beside what theory expects
    Table(tables::Tables),
}

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.play.is_json()
    }
}

/// Runs it.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    match &args.command {
        Some(Command::Bulk(b)) => bulk::run(b, out),
        Some(Command::Explore(e)) => bulk::visit(e, out),
        Some(Command::Table(t)) => tables::run(t, out),
        None => play::run(&args.play, out),
    }
}

fn create(path: &Path) -> io::Result<PcapNg<BufWriter<File>>> {
    PcapNg::new(BufWriter::new(File::create(path)?), LinkType::Ip, "sim0")
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}
