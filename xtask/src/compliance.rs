//! Requirements of the RFCs, where they are obeyed and where that is proved.
//!
//! A citation is a comment, `//= RFC 9293 3.8.6.1 MUST-36 SHLD-29`: an RFC, sections, labels. In `tests/`, in a module under
//! `#[cfg(test)]` and in a script it counts as a proof, elsewhere as obedience.

use crate::{Result, files, page, read, root};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[derive(Debug, Deserialize)]
struct Requirements {
    requirement: Vec<Requirement>,
}

/// A label of RFC 9293's appendix B, or a section of another RFC.
#[derive(Debug, Clone, Deserialize)]
struct Requirement {
    label: Option<String>,
    section: String,
    says: String,
}

#[derive(Debug, Deserialize)]
struct Exceptions {
    exception: Vec<Exception>,
}

#[derive(Debug, Clone, Deserialize)]
struct Exception {
    clause: String,
    says: String,
    ours: String,
    #[serde(default)]
    labels: Vec<String>,
}

/// A citation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Citation {
    rfc: u32,
    sections: Vec<String>,
    labels: Vec<String>,
    file: String,
    proof: bool,
}

fn is_label(w: &str) -> bool {
    ["MUST-", "SHLD-", "MAY-", "REC-"]
        .iter()
        .any(|p| w.strip_prefix(p).is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit())))
}

fn is_section(w: &str) -> bool {
    w.chars().next().is_some_and(|c| c.is_ascii_digit())
        && w.chars().all(|c| c.is_ascii_digit() || c == '.')
        && !w.ends_with('.')
}

/// Reads the citations of a file.
fn citations(file: &str, text: &str) -> Vec<Citation> {
    let mut proof = file.contains("/tests/") || file.starts_with("tests/");
    let mut all = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // A field or a line that is there for tests only begins no module of tests.
        proof |= line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(|l| l.trim_start().starts_with("mod "));
        let Some((_, rest)) = line.split_once("//= RFC ") else { continue };
        let mut words = rest.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '(' | ')' | ';'));
        let Some(rfc) = words.next().and_then(|w| w.parse().ok()) else { continue };
        let mut c = Citation { rfc, sections: Vec::new(), labels: Vec::new(), file: file.to_string(), proof };
        for w in words.filter(|w| !w.is_empty()) {
            if is_label(w) {
                c.labels.push(w.to_string());
            } else if is_section(w) && c.labels.is_empty() {
                c.sections.push(w.to_string());
            } else {
                break;
            }
        }
        all.push(c);
    }
    all
}

/// The RFCs of `compliance/`, with their requirements.
fn requirements() -> Result<BTreeMap<u32, Vec<Requirement>>> {
    let mut all = BTreeMap::new();
    for f in files("compliance", &[".toml"])? {
        let Some(n) = f.strip_prefix("compliance/rfc").and_then(|n| n.strip_suffix(".toml")) else { continue };
        let n: u32 = n.parse().map_err(|_| format!("{f}: the name is rfcN.toml"))?;
        let r: Requirements = toml::from_str(&read(&root().join(&f))?).map_err(|e| format!("{f}: {e}"))?;
        all.insert(n, r.requirement);
    }
    Ok(all)
}

struct Row {
    rfc: u32,
    requirement: Requirement,
    obeyed: BTreeSet<String>,
    proved: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

impl Row {
    fn name(&self) -> String {
        match &self.requirement.label {
            Some(l) => format!("RFC {} {l} ({})", self.rfc, self.requirement.section),
            None => format!("RFC {} {}", self.rfc, self.requirement.section),
        }
    }

