//! Code as statements, and statements as tokens.

use super::Trouble;
use super::number::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(Number),
    Name(String),
    Text,
    Op(&'static str),
}

const OPERATORS: [&str; 25] = [
    "==", "!=", "<=", ">=", "<<", ">>", "//", "**", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(", ")",
    ",", "=", "[", "]",
];

/// The statements of code: `;` and the end of a line part them, but not in brackets or texts; `#` begins what is for readers.
pub(super) fn statements(code: &str) -> Vec<String> {
    let (mut all, mut new) = (Vec::new(), String::new());
    let (mut quote, mut open) = (None, 0u32);
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') if chars.peek() == Some(&'\n') => {
                chars.next();
                new.push(' ');
            }
            (Some(_), '\\') => {
                new.push(c);
                new.extend(chars.next());
            }
            (Some(q), _) if q == c => {
                quote = None;
                new.push(c);
            }
            (Some(_), '\n') | (None, '\n' | ';') if quote.is_some() || open == 0 => {
                quote = None;
                all.push(std::mem::take(&mut new));
            }
            (None, '\n') => new.push(' '),
            (None, '#') => while chars.next_if(|c| *c != '\n').is_some() {},
            _ => {
                match c {
                    '"' | '\'' if quote.is_none() => quote = Some(c),
                    '(' | '[' if quote.is_none() => open += 1,
                    ')' | ']' if quote.is_none() => open = open.saturating_sub(1),
                    _ => {}
                }
                new.push(c);
            }
        }
    }
    all.push(new);
    all
}

/// The tokens of a statement.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Trouble> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let after_dot = rest.strip_prefix('.').and_then(|r| r.chars().next());
        if c.is_ascii_digit() || after_dot.is_some_and(|d| d.is_ascii_digit()) {
            let end = end_of_number(rest);
            out.push(Token::Number(number(&rest[..end])?));
            rest = &rest[end..];
        } else if c.is_ascii_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            out.push(Token::Name(rest[..end].to_string()));
            rest = &rest[end..];
        } else if c == '"' || c == '\'' {
            out.push(Token::Text);
            rest = &rest[end_of_text(rest, c)?..];
        } else if let Some(op) = OPERATORS.iter().find(|o| rest.starts_with(**o)) {
            out.push(Token::Op(op));
            rest = &rest[op.len()..];
        } else {
            return Err(Trouble::Unsupported(format!("the character {c:?} in code")));
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

/// Where the text at the beginning of `rest` ends.
fn end_of_text(rest: &str, quote: char) -> Result<usize, Trouble> {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Ok(i + 1),
            _ => {}
        }
    }
    Err(Trouble::Unsupported("a text without an end".into()))
}

/// Where the number at the beginning of `rest` ends; an exponent may have a sign.
fn end_of_number(rest: &str) -> usize {
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = ' ';
    for (i, c) in rest.char_indices() {
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hex;
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
            return i;
        }
        before = c;
    }
    rest.len()
}

/// The number that `word` is in Python.
fn number(word: &str) -> Result<Number, Trouble> {
    let unsupported = || Trouble::Unsupported(format!("the number {word:?}"));
    let parted =
        word.split('_').all(|p| !p.is_empty() && (p.len() == word.len() || p.chars().all(|c| c.is_ascii_hexdigit())));
    if !parted {
        return Err(unsupported());
    }
    let digits = word.replace('_', "").to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(d) = digits.strip_prefix(prefix) {
            return i128::from_str_radix(d, radix).map(Number::Int).map_err(|_| unsupported());
        }
    }
    if digits.chars().all(|c| c.is_ascii_digit()) {
        if digits.starts_with('0') && digits.contains(|c| c != '0') {
            return Err(Trouble::Failed(format!("the number {word} begins with a zero")));
        }
        return digits.parse().map(Number::Int).map_err(|_| unsupported());
    }
    digits.parse().map(Number::Float).map_err(|_| unsupported())
}
