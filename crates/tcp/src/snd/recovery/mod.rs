//! Loss recovery: what was lost, and is to be sent again.

mod newreno;

pub use newreno::{NewReno, Step};
