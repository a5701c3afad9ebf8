//! The assertions of `%{ }%`: the part of Python that scripts use, evaluated on the fields of `tcp_info`. What is wrong in
//! Python too fails; what only nobody here can evaluate is not supported.

mod expression;
mod number;
mod token;

use expression::Parser;
use number::Number;
use std::collections::HashMap;
use token::{Token, statements, tokens};

/// Why a block was not accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// An assertion does not hold: its text, and the values of the names in it. Or Python would not run it.
    Failed(String),
    /// It uses what is not here.
    Unsupported(String),
}

/// What the names stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: HashMap<String, Number>,
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

/// Python's own words, which no value can be given.
const WORDS: &[&str] = &["True", "False", "None", "and", "or", "not", "if", "else", "in", "is", "lambda", "assert"];

impl Names {
    /// With the constants.
    pub(super) fn new() -> Names {
        Names { values: CONSTANTS.iter().map(|(n, v)| ((*n).to_string(), Number::Int(i128::from(*v)))).collect() }
    }

    /// Gives the fields of `tcp_info` their values; those that are not told now have none.
    pub(super) fn set(&mut self, fields: &[(&'static str, u64)]) {
        self.values.retain(|name, _| !name.starts_with("tcpi_"));
        self.values.extend(fields.iter().map(|(n, v)| ((*n).to_string(), Number::Int(i128::from(*v)))));
    }

    /// Runs a block.
    pub(super) fn run(&mut self, code: &str) -> Result<(), Trouble> {
        statements(code).iter().try_for_each(|s| self.statement(s.trim()))
    }

    fn statement(&mut self, text: &str) -> Result<(), Trouble> {
        // Of what Python would not run it is said where.
        let named = |t: Trouble| match t {
            Trouble::Failed(what) => Trouble::Failed(format!("{text}   ({what})")),
            other => other,
        };
        let toks = tokens(text).map_err(named)?;
        let unsupported = || Err(Trouble::Unsupported(format!("the code {text:?}")));
        match toks.as_slice() {
            [] => Ok(()),
            [Token::Name(n), ..] if n == "assert" => self.assert(text, &toks).map_err(named),
            [Token::Name(n), ..] if n == "print" => {
                let mut p = Parser::new(&toks, 0, &self.values);
                p.read(true, Parser::or)?;
                if p.is_at_end() { Ok(()) } else { unsupported() }
            }
            [Token::Name(n), Token::Op("="), ..] if WORDS.contains(&n.as_str()) => {
                Err(named(Trouble::Failed(format!("{n} cannot be given a value"))))
            }
            [Token::Name(n), Token::Op("="), ..] => {
                let mut p = Parser::new(&toks, 2, &self.values);
                let v = p.or().map_err(named)?;
                if !p.is_at_end() {
                    return unsupported();
                }
                self.values.insert(n.clone(), v);
                Ok(())
            }
            _ => unsupported(),
        }
    }

    /// `assert EXPR` or `assert EXPR, EXPR`, of which the second is for who reads.
    fn assert(&self, text: &str, toks: &[Token]) -> Result<(), Trouble> {
        let mut p = Parser::new(toks, 1, &self.values);
        let holds = p.or()?.is_true();
        if p.take(",") {
            if p.is_at_end() {
                return Err(Trouble::Failed("nothing stands after the comma".into()));
            }
            p.read(true, Parser::or)?;
        }
        if !p.is_at_end() {
            return Err(Trouble::Unsupported(format!("the code {text:?}")));
        }
        if holds {
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
        Err(Trouble::Failed(values.join(", ")))
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
        assert_eq!(n.run("assert 0"), Err(Trouble::Failed("assert 0   ()".into())));
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

    #[test]
    fn numbers_are_pythons() {
        let mut n = Names::new();
        for holds in [
            "-7 % -3 == -1 and -7 % 3 == 2 and 7 % -3 == -2 and -7 // 2 == -4 and 7 // -2 == -4",
            "-7.5 % 2 == 0.5 and 7.5 // -2 == -4.0 and 6.0 // 2 == 3",
            "9007199254740993 != 9007199254740992 and 9007199254740993 != 9007199254740992.0",
            "2.5 > 2 and 2 < 2.5 and -2.5 < -2 and 1 == 1.0",
            "1 << 63 == 2 * (1 << 62) and 1 << 63 > 1 << 62 and -1 >> 200 == -1 and 0 << 999 == 0",
            "2**3 == 8 and -2**2 == -4 and 2**-1 == 0.5 and 2**3**2 == 512 and 4**.5 == 2.0",
            "0x1F == 31 and 0b101 == 5 and 0o17 == 15 and 1_000 == 1000 and 1e3 == 1000 and .5 + 5. == 5.5 and 00 == 0",
            "int(-1.5) == -1 and float(2) == 2.0 and abs(-3) == 3 and min(3, 1, 2) == 1 and max(1, 2.5) == 2.5",
            "~5 == -6 and not 0 == True and 3 - - 2 == 5",
            // What Python does not evaluate it does not complain of.
            "True or 1 / 0",
            "not (False and 1 << -1) and not (1 > 2 < 1 / 0)",
        ] {
            assert_eq!(n.run(&format!("assert {holds}")), Ok(()), "{holds}");
        }
        for wrong in [
            "assert 9007199254740993 == 9007199254740992",
            "assert 1 << 63 == 1 << 62",
            "assert 1 << -1 == 1",
            "assert 1.5 & 1 == 1",
            "assert abs(1, 2) == 1",
            "assert max(3) == 3",
            "assert 08 == 8",
            "assert 1 / 0",
            "assert 1 % 0.0",
            "assert 0 ** -1",
            "True = 0",
            "assert 1,",
        ] {
            assert!(matches!(n.run(wrong), Err(Trouble::Failed(ref w)) if w.starts_with(wrong)), "{wrong}");
        }
        for odd in [
            "assert 1 << 127 > 0",
            "assert 2**200 > 0",
            "assert (-8)**.5",
            "assert 1, x.y",
            "assert 1, (2",
            "assert 1j",
        ] {
            assert!(matches!(n.run(odd), Err(Trouble::Unsupported(_))), "{odd}");
        }
    }

    #[test]
    fn a_statement_goes_on_while_a_bracket_is_open() {
        let mut n = Names::new();
        let code = "x = (1 + # one\n 2)\nassert (x == 3 and\n x > 2), \"a ; ( \\\" b\"\nassert x == \\\n 3; assert max(1,\n 2,\n) == 2\n";
        assert_eq!(n.run(code), Ok(()));
        assert_eq!(
            n.run("assert (x ==\n 4), 'it (' % (x, 'y')"),
            Err(Trouble::Failed("assert (x ==  4), 'it (' % (x, 'y')   (x = 3)".into()))
        );
        assert_eq!(n.run("print('(', x)\nassert x == 3"), Ok(()));
        assert!(matches!(n.run("print(x\nassert x == 4"), Err(Trouble::Unsupported(_))));
    }
}
