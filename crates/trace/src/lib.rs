//! From segments to what TCP did: each segment as tcpdump would print it, the states of both ends beside it, and what it
//! means in words; and all of it as a sequence diagram.
//!
//! `infer` looks at segments from outside, with the transition table of the engine; `report` is plain data; `render`
//! makes text of it.
#![forbid(unsafe_code)]

pub mod infer;
pub mod render;
mod report;

pub use report::{Entry, Report, Step};
