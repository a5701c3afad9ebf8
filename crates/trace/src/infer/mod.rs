//! What can be known of two ends by looking at their segments.

mod state;
mod words;

pub use state::Endpoint;
pub use words::Narrator;
