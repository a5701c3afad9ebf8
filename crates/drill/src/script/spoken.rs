//! What a script says in the languages of others: commands of a shell, and Python. Only names are looked at here: of sysctls,
//! of `tcp_info`'s fields, of constants.

use super::{Cursor, SyntaxError, names};

/// The sysctls that a command sets or shows are some that there are, and its quotes have ends; `at` is where its text begins.
pub(super) fn command(text: &str, at: &Cursor<'_>) -> Result<(), SyntaxError> {
    if let Some((start, quote)) = unclosed_quote(text) {
        let mut here = at.clone();
        here.advance(start);
        return here.fail(format!("this text has no end: expected {quote}"));
    }
    // Whether what comes is the name of a program, and whether it is for one that sets sysctls.
    let (mut first, mut sets, mut comment) = (true, false, false);
    for (start, word) in words(text, |c| !c.is_whitespace() && c != ';') {
        let between = text[..start].rsplit(|c: char| !c.is_whitespace() && c != ';').next().unwrap_or_default();
        let folded = text[..start].trim_end_matches([' ', '\t', '\n']).ends_with('\\');
        if between.contains(';') || between.contains('\n') && !folded {
            (first, sets, comment) = (true, false, false);
        }
        comment |= word.starts_with('#');
        if comment || word == "\\" {
            continue;
        }
        if word == "&&" {
            (first, sets) = (true, false);
            continue;
        }
        if std::mem::take(&mut first) {
            sets = matches!(word.rsplit('/').next(), Some("sysctl" | "set_sysctls.py"));
            continue;
        }
        let key = word.split_once('=').map_or(word, |(key, _)| key);
        let is_name = ["net.", "/proc/sys/"].iter().any(|f| key.trim_start_matches(['"', '\'']).starts_with(f));
        if sets && (is_name || key.len() < word.len()) {
            let bare = key.trim_start_matches(['"', '\'']).trim_start_matches("/proc/sys/");
            let mut here = at.clone();
            here.advance(start + key.len() - bare.len());
            names::sysctl(&bare.replace('/', ".")).or_else(|e| here.fail(e))?;
        }
    }
    Ok(())
}

/// Where a quote begins that does not end, as a shell reads them, and which it is.
fn unclosed_quote(text: &str) -> Option<(usize, char)> {
    let (mut open, mut before) = (None, ' ');
    for (i, c) in text.char_indices() {
        let escaped = before == '\\' && !matches!(open, Some((_, '\'' | '#')));
        match (open, c) {
            _ if escaped => {}
            (None, '"' | '\'') => open = Some((i, c)),
            (None, '#') if before.is_whitespace() || before == ';' => open = Some((i, '#')),
            (Some((_, '#')), '\n') => open = None,
            (Some((_, q)), _) if q == c && q != '#' => open = None,
            _ => {}
        }
        before = if escaped { ' ' } else { c };
    }
    open.filter(|o| o.1 != '#')
}

/// The names that code has given values so far.
#[derive(Debug, Default)]
pub(super) struct Assigned<'a>(Vec<&'a str>);

/// The names in Python's code are some that there are; `at` is where it begins. Code of other statements than the runner
/// knows makes names in ways of its own: of it only those are judged that can be nothing else.
pub(super) fn code<'a>(text: &'a str, at: &Cursor<'_>, assigned: &mut Assigned<'a>) -> Result<(), SyntaxError> {
    let fail = |offset: usize, message: String| {
        let mut here = at.clone();
        here.advance(offset);
        here.fail(message)
    };
    let all: Vec<(usize, &str)> = bare_words(text);
    let plain = !all.iter().any(|(_, w)| MAKES_NAMES.contains(w));
    let mut end_before = 0;
    for (i, &(start, word)) in all.iter().enumerate() {
        let after = text[start + word.len()..].trim_start_matches([' ', '\t']);
        let begins = i == 0 || text[end_before..start].contains(['\n', ';']);
        let is_attribute = text[..start].ends_with('.');
        end_before = start + word.len();
        if after.starts_with('=') && !after.starts_with("==") {
            assigned.0.push(word);
        } else if begins && plain && !is_known(word) && after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            // Two words, of which none is Python's: there is no such statement.
            if !all.get(i + 1).is_some_and(|(_, next)| OPERATORS.contains(next)) {
                return fail(start, names::statement(word));
            }
        }
        let can_be_nothing_else = ["tcpi_", "TCP_", "TCPI_"].iter().any(|f| word.starts_with(f));
        if (plain || can_be_nothing_else) && !is_attribute && !is_known(word) && !assigned.0.contains(&word) {
            names::in_code(word).or_else(|e| fail(start, e))?;
        }
    }
    Ok(())
}

fn is_known(word: &str) -> bool {
    ["assert", "print", "pass"].contains(&word) || OPERATORS.contains(&word)
}

const OPERATORS: &[&str] = &["and", "or", "not", "in", "is", "if", "else"];
/// Python's words with which code makes names that are not assigned.
const MAKES_NAMES: &[&str] = &[
    "as", "async", "await", "class", "def", "del", "except", "exec", "finally", "for", "from", "global", "import",
    "lambda", "nonlocal", "raise", "return", "try", "while", "with", "yield", "elif",
];

