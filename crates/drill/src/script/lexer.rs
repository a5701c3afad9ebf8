//! Characters, one after another, with their places. The language has no tokens of its own that would fit all its parts
//! (`.` is a flag, `.5` a time or an ACE field, `1:1(0)` a range), so each part reads what it expects.

use super::{Place, SyntaxError};
use std::sync::Arc;

/// A position in a script.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    file: Arc<str>,
    text: &'a str,
    /// Where each line begins.
    lines: Arc<[usize]>,
    pos: usize,
    /// How many brackets are open around it.
    depth: u8,
    defines: &'a [(String, String)],
}

/// How many brackets may be open at once.
const DEEPEST: u8 = 32;

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Cursor<'a> {
    /// At the beginning of `text`.
    pub fn new(file: Arc<str>, text: &'a str, defines: &'a [(String, String)]) -> Cursor<'a> {
        let lines = [0].into_iter().chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Cursor { file, text, lines, pos: 0, depth: 0, defines }
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    pub(crate) fn file(&self) -> Arc<str> {
        self.file.clone()
    }

    /// Passes over `n` octets.
    pub(crate) fn advance(&mut self, n: usize) {
        self.pos += n;
    }

    /// Passes over white space and comments.
    pub(crate) fn space(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.pos += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.pos += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(body) = trimmed.strip_prefix("/*") {
                match body.find("*/") {
                    Some(n) => self.pos += n + 4,
                    None => return self.fail("this comment has no end: expected \"*/\""),
                }
            } else {
                return Ok(());
            }
        }
    }

    /// Where the cursor is.
    pub(crate) fn place(&self) -> Place {
        let line = self.lines.partition_point(|start| *start <= self.pos);
        let start = self.lines[line - 1];
        Place { line: line as u32, column: self.text[start..self.pos].chars().count() as u32 + 1 }
    }

    /// An error at the next thing.
    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(self.error_at(self.place(), message))
    }

    /// An error at a place that was passed.
    pub(crate) fn error_at(&self, at: Place, message: impl Into<String>) -> SyntaxError {
        let start = self.lines[at.line as usize - 1];
        let line = self.text[start..].lines().next().unwrap_or("").to_string();
        SyntaxError { file: self.file.clone(), at, message: message.into(), line }
    }

    /// An error that says what was expected instead of what is there.
    pub(crate) fn expected<T>(&self, what: &str) -> Result<T, SyntaxError> {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len()).min(24);
        let end = (0..=end).rev().find(|i| rest.is_char_boundary(*i)).unwrap_or(0);
        let found = if rest.is_empty() { "the end of the script".to_string() } else { format!("{:?}", &rest[..end]) };
        self.fail(format!("expected {what}, found {found}"))
    }

    /// Reads something in brackets, which may hold such again, though not without end.
    pub(crate) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.depth == DEEPEST {
            return self.fail(format!("more than {DEEPEST} brackets are open here"));
        }
        self.depth += 1;
        let r = read(self);
        self.depth -= 1;
        r
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.pos == self.text.len()
    }

    /// Takes `s` if it comes next, and the space after it.
    pub(crate) fn take(&mut self, s: &str) -> Result<bool, SyntaxError> {
        // A word is taken whole, and by what it was defined as.
        if s.ends_with(is_word) {
            if self.peek_word() != s {
                return Ok(false);
            }
            self.run(is_word);
            self.space()?;
            return Ok(true);
        }
        if !self.rest().starts_with(s) {
            return Ok(false);
        }
        self.pos += s.len();
        self.space()?;
        Ok(true)
    }

    /// Takes `s`, or fails.
    pub(crate) fn need(&mut self, s: &str) -> Result<(), SyntaxError> {
        if self.take(s)? { Ok(()) } else { self.expected(&format!("{s:?}")) }
    }

    /// Takes characters while `f` says so, without the space after them.
    pub(crate) fn run(&mut self, f: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let n = rest.find(|c| !f(c)).unwrap_or(rest.len());
        self.pos += n;
        &rest[..n]
    }

    /// The next word as it stands, not taken.
    pub(crate) fn bare_word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
    }

    /// The next word, or the one that it was defined as; not taken.
    pub(crate) fn peek_word(&self) -> &'a str {
        let bare = self.bare_word();
        self.defined(bare).filter(|v| !v.is_empty() && v.chars().all(is_word)).unwrap_or(bare)
    }

    /// Takes a word and the space after it, and gives it or the one that it was defined as.
    pub(crate) fn word(&mut self) -> Result<&'a str, SyntaxError> {
        let w = self.peek_word();
        if w.is_empty() {
            return self.expected("a name");
        }
        self.run(is_word);
        self.space()?;
        Ok(w)
    }

    /// What a word was defined as.
    pub(crate) fn defined(&self, word: &str) -> Option<&'a str> {
        self.defines.iter().rev().find(|(n, _)| n == word).map(|(_, v)| v.as_str())
    }

    /// A whole number, decimal or `0x`, perhaps negative or a define.
    pub(crate) fn integer(&mut self) -> Result<i64, SyntaxError> {
        let start = self.clone();
        let negative = self.rest().starts_with('-');
        if negative {
            self.pos += 1;
        }
        let w = self.run(is_word);
        let text = self.defined(w).unwrap_or(w);
        let n = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => i64::from_str_radix(hex, 16).or_else(|_| u64::from_str_radix(hex, 16).map(|n| n as i64)),
            None => text.parse::<i64>().or_else(|_| text.parse::<u64>().map(|n| n as i64)),
        };
        match n {
            Ok(n) => {
                self.space()?;
                Ok(if negative { n.wrapping_neg() } else { n })
            }
            Err(_) => start.expected("a whole number"),
        }
    }

    /// A whole number of 32 bits.
    pub(crate) fn u32(&mut self) -> Result<u32, SyntaxError> {
        let start = self.clone();
        let n = self.integer()?;
        u32::try_from(n).or_else(|_| start.expected("a number of 32 bits"))
    }

    /// A whole number of 16 bits.
    pub(crate) fn u16(&mut self) -> Result<u16, SyntaxError> {
        let start = self.clone();
        let n = self.integer()?;
        u16::try_from(n).or_else(|_| start.expected("a number of 16 bits"))
    }

    /// Seconds, as microseconds: digits, and digits after a dot. A dot without digits is not taken.
    pub(crate) fn seconds(&mut self) -> Result<i64, SyntaxError> {
        let start = self.clone();
        if let Some(value) = self.defined(self.bare_word()) {
            let mut inner = Cursor::new(self.file.clone(), value, &[]);
            let Some(us) = inner.seconds().ok().filter(|_| inner.at_end()) else {
                return start.expected("a time in seconds");
            };
            self.run(is_word);
            self.space()?;
            return Ok(us);
        }
        let whole = self.run(|c| c.is_ascii_digit());
        let rest = self.rest();
        let mut micros = 0;
        let fraction = rest.strip_prefix('.').filter(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if fraction.is_some() {
            self.pos += 1;
            let digits = self.run(|c| c.is_ascii_digit());
            let six: String = digits.chars().chain("000000".chars()).take(6).collect();
            micros = six.parse().unwrap_or(0);
        } else if whole.is_empty() {
            return start.expected("a time in seconds");
        }
        let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(i64::MAX / 4_000_000) };
        self.space()?;
        match seconds.checked_mul(1_000_000).filter(|s| *s < 1 << 50) {
            Some(s) => Ok(s + micros),
            None => start.fail("this time is too far away"),
        }
    }

    /// Passes over the rest of the line.
    pub(crate) fn rest_of_line(&mut self) -> Result<(), SyntaxError> {
        self.run(|c| c != '\n');
        self.space()
    }

    /// Takes everything up to `end`, and `end`.
    pub(crate) fn until(&mut self, end: &str, what: &str) -> Result<&'a str, SyntaxError> {
        let Some(n) = self.rest().find(end) else {
            return self.fail(format!("this {what} has no end: expected {end:?}"));
        };
        let body = &self.rest()[..n];
        self.pos += n + end.len();
        self.space()?;
        Ok(body)
    }
}
