//! Terminals (termios(3)): one more character that ends a line, so that it is read as soon as it is typed.

use crate::sys::{check, zeroed};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A terminal whose lines end at one more character; as before when this is dropped.
pub struct LineEnd {
    terminal: OwnedFd,
    before: libc::termios,
}

impl std::fmt::Debug for LineEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineEnd").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl LineEnd {
    /// Lets lines of `fd` end at `byte` too (VEOL). None if it is no terminal.
    pub fn set(fd: &impl AsFd, byte: u8) -> io::Result<Option<LineEnd>> {
        let terminal = fd.as_fd().try_clone_to_owned()?;
        let mut now: libc::termios = zeroed();
        // SAFETY: the structure is the one that the kernel fills, and lives through the call.
        if unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut now) } < 0 {
            return Ok(None);
        }
        let before = now;
        now.c_cc[libc::VEOL] = byte;
        // SAFETY: as above; it was filled by tcgetattr(3).
        check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &now) })?;
        Ok(Some(LineEnd { terminal, before }))
    }
}

impl Drop for LineEnd {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by tcgetattr(3) and lives through the call. A terminal that is gone needs nothing.
        let _ = unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSANOW, &self.before) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::os::fd::FromRawFd;

    /// Both ends of a pseudoterminal.
    fn pseudoterminal() -> (File, File) {
        let main = OpenOptions::new().read(true).write(true).open("/dev/ptmx").unwrap();
        let unlock: libc::c_int = 0;
        // SAFETY: TIOCSPTLCK reads an int.
        check(unsafe { libc::ioctl(main.as_raw_fd(), libc::TIOCSPTLCK, &unlock) }).unwrap();
        // SAFETY: TIOCGPTPEER takes flags by value; a non-negative result is a descriptor that nobody else owns.
        let peer = check(unsafe { libc::ioctl(main.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY) });
        // SAFETY: see above.
        (main, unsafe { File::from_raw_fd(peer.unwrap()) })
    }

    #[test]
    fn a_line_ends_at_the_character_and_afterwards_no_more() {
        use std::io::{Read, Write};
        let (mut main, mut terminal) = pseudoterminal();
        let mut buf = [0; 16];
        {
            let _end = LineEnd::set(&terminal, 0x1d).unwrap().unwrap();
            main.write_all(b"abc\x1d").unwrap();
            let n = terminal.read(&mut buf).unwrap();
            assert_eq!(&buf[..n], b"abc\x1d");
        }
        main.write_all(b"abc\x1d\n").unwrap();
        let n = terminal.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"abc\x1d\n", "one line again");
        let (file, _writer) = std::io::pipe().unwrap();
        assert!(LineEnd::set(&file, 0x1d).unwrap().is_none(), "no terminal");
    }
}
