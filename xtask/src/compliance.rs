//! Requirements of the RFCs, where they are obeyed and where that is proved.
//!
//! A citation is a comment, `//= RFC 9293 3.8.6.1 MUST-36 SHLD-29` or `//= RFC 5681 3.1 (d) (h)`: an RFC, sections, labels; behind
//! a section or a label that asks for several things the letters of those that are meant. In `tests/`, in a module under
//! `#[cfg(test)]` and in a script it counts as a proof, elsewhere as obedience.

use crate::{Result, files, page, read, root};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

#[derive(Debug, Deserialize)]
struct Requirements {
    requirement: Vec<Requirement>,
}

/// A label of RFC 9293's appendix B, or a section of another RFC; one thing of it, if it asks for several.
#[derive(Debug, Clone, Deserialize)]
struct Requirement {
    label: Option<String>,
    section: String,
    part: Option<char>,
    says: String,
}

#[derive(Debug, Deserialize)]
struct Exceptions {
    exception: Vec<Exception>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    clause: String,
    says: String,
    ours: String,
    #[serde(default)]
    labels: Vec<String>,
    /// The rest of what is asked is obeyed: it needs its citations.
    #[serde(default)]
    partly: bool,
    /// It is about none of the requirements that are listed: about no MUST, or no label.
    #[serde(default)]
    unlisted: bool,
}

/// What citations and exceptions name: a section or a label, and which of the things that it asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    of: String,
    part: Option<char>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some(p) => write!(f, "{} ({p})", self.of),
            None => f.write_str(&self.of),
        }
    }
}

impl Requirement {
    fn name(&self) -> Name {
        Name { of: self.label.clone().unwrap_or_else(|| self.section.clone()), part: self.part }
    }
}

/// A citation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Citation {
    rfc: u32,
    names: Vec<Name>,
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

/// `(b)`.
fn part(w: &str) -> Option<char> {
    let mut inside = w.strip_prefix('(')?.strip_suffix(')')?.chars();
    inside.next().filter(|c| c.is_ascii_lowercase() && inside.next().is_none())
}

/// The sections and labels at the beginning of a text, with their parts, and what of it is left.
fn names(text: &str) -> (Vec<Name>, &str) {
    let mut all: Vec<Name> = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let word = rest.split_whitespace().next().unwrap_or("");
        let bare = word.trim_end_matches([':', ',', ';']);
        match (part(bare), all.last().cloned()) {
            (Some(p), Some(mut last)) => {
                // The first letter goes with what was named, each further one names it again.
                if last.part.is_none() {
                    all.pop();
                }
                last.part = Some(p);
                all.push(last);
            }
            _ if is_label(bare) || (is_section(bare) && !all.iter().any(|n| is_label(&n.of))) => {
                all.push(Name { of: bare.to_string(), part: None });
            }
            _ => return (all, rest),
        }
        rest = rest[word.len()..].trim_start();
        if word.ends_with(':') {
            return (all, rest);
        }
    }
}

/// What an exception's clause names: `RFC 5961 3.2 (b), 5.2 (b)`, `RFC 8200 4.5, RFC 1122 3.3.2`.
fn clause(text: &str) -> Option<Vec<(u32, Name)>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(r) = rest.strip_prefix("RFC ") {
        let (rfc, r) = r.split_once(' ')?;
        let rfc = rfc.parse().ok()?;
        let (named, r) = names(r);
        all.extend(named.into_iter().map(|n| (rfc, n)));
        rest = r;
    }
    (rest.is_empty() && !all.is_empty()).then_some(all)
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
        let Some((rfc, rest)) = rest.split_once(' ') else { continue };
        let Ok(rfc) = rfc.parse() else { continue };
        all.push(Citation { rfc, names: names(rest).0, file: file.to_string(), proof });
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
            Some(_) => format!("RFC {} {} ({})", self.rfc, self.requirement.name(), self.requirement.section),
            None => format!("RFC {} {}", self.rfc, self.requirement.name()),
        }
    }

    /// Whether nothing of it is obeyed, with a reason.
    fn excused(&self) -> bool {
        self.exceptions.iter().any(|e| !e.partly)
    }

    fn holds(&self) -> bool {
        self.excused() || (!self.obeyed.is_empty() && !self.proved.is_empty())
    }
}

fn read_exceptions() -> Result<Vec<Exception>> {
    let all: Exceptions = toml::from_str(&read(&root().join("compliance/exceptions.toml"))?)
        .map_err(|e| format!("compliance/exceptions.toml: {e}"))?;
    Ok(all.exception)
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
    judge(&requirements()?, &cited, &read_exceptions()?)
}

