//! docs/heartbeat.md is what was measured: each test compares its line. `SYNFIN_PAGES=write` writes the lines anew.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

static PAGE: Mutex<()> = Mutex::new(());

/// Compares the line that begins with `title`, or writes it.
pub fn line(title: &str, cells: &[String]) {
    let _one_at_a_time = PAGE.lock().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/heartbeat.md");
    let page = fs::read_to_string(&path).unwrap();
    let measured = format!("| {title} | {} |", cells.join(" | "));
    let begin = format!("| {title} |");
    let lines: Vec<&str> = page.lines().filter(|l| l.starts_with(&begin)).collect();
    assert_eq!(lines.len(), 1, "docs/heartbeat.md has no line, or several, that begin with: {begin}");
    if std::env::var_os("SYNFIN_PAGES").is_some_and(|v| v == "write") {
        fs::write(&path, page.replace(lines[0], &measured)).unwrap();
    } else {
        assert_eq!(lines[0], measured, "docs/heartbeat.md is not what was measured; SYNFIN_PAGES=write writes it anew");
    }
}

/// Seconds, to a tenth.
pub fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}

/// From the least to the greatest.
pub fn range(all: &[Duration]) -> String {
    let (min, max) = (seconds(*all.iter().min().unwrap()), seconds(*all.iter().max().unwrap()));
    if min == max { min } else { format!("{} to {max}", min.trim_end_matches(" s")) }
}
