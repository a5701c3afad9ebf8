//! Lines with states and words, and a sequence diagram: time runs down, one column per host, the states at its sides.

use crate::render::line::time;
use crate::report::{Entry, Report, Step};
use std::fmt::Write;

/// One entry as a line.
pub fn entry(e: &Entry) -> String {
    let t = time(e.at);
    match &e.step {
        Step::Segment { line, states, words, lost, .. } => {
            let lost = if *lost { " | LOST" } else { "" };
            format!("{t} {line} | {} | {}{lost} | {words}", states.0, states.1)
        }
        Step::Program { left, what } => {
            format!("{t} {}: {what}", if *left { "client" } else { "server" })
        }
        Step::Remark(words) => format!("{t} -- {words}"),
    }
}

/// The width of a state's name.
const STATE: usize = 12;
/// The width between the columns.
const BETWEEN: usize = 46;

/// The sequence diagram. `ascii`: no other characters.
pub fn diagram(r: &Report, ascii: bool) -> String {
    let (bar, dash, right, left, cross) =
        if ascii { ('|', '-', '>', '<', 'X') } else { ('│', '─', '▶', '◀', '✗') };
    let mut out = String::new();
    let _ = writeln!(out, "{:>17}{:>STATE$}   {:<BETWEEN$}  {}", "", r.left, "", r.right);
    let mut before = (String::new(), String::new());
    for e in &r.entries {
        match &e.step {
            Step::Segment { rightwards, label, states, lost, words, .. } => {
                let (l, s) = (states.0.to_string(), states.1.to_string());
                // A state is written where it changes.
                let shown = (if l == before.0 { "" } else { &l[..] }, if s == before.1 { "" } else { &s[..] });
                let body = arrow(label, *rightwards, *lost, dash, right, left, cross);
                let _ = writeln!(out, "{} {:>STATE$} {bar}{body}{bar} {:<STATE$}", time(e.at), shown.0, shown.1);
                if !words.is_empty() {
                    let _ = writeln!(out, "{:>15} {:>STATE$} {bar}{:^BETWEEN$}{bar}", "", "", fit(words));
                }
                before = (l, s);
            }
            Step::Program { left, what } => {
                let (l, s) = if *left { (what.as_str(), "") } else { ("", what.as_str()) };
                let _ = writeln!(out, "{} {:>STATE$} {bar}{:^BETWEEN$}{bar} {s}", time(e.at), tail(l), "");
            }
            Step::Remark(words) => {
                let _ = writeln!(out, "{} {:>STATE$} {bar}{:^BETWEEN$}{bar}", time(e.at), "", fit(words));
            }
        }
    }
    out
}

fn fit(s: &str) -> String {
    if s.chars().count() <= BETWEEN { s.to_string() } else { s.chars().take(BETWEEN - 2).chain("..".chars()).collect() }
}

fn tail(s: &str) -> String {
    s.chars().take(STATE).collect()
}

fn arrow(label: &str, rightwards: bool, lost: bool, dash: char, right: char, left: char, cross: char) -> String {
    let text = format!(" {label} ");
    let room = BETWEEN.saturating_sub(text.chars().count() + 2);
    let (a, b) = (room / 2, room - room / 2);
    let line = |n: usize| dash.to_string().repeat(n);
    match (rightwards, lost) {
        (true, false) => format!("{}{text}{}{right}", line(a + 1), line(b)),
        (true, true) => format!("{}{text}{}{cross}", line(a + 1), line(b)),
        (false, false) => format!("{left}{}{text}{}", line(a), line(b + 1)),
        (false, true) => format!("{cross}{}{text}{}", line(a), line(b + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use synfin_tcp::State;

    fn report() -> Report {
        let seg = |rightwards, label: &str, states, words: &str, lost| Step::Segment {
            rightwards,
            line: "IP a > b".into(),
            label: label.into(),
            states,
            words: words.into(),
            lost,
            ends: (([192, 0, 2, 2], 1).into(), ([192, 0, 2, 1], 80).into()),
        };
        let at = Duration::from_micros;
        Report {
            left: "client".into(),
            right: "server".into(),
            entries: vec![
                Entry { at: at(0), step: Step::Program { left: true, what: "connect".into() } },
                Entry {
                    at: at(1),
                    step: seg(true, "SYN seq=9", (State::SynSent, State::SynReceived), "handshake 1/3", false),
                },
                Entry {
                    at: at(131),
                    step: seg(false, "SYN,ACK seq=5 ack=10", (State::Established, State::SynReceived), "", false),
                },
                Entry { at: at(140), step: seg(true, "ACK ack=1", (State::Established, State::SynReceived), "", true) },
            ],
        }
    }

    #[test]
    fn the_diagram() {
        insta::assert_snapshot!(diagram(&report(), true));
    }

    #[test]
    fn every_row_of_the_unicode_diagram_is_as_wide() {
        let d = diagram(&report(), false);
        let bars: Vec<usize> = d
            .lines()
            .skip(1)
            .map(|l| l.chars().enumerate().filter(|(_, c)| *c == '│').map(|(i, _)| i).last().unwrap_or(0))
            .collect();
        assert!(bars.windows(2).all(|w| w[0] == w[1]), "{bars:?}\n{d}");
    }
}
