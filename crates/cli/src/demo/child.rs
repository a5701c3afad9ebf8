//! Real programs of the machine, each with a limit of time: when it is over, or the scene is, they are killed.

use super::{now, pause};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A program that runs.
pub(crate) struct Program {
    name: String,
    child: Child,
    until: Instant,
    stdout: Said,
    stderr: Said,
}

/// What a program wrote to a pipe, collected by a thread.
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Program {
    pub fn start(command: &mut Command, limit: Duration) -> io::Result<Program> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        let (stdout, stderr) = (Said::collect(child.stdout.take()), Said::collect(child.stderr.take()));
        Ok(Program { name, child, until: now() + limit, stdout, stderr })
    }

    /// Waits until `done`, while the program runs and has time.
    pub fn wait_until(&mut self, what: &str, mut done: impl FnMut(&str) -> bool) -> io::Result<()> {
        loop {
            if done(&self.stdout.text()) {
                return Ok(());
            }
            let ended = self.child.try_wait()?.is_some();
            if ended && self.stdout.is_whole() {
                if done(&self.stdout.text()) {
                    return Ok(());
                }
                return Err(self.failed(&format!("ended before {what}")));
            }
            if now() >= self.until {
                return Err(self.failed(&format!("killed: its time was over before {what}")));
            }
            pause(5);
        }
    }

    /// Types.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let r = self.child.stdin.as_mut().map_or(Ok(()), |s| s.write_all(bytes).and_then(|()| s.flush()));
        r.map_err(|e| self.failed(&format!("does not read: {e}")))
    }

    /// Waits until it ends, and well; what it wrote to standard output.
    pub fn finish(mut self) -> io::Result<String> {
        drop(self.child.stdin.take());
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if now() >= self.until => return Err(self.failed("killed: its time was over")),
                None => pause(5),
            }
        };
        if !status.success() {
            return Err(self.failed("failed"));
        }
        // A child of its own may hold the pipe: that is not waited for longer than for itself.
        while !self.stdout.is_whole() && now() < self.until {
            pause(5);
        }
        Ok(self.stdout.text())
    }

    /// Ends it, and says what is known of its end.
    fn failed(&mut self, how: &str) -> io::Error {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => format!(" ({status})"),
            _ => {
                self.kill();
                String::new()
            }
        };
        for _ in 0..100 {
            if self.stderr.is_whole() {
                break;
            }
            pause(5);
        }
        let stderr = self.stderr.text();
        let words = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = if words.is_empty() { "nothing on standard error" } else { &words };
        io::Error::other(format!("{} {how}{status}: {words}", self.name))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Said {
    fn collect(pipe: Option<impl Read + Send + 'static>) -> Said {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let bytes = bytes.clone();
            move || {
                let Some(mut pipe) = pipe else { return };
                let mut some = [0; 4096];
                while let Ok(n @ 1..) = pipe.read(&mut some) {
                    lock(&bytes).extend_from_slice(&some[..n]);
                }
            }
        });
        Said { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }

    fn is_whole(&self) -> bool {
        self.reader.is_finished()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Program {
        Program::start(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn a_program_is_talked_to() {
        let mut p = shell("echo ready; read x; echo got $x", Duration::from_secs(60));
        p.wait_until("ready", |said| said.contains("ready")).unwrap();
        p.say(b"words\n").unwrap();
        assert_eq!(p.finish().unwrap(), "ready\ngot words\n");
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_status_and_its_words() {
        let words = |p: Program| p.finish().unwrap_err().to_string();
        let failed = words(shell("echo no >&2; echo way >&2; exit 7", Duration::from_secs(60)));
        assert_eq!(failed, "sh failed (exit status: 7): no way");
        let mut early = shell("exit 3", Duration::from_secs(60));
        let e = early.wait_until("it spoke", |said| !said.is_empty()).unwrap_err().to_string();
        assert_eq!(e, "sh ended before it spoke (exit status: 3): nothing on standard error");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let e = shell("exec sleep 1000", Duration::from_millis(300)).finish().unwrap_err();
        assert!(e.to_string().starts_with("sh killed: its time was over: "), "{e}");
    }
}