/// The words of code, with their offsets: without those in texts, comments and numbers.
fn bare_words(text: &str) -> Vec<(usize, &str)> {
    let (mut quote, mut comment) = (None, false);
    let bare: Vec<bool> = text
        .chars()
        .flat_map(|c| {
            let before = quote;
            match (quote, c) {
                _ if comment => comment = c != '\n',
                (Some(q), _) if q == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '#') => comment = true,
                _ => {}
            }
            let is_bare = !comment && quote.is_none() && before.is_none();
            std::iter::repeat_n(is_bare, c.len_utf8())
        })
        .collect();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let all = words(text, word);
    all.filter(|(i, w)| bare[*i] && !w.starts_with(|c: char| c.is_ascii_digit())).collect()
}

/// The longest runs of what `is_part` takes, with their offsets.
fn words<'a>(text: &'a str, is_part: impl Fn(char) -> bool + Copy + 'a) -> impl Iterator<Item = (usize, &'a str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        let len = text[start..].find(|c| !is_part(c)).unwrap_or(text.len() - start);
        at = start + len;
        Some((start, &text[start..at]))
    })
}

#[cfg(test)]
mod tests {
    use crate::script::Script;

    fn read(text: &str) -> Result<(), (u32, u32, String)> {
        Script::parse("x.pkt", text, &[]).map(|_| ()).map_err(|e| (e.at.line, e.at.column, e.message))
    }

    #[test]
    fn sysctls_of_commands() {
        for fine in [
            "0 `./defaults.sh\nsysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_rmem=\"4096 20000 40000\"`",
            "`../x/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 \\\n  /proc/sys/net/ipv4/tcp_ecn=0 # net.ipv4.tcp_sakc=1`\n0 `true`",
            "0 `FOO=net.bar sysctl -a; ip route change nett.x=1`",
        ] {
            assert_eq!(read(fine), Ok(()), "{fine}");
        }
        for (text, line, column, key) in [
            ("0 `sysctl -q net.ipv4.tcp_sakc=0`", 1, 14, "net.ipv4.tcp_sakc"),
            ("`true; sysctl net.core.somaxcon=\"5\"`\n0 `true`", 1, 15, "net.core.somaxcon"),
            (
                "0 `set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 \\\n  /proc/sys/net/ipv4/tcp_enc=0`",
                2,
                13,
                "net.ipv4.tcp_enc",
            ),
            ("0 `true && sysctl \"net.ipv4.tcp_sakc=0\"`", 1, 20, "net.ipv4.tcp_sakc"),
            ("0 `true`\n`sysctl net.ipv4.tcp_sakc=0`", 2, 9, "net.ipv4.tcp_sakc"),
        ] {
            let (l, c, message) = read(text).expect_err(text);
            assert_eq!((l, c), (line, column), "{text}: {message}");
            assert!(message.starts_with(&format!("unknown sysctl {key}: expected net.")), "{text}: {message}");
        }
    }

    #[test]
    fn names_of_code() {
        for fine in [
            "assert tcpi_state == TCP_ESTABLISHED, 'tcpi_statee'  # tcpi_statee",
            "x = tcpi_rtt; print(x)\nassert x == tcpi_rtt and not bbr_bw_lo, \"a;b tcpi_x\"",
            "assert abs(tcpi_rtt - 0x10) < 1000",
            "for y in (1, 2): z = y",
            "import os\nassert os.path",
            "assert tcpi_snd_wnd.bit_length() == 3",
            "",
        ] {
            assert_eq!(read(&format!("0 %{{ {fine} }}%")), Ok(()), "{fine}");
        }
        assert_eq!(read("0 %{ first = 1 }%\n+0 %{ assert first == 1 }%"), Ok(()), "names stay");
        for (code, column, message) in [
            ("assert tcpi_statee == 1", 13, "unknown name tcpi_statee: expected tcpi_state"),
            ("assert tcpi_state == TCP_ESTABLISHD", 27, "unknown name TCP_ESTABLISHD: expected TCP_ESTABLISHED"),
            ("import os; assert tcpi_rt > 0", 24, "unknown name tcpi_rt: expected tcpi_rto or tcpi_rtt"),
            ("assert second == 1", 13, "unknown name second: expected a field of tcp_info"),
            ("asert tcpi_rtt == 1", 6, "unknown statement asert: expected assert"),
            ("assert asb(tcpi_rtt) == 1", 13, "unknown name asb: expected abs"),
        ] {
            let (l, c, came) = read(&format!("0 %{{ {code} }}%")).expect_err(code);
            assert_eq!((l, c), (1, column), "{code}: {came}");
            assert!(came.starts_with(message), "{code}: {came}");
        }
        let later = read("0 `true`\n+0 %{\nassert tcpi_rtt > 0\nassert 1 < tcpi_statee\n}%").expect_err("misspelt");
        assert_eq!((later.0, later.1), (4, 12), "{}", later.2);
    }
}
