//! What became of a script, in lines or as an object.

use super::diagram::diagram;
use super::{Args, Done};
use std::io::{self, Write};
use synfin_packetdrill::run::{Failure, Verdict};
use synfin_packetdrill::script::printable;

pub(super) fn word(d: &Done) -> &'static str {
    match &d.played.verdict {
        _ if d.unreadable.is_some() => "FAIL",
        Verdict::Pass => "PASS",
        Verdict::Fail(_) => "FAIL",
        Verdict::Skip(_) => "SKIP",
    }
}

pub(super) fn show(out: &mut impl Write, d: &Done, args: &Args) -> io::Result<()> {
    let ms = d.took.as_secs_f64() * 1e3;
    if args.json {
        return writeln!(out, "{}", object(d, ms));
    }
    let reason = match (&d.played.verdict, &d.unreadable) {
        (Verdict::Skip(why), None) => format!(" ({})", printable(why)),
        _ => String::new(),
    };
    writeln!(out, "{} {} {ms:.1}{reason}", word(d), printable(&d.path))?;
    if let Some(e) = &d.unreadable {
        writeln!(out, "{e}")?;
    }
    if let Verdict::Fail(f) = &d.played.verdict {
        write!(out, "{f}")?;
    }
    if args.verbose {
        for n in &d.played.notes {
            writeln!(out, "    note: {n}")?;
        }
    }
    // A script that is wrong itself has had no conversation.
    let failed = matches!(&d.played.verdict, Verdict::Fail(f) if f.mistake.is_none());
    if d.unreadable.is_none() && !args.dry_run && (args.verbose || failed) {
        write!(out, "{}", diagram(&d.played))?;
    }
    Ok(())
}

/// The object of `--json`; README.md says what is in it.
fn object(d: &Done, ms: f64) -> serde_json::Value {
    let why = match (&d.played.verdict, &d.unreadable) {
        (_, Some(e)) => Some(e.as_str()),
        (Verdict::Skip(why), _) => Some(why.as_str()),
        (Verdict::Fail(f), _) => Some(f.headline.as_str()),
        (Verdict::Pass, _) => None,
    };
    let mut object = serde_json::json!({
        "result": word(d).to_lowercase(),
        "path": d.path,
        "ms": (ms * 1e3).round() / 1e3,
        "reason": why,
        "notes": d.played.notes,
    });
    if let (Verdict::Fail(f), Some(fields)) = (&d.played.verdict, object.as_object_mut()) {
        fields.extend(failure(f));
    }
    object
}

fn failure(f: &Failure) -> [(String, serde_json::Value); 7] {
    let fields: Vec<_> = f
        .fields
        .iter()
        .map(|c| serde_json::json!({"name": c.name, "expected": c.expected, "came": c.came, "same": c.same}))
        .collect();
    [
        ("line".into(), f.at.line.into()),
        ("column".into(), f.at.column.into()),
        ("expected".into(), f.expected.clone().into()),
        ("came".into(), f.came.clone().into()),
        ("fields".into(), fields.into()),
        ("engine".into(), f.state.clone().into()),
        ("lately".into(), f.journal.clone().into()),
    ]
}
