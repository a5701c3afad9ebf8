//! Files that a user names: what is read has an end, and what is written is not what is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Octets of the longest text that is read: a script, or a scenario. The longest that we know of have a few thousand.
const LONGEST: u64 = 16 << 20;

/// The octets of a text that is `what`, say "a script". A device or a pipe may have no end, so it is none.
pub fn read(path: &Path, what: &str) -> io::Result<Vec<u8>> {
    let no = |words: String| io::Error::new(io::ErrorKind::InvalidData, words);
    // Before it is opened: opening a pipe waits for who writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(no(format!("{what} is a regular file, and this is none")));
    }
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(no(format!("longer than {} MiB: {what} is not", LONGEST >> 20)));
    }
    Ok(text)
}

/// Refuses to write to `file` what comes of reading `others`, or of writing to them.
pub fn another<'a>(file: &Path, others: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
    let Ok(place) = fs::canonicalize(file) else { return Ok(()) };
    match others.into_iter().find(|o| fs::canonicalize(o).is_ok_and(|o| o == place)) {
        Some(o) => {
            let words = format!("the same file as {}: it would be overwritten", o.display());
            Err(io::Error::new(io::ErrorKind::InvalidInput, words))
        }
        None => Ok(()),
    }
}
