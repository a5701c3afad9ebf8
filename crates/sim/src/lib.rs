//! A simulated network: a virtual clock, hosts of our own, links between them that delay, queue, mark, lose, reorder,
//! duplicate, corrupt and cut. Everything follows from a seed, so a run that fails can be run again.
//!
//! [`link`] is the model of a link, for virtual and for real time; [`network`] joins links and hosts to a topology; on it run
//! [`bulk`] transfers over links drawn by seed, and the flows of a [`scenario`] that a file describes, of which [`table`] makes
//! tables. [`explore`] needs no network: it visits the states of two peers.
#![forbid(unsafe_code)]

pub mod bulk;
pub mod explore;
pub mod link;
pub mod network;
pub mod scenario;
pub mod table;
pub mod units;

pub use link::{Aqm, Change, Histogram, Limit, Link, LinkModel, Lost, Middlebox, Oversize};
pub use network::{Host, HostModel, Lose, Network, Record, Topology};
pub use scenario::{Report, Run, Scenario};