/// Each requirement with the citations and the exceptions that name it, and no other.
fn judge(all: &BTreeMap<u32, Vec<Requirement>>, cited: &[Citation], exceptions: &[Exception]) -> Result<Vec<Row>> {
    let known: BTreeSet<(u32, Name)> = all.iter().flat_map(|(n, list)| list.iter().map(|r| (*n, r.name()))).collect();
    for c in cited {
        // A part, or a label, that nothing asks for is a slip of the pen. A section may be cited for what is no MUST, or as
        // a whole: that says nothing of its parts.
        let listed = |n: &Name| known.iter().any(|(rfc, k)| *rfc == c.rfc && k.of == n.of);
        let slip = |n: &&Name| (is_label(&n.of) && !listed(n)) || (n.part.is_some() && listed(n));
        if let Some(n) = c.names.iter().filter(slip).find(|n| !known.contains(&(c.rfc, (*n).clone()))) {
            return Err(format!("{}: RFC {} has no {n} in compliance/", c.file, c.rfc));
        }
    }
    let mut named = Vec::new();
    for e in exceptions {
        let wrong = |what: &str| format!("compliance/exceptions.toml: {}: {what}", e.clause);
        let sections = clause(&e.clause).ok_or_else(|| wrong("not a list of RFC N SECTION (PART)"))?;
        let Some((rfc, _)) = sections.first() else { continue };
        let labels = e.labels.iter().map(|l| (*rfc, names(l).0));
        let labels: Vec<(u32, Name)> = labels.flat_map(|(r, n)| n.into_iter().map(move |n| (r, n))).collect();
        let about = match (labels.is_empty(), e.unlisted) {
            (false, false) => labels,
            (true, false) => sections,
            (true, true) => Vec::new(),
            (false, true) => return Err(wrong("labels are listed")),
        };
        if let Some((rfc, n)) = about.iter().find(|n| !known.contains(*n)) {
            return Err(wrong(&format!("RFC {rfc} has no {n} in compliance/; is it unlisted, or in parts?")));
        }
        named.push((about, e));
    }
    let mut rows = Vec::new();
    for (rfc, list) in all {
        for r in list {
            let name = r.name();
            let of = |proof: bool| {
                let meant = cited.iter().filter(|c| c.rfc == *rfc && c.proof == proof && c.names.contains(&name));
                meant.map(|c| c.file.clone()).collect::<BTreeSet<_>>()
            };
            let own = named.iter().filter(|(about, _)| about.contains(&(*rfc, name.clone())));
            rows.push(Row {
                rfc: *rfc,
                requirement: r.clone(),
                obeyed: of(false),
                proved: of(true),
                exceptions: own.map(|(_, e)| (*e).clone()).collect(),
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
         stands with its reason. A section that asks for several things stands in several rows; their letters are ours, but\n\
         for those of RFC 9293. Paths are short: `tcp/arrives/` is `crates/tcp/src/arrives/`.\n",
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
            Some(_) => format!("{} ({})", r.requirement.name(), r.requirement.section),
            None => r.requirement.name().to_string(),
        };
        let ours = r.exceptions.iter().map(|e| e.ours.as_str()).collect::<Vec<_>>().join("; ");
        let obeyed = match (r.exceptions.is_empty(), r.excused()) {
            (true, _) => list(&r.obeyed),
            (_, true) => format!("otherwise: {ours}"),
            (_, false) => format!("{}; but: {ours}", list(&r.obeyed)),
        };
        let _ = writeln!(s, "| {name} | {} | {obeyed} | {} |", r.requirement.says, list(&r.proved));
    }
    let excused = rows.iter().filter(|r| r.excused()).count();
    let partly = rows.iter().filter(|r| !r.excused() && !r.exceptions.is_empty()).count();
    let summary = format!(
        "{} requirements: {} obeyed and proved, {partly} of them but for a part, and {excused} otherwise, each with its reason",
        rows.len(),
        rows.len() - excused
    );
    s += "\n## Otherwise, and why\n\n| Clause | It says | We do |\n|---|---|---|\n";
    for e in &read_exceptions()? {
        let _ = writeln!(s, "| {} | {} | {} |", e.clause, e.says, e.ours);
    }
    let _ = write!(s, "\n{summary}.\n");
    page("compliance.md", &s, check)?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str, part: Option<char>) -> Name {
        Name { of: of.into(), part }
    }

    #[test]
    fn citations_are_read_as_they_are_written() {
        let text = "//= RFC 9293 3.8.6.1 MUST-36 SHLD-29: 3 words\n#[cfg(test)]\nfield: u8,\n  //= RFC 2883 4 4.1 4.2\n#[cfg(test)]\nmod tests {\n//= RFC 5961 3.2 (why)\n// RFC 1\n//= RFC 5681 3.1 (b) (d), 3.2 (a): 4 words\n//= RFC 7323 3.2 (a segment)";
        let all = citations("crates/x/src/a.rs", text);
        let of = |i: usize| all[i].names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!((all[0].rfc, all[0].proof, of(0).as_str()), (9293, false, "3.8.6.1 MUST-36 SHLD-29"));
        assert_eq!((all[1].proof, of(1).as_str()), (false, "4 4.1 4.2"));
        assert_eq!((all[2].rfc, all[2].proof, of(2).as_str()), (5961, true, "3.2"));
        assert_eq!((all.len(), of(3).as_str(), of(4).as_str()), (5, "3.1 (b) 3.1 (d) 3.2 (a)", "3.2"));
        assert!(citations("tests/scripts/a/b.pkt", "//= RFC 9293 3.4").iter().all(|c| c.proof));
    }

    #[test]
    fn clauses_are_lists() {
        let want = |rfc, of, part| (rfc, name(of, part));
        assert_eq!(
            clause("RFC 8200 4.5, RFC 1122 3.3.2"),
            Some(vec![want(8200, "4.5", None), want(1122, "3.3.2", None)])
        );
        assert_eq!(
            clause("RFC 5961 3.2 (b), 5.2 (a)"),
            Some(vec![want(5961, "3.2", Some('b')), want(5961, "5.2", Some('a'))])
        );
        for bad in ["RFC 9293 3.4 table 6", "RFC 9293", "9293 3.4", ""] {
            assert_eq!(clause(bad), None, "{bad:?}");
        }
    }

    /// Two things that section 3 of RFC 1 asks for.
    fn two() -> BTreeMap<u32, Vec<Requirement>> {
        let of = |part| Requirement { label: None, section: "3".into(), part: Some(part), says: String::new() };
        BTreeMap::from([(1, vec![of('a'), of('b')])])
    }

    fn cite(text: &str) -> Vec<Citation> {
        [citations("crates/a.rs", text), citations("tests/a.rs", text)].concat()
    }

    fn except(clause: &str, partly: bool, unlisted: bool) -> Exception {
        let none = String::new();
        Exception { clause: clause.into(), says: none.clone(), ours: none, labels: Vec::new(), partly, unlisted }
    }

    #[test]
    fn an_exception_excuses_its_own_row_and_no_other_and_a_part_of_it_excuses_no_citation() {
        let holds = |cited: &str, e: &[Exception]| -> Vec<bool> {
            judge(&two(), &cite(cited), e).expect("rows").iter().map(Row::holds).collect()
        };
        assert_eq!(holds("", &[except("RFC 1 3 (b)", false, false)]), [false, true]);
        assert_eq!(holds("", &[except("RFC 1 3 (a), 3 (b)", false, false)]), [true, true]);
        assert_eq!(holds("", &[except("RFC 1 3 (b)", true, false)]), [false, false]);
        assert_eq!(holds("//= RFC 1 3 (b)", &[except("RFC 1 3 (b)", true, false)]), [false, true]);
        assert_eq!(holds("", &[except("RFC 1 3", false, true)]), [false, false]);
        assert_eq!(holds("//= RFC 1 3", &[]), [false, false], "the whole is nothing of its parts");
    }

    #[test]
    fn what_names_nothing_is_an_error() {
        for (cited, e) in [
            ("//= RFC 1 3 (c)", None),
            ("//= RFC 1 3 MUST-1", None),
            ("", Some("RFC 1 3")),
            ("", Some("RFC 1 3 (c)")),
            ("", Some("RFC 1 4")),
            ("", Some("RFC 1 3 (a), RFC 2 3 (b)")),
        ] {
            let e: Vec<Exception> = e.map(|e| except(e, false, false)).into_iter().collect();
            assert!(judge(&two(), &cite(cited), &e).is_err(), "{cited} {e:?}");
        }
        assert!(judge(&two(), &cite("//= RFC 1 4 (c) 5"), &[except("RFC 2 1", false, true)]).is_ok());
    }
}
