//! What became of a script.

use super::compare::Compared;
use crate::host::Crossed;
use crate::script::Place;
use std::fmt;

/// What went wrong, and all that helps to see why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where in the script.
    pub at: Place,
    /// `FILE:LINE: what`.
    pub headline: String,
    /// The line of the script.
    pub expected: String,
    /// What left instead, as a script would write it.
    pub came: Option<String>,
    /// Field by field, if a packet was compared.
    pub fields: Vec<Compared>,
    /// The state of the connection at that instant.
    pub state: Option<String>,
    /// What the engine did last.
    pub journal: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline)?;
        writeln!(f, "    expected: {}", self.expected)?;
        if let Some(came) = &self.came {
            writeln!(f, "    came:     {came}")?;
        }
        if !self.fields.is_empty() {
            let wide = |g: fn(&Compared) -> &str| self.fields.iter().map(|c| g(c).chars().count()).max().unwrap_or(0);
            let (n, e) = (wide(|c| c.name).max(5), wide(|c| &c.expected).max(8));
            writeln!(f, "      {:n$}  {:e$}  came", "field", "expected")?;
            for c in &self.fields {
                let mark = if c.same { ' ' } else { '*' };
                writeln!(f, "    {mark} {:n$}  {:e$}  {}", c.name, c.expected, c.came)?;
            }
        }
        if let Some(state) = &self.state {
            writeln!(f, "    engine:   {state}")?;
        }
        if !self.journal.is_empty() {
            writeln!(f, "    lately:")?;
            for j in &self.journal {
                writeln!(f, "      {j}")?;
            }
        }
        Ok(())
    }
}

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as it says.
    Pass,
    /// Something was not.
    Fail(Box<Failure>),
    /// It needs what is not there.
    Skip(String),
}

/// A script that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// What became of it.
    pub verdict: Verdict,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
    /// Every packet that crossed the link.
    pub packets: Vec<Crossed>,
}
