//! The packetdrill script language: what a script says, and how it is read.

mod checks;
mod expression;
pub(crate) mod icmp;
mod lexer;
pub(crate) mod names;
mod packet;
mod parser;
mod spoken;
pub(crate) mod symbols;

pub use checks::definition;
pub use expression::{Expr, Field};
pub use lexer::Cursor;
pub use packet::{Ecn, Icmp, IcmpQuote, Opt, Options, Packet, TcpSpec, Transport};

use std::fmt;
use std::sync::Arc;

/// A place in a script: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// A script that cannot be read: the place, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The file as it was named.
    pub file: Arc<str>,
    /// Where.
    pub at: Place,
    /// What is wrong, and what was expected.
    pub message: String,
    /// The text of the line.
    pub line: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.at;
        writeln!(f, "{}:{line}:{column}: {}", printable(&self.file), printable(&self.message))?;
        // Of a long line only what is around the place.
        let column = self.at.column.saturating_sub(1) as usize;
        let skipped = if column > 100 { column - 80 } else { 0 };
        let shown: String = self.line.chars().skip(skipped).take(160).collect();
        writeln!(f, "    {}", printable(&shown))?;
        write!(f, "    {}^", " ".repeat(column - skipped))
    }
}

impl std::error::Error for SyntaxError {}

/// Text of a script as a terminal may have it: each control character is one that shows, so that columns stay.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { visible(c) }).collect()
}

fn visible(c: char) -> char {
    match c as u32 {
        // The signs for control characters lie in the same order (Unicode, block Control Pictures).
        n @ 0..=0x1f => char::from_u32(0x2400 + n).unwrap_or('?'),
        0x7f => '\u{2421}',
        0x80..=0x9f => '\u{fffd}',
        // Marks that turn the direction of what follows.
        0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069 => '\u{fffd}',
        _ => c,
    }
}

/// When an event is due. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Since the first event.
    Absolute(i64),
    /// Since the event before.
    Relative(i64),
    /// Whenever (packets that leave only).
    Any,
    /// Between two times since the first event.
    AbsoluteRange(i64, i64),
    /// Between two times since the event before.
    RelativeRange(i64, i64),
}

/// A system call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// What it returns; `None` for `?`.
    pub result: Option<Expr>,
    /// The name of the error, if it fails.
    pub errno: Option<String>,
    /// When it returns, if it blocks: microseconds from the origin of its time.
    pub end: Option<i64>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A packet arrives, or is expected to leave.
    Packet(Box<Packet>),
    /// The program calls.
    Call(Call),
    /// Assertions on `tcp_info`, in Python's syntax.
    Code(String),
    /// A shell command.
    Command(String),
}

/// An event of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it stands.
    pub at: Place,
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
}

/// An option line, as `--mtu=1500`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionLine {
    /// Where it stands.
    pub at: Place,
    /// Without the dashes.
    pub name: String,
    /// What follows the `=`.
    pub value: Option<String>,
}

impl OptionLine {
    /// Where its value stands, or would.
    pub fn value_at(&self) -> Place {
        let name = 2 + self.name.len() as u32;
        Place { column: self.at.column + name + u32::from(self.value.is_some()), ..self.at }
    }

    /// From one argument of a command line, if it looks like an option.
    pub fn from_argument(arg: &str) -> Option<OptionLine> {
        let body = arg.strip_prefix("--")?;
        let (name, value) = body.split_once('=').map_or((body, None), |(n, v)| (n, Some(v.to_string())));
        Some(OptionLine { at: Place::default(), name: name.to_string(), value })
    }
}

/// A script.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The file as it was named.
    pub file: Arc<str>,
    /// The text, by lines.
    pub lines: Vec<String>,
    /// Its options.
    pub options: Vec<OptionLine>,
    /// The command before the first event.
    pub init: Option<(Place, String)>,
    /// The events.
    pub events: Vec<Event>,
    /// The command after the last.
    pub cleanup: Option<(Place, String)>,
    /// A line of another dialect, with which reading ended: the script cannot be played.
    pub unsupported: Option<(Place, String)>,
}

impl Script {
    /// Reads a script. `defines` replace bare words (`-D NAME=VALUE`).
    pub fn parse(file: &str, text: &str, defines: &[(String, String)]) -> Result<Script, SyntaxError> {
        parser::parse(file, text, defines)
    }

    /// The text of a line.
    pub fn line(&self, at: Place) -> &str {
        (at.line as usize).checked_sub(1).and_then(|i| self.lines.get(i)).map_or("", |l| l.trim())
    }

    /// A mistake of the script that only shows when it is played.
    pub fn mistake(&self, at: Place, message: impl Into<String>) -> SyntaxError {
        let line = (at.line as usize).checked_sub(1).and_then(|i| self.lines.get(i)).cloned().unwrap_or_default();
        SyntaxError { file: self.file.clone(), at, message: message.into(), line }
    }
}
