//! Text.

pub mod line;
pub mod text;
