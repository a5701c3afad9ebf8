//! Arguments and results of system calls.

use super::{Cursor, SyntaxError, names};

/// A field of a structure.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What stands in parentheses after the name: a length.
    pub length: Option<Expr>,
    /// Its value.
    pub value: Expr,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `...`: the runner fills it in.
    Ellipsis,
    /// A number.
    Int(i64),
    /// A constant by name.
    Word(String),
    /// A text.
    Str(Vec<u8>),
    /// `A | B`.
    Or(Vec<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{a=1, b=2}`.
    Struct(Vec<Field>),
    /// `htons(80)`, `inet_addr("192.0.2.1")`.
    Call(String, Vec<Expr>),
}

impl Expr {
    /// Reads one.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
        c.nested(Expr::alternatives)
    }

    fn alternatives(c: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
        let first = Expr::operand(c)?;
        if !c.rest().starts_with('|') {
            return Ok(first);
        }
        let mut all = vec![first];
        while c.take("|")? {
            all.push(Expr::operand(c)?);
        }
        Ok(Expr::Or(all))
    }

    fn operand(c: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
        if c.take("...")? {
            return Ok(Expr::Ellipsis);
        }
        match c.peek() {
            Some('[') => {
                c.need("[")?;
                Ok(Expr::List(Expr::list(c, "]")?))
            }
            Some('{') => {
                c.need("{")?;
                let mut fields: Vec<Field> = Vec::new();
                while !c.take("}")? {
                    let start = c.clone();
                    let new = Expr::field(c)?;
                    if let Some(before) = fields.iter().find(|f| excludes(f, &new)).and_then(|f| f.name.as_ref()) {
                        return start.fail(format!("this field has its value already, as {before}"));
                    }
                    fields.push(new);
                    if !c.take(",")? {
                        c.need("}")?;
                        break;
                    }
                }
                Ok(Expr::Struct(fields))
            }
            Some('"') => Ok(Expr::Str(string(c)?)),
            Some('(') => {
                c.need("(")?;
                let e = Expr::parse(c)?;
                c.need(")")?;
                Ok(e)
            }
            Some('-') => Ok(Expr::Int(c.integer()?)),
            Some(d) if d.is_ascii_digit() => Ok(Expr::Int(c.integer()?)),
            Some(w) if w.is_ascii_alphabetic() || w == '_' => {
                let (name, start) = (c.bare_word(), c.clone());
                if let Some(value) = c.defined(name) {
                    let text = value.to_string();
                    c.word()?;
                    return defined(&start, &text);
                }
                let name = c.word()?.to_string();
                if c.take("(")? {
                    names::function(&name).or_else(|e| start.fail(e))?;
                    let args = Expr::list(c, ")")?;
                    if let ("htons" | "ntohs", [Expr::Int(n)]) = (name.as_str(), args.as_slice())
                        && u16::try_from(*n).is_err()
                    {
                        return start.fail(format!("{name}: expected a number of 16 bits, found {n}"));
                    }
                    return Ok(Expr::Call(name, args));
                }
                names::constant(&name).or_else(|e| start.fail(e))?;
                Ok(Expr::Word(name))
            }
            _ => c.expected("an argument"),
        }
    }

    fn field(c: &mut Cursor<'_>) -> Result<Field, SyntaxError> {
        let start = c.clone();
        if c.peek().is_some_and(|p| p.is_ascii_alphabetic() || p == '_') {
            let name = c.word()?.to_string();
            let length = if c.take("(")? {
                let e = Expr::parse(c)?;
                c.need(")")?;
                Some(e)
            } else {
                None
            };
            if c.take("=")? {
                names::field(&name).or_else(|e| start.fail(e))?;
                return Ok(Field { name: Some(name), length, value: Expr::parse(c)? });
            }
            *c = start;
        }
        Ok(Field { name: None, length: None, value: Expr::parse(c)? })
    }

    /// Expressions up to `end`.
    pub(crate) fn list(c: &mut Cursor<'_>, end: &str) -> Result<Vec<Expr>, SyntaxError> {
        let mut all = Vec::new();
        while !c.take(end)? {
            // `name = value` of an argument: the name is for the reader.
            let start = c.clone();
            if !c.peek_word().is_empty() && c.peek().is_some_and(|p| p.is_ascii_alphabetic()) {
                c.word()?;
                if !(c.rest().starts_with('=') && c.take("=")?) {
                    *c = start;
                }
            }
            all.push(Expr::parse(c)?);
            if !c.take(",")? {
                c.need(end)?;
                break;
            }
        }
        Ok(all)
    }
}

/// The members of the union `epoll_data`, which has one value.
const EPOLL_DATA: &[&str] = &["fd", "ptr", "u32", "u64"];

/// Whether two fields cannot both have a value.
fn excludes(a: &Field, b: &Field) -> bool {
    let (Some(a), Some(b)) = (a.name.as_deref(), b.name.as_deref()) else { return false };
    a == b || EPOLL_DATA.contains(&a) && EPOLL_DATA.contains(&b)
}

/// What a word at `c` was defined as.
fn defined(c: &Cursor<'_>, text: &str) -> Result<Expr, SyntaxError> {
    if let Some(s) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return Ok(Expr::Str(s.as_bytes().to_vec()));
    }
    let mut inner = Cursor::new(c.file(), text, &[]);
    if let Ok(n) = inner.integer() {
        return Ok(Expr::Int(n));
    }
    names::constant(text).or_else(|e| c.fail(e))?;
    Ok(Expr::Word(text.to_string()))
}

/// Adjacent strings are one.
fn string(c: &mut Cursor<'_>) -> Result<Vec<u8>, SyntaxError> {
    let mut out = Vec::new();
    while c.rest().starts_with('"') {
        let start = c.clone();
        let rest = &c.rest()[1..];
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next() {
                None => return start.fail("this string has no end: expected '\"'"),
                Some((i, '"')) => break i,
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => out.push(b'\n'),
                    Some((_, 't')) => out.push(b'\t'),
                    Some((_, 'r')) => out.push(b'\r'),
                    Some((_, '0')) => out.push(0),
                    Some((i, 'x')) => {
                        let hex: String = rest[i + 1..].chars().take_while(char::is_ascii_hexdigit).take(2).collect();
                        let Ok(b) = u8::from_str_radix(&hex, 16) else {
                            return start.fail("expected two hexadecimal digits after \"\\x\"");
                        };
                        out.push(b);
                        for _ in 0..hex.len() {
                            chars.next();
                        }
                    }
                    Some((_, other)) => out.extend(other.to_string().bytes()),
                    None => return start.fail("this string has no end: expected '\"'"),
                },
                Some((_, other)) => out.extend(other.to_string().bytes()),
            }
        };
        c.advance(1 + end + 1);
        c.space()?;
    }
    Ok(out)
}
