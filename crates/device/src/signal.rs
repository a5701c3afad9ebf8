//! Signals that ask a program to end, as a descriptor to wait on (signalfd(2)), so that its loop ends like any other.

use crate::sys::{check, read, zeroed};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// SIGINT and SIGTERM, which no longer end the process; if it was asked for, SIGUSR1 as well.
#[derive(Debug)]
pub struct Signals(OwnedFd);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT or SIGTERM: that the process ends.
    End,
    /// SIGUSR1: that it tells how it is.
    Tell,
}

impl Signals {
    /// Takes them over for this thread and those it starts from now on: to be called before the first one.
    pub fn take() -> io::Result<Signals> {
        Signals::take_all(&[libc::SIGINT, libc::SIGTERM])
    }

    /// The same with SIGUSR1.
    pub fn take_with_tell() -> io::Result<Signals> {
        Signals::take_all(&[libc::SIGINT, libc::SIGTERM, libc::SIGUSR1])
    }

    fn take_all(all: &[libc::c_int]) -> io::Result<Signals> {
        let mut set: libc::sigset_t = zeroed();
        // SAFETY: the set lives through the calls; all signals exist.
        unsafe {
            libc::sigemptyset(&mut set);
            for signal in all {
                libc::sigaddset(&mut set, *signal);
            }
        }
        // SAFETY: the set lives through the call; no old one is asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
            0 => {}
            e => return Err(io::Error::from_raw_os_error(e)),
        }
        // SAFETY: the set lives through the call; a non-negative result is a descriptor that nobody else owns.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })?;
        // SAFETY: see above.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether one has come; it is taken.
    pub fn came(&self) -> bool {
        self.next().is_some()
    }

    /// The next that has come; it is taken.
    pub fn next(&self) -> Option<Signal> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        read(self.0.as_raw_fd(), &mut info).ok()?;
        // ssi_signo is its first field, 32 bits.
        let number = info.first_chunk::<4>().map_or(0, |n| u32::from_ne_bytes(*n));
        Some(if number == libc::SIGUSR1 as u32 { Signal::Tell } else { Signal::End })
    }

    /// The descriptor, readable once one has come.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_and_ends_nothing() {
        let s = Signals::take().unwrap();
        assert!(!s.came());
        // SAFETY: raise(3) sends the signal to this thread, which blocks it.
        assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
        assert!(s.came() && !s.came());
    }

    #[test]
    fn what_a_signal_asks_for_is_told() {
        let s = Signals::take_with_tell().unwrap();
        for (number, asks) in [(libc::SIGUSR1, Signal::Tell), (libc::SIGINT, Signal::End)] {
            // SAFETY: raise(3) sends the signal to this thread, which blocks it.
            assert_eq!(unsafe { libc::raise(number) }, 0);
            assert_eq!(s.next(), Some(asks));
        }
        assert_eq!(s.next(), None);
    }
}
