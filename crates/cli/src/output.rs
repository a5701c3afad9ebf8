//! Standard output, and whether its reader is still there.

use std::io::{self, Write};

/// Standard output. An error names it, and is remembered: no other pipe that breaks is taken for this one.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: io::Stdout,
    closed: bool,
}

impl Output {
    pub fn new() -> Output {
        Output { stdout: io::stdout(), closed: false }
    }

    /// Whether nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn named<T>(&mut self, r: io::Result<T>) -> io::Result<T> {
        r.map_err(|e| {
            if e.kind() == io::ErrorKind::Interrupted {
                return e; // tried again by the caller
            }
            self.closed |= e.kind() == io::ErrorKind::BrokenPipe;
            io::Error::new(e.kind(), format!("standard output: {e}"))
        })
    }
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let r = self.stdout.write(data);
        self.named(r)
    }

    fn flush(&mut self) -> io::Result<()> {
        let r = self.stdout.flush();
        self.named(r)
    }
}

/// A line on standard error. Where it cannot be written there is nobody left to tell.
pub(crate) fn complain(words: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "synfin: {words}");
}
