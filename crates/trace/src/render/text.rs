//! Lines with states and words, and a sequence diagram: time runs down, one column per host, the states at its sides.

use crate::render::line::time;
use crate::report::{Entry, Report, Step};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::net::SocketAddr;
use synfin_tcp::State;

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

/// The width of the columns beside: a state's name, what a program does.
const BESIDE: usize = 16;
/// The width between the columns.
const BETWEEN: usize = 50;

/// The sequence diagram; what is too long for its column goes on below. `ascii`: no other characters.
///
/// Where there is more than one connection, an arrow begins with the port of the client's end, and states are those of its
/// connection.
pub fn diagram(r: &Report, ascii: bool) -> String {
    let signs = if ascii { ASCII } else { UNICODE };
    let mut out = String::new();
    let _ = writeln!(out, "{:15} {:>BESIDE$}  {:BETWEEN$}  {:<BESIDE$}", "", r.left, "", r.right);
    let several = r.entries.iter().filter_map(connection).collect::<HashSet<_>>().len() > 1;
    let mut before: HashMap<Connection, (State, State)> = HashMap::new();
    for e in &r.entries {
        let (left, between, right) = match &e.step {
            Step::Segment { rightwards, label, states, lost, words, ends, .. } => {
                // A state is written where it changes.
                let was = connection(e).and_then(|c| before.insert(c, *states));
                let new =
                    |was: Option<State>, is: State| if was == Some(is) { Vec::new() } else { vec![is.to_string()] };
                let client = if *rightwards { ends.0 } else { ends.1 };
                let label = if several { format!("{} {label}", client.port()) } else { label.clone() };
                let between = [arrow(&label, *rightwards, *lost, &signs), wrap(words, BETWEEN)].concat();
                (new(was.map(|w| w.0), states.0), between, new(was.map(|w| w.1), states.1))
            }
            Step::Program { left: true, what } => (wrap(what, BESIDE), Vec::new(), Vec::new()),
            Step::Program { left: false, what } => (Vec::new(), Vec::new(), wrap(what, BESIDE)),
            Step::Remark(words) => (Vec::new(), wrap(words, BETWEEN), Vec::new()),
        };
        for i in 0..left.len().max(between.len()).max(right.len()).max(1) {
            let at = if i == 0 { time(e.at) } else { String::new() };
            let [l, b, r] = [&left, &between, &right].map(|column| column.get(i).map_or("", String::as_str));
            let _ = writeln!(out, "{at:15} {l:>BESIDE$} {bar}{b:^BETWEEN$}{bar} {r:<BESIDE$}", bar = signs.bar);
        }
    }
    out
}

/// Client and server.
type Connection = (SocketAddr, SocketAddr);

fn connection(e: &Entry) -> Option<Connection> {
    match &e.step {
        Step::Segment { rightwards: true, ends, .. } => Some(*ends),
        Step::Segment { rightwards: false, ends, .. } => Some((ends.1, ends.0)),
        _ => None,
    }
}

/// What a diagram is drawn with.
struct Signs {
    bar: char,
    dash: &'static str,
    right: char,
    left: char,
    cross: char,
}

const ASCII: Signs = Signs { bar: '|', dash: "-", right: '>', left: '<', cross: 'X' };
const UNICODE: Signs = Signs { bar: '│', dash: "─", right: '▶', left: '◀', cross: '✗' };

/// Rows of at most `width` characters, broken at spaces where there are any.
fn wrap(s: &str, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let mut room = 0;
    for word in s.split_whitespace() {
        let n = word.chars().count();
        match rows.last_mut() {
            Some(row) if n < room => {
                *row += " ";
                *row += word;
                room -= n + 1;
            }
            _ => {
                let all: Vec<char> = word.chars().collect();
                rows.extend(all.chunks(width).map(|c| c.iter().collect::<String>()));
                room = width - rows.last().map_or(0, |r| r.chars().count());
            }
        }
    }
    rows
}

