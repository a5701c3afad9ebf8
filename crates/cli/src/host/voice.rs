//! What a program tells: lines for people on standard error, or objects for machines.

use super::Stdout;
use crate::output::complain;
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write};

/// How it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    json: bool,
    stdout: Stdout,
}

impl Voice {
    pub fn new(json: bool, stdout: Stdout) -> Voice {
        Voice { json, stdout }
    }

    pub fn is_json(self) -> bool {
        self.json
    }

    /// Tells something: in words, or as an object. Where it cannot be written nobody wants to know.
    pub fn say(self, words: impl Display, object: impl FnOnce() -> Value) {
        let _ = self.try_say(words, object);
    }

    /// Likewise, and tells whether an object could be written: those who ask for objects cannot do without the first.
    pub fn try_say(self, words: impl Display, object: impl FnOnce() -> Value) -> io::Result<()> {
        if self.json {
            return self.write(&object());
        }
        self.line(words);
        Ok(())
    }

    /// A line for people, if nobody has asked for objects.
    pub fn line(self, words: impl Display) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{words}");
        }
    }

    /// What has failed: an object, once, and no line beside it; or a line.
    pub fn failure(self, e: impl Display) {
        // Where even that cannot be written, a line may.
        if !self.json || self.write(&json!({"event": "error", "error": e.to_string()})).is_err() {
            complain(e);
        }
    }

    /// An object.
    pub fn object(self, o: &Value) {
        let _ = self.write(o);
    }

    fn write(self, o: &Value) -> io::Result<()> {
        let line = format!("{o}\n");
        match self.stdout {
            Stdout::Words => {
                let mut out = io::stdout().lock();
                let done = out.write_all(line.as_bytes()).and_then(|()| out.flush());
                done.map_err(|e| io::Error::new(e.kind(), format!("standard output: {e}")))
            }
            Stdout::Data => io::stderr().write_all(line.as_bytes()),
        }
    }
}
