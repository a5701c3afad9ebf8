//! The assertions of `%{ }%`: the part of Python that scripts use, evaluated on the fields of `tcp_info`.

use std::collections::HashMap;

/// Why a block was not accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// An assertion does not hold: its text, and the values of the names in it.
    Failed(String),
    /// It uses what is not here.
    Unsupported(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Text(String),
    Op(&'static str),
}

const OPERATORS: [&str; 25] = [
    "==", "!=", "<=", ">=", "<<", ">>", "//", "**", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(", ")",
    ",", "=", "[", "]",
];

fn tokens(text: &str) -> Result<Vec<Token>, Trouble> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
            let w = &rest[..end];
            let n = match w.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok().map(|n| n as f64),
                None => w.parse().ok(),
            };
            out.push(Token::Number(n.ok_or_else(|| Trouble::Unsupported(format!("the number {w:?}")))?));
            rest = &rest[end..];
        } else if c.is_ascii_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            out.push(Token::Name(rest[..end].to_string()));
            rest = &rest[end..];
        } else if c == '"' || c == '\'' {
            let end = rest[1..].find(c).ok_or_else(|| Trouble::Unsupported("a text without an end".into()))?;
            out.push(Token::Text(rest[1..=end].to_string()));
            rest = &rest[end + 2..];
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

/// What the names stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: HashMap<String, f64>,
}

const CONSTANTS: &[(&str, u32)] = &[
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
    ("True", 1),
    ("False", 0),
];

impl Names {
    /// With the constants.
    pub(super) fn new() -> Names {
        Names { values: CONSTANTS.iter().map(|(n, v)| ((*n).to_string(), f64::from(*v))).collect() }
    }

    /// Gives the fields of `tcp_info` their values; those that are not told now have none.
    pub(super) fn set(&mut self, fields: &[(&'static str, u64)]) {
        self.values.retain(|name, _| !name.starts_with("tcpi_"));
        self.values.extend(fields.iter().map(|(n, v)| ((*n).to_string(), *v as f64)));
    }

    /// Runs a block.
    pub(super) fn run(&mut self, code: &str) -> Result<(), Trouble> {
        code.lines().flat_map(statements).try_for_each(|s| self.statement(s.trim()))
    }

    fn statement(&mut self, text: &str) -> Result<(), Trouble> {
        let toks = tokens(text)?;
        let mut p = Parser { toks: &toks, at: 0, depth: 0, names: &self.values };
        match toks.as_slice() {
            [] => Ok(()),
            [Token::Name(n), ..] if n == "assert" => {
                p.at = 1;
                let v = p.or()?;
                if !(p.at == toks.len() || p.take(",")) {
                    return Err(Trouble::Unsupported(format!("the code {text:?}")));
                }
                if v != 0.0 {
                    return Ok(());
                }
                let mut used: Vec<&String> = toks
                    .iter()
                    .filter_map(|t| match t {
                        Token::Name(n) if self.values.contains_key(n) => Some(n),
                        _ => None,
                    })
                    .collect();
                used.sort();
                used.dedup();
                let values: Vec<String> = used.iter().map(|n| format!("{n} = {}", self.values[*n])).collect();
                Err(Trouble::Failed(format!("{text}   ({})", values.join(", "))))
            }
            [Token::Name(n), ..] if n == "print" => Ok(()),
            [Token::Name(n), Token::Op("="), ..] => {
                p.at = 2;
                let v = p.or()?;
                if p.at < toks.len() {
                    return Err(Trouble::Unsupported(format!("the code {text:?}")));
                }
                self.values.insert(n.clone(), v);
                Ok(())
            }
            _ => Err(Trouble::Unsupported(format!("the code {text:?}"))),
        }
    }
}

/// The statements of a line: `;` parts them and `#` ends them, but not in a text.
fn statements(line: &str) -> Vec<&str> {
    let (mut all, mut start, mut quote) = (Vec::new(), 0, None);
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => {
                all.push(&line[start..i]);
                return all;
            }
            (None, ';') => {
                all.push(&line[start..i]);
                start = i + 1;
            }
            (None, _) => {}
        }
    }
    all.push(&line[start..]);
    all
}

