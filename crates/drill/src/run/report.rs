//! What became of a script.

use super::compare::Compared;
use super::story::Told;
use crate::host::Crossed;
use crate::script::{Place, SyntaxError, printable};
use std::fmt;

/// What went wrong, and all that helps to see why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where in the script.
    pub at: Place,
    /// `FILE:LINE: what`; of a script that is wrong itself `FILE:LINE:COLUMN: what`.
    pub headline: String,
    /// It is the script that is wrong: shown as any error of its syntax, and nothing else is.
    pub mistake: Option<SyntaxError>,
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

impl Failure {
    /// Of a script that is wrong itself.
    pub(super) fn mistake(e: SyntaxError) -> Failure {
        Failure {
            at: e.at,
            headline: format!("{}:{}:{}: {}", e.file, e.at.line, e.at.column, e.message),
            expected: e.line.trim().to_string(),
            came: None,
            fields: Vec::new(),
            state: None,
            journal: Vec::new(),
            mistake: Some(e),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mistake) = &self.mistake {
            return writeln!(f, "{mistake}");
        }
        writeln!(f, "{}", printable(&self.headline))?;
        writeln!(f, "    expected: {}", printable(&self.expected))?;
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
    /// These packets as a script writes them, and the calls between them.
    pub story: Vec<Told>,
}

impl Played {
    /// Of a script that was not begun.
    pub fn without_a_run(verdict: Verdict) -> Played {
        Played { verdict, notes: Vec::new(), packets: Vec::new(), story: Vec::new() }
    }
}
