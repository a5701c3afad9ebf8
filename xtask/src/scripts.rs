//! Which script plays which event in which state (RFC 9293 3.10).

use crate::{Result, files, page, read, root};
use std::collections::BTreeMap;
use std::fmt::Write;

const STATES: [&str; 11] = [
    "closed",
    "listen",
    "syn-sent",
    "syn-received",
    "established",
    "fin-wait-1",
    "fin-wait-2",
    "close-wait",
    "closing",
    "last-ack",
    "time-wait",
];

/// The calls of 3.10.1 to 3.10.6, what may arrive (3.10.7), and the timeouts of 3.10.8.
const EVENTS: [&str; 22] = [
    "open-active",
    "open-passive",
    "send",
    "receive",
    "close",
    "abort",
    "status",
    "segment-rst",
    "segment-syn",
    "segment-syn-ack",
    "segment-ack",
    "segment-ack-of-unsent",
    "segment-ack-old",
    "segment-text",
    "segment-text-outside",
    "segment-text-out-of-order",
    "segment-urg",
    "segment-fin",
    "segment-without-flags",
    "timeout-user",
    "timeout-retransmission",
    "timeout-time-wait",
];

/// The event that a script's name stands for: the longest that it begins with.
fn event(name: &str) -> Option<&'static str> {
    let begins = |e: &&&str| name == **e || name.strip_prefix(**e).is_some_and(|r| r.starts_with('-'));
    EVENTS.iter().filter(begins).max_by_key(|e| e.len()).copied()
}

/// Checks, and writes the page.
pub fn run(check: bool) -> Result<String> {
    let mut cells: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut situations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let all = files("tests/scripts", &[".pkt"])?;
    for f in &all {
        let Some((dir, name)) = f.strip_prefix("tests/scripts/").and_then(|p| p.split_once('/')) else {
            return Err(format!("{f}: a script lies in tests/scripts/DIRECTORY/"));
        };
        let name = name.trim_end_matches(".pkt");
        match event(name) {
            Some(e) if STATES.contains(&dir) => *cells.entry((dir.to_string(), e)).or_default() += 1,
            _ if STATES.contains(&dir) => return Err(format!("{f}: the name is none of the events")),
            _ => situations.entry(dir.to_string()).or_default().push(name.to_string()),
        }
    }
    let mut reasons = BTreeMap::new();
    for line in read(&root().join("tests/scripts/empty.txt"))?.lines().filter(|l| !l.trim().is_empty()) {
        let (cell, why) = line.split_once(": ").ok_or_else(|| format!("tests/scripts/empty.txt: {line:?}"))?;
        let (state, e) = cell.split_once('/').ok_or_else(|| format!("tests/scripts/empty.txt: {line:?}"))?;
        let e = event(e).ok_or_else(|| format!("tests/scripts/empty.txt: no event {e:?}"))?;
        reasons.insert((state.to_string(), e), why.to_string());
    }
    let mut missing = Vec::new();
    let mut s = format!(
        "# Scripts\n\nMade by `cargo xtask scripts` from `tests/scripts/`; not edited by hand. {} scripts, each written from the RFC by\n\
         situation, played by `synfin drill --strict tests/scripts` and by `cargo test`.\n\n\
         ## Every state and every event of RFC 9293 3.10\n\nHow many scripts play the event in the state; `-` has its reason below.\n\n| Event |",
        all.len()
    );
    STATES.iter().for_each(|st| s += &format!(" {} |", st.to_uppercase()));
    s += "\n|---|";
    STATES.iter().for_each(|_| s += "---|");
    s += "\n";
    for e in EVENTS {
        let _ = write!(s, "| {e} |");
        for st in STATES {
            let key = (st.to_string(), e);
            match (cells.get(&key), reasons.contains_key(&key)) {
                (Some(n), _) => s += &format!(" {n} |"),
                (None, true) => s += " - |",
                (None, false) => missing.push(format!("{st}/{e}")),
            }
        }
        s += "\n";
    }
    if !missing.is_empty() {
        return Err(format!("neither script nor reason: {}", missing.join(", ")));
    }
    s += "\nWithout a script:\n\n";
    for ((st, e), why) in reasons.iter().filter(|(k, _)| !cells.contains_key(*k)) {
        let _ = writeln!(s, "- {}, {e}: {why}", st.to_uppercase());
    }
    s += "\n## Situations\n";
    for (dir, names) in &situations {
        let _ = write!(s, "\n**{dir}**: {}\n", names.join(", "));
    }
    page("scripts.md", &s, check)?;
    let filled = cells.len();
    let total = STATES.len() * EVENTS.len();
    Ok(format!(
        "{} scripts; {filled} of {total} cells of state and event have one, {} a reason",
        all.len(),
        total - filled
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_event_counts() {
        assert_eq!(event("segment-text-outside-dsack"), Some("segment-text-outside"));
        assert_eq!(event("segment-text-edge"), Some("segment-text"));
        assert_eq!(event("segment-ack-of-unsent"), Some("segment-ack-of-unsent"));
        assert_eq!((event("segment-texts"), event("nonsense")), (None, None));
    }
}
