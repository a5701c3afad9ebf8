//! The results as JUnit XML, which every CI reads.

use super::Done;
use std::fmt::Write as _;
use synfin_packetdrill::run::Verdict;

fn xml(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn junit(all: &[Done], failed: usize, skipped: usize) -> String {
    let total: f64 = all.iter().map(|d| d.took.as_secs_f64()).sum();
    let mut s = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        s,
        "<testsuite name=\"synfin drill\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\" time=\"{total:.6}\">",
        all.len()
    );
    for d in all {
        let _ = write!(s, "  <testcase name=\"{}\" time=\"{:.6}\"", xml(&d.path), d.took.as_secs_f64());
        let _ = match (&d.played.verdict, &d.unreadable) {
            (_, Some(e)) => writeln!(s, "><failure message=\"cannot be read\">{}</failure></testcase>", xml(e)),
            (Verdict::Pass, _) => writeln!(s, "/>"),
            (Verdict::Skip(why), _) => writeln!(s, "><skipped message=\"{}\"/></testcase>", xml(why)),
            (Verdict::Fail(f), _) => {
                writeln!(s, "><failure message=\"{}\">{}</failure></testcase>", xml(&f.headline), xml(&f.to_string()))
            }
        };
    }
    s + "</testsuite>\n"
}
