//! A simulated network: a virtual clock, two hosts of our own, a link between them that delays, loses, reorders,
//! duplicates, corrupts and cuts. Everything follows from a seed, so a run that fails can be run again.
#![forbid(unsafe_code)]

pub mod bulk;
pub mod explore;
mod link;
mod network;

pub use link::{Direction, LinkModel};
pub use network::{Host, Lose, Network, Record};
