//! Scenarios: a network and the flows on it, described by a file, played in virtual time.
//!
//! [`Scenario::parse`] reads the file (every key is in `docs/sim.md`) and says of a mistake in one line where it is and what was
//! expected; [`Scenario`] is plain data, so that other code makes scenarios without a file; [`Run`] plays one and tells what
//! the flows and the links did.

mod check;
mod file;
mod flow;
mod report;
mod run;

pub use report::{FlowReport, LinkReport, Outcome, Report, Sample, jain};
pub use run::Run;

use crate::link::{LinkModel, Middlebox};
use crate::network::{HostModel, Topology};
use std::fmt;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;

/// A network and the flows on it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// When it ends, if its flows have not ended before.
    pub duration: Duration,
    /// Who is connected with whom.
    pub topology: Topology,
    /// A model for each host.
    pub hosts: Vec<HostModel>,
    /// A model for each link.
    pub links: Vec<LinkModel>,
    /// Middleboxes, each with the number of its link.
    pub middleboxes: Vec<(usize, Middlebox)>,
    /// The flows, at most [`MAX_FLOWS`].
    pub flows: Vec<Flow>,
}

/// A connection and what its two ends do.
#[derive(Debug, Clone)]
pub struct Flow {
    /// What it is called.
    pub name: String,
    /// The number of the host that connects and sends.
    pub from: usize,
    /// The number of the host that accepts and receives.
    pub to: usize,
    /// When it begins.
    pub start: Duration,
    /// How long it may last; then it is aborted. `None` until the scenario ends.
    pub duration: Option<Duration>,
    /// What the sender's program does.
    pub writer: Writer,
    /// How fast the receiver's program reads, in bits per second; 0 is at once.
    pub read_rate: u64,
    /// Settings of both ends.
    pub tcp: [TcpConfig; 2],
}

/// What a program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// Octets, as many as TCP takes, or as fast and as long as it says.
    Stream {
        /// How many; `None` without end.
        bytes: Option<u64>,
        /// Bits per second; 0 is without limit.
        rate: u64,
        /// It writes for so long, and then nothing for so long, and so on. A second time of zero is without pause.
        on_off: (Duration, Duration),
    },
    /// Requests that are answered.
    Requests {
        /// Octets of a request.
        request: u64,
        /// Octets of a response.
        response: u64,
        /// Time between a response and the next request.
        think: Duration,
        /// How many; `None` without end.
        count: Option<u64>,
    },
}

/// What is wrong with a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// Line and column, from 1 on, where the file says something that can be pointed at.
    pub place: Option<(usize, usize)>,
    /// What was found or expected.
    pub what: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for ScenarioError {}

/// More flows than that would need more than the ports that are theirs, and more memory than a scenario is worth.
pub const MAX_FLOWS: usize = 1_000;

#[cfg(test)]
mod tests;
