//! Our own scripts, `tests/scripts/{state}/{event}.pkt`: each must pass with nothing left over.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::fs;
use std::path::{Path, PathBuf};
use synfin_packetdrill::run::{Settings, Verdict, play};
use synfin_packetdrill::script::Script;

fn scripts(dir: &Path, all: &mut Vec<PathBuf>) {
    for e in fs::read_dir(dir).unwrap() {
        let path = e.unwrap().path();
        if path.is_dir() {
            scripts(&path, all);
        } else if path.extension().is_some_and(|e| e == "pkt") {
            all.push(path);
        }
    }
}

#[test]
fn every_script_of_the_corpus_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts");
    let mut all = Vec::new();
    scripts(&root, &mut all);
    all.sort();
    assert!(all.len() > 400, "{} scripts", all.len());
    let settings = Settings { strict: true, ..Settings::default() };
    let mut wrong = Vec::new();
    for path in all {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let script = Script::parse(&name, &fs::read_to_string(&path).unwrap(), &[]);
        match script.map(|s| play(&s, &settings).verdict) {
            Ok(Verdict::Pass) => {}
            Ok(Verdict::Fail(f)) => wrong.push(f.to_string()),
            Ok(Verdict::Skip(why)) => wrong.push(format!("{name}: skipped: {why}")),
            Err(e) => wrong.push(e.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{} scripts do not pass:\n{}", wrong.len(), wrong.join("\n"));
}
