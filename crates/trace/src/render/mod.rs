//! Text, and lines over time.

pub mod line;
pub mod plot;
pub mod text;