    fn holds(&self) -> bool {
        !self.exceptions.is_empty() || (!self.obeyed.is_empty() && !self.proved.is_empty())
    }
}

fn rows() -> Result<Vec<Row>> {
    let mut cited = Vec::new();
    for f in ["crates", "tests", "fuzz/targets"]
        .iter()
        .map(|d| files(d, &[".rs", ".pkt"]))
        .collect::<Result<Vec<_>>>()?
        .concat()
    {
        cited.extend(citations(&f, &read(&root().join(&f))?));
    }
    let exceptions: Exceptions = toml::from_str(&read(&root().join("compliance/exceptions.toml"))?)
        .map_err(|e| format!("compliance/exceptions.toml: {e}"))?;
    let all = requirements()?;
    let labels: BTreeSet<&str> = all.values().flatten().filter_map(|r| r.label.as_deref()).collect();
    let said = cited.iter().flat_map(|c| c.labels.iter().map(|l| (l, c.file.as_str())));
    let excepted = exceptions.exception.iter().flat_map(|e| e.labels.iter().map(|l| (l, "compliance/exceptions.toml")));
    if let Some((l, file)) = said.chain(excepted).find(|(l, _)| !labels.contains(l.as_str())) {
        return Err(format!("{file}: there is no {l}"));
    }
    let mut rows = Vec::new();
    for (rfc, list) in &all {
        for r in list {
            let meant = |c: &&Citation| match &r.label {
                Some(l) => c.rfc == *rfc && c.labels.contains(l),
                None => c.rfc == *rfc && c.sections.contains(&r.section),
            };
            let of = |proof: bool| {
                cited.iter().filter(meant).filter(|c| c.proof == proof).map(|c| c.file.clone()).collect::<BTreeSet<_>>()
            };
            let excepted = |e: &&Exception| match &r.label {
                Some(l) => e.labels.contains(l),
                None => e.clause.split_whitespace().take(3).eq(["RFC", &rfc.to_string(), &r.section]),
            };
            rows.push(Row {
                rfc: *rfc,
                requirement: r.clone(),
                obeyed: of(false),
                proved: of(true),
                exceptions: exceptions.exception.iter().filter(excepted).cloned().collect(),
            });
        }
    }
    Ok(rows)
}

fn list(files: &BTreeSet<String>) -> String {
    let short = |f: &String| f.trim_start_matches("crates/").replace("/src/", "/").to_string();
    let (shown, more) = (files.iter().take(4).map(short).collect::<Vec<_>>().join(", "), files.len().saturating_sub(4));
    if more > 0 { format!("{shown}, and {more} more") } else { shown }
}

/// Checks, and writes the page.
pub fn run(check: bool) -> Result<String> {
    let rows = rows()?;
    let missing: Vec<String> = rows
        .iter()
        .filter(|r| !r.holds())
        .map(|r| {
            let what = match (r.obeyed.is_empty(), r.proved.is_empty()) {
                (true, true) => "cited nowhere",
                (true, false) => "cited in no code",
                _ => "cited in no test",
            };
            format!("  {}: {what}: {}", r.name(), r.requirement.says)
        })
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "{} requirements have neither proof nor exception:\n{}",
            missing.len(),
            missing.join("\n")
        ));
    }
    let mut s = String::from(
        "# Compliance\n\nMade by `cargo xtask compliance` from `compliance/` and from the citations in the sources; not edited by hand.\n\
         Each requirement is obeyed where the first column of files says, and proved by a test or script of the second, or\n\
         stands with its reason. Paths are short: `tcp/arrives/` is `crates/tcp/src/arrives/`.\n",
    );
    let mut last = 0;
    for r in &rows {
        if r.rfc != last {
            last = r.rfc;
            let _ = write!(
                s,
                "\n## RFC {last}\n\n| Requirement | What it asks | Obeyed in | Proved by |\n|---|---|---|---|\n"
            );
        }
        let name = match &r.requirement.label {
            Some(l) => format!("{l} ({})", r.requirement.section),
            None => r.requirement.section.clone(),
        };
        let _ = if r.exceptions.is_empty() {
            writeln!(s, "| {name} | {} | {} | {} |", r.requirement.says, list(&r.obeyed), list(&r.proved))
        } else {
            let ours: Vec<&str> = r.exceptions.iter().map(|e| e.ours.as_str()).collect();
            writeln!(s, "| {name} | {} | otherwise: {} | {} |", r.requirement.says, ours.join("; "), list(&r.proved))
        };
    }
    let excepted = rows.iter().filter(|r| !r.exceptions.is_empty()).count();
    let summary = format!(
        "{} requirements: {} obeyed and proved, {excepted} with an exception and its reason",
        rows.len(),
        rows.len() - excepted
    );
    let exceptions: Exceptions = toml::from_str(&read(&root().join("compliance/exceptions.toml"))?)
        .map_err(|e| format!("compliance/exceptions.toml: {e}"))?;
    s += "\n## Otherwise, and why\n\n| Clause | It says | We do |\n|---|---|---|\n";
    for e in &exceptions.exception {
        let _ = writeln!(s, "| {} | {} | {} |", e.clause, e.says, e.ours);
    }
    let _ = write!(s, "\n{summary}.\n");
    page("compliance.md", &s, check)?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_read_as_they_are_written() {
        let text = "//= RFC 9293 3.8.6.1 MUST-36 SHLD-29: words\n#[cfg(test)]\nfield: u8,\n  //= RFC 2883 4 4.1 4.2\n#[cfg(test)]\nmod tests {\n//= RFC 5961 3.2 (why)\n// RFC 1";
        let all = citations("crates/x/src/a.rs", text);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].labels.len(), all[0].proof, all[0].sections[0].as_str()), (2, false, "3.8.6.1"));
        assert_eq!((&all[1].sections[..], all[1].proof), (&["4", "4.1", "4.2"].map(String::from)[..], false));
        assert_eq!((all[2].rfc, all[2].proof), (5961, true));
        assert!(citations("tests/scripts/a/b.pkt", "//= RFC 9293 3.4").iter().all(|c| c.proof));
    }
}
