//! Where scripts are, and their text.

use crate::files;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use synfin_packetdrill::script::printable;

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

/// The text of a script; the error is one line.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let text = files::read(path, "a script").map_err(|e| format!("{}: {e}", printable(&path.display().to_string())))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
