//! What can be known of two ends by looking at their segments.

mod ends;
mod state;
mod words;

pub use ends::{Correction, Ends, Shown};
pub use words::Narrator;
