//! What an expression is worth. It is evaluated while it is read; the part that Python would not evaluate is only read.

use super::Trouble;
use super::number::Number;
use super::token::Token;
use std::cmp::Ordering;
use std::collections::HashMap;

/// How many operands may be open at once.
const DEEPEST: u8 = 64;

type Result = std::result::Result<Number, Trouble>;

pub(super) struct Parser<'a> {
    pub(super) toks: &'a [Token],
    pub(super) at: usize,
    pub(super) names: &'a HashMap<String, Number>,
    depth: u8,
    /// What is read now is not evaluated.
    idle: bool,
}

/// The value of what is not evaluated.
const NOTHING: Number = Number::Int(0);

impl<'a> Parser<'a> {
    pub(super) fn new(toks: &'a [Token], at: usize, names: &'a HashMap<String, Number>) -> Parser<'a> {
        Parser { toks, at, names, depth: 0, idle: false }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.toks.len()
    }

    pub(super) fn take(&mut self, op: &str) -> bool {
        let yes = match self.toks.get(self.at) {
            Some(Token::Op(o)) => *o == op,
            Some(Token::Name(n)) => n == op,
            _ => false,
        };
        self.at += usize::from(yes);
        yes
    }

    fn one_of(&mut self, ops: &[&'static str]) -> Option<&'static str> {
        ops.iter().copied().find(|o| self.take(o))
    }

    /// Reads without evaluating, if `idle` says so.
    pub(super) fn read(&mut self, idle: bool, read: impl FnOnce(&mut Self) -> Result) -> Result {
        let before = self.idle;
        self.idle |= idle;
        let v = read(self);
        self.idle = before;
        v
    }

    fn evaluate(&self, f: impl FnOnce() -> Result) -> Result {
        if self.idle { Ok(NOTHING) } else { f() }
    }

    pub(super) fn or(&mut self) -> Result {
        let mut v = self.and()?;
        while self.take("or") {
            let w = self.read(v.is_true(), Self::and)?;
            v = if v.is_true() { v } else { w };
        }
        Ok(v)
    }

    fn and(&mut self) -> Result {
        let mut v = self.not()?;
        while self.take("and") {
            let w = self.read(!v.is_true(), Self::not)?;
            v = if v.is_true() { w } else { v };
        }
        Ok(v)
    }

    /// Operands within operands, though not without end.
    fn deeper(&mut self, read: fn(&mut Self) -> Result) -> Result {
        if self.depth == DEEPEST {
            return Err(Trouble::Unsupported("code as deep as this".into()));
        }
        self.depth += 1;
        let v = read(self);
        self.depth -= 1;
        v
    }

    fn not(&mut self) -> Result {
        if self.take("not") {
            return Ok(Number::from_bool(!self.deeper(Self::not)?.is_true()));
        }
        self.comparison()
    }

    /// `a < b <= c` holds if both parts do; the second is not looked at if the first does not.
    fn comparison(&mut self) -> Result {
        let mut left = self.binary(0)?;
        let (mut holds, mut any) = (true, false);
        while let Some(op) = self.one_of(&["==", "!=", "<=", ">=", "<", ">"]) {
            let right = self.read(!holds, |p| p.binary(0))?;
            let order = left.compare(right);
            holds &= match op {
                "==" => order == Some(Ordering::Equal),
                "!=" => order != Some(Ordering::Equal),
                "<=" => order.is_some_and(Ordering::is_le),
                ">=" => order.is_some_and(Ordering::is_ge),
                "<" => order == Some(Ordering::Less),
                _ => order == Some(Ordering::Greater),
            };
            (left, any) = (right, true);
        }
        Ok(if any { Number::from_bool(holds) } else { left })
    }

    /// The operators of two operands, from those that bind least on.
    fn binary(&mut self, level: usize) -> Result {
        const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "//", "/", "%"]];
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut v = self.binary(level + 1)?;
        while let Some(op) = self.one_of(ops) {
            let w = self.binary(level + 1)?;
            v = self.evaluate(|| Number::apply(op, v, w))?;
        }
        Ok(v)
    }

    fn unary(&mut self) -> Result {
        match self.one_of(&["-", "+", "~"]) {
            Some("-") => {
                let v = self.deeper(Self::unary)?;
                self.evaluate(|| v.negative())
            }
            Some("~") => {
                let v = self.deeper(Self::unary)?;
                self.evaluate(|| v.inverted())
            }
            Some(_) => self.deeper(Self::unary),
            None => self.power(),
        }
    }

    /// It binds more than a sign before it, and less than one behind it.
    fn power(&mut self) -> Result {
        let v = self.primary()?;
        if !self.take("**") {
            return Ok(v);
        }
        let by = self.deeper(Self::unary)?;
        self.evaluate(|| Number::apply("**", v, by))
    }

    fn primary(&mut self) -> Result {
        let unsupported = |what: String| Err(Trouble::Unsupported(what));
        let t = self.toks.get(self.at).cloned();
        self.at += 1;
        match t {
            Some(Token::Number(n)) => Ok(n),
            Some(Token::Text) if self.idle => Ok(NOTHING),
            Some(Token::Op("(")) => {
                let mut v = self.deeper(Self::or)?;
                // Several are a tuple, which nothing here can calculate with.
                while self.idle && self.take(",") {
                    v = self.deeper(Self::or)?;
                }
                if self.take(")") { Ok(v) } else { unsupported("code without a closing parenthesis".into()) }
            }
            Some(Token::Name(n)) if self.take("(") => {
                let mut args = Vec::new();
                while !self.take(")") {
                    args.push(self.deeper(Self::or)?);
                    if !self.take(",") && !self.toks.get(self.at).is_some_and(|t| *t == Token::Op(")")) {
                        return unsupported("code without a closing parenthesis".into());
                    }
                }
                self.evaluate(|| Number::call(&n, &args))
            }
            Some(Token::Name(n)) => match self.names.get(&n) {
                Some(v) => Ok(*v),
                None if self.idle => Ok(NOTHING),
                None => unsupported(format!("{n} in code")),
            },
            Some(Token::Text) => unsupported("a text in code".into()),
            Some(Token::Op(op)) => unsupported(format!("{op} in code")),
            None => unsupported("code that ends too early".into()),
        }
    }
}
