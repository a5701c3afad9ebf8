//! What was seen, as plain data.

use std::net::SocketAddr;
use std::time::Duration;
use synfin_tcp::State;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, from the beginning.
    pub at: Duration,
    /// What.
    pub step: Step,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A segment.
    Segment {
        /// From left to right.
        rightwards: bool,
        /// As tcpdump prints it.
        line: String,
        /// Flags, sequence and acknowledgment number, for the arrow of a diagram.
        label: String,
        /// The state of the left end after it, and of the right end.
        states: (State, State),
        /// What it means.
        words: String,
        /// It was lost on the way.
        lost: bool,
        /// Source and destination.
        ends: (SocketAddr, SocketAddr),
    },
    /// What a program did: on the left, or on the right.
    Program {
        /// On the left.
        left: bool,
        /// What.
        what: String,
    },
    /// A remark.
    Remark(String),
}

/// All that happened, and whose columns there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The name of the left column.
    pub left: String,
    /// The name of the right column.
    pub right: String,
    /// In order.
    pub entries: Vec<Entry>,
}
