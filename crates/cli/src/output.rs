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

/// What an error is about, where that changes how the program ends.
#[derive(Debug)]
enum About {
    /// What the user gave.
    Usage(String),
    /// What was judged: the program did its work.
    Failed(String),
    /// Nothing that is not said already: the program ends with this status.
    Exit(u8),
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            About::Usage(words) | About::Failed(words) => f.write_str(words),
            About::Exit(code) => write!(f, "exit status {code}"),
        }
    }
}

impl std::error::Error for About {}

/// Whatever is wrong with what the user gave: a line, and exit status 2.
pub(crate) fn usage(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, About::Usage(what.into()))
}

/// Something was judged and failed: exit status 1, and a line for whoever still reads.
pub(crate) fn failed(what: impl Into<String>) -> io::Error {
    io::Error::other(About::Failed(what.into()))
}

/// The program ends with this status, and without a line.
pub(crate) fn exit(code: u8) -> io::Error {
    io::Error::other(About::Exit(code))
}

/// The status of an error that is one of [`exit`].
pub(crate) fn exit_code(e: &io::Error) -> Option<u8> {
    match e.get_ref()?.downcast_ref()? {
        About::Exit(code) => Some(*code),
        _ => None,
    }
}

/// An error with what failed in front: `connect 192.0.2.1:81: connection refused`. What an error already begins with is not
/// said twice.
pub(crate) fn named(doing: &str, to: impl std::fmt::Display, e: &io::Error) -> io::Error {
    let (words, to) = (e.to_string(), to.to_string());
    let words = words.strip_prefix(&format!("{to}: ")).unwrap_or(&words);
    io::Error::new(e.kind(), format!("{doing} {to}: {words}"))
}

/// Whether an error is one of [`usage`].
pub(crate) fn is_usage(e: &io::Error) -> bool {
    matches!(e.get_ref().and_then(|e| e.downcast_ref()), Some(About::Usage(_)))
}

/// Whether an error is one of [`failed`].
pub(crate) fn is_failed(e: &io::Error) -> bool {
    matches!(e.get_ref().and_then(|e| e.downcast_ref()), Some(About::Failed(_)))
}

/// A line on standard error. Where it cannot be written there is nobody left to tell.
pub(crate) fn complain(words: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "synfin: {words}");
}