/// How many operands may be open at once.
const DEEPEST: u8 = 64;

struct Parser<'a> {
    toks: &'a [Token],
    at: usize,
    depth: u8,
    names: &'a HashMap<String, f64>,
}

impl Parser<'_> {
    fn take(&mut self, op: &str) -> bool {
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

    fn or(&mut self) -> Result<f64, Trouble> {
        let mut v = self.and()?;
        while self.take("or") {
            let w = self.and()?;
            v = if v != 0.0 { v } else { w };
        }
        Ok(v)
    }

    fn and(&mut self) -> Result<f64, Trouble> {
        let mut v = self.not()?;
        while self.take("and") {
            let w = self.not()?;
            v = if v == 0.0 { v } else { w };
        }
        Ok(v)
    }

    /// Operands within operands, though not without end.
    fn deeper(&mut self, read: fn(&mut Self) -> Result<f64, Trouble>) -> Result<f64, Trouble> {
        if self.depth == DEEPEST {
            return Err(Trouble::Unsupported("code as deep as this".into()));
        }
        self.depth += 1;
        let v = read(self);
        self.depth -= 1;
        v
    }

    fn not(&mut self) -> Result<f64, Trouble> {
        if self.take("not") {
            return Ok(f64::from(u8::from(self.deeper(Self::not)? == 0.0)));
        }
        self.comparison()
    }

    /// `a < b <= c` holds if both parts do.
    fn comparison(&mut self) -> Result<f64, Trouble> {
        let mut left = self.bits()?;
        let (mut holds, mut any) = (true, false);
        while let Some(op) = self.one_of(&["==", "!=", "<=", ">=", "<", ">"]) {
            let right = self.bits()?;
            holds &= match op {
                "==" => left == right,
                "!=" => left != right,
                "<=" => left <= right,
                ">=" => left >= right,
                "<" => left < right,
                _ => left > right,
            };
            (left, any) = (right, true);
        }
        Ok(if any { f64::from(u8::from(holds)) } else { left })
    }

    /// `|` binds less than `^`, and that less than `&`.
    fn bits(&mut self) -> Result<f64, Trouble> {
        let mut v = self.exclusive()?;
        while self.take("|") {
            v = (v as i64 | self.exclusive()? as i64) as f64;
        }
        Ok(v)
    }

    fn exclusive(&mut self) -> Result<f64, Trouble> {
        let mut v = self.both()?;
        while self.take("^") {
            v = (v as i64 ^ self.both()? as i64) as f64;
        }
        Ok(v)
    }

    fn both(&mut self) -> Result<f64, Trouble> {
        let mut v = self.shift()?;
        while self.take("&") {
            v = (v as i64 & self.shift()? as i64) as f64;
        }
        Ok(v)
    }

    fn shift(&mut self) -> Result<f64, Trouble> {
        let mut v = self.sum()?;
        while let Some(op) = self.one_of(&["<<", ">>"]) {
            let by = (self.sum()? as i64).clamp(0, 62);
            v = if op == "<<" { (v as i64) << by } else { v as i64 >> by } as f64;
        }
        Ok(v)
    }

    fn sum(&mut self) -> Result<f64, Trouble> {
        let mut v = self.product()?;
        while let Some(op) = self.one_of(&["+", "-"]) {
            let w = self.product()?;
            v = if op == "+" { v + w } else { v - w };
        }
        Ok(v)
    }

    fn product(&mut self) -> Result<f64, Trouble> {
        let mut v = self.unary()?;
        while let Some(op) = self.one_of(&["*", "//", "/", "%"]) {
            let w = self.unary()?;
            if op != "*" && w == 0.0 {
                return Err(Trouble::Failed("division by zero".into()));
            }
            v = match op {
                "*" => v * w,
                "/" => v / w,
                "//" => (v / w).floor(),
                _ => v.rem_euclid(w),
            };
        }
        Ok(v)
    }

    fn unary(&mut self) -> Result<f64, Trouble> {
        if self.take("-") {
            return Ok(-self.deeper(Self::unary)?);
        }
        if self.take("+") {
            return self.deeper(Self::unary);
        }
        if self.take("~") {
            return Ok(!(self.deeper(Self::unary)? as i64) as f64);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<f64, Trouble> {
        let unsupported = |what: String| Err(Trouble::Unsupported(what));
        let t = self.toks.get(self.at).cloned();
        self.at += 1;
        match t {
            Some(Token::Number(n)) => Ok(n),
            Some(Token::Op("(")) => {
                let v = self.deeper(Self::or)?;
                if self.take(")") { Ok(v) } else { unsupported("code without a closing parenthesis".into()) }
            }
            Some(Token::Name(n)) if self.take("(") => {
                let mut args = vec![self.deeper(Self::or)?];
                while self.take(",") {
                    args.push(self.deeper(Self::or)?);
                }
                if !self.take(")") {
                    return unsupported("code without a closing parenthesis".into());
                }
                match n.as_str() {
                    "abs" => Ok(args[0].abs()),
                    "int" => Ok(args[0].trunc()),
                    "min" => Ok(args.iter().copied().fold(f64::INFINITY, f64::min)),
                    "max" => Ok(args.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
                    _ => unsupported(format!("the function {n}")),
                }
            }
            Some(Token::Name(n)) => match self.names.get(&n) {
                Some(v) => Ok(*v),
                None => unsupported(format!("{n} in code")),
            },
            Some(other) => unsupported(format!("{other:?} in code")),
            None => unsupported("code that ends too early".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_of_scripts() {
        let mut n = Names::new();
        n.set(&[("tcpi_snd_cwnd", 10), ("tcpi_rtt", 100_250), ("tcpi_options", 6)]);
        for ok in [
            "assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd",
            "assert 100000 <= tcpi_rtt <= 101000",
            "assert abs(tcpi_rtt - 100000) < 1000 and not tcpi_snd_cwnd > 10",
            "assert tcpi_options & TCPI_OPT_SACK != 0 or False",
            "assert (tcpi_options & (TCPI_OPT_SACK | TCPI_OPT_WSCALE)) == 6",
            "print(\"x\", tcpi_rtt)\nassert tcpi_snd_cwnd * 2 == 20; assert 7 // 2 == 3 # why",
            "x = tcpi_rtt / 2\nassert x == 50125 and -1 < 0 and 1 << 3 == 8 and max(1, 2) == 2",
            "",
        ] {
            assert_eq!(n.run(ok), Ok(()), "{ok}");
        }
        assert_eq!(
            n.run("assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd"),
            Err(Trouble::Failed("assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd   (tcpi_snd_cwnd = 10)".into()))
        );
        assert_eq!(n.run("assert 1 | 2 & 0 == 1, \"a;b # c\"\nassert 1 | 2 ^ 3 & 1 == 3"), Ok(()));
        n.set(&[]);
        assert!(
            matches!(n.run("assert tcpi_rtt > 0"), Err(Trouble::Unsupported(_))),
            "what is not told now is not known"
        );
        let deep = format!("assert {}1", "(".repeat(100_000));
        for odd in [
            &*deep,
            &*format!("assert {}1", "-".repeat(100_000)),
            "x = 1 2",
            "import os",
            "assert tcpi_nonsense == 1",
            "assert foo(1)",
            "for x in y:",
            "assert (1",
            "assert 1 2",
        ] {
            assert!(matches!(n.run(odd), Err(Trouble::Unsupported(_))), "{odd}");
        }
    }
}