/// An arrow over the whole width, and below it what its label has too much.
fn arrow(label: &str, rightwards: bool, lost: bool, signs: &Signs) -> Vec<String> {
    let mut rows = wrap(label, BETWEEN - 6);
    let text = rows.first().map_or(String::new(), |first| format!(" {first} "));
    let room = BETWEEN - 2 - text.chars().count();
    let line = |n: usize| signs.dash.repeat(n);
    let head = match (lost, rightwards) {
        (true, _) => signs.cross,
        (false, true) => signs.right,
        (false, false) => signs.left,
    };
    let (a, b) = (room / 2, room - room / 2);
    let drawn = if rightwards {
        format!("{}{text}{}{head}", line(a + 1), line(b))
    } else {
        format!("{head}{}{text}{}", line(a), line(b + 1))
    };
    rows.splice(..rows.len().min(1), [drawn]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report() -> Report {
        let seg = |rightwards, label: &str, states, words: &str, lost| {
            let (client, server) = (([192, 0, 2, 2], 1).into(), ([192, 0, 2, 1], 80).into());
            Step::Segment {
                rightwards,
                line: "IP a > b".into(),
                label: label.into(),
                states,
                words: words.into(),
                lost,
                ends: if rightwards { (client, server) } else { (server, client) },
            }
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

    /// Two connections, and nothing short.
    fn long_report() -> Report {
        let mut r = report();
        let segment = |port: u16, rightwards, label: &str, states| {
            let (client, server) = (([192, 0, 2, 2], port).into(), ([192, 0, 2, 1], 80).into());
            Step::Segment {
                rightwards,
                line: "IP a > b".into(),
                label: label.into(),
                states,
                words: "handshake 3/3: the server knows that the client can receive; both agree on both numbers".into(),
                lost: false,
                ends: if rightwards { (client, server) } else { (server, client) },
            }
        };
        use State::*;
        let steps = [
            Step::Program { left: true, what: "curl http://www.example.test/ at 192.0.2.1:80".into() },
            Step::Program { left: false, what: "read \"GET / HTTP/1.0\", write 156 octets, close".into() },
            segment(40_001, true, "SYN seq=4294967295", (SynSent, SynReceived)),
            segment(1, false, "FIN,PSH,ACK seq=4294967290:4294967295 ack=4294967295", (Established, FinWait1)),
            segment(40_001, false, "SYN,ACK seq=5 ack=0", (Established, SynReceived)),
            Step::Remark(
                "2 MSL are over: CLOSED; on our side 0 connections, 0 in TIME-WAIT, 0 timers: all free".into(),
            ),
        ];
        r.entries.extend(steps.map(|step| Entry { at: Duration::from_micros(150), step }));
        r
    }

    #[test]
    fn what_is_long_goes_on_below_and_connections_are_told_apart() {
        insta::assert_snapshot!(diagram(&long_report(), true));
    }

    #[test]
    fn no_row_is_longer_than_its_column_and_no_character_is_missing() {
        let s = "a http://www.example.test/page word, and \"two  more\"";
        for width in 1..60 {
            let rows = wrap(s, width);
            assert!(rows.iter().all(|r| !r.is_empty() && r.chars().count() <= width), "{rows:?}");
            assert_eq!(rows.concat().replace(' ', ""), s.replace(' ', ""), "{width}");
        }
        assert!(wrap("", 9).is_empty());
    }

    #[test]
    fn every_row_of_the_unicode_diagram_is_as_wide() {
        let d = diagram(&long_report(), false);
        let wide: Vec<usize> = d.lines().map(|l| l.chars().count()).collect();
        assert!(wide.windows(2).all(|w| w[0] == w[1]), "{wide:?}\n{d}");
        let bars: Vec<usize> = d
            .lines()
            .skip(1)
            .map(|l| l.chars().enumerate().filter(|(_, c)| *c == '│').map(|(i, _)| i).last().unwrap_or(0))
            .collect();
        assert!(bars.windows(2).all(|w| w[0] == w[1]), "{bars:?}\n{d}");
    }
}
