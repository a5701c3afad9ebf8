//! Where scripts are, and their text.

use crate::files;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use synfin_packetdrill::script::printable;

/// The scripts of some paths, in order. What cannot be read, in a directory or beside another path, is one of them, and
/// fails by itself; the only path there is must be there.
pub(super) fn find(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let looked = fs::metadata(path).and_then(|m| match m.is_dir() {
            true => inside(path, &mut found),
            false => {
                found.push(path.clone());
                Ok(())
            }
        });
        match looked {
            Ok(()) => {}
            Err(_) if paths.len() > 1 => found.push(path.clone()),
            Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
        }
    }
    Ok(found)
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
