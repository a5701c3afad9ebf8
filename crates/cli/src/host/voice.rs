//! What a program tells: lines for people on standard error, or objects for machines.

use super::Stdout;
use serde_json::Value;
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
        if self.json { self.object(&object()) } else { self.line(words) }
    }

    /// A line for people, if nobody has asked for objects.
    pub fn line(self, words: impl Display) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{words}");
        }
    }

    /// An object.
    pub fn object(self, o: &Value) {
        let line = format!("{o}\n");
        let _ = match self.stdout {
            Stdout::Words => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
            Stdout::Data => io::stderr().write_all(line.as_bytes()),
        };
    }
}
