//! Where scripts are, and their text.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use synfin_packetdrill::script::printable;

/// Octets of the longest script that is read. The longest that we know of has a few thousand.
const LONGEST: u64 = 16 << 20;

/// The scripts of a path, in order. What is in a directory and cannot be read is one of them, and fails by itself.
pub(super) fn find(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if fs::metadata(path).map_err(named)?.is_dir() {
        inside(path, found).map_err(named)
    } else {
        found.push(path.to_path_buf());
        Ok(())
    }
}

fn inside(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    all.sort();
    for p in all {
        // A link to a directory may lead back here.
        if fs::symlink_metadata(&p).is_ok_and(|m| m.is_dir()) {
            if inside(&p, found).is_err() {
                found.push(p);
            }
        } else if p.extension().is_some_and(|e| e == "pkt") && !p.is_dir() {
            found.push(p);
        }
    }
    Ok(())
}

/// The text of a script; the error is one line. A device or a pipe may have no end, so it is none.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", printable(&path.display().to_string()));
    // Before it is opened: opening a pipe waits for who writes to it.
    if !fs::metadata(path).map_err(|e| named(&e))?.is_file() {
        return Err(named(&"a script is a regular file, and this is none"));
    }
    let file = File::open(path).map_err(|e| named(&e))?;
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(|e| named(&e))?;
    if text.len() as u64 > LONGEST {
        return Err(named(&format_args!("longer than {} MiB: no script is", LONGEST >> 20)));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
