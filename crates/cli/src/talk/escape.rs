//! `^]` on a terminal, as telnet has it: what follows is a command for this program.

/// `^]`.
pub(super) const ESCAPE: u8 = 0x1d;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Close both directions.
    Quit,
    /// Send a FIN, and go on receiving.
    Close,
    /// Show the connection.
    Status,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// For the peer.
    Text(Vec<u8>),
    /// `^]`: a command may follow.
    Prompt,
    /// A command.
    Command(Command),
    /// A line that is no command.
    Unknown(String),
}

/// Tells text from commands.
#[derive(Debug, Default)]
pub(super) struct Escape {
    /// What has been typed of a command, if `^]` came before.
    line: Option<Vec<u8>>,
}

/// The longest command that is looked at.
const LONGEST: usize = 64;

impl Escape {
    /// What `bytes` are.
    pub fn typed(&mut self, mut bytes: &[u8]) -> Vec<Typed> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            if let Some(line) = &mut self.line {
                let end = bytes.iter().position(|b| *b == b'\n');
                let (mine, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                line.extend(mine.iter().filter(|b| **b != ESCAPE).take(LONGEST.saturating_sub(line.len())));
                bytes = rest;
                if end.is_some() {
                    bytes = &bytes[1..];
                    let line = self.line.take().unwrap_or_default();
                    all.extend(command(String::from_utf8_lossy(&line).trim()));
                }
            } else {
                let end = bytes.iter().position(|b| *b == ESCAPE);
                let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                if !text.is_empty() {
                    all.push(Typed::Text(text.to_vec()));
                }
                bytes = rest;
                if end.is_some() {
                    bytes = &bytes[1..];
                    self.line = Some(Vec::new());
                    all.push(Typed::Prompt);
                }
            }
        }
        all
    }
}

fn command(line: &str) -> Option<Typed> {
    Some(Typed::Command(match line {
        "" => return None,
        "quit" | "q" => Command::Quit,
        "close" | "c" => Command::Close,
        "status" | "st" => Command::Status,
        _ => return Some(Typed::Unknown(line.into())),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Typed::*;

    fn text(s: &str) -> Typed {
        Text(s.as_bytes().to_vec())
    }

    #[test]
    fn a_command_is_a_line_after_the_escape() {
        let mut e = Escape::default();
        assert_eq!(e.typed(b"hello\n"), [text("hello\n")]);
        assert_eq!(e.typed(b"half\x1d"), [text("half"), Prompt]);
        assert_eq!(e.typed(b"sta"), []);
        assert_eq!(e.typed(b"tus\nmore\n"), [Command(super::Command::Status), text("more\n")]);
        assert_eq!(
            e.typed(b"\x1dclose\n\x1dquit\n"),
            [Prompt, Command(super::Command::Close), Prompt, Command(super::Command::Quit)]
        );
    }

    #[test]
    fn an_empty_line_goes_on_and_nonsense_is_named() {
        let mut e = Escape::default();
        assert_eq!(e.typed(b"\x1d\nx"), [Prompt, text("x")]);
        assert_eq!(e.typed(b"\x1dhelp me\n"), [Prompt, Unknown("help me".into())]);
        let long = [b"\x1d".to_vec(), vec![b'a'; 10_000], b"\n".to_vec()].concat();
        assert_eq!(e.typed(&long), [Prompt, Unknown("a".repeat(LONGEST))], "no more is kept than any command has");
    }
}
